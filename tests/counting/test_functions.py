"""What single functions are called, what they cost, and what changes nothing, in every spelling of their arguments."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from resnet_edu.counting import fields, functions
from resnet_edu.counting.functions import Call, changes_nothing
from resnet_edu.counting.trace import trace


class Net(nn.Module):
    def __init__(self, does: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.does = does
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: torch.Tensor) -> Any:
        return self.does(self, x)


ROW = (6, 8)
IMAGE = torch.zeros(1, 1, 9, 9)


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: F.scaled_dot_product_attention(s.a(x), key=s.a(x)[:, :4], value=s.b(x)[:, :4]),
        lambda s, x: F.scaled_dot_product_attention(s.a(x), s.a(x)[:, :4], value=s.b(x)[:, :4]),
        lambda s, x: torch.addmm(x[0, :, :3], x[0], s.w),
        lambda s, x: torch.mm(x[0], s.w),
        lambda s, x: torch.baddbmm(x[:, :, :3], x, s.w[None]),
        lambda s, x: torch.bmm(x, s.w[None]),
        lambda s, x: x @ s.w,
        lambda s, x: x[0, 0] @ s.w,
        lambda s, x: F.conv1d(x, weight=s.k, padding=1),
        lambda s, x: F.conv_transpose1d(x, s.k.transpose(0, 1), None, 2),
        lambda s, x: F.linear(x, weight=s.w.T),
    ],
)
def test_the_cost_is_that_of_pytorchs_counter(forward: Callable[..., Any]) -> None:
    model = Net(
        forward, a=nn.Linear(8, 8), b=nn.Linear(8, 3), w=nn.Parameter(torch.ones(8, 3)),
        k=nn.Parameter(torch.ones(4, 6, 3)),
    )  # fmt: skip
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, *ROW))
    steps = trace(model, ROW)
    assert sum(step.multiply_adds for step in steps) == counter.get_total_flops() // 2
    assert all(step.counted for step in steps)


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda x: x + 0, None),
        (lambda x: x - 0, None),
        (lambda x: x * 1, None),
        (lambda x: x / 1, None),
        (lambda x: torch.mul(x, 1.0), None),
        (lambda x: 0 - x, "− constant"),
        (lambda x: 1 / x, "÷ constant"),
        (lambda x: x + 1, "+ constant"),
        (lambda x: x * 0, "× constant"),
        (lambda x: x - 1, "− constant"),
        (lambda x: x / 2, "÷ constant"),
        (lambda x: torch.add(x, 0, alpha=2), None),
        (lambda x: torch.add(input=x, other=0), None),
        (lambda x: torch.div(x, 1, rounding_mode="floor"), "÷ constant"),
        (lambda x: x - x.mean(), "subtract"),
    ],
)
def test_only_what_changes_a_number_has_a_row(function: Callable[..., Any], word: str | None) -> None:
    steps = trace(Net(lambda s, x: function(s.a(x)), a=nn.Conv2d(1, 1, 1)), (1, 4, 4))
    assert [step.operation for step in steps if step.operation != "mean"][1:] == ([word] if word else [])


@pytest.mark.parametrize(
    ("by_place", "by_name"),
    [
        (lambda s, x: torch.matmul(x, s.w), lambda s, x: torch.matmul(input=x, other=s.w)),
        (lambda s, x: torch.matmul(s.w, x), lambda s, x: torch.matmul(s.w, other=x)),
        (lambda s, x: torch.mm(x[0, 0], s.w), lambda s, x: torch.mm(x[0, 0], mat2=s.w)),
        (lambda s, x: torch.bmm(x[0], x[0]), lambda s, x: torch.bmm(input=x[0], mat2=x[0])),
        (lambda s, x: torch.addmm(s.w, x[0, 0], s.w), lambda s, x: torch.addmm(input=s.w, mat1=x[0, 0], mat2=s.w)),
        (lambda s, x: torch.baddbmm(x[0], x[0], x[0]), lambda s, x: torch.baddbmm(x[0], batch1=x[0], batch2=x[0])),
        (
            lambda s, x: F.scaled_dot_product_attention(x, x * 2, x),
            lambda s, x: F.scaled_dot_product_attention(query=x, key=x * 2, value=x),
        ),
        (lambda s, x: F.linear(x, s.w), lambda s, x: F.linear(input=x, weight=s.w)),
        (lambda s, x: torch.addcmul(x, x * 2, s.w), lambda s, x: torch.addcmul(input=x, tensor1=x * 2, tensor2=s.w)),
        (lambda s, x: torch.lerp(x, x * 2, 0.5), lambda s, x: torch.lerp(input=x, end=x * 2, weight=0.5)),
        (lambda s, x: torch.flip(x, (2,)) + x, lambda s, x: x.flip(dims=[2]) + x),
        (lambda s, x: torch.cat([x, x], 1), lambda s, x: torch.cat(tensors=[x, x], dim=1)),
    ],
)
def test_what_is_written_by_name_is_the_same_as_by_place(by_place: Callable[..., Any], by_name: Callable[..., Any]):
    parts = {"a": nn.Conv2d(5, 5, 3, padding=1), "w": nn.Parameter(torch.ones(5, 5))}
    rows = [trace(Net(lambda s, x, does=does: does(s, s.a(x)), **parts), (5, 5, 5)) for does in (by_place, by_name)]
    assert [row._replace(room="") for row in rows[0]] == [row._replace(room="") for row in rows[1]]


def test_attention_between_rows_reads_their_columns_too() -> None:
    attention = nn.MultiheadAttention(8, 1)
    model = Net(lambda s, x: s.a(x[0, 0][:, None], x[0, 0][:, None], x[0, 0][:, None])[0], a=attention)
    assert trace(model, (1, 4, 8))[-1].receptive_field == 8


def test_attention_with_a_mask_that_the_image_made_sees_everything() -> None:
    def masked(s: Net, x: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(x, x, x, attn_mask=x[0, 0] @ x[0, 0].T)

    assert trace(Net(masked), (1, 9, 9))[-1].receptive_field >= 9


def test_a_single_number_is_no_batch() -> None:
    assert functions.shape(torch.zeros(1)) == (1,)
    assert functions.shape(torch.zeros(1, 1)) == (1,)


def test_rows_that_are_channels_stand_in_another_order_after_a_shuffle() -> None:
    rows = Net(lambda s, x: F.channel_shuffle(x[0], 4)[:, :2].sum(1))  # rows 0 and 3 of 12
    assert 4 <= trace(rows, (1, 12, 12))[-1].receptive_field <= 12


def test_tokens_with_more_channels_are_still_the_pixels_that_they_were() -> None:
    def padded(s: Net, x: torch.Tensor) -> torch.Tensor:
        tokens = F.pad(x.flatten(2).transpose(1, 2), (0, 1))[..., :1]
        return F.avg_pool2d(tokens.transpose(1, 2).reshape(x.shape), 3, 1)

    assert trace(Net(padded), (1, 9, 9))[-1].receptive_field == 3


def test_a_product_of_constants_is_added_by_its_own_name() -> None:
    assert Call("addcmul", (IMAGE, IMAGE + 1, IMAGE + 2), {}, [IMAGE], []).word(learned=False) == ("addcmul", False)
    other = IMAGE + 1
    assert Call("addcmul", (IMAGE, other, 2), {}, [IMAGE, other], []).word(learned=False) == ("add", True)
    assert Call("addcmul", (IMAGE, other, 2), {}, [other, IMAGE], []).word(learned=False) == ("addcmul", False)


@pytest.mark.parametrize("convolution", [F.conv2d, F.conv_transpose2d])
def test_a_convolution_over_channels_of_two_places_sees_both(convolution: Callable[..., Any]) -> None:
    def two_places(s: Net, x: torch.Tensor) -> torch.Tensor:
        return convolution(torch.cat([x[:, :, 4:], x[:, :, :-4]], 1), torch.ones(2, 2, 1, 1))

    assert trace(Net(two_places), (1, 12, 12))[-1].receptive_field == 1 + 4


@pytest.mark.parametrize("join", [torch.stack, torch.cat])
def test_without_a_direction_the_first_one_is_meant(join: Callable[..., Any]) -> None:
    model = Net(lambda s, x: F.avg_pool2d(join([x[0], 2 * x[0]])[:1], 3, 1))
    assert trace(model, (1, 9, 9))[-1].receptive_field == 3


@pytest.mark.parametrize("join", [torch.stack, torch.cat])
@pytest.mark.parametrize("direction", [{}, {"dim": 1}, {"axis": 2}, {"dim": -1}])
def test_a_join_has_the_sizes_of_its_output(join: Callable[..., Any], direction: dict[str, int]) -> None:
    parts = [torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 4, 5)]
    out = join(parts, **direction)
    views = [fields.image_view((2, 3, 4, 5))] * 2
    view = Call(join.__name__, (parts,), direction, parts, views).seen_by(out)
    assert tuple(fields._size(dim) for dim in view.dims) == tuple(out.shape)
    assert view.field == (1, 1)


def test_a_function_without_a_word_of_its_own_has_its_name_without_strokes() -> None:
    assert Call("pixel_shuffle", (IMAGE, 3), {}, [IMAGE], []).word(learned=False) == ("pixel shuffle", False)


def test_each_channel_with_each_sees_its_own_pixel() -> None:
    pairs = Net(lambda s, x: (x[:, None] + 2 * x[:, :, None]).sum(1))
    assert trace(pairs, (3, 9, 9))[-1].receptive_field == 1


def test_a_convolution_with_weights_that_the_image_made_costs_what_any_other_costs() -> None:
    def turned(s: Net, x: torch.Tensor) -> torch.Tensor:
        return F.conv_transpose2d(x, x.mean((0, 2, 3))[:, None, None, None].expand(3, 2, 5, 5), stride=2)

    assert trace(Net(turned), (3, 9, 9))[-1].multiply_adds == 3 * 9 * 9 * 2 * 5 * 5


def test_what_is_added_to_a_product_is_seen_too() -> None:
    def added(s: Net, x: torch.Tensor) -> torch.Tensor:
        return torch.addmm(F.avg_pool2d(x, (5, 1), 1, (2, 0))[0, 0], x[0, 0], torch.ones(3, 3))

    assert trace(Net(added), (1, 20, 3))[-1].receptive_field == 5


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.conv2d(x, torch.ones(1, 1, 3, 3) * x.mean()),
        lambda x: F.linear(x, torch.ones(9, 9) * x.mean()),
        lambda x: F.layer_norm(x, (9,), x.mean((0, 1, 2))),
    ],
)
def test_what_goes_through_weights_that_the_image_made_sees_what_they_see(function: Callable[..., Any]) -> None:
    assert trace(Net(lambda s, x: function(x)), (1, 9, 9))[-1].receptive_field >= 9


def test_one_of_two_tensors_changes_something() -> None:
    x = torch.ones(2)
    assert changes_nothing(Call("add", (x, 0), {}, [], []))
    assert not changes_nothing(Call("add", (x, x), {}, [], []))
    assert not changes_nothing(Call("add", (x,), {}, [], []))
    assert not changes_nothing(Call("rsub", (x, 0), {}, [], []))
    assert not changes_nothing(Call("pow", (x, 1), {}, [], []))


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda x: F.max_pool2d(x, 2), "max-pool 2×2/2"),
        (lambda x: F.max_pool2d(x, [2], stride=[1]), "max-pool 2×2"),
        (lambda x: F.max_pool2d(x, (2, 3), (2, 1)), "max-pool 2×3/2×1"),
        (lambda x: F.avg_pool2d(x, 2, stride=3), "average pool 2×2/3"),
        (lambda x: F.lp_pool2d(x, 2.0, 3), "power pool 3×3/3"),
        (lambda x: F.lp_pool2d(x, 2.0, 3, 1), "power pool 3×3"),
        (lambda x: F.max_pool2d(x, 2, return_indices=True)[0], "max-pool 2×2/2"),
        (lambda x: F.adaptive_max_pool2d(x, 1), "adaptive max-pool"),
        (lambda x: F.conv2d(x, torch.ones(1, 1, 3, 1), None, (2, 1)), "conv 3×1/2×1"),
        (lambda x: F.conv_transpose2d(x, torch.ones(1, 1, 2, 2), None, 2), "transposed conv 2×2/2"),
    ],
)
def test_a_window_is_written_with_its_stride_unless_that_is_1(function: Callable[..., Any], word: str) -> None:
    assert trace(Net(lambda s, x: function(x)), (1, 8, 8))[-1].operation == word


def test_a_matrix_that_nobody_can_count_is_not_counted_also_if_it_was_computed() -> None:
    weight = nn.Parameter(torch.rand(5, 8))
    for forward in (lambda s, x: torch.cdist(x[0], s.w), lambda s, x: torch.cdist(x[0], s.w.tanh())):
        steps = trace(Net(forward, w=weight), ROW)
        assert [step.counted for step in steps] == [False]
        assert sum(step.parameters for step in steps) == 40


def test_a_layer_on_zeros_is_no_trip_out_of_sight() -> None:
    steps = trace(Net(lambda s, x: s.a(x) + s.b(torch.zeros_like(x)), a=nn.Linear(8, 8), b=nn.Linear(8, 8)), ROW)
    assert not steps.remarks
    assert sum(step.parameters for step in steps) == 2 * 72


def test_a_linear_layer_of_one_weight_for_each_number_gives_one_number_and_sees_everything() -> None:
    score = Net(lambda s, x: F.linear(x.flatten(), s.w), w=nn.Parameter(torch.ones(48)))
    (step,) = trace(score, ROW)
    assert (step.operation, step.output, step.multiply_adds, step.receptive_field) == ("linear", (), 48, 8)
    rows = trace(
        Net(
            lambda s, x: F.conv1d(F.linear(x, s.w)[None], s.k),
            w=nn.Parameter(torch.ones(8)),
            k=nn.Parameter(torch.ones(1, 1, 3)),
        ),
        ROW,
    )
    assert [(step.output, step.receptive_field) for step in rows if step.multiply_adds] == [((6,), 8), ((1, 4), 8)]


def test_a_join_with_what_has_no_places_sees_everything() -> None:
    assert trace(Net(lambda s, x: torch.cat([x, x.flatten()[:0]], 1)), (1, 9, 7))[-1].receptive_field == 9


@pytest.mark.parametrize(
    ("function", "field"),
    [
        (lambda x: x.norm(2, (2, 3)), 12),
        (lambda x: x.norm(2, dim=2), 9),
        (lambda x: x.norm(1, 1), 1),
        (lambda x: torch.norm(x, 2, 3), 12),
        (lambda x: x.norm(), 12),
        (lambda x: x.sum(2), 9),
        (lambda x: x.sum(axis=2), 9),
        (lambda x: x.amax(1), 1),
    ],
)
def test_a_norm_or_a_sum_sees_what_it_goes_over(function: Callable[..., Any], field: int) -> None:
    assert trace(Net(lambda s, x: function(x)), (1, 9, 12))[-1].receptive_field == field


@pytest.mark.parametrize(
    ("join", "field"),
    [
        (lambda x: torch.cat([x, x]), 3),  # behind each other in the batch: two images
        (lambda x: torch.cat([x, x], 1)[:, :1], 3),
        (lambda x: torch.cat([x, x], dim=1)[:, :1], 3),
        (lambda x: torch.cat([x, x], axis=1)[:, :1], 3),
        (lambda x: torch.concat([x, x], -3)[:, :1], 3),
        (lambda x: torch.stack([x, x])[0], 3),
        (lambda x: torch.stack([x, x], 1)[:, 0], 3),
        (lambda x: torch.stack([x, x], dim=-1)[..., 0], 3),
    ],
)
def test_a_join_leaves_the_other_dimensions_alone(join: Callable[..., Any], field: int) -> None:
    weight = nn.Parameter(torch.ones(1, 1, 3, 3))
    assert trace(Net(lambda s, x: F.conv2d(join(x), s.w), w=weight), (1, 9, 12))[-1].receptive_field == field


ORDER = torch.tensor([8, 0, 5, 2, 7, 1, 3, 6, 4])


@pytest.mark.parametrize(
    ("take", "field"),
    [
        (lambda x: x[:, :, ORDER], 9),
        (lambda x: x[:, :, ORDER.tolist()], 9),
        (lambda x: x[:, :, ORDER.numpy()], 9),
        (lambda x: x[:, :, ORDER > 2], 9),
        (lambda x: x[..., ORDER], 12),
        (lambda x: x[:, :, ORDER, 2:], 9),
        (lambda x: x[:, :, ORDER[:, None], ORDER], 12),
        (lambda x: x[:, :, :, ORDER], 12),
        (lambda x: x[ORDER[1:2]], 3),
        (lambda x: x[:, ORDER[1:2]], 3),  # channels in another order
        (lambda x: x[:, ORDER[1]][None], 3),  # a single number is no list
        (lambda x: x[:, :, 2:, 1:], 3),
        (lambda x: x[None][0], 3),
        (lambda x: x.index_select(2, ORDER), 9),
        (lambda x: x.index_select(-2, ORDER), 9),
        (lambda x: torch.index_select(x, dim=3, index=ORDER), 12),
        (lambda x: x.gather(2, ORDER[None, None, :, None].expand(1, 1, 9, 12)), 9),
        (lambda x: x.gather(3, ORDER.expand(1, 1, 9, 9)), 12),
        (lambda x: torch.take_along_dim(x, ORDER[None, None, :, None], 2), 9),
        (lambda x: torch.take_along_dim(x, ORDER[None, None, :, None], dim=2), 9),
        (lambda x: x.unfold(2, 2, 1)[..., 0], 12),  # windows: nobody knows where they lie
        (lambda x: x.to_sparse().transpose(2, 3).to_dense(), 12),
    ],
)
def test_neighbors_that_are_taken_by_their_numbers_may_come_from_anywhere(take: Callable[..., Any], field: int) -> None:
    """Along the dimension whose numbers they are, and along no other."""
    net = Net(lambda s, x: F.conv2d(take(x), s.w), w=nn.Parameter(torch.ones(1, 1, 3, 3)))
    assert trace(net, (1, 9, 12))[-1].receptive_field == field


def test_numbers_tell_the_same_where_no_tensor_has_memory() -> None:
    for take, field in ((lambda x: x[:, :, ORDER], 9), (lambda x: x[:, :, 1:-1], 3)):
        net = Net(lambda s, x, take=take: F.conv2d(take(x), s.w), w=nn.Parameter(torch.ones(1, 1, 3, 3, device="meta")))
        assert trace(net, (1, 9, 12))[-1].receptive_field == field


def test_a_vector_times_a_matrix_sees_the_vector_and_the_columns() -> None:
    """Windows of 3 × 3 in the left, a column of 9 in the right."""
    weight = nn.Parameter(torch.ones(1, 1, 3, 3))
    row = Net(lambda s, x: F.conv2d(x, s.w, padding=1)[0, 0, :, 0] @ x[0, 0], w=weight)
    assert trace(row, (1, 9, 7))[-1].receptive_field == 9 + 2
    pairs = Net(lambda s, x: F.conv1d((x[0, 0, 0] @ x[0, 0].T)[None], s.k), k=nn.Parameter(torch.ones(1, 1, 2)))
    assert trace(pairs, (1, 9, 5))[-1].receptive_field == 9  # the first row of 5, and up to the last


def test_after_an_adaptive_pooling_its_cells_are_as_far_apart_as_its_windows() -> None:
    weight = nn.Parameter(torch.ones(1, 1, 2, 2))
    for side, field in ((6, 2 + 2), (4, 3 + 3), (3, 4 + 4), (2, 6 + 6)):
        net = Net(lambda s, x, side=side: F.conv2d(F.adaptive_avg_pool2d(x, side), s.w), w=weight)
        assert trace(net, (1, 12, 12))[-1].receptive_field == field
    # A single cell has no neighbor: beside it lies the padding.
    net = Net(lambda s, x: F.conv2d(F.adaptive_avg_pool2d(x, 1), s.w, padding=1), w=weight)
    assert trace(net, (1, 12, 12))[-1].receptive_field <= 12 + 1


def test_windows_of_tokens_put_together_again_are_a_map() -> None:
    """As in Swin: attention in windows of 4 sees 4, also in the map of 16 that they make."""

    def forward(s: Net, x: torch.Tensor) -> torch.Tensor:
        cut = x.view(1, 3, 4, 4, 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(16, 16, 3)
        seen = F.scaled_dot_product_attention(cut, cut, cut)
        return 2 * seen.view(1, 4, 4, 4, 4, 3).permute(0, 5, 1, 3, 2, 4).reshape(1, 3, 16, 16)

    assert trace(Net(forward), (3, 16, 16))[-1].receptive_field == 4


@pytest.mark.parametrize(("kernel", "field"), [(1, 1), (2, 2), (3, 2), (5, 3)])
def test_a_pixel_shuffle_puts_half_pixels_beside_each_other(kernel: int, field: int) -> None:
    """Four channels of one pixel, side by side: five of them reach over three pixels."""
    net = Net(lambda s, x: F.conv2d(F.pixel_shuffle(x, 2), s.w), w=nn.Parameter(torch.ones(1, 1, kernel, kernel)))
    assert trace(net, (4, 9, 9))[-1].receptive_field == field
    back = Net(lambda s, x: F.conv2d(F.pixel_unshuffle(x, 2), s.w), w=nn.Parameter(torch.ones(1, 4, kernel, kernel)))
    assert trace(back, (1, 18, 18))[-1].receptive_field == 2 * kernel


def test_behind_a_join_along_the_width_a_window_may_see_all_columns() -> None:
    weight = nn.Parameter(torch.ones(1, 1, 1, 3))
    steps = trace(Net(lambda s, x: F.conv2d(torch.cat([x, x], 3), s.w), w=weight), (1, 9, 12))
    assert steps[-1].receptive_field == 12


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "word", "field"),
    [
        ("conv{}d", "conv {}/2", 3 + 2),
        ("conv_transpose{}d", "transposed conv {}/2", 3),  # two pixels, and half a one to the next cell
        ("max_pool{}d", "max-pool {}/2", 3 + 2),
        ("max_pool{}d_with_indices", "max-pool {}/2", 3 + 2),
        ("avg_pool{}d", "average pool {}/2", 3 + 2),
        ("lp_pool{}d", "power pool {}/2", 3 + 2),
        ("adaptive_avg_pool{}d", "average pool", 3 + 3),
        ("adaptive_max_pool{}d", "", 3 + 3),
    ],
)
def test_windows_over_one_two_and_three_sides(kind: str, word: str, field: int, count: int) -> None:
    """Each has its word, its window is counted in pixels, and so is the way to the next one."""
    name, weight = kind.format(count), torch.ones(1, 1, *[3] * count)
    rest = {"conv": (weight, None, 2), "lp": (2.0, 3, 2), "adaptive": (4,)}.get(
        name.partition("_")[0].rstrip("123d"), (3, 2)
    )

    def forward(s: Net, x: torch.Tensor) -> torch.Tensor:
        made = getattr(F, name)(x, *rest)
        return getattr(F, f"avg_pool{count}d")(made[0] if isinstance(made, tuple) else made, 2, 1)

    first, then = trace(Net(forward), (1, *[12] * count))
    assert first.operation == word.format("×".join("3" * count)) or not word
    assert then.receptive_field == field
    if name.startswith("conv"):
        adds = {True: 3**count * 12**count, False: 3**count * 5**count}["transpose" in name]
        assert first.multiply_adds == adds


def read_by(shape: tuple[int, ...], function: Callable[..., Any]) -> list[tuple[int, int]]:
    """The first row that each row of the output reads, and the row behind the last one."""
    x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    out, read = function(x), []
    for row in range(out.shape[2]):
        (gradient,) = torch.autograd.grad(out[0, 0, row, 0], x, retain_graph=True)
        rows = gradient[0, 0].abs().amax(1).nonzero()
        read.append((int(rows.min()), int(rows.max()) + 1))
    return read


RESIZES = {
    "nearest": ({}, ("nearest",)),
    "nearest-exact": ({"mode": "nearest-exact"}, ("nearest-exact",)),
    "area": ({"mode": "area"}, ("area",)),
    "bilinear": ({"mode": "bilinear"}, ("bilinear",)),
    "bicubic": ({"mode": "bicubic"}, ("bicubic",)),
    "corners": ({"mode": "bilinear", "align_corners": True}, ("bilinear", True)),
    "bicubic, corners": ({"mode": "bicubic", "align_corners": True}, ("bicubic", True)),
    "antialias": ({"mode": "bilinear", "antialias": True}, ("bilinear", False, None, True)),
    "bicubic, antialias": ({"mode": "bicubic", "antialias": True}, ("bicubic", False, None, True)),
}


@pytest.mark.parametrize(("old", "new"), [(24, 6), (24, 9), (24, 24), (24, 23), (16, 24), (24, 48), (24, 1)])
@pytest.mark.parametrize("name", RESIZES)
def test_a_resized_map_says_what_each_of_its_rows_reads(name: str, old: int, new: int) -> None:
    named, behind = RESIZES[name]
    shape = (1, 1, old, 2)
    x, size = torch.zeros(shape), (new, 2)
    views = [
        Call("interpolate", args, kwargs, [x], [fields.image_view(shape)]).seen_by(torch.zeros(1, 1, *size))
        for args, kwargs in (((x,), {"size": size, **named}), ((x, size, None, *behind), {}))
    ]
    assert views[0] == views[1], "whether it is written by name or by place"
    view = views[0]
    (line,) = view.dims[2]
    reads = read_by(shape, lambda x: F.interpolate(x, size=size, **named))
    starts = [view.start[0] + cell * line.jump[0] for cell in range(new)]
    early = [first - start for (first, _), start in zip(reads, starts, strict=True)]
    assert min(early) >= -1e-9, "no row reads what lies in front of its place"
    ends = [last - start for (_, last), start in zip(reads, starts, strict=True)]
    assert max(ends) <= view.field[0] + view.slack[0] + 1e-9, "and none what lies behind its end"
    widest = max(last - first for first, last in reads)
    assert widest <= view.field[0]
    assert view.field[0] <= widest + ("antialias" in name) + 1e-9 or new == 1
    assert view.slack[0] <= 1
    inside = [more for more, (first, last) in zip(early, reads, strict=True) if first > 0 and last < old]
    if inside:
        assert min(inside) <= 1 + 1e-9, "and the places are no farther in front than they must be"


@pytest.mark.parametrize(
    "call",
    [
        lambda x: Call("cat", ([x, x], "C"), {}, [x, x], [fields.image_view(x.shape)] * 2),
        lambda x: Call("stack", ([x, x], "C"), {}, [x, x], [fields.image_view(x.shape)] * 2),
        lambda x: Call("softmax", (x, None), {}, [x], [fields.image_view(x.shape)]),
        lambda x: Call("flip", (x, "H"), {}, [x], [fields.image_view(x.shape)]),
        lambda x: Call("roll", (x, 1), {}, [x], [fields.image_view(x.shape)]),
        lambda x: Call("roll", (x, [1, "a"], [2, 3]), {}, [x], [fields.image_view(x.shape)]),
        lambda x: Call("sum", (x, ["H"]), {}, [x], [fields.image_view(x.shape)]),
        lambda x: Call("sum", (x, ()), {}, [x], [fields.image_view(x.shape)]),
        lambda x: Call("sum", (x, True), {}, [x], [fields.image_view(x.shape)]),
        lambda x: Call("conv2d", (x, None), {}, [x], [fields.image_view(x.shape)]),
    ],
    ids=["cat", "stack", "softmax", "flip", "roll", "roll by two", "sum", "sum of all", "sum to 1", "conv"],
)
def test_a_direction_that_is_no_number_may_be_any(call: Callable[..., Call]) -> None:
    view = call(torch.zeros(1, 1, 9, 7)).seen_by(torch.zeros(1, 1, 9, 7))
    assert view == fields.unknown([fields.image_view((1, 1, 9, 7))], (1, 1, 9, 7))


KERNEL = torch.ones(1, 1, 3, 3, dtype=torch.float64)
WIDE = torch.ones(1, 1, 4, 4, dtype=torch.float64)
WINDOWS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = {
    "convolution": (F.conv2d, (KERNEL,), {}),
    "with a stride and a padding": (F.conv2d, (KERNEL, None, 2, 1), {}),
    "by name": (F.conv2d, (), {"weight": WIDE, "stride": (2, 2), "padding": [2, 2], "dilation": 2}),
    "dilated": (F.conv2d, (KERNEL, None, 1, 2, 3), {}),
    "the same size": (F.conv2d, (WIDE, None, 1, "same", 3), {}),
    "no padding, in a word": (F.conv2d, (WIDE, None, 2, "valid"), {}),
    "transposed": (F.conv_transpose2d, (KERNEL,), {}),
    "transposed twice": (F.conv_transpose2d, (KERNEL, None, 2, 1, 1), {}),
    "transposed, even": (F.conv_transpose2d, (WIDE, None, 2, 1), {}),
    "transposed by three": (F.conv_transpose2d, (WIDE, None, 3), {}),
    "transposed, dilated": (F.conv_transpose2d, (KERNEL, None, 1, 2, 0, 1, 2), {}),
    "transposed, by name": (F.conv_transpose2d, (), {"weight": WIDE, "stride": 2, "padding": 3}),
    "maximum": (torch.max_pool2d, (3,), {}),
    "maximum, dilated": (torch.max_pool2d, (3, 2, 1, 2), {}),
    "maximum, by name": (torch.max_pool2d, (), {"kernel_size": 2, "stride": 3, "padding": 1, "dilation": 3}),
    "average": (F.avg_pool2d, (3,), {}),
    "average, padded": (F.avg_pool2d, (3, 2, 1), {}),
    "power": (F.lp_pool2d, (2.0, 3), {}),
    "power, with a stride": (F.lp_pool2d, (2.0, 3, 2), {}),
    "shares": (F.adaptive_avg_pool2d, ((5, 2),), {}),
    "one share": (F.adaptive_avg_pool2d, (1,), {}),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_a_window_says_what_each_of_its_rows_reads(name: str) -> None:
    function, args, kwargs = WINDOWS[name]
    x = torch.rand(1, 1, 16, 16, dtype=torch.float64)
    out = function(x, *args, **kwargs)
    view = Call(function.__name__, (x, *args), kwargs, [x], [fields.image_view(x.shape)]).seen_by(out)
    (line,) = view.dims[2]
    assert line.size == out.shape[2]
    is_picked = "maximum" in name  # one of the window, whichever is the largest: one after the other is
    widest = 0
    for row in range(out.shape[2]):
        first = view.start[0] + row * line.jump[0]
        last = first + view.slack[0] + view.field[0]
        reads = _read(function, args, kwargs, row, is_picked)
        assert first <= reads[0] + 1e-9
        assert reads[-1] + 1 <= last + 1e-9
        if first >= 0 and last <= 16:
            widest = max(widest, reads[-1] - reads[0] + 1)
            assert reads[0] - first < 1, "nor does it begin farther in front than it must"
    assert view.field[0] == widest or not widest


def _read(function: Callable[..., Any], args: Any, kwargs: Any, row: int, is_picked: bool) -> list[int]:
    """The rows of an image of 16 that this row of the output reads, in its middle column."""
    found = set()
    for peak in range(16) if is_picked else [0]:
        x = torch.rand(1, 1, 16, 16, dtype=torch.float64)
        x[:, :, peak] += 10 * is_picked
        out = function(x.requires_grad_(), *args, **kwargs)
        (gradient,) = torch.autograd.grad(out[0, 0, row, out.shape[3] // 2], x)
        found |= set(gradient[0, 0].any(1).nonzero().flatten().tolist())
    return sorted(found)
