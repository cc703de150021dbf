"""The verdict on a function that works on finished modules, and is judged by what it leaves behind.

A state or an error is held against what the reference leaves behind, plain or with known mistakes. Mistakes
that change different things are made once each and joined; those that meet are tried together. Some are seen
directly, whatever the numbers: a copy that was changed in place of the model, a setting that was lost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks import compare, errors, words
from resnet_edu.checks.learner import LearnerError, attempt
from resnet_edu.checks.naming import their_names
from resnet_edu.checks.search import fewest
from resnet_edu.checks.source import Contract, Edits, Mistake, NotHereError, ways
from resnet_edu.checks.verdict import Verdict, failed, listed, passed

#: What a call left behind, by name; an error is "the call". Names with a ! stand beside the comparison.
Outcome = dict[str, Tensor | str]
#: A mistake's name, or None, and what to say.
Told = tuple[str | None, str]


#: Processor seconds after which no more mistakes are tried together.
SECONDS = 2.0


def _nothing_to_compare(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    """What a call leaves behind where its random numbers are measured instead: nothing, and it is not called."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Effect(Contract):
    """A contract of a function that is judged by what it leaves behind."""

    #: Each makes the arguments anew; its name says when a difference shows.
    scenes: Mapping[str, Callable[[], tuple[Any, ...]]]
    #: Calls a function on a scene's arguments and collects what it left behind.
    outcome: Callable[[Callable[..., Any], tuple[Any, ...]], Outcome] = _nothing_to_compare
    #: What to look at where no known mistake explains the difference.
    advice: str = ""
    #: The mistakes that are seen directly and need no comparison.
    direct: frozenset[str] = frozenset()
    #: What is seen directly in the outcomes.
    seen: Callable[["Trials"], list[Told]] | None = None
    #: An error that comes as part of what is asked, such as a refusal.
    refuses: bool = False
    #: An error in words that this function alone has, or None.
    error: Callable[["Trials", LearnerError], Told | None] | None = None
    #: Where no known mistake explains the difference: what can be said of it.
    unknown: Callable[["Trials", str], list[Told]] | None = None
    #: Where the numbers are random: what is wrong with a model, by name or in a sentence, given its state before.
    measured: Callable[[nn.Module, Mapping[str, Tensor]], list[str]] | None = None

    def left_behind(self, scene: str, *edits: Edits) -> Outcome:
        """What the reference with these edits leaves behind. Raises NotHereError where they cannot be made."""
        function = self.made(*edits)
        try:
            return self.outcome(function, self.scenes[scene]())
        except Exception as error:
            if self.refuses:
                return {"the call": "an error"}
            raise NotHereError(str(error)) from error


@dataclass
class Trials:
    """What a learner's function did in each scene: what it left behind, and the error it ended with."""

    effect: Effect
    theirs: Any
    got: dict[str, Outcome] = field(default_factory=dict)
    troubles: dict[str, LearnerError] = field(default_factory=dict)

    @property
    def known(self) -> tuple[Mistake, ...]:
        """The known mistakes."""
        return self.effect.mistakes

    def told(self, name: str) -> str:
        """What to say of a known mistake, in the learner's words."""
        return self.say(next(mistake.message for mistake in self.known if mistake.name == name))

    def say(self, text: str) -> str:
        """A message in the learner's words."""
        return their_names(self.effect.signature, self.theirs)(text)

    def stopped(self, trouble: LearnerError, text: str) -> str:
        """An error in these words, with the line."""
        line = words.at(words.where(trouble.error))
        start = "The forward pass of " if trouble.doing == "forward" else ""
        return f"{start}`{self.effect.signature}` stopped with an error. {self.say(text)}{line}"


def judge_effect(effect: Effect, theirs: Any) -> Verdict:
    """The verdict on a learner's function."""
    torch.manual_seed(0)
    wrong = words.not_callable(theirs, effect.signature)
    if wrong is not None:
        return failed(wrong, "not-a-function")
    trials = Trials(effect, theirs)
    if effect.measured is not None:
        return _judge_measured(effect, trials)
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
        return told_of([error_told(trials, next(iter(trials.troubles.values())))])
    told = effect.seen(trials) if effect.seen is not None else []
    for scene in [scene for scene in trials.troubles if scene not in trials.got]:
        one = error_told(trials, trials.troubles[scene])
        if one[0] not in effect.direct:
            return told_of([*told, one])
        told += [one] if one[0] not in {name for name, _ in told} else []
    different = [scene for scene in trials.got if not _alike(trials.got[scene], effect.left_behind(scene))]
    if not different:
        return told_of(told) if told else passed(effect.passed)
    scene = different[0]
    if trials.got[scene].get("result") == "nothing":
        return failed("It returned nothing. Write the missing part, and end with `return`.", "not-written")
    found = _explaining(trials, scene)
    if found:
        return told_of([*told, *((one.name, trials.say(one.message)) for one in found)], f"\nIt shows {scene}.")
    unexpected = trials.troubles.get(scene)
    if unexpected is not None:
        return told_of([*told, error_told(trials, unexpected, scene)])
    more = effect.unknown(trials, scene) if effect.unknown is not None else []
    if more:
        return told_of([*told, *more], f"\nIt shows {scene}.")
    apart = _apart(trials.got[scene], effect.left_behind(scene))
    if told:
        return told_of(told, f"\nApart from that it differs first {scene}: {apart}.")
    return failed(f"I do not recognize this one. It differs first {scene}: {apart}. {trials.say(effect.advice)}")


