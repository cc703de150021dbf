"""Processor seconds of a verdict: right code, one mistake, two, and one that is not known."""

import resource
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.measure import Row
from resnet_edu import checks
from resnet_edu.checks.contracts import CONTRACTS
from resnet_edu.checks.source import Edits

#: One mistake and two by their edits, and one that no list has.
_MISTAKES: dict[str, tuple[Edits, Edits, Edits]] = {
    "basic_block": ({"relu": ""}, {"bn1": ""}, {"run2": "(out) → (1.3 * out)"}),
    "cifar_resnet": ({"relu1": ""}, {"stembn": ""}, {"run2": "(out) → (1.3 * out)"}),
}


def rows() -> Iterator[Row]:
    """Networks have twice the time of blocks."""
    for check, (one, other, unknown) in _MISTAKES.items():
        contract, factor = CONTRACTS[check], 1 + (check == "cifar_resnet")
        for what, code, most in (
            ("a right answer", contract.made(), 1),
            ("one mistake", contract.made(one), 1),
            ("two mistakes", contract.made(one, other), 2),
            ("one that is not known", contract.made(unknown), 5),
        ):
            yield Row(f"checks.{check}: {what}", _seconds(getattr(checks, check), code), 0, most * factor, "s")


def _seconds(check: Callable[[Any], object], code: Any) -> float:
    """What the check's own process spends."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    check(code)
    return spent() - before
