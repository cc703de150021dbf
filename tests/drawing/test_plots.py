"""Plots are part of the page: its type, its colors, names at the lines, and nothing of the numbers is lost."""

import base64
import io
import itertools
import random
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from resnet_edu.drawing import palette, plots
from resnet_edu.drawing.pictures import PHONE, size_of

HISTORY = [{"epoch": n, "train_error": 50 / n, "test_error": 60 / n, "lr": 0.01 * n} for n in range(1, 10)]


def drawn(*ends: float, **options):
    figure, axes = plots.panels(**options)
    for number, end in enumerate(ends):
        axes.plot([0, 1], [0, end], label=f"line {number}")
    axes.set(title="the title", xlabel="x", ylim=(0, 100))
    return figure


def words(svg: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def heights(svg: str) -> dict[str, float]:
    found = {}
    for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        place = node.get("y") or re.search(r"translate\([\d.-]+ ([\d.-]+)\)", node.get("transform", ""))[1]
        found[node.text] = float(place)
    return found


def test_colors_are_the_pages_own_in_both_modes():
    svg = plots.picture(plots.draw(HISTORY), "Two panels.").svg
    colors = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg))
    assert {palette.line("first"), palette.line("second"), palette.line("third"), "currentColor"} <= colors
    assert not [color for color in colors if color.startswith("#")], "a color that stays when the page turns dark"


def test_type_is_13_pixels_on_a_desk_and_on_a_phone():
    picture = plots.picture(plots.draw(HISTORY), "Two panels.")
    assert size_of(picture.svg)[0] == 680
    assert size_of(picture.narrow)[0] == PHONE
    for svg in (picture.svg, picture.narrow):
        assert re.search(r'^<svg [^>]* font-size="13"', svg)
        assert "font-size: " not in svg, "every word has the type of the picture"
        assert "font-family" not in svg.partition(">")[2], "the page's own font sets it"


def test_panels_of_a_row_stand_below_each_other_on_a_phone():
    figure, (left, right) = plots.panels(1, 2, sharey=True)
    left.set(title="left", xlabel="steps")
    right.set(title="right", xlabel="epochs")
    picture = plots.picture(figure, "Two empty panels.")
    # From the name of one panel's axis to the title of the next: a line of 13 pixels, and room.
    assert heights(picture.narrow)["right"] - heights(picture.narrow)["steps"] == pytest.approx(25, abs=0.9)
    assert heights(picture.svg)["left"] == heights(picture.svg)["right"]
    assert heights(picture.narrow)["left"] + 100 < heights(picture.narrow)["right"]
    # Numbers that the left panel lent to the right one stand at both.
    assert words(picture.narrow).count("0.0") > words(picture.svg).count("0.0")


def test_words_of_two_lines_are_written_whole():
    figure, axes = plots.panels(width=300)
    axes.text(0.5, 0.5, "channel 1\none μ, one σ²", ha="center")
    axes.text(0.2, 0.5, "channel 2\n", ha="center")
    axes.set_title("a title\nof two lines")
    svg = plots.picture(figure, "Words.").svg
    assert {"channel 1", "one μ, one σ²", "channel 2", "a title", "of two lines"} <= set(words(svg))
    assert "font-family" not in svg.partition(">")[2]


def test_what_is_written_keeps_its_digits():
    assert {"0.02", "0.04", "0.08"} <= set(words(plots.picture(plots.draw(HISTORY), "A run.").svg))


@pytest.mark.parametrize("ends", [(10, 90), (50, 50.5), (50, 50, 50), (99, 99.5, 100)])
def test_each_line_is_named_at_its_end_and_no_name_covers_another(ends):
    found = heights(plots.picture(drawn(*ends), "Lines.").svg)
    named = sorted(found[f"line {number}"] for number in range(len(ends)))
    assert all(below - above > 14.8 for above, below in itertools.pairwise(named))
    # A line that ends higher has its name higher.
    assert sorted(range(len(ends)), key=lambda n: (-found[f"line {n}"], n))[-1] == len(ends) - 1


@pytest.mark.parametrize(
    ("ends", "shifts"),
    [
        ((20, 50, 50), (0, -7.5, 7.5)),  # who stands alone does not move when others do
        ((0, 3, 50, 99, 100), (-6, 6, 0, -7, 7)),
        ((0, 16, 17, 18), (-9.75, -10.75, 3.25, 17.25)),
    ],
)
def test_only_names_that_meet_move_and_as_little_as_can_be(ends, shifts):
    places = plots._apart([(float(end), 0.0, 40.0) for end in ends])
    moved = [place - end for place, end in zip(places, ends, strict=True)]
    assert all(b - a >= 14.99 for a, b in itertools.pairwise(places))
    assert moved == pytest.approx(shifts)


