"""``init_weights(model)``: in place, convolutions from N(0, 2/fan_out), batch norms to 1 and 0.

Everything else, such as a linear layer, keeps its start.

>>> from resnet_edu import checks
>>> from resnet_edu.initialization import kaiming_normal_, kaiming_uniform_
>>> checks.init_weights(kaiming_normal_).passed
True
>>> "uniform-not-normal" in checks.init_weights(kaiming_uniform_).mistakes
True
"""

import copy
from collections.abc import Callable, Collection, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks import compare
from resnet_edu.checks.contracts.models import model_after, state_of
from resnet_edu.checks.effects import Effect, Outcome
from resnet_edu.checks.source import Mistake
from resnet_edu.checks.words import said

REFERENCE = """
def init_weights(model):
    pass  #: model
    modules = list(model.modules())  #: modules
    for number, conv in enumerate([m for m in modules if isinstance(m, nn.Conv2d)]):
        pass  #: bias
        draw(conv.weight.data, number)  #: draw
    for number, norm in enumerate([m for m in modules if isinstance(m, nn.BatchNorm2d)]):
        write(norm.weight.data, norm.bias.data, number)  #: norms
    pass  #: more
    return None  #: end

def draw(w, number):
    pass  #: seed
    into, channels, side = w[0].numel(), w.shape[0], w.shape[-1]
    out = channels * side * side
    spread = (2 / out) ** 0.5  #: spread
    w.normal_(0, spread)  #: numbers

def write(weight, bias, number):
    weight.fill_(1.0)  #: one
    bias.fill_(0.0)  #: zero
"""


def _model(bias: bool = False) -> nn.Module:
    """Five convolutions whose fan-in and fan-out differ, two of them of one shape, and all but one inside."""

    def conv(into: int, out: int, kernel: int) -> nn.Module:
        return nn.Conv2d(into, out, kernel, bias=bias)

    deep = nn.Sequential(conv(16, 48, 3), nn.BatchNorm2d(48), nn.ReLU(), conv(48, 16, 3))
    inside = nn.Sequential(conv(48, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), deep, conv(16, 120, 3))
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(120, 7))
    model = nn.Sequential(conv(3, 48, 5), nn.BatchNorm2d(48), inside, nn.BatchNorm2d(120), *head)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.uniform_(0.2, 0.3)  # like no known start
            elif isinstance(module, nn.BatchNorm2d):
                module.weight.fill_(0.37)
                module.bias.fill_(0.21)
    return model


class _Spreads(tuple[float, ...]):
    """Standard deviations, equal up to what chance does to them."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and all(abs(a / b - 1) < 0.09 for a, b in zip(self, other, strict=False))

    def __str__(self) -> str:
        return ", ".join(f"{spread:.4f}" for spread in self)

    __hash__ = None  # type: ignore[assignment]


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    (model,) = arguments
    before = state_of(model)
    model, found = model_after(model, before, function(model))
    after = state_of(model)
    if not all(compare.same(t, t) for t in after.values()):
        return found | {"the numbers": "not finite"}
    changed = {
        name.rpartition(".")[0] for name in after if name in before and not compare.same(after[name], before[name])
    }
    convs = {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    linear = {name for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    top = {name for name, _ in model.named_children()}
    is_top_only = changed - linear == top & (convs.keys() | norms.keys())
    found |= {
        "the depth that is reached": "the top level" if is_top_only else "every level",
        "the share of convolutions drawn anew": "top" if is_top_only else _share(convs.keys() & changed, convs),
        "the share of batch norms set": "top" if is_top_only else _share(norms.keys() & changed, norms),
        "the linear layer's start": "changed" if linear & changed else "kept",
    }
    if written := [norms[name] for name in norms if name in changed]:
        found |= {
            "the batch norms' weight": _number([m.weight for m in written], 0, 1),
            "the batch norms' bias": _number([m.bias for m in written], 0),
        }
    drawn = [convs[name].weight.detach().double() for name in convs if name in changed]
    return found | _distribution(drawn) if drawn else found


def _share(some: Collection[str], every: Collection[str]) -> str:
    return "all" if len(some) == len(every) else "some" if some else "none"


def _number(tensors: Sequence[Tensor], *known: int) -> str:
    numbers = sorted({number for tensor in tensors for number in tensor.tolist()})
    return f"{numbers[0]:g}" if numbers[0] == numbers[-1] in known else f"another number: {numbers[0]:g}"


def _distribution(weights: Sequence[Tensor]) -> Outcome:
    """What can be told of the distribution of random numbers."""
    spreads = _Spreads(float(w.std()) for w in weights)
    if max(spreads) < 1e-9:
        return {"the distribution": "a constant"}
    if all(_is_orthogonal(w.flatten(1)) for w in weights):
        return {"the distribution": "orthogonal"}
    is_fixed = len(spreads) > 1 and spreads == (spreads[0],) * len(spreads)
    is_repeated = any(a.shape == b.shape and compare.same(a, b) for a, b in combinations(weights, 2))
    is_far = any(abs(float(w.mean())) > 0.2 * s for w, s in zip(weights, spreads, strict=True))
    return {
        "the distribution": "uniform" if all(_is_uniform(w) for w in weights) else "normal",
        "the standard deviation": "the same in all convolutions" if is_fixed else spreads,
        "the mean": "far from 0" if is_far else "0",
        "what two convolutions of one shape have": "the same numbers" if is_repeated else "numbers of their own",
    }


def _is_uniform(w: Tensor) -> bool:
    centered = w - w.mean()
    return float((centered**4).mean() / (centered**2).mean() ** 2) < 2.2  # 3 if normal, 1.8 if uniform


def _is_orthogonal(rows: Tensor) -> bool:
    rows = rows if rows.shape[0] <= rows.shape[1] else rows.T
    products = rows @ rows.T
    lengths = products.diagonal()
    return float((products - lengths.diag()).abs().max()) < 1e-3 * float(lengths.min())


CONTRACT = Effect(
    "init_weights(model)",
    (),
    REFERENCE,
    (
        """
