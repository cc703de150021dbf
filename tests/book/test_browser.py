"""The built book in a real browser: every page, on a phone and on a desk, light and dark.

`make test` builds the book first. Pages are opened as files, the strictest way: nothing may come from a server.
"""

import re
from pathlib import Path

import address
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe

ROOT = Path(__file__).parent.parent.parent
HTML = ROOT / "_build/html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
FILES = [TOC["root"], *(entry["file"] for part in TOC["parts"] for entry in part["chapters"])]
PAGES = [Path(name).with_suffix(".html").as_posix() for name in FILES]
VIEWS = [(width, mode) for width in (390, 1440) for mode in ("light", "dark")]
# Words of one drawing that stand on each other.
CROWDED = """() => [...document.querySelectorAll("article svg")].flatMap((svg) => {
  const words = [...svg.querySelectorAll("text")].filter((e) => e.getClientRects().length && e.textContent.trim());
  const boxes = words.map((e) => [e.textContent.trim(), e.getBoundingClientRect()]);
  return boxes.flatMap(([one, a], n) => boxes.slice(0, n).filter(([, b]) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > Math.min(a.height, b.height) / 2,
  ).map(([other]) => `${other} | ${one}`));
})"""
# How far what stood on the page was pushed, as shares of the window: above 0.1 a reader loses the line.
PUSHED = """() => new Promise((done) => {
  let pushed = 0;
  new PerformanceObserver((list) => list.getEntries().forEach(({ value }) => (pushed += value)))
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(pushed), 100);
})"""


@pytest.fixture(scope="module")
def browser(chromium):
    if not (HTML / "index.html").exists():
        pytest.fail("there is no built book to look at; run: make book")
    return chromium


class Visit:
    """A page as a reader meets it, and what the browser had to say about it."""

    def __init__(self, browser, path, width=1440, mode="light", scripts=True):
        self.requests, self.errors = [], []
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=mode,
            reduced_motion="reduce",
            java_script_enabled=scripts,
        )
        self.page = context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", lambda request: self.errors.append(f"failed: {request.url}"))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.goto(f"{HTML.as_uri()}/{path}", wait_until="load")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.page.context.close()


@pytest.mark.parametrize(("width", "mode"), VIEWS, ids=[f"{width}-{mode}" for width, mode in VIEWS])
@pytest.mark.parametrize("path", [*PAGES, "search.html?q=shortcut"])
def test_page_fits_is_silent_and_accessible(browser, path, width, mode):
    with Visit(browser, path, width, mode) as visit:
        assert visit.page.evaluate("document.documentElement.dataset.theme") == mode
        wide = visit.page.evaluate(
            """() => [...document.querySelectorAll("main *")]
                .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
                .filter(e => !e.parentElement.closest("[tabindex], pre, .output, .formula, svg"))
                .slice(0, 3).map(e => e.outerHTML.slice(0, 120))"""
        )
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width, wide
        assert visit.page.evaluate(CROWDED) == []
        outside = [url for url in visit.requests if not re.match(r"file:|data:|blob:", url)]
        assert outside == []
        assert visit.errors == []
        # In the dark the same elements have other colors, and nothing else is new.
        rules = {"runOnly": ["color-contrast", "link-in-text-block"]} if mode == "dark" else {}
        violations = Axe().run(visit.page, options={"resultTypes": ["violations"], **rules}).response["violations"]
        assert [(rule["id"], node["html"][:160]) for rule in violations for node in rule["nodes"]] == []
        assert visit.page.evaluate(PUSHED) < 0.1


@pytest.mark.parametrize("path", PAGES)
def test_pictures_say_what_they_show(browser, path):
    with Visit(browser, path) as visit:
        words = visit.page.evaluate(
            """() => [...document.querySelectorAll("article img, article svg[role=img]")]
                .map(e => e.getAttribute("alt") ?? e.getAttribute("aria-label") ?? "")"""
        )
        for alt in words:
            assert len(alt.split()) > 3, f"{alt!r} does not say what the picture shows"
            assert not re.search(r"\.(png|svg|jpe?g)$|^/|_build", alt)
        # A picture that the kernel could not draw is shown as its name.
        assert not re.search(r"<Figure size|<\S+ object at 0x", visit.page.inner_text("article"))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_without_scripts_still_asks_hints_and_answers(browser, path):
    with Visit(browser, path, scripts=False) as visit:
        questions = visit.page.locator("predict-question")
        for question in questions.all():
            assert question.locator(".predict-prompt").is_visible()
            answer = question.locator("details.predict-answer")
            answer.locator("summary").click()
            assert len(answer.inner_text().removeprefix("Answer").strip()) > 0
        assert visit.page.locator("math").first.is_visible() or not visit.page.locator("math").count()


