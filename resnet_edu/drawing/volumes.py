"""The image on its way through a network as boxes to scale: wide and high as its map, long as its channels."""

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

from resnet_edu.counting import graph
from resnet_edu.counting.models import Model, name_of, steps_of
from resnet_edu.counting.recipes import check_choice
from resnet_edu.counting.steps import Shape, Step, shape_text
from resnet_edu.drawing import palette
from resnet_edu.drawing.pictures import Picture, journey, opening

#: A thinner side could not be seen: 3 channels, or 1×1 pixels.
_THINNEST = 2.5
#: How far a pixel to the back goes right and up, when one upwards goes 1.
_BACK = (0.42, 0.26)
#: More equal boxes than this, side by side, are not drawn.
_MOST = 6
#: Channels drawn as long as one pixel: round numbers, so that a reader can use the scale.
_ROUND = (
    1,
    2,
    3,
    4,
    5,
    6,
    8,
    *(tens * power for power in (1, 10, 100, 1000) for tens in (10, 15, 20, 30, 40, 50, 60, 80)),
)
_GAP, _MARGIN, _LINE = 24.0, 8.0, 16.0


class _Group(NamedTuple):
    """Equal boxes side by side: the output of one room, or of each block of a layer."""

    room: str
    role: str
    """Whose color it has."""
    shape: Shape
    boxes: int = 1
    blocks: int = 0

    @property
    def drawn(self) -> int:
        return min(self.boxes, _MOST)

    @property
    def labels(self) -> list[str]:
        rows = [self.room, shape_text(self.shape)]
        if self.blocks:
            rows.append(f"{self.blocks} block{'s' if self.blocks > 1 else ''}")
        if self.drawn < self.boxes:
            rows.append(f"({self.drawn} drawn)")
        return rows


class _Scale(NamedTuple):
    pixel: float
    channels: int
    """How many channels are drawn as long as one pixel."""

    def box(self, shape: Shape) -> tuple[float, float, float, float]:
        """Length, height, and how far the box goes back to the right and up, in the picture's units."""
        channels, height, width = _volume(shape)
        back = max(width * self.pixel, _THINNEST)
        return (
            max(channels * self.pixel / self.channels, _THINNEST),
            max(height * self.pixel, _THINNEST),
            back * _BACK[0],
            back * _BACK[1],
        )

    def group(self, group: _Group) -> tuple[float, float]:
        """Width and height of the group's boxes."""
        length, height, right, up = self.box(group.shape)
        return group.drawn * length + (group.drawn - 1) * _step(length) + right, height + up

    @property
    def words(self) -> list[str]:
        channels = "one channel" if self.channels == 1 else f"{self.channels} channels"
        return [
            f"To scale: one pixel is as long as {channels}.",
            "Thinner than a line is drawn as a line.",
        ]


def draw(
    model: Model = "resnet34",
    image: Shape | int = (3, 224, 224),
    level: str = "layer",
    *,
    title: str = "",
    **changes: object,
) -> Picture:
    """A network as boxes to scale: height and depth are pixels, length is channels.

    >>> draw("resnet18").alt[:97]
    'ResNet-18 as boxes to scale. The stem turns 3×224×224 into 64×56×56; layer1 keeps 56 pixels a sid'

    With ``level="block"`` there is one box for each block. Nothing is drawn thinner than 2.5 units, or
    a vector of 1×1 could not be seen. Raises ValueError for an unknown level, name or field.
    """
    return _drawn([model], [title], image, level, changes)


def compare(
    models: Sequence[Model] = ("resnet18", "resnet50"),
    image: Shape | int = (3, 224, 224),
    level: str = "layer",
    **changes: object,
) -> Picture:
    """Several networks, one below the other, all to the same scale.

    >>> compare(["resnet18", "resnet50"]).svg.count("ResNet-50</text>")
    1
    """
    return _drawn(models, [""] * len(models), image, level, changes)


def _drawn(
    models: Sequence[Model], titles: Sequence[str], image: Shape | int, level: str, changes: dict[str, object]
) -> Picture:
    check_choice("level", level, ("layer", "block"))
    runs = [steps_of(model, image, **(changes if isinstance(model, str) else {})) for model in models]
    names = [title or name_of(model, **changes) for model, title in zip(models, titles, strict=True)]
    groups = [_groups(steps, level) for steps in runs]
    headings = names if len(names) > 1 else [""]
    wide, narrow = _scales(groups)
    widest = max(narrow.group(group)[0] for row in groups for group in row)
    alt = " ".join(f"{name} as boxes to scale. {journey(steps)}" for name, steps in zip(names, runs, strict=True))
    return Picture(
        _page([_across(row, wide) for row in groups], headings, wide),
        f"{alt} {' '.join(wide.words)}",
        _page([_down(row, narrow, widest) for row in groups], headings, narrow),
    )


def _groups(steps: Sequence[Step], level: str) -> list[_Group]:
    groups = [_Group("image", "image", steps[0].input)]
    for part in graph.parts(steps):
        if level == "layer":
            groups.append(_Group(part.name, part.role, steps[part.stop - 1].output, 1, len(part.blocks)))
            continue
        starts = {block.start for block in part.blocks}
        for shape, members in groupby(graph.runs(part), lambda run: steps[run[2] - 1].output):
            runs = list(members)
            blocks = sum(start in starts for _, start, _ in runs)
            groups.append(_Group(part.name, part.role, shape, blocks or 1, blocks))
    return groups


