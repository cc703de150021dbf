"""The check of ``init_weights``: how weights start is random, so their spread is measured."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks import compare, words
from resnet_edu.checks.contract import Slip
from resnet_edu.checks.effects import Effect, Told, Trials, changed_copy, error_told, state_of, told_of
from resnet_edu.checks.errors import IN_PLACE
from resnet_edu.checks.judge import Verdict, failed, passed
from resnet_edu.checks.naming import in_their_names
from resnet_edu.checks.observe import LearnerError, attempt


@dataclass(frozen=True)
class _Fans:
    """What a convolution's spread may depend on."""

    into: int
    out: int
    channels: int  # that leave
    side: int

    @classmethod
    def of(cls, weight: Tensor) -> "_Fans":
        area = weight[0, 0].numel()
        return cls(weight[0].numel(), weight.shape[0] * area, weight.shape[0], weight.shape[-1])

    @property
    def right(self) -> float:
        """The spread that is asked for."""
        return (2 / self.out) ** 0.5


_SPREADS: dict[str, tuple[Callable[[_Fans], float], str]] = {
    "fan-in-not-fan-out": (
        lambda fan: (2 / fan.into) ** 0.5,
        "The convolutions' standard deviation is √(2/fan_in). It should be √(2/fan_out), which keeps the gradient's "
        'size on its way back: pass `mode="fan_out"`.',
    ),
    "xavier-not-kaiming": (
        lambda fan: (2 / (fan.into + fan.out)) ** 0.5,
        "The convolutions' standard deviation is Xavier's, √(2/(fan_in + fan_out)). It takes no ReLU into account: "
        "use Kaiming's, √(2/fan_out).",
    ),
    "relu-gain-forgotten": (
        lambda fan: (1 / fan.out) ** 0.5,
        "The convolutions' standard deviation is √(1/fan_out). A ReLU loses half of the variance, so it should be "
        '√(2/fan_out): pass `nonlinearity="relu"`.',
    ),
    "fan-in-and-gain-forgotten": (
        lambda fan: (1 / fan.into) ** 0.5,
        "The convolutions' standard deviation is √(1/fan_in). It should be √(2/fan_out): fan_out keeps the gradient's "
        "size, and the 2 makes up for the ReLU.",
    ),
    "spread-is-variance": (
        lambda fan: 2 / fan.out,
        "The convolutions' standard deviation is 2/fan_out: that is the variance. Take its root.",
    ),
    "kernel-area-forgotten": (
        lambda fan: (2 / fan.channels) ** 0.5,
        "The convolutions' standard deviation is √(2/out_channels). fan_out is out_channels times the area of the "
        "kernel: 9 times as much for a 3×3.",
    ),
    "kernel-side-once": (
        lambda fan: (2 / (fan.channels * fan.side)) ** 0.5,
        "The convolutions' standard deviation is √(2/(out_channels·k)) for a k×k kernel. fan_out counts height and "
        "width: out_channels·k·k.",
    ),
    "pytorchs-own-spread": (
        lambda fan: (1 / (3 * fan.into)) ** 0.5,
        "The convolutions' standard deviation is √(1/(3·fan_in)), which is PyTorch's own start. Draw them with "
        "√(2/fan_out).",
    ),
    "fixed-spread": (
        lambda fan: 0.01,
        "Every convolution has the same standard deviation. It depends on the layer's size: √(2/fan_out).",
    ),
}
START_SLIPS = (
    *(Slip(name, message) for name, (_, message) in _SPREADS.items()),
    Slip(
        "convolutions-untouched",
        "The convolutions' weights have not changed. Draw them anew, in place: `nn.init.kaiming_normal_(….weight, …)`.",
    ),
    Slip(
        "some-convolutions-untouched",
        "Some convolutions' weights have not changed. Go through all modules of the model, however deep: "
        "`model.modules()`.",
    ),
    Slip(
        "only-top-level",
        "Only the modules at the top level of the model are reached, and none inside them. Go through all modules, "
        "however deep: `model.modules()`.",
    ),
    Slip(
        "uniform-not-normal",
        "The convolutions' weights are uniform between two bounds. Draw them from a normal distribution: "
        "`nn.init.kaiming_normal_`.",
    ),
    Slip(
        "orthogonal-not-normal",
        "The filters of each convolution are orthogonal to each other. Draw them from a normal distribution: "
        "`nn.init.kaiming_normal_`.",
    ),
    Slip(
        "constant-weights",
        "All weights of a convolution are equal, so all its filters learn the same. Draw them at random.",
    ),
    Slip(
        "same-numbers",
        "Two convolutions of one shape have the same numbers. Random numbers repeat where the seed is set again, as "
        "with `torch.manual_seed(…)` inside a loop: leave that out.",
    ),
    Slip(
        "linear-changed",
        "The linear layer has changed. It keeps PyTorch's own start: draw only the convolutions anew.",
    ),
    Slip("batch-norms-untouched", "The batch norms have not changed. Set their `weight` to 1 and their `bias` to 0."),
    Slip(
        "some-batch-norms-untouched",
        "Some batch norms have not changed. Go through all modules of the model, however deep: `model.modules()`.",
    ),
    Slip("batch-norm-scale-zero", "The batch norms' `weight` is 0, so nothing gets through. Set it to 1."),
    Slip(
        "batch-norm-scale-not-one",
        "The batch norms' `weight` is not 1. Set it to 1, so that they start by normalizing only.",
    ),
    Slip(
        "batch-norm-shift-not-zero",
        "The batch norms' `bias` is not 0. Set it to 0, so that they start by normalizing only.",
    ),
    Slip("off-center", "The convolutions' weights have a mean far from 0. Draw them around 0."),
    Slip("not-finite", "Some weights are not finite (NaN or infinity)."),
    Slip(
        "copy-changed",
        "The model that was handed over is as it was: a copy was changed, and returned. Leave out the copy and change "
        "`model` itself.",
    ),
    Slip(
        "bias-is-none",
        "A convolution in this model has no bias: its `bias` is None, and None cannot be set. Ask first, `if ….bias is "
        "not None`.",
    ),
    Slip("in-place-under-autograd", IN_PLACE),
)


