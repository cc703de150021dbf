"""The room for plots: matplotlib figures as part of the page, in its type and in both of its modes.

A chapter asks for panels, plots into them as always, and hands the figure over with its alt text:

>>> figure, axes = panels()
>>> _ = axes.plot([20, 56], [0.1, 60.0], label="plain")
>>> picture(figure, "One line that climbs from 20 to 56 layers.")
Picture(One line that climbs from 20 to 56 layers.)

Lines take the colors of :data:`palette.SERIES` in turn, and a label stands at the end of its line.
"""

import base64
import hashlib
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import hypot, isfinite
from typing import TYPE_CHECKING, Any

from resnet_edu.drawing import palette
from resnet_edu.drawing.pictures import PHONE, Picture, opening

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

#: The colors of data, in the order in which lines take them.
COLORS = tuple(palette.LIGHT[name].line for name in palette.SERIES)
#: CSS pixels from the baseline of one label to that of the next, and from a line's end to its label, and of a letter.
_APART, _BESIDE, _LETTER = 15.0, 7.0, 8.0
_PIXELS = 72  # matplotlib's SVG has 72 units an inch, so that a unit is a CSS pixel
_DENSITY = 2  # dots of a screen to a CSS pixel: no photograph needs more
_SQUARE = 1.5  # CSS pixels to a pixel of an image, from where on its squares are seen
_PHOTOGRAPH = 6250  # bytes of a photograph, where a whole plot has 20,000 characters
_UNSEEN = 0.25  # CSS pixels by which a line may pass beside one of its places
# The page's own ink; the palette's black, a hair darker, is ink on a fill and stays.
_INK, _RULE = "#14161b", "#80858c"


def panels(rows: int = 1, columns: int = 1, *, width: float = 0, height: float = 0, **options: Any) -> tuple[Any, Any]:
    """A figure in the book's style and its axes, as ``plt.subplots`` gives them; sizes are CSS pixels.

    >>> figure, (error, rate) = panels(1, 2, height=240)
    >>> [float(side * 72) for side in figure.get_size_inches()]
    [680.0, 240.0]

    Panels of one row stand below each other on a phone. ``options`` go to ``Figure.subplots``.
    """
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib.figure import Figure

    plain: Any = {
        "axes.titlesize": 13, "axes.labelsize": 13, "xtick.labelsize": 13, "ytick.labelsize": 13,
        "axes.spines.top": False, "axes.spines.right": False, "axes.facecolor": "none", "axes.xmargin": 0.02,
        "axes.grid": True, "axes.grid.axis": "y", "axes.axisbelow": True, "axes.linewidth": 1, "axes.edgecolor": _RULE,
        "grid.color": _RULE, "grid.alpha": 0.3, "grid.linewidth": 1,
        "text.color": _INK, "axes.labelcolor": _INK, "axes.titlecolor": _INK, "xtick.color": _INK, "ytick.color": _INK,
        "axes.prop_cycle": cycler(color=COLORS),
    }  # fmt: skip
    size = ((width or (680 if columns > 1 else 480)) / _PIXELS, (height or 280) / _PIXELS)
    with mpl.rc_context(plain):
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        axes = figure.subplots(rows, columns, **options)
    return figure, axes


def picture(figure: "Figure", alt: str) -> Picture:
    """A figure of matplotlib as a picture of the page: its type, its colors in light and dark, no paper below it.

    Any figure will do; what is black or in a color of the palette follows the page's mode. A line with a label is
    named at its end, unless its axes have a legend. ``alt`` says what the picture shows.

    >>> figure, axes = panels(width=640)
    >>> drawn = picture(figure, "Empty axes.")
    >>> [str(round(size)) in drawn.svg for size in (640,)], drawn.narrow is not None
    ([True], True)
    """
    names = _name_lines(figure)
    wide = _svg(figure)
    narrow = None
    if figure.get_figwidth() * _PIXELS > PHONE:
        for name in names:
            name.remove()
        _stack(figure)
        _name_lines(figure)
        narrow = _svg(figure)
    return Picture(wide, alt, narrow)


