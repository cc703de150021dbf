"""A table of what the checks recognize, computed by making every known mistake and asking for its name."""

from collections.abc import Iterator

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
    rows: list[tuple[str, int, int]] = []
    with torch.random.fork_rng(devices=[]):
        for check in only or CONTRACTS:
            first = dict(reversed([*known_mistakes(check)]))  # of several ways
            called = [judge(check, CONTRACTS[check].made(way))["mistakes"] == [name] for name, way in first.items()]
            rows.append((check, len(called), sum(called)))
    rows.append(("all", sum(known for _, known, _ in rows), sum(called for _, _, called in rows)))
    *each, total = ((check, str(known), str(called)) for check, known, called in rows)
    return Table("Known mistakes, made and checked", ["contract", "mistakes", "diagnosed"], each, total)