@pytest.mark.parametrize("path", PAGES)
def test_every_link_inside_the_book_leads_somewhere(browser, path):
    with Visit(browser, path, scripts=False) as visit:
        here = (HTML / path).parent
        for target in set(visit.page.eval_on_selector_all("a[href]", "all => all.map(a => a.getAttribute('href'))")):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            place = (here / file).resolve() if file else HTML / path
            assert place.exists(), target
            if anchor and place.suffix == ".html":
                assert re.search(rf'id="{re.escape(anchor)}"', place.read_text(encoding="utf-8")), target


def test_each_page_names_its_notebook_and_describes_itself():
    url, branch = address.home(ROOT)
    repository = url.removeprefix("https://github.com/")
    descriptions = set()
    for path in PAGES:
        text = (HTML / path).read_text(encoding="utf-8")
        notebook = Path(path).with_suffix(".ipynb").as_posix()
        door = f"https://colab.research.google.com/github/{repository}/blob/{branch}/{notebook}"
        assert (door in text) == (ROOT / notebook).exists()
        descriptions.add(re.search(r'<meta content="([^"]+)" name="description"', text)[1])
        title = re.search("<title>(.+?)</title>", text)[1].split(" &#8212; ")
        assert len(title) == len({*title}), "a page is called by the same name twice"
    assert len(descriptions) == len(PAGES)


def test_scripts_of_explorers_come_only_where_they_are_used():
    from resnet_edu import explorers

    for path in PAGES:
        text = (HTML / path).read_text(encoding="utf-8")
        needed = {script for tag, scripts in explorers.SCRIPTS.items() if f"<{tag}" in text for script in scripts}
        loaded = set(re.findall(r"_static/explorers/([\w-]+\.js)", text))
        assert loaded == needed


# -- looks, and everybody's settings ----------------------------------------------------------------

CHAPTERS = [path for path in PAGES if re.match(r"book/\d", path)]
NUMBERS = [int(re.match(r"book/(\d+)", path)[1]) for path in CHAPTERS]


def test_a_chapter_shows_its_number_wherever_its_title_stands(browser):
    questions = {}
    for path, number in zip(CHAPTERS, NUMBERS, strict=True):
        with Visit(browser, path, scripts=False) as visit:  # a script covers what gives an answer away
            title = visit.page.locator("article h1").inner_text()
            assert title.startswith(f"{number}. ")
            assert visit.page.title().startswith(f"{number}. ")
            current = visit.page.locator(".bd-sidebar-primary .current > a.current")
            assert current.inner_text().split() == title.removesuffix("#").split()
            questions[number] = title.removesuffix("#").partition(" ")[2].strip()
            for link in visit.page.locator(".prev-next-area a[href*='_']").all():
                name = int(re.search(r"(\d+)_", link.get_attribute("href"))[1])
                assert link.locator(".prev-next-title").inner_text().startswith(f"{name}. ")
    with Visit(browser, PAGES[0]) as visit:
        rows = visit.page.locator("article table tbody tr").all()
        listed = {int(row.locator("td").first.inner_text()): row.locator("td").nth(1).inner_text() for row in rows}
        assert listed == {number: questions[number] for number in sorted(questions)}
        assert list(listed) == NUMBERS, "in the order of the book"


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_sees_menu_title_and_search_and_finds_the_rest_behind_the_menu(browser, width):
    with Visit(browser, CHAPTERS[0], width) as visit:
        header = visit.page.locator(".bd-header-article")
        seen = [e for e in header.locator("a, button").all() if e.is_visible()]
        assert [e.get_attribute("class").split()[0] for e in seen] == ["sidebar-toggle", "header-title", "btn"]
        middles = [box["y"] + box["height"] / 2 for box in (e.bounding_box() for e in seen)]
        assert max(middles) - min(middles) < 6
        header.locator(".primary-toggle").click()
        menu = visit.page.locator("#pst-primary-sidebar-modal")
        for words in ("On this page", "Launch on Colab", "Download notebook file"):
            assert menu.get_by_text(words, exact=True).is_visible()
        assert menu.locator(".theme-switch-button").is_visible()
        visit.page.keyboard.press("Escape")
        assert not menu.is_visible()


