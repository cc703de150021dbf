import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, weight_norm
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


# Blocks of a learner: what is registered side by side did not always run side by side


class Block(nn.Module):
    """A convolution and a batch norm, registered in this order, run as ``way`` says."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.conv, self.bn, self.other = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.way(self, x)


def in_place(b, x):
    y = b.conv(x)
    y.relu_()
    return b.bn(y)


# How it runs, and how many of the batch norms that run can be folded.
WAYS = {
    "conv, norm": (lambda b, x: torch.relu(b.bn(b.conv(x))), 1),
    "norm, conv": (lambda b, x: x + b.conv(torch.relu(b.bn(x))), 0),
    "conv, relu, norm": (lambda b, x: b.bn(torch.relu(b.conv(x))), 0),
    "relu in place between": (in_place, 0),
    "the convolution is read twice": (lambda b, x: (lambda y: b.bn(y) + y)(b.conv(x)), 0),
    "the convolution runs twice": (lambda b, x: b.bn(b.conv(b.conv(x))), 0),
    "the norm runs twice": (lambda b, x: b.bn(b.bn(b.conv(x))), 0),
    "two norms, each its own run": (lambda b, x: b.bn(b.conv(x)) + b.other(b.conv(x)), 0),
    "the weight is read by a function": (
        lambda b, x: b.bn(b.conv(x)) + nn.functional.conv2d(x, b.conv.weight, padding=1),
        0,
    ),
    "the statistics are read by a function": (lambda b, x: b.bn(b.conv(x)) - b.bn.running_mean.view(-1, 1, 1), 0),
    "the weight is read by itself": (lambda b, x: b.bn(b.conv(x)) * b.conv.weight.abs().sum(), 0),
    "a statistic is read by an operator": (lambda b, x: b.bn(b.conv(x)) - x * b.bn.running_var[0], 0),
    "the other norm": (lambda b, x: b.other(b.conv(x)), 1),
    "norm behind norm": (lambda b, x: b.other(b.bn(b.conv(x))), 1),
    "an output": (lambda b, x: torch.cat([y := b.conv(x), b.bn(y)], 1), 0),
    "branch on the mode": (lambda b, x: b.conv(x) if b.training else b.bn(b.conv(x)), 1),
}


@pytest.mark.parametrize("way", WAYS)
def test_only_what_runs_one_behind_the_other_is_folded(scramble, way):
    run, count = WAYS[way]
    model = scramble(Block(run)).double().eval()
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    fast = for_inference(model)
    torch.testing.assert_close(fast(x), model(x), rtol=1e-10, atol=1e-10)
    left = sum(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    assert left == 2 - count


def with_hook(block):
    block.conv.register_forward_hook(lambda *_: None)


def with_pre_hook(block):
    block.bn.register_forward_pre_hook(lambda *_: None)


def with_words_of_torch_that_go_on(block):
    def refused(memo):
        raise RuntimeError("this tensor is computed\nException raised from copy at Tensor.cpp:12")

    block.conv.weight.__deepcopy__ = refused


def with_a_parametrization(block):
    parametrizations.weight_norm(block.conv)


@pytest.mark.filterwarnings("ignore")
def with_old_weight_norm(block):
    weight_norm(block.conv)


def with_another_forward(block):
    block.bn.forward = lambda x: x


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (with_hook, "conv has a hook or a forward of its own"),
        (with_pre_hook, "bn has a hook or a forward of its own"),
        (with_a_parametrization, r"parametrized.*remove_parametrizations\(module, name\)"),
        (with_old_weight_norm, "conv has a hook|must be made plain first"),
        (with_words_of_torch_that_go_on, r"cannot copy this Block \(this tensor is computed\);"),
        (with_another_forward, "bn has a hook or a forward of its own"),
    ],
)
def test_what_folding_would_undo_is_named(change, told):
    block = Block(lambda b, x: b.bn(b.conv(x)))
    change(block)
    with pytest.raises(ValueError, match=told):
        for_inference(block)


def test_a_way_that_depends_on_the_image_is_refused():
    block = Block(lambda b, x: b.bn(b.conv(x)) if x.mean() > 0 else b.conv(x))
    with pytest.raises(ValueError, match=r"cannot follow an image through this Block.*branches on numbers"):
        for_inference(block)


@pytest.mark.parametrize(("words", "told"), [(("not so\nnor so",), "not so"), ((), "no words")])
def test_what_the_forward_says_itself_is_said_in_one_line(words, told):
    def refuses(b, x):
        raise ValueError(*words)

    with pytest.raises(ValueError, match=rf"\(ValueError: {told}\)\. torch\.fx must be able"):
        for_inference(Block(refuses))


def test_batch_norms_outside_of_the_modules_are_refused():
    hidden = nn.BatchNorm2d(4)
    block = Block(lambda b, x: hidden(b.conv(x)))
    with pytest.raises(ValueError, match="cannot follow an image"):
        for_inference(block)


def test_a_convolution_that_is_also_kept_in_a_list_is_refused():
    """Its folded copy would take its place under its name, and the list would go on with the old one."""

    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
            self.plain = [self.conv]

        def forward(self, x):
            return self.bn(self.plain[0](x))

    with pytest.raises(ValueError, match=r"cannot follow an image|outside of its modules"):
        for_inference(Listed())


def test_a_room_with_two_names_is_replaced_under_both(scramble):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
            self.same = nn.ModuleList([self.conv, self.bn])

        def forward(self, x):
            return self.same[1](self.same[0](x))

    model = scramble(Twice()).eval()
    x = torch.randn(2, 4, 5, 5)
    fast = for_inference(model)
    torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())


class Mine(nn.BatchNorm2d):
    def forward(self, x):
        return 2 * super().forward(x)


class Standardized(nn.Conv2d):
    def forward(self, x):
        return nn.functional.conv2d(x, self.weight - self.weight.mean(), self.bias)


@pytest.mark.parametrize("rooms", [(nn.Conv2d(4, 4, 1), Mine(4)), (Standardized(4, 4, 1), nn.BatchNorm2d(4))])
def test_a_class_of_its_own_is_left_as_it_is(scramble, rooms):
    model = scramble(nn.Sequential(*rooms)).eval()
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(for_inference(model)(x), model(x))


def test_a_norm_that_takes_its_statistics_from_the_batch_stays():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)).eval()
    x = torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(for_inference(model)(x), model(x))


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile])
def test_a_wrapper_is_taken_off(scramble, wrap):
    model = scramble(build(Recipe(**TINY))).eval()
    fast = for_inference(wrap(model))
    assert type(fast) is type(model)
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_what_was_frozen_stays_frozen(bias, affine):
    for weight, shift in ((True, False), (False, True), (False, False), (True, True)):
        conv, bn = nn.Conv2d(3, 4, 1, bias=bias), nn.BatchNorm2d(4, affine=affine)
        conv.weight.requires_grad_(weight)
        for owner in (bn, conv):
            if owner.bias is not None:
                owner.bias.requires_grad_(shift)
        folded = fold_conv_bn(conv, bn)
        assert folded.weight.requires_grad == weight
        assert folded.bias.requires_grad == (shift if bias or affine else weight)


def test_a_half_convolution_under_a_float_norm_stays_half():
    conv, bn = nn.Conv2d(3, 4, 1).to(torch.bfloat16), nn.BatchNorm2d(4)
    folded = fold_conv_bn(conv, bn)
    assert folded.weight.dtype == folded.bias.dtype == torch.bfloat16
    assert folded(torch.rand(1, 3, 2, 2, dtype=torch.bfloat16)).dtype == torch.bfloat16