def draw(history: Sequence[dict[str, Any]]) -> "Figure":
    """A run as two panels: the error of training and test against the epoch, and the learning rate that says why.

    >>> history = [{"epoch": n, "train_error": 50 / n, "test_error": 60 / n, "lr": 0.1} for n in (1, 2, 3)]
    >>> [len(axes.lines) for axes in draw(history).axes]
    [2, 1]
    """
    from matplotlib.ticker import MaxNLocator

    figure, (error, rate) = panels(1, 2, width_ratios=(3, 2))
    epochs = [row["epoch"] for row in history]
    error.plot(epochs, [row["train_error"] for row in history], marker="o", label="training")
    error.plot(epochs, [row["test_error"] for row in history], linestyle="--", marker="s", label="test")
    rate.plot(epochs, [row["lr"] for row in history], color=COLORS[2])
    error.set(title="error, %", ylabel="error, %")
    rate.set(title="learning rate", ylabel="learning rate")
    for axes in (error, rate):
        axes.set_ylim(bottom=0)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.label.set_visible(False)  # the title says it, and where it does not take the plot's width
    return figure


def render(history: Sequence[dict[str, Any]], format: str = "png") -> bytes:
    """The same as a file: ``png``, ``svg`` or ``pdf``.

    >>> render([{"epoch": 1, "train_error": 50.0, "test_error": 60.0, "lr": 0.1}])[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    figure = draw(history)
    _name_lines(figure)
    figure.savefig(buffer, format=format, dpi=150)
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------------- labels


def _name_lines(figure: "Figure") -> list[Any]:
    """Write each label at the end of its line, and apart where two lines end at one place."""
    figure.draw_without_rendering()  # only now is it known where a value lies
    return [name for axes in figure.axes if axes.get_legend() is None for name in _named(axes)]


def _named(axes: "Axes") -> list[Any]:
    ends = []
    for line in axes.lines:
        end = _end(line)
        if end is not None and not str(line.get_label()).startswith("_"):
            x, y = axes.transData.transform(end) / axes.figure.dpi * _PIXELS
            ends.append((y, x, end, line))
    ends.sort(key=lambda found: found[0])
    heights = _apart([(y, x, x + _LETTER * len(str(line.get_label()))) for y, x, _, line in ends])
    return [
        axes.annotate(
            str(line.get_label()), end, (_BESIDE, height - at), textcoords="offset points",
            va="center", color=line.get_color(), fontsize=13, annotation_clip=False,
        )
        for height, (at, _, end, line) in zip(heights, ends, strict=True)
    ]  # fmt: skip


def _apart(names: list[tuple[float, float, float]]) -> list[float]:
    """Heights at which no name covers another, each as near as can be to the one that it asks for.

    A name is the height that it asks for, where it begins and where it ends; the lowest comes first.

    >>> _apart([(0, 0, 9), (50, 0, 9), (60, 0, 9)]), _apart([(0, 0, 9), (0, 20, 29)])
    ([0.0, 47.5, 62.5], [0.0, 0.0])
    """
    groups: list[list[int]] = []  # names that stand close above each other, around the middle of what they ask for

    def lowest(group: list[int]) -> float:
        return sum(names[n][0] for n in group) / len(group) - _APART * (len(group) - 1) / 2

    for number, (_, start, end) in enumerate(names):
        group, above = [number], groups.copy()
        while above:
            below = above.pop()
            beside = all(names[n][2] < start or end < names[n][1] for n in below)
            if not beside and lowest(group) < lowest(below) + _APART * len(below):
                groups.remove(below)
                group, above = sorted(below + group), groups.copy()
        groups.append(group)
    heights = [0.0] * len(names)
    for group in groups:
        for place, number in enumerate(group):
            heights[number] = lowest(group) + _APART * place
    return heights


def _end(line: "Line2D") -> tuple[float, float] | None:
    data: Any = line.get_data()
    drawn = [(float(x), float(y)) for x, y in zip(*data, strict=True) if isfinite(x) and isfinite(y)]
    return drawn[-1] if drawn else None


# -------------------------------------------------------------------------------------------------- pages


def _stack(figure: "Figure") -> None:
    """The same figure for a phone: as narrow as its page, panels of one row below each other."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    grids = {axes.get_gridspec() for axes in figure.axes}
    grid = grids.pop() if len(grids) == 1 else None
    height = figure.get_figheight()
    if grid and grid.nrows == 1 and len(figure.axes) == grid.ncols > 1:
        stack = figure.add_gridspec(grid.ncols, 1)
        for number, axes in enumerate(figure.axes):
            axes.set_subplotspec(stack[number])
            axes.tick_params(labelleft=True)
        height *= 0.85 * grid.ncols
        # The name of one panel's axis does not touch the next panel's title.
        if isinstance(engine := figure.get_layout_engine(), ConstrainedLayoutEngine):
            engine.set(h_pad=6 / _PIXELS)
    elif all(axes.get_aspect() != "auto" for axes in figure.axes):
        height *= PHONE / _PIXELS / figure.get_figwidth()  # pictures keep their shape, and leave no hole
    figure.set_size_inches(PHONE / _PIXELS, height)


