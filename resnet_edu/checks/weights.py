"""Checks of functions that work on finished modules: how weights start, are folded, and are loaded.

What a function leaves behind, a state or an error, is held against what the reference leaves behind,
and against the reference with one known slip or two. How weights start is random, so there the
spread is measured.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks import compare, words
from resnet_edu.checks.contract import Slip
from resnet_edu.checks.judge import Verdict, failed, passed
from resnet_edu.checks.naming import in_their_names
from resnet_edu.checks.observe import LearnerError, attempt
from resnet_edu.resnet import ResNet

_conv2d, _batch_norm, _zeros = F.conv2d, F.batch_norm, torch.zeros

#: What a call left behind, by name; an error is the string "error".
Outcome = dict[str, Tensor | str]


@dataclass(frozen=True)
class Effect:
    """A function that is judged by what it leaves behind."""

    name: str
    signature: str
    #: Each makes the arguments anew; its name says when a difference shows.
    scenes: Mapping[str, Callable[[], tuple[Any, ...]]]
    #: Calls a function on a scene's arguments and collects what it left behind.
    outcome: Callable[[Callable[..., Any], tuple[Any, ...]], Outcome]
    reference: Callable[..., Any]  # reference(slips, *arguments)
    slips: tuple[Slip, ...]
    passed: str
    #: What to look at where no known slip explains the difference.
    advice: str


def judge_effect(effect: Effect, theirs: Any) -> Verdict:
    """The verdict on a learner's function."""
    torch.manual_seed(0)
    wrong = words.not_callable(theirs, effect.signature)
    if wrong is not None:
        return failed(wrong, "not-a-function")
    got: dict[str, Outcome] = {}
    for scene, make in effect.scenes.items():
        arguments = make()
        try:
            got[scene] = attempt("call", lambda arguments=arguments: effect.outcome(theirs, arguments))  # type: ignore[misc]
        except LearnerError as trouble:
            return failed(*words.raised(trouble, theirs, effect.signature, effect.signature))
    right = _outcomes(effect, frozenset())
    different = [scene for scene in got if not _alike(got[scene], right[scene])]
    if not different:
        return passed(effect.passed)
    scene = different[0]
    known = in_their_names(effect.slips, effect.signature, theirs)
    for slips in (*combinations(known, 1), *combinations(known, 2)):
        made = _outcomes(effect, frozenset(slip.name for slip in slips))
        if all(_alike(got[name], made[name]) for name in got):
            if len(slips) == 1:
                return failed(f"{slips[0].message}\nIt shows {scene}.", slips[0].name)
            listed = "\n".join(f"{number}. {slip.message}" for number, slip in enumerate(slips, start=1))
            return failed(f"Two things at once.\n{listed}\nIt shows {scene}.", *(slip.name for slip in slips))
    if got[scene].get("result") == "nothing":
        return failed("It returned nothing. Write the missing part, and end with `return`.", "not-written")
    return failed(
        f"I do not recognize this one. It differs first {scene}: {_apart(got[scene], right[scene])}. {effect.advice}"
    )


def _outcomes(effect: Effect, slips: frozenset[str]) -> dict[str, Outcome]:
    return {
        scene: effect.outcome(lambda *arguments: effect.reference(slips, *arguments), make())
        for scene, make in effect.scenes.items()
    }


def _alike(a: Outcome, b: Outcome) -> bool:
    return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)


def _same(a: Tensor | str, b: Tensor | str) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return compare.same(a, b)
    return isinstance(a, str) and isinstance(b, str) and a == b


def _apart(got: Outcome, right: Outcome) -> str:
    for key, value in right.items():
        mine = got.get(key)
        if mine is None:
            return f"{key} is missing"
        if not _same(mine, value):
            if isinstance(mine, Tensor) and isinstance(value, Tensor):
                if mine.shape != value.shape:
                    return f"{key} has shape {words.shape(mine.shape)}, expected {words.shape(value.shape)}"
                return f"{key} is off by up to {compare.difference(mine, value):.2g} (relative)"
            return f"{key} is {_brief(mine)}, expected {_brief(value)}"
    return "something is there that should not be"