def test_names_stand_apart_also_where_the_plot_chooses_its_own_scale():
    figure, axes = plots.panels()
    for number, end in enumerate((1000, 500, 510)):
        axes.plot([0, 1], [0, end], label=f"line {number}")
    found = heights(plots.picture(figure, "Three lines.").svg)
    assert found["line 1"] - found["line 2"] == pytest.approx(15, abs=0.2)


def test_names_keep_the_order_of_their_ends_whichever_line_was_drawn_first():
    found = heights(plots.picture(drawn(52, 50, 51), "Three lines.").svg)
    assert found["line 0"] < found["line 2"] < found["line 1"]


def test_a_long_name_makes_room_for_a_line_that_ends_behind_it():
    figure, axes = plots.panels()
    axes.plot([0, 0.5], [0, 50], label="a line that has a long name")
    axes.plot([0, 0.6], [0, 50], label="another")
    axes.set(xlim=(0, 1), ylim=(0, 100))
    found = heights(plots.picture(figure, "Two lines.").svg)
    assert abs(found["a line that has a long name"] - found["another"]) == pytest.approx(15, abs=0.2)


def test_names_of_lines_that_end_far_from_each_other_need_no_room():
    figure, axes = plots.panels()
    axes.plot([0, 1], [50, 50], label="short")
    axes.plot([0, 50], [50, 50], label="long")
    plots.picture(figure, "Lines.")
    assert [name.xyann for name in axes.texts] == [pytest.approx((7, 0))] * 2


def test_a_line_that_breaks_off_is_named_where_it_ends():
    figure, axes = plots.panels()
    axes.plot([0, 1, 2], [0, 50, float("nan")], label="broken off")
    axes.plot([0, 1, 2], [0, 0, 0], label="whole")
    axes.plot([0], [float("nan")], label="nothing")
    axes.set(ylim=(0, 100))
    found = heights(plots.picture(figure, "Lines.").svg)
    assert found["whole"] - found["broken off"] > 80
    assert "nothing" not in found


def test_a_legend_that_was_asked_for_stays_alone():
    figure = drawn(10, 90)
    figure.axes[0].legend()
    assert sorted(word for word in words(plots.picture(figure, "Lines.").svg) if word.startswith("line")) == [
        "line 0",
        "line 1",
    ]


def test_powers_of_ten_are_written_out():
    figure, axes = plots.panels()
    axes.plot([0, 1], [1e-6, 1e4])
    axes.set_yscale("log")
    powers = [word for word in words(plots.picture(figure, "A line.").svg) if word.startswith("10")]
    assert len(powers) > 3
    assert all(re.fullmatch("10⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]", word) for word in powers)


def test_two_plots_of_one_page_share_no_name():
    one, other = (plots.picture(drawn(end), "A line.") for end in (10, 90))
    names = [re.findall(r' id="([^"]+)"', svg) for svg in (one.svg, one.narrow, other.svg, other.narrow)]
    everything = [name for svg in names for name in svg]
    assert everything
    assert len(everything) == len(set(everything))
    for picture in (one, other):
        asked = set(re.findall(r'(?:url\(|href=")#([^")]+)', picture.svg))
        assert asked <= set(re.findall(r' id="([^"]+)"', picture.svg)), "something points at nothing"


def test_a_plot_weighs_at_most_20_kilobytes_and_is_the_same_every_time():
    svg = plots.picture(plots.draw(HISTORY), "A run.").svg
    assert len(svg.encode()) < 20_000
    assert svg == plots.picture(plots.draw(HISTORY), "A run.").svg


def test_ticks_and_the_lines_across_are_a_path_each():
    figure, axes = plots.panels()
    axes.plot([1, 2, 3], [0.01, 1, 90])
    axes.set(yscale="log", ylim=(0.01, 100))
    svg = plots.picture(figure, "A line.").svg
    assert "<use" not in svg
    ticks = [path for path in re.findall(r' d="([^"]*)"', svg) if path.count("l-2 0") > 20]
    assert len(ticks) == 1  # nine between each two powers of ten, and where they stand
    heights = [float(y) for y in re.findall(r"M[\d.]+ ([\d.]+)l-2 0", ticks[0])]
    axis = axes.transData.transform([(1, value * 10**power) for power in range(-2, 2) for value in range(2, 10)])
    assert sorted(heights) == pytest.approx(sorted(280 - axis[:, 1] / figure.dpi * 72), abs=0.06)
    (across,) = re.findall(r' d="([^"]*)" clip-path="[^"]*" style="[^"]*stroke-opacity', svg)
    assert across.count("M") == 5


