"""Where no known mistake fits: where the learner's numbers first leave the reference's, and what can be seen there."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from resnet_edu.checks import clues, compare, sizes
from resnet_edu.checks.observe import Observed, before_training, outcome_shape, shapes
from resnet_edu.checks.pairing import Pairing, pairings, partial, weights
from resnet_edu.checks.program import Op, Program, ProgramError, needs, run
from resnet_edu.checks.watch import Step, Unit
from resnet_edu.checks.words import at, shape, unequal
from resnet_edu.counting.arithmetic import conv_out


def size_fault(program: Program, x: Tensor, units: Iterable[Unit]) -> str | None:
    """The first convolution whose size differs from that of the reference's with the same weights, solved."""
    units = list(units)
    if Counter(unit.key for unit in units) - Counter(needs(op) for op in program.slots()):
        return None  # other weights than the reference's: nothing to compare with
    left = [entry for _, entry in shapes(program, x)[0]]
    for unit in units:
        same_weights = [entry for entry in left if entry[:2] == unit.key]
        if not same_weights or unit.kind != "conv":
            continue
        match = next((entry for entry in same_weights if entry[2] == unit.made), None)
        left.remove(match or same_weights[0])
        if match is None and len(unit.given) == 4:
            op = next(op for op in program.ops if op.kind == "conv" and needs(op) == unit.key)
            return _size_solved(unit, op, same_weights[0][2])
    return None


def _size_solved(unit: Unit, op: Op, wanted: tuple[int, ...]) -> str | None:
    axis = 2 if unit.made[2] != wanted[2] else 3
    settings = [unit.settings.get(key) for key in ("stride", "padding")]
    stride, padding = (value[axis - 2] if isinstance(value, tuple | list) else value for value in settings)
    if not isinstance(padding, int) or not isinstance(stride, int):
        return None
    size, kernel = unit.given[axis], op["kernel"]
    side = "" if unit.made[2] != wanted[2] else " in width"
    start = (
        f"The convolution with a kernel of {kernel} makes {size} → {unit.made[axis]}{side}, {wanted[axis]} was expected"
    )
    try:
        now = sizes.formula(size, kernel, stride, padding, _first(unit.settings.get("dilation", 1)))
        right = sizes.formula(size, kernel, op["stride"], op["padding"])
    except ValueError:
        return start + "."
    if (stride, padding) != (op["stride"], op["padding"]) and right.endswith(f"= {wanted[axis]}"):
        return f"{start}: now {now}; with stride {op['stride']} and padding {op['padding']}, {right}."
    return f"{start}: {now}."


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple | list) else value


def extra_parameters(call: str, program: Program, seen: Observed) -> tuple[str, str] | None:
    """What to say of learnable numbers that no convolution, batch norm or linear layer uses."""
    by_hand = any(unit.settings.get("by_hand") for unit in seen.units)
    learning = seen.learning()
    loose = [name for name in seen.unused if learning.get(name, True)]
    if not (loose or by_hand):
        return None
    names = ", ".join(f"`{name}`" for name in loose[:4]) or "weights"
    loose_bias = any(unit.kind == "linear" and unit.bias is None for unit in seen.units)
    if by_hand or loose_bias or len(seen.units) < len(program.slots()):
        return (
            f"`{call}` uses {names} in a way that I cannot follow, so I cannot tell whether your numbers are right. I "
            "follow `nn.Conv2d`, `nn.BatchNorm2d`, `nn.Linear` and their functions in `torch.nn.functional`: write it "
            "with these.",
            "not-followed",
        )
    return (
        f"`{call}` learns numbers of its own beside the weights of its layers: {names}. The reference has none: take "
        "them out.",
        "extra-parameter",
    )


def foreign(program: Program, seen: Observed) -> tuple[str, str] | None:
    """What to say of a function that has no business here."""
    found = clues.foreign(program, seen)
    return None if found is None else (f"{found[0]}{at(found[2].line)}", found[1])


