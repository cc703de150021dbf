"""What an experiment returns: a tidy table, one row for each measurement."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from resnet_edu.drawing.tables import Table

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Results:
    """Rows with the same columns, and a caption.

    >>> rows = [{"net": "plain", "seed": 0, "error": 40.0}, {"net": "plain", "seed": 1, "error": 18.0}]
    >>> table = Results(rows, "Errors in %")
    >>> table.where(seed=1)["error"]
    [18.0]
    >>> print(table.summary("error", by=("net",)))
    Errors in %: error of every run, and the median
    net   │ every run   │ median
    ──────┼─────────────┼───────
    plain │ 40.0 · 18.0 │   29.0
    """

    rows: Sequence[dict[str, Any]]
    caption: str = "Results"

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __getitem__(self, column: str) -> list[Any]:
        """All values of a column, in order."""
        return [row[column] for row in self.rows]

    def where(self, **values: Any) -> "Results":
        """The rows in which these columns have these values."""
        chosen = [row for row in self.rows if all(row[key] == value for key, value in values.items())]
        return Results(chosen, self.caption)

    def unique(self, column: str) -> list[Any]:
        """The different values of a column, in the order in which they appear."""
        return list(dict.fromkeys(self[column]))

    def summary(self, value: str, by: Sequence[str], middle: Callable[[Sequence[float]], float] = median) -> "Results":
        """One row for each combination of the columns ``by``: all values, and the one in the middle.

        Nothing is averaged away: whoever reads the table sees every seed.
        """
        groups: dict[tuple[Any, ...], list[float]] = {}
        for row in self.rows:
            groups.setdefault(tuple(row[key] for key in by), []).append(row[value])
        return Results(
            [
                dict(zip(by, key, strict=True))
                | {"every run": " · ".join(map(_text, values)), "median": middle(values)}
                for key, values in groups.items()
            ],
            f"{self.caption}: {value.replace('_', ' ')} of every run, and the median",
        )

    def lines(self) -> str:
        """The rows as JSON lines."""
        return "".join(json.dumps(row) + "\n" for row in self.rows)

    def save(self, path: str | Path) -> None:
        """Write the rows as JSON lines into a file."""
        Path(path).write_text(self.lines(), encoding="utf-8")

    def __str__(self) -> str:
        return str(self._table()) if self.rows else "(no rows)"

    def _repr_html_(self) -> str:
        return self._table()._repr_html_() if self.rows else "<p>(no rows)</p>"

    def _table(self) -> Table:
        columns = list(self.rows[0])
        numbers = [isinstance(value, int | float) for value in self.rows[0].values()]
        words = numbers.index(True) if True in numbers[1:] else len(columns)
        return Table(self.caption, columns, [[_text(row[name]) for name in columns] for row in self.rows], words=words)


def _text(value: Any) -> str:
    """A cell: three digits of a float, all that stand before its point, and powers of ten as prose writes them.

    >>> [_text(value) for value in (28.5432, 12.0, 0.0, 1698.4, 7_054_321.0, 3.14e-17, None)]
    ['28.5', '12.0', '0', '1,698', '7,054,321', '3.14·10⁻¹⁷', '']
    """
    if not isinstance(value, float):
        return "" if value is None else str(value)
    if 999.5 <= abs(value) < 1e12:
        return f"{value:,.0f}"
    digits, _, power = f"{value:#.3g}".partition("e")
    digits = digits.rstrip(".") if value else "0"
    return f"{digits}·10{str(int(power)).translate(_RAISED)}" if power else digits
