"""Every arrow of a diagram: from what, to what, with which shape beside it, and as which kind of shortcut."""

import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu.counting import arithmetic
from resnet_edu.counting.recipes import Recipe
from resnet_edu.counting.steps import Step
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
    assert texts.keys() == set(re.findall(r"\bn\d+\b(?= ->| \[color)", diagram.dot)), "a node without an arrow"
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


@pytest.mark.parametrize(
    ("channels", "behind", "ahead"), [(16, None, "+ → to layer2"), (32, "+ → to layer2", "+ → to layer3")]
)
def test_of_a_run_longer_than_seven_the_first_two_and_the_last_are_drawn(channels, behind, ahead) -> None:
    """In layer2 the first block changes the shape: it counts as one of the first two."""
    pair = f"conv 3×3, {channels}, conv 3×3, {channels}"
    for n, more in ((7, 0), (8, 5), (9, 6)):
        found = arrows(diagrams.network(f"cifar{6 * n + 2}", image=(3, 32, 32)))
        layer = found[found.index(behind) + 1 if behind else 2 : found.index(ahead)]
        assert sum(arrow.endswith("*0") for arrow in layer) == n - more
        if more:
            assert layer[6:] == [
                f"+ → ⋮, {more} more like these, ⋮",
                f"⋮, {more} more like these, ⋮ → {pair}",
                f"{pair} → +",
                f"⋮, {more} more like these, ⋮ → + identity*0",
            ]


def test_a_layer_by_itself_is_not_folded_and_begins_with_what_it_reads() -> None:
    assert sum(arrow.endswith("*0") for arrow in arrows(diagrams.layer("cifar56", 2, (3, 32, 32)))) == 9
    pair = "conv 3×3, 4, conv 3×3, 4"
    block = [f"4×8×8 → {pair}", f"{pair} → +", "4×8×8 → + identity*0"]
    assert arrows(diagrams.layer(nn.Sequential(Around(), nn.MaxPool2d(2)), 1, (4, 8, 8)))[:3] == block  # the image
    assert arrows(diagrams.layer(nn.Sequential(Conv(3, 4), Around()), 1, (3, 8, 8))) == [*block, "+ → 4×8×8"]


@pytest.mark.parametrize("number", [0, 4, -1, "1"])
def test_layers_count_from_1(number: object) -> None:
    with pytest.raises(ValueError, match=f"CIFAR ResNet-8 has layer1, layer2, layer3, not layer{number}"):
        diagrams.layer("cifar8", number, (3, 32, 32))


@pytest.mark.parametrize(("layers", "columns"), [(1, 1), (2, 2), (3, 3)])
def test_each_layer_has_a_column_on_a_wide_page_and_all_are_one_on_a_narrow_one(layers: int, columns: int) -> None:
    plan = Recipe(layers=(2,) * layers, widths=(8, 16, 32)[:layers], stem="cifar")
    diagram = diagrams.network(plan, image=(3, 16, 16))
    assert len([arrow for arrow in arrows(diagram) if " → to layer" in arrow]) == columns - 1
    assert "to layer" not in diagram.narrow
    assert size_of(diagram.svg)[0] == pytest.approx(size_of(diagram.narrow)[0] * columns, rel=0.35)


def test_no_column_ends_where_a_later_layer_reads_more_than_the_last_row() -> None:
    plain = arithmetic.steps(Recipe(layers=(1, 1), widths=(8, 16), stem="cifar"), (3, 16, 16))
    assert "to layer2" in diagrams.network(plain).dot
    second = next(place for place, step in enumerate(plain) if step.room.startswith("layer2"))
    for source in (0, second - 2):  # far above, and the row before the last one of layer1
        back = len(plain) - 1 - source
        assert "to layer2" not in diagrams.network([*plain[:-1], plain[-1]._replace(reads=(1, back))]).dot
    # A row between the layers, which reads the last row or an earlier one instead of it.
    for source in (second - 1, second - 2, second - 3):
        row = plain[0]._replace(room="layer2.down", input=(8, 16, 16), reads=(second - source,))
        dot = diagrams.network([*plain[:second], row, *plain[second:]]).dot
        assert ("to layer2" in dot) == (source == second - 1)


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