def clue(program: Program, seen: Observed) -> tuple[str, str] | None:
    """What the learner's code does that the reference never does, or does in another measure."""
    found = foreign(program, seen)
    if found is not None:
        return found
    values = run_as_far(program, seen, _best_pairing(program, seen))
    parts = clues.shares(values, program, seen)
    if parts is not None:
        one, other = (f"{share:.3g}" for share in parts)
        return (
            f"Your sum is {one}·F(x) + {other}·shortcut. A residual block takes one of each: F(x) + x.",
            "sum-weighted",
        )
    return None


def first_difference(call: str, program: Program, seen: Observed) -> tuple[str, ...]:
    """Where the learner's numbers first leave the reference's, and the next thing to look at."""
    out = seen.outputs[0]
    x = seen.inputs[0]
    reference_shape = outcome_shape(program, x)
    lines = ["I do not recognize this one, so here is what I can see."]
    if any(isinstance(o, Tensor) and not compare.finite(o) for o in seen.outputs):
        return (
            f"`{call}` returns numbers that are not finite (NaN or infinity), on ordinary random input. Look for a "
            "division by zero, a square root or logarithm of something negative, or a tensor that was never filled "
            "(`torch.empty`).",
            "not-finite",
        )
    fault = size_fault(program, x, seen.units)
    if reference_shape is not None and tuple(out.shape) != reference_shape:
        lines = [
            f"`{call}` makes {shape(x.shape)} into {shape(out.shape)}; expected {shape(reference_shape)}: "
            f"{unequal(tuple(out.shape), reference_shape)}."
        ]
        solved = _solved(program, seen) if fault is None else fault
        if solved:
            lines.append(solved)
        name: tuple[str, ...] = ("wrong-shape",)
    else:
        name = ()
    count = _counts(program, seen)
    if count:
        lines.append(count)
    lines.append(_walk(program, seen))
    return ("\n".join(line for line in lines if line), *name)


def _solved(program: Program, seen: Observed) -> str:
    pool = next((op for op in program.ops if op.kind == "maxpool"), None)
    theirs = [step for step in seen.steps if step.function == "max_pool2d" and len(step.given[0]) == 4]
    if pool is None or len(theirs) != 1:
        return ""
    size, got = theirs[0].given[0][2], theirs[0].made.shape[2]
    setting = (pool["kernel"], pool["stride"], pool["padding"])
    found = sizes.explains(size, got, *setting) if conv_out(size, *setting) != got else None
    return f"What explains {size} → {got} in the max-pool: {found}." if found else ""


_KINDS = {"conv": "convolution", "bn": "batch norm", "linear": "linear layer"}


def _counts(program: Program, seen: Observed) -> str:
    parts = []
    for kind in _KINDS:
        wanted = sum(op.kind == kind for op in program.ops)
        got = sum(unit.calls for unit in seen.units if unit.kind == kind)
        if wanted != got:
            parts.append(f"{got} {_KINDS[kind]}{'s' * (got != 1)} where the reference runs {wanted}")
    return f"Your forward pass runs {' and '.join(parts)}." if parts else ""


def _walk(program: Program, seen: Observed) -> str:
    """Go along the reference and look for each of its tensors among the learner's."""
    steps = seen.steps
    if not steps:
        return "Next, print the shape and the mean of each tensor in `forward`, line by line, against your drawing."
    pairing = _best_pairing(program, seen)
    values = run_as_far(program, seen, pairing)
    last_words, last_index = "the input", -1
    for op in program.ops:
        value = values.get(op.name)
        if value is None:
            return (
                f"{_so_far(last_words)} {_instead(op, pairing, seen) or _nothing_like(op)} {_next(steps, last_index)}"
            )
        index = next((i for i, step in enumerate(steps) if _alike(step.made, value)), None)
        if index is None:
            distance = _distance(op, steps, last_index, value)
            return (
                f"{_so_far(last_words)} The first that I cannot find is {op.words}, of "
                f"shape {shape(value.shape)}{distance}. {_next(steps, last_index)}"
            )
        last_words, last_index = op.words, max(last_index, index)
    return (
        f"Every tensor of the reference appears in your code, but what you return is another. "
        f"{_next(steps, last_index)}"
    ).strip()


