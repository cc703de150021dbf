"""What the rows say together: shortcuts and their kinds, blocks, layers, stem and head, under any names.

Steps say which rows they read, and everything here follows from that. Where two ways that part meet again in an
addition is a block, if something on the way is learned; the names of its rooms only tell where to find it in the code.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from resnet_edu.counting.steps import Shape, Step, block_of, layer_of

#: The image, which lies above the first row.
IMAGE = -1
#: On the way around a block they change nothing: a dropout does none of its work in eval mode.
_NOTHING = ("flatten", "Dropout", "dropout", "StochasticDepth", "DropPath")


class Shortcut(NamedTuple):
    """A way around something learned, from the fork to the sum where both ways meet again.

    >>> from resnet_edu.counting import arithmetic
    >>> shortcuts(arithmetic.block_steps("basic"))
    [Shortcut(fork=-1, sum=5, kind='identity', way=())]
    """

    fork: int
    """The last row that both ways pass, or the image."""
    sum: int
    """The addition."""
    kind: str
    """``identity``, ``projection``, ``zero-pad``, or ``unlearned`` where it pools, scales or cuts."""
    way: tuple[int, ...]
    """The rows on the way around."""


class Block(NamedTuple):
    """A run of rows with a shortcut around most of them; without one in plain networks.

    >>> from resnet_edu.counting import arithmetic
    >>> parts(arithmetic.steps("resnet18"))[1].blocks[0][:3]
    ('layer1.0', 4, 11)
    """

    room: str
    start: int
    stop: int
    shortcut: Shortcut | None = None


class Part(NamedTuple):
    """The stem, a layer or the head: a run of rows, and the blocks in it.

    >>> from resnet_edu.counting import arithmetic
    >>> parts(arithmetic.steps("resnet18"))[0]
    Part(name='stem', role='stem', start=0, stop=4, blocks=())
    """

    name: str
    """Where it is in the code, if its rows have a module of their own."""
    role: str
    """``stem``, ``layer1`` …, ``head``; the name itself where nothing is added and the names say nothing."""
    start: int
    stop: int
    blocks: tuple[Block, ...] = ()


def sources(steps: Sequence[Step]) -> list[tuple[int, ...]]:
    """For each row the rows that it reads, by their place; what lies above the first one is the image, −1.

    >>> from resnet_edu.counting import arithmetic
    >>> sources(arithmetic.block_steps("basic"))[5]         # the sum reads the second batch norm, and the image
    (4, -1)
    """
    return [tuple(max(place - back, IMAGE) for back in step.reads) for place, step in enumerate(steps)]


def channels_first(steps: Sequence[Step], shape: Shape) -> Shape:
    """The shape of a map as ``(C, H, W)``, also where the network keeps its channels last, as Swin does.

    A linear layer works on the last number of a map. What one makes, and no convolution or pooling does, has its
    channels there.

    >>> patch = Step("mlp", "linear", (4, 6, 12), (4, 6, 12), 156, 3456, 1)
    >>> channels_first([patch], (4, 6, 12)), channels_first([], (4, 6, 12))
    ((12, 4, 6), (4, 6, 12))
    """
    if len(shape) != 3:
        return shape
    made = {step.operation.partition(" ")[0] for step in steps if step.output == shape}
    return (shape[2], *shape[:2]) if "linear" in made and not made & {"conv", "max-pool", "average"} else shape


def shortcuts(steps: Sequence[Step]) -> list[Shortcut]:
    """Every addition that closes a way around something learned, in order.

    >>> from resnet_edu.counting import arithmetic
    >>> [shortcut.kind for shortcut in shortcuts(arithmetic.steps("cifar8"))]
    ['identity', 'zero-pad', 'zero-pad']

    ``x + x``, an activation written by hand, a learned position or a number are none, and neither is the sum of two
    branches with equally many layers each. A sum of three, ``x + a(x) + b(x)``, is one addition with one way around.
    """
    reads = sources(steps)
    above = _dominators(reads)
    readers = Counter(source for row in reads for source in row)
    found: dict[int, Shortcut] = {}
    for place, step in enumerate(steps):
        if step.operation != "add" or len(set(reads[place])) < len(reads[place]):
            continue
        fork = above[place]
        terms, sums = _terms(steps, reads, above, readers, place)
        kind, way = _kind(steps, [_way(reads, term, fork) for term in terms])
        for part in sums:
            found.pop(part, None)
        if kind:
            found[place] = Shortcut(fork, place, kind, way)
    return list(found.values())


def shortcut_of(steps: Sequence[Step]) -> str:
    """The kind of shortcut of one block, or ``none``: of the addition that reaches over most of it.

    >>> from resnet_edu.counting.arithmetic import block_steps
    >>> [shortcut_of(block_steps("basic", 64, 128, 2, shortcut=option)) for option in "AB"]
    ['zero-pad', 'projection']
    >>> shortcut_of(block_steps("basic")), shortcut_of(block_steps("plain"))
    ('identity', 'none')
    """
    return max(shortcuts(steps), key=lambda s: s.sum - s.fork).kind if shortcuts(steps) else "none"


def parts(steps: Sequence[Step]) -> list[Part]:
    """The network divided into stem, layers and head, with the blocks of each layer.

    >>> from resnet_edu.counting import arithmetic
    >>> [(part.name, len(part.blocks)) for part in parts(arithmetic.steps("resnet34"))]
    [('stem', 0), ('layer1', 3), ('layer2', 4), ('layer3', 6), ('layer4', 3), ('head', 0)]

    A block is what lies between the outermost fork and its sum; a new layer begins where the output's shape changes, or
    where the blocks lie in another module. Where nothing is added, the names of the rooms divide the network.
    """
    blocks = _blocks(steps)
    if not blocks:
        return _by_name(steps)
    layers = [list(group) for _, group in groupby(blocks, lambda b: (_parent(b.room), steps[b.stop - 1].output))]
    names = [_parent(layer[0].room) for layer in layers]
    if len(set(names)) < len(names) or "" in names or {"stem", "head"} & set(names):
        names = [f"layer{number}" for number in range(1, len(layers) + 1)]
    found = []
    place = layers[0][0].start
    if place:
        found.append(Part("stem", "stem", 0, place))
    for number, (name, layer) in enumerate(zip(names, layers, strict=True), start=1):
        found.append(Part(name, f"layer{number}", place, layer[-1].stop, tuple(layer)))
        place = layer[-1].stop
    if place < len(steps):
        found.append(Part("head", "head", place, len(steps)))
    return found


def by_layer(steps: Sequence[Step]) -> list[Step]:
    """Sum up Steps to one for each of stem, layer1 …, head.

    >>> from resnet_edu.counting import arithmetic
    >>> [step.output for step in by_layer(arithmetic.steps("resnet18"))][:3]
    [(64, 56, 56), (64, 56, 56), (128, 28, 28)]
    """
    steps = list(steps)
    return _summed(steps, [(part.name, part.start, part.stop) for part in parts(steps)])


def by_block(steps: Sequence[Step]) -> list[Step]:
    """Sum up Steps to one for each block, with the stem and the head as one row each.

    >>> from resnet_edu.counting import arithmetic
    >>> [step.room for step in by_block(arithmetic.steps("resnet18"))][:4]
    ['stem', 'layer1.0', 'layer1.1', 'layer2.0']
    """
    steps = list(steps)
    return _summed(steps, [run for part in parts(steps) for run in runs(part)])


def runs(part: Part) -> Iterator[tuple[str, int, int]]:
    """The blocks of a part, and what lies between them, each by its name, its first row and the row behind its last.

    >>> list(runs(Part("layer1", "layer1", 4, 20, (Block("layer1.0", 4, 12), Block("layer1.1", 12, 20)))))
    [('layer1.0', 4, 12), ('layer1.1', 12, 20)]
    """
    place = part.start
    for block in part.blocks:
        if place < block.start:
            yield part.name, place, block.start
        yield block.room, block.start, block.stop
        place = block.stop
    if place < part.stop:
        yield part.name, place, part.stop


def is_branched(steps: Sequence[Step], block: Block) -> bool:
    """Whether layers of a block lie beside each other, so that a list of them is no chain; its shortcut is no branch.

    >>> from resnet_edu.counting import arithmetic
    >>> steps = arithmetic.steps("resnet18")
    >>> is_branched(steps, parts(steps)[1].blocks[0])
    False
    """
    reads = sources(steps)
    stop, aside = (block.shortcut.sum, block.shortcut.way) if block.shortcut else (block.stop, ())
    joins = [place for place in range(block.start, stop) if len(set(reads[place])) > 1 and place not in aside]
    above = _dominators(reads) if joins else []
    return any(
        is_layer(steps[row]) for place in joins for term in reads[place] for row in _way(reads, term, above[place])
    )


def depth(steps: Sequence[Step]) -> int:
    """Convolutions and linear layers on the longest path, as the paper counts the depth.

    >>> from resnet_edu.counting import arithmetic
    >>> depth(arithmetic.steps("resnet152"))
    152
    """
    longest: list[int] = []
    for step, reads in zip(steps, sources(steps), strict=True):
        below = max((longest[place] for place in reads if place != IMAGE), default=0)
        longest.append(below + is_layer(step))
    return max(longest, default=0)


def is_layer(step: Step) -> bool:
    """Whether it is a convolution or a linear layer.

    >>> is_layer(Step("fc", "linear", (512,), (1000,), 513000, 512000, 1))
    True
    """
    return step.operation.startswith(("conv ", "transposed conv ", "linear"))


def _dominators(reads: Sequence[tuple[int, ...]]) -> list[int]:
    """For each row the nearest one that every way to it passes; the image is everybody's."""
    above: list[int] = []
    for row in reads:
        fork, *others = row or (IMAGE,)
        for other in others:
            fork = _meeting(above, fork, other)
        above.append(fork)
    return above


