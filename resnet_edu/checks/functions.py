"""Checks of functions that map numbers to a number: the wrong formulas that are known, alone or two at once."""

import copy
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from resnet_edu.checks import errors, words
from resnet_edu.checks.contract import Slip
from resnet_edu.checks.judge import Verdict, failed, listed, passed
from resnet_edu.checks.naming import in_their_names
from resnet_edu.checks.observe import LearnerError, attempt

#: With fewer values than this beside an error, a formula that fits them may fit by chance.
_ENOUGH = 5


@dataclass(frozen=True)
class Formula:
    """A function to be written: the reference takes the names of the slips that it shall make."""

    name: str
    signature: str
    cases: tuple[tuple[Any, ...], ...]
    reference: Callable[..., Any]  # reference(frozenset of slips, *case)
    slips: tuple[Slip, ...]
    passed: str
    #: The slip that an error gives away, by the beginning of Python's words.
    errors: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Called:
    """What a function returned for each case, and what it did to a list that it was given."""

    values: tuple[Any, ...]
    lists: str  # "as before", "emptied" or "changed"


def judge_formula(formula: Formula, theirs: Any) -> Verdict:
    """The verdict on a learner's function."""
    wrong = words.not_callable(theirs, formula.signature)
    if wrong is not None:
        return failed(wrong, "not-a-function")
    known = in_their_names(formula.slips, formula.signature, theirs)
    given = [copy.deepcopy(case) for case in formula.cases]
    values: list[Any] = []
    cases: list[int] = []
    trouble: tuple[str, ...] = ()
    for number, case in enumerate(given):
        try:
            values.append(attempt("call", lambda case=case: theirs(*case)))  # type: ignore[misc]
            cases.append(number)
        except LearnerError as error:
            trouble = trouble or _raised(formula, known, error, formula.cases[number])
    for number, value in zip(cases, values, strict=True):
        odd = _no_number(value, call_of(formula, formula.cases[number]))
        if odd is not None:
            return failed(*odd)
    if not trouble and all(value is None or value is Ellipsis for value in values):
        return failed(_nothing(formula, 0), "not-written")
    lists = _lists([formula.cases[number] for number in cases], [given[number] for number in cases])
    got = _Called(tuple(map(_number, values)), lists)
    return _verdict(formula, known, cases, got, trouble)


def _verdict(
    formula: Formula, known: Sequence[Slip], cases: Sequence[int], got: _Called, trouble: tuple[str, ...]
) -> Verdict:
    """What to say about the values of the cases that returned, and about the error of those that did not."""
    right = _called(formula, frozenset(), cases)
    wrong = [number for number, a, b in zip(cases, got.values, right.values, strict=True) if not _equal(a, b)]
    if trouble and (not wrong or len(cases) < _ENOUGH):
        return failed(*trouble)
    if not wrong and got.lists == right.lists:
        return _whole(formula, got)
    slips = next(
        (
            slips
            for slips in (*combinations(known, 1), *combinations(known, 2))
            if _alike(got, _called(formula, frozenset(slip.name for slip in slips), cases))
        ),
        None,
    )
    if slips is None and trouble:
        return failed(*trouble)
    ending = _ending(formula, cases, got, right, wrong)
    if slips is None:
        return failed(*_unknown(formula, cases, got, right, wrong, ending))
    told = [slip.message for slip in slips] + list(trouble[:1])
    names = [slip.name for slip in slips] + list(trouble[1:])
    return failed(f"{listed(told)}{ending}", *names)


def _whole(formula: Formula, got: _Called) -> Verdict:
    floats = [value for value in got.values if isinstance(value, float)]
    if not floats:
        return passed(formula.passed)
    return failed(
        f"The values are right, but they are floats, such as {floats[0]}, and a number of pixels is a whole one. "
        "Where you divide, use `//`, which also rounds down; or return `int(…)` of the result.",
        "float-returned",
    )


def _ending(formula: Formula, cases: Sequence[int], got: _Called, right: _Called, wrong: Sequence[int]) -> str:
    if not wrong:
        return ""
    at = list(cases).index(wrong[0])
    mine = got.values[at]
    you = "you get nothing" if mine is None else f"you get {_print(mine)}"
    return f"\nIt shows in `{call_of(formula, formula.cases[wrong[0]])}`: {you}, {right.values[at]} is right."


