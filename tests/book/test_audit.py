"""The audit sees what is wrong with a page."""

import random

import audit
import pytest

HEAD = '<meta content="What it says." name="description" /><article id="a"><h1>Title</h1>'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (HEAD + '<a href="#a">here</a><a href="other.html#there">there</a>', []),
        (HEAD + '<a href="#b">here</a>', ["broken link #b"]),
        (HEAD + '<a href="other.html#There">capitals count</a>', ["broken link other.html#There"]),
        (HEAD + '<a href="none.html">nowhere</a>', ["broken link none.html"]),
        (HEAD + '<img src="x.png" alt="x.png">', ["alt text 'x.png'"]),
        (HEAD + "<h3>too deep</h3>", ["h1 before h3"]),
        (HEAD + "<h1>Again</h1>", ["more than one h1"]),
        ("<article><h1>Title</h1>", ["no description"]),
    ],
)
def test_what_a_page_lacks(tmp_path, body, said):
    (tmp_path / "other.html").write_text('<p id="there">', encoding="utf-8")
    (tmp_path / "page.html").write_text(body, encoding="utf-8")
    assert audit.shortcomings(tmp_path / "page.html") == said


def test_what_a_browser_finds(tmp_path, chromium):
    (tmp_path / "page.html").write_text(
        f"""<!DOCTYPE html><html lang="en"><head><title>A page</title></head><body><main>{HEAD}
        <img src="gone.png" alt="four words and more"><button></button></article></main>
        <script>console.warn("careful"); throw new Error("lost")</script></body></html>""",
        encoding="utf-8",
    )
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    found = audit.visit(chromium, tmp_path, "page.html", quick=True)
    assert {"failed: gone.png", "warning: careful", "lost"} <= found.said
    assert any(text.startswith("button-name at button") for text in found.axe)
    assert found.outside == set()
    assert not found.short


@pytest.mark.parametrize(
    ("weight", "drawn", "said"),
    [
        (119, 0, []),
        (240, 130, []),
        (240, 90, ["weighs 150 KB without its pictures, more than 120"]),
        (260, 200, ["weighs 260 KB, more than 250"]),
    ],
)
def test_what_a_page_may_weigh(weight, drawn, said):
    assert list(audit.Found("page.html", weight=weight, drawn=drawn).problems()) == said


def test_drawings_within_a_page_are_not_its_words(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(f"<p>Words.</p><svg>{random.Random(0).randbytes(3000).hex()}</svg>", encoding="utf-8")
    assert 3000 < audit.drawings(page) < 3500
