"""The audit sees what is wrong with a page."""

import random
import re

import audit
import browsers
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


class Chromium:
    """Chromium as the audit drives Firefox and WebKit, so that what it asks of them is tried where they are not."""

    version = "here"

    def __init__(self, browser):
        self.page = browser.new_page(color_scheme="light")
        self.run, self.open, self.press = self.page.evaluate, self.page.goto, self.page.keyboard.press

    def size(self, width, height):
        self.page.set_viewport_size({"width": width, "height": height})


@pytest.fixture
def visited(tmp_path, chromium, monkeypatch):
    """What `visit` says of a page with this body; each figure there is a button that may hear what is pressed."""
    for name in ("WALK", "CHANGED", "RESULTS"):  # nothing comes late here
        monkeypatch.setattr(browsers, name, re.sub(r"n < \d+", "n < 5", getattr(browsers, name)))

    def visit(body, address="page.html"):
        (tmp_path / "html").mkdir()
        (tmp_path / "html/page.html").write_text(
            f"""<!DOCTYPE html><html lang="en" data-theme="light"><head><title>A page</title></head><body>
            <article>{body}</article>
            <script>for (const [tag, does] of [["a-figure", "this.ariaPressed = 'true'"], ["deaf-figure", ""],
              ["file-figure", null]])
              customElements.define(tag, class extends HTMLElement {{
                connectedCallback() {{
                  this.attachShadow({{ mode: "open" }}).innerHTML =
                    does === null ? "<input type=file>" : `<button onclick="${{does}}">Press</button>`;
                }}
              }});</script></body></html>""",
            encoding="utf-8",
        )
        driver = Chromium(chromium)
        with browsers.with_ears(tmp_path / "html") as copy:
            found = browsers.visit({"light": driver}, f"{copy.as_uri()}/{address}", [(390, "light")])
        driver.page.close()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["html"]
        assert browsers.EAR not in (tmp_path / "html/page.html").read_text(encoding="utf-8")
        return found

    return visit


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<a-figure></a-figure>", []),
        ("<deaf-figure></deaf-figure>", ["<deaf-figure> does not follow the keyboard"]),
        ("<file-figure></file-figure>", []),
        ("<no-figure>words</no-figure>", ["<no-figure> is not defined (390 light)"]),
        ("<script>console.warn('careful')</script>", ["warn: careful (390 light)"]),
        ("<script>Promise.reject('lost')</script>", ["lost (390 light)"]),
        ("<div style='width: 800px'>wide</div>", ["scrolls sideways: 808 at 390 (390 light)"]),
        (
            "<predict-question><button class='predict-check'>Check</button></predict-question><script>customElements"
            ".define('predict-question', class extends HTMLElement {})</script>",
            ["a question takes no answer"],
        ),
    ],
)
def test_what_another_browser_is_asked(visited, body, said):
    assert visited(body) == said


def test_what_fails_to_load_is_named_and_the_search_must_find(visited):
    first, *others = visited("<script src='gone.js'></script><img src='gone.png' alt='A'>", "page.html?search.html?q=x")
    assert first.startswith("failed: file:")
    assert first.endswith("/gone.js (390 light)")
    assert [text.partition(":")[0] for text in others] == ["failed", "no picture", "the search finds nothing"]


def test_a_browser_that_is_not_installed_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert audit.elsewhere("firefox", tmp_path, [], quick=True) == 0
    assert audit.elsewhere("webkit", tmp_path, [], quick=True) == 0
    said = capsys.readouterr().out
    assert "Firefox is not installed" in said
    assert "WebKit is not installed" in said


def test_a_browser_that_does_not_start_is_a_shortcoming_in_a_sentence(tmp_path, monkeypatch, capsys):
    program = tmp_path / "bin/firefox-esr"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    (tmp_path / "html").mkdir()
    assert audit.elsewhere("firefox", tmp_path / "html", ["page.html"], quick=True) == 1
    assert "firefox is installed and did not start" in capsys.readouterr().out
