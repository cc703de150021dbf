"""A table of what the checks recognize, computed by making every known mistake and asking for its name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from resnet_edu.checks import catalogue, folding, functions, loading, starting, zeroing
from resnet_edu.checks.contract import Contract, Mistake, applied, made
from resnet_edu.checks.effects import Effect
from resnet_edu.checks.functions import Formula
from resnet_edu.checks.program import Built
from resnet_edu.drawing.tables import Table

#: Each contract by the name of its check.
CONTRACTS: dict[str, Contract | Formula | Effect] = {
    "conv_out": functions.CONV_OUT,
    "stem": catalogue.STEM,
    "identity_block": catalogue.IDENTITY,
    "projection_block": catalogue.PROJECTION,
    "basic_block": catalogue.BASIC,
    "bottleneck": catalogue.BOTTLENECK,
    "zero_pad_shortcut": catalogue.ZERO_PAD,
    "make_layer": catalogue.MAKE_LAYER,
    "head": catalogue.HEAD,
    "resnet": catalogue.RESNET,
    "cifar_resnet": catalogue.CIFAR,
    "init_weights": starting.START,
    "zero_init_residual": zeroing.ZERO,
    "fold_conv_bn": folding.FOLD,
    "load_torchvision": loading.LOAD,
    "receptive_field": functions.RECEPTIVE_FIELD,
    "preactivation_block": catalogue.PREACTIVATION,
}


@dataclass(frozen=True)
class Known:
    """A known mistake of one contract: its name, what the learner reads, and code that makes it."""

    check: str
    name: str
    message: str
    code: Callable[..., Any]


def known_mistakes(check: str) -> Iterator[Known]:
    """Every known mistake of a contract, those of one name one after the other.

    >>> next(known_mistakes("conv_out")).name
    'one-missing'
    """
    contract = CONTRACTS[check]
    if isinstance(contract, Contract):
        for mistake in contract.mistakes:
            if made([mistake], contract.programs()) is not None:
                yield Known(check, mistake.name, mistake.message, with_mistakes(contract, mistake))
    else:
        for slip in contract.slips:
            yield Known(check, slip.name, slip.message, with_slips(contract, slip.name))


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


def with_slips(function: Formula | Effect, *slips: str) -> Callable[..., Any]:
    """The reference of a function with these slips made.

    >>> with_slips(functions.CONV_OUT, "one-missing")(224, 7, 2, 3)
    111
    """
    return lambda *args: function.reference(frozenset(slips), *args)


@dataclass(frozen=True)
class Row:
    """One contract: how many mistakes are known, and how many of them are diagnosed by name."""

    contract: str
    known: int
    diagnosed: int


class MistakesTable:
    """Contract, known mistakes, and how many of them are named correctly. Prints as text, shows as HTML.

    >>> MistakesTable([Row("stem", 24, 24)]).total
    Row(contract='all', known=24, diagnosed=24)
    """

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    @property
    def total(self) -> Row:
        """All contracts together."""
        return Row("all", sum(row.known for row in self.rows), sum(row.diagnosed for row in self.rows))

    def _table(self) -> Table:
        cells = [(row.contract, str(row.known), str(row.diagnosed)) for row in (*self.rows, self.total)]
        return Table("Known mistakes, made and checked", ["contract", "mistakes", "diagnosed"], cells[:-1], cells[-1])

    def __str__(self) -> str:
        return str(self._table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self._table()._repr_html_()


def mistakes_table(*only: str) -> MistakesTable:
    """Make every known mistake, check it, and count those that are called by their name.

    >>> print(mistakes_table("fold_conv_bn"))
    Known mistakes, made and checked
    contract     │ mistakes │ diagnosed
    ─────────────┼──────────┼──────────
    fold_conv_bn │       30 │        30
    ─────────────┼──────────┼──────────
    all          │       30 │        30

    A mistake that can be made in several ways counts as diagnosed if each of them is.
    """
    from resnet_edu import checks

    rows = []
    for check in only or CONTRACTS:
        named: dict[str, bool] = {}
        for known in known_mistakes(check):
            feedback = getattr(checks, check)(known.code)
            named[known.name] = named.get(known.name, True) and feedback.mistakes == (known.name,)
        rows.append(Row(check, len(named), sum(named.values())))
    return MistakesTable(rows)
