"""Where no known mistake fits: where the learner's numbers first leave the reference's, and what can be seen there."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from resnet_edu.checks import compare, sizes
from resnet_edu.checks.candidate import Made, NoWeightsError, Run
from resnet_edu.checks.learner import Seen
from resnet_edu.checks.source import Source
from resnet_edu.checks.watch import Step, Unit
from resnet_edu.checks.words import at, shape, unequal

Told = tuple[str, str]

_ACTIVATIONS = {
    "celu", "elu", "gelu", "glu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax", "logsigmoid",
    "mish", "prelu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh",
}  # fmt: skip
_POOLS = {"avg_pool2d", "max_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"}
_DROPOUTS = {"dropout", "dropout1d", "dropout2d", "feature_dropout", "alpha_dropout"}
#: A share of F(x) and one of the shortcut that are both this near to 1 are the plain sum.
_NEAR = 1e-6
_KINDS = {"conv": "convolution", "bn": "batch norm", "linear": "linear layer"}
_MADE_BY = {"conv2d", "batch_norm", "linear", "max_pool2d", "relu"}

_lstsq, _stack = torch.linalg.lstsq, torch.stack


def foreign(run: Run, seen: Seen) -> Told | None:
    """A function that has no business here. Evidence, not a diagnosis: something else may be wrong too."""
    ours = {made.function.strip("_") for made in run.made}
    for step in seen.steps:
        function = step.function.strip("_")
        if function in ours:
            continue
        if function in _DROPOUTS:
            told = f"Your code calls `{function}`. These networks have none: take it out.", "dropout-inside"
        elif function in _ACTIVATIONS:
            name = "ReLU6 or `hardtanh`" if function == "hardtanh" else f"`{function}`"
            instead = "the only activation of this network is ReLU" if "relu" in ours else "no activation belongs here"
            told = f"Your code calls {name}; {instead}.", "other-activation"
        elif function == "interpolate":
            told = (
                "Your code calls `interpolate`, which is made for other sizes than a stride. Skip pixels with a slice, "
                "`x[:, :, ::stride, ::stride]`, or let a convolution with a stride shrink the map.",
                "interpolated",
            )
        elif run.error is None and function in _POOLS and not ours & {*_POOLS, "mean", "amax", "sum"}:
            slices = "conv2d" not in ours
            instead = (
                "option A skips pixels, `x[:, :, ::stride, ::stride]`"
                if slices
                else "here the stride of a convolution shrinks the map"
            )
            told = f"Your code calls `{function}`; {instead}.", "pooling-inside"
        else:
            continue
        return f"{told[0]}{at(step.line)}", told[1]
    return None


def extra(call: str, run: Run, seen: Seen) -> Told | None:
    """What to say of learnable numbers that the reference has no layer for."""
    paired = [*run.pairing.values()]
    taken = {id(t) for unit in paired for t in (*unit.tensors, *unit.settings.get("loose", ()))}
    kinds = {unit.kind for unit in paired}
    layers = [u for u in seen.units if id(u) not in {id(p) for p in paired} and u.kind not in kinds]
    loose = [one for one in seen.loose if one.learns and id(one.tensor) not in taken]
    unused = set(seen.unused())
    names = ", ".join(f"`{one.name}`" for one in loose[:4] if one.name not in unused)
    if isinstance(run.error, NoWeightsError) and (names or layers):
        if not names:
            return None
        return (
            f"`{call}` uses {names} in a way that I cannot follow, so I cannot tell whether your numbers are right. I "
            "follow `nn.Conv2d`, `nn.BatchNorm2d`, `nn.Linear`, their functions in `torch.nn.functional`, and what "
            "computes the same with weights of the same sizes: write it with these.",
            "not-followed",
        )
    if layers and run.error is None and seen.trouble is None:
        return (
            f"Your code learns weights that the reference does not have: {_a_count(layers)}. Here the layers are only "
            f"{_listed(kinds)}: take out what weighs the channels or adds to them.{at(layers[0].line)}",
            "extra-layers",
        )
    if names and run.differs is not None:
        return (
            f"`{call}` learns numbers of its own beside the weights of its layers: {names}. The reference has none: "
            "take them out.",
            "extra-parameter",
        )
    return None


def _a_count(units: Sequence[Unit]) -> str:
    counts = Counter(_KINDS[unit.kind] for unit in units)
    return " and ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts.items())


def _listed(kinds: set[str]) -> str:
    return " and ".join(f"{_KINDS[kind]}s" for kind in _KINDS if kind in kinds)


def shares(run: Run, source: Source, seen: Seen) -> Told | None:
    """What the learner adds where the reference adds F(x) and the shortcut: how much of each, if not one of each."""
    total = next((n for n, made in enumerate(run.made) if made.function in {"add", "__add__"}), None)
    if total is None:
        return None
    size = run.made[total].tensor.shape
    before = [seen.inputs[0], *(made.tensor for made in run.made[:total])]
    ends = [tensor for tensor in before if tensor.shape == size]
    if len(ends) < 2:
        return None
    summed = run.made[total].tensor
    pair = next(
        ((a, b) for b in reversed(ends) for a in reversed(ends) if a is not b and compare.same(a + b, summed)), None
    )
    if pair is None:
        return None
    # F(x) is what was made last before the shortcut; the shortcut may be the bare input.
    if pair[0] is seen.inputs[0] or _place(before, pair[0]) > _place(before, pair[1]) > 0:
        pair = pair[1], pair[0]
    basis = _stack([end.flatten() for end in pair], 1)
    for step in seen.steps:
        if step.made.shape != size or not step.made.is_floating_point():
            continue
        found = _lstsq(basis, step.made.flatten().to(basis.dtype)[:, None]).solution
        one, other = (float(share) for share in found.flatten())
        plain = max(abs(one - 1), abs(other - 1)) <= _NEAR or min(abs(one), abs(other)) <= _NEAR
        if not plain and compare.same((basis @ found).view(size), step.made):
            told = f"Your sum is {one:.3g}·F(x) + {other:.3g}·shortcut. A residual block takes one of each: F(x) + x."
            return told, "sum-weighted"
    return None


def _place(tensors: Sequence[Tensor], one: Tensor) -> int:
    return next(number for number, tensor in enumerate(tensors) if tensor is one)


def first_difference(call: str, run: Run, source: Source, seen: Seen) -> tuple[str, ...]:
    """Where the learner's numbers first leave the reference's, and the next thing to look at."""
    out, x = seen.outputs[0], seen.inputs[0]
    if any(isinstance(o, Tensor) and not compare.finite(o) for o in seen.outputs):
        return (
            f"`{call}` returns numbers that are not finite (NaN or infinity), on ordinary random input. Look for a "
            "division by zero, a square root or logarithm of something negative, or a tensor that was never filled "
            "(`torch.empty`).",
            "not-finite",
        )
    lines, name = ["I do not recognize this one, so here is what I can see."], tuple[str, ...]()
    right = run.outputs[0].shape if run.outputs and isinstance(run.outputs[0], Tensor) else None
    if right is not None and out.shape != right:
        lines = [
            f"`{call}` makes {shape(x.shape)} into {shape(out.shape)}; expected {shape(right)}: "
            f"{unequal(tuple(out.shape), tuple(right))}.",
            size_fault(run, source) or _pool_fault(run, seen),
        ]
        name = ("wrong-shape",)
    lines += [_counts(run, seen), walk(run, source, seen)]
    return ("\n".join(line for line in lines if line), *name)


def size_fault(run: Run, source: Source) -> str:
    """The first convolution whose settings are not the reference's, and what that does to the size, solved."""
    for call in run.calls:
        unit = call.unit
        if call.kind != "conv" or unit.kind != "conv" or not unit.given or unit.given != call.given:
            continue
        axis = next((axis for axis in (2, 3) if _set(unit.settings, axis) != _set(call.settings, axis)), None)
        if axis is None or unit.weight is None:
            continue
        mine, theirs = _set(call.settings, axis), _set(unit.settings, axis)
        if not all(isinstance(value, int) for value in (*mine, *theirs)):
            continue
        size, kernel = unit.given[axis], unit.weight.shape[axis]
        words = source.words(call.line, call.place) or "the convolution"
        try:
            now, right = sizes.formula(size, kernel, *theirs), sizes.formula(size, kernel, *mine)
        except ValueError:
            return ""
        stride, padding, _ = mine
        if now.rpartition(" ")[2] == right.rpartition(" ")[2]:
            continue
        return (
            f"{words[:1].upper()}{words[1:]} makes {size} → {now.rpartition(' ')[2]}, {right.rpartition(' ')[2]} was "
            f"expected: now {now}; with stride {stride} and padding {padding}, {right}."
        )
    return ""