def _terms(
    steps: Sequence[Step], reads: Sequence[tuple[int, ...]], above: Sequence[int], readers: Counter[int], place: int
) -> tuple[list[int], list[int]]:
    """What is summed here, and the sums on the way that are read for nothing else and fork where this one does."""
    terms, sums = list(reads[place]), []
    for term in terms:
        more = (*terms, *reads[term]) if term != IMAGE and steps[term].operation == "add" else ()
        is_part = readers[term] == 1 and above[term] == above[place]
        if more and is_part and len(set(more)) == len(more):
            sums.append(term)
            terms += reads[term]
    return [term for term in terms if term not in sums], sums


def _meeting(above: Sequence[int], a: int, b: int) -> int:
    while a != b:
        if a > b:
            a = above[a]
        else:
            b = above[b]
    return a


def _way(reads: Sequence[tuple[int, ...]], term: int, fork: int) -> tuple[int, ...]:
    """The rows between the fork and a term of the sum, the term among them."""
    found: set[int] = set()
    waiting = [term]
    while waiting:
        place = waiting.pop()
        if place > fork and place not in found:
            found.add(place)
            waiting += reads[place]
    return tuple(sorted(found))


def _kind(steps: Sequence[Step], ways: Sequence[tuple[int, ...]]) -> tuple[str, tuple[int, ...]]:
    if not any(steps[place].learned for way in ways for place in way):
        return "", ()

    def layers(way: tuple[int, ...]) -> int:
        return sum(steps[place].multiply_adds > 0 or not steps[place].counted for place in way)

    way, *others = sorted(ways, key=lambda way: (layers(way), len(way)))
    rows = [steps[place] for place in way if not steps[place].operation.startswith(_NOTHING)]
    if layers(way) and any(layers(way) == layers(other) for other in others):
        return "", ()  # two branches
    if not rows:
        return "identity", way
    if any(step.learned for step in rows):
        return "projection", way
    return ("zero-pad" if all(step.operation.startswith("zero-pad") for step in rows) else "unlearned"), way


