"""Checks of functions that work on finished modules: how weights start, are folded, and are loaded.

What a function leaves behind, a state or an error, is held against what the reference leaves behind,
and against the reference with one known slip or two. How weights start is random, so there the
spread is measured. Some mistakes are seen directly, whatever the numbers: a copy that was changed in
place of the model, a setting that was lost. They are told, and the rest is judged without them.
"""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks import compare, words
from resnet_edu.checks.contract import Slip
from resnet_edu.checks.judge import Verdict, failed, passed
from resnet_edu.checks.naming import in_their_names, their_names
from resnet_edu.checks.observe import LearnerError, attempt
from resnet_edu.resnet import ResNet

_conv2d, _batch_norm, _zeros = F.conv2d, F.batch_norm, torch.zeros

#: What a call left behind, by name; an error is the string "error". Names with a ! stand beside the comparison.
Outcome = dict[str, Tensor | str]
#: A mistake's name, or None, and what to say.
Told = tuple[str | None, str]

_COUNTS = {2: "Two things at once.", 3: "Three things at once."}


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
    #: What the reference leaves behind, without making it where that is quicker; the arguments are shared.
    predict: Callable[[frozenset[str], tuple[Any, ...]], Outcome] | None = None
    #: The slips that are seen directly and need no comparison.
    direct: frozenset[str] = frozenset()
    #: What is seen directly in the outcomes.
    seen: Callable[["Trials"], list[Told]] | None = None
    #: An error that comes as part of what is asked, such as a refusal.
    refuses: bool = False
    #: An error in words that this function alone has, or None.
    error: Callable[["Trials", LearnerError], Told | None] | None = None
    #: Where no known slip explains the difference: what can be said of it.
    unknown: Callable[["Trials", str], list[Told]] | None = None
    #: How many slips at once are tried.
    most: int = 2

    def made(self, slips: frozenset[str], scene: str) -> Outcome:
        """What the reference with these slips leaves behind."""
        if self.predict is not None:
            return self.predict(slips, _shared(self.scenes[scene]))
        return self.outcome(lambda *arguments: self.reference(slips, *arguments), self.scenes[scene]())


@dataclass
class Trials:
    """What a learner's function did in each scene: what it left behind, and the error it ended with."""

    effect: Effect
    theirs: Any
    known: tuple[Slip, ...] = ()
    got: dict[str, Outcome] = field(default_factory=dict)
    troubles: dict[str, LearnerError] = field(default_factory=dict)

    def slip(self, name: str) -> Slip:
        """A known slip in the learner's words."""
        return next(slip for slip in self.known if slip.name == name)

    def say(self, text: str) -> str:
        """A message in the learner's words."""
        return their_names(self.effect.signature, self.theirs)(text)

    def stopped(self, trouble: LearnerError, text: str) -> str:
        """An error in these words, with the line."""
        line = words.at(words.where(trouble.error), self.theirs)
        start = "The forward pass of " if trouble.doing == "forward" else ""
        return f"{start}`{self.effect.signature}` stopped with an error. {self.say(text)}{line}"