def _svg(figure: "Figure") -> str:
    import matplotlib as mpl
    from matplotlib.ticker import ScalarFormatter as Scalar

    buffer = io.StringIO()
    for axes in figure.axes:
        if axes.get_title():
            axes.set_title(axes.get_title(), loc="left", fontsize=13, fontweight="bold")
            axes.title.set_text("")
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_formatter(lambda value, _: _power(value))
            elif max(map(abs, axis.get_view_interval())) >= 1000 and isinstance(axis.get_major_formatter(), Scalar):
                axis.set_major_formatter(lambda value, _: f"{value:,g}")
    # Text stays text, so that the page's own font sets it, and paths keep one decimal.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "book"}), _own_pixels(figure):
        figure.savefig(buffer, format="svg", transparent=True, dpi=_DENSITY * _PIXELS, metadata={"Date": None})
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", buffer.getvalue(), flags=re.DOTALL)
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    body = re.sub(r'(?:; )?font-family: [^;"]*|; stroke-linejoin: miter', "", body)
    body = re.sub(r' transform="rotate\(-0 [^"]*"', "", body)
    body = re.sub(r"data:image/png;base64,([^\"]*)", _lighter, body)
    body = re.sub(r'width="(\d+)" height="(\d+)" transform="matrix\(([^)]*)\)" style="[^"]*"', _placed, body)
    # Places on the page need one decimal; what is written on it stays as it is.
    places = r'(?<= )(d|x|y|transform|clip-path)="[^"]*"'
    body = re.sub(places, lambda found: re.sub(r"-?\d+\.\d\d+", _rounded, found[0]), body)
    body = _lean(_colored(_unique(re.sub(r"\s*\n\s*", " ", body).replace("xlink:href", "href"))))
    width, height = (side * _PIXELS for side in figure.get_size_inches())
    # What is black is not written into the file, and a black that is not written is the page's ink.
    return f'{opening(width, height)}<g fill="currentColor">{body}</g></svg>'


@contextmanager
def _own_pixels(figure: "Figure") -> Iterator[None]:
    """Images with fewer pixels than their place has dots go into the file so, and the browser enlarges them."""
    from matplotlib.image import AxesImage

    figure.draw_without_rendering()
    dots = _DENSITY * _PIXELS / figure.dpi
    asked = {}
    for image in (image for axes in figure.axes for image in axes.images if type(image) is AxesImage):
        rows, columns = image.get_size()
        place = image.get_window_extent()
        few = rows * columns <= abs(place.width * place.height) * dots**2
        if few and image.get_interpolation() in ("auto", "antialiased", "nearest"):
            asked[image] = image.get_interpolation()
            image.set_interpolation("none")
    try:
        yield
    finally:
        for image, interpolation in asked.items():
            image.set_interpolation(interpolation)


def _placed(image: re.Match[str]) -> str:
    """An image by its place; squares that the eye can count have sharp edges, the pixels of a photograph do not.

    Matplotlib gives the size of a pixel, and that, rounded, would move the far edge.
    """
    columns, rows = int(image[1]), int(image[2])
    across, _, _, down, x, y = map(float, image[3].split())
    text = f'width="{columns * across:.1f}" height="{rows * abs(down):.1f}" preserveAspectRatio="none"'
    text += f' transform="translate({x:.1f} {y:.1f}){" scale(1 -1)" if down < 0 else ""}"'
    return text + (' style="image-rendering: pixelated"' if min(across, abs(down)) > _SQUARE else "")


def _lean(svg: str) -> str:
    """The same drawing in fewer bytes: nothing that shows nothing, and once what neighbors share."""
    svg = re.sub(r'<path d="[^"]*" style="fill: none"/>', "", svg)  # the outline of a panel, without a line
    svg = re.sub(r'<path d="M [\d.-]+ [\d.-]+ " [^>]*/>', "", svg)  # a line of one place
    svg = re.sub(r"(?<=[\"; ])(?:font-size: 13px|text-anchor: start)(?:; )?", "", svg)  # the picture's own
    # A mark says itself how its line looks, and what is not filled otherwise has the page's ink.
    svg = re.sub(r'(<use [^>]*) style="fill: currentColor; stroke: currentColor[^"]*"/>', r"\1/>", svg)
    svg = re.sub(r'(<text style="[^"]*); fill: currentColor"', r'\1"', svg)
    svg = re.sub(r">\s+<", "><", svg.strip())
    opened: list[bool] = []

    def unwrapped(tag: re.Match[str]) -> str:
        if tag[0] == "</g>":
            return tag[0] if opened.pop() else ""
        opened.append(tag[0] != "<g>")
        return tag[0] if opened[-1] else ""

    svg = re.sub(r"</?g\b[^>]*>", unwrapped, svg).replace("<defs></defs>", "")
    svg = _ruled(svg)
    svg = re.sub(r'(?:<(?:path d|use href)=[^>]* style="[^"]*"/>){2,}', _shared, svg)
    return re.sub(r'(?<= d=")[^"]*', lambda path: _steps(path[0]), svg)


