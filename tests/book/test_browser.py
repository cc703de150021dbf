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
        outside = [url for url in visit.requests if not re.match(r"file:|data:|blob:", url)]
        assert outside == []
        assert visit.errors == []
        found = Axe().run(visit.page)
        assert found.violations_count == 0, found.generate_report()


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
        assert (ROOT / notebook).exists()
        assert f"https://colab.research.google.com/github/{repository}/blob/{branch}/{notebook}" in text
        descriptions.add(re.search(r'<meta content="([^"]+)" name="description"', text)[1])
    assert len(descriptions) == len(PAGES)


def test_scripts_of_explorers_come_only_where_they_are_used():
    from resnet_edu import explorers

    for path in PAGES:
        text = (HTML / path).read_text(encoding="utf-8")
        needed = {script for tag, scripts in explorers.SCRIPTS.items() if f"<{tag}" in text for script in scripts}
        loaded = set(re.findall(r"_static/explorers/([\w-]+\.js)", text))
        assert loaded == needed
