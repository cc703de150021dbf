"""The verdict on a function that maps numbers to a number: the wrong formulas that are known, up to three at once."""

import copy
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from resnet_edu.checks import errors, words
from resnet_edu.checks.learner import LearnerError, attempt
from resnet_edu.checks.naming import their_names
from resnet_edu.checks.search import fewest
from resnet_edu.checks.source import Contract, Edits, Mistake, NotHereError, ways
from resnet_edu.checks.verdict import Verdict, failed, listed, passed

#: With fewer values than this beside an error, a formula that fits them may fit by chance.
_ENOUGH = 5


@dataclass(frozen=True)
class _Called:
    """What a function returned for each case, and what it did to a list that it was given."""

    values: tuple[Any, ...]
    lists: str  # "as before", "emptied" or "changed"


def judge_formula(formula: Contract, theirs: Any) -> Verdict:
    """The verdict on a learner's function."""
    wrong = words.not_callable(theirs, formula.signature)
    if wrong is not None:
        return failed(wrong, "not-a-function")
    say = their_names(formula.signature, theirs)
    known = [replace(mistake, message=say(mistake.message)) for mistake in formula.mistakes]
    given = [copy.deepcopy(case.args) for case in formula.cases]
    values: list[Any] = []
    cases: list[int] = []
    trouble: tuple[str, ...] = ()
    for number, case in enumerate(given):
        try:
            values.append(attempt("call", lambda case=case: theirs(*case)))  # type: ignore[misc]
            cases.append(number)
        except LearnerError as error:
            trouble = trouble or _raised(formula, known, error, formula.cases[number].args)
    for number, value in zip(cases, values, strict=True):
        odd = _no_number(value, call_of(formula, formula.cases[number].args))
        if odd is not None:
            return failed(*odd)
    if not trouble and all(value is None or value is Ellipsis for value in values):
        return failed(_nothing(formula, 0), "not-written")
    lists = _lists([formula.cases[number].args for number in cases], [given[number] for number in cases])
    got = _Called(tuple(map(_number, values)), lists)
    return _verdict(formula, known, cases, got, trouble)


def _verdict(
    formula: Contract, known: Sequence[Mistake], cases: Sequence[int], got: _Called, trouble: tuple[str, ...]
) -> Verdict:
    """What to say about the values of the cases that returned, and about the error of those that did not."""
    right = _called(formula.made(), [formula.cases[number].args for number in cases])
    wrong = [number for number, a, b in zip(cases, got.values, right.values, strict=True) if not _equal(a, b)]
    if trouble and (not wrong or len(cases) < _ENOUGH):
        return failed(*trouble)
    if not wrong and got.lists == right.lists:
        return _whole(formula, got)
    slips = _explaining(formula, known, cases, got)
    if not slips and trouble:
        return failed(*trouble)
    ending = _ending(formula, cases, got, right, wrong)
    if not slips:
        return failed(*_unknown(formula, cases, got, right, wrong, ending))
    told = [slip.message for slip in slips] + list(trouble[:1])
    names = [slip.name for slip in slips] + list(trouble[1:])
    return failed(f"{listed(told)}{ending}", *names)


def _whole(formula: Contract, got: _Called) -> Verdict:
    floats = [value for value in got.values if isinstance(value, float)]
    if not floats:
        return passed(formula.passed)
    return failed(
        f"The values are right, but they are floats, such as {floats[0]}, and a number of pixels is a whole one. "
        "Where you divide, use `//`, which also rounds down; or return `int(…)` of the result.",
        "float-returned",
    )


def _ending(formula: Contract, cases: Sequence[int], got: _Called, right: _Called, wrong: Sequence[int]) -> str:
    if not wrong:
        return ""
    at = list(cases).index(wrong[0])
    mine = got.values[at]
    you = "you get nothing" if mine is None else f"you get {_print(mine)}"
    return f"\nIt shows in `{call_of(formula, formula.cases[wrong[0]].args)}`: {you}, {right.values[at]} is right."


