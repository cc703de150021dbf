"""Plots are part of the page: its type, its colors, names at the lines, and nothing of the numbers is lost."""

import itertools
import re
from xml.etree import ElementTree

import pytest

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
        assert set(re.findall(r"font-size: ([\d.]+px)", svg)) == {"13px"}
        assert "font-family" not in svg.partition(">")[2], "the page's own font sets it"


def test_panels_of_a_row_stand_below_each_other_on_a_phone():
    figure, (left, right) = plots.panels(1, 2, sharey=True)
    left.set(title="left", xlabel="epochs")
    right.set(title="right", xlabel="epochs")
    picture = plots.picture(figure, "Two empty panels.")
    assert heights(picture.svg)["left"] == heights(picture.svg)["right"]
    assert heights(picture.narrow)["left"] + 100 < heights(picture.narrow)["right"]
    # Numbers that the left panel lent to the right one stand at both.
    assert words(picture.narrow).count("0.0") > words(picture.svg).count("0.0")


def test_what_is_written_keeps_its_digits():
    assert {"0.02", "0.04", "0.08"} <= set(words(plots.picture(plots.draw(HISTORY), "A run.").svg))


@pytest.mark.parametrize("ends", [(10, 90), (50, 50.5), (50, 50, 50), (99, 99.5, 100)])
def test_each_line_is_named_at_its_end_and_no_name_covers_another(ends):
    found = heights(plots.picture(drawn(*ends), "Lines.").svg)
    named = sorted(found[f"line {number}"] for number in range(len(ends)))
    assert all(below - above > 14.8 for above, below in itertools.pairwise(named))
    # A line that ends higher has its name higher.
    assert sorted(range(len(ends)), key=lambda n: (-found[f"line {n}"], n))[-1] == len(ends) - 1


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