@cache
def _shared(make: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    return make()


def judge_effect(effect: Effect, theirs: Any) -> Verdict:
    """The verdict on a learner's function."""
    torch.manual_seed(0)
    wrong = words.not_callable(theirs, effect.signature)
    if wrong is not None:
        return failed(wrong, "not-a-function")
    trials = Trials(effect, theirs, in_their_names(effect.slips, effect.signature, theirs))
    for scene, make in effect.scenes.items():
        arguments = make()
        try:
            trials.got[scene] = attempt("call", lambda arguments=arguments: effect.outcome(theirs, arguments))  # type: ignore[misc]
        except LearnerError as trouble:
            # What the function returned was run too, and may have stopped in its turn.
            trials.troubles[scene] = trouble.error if isinstance(trouble.error, LearnerError) else trouble
            if effect.refuses and _is_refusal(trouble.error):
                trials.got[scene] = {"the call": "an error"}
    if not trials.got:
        return _failed([_raised(trials, next(iter(trials.troubles.values())))])
    told = effect.seen(trials) if effect.seen is not None else []
    for scene in [scene for scene in trials.troubles if scene not in trials.got]:
        one = _raised(trials, trials.troubles[scene])
        if one[0] not in effect.direct:
            return _failed([*told, one])
        told += [one] if one[0] not in {name for name, _ in told} else []
    different = [scene for scene in trials.got if not _alike(trials.got[scene], effect.made(frozenset(), scene))]
    if not different:
        return _failed(told) if told else passed(effect.passed)
    scene = different[0]
    if trials.got[scene].get("result") == "nothing":
        return failed("It returned nothing. Write the missing part, and end with `return`.", "not-written")
    slips = _explaining(trials, scene)
    if slips:
        return _failed([*told, *((slip.name, slip.message) for slip in slips)], f"\nIt shows {scene}.")
    unexpected = trials.troubles.get(scene)
    if unexpected is not None:
        return _failed([*told, _raised(trials, unexpected, scene)])
    found = effect.unknown(trials, scene) if effect.unknown is not None else []
    if found:
        return _failed([*told, *found], f"\nIt shows {scene}.")
    apart = _apart(trials.got[scene], effect.made(frozenset(), scene))
    if told:
        return _failed(told, f"\nApart from that it differs first {scene}: {apart}.")
    return failed(f"I do not recognize this one. It differs first {scene}: {apart}. {trials.say(effect.advice)}")


def _explaining(trials: Trials, scene: str) -> tuple[Slip, ...]:
    """The slips whose reference leaves behind what the learner's function does, as few as possible."""
    known = [slip for slip in trials.known if slip.name not in trials.effect.direct]
    scenes = sorted(trials.got, key=lambda one: one != scene)  # the one that differs decides most
    for slips in chain.from_iterable(combinations(known, count) for count in range(1, trials.effect.most + 1)):
        names = frozenset(slip.name for slip in slips)
        if all(_alike(trials.got[one], trials.effect.made(names, one)) for one in scenes):
            return slips
    return ()


def _failed(told: Sequence[Told], ending: str = "") -> Verdict:
    names = [name for name, _ in told if name is not None]
    if len(told) == 1:
        return failed(told[0][1] + ending, *names)
    listed = "\n".join(f"{number}. {text}" for number, (_, text) in enumerate(told, start=1))
    return failed(f"{_COUNTS.get(len(told), 'Several things at once.')}\n{listed}{ending}", *names)


#: Errors that a function does not end with on purpose.
_ACCIDENTS = (NameError, AttributeError, TypeError, NotImplementedError, RecursionError, MemoryError, ImportError)


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, (*_ACCIDENTS, EOFError, SyntaxError))


def _raised(trials: Trials, trouble: LearnerError, scene: str = "") -> Told:
    """An error of a learner's function in words."""
    error, signature = trouble.error, trials.effect.signature
    known = trials.effect.error(trials, trouble) if trials.effect.error is not None else None
    known = known or _common_error(trials, trouble)
    if known is None:
        text, *names = words.raised(trouble, trials.theirs, signature, signature)
        if isinstance(error, RecursionError):
            text = trials.stopped(trouble, "It calls itself without end: it has no base case, or none is ever reached.")
        known = (names[0] if names else None, text)
    return (known[0], f"{known[1]}\nIt shows {scene}.") if scene else known


def _common_error(trials: Trials, trouble: LearnerError) -> Told | None:
    """The errors of code that changes modules, in words."""
    text = str(trouble.error)
    if "leaf Variable that requires grad" in text:
        return "in-place-under-autograd", trials.stopped(trouble, _IN_PLACE)
    if "cannot assign" in text and "as parameter" in text:
        return "tensor-not-parameter", trials.stopped(
            trouble,
            "A parameter cannot be replaced by a plain tensor or number. Change its numbers in place, with a function "
            "of `nn.init` or with `copy_` under `torch.no_grad()`; or wrap the new tensor, `nn.Parameter(…)`.",
        )
    if isinstance(trouble.error, AttributeError) and "'NoneType'" not in text and "'ellipsis'" not in text:
        return "attribute-missing", trials.stopped(
            trouble, f"Python says: {text.rstrip('.')}. Print the module to see what it has, and by which names."
        )
    return None


_IN_PLACE = (
    "It changes a parameter in place while autograd keeps the record. Wrap the change in `with torch.no_grad():`, or "
    "use a function of `nn.init`, which does that itself."
)


def _alike(a: Outcome, b: Outcome) -> bool:
    keys = {key for key in a if key[0] != "!"}
    return keys == {key for key in b if key[0] != "!"} and all(_same(a[key], b[key]) for key in keys)