def _unknown(
    formula: Formula, cases: Sequence[int], got: _Called, right: _Called, wrong: Sequence[int], ending: str
) -> tuple[str, ...]:
    nothing = [number for number, value in zip(cases, got.values, strict=True) if value is None]
    if nothing and nothing == list(wrong):
        return _nothing(formula, nothing[0]), "not-written"
    fine = len(cases) - len(wrong)
    return (
        f"I do not recognize this formula. It is right in {fine} of {len(cases)} calls. {ending.strip()} Work this one "
        "out by hand, step by step, and compare with each line of your code.",
    )


def _nothing(formula: Formula, case: int) -> str:
    return f"`{call_of(formula, formula.cases[case])}` returned nothing. Write the missing part, and end with `return`."


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


def _called(formula: Formula, slips: frozenset[str], cases: Sequence[int]) -> _Called:
    """The reference with these slips made, on some of the cases."""
    before = [formula.cases[number] for number in cases]
    given = [copy.deepcopy(case) if any(isinstance(one, list) for one in case) else case for case in before]
    return _Called(tuple(_value(formula, slips, case) for case in given), _lists(before, given))


def _alike(a: _Called, b: _Called) -> bool:
    return a.lists == b.lists and all(_equal(x, y) for x, y in zip(a.values, b.values, strict=True))


def _raised(formula: Formula, known: Sequence[Slip], trouble: LearnerError, case: Sequence[Any]) -> tuple[str, ...]:
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
    for beginning, name in (formula.errors or {}).items():
        slip = next((slip for slip in known if slip.name == name), None)
        if slip is not None and python.startswith(beginning):
            return f"{slip.message}\n{start} Python says: {python}{line}", name
    if any(isinstance(one, list) and not one for one in case):
        text, *names = errors.raised(trouble, call, formula.signature)
        right = formula.reference(frozenset(), *case)
        return f"{text}\nThe list may be empty. The right answer is {right} then.", *names
    return errors.raised(trouble, call, formula.signature)


def call_of(formula: Formula, case: Sequence[Any]) -> str:
    """The call in print."""
    return f"{formula.name}({', '.join(map(repr, case))})"


def _value(formula: Formula, slips: frozenset[str], case: Sequence[Any]) -> Any:
    try:
        return formula.reference(slips, *case)
    except (ValueError, ZeroDivisionError):
        return math.nan


