"""The figures that train, in a real browser, from files: by keyboard, without workers, with a silent console."""

import csv
import json
import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from test_net import in_engine

from resnet_edu import explorers, programs
from resnet_edu.drawing import palette
from resnet_edu.training import handwriting

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Training</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<link rel="stylesheet" href="palette.css"><link rel="stylesheet" href="explorers.css">{scripts}</head>
<body style="max-width:46rem;margin:auto"><h1>Training</h1>{figure}<p>After it.</p></body></html>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(explorers.ASSETS, folder, dirs_exist_ok=True)
    for path in folder.rglob("*.js"):
        path.write_text(explorers.served(path.relative_to(folder).as_posix()), encoding="utf-8")
    (folder / "palette.css").write_text(palette.css(), encoding="utf-8")
    return folder


@pytest.fixture
def open_page(chromium, folder, monkeypatch):
    """Opens a figure; afterwards the console was silent and nothing but files was asked for."""
    monkeypatch.setenv("RESNET_EDU_BOOK", "1")
    said: list[str] = []
    contexts = []

    def open_it(*figures: explorers.Explorer, before: str = "", **context) -> Page:
        needed = dict.fromkeys(name for figure in figures for name in explorers.SCRIPTS[figure.tag])
        scripts = "".join(f'<script defer src="{name}"></script>' for name in needed)
        shown = "".join(figure._repr_html_() for figure in figures)
        (folder / "page.html").write_text(PAGE.format(scripts=scripts, figure=shown), encoding="utf-8")
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


def pick(radio: Locator) -> None:
    """As a finger does: on the words beside the button, once they lie still."""
    radio.locator("xpath=..").click()


NO_WORKERS = "window.Worker = class { constructor() { throw new Error('refused'); } };"


@pytest.mark.parametrize("before", ["", NO_WORKERS], ids=["workers", "no workers"])
def test_a_race_by_keyboard_ends_with_a_verdict_and_a_row_in_the_table(open_page, before):
    page = open_page(explorers.degradation(8, epochs=1), before=before)
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
    pick(page.get_by_role("radio", name="Residual"))
    step = page.get_by_role("button", name="Half an epoch")
    for shown in ("0.5 epochs", "1.0 epochs", "1.5 epochs"):
        step.click()
        expect(page.locator(".curves svg")).to_have_attribute("aria-label", re_contains(shown), timeout=30_000)
    page.wait_for_timeout(300)  # nothing goes on by itself
    expect(page.locator(".curves svg")).to_have_attribute("aria-label", re_contains("1.5 epochs"))
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".say")).to_contain_text("You predicted", timeout=60_000)


@pytest.mark.parametrize("width", [320, 390])
def test_a_race_on_a_phone_moves_nothing_that_stands_below_it(open_page, width):
    page = open_page(explorers.degradation(8, epochs=1), viewport={"width": width, "height": 844})
    pick(page.get_by_role("radio", name="No difference"))
    high = page.locator("degradation-race").bounding_box()["height"]
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".say")).to_contain_text("You predicted no difference", timeout=60_000)
    assert page.locator("degradation-race").bounding_box()["height"] == pytest.approx(high, abs=2)


def re_contains(text: str):
    return re.compile(re.escape(text))


def test_the_page_is_as_wide_as_the_screen_and_nothing_moves_when_scripts_start(open_page):
    page = open_page(explorers.degradation(), viewport={"width": 390, "height": 844})
    page.wait_for_function("ResnetEdu.net?.has('worker')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    promised = page.evaluate(
        "parseFloat(getComputedStyle(document.querySelector('degradation-race'), '::before').height)"
    )
    race = page.locator("degradation-race")
    race.get_by_label("Layers", exact=True).select_option("8")
    pick(race.get_by_role("radio", name="Residual"))
    race.get_by_role("button", name="Start").click()
    race.locator(".say", has_text="You predicted").wait_for(timeout=60_000)
    # After a race as well: what can be kept then is in a drawer that was there before.
    drawn = page.evaluate("document.querySelector('degradation-race').shadowRoot.querySelector('.card').scrollHeight")
    assert drawn <= promised + 4