def test_ticks_below_a_plot_point_down_from_its_edge():
    figure, axes = plots.panels()
    axes.plot([0.01, 1, 90], [1, 2, 3])
    axes.set(xscale="log", xlim=(0.01, 100))
    svg = plots.picture(figure, "A line.").svg
    (ticks,) = [path for path in re.findall(r' d="([^"]*)"', svg) if path.count("l0 2") > 20]
    edge = 280 - axes.get_window_extent().y0 / figure.dpi * 72
    assert [float(y) for y in set(re.findall(r"M[\d.]+ ([\d.]+)l0 2", ticks))] == pytest.approx([edge], abs=0.06)


def test_a_line_goes_where_it_went_within_a_quarter_of_a_pixel():
    rng = np.random.default_rng(0)
    straight = np.linspace(0, 1, 100)
    assert plots._seen([(float(x), float(x)) for x in straight]) == [(0, 0), (1, 1)]
    rough = [(float(x) * 300, float(y)) for x, y in zip(straight, rng.normal(0, 1, 100).cumsum(), strict=True)]
    kept = plots._seen(rough)
    assert 20 < len(kept) < 100
    x, y = np.array(rough).T
    steepest = np.hypot(1, np.abs(np.diff(y) / np.diff(x)).max())  # what lies straight up is not the nearest
    assert 0.1 < np.abs(np.interp(x, *np.array(kept).T) - y).max() < 0.25 * steepest


@pytest.mark.parametrize("seed", range(5))
def test_a_line_keeps_just_the_places_that_douglas_and_peucker_keep(seed: int):
    rng = np.random.default_rng(seed)
    places = [(float(x), float(y)) for x, y in zip(range(40), rng.normal(0, 0.4, 40).cumsum(), strict=True)]

    def kept(first: int, last: int) -> set[int]:
        away = {n: plots._distance(places[n], places[first], places[last]) for n in range(first + 1, last)}
        farthest = max(away, key=lambda n: away[n], default=None)
        if farthest is None or away[farthest] <= plots._UNSEEN:
            return {first, last}
        return kept(first, farthest) | kept(farthest, last)

    assert plots._seen(places) == [places[n] for n in sorted(kept(0, 39))]


