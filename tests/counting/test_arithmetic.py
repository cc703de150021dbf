"""The arithmetic against three witnesses: our trace of a forward pass, torchinfo and fvcore; and the paper."""

import logging
import re
from dataclasses import replace

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchinfo import summary
from torchinfo.layer_info import LayerInfo

from resnet_edu.blocks import BLOCKS
from resnet_edu.counting.arithmetic import block_steps, conv_out, steps
from resnet_edu.counting.graph import by_block, by_layer
from resnet_edu.counting.recipes import EXPANSION, Recipe, recipe
from resnet_edu.counting.steps import Step
from resnet_edu.counting.trace import trace
from resnet_edu.zoo import build

IMAGENET = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
CIFAR = ["cifar20", "cifar32", "cifar44", "cifar56", "cifar110"]


def image_for(name: str) -> tuple[int, int, int]:
    return (3, 32, 32) if name.startswith("cifar") else (3, 224, 224)


def torchinfo_rows(model: nn.Module, image: tuple[int, ...]) -> list[tuple[object, ...]]:
    def path(layer: LayerInfo) -> str:
        above = layer.parent_info
        return layer.var_name if above is None or above.depth == 0 else f"{path(above)}.{layer.var_name}"

    leaves = [layer for layer in summary(model, (1, *image), verbose=0).summary_list if layer.is_leaf_layer]
    return [
        (path(leaf), tuple(leaf.input_size[1:]), tuple(leaf.output_size[1:]), leaf.num_params, leaf.macs)
        for leaf in leaves
        if leaf.class_name != "Identity"
    ]


def as_torchinfo_counts(rows: list[Step]) -> list[tuple[object, ...]]:
    """torchinfo sees no addition, counts a batch norm's parameters once, and the classifier's bias."""
    expected = []
    for step in rows:
        extra = 0
        if step.operation == "batch norm":
            extra = step.parameters
        elif step.operation == "linear":
            extra = step.output[0]
        if step.operation != "add":
            expected.append((step.room, step.input, step.output, step.parameters, step.multiply_adds + extra))
    return expected


# The whole zoo, row by row.


@pytest.mark.parametrize("name", [*IMAGENET, *CIFAR, "plain18", "plain34", "cifar_plain20"])
def test_three_ways_to_the_same_rows(name):
    model, image = build(name), image_for(name)
    rows = steps(name, image)
    assert trace(model, image) == rows
    assert torchinfo_rows(model, image) == as_torchinfo_counts(rows)


def test_twelve_hundred_layers():
    model, image = build("cifar1202"), (3, 32, 32)
    rows = steps("cifar1202", image)
    assert trace(model, image) == rows
    assert sum(step.parameters for step in rows) == sum(p.numel() for p in model.parameters())


# Random recipes.


@st.composite
def recipes_and_images(draw) -> tuple[Recipe, tuple[int, int, int]]:
    option = draw(st.sampled_from("ABC"))
    widths = draw(st.lists(st.integers(1, 8), min_size=1, max_size=4))
    stem = draw(st.sampled_from(["imagenet", "cifar"]))
    side = st.integers(7 if stem == "imagenet" else 3, 45)
    plan = Recipe(
        block=draw(st.sampled_from(sorted(BLOCKS))),
        layers=tuple(draw(st.integers(1, 3)) for _ in widths),
        widths=tuple(sorted(widths) if option == "A" else widths),
        stem=stem,
        shortcut=option,
        stride_in=draw(st.sampled_from(["3x3", "1x1"])),
        in_channels=draw(st.integers(1, 4)),
        num_classes=draw(st.integers(1, 12)),
    )
    return plan, (plan.in_channels, draw(side), draw(side))


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(recipes_and_images())
def test_three_ways_to_the_same_rows_for_any_recipe(drawn):
    plan, image = drawn
    model = build(plan)
    rows = steps(plan, image)
    assert trace(model, image) == rows
    assert torchinfo_rows(model, image) == as_torchinfo_counts(rows)
    assert sum(step.parameters for step in rows) == sum(p.numel() for p in model.parameters())


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 4), st.integers(0, 5), st.integers(1, 3))
def test_conv_out_is_what_pytorch_does(size, kernel, stride, padding, dilation):
    x, weight = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel)
    try:
        expected = torch.conv1d(x, weight, stride=stride, padding=padding, dilation=dilation).shape[-1]
    except RuntimeError:
        with pytest.raises(ValueError, match="the kernel does not fit"):
            conv_out(size, kernel, stride, padding, dilation)
    else:
        assert conv_out(size, kernel, stride, padding, dilation) == expected


# Totals: other tools, torchvision, the paper.


def multiply_adds(name: str, **changes: object) -> int:
    return sum(step.multiply_adds for step in steps(name, image_for(name), **changes))


