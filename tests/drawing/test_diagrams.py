import re
import xml.etree.ElementTree as ElementTree
from collections import Counter, OrderedDict
from html import escape

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from resnet_edu.counting import arithmetic
from resnet_edu.counting.recipes import Recipe, recipe
from resnet_edu.drawing import diagrams, palette, volumes
from resnet_edu.drawing.pictures import Picture, size_of
from resnet_edu.zoo import build

SVG = "{http://www.w3.org/2000/svg}"
KINDS = ("identity", "projection", "zero-pad")
DASHES = {"identity": None, "projection": "6 3", "zero-pad": "2 4"}


def edges(svg: str) -> list[ElementTree.Element]:
    return [g for g in ElementTree.fromstring(svg).iter(f"{SVG}g") if "re-edge" in g.get("class", "").split()]


def shortcuts(svg: str) -> Counter[str]:
    """How many lines of each kind are drawn, by what one sees: the dashes, on a line that is no plain arrow."""
    found: Counter[str] = Counter()
    for edge in edges(svg):
        names = [kind for kind in KINDS if f"re-{kind}" in edge.get("class").split()]
        path = edge.find(f"{SVG}path")
        if names:
            assert path.get("stroke-dasharray") == DASHES[names[0]]
            assert f"--re-{names[0]}-line" in path.get("style")
            found[names[0]] += 1
        else:
            assert path.get("stroke-dasharray") is None
    return found


def pluses(svg: str) -> int:
    root = ElementTree.fromstring(svg)
    circles = [g for g in root.iter(f"{SVG}g") if g.find(f"{SVG}ellipse") is not None]
    assert all(g.find(f"{SVG}text").text == "+" for g in circles)
    return len(circles)


def texts(svg: str) -> list[str]:
    return [text.text.strip() for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def expected_shortcuts(plan: Recipe) -> Counter[str]:
    """From the rules of section 4.1, without Steps."""
    found: Counter[str] = Counter()
    expansion = 4 if plan.block == "bottleneck" else 1
    channels = plan.widths[0]
    for number, (count, width) in enumerate(zip(plan.layers, plan.widths, strict=True)):
        for n in range(count):
            same = channels == width * expansion and not (number > 0 and n == 0)
            if plan.shortcut == "C" or (plan.shortcut == "B" and not same):
                found["projection"] += 1
            elif plan.block != "plain":
                found["identity" if same else "zero-pad"] += 1
            channels = width * expansion
    return found


@st.composite
def recipes(draw) -> Recipe:
    widths = sorted(draw(st.lists(st.integers(1, 300), min_size=1, max_size=5)))
    return Recipe(
        draw(st.sampled_from(["basic", "bottleneck", "plain"])),
        tuple(draw(st.integers(1, 5)) for _ in widths),
        tuple(widths),
        draw(st.sampled_from(["imagenet", "cifar"])),
        draw(st.sampled_from("ABC")),
    )


@settings(max_examples=40, derandomize=True, deadline=None, database=None)
@given(recipes(), st.integers(7, 300))
def test_every_shortcut_of_any_network_is_drawn_as_what_it_is(plan, side):
    diagram = diagrams.network(plan, image=(3, side, side))
    expected = expected_shortcuts(plan)
    for svg in (diagram.svg, diagram.narrow):
        assert shortcuts(svg) == expected
        assert pluses(svg) == expected.total()
    for kind, count in expected.items():
        assert f"{count} {kind}" in diagram.alt


@settings(max_examples=40, derandomize=True, deadline=None, database=None)
@given(
    st.sampled_from(["basic", "bottleneck", "plain"]),
    st.integers(1, 2048),
    st.integers(1, 512),
    st.integers(1, 3),
    st.sampled_from("ABC"),
    st.integers(1, 224),
)
def test_every_operation_and_shape_of_any_block_is_drawn(kind, in_channels, channels, stride, shortcut, size):
    diagram = diagrams.block(kind, in_channels, channels, stride, shortcut, size)
    steps = arithmetic.block_steps(kind, in_channels, channels, stride, shortcut=shortcut, size=size)
    shown = Counter(texts(diagram.svg))
    for operation, count in Counter(step.operation for step in steps if step.operation != "add").items():
        assert shown[operation] == count
    for step in steps:
        for shape in (step.input, step.output):
            assert shown["×".join(map(str, shape))] >= 1
    assert pluses(diagram.svg) == (kind != "plain")
    assert len(shortcuts(diagram.svg)) == (kind != "plain")


@pytest.mark.parametrize("stride_in", ["3x3", "1x1"])
@pytest.mark.parametrize("option", ["A", "B", "C"])
def test_a_block_on_its_own_is_the_block_in_the_network(option, stride_in):
    # Without the receptive field, which depends on what came before.
    inside = [
        step[:6]
        for step in arithmetic.steps("resnet50", shortcut=option, stride_in=stride_in)
        if step.room.startswith("layer3.0.")
    ]
    alone = arithmetic.block_steps(
        "bottleneck", 512, 256, 2, shortcut=option, size=28, stride_in=stride_in, room="layer3.0"
    )
    assert [step[:6] for step in alone] == inside


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["resnet34", "resnet50"])
def test_a_layer_shows_its_blocks(name, number):
    diagram = diagrams.layer(name, number)
    count = recipe(name).layers[number - 1]
    first = name == "resnet50" or number > 1
    assert pluses(diagram.svg) == count
    assert shortcuts(diagram.svg)["projection"] == first
    assert shortcuts(diagram.svg)["identity"] == count - first