def test_a_grid_of_small_squares_says_once_what_they_share():
    from matplotlib.patches import Rectangle

    figure, axes = plots.panels(width=340)
    for place in range(400):
        fill = palette.LIGHT["layer1"].fill if place % 3 else "white"
        axes.add_patch(Rectangle((place % 20, place // 20), 1, 1, fc=fill, ec=palette.LIGHT["layer1"].line))
    axes.set(xlim=(0, 20), ylim=(0, 20))
    svg = plots.picture(figure, "Squares.").svg
    assert len(svg.encode()) < 90 * 400  # and 72,000 bytes with the looks of each
    squares = [
        node for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("path") and "z" in node.get("d")
    ]
    assert len(squares) == 400


@pytest.mark.parametrize("name", palette.LIGHT)
def test_every_color_of_the_palette_follows_the_page_as_a_line_and_as_a_fill(name: str):
    from matplotlib.patches import Rectangle

    figure, axes = plots.panels(width=300)
    color = palette.LIGHT[name]
    axes.add_patch(Rectangle((0, 0), 1, 1, facecolor=color.fill, edgecolor=color.line))
    svg = plots.picture(figure, "A square.").svg
    colors = {paint for paint in re.findall(r"(?:fill|stroke): ([^;\"]+)", svg) if paint != "none"}
    assert palette.line(name) in colors
    assert color.fill == color.line or palette.fill(name) in colors
    assert not [paint for paint in colors if paint.startswith("#")]


def test_a_line_keeps_its_places_in_fewer_bytes():
    figure, axes = plots.panels(width=300)
    heights = [(n * n * 37) % 101 for n in range(200)]
    axes.plot(range(200), heights)
    svg = plots.picture(figure, "A wave.").svg
    (path,) = [found for found in re.findall(r' d="([^"]*)"', svg) if len(found) > 1000]
    assert len(path) < 200 * 10
    steps = [float(number) for number in re.findall(r"-?(?:\d+(?:\.\d)?|\.\d)", path)]
    across, up = list(itertools.accumulate(steps[::2])), list(itertools.accumulate(steps[1::2]))
    places = axes.transData.transform(list(zip(range(200), heights, strict=True)))
    assert across[:200] == pytest.approx(list(places[:, 0] / figure.dpi * 72), abs=0.06)
    assert [280 - y for y in up[:200]] == pytest.approx(list(places[:, 1] / figure.dpi * 72), abs=0.06)


def read(path: str) -> list[tuple[str, int, int]]:
    """Each place of a path in tenths, as SVG 1.1 reads it: a number ends where it cannot go on."""
    found: list[tuple[str, int, int]] = []
    at = start = (0, 0)
    for letter, places in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [round(float(number) * 10) for number in re.findall(r"-?(?:\d+(?:\.\d*)?|\.\d+)", places)]
        if letter in "zZ":
            at = start
            found.append(("z", *at))
        length = {"c": 6, "q": 4}.get(letter.lower(), 2)
        for first in range(0, len(numbers), length):
            x, y = (0, 0) if letter.isupper() else at
            own = numbers[first : first + length]
            found += [(letter.lower(), a + x, b + y) for a, b in zip(own[::2], own[1::2], strict=True)]
            at = found[-1][1:]
            start = at if letter == "M" else start
    return found


def reads_the_same(path: str, other: str) -> bool:
    try:
        return read(path) == read(other)
    except ValueError:
        return False


@pytest.mark.parametrize("seed", range(20))
def test_a_path_by_its_steps_is_the_same_path_without_a_space_too_many(seed: int):
    dice = np.random.default_rng(seed)

    def places(letter: str) -> str:
        count = {"z": 0, "C": 6, "Q": 4}.get(letter, 2)
        at = dice.choice([-30, -10, -5, 0, 1, 5, 10, 120], count) + 10 * dice.integers(2, size=count)
        return f"{letter} {' '.join(f'{number / 10:g}' for number in at)} "

    letters = "".join("M" + "".join(dice.choice(list("LLLCQ"), 8)) + "z" * (number % 2) + "LL" for number in range(3))
    path = "".join(map(places, letters))
    lean = plots._steps(path)
    assert read(lean) == read(path)
    spaces = [place for place, letter in enumerate(lean) if letter == " "]
    assert not any(reads_the_same(lean[:place] + lean[place + 1 :], lean) for place in spaces)
    assert "0." not in re.sub(r"\d0\.", "", lean)


def looks(node, style=(), clip=None):
    """Each shape by the number that it begins with, and how it is painted, with what its groups say."""
    own = dict(part.split(": ") for part in node.get("style", "").split("; ") if part)
    style, clip = dict(style) | own, node.get("clip-path", clip)
    if node.tag == "path":
        yield int(re.match(r"M ?(\d+)", node.get("d"))[1]), style, clip
    for child in node:
        yield from looks(child, style, clip)


@pytest.mark.parametrize("seed", range(30))
def test_what_neighbors_share_leaves_each_as_it_was(seed):
    choice = random.Random(seed)
    fills, strokes = ["", "fill: #aa0000", "fill: none"], ["stroke: #000001", "stroke: #000001; stroke-width: 2"]
    shapes = []
    for number in range(12):
        style = [part for part in (choice.choice(fills), choice.choice(strokes[: 1 + seed % 2])) if part]
        choice.shuffle(style)
        clip = choice.choice(["", ' clip-path="url(#a)"']) if seed % 3 else ""
        shapes.append(f'<path d="M {number} 0 L 3 4 L 5 9 "{clip} style="{"; ".join(style)}"/>')
    lean = plots._lean("".join(shapes))
    before, after = (list(looks(ElementTree.fromstring(f"<svg>{svg}</svg>"))) for svg in ("".join(shapes), lean))
    assert after == before
    assert len(lean) < len("".join(shapes))
    assert '"; ' not in lean


def test_shapes_that_let_the_page_through_are_not_put_together():
    figure, axes = plots.panels()
    axes.scatter([0.5, 0.5], [0.5, 0.5], alpha=0.5)
    axes.bar([0, 0], [1, 1], alpha=0.5)
    svg = plots.picture(figure, "Shapes.").svg
    root = ElementTree.fromstring(svg)
    groups = [node for node in root.iter() if node.tag.endswith("}g") and " opacity" in f" {node.get('style', '')}"]
    assert not groups


def test_a_plain_figure_of_matplotlib_will_do():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3))
    figure.subplots().plot([0, 1], [0, 1], color="black", label="it")
    picture = plots.picture(figure, "A line.")
    assert "it" in words(picture.svg)
    # Matplotlib writes no color where it is black, and a browser takes black where there is none.
    root = ElementTree.fromstring(picture.svg)
    assert next(iter(root)).get("fill") == "currentColor"
    assert "#000000" not in picture.svg


@pytest.mark.parametrize(
    ("shape", "options", "size"),
    [
        ((), {}, (480, 280)),
        ((2, 1), {}, (480, 280)),
        ((1, 2), {}, (680, 280)),
        ((1, 3), {"height": 240}, (680, 240)),
        ((1, 1), {"width": 300}, (300, 280)),
    ],
)
def test_panels_have_the_size_that_a_page_has_room_for(shape, options, size):
    figure, _ = plots.panels(*shape, **options)
    assert figure.get_size_inches() * 72 == pytest.approx(size)
    assert figure.axes[0].get_gridspec().get_geometry() == (shape or (1, 1))


@pytest.mark.parametrize(
    ("shape", "height"),
    [((1, 1), 280), ((1, 2), 2 * 0.85 * 280), ((1, 3), 3 * 0.85 * 280), ((2, 1), 280), ((2, 2), 280)],
)
def test_a_phone_gets_the_height_of_every_panel(shape, height):
    figure, _ = plots.panels(*shape)
    assert size_of(plots.picture(figure, "Empty.").narrow) == pytest.approx((PHONE, height))
    below = (shape[1], 1) if shape[0] == 1 else shape
    assert {axes.get_gridspec().get_geometry() for axes in figure.axes} == {below}


def test_a_figure_as_narrow_as_a_phone_has_one_arrangement():
    assert plots.picture(plots.panels(width=PHONE)[0], "Empty.").narrow is None
    assert plots.picture(plots.panels(width=PHONE + 1)[0], "Empty.").narrow is not None


def test_pictures_in_a_grid_keep_their_shape_on_a_phone():
    """A grid as high as on a desk has holes between its rows."""
    figure, panels = plots.panels(2, 3, width=600, height=470)
    for axes in panels.flat:
        axes.imshow([[0, 1], [1, 0]])
    assert size_of(plots.picture(figure, "Six pictures.").narrow) == pytest.approx((PHONE, 470 * PHONE / 600), abs=0.01)


def test_panels_beside_a_bar_of_colors_stay_side_by_side_on_a_phone():
    figure, axes = plots.panels(1, 2)
    figure.colorbar(axes[0].imshow([[0, 1]]), ax=axes[1])
    assert size_of(plots.picture(figure, "Two panels.").narrow) == pytest.approx((PHONE, 280))


def test_a_panel_has_two_spines_pale_lines_across_and_type_of_one_size():
    figure, axes = plots.panels()
    axes.plot([0, 100], [-5, 5], label="it")
    axes.set(xlabel="x", ylabel="y")
    figure.draw_without_rendering()
    spines = {name: spine for name, spine in axes.spines.items() if spine.get_visible()}
    assert spines.keys() == {"left", "bottom"}
    assert {spine.get_linewidth() for spine in spines.values()} == {1}
    assert axes.get_xlim() == pytest.approx((-2, 102))
    across, up = axes.get_ygridlines(), axes.get_xgridlines()
    assert {(line.get_visible(), line.get_alpha(), line.get_linewidth()) for line in across} == {(True, 0.3, 1)}
    assert not any(line.get_visible() for line in up)
    assert axes.get_axisbelow() is True
    written = [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()]
    assert {one.get_fontsize() for one in written} == {13}


def test_a_name_stands_7_pixels_beside_its_end_and_names_15_apart_around_one_end():
    def offsets(*ends):
        figure = drawn(*ends, width=300)
        plots.picture(figure, "Lines.")
        names = figure.axes[0].texts
        assert [name.get_text() for name in names] == [f"line {n}" for n in range(len(ends))]
        assert [name.xy for name in names] == [(1.0, float(end)) for end in ends]
        assert {name.get_fontsize() for name in names} == {13}
        colors = [line.get_color() for line in figure.axes[0].lines]
        assert [name.get_color() for name in names] == colors
        return [name.xyann for name in names]

    assert offsets(40) == [pytest.approx((7, 0))]
    assert offsets(10, 90) == [pytest.approx((7, 0))] * 2
    assert offsets(50, 50) == [pytest.approx((7, -7.5)), pytest.approx((7, 7.5))]
    assert offsets(50, 50, 50) == [pytest.approx((7, shift)) for shift in (-15, 0, 15)]


def test_a_line_without_a_name_gets_none():
    figure, axes = plots.panels()
    axes.plot([0, 1], [0, 1])
    plots.picture(figure, "A line.")
    assert not axes.texts


def test_curves_begin_at_zero_count_whole_epochs_and_say_each_thing_once():
    picture = plots.picture(plots.draw(HISTORY), "A run.")
    for svg in (picture.svg, picture.narrow):
        shown = words(svg)
        assert [shown.count(text) for text in ("error, %", "learning rate", "training", "test", "epoch")] == [
            1,
            1,
            1,
            1,
            2,
        ]
        assert "--re-page" not in svg  # no paper below it
    for epochs, apart in ((2, 1), (42, 10), (80, 20)):  # at most five steps from one number to the next
        figure = plots.draw(
            [dict(HISTORY[0], epoch=n, train_error=90 + n, test_error=95) for n in range(1, epochs + 1)]
        )
        figure.draw_without_rendering()
        for axes in figure.axes:
            assert axes.get_ylim()[0] == 0
            assert set(axes.get_xticks()[1:] - axes.get_xticks()[:-1]) == {apart}
    error = plots.draw(HISTORY).axes[0]
    assert error.get_gridspec().get_width_ratios() == (3, 2)


def test_a_file_of_curves_has_150_dots_an_inch_and_names_at_the_lines():
    with Image.open(io.BytesIO(plots.render(HISTORY))) as image:
        assert image.size == (680 * 150 // 72, 280 * 150 // 72)
    assert "<!-- training -->" in plots.render(HISTORY, "svg").decode()


def test_a_title_is_written_once_and_bold():
    svg = plots.picture(drawn(10), "A line.").svg
    assert words(svg).count("the title") == 1
    (title,) = [node for node in ElementTree.fromstring(svg).iter() if node.text == "the title"]
    assert "bold" in title.get("style") or "700" in title.get("style")


def test_only_a_scale_of_powers_is_written_in_powers():
    figure, axes = plots.panels()
    axes.plot([1, 1000], [0.001, 0.012])
    axes.set(xscale="log", xticks=[1, 12, 1000], xticklabels=["1", "12", "1000"], yticks=[0.001, 0.012])
    shown = words(plots.picture(figure, "A line.").svg)
    assert {"10⁰", "12", "10³", "0.001", "0.012"} <= set(shown)


def test_thousands_have_their_comma():
    figure, axes = plots.panels()
    axes.plot([0, 2000], [0, 0.5])
    axes.set(xticks=[0, 1000, 2000], yticks=[0, 0.5])
    assert {"1,000", "2,000", "0.5"} <= set(words(plots.picture(figure, "A line.").svg))
    for end, written in ((1000, "1,000"), (999, "900")):
        figure, axes = plots.panels()  # whose axis has no format yet
        axes.plot([0, end], [0, 0.5])
        axes.set(xlim=(0, end), xticks=[0, 900, end])
        assert written in words(plots.picture(figure, "A line.").svg)


def test_a_line_that_leaves_the_plot_is_named_all_the_same():
    figure = drawn(150)  # the axis ends at 100
    assert "line 0" in words(plots.picture(figure, "A line.").svg)


def shown_images(svg: str) -> list[Image.Image]:
    found = re.findall(r"data:image/webp;base64,([^\"]*)", svg)
    return [Image.open(io.BytesIO(base64.b64decode(one))).convert("RGB") for one in found]


def test_a_map_goes_into_the_page_pixel_by_pixel_and_fills_its_panel():
    """Both of 32 squares a side: few colors, which stay exact, and more than a palette holds."""
    few = np.random.default_rng(0).random((32, 32, 3)).round()
    for image, error in ((few, 0), (photograph(32), 12)):
        figure, axes = plots.panels(width=300, height=200)
        axes.imshow(image)
        axes.set_axis_off()
        picture = plots.picture(figure, "An image.")
        (found,) = shown_images(picture.svg)
        assert np.abs(np.asarray(found) - image * 255).mean() <= error
        size = r'width="([\d.]+)" height="([\d.]+)" preserveAspectRatio="none"'
        place = re.search(size + r' transform="translate\(([\d.]+) ([\d.]+)\)', picture.svg)
        width, height, x, y = map(float, place.groups())
        box = axes.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
        assert (width, height, x) == pytest.approx((box.width * 72, box.height * 72, box.x0 * 72), abs=0.06)
        assert y == pytest.approx(200 - box.y1 * 72, abs=0.06)
        assert "image-rendering: pixelated" in picture.svg
        assert axes.images[0].get_interpolation() in ("auto", "antialiased"), "the figure is as it was"


def photograph(side: int) -> np.ndarray:
    """Waves of light with fine grain, as a camera sees them."""
    at = np.linspace(0, 9, side)
    waves = np.stack([np.sin(at[:, None] * (k + 1) + at * k) for k in range(3)], -1) / 4 + 0.5
    return (waves + np.random.default_rng(0).normal(0, 0.02, (side, side, 3))).clip(0, 1)


@pytest.mark.parametrize(("side", "pixels"), [(224, 224), (600, 388)])
def test_a_photograph_is_light_close_and_smooth(side, pixels):
    """It has its own pixels, or two for each of the page where it has more of them."""
    figure, axes = plots.panels(width=200, height=200)
    axes.imshow(photograph(side))
    axes.set_axis_off()
    svg = plots.picture(figure, "A photograph.").svg
    (found,) = shown_images(svg)
    assert found.size == pytest.approx((pixels, pixels), abs=3)
    assert len(svg) < 12_000
    assert "pixelated" not in svg


def test_panels_of_two_grids_stay_where_they_are_on_a_phone():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3))
    for grid, place in ((figure.add_gridspec(1, 2), 0), (figure.add_gridspec(1, 2), 1)):
        figure.add_subplot(grid[place]).set_title(f"panel {place}")
    found = heights(plots.picture(figure, "Two panels.").narrow)
    assert found["panel 0"] == found["panel 1"]


