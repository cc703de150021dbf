"""What the book remembers of its reader: in node, and in the built book as a reader meets it."""

import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest
import survey
import system_programs
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

ROOT = Path(__file__).parent.parent.parent
HTML = ROOT / "_build/html"
PAGE = "book/progress.html"


@pytest.fixture
def context(chromium):
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    yield context
    context.close()


def visit(context, path):
    page = context.new_page()
    page.goto(f"{HTML.as_uri()}/{path}", wait_until="load")
    return page


def answer(page, number, text):
    question = page.locator("predict-question").nth(number)
    question.get_by_label("Your answer").fill(text)
    question.get_by_role("button", name="Check").click()
    return question


def kept(page):
    return page.evaluate("Progress.all()")


def test_reading_counting_and_joining_under_nodes_own_runner():
    node = system_programs.find("node") or pytest.fail("node is not here; `make test` installs it")
    run = subprocess.run(
        [node, "--test", "tests/book/js/progress.test.js"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout[-3000:]


def test_it_weighs_less_than_three_kilobytes_on_every_page():
    scripts = [HTML / "_static/outline.js", HTML / "_static/progress.js"]
    assert sum(len(gzip.compress(script.read_bytes())) for script in scripts) < 3000


def test_the_page_lists_every_question_and_exercise(context):
    page = visit(context, PAGE)
    listed = set(page.locator(".progress-list li").evaluate_all("all => all.map(e => e.dataset.id)"))
    elements = [each for found in survey.asking_pages(ROOT / "book") for each in found.elements]
    assert listed == {each.anchor for each in elements if each.kind in ("predict", "exercise")}


def test_what_is_done_is_marked_reviewed_carried_and_forgotten(context, chromium, tmp_path):
    chapter = visit(context, "book/03_stem.html")
    mark = chapter.locator(".bd-sidebar-primary .current > a .progress-mark")
    expect(mark).to_have_count(0)
    first = next(
        number
        for number, question in enumerate(chapter.locator("predict-question").all())
        if question.get_attribute("type") == "number"
    )
    question = chapter.locator("predict-question").nth(first)
    right, name = question.get_attribute("answer"), question.get_attribute("id")
    answer(chapter, first, "1")
    expect(mark).to_have_count(0)
    answer(chapter, first, right)
    expect(mark).to_have_text(re.compile(r"\(1 of \d+ done\)"))
    box = chapter.get_by_label("I have solved it").first
    box.focus()
    chapter.keyboard.press("Space")
    expect(mark).to_have_text(re.compile(r"\(2 of \d+ done\)"))
    assert kept(chapter)[name].items() >= {"given": right, "right": True, "first": False}.items()
    # Answering it again does not make the first answer right.
    answer(chapter, first, right)
    assert kept(chapter)[name]["first"] is False
    chapter.locator("article h2").last.scroll_into_view_if_needed()

    # On the cover, the way back, to the section.
    chapter.goto(f"{HTML.as_uri()}/book/index.html")
    back = chapter.get_by_role("link", name=re.compile(r"^Continue: 3\. "))
    assert re.search(r"03_stem\.html#.", back.get_attribute("href"))

    page = visit(context, PAGE)
    expect(page.locator(".progress-summary")).to_contain_text(re.compile(r"^1 of \d+ questions .* 1 of \d+ exercises"))
    review = page.locator(".progress-review li")
    expect(review).to_have_count(1)
    expect(review).to_contain_text("right, but not at first")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save to a file").click()
    file = tmp_path / "progress.json"
    download.value.save_as(file)

    # Asked again and right at once, it leaves the review.
    page.get_by_role("button", name="Ask me these again").click()
    page.wait_for_url(re.compile(rf"03_stem\.html#{name}"))
    expect(page.locator(f"#{name}")).not_to_have_attribute("data-state", re.compile("."))
    answer(page, first, right)
    page.goto(f"{HTML.as_uri()}/{PAGE}")
    expect(page.locator(".progress-review li")).to_have_count(0)

    page.get_by_role("button", name="Forget everything").click()
    assert kept(page) == {}
    expect(page.locator(".progress-summary")).to_contain_text(re.compile(r"^0 of .* 0 of "))
    page.get_by_role("button", name="Bring it back").click()
    expect(page.locator(".progress-summary")).to_contain_text(re.compile(r"^1 of .* 1 of "))

    # On another machine.
    other = chromium.new_context(viewport={"width": 390, "height": 844})
    page = visit(other, PAGE)
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_role("status")).to_contain_text("Taken over from the file: 2.")
    expect(page.locator(".progress-review li")).to_have_count(1)
    (tmp_path / "other.json").write_text(json.dumps({"book": "another"}))
    page.locator("input[type=file]").set_input_files(tmp_path / "other.json")
    expect(page.get_by_role("status")).to_contain_text("This file holds no progress of this book.")
    expect(page.locator(".progress-review li")).to_have_count(1)
    other.close()


def test_an_answer_kept_for_another_question_is_not_put_into_this_one(context):
    page = visit(context, "book/03_stem.html")
    name = page.locator("predict-question").first.get_attribute("id")
    page.evaluate("([id, value]) => Progress.keep(id, value)", [name, {"given": "7", "right": True, "asked": "other"}])
    page.reload()
    expect(page.locator("predict-question").first).not_to_have_attribute("data-state", re.compile("."))
    assert name not in kept(page)


@pytest.mark.parametrize(("width", "mode"), [(390, "dark"), (1440, "light")])
def test_everything_on_the_page_is_for_everybody(chromium, width, mode):
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=mode, reduced_motion="reduce")
    page = visit(context, PAGE)
    page.evaluate(
        """() => {
          const ids = [...document.querySelectorAll(".progress-list li")].map(e => e.dataset.id);
          Progress.keep(ids[0], {given: "1", right: false, first: false});
          Progress.keep(ids[1], {given: "1", right: true, first: true});
        }"""
    )
    page.reload()
    for button in page.locator("article button").all():
        assert button.bounding_box()["height"] >= 44
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_a_reader_who_forbids_storage_is_told_and_meets_no_error(context):
    context.add_init_script(
        """for (const name of ["localStorage", "sessionStorage"])
          Object.defineProperty(window, name, {
            configurable: true, get() { throw new DOMException("denied", "SecurityError"); },
          });"""
    )
    errors = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    page = visit(context, PAGE)
    expect(page.locator(".progress-denied")).to_contain_text("keeps nothing")
    page.get_by_role("button", name="Forget everything").click()
    page.goto(f"{HTML.as_uri()}/book/03_stem.html")
    page.get_by_label("I have solved it").first.check()
    expect(page.locator(".bd-sidebar-primary .current > a .progress-mark")).to_have_count(1)
    assert errors == []
