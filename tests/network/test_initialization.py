import copy
import math

import pytest
import torch
from torch import nn

from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.initialization import kaiming_normal_, kaiming_uniform_, zero_init_residual_
from resnet_edu.resnet import ResNet

CONVS = [nn.Conv2d(64, 128, 3), nn.Conv2d(256, 128, 1), nn.Conv2d(3, 64, 7)]


def assert_deviation(weight: torch.Tensor, expected: float, kurtosis: float) -> None:
    """Within five standard errors: one run in two million of a right start fails."""
    error = expected * math.sqrt((kurtosis - 1) / (4 * weight.numel()))
    assert abs(weight.std().item() - expected) < 5 * error
    assert abs(weight.mean().item()) < 5 * expected / math.sqrt(weight.numel())


@pytest.mark.parametrize("conv", CONVS, ids=str)
def test_kaiming_normal_has_variance_two_over_fan_out(conv):
    conv = kaiming_normal_(copy.deepcopy(conv))
    fan_out = conv.kernel_size[0] ** 2 * conv.out_channels
    assert_deviation(conv.weight, math.sqrt(2 / fan_out), kurtosis=3)


@pytest.mark.parametrize("conv", [*CONVS, nn.Linear(512, 100)], ids=str)
def test_kaiming_uniform_has_its_bound_and_the_deviation_of_a_uniform(conv):
    conv = kaiming_uniform_(copy.deepcopy(conv))
    bound = math.sqrt(1.5 / conv.weight[0].numel())
    assert conv.weight.abs().max() <= bound
    assert_deviation(conv.weight, bound / math.sqrt(3), kurtosis=1.8)


def test_kaiming_uniform_is_pytorchs_with_a_of_the_square_root_of_three():
    ours, theirs = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)
    torch.manual_seed(0)
    kaiming_uniform_(ours)
    torch.manual_seed(0)
    nn.init.kaiming_uniform_(theirs.weight, a=math.sqrt(3))
    assert torch.equal(ours.weight, theirs.weight)


def test_batch_norms_start_at_one_and_zero_or_at_the_variants_numbers(scramble):
    norm = kaiming_normal_(scramble(nn.BatchNorm2d(4)))
    assert norm.weight.tolist() == [1] * 4
    assert norm.bias.tolist() == [0] * 4
    norm = kaiming_uniform_(norm)
    torch.testing.assert_close(norm.weight, torch.full((4,), 0.975))
    assert norm.bias.tolist() == [0.125] * 4


def test_group_norms_start_at_one_and_zero_too():
    norm = nn.GroupNorm(2, 4)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    kaiming_normal_(norm)
    assert norm.weight.tolist() == [1] * 4
    assert norm.bias.tolist() == [0] * 4


def test_what_has_no_start_of_its_own_is_left_alone():
    linear = nn.Linear(4, 3)
    weight, bias = linear.weight.clone(), linear.bias.clone()
    kaiming_normal_(linear)
    assert torch.equal(linear.weight, weight)
    assert torch.equal(linear.bias, bias)
    kaiming_uniform_(linear)
    assert torch.equal(linear.bias, bias)


@pytest.mark.parametrize(
    "block", [BasicBlock(8, 8), Bottleneck(8, 2), BasicBlock(8, 8, shortcut="A"), BasicBlock(8, 16, 2, shortcut="A")]
)
@pytest.mark.parametrize("mode", [True, False])
def test_zero_init_makes_a_block_its_shortcut(block, mode):
    block = zero_init_residual_(block).train(mode)
    x = torch.rand(2, 8, 6, 6)  # the last ReLU lets only positive numbers through
    assert torch.equal(block(x), block.downsample(x))


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_zero_init_through_the_network(block):
    layers = [2, 1, 1, 1]
    model = ResNet(block, layers, 5, zero_init_residual=True, widths=(4, 8, 8, 8))
    last = [b.bn2 if block is BasicBlock else b.bn3 for n in range(1, 5) for b in model.get_submodule(f"layer{n}")]
    assert all(norm.weight.count_nonzero() == 0 for norm in last)
    others = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d) and all(m is not norm for norm in last)]
    assert all(torch.equal(norm.weight, torch.ones_like(norm.weight)) for norm in others)


@pytest.mark.parametrize("start", [kaiming_normal_, kaiming_uniform_, zero_init_residual_])
def test_in_place_and_returned(start):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert start(model) is model