@pytest.mark.parametrize(
    ("place", "start", "end", "distance"),
    [
        ((1, 3), (0, 0), (4, 0), 3),
        ((7, 4), (0, 0), (4, 0), 5),  # beyond the end
        ((-3, 4), (0, 0), (4, 0), 5),  # before the start
        ((3, 4), (0, 0), (0, 0), 5),  # a line of one place
        ((2, 4), (1, 1), (4, 4), 2**0.5),
        ((4, 2), (4, 4), (1, 1), 2**0.5),
        ((11, 7), (10, 2), (10, 8), 1),
        ((1, 1), (0, 0), (0, 0.5), 1.25**0.5),
    ],
)
def test_how_far_a_place_is_from_a_line(place, start, end, distance):
    assert plots._distance(place, start, end) == pytest.approx(distance)


def test_a_place_that_nobody_would_miss_is_left_out_up_to_a_quarter_of_a_pixel():
    for off, kept in ((0.25, 2), (0.26, 3)):
        assert len(plots._seen([(0, 0), (5, off), (10, 0)])) == kept
    saw = [(0.0, 0.0), (1.0, 5.0), (2.0, 0.0), (3.0, 5.0), (4.0, 0.0)]
    assert plots._seen(saw) == saw
    assert plots._seen(saw[:1]) == saw[:1]
    assert plots._seen(saw[:2]) == saw[:2]
    assert plots._steps("M 0 0 L 5 0.2 L 10 0 ") == "M0 0l10 0"


