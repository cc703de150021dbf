"""Blocks, layers and networks as graphs: solid line identity, dashed projection, dotted where nothing is learned.

The line styles are those of He et al. 2015, Figure 3, where dotted means zero-padding; here also a pooling or a scale.
Each graph is computed from what the Steps read, written in Graphviz's language and laid out by its ``dot`` program.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape, unescape

import graphviz

from resnet_edu.counting import arithmetic, graph
from resnet_edu.counting.graph import Block, Part, Shortcut, by_layer, shortcut_of
from resnet_edu.counting.models import Model, name_of, steps_of
from resnet_edu.counting.recipes import STEM_KERNEL, check_choice, image_shape
from resnet_edu.counting.steps import Shape, Step, shape_text
from resnet_edu.drawing import palette
from resnet_edu.drawing.pictures import Picture, journey, opening, size_of

#: How each kind of shortcut is drawn.
LINES = {"identity": "solid", "projection": "dashed", "zero-pad": "dotted", "unlearned": "dotted"}

#: Equal blocks in a row that a network's picture draws before it folds the rest into one line.
_FOLD = 7
#: A box lists at most so many operations.
_LIST = 8
#: Outside of blocks, more lines than this are a thicket, and become one box.
_THICKET = 120
#: How far below a node a shortcut leaves its arrow, in points.
_FORK = 5


class Diagram(Picture):
    """A picture that Graphviz laid out; ``dot`` is its source, for other tools.

    >>> diagram = block("basic")
    >>> "shape=circle" in diagram.dot           # the plus sign
    True
    """

    def __init__(self, title: str, dot: str, svg: str, alt: str, narrow: str | None = None) -> None:
        super().__init__(svg, alt, narrow)
        self.title = title
        self.dot = dot


def block(
    kind: str = "basic",
    in_channels: int = 64,
    channels: int = 64,
    stride: int = 1,
    shortcut: str = "B",
    size: int | tuple[int, int] = 56,
    stride_in: str = "3x3",
) -> Diagram:
    """One block with every operation, and the shapes on the edges.

    >>> block("basic", 64, 128, stride=2).alt[:91]
    'A basic block with a projection shortcut. The input of 64×56×56 goes two ways. One is conv '

    ``channels`` is the block's width; a bottleneck gives four times as many.
    Raises ValueError for an unknown kind or option, or a number below 1.
    """
    # In the color of the layer that has this width in the ImageNet networks.
    number = {128: 2, 256: 3, 512: 4}.get(channels, 1)
    steps = arithmetic.block_steps(
        kind,
        in_channels,
        channels,
        stride,
        shortcut=shortcut,
        size=size,
        stride_in=stride_in,
        room=f"layer{number}.0",
    )
    way = shortcut_of(steps)
    title = f"{kind} block" + (f", {way} shortcut" if way != "none" else "")
    return _diagram(title, _operations(steps), _block_alt(kind, steps))


def stem(kind: str = "imagenet", image: Shape | int = (3, 224, 224)) -> Diagram:
    """The stem with every operation, and the shapes on the edges.

    >>> stem("imagenet").alt
    'The ImageNet stem: conv 7×7/2 to 64×112×112, batch norm, ReLU, max-pool 3×3/2 to 64×56×56.'
    """
    check_choice("stem", kind, STEM_KERNEL)
    name, title = ("resnet18", "ImageNet stem") if kind == "imagenet" else ("cifar20", "CIFAR stem")
    image = image_shape(image)
    part, *_ = graph.parts(steps := arithmetic.steps(name, image, in_channels=image[0]))
    rows = steps[: part.stop]
    return _diagram(title, _operations(rows), f"The {title}: {_listed(rows)}.")


def layer(model: Model = "resnet34", number: int = 1, image: Shape | int = (3, 224, 224), **changes: object) -> Diagram:
    """One layer, a box for each block and its shortcut beside it; layers count from 1.

    >>> layer("resnet34", 2).dot.count("re-projection"), layer("resnet34", 2).dot.count("re-identity")
    (1, 3)

    Raises ValueError if the network has no layer of that number.
    """
    steps = steps_of(model, image, **changes)
    name = name_of(model, **changes)
    layers = [part for part in graph.parts(steps) if part.blocks]
    if not layers:
        parts = ", ".join(part.name or "one module" for part in graph.parts(steps))
        raise ValueError(f"{name} has no layers, because nothing is added in it and no room is called layer1: {parts}")
    if not isinstance(number, int) or not 1 <= number <= len(layers):
        raise ValueError(f"{name} has {', '.join(part.name for part in layers)}, not layer{number}")
    part = layers[number - 1]
    rows = steps[part.start : part.stop]
    canvas = _Canvas(steps)
    for place in sorted({place for row in range(part.start, part.stop) for place in canvas.reads[row]}):
        if place < part.start:
            shape = steps[place].output if place != graph.IMAGE else steps[0].input
            canvas.at[place] = canvas.graph.node(shape_text(shape), look="text")
    canvas.part(part, "main", fold=False)
    canvas.end(part.stop - 1, shape_text(rows[-1].output), "main", labelled=False)
    title = f"{part.name} of {name}"
    alt = f"A layer of {name}. {journey(steps, [part])} {_shortcuts_alt(canvas.drawn)}"
    return _diagram(title, canvas.graph, alt)


def network(
    model: Model = "resnet34",
    level: str = "block",
    image: Shape | int = (3, 224, 224),
    *,
    title: str = "",
    **changes: object,
) -> Diagram:
    """A whole network: a box for each block with its shortcut, or a box for each layer.

    >>> diagram = network("resnet34")
    >>> diagram.dot.count("re-projection")        # the first block of layer2, layer3 and layer4
    3

    A long run of equal blocks is folded into one line. A network without blocks is drawn operation by operation, where
    norms and activations are left out. Raises ValueError for an unknown level.
    """
    check_choice("level", level, ("block", "layer"))
    steps = steps_of(model, image, **changes)
    parts = graph.parts(steps)
    title = title or name_of(model, **changes)
    alt = f"{title}. {journey(steps)}"
    if level == "layer":
        return _diagram(title, _layers(steps), alt)
    narrow, wide = _network(steps, parts, columns=False), _network(steps, parts, columns=True)
    hidden = len(narrow.shortcuts) - len(narrow.drawn)
    inside = f" {hidden} more, inside of one box, {'have' if hidden > 1 else 'has'} no line." if hidden else ""
    return _diagram(title, wide.graph, f"{alt} {_shortcuts_alt(narrow.drawn)}{inside}", narrow.graph)


def compare(left: Diagram, right: Diagram) -> Diagram:
    """Two diagrams side by side, one above the other where the page is narrow.

    >>> compare(block("plain"), block("basic")).title
    'plain block and basic block, identity shortcut'
    """
    if unseen := next((one for one in (left, right) if isinstance(one, _InWords)), None):
        return _InWords(f"{left.title} and {right.title}", f"{left.dot}\n{right.dot}", _both(left, right), unseen.why)
    return _Pair(left, right)


def _both(left: Diagram, right: Diagram) -> str:
    return f"Left: {left.alt} Right: {right.alt}"


class _Pair(Diagram):
    def __init__(self, left: Diagram, right: Diagram) -> None:
        self.pair = (left, right)
        gap, head = 24.0, 24.0
        sizes = [size_of(diagram.svg) for diagram in self.pair]
        widths = [max(width, 7.2 * len(diagram.title)) for (width, _), diagram in zip(sizes, self.pair, strict=True)]
        width, height = sum(widths) + gap, max(height for _, height in sizes) + head
        parts = []
        at = 0.0
        for diagram, (own, _), room in zip(self.pair, sizes, widths, strict=True):
            inner = re.sub(r' (class|role|aria-label|style)="[^"]*"', "", diagram.svg[: diagram.svg.index(">")])
            rest = diagram.svg[diagram.svg.index(">") :]
            parts.append(
                f'<text x="{at + room / 2:g}" y="14" text-anchor="middle" font-size="13" font-weight="600" '
                f'fill="currentColor">{escape(diagram.title)}</text>'
                f'<svg x="{at + (room - own) / 2:g}" y="{head:g}" {inner[5:]}{rest}'
            )
            at += room + gap
        svg = opening(width, height) + "".join(parts) + "</svg>"
        super().__init__(f"{left.title} and {right.title}", f"{left.dot}\n{right.dot}", svg, _both(left, right))

    def _repr_html_(self) -> str:
        figures = "".join(
            '<div style="flex:0 1 auto;min-width:0;max-width:100%;text-align:center">'
            f'<div style="font-weight:600;margin-bottom:.4em">{escape(diagram.title)}</div>'
            f"{diagram._repr_html_()}</div>"
            for diagram in self.pair
        )
        return f'<div style="display:flex;flex-wrap:wrap;gap:1.5rem 2.5rem;justify-content:center">{figures}</div>'


class _InWords(Diagram):
    """A diagram that nothing could lay out: a page shows its words, and whoever asks for its SVG is told why."""

    def __init__(self, title: str, dot: str, alt: str, why: str) -> None:
        self.title, self.dot, self.alt, self.why = title, dot, alt, why
        self.narrow = None

    @property
    def svg(self) -> str:  # type: ignore[override]
        raise RuntimeError(self.why)

    def _repr_html_(self) -> str:
        return f"<p>A picture is missing here: {escape(self.why)}. In words: {escape(self.alt)}</p>"


class _Graph:
    """A graph in Graphviz's language. Colors are CSS values; dot sees a number in their place."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.css: dict[str, str] = {}
        self.count = 0

    @property
    def dot(self) -> str:
        return "\n".join(("digraph {", _DEFAULTS, *self.lines, "}"))

    def color(self, css: str) -> str:
        code = self.css.setdefault(css, f"#{len(self.css) + 1:06x}")
        return f'"{code}"'

    def node(self, label: str, room: str = "", look: str = "filled", group: str = "main", dashes: str = "") -> str:
        name = f"n{self.count}"
        self.count += 1
        text = label.replace("\n", "\\n")
        if look == "text":
            style = f"shape=plaintext fontcolor={self.color('currentColor')} margin=0.03 height=0.25"
        elif look == "plus":
            current = self.color("currentColor")
            style = f"shape=circle fixedsize=true width=0.27 margin=0 fontsize=15 color={current} fontcolor={current}"
        elif look == "filled":
            fill, line, ink = (self.color(paint(room)) for paint in (palette.fill, palette.line, palette.ink))
            style = f'style="filled,rounded{dashes}" fillcolor={fill} color={line} fontcolor={ink}'
        else:
            line, ink = self.color(palette.line(room)), self.color("currentColor")
            style = f'style="rounded{dashes}" color={line} fontcolor={ink}'
        self.lines.append(f'{name} [label="{text}" group="{group}" {style}]')
        return name

    def edge(self, tail: str, head: str, label: str = "", kind: str = "", **options: object) -> None:
        color = self.color(palette.line(_PAINT.get(kind, kind)) if kind else "currentColor")
        options = {"color": color, "fontcolor": self.color("currentColor"), **options}
        if label:
            options["label"] = f'"  {label} "'
        if kind:
            options |= {"class": f'"re-{kind}"', "style": LINES[kind], "penwidth": 1.8}
        else:
            options.setdefault("weight", 20)
        written = " ".join(f"{key}={value}" for key, value in options.items())
        self.lines.append(f"{tail} -> {head} [{written}]")


