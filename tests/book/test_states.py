"""Every control is reached by the keyboard, in order, with a ring to be seen, and nothing lies over it.

`states.js` measures computed styles in the page. The ring of the focus has a contrast of at least 3 (WCAG 2).
"""

from contextlib import contextmanager
from pathlib import Path

import pytest

HTML = Path(__file__).parent.parent.parent / "_build/html"
LOOKS = (Path(__file__).parent / "states.js").read_text(encoding="utf-8")
FIGURES = "conv-explorer, resnet-explorer, shortcut-explorer, degradation-race, live-resnet, block-workbench"
#: The cover with its explorer, the live network, menus, and what the reader did.
PAGES = ["book/index.html", "book/14_inside.html", "book/progress.html"]

#: What the focus set moving has come to rest, such as the link that jumps over the menus.
MOVED = "Promise.allSettled(document.getAnimations().filter(a => a instanceof CSSTransition).map(a => a.finished))"


@contextmanager
def visit(chromium, path, width=1440, **settings):
    """A page with all its figures alive, at its top, and what measures its looks."""
    context = chromium.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", **settings)
    page = context.new_page()
    page.goto(f"{HTML.as_uri()}/{path}", wait_until="load")
    for figure in page.locator(f"article :is({FIGURES})").all():
        figure.scroll_into_view_if_needed()
        figure.locator(".card").first.wait_for()
    page.add_script_tag(content=LOOKS)
    page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
    yield page
    context.close()


@pytest.mark.parametrize("path", PAGES)
def test_the_keyboard_reaches_every_control_in_order_and_is_seen_there(chromium, path):
    with visit(chromium, path) as page:
        problems, place = [], -1
        for _ in range(600):
            page.keyboard.press("Tab")
            stop = page.evaluate(f"{MOVED}.then(() => looks.stop())")
            if stop is None:  # through, and out of the page
                break
            if stop["again"]:
                problems.append(f"the focus comes back to {stop['name']} and never leaves the page")
                break
            if stop["ring"] < 3:
                problems.append(f"{stop['name']}: ring {stop['ring']:.2f}")
            if stop["over"]:
                problems.append(f"{stop['name']} lies under {stop['over']}")
            if stop["place"] is not None:
                if stop["place"] < place:
                    problems.append(f"{stop['name']} comes after what stands below it")
                place = stop["place"]
        assert sorted(set(problems)) == []
        assert page.evaluate("looks.missed()") == []


def test_a_wide_figure_is_not_covered_by_the_contents(chromium):
    with visit(chromium, "book/04_basic_block.html") as page:
        figure = page.locator("block-workbench")
        figure.evaluate("e => e.scrollIntoView({ block: 'start', behavior: 'instant' })")
        contents = page.locator(".bd-sidebar-secondary")
        page.wait_for_function("document.querySelector('.bd-sidebar-secondary').offsetHeight < 60")
        box = figure.bounding_box()
        hit = page.evaluate(
            "([x, y]) => document.elementFromPoint(x, y).localName", [box["x"] + box["width"] - 40, box["y"] + 120]
        )
        assert hit == "block-workbench"
        contents.locator("a").last.focus()  # and the keyboard still finds them
        page.wait_for_function("document.querySelector('.bd-sidebar-secondary').offsetHeight > 100")
        assert contents.locator("a").last.is_visible()


def test_escape_closes_the_search(chromium):
    with visit(chromium, PAGES[0]) as page:
        page.keyboard.press("Control+k")
        page.locator("#pst-search-dialog input").wait_for()
        page.keyboard.press("Escape")
        assert not page.locator("#pst-search-dialog").is_visible()


def test_rings_and_what_is_chosen_show_also_in_forced_colors(chromium):
    with visit(chromium, "book/02_convolution.html", forced_colors="active") as page:
        outline = "e => getComputedStyle(e).outlineStyle"
        presets = page.locator("conv-explorer").first.locator("button[aria-pressed]")
        presets.first.click()
        assert presets.first.evaluate(outline) == "solid"
        assert presets.last.evaluate(outline) == "none"
        for box in (".stepper", ".controls"):  # what only a shadow bounds, and what has a border
            style = "e => [getComputedStyle(e).outlineStyle, getComputedStyle(e).borderBottomStyle]"
            assert "solid" in page.locator("conv-explorer").first.locator(box).first.evaluate(style)
        for place in (".bd-sidebar-primary .toctree-l1 a", ".bd-sidebar-secondary .toc-entry a"):
            page.locator(place).first.focus()
            page.keyboard.press("Tab")
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_list_of_rooms_keeps_their_colors_in_forced_colors(chromium):
    with visit(chromium, "book/index.html", width=390, forced_colors="active") as page:
        dots = page.locator("resnet-explorer .doors .dot")
        colors = dots.evaluate_all("all => all.map(e => getComputedStyle(e).backgroundColor)")
        assert len(set(colors)) == len(colors) == 7


def test_paper_covers_no_answer_and_shows_what_is_chosen(chromium):
    with visit(chromium, "book/03_stem.html", color_scheme="dark") as page:
        text = "document.querySelector('article').textContent"
        assert "▒" in page.evaluate(text)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert "▒" not in page.evaluate(text)
        page.emulate_media(media="print")
        card = page.locator("conv-explorer .card").first
        # Without its own ground the label of a dark button would be white on white.
        assert card.evaluate("e => getComputedStyle(e).printColorAdjust") == "exact"
        right = "e => e.getBoundingClientRect().right"
        assert card.evaluate(right) <= page.locator("article").evaluate(right)
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert "▒" in page.evaluate(text)
