"""Slides: what a chapter shows becomes slides, its prose notes; and a deck works from its folder alone."""

import re
from pathlib import Path

import pytest
import slides
from bs4 import BeautifulSoup
from playwright.sync_api import expect

ROOT = Path(__file__).parent.parent.parent
HTML = ROOT / "_build/html"
CHAPTER = BeautifulSoup(
    """<article><section><h1>4. What?</h1><p class="page-doors">Colab</p><p>It asks. More of it.</p>
    <div class="cell"><div class="cell_output"><svg class="re-picture"></svg></div>
      <div class="book-caption"><details class="book-code">code</details></div></div>
    <section><h2>Run</h2><p>First this. Then <code>a. B</code> that. Look:</p>
      <div class="cell"><pre>print(1)</pre></div><p>One word more.</p></section>
    <section><h2>Why</h2><p>One cause. Told.</p><p>Another cause.</p></section>
    <section><h2>Ask</h2><predict-question><div class="predict-prompt"><p>How many?</p></div>
      <details class="predict-hint"><summary>Hint</summary>Count.</details>
      <details class="predict-answer"><summary>Answer</summary><p>Two</p></details></predict-question></section>
    <section><h2>Exercises</h2><div class="exercise"><span class="exercise-name">Write it</span>
      <div class="exercise-meta">8 minutes</div><pre>secret</pre></div></section></section></article>""",
    "html.parser",
).article


def test_a_slide_is_what_is_shown_with_the_sentence_that_leads_to_it():
    figure, run, why, ask, exercises = slides.slides(CHAPTER)
    assert (figure.heading, figure.line) == ("4. What?", "It asks.")
    assert "re-picture" in figure.body
    assert "book-code" not in figure.body
    assert (run.heading, run.line) == ("Run", "Look:")
    assert run.notes == ["<p>First this. Then <code>a. B</code> that. Look:</p>", "<p>One word more.</p>"]
    assert re.findall("<li>(.*?)</li>", why.body) == ["One cause.", "Another cause."]
    assert '<div class="answer" hidden><p>Two</p></div>' in "".join(ask.body.splitlines())
    assert "Count" not in ask.body
    assert "Write it <span>8 minutes</span>" in exercises.body
    assert "secret" not in exercises.body


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    return slides.make(HTML, tmp_path_factory.mktemp("slides"))


def test_every_chapter_has_a_deck_that_needs_nothing_but_its_folder(decks):
    chapters = sorted((ROOT / "book").glob("[0-9][0-9]_*.md"))
    assert [deck.stem for deck in decks] == [chapter.stem for chapter in chapters]
    for deck in decks:
        soup = BeautifulSoup(deck.read_text(encoding="utf-8"), "html.parser")
        for tag in soup.select("script[src], link[href]"):
            assert (deck.parent / (tag.get("src") or tag["href"])).exists()
        found = soup.select(".slide")
        assert len(found) > 10
        assert found[0].select_one(".notes").get_text().startswith("They believe"), "what the page for teachers says"


def test_keys_turn_slides_answers_wait_and_notes_show(decks, chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(request.url))
    page.goto(decks[3].as_uri())
    shown = page.locator(".slide.shown")
    expect(shown.locator("h1")).to_contain_text("4.")
    page.keyboard.press("n")
    expect(shown.locator(".notes")).to_be_visible()
    page.keyboard.press("n")
    asking = page.locator(".slide").evaluate_all("all => all.findIndex(e => e.querySelector('.answer'))")
    for _ in range(asking):
        page.keyboard.press("ArrowRight")
    answer = shown.locator(".answer")
    expect(answer).to_be_hidden()
    page.keyboard.press(" ")
    expect(answer).to_be_visible()
    page.keyboard.press(" ")
    expect(page.locator(".where")).to_have_text(re.compile(rf"^{asking + 2} of "))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".where")).to_have_text(re.compile(rf"^{asking} of "))
    context.close()
    assert errors == []
