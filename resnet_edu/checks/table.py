"""A table of what the checks recognize, computed by making every known mistake and asking for its name."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_all_start_methods, get_context

import torch

from resnet_edu.checks.contracts import CONTRACTS, judge
from resnet_edu.checks.source import Edits, ways
from resnet_edu.drawing.tables import Table


def known_mistakes(check: str) -> Iterator[tuple[str, Edits]]:
    """The name of every known mistake of a contract, with every way to make it.

    >>> "one-missing" in dict(known_mistakes("conv_out"))
    True
    """
    return ((mistake.name, way) for mistake, way in ways(CONTRACTS[check].mistakes) if not mistake.remark)


def mistakes_table(*only: str) -> Table:
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
    first: dict[tuple[str, str], Edits] = {}
    for check in chosen:
        for name, way in known_mistakes(check):
            first.setdefault((check, name), way)
    called = _all_called([(check, name, way) for (check, name), way in first.items()])
    rights = [[right for (one, _), right in zip(first, called, strict=True) if one == check] for check in chosen]
    rows = [(check, str(len(right)), str(sum(right))) for check, right in zip(chosen, rights, strict=True)]
    total = ("all", str(len(called)), str(sum(called)))
    return Table("Known mistakes, made and checked", ["contract", "mistakes", "diagnosed"], rows, total)


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
