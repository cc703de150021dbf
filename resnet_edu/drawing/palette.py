"""One color for each room, the only home of color in the book.

Everything drawn writes ``var(--re-layer2, #62b89c)``: a page that includes :func:`css` decides for
light or dark, a bare page or a notebook uses the value after the comma, which suits both.

The order of the layers is an order of lightness, so "deeper is darker" survives a gray print and
every kind of color blindness. Contrasts follow WCAG 2.2 (1.4.3 text, 1.4.11 lines); distances under
simulated color blindness are tested with the matrices of Machado, Oliveira and Fernandes 2009.
"""

from typing import NamedTuple

from resnet_edu.counting.steps import layer_of


class Color(NamedTuple):
    """Three colors that belong together.

    >>> LIGHT["layer4"].ink                  # white text on the dark violet of layer4
    '#ffffff'
    """

    fill: str
    """The inside of a box."""
    ink: str
    """Text on that fill, at least 4.5:1."""
    line: str
    """Its border or a line in its color, at least 3:1 against the page."""


_BLACK, _WHITE = "#14161a", "#ffffff"

#: On a white page. The lines are of a middle lightness, 3:1 against white and against #383838, because
#: these values are also what a notebook shows, whose background nobody tells us.
LIGHT = {
    "image": Color("#c4cfd8", _BLACK, "#6f8596"),
    "stem": Color("#e3982f", _BLACK, "#c47410"),
    "layer1": Color("#f5f0a0", _BLACK, "#8f8a1a"),
    "layer2": Color("#62b89c", _BLACK, "#2f9474"),
    "layer3": Color("#5888c2", _BLACK, "#4a8ac4"),
    "layer4": Color("#5c48a2", _WHITE, "#8a78d6"),
    "head": Color("#b04e66", _WHITE, "#d0607c"),
    "identity": Color("#2488cf", _BLACK, "#2488cf"),
    "projection": Color("#ad7a00", _BLACK, "#ad7a00"),
    "zero-pad": Color("#9085a8", _BLACK, "#9085a8"),
    "error": Color("#e8437f", _BLACK, "#e8437f"),
    "first": Color("#308f9e", _BLACK, "#308f9e"),
    "second": Color("#cc45d9", _BLACK, "#cc45d9"),
    "third": Color("#7c945a", _BLACK, "#7c945a"),
}

#: On a page as dark as #121212, each in the hue that it has on a white one.
DARK = {
    "image": Color("#505b68", _WHITE, "#9aa3ad"),
    "stem": Color("#89580f", _WHITE, "#d8952f"),
    "layer1": Color("#ece58a", _BLACK, "#ece58a"),
    "layer2": Color("#61c7a7", _BLACK, "#74d3b5"),
    "layer3": Color("#2974bf", _WHITE, "#5b9fe0"),
    "layer4": Color("#3b228f", _WHITE, "#9a83e6"),
    "head": Color("#bc707f", _BLACK, "#ee93a8"),
    "identity": Color("#55b4f0", _BLACK, "#55b4f0"),
    "projection": Color("#e8bc35", _BLACK, "#e8bc35"),
    "zero-pad": Color("#d6c4d8", _BLACK, "#d6c4d8"),
    "error": Color("#ff7a8c", _BLACK, "#ff7a8c"),
    "first": Color("#4fcfe3", _BLACK, "#4fcfe3"),
    "second": Color("#dc7ae0", _BLACK, "#dc7ae0"),
    "third": Color("#a9bd5b", _BLACK, "#a9bd5b"),
}

#: The rooms in the order of the forward pass, after the image.
ROOMS = ("image", "stem", "layer1", "layer2", "layer3", "layer4", "head")
#: The three ways around a block.
SHORTCUTS = ("identity", "projection", "zero-pad")
#: What is plotted: data is no room, so it has colors of its own.
SERIES = ("first", "second", "third")

_PAGE = {"light": ("#ffffff", _BLACK), "dark": ("#121212", "#e8e8ea")}


def key(room: str) -> str:
    """The palette's name for a room of any network; what it does not know is painted like the image.

    >>> key("layer2.0.bn1"), key("fc"), key("features.3")
    ('layer2', 'head', 'image')
    >>> key("layer5.0")                      # a fifth layer starts again with the first one's color
    'layer1'
    """
    name = room if room in LIGHT else layer_of(room)
    number = name.removeprefix("layer")
    if number != name and number.isdigit() and int(number) > 0:
        return f"layer{(int(number) - 1) % 4 + 1}"
    return name if name in LIGHT else "image"


def fill(room: str) -> str:
    """The inside of a room's box, as a CSS value.

    >>> fill("layer2.0.conv1")
    'var(--re-layer2, #62b89c)'
    """
    name = key(room)
    return f"var(--re-{name}, {LIGHT[name].fill})"


def ink(room: str) -> str:
    """Text on a room's box, as a CSS value.

    >>> ink("layer4")
    'var(--re-layer4-ink, #ffffff)'
    """
    name = key(room)
    return f"var(--re-{name}-ink, {LIGHT[name].ink})"


def line(room: str) -> str:
    """A room's border, or a line in its color, as a CSS value.

    >>> line("projection")
    'var(--re-projection-line, #ad7a00)'
    """
    name = key(room)
    return f"var(--re-{name}-line, {LIGHT[name].line})"


def css() -> str:
    """The custom properties for light and dark pages.

    ``html[data-theme]``, which the book's theme sets, wins over the system's preference.

    >>> "--re-layer2: #62b89c;" in css()
    True
    """
    light, dark = declarations("light"), declarations("dark")
    return (
        f':root, html[data-theme="light"] {{\n{light}}}\n'
        f'@media (prefers-color-scheme: dark) {{\n:root:not([data-theme="light"]) {{\n{dark}}}\n}}\n'
        f'html[data-theme="dark"] {{\n{dark}}}\n'
    )


def css_of_file() -> str:
    """The same for an SVG file of its own, which brings its page with it.

    >>> css_of_file().startswith("svg")
    True
    """
    light, dark = declarations("light"), declarations("dark")
    own = "  background: var(--re-page);\n  color: var(--re-ink);\n"
    return f"svg {{\n{light}{own}}}\n@media (prefers-color-scheme: dark) {{\nsvg {{\n{dark}}}\n}}\n"


def declarations(mode: str) -> str:
    """The custom properties of one mode, ``light`` or ``dark``, to put under a selector of one's own.

    >>> declarations("dark").splitlines()[0]
    '  --re-page: #121212;'
    """
    page, text = _PAGE[mode]
    rows = [f"  --re-page: {page};\n  --re-ink: {text};\n"]
    for name, color in {"light": LIGHT, "dark": DARK}[mode].items():
        rows.append(
            f"  --re-{name}: {color.fill};\n  --re-{name}-ink: {color.ink};\n  --re-{name}-line: {color.line};\n"
        )
    return "".join(rows)
