import itertools
import re
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from resnet_edu.counting import arithmetic
from resnet_edu.counting.graph import by_block, by_layer
from resnet_edu.counting.recipes import Recipe, recipe
from resnet_edu.drawing import palette, volumes
from resnet_edu.drawing.pictures import Picture, size_of

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "cifar20", "cifar1202"]
SOLID = re.compile(r'M([\d.-]+) ([\d.-]+)h([\d.]+)v([\d.]+)h-[\d.]+z"/><path d="M\S+ \S+l([\d.]+) -([\d.]+)h')
FRONT = re.compile(r"M[\d.-]+ [\d.-]+h([\d.]+)v([\d.]+)h-[\d.]+z")
THINNEST = 2.5


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def drawn(name: str, level: str = "layer") -> Picture:
    return volumes.draw(name, (3, 32, 32) if name.startswith("cifar") else (3, 224, 224), level)


def fronts(svg: str) -> list[tuple[float, float]]:
    """Length and height of each box, in order."""
    return [(float(length), float(height)) for length, height in FRONT.findall(svg)]


def channels_per_pixel(svg: str) -> int:
    """The proportion written in the picture itself."""
    words = re.search(r">To scale: one pixel is as long as (\w+) channels?\.", svg)[1]
    return 1 if words == "one" else int(words)


def labels(svg: str) -> list[tuple[Box, str]]:
    """Where each text lies, for letters 7 units wide, on a page with translated groups."""
    found = []

    def walk(element: ElementTree.Element, x: float, y: float) -> None:
        moved = re.match(r"translate\(([\d.-]+) ([\d.-]+)\)", element.get("transform", ""))
        if moved:
            x, y = x + float(moved[1]), y + float(moved[2])
        if element.tag == f"{SVG}text":
            width = 7 * len(element.text)
            start = x + float(element.get("x")) - (width / 2 if element.get("text-anchor") == "middle" else 0)
            base = y + float(element.get("y"))
            found.append((Box(start, base - 10, start + width, base + 3), element.text))
        for child in element:
            walk(child, x, y)

    walk(ElementTree.fromstring(svg), 0, 0)
    return found


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(
    st.sampled_from(["basic", "bottleneck"]),
    st.lists(st.integers(1, 1000), min_size=1, max_size=6),
    st.integers(7, 500),
    st.integers(7, 500),
    st.sampled_from(["imagenet", "cifar"]),
)
def test_boxes_are_to_the_scale_that_the_picture_states(block, widths, height, width, stem):
    plan = Recipe(block, (1,) * len(widths), tuple(widths), stem=stem, num_classes=len(widths))
    picture = volumes.draw(plan, (3, height, width))
    shapes = [(3, height, width)]
    shapes += [(*row.output, 1, 1)[:3] for row in by_layer(arithmetic.steps(plan, (3, height, width)))]
    for svg in (picture.svg, picture.narrow):
        ratio = channels_per_pixel(svg)
        boxes = fronts(svg)
        assert len(boxes) == len(shapes)
        pixel = (150 if svg is picture.svg else 120) / max(height, width)
        for (length, tall), (channels, rows, _) in zip(boxes, shapes, strict=True):
            assert length == pytest.approx(max(channels * pixel / ratio, THINNEST), abs=0.06)
            assert tall == pytest.approx(max(rows * pixel, THINNEST), abs=0.06)


@pytest.mark.parametrize("level", ["layer", "block"])
@pytest.mark.parametrize("name", NAMES)
def test_labels_never_collide_and_stay_inside(name, level):
    picture = drawn(name, level)
    for svg in (picture.svg, picture.narrow):
        width, height = size_of(svg)
        found = labels(svg)
        for (one, text), (other, more) in itertools.combinations(found, 2):
            assert not one.meets(other), (text, more)
        for box, text in found:
            assert box.left >= 0, text
            assert box.right <= width, text
            assert box.bottom <= height, text


@pytest.mark.parametrize("name", NAMES)
def test_each_room_has_its_name_and_shape(name):
    picture = drawn(name)
    steps = arithmetic.steps(name, (3, 32, 32) if name.startswith("cifar") else (3, 224, 224))
    for svg in (picture.svg, picture.narrow):
        shown = [text for _, text in labels(svg)]
        assert shown[:2] == ["image", "×".join(map(str, steps[0].input))]
        for row in by_layer(steps):
            at = shown.index(row.room)
            assert shown[at + 1] == ("1,000" if row.output == (1000,) else "×".join(map(str, row.output)))


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_each_block_is_a_box(name):
    steps = arithmetic.steps(name)
    assert len(fronts(volumes.draw(name, level="block").svg)) == 1 + len(by_block(steps))


