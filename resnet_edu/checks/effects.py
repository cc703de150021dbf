"""The verdict on a function: on the number that it returns, or on what it leaves behind in a model.

Each call leaves something behind: a number, changed tensors, an error. It is held against what the reference
leaves behind, plain or with known mistakes. Mistakes that change different things are made once each and joined;
those that meet are tried together.
"""

import copy
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks import compare, errors, words
from resnet_edu.checks.learner import LearnerError, attempt
from resnet_edu.checks.naming import their_names
from resnet_edu.checks.search import fewest
from resnet_edu.checks.source import Contract, Edits, Mistake, NotHereError, ways
from resnet_edu.checks.verdict import Verdict, failed, listed, passed

#: What a call left behind, by name; an error is "the call". Names with a ! stand beside the comparison, and so does
#: what a text says after a colon.
Outcome = dict[str, Tensor | float | str]
#: A mistake's name, or None, and what to say.
Told = tuple[str | None, str]

#: Processor seconds after which no more mistakes are tried together.
SECONDS = 2.0
#: Errors that a function does not end with on purpose.
_ACCIDENTS = (NameError, AttributeError, TypeError, NotImplementedError, RecursionError, MemoryError, ImportError)


def _only_errors(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    """What a call leaves behind where its random numbers are measured instead: nothing but an error."""
    function(*arguments)
    return {}


@dataclass(frozen=True, kw_only=True)
class Effect(Contract):
    """A contract of a function that is judged by what it leaves behind."""

    #: Each makes the arguments anew; its name says when a difference shows.
    scenes: Mapping[str, Callable[[], tuple[Any, ...]]]
    #: Calls a function on a scene's arguments and collects what it left behind.
    outcome: Callable[[Callable[..., Any], tuple[Any, ...]], Outcome] = _only_errors
    #: What to look at where no known mistake explains the difference.
    advice: str = ""
    #: An error that comes as part of what is asked, such as a refusal.
    refuses: bool = False
    #: With fewer calls than this beside an error, mistakes that fit them may fit by chance.
    enough: int = 1
    #: Where no known mistake explains the difference: what can be said of it.
    unknown: Callable[["Trials", str], list[Told]] | None = None
    #: Where the numbers are random: what is wrong with a model, by name or in a sentence, given its state before.
    measured: Callable[[nn.Module, Mapping[str, Tensor]], list[str]] | None = None

    def left_behind(self, function: Callable[..., Any], scene: str) -> tuple[Outcome, LearnerError | None]:
        """What a function leaves behind in a scene; where it stops with an error, that is all."""
        arguments = self.scenes[scene]()
        try:
            return attempt("call", lambda: self.outcome(function, arguments)), None
        except LearnerError as error:
            # What the function returned was run too, and may have stopped in its turn.
            trouble = error.error if isinstance(error.error, LearnerError) else error
            refusal = isinstance(trouble.error, Exception) and not isinstance(trouble.error, _ACCIDENTS)
            what = "an error" if self.refuses and refusal else f"an error, {errors.meaning(trouble)}"
            return {"the call": what}, trouble

    def right(self, scene: str, *edits: Edits) -> Outcome:
        """What the reference with these edits leaves behind. Raises NotHereError where they cannot be made."""
        return self.left_behind(self.made(*edits), scene)[0]


def formula(
    signature: str, cases: Sequence[tuple[Any, ...]], reference: str, known: tuple[str, ...], said: str
) -> Effect:
    """A contract of a function that maps numbers to a number; each case is a scene."""
    name = signature.partition("(")[0]
    calls = {f"in `{name}({', '.join(map(repr, case))})`": partial(copy.deepcopy, case) for case in cases}
    advice = "Work this one out by hand, step by step, and compare with each line of your code."
    return Effect(signature, (), reference, known, said, scenes=calls, outcome=_returned, advice=advice, enough=5)


def _returned(function: Callable[..., Any], case: tuple[Any, ...]) -> Outcome:
    """What a formula returned, and what became of a list that it was given and whose order counts."""
    before = copy.deepcopy(case)
    value = function(*case)
    found: Outcome = {}
    for old, new in zip(before, case, strict=True):
        if isinstance(old, list) and old != old[::-1]:
            found["the list"] = "as before" if old == new else "changed" if new else "emptied"
    if value is None or value is Ellipsis:
        return found | {"result": "nothing"}
    if isinstance(value, str | bytes):
        return {"result": "text"}
    try:
        return found | {"the value": operator.index(value)}  # NumPy's and torch's whole numbers too
    except TypeError:
        pass
    try:
        return found | {"the value": float(value)}
    except Exception:
        return {"result": f"{type(value).__name__}, expected one whole number"}


@dataclass
class Trials:
    """What a learner's function did in each scene: what it left behind, and the error it ended with."""

    effect: Effect
    theirs: Any
    got: dict[str, Outcome] = field(default_factory=dict)
    right: dict[str, Outcome] = field(default_factory=dict)
    troubles: dict[str, LearnerError] = field(default_factory=dict)

    def told(self, name: str) -> str:
        """What to say of a known mistake, in the learner's words."""
        return self.say(next(mistake.message for mistake in self.effect.mistakes if mistake.name == name))

    def say(self, text: str) -> str:
        """A message in the learner's words."""
        return their_names(self.effect.signature, self.theirs)(text)

    def shows(self, scene: str) -> str:
        """What differs first in a scene, in words."""
        got, right = self.got[scene], self.right[scene]
        if scene in self.troubles and "the call" not in right:
            error = self.troubles[scene].error
            python = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            return f"It shows {scene}. Python says: {python}{words.at(words.where(error))}"
        return f"It shows {scene}: {_apart(got, right)}."


def judge_effect(effect: Effect, theirs: Any) -> Verdict:
    """The verdict on a learner's function."""
    torch.manual_seed(0)
    unfit = words.not_callable(theirs, effect.signature)
    if unfit is not None:
        return failed(unfit, "not-a-function")
    trials = Trials(effect, theirs)
    for scene in effect.scenes:
        trials.got[scene], trouble = effect.left_behind(theirs, scene)
        trials.right[scene] = effect.right(scene)
        if trouble is not None:
            trials.troubles[scene] = trouble
    differing = {scene: len(_changed(trials.got[scene], right)) for scene, right in trials.right.items()}
    wrong = [scene for scene in differing if differing[scene]]
    if wrong:
        return _diagnosis(trials, sorted(wrong, key=lambda scene: -differing[scene]))  # the one that says most first
    return passed(effect.passed) if effect.measured is None else _measured(trials)


def _diagnosis(trials: Trials, wrong: Sequence[str]) -> Verdict:
    """What is wrong in these scenes."""
    effect, every = trials.effect, list(trials.got)
    stopped = [scene for scene in wrong if "the call" in trials.got[scene]]
    nothing = all(trials.got[scene].get("result") == "nothing" for scene in wrong)
    if not nothing or len(wrong) < len(every):
        found = _explaining(trials, every, wrong, most=1 if len(stopped) == len(every) else 3)
        if found:
            return _told([(one.name, trials.say(one.message)) for one in found], f"\n{trials.shows(wrong[0])}")
    if stopped:
        scene = stopped[0]
        text, *names = errors.raised(trials.troubles[scene], effect.signature, effect.signature)
        right = trials.right[scene].get("the value")
        text = f"{text}\nIt shows {scene}{'' if right is None else f', where {right} is right'}."
        rest = [scene for scene in every if scene not in stopped]
        other = [scene for scene in wrong if scene not in stopped]
        found = _explaining(trials, rest, other) if other and len(rest) >= effect.enough else []
        return _told([*((one.name, trials.say(one.message)) for one in found), (names[0] if names else None, text)])
    scene = wrong[0]
    if nothing:
        return failed(
            f"It returned nothing. Write the missing part, and end with `return`.\nIt shows {scene}.", "not-written"
        )
    more = effect.unknown(trials, scene) if effect.unknown is not None else []
    if more:
        return _told(more, f"\nIt shows {scene}.")
    return failed(
        f"I do not recognize this one. It is right in {len(every) - len(wrong)} of {len(every)} calls. "
        f"{trials.shows(scene)} {trials.say(effect.advice)}",
        *(["no-number"] if "result" in trials.got[scene] and effect.enough > 1 else []),
    )


def _measured(trials: Trials) -> Verdict:
    """The verdict on a function that draws random numbers, on the model of the first scene."""
    effect = trials.effect
    (model,) = next(iter(effect.scenes.values()))()
    before = state_of(model)
    changed = changed_copy(attempt("call", lambda: trials.theirs(model)), model, before)
    names = [] if changed is None else ["copy-changed"]
    assert effect.measured is not None
    names += effect.measured(model if changed is None else changed, before)
    known = {mistake.name for mistake in effect.mistakes}
    # What is no known name is a sentence of its own.
    told = [(name, trials.told(name)) if name in known else (None, name) for name in names]
    return _told(told) if told else passed(effect.passed)


def _explaining(trials: Trials, among: Sequence[str], wrong: Sequence[str], most: int = 3) -> Sequence[Mistake]:
    """The mistakes whose reference leaves behind what the learner's function does, as few as possible."""
    effect, known = trials.effect, list(ways(trials.effect.mistakes))
    scenes = sorted(among, key=lambda one: one != wrong[0])  # the one that differs decides most

    def explains(edits: Sequence[Edits]) -> bool:
        try:
            made = effect.made(*edits)
        except NotHereError:
            return False
        return all(_alike(trials.got[one], effect.left_behind(made, one)[0]) for one in scenes)

    if found := fewest(effect, known, explains, counts=(1,)):
        return found
    # Each mistake alone: where several are joined, each of them brings about a part of what is seen.
    changes = [(mistake, way, _changes(trials, way, scenes)) for mistake, way in known]
    if found := _joined(trials, [(mistake, made) for mistake, _, made in changes], scenes):
        return found
    changes.sort(key=lambda one: -sum(as_theirs for as_theirs in one[2].values()))
    likeliest = [(mistake, way) for mistake, way, _ in changes]
    found = fewest(effect, likeliest, explains, counts=range(2, most + 1), seconds=SECONDS)
    return sorted(found, key=effect.mistakes.index)


def _changes(trials: Trials, way: Edits, scenes: Sequence[str]) -> dict[tuple[str, str], bool]:
    """What a mistake alone changes in these scenes, and whether it is then as in the learner's."""
    try:
        made = {scene: trials.effect.right(scene, way) for scene in scenes}
    except NotHereError:
        return {}
    changed = [(scene, key) for scene in scenes for key in _changed(made[scene], trials.right[scene])]
    return {(scene, key): _has_same(trials.got[scene], made[scene], key) for scene, key in changed}


def _joined(
    trials: Trials, changes: Sequence[tuple[Mistake, Mapping[tuple[str, str], bool]]], scenes: Sequence[str]
) -> list[Mistake]:
    """Mistakes that change different things, and together all that the learner's function has changed."""
    left = {(scene, key) for scene in scenes for key in _changed(trials.got[scene], trials.right[scene])}
    fitting: list[tuple[set[tuple[str, str]], Mistake | None]] = [(set(), None)]
    fitting += [(set(made), mistake) for mistake, made in changes if made and all(made.values())]
    found: list[Mistake] = []
    while left:
        mine, best = max(fitting, key=lambda one: len(one[0] & left))
        if best is None:
            return []
        left -= mine
        found.append(best)
    return sorted(found, key=trials.effect.mistakes.index) if len(found) <= 4 else []


def _told(told: Sequence[Told], ending: str = "") -> Verdict:
    """The verdict that says these things, each once."""
    told = list({name or text: (name, text) for name, text in told}.values())
    names = [name for name, _ in told if name is not None]
    return failed(listed([text for _, text in told]) + ending, *names)


def _changed(got: Outcome, right: Outcome) -> list[str]:
    return [key for key in {**got, **right} if key[0] != "!" and not _has_same(got, right, key)]


def _has_same(a: Outcome, b: Outcome, key: str) -> bool:
    return (key in a) == (key in b) and (key not in a or same(a[key], b[key]))


def _alike(a: Outcome, b: Outcome) -> bool:
    return not _changed(a, b)


def same(a: Tensor | float | str, b: Tensor | float | str) -> bool:
    """Whether two things left behind are the same: tensors, numbers of one type, or what a text says first."""
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return isinstance(a, Tensor) and isinstance(b, Tensor) and compare.same(a, b)
    if isinstance(a, str) or isinstance(b, str):
        return str(a).partition(":")[0] == str(b).partition(":")[0]
    return type(a) is type(b) and abs(a - b) < 1e-9 * max(1.0, abs(b))


def _apart(got: Outcome, right: Outcome) -> str:
    """The first thing that differs, in words."""
    if "result" in got and "result" not in right:
        return f"it returned {got['result']}"
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
        if key == "the value":
            return f"you get {mine}, {value} is right"
        return f"{key} is {_brief(mine)}" + ("" if ":" in str(mine) else f", expected {_brief(value)}")
    return f"{next((key for key in got if key not in right), 'something')} has changed, and should stay as it was"


def _brief(value: Tensor | float | str) -> str:
    return f"a tensor of shape {words.shape(value.shape)}" if isinstance(value, Tensor) else str(value)


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


def model_after(model: nn.Module, before: Mapping[str, Tensor], returned: Any) -> tuple[nn.Module, Outcome]:
    """The model that was changed, given or returned, and beside it whether it is a copy and what can learn."""
    changed = changed_copy(returned, model, before)
    found: Outcome = {} if changed is None else {"the model": "as it was, and a copy of it returned"}
    model = model if changed is None else changed
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    learns = f"everything but {len(frozen)} parameters, the first of them `{frozen[0]}`" if frozen else "everything"
    nothing = frozen and len(frozen) == len(list(model.parameters()))
    return model, {**found, "what learns": "nothing" if nothing else learns}
