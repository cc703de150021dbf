"""Every arrow of a diagram: from what, to what, with which shape beside it, and as which kind of shortcut."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu.drawing import diagrams
from resnet_edu.drawing.pictures import size_of

SVG = "{http://www.w3.org/2000/svg}"


def arrows(diagram: diagrams.Diagram) -> list[str]:
    """Each as ``tail → head (shape) kind*weight``; several lines of a box are joined by a comma."""
    texts = dict(re.findall(r'^(n\d+) \[label="([^"]*)"', diagram.dot, flags=re.MULTILINE))
    found = []
    for tail, head, options in re.findall(r"^(n\d+) -> (n\d+) \[(.*)\]$", diagram.dot, flags=re.MULTILINE):
        label, kind = re.search(r'label="  (.*?) "', options), re.search(r'class="re-([\w-]+)" style=(\w+)', options)
        weight = re.search(r"weight=(\d+)", options)[1]
        if kind:
            assert kind[2] == diagrams.LINES[kind[1]]
            assert "tailport=s headport=" in options or "id=curve" in options
        tail, head = (texts[name].replace(r"\n", ", ") for name in (tail, head))
        line = f"{tail} → {head}" + (f" ({label[1]})" if label else "")
        found.append(line + (f" {kind[1]}*{weight}" if kind else "" if weight == "20" else f" *{weight}"))
    return found


def test_in_a_block_a_shape_stands_where_it_has_changed() -> None:
    assert arrows(diagrams.block("basic", 64, 128, 2)) == [
        "64×56×56 → conv 3×3/2",
        "conv 3×3/2 → batch norm (128×28×28)",
        "batch norm → ReLU",
        "ReLU → conv 3×3",
        "conv 3×3 → batch norm",
        "64×56×56 → conv 1×1/2 projection*2",
        "conv 1×1/2 → batch norm (128×28×28) projection*2",
        "batch norm → +",
        "batch norm → + projection*0",
        "+ → ReLU",
        "ReLU → 128×28×28",
    ]
    bottleneck = arrows(diagrams.block("bottleneck", 64, 16, size=(9, 7)))
    assert "64×9×7 → + (identity) identity*0" in bottleneck
    assert "conv 1×1 → batch norm (16×9×7)" in bottleneck
    assert "conv 1×1 → batch norm (64×9×7)" in bottleneck
    assert arrows(diagrams.block("basic", 4, 8, 2, "A", 8))[-5:] == [
        "4×8×8 → zero-pad/2 zero-pad*2",
        "batch norm → +",
        "zero-pad/2 → + (8×4×4) zero-pad*0",
        "+ → ReLU",
        "ReLU → 8×4×4",
    ]


def test_in_a_layer_the_first_block_changes_the_shape_and_no_other() -> None:
    pair = "conv 3×3, 128, conv 3×3, 128"
    assert arrows(diagrams.layer("resnet18", 2)) == [
        "64×56×56 → conv 3×3/2, 128, conv 3×3, 128",
        "conv 3×3/2, 128, conv 3×3, 128 → +",
        "64×56×56 → + projection*0",
        f"+ → {pair} (128×28×28)",
        f"{pair} → +",
        "+ → + identity*0",
        "+ → 128×28×28",
    ]
    assert arrows(diagrams.layer("resnet18", 1))[3] == "+ → conv 3×3, 64, conv 3×3, 64"  # none changes it here


def test_a_network_is_its_stem_a_column_for_each_layer_and_its_head() -> None:
    """With the shape of the first in the line above it, and after each change beside the arrow."""
    found = arrows(diagrams.network("cifar20", image=(3, 32, 32)))
    first, second = "conv 3×3, 16, conv 3×3, 16", "conv 3×3, 32, conv 3×3, 32"
    assert found[:5] == [
        "image → conv 3×3, 16 (3×32×32)",
        "conv 3×3, 16 → 16×32×32",
        f"16×32×32 → {first}",
        f"{first} → +",
        "16×32×32 → + identity*0",
    ]
    assert found[11:18] == [
        "+ → to layer2",
        "from layer1, 16×32×32 → conv 3×3/2, 32, conv 3×3, 32",
        "conv 3×3/2, 32, conv 3×3, 32 → +",
        "from layer1, 16×32×32 → + zero-pad*0",
        f"+ → {second} (32×16×16)",
        f"{second} → +",
        "+ → + identity*0",
    ]
    assert found[-3:] == ["+ → average pool", "average pool → linear, 10 (64×1×1)", "linear, 10 → scores (10)"]


def test_of_a_long_run_the_first_two_and_the_last_are_drawn_if_it_is_longer_than_seven() -> None:
    pair = "conv 3×3, 16, conv 3×3, 16"
    for n, more in ((7, 0), (8, 5), (9, 6)):
        found = arrows(diagrams.network(f"cifar{6 * n + 2}", image=(3, 32, 32)))
        first = found[2 : found.index("+ → to layer2")]
        assert sum(arrow.endswith("identity*0") for arrow in first) == n - more
        if more:
            assert first[6:] == [
                f"+ → ⋮, {more} more like these, ⋮",
                f"⋮, {more} more like these, ⋮ → {pair}",
                f"{pair} → +",
                f"⋮, {more} more like these, ⋮ → + identity*0",
            ]


def test_a_layers_view_has_the_shape_at_each_arrow_and_the_image_first() -> None:
    assert arrows(diagrams.network("resnet18", level="layer", image=(3, 64, 64))) == [
        "image → stem (3×64×64)",
        "stem → layer1, 2 blocks (64×16×16)",
        "layer1, 2 blocks → layer2, 2 blocks (64×16×16)",
        "layer2, 2 blocks → layer3, 2 blocks (128×8×8)",
        "layer3, 2 blocks → layer4, 2 blocks (256×4×4)",
        "layer4, 2 blocks → head (512×2×2)",
        "head → scores (1,000)",
    ]
    assert arrows(diagrams.network("cifar8", level="layer", image=(3, 8, 8)))[1] == "stem → layer1, 1 block (16×8×8)"


class Conv(nn.Conv2d):
    def __init__(self, channels_in: int, channels: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(channels_in, channels, kernel, stride, kernel // 2)


class Two(nn.Module):
    """A layer that a later one reads again, around the one between them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = Conv(3, 4), Conv(4, 4), Conv(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left = self.a(x)
        return self.c(torch.cat([left, torch.relu(self.b(left))], 1))


def test_what_is_read_again_later_has_its_arrow_in_both_views() -> None:
    assert arrows(diagrams.network(Two(), image=(3, 8, 8))) == [
        "image → conv 3×3, 4 (3×8×8)",
        "conv 3×3, 4 → conv 3×3, 4 (4×8×8)",
        "conv 3×3, 4 → concat (4×8×8)",
        "conv 3×3, 4 → concat (4×8×8)",
        "concat → conv 3×3, 2 (8×8×8)",
        "conv 3×3, 2 → output (2×8×8)",
    ]


class Around(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = Conv(4, 4), Conv(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.b(torch.relu(self.a(x)))


def test_after_a_block_stands_the_shape_that_its_last_operation_gives() -> None:
    """A module beside the blocks, of two layers and a pooling, as in a MobileNet."""
    body = nn.Sequential(Around(), nn.Sequential(Conv(4, 4), Conv(4, 4), nn.MaxPool2d(2)), Around())
    pair = "conv 3×3, 4, conv 3×3, 4"
    assert f"{pair} → {pair} (4×4×4)" in arrows(diagrams.network(nn.Sequential(Conv(3, 4), body), image=(3, 8, 8)))


class Open(nn.Module):
    """A block with another one inside: drawn operation by operation."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = Conv(4, 4), Conv(4, 4), Conv(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        return x + self.c(F.max_pool2d(y + self.b(y), 3, 1, 1))


def test_a_block_that_hides_a_line_is_opened() -> None:
    assert arrows(
        diagrams.network(nn.Sequential(Conv(3, 4), Open(), nn.Flatten(), nn.Linear(256, 2)), image=(3, 8, 8))
    ) == [
        "image → conv 3×3, 4 (3×8×8)",
        "conv 3×3, 4 → 4×8×8",
        "4×8×8 → conv 3×3, 4",
        "conv 3×3, 4 → conv 3×3, 4 (4×8×8)",
        "conv 3×3, 4 → + identity*0",
        "conv 3×3, 4 → + (4×8×8)",
        "+ → max-pool 3×3",
        "max-pool 3×3 → conv 3×3, 4 (4×8×8)",
        "4×8×8 → + identity*0",
        "conv 3×3, 4 → + (4×8×8)",
        "+ → linear, 2",
        "linear, 2 → scores (2)",
    ]


class Deep(nn.Module):
    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(Conv(4, 4, 2 * number + 1) for number in range(layers)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


def test_a_box_lists_eight_layers_and_of_more_the_first_four_and_the_last_two() -> None:
    for layers in (8, 9, 11):
        boxes = arrows(diagrams.network(nn.Sequential(Conv(3, 4), Deep(layers)), image=(3, 8, 8)))
        names = [f"conv {2 * number + 1}×{2 * number + 1}, 4" for number in range(layers)]
        told = names if layers == 8 else [*names[:4], f"⋮ {layers - 6} more", *names[-2:]]
        assert boxes[2] == f"4×8×8 → {', '.join(told)}"


# The picture


def test_a_shortcuts_line_ends_at_the_foot_of_its_head_and_the_head_in_the_plus() -> None:
    for diagram in (diagrams.block("basic", 64, 128, 2), diagrams.block("basic"), diagrams.layer("resnet34", 2)):
        for group in ElementTree.fromstring(diagram.svg).iter(f"{SVG}g"):
            path = group.find(f"{SVG}path")
            if path is None or "-line" not in (path.get("style") or "") or "re-edge" not in group.get("class"):
                continue
            head = [tuple(map(float, pair.split(","))) for pair in group.find(f"{SVG}polygon").get("points").split()]
            (x0, y0), (x, y), (x1, y1) = head
            if x0 == x1:  # to the left, into a plus
                assert (x0 - x, y0 - y, y1 - y) == pytest.approx((7, -2.5, 2.5))
                assert path.get("d").endswith(f"V{y:g}H{x + 7:g}")
            else:  # down, onto an operation
                assert (x0 - x, x1 - x, y0 - y, y1 - y) == pytest.approx((-2.5, 2.5, -7, -7))
                assert path.get("d").endswith(f"V{y - 7:g}")


def test_a_shortcut_leaves_the_arrow_five_points_below_where_it_begins() -> None:
    for diagram in (diagrams.block("basic"), diagrams.layer("resnet34", 1)):
        plain = re.findall(r'<g class="re-edge">\s*<path [^>]*d="M(-?[\d.]+),(-?[\d.]+)', diagram.svg)
        shortcuts = re.findall(r'<g class="re-edge re-\w+">\s*<path [^>]*d="M(-?[\d.]+),(-?[\d.]+)H', diagram.svg)
        assert shortcuts
        for x, y in shortcuts:
            # From the same node; dot begins an arrow within a tenth of a point of it.
            assert min(abs(float(y) - 5 - float(top)) for left, top in plain if left == x) < 0.5


def test_of_a_pair_each_has_its_title_above_its_middle() -> None:
    left, right = diagrams.block("plain", 4, 4, size=8), diagrams.block("bottleneck", 4, 4, 2, size=8)
    pair = diagrams.compare(left, right)
    widths = [max(size_of(one.svg)[0], 7.2 * len(one.title)) for one in (left, right)]
    assert size_of(pair.svg) == pytest.approx(
        (sum(widths) + 24, max(size_of(one.svg)[1] for one in (left, right)) + 24)
    )
    root = ElementTree.fromstring(pair.svg)
    titles = [text for text in root if text.tag == f"{SVG}text"]
    inner = [svg for svg in root if svg.tag == f"{SVG}svg"]
    at = 0.0
    for title, svg, one, width in zip(titles, inner, (left, right), widths, strict=True):
        own = size_of(one.svg)[0]
        assert title.text == one.title
        assert float(title.get("x")) == pytest.approx(at + width / 2, abs=0.01)
        assert float(svg.get("x")) == pytest.approx(at + (width - own) / 2, abs=0.01)
        assert (float(title.get("y")), float(svg.get("y"))) == (14, 24)
        at += width + 24
    assert pair.title == f"{left.title} and {right.title}"
    assert pair.alt == f"Left: {left.alt} Right: {right.alt}"
    assert pair.dot == f"{left.dot}\n{right.dot}"