@pytest.mark.parametrize(
    ("matrix", "placed"),
    [
        ("1.5 0 0 1.5 10 20", 'width="6.0" height="3.0" {} transform="translate(10.0 20.0)"'),
        ("1.6 0 0 1.5 10 20", 'width="6.4" height="3.0" {} transform="translate(10.0 20.0)"'),
        ("1.6 0 0 2 10 20", 'width="6.4" height="4.0" {} transform="translate(10.0 20.0)" {}'),
        ("1.6 0 0 -2 10 20", 'width="6.4" height="4.0" {} transform="translate(10.0 20.0) scale(1 -1)" {}'),
        ("0.5 0 0 0.5 10 20", 'width="2.0" height="1.0" {} transform="translate(10.0 20.0)"'),
        ("1.6 0 0 -1 10 20", 'width="6.4" height="2.0" {} transform="translate(10.0 20.0) scale(1 -1)"'),
    ],
)
def test_an_image_keeps_its_place_and_squares_that_can_be_counted_are_sharp(matrix, placed):
    image = re.match(r"(\d+) (\d+) (.*)", f"4 2 {matrix}")
    assert plots._placed(image) == placed.format('preserveAspectRatio="none"', 'style="image-rendering: pixelated"')


def test_names_beside_each_other_need_no_room_and_names_that_touch_do():
    assert plots._apart([(0, 0, 9), (0, 10, 19)]) == [0, 0]
    assert plots._apart([(0, 10, 19), (0, 0, 9)]) == [0, 0]
    assert plots._apart([(0, 0, 9), (0, 9, 18)]) == [-7.5, 7.5]
    assert plots._apart([(0, 9, 18), (0, 0, 9)]) == [-7.5, 7.5]
    assert plots._apart([(0, 0, 9), (15, 0, 9)]) == [0, 15]
    assert plots._apart([]) == []
    # Two that moved apart push a third one, which asks for a place between them.
    assert plots._apart([(0, 0, 9), (0, 0, 9), (20, 0, 9)]) == pytest.approx([-25 / 3, 20 / 3, 65 / 3])


