"""The check of ``fold_conv_bn``: a batch norm's work moved into the convolution before it."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks import compare, words
from resnet_edu.checks.contract import Slip
from resnet_edu.checks.effects import Effect, Outcome, Told, Trials, randomized, same, shared
from resnet_edu.checks.observe import LearnerError, attempt

_SETTINGS = ("stride", "padding", "dilation", "groups")
_GROUPED, _RECTANGULAR = "with a grouped convolution", "with a rectangular convolution"


def _fold_scene(bias: bool, kernel: Any = 3, **settings: Any) -> Callable[[], tuple[Any, ...]]:
    def make() -> tuple[Any, ...]:
        conv, bn = nn.Conv2d(4, 6, kernel, bias=bias, **settings), nn.BatchNorm2d(6, eps=1e-2)
        randomized(conv, 3)
        randomized(bn, 4).get_buffer("running_var")[0] = 1e-3  # where any eps makes a difference
        return conv.eval(), bn.eval()

    return make


def _fold_outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    conv, bn = arguments
    before = [t.clone() for t in (*conv.state_dict().values(), *bn.state_dict().values())]
    settings = {name: getattr(conv, name) for name in _SETTINGS}
    with torch.enable_grad():
        folded = function(conv, bn)
    if folded is None or folded is Ellipsis:
        return {"result": "nothing"}
    if not callable(folded):
        return {"result": f"a {type(folded).__name__}"}
    after = [*conv.state_dict().values(), *bn.state_dict().values()]
    kept = compare.all_same(before, after) and len(before) == len(after)
    norms = isinstance(folded, nn.Module) and any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    found: Outcome = {}
    inner = _only_convolution(folded)
    if inner is not None:
        for name in [name for name in _SETTINGS if getattr(inner, name) != settings[name]]:
            found[f"!{name}"] = f"{getattr(inner, name)}, not {settings[name]}"
            setattr(inner, name, settings[name])  # so that the rest is judged by itself
        found["!weight"] = inner.weight.detach().clone()
        if inner.bias is not None:
            found["!bias"] = inner.bias.detach().clone()
    out = _ran(folded)
    return found | {
        "the output": out if isinstance(out, Tensor) else f"a {type(out).__name__}",
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


def _fold(slips: frozenset[str], conv: nn.Conv2d, bn: nn.BatchNorm2d) -> Any:
    with torch.no_grad():
        return _folded(slips, conv, bn)


def _folded(slips: frozenset[str], conv: nn.Conv2d, bn: nn.BatchNorm2d) -> Any:
    mean, var, gamma, beta = bn.get_buffer("running_mean"), bn.get_buffer("running_var"), bn.weight, bn.bias
    if "nothing-folded" in slips:
        return copy.deepcopy(conv)
    if "batch-norm-kept" in slips:
        return nn.Sequential(conv, bn)
    eps = 0.0 if "eps-forgotten" in slips else 1e-5 if "eps-hard-coded" in slips else bn.eps
    spread = var + eps if "variance-not-root" in slips else torch.sqrt(var + eps)
    if "eps-outside-root" in slips:
        spread = torch.sqrt(var) + eps
    scale = 1 / spread if "gamma-forgotten" in slips else gamma / spread
    if "bias-is-none" in slips:
        conv.bias.sub(mean)  # type: ignore[union-attr]
    bias = conv.bias if conv.bias is not None and "conv-bias-forgotten" not in slips else torch.zeros(conv.out_channels)
    shift = bias * (1 if "conv-bias-not-scaled" in slips else scale)
    if "mean-forgotten" not in slips:
        shift = shift + mean * scale * (1 if "mean-added" in slips else -1) / (
            scale if "mean-not-scaled" in slips else 1
        )
    if "beta-forgotten" not in slips:
        shift = shift + beta * (scale if "beta-scaled" in slips else 1)
    if "bias-scaled-twice" in slips:
        shift = shift * scale
    if "bias-forgotten" in slips or ("bias-only-where-one-was" in slips and conv.bias is None):
        shift = shift * 0
    folded = conv if "changes-its-arguments" in slips else copy.deepcopy(conv)
    weight = conv.weight * (1 if "weight-not-scaled" in slips else scale.reshape(-1, 1, 1, 1))
    if "weight-scaled-twice" in slips and "weight-not-scaled" not in slips:
        weight = weight * scale.reshape(-1, 1, 1, 1)
    if "tuple-returned" in slips:
        return weight, shift
    folded.weight = nn.Parameter(torch.randn_like(weight) if "weight-not-written" in slips else weight)
    folded.bias = nn.Parameter(torch.rand_like(shift) if "bias-not-written" in slips else shift)
    for name in _SETTINGS:
        if f"{name}-lost" in slips or "settings-lost" in slips:
            setattr(folded, name, _PLAIN[name])
        elif "only-first-of-the-pair" in slips and name != "groups":
            setattr(folded, name, (getattr(folded, name)[0],) * 2)
    return folded


_PLAIN: dict[str, Any] = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}


def _fold_seen(trials: Trials) -> list[Told]:
    """Settings that the new convolution has lost."""
    lost = {name: [scene for scene, outcome in trials.got.items() if f"!{name}" in outcome] for name in _SETTINGS}
    everywhere = [name for name in _SETTINGS if lost[name] not in ([], [_RECTANGULAR])]
    rectangular = [name for name in _SETTINGS if lost[name] == [_RECTANGULAR]]
    if len(everywhere) == len(_SETTINGS):
        return [("settings-lost", trials.slip("settings-lost").message)]
    told: list[Told] = []
    for name in everywhere:
        values = trials.got[lost[name][0]][f"!{name}"]
        told.append((f"{name}-lost", f"{trials.slip(f'{name}-lost').message} It has {values}."))
    if rectangular:
        values = ", ".join(f"{name} {trials.got[_RECTANGULAR][f'!{name}']}" for name in rectangular)
        slip = trials.slip("only-first-of-the-pair")
        told.append((slip.name, f"{slip.message} {_RECTANGULAR.capitalize()} yours has {values}."))
    return told


def _fold_error(trials: Trials, trouble: LearnerError) -> Told | None:
    """Errors that come with some convolutions only, and so tell what was not thought of."""
    text = str(trouble.error)
    bare = [scene for scene in trials.effect.scenes if shared(trials.effect.scenes[scene])[0].bias is None]
    of_none = [scene for scene, other in trials.troubles.items() if "NoneType" in str(other.error)]
    if of_none == bare and "NoneType" in text:
        return "bias-is-none", trials.stopped(trouble, trials.slip("bias-is-none").message)
    scenes = [scene for scene in trials.troubles if of_none != bare or scene not in of_none]
    alone = [scene for scene in (_GROUPED, _RECTANGULAR) if trials.troubles.get(scene) is trouble]
    if alone and set(scenes) <= {_GROUPED, _RECTANGULAR}:
        error = text.splitlines()[0] if text else ""
        line = words.at(words.where(trouble.error))
        name = "groups-lost" if alone == [_GROUPED] else "only-first-of-the-pair"
        cure = _GROUPS_CURE if alone == [_GROUPED] else _PAIR
        return name, trials.say(
            f"{alone[0].capitalize()} it stops with an error, and with a plain one it does not. Python says: "
            f"{type(trouble.error).__name__}: {error}. {cure}{line}"
        )
    if "must match the size of tensor b" in text:
        return "scale-not-reshaped", trials.stopped(
            trouble,
            f"Python says: {text}. If this is the weight times s: s has one number for each output channel, the first "
            "dimension of the weight. Give it the shape (out, 1, 1, 1), `s.reshape(-1, 1, 1, 1)`.",
        )
    return None


_GROUPS_CURE = "Hand the groups over, `groups=conv.groups`, or start from a copy, `copy.deepcopy(conv)`."
_PAIR = (
    "Kernel size, stride, padding and dilation are pairs, (height, width), and the two may differ. Hand over the whole "
    "pair, `conv.stride` and not `conv.stride[0]`."
)


def _fold_unknown(trials: Trials, scene: str) -> list[Told]:
    """Whether weight and bias were written at all, by a second call, and which of the two is right."""
    effect, got, right = trials.effect, trials.got[scene], trials.effect.made(frozenset(), scene)
    arguments = effect.scenes[scene]()
    try:
        again = attempt("call", lambda: effect.outcome(trials.theirs, arguments))
    except LearnerError:
        return []
    random = [key for key in ("!weight", "!bias") if key in got and key in again and not same(got[key], again[key])]
    names = [f"{key[1:]}-not-written" for key in random]
    if names:
        return [(name, trials.slip(name).message) for name in names]
    fine = [key for key in ("!weight", "!bias") if key in got and same(got[key], right[key])]
    if fine == ["!weight"] and "!bias" in got:
        where = "The new weight is right; the new bias does not equal s·(bias − μ) + β."
    elif fine == ["!bias"]:
        where = "The new bias is right; the new weight does not equal s·weight."
    elif "!weight" in got and "!bias" in got and not fine:
        where = "Neither the new weight nor the new bias is right, so look at s first: s = γ / √(σ² + ε)."
    else:
        return []
    return [(None, f"I do not recognize this one. {where} Compare each line of your code with the formula.")]


FOLD = Effect(
    "fold_conv_bn",
    "fold_conv_bn(conv, bn)",
    {
        "with a convolution without bias": _fold_scene(False, stride=2, padding=1),
        "with a convolution that has a bias": _fold_scene(True, padding=2, dilation=2),
        _GROUPED: _fold_scene(True, padding=1, groups=2),
        _RECTANGULAR: _fold_scene(False, kernel=(3, 5), stride=(2, 1), padding=(1, 4), dilation=(1, 2)),
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
        Slip("bias-forgotten", "The new bias is missing or 0. What the batch norm adds must go there: β − s·μ."),
        Slip(
            "settings-lost",
            "The new convolution has lost the stride, the padding, the dilation and the groups of the old one. Hand "
            "all of them over, or start from a copy, `copy.deepcopy(conv)`.",
        ),
        Slip(
            "stride-lost",
            "The new convolution has lost the stride of the old one. Hand it over, `conv.stride`, or start from a "
            "copy, `copy.deepcopy(conv)`.",
        ),
        Slip(
            "padding-lost",
            "The new convolution has lost the padding of the old one. Hand it over, `conv.padding`, or start from a "
            "copy, `copy.deepcopy(conv)`.",
        ),
        Slip(
            "dilation-lost",
            "The new convolution has lost the dilation of the old one. Hand it over, `conv.dilation`, or start from a "
            "copy, `copy.deepcopy(conv)`.",
        ),
        Slip(
            "groups-lost",
            f"The new convolution has lost the groups of the old one. {_GROUPS_CURE}",
        ),
        Slip(
            "only-first-of-the-pair",
            _PAIR,
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
        Slip(
            "eps-hard-coded",
            "The `eps` is 1e-5, whatever the batch norm's own is. Use the one it has: `bn.eps`.",
        ),
        Slip(
            "bias-scaled-twice",
            "The new bias is multiplied by s twice. Once is enough: s·(bias − μ) + β.",
        ),
        Slip(
            "weight-scaled-twice",
            "The weight is multiplied by s twice. Once is enough: s·weight.",
        ),
        Slip(
            "beta-scaled",
            "The shift β, the batch norm's `bias`, is multiplied by s too. It is added last: s·(bias − μ) + β.",
        ),
        Slip(
            "bias-only-where-one-was",
            "Where the old convolution has no bias, the new one's is missing or 0. It needs one in any case, for what "
            "the batch norm adds: `bias=True`.",
        ),
        Slip(
            "bias-not-written",
            "The new convolution's bias is not written: it keeps the random numbers that it was made with. Put "
            "s·(bias − μ) + β there.",
        ),
        Slip(
            "weight-not-written",
            "The new convolution's weight is not written: it keeps the random numbers that it was made with. Put "
            "s·weight there.",
        ),
        Slip(
            "bias-is-none",
            "This convolution has no bias: its `bias` is None, and None cannot be computed with. Ask first, `if "
            "conv.bias is not None`, and take zeros where there is none.",
        ),
        Slip(
            "tuple-returned",
            "It returned a tuple. One convolution is expected: put the weight and the bias into a new `nn.Conv2d`, and "
            "return that.",
        ),
    ),
    "Your convolution computes what both computed, and the originals are untouched.",
    "Write s = γ / √(σ² + ε), then weight ← s·weight and bias ← s·(bias − μ) + β, and compare line by line.",
    direct=frozenset(
        {
            "settings-lost",
            "stride-lost",
            "padding-lost",
            "dilation-lost",
            "groups-lost",
            "only-first-of-the-pair",
            "bias-is-none",
            "bias-not-written",
            "weight-not-written",
        }
    ),
    seen=_fold_seen,
    error=_fold_error,
    unknown=_fold_unknown,
)