def test_a_layer_ends_where_its_last_sum_ends():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return x + self.conv(x)

    dot = diagrams.layer(nn.Sequential(OrderedDict(layer1=nn.Sequential(Sum(), Sum()))), 1, image=(3, 8, 8)).dot
    last = re.findall(r"^(n\d+) -> (n\d+) ", dot, flags=re.MULTILINE)[-1][0]
    assert re.search(rf'^{last} \[label="\+"', dot, flags=re.MULTILINE)


def test_a_missing_layer_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match="ResNet-34 has layer1, layer2, layer3, layer4, not layer5"):
        diagrams.layer("resnet34", 5)


@pytest.mark.parametrize("name", ["resnet101", "resnet152", "cifar110"])
def test_long_runs_are_folded_and_counted(name):
    image = (3, 32, 32) if name.startswith("cifar") else (3, 224, 224)
    diagram = diagrams.network(name, image=image)
    folded = sum(int(text.split()[0]) for text in texts(diagram.svg) if text.endswith("more like these"))
    assert folded > 0
    assert folded + pluses(diagram.svg) == sum(recipe(name).layers)
    assert len(edges(diagram.svg)) < 120


def test_our_network_and_torchvisions_look_the_same():
    image = (3, 64, 64)
    expected = diagrams.network("resnet18", image=image)
    assert diagrams.network(build("resnet18"), image=image).svg.count("<path") == expected.svg.count("<path")
    theirs = diagrams.network(torchvision.models.resnet18(weights=None), image=image)
    assert texts(theirs.svg) == texts(expected.svg)
    assert shortcuts(theirs.svg) == shortcuts(expected.svg)


def test_a_layers_view_has_a_box_for_each():
    shown = texts(diagrams.network("resnet34", level="layer").svg)
    for room in ("image", "stem", "layer1", "layer2", "layer3", "layer4", "head", "scores"):
        assert room in shown
    for text in ("3 blocks", "4 blocks", "6 blocks", "64×56×56", "128×28×28", "256×14×14", "512×7×7"):
        assert text in shown


def test_the_stems_show_their_shapes():
    assert texts(diagrams.stem("imagenet").svg).count("64×112×112") == 1
    assert "max-pool 3×3/2" in texts(diagrams.stem("imagenet", (1, 97, 97)).svg)
    assert "64×25×25" in texts(diagrams.stem("imagenet", (1, 97, 97)).svg)  # 97 → 49 → 25
    assert texts(diagrams.stem("cifar", (3, 32, 32)).svg) == [
        "3×32×32",
        "conv 3×3",
        "batch norm",
        "16×32×32",
        "ReLU",
        "16×32×32",
    ]


def fills(svg: str) -> dict[str, str]:
    """The inside of each filled box, by the first line of its text."""
    nodes = [g for g in ElementTree.fromstring(svg).iter(f"{SVG}g") if "re-node" in g.get("class", "").split()]
    boxes = {node.find(f"{SVG}text").text.strip(): node.find(f"{SVG}path") for node in nodes}
    paints = {text: re.search(r"fill:(var[^;]*)", box.get("style")) for text, box in boxes.items() if box is not None}
    return {text: paint[1] for text, paint in paints.items() if paint}