def _brief(value: Tensor | str) -> str:
    return value if isinstance(value, str) else f"a tensor of shape {words.shape(value.shape)}"


def _randomized(module: nn.Module, seed: int) -> nn.Module:
    """Random numbers in every weight and statistic."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                numbers = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.copy_(0.5 + numbers if name.endswith("var") else 2 * numbers - 0.7)
    return module


# ---- folding ---------------------------------------------------------------------------------------------------------


def _fold_scene(bias: bool, **settings: Any) -> Callable[[], tuple[Any, ...]]:
    def make() -> tuple[Any, ...]:
        conv = nn.Conv2d(4, 6, 3, bias=bias, **settings).double()
        bn = nn.BatchNorm2d(6, eps=1e-2).double().eval()
        return _randomized(conv, 3), _randomized(bn, 4)

    return make


def _fold_outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    conv, bn = arguments
    before = [t.clone() for t in (*conv.state_dict().values(), *bn.state_dict().values())]
    with torch.no_grad():
        folded = function(conv, bn)
        if folded is None or folded is Ellipsis:
            return {"result": "nothing"}
        if not callable(folded):
            return {"result": f"a {type(folded).__name__}"}
        x = torch.randn(2, 4, 9, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        out = folded.eval()(x) if isinstance(folded, nn.Module) else folded(x)
    after = [*conv.state_dict().values(), *bn.state_dict().values()]
    kept = compare.all_same(before, after) and len(before) == len(after)
    norms = isinstance(folded, nn.Module) and any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    return {
        "the output": out if isinstance(out, Tensor) else f"a {type(out).__name__}",
        "the batch norm": "still inside" if norms else "gone",
        "the given convolution and batch norm": "as before" if kept else "changed",
    }


def _fold(slips: frozenset[str], conv: nn.Conv2d, bn: nn.BatchNorm2d) -> nn.Module:
    mean, var, gamma, beta = bn.get_buffer("running_mean"), bn.get_buffer("running_var"), bn.weight, bn.bias
    if "nothing-folded" in slips:
        return copy.deepcopy(conv)
    if "batch-norm-kept" in slips:
        return nn.Sequential(conv, bn)
    eps = 0.0 if "eps-forgotten" in slips else bn.eps
    spread = var + eps if "variance-not-root" in slips else torch.sqrt(var + eps)
    if "eps-outside-root" in slips:
        spread = torch.sqrt(var) + bn.eps
    scale = 1 / spread if "gamma-forgotten" in slips else gamma / spread
    bias = conv.bias if conv.bias is not None and "conv-bias-forgotten" not in slips else _zeros(6).double()
    shift = bias * (1 if "conv-bias-not-scaled" in slips else scale)
    if "mean-forgotten" not in slips:
        shift = shift + mean * scale * (1 if "mean-added" in slips else -1) / (
            scale if "mean-not-scaled" in slips else 1
        )
    if "beta-forgotten" not in slips:
        shift = shift + beta
    if "bias-forgotten" in slips:
        shift = shift * 0
    folded = conv if "changes-its-arguments" in slips else copy.deepcopy(conv)
    if "settings-lost" in slips:
        folded = nn.Conv2d(4, 6, 3).double()
        if conv.groups != 1:
            raise ValueError("the shapes do not fit")
    if "weight-not-scaled" not in slips:
        folded.weight.data = conv.weight * scale.reshape(-1, 1, 1, 1)
    else:
        folded.weight.data = conv.weight.clone()
    folded.bias = nn.Parameter(shift)
    return folded


FOLD = Effect(
    "fold_conv_bn",
    "fold_conv_bn(conv, bn)",
    {
        "with a convolution without bias": _fold_scene(False, stride=2, padding=1),
        "with a convolution that has a bias": _fold_scene(True, padding=2, dilation=2),
    },
    _fold_outcome,
    _fold,
    (
        Slip(
            "eps-forgotten",
            "The `eps` is forgotten: the batch norm divides by √(σ² + ε), so that it never divides by 0.",
        ),
        Slip("eps-outside-root", "The `eps` is added to the root. It belongs inside: √(σ² + ε)."),
        Slip("variance-not-root", "You divide by the variance. Divide by its root: √(σ² + ε)."),
        Slip("gamma-forgotten", "The scale γ, the batch norm's `weight`, is forgotten: s = γ / √(σ² + ε)."),
        Slip("beta-forgotten", "The shift β, the batch norm's `bias`, is forgotten: add it to the new bias."),
        Slip("mean-forgotten", "The mean is forgotten. The batch norm subtracts it, so the new bias is β − s·μ."),
        Slip("mean-added", "The mean is added. The batch norm subtracts it: the new bias is β − s·μ."),
        Slip("mean-not-scaled", "The mean is subtracted as it is. It is scaled with everything else: β − s·μ."),
        Slip(
            "conv-bias-forgotten",
            "The convolution's own bias is lost. Where there is one, it is scaled too: s·(bias − μ) + β.",
        ),
        Slip(
            "conv-bias-not-scaled",
            "The convolution's own bias is added as it is. It passes the batch norm too: s·(bias − μ) + β.",
        ),
        Slip("weight-not-scaled", "The convolution's weight is unchanged. Multiply each output channel's filter by s."),
        Slip("bias-forgotten", "The new convolution has no bias. What the batch norm adds must go there: β − s·μ."),
        Slip(
            "settings-lost",
            "The new convolution has lost the stride, the padding or the dilation of the old one. Copy the old one, "
            "or pass all of them on.",
        ),
        Slip(
            "changes-its-arguments",
            "The convolution that was handed over is changed. Whoever still uses it gets wrong numbers: work on a "
            "copy.",
        ),
        Slip(
            "nothing-folded",
            "This is the convolution as it was; the batch norm's work is lost. Put s = γ / √(σ² + ε) into its weight "
            "and s·(bias − μ) + β into its bias.",
        ),
        Slip(
            "batch-norm-kept",
            "The batch norm is still there, behind the convolution. Its work must go into the weights.",
        ),
    ),
    "Your convolution computes what both computed, and the originals are untouched.",
    "Write s = γ / √(σ² + ε), then weight ← s·weight and bias ← s·(bias − μ) + β, and compare line by line.",
)


# ---- zero-init -------------------------------------------------------------------------------------------------------


def _net(block: Any) -> Callable[[], tuple[Any, ...]]:
    return lambda: (_randomized(ResNet(block, (2, 1), 3, stem="cifar", widths=(4, 8)).double(), 6),)


def _state_outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    (model,) = arguments
    with torch.enable_grad():
        function(model)
    state: Outcome = {f"`{name}`": tensor.detach().clone() for name, tensor in model.state_dict().items()}
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    state["what learns"] = f"not {frozen[0]}" if frozen else "everything"
    return state


def _zero(slips: frozenset[str], model: nn.Module) -> None:
    if "nothing-changed" in slips:
        return
    seen = 0
    for module in model.modules():
        if not isinstance(module, BasicBlock | Bottleneck):
            continue
        seen += 1
        wide = isinstance(module, Bottleneck)
        norm: nn.Module = module.bn3 if isinstance(module, Bottleneck) else module.bn2
        if "only-basic-blocks" in slips and wide:
            continue
        if "only-bottlenecks" in slips and not wide:
            continue
        if "first-block-only" in slips and seen > 1:
            continue
        if "second-of-three" in slips and wide:
            norm = module.bn2
        if "first-not-last" in slips:
            norm = module.bn1
        targets = [norm]
        if "every-batch-norm-of-the-block" in slips:
            targets = [m for name, m in module.named_modules() if isinstance(m, nn.BatchNorm2d)]
        if "projection-too" in slips:
            targets = [norm, *(m for m in module.downsample.modules() if isinstance(m, nn.BatchNorm2d))]
        for target in targets:
            if not isinstance(target, nn.BatchNorm2d):
                continue
            if "shift-not-scale" in slips:
                target.bias.data.zero_()
            else:
                target.weight.data.fill_(1e-3 if "small-not-zero" in slips else 0.0)
            if "shift-too" in slips:
                target.bias.data.zero_()
            if "frozen" in slips:
                target.weight.requires_grad_(False)
        if "convolution-too" in slips:
            (module.conv3 if isinstance(module, Bottleneck) else module.conv2).weight.data.zero_()
    if "every-batch-norm" in slips:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.data.zero_()


ZERO = Effect(
    "zero_init_residual",
    "zero_init_residual(model)",
    {"in a network of basic blocks": _net(BasicBlock), "in a network of bottlenecks": _net(Bottleneck)},
    _state_outcome,
    _zero,
    (
        Slip(
            "nothing-changed",
            "The model that was handed over has not changed. Change it in place, for instance with "
            "`nn.init.zeros_(….weight)`.",
        ),
        Slip(
            "first-not-last",
            "The first batch norm of each block is set to 0. It must be the last one before the addition.",
        ),
        Slip(
            "second-of-three",
            "In a bottleneck the second batch norm is set to 0. It has three: the last one before the addition is the "
            "third.",
        ),
        Slip("only-basic-blocks", "Bottlenecks are left out. Set their third batch norm's `weight` to 0."),
        Slip("only-bottlenecks", "Basic blocks are left out. Set their second batch norm's `weight` to 0."),
        Slip(
            "every-batch-norm",
            "Every batch norm of the network is set to 0, so nothing gets through at all, and no gradient comes back. "
            "Set only the last one of each block.",
        ),
        Slip(
            "every-batch-norm-of-the-block",
            "Every batch norm of a block is set to 0, so no gradient reaches its convolutions. Set only the last one.",
        ),
        Slip(
            "projection-too",
            "The projection's batch norm is set to 0 too, so nothing gets through such a block. Set only the last one "
            "of the main path.",
        ),
        Slip("shift-not-scale", "The shift β (`bias`) is set to 0. Set the scale γ (`weight`) instead."),
        Slip(
            "shift-too",
            "The shift β (`bias`) is set to 0 as well. Leave it as it is: only the scale γ (`weight`) changes.",
        ),
        Slip(
            "first-block-only",
            "Only the first block is changed. Go through all modules of the model: `model.modules()`.",
        ),
        Slip(
            "convolution-too",
            "The last convolution's weights are set to 0 as well. Then neither it nor γ ever gets a gradient.",
        ),
        Slip("small-not-zero", "γ is small but not 0, so a block does not start as its shortcut exactly. Set it to 0."),
        Slip("frozen", "γ is 0 and cannot learn: its `requires_grad` is off. Change the numbers, not the parameter."),
    ),
    "Each block starts as its shortcut, and everything else is as before.",
    "Only the `weight` of the last batch norm before each addition may change.",
)


# ---- loading ---------------------------------------------------------------------------------------------------------


def _small(classes: int = 3) -> nn.Module:
    return _randomized(ResNet(BasicBlock, (1, 1), classes, stem="cifar", widths=(4, 8)), 8)


def _loading(kind: str) -> Callable[[], tuple[Any, ...]]:
    def make() -> tuple[Any, ...]:
        state = {name: t.clone() for name, t in _randomized(_small(), 9).state_dict().items()}
        if kind == "shuffled":
            state = dict(sorted(state.items(), reverse=True))
        if kind == "missing":
            del state["layer2.0.bn2.weight"]
        if kind == "extra":
            state["layer3.0.conv1.weight"] = torch.ones(2)
        if kind == "shape":
            state["fc.weight"], state["fc.bias"] = torch.ones(5, 8), torch.ones(5)
        return _small(), state

    return make


def _load_outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    model, state = arguments
    names = list(state)
    try:
        function(model, state)
    except (ValueError, RuntimeError, KeyError, AssertionError):
        return {"the call": "an error"}
    found: Outcome = {f"`{name}`": tensor.detach().clone() for name, tensor in model.state_dict().items()}
    found["the state dict"] = "as before" if list(state) == names else "changed"
    return found


def _load(slips: frozenset[str], model: nn.Module, state: dict[str, Tensor]) -> None:
    if "nothing-loaded" in slips:
        return
    own = model.state_dict()
    given = dict(state)
    if "by-position" in slips:
        if len(given) != len(own):
            raise ValueError("another number of tensors")
        given = dict(zip(own, given.values(), strict=True))
    if "classifier-skipped" in slips:
        given = {name: t for name, t in given.items() if not name.startswith("fc.")}
        given.update({name: t for name, t in own.items() if name.startswith("fc.")})
    if "statistics-forgotten" in slips:
        given.update({name: t for name, t in own.items() if "running" in name or "tracked" in name})
    if "changes-the-state-dict" in slips:
        state.pop("fc.weight", None)
    if "other-shapes-skipped" in slips:
        for name, t in own.items():
            if name in given and given[name].shape != t.shape:
                given[name] = t
    strict_missing, strict_extra = "missing-ignored" not in slips, "extra-ignored" not in slips
    if "not-strict" in slips:
        strict_missing = strict_extra = False
    missing, extra = own.keys() - given.keys(), given.keys() - own.keys()
    if (missing and strict_missing) or (extra and strict_extra):
        raise ValueError(f"{sorted(missing)} missing, {sorted(extra)} left over")
    model.load_state_dict({name: t for name, t in given.items() if name in own}, strict=False)


LOAD = Effect(
    "load_torchvision",
    "load_torchvision(model, state_dict)",
    {
        "with weights that fit": _loading("right"),
        "with the same weights in another order": _loading("shuffled"),
        "with a weight missing": _loading("missing"),
        "with a weight left over": _loading("extra"),
        "with a classifier of another shape": _loading("shape"),
    },
    _load_outcome,
    _load,
    (
        Slip(
            "nothing-loaded", "The model's weights have not changed. Load the state dict into the model that was given."
        ),
        Slip(
            "not-strict",
            "Weights that are missing or left over pass in silence (`strict=False`), and part of the model stays "
            "random without a word. Load with `strict=True`.",
        ),
        Slip(
            "missing-ignored",
            "A missing weight passes in silence, and that part of the model stays random. Raise an error.",
        ),
        Slip(
            "extra-ignored",
            "Weights that the model has no place for are dropped in silence. Raise an error: it is another "
            "architecture.",
        ),
        Slip(
            "other-shapes-skipped",
            "A weight of another shape is skipped in silence, and that part of the model stays random. Raise an error.",
        ),
        Slip(
            "by-position",
            "The weights are matched by their position. Match them by name: another order must give the same model.",
        ),
        Slip(
            "statistics-forgotten",
            "The batch norms' running means and variances are not loaded: they are buffers, not parameters. Go by the "
            "state dict, which has both.",
        ),
        Slip("classifier-skipped", "The classifier's weights are not loaded. Load everything."),
        Slip(
            "changes-the-state-dict",
            "The state dict that was handed over is changed. Work on a copy: `dict(state_dict)`.",
        ),
    ),
    "The weights go in by name, and whatever does not fit is an error.",
    "`model.load_state_dict(state_dict, strict=True)` does it in one line.",
)


# ---- how weights start -----------------------------------------------------------------------------------------------

_SPREADS: dict[str, tuple[Callable[[int, int], float], str]] = {
    "fan-in-not-fan-out": (
        lambda i, o: (2 / i) ** 0.5,
        "The convolutions' standard deviation is √(2/fan_in). It should be √(2/fan_out), which keeps the gradient's "
        'size on its way back: pass `mode="fan_out"`.',
    ),
    "xavier-not-kaiming": (
        lambda i, o: (2 / (i + o)) ** 0.5,
        "The convolutions' standard deviation is Xavier's, √(2/(fan_in + fan_out)). It takes no ReLU into account: "
        "use Kaiming's, √(2/fan_out).",
    ),
    "relu-gain-forgotten": (
        lambda i, o: (1 / o) ** 0.5,
        "The convolutions' standard deviation is √(1/fan_out). A ReLU loses half of the variance, so it should be "
        '√(2/fan_out): pass `nonlinearity="relu"`.',
    ),
    "fan-in-and-gain-forgotten": (
        lambda i, o: (1 / i) ** 0.5,
        "The convolutions' standard deviation is √(1/fan_in). It should be √(2/fan_out): fan_out keeps the gradient's "
        "size, and the 2 makes up for the ReLU.",
    ),
    "spread-is-variance": (
        lambda i, o: 2 / o,
        "The convolutions' standard deviation is 2/fan_out: that is the variance. Take its root.",
    ),
    "fixed-spread": (
        lambda i, o: 0.01,
        "Every convolution has a standard deviation of 0.01. It depends on the layer: √(2/fan_out).",
    ),
}
_START_MESSAGES = {
    **{name: message for name, (_, message) in _SPREADS.items()},
    "fixed-spread": "Every convolution has the same standard deviation. It depends on the layer's size: √(2/fan_out).",
    "convolutions-untouched": "The convolutions' weights have not changed. Draw them anew, in place: "
    "`nn.init.kaiming_normal_(….weight, …)`.",
    "some-convolutions-untouched": "Some convolutions' weights have not changed. Go through all modules of the model, "
    "however deep: "
    "`model.modules()`.",
    "uniform-not-normal": "The convolutions' weights are uniform between two bounds. Draw them from a normal "
    "distribution: "
    "`nn.init.kaiming_normal_`.",
    "constant-weights": "All weights of a convolution are equal, so all its filters learn the same. Draw them "
    "at random.",
    "batch-norms-untouched": "The batch norms have not changed. Set their `weight` to 1 and their `bias` to 0.",
    "batch-norm-scale-zero": "The batch norms' `weight` is 0, so nothing gets through. Set it to 1.",
    "batch-norm-scale-not-one": "The batch norms' `weight` is not 1. Set it to 1, so that they start by "
    "normalizing only.",
    "batch-norm-shift-not-zero": "The batch norms' `bias` is not 0. Set it to 0, so that they start by "
    "normalizing only.",
    "off-center": "The convolutions' weights have a mean far from 0. Draw them around 0.",
    "not-finite": "Some weights are not finite (NaN or infinity).",
}


def _start_model() -> nn.Module:
    """Three convolutions whose fan-in and fan-out differ, two of them deep inside."""
    deep = nn.Sequential(
        nn.Conv2d(48, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 120, 3, bias=False)
    )
    model = nn.Sequential(
        nn.Conv2d(3, 48, 9, bias=False),
        nn.BatchNorm2d(48),
        nn.Sequential(deep),
        nn.BatchNorm2d(120),
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


def judge_start(theirs: Any) -> Verdict:
    """The verdict on a learner's ``init_weights(model)``."""
    torch.manual_seed(0)
    signature = "init_weights(model)"
    wrong = words.not_callable(theirs, signature)
    if wrong is not None:
        return failed(wrong, "not-a-function")
    model = _start_model()
    before = {id(m): m.weight.detach().clone() for m in model.modules() if isinstance(m, nn.Conv2d)}
    try:
        attempt("call", lambda: theirs(model))
    except LearnerError as trouble:
        return failed(*words.raised(trouble, theirs, signature, signature))
    if not all(compare.finite(t) for t in model.state_dict().values()):
        return failed(_START_MESSAGES["not-finite"], "not-finite")
    names = [*_convolutions(model, before), *_batch_norms(model)]
    if not names:
        return passed("Convolutions start from N(0, 2/fan_out), batch norms from 1 and 0.")
    told = [_START_MESSAGES.get(name, name) for name in names]
    text = (
        told[0] if len(told) == 1 else "Several things.\n" + "\n".join(f"{i}. {t}" for i, t in enumerate(told, start=1))
    )
    return failed(text, *(name for name in names if name in _START_MESSAGES))


