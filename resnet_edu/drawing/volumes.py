"""The image on its way through a network as boxes to scale: wide and high as its map, long as its channels."""

import math
import re
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

from resnet_edu.counting import graph
from resnet_edu.counting.models import Model, name_of, steps_of
from resnet_edu.counting.recipes import check_choice
from resnet_edu.counting.steps import Shape, Step, layer_of, shape_text
from resnet_edu.drawing import palette
from resnet_edu.drawing.pictures import PHONE, Picture, journey, opening

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
        channels, height, _ = _volume(shape)
        return (
            max(channels * self.pixel / self.channels, _THINNEST),
            max(height * self.pixel, _THINNEST),
            *_moved_back(self.depth(shape)),
        )

    def depth(self, shape: Shape) -> float:
        """From the front to the back, before it is drawn at an angle."""
        return max(_volume(shape)[2] * self.pixel, _THINNEST)

    def group(self, group: _Group) -> tuple[float, float]:
        """Width and height of the group's boxes."""
        length, height, right, up = self.box(group.shape)
        return group.drawn * length + (group.drawn - 1) * _step(length) + right, height + up

    @property
    def words(self) -> list[str]:
        channels = "one channel" if self.channels == 1 else f"{self.channels:,} channels"
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
    a vector of 1×1 could not be seen.

    ``level="operation"`` draws every convolution, pooling and linear layer by itself: its kernel on the map
    that it reads, and the one number and the one channel that the kernel makes. Best for a few Steps:

    >>> from resnet_edu.counting import arithmetic
    >>> stem = draw(arithmetic.steps("resnet18")[:4], level="operation")
    >>> print(stem.alt[:104])
    conv1: each of 64 filters is 3×7×7, reads 3×224×224 and makes one channel of 64×112×112; then batch norm

    Raises ValueError for an unknown level, name or field, and for Steps without a kernel to draw.
    """
    check_choice("level", level, ("layer", "block", "operation"))
    if level == "operation":
        return _operations(steps_of(model, image, **changes))
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

    Raises ValueError for a level that is neither ``"layer"`` nor ``"block"``.
    """
    check_choice("level", level, ("layer", "block"))
    return _drawn(models, [""] * len(models), image, level, changes)


def _drawn(
    models: Sequence[Model], titles: Sequence[str], image: Shape | int, level: str, changes: dict[str, object]
) -> Picture:
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
            shape = graph.channels_first(steps, steps[part.stop - 1].output)
            groups.append(_Group(part.name, part.role, shape, 1, len(part.blocks)))
            continue
        starts = {block.start for block in part.blocks}
        for shape, members in groupby(graph.runs(part), lambda run: steps[run[2] - 1].output):
            runs = list(members)
            blocks = sum(start in starts for _, start, _ in runs)
            groups.append(_Group(part.name, part.role, graph.channels_first(steps, shape), blocks or 1, blocks))
    return groups


def _scales(rows: Sequence[Sequence[_Group]]) -> tuple[_Scale, _Scale]:
    """For the wide and the narrow arrangement: the largest boxes that fit, in the same proportions."""
    largest = max(max(_volume(group.shape)[1:]) for row in rows for group in row)
    for channels in _ROUND:
        wide, narrow = _Scale(150 / largest, channels), _Scale(120 / largest, channels)
        across = [[wide.group(group)[0] for group in row] for row in rows]
        # What goes back takes width too, and no scale of the channels makes it less.
        lengths = [[wide.group(group)[0] - wide.box(group.shape)[2] for group in row] for row in rows]
        if max(map(max, across)) <= 200 and max(map(sum, lengths)) <= 380:
            break
    return wide, narrow


class _Part(NamedTuple):
    svg: str
    width: float
    height: float


