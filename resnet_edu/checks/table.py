"""A table of what the checks recognize, computed by making every known mistake and asking for its name."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context
from typing import Any

import torch

from resnet_edu.checks.contracts import CONTRACTS, judge
from resnet_edu.checks.source import Edits, Mistake, ways
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
        return CONTRACTS[self.check].made(self.way)


def known_mistakes(check: str) -> Iterator[Known]:
    """Every known mistake of a contract, in every way to make it.

    >>> next(known_mistakes("conv_out")).name
    'one-missing'
    """
    for mistake, way in ways(CONTRACTS[check].mistakes):
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
    """Make every known mistake, in its first way, check it, and count those that are called by their name.

    >>> print(mistakes_table("fold_conv_bn"))
    Known mistakes, made and checked
    contract     │ mistakes │ diagnosed
    ─────────────┼──────────┼──────────
    fold_conv_bn │       31 │        31
    ─────────────┼──────────┼──────────
    all          │       31 │        31
    """
    chosen = only or tuple(CONTRACTS)
    first: dict[tuple[str, str], Known] = {}
    for check in chosen:
        for known in known_mistakes(check):
            first.setdefault((check, known.name), known)
    called = _all_called([(check, name, known.way) for (check, name), known in first.items()])
    rows = [[right for (one, _), right in zip(first, called, strict=True) if one == check] for check in chosen]
    return MistakesTable([Row(check, len(row), sum(row)) for check, row in zip(chosen, rows, strict=True)])


def _all_called(work: list[tuple[str, str, Edits]]) -> list[bool]:
    """Whether each is called by its name; several at a time where the system can copy a process."""
    workers = min(os.cpu_count() or 1, len(work) // 50)
    if workers < 2 or "fork" not in get_all_start_methods():
        with torch.random.fork_rng(devices=[]):
            return [_called(item) for item in work]
    # A copy of a process has none of its threads, so it must not wait for torch's.
    with ProcessPoolExecutor(workers, get_context("fork"), torch.set_num_threads, (1,)) as pool:
        return list(pool.map(_called, work, chunksize=10))


def _called(item: tuple[str, str, Edits]) -> bool:
    """These edits are ours, so they need no room apart."""
    check, name, way = item
    return judge(check, CONTRACTS[check].made(way))["mistakes"] == [name]
