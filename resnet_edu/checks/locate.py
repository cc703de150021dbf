"""Where no known mistake fits: where the learner's numbers first leave the reference's, and what can be seen there."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from resnet_edu.checks import compare
from resnet_edu.checks.candidate import Made, NoWeightsError, Run
from resnet_edu.checks.learner import Seen
from resnet_edu.checks.sentences import said
from resnet_edu.checks.source import Source
from resnet_edu.checks.watch import Step, Unit
from resnet_edu.checks.words import at, code, shape, unequal

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

_lstsq, _stack = torch.linalg.lstsq, torch.stack


def foreign(run: Run, seen: Seen) -> Told | None:
    """A function that has no business here. Evidence, not a diagnosis: something else may be wrong too."""
    ours = {made.function.strip("_") for made in run.made}
    for step in seen.steps:
        function = step.function.strip("_")
        if function in ours:
            continue
        values = {"function": f"`{function}`", "at": at(step.line)}
        if function in _DROPOUTS:
            return said("dropout-inside", **values)
        if function in _ACTIVATIONS:
            only = "the only activation of this network is ReLU" if "relu" in ours else "no activation belongs here"
            if function == "hardtanh":
                values["function"] = "ReLU6 or `hardtanh`"
            return said("other-activation", instead=only, **values)
        if function == "interpolate":
            return said("interpolated", **values)
        if run.error is None and function in _POOLS and not ours & {*_POOLS, "mean", "amax", "sum"}:
            slices, strides = "option A skips pixels, `x[:, :, ::stride, ::stride]`", "here the stride of a convolution"
            instead = f"{strides} shrinks the map" if "conv2d" in ours else slices
            return said("pooling-inside", instead=instead, **values)
    return None


def extra(call: str, run: Run, seen: Seen) -> Told | None:
    """What to say of learnable numbers that the reference has no layer for."""
    paired = [*run.pairing.values()]
    taken = {id(t) for unit in paired for t in (*unit.tensors, *unit.settings.get("loose", ()))}
    kinds = {unit.kind for unit in paired}
    layers = [u for u in seen.units if id(u) not in {id(p) for p in paired} and u.kind not in kinds]
    loose = [one for one in seen.loose if one.learns and id(one.tensor) not in taken]
    unused = set(seen.unused())
    names = code(one.name for one in loose if one.name not in unused)
    if isinstance(run.error, NoWeightsError) and (names or layers):
        return said("not-followed", call=call, names=names) if names else None
    if layers and run.error is None and seen.trouble is None:
        return said("extra-layers", layers=_a_count(layers), kinds=_listed(kinds), at=at(layers[0].line))
    return said("extra-parameter", call=call, names=names) if names and run.differs is not None else None


def _a_count(units: Sequence[Unit]) -> str:
    counts = Counter(_KINDS[unit.kind] for unit in units)
    return " and ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts.items())


def _listed(kinds: set[str]) -> str:
    return " and ".join(f"{_KINDS[kind]}s" for kind in _KINDS if kind in kinds)


def shares(run: Run, seen: Seen) -> Told | None:
    """What the learner adds where the reference adds F(x) and the shortcut: how much of each, if not one of each."""
    total = next((made for made in run.made if made.function in {"add", "__add__"}), None)
    if total is None or len(total.inputs) < 2:
        return None
    size, ends = total.tensor.shape, total.inputs[:2]
    if any(end.shape != size for end in ends):
        return None
    basis = _stack([end.flatten() for end in ends], 1)
    for step in seen.steps:
        if step.made.shape != size or not step.made.is_floating_point():
            continue
        found = _lstsq(basis, step.made.flatten().to(basis.dtype)[:, None]).solution
        one, other = (float(share) for share in found.flatten())
        plain = max(abs(one - 1), abs(other - 1)) <= _NEAR or min(abs(one), abs(other)) <= _NEAR
        if not plain and compare.same((basis @ found).view(size), step.made):
            return said("sum-weighted", one=one, other=other)
    return None


def first_difference(call: str, run: Run, source: Source, seen: Seen) -> tuple[str, ...]:
    """Where the learner's numbers first leave the reference's, and the next thing to look at."""
    out, x = seen.outputs[0], seen.inputs[0]
    lines, name = ["I do not recognize this one, so here is what I can see."], tuple[str, ...]()
    right = run.outputs[0].shape if run.outputs and isinstance(run.outputs[0], Tensor) else None
    if right is not None and out.shape != right:
        lines = [
            f"`{call}` makes {shape(x.shape)} into {shape(out.shape)}; expected {shape(right)}: "
            f"{unequal(tuple(out.shape), tuple(right))}.",
        ]
        name = ("wrong-shape",)
    lines += [other_settings(run, source), _counts(run, seen), walk(run, source, seen)]
    return ("\n".join(line for line in lines if line), *name)


def other_settings(run: Run, source: Source) -> str:
    """The first convolution whose stride, padding, dilation or groups are not the reference's."""
    for made in run.made:
        theirs = made.unit.settings if made.unit is not None and made.function == "conv2d" else {}
        differing = [key for key in theirs if key in made.settings and _pair(theirs[key]) != _pair(made.settings[key])]
        if differing and not any(isinstance(theirs[key], str) for key in differing):
            words = source.words(made.line, made.place) or "a convolution"
            now, right = (_listing(settings, differing) for settings in (theirs, made.settings))
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
    shown = tuple(free[0].identity.shape) if free and free[0].identity is not None else error.shape
    if shown == error.shape:
        return f"I find nothing in your code that does the work of {words}."
    groups = free[0].settings.get("groups", 1)
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
