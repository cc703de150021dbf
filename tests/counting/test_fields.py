"""Receptive fields through functions, against the pixels that have a gradient."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from resnet_edu.counting import fields
from resnet_edu.counting.trace import trace


class Chain(nn.Module):
    """One function after the other; each convolution is 1 everywhere, so that nothing cancels."""

    def __init__(self, *functions: Callable[..., Any]) -> None:
        super().__init__()
        self.functions = functions
        self.w = nn.ParameterDict({f"k{k}": nn.Parameter(torch.ones(1, 1, k, k)) for k in (1, 2, 3, 4, 5)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for function in self.functions:
            x = function(self, x)
        return x


def widest(model: nn.Module, side: int) -> int:
    """The side of the largest box of pixels that moves one of the cells around the middle."""
    x = torch.ones(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    out = model.double()(x)
    found = 0
    middle = out.shape[2] // 2
    for row in range(middle, min(middle + 8, out.shape[2])):
        (gradient,) = torch.autograd.grad(out[0, 0, row, out.shape[3] // 2], x, retain_graph=True)
        rows = gradient[0, 0].any(dim=1).nonzero()
        assert rows.min() > 0
        assert rows.max() < side - 1, "the image is too small to hold the whole field"
        found = max(found, int(rows.max() - rows.min() + 1))
    return found


def convolution(k: int, stride: int = 1, dilation: int = 1) -> Callable[..., Any]:
    return lambda s, x: F.conv2d(x, s.w[f"k{k}"], None, stride, dilation * (k // 2), dilation)


def ahead(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda s, x: function(x)


STEPS = [
    *(convolution(k) for k in (1, 3, 5)),
    convolution(3, 2),
    convolution(3, 1, 2),
    ahead(lambda x: F.avg_pool2d(x, 2)),
    ahead(lambda x: F.avg_pool2d(x, 3, 2, 1)),
    ahead(lambda x: x[:, :, ::2, ::2]),
    ahead(lambda x: x[..., 1:-1, 1:-1]),
    ahead(lambda x: F.pad(x, (1, 1, 1, 1))),
    ahead(lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)),
    ahead(lambda x: x.flatten(2).transpose(1, 2).transpose(1, 2).view(x.shape)),
    ahead(lambda x: F.pixel_unshuffle(x, 2).mean(1, keepdim=True)),
    ahead(lambda x: x + 0.5 * x),
    lambda s, x: F.conv_transpose2d(x, s.w["k3"], None, 1, 2, 0, 1, 2),
    ahead(lambda x: F.avg_pool2d(x, [2], stride=3)),
    ahead(lambda x: F.avg_pool2d(x, 2, (2, 1))),
]


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=5))
def test_any_chain_sees_the_pixels_with_a_gradient(functions):
    model = Chain(convolution(3), *functions)
    try:
        seen = widest(model, 100)
    except (AssertionError, RuntimeError):
        return  # wider than the image, or nothing left of it
    assert trace(model.float(), (1, 100, 100))[-1].receptive_field == seen


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("kernels", [(), (3,), (3, 3), (5,)])
def test_after_an_upsampling_a_cell_sees_at_most_what_is_said(mode, scale, kernels):
    larger = ahead(lambda x: F.interpolate(x, scale_factor=scale, mode=mode))
    model = Chain(convolution(3), larger, *map(convolution, kernels))
    seen = widest(model, 60)
    said = trace(model.float(), (1, 60, 60))[-1].receptive_field
    assert seen <= said <= seen + (0 if mode.startswith("nearest") else 1)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (4, 2), (3, 1), (5, 3)])
def test_a_transposed_convolution_sees_at_most_what_is_said(kernel, stride):
    model = Chain(convolution(3), lambda s, x: F.conv_transpose2d(x, s.w[f"k{kernel}"], None, stride), convolution(3))
    seen = widest(model, 40)
    assert seen <= trace(model.float(), (1, 40, 40))[-1].receptive_field <= seen + 1


def test_a_mean_sees_all_that_it_averages():
    image = (1, 30, 20)
    for mean in (
        lambda x: x.mean((2, 3)),
        lambda x: x.mean(dim=[-2, -1], keepdim=True),
        lambda x: x.flatten(2).mean(-1),
        lambda x: F.adaptive_avg_pool2d(x, 1),
        lambda x: x.mean(3).amax(2),
        lambda x: torch.mean(x),
    ):
        assert trace(Chain(convolution(3), ahead(mean)), image)[-1].receptive_field == 3 + 29
    assert trace(Chain(convolution(3), ahead(lambda x: x.mean(3))), image)[-1].receptive_field == 3 + 19
    assert trace(Chain(convolution(3), ahead(lambda x: x.mean(1))), image)[-1].receptive_field == 3


def test_windows_of_tokens_see_their_window_and_all_tokens_the_image():
    def windows(x: torch.Tensor) -> torch.Tensor:  # as Swin cuts a map of 16 into windows of 4
        return x.view(1, 1, 4, 4, 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(16, 16, 1)

    def attend(x: torch.Tensor) -> torch.Tensor:
        return (x @ x.transpose(1, 2)).softmax(-1) @ x

    def together_again(x: torch.Tensor) -> torch.Tensor:
        return x.view(1, 4, 4, 4, 4, 1).permute(0, 5, 1, 3, 2, 4).reshape(1, 1, 16, 16)

    def block(x: torch.Tensor) -> torch.Tensor:
        return x + together_again(attend(windows(x)))

    inside = trace(Chain(ahead(windows), ahead(attend)), (1, 16, 16))
    assert inside[-1].receptive_field == 4
    assert trace(Chain(ahead(block), ahead(block)), (1, 16, 16))[-1].receptive_field == 4
    tokens = ahead(lambda x: x.flatten(2).transpose(1, 2))
    weight, bias = torch.rand(3, 1), torch.rand(3)

    def layer(x: torch.Tensor) -> torch.Tensor:  # nn.MultiheadAttention, whose tokens stand first
        x, rest = x.transpose(0, 1), (1, 1, weight, bias, None, None, False, 0.0, torch.rand(1, 1), torch.rand(1))
        return F.multi_head_attention_forward(x, x, x, *rest)[0].transpose(0, 1)

    for mix in (attend, lambda x: F.scaled_dot_product_attention(x, x, x), layer):
        assert trace(Chain(tokens, ahead(mix)), (1, 16, 16))[-1].receptive_field == 16
        assert trace(Chain(ahead(windows), ahead(mix)), (1, 16, 16))[-1].receptive_field == 4


@pytest.mark.parametrize("name", ["cumsum", "sort", "topk"])
def test_what_is_summed_or_ordered_along_a_side_sees_that_side(name: str):
    function = {
        "cumsum": lambda x: x.cumsum(2),
        "sort": lambda x: x.sort(2).values,
        "topk": lambda x: x.topk(x.shape[2], 2).values,
    }[name]
    assert trace(Chain(ahead(function), convolution(3)), (1, 16, 12))[-1].receptive_field == 16


@pytest.mark.parametrize(("part", "rows"), [(0, 2), (1, 10)])
def test_each_part_of_a_cut_map_has_rows_of_its_own(part: int, rows: int):
    cut = ahead(lambda x: x.split([2, 10], dim=2)[part].mean(2))
    assert trace(Chain(cut), (1, 12, 1))[-1].receptive_field == rows


def test_what_nobody_knows_sees_everything():
    assert trace(Chain(ahead(lambda x: torch.fft.rfft2(x).abs())), (1, 16, 12))[-1].receptive_field == 16


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_branches_that_are_stacked_and_averaged_see_what_the_wider_one_sees(dim: int):
    def selective(s: Chain, x: torch.Tensor) -> torch.Tensor:
        both = torch.stack([convolution(3)(s, x), convolution(5)(s, x)], dim).mean(dim)
        return convolution(3)(s, both)

    assert trace(Chain(selective), (1, 18, 18))[-1].receptive_field == 5 + 2


def test_without_a_batch_the_first_dimension_is_seen_too():
    def rows_times_a_vector(s: Chain, x: torch.Tensor) -> torch.Tensor:  # a sum over one row of windows of 3 × 3
        return F.max_pool2d(x, 3, 1, 1)[0, 0] @ torch.ones(6, dtype=x.dtype)

    assert trace(Chain(rows_times_a_vector), (1, 20, 6))[-1].receptive_field >= 6 + 2
    assert trace(Chain(lambda s, x: 2 * x.flatten()), (1, 9, 7))[-1].receptive_field == 9
    folded = fields.reshaped(IMAGE, (3, 8, 6))
    assert fields.unknown([folded], (3,)).field == (8, 6)
    tall = fields.restrided(folded, (8, 3, 6), (6, 48, 1), (48, 6, 1))  # rows stand where the channels stood
    assert fields.windows(tall, (1, 3, 6), [TAP[1], TAP[1]], mixes=True).field == (8, 1)


def test_a_product_of_two_maps_sees_all_that_lies_between_what_they_see():
    def attend(x: torch.Tensor) -> torch.Tensor:  # the rows of one map with the columns of another
        return x @ F.max_pool2d(x, 3, 1, 1)[:, :, :6]

    # A row of 6 pixels on the left, up to the last; on the right a column of 6, with windows that begin one row above.
    assert trace(Chain(ahead(attend)), (1, 20, 6))[-1].receptive_field == 1 + 20


def alone(model: nn.Module, side: int) -> int:
    """The side of the largest box of pixels that moves one cell, wherever it stands."""
    x = torch.rand(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    out, found = model.double()(x), 0
    for cell in out.flatten():
        (gradient,) = torch.autograd.grad(cell, x, retain_graph=True)
        for dim in (0, 1):
            cells = gradient[0, 0].any(dim).nonzero()
            found = max(found, int(cells.max() - cells.min()) + 1)
    return found


def halves(s: Chain, x: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(x, 2)


def doubled(s: Chain, x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2)


def in_front(k: int) -> Callable[..., Any]:
    return lambda s, x: F.conv2d(F.pad(x, (k - 1, 0, k - 1, 0)), s.w[f"k{k}"])


MEETINGS: dict[str, Callable[..., torch.Tensor]] = {
    "the rows above": lambda s, x: x[:, :, 4:] + x[:, :, :-4],
    "padded at one side": lambda s, x: F.pad(x, (0, 0, 3, 0))[:, :, :-3] + x,
    "even windows, in front and behind": lambda s, x: in_front(2)(s, x) + F.conv2d(F.pad(x, (0, 1, 0, 1)), s.w["k2"]),
    "in front and around": lambda s, x: in_front(5)(s, x) + convolution(5)(s, x),
    "the odd one of an even padding": lambda s, x: F.conv2d(x, s.w["k4"], None, 1, "same") + in_front(4)(s, x),
    "without padding, cut at the corner": lambda s, x: F.conv2d(x, s.w["k3"]) + x[:, :, 2:, 2:],
    "without padding, cut all around": lambda s, x: F.conv2d(x, s.w["k3"], None, 1, "valid") + x[:, :, 1:-1, 1:-1],
    "a pooling, padded": lambda s, x: F.max_pool2d(x, 3, 1, 1)[:, :, 2:] + x[:, :, :-2],
    "channels of two places": lambda s, x: torch.cat([x[:, :, 4:], x[:, :, :-4]], 1).sum(1, keepdim=True),
    "two places, stacked": lambda s, x: torch.stack([x[:, :, 4:], x[:, :, :-4]], 1).sum(1),
    "every second row and the others": lambda s, x: x[:, :, ::2] + x[:, :, 1::2],
    "a picture of four": lambda s, x: sum(x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)),
    "a shortcut that averages": lambda s, x: halves(s, x) + convolution(3, 2)(s, x),
    "turned around": lambda s, x: x + x.flip(2, 3),
    "turned twice": lambda s, x: x.flip([2]).roll(0, 2).flip(2) + x,
    "a turned window": lambda s, x: convolution(3)(s, x.flip(3)).flip(3) + convolution(3)(s, x),
    "smaller and larger again": lambda s, x: doubled(s, halves(s, x)) + convolution(3)(s, x),
    "shares of a side": lambda s, x: F.adaptive_avg_pool2d(x, 5),
    "shares, by another name": lambda s, x: F.interpolate(x, size=4, mode="area"),
    "a share of all": lambda s, x: x * x.flatten(2).softmax(-1).view(x.shape),
}


@pytest.mark.parametrize("name", MEETINGS)
def test_what_meets_sees_all_that_lies_between(name: str):
    model = Chain(MEETINGS[name])
    seen = alone(model, 12)
    assert trace(model.float(), (1, 12, 12))[-1].receptive_field == seen


@pytest.mark.parametrize(
    "function",
    [
        lambda s, x: x + x[:, :, 5:6],
        lambda s, x: x + x.transpose(2, 3),
        lambda s, x: x[:, :, :1].expand(-1, -1, x.shape[2], -1) + x,
        lambda s, x: x.rot90(1, (2, 3)) + x,
        lambda s, x: doubled(s, convolution(3)(s, halves(s, x))) + x,
        lambda s, x: F.conv2d(doubled(s, halves(s, x)), s.w["k2"]),
        lambda s, x: F.conv_transpose2d(halves(s, x), s.w["k4"], None, 2, 1) + convolution(5)(s, x),
        lambda s, x: F.interpolate(halves(s, x), size=9, mode="bilinear", align_corners=True) + x[:, :, :9, :9],
        lambda s, x: F.interpolate(x, size=5, mode="bicubic", antialias=True),
        lambda s, x: F.interpolate(x, 3, None, "bilinear", None, None, True),
        lambda s, x: F.interpolate(x, 4, None, "area"),
        lambda s, x: F.pixel_shuffle(halves(s, x).expand(-1, 4, -1, -1), 2) + x,
        lambda s, x: torch.cat([doubled(s, halves(s, x)), x], 1).sum(1, keepdim=True),
        lambda s, x: torch.cat([x[:, :, :5], x[:, :, 7:]], 2) + x[:, :, :10],
        lambda s, x: x[:, :, [0, 5, 2, 7]] + x[:, :, :4],
    ],
)
def test_what_meets_in_another_way_sees_at_most_what_is_said(function: Callable[..., torch.Tensor]):
    model = Chain(function)
    seen = alone(model, 12)
    assert seen <= trace(model.float(), (1, 12, 12))[-1].receptive_field <= 12 + 4


def test_a_border_that_wraps_around_is_left_out():
    assert trace(Chain(ahead(lambda x: x + x.roll(3, 2))), (1, 12, 12))[-1].receptive_field == 1 + 3
    assert (
        trace(Chain(ahead(lambda x: x + x.roll((3, -2), (2, 3)).roll((-3, 2), (2, 3)))), (1, 12, 12))[
            -1
        ].receptive_field
        == 1
    )
    assert trace(Chain(ahead(lambda x: x + x.roll(3))), (1, 12, 9))[-1].receptive_field == 12


@pytest.mark.parametrize(
    "function",
    [
        lambda x, rows: torch.gather(x, 2, rows).sum(1),
        lambda x, rows: torch.take_along_dim(x, rows, 2).sum(1),
        lambda x, rows: F.avg_pool2d(torch.gather(x, 2, rows), (1, 2)),
        lambda x, rows: x.repeat_interleave(torch.tensor([0, 2] * 6), dim=2) + x,
        lambda x, rows: F.channel_shuffle(F.pixel_unshuffle(x, 2).roll(1, 2).flatten(1, 2)[..., None], 4)[:, :6],
    ],
    ids=["rows of each cell", "rows along", "rows of neighbors", "rows twice", "channels in another order"],
)
def test_cells_that_are_taken_by_number_see_at_most_what_is_said(function: Callable[..., torch.Tensor]):
    rows = torch.arange(3 * 144).view(1, 3, 12, 12) * 7 % 12
    model = Chain(ahead(lambda x: function(x.expand(-1, 3, -1, -1), rows)))
    assert alone(model, 12) <= trace(model.float(), (1, 12, 12))[-1].receptive_field <= 12


def test_one_row_by_its_number_may_be_any_row():
    one = fields.picked(IMAGE, (1, 3, 1, 6), [2])
    moved = fields.restrided(one, (1, 3, 6, 1), (18, 6, 1, 6), (18, 6, 6, 1))
    assert (moved.field, moved.start, moved.slack) == ((1, 1), (0, 0), (7, 0))
    turn = ahead(lambda x: x[:, :, [5]].transpose(2, 3).transpose(2, 3) + x[:, :, :1])
    assert trace(Chain(turn), (1, 8, 6))[-1].receptive_field >= 6


def test_what_is_written_into_a_part_is_seen_by_all_that_reads_the_whole():
    def into_the_map(s: Chain, x: torch.Tensor) -> torch.Tensor:
        y = 2 * x
        y.narrow(2, 0, 9).copy_(convolution(5)(s, x)[:, :, :9])
        return convolution(3)(s, y)

    def into_nothing(s: Chain, x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros(1, 1, x.shape[2] + 2, x.shape[3] + 2, dtype=x.dtype)
        y.narrow(2, 1, x.shape[2]).narrow(3, 1, x.shape[3]).copy_(x)
        return convolution(3)(s, y)

    def a_row(s: Chain, x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros_like(x)
        y[0] = x[0]
        return y

    def a_shift(s: Chain, x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros_like(x)
        y[:, :, 3:] = x[:, :, :-3]
        return x + y

    def by_a_mask(s: Chain, x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros_like(x)
        y[x > 0] = x[x > 0]  # nobody knows where they lie
        return y

    assert trace(Chain(into_the_map), (1, 18, 18))[-1].receptive_field == 5 + 2
    assert trace(Chain(into_nothing), (1, 18, 18))[-1].receptive_field == 3
    assert trace(Chain(a_row), (1, 18, 12))[-1].receptive_field == 1
    assert trace(Chain(a_shift), (1, 18, 12))[-1].receptive_field == 1 + 3
    assert trace(Chain(by_a_mask), (1, 18, 12))[-1].receptive_field == 18

    def cut_off(s: Chain, x: torch.Tensor) -> torch.Tensor:
        y = convolution(3)(s, x)
        y[y < 0] = 0  # each cell decides for itself
        y[:, :, 0] = 1
        return y

    def in_another_order(s: Chain, x: torch.Tensor) -> torch.Tensor:
        y = 2 * x
        y[:, :, list(range(17, -1, -1))] = x
        return y

    for device in ("cpu", "meta"):  # where no number can tell what a mask picks
        assert trace(Chain(cut_off).to(device), (1, 18, 12))[-1].receptive_field == 3
        assert trace(Chain(in_another_order).to(device), (1, 18, 12))[-1].receptive_field == 18


# Views themselves: what each dimension is made of.

IMAGE = fields.image_view((1, 3, 8, 6))
TOKENS = fields.reshaped(IMAGE, (1, 3, 48))
TAP = {reach: fields.Tap(reach, 1) for reach in (1, 2, 3)}


def test_a_product_has_the_rows_of_the_left_and_the_columns_of_the_right():
    turned = fields.restrided(IMAGE, (1, 3, 6, 8), (144, 48, 1, 6), (144, 48, 6, 1))
    product = fields.product(IMAGE, turned, (1, 3, 8, 8))
    # A row with any other row: all 6 columns, and up to 8 rows.
    assert product.field == (8, 6)


def test_what_is_computed_from_one_tensor_has_its_new_size():
    assert fields.together([IMAGE], (1, 3, 8, 6)) == IMAGE
    padded = fields.together([IMAGE], (1, 3, 10, 6))  # nobody knows where the new rows come from
    assert [factor.size for (factor,) in padded.dims] == [1, 3, 10, 6]
    assert padded.field == (8, 6)
    row = fields.plain_view((3, 4), (6,))  # of fewer dimensions, stretched over the image
    # It sees the corner of 3 × 4, and is added to each pixel: the last is 8 rows and 6 columns away.
    assert fields.together([IMAGE, row], (1, 3, 8, 6)) == fields.View(
        (8, 6), fields.plain_view((0, 0), (1, 3, 8, 6)).dims
    )
    assert fields.together([row, IMAGE], (1, 3, 8, 6)).field == (8, 6)
    few = fields.resized(TOKENS, (1, 3, 40))
    assert (few.dims[2][0].size, few.dims[2][0].jump, few.dims[2][0].span) == (40, (0, 0), (7, 5))
    assert fields.together([TOKENS], (1, 3, 40)).field == (8, 6)


def test_a_side_that_was_cut_and_put_together_is_a_side_again():
    cut = fields.reshaped(IMAGE, (1, 3, 4, 2, 6))
    assert [len(dim) for dim in fields.reshaped(cut, (1, 3, 8, 6)).dims] == [1, 1, 1, 1]
    assert fields.reshaped(cut, (1, 3, 8, 6)).dims[2:] == IMAGE.dims[2:]
    halved = ahead(lambda x: x.unflatten(2, (4, 2)).flatten(2, 3))
    assert trace(Chain(halved, convolution(3)), (1, 8, 8))[-1].receptive_field == 3


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize("shift", [-3, 0, 3])
def test_a_map_that_was_enlarged_lies_where_it_lay(mode: str, shift: int):
    def meet(s: Chain, x: torch.Tensor) -> torch.Tensor:
        large = F.interpolate(halves(s, x), scale_factor=2, mode=mode)
        rows = x.shape[2] - abs(shift)
        return large.narrow(2, max(shift, 0), rows) + x.narrow(2, max(-shift, 0), rows)

    model = Chain(meet)
    seen = alone(model, 16)
    assert seen <= trace(model.float(), (1, 16, 16))[-1].receptive_field <= seen + 1


@pytest.mark.parametrize("sides", [[(2, 1), (1, 2)], [(1, 2), (2, 1)], [(2, 2)]], ids=str)
def test_a_map_enlarged_one_side_after_the_other_is_one_enlarged_at_once(sides: list[tuple[int, int]]):
    enlarged = [ahead(lambda x, scale=scale: F.interpolate(x, scale_factor=scale)) for scale in sides]
    assert trace(Chain(*enlarged, convolution(3)), (1, 8, 8))[-1].receptive_field == 2
    assert trace(Chain(convolution(3), *enlarged, ahead(lambda x: x + 2 * x)), (1, 8, 8))[-1].receptive_field == 3


def test_cells_of_an_enlarged_map_begin_as_far_apart_as_the_small_ones_lay():
    assert trace(Chain(halves_and_doubles, convolution(3)), (1, 12, 12))[-1].receptive_field == 2 + 2
    rows = ahead(lambda x: F.avg_pool2d(x, (2, 1)))  # 2 rows and 5 columns, before the map is enlarged
    wide = ahead(lambda x: F.avg_pool2d(x, (1, 5), 1, (0, 2)))
    enlarged = ahead(lambda x: F.interpolate(x, scale_factor=2))
    model = Chain(rows, wide, enlarged, convolution(3), convolution(3))
    assert trace(model, (1, 24, 24))[-1].receptive_field == 5 + 1 + 1
    columns = ahead(lambda x: F.avg_pool2d(x, (1, 2)))
    high = ahead(lambda x: F.avg_pool2d(x, (5, 1), 1, (2, 0)))
    model = Chain(columns, high, enlarged, convolution(3), convolution(3))
    assert trace(model, (1, 24, 24))[-1].receptive_field == 5 + 1 + 1


def halves_and_doubles(s: Chain, x: torch.Tensor) -> torch.Tensor:
    return doubled(s, halves(s, x))


@pytest.mark.parametrize("dim", [2, 3])
def test_a_mean_of_two_cells_between_pixels_sees_the_pixels_of_both(dim: int):
    """Cell 2 of a map enlarged twice lies between rows 0 and 1, cell 3 between rows 1 and 2."""
    enlarged = ahead(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"))
    model = Chain(enlarged, ahead(lambda x: x.narrow(dim, 2, 2).mean(dim, keepdim=True)))
    assert trace(model, (1, 8, 8))[-1].receptive_field == 3
    for row in (5, 7):  # an odd cell, and the distance of two
        model = Chain(enlarged, ahead(lambda x, row=row: x.narrow(dim, row, 4) + x.narrow(dim, row - 4, 4)))
        assert alone(model, 8) <= trace(model.float(), (1, 8, 8))[-1].receptive_field <= 4 + 1


def test_maps_between_pixels_keep_their_places_when_they_are_joined():
    twice = fields.windows(IMAGE, (1, 3, 16, 12), [fields.Tap(1, 0.5, -0.5, 0.5)] * 2)
    both = fields.joined([twice, fields.picked(twice, (1, 5, 16, 12), [1])], (1, 8, 16, 12), 1)
    assert (both.field, both.start, both.slack, both.grain) == ((1, 1), (-0.5, -0.5), (0.5, 0.5), (1, 1))
    assert fields.together([twice, twice], (1, 3, 16, 12)) == twice
    mixed = fields.joined([twice, fields.resized(twice, (1, 3, 16, 12), (0, 0, 1, 1))], (1, 6, 16, 12), 1)
    assert (mixed.field, mixed.slack) == ((1.5, 1.5), (0, 0))  # each begins late in its own way
    assert fields._span(mixed.dims[1]) == (0.5, 0.5)
    half = fields.restrided(IMAGE, (1, 3, 4, 6), (144, 48, 12, 1), (144, 48, 6, 1))
    top = fields.restrided(IMAGE, (1, 3, 4, 6), (144, 48, 6, 1), (144, 48, 6, 1))
    assert fields.joined([half, top], (1, 6, 4, 6), 1) == fields.unknown([half, top], (1, 6, 4, 6))


def test_a_corner_between_pixels_lies_as_far_to_the_right_as_below():
    twice = fields.windows(IMAGE, (1, 3, 16, 12), [fields.Tap(1, 0.5, -0.5, 0.5)] * 2)
    corner = fields.resized(twice, (1, 3, 12, 8), (0, 0, 4, 4))
    assert corner.start == (-0.5 + 4 * 0.5, -0.5 + 4 * 0.5)
    assert fields.turned(corner, [2, 3]).start == corner.start
    assert fields.resized(fields.turned(twice, [2, 3]), (1, 3, 12, 8), (0, 0, 4, 4)).start == (-0.5, -0.5)
    single = fields.restrided(IMAGE, (1, 3), (144, 48), (144, 48, 6, 1), 2 * 6 + 4)
    assert single.start == (2, 4)
    around = fields.turned(IMAGE, [2, 3])
    assert fields.restrided(around, (1, 3), (144, 48), (144, 48, 6, 1), 2 * 6 + 4).start == (7 - 2, 5 - 4)
    overlapping = fields.restrided(fields.image_view((1, 1, 3, 3)), (1, 1), (9, 9), (9, 9, 1, 1), 2 + 2)
    assert overlapping.start == (2, 2)


def test_a_tensor_of_fewer_dimensions_lies_under_the_last_ones():
    plain = fields.restrided(IMAGE, (8, 6), (6, 1), (144, 48, 6, 1))
    assert fields.together([IMAGE, plain], (1, 3, 8, 6)) == IMAGE
    pair = fields.image_view((2, 2, 8, 6))
    assert fields.together([pair, plain], (2, 2, 8, 6)).field == (1, 1)


def test_rows_from_anywhere_are_told_from_the_places_of_a_map_beside_them():
    """A map of other distances beside it: 100 columns of 0.98 pixels end two pixels earlier."""
    image = fields.image_view((1, 1, 4, 100))
    other = image._replace(dims=(*image.dims[:3], fields._line(100, (0, 0.98))))
    met = fields.together([fields.picked(image, (1, 1, 4, 100), [2]), other], (1, 1, 4, 100)).field
    assert met[0] <= 4 + 3
    assert met[1] == pytest.approx(1 + 99 * 0.02)


def test_a_product_reads_whole_columns_of_the_right():
    left = fields.plain_view((1, 1), (1, 3, 8, 2))
    right = fields.restrided(IMAGE, (1, 3, 2, 6), (144, 48, 6, 1), (144, 48, 6, 1))
    assert fields.product(left, right, (1, 3, 8, 6)).field == (2, 6)


def test_tokens_that_are_written_or_go_through_a_window_of_one_are_the_same_tokens():
    strides = (144, 48, 1)
    assert fields.placed(TOKENS, (1, 3, 48), strides, strides, 0).dims == TOKENS.dims
    behind_a_class = fields.placed(TOKENS, (1, 3, 49), (147, 49, 1), (147, 49, 1), 1)
    assert behind_a_class.dims[2] == (fields.Factor(49, (0, 0), (7, 5)),)
    again = fields.reshaped(fields.windows(TOKENS, (1, 3, 48), [TAP[1]]), (1, 3, 8, 6))
    assert fields.windows(again, (1, 3, 8, 6), [TAP[3], TAP[3]]).field == (3, 3)
    assert fields.windows(TOKENS, (1, 3, 24), [fields.Tap(1, 2)]).field == (1, 1)
    later = fields.windows(TOKENS, (1, 3, 48), [fields.Tap(1, 1, -1)])
    assert later.dims[2] == (fields.Factor(48, (0, 0), (7, 5)),)
    thirds = fields.reshaped(fields.reshaped(IMAGE, (1, 3, 8, 3, 2)), (1, 3, 48))
    assert thirds.dims == TOKENS.dims


def test_what_is_written_into_every_second_row_may_be_read_anywhere():
    def spread_out(s: Chain, x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros_like(x)
        y[:, :, ::2] = x[:, :, :9]
        return y

    def to_the_side(s: Chain, x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros_like(x)
        y.transpose(2, 3)[:, :, 2:] = x[:, :, :-2]
        return y + x

    assert trace(Chain(spread_out), (1, 18, 4))[-1].receptive_field == 9
    model = Chain(to_the_side)
    assert alone(model, 12) <= trace(model.float(), (1, 12, 12))[-1].receptive_field <= 12 + 2


def test_more_cells_than_there_are_may_see_everything():
    assert fields.reshaped(IMAGE, (1, 3, 96)) == fields.unknown([IMAGE], (1, 3, 96))
    assert fields.reshaped(IMAGE, (1, 3, 5, 9)) == fields.unknown([IMAGE], (1, 3, 5, 9))


def test_the_same_look_at_memory_sees_the_same_also_where_two_dimensions_share_their_steps():
    for view, strides in ((IMAGE, (144, 48, 6, 1)), (IMAGE, (9, 3, 1, 1)), (TOKENS, (144, 48, 1))):
        sizes = tuple(fields._size(dim) for dim in view.dims)
        assert fields.restrided(view, sizes, strides, strides).dims == view.dims


def test_what_lies_in_the_batch_stays_there_through_a_convolution():
    """As where a map is cut into windows, which are images of a batch: put together again, rows are rows."""
    rows = fields.restrided(IMAGE, (8, 3, 1, 6), (6, 48, 144, 1), (144, 48, 6, 1))  # each row an image
    along = fields.windows(rows, (8, 3, 1, 6), [TAP[1], TAP[3]], mixes=True)
    back = fields.restrided(along, (1, 3, 8, 6), (144, 6, 18, 1), (18, 6, 6, 1))
    assert fields.windows(back, (1, 3, 6, 4), [TAP[3], TAP[3]], mixes=True).field == (3, 5)


def test_another_look_at_memory_stays_inside_of_a_dimension():
    old = (48, 48, 6, 1)
    view = fields.image_view((1, 1, 8, 6))
    assert fields.restrided(view, (1, 1, 4, 6), (48, 48, 12, 1), old).dims[2] == (fields.Factor(4, (2, 0), (6, 0)),)
    beyond = fields.restrided(view, (1, 1, 5, 6), (48, 48, 12, 1), old)  # the fifth row is behind the last
    assert beyond.dims[2] == (fields.Factor(5, (0, 0), (0, 0)),)


def test_every_second_token_lies_anywhere_among_the_tokens():
    some = fields.restrided(TOKENS, (1, 3, 24), (144, 48, 2), (144, 48, 1))
    assert some.dims[2] == (fields.Factor(24, (0, 0), (7, 5)),)


def test_one_cell_alone_keeps_the_step_that_a_padding_goes_on_with():
    line = fields.windows(IMAGE, (1, 3, 1, 1), [fields.Tap(8, 4), fields.Tap(6, 3)])
    alone = fields.restrided(line, (1, 3, 1, 1), (3, 1, 1, 1), (3, 1, 1, 1))
    assert alone.dims[2:] != line.dims[2:]
    assert fields.together([alone, line], (1, 3, 1, 1)).dims[2:] == line.dims[2:]
    assert fields.together([line, alone], (1, 3, 1, 1)).dims[2:] == line.dims[2:]
    pooled = Chain(ahead(lambda x: F.adaptive_avg_pool2d(x, 1)), convolution(3))
    assert trace(pooled, (1, 8, 8))[-1].receptive_field == 8 + 2


def test_what_is_gone_has_size_1_and_what_is_new_its_own():
    assert [fields._size(dim) for dim in fields.reduced(IMAGE, (1, 1, 8, 6), [1]).dims] == [1, 1, 8, 6]
    assert [fields._size(dim) for dim in fields.product(IMAGE, None, (1, 3, 8, 5)).dims] == [1, 3, 8, 5]
    assert fields.product(IMAGE, None, (1, 3, 8, 5)).dims[:3] == IMAGE.dims[:3]


def test_a_window_over_tokens_may_see_all_of_them_unless_it_holds_one():
    assert fields.windows(TOKENS, (1, 3, 48), [TAP[1]]).field == (1, 1)
    assert fields.windows(TOKENS, (1, 3, 47), [TAP[2]]).field == (8, 6)


def test_two_cells_of_a_dimension_are_looked_at_as_well_as_many():
    view = fields.image_view((1, 3, 2, 6))
    assert fields.restrided(view, (1, 3, 6, 2), (36, 12, 1, 6), (36, 12, 6, 1)).dims[2:] == (view.dims[3], view.dims[2])


def test_a_convolution_mixes_channels_and_leaves_the_batch_alone():
    """As where windows of a map are images of a batch, each with channels that see its pixels."""
    pixels = fields.View(
        (1, 1), ((fields.Factor(4, (8, 0), (24, 0)),), (fields.Factor(3, (0, 1), (0, 2)),), *IMAGE.dims[2:])
    )
    assert fields.windows(pixels, (4, 5, 8, 6), [TAP[3], TAP[3]], mixes=True).field == (3, 5)
    assert fields.windows(pixels, (4, 3, 8, 6), [TAP[3], TAP[3]]).field == (3, 3)


def test_what_nobody_knows_sees_along_every_dimension_the_only_one_of_a_vector_too():
    assert trace(Chain(ahead(lambda x: torch.fft.fft(x[0, 0, 0]))), (1, 9, 12))[-1].receptive_field == 12
    assert trace(Chain(ahead(lambda x: torch.fft.fft(x.flatten()))), (1, 9, 12))[-1].receptive_field == 12


# Views against the pixels themselves: each cell carries the first and the last row and column that it has read.


class Pixels:
    """A view, and beside it the box of pixels behind each cell, computed without views."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        rows, columns = torch.arange(shape[-2])[:, None].expand(shape), torch.arange(shape[-1]).expand(shape)
        self.view = fields.image_view(shape)
        self.first, self.last = torch.stack([rows, columns]), torch.stack([rows, columns])
        self.is_exact = self.is_far_exact = True
        """Whether the field, and the distances along the dimensions, are not only upper bounds."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.first.shape[1:])

    def then(
        self,
        view: Callable[..., fields.View],
        change: Callable[..., torch.Tensor],
        is_exact: bool = True,
        is_far_exact: bool = True,
    ) -> None:
        first = torch.stack([change(axis, torch.amin) for axis in self.first])
        last = torch.stack([change(axis, torch.amax) for axis in self.last])
        self.view, self.first, self.last = view(self.view, tuple(first.shape[1:])), first, last
        self.is_exact = self.is_far_exact and is_exact
        self.is_far_exact = self.is_exact and is_far_exact

    def check(self) -> None:
        assert tuple(fields._size(dim) for dim in self.view.dims) == self.shape
        begins, ends = between(self.view)
        for axis in range(2):
            # Each cell sees what lies between its place and the end of its field, and nothing else.
            assert (begins[axis] <= self.first[axis]).all()
            assert (self.last[axis] + 1 <= ends[axis] + self.view.slack[axis] + self.view.field[axis]).all()
            seen, said = int((self.last[axis] - self.first[axis]).max()) + 1, self.view.field[axis]
            assert said == seen if self.is_exact else said >= seen
            for place, dim in enumerate(self.view.dims):
                reach = int((self.first[axis].amax(place) - self.first[axis].amin(place)).max())
                if self.is_far_exact:
                    assert fields._span(dim)[axis] == reach
                if self.is_far_exact and len(dim) == 1 and any(dim[0].jump):
                    assert (self.first[axis].diff(dim=place) == dim[0].jump[axis]).all()


def between(view: fields.View) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Where each cell's field begins at the earliest and at the latest, for the rows and for the columns."""
    bounds = []
    for end in (0, 1):  # a cell whose distances are not known lies anywhere
        axes = []
        for axis in range(2):
            total = torch.tensor(float(view.start[axis]))
            for dim in view.dims:
                along = torch.zeros(1)
                for size, jump, span in dim:
                    places = jump[axis] * torch.arange(size) + (span[axis] if jump[axis] < 0 else 0)
                    unknown = 0 if any(jump) else end * span[axis]
                    along = (along[:, None] + places + unknown).flatten()
                total = total[..., None] + along
            axes.append(total)
        bounds.append(axes)
    return bounds[0], bounds[1]


