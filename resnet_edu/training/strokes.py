"""From a stroke of the pen to 8×8 numbers, by the rules of the digits that the network learned; and pens to test it.

The digits of scikit-learn were written on a tablet and turned into 32×32 bitmaps, of which each 4×4 cell was counted.
Every one of them fills the whole height, stands upright, and has about 313 of 1,024 pixels inked, in every class. A
drawing that is prepared in another way is another task. ``net/drawing.js`` does the same in the page.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SIDE = 32
"""Pixels along one side of the bitmap; cells of 4×4 of them make 8×8 numbers."""
INK = 313
"""Pixels that are inked in a digit of scikit-learn, on average in every class."""
WIDTH = 22
"""Pixels that a digit's width is stretched to."""
NARROWEST = 0.35
"""A digit narrower than this share of its height, a 1, is not stretched to the full width."""
SLANT = 0.6
"""The most that a slant is taken back, in pixels to the side for each pixel down."""
RADIUS = (1.0, 5.0)
"""Half the thickness of a line, at least and at most."""


class Prepared(NamedTuple):
    """A drawing on its way into the network.

    >>> prepare([[(5, 0), (5, 10)]]).bitmap.shape
    (32, 32)
    """

    strokes: list[Array]
    """The lines in the bitmap's pixels, upright, scaled and centered, each ``(points, 2)``."""
    bitmap: NDArray[np.bool_]
    """Which pixels are inked, ``(32, 32)``."""
    counts: NDArray[np.int64]
    """Inked pixels of each cell, 0 to 16, ``(8, 8)``: what the network reads."""


def prepare(strokes: Sequence[Any]) -> Prepared:
    """Lines of points ``(x, y)``, y downward, in any unit → the numbers that the network reads.

    >>> one = prepare([[(5, 0), (5, 10)]])
    >>> one.counts.shape, int(one.counts.sum())                # pixels at the same distance are inked together
    ((8, 8), 300)

    Four steps: take out the slant, by moments; scale the inked box to 32 by 22; center it; ink the 313 pixels nearest
    to the line. Raises ValueError for a drawing without a point.
    """
    lines = [np.asarray(stroke, dtype=float).reshape(-1, 2) for stroke in strokes if len(stroke)]
    if not lines:
        raise ValueError("nothing was drawn; a drawing needs one point or more")
    lines = [line if len(line) > 1 else np.vstack([line, line + 1e-3]) for line in lines]
    lines = _upright(lines)
    points = np.concatenate(lines)
    low, high = points.min(0), points.max(0)
    width, height = np.maximum(high - low, 1e-9)
    height = max(height, 1e-3 * width)
    width = max(width, NARROWEST * height)
    middle = (low + high) / 2
    radius = 2.5
    scaled = lines
    for _ in range(4):  # the thickness depends on the length, which depends on the scale
        scale = np.array([(WIDTH - 2 * radius) / width, (SIDE - 2 * radius) / height])
        scaled = [(line - middle) * scale + SIDE / 2 for line in lines]
        length = sum(float(np.hypot(*(line[1:] - line[:-1]).T).sum()) for line in scaled)
        radius = min(max(INK / (2 * max(length, 1.0)), RADIUS[0]), RADIUS[1])
    distances = _distances(scaled)
    limit = min(max(float(np.sort(distances.ravel())[INK - 1]), RADIUS[0]), RADIUS[1])
    bitmap = distances <= limit
    counts = bitmap.reshape(8, 4, 8, 4).sum((1, 3))
    return Prepared(scaled, bitmap, counts)


def _upright(lines: list[Array]) -> list[Array]:
    """Shear so that x and y vary independently along the line."""
    starts, ends = np.concatenate([line[:-1] for line in lines]), np.concatenate([line[1:] for line in lines])
    weights = np.hypot(*(ends - starts).T)
    centers = (starts + ends) / 2
    total = max(float(weights.sum()), 1e-12)
    mean = (weights[:, None] * centers).sum(0) / total
    x, y = (centers - mean).T
    dx, dy = (ends - starts).T
    # A piece of a line varies around its middle by a twelfth of its length squared.
    down = float((weights * (y * y + dy * dy / 12)).sum())
    slant = float((weights * (x * y + dx * dy / 12)).sum()) / down if down > 1e-12 else 0.0
    slant = min(max(slant, -SLANT), SLANT)
    return [np.stack([line[:, 0] - slant * (line[:, 1] - mean[1]), line[:, 1]], 1) for line in lines]


