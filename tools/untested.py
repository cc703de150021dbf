"""What `make test` asks: every test, or only those that read what has changed since all of them passed.

    python tools/untested.py          writes what pytest is asked, and the state that this vouches for
    python tools/untested.py --all    the same, and asks everything

They lie in `_build/asked.txt` and `_build/asked.json`; once the tests have passed, `make test` keeps the state as
`_build/tested.json`. Where nothing but prose has changed since, the tests in `tests/book` are enough; and those among
them that look at one built page alone, in a browser, are spared for each page that is the same, byte for byte, in the
same dress: styles, scripts, fonts, pictures.
"""

import argparse
import json
from pathlib import Path

from book_extension import digest

ROOT = Path(__file__).parent.parent
#: All that is not prose. The stamp of the installation counts by its time, for it is empty.
CODE = (
    "Makefile",
    "pyproject.toml",
    "requirements.txt",
    "resnet_edu",
    "tests",
    "tools",
    "labs",
    "benchmarks",
    "book/web",
)
INSTALLED = ".venv/.ready"
#: What all pages share: nothing of it may differ where a page is spared.
DRESS = ("_static", "_images")
#: Tests whose verdict follows from one page and its dress; their first parameter is the page.
OF_ONE_PAGE = (
    "tests/book/test_browser.py::test_page_fits_is_silent_and_accessible",
    "tests/book/test_browser.py::test_pictures_say_what_they_show",
    "tests/book/test_browser.py::test_a_page_without_scripts_still_asks_hints_and_answers",
    "tests/book/test_browser.py::test_nothing_scrolls_sideways_at_320_pixels_or_with_text_twice_as_large",
    "tests/book/test_browser.py::test_paper_is_white_also_from_a_dark_screen",
    "tests/book/test_states.py::test_the_keyboard_reaches_every_control_in_order_and_is_seen_there",
)


def state(root: Path = ROOT) -> dict[str, str | dict[str, str]]:
    """What a whole run of the tests vouches for: the code, the dress of the pages, and each page."""
    html = root / "_build/html"
    installed = str((root / INSTALLED).stat().st_mtime_ns) if (root / INSTALLED).exists() else ""
    pages = [html / "index.html", *sorted((html / "book").rglob("*.html"))]
    return {
        "code": digest(*(root / name for name in CODE)) + installed,
        "dress": digest(*(html / name for name in DRESS)),
        "pages": {page.relative_to(html).as_posix(): digest(page) for page in pages},
    }


def asked(now: dict, before: dict) -> list[str]:
    """What pytest is asked, from the state of things now and when all tests passed.

    >>> before = {"code": "a", "dress": "b", "pages": {"index.html": "c", "book/03_stem.html": "d"}}
    >>> asked(before | {"code": "other"}, before)
    []
    >>> asked(before | {"dress": "other"}, before)
    ['tests/book']
    >>> asked(before | {"pages": {"index.html": "c", "book/03_stem.html": "other"}}, before)[1]
    '--deselect=tests/book/test_browser.py::test_page_fits_is_silent_and_accessible[index.html'
    """
    if now["code"] != before.get("code"):
        return []
    same = [page for page, word in now["pages"].items() if before["pages"].get(page) == word]
    spared = same if now["dress"] == before["dress"] else []
    return ["tests/book", *(f"--deselect={test}[{page}" for test in OF_ONE_PAGE for page in spared)]


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="ask everything, whatever has passed before")
    options = parser.parse_args(arguments)
    build = root / "_build"
    try:
        before = {} if options.all else json.loads((build / "tested.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # nothing has passed yet
        before = {}
    now = state(root)
    (build / "asked.json").write_text(json.dumps(now), encoding="utf-8")
    chosen = asked(now, before)
    (build / "asked.txt").write_text("".join(f"{argument}\n" for argument in chosen), encoding="utf-8")
    if chosen:
        spared = {argument.partition("[")[2] for argument in chosen[1:]}
        print(f"Only prose has changed: {len(now['pages']) - len(spared)} of {len(now['pages'])} pages are looked at.")
        print("make test ALL=1 asks every test.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
