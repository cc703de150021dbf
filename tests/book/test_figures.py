"""Every figure can be downloaded, as a file that shows the same without the page."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

HTML = Path(__file__).parent.parent.parent / "_build/html"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_downloaded_figure_needs_nothing_of_the_page(chromium, tmp_path, mode):
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, color_scheme=mode, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{HTML.as_uri()}/book/05_shortcuts.html", wait_until="load")
    page.locator("shortcut-explorer").first.scroll_into_view_if_needed()  # it starts when the reader comes near
    page.locator("shortcut-explorer").first.get_by_text("Option B", exact=False).first.click()
    buttons = page.locator(".figure-save").all()
    assert len(buttons) == page.locator("article div.cell:has(.cell_output svg.re-picture)").count() > 2
    everything = ""
    for number, button in enumerate(buttons):
        button.focus()
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        file = tmp_path / f"{number}.svg"
        download.value.save_as(file)
        assert download.value.suggested_filename.startswith(f"05_shortcuts-figure-{number + 1}")
        text = file.read_text(encoding="utf-8")
        assert "var(--" not in text
        root = ElementTree.fromstring(text)
        assert root.tag == f"{SVG}svg"
        assert float(root.get("width")) > 100
        paper = root.find(f"{SVG}rect").get("fill")
        assert paper == page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert len(list(root.iter(f"{SVG}text"))) > 1
        everything += text
    # As it stands: the explorer shows what was chosen.
    assert "projection" in everything
    context.close()


def test_a_finger_finds_the_button_in_the_corner(chromium):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    for name in ("02_convolution", "05_shortcuts"):
        page.goto(f"{HTML.as_uri()}/book/{name}.html", wait_until="load")
        for button in page.locator(".figure-save").all():
            box = button.bounding_box()
            assert min(box["width"], box["height"]) >= 44
            assert button.evaluate("e => getComputedStyle(e).opacity") == "1"
    context.close()


def test_a_plot_of_the_book_weighs_at_most_20_kilobytes():
    """Each arrangement for itself: curves, maps and photographs."""
    weights = {}
    for page in sorted(HTML.glob("book/*.html")):
        for number, plot in enumerate(
            re.findall(r'<svg [^>]*><g fill="currentColor">.*?</svg>', page.read_text("utf-8"), re.DOTALL)
        ):
            weights[page.stem, number] = len(plot.encode())
    assert len(weights) > 30
    assert not {plot: weight for plot, weight in weights.items() if weight > 20_000}