def _same(a: Tensor | str, b: Tensor | str) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return compare.same(a, b)
    return isinstance(a, str) and isinstance(b, str) and a == b


def _apart(got: Outcome, right: Outcome) -> str:
    """The first thing that differs, in words."""
    if "result" in got:
        return f"it returned {got['result']}"
    if "the call" in got:
        return "it ended with an error, and none was expected"
    if "the call" in right:
        return "it came back without an error, and one was expected"
    for key, value in right.items():
        mine = got.get(key)
        if key[0] == "!" or (mine is not None and _same(mine, value)):
            continue
        if mine is None:
            return f"{key} is as it was"
        if isinstance(mine, Tensor) and isinstance(value, Tensor):
            if mine.shape != value.shape:
                return f"{key} has shape {words.shape(mine.shape)}, expected {words.shape(value.shape)}"
            return f"{key} is off by up to {compare.difference(mine, value):.2g} (relative)"
        return f"{key} is {_brief(mine)}, expected {_brief(value)}"
    return f"{next((key for key in got if key not in right), 'something')} has changed, and should stay as it was"


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


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _is_state(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(compare.same(a[name], b[name]) for name in a)


def _changed_copy(returned: Any, model: nn.Module, before: Mapping[str, Tensor]) -> nn.Module | None:
    """The model that was returned where that one was changed, and not the one that was handed over."""
    if not isinstance(returned, nn.Module) or returned is model or not _is_state(_state(model), before):
        return None
    return None if _is_state(_state(returned), before) else returned


def _copies(name: str) -> Callable[[Trials], list[Told]]:
    """Sees whether a copy was changed."""

    def seen(trials: Trials) -> list[Told]:
        if any("!copy" in outcome for outcome in trials.got.values()):
            return [(name, trials.slip(name).message)]
        return []

    return seen


# ---- folding ---------------------------------------------------------------------------------------------------------

_SETTINGS = ("stride", "padding", "dilation", "groups")
_GROUPED, _RECTANGULAR = "with a grouped convolution", "with a rectangular convolution"


def _fold_scene(bias: bool, kernel: Any = 3, **settings: Any) -> Callable[[], tuple[Any, ...]]:
    def make() -> tuple[Any, ...]:
        conv, bn = nn.Conv2d(4, 6, kernel, bias=bias, **settings), nn.BatchNorm2d(6, eps=1e-2)
        _randomized(conv, 3)
        _randomized(bn, 4).get_buffer("running_var")[0] = 1e-3  # where any eps makes a difference
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
    bias = conv.bias if conv.bias is not None and "conv-bias-forgotten" not in slips else _zeros(conv.out_channels)
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
    bare = [scene for scene in trials.effect.scenes if _shared(trials.effect.scenes[scene])[0].bias is None]
    of_none = [scene for scene, other in trials.troubles.items() if "NoneType" in str(other.error)]
    if of_none == bare and "NoneType" in text:
        return "bias-is-none", trials.stopped(trouble, trials.slip("bias-is-none").message)
    scenes = [scene for scene in trials.troubles if of_none != bare or scene not in of_none]
    alone = [scene for scene in (_GROUPED, _RECTANGULAR) if trials.troubles.get(scene) is trouble]
    if alone and set(scenes) <= {_GROUPED, _RECTANGULAR}:
        error = text.splitlines()[0] if text else ""
        line = words.at(words.where(trouble.error), trials.theirs)
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
    random = [key for key in ("!weight", "!bias") if key in got and key in again and not _same(got[key], again[key])]
    names = [f"{key[1:]}-not-written" for key in random]
    if names:
        return [(name, trials.slip(name).message) for name in names]
    fine = [key for key in ("!weight", "!bias") if key in got and _same(got[key], right[key])]
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


# ---- zero-init -------------------------------------------------------------------------------------------------------


def _net(block: Any) -> Callable[[], tuple[Any, ...]]:
    def make() -> tuple[Any, ...]:
        return (_randomized(ResNet(block, (2, 1, 1, 2), 3, stem="cifar", widths=(2, 3, 4, 5)).double(), 6),)

    return make


def _zero_outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    (model,) = arguments
    before = _state(model)
    with torch.enable_grad():
        returned = function(model)
    changed = _changed_copy(returned, model, before)
    found: Outcome = {} if changed is None else {"!copy": "changed"}
    model = model if changed is None else changed
    after = _state(model)
    found |= {f"`{name}`": t for name, t in after.items() if name not in before or not compare.same(t, before[name])}
    found |= {f"`{name}`": "gone" for name in before if name not in after}
    return found | _learning(model)


def _learning(model: nn.Module) -> Outcome:
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    return {"what learns": _what_learns(frozen, len(list(model.parameters())))}


def _what_learns(frozen: Sequence[str], count: int) -> str:
    if len(frozen) == count:
        return "nothing"
    return f"everything but {len(frozen)} parameters, the first of them `{frozen[0]}`" if frozen else "everything"


@dataclass(frozen=True)
class _Room:
    """A block of a network: its layer, its place there, and the names of what can be set to 0."""

    layer: str
    number: int
    wide: bool
    norms: tuple[str, ...]  # of the main path, in order
    projection: tuple[str, ...]
    conv: str  # the last one


def _rooms(model: nn.Module) -> list[_Room]:
    rooms, places = [], dict[str, int]()
    for name, block in model.named_modules():
        if not isinstance(block, BasicBlock | Bottleneck):
            continue
        layer = name.split(".")[0]
        number = places[layer] = places.get(layer, -1) + 1
        wide = isinstance(block, Bottleneck)
        inner = [child for child, m in block.downsample.named_modules() if isinstance(m, nn.BatchNorm2d)]
        dot = f"{name}." if name else ""
        rooms.append(
            _Room(
                layer,
                number,
                wide,
                tuple(f"{dot}bn{i}" for i in ((1, 2, 3) if wide else (1, 2))),
                tuple(f"{dot}downsample.{child}" for child in inner),
                f"{dot}conv{3 if wide else 2}",
            )
        )
    return rooms


def _zero_plan(
    slips: frozenset[str], rooms: Sequence[_Room], norms: Sequence[str]
) -> tuple[dict[str, float], set[str]]:
    """The parameters that are set, each to a number, and those that are frozen."""
    plan: dict[str, float] = {}
    frozen: set[str] = set()
    if "nothing-changed" in slips:
        return plan, frozen
    left_out = "basic" if "only-bottlenecks" in slips else "wide" if "only-basic-blocks" in slips else ""
    for seen, room in enumerate(rooms):
        if left_out == ("wide" if room.wide else "basic"):
            continue
        if ("first-block-only" in slips and seen) or ("first-block-of-each-layer" in slips and room.number):
            continue
        if "last-layer-left-out" in slips and room.layer == rooms[-1].layer:
            continue
        norm = room.norms[1] if "second-of-three" in slips else room.norms[-1]
        targets = [room.norms[0] if "first-not-last" in slips else norm]
        if "second-too" in slips:
            targets.append(room.norms[1])
        if "every-batch-norm-of-the-main-path" in slips or "every-batch-norm-of-the-block" in slips:
            targets = [*room.norms]
        if "projection-not-main-path" in slips and room.projection:
            targets = []
        both = {"projection-too", "every-batch-norm-of-the-block", "projection-not-main-path"}
        # The whole main path and the projection is the whole block, a slip of its own.
        targets += room.projection if slips & both and "every-batch-norm-of-the-main-path" not in slips else ()
        number = 1e-3 if "small-not-zero" in slips else 0.0
        if "convolution-not-norm" in slips:
            plan[f"{room.conv}.weight"] = number
            continue
        for target in targets:
            plan[f"{target}.{'bias' if 'shift-not-scale' in slips else 'weight'}"] = number
            if "shift-too" in slips and target not in room.projection:
                plan[f"{target}.bias"] = 0.0
            if "frozen" in slips:
                frozen.add(f"{target}.weight")
        if "convolution-too" in slips:
            plan[f"{room.conv}.weight"] = 0.0
    if "every-batch-norm" in slips:
        plan.update({f"{name}.weight": 0.0 for name in norms})
    return plan, frozen


def _norms(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]


def _zero(slips: frozenset[str], model: nn.Module) -> nn.Module | None:
    if "copy-changed" in slips:
        changed = copy.deepcopy(model)
        _zero(slips - {"copy-changed"}, changed)
        return changed
    parameters = dict(model.named_parameters())
    plan, frozen = _zero_plan(slips, _rooms(model), _norms(model))
    for name, number in plan.items():
        if "in-place-under-autograd" in slips:
            parameters[name].fill_(number)
        parameters[name].data.fill_(number)
    for name in frozen:
        parameters[name].requires_grad_(False)
    return None


@cache
def _before_zero(model: nn.Module) -> tuple[dict[str, Tensor], list[_Room], list[str]]:
    return _state(model), _rooms(model), _norms(model)


def _zero_predicted(slips: frozenset[str], arguments: tuple[Any, ...]) -> Outcome:
    (model,) = arguments
    before, rooms, norms = _before_zero(model)
    plan, frozen = _zero_plan(slips, rooms, norms)
    return {
        **{f"`{name}`": torch.full_like(before[name], plan[name]) for name in before if name in plan},
        "what learns": _what_learns([name for name in before if name in frozen], len(before)),
    }


ZERO = Effect(
    "zero_init_residual",
    "zero_init_residual(model)",
    {
        "in a network of basic blocks": _net(BasicBlock),
        "in a network of bottlenecks": _net(Bottleneck),
    },
    _zero_outcome,
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
        Slip(
            "first-block-of-each-layer",
            "Only the first block of each layer is changed. Go through all of its blocks.",
        ),
        Slip("last-layer-left-out", "The last layer's blocks are left out. Go through all modules: `model.modules()`."),
        Slip(
            "convolution-not-norm",
            "The last convolution's `weight` is set to 0. Set the scale γ instead, the `weight` of the batch norm "
            "behind it: a batch norm brings numbers to full size again, however small they are.",
        ),
        Slip(
            "second-too",
            "In a bottleneck the second batch norm is set to 0 as well as the third. Set only the third, the last one "
            "before the addition.",
        ),
        Slip(
            "every-batch-norm-of-the-main-path",
            "Every batch norm on the main path of a block is set to 0, so no gradient reaches its convolutions. Set "
            "only the last one.",
        ),
        Slip(
            "projection-not-main-path",
            "Where a block has a projection, the projection's batch norm is set to 0 in place of the main path's. In "
            "`modules()` the projection may come last: ask for the last batch norm before the addition.",
        ),
        Slip(
            "copy-changed",
            "The model that was handed over is as it was: a copy was changed, and returned. Leave out the copy and "
            "change `model` itself.",
        ),
        Slip("in-place-under-autograd", _IN_PLACE),
    ),
    "Each block starts as its shortcut, and everything else is as before.",
    "Only the `weight` of the last batch norm before each addition may change.",
    predict=_zero_predicted,
    direct=frozenset({"copy-changed", "in-place-under-autograd"}),
    seen=_copies("copy-changed"),
)


