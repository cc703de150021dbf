"""A table of what the checks recognize, computed by making every known mistake and asking for its name."""

from collections.abc import Callable
from typing import Any

from torch import nn

from resnet_edu.checks.contract import Contract, Mistake, applied
from resnet_edu.checks.program import Built


def with_mistakes(contract: Contract, *mistakes: Mistake) -> Callable[..., nn.Module]:
    """The reference of a contract with these mistakes made, to be called like a learner's code.

    >>> from resnet_edu import checks
    >>> contract = catalogue.BASIC
    >>> checks.basic_block(with_mistakes(contract, contract.mistake("final-relu-missing"))).mistake
    'final-relu-missing'
    """

    def build(*args: Any) -> nn.Module:
        return Built(applied(mistakes, contract.references[0](*args)))

    return build


class MistakesTable:
    """Contract, known mistakes, and how many of them are named correctly."""


def mistakes_table() -> MistakesTable:
    """Run the catalogue."""
    return MistakesTable()