def _ruled(svg: str) -> str:
    """The ticks of an axis as one path, and the pale lines across a panel as another."""
    line = r'd="(M [\d.-]+ [\d.-]+ L [\d.-]+ [\d.-]+ )"( [^>]*)/>'
    ticks = {
        name: (float(x), float(y), look)
        for name, x, y, look in re.findall(r'<path id="([^"]+)" d="M 0 0 L ([\d.-]+) ([\d.-]+) "( [^>]*)/>', svg)
    }

    def one(run: re.Match[str]) -> str:
        lines: dict[str, str] = {}

        def taken(shape: re.Match[str]) -> str:
            path, look, name, *at = shape.groups()
            if name in ticks:
                across, up, look = ticks[name]
                x, y = map(float, at)
                path = f"M {x} {y} L {x + across:.1f} {y + up:.1f} "
            elif name:
                return shape[0]
            lines[look] = lines.get(look, "") + path
            return ""

        rest = re.sub(rf'<path {line}|<use href="#([^"]+)" x="([^"]+)" y="([^"]+)"/>', taken, run[0])
        return "".join(f'<path d="{path}"{look}/>' for look, path in lines.items()) + rest

    rule = line.replace("[^>]*", "[^>]*stroke: currentColor[^>]*")
    among = rf'(?:<text\b.*?</text>|<defs><path [^>]*/></defs>|<use href="[^"]+" x="[^"]+" y="[^"]+"/>|<path {rule})+'
    svg = re.sub(among, one, svg)
    for name in ticks:
        if f'href="#{name}"' not in svg:
            svg = re.sub(rf'<path id="{name}" [^>]*/>', "", svg)
    return svg.replace("<defs></defs>", "")


def _shared(shapes: re.Match[str]) -> str:
    """Neighbors that are drawn alike, in one group that says how; what fills them, in groups within it."""
    parted = [
        (start, f'{clip} style="{style}"', fill)
        for start, clip, style in re.findall(r'(<\w+ [^>]*?)((?: clip-path="[^"]*")?) style="([^"]*)"/>', shapes[0])
        for fill in re.findall(r"(?:^|; )(fill: [^;]*)", style) or [""]
    ]

    def alike(shape: tuple[str, str, str]) -> str:
        return shape[1].replace(shape[2], "")

    text = ""
    for look, members in itertools.groupby(parted, key=alike):
        run = list(members)
        # A group that lets the page through is not what its shapes are that do.
        if len(run) == 1 or re.search(r'[ "]opacity:', look):
            text += "".join(f"{start}{whole}/>" for start, whole, _ in run)
        elif len({fill for *_, fill in run}) == 1:
            text += f"<g{run[0][1]}>{''.join(f'{start}/>' for start, *_ in run)}</g>"
        else:
            text += "<g" + look.replace('style="; ', 'style="') + ">"
            for fill, same in itertools.groupby(run, key=lambda shape: shape[2]):
                starts = [start for start, *_ in same]
                said = f' style="{fill}"' if fill else ""
                text += f"<g{said}>{'/>'.join(starts)}/></g>" if len(starts) > 1 else f"{starts[0]}{said}/>"
            text += "</g>"
    return text


def _steps(path: str) -> str:
    """A path by the steps from each of its places to the next.

    >>> _steps("M 10 20.5 L 11 20 L 11.5 30 z M 0 0 Q 1 1 2 0")
    'M10 20.5l1-.5.5 10zM0 0q1 1 2 0'
    """
    if re.fullmatch(r"M[^MLCQz]*(L[^MLCQz]*)+", path):
        places = [(float(x), float(y)) for x, y in re.findall(r"([\d.-]+) ([\d.-]+)", path)]
        path = "M" + "L".join(f" {x} {y} " for x, y in _seen(places))
    text, before = "", ""
    at = start = (0, 0)
    for letter, places in re.findall(r"([MLCQz])([^MLCQz]*)", path):
        numbers = [round(float(number) * 10) for number in places.split()]
        if letter == "z":
            text, at = text + "z", start
        else:
            by = (0, 0) if letter == "M" else at
            moved = [_tenths(number - by[place % 2]) for place, number in enumerate(numbers)]
            joined = re.sub(r" (?=-)|(?<=\.\d) (?=\.)", "", " ".join(moved))  # 1 -.5 and .5 .5 need no space
            if letter == before != "M":  # the letter holds on
                apart = "" if joined[0] == "-" or (joined[0] == "." and "." in text[-2:]) else " "
                text += apart + joined
            else:
                text += (letter if letter == "M" else letter.lower()) + joined
            at = (numbers[-2], numbers[-1])
            start = at if letter == "M" else start
        before = letter
    return text