def test_a_layers_view_has_a_pale_arrow_around_a_layer() -> None:
    found = arrows(diagrams.network(Two(), "layer", (3, 8, 8)))
    assert "a → cat (4×8×8) *0" in found
    assert found[-2:] == ["cat → c (8×8×8)", "c → output (2×8×8)"]


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


class Mirrored(nn.Module):
    """A block that adds what it reads from the left or from the right; inside of an open one another sum does."""

    def __init__(self, is_left: bool, is_open: bool) -> None:
        super().__init__()
        self.a, self.b, self.c = Conv(4, 4), Conv(4, 4), Conv(4, 4)
        self.is_left, self.is_open = is_left, is_open

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        z = self.b(y)
        if self.is_open:
            return x + self.c(y + z if self.is_left else z + y)
        z = self.c(z)
        return x + z if self.is_left else z + x


@pytest.mark.parametrize(
    ("is_open", "is_mixed", "more"), [(False, False, 6), (False, True, 6), (True, False, 6), (True, True, 0)]
)
def test_blocks_that_look_alike_are_folded_and_open_ones_only_if_their_lines_are(
    is_open: bool, is_mixed: bool, more: int
) -> None:
    blocks = [Mirrored(is_mixed and number % 2 == 1, is_open) for number in range(9)]
    found = " ".join(arrows(diagrams.network(nn.Sequential(Conv(3, 4), *blocks), image=(3, 8, 8))))
    assert (f"{more} more like these" in found) == (more > 0)
    assert ("more like these" in found) == (more > 0)


@pytest.mark.parametrize("layers", [120, 121])
def test_up_to_120_lines_are_drawn_and_more_are_one_box(layers: int) -> None:
    body = nn.Sequential(*(nn.Conv2d(4, 4, 1) for _ in range(layers - 1)), nn.MaxPool2d(2))
    model = nn.Sequential(OrderedDict(body=body, fc=nn.Sequential(nn.Flatten(), nn.Linear(64, 2))))
    found = arrows(diagrams.network(model, image=(4, 8, 8)))
    if layers == 120:
        assert found[0] == "image → conv 1×1, 4 (4×8×8)"
        assert len(found) == 120 + 2
    else:
        box = "body, 120 layers with weights"
        assert found == [
            f"image → {box} (4×8×8)", f"{box} → linear, 2 (4×4×4)", "linear, 2 → scores (2)"
        ]  # fmt: skip