def _set(settings: dict[str, Any], axis: int) -> tuple[Any, ...]:
    values = [settings.get(key, usual) for key, usual in (("stride", 1), ("padding", 0), ("dilation", 1))]
    return tuple(
        value[axis - 2 if len(value) > 1 else 0] if isinstance(value, tuple | list) else value for value in values
    )


def _pool_fault(run: Run, seen: Seen) -> str:
    theirs = [step for step in seen.steps if step.function == "max_pool2d" and len(step.given[0]) == 4]
    if len(theirs) != 1 or not any(made.function == "max_pool2d" for made in run.made):
        return ""
    size, got = theirs[0].given[0][2], theirs[0].made.shape[2]
    found = sizes.explains(size, got, 3, 2, 1)
    return f"What explains {size} → {got} in the max-pool: {found}." if found else ""


def _counts(run: Run, seen: Seen) -> str:
    if run.error is not None:
        return ""
    mine = Counter({"conv2d": "conv", "batch_norm": "bn", "linear": "linear"}.get(made.function) for made in run.made)
    parts = []
    for kind, name in _KINDS.items():
        got = sum(unit.calls for unit in seen.units if unit.kind == kind)
        if mine[kind] != got:
            parts.append(f"{got} {name}{'s' * (got != 1)} where the reference runs {mine[kind]}")
    return f"Your forward pass runs {' and '.join(parts)}." if parts else ""


