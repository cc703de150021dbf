"""Every page of the built book in one table: weight, requests, console, accessibility, links, words for machines.

    python tools/audit.py                          all pages in Chromium, Firefox and WebKit
    python tools/audit.py book/03_stem.html        these
    python tools/audit.py --quick                  one view of each, without measuring how long scripts block
    python tools/audit.py --browsers webkit        this one alone

Exits 1 if a page falls short. It should weigh at most 250 KB, and 120 KB without what it draws (pictures, and what the
engine that trains in the page needs): what a browser fetches before the reader does anything, packed as servers pack
it. "Blocked" is the time beyond 50 ms of each task while the page loads, on a processor slowed four times: that of
Lighthouse, without its guesses about a network. All this is asked of Chromium. Firefox and WebKit open each page in the
same views: nothing may fail or be said, every figure stands there, and a question, each kind of explorer and the
search answer to the keyboard. A browser that is not installed is named and left out.

Why not Lighthouse itself: it needs npm and a server, and says in points what stands here in bytes and names.
"""

import argparse
import gzip
import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlparse
from urllib.request import url2pathname

import browsers
import system_programs
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, sync_playwright

ROOT = Path(__file__).parent.parent
LIGHT, ANY = 120, 250  # KB
#: Rules that axe itself calls experimental are in.
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice", "experimental")
# A box that scrolls takes the keyboard's focus, which one experimental rule forbids and another rule demands.
OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": [*RULES]},
    "rules": {"focus-order-semantics": {"enabled": False}},
    "preload": False,
}
SLOW = 180_000  # ms that a busy machine may take for one step
VIEWS = ((390, "light"), (390, "dark"), (1440, "light"), (1440, "dark"))
TEXT = {".html", ".css", ".js", ".svg", ".json"}


# ------------------------------------------------------------------------------------ what a page's file says


class Page(HTMLParser):
    """The parts of a page that can be judged without a browser."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.pictures: list[str] = []
        self.levels: list[int] = []
        self.meta: dict[str, str] = {}
        self.inside = 0  # of the article: what is around it is the theme's
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if given.get("id"):
            self.ids.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "article":
            self.inside += 1
        if tag == "meta":
            self.meta[given.get("name") or given.get("property", "")] = given.get("content", "")
        if self.inside:
            if tag == "img":
                self.pictures.append(given.get("alt", ""))
            if re.fullmatch("h[1-6]", tag):
                self.levels.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self.inside -= 1


@lru_cache(None)
def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def broken(path: Path) -> list[str]:
    """Links of a page to files and headings of the book that are not there."""
    found = []
    for link in dict.fromkeys(read(path).links):
        place = urlparse(link)
        if place.scheme or place.netloc:
            continue
        to = (path.parent / unquote(place.path)).resolve() if place.path else path
        if not to.exists() or (place.fragment and to.suffix == ".html" and unquote(place.fragment) not in read(to).ids):
            found.append(link)
    return found


def shortcomings(path: Path) -> list[str]:
    page = read(path)
    found = [f"broken link {link}" for link in broken(path)]
    found += [f"alt text {alt!r}" for alt in page.pictures if len(alt.split()) < 4 or re.search(r"\.(png|svg)$", alt)]
    if not page.meta.get("description") and path.name != "search.html":
        found.append("no description")
    if page.levels and page.levels[0] != 1:
        found.append("the first heading is not h1")
    found += [
        f"h{low} before h{high}" for low, high in zip(page.levels, page.levels[1:], strict=False) if high > low + 1
    ]
    if page.levels.count(1) > 1:
        found.append("more than one h1")
    return found


# ------------------------------------------------------------------------------------- what a browser finds


@dataclass
class Found:
    """One page's row."""

    path: str
    weight: float = 0  # KB
    drawn: float = 0  # KB of it that are pictures
    outside: set[str] = field(default_factory=set)
    said: set[str] = field(default_factory=set)
    axe: set[str] = field(default_factory=set)
    blocked: float | None = None  # ms
    short: list[str] = field(default_factory=list)

    def problems(self) -> Iterator[str]:
        if self.weight > ANY:
            yield f"weighs {self.weight:.0f} KB, more than {ANY}"
        if self.weight - self.drawn > LIGHT:
            yield f"weighs {self.weight - self.drawn:.0f} KB without its pictures, more than {LIGHT}"
        yield from (f"asks {url}" for url in sorted(self.outside))
        yield from (f"console: {text}" for text in sorted(self.said))
        yield from (f"axe: {text}" for text in sorted(self.axe))
        yield from self.short


def size(url: str) -> int:
    """Bytes that a server would send for a file."""
    path = Path(url2pathname(urlparse(url).path))
    data = path.read_bytes() if path.exists() else b""
    return len(gzip.compress(data, 9)) if path.suffix in TEXT else len(data)


def drawings(path: Path) -> int:
    """Bytes that the drawings within a page add to it, packed."""
    text = path.read_text(encoding="utf-8")
    without = re.sub(r"<svg\b.*?</svg>", "", text, flags=re.DOTALL)
    return len(gzip.compress(text.encode(), 9)) - len(gzip.compress(without.encode(), 9))


BLOCKED = """new PerformanceObserver(list => {
  for (const task of list.getEntries()) window.blockedFor = (window.blockedFor ?? 0) + Math.max(0, task.duration - 50);
}).observe({ type: "longtask", buffered: true });"""


def _heard(found: Found, said: ConsoleMessage) -> None:
    if not said.text.startswith("[PST]"):  # the theme tells its makers what it does
        found.said.add(f"{said.type}: {said.text}")


