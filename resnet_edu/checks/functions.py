"""Checks of functions that map numbers to a number: the wrong formulas that are known, alone or two at once."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from resnet_edu.checks import words
from resnet_edu.checks.contract import Slip
from resnet_edu.checks.judge import Verdict, failed, passed
from resnet_edu.checks.naming import in_their_names
from resnet_edu.checks.observe import LearnerError, attempt


@dataclass(frozen=True)
class Formula:
    """A function to be written: the reference takes the names of the slips that it shall make."""

    name: str
    signature: str
    cases: tuple[tuple[Any, ...], ...]
    reference: Callable[..., Any]  # reference(frozenset of slips, *case)
    slips: tuple[Slip, ...]
    passed: str


def judge_formula(formula: Formula, theirs: Any) -> Verdict:
    """The verdict on a learner's function."""
    wrong = words.not_callable(theirs, formula.signature)
    if wrong is not None:
        return failed(wrong, "not-a-function")
    got: list[Any] = []
    for case in formula.cases:
        call = call_of(formula, case)
        try:
            value = attempt("call", lambda case=case: theirs(*case))  # type: ignore[misc]
        except LearnerError as trouble:
            return failed(*words.raised(trouble, theirs, call, formula.signature))
        if value is None or value is Ellipsis:
            return failed(f"`{call}` returned nothing. Write the missing part, and end with `return`.", "not-written")
        try:
            number = float(value)
        except (TypeError, ValueError, RuntimeError):
            return failed(f"`{call}` returned a {type(value).__name__}, expected one whole number.", "no-number")
        got.append(value if isinstance(value, int) else number)
    right = [formula.reference(frozenset(), *case) for case in formula.cases]
    first = next((i for i, (a, b) in enumerate(zip(got, right, strict=True)) if not _equal(a, b)), None)
    if first is None:
        if any(isinstance(value, float) for value in got):
            return failed(
                "The values are right, but they are floats such as 112.0, and a number of pixels is a whole one. "
                "Divide with `//`, which also rounds down.",
                "float-returned",
            )
        return passed(formula.passed)
    call = call_of(formula, formula.cases[first])
    ending = f"It shows in `{call}`: you get {_print(got[first])}, {right[first]} is right."
    known = in_their_names(formula.slips, formula.signature, theirs)
    for slips in (*combinations(known, 1), *combinations(known, 2)):
        names = frozenset(slip.name for slip in slips)
        values = [_value(formula, names, case) for case in formula.cases]
        if all(_equal(a, b) for a, b in zip(got, values, strict=True)):
            if len(slips) == 1:
                return failed(f"{slips[0].message}\n{ending}", slips[0].name)
            listed = "\n".join(f"{number}. {slip.message}" for number, slip in enumerate(slips, start=1))
            return failed(f"Two things at once.\n{listed}\n{ending}", *(slip.name for slip in slips))
    fine = sum(_equal(a, b) for a, b in zip(got, right, strict=True))
    return failed(
        f"I do not recognize this formula. It is right in {fine} of {len(got)} calls. {ending} Work this one out by "
        "hand, step by step, and compare with each line of your code."
    )


def call_of(formula: Formula, case: Sequence[Any]) -> str:
    """The call in print."""
    return f"{formula.name}({', '.join(map(repr, case))})"


def _value(formula: Formula, slips: frozenset[str], case: Sequence[Any]) -> Any:
    try:
        return formula.reference(slips, *case)
    except (ValueError, ZeroDivisionError):
        return math.nan


def _equal(a: Any, b: Any) -> bool:
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
    reach = dilation * kernel if "dilation-times-kernel" in slips else dilation * (kernel - 1) + 1
    sides = 1 if "padding-once" in slips else 2
    span = size + sides * padding - reach
    if "kernel-ignored" in slips:
        span = size + sides * padding
    if "padding-subtracted" in slips:
        span = size - sides * padding - reach
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
    ),
    "Right in every case, with odd sizes, padding, stride and dilation.",
)


def _receptive_field(slips: frozenset[str], layers: Sequence[Sequence[int]]) -> Any:
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
        width = kernel if "kernel-not-minus-one" in slips else kernel - 1
        field = max(field, width * dilation + 1) if "largest-only" in slips else field + width * dilation * step
        if "stride-too-early" not in slips:
            jump = jump + stride if "strides-added" in slips else jump * stride
    return field


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
            "The list is read from the end. The first layer comes first: its stride spreads all later ones.",
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
    ),
    "Right for plain, strided and dilated stacks.",
)