def test_long_runs_are_counted_instead_of_drawn():
    picture = volumes.draw("resnet152", level="block")
    shown = [text for _, text in labels(picture.svg)]
    assert [text for text in shown if text.endswith("blocks")] == [f"{n} blocks" for n in recipe("resnet152").layers]
    assert shown.count("(6 drawn)") == 2  # of 8 and of 36
    assert len(fronts(picture.svg)) == 1 + 1 + 3 + 6 + 6 + 3 + 1


def test_compared_networks_share_one_scale():
    picture = volumes.compare(["resnet18", "resnet50"])
    boxes = fronts(picture.svg)
    small, large = boxes[:7], boxes[7:]
    assert [height for _, height in small] == [height for _, height in large]
    ratios = [long / short for (short, _), (long, _) in zip(small[2:6], large[2:6], strict=True)]
    assert ratios == pytest.approx([4] * 4, rel=0.06)  # a bottleneck gives four times the channels
    assert "ResNet-18 as boxes" in picture.alt
    assert "ResNet-50 as boxes" in picture.alt
    for svg in (picture.svg, picture.narrow):
        found = labels(svg)
        assert not any(one.meets(other) for (one, _), (other, _) in itertools.combinations(found, 2))
        assert [text for _, text in found if text.startswith("ResNet")] == ["ResNet-18", "ResNet-50"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", ["layer", "block"])
def test_the_scale_uses_the_room_there_is(name, level):
    boxes = fronts(drawn(name, level).svg)
    total = sum(length for length, _ in boxes)
    assert 120 < total <= 380


def test_a_wide_image_is_deeper_not_higher():
    tall, wide = volumes.draw("resnet18", (3, 224, 64)), volumes.draw("resnet18", (3, 64, 224))
    assert fronts(tall.svg)[0][1] == 150
    assert fronts(wide.svg)[0][1] == pytest.approx(150 * 64 / 224, abs=0.06)
    back = [float(re.search(r"M[\d.-]+ [\d.-]+l([\d.]+) -[\d.]+h", picture.svg)[1]) for picture in (tall, wide)]
    assert back[0] / back[1] == pytest.approx(64 / 224, rel=0.01)


def test_each_box_has_the_color_of_its_room():
    for svg in (drawn("resnet18").svg, drawn("resnet18").narrow):
        painted = [g.get("style") for g in ElementTree.fromstring(svg).iter(f"{SVG}g") if g.get("style")]
        assert painted == [f"fill:{palette.fill(room)};stroke:{palette.line(room)}" for room in palette.ROOMS]


def test_words_state_the_way_and_the_scale():
    picture = volumes.draw("resnet34")
    assert "layer4 halves 14 pixels a side to 7 and goes from 256 to 512 channels in 3 blocks" in picture.alt
    for svg in (picture.svg, picture.narrow):
        assert f"one pixel is as long as {channels_per_pixel(svg)} channels" in picture.alt


def test_errors_name_the_choices():
    with pytest.raises(ValueError, match="level must be one of 'layer', 'block', 'operation', got 'room'"):
        volumes.draw("resnet34", level="room")
    for names in (["resnet18"], ["resnet18", "resnet50"]):
        with pytest.raises(ValueError, match="level must be one of 'layer', 'block', got 'operation'"):
            volumes.compare(names, level="operation")
    with pytest.raises(ValueError, match="these Steps have none"):
        volumes.draw(arithmetic.steps("resnet18")[1:3], level="operation")  # a batch norm and a ReLU


# ------------------------------------------------------------------------------------- the level "operation"

STEM = arithmetic.steps("resnet18")[:4]
BLOCKS = [arithmetic.block_steps("basic", 64, 128, 2), arithmetic.block_steps("bottleneck", 64, 64)]
PIECES = {"stem": STEM, "basic": BLOCKS[0], "bottleneck": BLOCKS[1], "head": arithmetic.steps("resnet18")[-3:]}


def with_kernel(steps):
    return [step for step in steps if step.operation.startswith(("conv", "max-pool", "average pool", "linear"))]


@pytest.mark.parametrize("steps", PIECES.values(), ids=PIECES)
def test_each_operation_is_its_kernel_on_its_map_to_scale(steps):
    """Box by box: the map read, the filter on it, the map made, the channel of the filter, its one number."""
    picture = volumes.draw(steps, level="operation")
    assert picture.narrow is not None
    for svg in (picture.svg, picture.narrow):
        ratio, boxes = channels_per_pixel(svg), iter(fronts(svg))
        largest = max(max((*shape, 1, 1)[1:3]) for step in with_kernel(steps) for shape in (step.input, step.output))
        pixel = (150 if svg is picture.svg else 110) / max(largest, 7)

        def expect(channels, rows, boxes=boxes, pixel=pixel, ratio=ratio):
            length, height = next(boxes)
            assert length == pytest.approx(max(channels * pixel / ratio, THINNEST), abs=0.06)
            assert height == pytest.approx(max(rows * pixel, THINNEST), abs=0.06)

        for step in with_kernel(steps):
            (c_in, h_in, _), (c_out, h_out, _) = ((*shape, 1, 1)[:3] for shape in (step.input, step.output))
            pools = "pool" in step.operation
            kernel = int(step.operation.split(" ")[1][0]) if "×" in step.operation else h_in
            expect(c_in, h_in)
            if pools:
                expect(1, h_in)  # a pooling reads one channel at a time, a convolution all of them
            expect(1 if pools else c_in, kernel)
            expect(c_out, h_out)
            expect(1, h_out)
            expect(1, 1)
        assert next(boxes, None) is None


@pytest.mark.parametrize("steps", [*PIECES.values(), arithmetic.steps("resnet18")], ids=[*PIECES, "resnet18"])
def test_labels_of_operations_never_collide_and_stay_inside(steps):
    picture = volumes.draw(steps, level="operation")
    for svg in (picture.svg, picture.narrow):
        width, height = size_of(svg)
        found = labels(svg)
        for (one, text), (other, more) in itertools.combinations(found, 2):
            assert not one.meets(other), (text, more)
        for box, text in found:
            assert box.left >= 0, text
            assert box.right <= width, text
            assert box.bottom <= height, text
        assert [text for _, text in found if text in {step.room for step in with_kernel(steps)}] == [
            step.room for step in with_kernel(steps)
        ]
    assert size_of(picture.narrow)[0] <= 358 / 0.85  # a phone shows it without scrolling
    assert size_of(picture.svg)[0] <= 780


@pytest.mark.parametrize(
    ("side", "kernel", "stride"), [(7, 7, 1), (9, 7, 1), (1, 1, 1), (56, 3, 2), (56, 1, 1), (224, 7, 2), (500, 3, 2)]
)
def test_a_kernel_lies_inside_its_map_and_its_number_inside_the_next(side, kernel, stride):
    out = (side - 1) // stride + 1
    name = f"conv {kernel}×{kernel}" + (f"/{stride}" if stride > 1 else "")
    step = STEM[0]._replace(operation=name, input=(3, side, side), output=(4, out, out))
    picture = volumes.draw([step._replace(multiply_adds=12 * (out * kernel) ** 2)], level="operation")
    for svg in (picture.svg, picture.narrow):
        boxes = []  # left and upper edge of the front face, its length and height, how far it goes back and up
        for drawn in SOLID.finditer(svg):
            boxes.append([float(number) for number in drawn.groups()])
        read, filter_, made, _, number = boxes
        for outer, inner in ((read, filter_), (made, number)):
            shear = outer[5] / outer[4]  # a step to the back goes so much up for each unit to the right
            left, top, length, height, right, _ = inner
            assert outer[0] - 0.2 <= left
            assert left + length + right <= outer[0] + outer[2] + outer[4] + 0.2
            deep = (
                (left - outer[0]) if inner is filter_ else 0
            )  # the filter is as long as the map, so it shows its depth
            assert top + deep * shear >= outer[1] - (0 if inner is filter_ else outer[5]) - 0.2
            assert top + height + deep * shear <= outer[1] + outer[3] + 0.2


def test_filters_show_their_groups_and_the_words_say_what_a_filter_makes():
    depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 16, 1), nn.ReLU())
    picture = volumes.draw(depthwise, (8, 12, 12), level="operation")
    assert "each of 8 filters is 1×3×3, reads 8×12×12 and makes one channel of 8×12×12" in picture.alt
    assert "each of 16 filters is 8×1×1" in picture.alt
    assert "16×12×12; then ReLU." in picture.alt
    shown = [text for _, text in labels(picture.svg)]
    assert {"8 filters of 1×3×3", "16 filters of 8×1×1", "then ReLU"} <= set(shown)


def test_a_pooling_reads_one_channel_and_says_so():
    picture = volumes.draw(PIECES["head"], level="operation")
    assert "a window of 7×7 in one channel at a time turns 512×7×7 into 512×1×1" in picture.alt
    assert "each of 1,000 weighted sums reads all 512 numbers" in picture.alt


class ChannelsLast(nn.Module):
    """As Swin keeps its maps: a patch convolution, then linear layers on the last number."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, 4)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(12), nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12)) for _ in range(2)
        )
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        x = self.patches(x).permute(0, 2, 3, 1)
        for block in self.blocks:
            x = x + block(x)
        return self.fc(x.mean((1, 2)))


def test_maps_that_keep_their_channels_last_are_drawn_with_the_sides_they_have():
    picture = volumes.draw(ChannelsLast(), (3, 16, 24))
    assert "12×4×6" in picture.svg
    assert "4×6×12" not in picture.svg + picture.alt
    assert "keeps 4×6 pixels a side and 12 channels" in picture.alt