def _convolutions(model: nn.Module, before: Mapping[int, Tensor]) -> list[str]:
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    kept = [compare.same(m.weight, before[id(m)]) for m in convs]
    if all(kept):
        return ["convolutions-untouched"]
    if any(kept):
        return ["some-convolutions-untouched"]
    weights = [m.weight.detach().double() for m in convs]
    spreads = [float(w.std()) for w in weights]
    if max(spreads) < 1e-9:
        return ["constant-weights"]
    found = []
    fans = [(w[0].numel(), w.shape[0] * w[0, 0].numel()) for w in weights]
    right = [(2 / o) ** 0.5 for _, o in fans]
    if any(abs(float(w.mean())) > 0.2 * s for w, s in zip(weights, right, strict=True)):
        found.append("off-center")
    if all(_uniform(w) for w in weights):
        found.append("uniform-not-normal")
    if not _close(spreads, right):
        known = (name for name, (spread, _) in _SPREADS.items() if _close(spreads, [spread(i, o) for i, o in fans]))
        same = "fixed-spread" if _close(spreads, [spreads[0]] * len(spreads)) else None
        measured = ", ".join(f"{s:.4f}" for s in spreads)
        wanted = ", ".join(f"{s:.4f}" for s in right)
        found.append(
            same
            or next(known, None)
            or f"The convolutions' standard deviations are {measured}; √(2/fan_out) gives {wanted}. Compare the "
            f"two for "
            "one layer by hand."
        )
    return found


