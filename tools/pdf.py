"""Print the built book as one PDF with bookmarks: _build/resnets-block-by-block.pdf.

    python tools/pdf.py                        the whole book
    python tools/pdf.py book/03_stem.html      these pages

Chromium prints each page as the book's print style has it, figures as their pictures, hints left out; solutions come
at the end, under their exercises' names. The pages are joined in the order of the book.

Why not LaTeX: the figures are HTML and SVG, and 3 GB of TeX would have to be installed for one file.
"""

import argparse
import io
import os
import sys
from pathlib import Path

import system_programs
import yaml
from playwright.sync_api import Browser, Page, sync_playwright
from pypdf import PdfReader, PdfWriter

ROOT = Path(__file__).parent.parent
NAME = "resnets-block-by-block"
#: What a page shows on a screen alone.
LEAVE_OUT = """
  .bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, .prev-next-area, .page-doors, .doors, .exercise-where,
  #jb-print-docs-body, .bd-footer-content, .headerlink, .copybtn, predict-question button { display: none !important; }
  .bd-article-container, .bd-content, .bd-main, .bd-article, .bd-container__inner {
    max-width: none !important; display: block !important;
  }
  .bd-article { padding: 0 !important; }
  .bd-article h1 { display: block !important; }
  pre { white-space: pre-wrap !important; }
"""
#: Playwright's own way waits for a script of the page.
STYLE = """text => {
  const style = document.createElement("style");
  style.textContent = text;
  document.head.append(style);
}"""
#: Takes the solutions out of a page and gives them back, each below the name of its exercise.
SOLUTIONS = """() => [...document.querySelectorAll(".exercise-solution, .book-solution")].map(solution => {
  const title = solution.closest(".exercise")?.querySelector(".exercise-title")?.innerText ?? "Solution";
  solution.open = true;
  solution.querySelector(":scope > summary")?.remove();
  const html = `<section><h3>${title}</h3>${solution.innerHTML}</section>`;
  solution.remove();
  return html;
})"""


def order(root: Path) -> list[str]:
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])]
    return [Path(name).with_suffix(".html").as_posix() for name in files]


def printed(page: Page, foot: str = '<span class="title"></span>', align: str = "left") -> bytes:
    style = f"width: 100%; margin: 0 17mm; font: 8pt system-ui; text-align: {align}; color: #525d6b"
    return page.pdf(
        format="A4",
        scale=0.85,
        print_background=True,
        outline=True,
        tagged=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=f'<div style="{style}">{foot}</div>',
        margin={"top": "18mm", "bottom": "18mm", "left": "17mm", "right": "17mm"},
    )


def sheets(browser: Browser, html: Path, paths: list[str]) -> list[tuple[str, bytes]]:
    """Each page's title and its PDF, and last that of the solutions."""
    found, solutions = [], []
    # Without scripts a figure is its picture and a question has its answer folded below it.
    context = browser.new_context(
        color_scheme="light", java_script_enabled=False, viewport={"width": 1000, "height": 1400}
    )
    context.set_default_timeout(180_000)  # a busy machine takes its time
    for path in paths:
        page = context.new_page()
        page.goto((html / path).as_uri(), wait_until="load")
        page.evaluate(STYLE, LEAVE_OUT)
        title = page.title().partition(" — ")[0]
        if taken := page.evaluate(SOLUTIONS):
            solutions.append(f"<h2>{title}</h2>{''.join(taken)}")
        found.append((title, printed(page)))
        print(f"{path}: {len(taken)} solutions", flush=True)
        page.close()
    if solutions:
        page = context.new_page()
        # A page of the book lends its styles.
        page.goto((html / paths[-1]).as_uri(), wait_until="load")
        page.evaluate(STYLE, LEAVE_OUT)
        page.evaluate(
            "html => { document.querySelector('article').innerHTML = html }", f"<h1>Solutions</h1>{''.join(solutions)}"
        )
        found.append(("Solutions", printed(page)))
    context.close()
    return found


def numbers(browser: Browser, count: int) -> bytes:
    """So many pages with nothing on them but their numbers: Chromium counts each page of the book from 1."""
    page = browser.new_page()
    page.set_content("<p style='break-after: page'>&nbsp;</p>" * (count - 1) + "<p>&nbsp;</p>")
    return printed(page, '<span class="pageNumber"></span>', "right")


def join(parts: list[tuple[str, bytes]], to: Path, browser: Browser) -> int:
    """Write one file with a bookmark for each part, its headings below, and running numbers; how many pages it has."""
    book = PdfWriter()
    for title, data in parts:
        book.append(io.BytesIO(data), outline_item=title, import_outline=True)
    stamps = PdfReader(io.BytesIO(numbers(browser, len(book.pages))))
    for page, stamp in zip(book.pages, stamps.pages, strict=True):
        page.merge_page(stamp)
    book.add_metadata({"/Title": "ResNets, Block by Block"})
    unfinished = to.with_suffix(f".{os.getpid()}")
    try:
        book.write(unfinished)
        os.replace(unfinished, to)
    finally:
        unfinished.unlink(missing_ok=True)
    return len(book.pages)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pages", nargs="*", help="such as book/03_stem.html; the whole book if left out")
    parser.add_argument("--html", type=Path, default=ROOT / "_build/html", help="the built book")
    asked = parser.parse_args()
    html = asked.html.resolve()
    if not (html / "index.html").is_file():
        print("There is no built book to print; run: make book", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=system_programs.find("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        to = ROOT / f"_build/{NAME}.pdf"
        to.parent.mkdir(exist_ok=True)
        count = join(sheets(browser, html, asked.pages or order(ROOT)), to, browser)
        browser.close()
    print(f"{to}: {count} pages, {to.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
