import itertools
import re

import numpy as np
import pytest

from resnet_edu.drawing import diagrams, palette, tables, volumes

MODES = {"light": palette.LIGHT, "dark": palette.DARK}
PAGES = {"light": "#ffffff", "dark": "#121212"}

# Machado, Oliveira and Fernandes 2009, table 1, severity 1.0, for linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
# Linear RGB to OKLab, Ottosson 2020: distances there are nearly as large as they look.
TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(color: str) -> np.ndarray:
    values = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def luminance(color: str) -> float:
    return float(linear(color) @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    """WCAG 2.2: the ratio of the luminances, each with a little stray light."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def seen(color: str, vision: str) -> np.ndarray:
    return TO_LAB @ np.cbrt(TO_LMS @ np.clip(VISION[vision] @ linear(color), 0, 1))


def closest(colors: list[str], vision: str) -> float:
    pairs = itertools.combinations([seen(color, vision) for color in colors], 2)
    return min(float(np.linalg.norm(one - other)) for one, other in pairs)


def test_the_measures_know_black_from_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert closest(["#000000", "#ffffff"], "normal") == pytest.approx(1, abs=1e-3)
    # The classic pair: apart for most, nearly one for whom red and green are one.
    assert closest(["#cc4433", "#77772f"], "deuteranopia") < closest(["#cc4433", "#77772f"], "normal") / 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", palette.LIGHT)
def test_text_and_lines_can_be_read(mode, name):
    color = MODES[mode][name]
    assert contrast(color.ink, color.fill) >= 4.5
    assert color.fill not in (palette._BLACK, palette._WHITE)
    assert contrast(color.line, PAGES[mode]) >= 3


@pytest.mark.parametrize("name", palette.LIGHT)
def test_lines_hold_on_the_background_of_a_dark_notebook_too(name):
    assert contrast(palette.LIGHT[name].line, "#383838") >= 3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("vision", VISION)
def test_rooms_look_different_to_everyone(mode, vision):
    # About five times the smallest difference that an eye sees side by side.
    assert closest([MODES[mode][room].fill for room in palette.ROOMS], vision) > 0.1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("vision", VISION)
def test_lines_of_shortcuts_look_different_to_everyone(mode, vision):
    # Less than the rooms, because the lines also differ in their dashes.
    assert closest([MODES[mode][name].line for name in (*palette.SHORTCUTS, "error")], vision) > 0.06


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("vision", VISION)
def test_series_look_different_to_everyone(mode, vision):
    # They also differ in their marks and dashes.
    assert closest([MODES[mode][name].line for name in palette.SERIES], vision) > 0.06


def hue(color: str) -> tuple[float, float]:
    _, a, b = TO_LAB @ np.cbrt(TO_LMS @ linear(color))
    return float(np.degrees(np.arctan2(b, a))), float(np.hypot(a, b))


@pytest.mark.parametrize("name", palette.LIGHT)
def test_a_color_keeps_its_hue_in_the_dark(name):
    for part in ("fill", "line"):
        (light, _), (dark, strength) = (hue(getattr(MODES[mode][name], part)) for mode in ("light", "dark"))
        turned = abs((light - dark + 180) % 360 - 180)
        assert turned < 15 or strength < 0.035, f"{name} turns by {turned:.0f} degrees"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", palette.SERIES)
def test_a_series_is_taken_for_no_room_and_no_shortcut(mode, name):
    others = [color.line for other, color in MODES[mode].items() if other not in palette.SERIES]
    assert min(closest([MODES[mode][name].line, line], "normal") for line in others) > 0.05


@pytest.mark.parametrize("mode", MODES)
def test_deeper_is_darker(mode):
    depths = [luminance(MODES[mode][f"layer{n}"].fill) for n in (1, 2, 3, 4)]
    assert depths == sorted(depths, reverse=True)


def blocks(css: str) -> dict[str, dict[str, str]]:
    return {
        selector.strip(): dict(re.findall(r"(--re-[\w-]+): (#\w{6});", body))
        for selector, body in re.findall(
            r"([^{}]+)\{([^{}]*)\}", css.replace("@media (prefers-color-scheme: dark) {", "")
        )
    }


def test_the_style_sheet_defines_every_color_for_every_mode():
    found = blocks(palette.css())
    light = found.pop(':root, html[data-theme="light"]')
    assert len(found) == 2, "the system's preference, and the theme's own switch"
    for dark in found.values():
        assert dark.keys() == light.keys()
        assert dark["--re-layer3"] == palette.DARK["layer3"].fill
    assert light["--re-layer3-ink"] == palette.LIGHT["layer3"].ink
    assert ':root:not([data-theme="light"])' in found, "a light page stays light on a dark system"


def test_each_mode_has_a_page_and_text_that_can_be_read_on_it():
    for mode, page in PAGES.items():
        found = dict(re.findall(r"--re-(page|ink): (#\w{6});", palette.declarations(mode)))
        assert found["page"] == page
        assert contrast(found["ink"], page) >= 7


@pytest.mark.parametrize(
    "draw",
    [
        lambda: diagrams.network("resnet34"),
        lambda: diagrams.block("basic", 64, 128, stride=2, shortcut="A"),
        lambda: volumes.draw("resnet34"),
        lambda: tables.table("resnet18"),
    ],
)
def test_pictures_use_only_colors_that_the_style_sheet_knows(draw):
    known = blocks(palette.css())[':root, html[data-theme="light"]']
    used = re.findall(r"var\((--re-[\w-]+), (#\w{6})\)", draw()._repr_html_())
    assert used
    for name, fallback in used:
        assert known[name] == fallback


@pytest.mark.parametrize(
    ("room", "name"),
    [
        ("bn1", "stem"),
        ("layer3.1.conv2", "layer3"),
        ("layer5.0", "layer1"),
        ("layer0", "image"),
        ("layer", "image"),
        ("fc", "head"),
        ("features.0", "image"),
        ("projection", "projection"),
    ],
)
def test_every_room_has_a_color(room, name):
    assert palette.key(room) == name
    assert palette.fill(room) == f"var(--re-{name}, {palette.LIGHT[name].fill})"
    assert palette.ink(room) == f"var(--re-{name}-ink, {palette.LIGHT[name].ink})"
    assert palette.line(room) == f"var(--re-{name}-line, {palette.LIGHT[name].line})"