def test_each_box_has_the_color_of_its_room():
    layers = fills(diagrams.network("resnet34", level="layer").svg)
    assert layers == {room: palette.fill(room) for room in palette.ROOMS}
    blocks = fills(diagrams.network("resnet34").svg)
    for channels, room in ((64, "layer1"), (128, "layer2"), (256, "layer3"), (512, "layer4")):
        assert blocks[f"conv 3×3, {channels}"] == palette.fill(room)
        block = fills(diagrams.block("basic", channels, channels).svg)
        assert block == {"conv 3×3": palette.fill(room)}
    assert fills(diagrams.stem().svg) == {"conv 7×7/2": palette.fill("stem")}


@pytest.mark.parametrize(
    "diagram",
    [
        diagrams.block("basic", 64, 128, 2),
        diagrams.block("bottleneck", 256, 128, 2, "A"),
        diagrams.network("resnet34"),
        diagrams.compare(diagrams.block("plain"), diagrams.block("basic")),
    ],
)
def test_every_color_is_handed_over_to_the_page(diagram):
    root = ElementTree.fromstring(diagram.svg)
    for element in root.iter():
        assert element.get("fill") in (None, "currentColor")
        assert element.get("stroke") is None
        assert element.get("font-family") is None or element is root or element.tag == f"{SVG}svg"
        for declaration in (element.get("style") or "").split(";"):
            name, _, value = declaration.partition(":")
            if name in ("fill", "stroke"):
                assert value in ("none", "currentColor") or value.startswith("var(--re-")
    assert not list(root.iter(f"{SVG}title")), "no tooltips with names that only dot knows"


def test_everything_lies_inside_the_picture():
    svg = diagrams.network("resnet50").svg
    width, height = size_of(svg)
    shift = [float(number) for number in re.search(r"translate\(([\d.]+) ([\d.]+)\)", svg).groups()]
    for text in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        x, y = float(text.get("x")) + shift[0], float(text.get("y")) + shift[1]
        half = 3.6 * len(text.text.strip())
        assert half - 3 <= x <= width - half + 3
        assert 8 <= y <= height


def test_words_tell_what_lines_tell():
    alt = diagrams.block("basic", 64, 128, 2).alt
    assert "projection shortcut" in alt
    assert "a dashed line, is conv 1×1/2 to 128×28×28, batch norm" in alt
    assert "without a shortcut" in diagrams.block("plain").alt
    assert "a dotted line, is zero-pad/2 to 128×28×28" in diagrams.block("basic", 64, 128, 2, "A").alt
    assert "layer2 halves 56 pixels a side to 28" in diagrams.network("resnet34").alt
    assert "No block has a shortcut" in diagrams.network("plain34").alt


def test_two_diagrams_stand_side_by_side():
    plain, basic = diagrams.block("plain"), diagrams.block("basic")
    pair = diagrams.compare(plain, basic)
    assert isinstance(pair, Picture)
    assert Counter(texts(pair.svg)) == Counter(texts(plain.svg)) + Counter(texts(basic.svg)) + Counter(
        [plain.title, basic.title]
    )
    assert plain.alt in pair.alt
    assert basic.alt in pair.alt
    width, height = size_of(pair.svg)
    assert width >= size_of(plain.svg)[0] + size_of(basic.svg)[0]
    assert height > size_of(basic.svg)[1]
    page = ElementTree.fromstring(pair._repr_html_())
    assert "flex-wrap:wrap" in page.get("style")
    assert len(list(page.iter(f"{SVG}svg"))) == 2


@pytest.mark.parametrize("draw", [diagrams.block, lambda: diagrams.compare(diagrams.block("plain"), diagrams.block())])
def test_without_graphviz_words_stand_in_for_the_picture_and_a_file_is_refused(draw, monkeypatch, tmp_path):
    """A notebook goes on with its next cell; a sentence says how to get the program."""
    whole = draw()
    monkeypatch.setenv("PATH", "")
    words = draw()
    sentence = "Graphviz, and its program dot is not installed: sudo apt-get install"
    assert sentence in words._repr_html_()
    assert escape(whole.alt) in words._repr_html_()
    assert (words.title, words.dot) == (whole.title, whole.dot)
    with pytest.raises(RuntimeError, match=sentence):
        words.save(tmp_path / "block.svg")
    assert not list(tmp_path.iterdir())


