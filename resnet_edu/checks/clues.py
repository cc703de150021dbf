"""What a learner's code does that the reference never does, where no known mistake explains the whole."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from resnet_edu.checks import compare
from resnet_edu.checks.observe import Observed
from resnet_edu.checks.program import Program
from resnet_edu.checks.watch import Step

_ACTIVATIONS = {
    "celu", "elu", "gelu", "glu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax", "logsigmoid",
    "mish", "prelu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh",
}  # fmt: skip
_POOLS = {"avg_pool2d", "max_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "interpolate"}

#: A share of F(x) and one of the shortcut that are both this near to 1 are the plain sum.
_NEAR = 1e-6

_lstsq, _stack = torch.linalg.lstsq, torch.stack


def foreign(program: Program, seen: Observed) -> tuple[str, str, Step] | None:
    """A function that has no business here: what to say, the mistake's name, and the step.

    Evidence, not a diagnosis: something else may be wrong too.
    """
    kinds = {op.kind for op in program.ops}
    for step in seen.steps:
        function = step.function.strip("_")
        if function in {"dropout", "feature_dropout", "alpha_dropout"}:
            return f"Your code calls `{function}`. These networks have none: take it out.", "dropout-inside", step
        if function in _ACTIVATIONS:
            name = "ReLU6 or `hardtanh`" if function == "hardtanh" else f"`{function}`"
            instead = "the only activation of this network is ReLU" if "act" in kinds else "no activation belongs here"
            return f"Your code calls {name}; {instead}.", "other-activation", step
        if function in _POOLS and not kinds & {"maxpool", "avgpool", "gap"}:
            instead = (
                "option A skips pixels, `x[:, :, ::stride, ::stride]`"
                if "subsample" in kinds
                else "here the stride of a convolution shrinks the map"
            )
            return f"Your code calls `{function}`; {instead}.", "pooling-inside", step
    return None


def shares(values: dict[str, Tensor], program: Program, seen: Observed) -> tuple[float, float] | None:
    """What the learner adds where the reference adds F(x) and the shortcut: how much of each, if not one of each."""
    total = next((op for op in program.ops if op.kind == "add"), None)
    if total is None or any(name not in values for name in total.inputs):
        return None
    ends = [values[name] for name in total.inputs]
    if ends[0].shape != ends[1].shape:
        return None
    basis = _stack([end.flatten() for end in ends], 1)
    for made in _sums(seen.steps, ends[0].shape):
        found = _lstsq(basis, made.flatten().to(basis.dtype)[:, None]).solution
        one, other = (float(share) for share in found.flatten())
        if not compare.same((basis @ found).view(made.shape), made):
            continue
        if min(abs(one), abs(other)) > _NEAR and max(abs(one - 1), abs(other - 1)) > _NEAR:
            return one, other
    return None


def _sums(steps: Sequence[Step], shape: Sequence[int]) -> Iterator[Tensor]:
    for step in steps:
        if tuple(step.made.shape) == tuple(shape) and step.made.is_floating_point():
            yield step.made
