"""The verdict on a function: on the number that it returns, or on what it leaves behind in a model.

Each call leaves something behind: a number, changed tensors, an error. It is held against what the reference
leaves behind, plain or with known mistakes.
"""

import copy
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks import compare, errors, words
from resnet_edu.checks.candidate import Run
from resnet_edu.checks.diagnosis import Diagnosis, Verdict, failed, listed, passed
from resnet_edu.checks.learner import LearnerError, attempt
from resnet_edu.checks.naming import their_names
from resnet_edu.checks.search import Candidate, Found
from resnet_edu.checks.source import Contract, Edits, Mistake, NotHereError, ways

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


class Scene:
    """What a learner's function left behind in one scene, and what the reference leaves behind there."""

    functions: frozenset[str] = frozenset()
    is_long = False

    def __init__(self, effect: Effect, theirs: Any, place: str) -> None:
        self.effect, self.place = effect, place
        self.got, self.trouble = effect.left_behind(theirs, place)
        self.right, _ = effect.left_behind(effect.made(), place)

    @property
    def shows(self) -> str:
        """What differs first, in words."""
        if self.trouble is not None and "the call" not in self.right:
            error = self.trouble.error
            python = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            return f"It shows {self.place}. Python says: {python}{words.at(words.where(error))}"
        return f"It shows {self.place}: {_apart(self.got, self.right)}."

    def hold(self, make: Callable[..., Any], *_: Any) -> Run:
        """How a candidate fares: which of the things that it leaves behind are the learner's."""
        made, _error = self.effect.left_behind(make, self.place)
        changed = _changed(self.got, made)
        same_things = {key for key in {**self.got, **made} if key not in changed}
        return Run(found=same_things, missing=len(changed), differs="output" if changed else None)


def judge_effect(effect: Effect, theirs: Any) -> Verdict:
    """The verdict on a learner's function."""
    torch.manual_seed(0)
    unfit = words.not_callable(theirs, effect.signature)
    if unfit is not None:
        return failed(unfit, "not-a-function")
    scenes = [Scene(effect, theirs, place) for place in effect.scenes]
    # The one that says most comes first.
    scenes.sort(key=lambda scene: -len(_changed(scene.got, scene.right)))
    diagnosis = _Diagnosis(effect, theirs, scenes)
    return diagnosis.verdict() if diagnosis.wrong else passed(effect.passed)


@dataclass
class _Diagnosis(Diagnosis):
    """What is wrong with a function."""

    contract: Effect
    trials: Sequence[Scene]
    leading: int = 100  # a function is quickly run: any two mistakes are tried

    def most(self) -> int:
        """None where nothing is written; one where each call stops with an error."""
        wrong = [self.trials[case] for case in self.wrong]
        if len(wrong) == len(self.trials) and all(scene.got.get("result") == "nothing" for scene in wrong):
            return 0
        return 1 if all("the call" in scene.got for scene in self.trials) else 3

    def verdict(self) -> Verdict:
        """What is wrong: mistakes that change different things are told without a search."""
        known, rest = self._separate
        return self.named(known) if known and not rest else super().verdict()

    def partly(self, found: Found) -> Verdict | None:
        """The mistakes that change different things, and something else."""
        known, rest = self._separate
        if not known or self.contract.enough > 1:  # with one number for each call, some may fit by chance
            return None
        (scene, key), told = rest[0], listed([self.say(mistake) for mistake in known])
        more = f"There is more: {_apart(scene.got, scene.right, [key])}."
        return failed(f"{told}\n{more}", *(mistake.name for mistake in known))

    @cached_property
    def _separate(self) -> tuple[list[Mistake], list[tuple[Scene, str]]]:
        """Mistakes that change different things, each as it is in the learner's, and what they leave to explain."""
        left = [(scene, key) for scene in self.trials for key in _changed(scene.got, scene.right)]
        fitting = [(self._changes(way), mistake) for mistake, way in ways(self.contract.mistakes)]
        known: list[Mistake] = []
        while left:
            changes, mistake = max(fitting, key=lambda one: len(one[0].intersection(left)))
            if changes.isdisjoint(left):
                break
            left = [one for one in left if one not in changes]
            known.append(mistake)
        return known, left

    def _changes(self, way: Edits) -> set[tuple[Scene, str]]:
        """What a mistake alone changes, if all of that is as in the learner's."""
        found = set()
        for scene in self.trials:
            try:
                made, _ = self.contract.left_behind(self.contract.made(way), scene.place)
            except NotHereError:
                return set()
            changed = _changed(made, scene.right)
            if not set(changed).isdisjoint(_changed(made, scene.got)):
                return set()
            found |= {(scene, key) for key in changed}
        return found

    def unnamed(self, candidate: Candidate, order: Sequence[int]) -> Verdict:
        """The error, or what differs first."""
        scene, every, right = self.trials[order[0]], len(self.trials), len(self.trials) - len(self.wrong)
        if scene.trouble is not None and "the call" not in scene.right:
            return self._stopped(scene)
        if scene.got.get("result") == "nothing":
            text = "It returned nothing. Write the missing part, and end with `return`."
            return failed(f"{text}\nIt shows {scene.place}.", "not-written")
        advice = their_names(self.contract.signature, self.theirs)(self.contract.advice)
        return failed(
            f"I do not recognize this one. It is right in {right} of {every} calls. {scene.shows} {advice}",
            *(["no-number"] if "result" in scene.got and self.contract.enough > 1 else []),
        )

    def _stopped(self, scene: Scene) -> Verdict:
        """An error that no known mistake explains, and what explains the calls that came back."""
        assert scene.trouble is not None
        text, *names = errors.raised(scene.trouble, self.contract.signature, self.contract.signature)
        value = scene.right.get("the value")
        text = f"{text}\nIt shows {scene.place}{'' if value is None else f', where {value} is right'}."
        rest = [other for other in self.trials if "the call" not in other.got or "the call" in other.right]
        if len(rest) < self.contract.enough or not any(_changed(other.got, other.right) for other in rest):
            return failed(text, *names)
        beside = _Diagnosis(self.contract, self.theirs, rest)
        found = beside.search.find(beside.order, beside.wrong)
        known = found.candidate.mistakes if found.whole else ()
        told = [*(self.say(mistake) for mistake in known), text]
        return failed(listed(told), *(mistake.name for mistake in known), *names)


