"""Make slides from the chapters: one deck a chapter, in _build/slides, to show from the folder without a network.

    python tools/slides.py

A slide is what a chapter shows, a figure, code with its output, a question, a table or a formula, under the heading
where it stands and with the sentence that leads to it. All prose goes into the speaker's notes, and on the first
slide what learners believe, what to ask and what to draw (book/teach.md). Answers wait for a key. Explorers work.

Why not RISE, nbconvert or reveal.js: they show a notebook's cells, without the book's questions, figures and
explorers, and load their scripts from another host.
"""

import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from bs4 import BeautifulSoup, NavigableString, Tag

from resnet_edu import explorers
from resnet_edu.drawing import palette

ROOT = Path(__file__).parent.parent
HERE = Path(__file__).parent / "slides"
#: How many sentences a slide without a figure has.
POINTS = 5


@dataclass
class Slide:
    """One slide: its heading, the line above what it shows, and the prose behind it, all HTML."""

    heading: str
    body: str
    line: str = ""
    notes: list[str] = field(default_factory=list)
    kind: str = ""


def sentences(paragraph: Tag) -> list[str]:
    """The sentences of a paragraph as HTML; none ends inside code, a formula or a link.

    >>> page = BeautifulSoup("<p>One <code>a. b</code> here. Two: 1.5 of them.</p>", "html.parser")
    >>> sentences(page.p)
    ['One <code>a. b</code> here.', 'Two: 1.5 of them.']
    """
    found = [""]
    for child in paragraph.contents:
        if not isinstance(child, NavigableString):
            found[-1] += str(child)
            continue
        first, *rest = re.split(r"(?<=[.!?])\s+(?=[A-Z0-9])", escape(str(child), quote=False))
        found[-1] += first
        found += rest
        # The sentence may end where something else than text begins.
        if re.search(r"[.!?]\s+$", str(child)):
            found.append("")
    return [text.strip() for text in found if text.strip()]


def leading(paragraphs: list[Tag]) -> str:
    """The sentence that leads to what comes next: the last one if it ends in a colon, else its paragraph's first."""
    if not paragraphs:
        return ""
    said = sentences(paragraphs[-1])
    return said[-1] if said[-1].endswith(":") else said[0]


def blocks(section: Tag) -> Iterator[Tag]:
    """What stands in a section, in order, that of its sections of the third level too."""
    for child in section.find_all(recursive=False):
        if child.name == "section":
            yield from blocks(child)
        else:
            yield child


def slides(article: Tag) -> Iterator[Slide]:
    """All slides of a chapter but the first."""
    whole = article.find("section")
    title = whole.find("h1")
    parts: list[tuple[str, Iterable[Tag]]] = [
        (title.decode_contents(), [child for child in whole.find_all(recursive=False) if child.name != "section"])
    ]
    parts += [(part.find("h2").decode_contents(), blocks(part)) for part in whole.find_all("section", recursive=False)]
    for heading, content in parts:
        pending: list[Tag] = []
        exercises: list[str] = []
        last: Slide | None = None
        for block in content:
            classes = block.get("class", [])
            if block.name in ("h1", "h2", "h3") or "page-doors" in classes:
                continue
            if block.name == "p":
                pending.append(block)
            elif "exercise" in classes:
                name, meta = block.select_one(".exercise-name"), block.select_one(".exercise-meta")
                exercises.append(f"<li>{name.decode_contents()} <span>{meta.decode_contents()}</span></li>")
            else:
                if last:
                    yield last
                last = Slide(heading, shown(block), leading(pending), [str(one) for one in pending], block.name)
                pending = []
        notes = [str(one) for one in pending]
        # One paragraph more is what to say to the last thing shown; several are a slide.
        if last:
            last.notes += notes if len(pending) < 2 else []
            yield last
        if exercises:
            yield Slide(heading, f'<ul class="exercises">{"".join(exercises)}</ul>', notes=notes)
        elif len(pending) > 1 or (pending and not last and content is not parts[0][1]):
            points = [sentences(one)[0] for one in pending[:POINTS]]
            body = "".join(f"<li>{point}</li>" for point in points)
            yield Slide(heading, f'<ul class="points">{body}</ul>', notes=notes)


def shown(block: Tag) -> str:
    """A block without what belongs to a page: a figure's folded code, hints, feedback, a question's script."""
    for one in block.select(".book-code, .predict-hint, .predict-wrong, .predict-feedback, .figure-save"):
        one.decompose()
    if block.name != "predict-question":
        return str(block)
    answer = block.select_one(".predict-answer")
    answer.select_one("summary").decompose()
    options = block.select_one(".predict-options")
    asked = block.select_one(".predict-prompt")
    return f'{asked}{options or ""}<div class="answer" hidden>{answer.decode_contents()}</div>'


