"""The figures that train, in a real browser, from files: by keyboard, without workers, with a silent console."""

import re
import shutil

import pytest
import system_programs
from playwright.sync_api import Page, expect, sync_playwright

from resnet_edu import explorers
from resnet_edu.drawing import palette

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Training</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<link rel="stylesheet" href="palette.css"><link rel="stylesheet" href="explorers.css">{scripts}</head>
<body style="max-width:46rem;margin:auto"><h1>Training</h1>{figure}<p>After it.</p></body></html>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(explorers.ASSETS, folder, dirs_exist_ok=True)
    (folder / "palette.css").write_text(palette.css(), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=system_programs.find("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, folder, monkeypatch):
    """Opens a figure; afterwards the console was silent and nothing but files was asked for."""
    monkeypatch.setenv("RESNET_EDU_BOOK", "1")
    said: list[str] = []
    contexts = []

    def open_it(figure: explorers.Explorer, before: str = "", **context) -> Page:
        scripts = "".join(f'<script defer src="{name}"></script>' for name in explorers.SCRIPTS[figure.tag])
        (folder / "page.html").write_text(PAGE.format(scripts=scripts, figure=figure._repr_html_()), encoding="utf-8")
        contexts.append(browser.new_context(**context))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request", lambda request: request.url.startswith(("file:", "blob:", "data:")) or said.append(request.url)
        )
        page.add_init_script(before)
        page.goto((folder / "page.html").as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not said


NO_WORKERS = "window.Worker = class { constructor() { throw new Error('refused'); } };"


@pytest.mark.parametrize("before", ["", NO_WORKERS], ids=["workers", "no workers"])
def test_a_race_by_keyboard_ends_with_a_verdict_and_a_row_in_the_table(open_page, before):
    page = open_page(explorers.degradation(8, epochs=1), before)
    start = page.get_by_role("button", name="Start")
    expect(start).to_be_disabled()
    page.get_by_role("radio", name="No difference").focus()
    page.keyboard.press("Space")
    expect(start).to_be_enabled()
    start.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".say")).to_contain_text("You predicted no difference", timeout=60_000)
    expect(page.get_by_role("status")).to_contain_text("8 layers, seed 0: plain", timeout=5_000)
    page.get_by_text("The numbers").click()
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.locator(".note").first).to_contain_text("between two frames" if before else "Nothing is sent")
    # The first step's gradients and the last ones of both nets.
    assert page.locator(".profile polyline").count() == 4
    page.get_by_role("button", name="Another seed").click()
    expect(page.get_by_role("row")).to_have_count(3, timeout=60_000)


def test_a_race_goes_on_step_by_step_and_pauses(open_page):
    page = open_page(explorers.degradation(8, epochs=2))
    page.get_by_role("radio", name="Residual").check(force=True)
    step = page.get_by_role("button", name="Half an epoch")
    for shown in ("0.5 epochs", "1.0 epochs", "1.5 epochs"):
        step.click()
        expect(page.locator(".curves svg")).to_have_attribute("aria-label", re_contains(shown), timeout=30_000)
    page.wait_for_timeout(300)  # nothing goes on by itself
    expect(page.locator(".curves svg")).to_have_attribute("aria-label", re_contains("1.5 epochs"))
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".say")).to_contain_text("You predicted", timeout=60_000)


def re_contains(text: str):
    return re.compile(re.escape(text))


def test_the_page_is_as_wide_as_the_screen_and_nothing_moves_when_scripts_start(open_page):
    page = open_page(explorers.degradation(), viewport={"width": 390, "height": 844})
    page.wait_for_function("ResnetEdu.net?.has('worker')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    promised = page.evaluate(
        "parseFloat(getComputedStyle(document.querySelector('degradation-race'), '::before').height)"
    )
    drawn = page.evaluate("document.querySelector('degradation-race').shadowRoot.querySelector('.card').scrollHeight")
    assert drawn <= promised + 4


def test_the_copied_python_finds_the_same_contrast(open_page, capsys):
    page = open_page(explorers.degradation(44))
    page.get_by_text("As Python").click()
    lines = page.locator("pre").text_content()
    exec(lines, {})
    plain, residual = (float(line.split()[1]) for line in capsys.readouterr().out.splitlines())
    assert plain > 20 > 5 > residual
    page.get_by_role("radio", name="Option B").check(force=True)
    expect(page.locator("pre")).to_contain_text("TrainConfig has no choice for: option B")