def _across(groups: Sequence[_Group], scale: _Scale) -> _Part:
    """From left to right, the boxes on one axis, and below all of them their labels, on one line."""
    axis = max(scale.group(group)[1] for group in groups) / 2
    x = bottom = 0.0
    parts = []
    for number, group in enumerate(groups):
        width, height = scale.group(group)
        column = max(width, *map(_text_width, group.labels))
        if number:
            parts.append(_arrow(x + 3, axis, x + _GAP - 5, axis))
            x += _GAP
        parts.append(_boxes(group, scale, x + (column - width) / 2, axis - height / 2))
        y = 2 * axis + _LINE
        parts.append(_labels(group, x + column / 2, y, "middle"))
        bottom = max(bottom, y + _LINE * (len(group.labels) - 1))
        x += column
    return _Part("".join(parts), x, bottom + 6)


def _down(groups: Sequence[_Group], scale: _Scale, widest: float) -> _Part:
    """From top to bottom, the labels to the right of the widest boxes."""
    parts = []
    y = width = 0.0
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


# ------------------------------------------------------------------------------------------- one operation each


class _Kernel(NamedTuple):
    """An operation that reads a window of its map: what one filter looks like, and what it makes."""

    step: Step
    filter: Shape
    """Channels, height and width of the window that makes one number."""
    strides: tuple[int, int]
    """Down and across."""
    painted: tuple[str, str]
    """The rooms whose colors the two maps have."""
    then: tuple[str, ...]
    """What follows and leaves the shape alone."""

    @property
    def sentence(self) -> str:
        count, kind = self.step.output[0], self.step.operation.partition(" ")[0]
        shapes = [shape_text(shape) for shape in (self.step.input, self.step.output)]
        if kind == "linear":
            return f"each of {count:,} weighted sums reads all {self.filter[0]:,} numbers"
        if kind == "conv":
            one = f"each of {count:,} filters" if count > 1 else "the one filter"
            return f"{one} is {shape_text(self.filter)}, reads {shapes[0]} and makes one channel of {shapes[1]}"
        window = shape_text(self.filter[1:])
        return f"a window of {window} in one channel at a time turns {shapes[0]} into {shapes[1]}"

    @property
    def words(self) -> str:
        """The same in a caption's length."""
        count, kind = self.step.output[0], self.step.operation.partition(" ")[0]
        if kind == "linear":
            return f"{count:,} weighted sums"
        if kind == "conv":
            return f"{count:,} filter{'s' if count > 1 else ''} of {shape_text(self.filter)}"
        return f"{shape_text(self.filter[1:])}, channel by channel"


def _operations(steps: Sequence[Step]) -> Picture:
    kernels = _kernels(steps)
    if not kernels:
        raise ValueError("level 'operation' draws convolutions, poolings and linear layers; these Steps have none")
    wide, narrow = _operation_scale(kernels, 150, 110), _operation_scale(kernels, 110, 80)
    words = [*wide.words, "Marked: one filter at one place, and the", "number it makes, in its channel (shaded)."]
    sentences = "; ".join(
        f"{kernel.step.room}: {kernel.sentence}{'; then ' if kernel.then else ''}{', '.join(kernel.then)}"
        for kernel in kernels
    )
    return Picture(
        _panels([_panel(kernel, wide) for kernel in kernels], words, 760),
        f"{sentences}. {' '.join(wide.words)}",
        _panels([_panel(kernel, narrow) for kernel in kernels], words, PHONE),
    )


def _kernels(steps: Sequence[Step]) -> list[_Kernel]:
    found: list[_Kernel] = []
    sources = graph.sources(steps)
    for number, step in enumerate(steps):
        window = _window(step)
        if window is None:
            if found and len(step.output) == len(found[-1].step.output):
                found[-1] = found[-1]._replace(then=(*found[-1].then, step.operation))
            continue
        source = sources[number][0] if sources[number] else graph.IMAGE
        outside = "image" if layer_of(step.room) == "stem" else step.room
        before = steps[source].room if source != graph.IMAGE else outside
        found.append(_Kernel(step, *window, (before, step.room), ()))
    return found


