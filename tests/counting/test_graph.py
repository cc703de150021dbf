"""What follows from the rows, for networks whose shortcuts, totals and fields are known because they were built so."""

import itertools
import keyword
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torchvision import models

from resnet_edu.counting import arithmetic, graph
from resnet_edu.counting.recipes import Recipe
from resnet_edu.counting.steps import Step
from resnet_edu.counting.trace import trace
from resnet_edu.drawing import diagrams

# Networks with forks, under random names.

NAMES = ["downsample", "skip", "proj", "relu", "conv1", "layer1", "layer0", "fc", "head", "add_it", "shortcut"]


class Plus(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b


@dataclass
class Plan:
    """One block: its convolutions, its way around, how it spells the addition, and what its parts are called."""

    kernels: list[int]
    stride: int
    way: str
    spelling: str
    names: list[str]
    is_functional: bool = False


class Forked(nn.Module):
    def __init__(self, plan: Plan, channels: int) -> None:
        super().__init__()
        self.plan = plan
        names = iter(plan.names)
        self.convs = []
        for number, kernel in enumerate(plan.kernels):
            stride = plan.stride if number == 0 else 1
            conv = nn.Conv2d(channels, channels, kernel, stride, kernel // 2)
            self.convs.append(next(names))
            setattr(self, self.convs[-1], conv)
        self.side, self.plus = next(names), next(names)
        around = nn.Conv2d(channels, channels, 1, plan.stride) if plan.way == "projection" else nn.Sequential()
        setattr(self, self.side, around)
        setattr(self, self.plus, Plus())

    def around(self, x: torch.Tensor) -> torch.Tensor:
        plan = self.plan
        if plan.way == "pool":
            return F.avg_pool2d(x, plan.stride)
        if plan.way == "slice":
            return x[:, :, :: plan.stride, :: plan.stride]
        if plan.way == "scale":
            return x * 0.5
        return getattr(self, self.side)(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        plan = self.plan
        out = x
        for name in self.convs:
            conv = getattr(self, name)
            if plan.is_functional:
                out = F.relu(F.conv2d(out, conv.weight, conv.bias, conv.stride, conv.padding))
            else:
                out = torch.relu(conv(out))
        if plan.way == "none":
            return out
        if plan.way == "doubled":
            return out + out
        side = self.around(x)
        if plan.spelling == "in place":
            out += side
            return out
        if plan.spelling == "module":
            return getattr(self, self.plus)(out, side)
        return {"sign": lambda: side + out, "function": lambda: torch.add(out, side)}[plan.spelling]()


EXPECTED = {"identity": "identity", "projection": "projection", "pool": "unlearned", "slice": "unlearned"}
EXPECTED |= {"scale": "unlearned"}


@st.composite
def plans(draw: Any) -> Plan:
    stride = draw(st.sampled_from([1, 1, 2]))
    ways = ["projection", "none", "doubled", *(["identity", "scale"] if stride == 1 else ["pool", "slice"])]
    words = st.sampled_from(NAMES) | st.from_regex(r"[a-z]{2,7}", fullmatch=True)
    names = draw(st.lists(words, min_size=5, max_size=5, unique=True))
    taken = (*dir(nn.Module()), "plan", "convs", "side", "plus", "around")
    assume(not any(name in taken or keyword.iskeyword(name) for name in names))
    return Plan(
        draw(st.lists(st.sampled_from([1, 3, 5]), min_size=2, max_size=3)),
        stride,
        draw(st.sampled_from(ways)),
        draw(st.sampled_from(["sign", "function", "in place", "module"])),
        names,
        draw(st.booleans()),
    )


@dataclass
class Known:
    """What the network must turn out to be."""

    kinds: list[str] = field(default_factory=list)
    multiply_adds: int = 0
    seen: int = 1


def known(plan_list: list[Plan], channels: int, side: int) -> Known:
    """By hand: neither rows nor views."""
    result, jump = Known(), 1
    for plan in plan_list:
        seen, around, before = result.seen, result.seen, jump
        for number, kernel in enumerate(plan.kernels):
            seen += (kernel - 1) * jump
            if number == 0:
                side, jump = -(-side // plan.stride), jump * plan.stride
            result.multiply_adds += kernel * kernel * channels * channels * side * side
        if plan.way == "projection":
            result.multiply_adds += channels * channels * side * side
        if plan.way == "pool":
            around += (plan.stride - 1) * before
        result.seen = max(seen, around) if plan.way not in ("none", "doubled") else seen
        if plan.way in EXPECTED:
            result.kinds.append(EXPECTED[plan.way])
    return result


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(st.lists(plans(), min_size=1, max_size=4), st.booleans(), st.integers(1, 3))
def test_kinds_totals_and_fields_of_any_network_are_what_it_was_built_to_be(drawn, has_idle, channels):
    side = 16
    model = nn.Sequential(*(Forked(plan, channels) for plan in drawn))
    if has_idle:
        model[0].register_parameter("never_read", nn.Parameter(torch.zeros(7, 11)))
    expected = known(drawn, channels, side)
    steps = trace(model, (channels, side, side))
    assert [shortcut.kind for shortcut in graph.shortcuts(steps)] == expected.kinds
    assert sum(step.multiply_adds for step in steps) == expected.multiply_adds
    assert steps[-1].receptive_field == expected.seen
    real = sum(p.numel() for p in model.parameters())
    assert sum(step.parameters for step in steps) + sum(steps.unread.values()) == real
    assert sum(steps.unread.values()) == (77 if has_idle else 0)
    rows = graph.by_block(steps)
    assert sum(row.parameters for row in rows) == sum(step.parameters for step in steps)


@settings(max_examples=25, derandomize=True, deadline=None, database=None)
@given(st.lists(plans(), min_size=2, max_size=4))
def test_every_kind_has_its_line_in_the_picture(drawn):
    model = nn.Sequential(*(Forked(plan, 2) for plan in drawn))
    diagram = diagrams.network(model, image=(2, 16, 16))
    found = Counter(
        kind for kind in ("identity", "projection", "unlearned") for _ in range(diagram.dot.count(f'"re-{kind}"'))
    )
    assert found == Counter(known(drawn, 2, 16).kinds)
    assert 'label=""' not in diagram.dot


# Forks of every kind, one at a time.


def net(forward: Any, **parts: nn.Module) -> nn.Module:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, part)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return forward(self, x)

    return Net()


def one(forward: Any, image: tuple[int, ...] = (4, 8, 8), **parts: nn.Module) -> list[str]:
    return [shortcut.kind for shortcut in graph.shortcuts(trace(net(forward, **parts), image))]


def conv(kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(4, 4, kernel, padding=kernel // 2)


@pytest.mark.parametrize(
    ("forward", "kinds"),
    [
        (lambda s, x: x + x, []),
        (lambda s, x: s.a(x) + 1, []),
        (lambda s, x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.04 * x**3))), []),
        (lambda s, x: s.a(x) + s.b(x), []),  # two branches with a layer each
        (lambda s, x: x + s.a(x), ["identity"]),
        (lambda s, x: F.dropout(x, 0.5, s.training) + s.a(x), ["identity"]),
        (lambda s, x: x.flatten(1).view_as(x) + s.a(x), ["identity"]),
        (lambda s, x: s.b(s.a(x)) + s.c(x), ["projection"]),
        (lambda s, x: s.n(x) + s.a(x), ["projection"]),  # a norm learns too
        (lambda s, x: F.max_pool2d(x, 3, 1, 1) + s.a(x), ["unlearned"]),
        (lambda s, x: 0.1 * x + s.a(x), ["unlearned"]),
        (lambda s, x: s.a(x + s.b(x)) + x, ["identity", "identity"]),
        (lambda s, x: s.a(x) + torch.zeros_like(x), []),  # it has the map's shape and nothing else of it
        (lambda s, x: torch.cat([x, s.a(x)], 1), []),
        (lambda s, x: x * torch.sigmoid(s.a(x)), []),
        (lambda s, x: x + s.a(x) * torch.sigmoid(s.b(x)), ["identity"]),
        (lambda s, x: s.c(x) + s.a(x) * torch.sigmoid(s.b(x)), ["projection"]),  # a product is one way
        (lambda s, x: s.a(x) + x.mean((2, 3), keepdim=True), ["unlearned"]),
        (lambda s, x: torch.add(s.a(x), x, alpha=1), ["identity"]),
        # Sums of three, in any order; the second branch is longer than the first.
        (lambda s, x: x + s.a(x) + s.c(s.b(x)), ["identity"]),
        (lambda s, x: s.a(x) + s.c(s.b(x)) + x, ["identity"]),
        (lambda s, x: s.a(x) + (s.c(s.b(x)) + x), ["identity"]),
        (lambda s, x: s.a(x) + s.b(x) + s.n(x), ["projection"]),
        (lambda s, x: s.a(x) + s.b(x) + s.c(x), []),
        (lambda s, x: x + (x + s.a(x)), ["identity", "identity"]),
        (lambda s, x: torch.addcmul(x, s.n.weight[:, None, None], s.a(x)), ["identity"]),
        (lambda s, x: torch.lerp(x, s.a(x), 0.3), ["identity"]),
        (lambda s, x: torch.addcmul(torch.zeros(1), x, s.a(x)), []),
    ],
)
def test_the_kind_of_an_addition(forward, kinds):
    assert one(forward, a=conv(), b=conv(), c=conv(1), n=nn.BatchNorm2d(4)) == kinds


def test_the_smallest_layer_is_a_layer():
    """One multiply-add: two branches of such layers are no shortcut, beside a layer it is one that learns."""
    tiny = {"a": nn.Conv2d(1, 1, 1), "b": nn.Conv2d(1, 1, 1)}
    assert one(lambda s, x: s.a(x) + s.b(x), (1, 1, 1), **tiny) == []
    assert one(lambda s, x: s.a(x) + x, (1, 1, 1), **tiny) == ["identity"]


def test_layers_beside_each_other_are_no_chain_and_a_shortcut_is_not_beside():
    for forward, is_branched in (
        (lambda s, x: x + s.a(x) + s.b(x), True),
        (lambda s, x: x + s.a(x) * torch.sigmoid(s.b(x.mean((2, 3), keepdim=True))), True),
        (lambda s, x: s.b(s.a(x)) + s.c(x), False),
        # Two layers beside each other on the shortcut are no branches of the block.
        (lambda s, x: s.a(s.b(s.a(x))) + torch.cat([s.c(x), s.b(x)], 1)[:, 2:6], False),
        (lambda s, x: x + torch.cat([torch.relu(y := s.a(x)), -y], 1)[:, :4], False),  # without a layer on either
    ):
        steps = trace(nn.Sequential(net(forward, a=conv(), b=conv(), c=conv(1))), (4, 8, 8))
        (block,) = [block for part in graph.parts(steps) for block in part.blocks]
        assert graph.is_branched(steps, block) == is_branched


def test_a_learned_position_comes_from_no_fork():
    class Place(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.p = conv(), nn.Parameter(torch.zeros(1, 4, 8, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x + self.p.tanh())

    steps = trace(nn.Sequential(Place()), (4, 8, 8))
    assert not graph.shortcuts(steps)
    assert (steps[0].operation, steps[0].parameters, steps[0].learned) == ("+ parameter", 256, True)


def test_the_depth_is_that_of_the_longest_path_also_if_a_short_one_ends_last():
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.deep, self.short = conv(), nn.Sequential(conv(), conv(), conv()), conv()

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            x = self.a(x)
            return {"deep": self.deep(x), "short": self.short(x)}

    assert graph.depth(trace(Heads(), (4, 8, 8))) == 4


# Parts, without a look at names.


@pytest.mark.parametrize(
    ("name", "blocks", "depth"),
    [
        ("resnet18", [2, 2, 2, 2], 18),
        ("resnet50", [3, 4, 6, 3], 50),
        ("resnext50_32x4d", [3, 4, 6, 3], 50),
        ("wide_resnet50_2", [3, 4, 6, 3], 50),
        ("convnext_tiny", [3, 3, 9, 3], None),
    ],
)
@pytest.mark.parametrize("is_renamed", [False, True])
def test_published_counts_of_blocks(name, blocks, depth, is_renamed):
    with torch.device("meta"):
        model = models.get_model(name)
    if is_renamed:
        for number, (own, child) in enumerate(list(model.named_children())):
            if own.startswith("layer"):
                model.add_module(own, nn.ModuleDict({f"room{number}": child})[f"room{number}"])
        model = nn.ModuleDict({"backbone": model})["backbone"]
    steps = trace(model)
    if is_renamed:
        steps = [step._replace(room=f"encoder.{step.room.replace('layer', 'stage')}") for step in steps]
    assert [len(part.blocks) for part in graph.parts(steps) if part.blocks] == blocks
    assert depth is None or graph.depth(steps) == depth


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(
    st.sampled_from(["basic", "bottleneck"]),
    st.lists(st.integers(1, 4), min_size=1, max_size=5),
    st.sampled_from("ABC"),
    st.integers(7, 60),
)
def test_parts_of_our_networks_are_those_that_their_names_say(block, layers, shortcut, side):
    plan = Recipe(block, tuple(layers), (8,) * len(layers), shortcut=shortcut)
    steps = arithmetic.steps(plan, (3, side, side))
    from resnet_edu.counting.steps import block_of, layer_of

    parts = graph.parts(steps)
    assert [part.name for part in parts] == [name for name, _ in itertools.groupby(layer_of(s.room) for s in steps)]
    named = [name for name, _ in itertools.groupby(block_of(step.room) for step in steps)]
    assert [row.room for row in graph.by_block(steps)] == named
    nameless = [step._replace(room="") for step in steps]
    rows = [(row[1:]) for row in graph.by_block(steps)]
    assert [(row[1:]) for row in graph.by_block(nameless)] == rows


def test_parts_are_a_partition_of_the_rows():
    for name in ("mobilenet_v2", "efficientnet_b0", "vit_b_16", "vgg11", "googlenet", "densenet121", "regnet_y_400mf"):
        with torch.device("cpu" if name.startswith("regnet") else "meta"):
            model = models.get_model(name, **({"init_weights": False} if name == "googlenet" else {}))
        steps = trace(model)
        place = 0
        for part in graph.parts(steps):
            assert (part.start, part.stop > part.start) == (place, True)
            runs = list(graph.runs(part))
            assert [run[1] for run in runs] == [part.start, *(run[2] for run in runs[:-1])]
            place = part.stop
        assert place == len(steps)


def test_a_part_of_a_network_is_the_same_rows_as_in_the_network():
    steps = arithmetic.steps("resnet50")
    part = graph.parts(steps)[2]
    inside = [s for s in graph.shortcuts(steps) if part.start <= s.sum < part.stop]
    alone = graph.shortcuts(steps[part.start : part.stop])
    assert [s.kind for s in alone] == [s.kind for s in inside] == ["projection", "identity", "identity", "identity"]


def test_without_sums_layers_have_the_blocks_that_their_rooms_name():
    parts = graph.parts(arithmetic.steps("plain18"))
    assert [(part.name, [block.room for block in part.blocks]) for part in parts] == [
        ("stem", []),
        *((f"layer{n}", [f"layer{n}.0", f"layer{n}.1"]) for n in range(1, 5)),
        ("head", []),
    ]


def test_a_block_without_a_shortcut_stands_between_those_that_have_one_also_at_the_top():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            return x + self.b(self.a(x))

    plain = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))
    parts = graph.parts(trace(nn.Sequential(Residual(), plain, Residual()), (4, 6, 6)))
    assert [block.room for part in parts for block in part.blocks] == ["0", "1", "2"]


def test_summed_rows_say_what_they_read():
    row = Step("a", "conv 3×3", (1, 4, 4), (1, 4, 4), 9, 144, 3, learned=True)
    steps = [row, row._replace(room="b"), row._replace(room="c", reads=(2,))]
    assert graph.sources(steps) == [(-1,), (0,), (0,)]
    assert [summed.reads for summed in graph.by_layer(steps)] == [(1,), (1,), (2,)]
    steps = [row, row._replace(room="b.x"), row._replace(room="b.y"), row._replace(room="c", reads=(1, 3))]
    assert [summed.reads for summed in graph.by_layer(steps)] == [(1,), (1,), (1, 2)], "and not that it reads itself"


def test_a_row_that_sums_up_says_how_many_and_a_network_of_nothing_has_no_depth():
    row = Step("a", "conv 3×3", (1, 4, 4), (1, 4, 4), 9, 144, 3, learned=True)
    assert [summed.operation for summed in graph.by_layer([row, row, row._replace(room="b")])] == [
        "2 operations",
        "1 operation",
    ]
    assert graph.depth([]) == 0
    assert graph.depth([row]) == 1


def test_where_nothing_is_added_the_names_are_the_parts_and_their_roles():
    steps = arithmetic.steps("plain18", (3, 32, 32))
    names = ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
    assert [(part.name, part.role) for part in graph.parts(steps)] == [(name, name) for name in names]
    # A room that comes back stays with the part where it is used again.
    row = Step("", "conv 3×3", (1, 4, 4), (1, 4, 4), 9, 144, 3)
    rooms = ["a.0", "a.1", "act", "b", "act", "a.0", "c"]
    parts = graph.parts([row._replace(room=room) for room in rooms])
    assert [(part.name, part.start, part.stop) for part in parts] == [
        ("a", 0, 2), ("act", 2, 3), ("b", 3, 6), ("c", 6, 7)
    ]  # fmt: skip


def test_between_blocks_only_a_module_beside_them_with_two_layers_is_a_block():
    def rows(*rooms: str, shortcut: bool = False) -> list[Step]:
        plain = [Step(room, "conv 3×3", (1, 4, 4), (1, 4, 4), 9, 144, 3, learned=True) for room in rooms]
        add = Step(rooms[0].rpartition(".")[0] + ".add", "add", (1, 4, 4), (1, 4, 4), 0, 0, 3, (1, len(rooms) + 1))
        return [*plain, add] if shortcut else plain

    steps = [
        *rows("body.0.a", "body.0.b", shortcut=True),
        *rows("body.1.a", "body.1.b"),  # two layers beside the blocks: one of them, without a shortcut
        *rows("body.2.a"),  # a single layer
        *rows("other.0.a", "other.0.b"),  # elsewhere
        *rows("body.3.a", "body.3.b", shortcut=True),
    ]
    (part,) = graph.parts(steps)
    assert [(block.room, block.start, block.stop) for block in part.blocks] == [
        ("body.0", 0, 3), ("body.1", 3, 5), ("body.3", 8, 11)
    ]  # fmt: skip


# Blocks inside of what goes around them, and the names of parts.


class Around(nn.Module):
    """A way around what is inside."""

    def __init__(self, *inside: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*inside)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


def rooms_of_blocks(model: nn.Module) -> list[list[str]]:
    steps = trace(model, (4, 8, 8))
    return [[block.room for block in part.blocks] for part in graph.parts(steps) if part.blocks]


def block() -> nn.Module:
    return Around(conv(), nn.ReLU(), conv())


@pytest.mark.parametrize("blocks", [0, 1, 2, 3])
def test_a_way_around_two_blocks_in_a_row_is_no_block_and_around_one_it_is(blocks: int) -> None:
    """As in super-resolution, where a long way goes around all blocks and the convolution behind them."""
    found = rooms_of_blocks(nn.Sequential(conv(), Around(*(block() for _ in range(blocks)), conv())))
    assert found == ([[f"1.body.{n}" for n in range(blocks)]] if blocks > 1 else [["1"]])


def test_a_way_around_two_blocks_beside_each_other_is_one_block() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = block(), block()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([self.left(x), self.right(x)], 1)[:, :4]

    assert rooms_of_blocks(nn.Sequential(conv(), Around(Beside(), conv()))) == [["1"]]
    # Of two in a row one lies where everything passes, the other on a branch of its own.
    assert rooms_of_blocks(nn.Sequential(conv(), Around(block(), Beside(), conv()))) == [["1"]]
    inside = rooms_of_blocks(nn.Sequential(conv(), Around(block(), Beside(), block())))
    assert {"1.body.0", "1.body.2"} <= {room for rooms in inside for room in rooms}


@pytest.mark.parametrize("blocks", [1, 2])
def test_blocks_that_begin_with_an_activation_or_end_in_a_scaled_sum_do_not_overlap(blocks: int) -> None:
    """A block ends behind its sum, learned or not, and takes nothing that lies behind the next fork."""

    class First(nn.Module):
        def __init__(self, is_scaled: bool) -> None:
            super().__init__()
            self.a, self.scale, self.is_scaled = conv(), nn.Parameter(torch.ones(4, 1, 1)), is_scaled

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.a(torch.relu(x))
            return torch.addcmul(x, self.scale, y) if self.is_scaled else x + y

    for is_scaled in (False, True):
        steps = trace(nn.Sequential(conv(), *(First(is_scaled) for _ in range(blocks)), nn.Flatten()), (4, 8, 8))
        found = [block for part in graph.parts(steps) for block in part.blocks]
        assert [(block.start, block.stop) for block in found] == [(3 * n + 1, 3 * n + 4) for n in range(blocks)]


def test_a_block_whose_sum_reads_a_block_and_the_image_ends_at_the_image() -> None:
    assert rooms_of_blocks(Around(block(), block(), conv())) == [["body.0", "body.1"]]


@pytest.mark.parametrize(
    ("modules", "names"),
    [
        (["trunk.a", "trunk.b"], ["trunk"]),
        (["early.a", "late.a"], ["early", "late"]),
        (["early.a", "late.a", "early.b"], ["layer1", "layer2", "layer3"]),  # one name twice
        (["a", "late.a"], ["layer1", "layer2"]),  # one that is nobody's
        (["stem.a", "late.a"], ["layer1", "layer2"]),
        (["early.a", "head.a"], ["layer1", "layer2"]),
    ],
)
def test_parts_keep_the_names_of_their_modules_if_these_are_names(modules: list[str], names: list[str]) -> None:
    steps = []
    for module in modules:
        row = Step(f"{module}.conv", "conv 3×3", (1, 4, 4), (1, 4, 4), 9, 144, 3, learned=True)
        steps += [row, row._replace(room=f"{module}.add", operation="add", learned=False, reads=(1, 2))]
    assert [part.name for part in graph.parts(steps)] == names
    assert [part.role for part in graph.parts(steps)] == [f"layer{n}" for n in range(1, len(names) + 1)]