#: What has no color of its own.
_PAINT = {"unlearned": "zero-pad"}

_DEFAULTS = (
    'graph [bgcolor="transparent" ranksep=0.28 nodesep=0.36 pad=0.06]\n'
    'node [shape=box fontname="sans-serif" fontsize=13 height=0.34 margin="0.13,0.05"]\n'
    'edge [fontname="sans-serif" fontsize=12 arrowsize=0.7]'
)


def _diagram(title: str, graph: _Graph, alt: str, narrow: _Graph | None = None) -> Diagram:
    graphs = [graph] if narrow is None else [graph, narrow]
    try:
        raws = _laid_out(graphs)
    except graphviz.ExecutableNotFound:
        why = (
            "diagrams are laid out by Graphviz, and its program dot is not installed: "
            "sudo apt-get install graphviz (Debian, Ubuntu, Colab), brew install graphviz (macOS) "
            "or conda install graphviz"
        )
        return _InWords(title, graph.dot, alt, why)
    svgs = [_painted(graph, raw) for graph, raw in zip(graphs, raws, strict=True)]
    return Diagram(title, graph.dot, svgs[0], alt, None if narrow is None else svgs[1])


def _operations(steps: Sequence[Step]) -> _Graph:
    """Each Step a node; the shortcut, if there is one, beside the others."""
    drawn = _Graph()
    shortcut = next(iter(graph.shortcuts(steps)), None)
    way = set(shortcut.way) if shortcut else set()
    kind = shortcut.kind if shortcut else ""
    start = drawn.node(shape_text(steps[0].input), look="text")
    before, label = start, ""
    side, side_label = start, ""
    for place, step in enumerate(steps):
        if place in way:
            dashes = f",{LINES[kind]}"
            node = drawn.node(step.operation, step.room, "outline", group="side", dashes=dashes)
            drawn.edge(side, node, side_label, kind, weight=2, tailport="s", headport="n")
            side, side_label = node, shape_text(step.output) if step.input != step.output else ""
        elif step.operation == "add":
            node = drawn.node("+", look="plus")
            drawn.edge(before, node, label)
            words = "identity" if kind == "identity" else side_label
            drawn.edge(side, node, words, kind, weight=0, tailport="s", headport="e")
            before, label = node, ""
        else:
            node = drawn.node(step.operation, step.room, "filled" if step.multiply_adds else "outline")
            drawn.edge(before, node, label)
            before, label = node, shape_text(step.output) if step.input != step.output else ""
    end = drawn.node(shape_text(steps[-1].output), look="text")
    drawn.edge(before, end)
    return drawn


