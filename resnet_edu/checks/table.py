"""A table of what the checks recognize, computed by making every known mistake and asking for its name."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context
from typing import Any

import torch

from resnet_edu.checks.contracts import CONTRACTS
from resnet_edu.checks.effects import Effect
from resnet_edu.checks.source import Contract, Edits, Mistake, ways
from resnet_edu.drawing.tables import Table


@dataclass(frozen=True)
class Known:
    """A known mistake of one contract: its name, what the learner reads, and code that makes it."""

    check: str
    mistake: Mistake
    way: Edits

    @property
    def name(self) -> str:
        """The name of the mistake."""
        return self.mistake.name

    @property
    def code(self) -> Callable[..., Any]:
        """The reference with this mistake."""
        return contract_of(self.check).made(self.way)


def contract_of(check: str) -> Contract:
    """The contract of a check."""
    found = CONTRACTS[check]
    return found.contract if isinstance(found, Effect) else found


def known_mistakes(check: str) -> Iterator[Known]:
    """Every known mistake of a contract, in every way to make it.

    >>> next(known_mistakes("conv_out")).name
    'one-missing'
    """
    for mistake, way in ways(contract_of(check).mistakes):
        if not mistake.remark:
            yield Known(check, mistake, way)


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
    chosen = only or tuple(CONTRACTS)
    work = [(check, number) for check in chosen for number, _ in enumerate(known_mistakes(check))]
    named: dict[str, dict[str, bool]] = {check: {} for check in chosen}
    for (check, _), (name, found) in zip(work, _all_made(work), strict=True):
        named[check][name] = named[check].get(name, True) and found
    return MistakesTable([Row(check, len(found), sum(found.values())) for check, found in named.items()])


def _all_made(work: list[tuple[str, int]]) -> list[tuple[str, bool]]:
    """Whether each is called by its name; several at a time where the system can copy a process."""
    workers = min(os.cpu_count() or 1, len(work) // 50)
    if workers < 2 or "fork" not in get_all_start_methods():
        return [_made(item) for item in work]
    # A copy of a process has none of its threads, so it must not wait for torch's.
    with ProcessPoolExecutor(workers, get_context("fork"), torch.set_num_threads, (1,)) as pool:
        return list(pool.map(_made, work, chunksize=10))


def _made(item: tuple[str, int]) -> tuple[str, bool]:
    from resnet_edu import checks

    check, number = item
    known = list(known_mistakes(check))[number]
    return known.name, getattr(checks, check)(known.code).mistakes == (known.name,)
