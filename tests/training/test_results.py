"""What an experiment returns: what is written in a file, what is printed, and how a number looks at every limit."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from resnet_edu.training.results import Results

ROWS: list[dict[str, Any]] = [
    {"net": "plain", "depth": 8, "seed": 0, "test_error": 40.123456789, "removed": None},
    {"net": "rückwärts", "depth": 20, "seed": 1, "test_error": 1e-17, "removed": "layer1.0"},
]


@pytest.mark.parametrize("kind", [str, Path])
def test_what_is_saved_is_every_row_in_full_and_nothing_of_what_was_there(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("an earlier table, which was longer\n" * 100)
    Results(ROWS).save(kind(path))
    content = path.read_bytes()
    assert content.endswith(b"}\n")
    assert [json.loads(line) for line in content.decode("utf-8").splitlines()] == ROWS
    assert list(json.loads(content.splitlines()[0])) == list(ROWS[0])  # in the order of the columns
    Results([]).save(kind(path))
    assert path.read_bytes() == b""


def test_a_table_is_a_sequence_of_its_rows_and_does_not_change() -> None:
    table = Results(ROWS)
    assert (len(table), list(table), table["depth"]) == (2, ROWS, [8, 20])
    assert (len(Results([])), list(Results([]))) == (0, [])
    assert table.where(seed=1).rows == [ROWS[1]]
    assert (table.caption, Results(ROWS, "Errors").where(seed=1).caption) == ("Results", "Errors")
    with pytest.raises(dataclasses.FrozenInstanceError):
        table.caption = "Errors"  # type: ignore[misc]


#: Each limit of how a number is written, from both sides.
WRITTEN = [
    (999.4, "999"),
    (999.49, "999"),
    (999.5, "1,000"),
    (-999.49, "-999"),
    (-999.5, "-1,000"),
    (1000.5, "1,000"),  # half to even
    (999_999_999_999.0, "999,999,999,999"),
    (1e12, "1.00·10¹²"),
    (-1e12, "-1.00·10¹²"),
    (100.0, "100"),
    (99.95, "100"),
    (99.94, "99.9"),
    (9.994, "9.99"),
    (1e-4, "0.000100"),
    (9.99e-5, "9.99·10⁻⁵"),
    (-2.5e-123, "-2.50·10⁻¹²³"),
    (4.567e89, "4.57·10⁸⁹"),
    (0.0, "0"),
    (-0.0, "0"),
    (float("inf"), "inf"),
    (float("nan"), "nan"),
    (12_345, "12345"),  # a whole number is a name, such as a depth or a seed
    (0, "0"),
    (None, ""),
    ("1e3", "1e3"),
    (True, "True"),
]


@pytest.mark.parametrize(("value", "written"), WRITTEN, ids=[str(value) for value, _ in WRITTEN])
def test_how_a_value_is_written(value: Any, written: str) -> None:
    assert str(Results([{"value": value}])).splitlines()[-1].strip() == written


def _lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Heading and cells of a table with every space that aligns them."""
    lines = [line for line in str(Results(rows)).splitlines()[1:] if "─" not in line]
    return [line.split(" │ ") for line in lines]


def test_words_stand_to_the_left_up_to_the_first_number() -> None:
    rows = [
        {"net": "a", "norm": "b", "error": 1.5, "why": "c"},
        {"net": "long", "norm": "b", "error": 20.5, "why": "d"},
    ]
    assert _lines(rows) == [
        ["net ", "norm", "error", "why"],
        ["a   ", "b   ", " 1.50", "  c"],
        ["long", "b   ", " 20.5", "  d"],
    ]


def test_a_table_of_words_alone_stands_to_the_left() -> None:
    assert _lines([{"net": "a", "norm": "b"}, {"net": "long", "norm": "longer"}])[1] == ["a   ", "b     "]
    assert _lines([{"depth": 8, "norm": "b"}, {"depth": 100, "norm": "longer"}])[1] == ["8    ", "b     "]


def test_a_table_of_numbers_alone_stands_to_the_right() -> None:
    assert _lines([{"depth": 8, "seed": 0}, {"depth": 100, "seed": 1}])[1] == ["    8", "   0"]


def test_the_first_row_decides_the_order_and_which_columns_hold_numbers() -> None:
    rows = [{"net": "a", "error": 1.5}, {"error": None, "net": "long"}]
    assert _lines(rows) == [["net ", "error"], ["a   ", " 1.50"], ["long", "     "]]
    assert _lines([{"net": "a", "removed": None}, {"net": "b", "removed": 2.5}])[1] == ["a  ", "       "]


def test_a_table_without_rows_says_so_in_both_ways() -> None:
    assert str(Results([])) == "(no rows)"
    assert Results([])._repr_html_() == "<p>(no rows)</p>"


def test_a_summary_has_one_row_for_each_combination_in_the_order_of_its_first_row() -> None:
    rows = [
        {"net": net, "depth": depth, "test_error": error}
        for net, depth, error in (("plain", 20, 3.0), ("plain", 8, 9.5), ("plain", 20, 1.0), ("residual", 20, 2.0))
    ]
    summary = Results(rows, "Errors in %").summary("test_error", by=("depth", "net"))
    assert summary.caption == "Errors in %: test error of every run, and the median"
    assert summary.rows == [
        {"depth": 20, "net": "plain", "every run": "3.00 · 1.00", "median": 2.0},
        {"depth": 8, "net": "plain", "every run": "9.50", "median": 9.5},
        {"depth": 20, "net": "residual", "every run": "2.00", "median": 2.0},
    ]
    assert list(summary.rows[0]) == ["depth", "net", "every run", "median"]
    assert Results(rows).summary("test_error", by=("net",), middle=max)["median"] == [9.5, 2.0]
