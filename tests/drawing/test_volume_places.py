"""Where each box, arrow and text of the volumes stands: on one axis, below its box or beside it, and inside."""

import itertools
import math
import re
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

import pytest
import torch
from torch import nn

from resnet_edu.counting import arithmetic
from resnet_edu.counting.steps import Step
from resnet_edu.drawing import diagrams, palette, tables, volumes
from resnet_edu.drawing.pictures import PHONE, size_of

SVG = "{http://www.w3.org/2000/svg}"
LETTER, LINE, GAP, MARGIN = 7.6, 16, 24, 8


class Solid(NamedTuple):
    """A box: its front face, and how far it goes back to the right and up."""

    x: float
    y: float
    length: float
    height: float
    right: float
    up: float

    @property
    def top(self) -> float:
        return self.y - self.up

    @property
    def bottom(self) -> float:
        return self.y + self.height


class Text(NamedTuple):
    x: float
    y: float
    anchor: str
    text: str
    is_bold: bool


class Arrow(NamedTuple):
    x: float
    y: float
    to_x: float
    to_y: float


def parts(svg: str) -> list[list[Solid | Text | Arrow]]:
    """What each group at its own place holds, in the order in which it is drawn, and last what lies in none."""
    found: list[list[Solid | Text | Arrow]] = []
    rest: list[Solid | Text | Arrow] = []

    def read(element: ElementTree.Element, x: float, y: float, into: list[Solid | Text | Arrow]) -> None:
        if element.tag == f"{SVG}text":
            at = (x + float(element.get("x")), y + float(element.get("y")))
            into.append(Text(*at, element.get("text-anchor"), element.text, element.get("font-weight") == "600"))
        faces = [path.get("d") for path in element if path.tag == f"{SVG}path"]
        if element.tag == f"{SVG}g" and element.get("style"):
            for front, top, end in zip(faces[::5], faces[1::5], faces[2::5], strict=True):
                numbers = [float(number) for number in re.findall(r"-?[\d.]+", front)]
                right, up = re.search(r"l([\d.]+) -([\d.]+)h", top).groups()
                solid = Solid(x + numbers[0], y + numbers[1], numbers[2], numbers[3], float(right), float(up))
                beside = [float(number) for number in re.findall(r"-?[\d.]+", end)]
                assert beside[0] == pytest.approx(numbers[0] + numbers[2], abs=0.11)
                assert beside[1] == numbers[1]
                into.append(solid)
            return
        for child in element:
            line = re.fullmatch(r"M(-?[\d.]+) (-?[\d.]+)L(-?[\d.]+) (-?[\d.]+)", child.get("d", ""))
            if line:
                a, b, c, e = map(float, line.groups())
                into.append(Arrow(x + a, y + b, x + c, y + e))
                assert f"M{line[3]} {line[4]}{'l-5 -3.5v7z' if b == e else 'l-3.5 -5h7z'}" in faces
            moved = re.match(r"translate\(([\d.-]+) ([\d.-]+)\)", child.get("transform", ""))
            if moved:
                inside: list[Solid | Text | Arrow] = []
                read(child, x + float(moved[1]), y + float(moved[2]), inside)
                found.append(inside)
            else:
                read(child, x, y, into)

    read(ElementTree.fromstring(svg), 0, 0, rest)
    return [*found, rest]


def columns(part: list[Solid | Text | Arrow]) -> list[tuple[list[Solid], list[Text]]]:
    """Boxes and labels from one arrow to the next."""
    found: list[tuple[list[Solid], list[Text]]] = [([], [])]
    for one in part:
        if isinstance(one, Arrow):
            found.append(([], []))
        else:
            found[-1][isinstance(one, Text)].append(one)
    return found


def near(value: float) -> object:
    return pytest.approx(value, abs=0.21)  # coordinates have one digit, and some are sums of several