@pytest.mark.parametrize(
    ("name", "parameters", "v15"),
    [
        ("resnet18", 11_689_512, 1_814_073_344),
        ("resnet34", 21_797_672, 3_663_761_408),
        ("resnet50", 25_557_032, 4_089_184_256),
        ("resnet101", 44_549_160, 7_801_405_440),
        ("resnet152", 60_192_808, 11_513_626_624),
    ],
)
def test_totals_as_torchvision_publishes_them(name, parameters, v15):
    from torchvision.models import get_model_weights

    assert sum(step.parameters for step in steps(name)) == parameters
    assert multiply_adds(name) == v15
    for member in get_model_weights(name):
        assert member.meta["num_params"] == parameters
        assert member.meta["_ops"] == pytest.approx(v15 / 1e9, abs=5e-4)


@pytest.mark.parametrize(
    ("name", "papers", "changes"),
    [
        ("resnet18", 1.8, {"shortcut": "A"}),
        ("resnet34", 3.6, {"shortcut": "A"}),
        ("plain34", 3.6, {}),
        ("resnet50", 3.8, {"stride_in": "1x1"}),
        ("resnet101", 7.6, {"stride_in": "1x1"}),
        ("resnet152", 11.3, {"stride_in": "1x1"}),
    ],
)
def test_the_papers_flops(name, papers, changes):
    """He et al. 2015, Table 1, in 10⁹; the paper has 3.8 for 3.858, and rounds the others."""
    assert abs(multiply_adds(name, **changes) / 1e9 - papers) < 0.06


@pytest.mark.parametrize(
    ("name", "papers"),
    [
        ("cifar20", 0.27),
        ("cifar32", 0.46),
        ("cifar44", 0.66),
        ("cifar56", 0.85),
        ("cifar110", 1.7),
        ("cifar1202", 19.4),
    ],
)
def test_the_papers_parameters(name, papers):
    """He et al. 2015, Table 6, in millions."""
    digits = len(str(papers).split(".")[1])
    assert round(sum(step.parameters for step in steps(name, (3, 32, 32))) / 1e6, digits) == papers


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "cifar20"])
def test_fvcore_and_pytorch_count_the_same_convolutions_and_classifier(name):
    logging.getLogger("fvcore").setLevel(logging.ERROR)  # it lists every operation that it leaves out
    model, x = build(name).eval(), torch.zeros(1, *image_for(name))
    by_operator = FlopCountAnalysis(model, x).by_operator()
    assert by_operator["conv"] + by_operator["linear"] == multiply_adds(name)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    assert counter.get_total_flops() == 2 * multiply_adds(name)  # a multiplication and an addition


@pytest.mark.parametrize(("name", "norms", "biases"), [("resnet50", 53_120, 1000)])
def test_torchinfos_total_reconciles(name, norms, biases):
    total = summary(build(name), (1, 3, 224, 224), verbose=0).total_mult_adds
    assert sum(step.parameters for step in steps(name) if step.operation == "batch norm") == norms
    assert total == multiply_adds(name) + norms + biases


# Receptive fields: which input pixels move one output cell.