def _unknown(
    formula: Contract, cases: Sequence[int], got: _Called, right: _Called, wrong: Sequence[int], ending: str
) -> tuple[str, ...]:
    nothing = [number for number, value in zip(cases, got.values, strict=True) if value is None]
    if nothing and nothing == list(wrong):
        return _nothing(formula, nothing[0]), "not-written"
    fine = len(cases) - len(wrong)
    return (
        f"I do not recognize this formula. It is right in {fine} of {len(cases)} calls. {ending.strip()} Work this one "
        "out by hand, step by step, and compare with each line of your code.",
    )


def _nothing(formula: Contract, case: int) -> str:
    call = call_of(formula, formula.cases[case].args)
    return f"`{call}` returned nothing. Write the missing part, and end with `return`."


def _no_number(value: Any, call: str) -> tuple[str, ...] | None:
    """What to say of a value that is neither a number nor missing."""
    if value is None or value is Ellipsis:
        return None
    if isinstance(value, str | bytes):
        return (
            f"`{call}` returned text, {value[:20]!r}, a {type(value).__name__}. Return the number itself: no quotes, "
            "no `str(…)`, no f-string.",
            "text-returned",
        )
    try:
        float(value)
    except Exception:
        return f"`{call}` returned a {type(value).__name__}, expected one whole number.", "no-number"
    return None


def _number(value: Any) -> Any:
    if value is None or value is Ellipsis:
        return None
    try:
        return operator.index(value)  # NumPy's and torch's whole numbers too
    except TypeError:
        return float(value)


def _lists(before: Sequence[Sequence[Any]], after: Sequence[Sequence[Any]]) -> str:
    """What has become of the lists among the arguments."""
    pairs = [
        (old, new)
        for case, left in zip(before, after, strict=True)
        for old, new in zip(case, left, strict=True)
        if isinstance(old, list) and old
    ]
    if all(old == new for old, new in pairs):
        return "as before"
    return "emptied" if not any(new for _, new in pairs) else "changed"


def _explaining(formula: Contract, known: Sequence[Mistake], cases: Sequence[int], got: _Called) -> list[Mistake]:
    """The mistakes whose formula returns what the learner's does, as few as possible."""

    def explains(edits: Sequence[Edits]) -> bool:
        try:
            return _alike(got, _called(formula.made(*edits), [formula.cases[number].args for number in cases]))
        except NotHereError:
            return False

    return fewest(formula, list(ways(known)), explains)


def _called(function: Callable[..., Any], cases: Sequence[Sequence[Any]]) -> _Called:
    """A formula on some cases."""
    given = [copy.deepcopy(case) if any(isinstance(one, list) for one in case) else case for case in cases]
    return _Called(tuple(_value(function, case) for case in given), _lists(cases, given))


def _alike(a: _Called, b: _Called) -> bool:
    return a.lists == b.lists and all(_equal(x, y) for x, y in zip(a.values, b.values, strict=True))


def _raised(formula: Contract, known: Sequence[Mistake], trouble: LearnerError, case: Sequence[Any]) -> tuple[str, ...]:
    """An error of the learner's function, in words."""
    error, call = trouble.error, call_of(formula, case)
    line = words.at(words.where(error))
    start = f"`{call}` stopped with an error."
    python = f"{type(error).__name__}: {error}"
    if isinstance(error, AttributeError) and "'NoneType'" not in python and "'ellipsis'" not in python:
        return (
            f"{start} Python says: {error}. Check the spelling, and what kind of object stands before the dot.{line}",
            "attribute-missing",
        )
    for beginning, name in formula.errors.items():
        slip = next((slip for slip in known if slip.name == name), None)
        if slip is not None and python.startswith(beginning):
            return f"{slip.message}\n{start} Python says: {python}{line}", name
    if any(isinstance(one, list) and not one for one in case):
        text, *names = errors.raised(trouble, call, formula.signature)
        right = formula.made()(*case)
        return f"{text}\nThe list may be empty. The right answer is {right} then.", *names
    return errors.raised(trouble, call, formula.signature)


def call_of(formula: Contract, case: Sequence[Any]) -> str:
    """The call in print."""
    return f"{formula.name}({', '.join(map(repr, case))})"


def _value(function: Callable[..., Any], case: Sequence[Any]) -> Any:
    try:
        return function(*case)
    except Exception:  # an edit of an edited formula may be none
        return math.nan


def _equal(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return abs(float(a) - float(b)) < 1e-9 * max(1.0, abs(float(b)))


def _print(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