def is_even(*dims: fields.Dim) -> bool:
    return all((len(dim) == 1 and any(dim[0].jump)) or fields._span(dim) == (0, 0) for dim in dims)


NOTHING = 10**6  # the first row of a cell that sees none; the last is -NOTHING
KINDS = ("windows", "mix", "mean", "permute", "every", "crop", "merge", "split", "both", "join", "stack")
KINDS += ("flip", "shift", "stretch", "pick", "enlarge", "write")


def one_more(cells: Pixels, choice: random.Random) -> str:
    """One operation, chosen at random, through the view and through the pixels; its name, if it can be done."""
    count, dims = len(cells.shape), cells.view.dims
    dim = choice.randrange(count)
    kind = choice.choice(KINDS)
    if kind == "windows" and count > 2:
        length = choice.choice([1, 2])
        taps = [fields.Tap(choice.randint(1, min(3, size)), choice.randint(1, 2)) for size in cells.shape[-length:]]
        mixes = choice.random() < 0.5

        def slide(x: torch.Tensor, most: Callable[..., torch.Tensor]) -> torch.Tensor:
            for place, (reach, stride, *_) in enumerate(taps, start=-length):
                x = most(x.unfold(place, reach, stride), -1)
            return most(x, -length - 1, keepdim=True).expand_as(x) if mixes else x

        cells.then(lambda view, shape: fields.windows(view, shape, taps, mixes), slide, is_even(*dims[-length:]))
    elif kind == "mix":
        cells.then(
            lambda view, shape: fields.mixed(view, [dim]),
            lambda x, most: most(x, dim, keepdim=True).expand_as(x),
        )
    elif kind == "mean" and count > 1:
        keep = choice.random() < 0.5
        over = choice.choice([dim, dim - count])
        cells.then(lambda view, shape: fields.reduced(view, shape, [over]), lambda x, most: most(x, dim, keepdim=keep))
    elif kind in ("permute", "every", "crop"):
        order = choice.sample(range(count), count)
        looks: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
            "permute": lambda x: x.permute(order),
            "every": lambda x: x.transpose(0, dim)[x.shape[dim] // 2 :: 2].transpose(0, dim),
            "crop": lambda x: x.narrow(dim, min(2, x.shape[dim] - 1), max(1, x.shape[dim] - 2)),
        }
        before = torch.empty(cells.shape)
        after = looks[kind](before)
        cells.then(
            lambda view, shape: fields.restrided(
                view, shape, after.stride(), before.stride(), int(after.storage_offset())
            ),
            lambda x, most: looks[kind](x),
            is_far_exact=kind == "permute" or is_even(dims[dim]),
        )
    elif kind == "merge" and dim + 1 < count:
        # A vector has no place any more: each of its numbers stands for all.
        cells.then(
            fields.reshaped,
            lambda x, most: x.flatten(dim, dim + 1) if count != 3 else most(x).expand_as(x.flatten(dim, dim + 1)),
        )
    elif kind == "split" and cells.shape[dim] % 2 == 0 and cells.shape[dim] > 2 < count and len(dims[dim]) == 1:
        cells.then(fields.reshaped, lambda x, most: x.unflatten(dim, (x.shape[dim] // 2, 2)), is_even(dims[dim]))
    elif kind == "both":
        wide = fields.mixed(cells.view, [dim])
        cells.then(
            lambda view, shape: fields.together([view, wide], shape),
            lambda x, most: most(torch.stack([x, most(x, dim, keepdim=True).expand_as(x)]), 0),
            is_far_exact=False,
        )
    elif kind == "join":
        cells.then(lambda view, shape: fields.joined([view, view], shape, dim), lambda x, most: torch.cat([x, x], dim))
    elif kind == "stack":
        cells.then(
            lambda view, shape: fields.stacked([view, view], shape, dim), lambda x, most: torch.stack([x, x], dim)
        )
    elif kind == "flip":
        cells.then(lambda view, shape: fields.turned(view, [dim]), lambda x, most: x.flip(dim))
    elif kind == "shift" and cells.shape[dim] > 2:
        size = cells.shape[dim] - 1
        below = torch.empty(cells.shape).narrow(dim, 1, size)

        def shifted(view: fields.View, shape: tuple[int, ...]) -> fields.View:
            strides = below.stride()
            parts = [fields.restrided(view, shape, strides, strides, offset) for offset in (0, strides[dim])]
            return fields.together(parts, shape)

        cells.then(
            shifted,
            lambda x, most: most(torch.stack([x.narrow(dim, 0, size), x.narrow(dim, 1, size)]), 0),
            is_exact=False,
        )
    elif kind == "stretch":
        own = torch.empty(cells.shape).narrow(dim, 0, 1)

        def over(view: fields.View, shape: tuple[int, ...]) -> fields.View:
            first = fields.restrided(view, tuple(own.shape), own.stride(), torch.empty(shape).stride())
            return fields.together([view, first], shape)

        cells.then(over, lambda x, most: most(torch.stack([x, x.narrow(dim, 0, 1).expand_as(x)]), 0), is_exact=False)
    elif kind == "pick":
        numbers = [choice.randrange(cells.shape[dim]) for _ in range(choice.choice([1, 3]))]
        cells.then(
            lambda view, shape: fields.picked(view, shape, [dim]),
            lambda x, most: x.index_select(dim, torch.tensor(numbers)),
            is_exact=False,
        )
    elif kind == "enlarge" and count > 2:
        twice = fields.Tap(1, 0.5, -0.5, 0.5)  # a cell begins up to half a pixel later than its place
        taps = [twice if place == dim else fields.Tap(1, 1) for place in (count - 2, count - 1)]
        cells.then(
            lambda view, shape: fields.windows(view, shape, taps),
            lambda x, most: x.repeat_interleave(2, dim) if dim >= count - 2 else x,
            is_far_exact=dim < count - 2,
        )
    elif kind == "write":
        before, behind = choice.choice([(0, 2), (2, 0), (1, 1), (0, 0)])
        sizes = [size + (before + behind) * (place == dim) for place, size in enumerate(cells.shape)]
        large = torch.empty(sizes)
        part = large.narrow(dim, before, cells.shape[dim])

        def written(x: torch.Tensor, most: Callable[..., torch.Tensor]) -> torch.Tensor:
            nothing = NOTHING if most is torch.amin else -NOTHING
            for width, place in ((before, 0), (behind, 1)):
                edge = torch.full_like(x.narrow(dim, 0, 1), nothing).repeat_interleave(width, dim)
                x = torch.cat([x, edge] if place else [edge, x], dim)
            return x

        cells.then(
            lambda view, shape: fields.placed(view, shape, part.stride(), large.stride(), int(part.storage_offset())),
            written,
            is_far_exact=False,
        )
    else:
        return ""
    return kind


@pytest.mark.parametrize("seed", range(80))
def test_a_view_says_what_the_pixels_behind_each_cell_say(seed: int) -> None:
    choice = random.Random(seed)
    cells = Pixels(choice.choice([(2, 3, 12, 10), (3, 8, 6), (1, 4, 12, 8)]))
    done: list[str] = []
    while len(done) < 4 and cells.first.numel() < 20000:
        done += filter(None, [one_more(cells, choice)])
        cells.check()


def test_cells_picked_by_a_table_of_numbers_may_come_from_anywhere():
    assert fields.picked(IMAGE, (1, 3, 2, 4, 6), [2]) == fields.unknown([IMAGE], (1, 3, 2, 4, 6))
    shorter = fields.picked(IMAGE, (1, 3, 5, 6), [2])
    assert shorter.dims[2] == (fields.Factor(5, (0, 0), (7, 0)),)
    assert shorter.dims[3] == IMAGE.dims[3]
