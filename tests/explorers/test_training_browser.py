"""The figures that train, in a real browser, from files: by keyboard, without workers, with a silent console."""

import json
import re
import shutil

import pytest
from playwright.sync_api import Page, expect
from test_net import in_engine

from resnet_edu import explorers, programs
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


@pytest.fixture
def open_page(chromium, folder, monkeypatch):
    """Opens a figure; afterwards the console was silent and nothing but files was asked for."""
    monkeypatch.setenv("RESNET_EDU_BOOK", "1")
    said: list[str] = []
    contexts = []

    def open_it(figure: explorers.Explorer, before: str = "", **context) -> Page:
        scripts = "".join(f'<script defer src="{name}"></script>' for name in explorers.SCRIPTS[figure.tag])
        (folder / "page.html").write_text(PAGE.format(scripts=scripts, figure=figure._repr_html_()), encoding="utf-8")
        contexts.append(chromium.new_context(**context))
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


# -- the live network --------------------------------------------------------------------------------


def test_a_digit_is_drawn_by_keyboard_and_by_pointer_and_branches_answer_at_once(open_page):
    page = open_page(explorers.live(), viewport={"width": 390, "height": 844}, has_touch=True)
    paper = page.get_by_role("application")
    expect(page.locator(".answer")).to_contain_text("test digit 0", timeout=30_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".block").count() == 6
    # A 1: up, pen down, straight down.
    paper.focus()
    for key in ["ArrowUp"] * 6 + ["Space"] + ["ArrowDown"] * 12:
        page.keyboard.press(key)
    expect(page.locator(".answer")).to_contain_text("The network says 1")
    page.keyboard.press("Backspace")
    expect(page.locator(".answer")).not_to_contain_text("says 1;")
    # A 7 by pointer.
    box = paper.bounding_box()
    for i, (x, y) in enumerate([(0.25, 0.2), (0.75, 0.2), (0.45, 0.85)]):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
        if i == 0:
            page.mouse.down()
    page.mouse.up()
    expect(page.locator(".answer")).to_contain_text("The network says 7")
    note = page.locator(".note").first
    expect(note).to_contain_text("by writers it never saw")
    page.locator("section[aria-label='layer1.0'] input[value='0']").first.check(force=True)
    expect(note).to_contain_text("With these changes")
    page.get_by_role("button", name="Undo all changes").click()
    expect(note).to_contain_text("by writers it never saw")
    page.get_by_role("radio", name="Plain twin").check(force=True)
    expect(note).to_contain_text("The plain twin reads", timeout=30_000)


# -- the workbench -----------------------------------------------------------------------------------


def test_a_block_is_built_by_keyboard_refused_repaired_trained_and_kept(open_page):
    page = open_page(explorers.workbench("original", 20))
    train = page.get_by_role("button", name="Train")
    page.get_by_role("button", name="match (A): take out").focus(timeout=30_000)
    page.keyboard.press("Enter")
    verdict = page.locator(".say").first
    expect(verdict).to_contain_text("cannot add: the branch gives 8×4×4, the shortcut gives 4×8×8")
    expect(train).to_be_disabled()
    page.get_by_label("Add on the shortcut").select_option("match")
    expect(verdict).to_contain_text("It fits")
    page.get_by_role("radio", name="1", exact=True).check(force=True)
    page.get_by_role("radio", name="It learns").check(force=True)
    train.click()
    expect(page.get_by_role("row")).to_have_count(2, timeout=120_000)
    expect(page.locator(".say").nth(1)).to_contain_text("You predicted that it learns; it does.")
    page.reload()
    expect(page.get_by_role("row")).to_have_count(2, timeout=30_000)
    page.get_by_role("button", name="Forget the board").click()
    expect(page.get_by_role("row")).to_have_count(0)
    assert page.evaluate("localStorage.getItem('resnet-edu-board')") is None


def test_the_parameters_on_the_bench_are_pytorchs(open_page):
    page = open_page(explorers.workbench("original", 56))
    names = ("original", "1×1 convolution shortcut", "full pre-activation", "no batch norm, learned gain", "projection")
    for name in names:
        page.get_by_label("Start from").select_option(name, timeout=30_000)
        count = sum(p.numel() for p in programs.network(name).parameters())
        expect(page.locator(".note").first).to_contain_text(f"{count:,} parameters in 56 layers")


# -- the engine itself -------------------------------------------------------------------------------


def test_a_seed_gives_the_same_bits_in_the_browser_and_in_node(open_page):
    page = open_page(explorers.degradation(8))
    page.wait_for_function("ResnetEdu.net?.has('worker')")
    train = """async () => {
      const net = ResnetEdu.net;
      const run = new net.Training({ depth: 20, seed: 3, epochs: 1, images: 320 }, net.digits(), await net.kernels());
      while (!run.finished) run.step();
      return [JSON.stringify(run.network.state()), run.network.kernels.name];
    }"""
    state, kernels = page.evaluate(train)
    assert kernels == "WebAssembly SIMD, float32"
    settings = {"depth": 20, "seed": 3, "epochs": 1, "images": 320}
    (node,) = in_engine(("train", {"settings": settings, "kernels": "fastest"}))
    # evaluate() comes after the training and leaves the weights and statistics alone.
    assert json.loads(state) == node["state"]