def _start_model(bias: bool = False) -> nn.Module:
    """Five convolutions whose fan-in and fan-out differ, two of them of one shape, and all but one inside."""
    deep = nn.Sequential(
        nn.Conv2d(16, 48, 3, bias=bias), nn.BatchNorm2d(48), nn.ReLU(), nn.Conv2d(48, 16, 3, bias=bias)
    )
    inside = nn.Sequential(
        nn.Conv2d(48, 16, 3, bias=bias), nn.BatchNorm2d(16), nn.ReLU(), deep, nn.Conv2d(16, 120, 3, bias=bias)
    )
    model = nn.Sequential(
        nn.Conv2d(3, 48, 5, bias=bias),
        nn.BatchNorm2d(48),
        inside,
        nn.BatchNorm2d(120),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(120, 7),
    )
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.uniform_(0.2, 0.3)  # like no known start
            elif isinstance(module, nn.BatchNorm2d):
                module.weight.fill_(0.37)
                module.bias.fill_(0.21)
    return model


def _start_error(trials: Trials, trouble: LearnerError) -> Told | None:
    """Whether the error comes from a bias that is None: it is gone where the convolutions have one."""
    if "NoneType" not in str(trouble.error):
        return None
    model = _start_model(bias=True)
    try:
        attempt("call", lambda: trials.theirs(model))
    except LearnerError as other:
        if "NoneType" in str(other.error):
            return None
    return "bias-is-none", trials.stopped(trouble, trials.slip("bias-is-none").message)


START = Effect(
    "init_weights",
    "init_weights(model)",
    {},
    lambda function, arguments: {},
    lambda slips, model: start_with(*slips)(model),
    START_SLIPS,
    "Convolutions start from N(0, 2/fan_out), batch norms from 1 and 0.",
    "",
    error=_start_error,
)


def judge_start(theirs: Any) -> Verdict:
    """The verdict on a learner's ``init_weights(model)``."""
    torch.manual_seed(0)
    wrong = words.not_callable(theirs, START.signature)
    if wrong is not None:
        return failed(wrong, "not-a-function")
    trials = Trials(START, theirs, in_their_names(START_SLIPS, START.signature, theirs))
    model = _start_model()
    before = state_of(model)
    try:
        returned = attempt("call", lambda: theirs(model))
    except LearnerError as trouble:
        return told_of([error_told(trials, trouble)])
    changed = changed_copy(returned, model, before)
    names = [] if changed is None else ["copy-changed"]
    names += _start_mistakes(model if changed is None else changed, before)
    if not names:
        return passed(START.passed)
    known = {slip.name: slip.message for slip in trials.known}
    # What is no known name is a sentence of its own.
    return told_of([(name, known[name]) if name in known else (None, name) for name in names])


