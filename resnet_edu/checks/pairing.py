"""Which of a learner's weights belong in which slot of a program: by kind, by shape, by order of execution."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, permutations, product
from math import factorial, prod

from resnet_edu.checks.program import Op, Program, Weights, needs
from resnet_edu.checks.watch import Unit

MOST = 24  # pairings that are tried where several sets of weights have one shape

#: A program of more operations is a whole network.
LARGE = 16

Pairing = dict[str, Unit]


def pairings(program: Program, units: Sequence[Unit], first: int = MOST) -> Iterator[Pairing]:
    """Every way to give the units to the program's slots, the likely ones first; none if they do not fit.

    The order of execution decides among weights of one shape. Two orders are natural, the main path
    or the shortcut first; after them come the others, up to a limit.
    """
    slots = program.slots()
    if len(slots) != len(units):
        return
    groups = _grouped(slots, units)
    if groups is None:
        return
    seen: set[tuple[int, ...]] = set()
    for order in _orders(program, groups, first):
        pairing = {_slot(op): unit for op, unit in order}
        identity = tuple(id(pairing[_slot(op)]) for op in slots)
        if identity not in seen and all(_settles(op, pairing[_slot(op)]) for op in slots):
            seen.add(identity)
            yield pairing


def partial(program: Program, units: Sequence[Unit]) -> Pairing:
    """As many units as fit, each in the first slot of its kind and shape."""
    left, pairing = list(units), {}
    for op in program.slots():
        unit = next((u for u in left if u.key == needs(op)), None)
        if unit is not None:
            left.remove(unit)
            pairing[_slot(op)] = unit
    return pairing


def weights(
    pairing: Mapping[str, Unit], statistics: Mapping[int, tuple[object, object]] | None = None
) -> dict[str, Weights]:
    """The paired tensors; with ``statistics``, fresh copies of the batch norms' statistics by the unit's id."""
    table = {}
    for slot, unit in pairing.items():
        mean, var = unit.mean, unit.var
        if statistics is not None and id(unit) in statistics:
            before = statistics[id(unit)]
            mean, var = (t.clone() if t is not None else None for t in before)  # type: ignore[attr-defined]
        settings = {key: unit.settings[key] for key in ("eps", "momentum") if unit.settings.get(key) is not None}
        table[slot] = Weights(unit.weight, unit.bias, mean, var, **settings)
    return table


def _slot(op: Op) -> str:
    return str(op.get("slot", op.name))


def _class(op: Op) -> tuple[object, ...]:
    key = needs(op)
    # A 1×1 convolution on one pixel is a linear layer.
    return ("conv", (*key[1], 1, 1)) if key[0] == "linear" else key


def unit_class(unit: Unit) -> tuple[object, ...]:
    """The kind and shape of a unit's weights."""
    kind, shape = unit.key
    return ("conv", (*shape, 1, 1)) if kind == "linear" else (kind, shape)


def distance(program: Program, units: Sequence[Unit]) -> int:
    """How many sets of weights the program and the learner's code do not have in common."""
    mine = Counter((_class(op), op.get("affine", True), op.get("stats", True)) for op in program.slots())
    theirs = Counter(
        (unit_class(unit), unit.kind != "bn" or unit.weight is not None, unit.kind != "bn" or unit.mean is not None)
        for unit in units
    )
    return ((mine - theirs) + (theirs - mine)).total()


def _grouped(slots: Sequence[Op], units: Sequence[Unit]) -> dict[tuple[object, ...], list[Unit]] | None:
    groups: dict[tuple[object, ...], list[Unit]] = {}
    for unit in units:
        groups.setdefault(unit_class(unit), []).append(unit)
    return groups if Counter(_class(op) for op in slots) == {key: len(group) for key, group in groups.items()} else None


def _orders(
    program: Program, groups: Mapping[tuple[object, ...], list[Unit]], first: int
) -> Iterator[list[tuple[Op, Unit]]]:
    for shortcut_first in (False, True):
        yield _deal(program.slots(shortcut_first), groups)
    ways = prod(factorial(len(group)) for group in groups.values())
    # In a whole network each step needs the one before, so there the order of execution is the only one.
    if first <= 2 or ways > 4 * first or len(program.ops) > LARGE:
        return
    keys = list(groups)
    for orders in islice(product(*(permutations(groups[key]) for key in keys)), first):
        yield _deal(program.slots(), {key: list(order) for key, order in zip(keys, orders, strict=True)})


def _deal(slots: Sequence[Op], groups: Mapping[tuple[object, ...], Sequence[Unit]]) -> list[tuple[Op, Unit]]:
    hands = {key: iter(group) for key, group in groups.items()}
    return [(op, next(hands[_class(op)])) for op in slots]


def _settles(op: Op, unit: Unit) -> bool:
    """Whether the unit has a bias, a scale or statistics where the operation wants them, and only there."""
    if op.kind == "bn":
        return (unit.weight is not None) == op.get("affine", True) and (unit.mean is not None) == op.get("stats", True)
    wanted = op.get("bias", op.kind == "linear")
    return wanted == "any" or (unit.bias is not None) == bool(wanted)