@pytest.mark.parametrize("level", ["layer", "block"])
@pytest.mark.parametrize("name", ["resnet18", "resnet101"])
def test_side_by_side_all_boxes_lie_on_one_axis_and_their_labels_on_one_line_below(name: str, level: str) -> None:
    svg = volumes.draw(name, level=level).svg
    part, words = parts(svg)
    arrows = [one for one in part if isinstance(one, Arrow)]
    found = columns(part)
    assert len(found) == len(arrows) + 1
    axis = arrows[0].y
    lowest = max(box.bottom for boxes, _ in found for box in boxes)  # the labels of all boxes are on one line
    edges = []
    for boxes, labels in found:
        left, right = boxes[0].x, boxes[-1].x + boxes[-1].length + boxes[-1].right
        for one, other in itertools.pairwise(boxes):
            assert other.x - one.x == near(one.length + 5 + 0.15 * one.length)
        assert all((box.top + box.bottom) / 2 == near(axis) for box in boxes)
        assert all(label.x == near((left + right) / 2) for label in labels)
        assert [label.y for label in labels] == [near(lowest + LINE * (n + 1)) for n in range(len(labels))]
        assert [label.is_bold for label in labels] == [True] + [False] * (len(labels) - 1)
        assert all(label.anchor == "middle" for label in labels)
        half = max(right - left, *(LETTER * len(label.text) for label in labels)) / 2
        edges.append(((left + right) / 2 - half, (left + right) / 2 + half))
    for arrow, (_, end), (start, _) in zip(arrows, edges, edges[1:], strict=False):
        assert arrow == (near(end + 3), near(axis), near(start - 5), near(axis))
        assert start - end == near(GAP)
    width, height = size_of(svg)
    assert min(boxes[0].top for boxes, _ in found) == near(MARGIN)
    assert edges[0][0] == near(width - edges[-1][1])  # in the middle
    deepest = max(label.y for _, labels in found for label in labels)
    assert [word.y for word in words] == [near(deepest + 6 + 2 * LINE), near(deepest + 6 + 3 * LINE)]
    assert all((word.x, word.anchor) == (near(width / 2), "middle") for word in words)
    assert height == near(words[-1].y + MARGIN)
    assert width == near(2 * MARGIN + max(edges[-1][1] - edges[0][0], *(LETTER * len(word.text) for word in words)))


@pytest.mark.parametrize("level", ["layer", "block"])
def test_one_below_the_other_the_labels_stand_right_of_the_widest(level: str) -> None:
    svg = volumes.draw("resnet18", level=level).narrow
    part, _ = parts(svg)
    arrows = [one for one in part if isinstance(one, Arrow)]
    found = columns(part)
    middle = arrows[0].x
    spans = [(boxes[0].x, boxes[-1].x + boxes[-1].length + boxes[-1].right) for boxes, _ in found]
    widest = max(right - left for left, right in spans)
    rows = []
    for (boxes, labels), (left, right) in zip(found, spans, strict=True):
        assert (left + right) / 2 == near(middle)
        assert all((label.x, label.anchor) == (near(middle + widest / 2 + 16), "start") for label in labels)
        between = (boxes[0].top + boxes[0].bottom) / 2
        tall = max(boxes[0].bottom - boxes[0].top, LINE * len(labels))
        rows.append((between - tall / 2, between + tall / 2))
        first = between - LINE * len(labels) / 2 + 12
        assert [label.y for label in labels] == [near(first + LINE * n) for n in range(len(labels))]
    for arrow, (_, end), (start, _) in zip(arrows, rows, rows[1:], strict=False):
        assert start - end == near(20)
        assert arrow == (near(middle), near(end + 2), near(middle), near(end + 16))
    assert rows[0][0] == near(MARGIN)


def test_compared_networks_begin_at_one_edge_each_below_its_name() -> None:
    svg = volumes.compare(["resnet18", "cifar20"], (3, 64, 64)).svg
    first, second, rest = parts(svg)
    titles = [one for one in rest if one.is_bold]
    assert [(title.text, title.x, title.anchor) for title in titles] == [
        ("ResNet-18", MARGIN, "start"),
        ("CIFAR ResNet-20", MARGIN, "start"),
    ]
    assert titles[0].y == near(MARGIN + 12)
    for title, part in ((titles[0], first), (titles[1], second)):
        solids = [one for one in part if isinstance(one, Solid)]
        labels = [one for one in part if isinstance(one, Text)]
        assert min(solid.top for solid in solids) == near(title.y + LINE + 8 - 12)
        start = min(solids[0].x, labels[0].x - LETTER * max(len(label.text) for label in labels[:2]) / 2)
        assert start == near(MARGIN)
    deepest = max(one.y for one in first if isinstance(one, Text))
    assert titles[1].y == near(deepest + 6 + LINE + 12)


