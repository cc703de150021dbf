import pytest
import torch
from torch import nn

from resnet_edu.blocks import BasicBlock, Bottleneck, PlainBlock
from resnet_edu.layers import make_layer
from resnet_edu.shortcuts import ZeroPadShortcut


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck, PlainBlock])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("blocks", [1, 3])
def test_only_the_first_block_changes_the_shape(block, stride, blocks):
    layer = make_layer(block, 6, 4, blocks, stride)
    assert len(layer) == blocks
    x = torch.rand(2, 6, 9, 8)
    shapes = [(x := room(x)).shape for room in layer]
    assert shapes == [(2, 4 * block.expansion, -(-9 // stride), -(-8 // stride))] * blocks


def test_identity_shortcuts_behind_the_first_block():
    layer = make_layer(BasicBlock, 4, 8, blocks=3, stride=2)
    assert [isinstance(b.downsample, nn.Identity) for b in layer] == [False, True, True]


def test_options_reach_every_block():
    layer = make_layer(Bottleneck, 16, 8, blocks=2, stride=2, shortcut="A", stride_in="1x1")
    assert isinstance(layer[0].downsample, ZeroPadShortcut)
    assert layer[0].conv1.stride == (2, 2)
    projected = make_layer(BasicBlock, 8, 8, blocks=3, shortcut="C")
    assert all(isinstance(b.downsample, nn.Sequential) for b in projected)


def test_any_callable_is_a_block():
    layer = make_layer(lambda i, o, stride=1: nn.Conv2d(i, o, 3, stride, 1), 3, 5, blocks=2, stride=2)
    assert layer(torch.rand(1, 3, 8, 8)).shape == (1, 5, 4, 4)


@pytest.mark.parametrize("blocks", [0, -1, 1.5])
def test_a_count_that_is_none_is_named(blocks):
    with pytest.raises(ValueError, match=f"blocks must be a whole number of at least 1, got {blocks}"):
        make_layer(BasicBlock, 8, 8, blocks)


def test_without_a_stride_the_map_keeps_its_size():
    assert make_layer(BasicBlock, 4, 4, blocks=2)(torch.rand(1, 4, 9, 7)).shape == (1, 4, 9, 7)
