"""Where no known mistake fits: where the learner's numbers first leave the reference's, and what can be seen there."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from resnet_edu.checks import compare
from resnet_edu.checks.candidate import NoWeightsError, Run
from resnet_edu.checks.learner import Seen
from resnet_edu.checks.source import Source
from resnet_edu.checks.words import at, code, said, shape, unequal

Told = tuple[str, str]

_POOLS = {"avg_pool2d", "max_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"}
_ACTIVATIONS = {
    "celu", "elu", "gelu", "glu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax", "logsigmoid",
    "mish", "prelu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh",
}  # fmt: skip
#: Functions that have no business here, and what is said of them.
_FOREIGN = dict.fromkeys(_POOLS, "pooling-inside") | dict.fromkeys(_ACTIVATIONS, "other-activation")
_FOREIGN |= dict.fromkeys(("dropout", "dropout1d", "dropout2d", "feature_dropout", "alpha_dropout"), "dropout-inside")
_FOREIGN |= {"interpolate": "interpolated"}
_KINDS = {"conv": "convolution", "bn": "batch norm", "linear": "linear layer"}

_lstsq, _stack = torch.linalg.lstsq, torch.stack


def foreign(run: Run, seen: Seen) -> Told | None:
    """A function that has no business here. Evidence, not a diagnosis: something else may be wrong too."""
    ours = {step.function.strip("_") for step in run.steps}
    pools = run.error is not None or ours & {*_POOLS, "mean", "amax", "sum"}
    for step in seen.steps:
        function = step.function.strip("_")
        name = None if function in ours else _FOREIGN.get(function)
        if name is not None and not (pools and name == "pooling-inside"):
            function = "ReLU6 or `hardtanh`" if function == "hardtanh" else f"`{function}`"
            return said(name, function=function, at=at(step.place))
    return None


def extra(call: str, run: Run, seen: Seen) -> Told | None:
    """What to say of learnable numbers that the reference has no layer for."""
    kinds = {unit.kind for unit in run.pairing.values()}
    layers = [unit for unit in seen.units if unit.kind not in kinds]
    taken = {id(t) for unit in run.pairing.values() for t in unit.weights.values()}
    unused = seen.unused()
    names = code(
        one.name for one in seen.loose if one.learns and id(one.tensor) not in taken and one.name not in unused
    )
    if isinstance(run.error, NoWeightsError) and (names or layers):
        return said("not-followed", call=call, names=names) if names else None
    if layers and run.error is None and seen.trouble is None:
        counts = Counter(_KINDS[unit.kind] for unit in layers)
        theirs = " and ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts.items())
        ours = " and ".join(f"{_KINDS[kind]}s" for kind in _KINDS if kind in kinds)
        return said("extra-layers", layers=theirs, kinds=ours, at=at(layers[0].place))
    return said("extra-parameter", call=call, names=names) if names and run.differs is not None else None


def shares(run: Run, seen: Seen) -> Told | None:
    """What the learner adds where the reference adds F(x) and the shortcut: how much of each, if not one of each."""
    total = next((step for step in run.steps if step.function in {"add", "__add__"}), None)
    if total is None or len(total.inputs) < 2:
        return None
    size, ends = total.made.shape, total.inputs[:2]
    if any(end.shape != size for end in ends):
        return None
    basis = _stack([end.flatten() for end in ends], 1)
    for step in seen.steps:
        if step.made.shape != size or not step.made.is_floating_point():
            continue
        found = _lstsq(basis, step.made.flatten().to(basis.dtype)[:, None]).solution
        one, other = (float(share) for share in found.flatten())
        plain = max(abs(one - 1), abs(other - 1)) < 1e-6 or min(abs(one), abs(other)) < 1e-6
        if not plain and compare.same((basis @ found).view(size), step.made):
            return said("sum-weighted", one=one, other=other)
    return None


def first_difference(call: str, run: Run, source: Source, seen: Seen) -> tuple[str, ...]:
    """Where the learner's numbers first leave the reference's, and the next thing to look at."""
    out, x = seen.outputs[0], seen.inputs[0]
    lines, name = ["I do not recognize this one, so here is what I can see."], tuple[str, ...]()
    right = run.outputs[0].shape if run.outputs and isinstance(run.outputs[0], Tensor) else None
    if right is not None and out.shape != right:
        apart = unequal(tuple(out.shape), tuple(right))
        lines = [f"`{call}` makes {shape(x.shape)} into {shape(out.shape)}; expected {shape(right)}: {apart}."]
        name = ("wrong-shape",)
    lines += [other_settings(run, source), _counts(run, seen), walk(run, source, seen)]
    return ("\n".join(line for line in lines if line), *name)


def other_settings(run: Run, source: Source) -> str:
    """The first convolution whose stride, padding, dilation or groups are not the reference's."""
    for step in run.steps:
        theirs, mine = step.unit.settings if step.unit is not None and step.kind == "conv" else {}, step.arguments
        differing = [key for key in theirs if _pair(theirs[key]) != _pair(mine[key])]
        if differing and not any(isinstance(theirs[key], str) for key in differing):
            words = source.words(step.place) or "a convolution"
            now, right = (_listing(settings, differing) for settings in (theirs, mine))
            return f"{words[:1].upper()}{words[1:]} has {now}, expected {right}."
    return ""


