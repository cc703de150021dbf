"""``fold_conv_bn(conv, bn)``: one new convolution that computes ``bn(conv(x))`` in eval mode.

>>> from resnet_edu import checks
>>> checks.fold_conv_bn(lambda conv, bn: conv).mistake
'nothing-folded'
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks import compare
from resnet_edu.checks.contracts.models import randomized
from resnet_edu.checks.effects import Effect, Outcome, same
from resnet_edu.checks.learner import LearnerError

REFERENCE = """
@torch.no_grad()
def fold_conv_bn(conv, bn):
    mean, var, gamma, beta = bn.running_mean, bn.running_var, bn.weight, bn.bias
    spread = torch.sqrt(var + bn.eps)  #: spread
    scale = gamma / spread  #: scale
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias  #: bias
    shift = bias * scale  #: scaled
    shift = shift - mean * scale  #: mean
    shift = shift + beta  #: beta
    weight = conv.weight * scale.reshape(-1, 1, 1, 1)  #: weight
    folded = copy.deepcopy(conv)  #: copy
    folded.weight = nn.Parameter(weight)  #: write
    folded.bias = nn.Parameter(shift)  #: writebias
    return folded  #: end
"""
_SETTINGS = ("stride", "padding", "dilation", "groups")


def _scene(bias: bool, kernel: Any = 3, **settings: Any) -> Callable[[], tuple[Any, ...]]:
    def make() -> tuple[Any, ...]:
        conv, bn = nn.Conv2d(4, 6, kernel, bias=bias, **settings), nn.BatchNorm2d(6, eps=1e-2)
        randomized(conv, 3)
        randomized(bn, 4).get_buffer("running_var")[0] = 1e-3  # where any eps makes a difference
        return conv.eval(), bn.eval()

    return make


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    conv, bn = arguments
    before = [t.clone() for t in (*conv.state_dict().values(), *bn.state_dict().values())]
    with torch.enable_grad():
        again, folded = function(*copy.deepcopy((conv, bn))), function(conv, bn)
    if folded is None or folded is Ellipsis:
        return {"result": "nothing"}
    if not callable(folded):
        return {"result": f"a {type(folded).__name__}"}
    after = [*conv.state_dict().values(), *bn.state_dict().values()]
    kept = compare.all_same(before, after) and len(before) == len(after)
    norms = isinstance(folded, nn.Module) and any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    found: Outcome = {}
    is_random = ""
    inner, other = _only_convolution(folded), _only_convolution(again)
    if inner is not None and other is not None:
        for name in _SETTINGS:
            mine, value = getattr(inner, name), getattr(conv, name)
            found[f"the {name}"] = "kept" if mine == value else f"lost: {mine}, not {value}"
            setattr(inner, name, value)  # so that the rest is judged by itself
        for name, numbers in inner.named_parameters():
            found[f"!the new {name}"] = numbers.detach().clone()
            if not same(numbers, getattr(other, name)):
                found[f"the new {name}"] = is_random = "another in each call"
    out = is_random or _ran(folded)
    return found | {
        "the output": out if isinstance(out, Tensor | str) else f"a {type(out).__name__}",
        "the batch norm": "still inside" if norms else "gone",
        "the given convolution and batch norm": "as before" if kept else "changed",
    }


def _only_convolution(folded: Any) -> nn.Conv2d | None:
    convs = [m for m in folded.modules() if isinstance(m, nn.Conv2d)] if isinstance(folded, nn.Module) else []
    return convs[0] if len(convs) == 1 else None


def _ran(folded: Any) -> Any:
    """What comes out, on numbers of the type of the weights."""
    weight = next(folded.parameters(), None) if isinstance(folded, nn.Module) else None
    x = torch.randn(2, 4, 9, 8, generator=torch.Generator().manual_seed(5))
    run = folded.eval() if isinstance(folded, nn.Module) else folded
    try:
        with torch.no_grad():
            return run(x if weight is None else x.to(weight.dtype))
    except Exception as error:
        raise LearnerError("forward", error) from error


CONTRACT = Effect(
    "fold_conv_bn(conv, bn)",
    (),
    REFERENCE,
    (
        """
for name plain: stride (1, 1) | padding (0, 0) | dilation (1, 1)
$name-lost: end: folded.$name = $plain; {}
    The new convolution has lost the $name of the old one. Hand it over, `conv.$name`, or start from a copy,
    `copy.deepcopy(conv)`.
eps-forgotten: spread:  + bn.eps →
    The `eps` is forgotten: the batch norm divides by √(σ² + ε), so that it never divides by 0.
eps-outside-root: spread: torch.sqrt(var + bn.eps) → torch.sqrt(var) + bn.eps
    The `eps` is added to the root. It belongs inside: √(σ² + ε).
variance-not-root: spread: torch.sqrt →
    You divide by the variance. Divide by its root: √(σ² + ε).
gamma-forgotten: scale: gamma → 1
    The scale γ, the batch norm's `weight`, is forgotten: s = γ / √(σ² + ε).
beta-forgotten: beta: -
    The shift β, the batch norm's `bias`, is forgotten: add it to the new bias.