def _blocks(steps: Sequence[Step]) -> list[Block]:
    """The outermost shortcuts, each with what follows its sum and belongs to nobody else."""
    outer: list[Shortcut] = []
    for shortcut in shortcuts(steps):
        inside = [other for other in outer if other.sum > shortcut.fork]
        # A way around several blocks in a row, as in super-resolution, is no block.
        if len(_in_a_row(steps, shortcut, inside)) < 2:
            outer[len(outer) - len(inside) :] = [shortcut]
    found: list[Block] = []
    for number, shortcut in enumerate(outer):
        start, stop = shortcut.fork + 1, shortcut.sum + 1
        limit = outer[number + 1].fork + 1 if number + 1 < len(outer) else len(steps)
        while stop < limit and not steps[stop].learned and steps[stop].output == steps[shortcut.sum].output:
            stop += 1
        room = _parent(steps[shortcut.sum].room)
        if found:
            found += _between(steps, found[-1].stop, start, room)
        found.append(Block(room, start, stop, shortcut))
    return found


def _in_a_row(steps: Sequence[Step], shortcut: Shortcut, inside: Sequence[Shortcut]) -> list[Shortcut]:
    """Those of the shortcuts inside of another one whose sums everything passes that does not go around."""
    if not inside:
        return []
    reads = sources(steps)
    above = _dominators(reads)
    passed = set()
    for place in reads[shortcut.sum]:
        while place > shortcut.fork:
            passed.add(place)
            place = above[place]
    return [other for other in inside if other.sum in passed]