def _scales(rows: Sequence[Sequence[_Group]]) -> tuple[_Scale, _Scale]:
    """For the wide and the narrow arrangement: the largest boxes that fit, in the same proportions."""
    largest = max(max(_volume(group.shape)[1:]) for row in rows for group in row)
    for channels in _ROUND:
        wide, narrow = _Scale(150 / largest, channels), _Scale(120 / largest, channels)
        across = [[wide.group(group)[0] for group in row] for row in rows]
        down = [[narrow.group(group)[0] for group in row] for row in rows]
        # What goes back takes width too, and no scale of the channels makes it less.
        lengths = [[wide.group(group)[0] - wide.box(group.shape)[2] for group in row] for row in rows]
        if max(map(max, across + down)) <= 200 and max(map(sum, lengths)) <= 380:
            break
    return wide, narrow


class _Part(NamedTuple):
    svg: str
    width: float
    height: float


def _across(groups: Sequence[_Group], scale: _Scale) -> _Part:
    """From left to right, the boxes on one axis, each with its labels below."""
    axis = max(scale.group(group)[1] for group in groups) / 2
    x, bottom = 0.0, 0.0
    parts = []
    for number, group in enumerate(groups):
        width, height = scale.group(group)
        column = max(width, *map(_text_width, group.labels))
        if number:
            parts.append(_arrow(x + 3, axis, x + _GAP - 5, axis))
            x += _GAP
        parts.append(_boxes(group, scale, x + (column - width) / 2, axis - height / 2))
        y = axis + height / 2 + _LINE
        parts.append(_labels(group, x + column / 2, y, "middle"))
        bottom = max(bottom, y + _LINE * (len(group.labels) - 1))
        x += column
    return _Part("".join(parts), x, bottom + 6)


def _down(groups: Sequence[_Group], scale: _Scale, widest: float) -> _Part:
    """From top to bottom, the labels to the right of the widest boxes."""
    parts = []
    y, width = 0.0, 0.0
    for number, group in enumerate(groups):
        own, height = scale.group(group)
        row = max(height, _LINE * len(group.labels))
        if number:
            parts.append(_arrow(widest / 2, y + 2, widest / 2, y + 16))
            y += 20
        parts.append(_boxes(group, scale, (widest - own) / 2, y + (row - height) / 2))
        top = y + (row - _LINE * len(group.labels)) / 2 + 12
        parts.append(_labels(group, widest + 16, top, "start"))
        width = max(width, widest + 16 + max(map(_text_width, group.labels)))
        y += row
    return _Part("".join(parts), width, y)


def _page(parts: Sequence[_Part], titles: Sequence[str], scale: _Scale) -> str:
    width = 2 * _MARGIN + max(*(part.width for part in parts), *map(_text_width, scale.words))
    y = _MARGIN
    body = []
    for part, title in zip(parts, titles, strict=True):
        if title:
            body.append(_text(_MARGIN, y + 12, title, "start", bold=True))
            y += _LINE + 8
        # One alone stands in the middle; several begin at the same edge, so that they can be compared.
        x = _MARGIN if title else (width - part.width) / 2
        body.append(f'<g transform="translate({x:.1f} {y:.1f})">{part.svg}</g>')
        y += part.height + _LINE
    for words in scale.words:
        y += _LINE
        body.append(_text(width / 2, y, words, "middle"))
    height = y + _MARGIN
    return opening(width, height) + "".join(body) + "</svg>"


def _boxes(group: _Group, scale: _Scale, x: float, y: float) -> str:
    length, height, right, up = scale.box(group.shape)
    y += up
    paint = f"fill:{palette.fill(group.role)};stroke:{palette.line(group.role)}"
    parts = [f'<g stroke-linejoin="round" style="{paint}">']
    for _ in range(group.drawn):
        front = f"M{x:.1f} {y:.1f}h{length:.1f}v{height:.1f}h{-length:.1f}z"
        top = f"M{x:.1f} {y:.1f}l{right:.1f} {-up:.1f}h{length:.1f}l{-right:.1f} {up:.1f}z"
        end = f"M{x + length:.1f} {y:.1f}l{right:.1f} {-up:.1f}v{height:.1f}l{-right:.1f} {up:.1f}z"
        # The light comes from above: the same color, with white over the top and black over the end.
        parts.append(f'<path d="{front}"/><path d="{top}"/><path d="{end}"/>')
        parts.append(f'<path d="{top}" style="fill:#fff;stroke:none" opacity=".3"/>')
        parts.append(f'<path d="{end}" style="fill:#000;stroke:none" opacity=".14"/>')
        x += length + _step(length)
    parts.append("</g>")
    return "".join(parts)


def _labels(group: _Group, x: float, y: float, anchor: str) -> str:
    return "".join(
        _text(x, y + _LINE * number, label, anchor, bold=number == 0) for number, label in enumerate(group.labels)
    )


def _text(x: float, y: float, text: str, anchor: str, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor"{weight}>{escape(text)}</text>'


def _arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    head = "l-5 -3.5v7z" if y == to_y else "l-3.5 -5h7z"
    return (
        f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" stroke="currentColor" fill="none"/>'
        f'<path d="M{to_x:.1f} {to_y:.1f}{head}" fill="currentColor"/>'
    )


def _step(length: float) -> float:
    return 5.0 + length * 0.15


def _volume(shape: Shape) -> tuple[int, int, int]:
    if len(shape) == 2:  # tokens, each with its channels
        return shape[1], shape[0], 1
    # A vector is a map of a single pixel; of a film, one image is drawn.
    channels, *sides = shape or (1,)
    height, width = (*sides, 1, 1)[:2] if len(sides) < 2 else sides[-2:]
    return channels, height, width


def _text_width(text: str) -> float:
    # Wide enough for every font that the page may choose; the pictures do not know which.
    return 7.6 * len(text)