mean-forgotten: mean: -
    The mean is forgotten. The batch norm subtracts it, so the new bias is β − s·μ.
mean-added: mean: shift - → shift +
    The mean is added. The batch norm subtracts it: the new bias is β − s·μ.
mean-not-scaled: mean:  * scale →
    The mean is subtracted as it is. It is scaled with everything else: β − s·μ.
conv-bias-forgotten: bias: bias = torch.zeros(conv.out_channels)
    The convolution's own bias is lost. Where there is one, it is scaled too: s·(bias − μ) + β.
conv-bias-not-scaled: scaled:  * scale →
    The convolution's own bias is added as it is. It passes the batch norm too: s·(bias − μ) + β.
weight-not-scaled: weight:  * scale.reshape(-1, 1, 1, 1) →
    The convolution's weight is unchanged. Multiply each output channel's filter by s.
bias-forgotten: writebias: shift → 0 * shift
    The new bias is missing or 0. What the batch norm adds must go there: β − s·μ.
settings-lost: end: folded.stride = (1, 1); folded.padding = (0, 0); folded.dilation = (1, 1); folded.groups = 1; {}
    The new convolution has lost the stride, the padding, the dilation and the groups of the old one. Hand all
    of them over, or start from a copy, `copy.deepcopy(conv)`.
only-first-of-the-pair: end: folded.stride = (folded.stride[0],) * 2; {}
or: end: folded.padding = (folded.padding[0],) * 2; {}
or: end: folded.dilation = (folded.dilation[0],) * 2; {}
or: write: folded.weight = nn.Parameter(conv.weight[..., : conv.kernel_size[0]].clone()); folded.weight.copy_(weight)
    Kernel size, stride, padding and dilation are pairs, (height, width), and the two may differ. Hand over the
    whole pair, `conv.stride` and not `conv.stride[0]`.
groups-lost: end: folded.groups = 1; {}
or: write: folded.weight = nn.Parameter(conv.weight.repeat(1, conv.groups, 1, 1)); folded.weight.copy_(weight)
    The new convolution has lost the groups of the old one. Hand the groups over, `groups=conv.groups`, or start
    from a copy, `copy.deepcopy(conv)`.
scale-not-reshaped: weight: .reshape(-1, 1, 1, 1) →
    The weight is multiplied by s as it is. s has one number for each output channel, the first dimension of the
    weight. Give it the shape (out, 1, 1, 1), `s.reshape(-1, 1, 1, 1)`.
changes-its-arguments: copy: copy.deepcopy(conv) → conv
    The convolution that was handed over is changed. Whoever still uses it gets wrong numbers: work on a copy.
nothing-folded: write: - | writebias: -
    This is the convolution as it was; the batch norm's work is lost. Put s = γ / √(σ² + ε) into its weight and
    s·(bias − μ) + β into its bias.
batch-norm-kept: end: return nn.Sequential(conv, bn)
    The batch norm is still there, behind the convolution. Its work must go into the weights.
eps-hard-coded: spread: bn.eps → 1e-5
    The `eps` is 1e-5, whatever the batch norm's own is. Use the one it has: `bn.eps`.
bias-scaled-twice: writebias: shift → shift * scale
    The new bias is multiplied by s twice. Once is enough: s·(bias − μ) + β.
weight-scaled-twice: weight: {} * scale.reshape(-1, 1, 1, 1)
    The weight is multiplied by s twice. Once is enough: s·weight.
beta-scaled: beta: beta → beta * scale
    The shift β, the batch norm's `bias`, is multiplied by s too. It is added last: s·(bias − μ) + β.
bias-only-where-one-was: writebias: shift → 0 * shift if conv.bias is None else shift
    Where the old convolution has no bias, the new one's is missing or 0. It needs one in any case, for what the
    batch norm adds: `bias=True`.
bias-not-written: writebias: shift → torch.rand_like(shift)
    The new convolution's bias is not written: it keeps the random numbers that it was made with. Put s·(bias −
    μ) + β there.
weight-not-written: write: weight) → torch.randn_like(weight))
    The new convolution's weight is not written: it keeps the random numbers that it was made with. Put s·weight
    there.
bias-is-none: bias: bias = conv.bias + 0
    This convolution has no bias: its `bias` is None, and None cannot be computed with. Ask first, `if conv.bias
    is not None`, and take zeros where there is none.
tuple-returned: end: return weight, shift
    It returned a tuple. One convolution is expected: put the weight and the bias into a new `nn.Conv2d`, and
    return that.
""",
    ),
    "Your convolution computes what both computed, and the originals are untouched.",
    names={"copy": copy},
    scenes={
        "with a convolution without bias": _scene(False, stride=2, padding=1),
        "with a convolution that has a bias": _scene(True, padding=2, dilation=2),
        "with a grouped convolution": _scene(True, padding=1, groups=2),
        "with a rectangular convolution": _scene(False, kernel=(3, 5), stride=(2, 1), padding=(1, 4), dilation=(1, 2)),
    },
    outcome=_outcome,
    advice="Write s = γ / √(σ² + ε), then weight ← s·weight and bias ← s·(bias − μ) + β, and compare line by line.",
)