@pytest.mark.parametrize(
    ("image", "wide", "narrow"),
    [((3, 224, 224), 150 / 224, 120 / 224), ((3, 64, 96), 150 / 96, 120 / 96), ((1, 30, 20), 5, 4)],
)
def test_the_largest_side_is_150_units_and_120_on_a_phone(image: tuple[int, ...], wide: float, narrow: float) -> None:
    picture = volumes.draw("resnet18", image, in_channels=image[0])
    for svg, pixel in ((picture.svg, wide), (picture.narrow, narrow)):
        solid = parts(svg)[0][0]
        assert solid.height == near(image[1] * pixel)
        assert (solid.right, solid.up) == (near(image[2] * pixel * 0.42), near(image[2] * pixel * 0.26))


def test_channels_are_as_long_as_the_first_round_number_allows() -> None:
    """No group longer than 200, and all of them together at most 380: the next smaller number would not do."""
    for name, level in (("resnet18", "layer"), ("resnet50", "layer"), ("resnet34", "block"), ("cifar20", "layer")):
        image = (3, 32, 32) if name.startswith("cifar") else (3, 224, 224)
        groups = [volumes._groups(arithmetic.steps(name, image), level)]
        for scale, side in zip(volumes._scales(groups), (150, 120), strict=True):
            assert scale.pixel == side / max(image[1:])

            def fits(
                channels: int, groups: list[list[volumes._Group]] = groups, image: tuple[int, ...] = image
            ) -> bool:
                longest, total = 0.0, 0.0
                for most in (150, 120):
                    for group in groups[0]:
                        count, _, across = (*group.shape, 1, 1)[:3]
                        length = max(count * most / image[1] / channels, 2.5)
                        boxes = min(group.boxes, 6)
                        whole = boxes * length + (boxes - 1) * (5 + 0.15 * length)
                        back = max(across * most / image[1], 2.5) * 0.42
                        longest = max(longest, whole + back)
                        total += whole * (most == 150)
                return longest <= 200 and total <= 380

            before = volumes._ROUND[: volumes._ROUND.index(scale.channels)]
            assert fits(scale.channels)
            assert not any(map(fits, before))


# One operation each


def test_an_operation_has_its_head_above_and_its_shapes_below() -> None:
    steps = arithmetic.steps("resnet18")[:4]
    picture = volumes.draw(steps, level="operation")
    for svg in (picture.svg, picture.narrow):
        *panels, rest = parts(svg)
        assert len(panels) == 2
        for panel, head in zip(
            panels,
            (["conv1", "conv 7×7/2", "64 filters of 3×7×7"], ["maxpool", "max-pool 3×3/2", "3×3, channel by channel"]),
            strict=True,
        ):
            texts = [one for one in panel if isinstance(one, Text)]
            assert [(text.text, text.is_bold) for text in texts[:3]] == [
                (head[0], True),
                (head[1], False),
                (head[2], False),
            ]
            left, top = texts[0].x, texts[0].y - 12
            assert [(text.x, text.y, text.anchor) for text in texts[:3]] == [
                (left, near(top + 12 + LINE * row), "start") for row in range(3)
            ]
            solids = [one for one in panel if isinstance(one, Solid)]
            (arrow,) = (one for one in panel if isinstance(one, Arrow))
            read, made = solids[0], solids[-3]
            assert min(read.top, made.top) == near(top + 3 * LINE + 4)
            bottom = max(read.bottom, made.bottom)
            assert (read.top + read.bottom) / 2 == near((made.top + made.bottom) / 2)
            assert arrow.y == near((read.top + read.bottom) / 2)
            for solid, label in ((read, texts[3]), (made, texts[4])):
                assert label.x == near(solid.x + (solid.length + solid.right) / 2)
                assert (label.y, label.anchor) == (near(bottom + LINE), "middle")
            columns = [max(s.length + s.right, LETTER * len(t.text)) for s, t in ((read, texts[3]), (made, texts[4]))]
            assert texts[3].x == near(left + columns[0] / 2)
            assert texts[4].x == near(left + columns[0] + GAP + columns[1] / 2)
            assert (arrow.x, arrow.to_x) == (near(left + columns[0] + 3), near(left + columns[0] + GAP - 5))
        then = panels[0][-1]
        assert (then.text, then.anchor, then.x) == ("then batch norm, ReLU", "start", near(panels[0][0].x))
        assert then.y == near(max(one.y for one in panels[0][:-1] if isinstance(one, Text)) + LINE)
        assert [word.text for word in rest][-2:] == [
            "Marked: one filter at one place, and the",
            "number it makes, in its channel (shaded).",
        ]
        assert all((word.x, word.anchor) == (MARGIN, "start") for word in rest)
        assert [b.y - a.y for a, b in itertools.pairwise(rest)] == [near(LINE)] * 3
        row = max(one.y for panel in panels for one in panel if isinstance(one, Text) and panel[0].y == panels[-1][0].y)
        assert rest[0].y == near(row + 6 + LINE / 2 + LINE)