def lessons(page: Path) -> dict[str, list[str]]:
    """For each chapter what the page for teachers says about it."""
    found: dict[str, list[str]] = {}
    if page.exists():
        for term in BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select("article dl > dt"):
            link = term.select_one("a[href]")
            if link and (name := re.match(r"(\w+)\.html$", link["href"])):
                said = term.find_next_siblings("dd")
                own = [one for one in said if one.find_previous_sibling("dt") is term]
                found[name[1]] = [one.decode_contents() for one in own]
    return found


def deck(page: Path, advice: list[str]) -> str:
    """The slides of one built page as a page of their own."""
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    article = soup.select_one("article")
    for one in article.select(".headerlink"):
        one.decompose()
    for link in article.select("a[href]"):
        # A link leads into the book, where the deck does not lie; what it says stays.
        if not re.match(r"https?:", link["href"]):
            link.unwrap()
    for one in article.select("[id]"):
        del one["id"]
    title = article.find("h1")
    lede = title.find_next_sibling(lambda tag: tag.name == "p" and "page-doors" not in tag.get("class", []))
    opening = f"<h1>{title.decode_contents()}</h1><p>{sentences(lede)[0]}</p>"
    first = Slide("", opening, notes=[*advice, str(lede)], kind="title")
    found = [first, *slides(article)]
    scripts = [script["src"] for script in soup.select("script[src]") if "/explorers/" in script["src"]]
    names = [re.sub(r"\?.*", "", src).rpartition("_static/")[2] for src in scripts if "predict-question" not in src]
    loads = "".join(f'<script defer src="assets/{name}"></script>' for name in names)
    name = re.sub(r"\s+", " ", title.get_text()).strip()
    parts = []
    for number, slide in enumerate(found, 1):
        head = f"<h2>{slide.heading}</h2>" if slide.heading else ""
        line = f'<p class="line">{slide.line}</p>' if slide.line else ""
        parts.append(
            f'<section class="slide {slide.kind}" tabindex="-1" aria-label="Slide {number} of {len(found)}">'
            f'{head}{line}<div class="body"><div class="fit">{slide.body}</div></div>'
            f'<aside class="notes" aria-label="Notes">{"".join(slide.notes)}</aside></section>'
        )
    return f"""<!doctype html>
<html lang="en" data-theme="light">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(name)}: slides</title>
<link rel="stylesheet" href="assets/palette.css">
<link rel="stylesheet" href="assets/explorers/explorers.css">
<link rel="stylesheet" href="assets/deck.css">
{loads}<script defer src="assets/deck.js"></script>
<main>{"".join(parts)}</main>
<nav aria-label="Slides"><a href="index.html">All chapters</a><span class="where" role="status"></span>
<button data-act="notes" title="Notes below the slide (N)">Notes</button>
<button data-act="window" title="Notes in a window of their own (P)">Window</button>
<button data-act="mode" title="Light or dark (D)">Mode</button>
<button data-act="back" title="Back (←)" aria-label="Back">←</button>
<button data-act="forward" title="On (→)" aria-label="On">→</button></nav>
</html>
"""


def make(html: Path, out: Path) -> list[Path]:
    """Write a deck for each numbered chapter of the built book in `html`, and a list of them."""
    shutil.rmtree(out, ignore_errors=True)
    (out / "assets").mkdir(parents=True)
    shutil.copytree(html / "_static/explorers", out / "assets/explorers")
    # The published pages have their styles in one sheet, so these come from the package.
    (out / "assets/palette.css").write_text(palette.css(), encoding="utf-8")
    for name in explorers.STYLES:
        shutil.copy(explorers.ASSETS / name, out / "assets/explorers")
    for file in (HERE / "deck.css", HERE / "deck.js"):
        shutil.copy(file, out / "assets")
    advice = lessons(html / "book/teach.html")
    written = []
    rows = []
    for page in sorted((html / "book").glob("[0-9][0-9]_*.html")):
        place = out / page.name
        text = deck(page, advice.get(page.stem, []))
        place.write_text(text, encoding="utf-8")
        written.append(place)
        title = re.findall(r"<title>(.*): slides</title>", text)[0]
        rows.append(f'<li><a href="{page.name}">{title.partition(" ")[2]}</a></li>')
    (out / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Slides</title>'
        "<style>body{font:1.1rem/1.6 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;"
        "color-scheme:light dark}li{padding:.3rem 0}</style><main><h1>Slides</h1>"
        "<p>Arrow keys and space turn them. N shows the notes, P puts them into a window of their own, D is for dark. "
        "Printed, each slide comes with its notes.</p>"
        f"<ol>{''.join(rows)}</ol></main></html>",
        encoding="utf-8",
    )
    return written


def main() -> int:
    html = ROOT / "_build/html"
    if not (html / "index.html").exists():
        print("There is no built book to make slides from. Run: make book", file=sys.stderr)
        return 1
    out = ROOT / "_build/slides"
    written = make(html, out)
    print(f"{len(written)} decks. Open\n\n    {out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