def _equal(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return abs(float(a) - float(b)) < 1e-9 * max(1.0, abs(float(b)))


def _print(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _conv_out(
    slips: frozenset[str], size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Any:
    if "padding-ignored" in slips:
        padding = 0
    if "stride-ignored" in slips:
        stride = 1
    if "dilation-ignored" in slips:
        dilation = 1
    if "padding-overwritten" in slips:
        padding = (kernel - 1) // 2
    reach = dilation * kernel if "dilation-times-kernel" in slips else dilation * (kernel - 1) + 1
    # Both of the two that are too many is a slip of its own: the 1 added before the division.
    if "minus-one-missing" in slips and "one-missing" not in slips:
        reach -= 1
    sides = 1 if "padding-once" in slips else 2
    span = size + sides * padding - reach
    if "kernel-ignored" in slips:
        span = size + sides * padding
    if "padding-subtracted" in slips:
        span = size - sides * padding - reach
    if "only-the-one-divided" in slips:
        return span + 1 - 1 // stride + ("one-missing" not in slips)
    if "only-the-kernel-divided" in slips:
        return span + reach - reach // stride + ("one-missing" not in slips)
    if "rounded-up" in slips:
        steps: Any = -(-span // stride)
    elif "rounded-to-nearest" in slips:
        steps = round(span / stride)
    elif "not-rounded" in slips:
        steps = span / stride
    else:
        steps = span // stride
    if "one-added-before-dividing" in slips:
        return (span + 1) // stride
    return steps if "one-missing" in slips else steps + 1


CONV_OUT = Formula(
    "conv_out",
    "conv_out(size, kernel, stride=1, padding=0, dilation=1)",
    (
        (224, 7, 2, 3),
        (112, 3, 2, 1),
        (32, 3, 1, 1),
        (32, 5),
        (9, 3, 2),
        (10, 3, 3, 2),
        (9, 3, 3, 2),
        (17, 1, 2),
        (56, 1, 2, 0),
        (20, 3, 1, 2, 2),
        (21, 5, 2, 3, 2),
        (15, 3, 4, 1),
        (16, 4, 3, 1, 3),
    ),
    _conv_out,
    (
        Slip(
            "one-missing", "The `+ 1` at the end is missing: the kernel's first position counts too, before any step."
        ),
        Slip("padding-once", "Padding goes on both sides, so it counts twice: size + 2·padding."),
        Slip("rounded-up", "You round up. A step that does not fit is not taken, so the division rounds down: `//`."),
        Slip(
            "rounded-to-nearest",
            "You round to the nearest. A step that does not fit is not taken: round down with `//`.",
        ),
        Slip("not-rounded", "The division is not rounded down, so half a pixel is left over. Use `//`."),
        Slip(
            "padding-ignored",
            "The padding is ignored. It makes the input wider before the kernel moves: size + 2·padding.",
        ),
        Slip("padding-subtracted", "The padding is taken away, it should be added: it makes the input wider."),
        Slip("stride-ignored", "The stride is ignored. Divide by it before adding 1."),
        Slip(
            "dilation-ignored",
            "The dilation is ignored. A dilated kernel reaches over dilation·(kernel − 1) + 1 pixels.",
        ),
        Slip(
            "dilation-times-kernel",
            "The dilated kernel is too wide. There are kernel − 1 gaps, not kernel: it reaches over dilation·(kernel "
            "− 1) + 1 pixels.",
        ),
        Slip(
            "kernel-ignored",
            "The kernel's size is ignored. Subtract it from the padded size: the kernel stands only where all of it "
            "fits.",
        ),
        Slip("one-added-before-dividing", "The 1 is added before the division. Divide first, then add 1."),
        Slip(
            "minus-one-missing",
            "The 1 that is taken off before the division is missing. The kernel reaches over dilation·(kernel − 1) + 1 "
            "pixels: subtract all of them, `size + 2 * padding - dilation * (kernel - 1) - 1`.",
        ),
        Slip(
            "only-the-one-divided",
            "Only the 1 is divided by the stride: `//` binds more tightly than `-`. Put parentheses around the whole "
            "difference: `(size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1`.",
        ),
        Slip(
            "only-the-kernel-divided",
            "Only the kernel is divided by the stride: `//` binds more tightly than `-`. Put parentheses around the "
            "whole difference: `(size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1`.",
        ),
        Slip(
            "padding-overwritten",
            "The padding is always (kernel − 1) // 2, whatever is handed over. That is a usual choice, not the only "
            "one: use `padding`.",
        ),
    ),
    "Right in every case, with odd sizes, padding, stride and dilation.",
)


def _receptive_field(slips: frozenset[str], layers: list[Sequence[int]]) -> Any:
    field = _field(slips, tuple(layers))
    if "empties-the-list" in slips:
        layers.clear()
    if "changes-the-list" in slips:
        layers.reverse()
    return field


def _field(slips: frozenset[str], layers: Sequence[Sequence[int]]) -> Any:
    if "third-number-not-taken" in slips:
        layers = [(kernel, stride) for kernel, stride in layers]
    if "third-number-always-taken" in slips:
        layers = [(kernel, stride, dilation) for kernel, stride, dilation in layers]
    if "returns-after-first-layer" in slips:
        if not layers:
            return None
        layers = layers[:1]
    if "last-layer-skipped" in slips:
        layers = layers[:-1]
    if "kernels-summed" in slips:
        return sum(kernel for kernel, *_ in layers)
    field, jump = (0 if "starts-at-zero" in slips else 1), 1
    order = reversed(layers) if "wrong-direction" in slips else layers
    for kernel, stride, *rest in order:
        dilation = rest[0] if rest and "dilation-ignored" not in slips else 1
        if "stride-too-early" in slips:
            jump *= stride
        step = 1 if "stride-ignored" in slips else jump
        if "only-own-stride" in slips:
            step = stride
        width = (kernel if "kernel-not-minus-one" in slips else kernel - 1) * dilation
        if "dilation-times-kernel" in slips:
            width = kernel * dilation - 1
        field = max(field, width + 1) if "largest-only" in slips else field + width * step
        if "only-stride-before" in slips:
            jump = stride
        elif "strides-added" in slips:
            jump += stride
        elif "strides-added-less-one" in slips:
            jump += stride - 1
        elif "stride-too-early" not in slips:
            jump *= stride
    return jump if "distance-returned" in slips else field


RECEPTIVE_FIELD = Formula(
    "receptive_field",
    "receptive_field(layers)",
    (
        ([(3, 1)],),
        ([(3, 1), (3, 1)],),
        ([(7, 2), (3, 2)],),
        ([(7, 2), (3, 2), (3, 1), (3, 1)],),
        ([(7, 2), (3, 2), (3, 1), (3, 1), (3, 2), (3, 1)],),
        ([(1, 2), (3, 1)],),
        ([(3, 1, 2), (3, 2, 1), (5, 1, 3)],),
        ([],),
    ),
    _receptive_field,
    (
        Slip(
            "stride-ignored",
            "The strides are ignored. Behind a stride of 2 neighboring cells lie 2 input pixels apart, so each "
            "further kernel widens the view twice as fast.",
        ),
        Slip(
            "kernels-summed",
            "The kernels are added up. Each layer adds kernel − 1 steps to the one pixel of the start, and each step "
            "is as wide as the product of all strides before.",
        ),
        Slip(
            "stride-too-early",
            "A layer's own stride is counted before its kernel. A kernel sees cells as far apart as the earlier "
            "strides made them: widen first, then multiply the distance by this stride.",
        ),
        Slip(
            "kernel-not-minus-one", "Each layer adds kernel − 1 steps, not kernel: its middle pixel is in view already."
        ),
        Slip("starts-at-zero", "It starts from 0. Before any layer a cell sees one pixel, itself: start from 1."),
        Slip(
            "wrong-direction",
            "The order does not fit the recurrence. A line that multiplies the field itself, r = (r − 1)·stride + …, "
            "works from the last layer back: go through `reversed(layers)`. One that multiplies a distance by each "
            "stride works from the first layer on.",
        ),
        Slip(
            "only-own-stride",
            "Only each layer's own stride is used. The distance between cells is the product of all strides before.",
        ),
        Slip(
            "strides-added",
            "The strides are added up. The distance between two cells multiplies with each stride: 2, then 4, then 8.",
        ),
        Slip(
            "dilation-ignored",
            "The dilation, the third number where there is one, is ignored: a dilated kernel reaches dilation·(kernel "
            "− 1) + 1 far.",
        ),
        Slip(
            "largest-only",
            "This gives the widest single kernel. Views add up: each layer looks at cells that each see a region "
            "already.",
        ),
        Slip(
            "only-stride-before",
            "Each layer's distance is the stride of the one layer before it. Multiply all strides before it: the "
            "distance is 2, then 4, then 8. `*=` does it, `=` forgets the earlier ones.",
        ),
        Slip(
            "strides-added-less-one",
            "Each stride adds stride − 1 to the distance between two cells. It multiplies that distance: 2, then 4, "
            "then 8.",
        ),
        Slip(
            "dilation-times-kernel",
            "A dilated kernel is made too wide. There are kernel − 1 gaps, each dilation wide, so a layer adds "
            "dilation·(kernel − 1) steps, not dilation·kernel − 1.",
        ),
        Slip(
            "distance-returned",
            "You return the distance between two neighboring cells, the product of the strides. Return the field, "
            "which starts at 1 and grows by dilation·(kernel − 1) such distances in each layer.",
        ),
        Slip("last-layer-skipped", "The last layer is left out. Each layer widens the view, the last one too."),
        Slip(
            "returns-after-first-layer",
            "The `return` is inside the loop, so only the first layer is counted, and an empty list gives nothing. "
            "Move it behind the loop, to the left by one level.",
        ),
        Slip(
            "empties-the-list",
            "Your code empties the list that it is given, as `pop` does: whoever calls it has no layers left. Go "
            "through `reversed(layers)`, or work on a copy, `list(layers)`.",
        ),
        Slip(
            "changes-the-list",
            "Your code changes the list that it is given: whoever calls it finds another one afterwards. Work on a "
            "copy, `list(layers)`.",
        ),
        Slip(
            "third-number-not-taken",
            "A layer may have a third number, the dilation. Take it along where it is there: `for kernel, stride, "
            "*rest in layers`.",
        ),
        Slip(
            "third-number-always-taken",
            "A layer may have two numbers only, and its dilation is 1 then. Ask whether there is a third: `for kernel, "
            "stride, *rest in layers`.",
        ),
    ),
    "Right for plain, strided and dilated stacks.",
    {
        "ValueError: too many values to unpack (expected 2": "third-number-not-taken",
        "ValueError: not enough values to unpack (expected 3, got 2": "third-number-always-taken",
        "IndexError: tuple index out of range": "third-number-always-taken",
    },
)