def test_panels_stand_beside_each_other_as_long_as_they_fit() -> None:
    steps = arithmetic.steps("resnet18")[:12]
    picture = volumes.draw(steps, level="operation")
    for svg, most in ((picture.svg, 760), (picture.narrow, PHONE)):
        *panels, rest = parts(svg)
        heads = [panel[0] for panel in panels]
        assert heads[0][:2] == (near(MARGIN), near(MARGIN + 12))
        for panel, head, following in zip(panels, heads, heads[1:], strict=False):
            texts = [one for one in panel if isinstance(one, Text)]
            solids = [one for one in panel if isinstance(one, Solid)]
            ends = [solid.x + solid.length + solid.right for solid in solids]
            ends += [text.x + LETTER * len(text.text) / (1 if text.anchor == "start" else 2) for text in texts]
            if following.y == head.y:
                assert following.x == near(max(ends) + 40)
            else:
                assert following.x == near(MARGIN)
                beside = [one for one, top in zip(panels, heads, strict=True) if top.y == head.y]
                deepest = max(one.y for part in beside for one in part if isinstance(one, Text))
                assert following.y == near(deepest + 6 + 2 * LINE + 12)
        rows = [len(list(row)) for _, row in itertools.groupby(heads, key=lambda head: head.y)]
        assert (rows == [1] * len(panels)) == (most == PHONE)
        assert size_of(svg)[1] == near(rest[-1].y + MARGIN)


def test_what_follows_an_operation_stands_with_it_and_nothing_of_another_shape() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU(), nn.Flatten(), nn.Tanh(), nn.Linear(36, 2), nn.Softmax(1))
    picture = volumes.draw(model, (1, 8, 8), level="operation")
    assert (
        "one channel of 1×6×6; then ReLU; 4: each of 2 weighted sums reads all 36 numbers; then softmax." in picture.alt
    )
    texts = [one.text for part in parts(picture.svg) for one in part if isinstance(one, Text)]
    assert "1 filter of 1×3×3" in texts
    assert "2 weighted sums" in texts


def test_marks_are_in_the_ink_of_the_map_that_they_lie_on() -> None:
    svg = volumes.draw(arithmetic.steps("resnet18")[:4], level="operation").svg
    styles = re.findall(r'<g stroke-linejoin="round" style="([^"]*)"(?: opacity="([\d.]+)")?>', svg)
    ink = {room: f"fill:{palette.ink(room)};stroke:{palette.ink(room)}" for room in ("image", "stem")}
    paint = {room: f"fill:{palette.fill(room)};stroke:{palette.line(room)}" for room in ("image", "stem")}
    made = [(paint["stem"], ""), (ink["stem"], "0.25"), (ink["stem"], "0.9")]
    assert styles == [(paint["image"], ""), (ink["image"], "0.9"), *made, *made, *made]


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((8, 4, 2), (16, 40, 8.4, 5.2)),
        ((6, 10), (20, 60, 4.2, 2.6)),  # tokens, each with its channels
        ((8,), (16, 10, 4.2, 2.6)),
        ((), (2.5, 10, 4.2, 2.6)),
        ((8, 3, 4, 2), (16, 40, 8.4, 5.2)),  # of a film one image
    ],
)
def test_every_shape_is_a_box(shape: tuple[int, ...], box: tuple[float, ...]) -> None:
    assert volumes._Scale(10, 5).box(shape) == pytest.approx(box)
    assert volumes._Scale(0.1, 5).box((1, 1, 1)) == pytest.approx((2.5, 2.5, 2.5 * 0.42, 2.5 * 0.26))