def test_what_graphviz_complains_about_is_told(monkeypatch, tmp_path):
    (tmp_path / "dot").write_text("#!/bin/sh\necho 'no such layout' >&2\nexit 1\n")
    (tmp_path / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(RuntimeError, match="dot could not lay out the graph: no such layout"):
        diagrams.block()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: diagrams.block("bottle"), "block must be one of 'basic', 'bottleneck', 'plain'"),
        (lambda: diagrams.block(shortcut="D"), "shortcut must be one of 'A', 'B', 'C'"),
        (lambda: diagrams.block(stride=0), "stride must be a whole number of at least 1, got 0"),
        (lambda: diagrams.block(size=0), "size must be a whole number of at least 1, got 0"),
        (lambda: diagrams.stem("big"), "stem must be one of 'imagenet', 'cifar', got 'big'"),
        (lambda: diagrams.network("resnet34", level="room"), "level must be one of 'block', 'layer'"),
        (lambda: diagrams.layer(arithmetic.steps("resnet18")[:4]), "has no layers, because nothing is added in it"),
    ],
)
def test_errors_say_what_exists(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# Other people's networks: drawn from what their operations read.


def conv(channels_in: int, channels: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2)


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.mid, self.out = conv(3, 4), conv(4, 8), conv(8, 2)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)

    def forward(self, x):
        left = torch.relu(self.down(x))
        return self.out(torch.cat([left, self.up(self.mid(F.max_pool2d(left, 2)))], 1))


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = conv(channels, channels), conv(channels, channels)

    def forward(self, x):
        return x + self.second(torch.relu(self.first(x)))


class LongWay(nn.Module):
    """As in super-resolution: blocks, and a way around all of them."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.start, self.body = conv(3, 8), nn.Sequential(*(Residual(8) for _ in range(blocks)), conv(8, 8))

    def forward(self, x):
        x = self.start(x)
        return x + self.body(x)


def test_a_skip_that_is_joined_is_an_edge_and_no_shortcut():
    diagram = diagrams.network(UNet(), image=(3, 16, 16))
    for svg in (diagram.svg, diagram.narrow):
        assert not shortcuts(svg)
        shown = texts(svg)
        assert shown.count("concat") == 1
        assert "transposed conv 2×2/2, 4" in shown
        # The left convolution is read twice: by the pooling and by the concat.
        assert shown.count("4×16×16") == 3
    assert "No block has a shortcut" in diagram.alt


@pytest.mark.parametrize("blocks", [2, 12])
def test_a_way_around_many_blocks_is_drawn_around_them(blocks):
    diagram = diagrams.network(LongWay(blocks), image=(3, 16, 16))
    folded = sum(int(text.split()[0]) for text in texts(diagram.svg) if text.endswith("more like these"))
    assert shortcuts(diagram.svg)["identity"] == blocks + 1 - folded
    assert f"{blocks + 1} identity (solid)" in diagram.alt


class Nested(nn.Module):
    """A block, a layer, and a shortcut around both."""

    def __init__(self, widens: bool = False) -> None:
        super().__init__()
        self.first, self.last = conv(4, 4), conv(8 if widens else 4, 4)
        self.inner = Widening() if widens else Residual(4)

    def forward(self, x):
        return x + self.last(self.inner(self.first(x)))


class Widening(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.around = conv(4, 8), conv(8, 8), conv(4, 8, 1)

    def forward(self, x):
        return self.around(x) + self.b(torch.relu(self.a(x)))


@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize("widens", [False, True])
def test_a_shortcut_inside_of_a_block_has_its_own_line(count, widens):
    model = nn.Sequential(conv(3, 4), *(Nested(widens) for _ in range(count)))
    diagram = diagrams.network(model, image=(3, 8, 8))
    for svg in (diagram.svg, diagram.narrow):
        shown = texts(svg)
        folded = sum(int(text.split()[0]) for text in shown if text.endswith("more like these"))
        drawn = count - folded
        inner = "projection" if widens else "identity"
        assert shortcuts(svg) == Counter(["identity"] * drawn + [inner] * drawn)
        assert pluses(svg) == 2 * drawn
        assert shown.count("conv 1×1, 8") == (drawn if widens else 0)
        ways = [edge.find(f"{SVG}path") for edge in edges(svg) if "-line" in edge.find(f"{SVG}path").get("style")]
        assert all("C" in way.get("d") for way in ways), "only dot's curve goes around what stands beside each other"
    assert folded == (6 if count == 9 else 0)
    assert "no line" not in diagram.alt
    kinds = {"identity": count, "projection": count} if widens else {"identity": 2 * count}
    assert all(f"{number} {kind}" in diagram.alt for kind, number in kinds.items())


def test_a_thicket_says_that_shortcuts_in_it_have_no_line():
    class Tangle(nn.Module):
        def __init__(self):
            super().__init__()
            self.convs = nn.ModuleList(conv(4, 4) for _ in range(16))

        def forward(self, x):
            kept = [x]
            for one in self.convs:
                kept.append(one(torch.stack(kept).mean(0)) + kept[-1])
            return kept[-1]

    diagram = diagrams.network(Tangle(), image=(4, 8, 8))
    hidden = [text for text in texts(diagram.svg) if text.endswith("without a line")]
    assert hidden == ["and 16 shortcuts without a line"]
    assert "16 more, inside of one box, have no line" in diagram.alt


class Gated(nn.Module):
    """Squeeze and excitation: the last two layers do not follow the first."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.down, self.up = conv(4, 4), nn.Linear(4, 2), nn.Linear(2, 4)

    def forward(self, x):
        y = self.a(x)
        return x + y * torch.sigmoid(self.up(torch.relu(self.down(y.mean((2, 3))))))[:, :, None, None]