def _listing(settings: dict[str, Any], keys: Sequence[str]) -> str:
    pairs = [(key, *_pair(settings[key])) for key in keys]
    return code(f"{key}={height if height == width else (height, width)}" for key, height, width in pairs)


def _pair(setting: Any) -> tuple[Any, ...]:
    return tuple(setting) * (3 - len(setting)) if isinstance(setting, tuple | list) else (setting, setting)


def _counts(run: Run, seen: Seen) -> str:
    if run.error is not None:
        return ""
    mine = Counter(step.kind for step in run.steps)
    parts = []
    for kind, name in _KINDS.items():
        got = sum(unit.calls for unit in seen.units if unit.kind == kind)
        if mine[kind] != got:
            parts.append(f"{got} {name}{'s' * (got != 1)} where the reference runs {mine[kind]}")
    return f"Your forward pass runs {' and '.join(parts)}." if parts else ""


def walk(run: Run, source: Source, seen: Seen) -> str:
    """Go along the reference and look for each of its tensors among the learner's."""
    so_far, last = "Your numbers differ from the start.", -1
    told = "Every tensor of the reference appears in your code, but what you return is another."
    if isinstance(run.error, NoWeightsError):
        told = instead(run.error, run, source, seen)
    for step in run.steps:
        words = source.words(step.place)
        if words and step.found is None:
            told = f"The first that I cannot find is {words}, of shape {shape(step.made.shape)}."
            break
        if words:
            so_far, last = f"Up to {words} your numbers are right.", max(last, step.found or 0)
    following = ""
    if last + 1 < len(seen.steps):
        step = seen.steps[last + 1]
        function, made_shape = step.function.strip("_"), shape(step.made.shape)
        following = f"Look at what your code does next, `{function}`, which makes {made_shape}.{at(step.place)}"
    return f"{so_far} {told} {following}".strip()


def instead(error: NoWeightsError, run: Run, source: Source, seen: Seen) -> str:
    """The learner's layer that stands where one of the reference's should, if there is one with other weights."""
    words = source.words(error.place) or f"a {_KINDS[error.kind]}"
    paired = {id(unit) for unit in run.pairing.values()}
    free = [u for u in seen.units if u.kind == error.kind and id(u) not in paired and u.weight is not None]
    shown = tuple(free[0].weight.shape) if free and free[0].weight is not None else error.shape
    if shown == error.shape:
        return f"I find nothing in your code that does the work of {words}."
    groups = free[0].settings.get("groups", 1)
    if groups > 1:
        shown = (shown[0], shown[1] * groups, *shown[2:])
    theirs = _takes(error.kind, shown, "s") + (f" in {groups} groups" if groups > 1 else "")
    should = f"{words[:1].upper()}{words[1:]} should {_takes(error.kind, error.shape)}"
    return f"{should}; the one I find in its place {theirs}.{at(free[0].place)}"


def _takes(kind: str, weights: Sequence[int], s: str = "") -> str:
    if kind == "bn":
        return f"ha{'s' if s else 've'} {weights[0]} channels"
    if kind == "linear":
        return f"make{s} {weights[1]} features into {weights[0]}"
    return f"make{s} {weights[1]} channels into {weights[0]} with a {weights[2]}×{weights[3]} kernel"
