"""What exercises share whose function maps numbers to a number of pixels."""

import copy
import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from resnet_edu.checks.effects import Effect, Outcome

#: What can be wrong with a number of pixels, in a line that returns it, labelled ``give``.
NUMBER = """
float-returned: give: return → return 1.0 *
    A float is returned, and a number of pixels is a whole one. Where you divide, use `//`, which also rounds down;
    or return `int(…)` of the result.
text-returned: give: return → return '%s' %
    Text is returned. Return the number itself: no quotes, no `str(…)`, no f-string.
"""


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
