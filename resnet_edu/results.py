"""What an experiment returns: a tidy table, one row for each measurement."""

import html
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Results:
    """Rows with the same columns.

    >>> table = Results([{"net": "plain", "seed": 0, "error": 40.0}, {"net": "plain", "seed": 1, "error": 18.0}])
    >>> table.where(seed=1)["error"]
    [18.0]
    >>> print(table.summary("error", by=("net",)))
    net    error, all  median
    plain  40 18           29
    """

    rows: Sequence[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __getitem__(self, column: str) -> list[Any]:
        """All values of a column, in order."""
        return [row[column] for row in self.rows]

    def where(self, **values: Any) -> "Results":
        """The rows in which these columns have these values."""
        return Results([row for row in self.rows if all(row[key] == value for key, value in values.items())])

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
                | {f"{value}, all": " ".join(map(_text, values)), "median": middle(values)}
                for key, values in groups.items()
            ]
        )

    def save(self, path: str | Path) -> None:
        """Write the rows as JSON lines."""
        Path(path).write_text("".join(json.dumps(row) + "\n" for row in self.rows))

    def __str__(self) -> str:
        if not self.rows:
            return "(no rows)"
        columns = list(self.rows[0])
        cells = [columns, *([_text(row[column]) for column in columns] for row in self.rows)]
        widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
        right = [isinstance(self.rows[0][column], int | float) for column in columns]
        lines = (
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(line, widths, right, strict=True)
            )
            for line in cells
        )
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        if not self.rows:
            return "<p>(no rows)</p>"
        columns = list(self.rows[0])
        # Written into each cell: a notebook has no style sheet of ours.
        styles = {
            column: f"padding:.15em .8em;text-align:{'right' if isinstance(value, int | float) else 'left'}"
            for column, value in self.rows[0].items()
        }
        head = "".join(f'<th scope="col" style="{styles[c]}">{html.escape(c)}</th>' for c in columns)
        body = "".join(
            "<tr>" + "".join(f'<td style="{styles[c]}">{html.escape(_text(row[c]))}</td>' for c in columns) + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1_000_000 else f"{value:.3g}"
    return "" if value is None else str(value)