# ---- loading ---------------------------------------------------------------------------------------------------------


def _small(classes: int = 3) -> nn.Module:
    return _randomized(ResNet(BasicBlock, (1, 1), classes, stem="cifar", widths=(4, 8)), 8)


@cache
def _weights() -> dict[str, Tensor]:
    return _state(_randomized(_small(), 9))


def _loading(kind: str) -> Callable[[], tuple[Any, ...]]:
    def make() -> tuple[Any, ...]:
        state = {name: t.clone() for name, t in _weights().items()}
        if kind == "shuffled":
            order = [_PARTNERS.get(name, name) for name in state]
            state = {name: state[name] for name in order}
        if kind == "missing":
            del state["layer2.0.bn2.weight"]
        if kind == "extra":
            state["layer3.0.conv1.weight"] = torch.ones(2)
        if kind == "shape":
            state["fc.weight"], state["fc.bias"] = torch.ones(5, 8), torch.ones(5)
        if kind == "broadcast":
            state["layer1.0.conv1.weight"] = state["layer1.0.conv1.weight"][:1].clone()
        if kind == "reshape":
            state["fc.weight"] = state["fc.weight"].t().contiguous()
        return _small(), state

    return make


#: Two and two of one shape, so that a change of places can go unnoticed.
_PARTNERS = {
    "bn1.weight": "bn1.bias",
    "bn1.bias": "bn1.weight",
    "layer1.0.conv1.weight": "layer1.0.conv2.weight",
    "layer1.0.conv2.weight": "layer1.0.conv1.weight",
}