def test_few_colors_stay_exact_however_many_bytes_and_a_photograph_is_as_good_as_its_bytes_allow():
    def page(image: np.ndarray) -> tuple[int, np.ndarray]:
        file = io.BytesIO()
        Image.fromarray((image * 255).astype(np.uint8)).save(file, "png")
        png = re.match("(.*)", base64.b64encode(file.getvalue()).decode())
        webp = base64.b64decode(plots._lighter(png).removeprefix("data:image/webp;base64,"))
        return len(webp), np.asarray(Image.open(io.BytesIO(webp)).convert("RGB")) / 255

    noise = np.random.default_rng(0).integers(0, 2, (256, 256, 3)).astype(float)
    size, found = page(noise)  # eight colors
    assert size > plots._PHOTOGRAPH
    assert (found == noise).all()
    sizes = []
    for side in (64, 224):
        size, found = page(photograph(side))
        sizes.append(size)
        assert 0 < np.abs(found - photograph(side)).mean() < 0.03
    assert sizes[0] < sizes[1] <= plots._PHOTOGRAPH


def test_a_photograph_of_exactly_the_bytes_that_it_may_have_is_not_made_worse(monkeypatch):
    file = io.BytesIO()
    Image.fromarray((photograph(64) * 255).astype(np.uint8)).save(file, "png")
    png = re.match("(.*)", base64.b64encode(file.getvalue()).decode())
    best = plots._lighter(png)
    monkeypatch.setattr(plots, "_PHOTOGRAPH", len(base64.b64decode(best.partition(",")[2])))
    assert plots._lighter(png) == best