def seen_by_the_middle(model: nn.Module, room: str, side: int) -> tuple[int, int]:
    """Height and width of the box of input pixels with a gradient from the middle cell behind ``room``."""
    kept: list[torch.Tensor] = []
    model.get_submodule(room).register_forward_hook(lambda module, inputs, output: kept.append(output))
    x = torch.ones(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    model(x)
    out = kept[-1]
    out[0, 0, out.shape[2] // 2, out.shape[3] // 2].backward()
    rows, columns = x.grad[0, 0].nonzero(as_tuple=True)
    assert rows.min() > 0
    assert rows.max() < side - 1, "the image is too small to hold the whole field"
    return int(rows.max() - rows.min() + 1), int(columns.max() - columns.min() + 1)


@pytest.mark.parametrize(
    "plan",
    [
        Recipe("basic", (2, 2), (1, 2)),
        Recipe("basic", (1, 1, 2), (1, 2, 2), "cifar", "A"),
        Recipe("basic", (2, 1, 1), (1, 2, 2), "cifar", "C"),
        Recipe("plain", (1, 2, 1), (1, 1, 1), "cifar"),
        Recipe("bottleneck", (1, 2), (1, 1)),
        Recipe("bottleneck", (1, 2), (1, 1), stride_in="1x1"),
        Recipe("bottleneck", (2, 1, 1), (1, 1, 1), "cifar", "A", stride_in="1x1"),
    ],
    ids=str,
)
def test_receptive_fields_are_the_pixels_with_a_gradient(plan):
    plan = replace(plan, in_channels=1, num_classes=2)
    for row in by_block(steps(plan, (1, 224, 224)))[:-1]:
        model = build(plan).double().eval()
        for parameter in model.parameters():
            nn.init.constant_(parameter, 0.1)  # positive, so that nothing cancels and every ReLU is open
        if plan.stem == "imagenet":
            model.maxpool = nn.AvgPool2d(3, 2, 1)  # the same window; a maximum passes one gradient only
        room = ("maxpool" if plan.stem == "imagenet" else "relu") if row.room == "stem" else row.room
        assert seen_by_the_middle(model, room, 224) == (row.receptive_field,) * 2, row.room


def test_the_average_sees_the_longer_side_whole():
    *_, layer, pool, flatten, fc = steps("resnet18", (3, 64, 128))
    assert pool.receptive_field == layer.receptive_field + 3 * 32  # 4 cells wide, 32 pixels apart
    assert pool.receptive_field == flatten.receptive_field == fc.receptive_field


# Errors that teach.


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((0, 3), "at least 1 and padding at least 0, got 0, 3, 1, 1 and 0"),
        ((8, 0), "got 8, 0, 1, 1 and 0"),
        ((8, 3, 0), "got 8, 3, 0, 1 and 0"),
        ((8, 3, 1, -1), "got 8, 3, 1, 1 and -1"),
        ((8, 3, 1, 0, 0), "got 8, 3, 1, 0 and 0"),
        ((4, 7, 1, 1), "it reaches over 7 pixels, the padded input has 4 + 2·1 = 6; pad more or take a smaller kernel"),
        ((8, 3, 1, 0, 4), "it reaches over 9 pixels"),
    ],
)
def test_sizes_that_make_no_convolution(arguments, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        conv_out(*arguments)


@pytest.mark.parametrize(
    ("image", "expected"),
    [((1, 224, 224), "images with 3 channels, got 1"), ((224, 224), "got 2 numbers")],
)
def test_images_that_the_network_would_refuse_are_refused_with_the_same_words(image, expected):
    with pytest.raises(ValueError, match=re.escape(expected)) as ours:
        steps("resnet18", image)
    if len(image) == 3:
        with pytest.raises(ValueError, match=re.escape(expected)) as theirs:
            build("resnet18").eval()(torch.zeros(1, *image))
        assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("side", [1, 2, 6])
def test_an_image_smaller_than_the_stems_window_is_counted_as_it_runs(side):
    image = (3, side, side + 1)
    with torch.no_grad():
        x, shapes = torch.zeros(1, *image), []
        for room in build("resnet18").eval():
            x = room(x)
            shapes.append(tuple(x.shape[1:]))
    rows = by_layer(steps("resnet18", image))
    assert [row.output for row in rows] == [shapes[3], *shapes[4:8], (1000,)]


def test_a_block_on_its_own_begins_with_one_cell_that_sees_itself():
    fields = {row.room.rpartition(".")[2]: row.receptive_field for row in block_steps("basic", 64, 64, size=9)}
    assert (fields["conv1"], fields["conv2"], fields["add"]) == (3, 5, 5)
    assert block_steps("basic", 64, 128, 2, size=9)[-1].receptive_field == 7  # 3, then 2 more of 2 pixels each


def test_a_block_takes_maps_that_are_no_squares():
    rows = block_steps("basic", 64, 128, 2, size=(56, 27))
    assert rows[0].input == (64, 56, 27)
    assert rows[-1].output == (128, 28, 14)


def test_unknown_names_and_fields():
    with pytest.raises(ValueError, match="the nearest is 34"):
        steps("resnet35")
    with pytest.raises(ValueError, match="a recipe has no color"):
        steps("resnet34", color="red")


def test_changes_belong_to_a_name():
    with pytest.raises(TypeError, match=r"use dataclasses\.replace"):
        steps(recipe("resnet18"), num_classes=10)


def test_no_torch_numbers_come_out():
    """Shapes are plain tuples of int, so that they print, compare and serialize."""
    for step in steps("resnet18", (3, 64, 64)):
        assert all(type(number) is int for number in (*step.input, *step.output, *step[4:7], *step.reads))


@pytest.mark.parametrize("name", ["in_channels", "channels", "stride"])
def test_a_block_of_no_size_is_refused_by_name(name):
    with pytest.raises(ValueError, match="at least 1"):
        block_steps("basic", **{"in_channels": 4, "channels": 4, "stride": 1, name: 0})


def test_a_block_without_arguments_is_the_first_of_resnet_18():
    first = [step for step in steps("resnet18") if step.room.startswith("layer1.0")]
    assert [(step.operation, step.output) for step in block_steps()] == [
        (step.operation, step.output) for step in first
    ]
    assert block_steps()[0].input == first[0].input == (64, 56, 56)


@pytest.mark.parametrize("block", EXPANSION)
def test_a_block_gives_as_many_channels_as_its_expansion_says(block):
    rows = steps(Recipe(block, (1, 1), (16, 24), "cifar"))
    before_the_pool = next(row for row in rows if row.operation == "average pool").input
    assert before_the_pool[0] == 24 * EXPANSION[block]
