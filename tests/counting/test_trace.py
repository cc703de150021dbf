"""The trace on models of every kind. That it agrees with the arithmetic is shown in test_arithmetic."""

import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from resnet_edu import resnet18, resnet50
from resnet_edu.blocks import BasicBlock
from resnet_edu.composed import ResNet as Composed
from resnet_edu.counting import arithmetic
from resnet_edu.counting.steps import Step
from resnet_edu.counting.trace import trace
from resnet_edu.drawing import tables

SMALL = (3, 64, 64)


@pytest.mark.parametrize(("ours", "theirs"), [(resnet18, models.resnet18), (resnet50, models.resnet50)])
def test_torchvisions_resnet_takes_the_same_steps_but_for_its_nameless_flatten(ours, theirs):
    expected = [step for step in trace(ours(), SMALL) if step.operation != "flatten"]
    assert trace(theirs(), SMALL) == expected


@pytest.mark.parametrize("name", ["vgg11", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"])
def test_any_other_network(name):
    model = models.get_model(name)
    rows = trace(model)
    assert sum(step.parameters for step in rows) == sum(p.numel() for p in model.parameters())
    published = models.get_model_weights(name).DEFAULT.meta["_ops"]
    assert sum(step.multiply_adds for step in rows) / 1e9 == pytest.approx(published, abs=6e-4)
    assert rows[0].input == (3, 224, 224)
    assert rows[-1].output[0] == 1000
    assert all(1 <= step.receptive_field < 5000 for step in rows)
    fields = [step.receptive_field for step in rows if step.operation.startswith("conv")]
    assert fields[-1] > fields[0]


def test_a_transformer():
    model = models.vit_b_32()
    rows = trace(model)
    additions = [step.room for step in rows if step.operation == "add"]
    assert additions.count("encoder.layers.encoder_layer_0.add") == 2  # around the attention, around the MLP
    assert rows[-1].output == (1000,)


def test_the_composed_version_takes_the_same_path():
    ours = arithmetic.steps("resnet18", SMALL)
    theirs = trace(Composed(3, 1000, [2, 2, 2, 2]), SMALL)
    # It spells the addition before the shortcut's convolution has run, no other difference.
    assert sorted(step[1:] for step in theirs) == sorted(step[1:] for step in ours)


def test_widest_view_through_a_parallel_path():
    class Fork(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = nn.Conv2d(1, 1, (1, 7), padding=(0, 3))
            self.tall = nn.Conv2d(1, 1, (5, 1), stride=(2, 1), padding=(2, 0), dilation=(1, 1))
            self.after = nn.Conv2d(2, 1, 3)

        def forward(self, x):
            a, b = self.wide(x)[:, :, ::1], self.tall(F.interpolate(x, scale_factor=(2, 1)))
            return self.after(torch.cat([a, b], dim=1))

    wide, _, tall, _, after = trace(Fork(), (1, 20, 20))
    assert (wide.operation, wide.receptive_field) == ("conv 1×7", 7)
    # Five cells of half a pixel, from the first to the last two pixels.
    assert (tall.operation, tall.receptive_field) == ("conv 5×1/2×1", 3)
    assert after.receptive_field == 7 + 2  # the wider of 3 + 2·1 and 7 + 2·1


def test_dilation_groups_and_pooling():
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    conv, pool, average, flatten = trace(model, (4, 10, 10))
    assert conv.parameters == 8 * 2 * 9 + 8
    assert conv.multiply_adds == 8 * 2 * 9 * 10 * 10
    assert [s.operation for s in (conv, pool, average, flatten)] == [
        "conv 3×3",
        "average pool 2×2/2",
        "average pool",
        "flatten",
    ]
    assert [s.receptive_field for s in (conv, pool, average, flatten)] == [5, 6, 6 + 4 * 2, 6 + 4 * 2]


def test_flattening_a_whole_map_sees_all_of_it():
    conv, flatten, linear = trace(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 8 * 6, 4)), (1, 10, 8))
    assert conv.receptive_field == 3
    assert flatten.receptive_field == linear.receptive_field == 10
    assert linear.multiply_adds == 2 * 8 * 6 * 4


def test_every_spelling_of_the_addition_is_one_row():
    class Sum(nn.Module):
        def __init__(self, add):
            super().__init__()
            self.conv, self.add = nn.Conv2d(1, 1, 1), add

        def forward(self, x):
            return self.add(self.conv(x), x)

    def in_place(a, b):
        a += b
        return a

    for add in (lambda a, b: a + b, torch.add, in_place, lambda a, b: a.add(b), lambda a, b: a.add_(b)):
        assert [step.operation for step in trace(Sum(add), (1, 4, 4))] == ["conv 1×1", "add"]
    # Additions too, but of a number: they join no ways.
    for add, word in (
        (lambda a, b: a + 1, "+ constant"),
        (lambda a, b: 1 + a, "+ constant"),
        (lambda a, b: a * 0.5, "× constant"),
        (lambda a, b: a * b, "multiply"),
    ):
        assert [step.operation for step in trace(Sum(add), (1, 4, 4))] == ["conv 1×1", word]
    # Python's own sum begins with a 0, which changes nothing.
    assert [step.operation for step in trace(Sum(lambda a, b: sum([a, b])), (1, 4, 4))] == ["conv 1×1", "add"]


def test_a_single_module_is_a_single_row():
    [step] = trace(nn.Conv2d(3, 8, 3, padding=1), (3, 5, 5))
    assert (step.room, step.operation, step.output) == ("", "conv 3×3", (8, 5, 5))


def test_a_block_on_its_own():
    rows = trace(BasicBlock(4, 8, stride=2), (4, 6, 6))
    assert [step.room for step in rows] == [
        "conv1",
        "bn1",
        "relu",
        "conv2",
        "bn2",
        "downsample.0",
        "downsample.1",
        "add",
        "relu",
    ]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(dtype):
    model = resnet18(num_classes=3).to(dtype)
    assert trace(model, SMALL) == arithmetic.steps("resnet18", SMALL, num_classes=3)


def test_the_model_is_left_as_it_was(scramble):
    model = scramble(resnet18(num_classes=3)).train()
    model.layer1.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    trace(model, SMALL)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_errors_come_through_and_leave_nothing_behind():
    model = resnet18().train()
    with pytest.raises(ValueError, match="images with 3 channels"):
        trace(model, (1, 64, 64))
    assert model.training
    assert trace(model, SMALL) == arithmetic.steps("resnet18", SMALL)


class Net(nn.Module):
    """A network of these parts, under these names, that computes what is given."""

    def __init__(self, forward: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.does = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: torch.Tensor) -> Any:
        return self.does(self, x)


def sums(steps: list[Step]) -> tuple[int, int]:
    return sum(step.parameters for step in steps), sum(step.multiply_adds for step in steps)


def flops(model: nn.Module, image: tuple[int, ...]) -> int:
    with FlopCounterMode(display=False) as counter:  # with gradients, or attention runs where nobody counts
        model.eval()(torch.zeros(1, *image))
    return counter.get_total_flops() // 2


# What is counted: each parameter once, and what PyTorch's own counter counts.

ROW = (6, 8)  # one row of features for each position


@pytest.mark.parametrize(
    ("model", "image"),
    [
        (nn.Conv2d(4, 8, 3, groups=4), (4, 9, 7)),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (4, 5, 7)),
        (nn.Conv1d(6, 4, 3), ROW),
        (nn.Conv3d(2, 3, (1, 3, 2)), (2, 4, 5, 6)),
        (nn.MultiheadAttention(8, 2, batch_first=True), None),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), ROW),
        (nn.GRU(8, 5, batch_first=True), ROW),
        (Net(lambda s, x: F.conv2d(x, s.w, stride=2), w=nn.Parameter(torch.ones(5, 4, 3, 3))), (4, 9, 9)),
        (Net(lambda s, x: torch.einsum("ncl,dc->ndl", x, s.w), w=nn.Parameter(torch.ones(3, 6))), ROW),
        (Net(lambda s, x: torch.baddbmm(x, x, s.w), w=nn.Parameter(torch.ones(1, 8, 8))), ROW),
        (Net(lambda s, x: F.scaled_dot_product_attention(s.a(x), x, x), a=nn.Linear(8, 8)), ROW),
        (nn.utils.parametrizations.weight_norm(nn.Linear(8, 3)), ROW),
        # A filter in the frequencies, held as pairs of real numbers.
        (
            Net(
                lambda s, x: torch.fft.irfft(torch.fft.rfft(s.a(x)) * torch.view_as_complex(s.w), n=8),
                a=nn.Linear(8, 8),
                w=nn.Parameter(torch.ones(6, 5, 2)),
            ),
            ROW,
        ),
        # Both halves of a product of weights, which was made once.
        (Net(lambda s, x: sum(x @ half for half in (s.w @ s.w).chunk(2, 1)), w=nn.Parameter(torch.ones(8, 8))), ROW),
        # Layers on whole numbers.
        (
            Net(
                lambda s, x: s.b(F.conv1d((4 * s.a(x)).int(), s.w).float()),
                a=nn.Conv1d(6, 4, 1),
                w=nn.Parameter(torch.ones(5, 4, 3, dtype=torch.int32), requires_grad=False),
                b=nn.Linear(6, 2),
            ),
            ROW,
        ),
        # A step of time that the forward makes itself, through layers of its own, and tokens that nobody gave.
        (
            Net(
                lambda s, x: s.a(x) + s.t(torch.sin(torch.zeros(1, 1) * torch.arange(1, 5)))[..., None],
                a=nn.Conv1d(6, 4, 1),
                t=nn.Sequential(nn.Linear(4, 7), nn.SiLU(), nn.Linear(7, 4)),
            ),
            ROW,
        ),
        (
            Net(
                lambda s, x: s.a(q := s.b(s.q.tanh(), s.q, s.q)[0], x, x)[0] + q,
                a=nn.MultiheadAttention(8, 2, batch_first=True),
                b=nn.MultiheadAttention(8, 2, batch_first=True),
                q=nn.Parameter(torch.ones(1, 5, 8)),
            ),
            ROW,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_parameters_and_multiply_adds_are_those_of_the_model_and_of_pytorch(model, image):
    if isinstance(model, nn.MultiheadAttention):
        model, image = Net(lambda s, x: s.a(x, x, x)[0], a=model), ROW
    steps = trace(model, image)
    assert sums(steps) == (sum(p.numel() for p in model.parameters()), flops(model, image))
    assert all(step.counted for step in steps)
    assert not steps.remarks


def test_a_shared_module_is_counted_once_and_computes_twice():
    model = Net(lambda s, x: s.a(s.a(x)), a=nn.Conv2d(4, 4, 3, padding=1))
    once, again = trace(model, (4, 8, 8))
    assert (once.parameters, again.parameters) == (4 * 4 * 9 + 4, 0)
    assert once.multiply_adds == again.multiply_adds == 4 * 4 * 9 * 64
    assert once.learned
    assert again.learned


def test_tied_weights_are_counted_once():
    model = Net(lambda s, x: s.b(s.a(x)), a=nn.Linear(8, 8), b=nn.Linear(8, 8))
    model.b.weight = model.a.weight
    assert sums(trace(model, ROW))[0] == 64 + 8 + 8


def test_what_never_ran_is_said_by_name_and_number():
    model = Net(lambda s, x: s.a(x), a=nn.Conv2d(3, 4, 1), aux=nn.Sequential(nn.Linear(4, 10), nn.ReLU()))
    steps = trace(model, (3, 4, 4))
    assert steps.unread == {"aux.0": 50}
    assert sums(steps)[0] + 50 == sum(p.numel() for p in model.parameters())
    assert "50 parameters belong to no row, because nothing read them: aux.0 (50)" in str(
        tables.table(model, (3, 4, 4))
    )
    assert "aux.0 (50)" in tables.table(model, (3, 4, 4))._repr_html_()
    assert "Net: 50 parameters" in str(tables.compare([model], (3, 4, 4)))


def test_what_nobody_can_count_is_not_counted_in_its_row_and_in_the_total():
    class Hidden(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            return torch.from_numpy(x.numpy() @ w.numpy())

    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(8, 8))

        def forward(self, x):
            return Hidden.apply(x, self.w.detach())

    model = nn.Sequential(nn.Linear(8, 8), Product(), nn.Linear(8, 2))
    steps = trace(model, ROW)
    assert [step.counted for step in steps] == [True, False, True]
    assert sums(steps)[0] == sum(p.numel() for p in model.parameters())
    table = tables.table(model, ROW)
    assert [row[4] for row in table.rows] == ["384", "not counted", "96"]
    assert table.total[4] == "more than 480"
    assert table.remarks == ["the multiply-adds of Product are not counted"]


def test_whole_numbers_that_tell_where_something_is_leave_no_row_and_layers_on_whole_numbers_do():
    for where in (lambda x: x.argmax(1), lambda x: x > 0, lambda x: x.sort(2).indices):
        model = Net(lambda s, x, where=where: where(s.a(x)), a=nn.Conv2d(3, 4, 1))
        assert [step.room for step in trace(model, (3, 4, 4))][:1] == ["a"]
        assert len([step for step in trace(model, (3, 4, 4)) if step.operation != "sort"]) == 1
    filters = Net(lambda s, x: F.conv2d((4 * s.a(x)).int(), s.w), a=nn.Conv2d(3, 4, 1))
    filters.register_buffer("w", torch.ones(2, 4, 1, 1, dtype=torch.int32))
    assert [step.operation for step in trace(filters, (3, 4, 4))] == ["conv 1×1", "× constant", "conv 1×1"]


def test_the_same_cells_in_another_order_leave_no_row_also_where_the_image_says_the_order():
    model = Net(lambda s, x: s.a(x[:, :, x[0, 0, :, 0].argsort()]), a=nn.Conv2d(3, 4, 1))
    assert [step.room for step in trace(model, (3, 5, 4))][-1] == "a"
    assert [step.operation for step in trace(model, (3, 5, 4))].count("slice") == 1  # of the image, to see the order


def test_a_module_that_names_its_operation_is_one_row_also_by_itself():
    class Halve(nn.Module):
        operation = "halve"

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(0.5 * x) + 1

    assert [step.operation for step in trace(Halve(), (3, 4, 4))] == ["halve"]


def test_a_trip_through_numpy_is_noticed():
    model = Net(
        lambda s, x: s.b(torch.from_numpy(numpy.tanh(s.a(x).detach().numpy()))),
        a=nn.Conv2d(3, 4, 1),
        b=nn.Conv2d(4, 2, 1),
    )
    steps = trace(model, (3, 4, 4))
    assert [step.room for step in steps] == ["a", "b"]
    assert steps[1].reads == (1,)
    assert "in numpy" in steps.remarks[0]


def test_what_comes_from_nowhere_may_see_the_whole_image():
    model = Net(
        lambda s, x: s.b(torch.from_numpy(s.norm(s.a(torch.from_numpy(x.numpy().cumsum(2)))).numpy() * 2)),
        a=nn.Conv2d(3, 4, 3),
        norm=nn.BatchNorm2d(4),
        b=nn.Conv2d(4, 2, 1),
    )
    assert [(step.room, step.receptive_field, step.reads) for step in trace(model, (3, 6, 5))] == [
        ("a", 6, (1,)),
        ("norm", 6, (1,)),
        ("b", 6, (1,)),
    ]


def test_the_largest_numbers_are_a_row_also_where_their_places_come_with_them():
    steps = trace(Net(lambda s, x: 2 * x.max(2).values), (3, 4, 4))
    assert [step.operation for step in steps] == ["max", "× constant"]
    places = Net(lambda s, x: x.index_select(1, s.w.argmax()[None]), w=nn.Parameter(torch.rand(3)))
    steps = trace(places, (3, 4, 4))
    assert [step.parameters for step in steps] == [0]
    assert list(steps.unread.values()) == [3], "a place is no number that anybody learns through"


def test_what_two_modules_share_and_nobody_reads_is_unread_once():
    shared = nn.Linear(4, 5, bias=False)
    other = nn.Linear(4, 5, bias=False)
    other.weight = shared.weight
    steps = trace(Net(lambda s, x: 2 * x, one=shared, other=other), (3, 4, 4))
    assert steps.unread == {"one": 20}


def test_a_padding_without_a_stride_has_none_in_its_name():
    class Pad(nn.Module):
        operation = "zero-pad"

        def forward(self, x):
            return F.pad(x, (0, 0, 0, 0, 0, 3))

    assert [step.operation for step in trace(nn.Sequential(Pad()), (3, 4, 4))] == ["zero-pad"]


def test_a_module_of_ones_own_that_changes_nothing_leaves_no_row_and_torchs_does():
    class Same(nn.Module):
        def forward(self, x):
            return x.view(x.shape)

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Dropout()

        def forward(self, x):
            return x.view(x.shape)

    model = nn.Sequential(nn.Conv2d(3, 4, 1), Same(), nn.Dropout(), Outer())
    assert [step.operation for step in trace(model, (3, 4, 4))] == ["conv 1×1", "Dropout"]


def test_two_rows_that_look_alike_are_two():
    """One ReLU that is called twice, and a module that reads both of its rows."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(3, 1, 1))

        def forward(self, left, right):
            return torch.relu(left) * right * self.w

    model = Net(lambda s, x: s.scaled(s.relu(x), s.relu(x)), relu=nn.ReLU(), scaled=Scaled())
    assert [(step.room, step.reads) for step in trace(model, (3, 4, 4))] == [
        ("relu", (1,)),
        ("relu", (2,)),
        ("scaled", (2, 1)),
    ]


def test_a_module_that_computes_where_nobody_looks_is_a_row_of_its_first_input():
    class Outside(nn.Module):
        def forward(self, large, small):
            return torch.tensor(large.tolist()) * torch.tensor(small.tolist())

    model = Net(
        lambda s, x: s.c(s.outside(s.a(x), s.b(x).mean((2, 3), keepdim=True))),
        a=nn.Conv2d(3, 4, 1),
        b=nn.Conv2d(3, 4, 3),
        outside=Outside(),
        c=nn.Conv2d(4, 2, 1),
    )
    row = next(step for step in trace(model, (3, 6, 5)) if step.room == "outside")
    assert (row.operation, row.input, row.output, row.reads) == ("Outside", (4, 6, 5), (4, 6, 5), (3, 1))


# Who is watched, and who is not.


def test_two_traces_at_once_do_not_mix():
    meet = threading.Barrier(2, timeout=20)

    def net(width: int) -> Net:
        def forward(s: Net, x: torch.Tensor) -> torch.Tensor:
            meet.wait()
            x = s.a(x)
            meet.wait()
            return s.b(x) + x

        return Net(forward, a=nn.Conv2d(3, width, 1), b=nn.Conv2d(width, width, 1))

    found: dict[int, list[Step]] = {}
    threads = [threading.Thread(target=lambda w=w: found.update({w: trace(net(w), (3, 4, 4))})) for w in (5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for width in (5, 7):
        assert [(step.room, step.output[0]) for step in found[width]] == [("a", width), ("b", width), ("add", width)]


def test_another_thread_is_inside_of_the_very_same_model():
    inside, done = threading.Event(), threading.Event()

    class Slow(nn.Module):
        def forward(self, x):
            inside.set()
            done.wait(20)
            return x

    def forward(s: Net, x: torch.Tensor) -> torch.Tensor:
        other = threading.Thread(target=lambda: s.slow(torch.zeros(1, 3, 2, 2)))
        other.start()
        inside.wait(20)
        x = s.a(x) + x
        done.set()
        other.join()
        return x

    steps = trace(Net(forward, a=nn.Conv2d(3, 3, 1), slow=Slow()), (3, 4, 4))
    assert [step.room for step in steps] == ["a", "add"]


def test_a_tensor_kept_from_an_earlier_trace_means_nothing():
    kept: list[torch.Tensor] = []

    def forward(s: Net, x: torch.Tensor) -> torch.Tensor:
        y = s.a(x)
        if kept:
            y = y + kept[0]
        kept.append(y)
        return y

    model = Net(forward, a=nn.Conv2d(3, 4, 1))
    trace(model, (3, 4, 4))
    assert [step.operation for step in trace(model, (3, 4, 4))] == ["conv 1×1", "+ constant"]


def test_a_forward_that_goes_on_after_an_error_loses_nothing():
    def forward(s: Net, x: torch.Tensor) -> torch.Tensor:
        with pytest.raises(RuntimeError):
            s.deep(x)
        return s.a(x) + x

    deep = nn.Sequential(nn.Sequential(nn.ReLU(), nn.Conv2d(9, 9, 1)))
    steps = trace(Net(forward, a=nn.Conv2d(3, 3, 1), deep=deep), (3, 4, 4))
    assert [step.room for step in steps] == ["deep.0.0", "a", "add"]


def test_wrapped_models_are_unwrapped_and_stay_wrapped():
    expected = arithmetic.steps("resnet18", SMALL)
    model = resnet18()
    compiled = torch.compile(model)
    assert trace(compiled, SMALL) == expected
    assert trace(nn.DataParallel(model), SMALL) == expected
    model.compile()
    before = model._compiled_call_impl
    assert trace(model, SMALL) == expected
    assert model._compiled_call_impl is before


def test_a_part_that_is_compiled_is_seen_through():
    asked: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        asked.append(graph)
        return graph.forward

    model = resnet18()
    model.layer2 = torch.compile(model.layer2, backend=backend)
    assert trace(model, SMALL) == arithmetic.steps("resnet18", SMALL)
    assert not asked, "watching it compiled it"


def test_a_module_that_was_compiled_in_its_place_is_watched_as_it_was_and_stays_compiled():
    asked: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        asked.append(1)
        return graph.forward

    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    model[0].compile(backend=backend)
    compiled = model[0]._compiled_call_impl
    assert [step.operation for step in trace(model, (3, 4, 4))] == ["conv 1×1", "ReLU"]
    assert not asked, "watching it compiled it"
    assert model[0]._compiled_call_impl is compiled
    assert model[1]._compiled_call_impl is None


def test_a_join_is_a_row_of_its_first_input():
    model = Net(lambda s, x: torch.cat([s.a(x), x], 1), a=nn.Conv2d(3, 5, 1))
    row = trace(model, (3, 4, 6))[-1]
    assert (row.input, row.output) == ((5, 4, 6), (8, 4, 6))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_script_is_refused_in_a_sentence_wherever_it_stands():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 1)))
    for model in (script, nn.Sequential(script, nn.ReLU())):
        with pytest.raises(TypeError, match=r"pass the model as it was before torch\.jit\.script"):
            trace(model, (3, 4, 4))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("where", ["", "body.1"])
def test_layers_with_packed_weights_are_refused_in_a_sentence(where):
    quantized = torch.ao.nn.quantized.dynamic.Linear(8, 4)
    if where:
        model = nn.Sequential()
        model.body = nn.Sequential(nn.ReLU(), nn.Linear(8, 4))
        quantized = torch.ao.quantization.quantize_dynamic(model, {nn.Linear})
    with pytest.raises(TypeError, match=f"{where or 'Linear'} keeps its weights packed .*: pass the model"):
        trace(quantized, ROW)


def test_a_model_that_waits_for_its_quantization_is_traced():
    model = nn.Sequential(torch.ao.quantization.QuantStub(), nn.Conv2d(3, 4, 1), torch.ao.quantization.DeQuantStub())
    assert [step.operation for step in trace(model, (3, 4, 4))] == ["conv 1×1"]


def test_models_that_take_something_else_than_one_image():
    class Pair(nn.Module):
        def forward(self, left, right):
            return left + right

    class Keyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Conv2d(3, 4, 1)

        def forward(self, *, image, scale=1):
            return self.a(image)

    class Nothing(nn.Module):
        def forward(self):
            return 1

    with pytest.raises(
        TypeError, match=r"Pair.forward needs 2 inputs \(left, right\), and trace gives it one image: pass"
    ):
        trace(Pair())
    with pytest.raises(TypeError, match="takes no input"):
        trace(Nothing())
    assert [step.room for step in trace(Keyword(), (3, 4, 4))] == ["a"]


# What an operation is called, and where.


def test_a_convolution_is_one_under_any_class_and_with_any_weight():
    class Standardized(nn.Conv2d):
        def forward(self, x):
            weight = (self.weight - self.weight.mean()) / self.weight.std()
            return F.conv2d(x, weight, self.bias, self.stride, self.padding)

    spectral = nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 4, 3))
    for conv in (Standardized(4, 4, 3), spectral, nn.LazyConv2d(4, 3)):
        [step] = trace(nn.Sequential(conv), (4, 8, 8))
        assert (step.room, step.operation, step.parameters) == ("0", "conv 3×3", 4 * 4 * 9 + 4)


def test_a_module_without_children_is_one_row_unless_it_is_a_block():
    class Swish(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(x)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(3, 3, 1, 1))

        def forward(self, x):
            return x + F.conv2d(x, self.w)

    class Sum(nn.Module):  # where two ways meet
        def forward(self, left, right):
            return torch.relu(left + right)

    class Scaled(nn.Module):  # it learns, and nothing in it goes two ways
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(3, 1, 1))

        def forward(self, x):
            return torch.relu(x) * self.w

    class Bent(nn.Module):  # both ways are its own, and nothing is learned on them
        def forward(self, x):
            return torch.relu(x) + torch.sigmoid(x)

    class Conv(Block):  # one convolution, and what belongs to it
        def forward(self, x):
            return torch.relu(F.conv2d(x, self.w))

    model = nn.Sequential(Swish(), Block(), nn.Dropout(), Scaled(), Bent(), Conv())
    assert [(s.room, s.operation, s.parameters) for s in trace(model, (3, 4, 4))] == [
        ("0", "Swish", 0),
        ("1.conv2d", "conv 1×1", 9),
        ("1.add", "add", 0),
        ("2", "Dropout", 0),
        ("3", "Scaled", 3),
        ("4", "Bent", 0),
        ("5", "conv 1×1", 9),
    ]
    two_ways = Net(lambda s, x: s.sum(s.a(x), s.b(x)), a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(3, 4, 1), sum=Sum())
    assert [(s.room, s.operation, s.reads) for s in trace(two_ways, (3, 4, 4))[2:]] == [
        ("sum.add", "add", (2, 1)),
        ("sum.relu", "ReLU", (1,)),
    ]


def sources(forward: Callable[[Net, torch.Tensor], torch.Tensor]) -> list[tuple[str, list[str]]]:
    """Each row with the rows that it reads, by their rooms."""
    layers = {"a": nn.Conv2d(3, 8, 3), "b": nn.Conv2d(3, 8, 3), "c": nn.Conv2d(4, 4, 1), "d": nn.Conv2d(8, 8, 1)}
    rows = trace(Net(forward, **layers), (3, 9, 7))
    rooms = ["image", *(row.room for row in rows)]
    return [(row.room, [rooms[n + 1 - back] for back in row.reads]) for n, row in enumerate(rows)]


def test_a_slice_takes_nothing_from_what_it_was_cut_out_of():
    def forward(s: Net, x: torch.Tensor) -> torch.Tensor:
        y = s.a(x)
        return torch.cat([s.c(y[:, :4]), s.c(y[:, 4:]), s.d(y)], 1)

    rows = sources(forward)
    assert rows[1] == rows[3] == ("getitem", ["a"])
    assert ("d", ["a"]) in rows


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    ("change", "row"),
    [
        (lambda y, z: F.relu(y, inplace=True), ("relu", ["a"])),
        (lambda y, z: y.clamp_(0, 1), ("clamp", ["a"])),
        (lambda y, z: y.add_(z), ("add", ["b", "a"])),
        (lambda y, z: torch.add(y, z, out=y), ("add", ["b", "a"])),
        (lambda y, z: torch.mul(z, z, out=y), ("mul", ["b", "b"])),
    ],
)
def test_what_is_written_into_a_map_is_a_row_and_what_comes_then_reads_it(change, row, guard):
    def forward(s: Net, x: torch.Tensor) -> torch.Tensor:
        y, z = s.a(x), s.b(x)
        change(y, z)
        return s.d(y)

    changed, last = sources(guard()(forward))[-2:]
    assert (changed[0], sorted(changed[1])) == (row[0], sorted(row[1]))
    assert last == ("d", [row[0]])


def test_a_sum_that_is_written_into_new_memory_is_read_from_there():
    def forward(s: Net, x: torch.Tensor) -> torch.Tensor:
        y, z = s.a(x), s.b(x)
        total = torch.empty_like(y)
        torch.add(y, z, out=total)
        return s.d(total)

    assert sources(forward)[-1] == ("d", ["add"])


def test_a_layer_on_a_buffer_reads_nothing_that_was_lost():
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(2, 4, 1)
            self.register_buffer("grid", torch.rand(1, 2, 9, 7))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x) + self.b(self.grid)

    rows = trace(Positions(), (3, 9, 7))
    assert not rows.remarks
    assert sum(row.parameters for row in rows) == 4 * 4 + 3 * 4


def test_what_is_changed_in_a_part_is_changed_in_the_whole():
    def forward(s: Net, x: torch.Tensor) -> torch.Tensor:
        y = s.a(x)
        F.relu(y[:, :4], inplace=True)
        return s.d(y)

    assert sources(forward)[-1] == ("d", ["relu"])


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x[:, :2],
        lambda x: x[:, :, ::2],
        lambda x: x.narrow(1, 0, 2),
        lambda x: x.select(2, 0),
        lambda x: x.chunk(2, 1)[0],
        lambda x: x.flatten(1)[:, :0],
        lambda x: x[0],
        lambda x: x.view(4, 16),
        lambda x: x.diagonal(0, 2, 3),
        lambda x: ~x.bool(),
    ],
)
def test_a_look_at_a_part_leaves_the_whole_what_it_was(look):
    """Whoever reads the whole after it reads the row before it, and sees no more than that row."""
    model = Net(lambda s, x: (y := s.a(x), look(y), s.b(y))[-1], a=nn.Conv2d(3, 4, 3, 1, 1), b=nn.Conv2d(4, 2, 3))
    steps = trace(model, (3, 4, 4))
    (last,) = [place for place, step in enumerate(steps) if step.room == "b"]
    assert steps[last - steps[last].reads[0]].room == "a"
    assert steps[last].receptive_field == 5


def test_a_write_through_a_slice_changes_the_whole():
    def forward(s: Net, x: torch.Tensor) -> torch.Tensor:
        y = s.a(x)
        y[:, :2] = s.b(x)
        y.narrow(1, 2, 2).copy_(x[:, :2])
        return s.c(y)

    model = Net(forward, a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(3, 2, 1), c=nn.Conv2d(4, 1, 1))
    steps = trace(model, (3, 4, 4))
    last = steps[-1]
    written = steps[len(steps) - 1 - last.reads[0]]
    assert (last.room, written.operation) == ("c", "copy")


def test_a_module_without_children_sees_what_its_last_function_sees():
    class Twice(nn.Module):
        def forward(self, x):
            return F.avg_pool2d(F.max_pool2d(x, 3, 1), 4, 2)

    [step] = trace(nn.Sequential(Twice()), (3, 12, 12))
    assert (step.operation, step.input, step.output, step.receptive_field) == ("Twice", (3, 12, 12), (3, 4, 4), 6)
    assert step.reads == (1,)
