"""The book as one printed file."""

import re

import pdf
import pytest
from pypdf import PdfReader

PAGE = """<!DOCTYPE html><html lang="en"><head><title>{title} — The book</title></head><body>
<article><h1>{title}</h1><p>Text</p>
<div class="exercise"><div class="exercise-title">Exercise 1 Count</div>
<details class="exercise-solution"><summary>Show the solution</summary><p>It is forty-two.</p></details></div>
</article></body></html>"""


@pytest.fixture(scope="module")
def printed(chromium, tmp_path_factory):
    folder = tmp_path_factory.mktemp("html")
    for name in ("One", "Two"):
        (folder / f"{name}.html").write_text(PAGE.format(title=name), encoding="utf-8")
    pdf.join(pdf.sheets(chromium, folder, ["One.html", "Two.html"]), folder / "book.pdf", chromium)
    return PdfReader(folder / "book.pdf")


def test_each_chapter_has_its_bookmark_and_solutions_come_last(printed):
    titles = [entry.title for entry in printed.outline if not isinstance(entry, list)]
    assert titles == ["One", "Two", "Solutions"]
    assert len(printed.pages) == 3
    texts = [page.extract_text() for page in printed.pages]
    assert all("forty-two" not in text and "Count" in text for text in texts[:2])
    assert texts[2].count("forty-two") == 2
    assert [re.search(r"^(\d+)$", text, re.MULTILINE)[1] for text in texts] == ["1", "2", "3"]
    assert [name in texts[2] for name in ("One", "Two", "Exercise 1 Count")] == [True] * 3