class Tangle(nn.Module):
    """Reads two maps, in more operations than anybody could follow, and around the last few it has shortcuts."""

    def __init__(self, shortcuts: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(121))
        self.shortcuts = shortcuts

    def forward(self, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        for number, one in enumerate(self.convs):
            z = one(z) + z if number >= len(self.convs) - self.shortcuts else one(z)
        return F.avg_pool2d(y * z, 2).flatten(2)


class Tangled(nn.Module):
    def __init__(self, shortcuts: int = 0) -> None:
        super().__init__()
        self.a, self.b, self.body, self.c = Conv(4, 4), Conv(4, 4), Tangle(shortcuts), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        return self.c(self.body(y, self.b(y)))


def test_a_thicket_has_a_line_from_each_row_that_it_reads_and_its_shape_behind_it() -> None:
    box = "body, 121 layers with weights"
    assert arrows(diagrams.network(Tangled(), image=(4, 8, 8))) == [
        "image → conv 3×3, 4 (4×8×8)",
        "conv 3×3, 4 → conv 3×3, 4 (4×8×8)",
        f"conv 3×3, 4 → {box} (4×8×8)",
        f"conv 3×3, 4 → {box} (4×8×8)",
        f"{box} → linear, 5 (4×4×4)",
        "linear, 5 → output (4×5)",
    ]


class Skips(nn.Module):
    """As in WaveNet: what leaves a block in its middle is summed up beside the blocks, one of which is deep."""

    def __init__(self, *depths: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Sequential(*(nn.Conv2d(4, 4, 1) for _ in range(depth))) for depth in depths)
        self.outs = nn.ModuleList(Conv(4, 4, 1) for _ in depths)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = 0
        for one, out in zip(self.convs, self.outs, strict=True):
            y = torch.tanh(one(x))
            x, total = x + y, total + out(y)
        return total


@pytest.mark.parametrize(
    ("depths", "hidden", "words"),
    [
        ((1, 121, 1), "1 shortcut", "1 more, inside of one box, has no line."),
        ((1, 1, 121), "2 shortcuts", "2 more, inside of one box, have no line."),
    ],
)
def test_a_thicket_and_the_words_count_the_same_hidden_shortcuts(
    depths: tuple[int, ...], hidden: str, words: str
) -> None:
    diagram = diagrams.network(Skips(*depths), image=(4, 8, 8))
    assert any(f"layer1, 122 layers with weights, and {hidden} without a line" in arrow for arrow in arrows(diagram))
    assert diagram.alt.endswith(words)


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


def test_a_name_beside_a_shortcut_begins_at_its_line_and_the_picture_is_wide_enough_for_it() -> None:
    for diagram in (
        diagrams.block("basic", 64, 128, 2),
        diagrams.block("basic"),
        diagrams.block("basic", 4, 8, 2, "A"),
    ):
        edges = [
            g
            for g in ElementTree.fromstring(diagram.svg).iter(f"{SVG}g")
            if "-line" in ElementTree.tostring(g).decode()
        ]
        shift = float(re.search(r"translate\(([\d.]+) ", diagram.svg)[1])
        ends = []
        for edge in edges:
            text, path = edge.find(f"{SVG}text"), edge.find(f"{SVG}path")
            if "re-edge" in edge.get("class") and text is not None:
                across = [float(x) for x in re.findall(r"[MH](-?[\d.]+)", path.get("d"))]
                assert (text.get("text-anchor"), float(text.get("x"))) == ("start", max(across))
                ends.append(shift + max(across) + 7 * len(text.text))
        assert ends
        assert max(ends) <= size_of(diagram.svg)[0]
        assert size_of(diagram.svg)[0] <= max(ends) + 20


def test_a_line_from_one_operation_down_to_the_next_is_straight() -> None:
    svg = diagrams.block("basic", 64, 128, 2).svg
    boxes = re.findall(r'd="M[-\d.]+,(-[\d.]+)C', svg)
    (x, top, tip_y, head_x) = re.search(
        r'd="M([-\d.]+),([-\d.]+)V([-\d.]+)"/>\s*<polygon [^>]*points="[-\d.]+,[-\d.]+ ([-\d.]+),', svg
    ).groups()
    assert x == head_x
    assert float(tip_y) > float(top)
    bottoms = [
        max(float(y) for y in re.findall(r",(-[\d.]+)", path)) for path in re.findall(r'd="(M[^"]*C[^"]*)"', svg)
    ]
    assert min(abs(float(top) - bottom) for bottom in bottoms) < 0.01  # where the box above it ends
    assert boxes


def test_the_words_of_a_block_tell_both_ways_and_what_follows() -> None:
    assert diagrams.block("basic", 4, 8, 2, size=8).alt == (
        "A basic block with a projection shortcut. The input of 4×8×8 goes two ways. One is conv 3×3/2 to 8×4×4, batch "
        "norm, ReLU, conv 3×3, batch norm. The other, a dashed line, is conv 1×1/2 to 8×4×4, batch norm. Both are "
        "added to 8×4×4, and ReLU follows."
    )
    assert diagrams.block("bottleneck", 8, 2, size=8).alt == (
        "A bottleneck block with an identity shortcut. The input of 8×8×8 goes two ways. One is conv 1×1 to 2×8×8, "
        "batch norm, ReLU, conv 3×3, batch norm, ReLU, conv 1×1 to 8×8×8, batch norm. The other, a solid line, is the "
        "identity. Both are added to 8×8×8, and ReLU follows."
    )
    assert diagrams.block("plain", 4, 8, 2, size=8).alt == (
        "A plain block without a shortcut. The input of 4×8×8 passes conv 3×3/2 to 8×4×4, batch norm, ReLU, conv 3×3, "
        "batch norm, ReLU."
    )


def test_a_network_has_its_title_or_its_own_name() -> None:
    mine, own = (diagrams.network("cifar8", image=(3, 8, 8), title=title) for title in ("Mine", ""))
    assert (mine.title, mine.alt.partition(".")[0]) == ("Mine", "Mine")
    assert (own.title, own.alt.partition(".")[0]) == ("CIFAR ResNet-8", "CIFAR ResNet-8")


def test_one_row_of_numbers_are_scores_and_anything_else_is_an_output() -> None:
    for image, name in (((8,), "scores"), ((6, 8), "output"), ((1, 6, 8), "output")):
        assert arrows(diagrams.network([Step("", "linear", image, (*image[:-1], 4), 36, 0, 1)]))[-1].endswith(
            f"→ {name} ({'×'.join(map(str, (*image[:-1], 4)))})"
        )


class Products(nn.Module):
    """Operations that multiply by weights, or by nothing, and are no layers with channels of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.w = nn.Linear(8, 8), nn.Parameter(torch.ones(36))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.q(x)
        return F.linear((y @ y.transpose(1, 2)).flatten(), self.w)


def test_only_a_layer_is_named_with_its_features() -> None:
    assert arrows(diagrams.network(Products(), image=(6, 8))) == [
        "image → linear, 8 (6×8)",
        "linear, 8 → matrix product (6×8)",
        "matrix product → linear (6×6)",
        "linear → scores (1)",
    ]


@pytest.mark.parametrize(
    ("channels", "room"),
    [(16, "layer1"), (63, "layer1"), (128, "layer2"), (256, "layer3"), (512, "layer4"), (513, "layer1")],
)
def test_a_block_has_the_color_of_the_layer_that_has_its_width(channels: int, room: str) -> None:
    assert set(re.findall(r"--re-(layer\d)-", diagrams.block("basic", channels, channels, size=4).svg)) == {room}


def test_what_dot_says_on_the_way_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dot").write_text(
        f'#!/bin/sh\necho "Warning: a font is missing" >&2\nexec {shutil.which("dot")} "$@"\n'
    )
    (tmp_path / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert "conv 3×3" in diagrams.block("plain", 4, 4, size=8).svg
    assert capfd.readouterr() == ("", "")


def test_blocks_without_a_shortcut_are_alike_only_if_they_give_the_same_shape() -> None:
    """A pooling is no layer with weights, so a box says nothing of it."""
    blocks = [nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)) for _ in range(9)]
    blocks[-1].append(nn.MaxPool2d(2))
    model = nn.Sequential(OrderedDict(conv1=Conv(3, 4), layer1=nn.Sequential(*blocks)))
    found = arrows(diagrams.network(model, image=(3, 8, 8)))
    assert "conv 1×1, 4, conv 1×1, 4 → ⋮, 5 more like these, ⋮" in found
    assert found[-1] == "conv 1×1, 4, conv 1×1, 4 → output (4×4×4)"


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        (nn.Sequential(OrderedDict(early=Conv(3, 4), late=Conv(4, 4))), "early, late"),
        (Conv(3, 4), "one module"),
    ],
)
def test_what_a_network_without_layers_has_is_told(model: nn.Module, parts: str) -> None:
    with pytest.raises(ValueError, match=f"has no layers, because .* no room is called layer1: {parts}$"):
        diagrams.layer(model, 1, (3, 8, 8))


def test_a_map_that_meets_itself_is_no_meeting_of_two_ways() -> None:
    """Each column of it times each other one."""
    model = nn.Sequential(Conv(3, 4), Lambda(lambda x: x[..., None] * x[..., None, :]))
    assert arrows(diagrams.network(model, image=(3, 8, 8)))[1:] == [
        "conv 3×3, 4 → multiply (4×8×8)", "multiply → output (4×8×8×8)"
    ]  # fmt: skip


class Lambda(nn.Module):
    def __init__(self, forward: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.does = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.does(x)


def test_a_shortcuts_line_is_nearly_twice_as_thick_as_an_arrow() -> None:
    svg = diagrams.block("basic", 64, 128, 2).svg
    for kind, path in re.findall(r'<g class="re-edge( re-\w+)?">\s*<path ([^>]*)>', svg):
        thick = float((re.search(r'stroke-width="([\d.]+)"', path) or [0, 1])[1])
        assert thick == (pytest.approx(1.8, abs=0.3) if kind else 1)


# The lane of a shortcut beside what stands there

LABEL = '<g id="edge1" class="edge"><text text-anchor="middle" x="{}" y="{}" font-size="12">&#160;{}&#160;</text></g>'
BOX = '<g id="node1" class="node"><path d="M{0},{1}C{0},{2} 200,{2} 200,{1}"/></g>'
WAY = '<g id="edge2" class="edge re-identity"><path d="M10,{1}C{0},{1} 10,{1} {0},{1} {0},{2} {0},{2} 10,{2}"/></g>'


@pytest.mark.parametrize(
    ("beside", "lane"),
    [
        ([], 55),
        ([LABEL.format(50, 24, "12345")], 76.5),  # 2 + 5·4.1 to each side of the middle, and 4 apart
        ([LABEL.format(30, 24, "12345")], 56.5),
        ([LABEL.format(28, 24, "12345")], 55),  # 4 apart already
        ([LABEL.format(77, 24, "12345")], 103.5),
        ([LABEL.format(78, 24, "12345")], 55),  # right of the lane
        ([LABEL.format(50, 43, "12345")], 76.5),
        ([LABEL.format(50, 44, "12345")], 55),  # its middle, 4 above its foot, is below the line's end
        ([LABEL.format(50, 5, "12345")], 76.5),
        ([LABEL.format(50, 4, "12345")], 55),
        ([LABEL.format(50, 24, "12345"), LABEL.format(51, 9, "123")], 76.5),
        ([LABEL.format(50, 24, "12345"), BOX.format(80, 10, 30)], 74),  # 6 from a box
        ([LABEL.format(50, 24, "12345"), BOX.format(58, 10, 30)], 55),  # no room
        ([LABEL.format(50, 24, "12345"), BOX.format(55, 10, 30)], 76.5),  # a box that the lane is in already
        ([LABEL.format(50, 24, "12345"), BOX.format(80, 39, 70)], 74),
        ([LABEL.format(50, 24, "12345"), BOX.format(80, 40, 70)], 76.5),  # below the line
        ([LABEL.format(50, 24, "12345"), BOX.format(80, -20, 1)], 74),
        ([LABEL.format(50, 24, "12345"), BOX.format(80, -20, 0)], 76.5),
        ([LABEL.format(50, 24, "12345"), WAY.format(82, 30, 10)], 73),  # 3 left of dot's curve, 6 from the line
        ([LABEL.format(50, 24, "12345"), WAY.format(59.5, 10, 30)], 55),
        ([LABEL.format(50, 24, "12345"), WAY.format(59, 10, 30)], 76.5),  # its own line
        ([LABEL.format(50, 24, "12345"), WAY.format(82, 39, 70)], 73),
        ([LABEL.format(50, 24, "12345"), WAY.format(82, 40, 70)], 76.5),
        ([LABEL.format(50, 24, "12345"), WAY.format(82, 1, -20)], 73),
        ([LABEL.format(50, 24, "12345"), WAY.format(82, 0, -20)], 76.5),
        ([BOX.format(58, 10, 30)], 55),
    ],
)
def test_a_line_keeps_off_labels_boxes_and_other_lines(beside: list[str], lane: float) -> None:
    assert diagrams._Around("".join(beside)).clear(55, 0, 40) == pytest.approx(lane)