fan-in-not-fan-out: spread: spread = (2 / into) ** 0.5
    The convolutions' standard deviation is √(2/fan_in). It should be √(2/fan_out), which keeps the gradient's
    size on its way back: pass `mode="fan_out"`.
xavier-not-kaiming: spread: spread = (2 / (into + out)) ** 0.5
    The convolutions' standard deviation is Xavier's, √(2/(fan_in + fan_out)). It takes no ReLU into account:
    use Kaiming's, √(2/fan_out).
relu-gain-forgotten: spread: spread = (1 / out) ** 0.5
    The convolutions' standard deviation is √(1/fan_out). A ReLU loses half of the variance, so it should be
    √(2/fan_out): pass `nonlinearity="relu"`.
fan-in-and-gain-forgotten: spread: spread = (1 / into) ** 0.5
    The convolutions' standard deviation is √(1/fan_in). It should be √(2/fan_out): fan_out keeps the gradient's
    size, and the 2 makes up for the ReLU.
spread-is-variance: spread: spread = 2 / out
    The convolutions' standard deviation is 2/fan_out: that is the variance. Take its root.
kernel-area-forgotten: spread: spread = (2 / channels) ** 0.5
    The convolutions' standard deviation is √(2/out_channels). fan_out is out_channels times the area of the
    kernel: 9 times as much for a 3×3.
kernel-side-once: spread: spread = (2 / (channels * side)) ** 0.5
    The convolutions' standard deviation is √(2/(out_channels·k)) for a k×k kernel. fan_out counts height and
    width: out_channels·k·k.
pytorchs-own-spread: spread: spread = (1 / (3 * into)) ** 0.5
    The convolutions' standard deviation is √(1/(3·fan_in)), which is PyTorch's own start. Draw them with
    √(2/fan_out).
fixed-spread: spread: spread = 0.01
    Every convolution has the same standard deviation. It depends on the layer's size: √(2/fan_out).
convolutions-untouched: draw: -
    The convolutions' weights have not changed. Draw them anew, in place: `nn.init.kaiming_normal_(….weight,
    …)`.
some-convolutions-untouched: draw: {} if number == 0 else None
    Some convolutions' weights have not changed. Go through all modules of the model, however deep:
    `model.modules()`.
only-top-level: modules: model.modules → model.children
    Only the modules at the top level of the model are reached, and none inside them. Go through all modules,
    however deep: `model.modules()`.
uniform-not-normal: numbers: w.uniform_(-(3**0.5) * spread, 3**0.5 * spread)
    The convolutions' weights are uniform between two bounds. Draw them from a normal distribution:
    `nn.init.kaiming_normal_`.
orthogonal-not-normal: numbers: nn.init.orthogonal_(w)
    The filters of each convolution are orthogonal to each other. Draw them from a normal distribution:
    `nn.init.kaiming_normal_`.
constant-weights: numbers: w.fill_(spread)
    All weights of a convolution are equal, so all its filters learn the same. Draw them at random.
same-numbers: seed: torch.manual_seed(0)
    Two convolutions of one shape have the same numbers. Random numbers repeat where the seed is set again, as
    with `torch.manual_seed(…)` inside a loop: leave that out.
linear-changed: more: [m.weight.data.normal_(0, 0.01) for m in modules if isinstance(m, nn.Linear)]
    The linear layer has changed. It keeps PyTorch's own start: draw only the convolutions anew.
batch-norms-untouched: norms: -
    The batch norms have not changed. Set their `weight` to 1 and their `bias` to 0.
some-batch-norms-untouched: norms: {} if number == 0 else None
    Some batch norms have not changed. Go through all modules of the model, however deep: `model.modules()`.
batch-norm-scale-zero: one: 1.0 → 0.0
    The batch norms' `weight` is 0, so nothing gets through. Set it to 1.
batch-norm-scale-not-one: one: weight.normal_(1, 0.1)
    The batch norms' `weight` is not 1. Set it to 1, so that they start by normalizing only.
batch-norm-shift-not-zero: zero: 0.0 → 1.0
    The batch norms' `bias` is not 0. Set it to 0, so that they start by normalizing only.
off-center: numbers: {}; w.add_(spread)
    The convolutions' weights have a mean far from 0. Draw them around 0.
not-finite: numbers: w.fill_(float('nan'))
    Some weights are not finite (NaN or infinity).
copy-changed: model: model = copy.deepcopy(model) | end: return model
    The model that was handed over is as it was: a copy was changed, and returned. Leave out the copy and change
    `model` itself.
bias-is-none: bias: nn.init.zeros_(conv.bias)
    A convolution in this model has no bias: its `bias` is None, and None cannot be set. Ask first, `if ….bias
    is not None`.
""",
        Mistake(*said("in-place-under-autograd")[::-1], ({"draw": ".data → "},)),
    ),
    "Convolutions start from N(0, 2/fan_out), batch norms from 1 and 0.",
    names={"copy": copy},
    # The second shows whether an error comes from a bias that is None.
    scenes={"in a network without biases": lambda: (_model(),), "in one with biases": lambda: (_model(bias=True),)},
    outcome=_outcome,
    advice="Compare √(2/fan_out) with yours for one layer by hand.",
)