def test_the_labels_of_a_group_are_counted() -> None:
    group = volumes._Group("layer1", "layer1", (4, 2, 2), boxes=7, blocks=7)
    assert (group.drawn, group.labels) == (6, ["layer1", "4×2×2", "7 blocks", "(6 drawn)"])
    assert group._replace(boxes=6, blocks=1).labels == ["layer1", "4×2×2", "1 block"]
    assert volumes._Scale(10, 5).group(group) == pytest.approx((6 * 8 + 5 * (5 + 1.2) + 8.4, 20 + 5.2))


@torch.no_grad()
def test_an_adaptive_pooling_shows_the_window_that_it_has() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d((2, 3)))
    alt = volumes.draw(model, (3, 8, 9), level="operation").alt
    assert "a window of 4×3 in one channel at a time turns 4×8×9 into 4×2×3" in alt
    picture = volumes.draw(nn.Sequential(nn.AdaptiveAvgPool2d((6, 12))), (3, 24, 24), level="operation")
    read, channel, window = [one for one in parts(picture.svg)[0] if isinstance(one, Solid)][:3]
    assert window.height == near(4 * 150 / 24)
    back = (window.x - channel.x) / 0.42
    assert window.y - read.y + back * 0.26 == near(2 * 4 * 150 / 24)  # the third row of windows, each 4 pixels high


def test_a_window_with_two_strides_stands_where_both_say() -> None:
    model = nn.Sequential(nn.MaxPool2d((2, 4), (2, 3)))
    picture = volumes.draw(model, (3, 24, 24), level="operation")
    read, channel, window = [one for one in parts(picture.svg)[0] if isinstance(one, Solid)][:3]
    back = (window.x - channel.x) / 0.42
    assert back == near(2 * 3 * 150 / 24)  # the third of seven windows across
    assert window.y - read.y + back * 0.26 == near(4 * 2 * 150 / 24)  # the fifth of twelve down


def test_without_a_word_an_image_is_imagenets_and_a_picture_shows_layers() -> None:
    image = (3, 224, 224)
    assert volumes.draw().svg == volumes.draw("resnet34", image, "layer").svg
    assert volumes.compare().svg == volumes.compare(["resnet18", "resnet50"], image, "layer").svg
    assert diagrams.stem().dot == diagrams.stem("imagenet", image).dot
    assert diagrams.layer().dot == diagrams.layer("resnet34", 1, image).dot
    assert diagrams.network().dot == diagrams.network("resnet34", "block", image).dot
    assert diagrams.block().dot == diagrams.block("basic", 64, 64, 1, "B", 56, "3x3").dot
    assert str(tables.table()) == str(tables.table("resnet18", image, "operation"))
    assert str(tables.paper()) == str(
        tables.paper(("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"), image)
    )
    deep = nn.Sequential(nn.Sequential(nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1)))))
    assert str(tables.torchinfo(deep, (3, 8, 8))) == str(tables.torchinfo(deep, (3, 8, 8), 3))
    names = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
    assert str(tables.compare()) == str(tables.compare(names, image))


# Scales


def test_the_largest_scale_that_fits_is_taken_to_the_unit() -> None:
    """No column wider than 200, depth included, and all lengths together at most 380; an image 150 high is to size."""

    def channels(*groups: tuple[int, int, int]) -> int:
        scales = volumes._scales([[volumes._Group("a", "stem", (count, 150, width)) for count, width, _ in groups]])
        assert scales[0].channels == scales[1].channels
        return scales[0].channels

    assert [channels((n, 50, 0)) for n in (179, 180)] == [1, 2]  # 50 pixels to the back are 21 to the right
    assert [channels((190, 1, 0), (n, 1, 0)) for n in (190, 191)] == [1, 2]