def _distances(lines: list[Array]) -> Array:
    """How far the middle of each pixel is from the nearest line."""
    ticks = np.arange(SIDE) + 0.5
    x, y = np.meshgrid(ticks, ticks)
    best = np.full((SIDE, SIDE), np.inf)
    for line in lines:
        for (ax, ay), (bx, by) in pairwise(line):
            dx, dy = bx - ax, by - ay
            square = dx * dx + dy * dy
            share = np.clip(((x - ax) * dx + (y - ay) * dy) / square, 0, 1) if square > 0 else np.zeros_like(x)
            best = np.minimum(best, np.hypot(x - ax - share * dx, y - ay - share * dy))
    return best.round(6)  # pixels that are equally far stay so, whatever the last bit says


# -- pens that draw digits --------------------------------------------------------------------------


def _arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float) -> list[tuple[float, float]]:
    """Points of an ellipse from one angle to another, in degrees; 0 is to the right, 90 down."""
    angles = np.radians(np.linspace(start, end, max(4, int(abs(end - start) / 12))))
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]


#: Each digit in each of its forms, in a box 1 high and about 0.65 wide: lines of points.
FORMS: dict[int, dict[str, Callable[[], list[Any]]]] = {
    0: {
        "closed": lambda: [_arc(0.32, 0.5, 0.32, 0.5, -90, 270)],
        "open": lambda: [_arc(0.32, 0.5, 0.3, 0.5, -70, 265)],
        "narrow": lambda: [_arc(0.25, 0.5, 0.24, 0.5, -100, 262)],
    },
    1: {
        "stroke": lambda: [[(0.3, 0), (0.3, 1)]],
        "flag": lambda: [[(0.1, 0.25), (0.35, 0), (0.35, 1)]],
        "foot": lambda: [[(0.1, 0.25), (0.35, 0), (0.35, 1)], [(0.1, 1), (0.6, 1)]],
    },
    2: {
        "round": lambda: [[*_arc(0.3, 0.28, 0.3, 0.28, 190, 380), (0.02, 1), (0.65, 1)]],
        "loop": lambda: [
            [*_arc(0.3, 0.28, 0.3, 0.28, 190, 400), (0.08, 0.9), *_arc(0.12, 0.9, 0.09, 0.08, 180, -60), (0.65, 1)]
        ],
    },
    3: {
        "round": lambda: [[*_arc(0.28, 0.26, 0.3, 0.26, 200, 430), *_arc(0.28, 0.75, 0.33, 0.26, -80, 150)]],
        "flat": lambda: [[(0.05, 0), (0.6, 0), (0.25, 0.4), *_arc(0.27, 0.7, 0.35, 0.3, -80, 150)]],
    },
    4: {
        "open": lambda: [[(0.12, 0), (0.05, 0.6), (0.68, 0.6)], [(0.5, 0.25), (0.48, 1)]],
        "closed": lambda: [[(0.45, 1), (0.45, 0), (0.02, 0.68), (0.68, 0.68)]],
    },
    5: {
        "one line": lambda: [[(0.6, 0), (0.12, 0), (0.08, 0.45), *_arc(0.28, 0.68, 0.34, 0.31, -115, 150)]],
        "with a hat": lambda: [
            [(0.12, 0.02), (0.08, 0.45), *_arc(0.28, 0.68, 0.34, 0.31, -115, 150)],
            [(0.12, 0), (0.62, 0.02)],
        ],
    },
    6: {
        "curved": lambda: [[(0.52, 0), *_arc(0.6, 0.7, 0.58, 0.62, 230, 180), *_arc(0.32, 0.72, 0.3, 0.28, 180, -180)]],
        "straight": lambda: [[(0.4, 0), (0.06, 0.62), *_arc(0.32, 0.73, 0.28, 0.27, 190, -170)]],
    },
    7: {
        "plain": lambda: [[(0.02, 0), (0.62, 0), (0.22, 1)]],
        "bar": lambda: [[(0.02, 0), (0.62, 0), (0.22, 1)], [(0.15, 0.5), (0.6, 0.5)]],
    },
    8: {
        "figure": lambda: [[*_arc(0.3, 0.25, 0.25, 0.25, 60, -240), *_arc(0.3, 0.75, 0.3, 0.25, -60, 240)]],
        "circles": lambda: [_arc(0.3, 0.24, 0.24, 0.24, 90, 450), _arc(0.3, 0.74, 0.3, 0.26, -90, 270)],
    },
    9: {
        "straight": lambda: [[*_arc(0.3, 0.28, 0.28, 0.28, 0, -360), (0.56, 1)]],
        "curved": lambda: [[*_arc(0.3, 0.28, 0.28, 0.28, 0, -360), (0.58, 0.6), *_arc(0.28, 0.72, 0.3, 0.28, 10, 120)]],
    },
}