class Parallel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(4, 4), nn.Sequential(conv(4, 4), conv(4, 4))

    def forward(self, x):
        return x + self.a(x) + self.b(x)


@pytest.mark.parametrize(("block", "is_said"), [(Gated, True), (Parallel, True), (lambda: Residual(4), False)])
def test_a_list_of_layers_that_lie_beside_each_other_says_so(block, is_said):
    diagram = diagrams.network(nn.Sequential(conv(3, 4), block()), image=(3, 8, 8))
    assert ("(in branches)" in texts(diagram.svg)) == is_said
    assert shortcuts(diagram.svg) == Counter(identity=1)


def test_a_block_that_reads_from_elsewhere_is_no_box():
    class Skips(nn.Module):
        """As in WaveNet: what leaves a block in its middle is summed up beside the blocks."""

        def __init__(self):
            super().__init__()
            self.convs = nn.ModuleList(conv(4, 4) for _ in range(3))
            self.outs = nn.ModuleList(conv(4, 4, 1) for _ in range(3))

        def forward(self, x):
            total = 0
            for one, out in zip(self.convs, self.outs, strict=True):
                y = torch.tanh(one(x))
                x, total = x + y, total + out(y)
            return total

    diagram = diagrams.network(Skips(), image=(4, 8, 8))
    assert pluses(diagram.svg) == 3 + 2
    assert shortcuts(diagram.svg) == Counter(identity=3, projection=1)
    assert texts(diagram.svg).count("conv 1×1, 4") == 3
    assert "no line" not in diagram.alt


def test_branches_that_are_joined_stand_beside_each_other():
    model = torchvision.models.squeezenet1_1().features[:5]
    diagram = diagrams.network(model, image=(3, 32, 32))
    joins = re.findall(r'^(\w+) \[label="concat"', diagram.dot, flags=re.MULTILINE)
    assert len(joins) == 2
    for join in joins:
        assert len(re.findall(rf"^\w+ -> {join} ", diagram.dot, flags=re.MULTILINE)) == 2


def test_a_thicket_is_one_box():
    with torch.device("meta"):
        model = torchvision.models.densenet121()
    diagram = diagrams.network(model, image=(3, 64, 64))
    assert len(edges(diagram.svg)) < 10
    assert "120 layers with weights" in texts(diagram.svg)


def test_tokens_are_drawn_with_their_channels_as_length():
    picture = volumes.draw(torchvision.models.vit_b_32(), level="layer")
    assert "50×768" in picture.svg
    assert "in 24 blocks" in picture.alt
    boxes = re.findall(r"h([\d.]+)v([\d.]+)h-", picture.svg)
    image, stem = boxes[0], boxes[1]
    assert float(stem[1]) / float(image[1]) == pytest.approx(50 / 224, rel=0.01)
    assert float(stem[0]) > 20