def test_round_numbers_grow_by_at_most_two_and_have_few_digits() -> None:
    assert list(volumes._ROUND) == sorted(set(volumes._ROUND))
    assert all(b <= 2 * a for a, b in itertools.pairwise(volumes._ROUND))
    assert {float(f"{number:e}".partition("e")[0]) for number in volumes._ROUND} == {1, 1.5, 2, 3, 4, 5, 6, 8}
    assert (volumes._ROUND[0], volumes._ROUND[-1]) == (1, 80_000)


def conv_step(read: tuple[int, ...], made: tuple[int, ...], kernel: tuple[int, int], stride: int = 1) -> Step:
    name = "conv {}×{}".format(*kernel) + (f"/{stride}" if stride > 1 else "")
    adds = math.prod(made) * read[0] * math.prod(kernel)
    return Step("a", name, read, made, 0, adds, 1, learned=True)


@pytest.mark.parametrize(
    ("channels", "wide", "narrow"),
    [(109, 1, 1), (110, 1, 2), (111, 2, 2), (220, 2, 3), (221, 3, 3), (10**8, 80_000, 80_000)],
)
def test_the_longest_map_of_an_operation_is_110_units_and_80_on_a_phone(channels: int, wide: int, narrow: int) -> None:
    """To the first round number of channels that allows it."""
    picture = volumes.draw([conv_step((channels, 150, 150), (8, 150, 150), (1, 1))], level="operation")
    for svg, ratio, side in ((picture.svg, wide, 150), (picture.narrow, narrow, 110)):
        read = next(one for one in parts(svg)[0] if isinstance(one, Solid))
        assert read.length == near(channels * side / 150 / ratio)
        assert read.height == near(side)
    words = "one channel." if wide == 1 else f"{wide:,} channels."
    assert f"one pixel is as long as {words}" in picture.alt


def test_vectors_alone_are_drawn_as_pixels_of_a_map_of_seven() -> None:
    picture = volumes.draw([Step("fc", "linear", (12,), (4,), 52, 48, 1, learned=True)], level="operation")
    for svg, side in ((picture.svg, 150), (picture.narrow, 110)):
        solids = [one for one in parts(svg)[0] if isinstance(one, Solid)]
        assert [solid.height for solid in solids] == [near(side / 7)] * 5
        assert [solid.right for solid in solids] == [near(side / 7 * 0.42)] * 5


# The window and its number, wherever the operation puts them


