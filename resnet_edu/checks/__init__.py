"""Checks that run a learner's code, compare what it does with the reference, and name the mistake.

>>> from resnet_edu import checks
>>> from torch import nn
>>> class Block(nn.Module):
...     def __init__(self, in_channels, out_channels, stride=1):
...         super().__init__()
...         self.conv = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)
...     def forward(self, x):
...         return self.conv(x)
>>> bool(checks.basic_block(Block))
False

Each check takes the learner's class or function and returns a :class:`Feedback`. It never raises on
a learner's fault, leaves the notebook's random numbers alone, and says the same each time. Names of
attributes and arguments are free: what counts is what the code computes.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from resnet_edu.checks import sandbox
from resnet_edu.checks.contracts import CONTRACTS, EXERCISES, judge
from resnet_edu.checks.feedback import Feedback
from resnet_edu.checks.table import mistakes_table
from resnet_edu.checks.words import said

__all__ = ["Feedback", "mistakes_table", *EXERCISES]


def _check(check: str) -> Callable[[Callable[..., Any]], Feedback]:
    """The check of one exercise, described as in the exercise's own file."""

    def checked(theirs: Callable[..., Any]) -> Feedback:
        name, outcome = CONTRACTS[check].name, sandbox.run(lambda: dict(judge(check, theirs)))
        if outcome.result is None:
            message, fault = said(outcome.fault or "process-ended", cpu=sandbox.CPU_SECONDS, detail=outcome.detail)
            return Feedback(name, False, message, (fault,) if fault != "unfinished" else (), outcome.printed)
        found, note = outcome.result, f"\n{outcome.note}" if outcome.note else ""
        return Feedback(name, found["passed"], found["message"] + note, tuple(found["mistakes"]), outcome.printed)

    checked.__name__ = checked.__qualname__ = check
    checked.__doc__ = EXERCISES[check].__doc__
    return checked


globals().update({check: _check(check) for check in EXERCISES})
if TYPE_CHECKING:  # the checks, for who reads types

    def __getattr__(check: str) -> Callable[[Callable[..., Any]], Feedback]: ...