def _load_outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    model, state = arguments
    names, before = list(state), _state(model)
    returned = function(model, state)
    changed = _changed_copy(returned, model, before)
    found: Outcome = {} if changed is None else {"!copy": "changed"}
    model = model if changed is None else changed
    found |= {f"`{name}`": t for name, t in _state(model).items()}
    return found | {"the state dict": "as before" if list(state) == names else "changed"} | _learning(model)


def _load_plan(
    slips: frozenset[str], own: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> dict[str, Tensor] | None:
    """What each of the model's tensors becomes, None if the weights are refused."""
    if "nothing-loaded" in slips:
        return dict(own)
    given = dict(state)
    if "by-position" in slips:
        given = dict(zip(own, given.values(), strict=False))
    if "classifier-skipped" in slips:
        given = {name: t for name, t in given.items() if not name.startswith("fc.")}
        given.update({name: t for name, t in own.items() if name.startswith("fc.")})
    if "statistics-forgotten" in slips:
        given.update({name: t for name, t in own.items() if "running" in name or "tracked" in name})
    missing, extra = own.keys() - given.keys(), given.keys() - own.keys()
    # Two that make up a third count as the first of them: the third has a name of its own.
    lenient = slips & {"not-strict", "nothing-refused"}
    if extra and not lenient | slips & {"extra-ignored"}:
        return None
    if missing and not lenient | (slips & {"missing-ignored"} if "extra-ignored" not in slips else set()):
        return None
    left = dict(own)
    for name, old in own.items():
        new = given.get(name, old)
        if new.shape != old.shape:
            if "shapes-broadcast" in slips and _spreads(new, old):
                new = new.expand_as(old)
            elif "reshaped-to-fit" in slips and new.numel() == old.numel():
                new = new.reshape(old.shape)
            elif "nothing-refused" in slips or ("other-shapes-skipped" in slips and "not-strict" not in slips):
                new = old
            elif "other-shapes-taken" not in slips:
                return None
        left[name] = new
    return left


def _spreads(new: Tensor, old: Tensor) -> bool:
    sizes = zip(reversed(new.shape), reversed(old.shape), strict=False)
    return new.dim() <= old.dim() and all(a in (1, b) for a, b in sizes)


def _load(slips: frozenset[str], model: nn.Module, state: dict[str, Tensor]) -> nn.Module | None:
    if "not-a-file" in slips:
        state = torch.load(state)  # type: ignore[arg-type]
    if "copy-loaded" in slips:
        loaded = copy.deepcopy(model)
        _load(slips - {"copy-loaded"}, loaded, state)
        return loaded
    plan = _load_plan(slips, model.state_dict(), state)
    if plan is None:
        raise ValueError("these weights do not fit")
    if "changes-the-state-dict" in slips:
        state.pop("fc.weight", None)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        tensor.data = plan[name].clone()
    if "frozen" in slips:
        model.requires_grad_(False)
    return None


def _load_predicted(slips: frozenset[str], arguments: tuple[Any, ...]) -> Outcome:
    model, state = arguments
    plan = _load_plan(slips, _state_of(model), state)
    if plan is None:
        return {"the call": "an error"}
    return {
        "the state dict": "changed" if "changes-the-state-dict" in slips else "as before",
        "what learns": "nothing" if "frozen" in slips else "everything",
        **{f"`{name}`": tensor for name, tensor in plan.items()},
    }


@cache
def _state_of(model: nn.Module) -> dict[str, Tensor]:
    return _state(model)


def _load_error(trials: Trials, trouble: LearnerError) -> Told | None:
    """What `load_state_dict` and `torch.load` say, in words."""
    text = str(trouble.error)
    if "'dict' object has no attribute" in text and re.search(r"'(seek|read|readline|tell)'", text):
        return "not-a-file", trials.stopped(trouble, trials.slip("not-a-file").message)
    if not text.startswith("Error(s) in loading state_dict"):
        return None
    parts = []
    for what, pattern in (
        ("does not find {}, which the model needs", r'Missing key\(s\) in state_dict: ("[^"]+")'),
        ("finds {}, which the model has no place for", r'Unexpected key\(s\) in state_dict: ("[^"]+")'),
    ):
        found = re.search(pattern, text)
        if found:
            parts.append(what.format(f"`{found[1][1:-1]}`"))
    found = re.search(r"size mismatch for (\S+): .*?torch\.Size\(\[(.*?)\]\).*?torch\.Size\(\[(.*?)\]\)", text)
    if found:
        parts.append(f"is given `{found[1]}` of shape ({found[2]}), and the model's is ({found[3]})")
    if not parts:
        return None
    return None, trials.stopped(
        trouble,
        f"`load_state_dict` {', and '.join(parts)}. These weights fit as they come: hand them over unchanged.",
    )


LOAD = Effect(
    "load_torchvision",
    "load_torchvision(model, state_dict)",
    {
        "with weights that fit": _loading("right"),
        "with the same weights in another order": _loading("shuffled"),
        "with a weight missing": _loading("missing"),
        "with a weight left over": _loading("extra"),
        "with a classifier of another shape": _loading("shape"),
        "with a weight of shape (1, 4, 3, 3) in place of (4, 4, 3, 3)": _loading("broadcast"),
        "with a weight of shape (8, 3) in place of (3, 8)": _loading("reshape"),
    },
    _load_outcome,
    _load,
    (
        Slip(
            "nothing-loaded", "The model's weights have not changed. Load the state dict into the model that was given."
        ),
        Slip(
            "not-strict",
            "Weights that are missing or left over pass in silence, and part of the model keeps its old numbers. Load "
            "with `strict=True`, which refuses both, drop nothing beforehand, and let the error through.",
        ),
        Slip(
            "missing-ignored",
            "A missing weight passes in silence, and that part of the model keeps its old numbers. Raise an error.",
        ),
        Slip(
            "extra-ignored",
            "Weights that the model has no place for are dropped in silence. Raise an error: it is another "
            "architecture.",
        ),
        Slip(
            "other-shapes-skipped",
            "A weight of another shape is skipped in silence, and that part of the model keeps its old numbers. Raise "
            "an error.",
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
        Slip(
            "nothing-refused",
            "Whatever does not fit passes in silence: a missing weight, one left over, one of another shape. Part of "
            "the model keeps its old numbers without a word. Load with `strict=True`, drop nothing beforehand, and let "
            "the error through.",
        ),
        Slip(
            "shapes-broadcast",
            "A weight of shape (1, …) is spread over a larger one in silence (broadcasting), as `copy_` does. Compare "
            "the shapes before you copy, and raise an error, or use `load_state_dict`, which does so.",
        ),
        Slip(
            "other-shapes-taken",
            "A weight of another shape takes the place of the model's own, so the model is no longer the one that was "
            "built. Compare the shapes and raise an error, or use `load_state_dict`, which does so.",
        ),
        Slip(
            "reshaped-to-fit",
            "A weight of another shape is reshaped to fit, and its numbers end up in other places. Raise an error: it "
            "is another architecture.",
        ),
        Slip(
            "frozen",
            "The weights are loaded, and nothing can learn any more: `requires_grad` is off. Loading changes the "
            "numbers and leaves everything else.",
        ),
        Slip(
            "copy-loaded",
            "The model that was handed over is as it was: a copy was loaded, and returned. Load into the model itself: "
            "`model.load_state_dict(state_dict)`.",
        ),
        Slip(
            "not-a-file",
            "There is no file to open: `state_dict` is a dict of tensors already. Leave out `torch.load`: "
            "`model.load_state_dict(state_dict)`.",
        ),
    ),
    "The weights go in by name, and whatever does not fit is an error.",
    "`model.load_state_dict(state_dict, strict=True)` does it in one line.",
    predict=_load_predicted,
    direct=frozenset({"copy-loaded", "not-a-file"}),
    seen=_copies("copy-loaded"),
    refuses=True,
    error=_load_error,
    most=3,
)


# ---- how weights start -----------------------------------------------------------------------------------------------


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
    Slip("in-place-under-autograd", _IN_PLACE),
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


_START = Effect(
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
    wrong = words.not_callable(theirs, _START.signature)
    if wrong is not None:
        return failed(wrong, "not-a-function")
    trials = Trials(_START, theirs, in_their_names(START_SLIPS, _START.signature, theirs))
    model = _start_model()
    before = _state(model)
    try:
        returned = attempt("call", lambda: theirs(model))
    except LearnerError as trouble:
        return _failed([_raised(trials, trouble)])
    changed = _changed_copy(returned, model, before)
    names = [] if changed is None else ["copy-changed"]
    names += _start_mistakes(model if changed is None else changed, before)
    if not names:
        return passed(_START.passed)
    known = {slip.name: slip.message for slip in trials.known}
    # What is no known name is a sentence of its own.
    return _failed([(name, known[name]) if name in known else (None, name) for name in names])


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
    spread = next((_SPREADS[s][0](fan) for s in slips if s in _SPREADS), fan.right)
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