def _best_pairing(program: Program, seen: Observed) -> Pairing:
    """The pairing under which most of the reference appears in the learner's code."""
    whole = list(pairings(program, seen.units))
    if whole:
        return max(whole, key=lambda pairing: progress(program, seen, pairing))
    return partial(program, seen.units)


def _alike(theirs: Tensor, value: Tensor) -> bool:
    # An average over the map may come as (N, C, 1, 1) or as (N, C).
    return compare.same(theirs, value) or (value.shape[2:] == (1, 1) and compare.same(theirs, value.flatten(1)))


def _instead(op: Op, pairing: Pairing, seen: Observed) -> str:
    """The learner's layer that stands where this one should, if there is one of its kind with other weights."""
    free = [u for u in seen.units if u.kind == op.kind and all(u is not paired for paired in pairing.values())]
    kind, wanted = needs(op)
    if not free or not free[0].key[1] or free[0].key[1] == wanted:
        return ""
    groups = free[0].settings.get("groups", 1)
    shown = free[0].key[1]
    if groups > 1:
        shown = (shown[0], shown[1] * groups, *shown[2:])
    theirs = _takes(kind, shown, "s") + (f" in {groups} groups" if groups > 1 else "")
    return f"{op.words[:1].upper()}{op.words[1:]} should {_takes(kind, wanted)}; the one I find in its place {theirs}."


def _takes(kind: str, weights: tuple[int, ...], s: str = "") -> str:
    if kind == "bn":
        return f"ha{'s' if s else 've'} {weights[0]} channels"
    if kind == "linear":
        return f"make{s} {weights[1]} features into {weights[0]}"
    return f"make{s} {weights[1]} channels into {weights[0]} with a {weights[2]}×{weights[3]} kernel"


def _nothing_like(op: Op) -> str:
    return f"I find nothing in your code that does the work of {op.words}."


def _so_far(last: str) -> str:
    return f"Up to {last} your numbers are right." if last != "the input" else "Your numbers differ from the start."


def progress(program: Program, seen: Observed, pairing: Pairing) -> int:
    """How many of the program's operations, from the first on, make tensors that appear in the learner's code."""
    count, last = 0, None
    for _, last in seen.memory(0).follow(program, {s: seen.weights_of(u) for s, u in pairing.items()}, {}):
        if last is None or not seen.appears(last):
            return count
        count += 1
    return count + (last is not None and seen.is_output(0, last))


_MADE_BY = {
    "conv": {"conv2d"},
    "bn": {"batch_norm"},
    "linear": {"linear"},
    "act": {"relu", "relu_"},
    "add": {"add", "add_", "__add__", "__iadd__", "__radd__"},
    "maxpool": {"max_pool2d"},
}


def _distance(op: Op, steps: list[Step], last: int, value: Tensor) -> str:
    """How far the nearest of the learner's tensors is that the same kind of operation made."""
    functions = _MADE_BY.get(op.kind, set())
    near = [
        compare.difference(step.made, value)
        for step in steps[last + 1 :]
        if step.function in functions and step.made.shape == value.shape
    ]
    return f"; the nearest of yours differs by {min(near):.2g} (relative)" if near else ""


def _next(steps: list[Step], last: int) -> str:
    if last + 1 >= len(steps):
        return ""
    step = steps[last + 1]
    name = step.function.strip("_")
    return f"Look at what your code does next, `{name}`, which makes {shape(step.made.shape)}.{at(step.line)}"


def run_as_far(program: Program, seen: Observed, pairing: Pairing) -> dict[str, Tensor]:
    """The reference's tensors up to the first operation for which the learner has no weights."""
    # The statistics of before the training step: the learner's tensors were kept before it too.
    known = weights(pairing, {id(unit): before_training(seen, unit) for unit in pairing.values() if unit.kind == "bn"})
    values: dict[str, Tensor] = {}
    ops: list[Op] = []
    for op in program.ops:
        if op.kind in {"conv", "bn", "linear"} and op.get("slot", op.name) not in known:
            break
        ops.append(op)
    with torch.no_grad():
        try:
            values = run(Program(tuple(ops), program.blocks), seen.inputs[0].clone(), known) if ops else {}
        except ProgramError:
            return {}
    return values
