import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models
from torchvision.models import resnet as torchvision

from resnet_edu import zoo
from resnet_edu.blocks import BLOCKS, BasicBlock, Bottleneck, PlainBlock
from resnet_edu.shortcuts import ZeroPadShortcut


def norm(x, bn):
    return F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, False, 0.0, bn.eps)


def basic_by_hand(block, x):
    out = F.relu(norm(F.conv2d(x, block.conv1.weight, stride=block.conv1.stride, padding=1), block.bn1))
    return norm(F.conv2d(out, block.conv2.weight, padding=1), block.bn2)


@pytest.mark.parametrize("size", [1, 7, 8])
def test_basic_block_is_the_papers_formula(scramble, size):
    block = scramble(BasicBlock(4, 4)).eval()
    x = torch.randn(2, 4, size, size + 2)
    assert torch.equal(block(x), F.relu(basic_by_hand(block, x) + x))


def test_basic_block_with_projection(scramble):
    block = scramble(BasicBlock(4, 6, stride=2)).eval()
    x = torch.randn(2, 4, 9, 8)
    projected = norm(F.conv2d(x, block.downsample[0].weight, stride=2), block.downsample[1])
    assert torch.equal(block(x), F.relu(basic_by_hand(block, x) + projected))


def test_basic_block_with_zero_padding(scramble):
    block = scramble(BasicBlock(4, 6, stride=2, shortcut="A")).eval()
    x = torch.randn(2, 4, 9, 8)
    assert torch.equal(block(x), F.relu(basic_by_hand(block, x) + ZeroPadShortcut(4, 6, 2)(x)))


def test_plain_block_adds_nothing(scramble):
    block = scramble(PlainBlock(4, 6, stride=2)).eval()
    x = torch.randn(2, 4, 9, 8)
    assert torch.equal(block(x), F.relu(basic_by_hand(block, x)))


@pytest.mark.parametrize("stride_in", ["3x3", "1x1"])
def test_bottleneck_is_the_papers_formula_with_the_stride_where_it_was_asked(scramble, stride_in):
    block = scramble(Bottleneck(8, 3, stride=2, stride_in=stride_in)).eval()
    first, second = {"3x3": (1, 2), "1x1": (2, 1)}[stride_in]
    x = torch.randn(2, 8, 9, 6)
    out = F.relu(norm(F.conv2d(x, block.conv1.weight, stride=first), block.bn1))
    out = F.relu(norm(F.conv2d(out, block.conv2.weight, stride=second, padding=1), block.bn2))
    out = norm(F.conv2d(out, block.conv3.weight), block.bn3)
    projected = norm(F.conv2d(x, block.downsample[0].weight, stride=2), block.downsample[1])
    assert block(x).shape == (2, 12, 5, 3)
    assert torch.equal(block(x), F.relu(out + projected))


@pytest.mark.parametrize(
    ("ours", "theirs"), [(BasicBlock, torchvision.BasicBlock), (Bottleneck, torchvision.Bottleneck)]
)
@pytest.mark.parametrize("stride", [1, 2])
def test_torchvisions_block_has_the_same_weights_output_and_gradients(scramble, ours, theirs, stride):
    channels = 4
    in_channels = channels * ours.expansion if stride == 1 else 6
    mine = scramble(ours(in_channels, channels, stride))
    projection = None
    if stride == 2:
        out_channels = channels * ours.expansion
        projection = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, 2, bias=False), nn.BatchNorm2d(out_channels))
    other = theirs(in_channels, channels, stride, projection)
    other.load_state_dict(mine.state_dict(), strict=True)
    x = torch.randn(2, in_channels, 9, 9)
    for mode in (True, False):
        left, right = x.clone().requires_grad_(), x.clone().requires_grad_()
        a, b = mine.train(mode)(left), other.train(mode)(right)
        a.square().sum().backward()
        b.square().sum().backward()
        assert torch.equal(a, b)
        assert torch.equal(left.grad, right.grad)


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
@pytest.mark.parametrize("mode", [True, False])
def test_the_input_survives_the_in_place_relu(block, mode):
    """The shortcut needs x after the convolutions have run."""
    block = block(8, 8 // block.expansion).train(mode)
    x = torch.randn(2, 8, 5, 5)
    before = x.clone()
    block(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_the_last_relu_waits_for_the_addition(block):
    """A residual of −x must cancel the shortcut: with the ReLU before the addition it could not."""
    block = block(8, 8 // block.expansion).eval()
    last = block.bn2 if isinstance(block, BasicBlock) else block.bn3
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, -1.0)
    assert torch.equal(block(torch.ones(1, 8, 3, 3)), torch.zeros(1, 8, 3, 3))


def test_a_shortcut_of_your_own():
    block = BasicBlock(4, 4, shortcut=nn.Conv2d(4, 4, 1)).eval()
    assert isinstance(block.downsample, nn.Conv2d)
    assert block(torch.rand(1, 4, 5, 5)).shape == (1, 4, 5, 5)


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_a_shortcut_that_does_not_fit_is_named(block):
    block = block(4, 8, stride=2, shortcut=nn.Identity())
    with pytest.raises(ValueError, match=r"the shortcut gives \(1, 4, 8, 8\)") as error:
        block(torch.rand(1, 4, 8, 8))
    assert f"the convolutions give (1, {8 * block.expansion}, 4, 4)" in str(error.value)


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_an_unknown_option_is_named(block):
    with pytest.raises(ValueError, match=r"shortcut must be one of 'A', 'B', 'C', got 'identity'"):
        block(8, 8, shortcut="identity")


def test_an_unknown_place_for_the_stride_is_named():
    with pytest.raises(ValueError, match=r"stride_in must be one of '3x3', '1x1', got '5x5'"):
        Bottleneck(8, 8, stride_in="5x5")


def test_expansions_agree_with_the_recipes():
    from resnet_edu.counting.recipes import CONVS_IN_BLOCK, EXPANSION

    assert {name: block.expansion for name, block in BLOCKS.items()} == EXPANSION
    for name, block in BLOCKS.items():
        convs = [m for n, m in block(8, 8).named_modules() if isinstance(m, nn.Conv2d) and "downsample" not in n]
        assert len(convs) == CONVS_IN_BLOCK[name]


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_every_relu_saves_a_copy_as_torchvisions_does(name):
    """In place: without it the network computes the same, and keeps each map twice."""
    ours, theirs = (
        [room.inplace for room in model.modules() if isinstance(room, nn.ReLU)]
        for model in (getattr(zoo, name)(), getattr(models, name)())
    )
    assert ours == theirs


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "plain18"])
def test_each_relu_works_in_the_memory_of_what_it_is_given(name):
    """As in torchvision: a second copy of every map would cost a third of the memory of a training step."""
    relus = [module for module in zoo.build(name).modules() if isinstance(module, nn.ReLU)]
    assert relus
    assert all(relu.inplace for relu in relus)
