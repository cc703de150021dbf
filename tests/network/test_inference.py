import copy

import pytest
import torch
from torch import nn
from torchvision import models

from resnet_edu.counting.recipes import Recipe
from resnet_edu.inference import fold_conv_bn, for_inference
from resnet_edu.zoo import build

TINY = {"layers": (2, 1, 1), "widths": (4, 6, 8), "num_classes": 5}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_one_convolution_does_the_work_of_both(scramble, bias, affine, groups):
    conv, bn = nn.Conv2d(4, 6, 3, 2, 1, bias=bias, groups=groups).double(), nn.BatchNorm2d(6, affine=affine).double()
    nn.init.normal_(bn.running_mean)
    nn.init.uniform_(bn.running_var, 0.5, 2)
    if affine:
        nn.init.normal_(bn.weight)
        nn.init.normal_(bn.bias)
    x = torch.randn(2, 4, 9, 9, dtype=torch.float64)
    before = copy.deepcopy(conv.state_dict())
    torch.testing.assert_close(fold_conv_bn(conv, bn.eval())(x), bn(conv(x)), rtol=1e-12, atol=1e-12)
    assert all(torch.equal(value, before[key]) for key, value in conv.state_dict().items())


@pytest.mark.parametrize("block", ["basic", "bottleneck", "plain"])
@pytest.mark.parametrize("option", ["A", "B", "C"])
def test_same_scores_for_every_block_and_option(scramble, block, option):
    # In double precision only rounding may differ, and it is far below what a mistake would make.
    model = scramble(build(Recipe(block, shortcut=option, **TINY))).double().eval()
    x = torch.randn(2, 3, 33, 40, dtype=torch.float64)
    fast = for_inference(model)
    torch.testing.assert_close(fast(x), model(x), rtol=1e-10, atol=1e-10)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_torchvisions_too(scramble, name):
    model = scramble(models.get_model(name)).double().eval()
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(for_inference(model)(x), model(x), rtol=1e-9, atol=1e-9)


def test_the_original_is_left_alone_and_the_copy_is_ready(scramble):
    model = scramble(build(Recipe(**TINY))).train()
    before = copy.deepcopy(model.state_dict())
    fast = for_inference(model)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(module.training for module in fast.modules())
    assert fast.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 32, 32).to(memory_format=torch.channels_last)
    with torch.no_grad():
        torch.testing.assert_close(fast(x), model.eval()(x), rtol=1e-4, atol=1e-4)


def test_a_batch_norm_without_a_convolution_before_it_stays():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)).eval()
    fast = for_inference(model)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in fast) == 2
    x = torch.rand(1, 3, 5, 5)
    torch.testing.assert_close(fast(x), model(x))


def test_nothing_to_fold():
    with pytest.raises(ValueError, match="keeps no running statistics"):
        fold_conv_bn(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False))


def test_a_batch_norm_of_another_convolution():
    with pytest.raises(ValueError, match="makes 4 channels, the batch norm takes 5"):
        fold_conv_bn(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(5))