def _layers(steps: Sequence[Step]) -> _Graph:
    drawn = _Graph()
    nodes = [drawn.node("image", "image")]
    shapes = [shape_text(steps[0].input)]
    for number, (part, row) in enumerate(zip(graph.parts(steps), by_layer(steps), strict=True)):
        text = part.name or row.operation
        if part.blocks:
            text = f"{text}\n{_counted(len(part.blocks), 'block')}"
        nodes.append(drawn.node(text, part.role))
        for back in row.reads:
            source = number + 1 - back
            drawn.edge(nodes[source], nodes[-1], shapes[source], weight=20 if back == 1 else 0)
        shapes.append(shape_text(row.output))
    drawn.edge(nodes[-1], drawn.node(_answer(steps), look="text"), shapes[-1])
    return drawn


def _network(steps: Sequence[Step], parts: Sequence[Part], columns: bool) -> "_Canvas":
    """The parts in one column, or a column for each layer, the stem above the first, the head below the last."""
    canvas = _Canvas(steps)
    layers = [part for part in parts if part.blocks]
    columns = columns and bool(layers) and not _crosses(steps, [part.start for part in layers[1:]])
    group = layers[0].role if columns else "main"
    canvas.at[graph.IMAGE] = canvas.graph.node("image", "image", group=group)
    canvas.label[graph.IMAGE] = shape_text(steps[0].input)
    for part in parts:
        first = canvas.before(part)
        if part.blocks and columns and part is not layers[0]:
            here = layers.index(part)
            # A column ends, and the next one says what it continues.
            before = layers[here - 1]
            end = canvas.graph.node(f"to {part.name}", look="text", group=group)
            canvas.graph.edge(canvas.at[first], end, canvas.label.get(first, ""))
            group = part.role
            text = f"from {before.name}\n{shape_text(steps[part.start].input)}"
            canvas.forget(first, canvas.graph.node(text, look="text", group=group))
        elif layers and part is layers[0] and first != graph.IMAGE:
            start = canvas.graph.node(shape_text(steps[part.start].input), look="text", group=group)
            canvas.graph.edge(canvas.at[first], start)
            canvas.forget(first, start)
        canvas.part(part, group, fold=True)
    canvas.end(len(steps) - 1, _answer(steps), group)
    return canvas