def _judge_measured(effect: Effect, trials: Trials) -> Verdict:
    """The verdict on a function that draws random numbers."""
    ((model,),) = [make() for make in effect.scenes.values()]
    before = state_of(model)
    try:
        returned = attempt("call", lambda: trials.theirs(model))
    except LearnerError as trouble:
        return told_of([error_told(trials, trouble)])
    changed = changed_copy(returned, model, before)
    names = [] if changed is None else ["copy-changed"]
    assert effect.measured is not None
    names += effect.measured(model if changed is None else changed, before)
    if not names:
        return passed(effect.passed)
    known = {mistake.name for mistake in trials.known}
    # What is no known name is a sentence of its own.
    return told_of([(name, trials.told(name)) if name in known else (None, name) for name in names])


def _explaining(trials: Trials, scene: str) -> Sequence[Mistake]:
    """The mistakes whose reference leaves behind what the learner's function does, as few as possible."""
    effect = trials.effect
    known = [(one, way) for one, way in ways(trials.known) if one.name not in effect.direct]
    scenes = sorted(trials.got, key=lambda one: one != scene)  # the one that differs decides most

    def explains(edits: Sequence[Edits]) -> bool:
        try:
            return all(_alike(trials.got[one], effect.left_behind(one, *edits)) for one in scenes)
        except NotHereError:
            return False

    return (
        fewest(effect, known, explains, counts=(1,))
        or _joined(trials, known, scenes)
        or fewest(effect, known, explains, counts=(2, 3), seconds=SECONDS)
    )


def _joined(trials: Trials, ways: Sequence[tuple[Mistake, Edits]], scenes: Sequence[str]) -> list[Mistake]:
    """Mistakes that change different things, and together all that the learner's function has changed."""
    right = {scene: trials.effect.left_behind(scene) for scene in scenes}
    left = {(scene, key) for scene in scenes for key in _changed(trials.got[scene], right[scene])}
    fitting: list[tuple[set[tuple[str, str]], Mistake]] = []
    for mistake, way in ways:
        try:
            made = {scene: trials.effect.left_behind(scene, way) for scene in scenes}
        except NotHereError:
            continue
        mine = {(scene, key) for scene in scenes for key in _changed(made[scene], right[scene])}
        if mine and all(_has_same(trials.got[scene], made[scene], key) for scene, key in mine):
            fitting.append((mine, mistake))
    found: list[Mistake] = []
    while left:
        mine, mistake = max(fitting, key=lambda one: len(one[0] & left), default=(set(), trials.known[0]))
        if not mine & left:
            return []
        left -= mine
        found.append(mistake)
    return sorted(found, key=trials.known.index) if len(found) <= 4 else []


def _changed(got: Outcome, right: Outcome) -> list[str]:
    return [key for key in {**got, **right} if key[0] != "!" and not _has_same(got, right, key)]


def _has_same(a: Outcome, b: Outcome, key: str) -> bool:
    return (key in a) == (key in b) and (key not in a or same(a[key], b[key]))


def told_of(told: Sequence[Told], ending: str = "") -> Verdict:
    """The verdict that says these things."""
    names = [name for name, _ in told if name is not None]
    return failed(listed([text for _, text in told]) + ending, *names)


#: Errors that a function does not end with on purpose.
_ACCIDENTS = (NameError, AttributeError, TypeError, NotImplementedError, RecursionError, MemoryError, ImportError)


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, (*_ACCIDENTS, EOFError, SyntaxError))


def error_told(trials: Trials, trouble: LearnerError, scene: str = "") -> Told:
    """An error of a learner's function in words."""
    signature = trials.effect.signature
    known = trials.effect.error(trials, trouble) if trials.effect.error is not None else None
    known = known or _common_error(trials, trouble)
    if known is None:
        text, *names = errors.raised(trouble, signature, signature)
        known = (names[0] if names else None, text)
    return (known[0], f"{known[1]}\nIt shows {scene}.") if scene else known


def _common_error(trials: Trials, trouble: LearnerError) -> Told | None:
    """The errors of code that changes modules, in words."""
    text = str(trouble.error)
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


def _alike(a: Outcome, b: Outcome) -> bool:
    keys = {key for key in a if key[0] != "!"}
    return keys == {key for key in b if key[0] != "!"} and all(same(a[key], b[key]) for key in keys)


def same(a: Tensor | str, b: Tensor | str) -> bool:
    """Whether two things that were left behind are the same."""
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
        if key[0] == "!" or (mine is not None and same(mine, value)):
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


def randomized(module: nn.Module, seed: int) -> nn.Module:
    """Random numbers in every weight and statistic."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                numbers = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.copy_(0.5 + numbers if name.endswith("var") else 2 * numbers - 0.7)
    return module


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the state dict."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _is_state(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(compare.same(a[name], b[name]) for name in a)


def changed_copy(returned: Any, model: nn.Module, before: Mapping[str, Tensor]) -> nn.Module | None:
    """The model that was returned where that one was changed, and not the one that was handed over."""
    if not isinstance(returned, nn.Module) or returned is model or not _is_state(state_of(model), before):
        return None
    return None if _is_state(state_of(returned), before) else returned


def copies(name: str) -> Callable[[Trials], list[Told]]:
    """Sees whether a copy was changed."""

    def seen(trials: Trials) -> list[Told]:
        if any("!copy" in outcome for outcome in trials.got.values()):
            return [(name, trials.told(name))]
        return []

    return seen


def learning(model: nn.Module) -> Outcome:
    """What of a model can learn."""
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    return {"what learns": what_learns(frozen, len(list(model.parameters())))}


def what_learns(frozen: Sequence[str], count: int) -> str:
    """In words what can learn, given the frozen parameters and how many there are in all."""
    if len(frozen) == count:
        return "nothing"
    return f"everything but {len(frozen)} parameters, the first of them `{frozen[0]}`" if frozen else "everything"