def visit(browser: Browser, html: Path, path: str, quick: bool) -> Found:
    found = Found(path)
    views = VIEWS[:1] if quick else VIEWS
    for first, (width, mode) in zip((True, *[False] * 3), views, strict=False):
        context = browser.new_context(
            viewport={"width": width, "height": 844}, color_scheme=mode, reduced_motion="reduce"
        )
        context.set_default_timeout(SLOW)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("requestfailed", lambda request: found.said.add(f"failed: {Path(request.url).name}"))
        page.on("pageerror", lambda error: found.said.add(str(error)))
        page.on("console", lambda said: _heard(found, said))
        if first and not quick:
            page.add_init_script(BLOCKED)
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})
        page.goto(urljoin(f"{html.as_uri()}/", path), wait_until="load")
        if first:
            page.wait_for_timeout(1000)
            files = {url.partition("?")[0].partition("#")[0] for url in asked if url.startswith("file:")}
            found.weight = sum(size(url) for url in files) / 1000
            pictures = sum(size(url) for url in files if re.search("/_images/|/explorers/net/", url))
            found.drawn = (pictures + drawings(html / path.partition("?")[0])) / 1000
            found.blocked = None if quick else page.evaluate("window.blockedFor ?? 0")
        if first and not quick:
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 1})
        # What starts when the reader comes near is judged as well.
        page.evaluate(
            "async () => { for (let y = 0; y < document.body.scrollHeight; y += 800) {"
            " scrollTo(0, y); await new Promise(requestAnimationFrame); } scrollTo(0, 0); }"
        )
        page.wait_for_timeout(200)
        found.outside |= {url for url in asked if not re.match(r"file:|data:|blob:|about:", url)}
        result = Axe().run(page, options=OPTIONS)
        for violation in result.response["violations"]:
            target = violation["nodes"][0]["target"][-1]
            found.axe.add(f"{violation['id']} at {target} ({len(violation['nodes'])}×, {width} {mode})")
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.said.add(f"scrolls sideways at {width}")
        context.close()
    found.short = shortcomings(html / path.partition("?")[0])
    return found


def row(found: Found) -> str:
    blocked = "" if found.blocked is None else f"{found.blocked:.0f}"
    mark = "" if not any(found.problems()) else "  ←"
    return (
        f"{found.path:32} {found.weight:6.0f} {found.drawn:6.0f} {blocked:>8} "
        f"{len(found.outside):6} {len(found.said):8} {len(found.axe):4} {len(found.short):6}{mark}"
    )


def in_chromium(html: Path, pages: list[str], quick: bool) -> list[Found]:
    rows = []
    print(
        f"{'page':32} {'KB':>6} {'drawn':>6} {'blocked':>8} {'hosts':>6} {'console':>8} {'axe':>4} {'words':>6}",
        flush=True,
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=system_programs.find("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        for path in pages:
            rows.append(visit(browser, html, path, quick))
            print(row(rows[-1]), flush=True)
        browser.close()
    return rows


def elsewhere(name: str, html: Path, pages: list[str], quick: bool) -> int:
    """How much is wrong in another browser, which is printed page by page."""
    if sentence := browsers.missing(name):
        print(f"\n{sentence}")
        return 0
    bad = 0
    views = [*(VIEWS[:1] if quick else VIEWS)]
    with browsers.with_ears(html) as copy, ExitStack() as stack:
        try:
            drivers = {mode: stack.enter_context(browsers.BROWSERS[name](mode)) for mode in {mode for _, mode in views}}
        except browsers.ERRORS as error:
            print(f"\n{name} is installed and did not start: {error}")
            return 1
        print(f"\n{name} {drivers['light'].version}", flush=True)
        for path in pages:
            try:
                problems = browsers.visit(drivers, f"{copy.as_uri()}/{path}", views)
            except browsers.ERRORS as error:
                problems = [f"the visit ended early: {error}"]
            bad += len(problems)
            print(f"{path:32} {'; '.join(problems) or 'fine'}", flush=True)
    return bad


def report(rows: list[Found], html: Path) -> None:
    social = sum("og:image" in read(html / found.path.partition("?")[0]).meta for found in rows)
    print(f"\nKB as packed by a server; drawn: of these, what the page draws; {social} pages name a picture for cards;")
    print("blocked: ms of tasks beyond 50 ms on a processor slowed four times; words: links, alt texts, headings.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pages", nargs="*", help="such as book/03_stem.html; all of them if left out")
    parser.add_argument("--html", type=Path, default=ROOT / "_build/html", help="the built book")
    parser.add_argument("--quick", action="store_true", help="one view of each page, nothing timed")
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    names = ["chromium", *browsers.BROWSERS]
    parser.add_argument("--browsers", nargs="+", choices=names, default=names, help="all of them if left out")
    asked = parser.parse_args()
    html = asked.html.resolve()
    if not (html / "index.html").is_file():
        print("There is no built book to audit; run: make book", file=sys.stderr)
        return 1
    pages = asked.pages or [
        *(path.relative_to(html).as_posix() for path in sorted((html / "book").rglob("*.html"))),
        "search.html?q=shortcut",
    ]
    rows = in_chromium(html, pages, asked.quick) if "chromium" in asked.browsers else []
    bad = 0
    for found in rows:
        for problem in found.problems():
            bad += 1
            print(f"{found.path}: {problem}")
    bad += sum(elsewhere(name, html, pages, asked.quick) for name in browsers.BROWSERS if name in asked.browsers)
    if rows:
        report(rows, html)
    print(f"\n{len(pages)} pages, {bad} shortcomings")
    if asked.json:
        asked.json.write_text(
            json.dumps(
                [
                    {**vars(found), "outside": [*found.outside], "said": [*found.said], "axe": [*found.axe]}
                    for found in rows
                ],
                indent=1,
            ),
            encoding="utf-8",
        )
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