def _between(steps: Sequence[Step], start: int, stop: int, room: str) -> Iterator[Block]:
    """Blocks without a shortcut, as of a MobileNet: modules beside those that have one."""
    parent = _parent(room)
    depth = len(parent.split(".")) + 1 if parent else 1
    if not room:
        return
    for name, group in groupby(range(start, stop), lambda place: ".".join(steps[place].room.split(".")[:depth])):
        places = list(group)
        if _parent(name) == parent and sum(is_layer(steps[place]) for place in places) > 1:
            yield Block(name, places[0], places[-1] + 1)


def _by_name(steps: Sequence[Step]) -> list[Part]:
    found: list[Part] = []
    for place, step in enumerate(steps):
        room = layer_of(step.room)
        # A part that comes back, such as a ReLU that is used again, stays with the part where it is used.
        if any(part.name == room for part in found):
            found[-1] = found[-1]._replace(stop=place + 1)
        else:
            found.append(Part(room, room, place, place + 1))
    return [part._replace(blocks=tuple(_named_blocks(steps, part))) for part in found]


def _named_blocks(steps: Sequence[Step], part: Part) -> Iterator[Block]:
    if part.name.startswith("layer"):
        place = part.start
        for name, group in groupby(range(part.start, part.stop), lambda place: block_of(steps[place].room)):
            stop = place + len(list(group))
            yield Block(name, place, stop)
            place = stop


def _summed(steps: Sequence[Step], groups: Sequence[tuple[str, int, int]]) -> list[Step]:
    owner = {place: number for number, (_, start, stop) in enumerate(groups) for place in range(start, stop)}
    owner[IMAGE] = IMAGE
    reads = sources(steps)
    rows = []
    for number, (name, start, stop) in enumerate(groups):
        members = steps[start:stop]
        outside = {number - owner[place] for row in range(start, stop) for place in reads[row]}
        rows.append(
            Step(
                name,
                f"{len(members)} operation{'s' if len(members) > 1 else ''}",
                members[0].input,
                members[-1].output,
                sum(step.parameters for step in members),
                sum(step.multiply_adds for step in members),
                members[-1].receptive_field,
                tuple(sorted(outside - {0})),
                any(step.learned for step in members),
                all(step.counted for step in members),
            )
        )
    return rows


def _parent(room: str) -> str:
    return room.rpartition(".")[0]
