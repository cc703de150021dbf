"""The verdict on a function: on the number that it returns, or on what it leaves behind in a model.

Each call leaves something behind: a number, changed tensors, an error. It is held against what the reference
leaves behind, plain or with known mistakes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from resnet_edu.checks import compare, errors, words
from resnet_edu.checks.candidate import Run
from resnet_edu.checks.diagnosis import Diagnosis, Verdict, failed, listed, passed
from resnet_edu.checks.learner import LearnerError, attempt
from resnet_edu.checks.search import Candidate, Trial
from resnet_edu.checks.source import Contract, Mistake
from resnet_edu.checks.watch import where

#: What a call left behind, by name; an error is "the call". Names with a ! stand beside the comparison, and so does
#: what a text says after a colon.
Outcome = dict[str, Any]

#: Errors that a function does not end with on purpose.
_ACCIDENTS = (NameError, AttributeError, TypeError, NotImplementedError, RecursionError, MemoryError, ImportError)


@dataclass(frozen=True, kw_only=True)
class Effect(Contract):
    """A contract of a function that is judged by what it leaves behind."""

    #: Each makes the arguments anew; its name says when a difference shows.
    scenes: Mapping[str, Callable[[], tuple[Any, ...]]]
    #: Calls a function on a scene's arguments and collects what it left behind.
    outcome: Callable[[Callable[..., Any], tuple[Any, ...]], Outcome]
    #: What to look at where no known mistake explains the difference.
    advice: str = ""
    #: An error that comes as part of what is asked, such as a refusal.
    refuses: bool = False
    #: With fewer calls than this beside an error, mistakes that fit them may fit by chance.
    enough: int = 1

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


class Scene(Trial):
    """What a learner's function left behind in one scene, and what the reference leaves behind there."""

    def __init__(self, effect: Effect, theirs: Any, place: str) -> None:
        self.effect, self.place = effect, place
        self.got, self.trouble = effect.left_behind(theirs, place)
        self.right, _ = effect.left_behind(effect.made(), place)
        self.shows = f"It shows {place}."
        if self.trouble is not None and "the call" not in self.right:
            error = self.trouble.error
            python = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            self.shows += f" Python says: {python}{words.at(where(error))}"
        elif _changed(self.got, self.right):
            self.shows = f"It shows {place}: {_apart(self.got, self.right)}."

    def hold(self, make: Callable[..., Any], *_: Any) -> Run:
        """How a candidate fares: which of the things that it leaves behind are the learner's."""
        made, _error = self.effect.left_behind(make, self.place)
        changed = _changed(self.got, made)
        same_things = {key for key in {**self.got, **made} if key not in changed}
        return Run(found=same_things, missing=len(changed), differs="output" if changed else None)


def judge_effect(effect: Effect, theirs: Any) -> Verdict:
    """The verdict on a learner's function."""
    # The scene that says most comes first.
    scenes = [Scene(effect, theirs, place) for place in effect.scenes]
    diagnosis = _Diagnosis(effect, theirs, sorted(scenes, key=lambda scene: -len(_changed(scene.got, scene.right))))
    return diagnosis.verdict() if diagnosis.wrong else passed(effect.passed)


@dataclass
class _Diagnosis(Diagnosis):
    """What is wrong with a function."""

    contract: Effect
    trials: Sequence[Scene]

    def __post_init__(self) -> None:
        # With one number for each call two mistakes may show nothing alone: any two are tried. And some fit by chance.
        self.leading, self.least = (100, 0) if self.contract.enough > 1 else (12, 1)

    def most(self) -> int:
        """One where no call brings anything that could be compared."""
        return 1 if all("the call" in scene.got or scene.got.get("result") == "nothing" for scene in self.trials) else 3

    def unnamed(self, candidate: Candidate, order: Sequence[int]) -> Verdict:
        """The error, or what differs first."""
        scene, every, right = self.trials[order[0]], len(self.trials), len(self.trials) - len(self.wrong)
        if scene.trouble is not None and "the call" not in scene.right:
            return self._stopped(scene)
        if scene.got.get("result") == "nothing":
            text = "It returned nothing. Write the missing part, and end with `return`."
            return failed(f"{text}\nIt shows {scene.place}.", "not-written")
        text = f"I do not recognize this one. It is right in {right} of {every} calls. {scene.shows}"
        names = ["no-number"] if "result" in scene.got and self.contract.enough > 1 else []
        return failed(f"{text} {self.say(self.contract.advice)}", *names)

    def _stopped(self, scene: Scene) -> Verdict:
        """An error that no known mistake explains, and what explains the calls that came back."""
        assert scene.trouble is not None
        text, *names = errors.raised(scene.trouble, self.contract.signature, self.contract.signature)
        value = scene.right.get("the value")
        text = f"{text}\nIt shows {scene.place}{'' if value is None else f', where {value} is right'}."
        rest = [other for other in self.trials if "the call" not in other.got or "the call" in other.right]
        beside, known = _Diagnosis(self.contract, self.theirs, rest), tuple[Mistake, ...]()
        if len(rest) >= self.contract.enough and beside.wrong:
            found = beside.search.find(beside.order)
            known = found.mistakes if beside.search.explains(found, beside.order) else ()
        told = [*(self.say(mistake.message) for mistake in known), text]
        return failed(listed(told), *(mistake.name for mistake in known), *names)


def _changed(got: Outcome, right: Outcome) -> list[str]:
    return [key for key in {**got, **right} if key[0] != "!" and not same(got.get(key), right.get(key))]


def same(a: Any, b: Any) -> bool:
    """Whether two things left behind are the same: tensors, numbers of one type, or what a text says first."""
    if type(a) is not type(b) or isinstance(a, Tensor):
        return compare.same(a, b)
    if isinstance(a, str):
        return a.partition(":")[0] == b.partition(":")[0]
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) if isinstance(a, float) else bool(a == b)


def _apart(got: Outcome, right: Outcome) -> str:
    """The first thing that differs, in words."""
    if "result" in got and "result" not in right:
        return f"it returned {got['result']}"
    if "the call" in right:
        return "it came back without an error, and one was expected"
    parts = [(not same(got[key], value), key[1:]) for key, value in right.items() if key[0] == "!" and key in got]
    if len({is_wrong for is_wrong, _ in parts}) == 2:
        return ", ".join(f"{name} is {'not' if is_wrong else 'right'}" for is_wrong, name in sorted(parts))
    key = min(_changed(got, right), key=lambda key: key in right)  # what should not be there says most
    mine, value = got.get(key), right.get(key)
    if isinstance(mine, Tensor) and isinstance(value, Tensor) and mine.shape == value.shape:
        return f"{key} is off by up to {compare.difference(mine, value):.2g} (relative)"
    return f"{key} is {_brief(mine)}" + ("" if ":" in str(mine) else f", expected {_brief(value)}")


def _brief(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {words.shape(value.shape)}"
    return "as it was" if value is None else str(value)