def _window(step: Step) -> tuple[Shape, tuple[int, int]] | None:
    """The filter and the strides of a Step that reads a window, by its operation and its shapes."""
    named = re.fullmatch(r"(conv|max-pool|average pool) (\d+)×(\d+)(?:/(\d+)(?:×(\d+))?)?.*", step.operation)
    if named:
        height, width = int(named[2]), int(named[3])
        channels = 1
        if named[1] == "conv":
            # What one filter reads for one number, so groups show and a bias does not.
            channels = step.multiply_adds // (math.prod(step.output) * height * width)
        down = int(named[4] or 1)
        return (channels, height, width), (down, int(named[5] or down))
    if step.operation == "average pool" and len(step.input) == 3:
        down, across = (before // after for before, after in zip(step.input[1:], step.output[1:], strict=True))
        return (1, down, across), (down, across)
    if step.operation == "linear" and len(step.input) == len(step.output) == 1:
        one = (1, 1)
        return (step.input[0], *one), one
    return None


def _operation_scale(kernels: Sequence[_Kernel], side: float, length: float) -> _Scale:
    shapes = [_volume(shape) for kernel in kernels for shape in (kernel.step.input, kernel.step.output)]
    pixel = side / max(*(max(shape[1:]) for shape in shapes), 7)  # vectors alone are not drawn as giants
    channels = max(shape[0] for shape in shapes)
    return _Scale(pixel, next((n for n in _ROUND if channels * pixel / n <= length), _ROUND[-1]))


def _panel(kernel: _Kernel, scale: _Scale) -> _Part:
    """One operation: the map that it reads with a filter on it, an arrow, the map that it makes."""
    step = kernel.step
    shapes = (step.input, step.output)
    boxes = [scale.box(shape) for shape in shapes]
    head = [step.room, step.operation, kernel.words]
    labels = [shape_text(shape) for shape in shapes]
    columns = [max(box[0] + box[2], _text_width(label)) for box, label in zip(boxes, labels, strict=True)]
    tall = max(box[1] + box[3] for box in boxes)
    top = _LINE * len(head) + 4
    parts = [_text(0, 12 + _LINE * row, text, "start", bold=row == 0) for row, text in enumerate(head)]

    place = _place(kernel)
    # A pooling works on one channel, and a filter fills one: in the middle, where it can be told apart.
    pools = kernel.filter[0] == 1 < step.input[0]
    windows = (
        (kernel.filter, [at * stride for at, stride in zip(place, kernel.strides, strict=True)], pools),
        ((1, 1, 1), place, True),
    )
    x = 0.0
    for number, (window, at, alone) in enumerate(windows):
        length, height, right, up = boxes[number]
        left = x + (columns[number] - length - right) / 2
        front = top + (tall - height - up) / 2 + up  # the upper edge of the front face
        room = kernel.painted[number]
        mark = f"fill:{palette.ink(room)};stroke:{palette.ink(room)}"  # legible on the room's fill in both modes
        parts.append(_box(boxes[number], left, front, f"fill:{palette.fill(room)};stroke:{palette.line(room)}"))
        _, rows, row_length = _volume(shapes[number])
        start = left
        if alone:
            channel = scale.box((1, rows, row_length))
            start += (length - channel[0]) / 2
            parts.append(_box(channel, start, front, mark, 0.25))
        box = scale.box(window)
        # Nothing sticks out: what is drawn thicker than it is moves in.
        down = max(min(at[0] * scale.pixel, height - box[1]), 0)
        back = max(min(at[1] * scale.pixel, scale.depth(shapes[number]) - scale.depth(window)), 0)
        to_right, to_top = _moved_back(back)
        parts.append(_box(box, start + to_right, front + down - to_top, mark, 0.9))
        parts.append(_text(x + columns[number] / 2, top + tall + _LINE, labels[number], "middle"))
        x += columns[number]
        if number == 0:
            parts.append(_arrow(x + 3, top + tall / 2, x + _GAP - 5, top + tall / 2))
            x += _GAP
    bottom = top + tall + _LINE
    if kernel.then:
        bottom += _LINE
        parts.append(_text(0, bottom, f"then {', '.join(kernel.then)}", "start"))
    wide = max(x, *map(_text_width, head), _text_width(f"then {', '.join(kernel.then)}") if kernel.then else 0)
    return _Part("".join(parts), wide, bottom + 6)


def _place(kernel: _Kernel) -> list[int]:
    """Row and column of the number that is drawn: about a third from the upper front, and all of it inside."""
    _, height, width = _volume(kernel.step.output)
    most = [
        (before - reach) // stride
        for before, reach, stride in zip(_volume(kernel.step.input)[1:], kernel.filter[1:], kernel.strides, strict=True)
    ]
    return [max(0, min(side // 3, limit)) for side, limit in zip((height, width), most, strict=True)]


def _panels(parts: Sequence[_Part], words: Sequence[str], most: float) -> str:
    """The panels in rows, as many beside each other as fit."""
    apart, x, y, tall, widest = 40.0, _MARGIN, _MARGIN, 0.0, 0.0
    body = []
    for part in parts:
        if x > _MARGIN and x + part.width > most:
            x, y, tall = _MARGIN, y + tall + 2 * _LINE, 0.0
        body.append(f'<g transform="translate({x:.1f} {y:.1f})">{part.svg}</g>')
        x += part.width + apart
        widest, tall = max(widest, x - apart), max(tall, part.height)
    width = _MARGIN + max(widest, *map(_text_width, words))
    y += tall + _LINE / 2
    for line in words:
        y += _LINE
        body.append(_text(_MARGIN, y, line, "start"))
    return opening(width, y + _MARGIN) + "".join(body) + "</svg>"


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
        parts.append(_faces((length, height, right, up), x, y))
        x += length + _step(length)
    parts.append("</g>")
    return "".join(parts)


def _faces(box: tuple[float, float, float, float], x: float, y: float) -> str:
    """Front, top and end of a box whose front face begins at x and y."""
    length, height, right, up = box
    front = f"M{x:.1f} {y:.1f}h{length:.1f}v{height:.1f}h{-length:.1f}z"
    top = f"M{x:.1f} {y:.1f}l{right:.1f} {-up:.1f}h{length:.1f}l{-right:.1f} {up:.1f}z"
    end = f"M{x + length:.1f} {y:.1f}l{right:.1f} {-up:.1f}v{height:.1f}l{-right:.1f} {up:.1f}z"
    # The light comes from above: the same color, with white over the top and black over the end.
    return (
        f'<path d="{front}"/><path d="{top}"/><path d="{end}"/>'
        f'<path d="{top}" style="fill:#fff;stroke:none" opacity=".3"/>'
        f'<path d="{end}" style="fill:#000;stroke:none" opacity=".14"/>'
    )


def _box(box: tuple[float, float, float, float], x: float, y: float, paint: str, opacity: float = 1) -> str:
    seen = f' opacity="{opacity:g}"' if opacity < 1 else ""
    return f'<g stroke-linejoin="round" style="{paint}"{seen}>{_faces(box, x, y)}</g>'


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


def _moved_back(depth: float) -> tuple[float, float]:
    """How far right and how far up what lies so far back is drawn."""
    return depth * _BACK[0], depth * _BACK[1]


def _step(length: float) -> float:
    return 5.0 + length * 0.15


def _volume(shape: Shape) -> tuple[int, int, int]:
    if len(shape) == 2:  # tokens, each with its channels
        return shape[1], shape[0], 1
    # A vector is a map of a single pixel; of a film, one image is drawn.
    channels, *sides = shape or (1,)
    height, width = sides[-2:] if sides else (1, 1)
    return channels, height, width


def _text_width(text: str) -> float:
    # Wide enough for every font that the page may choose; the pictures do not know which.
    return 7.6 * len(text)