def _answer(steps: Sequence[Step]) -> str:
    return "scores" if len(steps[-1].output) < 2 else "output"


def _crosses(steps: Sequence[Step], borders: Sequence[int]) -> bool:
    """Whether a row behind a border reads another one before it than the last: then no column may end there."""
    reads = graph.sources(steps)
    for border in borders:
        before = {source for place in range(border, len(steps)) for source in reads[place] if source < border}
        # A block whose sum is read for its shortcut and for its convolutions is read twice in one place.
        if len(before) > 1 or (before and max(before) < border - 1):
            return True
    return False


class _Canvas:
    """A graph that grows with the rows: for each of them the node that holds what it gives."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.graph = _Graph()
        self.reads = graph.sources(steps)
        self.shortcuts = {shortcut.sum: shortcut for shortcut in graph.shortcuts(steps)}
        self.ways = {self.line_of(shortcut): shortcut for shortcut in self.shortcuts.values()}
        """The shortcuts by their lines: the addition that a line enters, and the row from which it comes."""
        self.at: dict[int, str] = {}
        self.label: dict[int, str] = {}
        self.drawn: list[Shortcut] = []
        """The shortcuts that have a line."""

    def line_of(self, shortcut: Shortcut) -> tuple[int, int]:
        """Where a shortcut enters its sum, which may be made of several additions."""
        term = shortcut.way[-1] if shortcut.way else shortcut.fork
        sums = [shortcut.sum]
        for place in sums:
            if term in self.reads[place]:
                return place, term
            sums += [source for source in self.reads[place] if source > shortcut.fork]
        raise AssertionError("a shortcut ends in its sum")

    def inside(self, block: Block) -> list[Shortcut]:
        """The shortcuts of a block but for its own."""
        places = range(block.start, block.stop)
        return [one for place, one in self.shortcuts.items() if place in places and one != block.shortcut]

    def is_open(self, block: Block) -> bool:
        """Whether one box would hide a line: of a shortcut inside of it, or from elsewhere than where it begins."""
        known = {self.source(block), *range(block.start, block.stop)}
        reads = {source for place in range(block.start, block.stop) for source in self.reads[place]}
        return bool(self.inside(block)) or not reads <= known

    def before(self, part: Part) -> int:
        """The last row before a part."""
        return part.start - 1

    def forget(self, place: int, node: str) -> None:
        """From here on another node stands for what this row gives, and for every row that gave it on unchanged."""
        old = self.at[place]
        for row, at in self.at.items():
            if at == old:
                self.at[row] = node
                self.label.pop(row, None)

    def part(self, part: Part, group: str, fold: bool) -> None:
        blocks = {block.start: block for block in part.blocks}
        place = part.start
        kept = list(part.blocks)
        more = self.alike(kept) if fold else {}
        while place < part.stop:
            block = blocks.get(place)
            if block is None:
                stop = min((start for start in blocks if start > place), default=part.stop)
                self.rows(place, stop, part, group)
                place = stop
            elif block.start in more:
                count = more[block.start]
                if count:
                    node = self.graph.node(f"⋮\n{count} more like these\n⋮", look="text", group=group)
                    self.line(self.source(block), node)
                    self.folded = node
                for row in range(block.start, block.stop):
                    self.at[row] = self.folded
                self.drawn += [*self.inside(block), *([block.shortcut] if block.shortcut else [])]
                place = block.stop
            elif self.is_open(block):
                self.rows(block.start, block.stop, part, group)
                place = block.stop
            else:
                self.block(block, part.role, group)
                place = block.stop

    def box(self, block: Block) -> str:
        """What its box says; layers beside each other are listed too, so it says that they are."""
        aside = block.shortcut.way if block.shortcut else ()
        text = _box([self.steps[place] for place in range(block.start, block.stop) if place not in aside])
        return f"{text}\n(in branches)" if graph.is_branched(self.steps, block) else text

    def alike(self, blocks: Sequence[Block]) -> dict[int, int]:
        """For each block that is not drawn 0, and for the first of them how many there are."""

        def look(block: Block) -> tuple[object, ...]:
            rows = self.steps[block.start : block.stop]
            lines = [step.reads for step in rows] if self.is_open(block) else []
            return self.box(block), block.shortcut.kind if block.shortcut else "", rows[-1].output, lines

        looks = [look(block) for block in blocks]
        found: dict[int, int] = {}
        start = 0
        while start < len(blocks):
            stop = start + 1
            # Only neighbors: nothing may lie between two blocks that are folded into one line.
            while stop < len(blocks) and blocks[stop - 1].stop == blocks[stop].start and looks[stop] == looks[start]:
                stop += 1
            # Its first and its last are drawn, and with a block of another kind before it the first is the second.
            hidden = blocks[start + (1 if start else 2) : stop - 1]
            if stop - start + (1 if start else 0) > _FOLD:
                found |= {block.start: 0 for block in hidden} | {hidden[0].start: len(hidden)}
            start = stop
        return found

    def source(self, block: Block) -> int:
        return block.shortcut.fork if block.shortcut else self.reads[block.start][0]

    def line(self, place: int, node: str) -> None:
        self.graph.edge(self.at[place], node, self.label.get(place, ""))

    def block(self, block: Block, role: str, group: str) -> None:
        """A box, and the plus of its shortcut."""
        rows = self.steps[block.start : block.stop]
        box = self.graph.node(self.box(block), role, group=group)
        start = self.source(block)
        # Before the first block the shape stands in the line above it.
        self.line(start, box)
        end = box
        if block.shortcut:
            end = self.graph.node("+", look="plus", group=group)
            self.graph.edge(box, end)
            self.graph.edge(self.at[start], end, "", block.shortcut.kind, weight=0, tailport="s", headport="e")
            self.drawn.append(block.shortcut)
        for place in range(block.start, block.stop):
            self.at[place] = box if block.shortcut and place < block.shortcut.sum else end
        if rows[-1].output != rows[0].input:
            self.label[block.stop - 1] = shape_text(rows[-1].output)

    def rows(self, start: int, stop: int, part: Part, group: str) -> None:
        """What lies outside of blocks, operation by operation, without norms and activations."""
        lines = sum(len(set(self.reads[place])) for place in range(start, stop) if not self.is_silent(place))
        if lines > _THICKET:
            rows = self.steps[start:stop]
            text = f"{part.name}\n{_counted(sum(map(graph.is_layer, rows)), 'layer')} with weights"
            if hidden := sum(start <= place < stop for place, _ in self.ways):
                text += f"\nand {_counted(hidden, 'shortcut')} without a line"
            node = self.graph.node(text, part.role, group=group)
            for place in sorted({place for row in range(start, stop) for place in self.reads[row] if place < start}):
                self.line(place, node)
            self.at |= dict.fromkeys(range(start, stop), node)
            self.label[stop - 1] = shape_text(rows[-1].output)
            return
        for place in range(start, stop):
            step = self.steps[place]
            sources = list(dict.fromkeys(self.reads[place])) or [graph.IMAGE]
            if self.is_silent(place):
                self.at[place] = self.at[sources[0]]
                self.label[place] = self.label.get(sources[0], "")
                continue
            if step.operation in _JOINS and len(sources) > 1:
                node = self.graph.node(_JOINS[step.operation], look="plus", group=group)
            else:
                text = _weights(step) if step.multiply_adds else step.operation
                node = self.graph.node(text, part.role, "filled" if step.multiply_adds else "outline", group=group)
            for source in sources:
                if shortcut := self.ways.get((place, source)):
                    # Operations stand beside each other here, and only dot's own curve knows its way around them.
                    self.graph.edge(self.at[source], node, "", shortcut.kind, weight=0, id="curve")
                    self.drawn.append(shortcut)
                else:
                    self.line(source, node)
            self.at[place] = node
            if step.operation not in _JOINS:
                self.label[place] = shape_text(step.output)

    def is_silent(self, place: int) -> bool:
        """Whether a row is left out of the picture: it neither weighs, nor changes the shape, nor joins ways."""
        step = self.steps[place]
        if step.operation == "flatten" or "pool" in step.operation:
            return step.operation == "flatten"
        return not step.multiply_adds and step.counted and step.input == step.output and len(set(self.reads[place])) < 2

    def end(self, place: int, text: str, group: str, labelled: bool = True) -> None:
        """The last node, behind this row."""
        node = self.graph.node(text, look="text", group=group)
        label = shape_text(self.steps[place].output) if labelled else ""
        self.graph.edge(self.at[place], node, label)


_JOINS = {"add": "+", "multiply": "×", "subtract": "−", "divide": "÷"}


def _box(rows: Sequence[Step]) -> str:
    """What a block's box says: its layers with weights, or what else is in it."""
    lines = [_weights(step) for step in rows if step.multiply_adds or not step.counted]
    lines = lines or [step.operation for step in rows if step.operation != "add"] or [step.operation for step in rows]
    if len(lines) > _LIST:
        lines = [*lines[: _LIST // 2], f"⋮ {len(lines) - _LIST + 2} more", *lines[-(_LIST // 2) + 2 :]]
    return "\n".join(lines)


def _weights(step: Step) -> str:
    if not step.output or not graph.is_layer(step):
        return step.operation
    # A linear layer has its features last, whatever tokens lie before them.
    return f"{step.operation}, {step.output[-1 if step.operation == 'linear' else 0]:,}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"


def _listed(steps: Iterable[Step]) -> str:
    return ", ".join(
        step.operation + (f" to {shape_text(step.output)}" if step.output != step.input else "") for step in steps
    )


def _block_alt(kind: str, steps: Sequence[Step]) -> str:
    start = shape_text(steps[0].input)
    shortcut = next(iter(graph.shortcuts(steps)), None)
    if shortcut is None:
        return f"A {kind} block without a shortcut. The input of {start} passes {_listed(steps)}."
    way = shortcut.kind
    main = [step for place, step in enumerate(steps[: shortcut.sum]) if place not in shortcut.way]
    other = "the identity" if way == "identity" else _listed([steps[place] for place in shortcut.way])
    article = "an" if way == "identity" else "a"
    return (
        f"A {kind} block with {article} {way} shortcut. The input of {start} goes two ways. One is "
        f"{_listed(main)}. The other, a {LINES[way]} line, is {other}. "
        f"Both are added to {shape_text(steps[shortcut.sum].output)}, and {_listed(steps[shortcut.sum + 1 :])} follows."
    )


def _shortcuts_alt(shortcuts: Sequence[Shortcut]) -> str:
    ways = [shortcut.kind for shortcut in shortcuts]
    counts = [f"{ways.count(way)} {way} ({line})" for way, line in LINES.items() if way in ways]
    if not counts:
        return "No block has a shortcut."
    return f"Shortcuts: {', '.join(counts)}."


def _laid_out(graphs: Sequence[_Graph]) -> list[str]:
    # One run for all: most of the time goes into starting the program.
    source = "\n".join(graph.dot for graph in graphs)
    try:
        svgs = graphviz.pipe_string("dot", "svg", source, encoding="utf-8", quiet=True)
    except graphviz.CalledProcessError as error:
        raise RuntimeError(f"dot could not lay out the graph: {error.stderr.strip()}") from None
    return svgs.split("</svg>")[: len(graphs)]


def _painted(graph: _Graph, raw: str) -> str:
    """Hand dot's colors and fonts over to the page."""
    width, height = map(float, re.findall(r'viewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"', raw)[0])
    body = raw[raw.index("<g ") :]
    body = re.sub(r"<title>.*?</title>\n?|<!--.*?-->\n?", "", body, flags=re.DOTALL)
    rights = [width]
    around = _Around(body)

    def cornered(match: re.Match[str]) -> str:
        edge, right = _cornered(match[0], around)
        rights.append(right)
        return edge

    body = re.sub(_SHORTCUT, cornered, body, flags=re.DOTALL)
    body = re.sub(r' (id|font-family)="[^"]*"', "", body)
    width = max(rights)
    paints = {code: css for css, code in graph.css.items()}

    def painted(match: re.Match[str]) -> str:
        found = ((key, paints.get(match[key], "")) for key in ("fill", "stroke") if match[key])
        return ' style="' + ";".join(f"{key}:{css or 'none'}" for key, css in found) + '"'

    body = re.sub(r' fill="(?P<fill>[^"]*)"(?: stroke="(?P<stroke>[^"]*)")?', painted, body)
    for dots, ours in (("5,2", "6 3"), ("1,5", "2 4")):  # as distinct in a small picture as in a large one
        body = body.replace(f'stroke-dasharray="{dots}"', f'stroke-dasharray="{ours}"')
    body = re.sub(r'class="([^"]*)"', lambda m: f'class="{_classes(unescape(m[1]))}"', body)
    return opening(width, height) + body + "</svg>"


#: A shortcut as dot writes it.
_SHORTCUT = r'<g id="edge\d+" class="edge re.*?</g>'


class _Around:
    """What stands beside the shortcuts of a picture: shapes at arrows, boxes, and other shortcuts."""

    def __init__(self, body: str) -> None:
        every = re.findall(r'<g id="(?:node|edge)\d+" class="(node|edge)">(.*?)</g>', body, flags=re.DOTALL)
        written = r'<text[^>]* x="(-?[\d.]+)" y="(-?[\d.]+)"[^>]*>(.*?)</text>'
        self.labels = [
            # As wide as the widest of the page's fonts sets it.
            (float(x), 2 + 4.1 * len(words.replace("&#160;", " ").strip()), float(y) - 4)
            for kind, group in every
            if kind == "edge"
            for x, y, words in re.findall(written, group)
        ]
        drawn = [_points(group) for kind, group in every if kind == "node"]
        self.boxes = [
            (min(x for x, _ in points), min(y for _, y in points), max(y for _, y in points))
            for points in drawn
            if points
        ]
        curves = [
            _points(re.findall(r' d="([^"]*)"', edge)[0]) for edge in re.findall(_SHORTCUT, body, flags=re.DOTALL)
        ]
        self.ways = [(_lane(curve), *sorted((curve[0][1], curve[-1][1]))) for curve in curves]

    def clear(self, lane: float, top: float, bottom: float) -> float:
        """A lane a little to the right of this one where that keeps it off a label, and nothing else is in its way."""
        struck = [x + half for x, half, y in self.labels if top < y < bottom and x - half < lane < x + half + 4]
        beside = [left - 6 for left, above, below in self.boxes if left > lane and above < bottom and below > top]
        beside += [way - 6 for way, above, below in self.ways if way > lane + 1 and above < bottom and below > top]
        return max(lane, min([max(struck, default=lane) + 4, *beside])) if struck else lane


def _points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path)]