def _uniform(w: Tensor) -> bool:
    centerd = w - w.mean()
    return float((centerd**4).mean() / (centerd**2).mean() ** 2) < 2.2  # 3 for a normal distribution, 1.8 for a uniform


def _close(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(abs(x / y - 1) < 0.06 for x, y in zip(a, b, strict=True))


def _batch_norms(model: nn.Module) -> list[str]:
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    scale = torch.cat([m.weight.detach() for m in norms])
    shift = torch.cat([m.bias.detach() for m in norms])
    ones = torch.ones_like(scale)
    if compare.same(scale, 0.37 * ones) and compare.same(shift, 0.21 * ones):
        return ["batch-norms-untouched"]
    found = []
    if compare.same(scale, 0 * ones):
        found.append("batch-norm-scale-zero")
    elif not compare.same(scale, ones):
        found.append("batch-norm-scale-not-one")
    if not compare.same(shift, 0 * ones):
        found.append("batch-norm-shift-not-zero")
    return found


START_SLIPS = tuple(Slip(name, message) for name, message in _START_MESSAGES.items())


def start_with(*slips: str) -> Callable[[nn.Module], None]:
    """The reference of ``init_weights`` with known slips made."""

    def start(model: nn.Module) -> None:
        convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
        for number, conv in enumerate(convs):
            if "convolutions-untouched" in slips or ("some-convolutions-untouched" in slips and number):
                continue
            w = conv.weight.data
            fan_in, fan_out = w[0].numel(), w.shape[0] * w[0, 0].numel()
            spread = next((_SPREADS[s][0](fan_in, fan_out) for s in slips if s in _SPREADS), (2 / fan_out) ** 0.5)
            bound = 3**0.5 * spread
            w.uniform_(-bound, bound) if "uniform-not-normal" in slips else w.normal_(0, spread)
            if "off-center" in slips:
                w.add_(spread)
            if "constant-weights" in slips:
                w.fill_(spread)
            if "not-finite" in slips:
                w.fill_(float("nan"))
        for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
            if "batch-norms-untouched" in slips:
                continue
            norm.weight.data.fill_(1.0)
            norm.bias.data.fill_(0.0)
            if "batch-norm-scale-zero" in slips:
                norm.weight.data.zero_()
            if "batch-norm-scale-not-one" in slips:
                norm.weight.data.normal_(1, 0.1)
            if "batch-norm-shift-not-zero" in slips:
                norm.bias.data.fill_(1.0)

    return start