def _changed(got: Outcome, right: Outcome) -> list[str]:
    return [key for key in {**got, **right} if key[0] != "!" and not _has_same(got, right, key)]


def _has_same(a: Outcome, b: Outcome, key: str) -> bool:
    return (key in a) == (key in b) and (key not in a or same(a[key], b[key]))


def same(a: Any, b: Any) -> bool:
    """Whether two things left behind are the same: tensors, numbers of one type, or what a text says first."""
    if type(a) is not type(b):
        return isinstance(a, Tensor) and isinstance(b, Tensor) and compare.same(a, b)
    if isinstance(a, Tensor):
        return compare.same(a, b)
    if isinstance(a, str):
        return a.partition(":")[0] == b.partition(":")[0]
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) if isinstance(a, float) else bool(a == b)


def _apart(got: Outcome, right: Outcome, among: Sequence[str] = ()) -> str:
    """The first thing that differs, of all or among some, in words."""
    if "result" in got and "result" not in right:
        return f"it returned {got['result']}"
    if "the call" in right:
        return "it came back without an error, and one was expected"
    parts = [(not same(got[key], value), key[1:]) for key, value in right.items() if key[0] == "!" and key in got]
    if len({is_wrong for is_wrong, _ in parts}) == 2 and not among:
        return ", ".join(f"{name} is {'not' if is_wrong else 'right'}" for is_wrong, name in sorted(parts))
    key = min(among or _changed(got, right), key=lambda key: key in right)  # what should not be there says most
    mine, value = got.get(key), right.get(key)
    if value is None:
        return f"{key} is {mine}" if isinstance(mine, str) else f"{key} has changed, and should stay as it was"
    if mine is None:
        return f"{key} is as it was"
    if isinstance(mine, Tensor) and isinstance(value, Tensor):
        if mine.shape != value.shape:
            return f"{key} has shape {words.shape(mine.shape)}, expected {words.shape(value.shape)}"
        return f"{key} is off by up to {compare.difference(mine, value):.2g} (relative)"
    if key == "the value":
        return f"you get {mine}, {value} is right"
    return f"{key} is {_brief(mine)}" + ("" if ":" in str(mine) else f", expected {_brief(value)}")


def _brief(value: object) -> str:
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


def model_after(model: nn.Module, before: Mapping[str, Tensor], returned: Any) -> tuple[nn.Module, Outcome]:
    """The model that was changed, given or returned, and beside it whether it is a copy and what can learn."""

    def is_as_before(one: nn.Module) -> bool:
        return all(compare.same(tensor, before[name]) for name, tensor in one.state_dict().items())

    found: Outcome = {}
    is_alike = isinstance(returned, nn.Module) and returned.state_dict().keys() == before.keys()
    if is_alike and is_as_before(model) and not is_as_before(returned):
        model, found = returned, {"the model": "as it was, and a copy of it returned"}
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    learns = f"everything but {len(frozen)} parameters, the first of them `{frozen[0]}`" if frozen else "everything"
    nothing = frozen and len(frozen) == len(list(model.parameters()))
    return model, {**found, "what learns": "nothing" if nothing else learns}