def _lane(curve: Sequence[tuple[float, float]]) -> float:
    # dot goes close to what stands in the next column.
    return max(x for x, _ in curve[::3]) - 3


def _cornered(edge: str, around: _Around) -> tuple[str, float]:
    """A shortcut with corners instead of dot's curve, as in the explorers, and how far right it goes.

    It leaves the arrow below the fork to the right, goes down, and comes into the plus from the right.
    """
    curve = re.findall(r' d="([^"]*)"', edge)[0]
    points = _points(curve)
    # dot's arrowhead begins with one side of its foot, then its tip.
    tip_x, tip_y = map(float, re.findall(r' points="\S+ (-?[\d.]+),(-?[\d.]+)', edge)[0])
    (x, y), (_, to_y) = points[0], points[-1]
    lane = around.clear(_lane(points), *sorted((y, to_y)))
    if abs(to_y - tip_y) < 4:
        # Into the plus: from the fork above it, or from the last operation on the way.
        start = f"M{x:g},{y:g}V{tip_y:g}" if x > tip_x else f"M{x:g},{y + _FORK:g}H{lane:g}V{tip_y:g}"
        way, head = (
            f"{start}H{tip_x + 7:g}",
            f"{tip_x + 7:g},{tip_y - 2.5:g} {tip_x:g},{tip_y:g} {tip_x + 7:g},{tip_y + 2.5:g}",
        )
    else:
        start = f"M{x:g},{y:g}" if abs(x - tip_x) < 1 else f"M{x:g},{y + _FORK:g}H{tip_x:g}"
        way, head = (
            f"{start}V{tip_y - 7:g}",
            f"{tip_x - 2.5:g},{tip_y - 7:g} {tip_x:g},{tip_y:g} {tip_x + 2.5:g},{tip_y - 7:g}",
        )
    edge = edge.replace(f' d="{curve}"', f' d="{way}"')
    edge = re.sub(r' points="[^"]*"', f' points="{head}"', edge)
    right = max(lane, x, tip_x)
    edge = re.sub(r'text-anchor="middle" x="[^"]*"', f'text-anchor="start" x="{right:g}"', edge)
    words = "".join(re.findall(r"<text[^>]*>(.*?)</text>", edge)).replace("&#160;", " ")
    return edge, right + 7.5 * len(words)


def _classes(dots: str) -> str:
    # dot's own names, graph, node and edge, could meet a page's style sheet.
    return " ".join(name if name.startswith("re-") else f"re-{name}" for name in dots.split())