def _seen(places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The places without which a line would look different (Douglas and Peucker, 1973).

    >>> _seen([(0, 0), (5, 0.1), (10, 0), (20, 5)])
    [(0, 0), (10, 0), (20, 5)]
    """
    kept = {0, len(places) - 1}
    open_ = [(0, len(places) - 1)]
    while open_:
        first, last = open_.pop()
        away = {n: _distance(places[n], places[first], places[last]) for n in range(first + 1, last)}
        farthest = max(away, key=away.__getitem__, default=first)
        if away and away[farthest] > _UNSEEN:
            kept.add(farthest)
            open_ += [(first, farthest), (farthest, last)]
    return [places[n] for n in sorted(kept)]


def _distance(place: tuple[float, float], start: tuple[float, float], end: tuple[float, float]) -> float:
    """From a place to the nearest one between two others."""
    (x, y), (across, up) = (place[0] - start[0], place[1] - start[1]), (end[0] - start[0], end[1] - start[1])
    length = across**2 + up**2 or 1
    part = min(max((x * across + y * up) / length, 0), 1)
    return hypot(x - part * across, y - part * up)


def _tenths(number: int) -> str:
    whole, part = divmod(abs(number), 10)
    return ("-" if number < 0 else "") + (f"{whole or ''}.{part}" if part else str(whole))


def _lighter(png: re.Match[str]) -> str:
    """A photograph as WebP, as good as its bytes allow; what has few colors stays exact."""
    from PIL import Image

    data = base64.b64decode(re.sub(r"\s", "", png[1]))
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    best = _webp(image, lossless=True)
    if image.getcolors(256) is None:
        for quality in range(85, 35, -5):
            close = _webp(image, quality)
            if len(close) <= _PHOTOGRAPH:
                break
        best = min(best, close, key=len)
    return f"data:image/webp;base64,{base64.b64encode(best).decode()}"


def _webp(image: Any, quality: int = 80, lossless: bool = False) -> bytes:
    file = io.BytesIO()
    image.save(file, "webp", quality=quality, lossless=lossless, method=6)
    return file.getvalue()


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


def _power(value: float) -> str:
    """
    >>> _power(0.001), _power(2000.0), _power(1.04), _power(0.0)
    ('10⁻³', '2,000', '1.04', '0')
    """
    text = f"{value:.0e}"
    if text.startswith("1e") and abs(float(text) / value - 1) < 1e-9:
        return "10" + str(int(text[2:])).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{value:,g}"


def _colored(svg: str) -> str:
    """Colors of the palette follow the page; ink and rules are the page's own."""
    known = {_INK: "currentColor", _RULE: "currentColor", "#000000": "currentColor", "black": "currentColor"}
    known["#ffffff"] = "var(--re-page, #ffffff)"
    for name, color in palette.LIGHT.items():
        known.setdefault(color.fill, palette.fill(name))
        known[color.line] = palette.line(name)
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda found: known.get(found[0], found[0]), svg)
    # A line may be paler than words may be: a name at a line is its color with some ink in it.
    return re.sub(r'(<text style="[^"]*fill: )(var\([^)]*\))', r"\1color-mix(in srgb, \2 70%, currentColor)", svg)


def _unique(svg: str) -> str:
    """Names that hold on a page with other plots: those that nothing asks for go, the others get a mark."""
    mark = hashlib.sha256(svg.encode()).hexdigest()[:8]
    asked = set(re.findall(r'(?:url\(|href=")#([\w.-]+)', svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda found: found[0] if found[1] in asked else "", svg)
    svg = re.sub(r"<g> (<path [^>]*/>) </g>", r"\1", svg)
    for name in asked:
        svg = re.sub(
            rf'(id="|url\(#|href="#){re.escape(name)}(?=["\)])',
            rf"\g<1>p{mark}{name[:3]}{sorted(asked).index(name)}",
            svg,
        )
    return svg