_SLANTS: dict[str, dict[str, float]] = {
    "upright": {},
    "leaning": {"slant": -0.35},
    "backward": {"slant": 0.25},
    "turned": {"turn": 9.0},
}
_WIDTHS: dict[str, dict[str, float]] = {"narrow": {"wide": 0.75}, "usual": {"wide": 1.0}, "broad": {"wide": 1.3}}
_HANDS: dict[str, dict[str, float]] = {"steady": {"shake": 0.012, "keep": 1.0}, "shaky": {"shake": 0.03, "keep": 0.5}}
#: Twenty-four hands: slant or turn, width against height, how shaky, how many of a curve's points are kept.
STYLES: dict[str, dict[str, float]] = {
    f"{slant}, {width}, {hand}": {**_SLANTS[slant], **_WIDTHS[width], **_HANDS[hand]}
    for slant in _SLANTS
    for width in _WIDTHS
    for hand in _HANDS
}


class Drawing(NamedTuple):
    """A digit drawn by one of the pens.

    >>> drawings(8)[7].digit, len(drawings(8)[7].strokes[0][0])                # points (x, y)
    (7, 2)
    """

    digit: int
    form: str
    style: str
    strokes: list[Array]


def drawings(count: int, seed: int = 0) -> list[Drawing]:
    """Simulated drawings: every digit in turn, a form and a hand by chance.

    >>> [drawing.digit for drawing in drawings(12)]
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    """
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        digit = number % 10
        form = str(random.choice(list(FORMS[digit])))
        name = str(random.choice(list(STYLES)))
        style = {"slant": 0.0, "turn": 0.0, **STYLES[name]}
        size, offset = random.uniform(60, 220), random.uniform(0, 100, 2)
        turn = math.radians(style["turn"] * random.choice([-1, 1]))
        slant = style["slant"] + random.normal(0, 0.05)
        bend = random.normal(0, 0.04, 4)
        strokes = []
        for line in FORMS[digit][form]():
            points = np.asarray(line, dtype=float)
            # A quick hand keeps only some of a curve's points, so that corners show where there were none. Points
            # far from their neighbors are corners already.
            far = np.hypot(*(points[1:] - points[:-1]).T) > 0.2
            corner = np.concatenate([[True], far]) | np.concatenate([far, [True]])
            points = points[corner | (random.random(len(points)) < style["keep"])]
            x, y = points.T
            x = x * style["wide"] * (1 + bend[0]) + bend[1] * np.sin(math.pi * y) + slant * (y - 0.5)
            y = y + bend[2] * np.sin(math.pi * x) + bend[3] * x
            points = np.stack([x, y], 1) + random.normal(0, style["shake"], (len(x), 2))
            points = points @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
            strokes.append(points * size + offset)
        made.append(Drawing(digit, form, name, strokes))
    return made