def third(side: int, limit: int) -> int:
    """The row or column about a third in, of which the window lies inside."""
    return max(0, min(side // 3, limit))


@pytest.mark.parametrize(
    ("read", "made", "kernel", "stride"),
    [
        ((3, 24, 24), (5, 24, 24), (3, 3), 1),
        ((3, 24, 30), (5, 12, 15), (7, 7), 2),
        ((6, 12, 9), (4, 12, 9), (3, 1), 1),
        ((6, 12, 9), (4, 12, 9), (1, 3), 1),
        ((2, 8, 8), (2, 4, 4), (7, 7), 2),  # its window at the third column would stick out
        ((2, 5, 5), (3, 5, 5), (7, 7), 1),  # larger than what it reads
        ((4, 2, 2), (4, 2, 2), (1, 1), 1),
        ((8, 6, 1), (8, 6, 1), (1, 1), 1),
        ((300, 40, 40), (2, 40, 40), (3, 3), 1),
        ((1, 16, 16), (7, 16, 16), (5, 5), 1),
        ((3, 224, 224), (5, 3, 3), (75, 75), 74),  # its number is drawn as thick as a line, and so is the map
        ((3, 224, 224), (5, 4, 4), (56, 56), 56),
    ],
)
def test_a_window_and_its_number_lie_at_their_place(
    read: tuple[int, int, int], made: tuple[int, int, int], kernel: tuple[int, int], stride: int
) -> None:
    picture = volumes.draw([conv_step(read, made, kernel, stride)], level="operation")
    rows, columns = (third(made[n + 1], (read[n + 1] - kernel[n]) // stride) for n in (0, 1))
    for svg, most in ((picture.svg, 150), (picture.narrow, 110)):
        panel = parts(svg)[0]
        map_read, window, map_made, channel, number = (one for one in panel if isinstance(one, Solid))
        pixel = most / max(*read[1:], *made[1:], 7)
        (arrow,) = (one for one in panel if isinstance(one, Arrow))
        assert arrow.y == arrow.to_y
        wide = max(map_read.length + map_read.right, LETTER * len("×".join(map(str, read))))
        assert arrow.x == near(MARGIN + wide + 3)
        for whole, solid, start, length, (height, width), at in (
            (map_read, window, map_read.x, map_read.length, kernel, (rows * stride, columns * stride)),
            (map_made, number, channel.x, channel.length, (1, 1), (rows, columns)),
        ):
            assert solid.length == near(length)
            assert solid.height == near(max(height * pixel, 2.5))
            assert solid.right == near(max(width * pixel, 2.5) * 0.42)
            assert solid.up == near(max(width * pixel, 2.5) * 0.26)
            down = max(min(at[0] * pixel, whole.height - solid.height), 0)
            back = max(min(at[1] * pixel, (whole.right - solid.right) / 0.42), 0)
            assert solid.x == near(start + back * 0.42)
            assert solid.y == near(whole.y + down - back * 0.26)
        assert channel.x + channel.length / 2 == near(map_made.x + map_made.length / 2)
        assert (channel.y, channel.height, channel.right) == (map_made.y, map_made.height, map_made.right)


# Pages


def test_a_part_stands_beside_the_one_before_it_if_it_just_fits() -> None:
    def places(most: float, *widths: float) -> list[tuple[float, float]]:
        svg = volumes._panels([volumes._Part("", width, 50) for width in widths], [""], most)
        return [(float(x), float(y)) for x, y in re.findall(r"translate\(([\d.]+) ([\d.]+)\)", svg)]

    beside, below = [(8, 8), (148, 8)], [(8, 8), (8, 90)]
    assert places(248, 100, 100) == beside
    assert places(247, 100, 100) == below
    assert places(90, 100, 100) == below  # also the first does not fit, and stands at the top all the same


@pytest.mark.parametrize("level", ["layer", "block"])
def test_a_page_is_as_wide_as_its_longest_label(level: str) -> None:
    room = "a_part_of_the_network_with_a_name_that_is_longer_than_every_sentence"
    steps = [step._replace(room=f"{room}.{step.room}") for step in arithmetic.steps("plain18", (3, 32, 32))[:3]]
    for svg in (volumes.draw(steps, level=level).svg, volumes.draw(steps, level=level).narrow):
        texts = [one for part in parts(svg) for one in part if isinstance(one, Text)]
        (label,) = (text for text in texts if text.text.startswith(room))
        width = LETTER * len(label.text)
        end = label.x + (width if label.anchor == "start" else width / 2)
        assert size_of(svg)[0] == near(end + MARGIN)


def test_at_block_level_each_run_has_the_shape_that_it_ends_with() -> None:
    svg = volumes.draw("resnet18", level="block").svg
    shown = [text.text for part in parts(svg) for text in part if isinstance(text, Text)]
    names = ["image", "stem", "layer1", "layer2", "layer3", "layer4", "head"]
    shapes = ["3×224×224", "64×56×56", "64×56×56", "128×28×28", "256×14×14", "512×7×7", "1,000"]
    assert [(name, shown[shown.index(name) + 1]) for name in names] == list(zip(names, shapes, strict=True))
    assert shown.count("2 blocks") == 4


@pytest.mark.parametrize(("blocks", "words"), [(1, "1 block"), (2, "2 blocks"), (3, "3 blocks")])
def test_one_block_is_in_the_singular(blocks: int, words: str) -> None:
    assert volumes._Group("a", "layer1", (4, 2, 2), boxes=blocks, blocks=blocks).labels[2:] == [words]
