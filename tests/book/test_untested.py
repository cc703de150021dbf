"""Which tests a change asks for: all, those of the book, or those of one page."""

import doctest
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import untested

ROOT = Path(__file__).parent.parent.parent


def test_examples_in_the_docstrings():
    found = doctest.testmod(untested)
    assert found.attempted
    assert not found.failed


@pytest.fixture
def house(tmp_path):
    """A small project, all of whose tests have passed."""
    for name in ("resnet_edu/stem.py", "resnet_edu/head.py", "book/03_stem.md", "Makefile", untested.INSTALLED):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one", encoding="utf-8")
    for name in ("index.html", "book/03_stem.html", "book/08_head.html", "_static/styles/book.css", "searchindex.js"):
        (tmp_path / "_build/html" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "_build/html" / name).write_text("one", encoding="utf-8")
    asks(tmp_path)
    shutil.copy(tmp_path / "_build/asked.json", tmp_path / "_build/tested.json")
    return tmp_path


def asks(house, *options):
    untested.main([*options], house)
    return (house / "_build/asked.txt").read_text(encoding="utf-8").splitlines()


def spared(lines):
    assert lines[0] == "tests/book"
    return {line.partition("[")[2] for line in lines[1:]}


ALL = {"index.html", "book/03_stem.html", "book/08_head.html"}


def test_a_change_of_prose_asks_for_the_book_and_the_page_that_became_another(house, capsys):
    (house / "book/03_stem.md").write_text("two", encoding="utf-8")
    (house / "_build/html/book/03_stem.html").write_text("two", encoding="utf-8")
    (house / "_build/html/searchindex.js").write_text("two", encoding="utf-8")
    assert spared(asks(house)) == ALL - {"book/03_stem.html"}
    assert "1 of 3 pages" in capsys.readouterr().out


def test_another_style_asks_for_every_page_and_a_new_page_is_asked(house):
    (house / "_build/html/book/16_beyond.html").write_text("one", encoding="utf-8")
    assert spared(asks(house)) == ALL
    (house / "_build/html/_static/styles/book.css").write_text("two", encoding="utf-8")
    assert spared(asks(house)) == set()


@pytest.mark.parametrize(
    "change",
    [
        lambda house: (house / "resnet_edu/stem.py").write_text("two", encoding="utf-8"),
        lambda house: (house / "resnet_edu/stem.py").unlink(),
        lambda house: (house / "resnet_edu/stem.py").rename(house / "resnet_edu/root.py"),
        lambda house: (house / "tests").mkdir() or (house / "tests/test_stem.py").write_text("", encoding="utf-8"),
        lambda house: os.utime(house / untested.INSTALLED, (1, 1)),
        lambda house: (house / "_build/tested.json").unlink(),
        lambda house: (house / "_build/tested.json").write_text("{", encoding="utf-8"),
    ],
    ids=["changed", "deleted", "renamed", "new", "installed again", "nothing has passed", "half written"],
)
def test_what_is_no_prose_asks_for_everything(house, change):
    assert asks(house) != []
    change(house)
    assert asks(house) == []


def test_who_wants_all_is_given_all_and_what_python_compiles_is_no_change(house):
    (house / "resnet_edu/__pycache__").mkdir()
    (house / "resnet_edu/__pycache__/stem.pyc").write_bytes(b"x")
    assert spared(asks(house)) == ALL
    assert asks(house, "--all") == []


def test_the_tests_of_one_page_are_there_and_the_page_is_their_first_parameter():
    files = sorted({test.partition("::")[0] for test in untested.OF_ONE_PAGE})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    there = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    now = {"code": "", "dress": "", "pages": {"book/index.html": ""}}
    for line in untested.asked(now, now)[1:]:
        assert any(name.startswith(line.removeprefix("--deselect=")) for name in there), f"no test is spared by {line}"