def _start_mistakes(model: nn.Module, before: Mapping[str, Tensor]) -> list[str]:
    if not all(compare.finite(t) for t in model.state_dict().values()):
        return ["not-finite"]
    convs = {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    drawn = {name: m for name, m in convs.items() if _differs(name, m, before)}
    written = {name: m for name, m in norms.items() if _differs(name, m, before)}
    top = {name for name, _ in model.named_children()}
    if drawn.keys() == convs.keys() & top and written.keys() == norms.keys() & top:
        found = ["only-top-level"]
    else:
        found = (
            [] if len(drawn) == len(convs) else ["some-convolutions-untouched" if drawn else "convolutions-untouched"]
        )
        if len(written) < len(norms):
            found.append("some-batch-norms-untouched" if written else "batch-norms-untouched")
    if drawn:
        found += _convolutions([m.weight.detach().double() for m in drawn.values()])
    if written:
        found += _batch_norms(list(written.values()))
    if any(_differs(name, m, before) for name, m in model.named_modules() if isinstance(m, nn.Linear)):
        found.append("linear-changed")
    return found


def _differs(name: str, module: nn.Module, before: Mapping[str, Tensor]) -> bool:
    now = {f"{name}.{key}": parameter for key, parameter in module.named_parameters()}
    return not all(key in before and compare.same(value, before[key]) for key, value in now.items())


def _convolutions(weights: Sequence[Tensor]) -> list[str]:
    spreads = [float(w.std()) for w in weights]
    if max(spreads) < 1e-9:
        return ["constant-weights"]
    if all(_orthogonal(w.flatten(1)) for w in weights):
        return ["orthogonal-not-normal"]
    found = []
    if any(a.shape == b.shape and compare.same(a, b) for a, b in combinations(weights, 2)):
        found.append("same-numbers")
    fans = [_Fans.of(w) for w in weights]
    right = [fan.right for fan in fans]
    if any(abs(float(w.mean())) > 0.2 * s for w, s in zip(weights, right, strict=True)):
        found.append("off-center")
    if all(_uniform(w) for w in weights):
        found.append("uniform-not-normal")
    if not _close(spreads, right):
        known = (name for name, (spread, _) in _SPREADS.items() if _close(spreads, [spread(fan) for fan in fans]))
        fixed = len(spreads) > 1 and _close(spreads, [spreads[0]] * len(spreads))
        measured = ", ".join(f"{s:.4f}" for s in spreads)
        wanted = ", ".join(f"{s:.4f}" for s in right)
        found.append(
            "fixed-spread"
            if fixed
            else next(known, None)
            or f"The convolutions' standard deviations are {measured}; √(2/fan_out) gives {wanted}. Compare the two "
            "for one layer by hand."
        )
    return found


def _uniform(w: Tensor) -> bool:
    centered = w - w.mean()
    return float((centered**4).mean() / (centered**2).mean() ** 2) < 2.2  # 3 if normal, 1.8 if uniform


def _orthogonal(rows: Tensor) -> bool:
    rows = rows if rows.shape[0] <= rows.shape[1] else rows.T
    products = rows @ rows.T
    lengths = products.diagonal()
    return float((products - lengths.diag()).abs().max()) < 1e-3 * float(lengths.min())


def _close(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(abs(x / y - 1) < 0.06 for x, y in zip(a, b, strict=True))


def _batch_norms(norms: Sequence[nn.BatchNorm2d]) -> list[str]:
    scale = torch.cat([m.weight.detach() for m in norms])
    shift = torch.cat([m.bias.detach() for m in norms])
    ones = torch.ones_like(scale)
    found = []
    if compare.same(scale, 0 * ones):
        found.append("batch-norm-scale-zero")
    elif not compare.same(scale, ones):
        found.append("batch-norm-scale-not-one")
    if not compare.same(shift, 0 * ones):
        found.append("batch-norm-shift-not-zero")
    return found


def start_with(*slips: str) -> Callable[[nn.Module], nn.Module | None]:
    """The reference of ``init_weights`` with known slips made."""

    def start(model: nn.Module) -> nn.Module | None:
        changed = copy.deepcopy(model) if "copy-changed" in slips else model
        modules = list(changed.children() if "only-top-level" in slips else changed.modules())
        for number, conv in enumerate(m for m in modules if isinstance(m, nn.Conv2d)):
            if "bias-is-none" in slips:
                nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            if "convolutions-untouched" in slips or ("some-convolutions-untouched" in slips and number):
                continue
            _draw(conv.weight if "in-place-under-autograd" in slips else conv.weight.data, slips)
        for number, norm in enumerate(m for m in modules if isinstance(m, nn.BatchNorm2d)):
            if "batch-norms-untouched" in slips or ("some-batch-norms-untouched" in slips and number):
                continue
            norm.weight.data.fill_(1.0)
            norm.bias.data.fill_(0.0)
            if "in-place-under-autograd" in slips:
                norm.weight.fill_(1.0)
            if "batch-norm-scale-zero" in slips:
                norm.weight.data.zero_()
            if "batch-norm-scale-not-one" in slips:
                norm.weight.data.normal_(1, 0.1)
            if "batch-norm-shift-not-zero" in slips:
                norm.bias.data.fill_(1.0)
        if "linear-changed" in slips:
            for linear in (m for m in modules if isinstance(m, nn.Linear)):
                linear.weight.data.normal_(0, 0.01)
        return changed

    return start


def _draw(w: Tensor, slips: Sequence[str]) -> None:
    """Random numbers for one convolution, with known slips made."""
    if "same-numbers" in slips:
        torch.manual_seed(0)
    fan = _Fans.of(w)
    spread = next((spread(fan) for name, (spread, _) in _SPREADS.items() if name in slips), fan.right)
    bound = 3**0.5 * spread
    w.uniform_(-bound, bound) if "uniform-not-normal" in slips else w.normal_(0, spread)
    if "orthogonal-not-normal" in slips:
        nn.init.orthogonal_(w)
    if "off-center" in slips:
        w.add_(spread)
    if "constant-weights" in slips:
        w.fill_(spread)
    if "not-finite" in slips:
        w.fill_(float("nan"))
