import re

import pytest
import torch
from torch import nn

from resnet_edu.shortcuts import ProjectionShortcut, ZeroPadShortcut, check_addable, make_shortcut

SAME, CHANNELS, SIZE, BOTH = (8, 8, 1), (8, 12, 1), (8, 8, 2), (8, 16, 2)


@pytest.mark.parametrize(
    ("option", "ends", "kind"),
    [
        ("A", SAME, nn.Identity),
        ("A", CHANNELS, ZeroPadShortcut),
        ("A", SIZE, ZeroPadShortcut),
        ("A", BOTH, ZeroPadShortcut),
        ("B", SAME, nn.Identity),
        ("B", CHANNELS, ProjectionShortcut),
        ("B", SIZE, ProjectionShortcut),
        ("B", BOTH, ProjectionShortcut),
        ("C", SAME, ProjectionShortcut),
        ("C", CHANNELS, ProjectionShortcut),
        ("C", SIZE, ProjectionShortcut),
        ("C", BOTH, ProjectionShortcut),
    ],
)
def test_each_option_where_it_belongs_and_its_shape(option, ends, kind):
    in_channels, out_channels, stride = ends
    shortcut = make_shortcut(option, *ends)
    assert type(shortcut) is kind
    out = shortcut(torch.rand(2, in_channels, 9, 6))
    assert out.shape == (2, out_channels, -(-9 // stride), -(-6 // stride))


def test_costs():
    def count(option, *ends):
        return sum(p.numel() for p in make_shortcut(option, *ends).parameters())

    assert count("A", *BOTH) == 0
    assert count("B", *BOTH) == 8 * 16 + 2 * 16
    assert count("B", *SAME) == 0
    assert count("C", *SAME) == 8 * 8 + 2 * 8


@pytest.mark.parametrize(("in_channels", "out_channels"), [(4, 8), (4, 7), (3, 3)])
def test_zero_padding_keeps_the_pixels_and_surrounds_the_channels(in_channels, out_channels):
    x = torch.rand(2, in_channels, 7, 5)
    out = ZeroPadShortcut(in_channels, out_channels, stride=2)(x)
    before = (out_channels - in_channels) // 2
    assert torch.equal(out[:, before : before + in_channels], x[:, :, ::2, ::2])
    assert out[:, :before].count_nonzero() == 0
    assert out[:, before + in_channels :].count_nonzero() == 0


def test_zero_padding_passes_the_gradient_of_the_pixels_it_keeps():
    x = torch.rand(1, 2, 4, 4, requires_grad=True)
    ZeroPadShortcut(2, 4, stride=2)(x).sum().backward()
    expected = torch.zeros(1, 2, 4, 4)
    expected[:, :, ::2, ::2] = 1
    assert torch.equal(x.grad, expected)


def test_a_projection_is_a_convolution_without_bias_and_a_batch_norm():
    conv, norm = ProjectionShortcut(8, 16, stride=2)
    assert conv.bias is None
    assert conv.kernel_size == (1, 1)
    assert conv.stride == (2, 2)
    assert isinstance(norm, nn.BatchNorm2d)


def test_padding_cannot_remove_channels():
    with pytest.raises(ValueError, match="add channels but not remove them, got 16 → 8; use option B, a projection"):
        ZeroPadShortcut(16, 8)


@pytest.mark.parametrize("option", ["D", "b", None, ""])
def test_an_unknown_option_lists_the_three(option):
    with pytest.raises(ValueError, match=re.escape(f"shortcut must be one of 'A', 'B', 'C', got {option!r}")):
        make_shortcut(option, 8, 8)


@pytest.mark.parametrize(
    "shortcut", [(2, 64, 56, 56), (2, 128, 56, 56), (2, 64, 28, 28), (1, 128, 28, 28), (2, 1, 28, 28), (128, 28, 28)]
)
def test_shapes_that_differ_are_named_with_the_three_cures(shortcut):
    """Broadcasting would let the last three through."""
    with pytest.raises(ValueError, match="cannot add") as error:
        check_addable(torch.zeros(2, 128, 28, 28), torch.zeros(shortcut))
    message = str(error.value)
    assert "(2, 128, 28, 28)" in message
    assert str(shortcut) in message
    for cure in ("A, skip pixels and pad", "B, project", "C, project in every block"):
        assert cure in message


def test_equal_shapes_pass():
    check_addable(torch.zeros(2, 3, 4, 5), torch.ones(2, 3, 4, 5))


@pytest.mark.parametrize("option", "ABC")
def test_without_a_stride_a_shortcut_keeps_the_size(option):
    assert make_shortcut(option, 4, 8)(torch.rand(1, 4, 9, 7)).shape == (1, 8, 9, 7)
    room = ProjectionShortcut if option != "A" else ZeroPadShortcut
    assert room(4, 8)(torch.rand(1, 4, 9, 7)).shape == (1, 8, 9, 7)