def test_nothing_stands_between_the_elements_of_a_plot():
    for svg in (plots.picture(plots.draw(HISTORY), "Two panels.").svg, plots.picture(drawn(10, 90), "Lines.").narrow):
        for element in ElementTree.fromstring(svg).iter():
            is_text = element.tag.rpartition("}")[2] in ("text", "tspan", "title", "desc", "style")
            assert is_text or not (element.text or "").strip(), element.tag
            assert not (element.tail or "").strip(), element.tag


@pytest.mark.parametrize("more", [False, True])
def test_an_image_keeps_its_own_pixels_unless_its_place_has_fewer_dots(more):
    """Where the panel lies once everything around it has its room; by default it would be larger."""

    def panel(image):
        figure, axes = plots.panels(width=200, height=200)
        axes.imshow(image, aspect="auto")
        axes.set(ylabel="rows\nfrom the top", xlabel="columns", xticks=[], yticks=[])
        return figure, axes.images[0]

    figure, image = panel(photograph(8))
    figure.draw_without_rendering()
    place = image.get_window_extent()
    dots = plots._DENSITY * plots._PIXELS / figure.dpi
    side = int((place.width * place.height) ** 0.5 * dots) + (2 if more else -1)
    (found,) = shown_images(plots.picture(panel(photograph(side))[0], "An image.").svg)
    assert (found.size == (side, side)) == (not more)


def test_lines_of_two_places_stay_in_their_order_and_marks_have_their_shape():
    figure, axes = plots.panels()
    for name in ("first", "second", "first"):
        axes.plot([0, 1], [0, 1], color=palette.LIGHT[name].line)
    axes.plot(
        [0.2, 0.4], [0.5, 0.6], marker=0, linestyle="none", color=palette.LIGHT["third"].line, markersize=9
    )  # ticks
    axes.plot([0.6, 0.7, 0.8], [0.2, 0.3, 0.2], marker="o", linestyle="none", color=palette.LIGHT["third"].line)
    svg = plots.picture(figure, "Lines that cover each other.").svg
    assert svg.count("<use ") == 2 + 3
    order = re.findall(r"stroke: (var\(--[^)]*\)|[^;\"]+)", svg)
    lines = [color for color in order if color in (palette.line("first"), palette.line("second"))]
    assert lines == [palette.line(name) for name in ("first", "second", "first")]
    names = set(re.findall(r'id="([^"]+)"', svg))
    assert set(re.findall(r'href="#([^"]+)"', svg)) <= names
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= names
    assert palette.line("third") in svg


def test_256_colors_stay_exact_and_one_more_makes_a_photograph():
    for count in (256, 257):
        numbers = np.random.default_rng(0).permutation(np.arange(128 * 128) % count).reshape(128, 128)
        image = np.stack([numbers % 16 * 16, numbers // 16 * 15, numbers * 0], -1).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(image).save(file, "png")
        webp = plots._lighter(re.match("(.*)", base64.b64encode(file.getvalue()).decode()))
        found = Image.open(io.BytesIO(base64.b64decode(webp.partition(",")[2]))).convert("RGB")
        assert (np.asarray(found) == image).all() == (count == 256)