@pytest.mark.parametrize("width", [390, 1200])
def test_a_finger_has_44_pixels_for_each_entry_of_the_menus(browser, width):
    context = browser.new_context(viewport={"width": width, "height": 900}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{HTML.as_uri()}/{CHAPTERS[0]}", wait_until="load")
    if width < 992:
        page.locator(".bd-header-article .primary-toggle").click()
        page.locator("#pst-primary-sidebar-modal .page-actions").wait_for()
    small = page.evaluate(
        """() => [...document.querySelectorAll("a, button")]
            .filter(e => e.checkVisibility() && !e.closest("article, .skip-link, #pst-skip-link"))
            .map(e => [e.textContent.trim() || e.className, e.getBoundingClientRect()])
            .filter(([, box]) => box.width > 2 && (box.width < 43.5 || box.height < 43.5))
            .map(([words, box]) => `${words} ${box.width} x ${box.height}`)"""
    )
    context.close()
    assert small == []


def test_escape_closes_a_menu_of_the_header(browser):
    with Visit(browser, CHAPTERS[0]) as visit:
        button = visit.page.locator(".dropdown-download-buttons .dropdown-toggle")
        for focus in (None, "article h1 a"):
            button.click()
            assert visit.page.locator(".dropdown-download-buttons .dropdown-menu").is_visible()
            if focus:
                visit.page.locator(focus).focus()
            visit.page.keyboard.press("Escape")
            assert not visit.page.locator(".dropdown-download-buttons .dropdown-menu").is_visible()
            assert button.get_attribute("aria-expanded") == "false"


def test_one_menu_of_the_header_is_open_at_a_time_and_arrows_walk_through_it(browser):
    with Visit(browser, CHAPTERS[0]) as visit:
        shown = visit.page.locator(".dropdown-menu.show")
        for kind in ("source", "download"):
            visit.page.locator(f".dropdown-{kind}-buttons .dropdown-toggle").click()
            assert shown.count() == 1
        for key, words in (("ArrowDown", ".ipynb"), ("ArrowDown", ".md"), ("ArrowUp", ".ipynb")):
            visit.page.keyboard.press(key)
            assert visit.page.evaluate("document.activeElement.innerText").strip() == words
        visit.page.locator("article h1").click()
        assert shown.count() == 0


@pytest.mark.parametrize("path", PAGES)
def test_nothing_scrolls_sideways_at_320_pixels_or_with_text_twice_as_large(browser, path):
    for width, text in ((320, "100%"), (390, "200%"), (1440, "200%")):
        with Visit(browser, path, width) as visit:
            visit.page.add_style_tag(content=f"html {{ font-size: {text} !important }}")
            wide = visit.page.evaluate(
                """() => [...document.querySelectorAll("main *")]
                    .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
                    .filter(e => !e.parentElement.closest("[tabindex], pre, .output, .formula, svg"))
                    .slice(0, 3).map(e => e.outerHTML.slice(0, 160))"""
            )
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= width, (width, text, wide)


@pytest.mark.parametrize("path", PAGES)
def test_paper_is_white_also_from_a_dark_screen(browser, path):
    with Visit(browser, path, mode="dark") as visit:
        visit.page.emulate_media(media="print")
        found = visit.page.evaluate(
            """() => {
              const light = color => {
                const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
                return a < 0.1 ? null : (r * 299 + g * 587 + b * 114) / 1000 > 127;
              };
              const bad = [];
              const all = "html, body, article :is(p, pre, pre span, h1, h2, td, summary)";
              for (const e of document.querySelectorAll(all)) {
                if (!e.getClientRects().length) continue;
                const style = getComputedStyle(e);
                if (light(style.backgroundColor) === false) bad.push(`dark paper: ${e.localName}.${e.className}`);
                if (light(style.color) === true) bad.push(`light ink in ${e.localName}.${e.className}`);
              }
              return bad.slice(0, 5);
            }"""
        )
        assert found == []


@pytest.mark.parametrize("path", [PAGES[0], CHAPTERS[0], "search.html?q=stride"])
def test_a_reader_who_forbids_storage_loses_nothing_else(browser, path):
    denied = """for (const name of ["localStorage", "sessionStorage"])
      Object.defineProperty(window, name, {
        configurable: true, get() { throw new DOMException("denied", "SecurityError"); },
      });"""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(denied)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{HTML.as_uri()}/{path}", wait_until="load")
    if path.startswith("search"):
        page.locator("#search-results li").first.wait_for()
    else:
        before = page.evaluate("document.documentElement.dataset.mode")
        page.locator(".article-header-buttons .theme-switch-button").click()
        assert page.evaluate("document.documentElement.dataset.mode") != before
    context.close()
    assert errors == []


LEADING = "e => parseFloat(getComputedStyle(e).lineHeight) / parseFloat(getComputedStyle(e).fontSize)"


@pytest.mark.parametrize("path", CHAPTERS)
def test_one_grid_and_one_type(browser, path):
    with Visit(browser, path) as visit:
        page = visit.page
        rem = 16
        # Not by a locator, which would look into the figures too.
        prose = page.evaluate("[...document.querySelectorAll('article section > p')].map(e => e.clientWidth)")
        assert max(prose) <= 40 * rem
        for pre in page.locator("article div.highlight pre").all()[:6]:
            assert (
                pre.evaluate(
                    "e => parseFloat(getComputedStyle(e).lineHeight) / parseFloat(getComputedStyle(e).fontSize)"
                )
                >= 1.49
            )
        explorers = page.locator("article :is(conv-explorer, resnet-explorer, shortcut-explorer)")
        for figure in explorers.all():
            width = figure.evaluate("e => e.clientWidth")
            assert 56 * rem <= width <= 64 * rem, "a figure reaches into the right rail"
        # The row below a figure, with its code at the right end, is as wide as the figure.
        apart = page.evaluate(
            """() => [...document.querySelectorAll("article div.cell:not(.exercise *)")].flatMap(cell => {
                const row = cell.querySelector(":scope > .book-caption");
                const figure = cell.querySelector(".cell_output :is(conv-explorer, resnet-explorer, " +
                  "shortcut-explorer, degradation-race, live-resnet, block-workbench)");
                const right = e => e.getBoundingClientRect().right;
                return row && figure ? [Math.abs(right(row) - right(figure))] : [];
            })"""
        )
        assert max(apart, default=0) <= 1
        silent = "article div.cell:not(.exercise *):has(.re-picture):not(:has(> .book-caption .caption-text))"
        assert page.locator(silent).count() == 0, "a figure has a caption"
        door = page.locator("h1 + .page-doors a")
        assert door.inner_text() == "Run in Colab"
        assert door.bounding_box()["height"] >= 44


def test_a_line_of_prose_has_66_to_70_characters(browser):
    with Visit(browser, CHAPTERS[NUMBERS.index(1)]) as visit:
        counts = visit.page.evaluate(
            """() => [...document.querySelectorAll("article section section > p")].flatMap((p) => {
                const lines = {};
                const { top } = p.getBoundingClientRect();
                const high = parseFloat(getComputedStyle(p).lineHeight);
                const texts = document.createTreeWalker(p, NodeFilter.SHOW_TEXT);
                for (let text; (text = texts.nextNode());)
                    for (let at = 0; at < text.length; at++) {
                        const letter = document.createRange();
                        letter.setStart(text, at);
                        letter.setEnd(text, at + 1);
                        const { width, y, height } = letter.getBoundingClientRect();
                        const line = Math.floor((y + height / 2 - top) / high);
                        if (width) lines[line] = (lines[line] ?? 0) + 1;
                    }
                return Object.values(lines).slice(0, -1); // the last line is as long as it is
            })"""
        )
        counts.sort()
        assert len(counts) > 50
        assert 65 <= counts[len(counts) // 2] <= 70


def test_large_type_gets_the_room_of_what_stands_at_the_sides(browser):
    with Visit(browser, CHAPTERS[NUMBERS.index(5)]) as visit:
        page = visit.page
        menu = page.locator(".bd-sidebar-primary")
        article = page.locator(".bd-content")
        assert menu.is_visible()
        page.add_style_tag(content="html { font-size: 200% !important; }")
        assert article.bounding_box()["width"] >= 0.75 * 1440
        assert not menu.is_visible()
        page.locator("button.primary-toggle").first.click()
        assert menu.is_visible(), "the menu is a click away"
        page.locator("button.primary-toggle").first.click()
        page.locator("button.secondary-toggle").first.click()
        contents = page.locator("#pst-secondary-sidebar-modal a").first
        assert contents.is_visible(), "and so are the contents"
        assert contents.bounding_box()["x"] + contents.bounding_box()["width"] <= 1440


def test_prose_beside_code_keeps_half_of_a_phone(browser):
    with Visit(browser, CHAPTERS[NUMBERS.index(13)], 390) as visit:
        prose = visit.page.locator("table td:last-child:nth-child(2)", has_text="whoever runs it")
        box = prose.bounding_box()
        assert box["width"] > 390 / 2 - 16
        assert box["x"] + box["width"] <= 390


def test_dark_pages_have_one_color_of_links_and_no_sheet_behind_a_picture(browser):
    with Visit(browser, CHAPTERS[NUMBERS.index(10)], mode="dark") as visit:
        page = visit.page
        assert page.locator("article td a.reference").count(), "in tables, too"
        links = "article section :is(p, li, td) a.reference:not(.term)"
        assert (
            len(page.eval_on_selector_all(links, "all => [...new Set(all.map(e => getComputedStyle(e).color))]")) == 1
        )
        output = page.locator("article .cell_output .output").first
        sheet = output.evaluate("e => getComputedStyle(e.appendChild(document.createElement('img'))).backgroundColor")
        assert sheet == "rgba(0, 0, 0, 0)"


def test_the_cover_plays(browser):
    with Visit(browser, PAGES[0], 390) as visit:
        page = visit.page
        start = page.get_by_role("link", name="Start: why does deeper get worse?")
        box = start.bounding_box()
        assert box["y"] + box["height"] <= 844
        assert page.get_by_role("link", name="Run in Colab").first.is_visible()
        cover = page.locator("resnet-explorer")
        line = cover.locator(".line")
        assert line.inner_text() == "34 layers · 21.8 M parameters · 3.66 G multiply-adds"
        cover.get_by_role("radio", name="152").check()
        page.wait_for_timeout(100)
        assert line.inner_text() == "152 layers · 60.2 M parameters · 11.5 G multiply-adds"
        image = cover.locator(".room[aria-label^=image] .glow").bounding_box()
        assert image["height"] <= 90
        for door in cover.locator(".doors a").all():
            assert door.bounding_box()["height"] >= 44
            assert (HTML / "book" / door.get_attribute("href")).exists()
    with Visit(browser, PAGES[0], 1440) as visit:
        page = visit.page
        cover = page.locator("resnet-explorer")
        assert page.locator(".bd-sidebar-secondary").count() == 0
        assert cover.evaluate("e => e.clientWidth") > 950
        cover.get_by_role("link", name=re.compile("^layer1")).click()
        page.wait_for_url("**/04_basic_block.html")
    with Visit(browser, PAGES[0], 1440) as visit:
        cover = visit.page.locator("resnet-explorer")
        cover.get_by_role("radio", name="50", exact=True).check()
        cover.get_by_role("button", name="Details").click()
        assert cover.get_by_role("button", name="Compare networks").is_visible()
        assert cover.locator("tbody tr").count() == 6
        assert cover.locator(".totals dd").first.inner_text() == "50"


def test_the_search_has_one_ring_and_its_glass_beside_its_words(browser):
    with Visit(browser, CHAPTERS[0]) as visit:
        visit.page.keyboard.press("Control+k")
        field = visit.page.locator("#pst-search-dialog input")
        field.wait_for()
        glass = visit.page.locator("#pst-search-dialog .fa-magnifying-glass").bounding_box()
        text = field.evaluate("e => e.getBoundingClientRect().left + parseFloat(getComputedStyle(e).paddingLeft)")
        assert glass["x"] + glass["width"] <= text
        rings = visit.page.evaluate(
            """() => ["#pst-search-dialog", "#pst-search-dialog form", "#pst-search-dialog input"]
              .map(place => getComputedStyle(document.querySelector(place)))
              .filter(s => (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 1)
                || /0px 0px 0px [1-9]/.test(s.boxShadow))
              .length"""
        )
        assert rings <= 1