def test_the_copied_python_finds_the_same_contrast(open_page, capsys):
    page = open_page(explorers.degradation(44, epochs=4))
    page.get_by_text("As Python").click()
    lines = page.locator("pre").text_content()
    exec(lines, {})
    plain, residual = (float(line.split()[1]) for line in capsys.readouterr().out.splitlines())
    assert plain > 50 > 20 > residual
    pick(page.get_by_role("radio", name="Option B"))
    expect(page.locator("pre")).to_contain_text("TrainConfig has no choice for: option B")


class Wrong:
    """A tag as somebody may write it by hand."""

    def __init__(self, tag: str, attributes: str) -> None:
        self.tag, self.attributes = tag, attributes

    def _repr_html_(self) -> str:
        return f"<{self.tag} {self.attributes}></{self.tag}>"


@pytest.mark.parametrize(
    ("tag", "attributes", "said"),
    [
        ("degradation-race", 'depth="57"', "depth must be 6n + 2, such as 20 or 56, got 57."),
        ("degradation-race", 'layers="20"', "There is no attribute “layers”."),
        ("live-resnet", 'digit="382"', "digit must be a whole number from 0 to 381"),
        ("block-workbench", 'depth="57"', "depth must be one of 20, 56, 110, 218"),
        ("block-workbench", 'preset="best"', "There is no preset “best”. There are original, plain"),
    ],
)
def test_what_a_tag_cannot_show_it_says(open_page, tag, attributes, said):
    page = open_page(Wrong(tag, attributes))
    expect(page.get_by_role("note")).to_contain_text(said, timeout=30_000)
    page.wait_for_timeout(200)  # nothing draws into the message afterwards


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the focus is there: what the mouse reaches, the keyboard must reach as well."""
    for _ in range(80):
        if target.evaluate("node => node.getRootNode().activeElement === node"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"no Tab leads to {target}")


def test_race_bench_and_live_network_are_walked_by_keyboard_alone(open_page):
    page = open_page(explorers.degradation(8, epochs=1))
    press = page.keyboard.press

    def button(name: str) -> Locator:
        return page.get_by_role("button", name=name, exact=True)

    tab_to(page, page.get_by_role("radio", name="Plain", exact=True))
    press("Space")
    expect(button("Start")).to_be_enabled(timeout=30_000)
    tab_to(page, button("Half an epoch"))
    press("Enter")
    expect(page.locator(".curves svg")).to_have_attribute("aria-label", re_contains("0.5 epochs"), timeout=30_000)
    press("Shift+Tab")
    press("Enter")  # "Go on" stands where "Start" stood
    expect(page.locator(".say")).to_contain_text("You predicted", timeout=60_000)
    tab_to(page, button("Another seed"))
    press("Enter")
    expect(page.locator(".say")).to_contain_text("better in", timeout=60_000)
    tab_to(page, button("Ten seeds"))
    press("Enter")
    expect(page.locator(".say")).to_contain_text("of 11 seeds", timeout=90_000)
    for name in ("Keep a network", "More choices", "The numbers", "As Python"):
        tab_to(page, page.locator("summary", has_text=name))
        press("Enter")
    tab_to(page, button("Copy"))
    expect(page.get_by_role("row")).to_have_count(12)
    page.evaluate("document.activeElement.blur()")
    tab_to(page, button("Keep the residual network"))
    press("Enter")
    assert button("Forget it").evaluate("node => node.getRootNode().activeElement === node")
    press("Enter")
    expect(page.locator(".keeper .note")).to_have_text("Forgotten.")

    page = open_page(explorers.workbench("original", 20), explorers.live())
    press = page.keyboard.press
    page.get_by_role("button", name="ReLU: later").first.wait_for(timeout=30_000)
    # Put a piece, move it, take it out again; the focus stays on the path.
    tab_to(page, page.get_by_label("Add on the branch"))
    press("d")  # a list goes to what begins with the letter, and adds nothing yet
    assert pieces(page, BRANCH) == ORIGINAL
    tab_to(page, page.get_by_role("button", name="Add it on the branch"))
    press("Enter")
    assert pieces(page, BRANCH) == [*ORIGINAL, "dropout"]
    tab_to(page, page.get_by_role("button", name="dropout: earlier"))
    press("Enter")
    assert pieces(page, BRANCH).index("dropout") == 4
    tab_to(page, page.get_by_role("button", name="dropout: take out"))
    press("Enter")
    assert pieces(page, BRANCH) == ORIGINAL
    # One seed, a prediction, train.
    tab_to(page, page.locator("block-workbench").get_by_role("radio", name="3", exact=True))
    press("ArrowLeft")
    tab_to(page, page.get_by_role("radio", name="It learns"))
    press("Space")
    tab_to(page, button("Train"))
    press("Enter")
    expect(page.locator("block-workbench .board").get_by_role("row")).to_have_count(2, timeout=60_000)
    # The live network: another digit, a branch off, a shortcut cut, and all undone.
    live = page.locator("live-resnet")
    tab_to(page, live.get_by_role("button", name="Next test digit"))
    press("Enter")
    expect(live.locator(".answer")).to_contain_text("test digit 1", timeout=30_000)
    note = live.locator(".note").first
    tab_to(page, live.locator("section[aria-label='layer1.0'] input[value='1']:checked").first)
    for _ in range(2):
        press("ArrowLeft")  # 1, ½, off
    expect(note).to_contain_text("With these changes the network reads 62.6 %")
    tab_to(page, live.locator("section[aria-label='layer1.0'] input[value='1']:checked").last)
    press("ArrowRight")
    expect(note).not_to_contain_text("62.6 %")
    page.evaluate("document.activeElement.blur()")
    tab_to(page, live.get_by_role("button", name="Undo all changes"))
    press("Enter")
    expect(note).to_contain_text("The network reads 99.2 %")


def test_a_frame_of_another_origin_trains_and_says_what_it_cannot_keep(chromium, monkeypatch, tmp_path):
    """So Colab shows an output: in a frame without storage."""
    monkeypatch.delenv("RESNET_EDU_BOOK", raising=False)
    figures = (explorers.degradation(8, epochs=1), explorers.workbench("original", 20), explorers.live())
    look = "width: 740px; height: 900px"
    frames = [
        f'<iframe sandbox="allow-scripts" style="{look}" srcdoc="{escape(each._repr_html_())}"></iframe>'
        for each in figures
    ]
    (tmp_path / "page.html").write_text("".join(frames), encoding="utf-8")
    page = chromium.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    race, bench, live = (page.frame_locator("iframe").nth(number) for number in range(3))
    pick(race.get_by_role("radio", name="Plain", exact=True))
    race.get_by_role("button", name="Start").click()
    race.get_by_text("Keep a network").click()
    race.get_by_role("button", name="Keep the plain network").click(timeout=60_000)
    expect(race.locator(".keeper .note")).to_contain_text("This browser keeps nothing here. Save the network as a file")
    assert race.get_by_role("button", name="Save it as a file").count() == 2
    page.locator("iframe").nth(1).scroll_into_view_if_needed()
    pick(bench.get_by_role("radio", name="1", exact=True))
    pick(bench.get_by_role("radio", name="It learns"))
    bench.get_by_role("button", name="Train").click()
    expect(bench.get_by_role("row")).to_have_count(2, timeout=60_000)
    expect(bench.locator(".board ~ .note")).to_contain_text("the board lasts as long as the page")
    page.locator("iframe").nth(2).scroll_into_view_if_needed()
    expect(live.locator(".answer")).to_contain_text("test digit 0", timeout=30_000)
    page.close()
    assert not said


# A busy page hears of a figure that lay far away, and then near, in one call.
BUSY = """
const { IntersectionObserver: Observer } = window;
window.IntersectionObserver = class extends Observer {
  constructor(tell, options) {
    super((entries) => tell([{ isIntersecting: false }, ...entries]), options);
  }
};
"""


@pytest.mark.parametrize("figure", [explorers.degradation(8), explorers.workbench("original", 20), explorers.live()])
def test_a_figure_that_a_busy_page_brings_near_fetches_its_engine(open_page, figure):
    page = open_page(figure, before=BUSY)
    expect(page.get_by_text("as you come near")).to_have_count(0, timeout=30_000)


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
    pick(page.locator("section[aria-label='layer1.0'] input[value='0']").first)
    expect(note).to_contain_text("With these changes")
    page.get_by_role("button", name="Undo all changes").click()
    expect(note).to_contain_text("by writers it never saw")
    pick(page.get_by_role("radio", name="Plain twin"))
    expect(note).to_contain_text("The plain twin reads", timeout=30_000)


def test_a_network_that_was_trained_is_kept_opened_in_the_live_figure_and_forgotten(open_page, tmp_path):
    page = open_page(explorers.degradation(8, epochs=2), explorers.live())
    race, live = page.locator("degradation-race"), page.locator("live-resnet")
    live.scroll_into_view_if_needed()
    expect(live.locator(".answer")).to_contain_text("test digit 0", timeout=30_000)
    own = live.get_by_role("radio", name="Your own")
    pick(own)
    expect(live.locator(".own")).to_contain_text("None is kept here.")
    expect(live.get_by_role("radio", name="Residual")).to_be_checked()
    pick(race.get_by_role("radio", name="Residual"))
    race.get_by_text("Keep a network").click()
    expect(race.locator(".keeper")).to_contain_text("Train first.")
    race.get_by_role("button", name="Start").click()
    keep = race.get_by_role("button", name="Keep the residual network")
    keep.wait_for(timeout=60_000)
    with page.expect_download() as download:
        race.get_by_role("button", name="Save it as a file").nth(1).click()
    download.value.save_as(tmp_path / "mine.json")
    # Python reads the file, and reads the digits as the page does.
    model = programs.read_network((tmp_path / "mine.json").read_text(encoding="utf-8")).eval()
    read = handwriting.accuracy(model)
    assert 20 < read < 100
    keep.click()
    expect(race.locator(".keeper")).to_contain_text(
        "Kept in this browser only: residual network of 8 layers, seed 0. The live network of chapter 14 can open it."
    )
    page.reload()
    live.scroll_into_view_if_needed()
    expect(live.locator(".answer")).to_contain_text("test digit 0", timeout=30_000)
    pick(own)
    note = live.locator(".note").first
    expect(note).to_contain_text(f"network of your own reads {read:.1f} % of the 382 test digits")
    expect(live.locator(".own")).to_contain_text("Kept in this browser only: residual network of 8 layers, seed 0.")
    assert live.locator(".block").count() == 3
    expect(live.locator(".result").last).to_contain_text("Branch off, alone:", timeout=10_000)
    pick(live.locator("section[aria-label='layer2.0'] input[value='0']").first)
    expect(note).to_contain_text("With these changes the network of your own reads")
    live.get_by_role("button", name="Forget it").click()
    assert page.evaluate("localStorage.getItem('resnet-edu-network')") is None
    expect(live.get_by_role("radio", name="Residual")).to_be_checked()
    expect(note).to_contain_text("The network reads")
    # Its file opens as well; another file is told what it is not.
    live.locator("input[type=file]").set_input_files(tmp_path / "mine.json")
    expect(note).to_contain_text(f"network of your own reads {read:.1f} %")
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    live.locator("input[type=file]").set_input_files(tmp_path / "other.json")
    expect(live.locator(".own")).to_contain_text("This is not a network.")


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
    pick(page.get_by_role("radio", name="1", exact=True))
    pick(page.get_by_role("radio", name="It learns"))
    train.click()
    expect(page.get_by_role("row")).to_have_count(2, timeout=120_000)
    expect(page.locator(".say").nth(1)).to_contain_text("You predicted that it learns; it does.")
    page.reload()
    expect(page.get_by_role("row")).to_have_count(2, timeout=30_000)
    page.get_by_role("button", name="Forget the board").click()
    expect(page.get_by_role("row")).to_have_count(0)
    assert page.evaluate("localStorage.getItem('resnet-edu-board')") is None


def pieces(page: Page, path: int) -> list[str]:
    return page.locator("fieldset.path").nth(path).locator(".pieces li > span:not(.grip)").all_text_contents()


def center(locator: Locator) -> tuple[float, float]:
    locator.scroll_into_view_if_needed()
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


BRANCH, SHORTCUT, AFTER, HEAD = range(4)
ORIGINAL = ["conv 3×3", "batch norm", "ReLU", "conv 3×3", "batch norm"]


def test_pieces_are_dragged_by_mouse_to_places_that_show(open_page):
    page = open_page(explorers.workbench("original", 20), viewport={"width": 1200, "height": 1300})
    path = page.locator("fieldset.path")
    page.get_by_role("button", name="match (A): take out").wait_for(timeout=30_000)

    def drag(source: Locator, target: Locator, drop: bool = True) -> None:
        page.mouse.move(*center(source))
        page.mouse.down()
        page.mouse.move(*center(target), steps=5)
        if drop:
            page.mouse.up()

    # From the tray to the branch, over its second piece. Before it lands, its place is open.
    tray = page.locator(".tray")
    dropout = tray.get_by_text("dropout")
    drag(dropout, path.nth(BRANCH).locator("li").nth(1), drop=False)
    expect(path.nth(BRANCH).locator("li.drop")).to_have_count(1)
    page.mouse.up()
    assert sorted(pieces(page, BRANCH)) == sorted([*ORIGINAL, "dropout"])
    assert pieces(page, BRANCH).index("dropout") in (1, 2)
    expect(page.get_by_role("status")).to_contain_text("dropout put on the branch, place", timeout=5_000)
    # From one path to another, by the piece itself; then back out into the tray, by its grip.
    moved = path.nth(BRANCH).locator("li", has_text="dropout")
    drag(moved.get_by_text("dropout"), path.nth(AFTER).locator("select"))
    assert (pieces(page, BRANCH), pieces(page, AFTER)) == (ORIGINAL, ["ReLU", "dropout"])
    drag(path.nth(AFTER).locator("li", has_text="dropout").locator(".grip"), tray.locator("p"))
    assert pieces(page, AFTER) == ["ReLU"]
    # Earlier on its own path; and onto a shortcut that is none.
    drag(path.nth(BRANCH).locator("li").nth(2), path.nth(BRANCH).locator("legend"))
    assert pieces(page, BRANCH) == ["ReLU", "conv 3×3", "batch norm", "conv 3×3", "batch norm"]
    pick(page.get_by_role("radio", name="none: a plain block"))
    drag(tray.get_by_text("project (B)"), path.nth(SHORTCUT).locator("legend"))
    assert pieces(page, SHORTCUT) == ["project (B)"]
    # Nowhere, a path that does not take it, and Escape leave everything as it was.
    before = [pieces(page, each) for each in range(4)]
    drag(dropout, path.nth(HEAD).locator("select"))
    drag(dropout, page.get_by_role("heading", name="Training", exact=True))
    drag(dropout, path.nth(BRANCH).locator("li").nth(1), drop=False)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert [pieces(page, each) for each in range(4)] == before
    expect(page.locator(".ghost, .drop")).to_have_count(0)


def test_a_finger_drags_by_the_grip_and_the_page_scrolls_along(open_page):
    page = open_page(explorers.workbench("original", 20), viewport={"width": 390, "height": 700}, has_touch=True)
    page.get_by_role("button", name="match (A): take out").wait_for(timeout=30_000)
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        send = {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]}
        finger.send("Input.dispatchTouchEvent", send)

    x, y = center(page.locator(".tray").get_by_text("ReLU"))
    touch("touchStart", (x, y))
    touch("touchMove", (x + 2, y + 20))
    touch("touchMove", (x + 2, 690))
    head = page.locator("fieldset.path").nth(HEAD)
    page.wait_for_function("document.querySelector('block-workbench').shadowRoot.querySelector('.path.here li.drop')")
    page.wait_for_function(
        "document.querySelector('block-workbench').shadowRoot.querySelector('.paths').lastChild.matches('.here')"
    )
    touch("touchMove", (x + 2, head.bounding_box()["y"] + 20))
    touch("touchEnd")
    expect(head.locator(".pieces li")).to_have_count(1)
    assert pieces(page, BRANCH) == ORIGINAL
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


# -- boards ------------------------------------------------------------------------------------------


def row(name: str, depth: int, error: float, parameters: int = 54_214, **more: Any) -> dict[str, Any]:
    program = {"branch": [], "shortcut": None, "after": [], "head": [], **programs.PRESETS.get(name, {})}
    given = {"rate": 0.03, "seconds": 1.5, "errors": [error], "diverged": 0}
    return {"name": name, "program": program, "depth": depth, "error": error, "parameters": parameters, **given, **more}


def test_a_board_is_sorted_saved_and_joined_with_other_groups_on_one_page(open_page, tmp_path):
    rows = [row("original", 56, 0.1), row("plain", 56, 70, seconds=9.0), row("full pre-activation", 218, 1.5)]
    board = f"localStorage['resnet-edu-board'] ??= JSON.stringify({json.dumps(rows)})"
    page = open_page(explorers.workbench(), explorers.class_board(), before=board)
    bench, table = page.locator("block-workbench"), page.locator("class-board")

    def names(where: Locator) -> list[str]:
        return where.locator("td .block span").all_text_contents()

    assert names(bench) == ["original", "full pre-activation", "plain"]
    assert bench.get_by_role("img", name="A block. On the branch: conv 3×3").count() >= 2
    for order in ("ascending", "descending"):
        bench.get_by_role("button", name="seconds").click()
        expect(bench.locator(f"th[aria-sort={order}]")).to_contain_text("seconds")
    assert names(bench)[0] == "plain"
    # A press on a block puts it on the bench.
    bench.get_by_role("button", name="full pre-activation").click()
    expect(bench.get_by_label("Start from")).to_have_value("full pre-activation", timeout=30_000)
    expect(bench.get_by_role("radio", name="218")).to_be_checked()
    bench.get_by_label("Your group, for the file").fill("Die Ähren 1")
    with page.expect_download() as download:
        bench.get_by_role("button", name="Save as a file").click()
    assert download.value.suggested_filename == "blocks-die-ähren-1.json"
    download.value.save_as(tmp_path / "ours.json")

    def written(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    made = json.loads((tmp_path / "ours.json").read_text(encoding="utf-8"))
    others = {**made, "group": "=SUM(1)", "rows": [row("projection", 110, 0.2), row("original", 218, 1.5, 60_000)]}
    files = [
        tmp_path / "ours.json",
        written("others.json", json.dumps(others)),
        written("essay.json", "[]"),
        written("cheat.json", json.dumps({**made, "rows": [row("original", 218, -3)]})),
        written("empty.json", json.dumps({**made, "rows": []})),
    ]
    table.locator("input[type=file]").set_input_files(files)
    said = table.get_by_role("alert")
    expect(said).to_contain_text("essay.json is not a board.")
    expect(said).to_contain_text("cheat.json: row 1 is not as the bench writes it.")
    expect(said).to_contain_text("empty.json has no blocks.")
    first = table.locator(".first")
    expect(first).to_have_text(
        "Die Ähren 1 trained deepest: full pre-activation, 218 layers at 1.5\u00a0% training error."
    )
    assert names(table) == ["full pre-activation", "original"]
    pick(table.get_by_role("radio", name="every block"))
    expect(table.locator("tbody tr")).to_have_count(5)
    # What did not learn stands last, however deep; the deepest first.
    assert names(table) == ["full pre-activation", "original", "projection", "original", "plain"]
    with page.expect_download() as download:
        table.get_by_role("button", name="As a spreadsheet").click()
    sheet = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert [line[1] for line in csv.reader(sheet.splitlines())][1:] == names(table)
    assert '"\'=SUM(1)"' in sheet
    # The whole table is a file of the same kind.
    with page.expect_download() as download:
        table.get_by_role("button", name="Save the table").click()
    download.value.save_as(tmp_path / "class.json")
    table.get_by_role("button", name="Start over").click()
    expect(table.locator("tbody tr")).to_have_count(0)
    table.locator("input[type=file]").set_input_files(tmp_path / "class.json")
    expect(table.locator("tbody tr")).to_have_count(5)
    table.get_by_role("button", name="projection").click()
    expect(bench.get_by_label("Start from")).to_have_value("projection")
    table.get_by_role("button", name="Take out Die Ähren 1").click()
    expect(table.locator("tbody tr")).to_have_count(2)


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