def walk(run: Run, source: Source, seen: Seen) -> str:
    """Go along the reference and look for each of its tensors among the learner's."""
    if not seen.steps:
        return "Next, print the shape and the mean of each tensor in `forward`, line by line, against your drawing."
    last_words, last = "the input", -1
    for made, words in _worded(run, source):
        if made.found is None:
            return (
                f"{_so_far(last_words)} The first that I cannot find is {words}, of shape {shape(made.tensor.shape)}"
                f"{_distance(made, seen, last)}. {_next(seen.steps, last)}"
            )
        last_words, last = words, max(last, made.found)
    if isinstance(run.error, NoWeightsError):
        return f"{_so_far(last_words)} {instead(run, source, seen)} {_next(seen.steps, last)}".strip()
    whole = "Every tensor of the reference appears in your code, but what you return is another."
    return f"{whole} {_next(seen.steps, last)}".strip()


def _worded(run: Run, source: Source) -> Iterator[tuple[Made, str]]:
    for made in run.made:
        words = source.words(made.line, made.place)
        if words:
            yield made, words


def instead(run: Run, source: Source, seen: Seen) -> str:
    """The learner's layer that stands where one of the reference's should, if there is one with other weights."""
    error = run.error
    if not isinstance(error, NoWeightsError):
        return ""
    words = source.words(error.line, error.place) or f"a {_KINDS[error.kind]}"
    paired = {id(unit) for unit in run.pairing.values()}
    free = [u for u in seen.units if u.kind == error.kind and id(u) not in paired and u.identity is not None]
    if not free or tuple(free[0].key[1]) == error.shape:
        return f"I find nothing in your code that does the work of {words}."
    groups = free[0].settings.get("groups", 1)
    shown = tuple(free[0].key[1])
    if groups > 1:
        shown = (shown[0], shown[1] * groups, *shown[2:])
    theirs = _takes(error.kind, shown, "s") + (f" in {groups} groups" if groups > 1 else "")
    should = f"{words[:1].upper()}{words[1:]} should {_takes(error.kind, error.shape)}"
    return f"{should}; the one I find in its place {theirs}.{at(free[0].line)}"


def _takes(kind: str, weights: Sequence[int], s: str = "") -> str:
    if kind == "bn":
        return f"ha{'s' if s else 've'} {weights[0]} channels"
    if kind == "linear":
        return f"make{s} {weights[1]} features into {weights[0]}"
    return f"make{s} {weights[1]} channels into {weights[0]} with a {weights[2]}×{weights[3]} kernel"


def _so_far(last: str) -> str:
    return f"Up to {last} your numbers are right." if last != "the input" else "Your numbers differ from the start."


def _distance(made: Made, seen: Seen, last: int) -> str:
    """How far the nearest of the learner's tensors is that the same kind of operation made."""
    name = made.function.strip("_")
    near = [
        compare.difference(step.made, made.tensor)
        for step in seen.steps[last + 1 :]
        if step.function.strip("_") == name and step.made.shape == made.tensor.shape
    ]
    return f"; the nearest of yours differs by {min(near):.2g} (relative)" if near else ""


def _next(steps: Sequence[Step], last: int) -> str:
    if last + 1 >= len(steps):
        return ""
    step = steps[last + 1]
    name = step.function.strip("_")
    return f"Look at what your code does next, `{name}`, which makes {shape(step.made.shape)}.{at(step.line)}"