def test_no_box_is_empty_and_no_part_is_lost():
    model = nn.Sequential()
    model.layer1 = nn.Sequential(nn.MaxPool2d(2))
    model.layer2 = nn.Sequential(nn.ReLU())
    diagram = diagrams.network(model, image=(3, 8, 8))
    assert "max-pool 2×2/2" in texts(diagram.svg)
    assert "ReLU" in texts(diagram.svg)
    assert 'label=""' not in diagram.dot


@pytest.mark.parametrize(
    "draw",
    [
        lambda: diagrams.block("basic"),
        lambda: diagrams.block("bottleneck", 256, 128, 2),
        lambda: diagrams.block("basic", 64, 128, 2, "A"),
        lambda: diagrams.layer("resnet34", 2),
        lambda: diagrams.network("resnet50"),
    ],
)
def test_shortcuts_turn_at_right_angles_and_cross_no_box(draw):
    """As in the explorers; two of them that meet at a plus do not lie on each other."""
    picture = draw()
    for svg in filter(None, (picture.svg, picture.narrow)):
        root = ElementTree.fromstring(svg)
        boxes = []
        for node in (g for g in root.iter(f"{SVG}g") if "re-node" in g.get("class", "").split()):
            outline = node.find(f"{SVG}path")
            if outline is not None:
                points = [tuple(map(float, pair)) for pair in re.findall(r"(-?[\d.]+),(-?[\d.]+)", outline.get("d"))]
                xs, ys = zip(*points, strict=True)
                boxes.append((min(xs), min(ys), max(xs), max(ys)))
        lanes = []
        for edge in edges(svg):
            if "-line" not in edge.find(f"{SVG}path").get("style"):
                continue
            way = edge.find(f"{SVG}path").get("d")
            assert re.fullmatch(r"M-?[\d.]+,-?[\d.]+([HV]-?[\d.]+)+", way), way
            x, y = map(float, re.match(r"M(.+?),([-\d.]+)", way).groups())
            for turn, value in re.findall(r"([HV])(-?[\d.]+)", way):
                to_x, to_y = (float(value), y) if turn == "H" else (x, float(value))
                left, right, top, bottom = min(x, to_x), max(x, to_x), min(y, to_y), max(y, to_y)
                inside = [b for b in boxes if left < b[2] and right > b[0] and top < b[3] and bottom > b[1]]
                assert not inside, (way, inside)
                if turn == "H":
                    lanes.append((y, left, right))
                x, y = to_x, to_y
        for n, (y, left, right) in enumerate(lanes):
            for other, start, stop in lanes[n + 1 :]:
                assert abs(y - other) > 3 or right <= start or stop <= left, "two lines on each other"


@pytest.mark.parametrize(
    "draw",
    [
        lambda: diagrams.block("bottleneck", 256, 64),
        lambda: diagrams.block("basic", 64, 128, 2, "A"),
        lambda: diagrams.layer("resnet34", 2),
        lambda: diagrams.layer("resnet50", 3),
        lambda: diagrams.network("resnet34"),
    ],
)
def test_no_shortcut_strikes_through_a_shape(draw):
    picture = draw()
    for svg in filter(None, (picture.svg, picture.narrow)):
        lines, labels = [], []
        for edge in edges(svg):
            way = edge.find(f"{SVG}path").get("d")
            if "-line" in edge.find(f"{SVG}path").get("style"):
                x, y = map(float, re.match(r"M(.+?),([-\d.]+)", way).groups())
                for turn, value in re.findall(r"([HV])(-?[\d.]+)", way):
                    to_x, to_y = (float(value), y) if turn == "H" else (x, float(value))
                    lines.append((x, *sorted((y, to_y)))) if turn == "V" else None
                    x, y = to_x, to_y
            else:
                labels += [(float(t.get("x")), float(t.get("y")), t.text.strip()) for t in edge.findall(f"{SVG}text")]
        assert lines
        for x, y, words in labels:
            # A digit of 12 pixels is 7.6 wide in DejaVu, which is the widest that a page may choose, and × is 10.
            half = sum(10 if sign == "×" else 7.6 for sign in words) / 2 + 2
            struck = [line for line in lines if line[1] < y < line[2] and x - half < line[0] < x + half]
            assert not struck, (words, x, half, struck)
