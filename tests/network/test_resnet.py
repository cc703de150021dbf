import copy
import io
import re

import numpy as np
import pytest
import torch
from torch import nn

from resnet_edu.blocks import BasicBlock, Bottleneck, PlainBlock
from resnet_edu.resnet import ResNet
from resnet_edu.shortcuts import ProjectionShortcut, ZeroPadShortcut
from resnet_edu.stem import ImageNetStem


def tiny(block=BasicBlock, layers=(1, 2, 1, 1), num_classes=5, **options) -> ResNet:
    return ResNet(block, layers, num_classes, **{"widths": (4, 6, 8, 10), **options})


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck, PlainBlock])
@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize("size", [(7, 7), (32, 33), (64, 17)])
def test_any_image_size_gives_one_score_for_each_class(block, stem, size):
    model = tiny(block, stem=stem, in_channels=2)
    assert model(torch.rand(2, 2, *size)).shape == (2, 5)
    assert model.eval()(torch.rand(1, 2, *size)).shape == (1, 5)


def test_the_way_of_the_image():
    x = torch.rand(2, 3, 65, 64)
    shapes = {name: (x := room(x)).shape[1:] for name, room in tiny().named_children()}
    assert shapes == {
        "conv1": (4, 33, 32),
        "bn1": (4, 33, 32),
        "relu": (4, 33, 32),
        "maxpool": (4, 17, 16),
        "layer1": (4, 17, 16),
        "layer2": (6, 9, 8),
        "layer3": (8, 5, 4),
        "layer4": (10, 3, 2),
        "avgpool": (10, 1, 1),
        "flatten": (10,),
        "fc": (5,),
    }


def test_walking_through_the_rooms_is_the_forward_pass(scramble):
    model = scramble(tiny()).eval()
    x = image = torch.rand(2, 3, 40, 40)
    for _, room in model.named_children():
        x = room(x)
    assert torch.equal(x, model(image))


def test_slices_are_sequentials_with_the_names_and_the_very_rooms():
    model = tiny().eval()
    stem, body, head = model[:4], model[4:8], model[-3:]
    assert [name for name, _ in stem.named_children()] == [name for name, _ in ImageNetStem().named_children()]
    assert type(stem) is nn.Sequential
    assert stem.conv1 is model.conv1
    assert model[8] is model.avgpool
    assert model[-1] is model.fc
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(head(body(stem(x))), model(x))


def test_three_layers_or_five():
    assert tiny(layers=(1, 1, 1), widths=(2, 4, 8))(torch.rand(2, 3, 32, 32)).shape == (2, 5)
    model = tiny(layers=(1,) * 5, widths=(2, 4, 4, 4, 4))
    assert model[:9](torch.rand(2, 3, 65, 65)).shape == (2, 4, 2, 2)  # 65 → 33 → 17 → 17 → 9 → 5 → 3 → 2


def test_each_option_puts_its_shortcuts():
    def kinds(option):
        return [type(b.downsample) for n in (1, 2) for b in tiny(shortcut=option).get_submodule(f"layer{n}")]

    assert kinds("A") == [nn.Identity, ZeroPadShortcut, nn.Identity]
    assert kinds("B") == [nn.Identity, ProjectionShortcut, nn.Identity]
    assert kinds("C") == [ProjectionShortcut] * 3


def test_the_plain_control_has_the_parameters_of_option_a_and_no_shortcut(scramble):
    plain, residual = tiny(PlainBlock), tiny(BasicBlock, shortcut="A")
    plain.load_state_dict(residual.state_dict(), strict=True)
    x = torch.rand(2, 3, 32, 32)
    assert not torch.allclose(plain.eval()(x), residual.eval()(x))


def test_a_block_of_your_own_without_a_shortcut():
    def block(in_channels, channels, stride=1):
        return nn.Conv2d(in_channels, channels, 3, stride, 1)

    assert tiny(block, shortcut="none")(torch.rand(2, 3, 32, 32)).shape == (2, 5)


def test_the_paper_and_torchvision_place_the_stride_differently_at_the_same_parameters():
    paper, torchvision = tiny(Bottleneck, stride_in="1x1"), tiny(Bottleneck)
    paper.load_state_dict(torchvision.state_dict(), strict=True)
    assert (paper.layer2[0].conv1.stride, paper.layer2[0].conv2.stride) == ((2, 2), (1, 1))
    assert (torchvision.layer2[0].conv1.stride, torchvision.layer2[0].conv2.stride) == ((1, 1), (2, 2))


# What users do to a model after it is built.


def test_a_copy_is_equal_and_apart(scramble):
    model = scramble(tiny()).eval()
    other = copy.deepcopy(model)
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(other(x), model(x))
    nn.init.zeros_(other.fc.weight)
    assert model.fc.weight.count_nonzero() > 0
    with pytest.raises(ValueError, match="images with 3 channels"):
        other(torch.rand(2, 4, 32, 32))


def test_weights_survive_a_file(scramble):
    model, other = scramble(tiny()).eval(), tiny().eval()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True), strict=True)
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(other(x), model(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("option", ["A", "B"])
def test_other_precisions(dtype, option, scramble):
    model = scramble(tiny(shortcut=option)).eval()
    x = torch.rand(2, 3, 32, 32)
    exact = model(x)
    out = copy.deepcopy(model).to(dtype)(x.to(dtype))
    assert out.dtype == dtype
    # Some 20 roundings on the way, each at most half a unit in the last place, of numbers of this size.
    torch.testing.assert_close(
        out.float(), exact, rtol=0, atol=20 * torch.finfo(dtype).eps * exact.abs().max().item() + 1e-5
    )


def test_channels_last_and_autocast():
    model = tiny().eval().to(memory_format=torch.channels_last)
    x = torch.rand(2, 3, 32, 32).to(memory_format=torch.channels_last)
    assert model[:8](x).is_contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        assert model(x).dtype == torch.bfloat16


def test_a_new_classifier():
    model = tiny()
    model.fc = nn.Linear(model.fc.in_features, 7)
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 7)


def test_every_parameter_gets_a_gradient_and_a_step_lowers_the_loss():
    model = tiny(Bottleneck, shortcut="C")
    x, y = torch.rand(4, 3, 64, 64), torch.arange(4)
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    assert all(p.grad is not None and p.grad.count_nonzero() > 0 for p in model.parameters())
    torch.optim.SGD(model.parameters(), lr=1e-3).step()
    assert nn.functional.cross_entropy(model(x), y) < loss


# Errors that teach: what was wrong, what was expected, what to do.


def message_of(call) -> str:
    with pytest.raises(ValueError, match=r".") as error:
        call()
    return str(error.value)


def test_one_image_without_a_batch():
    message = message_of(lambda: tiny()(torch.rand(3, 32, 32)))
    assert "got 3 dimensions: (3, 32, 32)" in message
    assert "(N, C, H, W)" in message
    assert "x.unsqueeze(0)" in message


@pytest.mark.parametrize("shape", [(32, 32), (2, 3, 4, 32, 32), ()])
def test_other_ranks(shape):
    message = message_of(lambda: tiny()(torch.rand(shape)))
    assert f"got {len(shape)} dimensions: {shape}" in message
    assert "unsqueeze" not in message


def test_wrong_channels():
    message = message_of(lambda: tiny()(torch.rand(2, 1, 32, 32)))
    assert "takes images with 3 channels, got 1 in (1, 32, 32)" in message
    assert "permute" not in message


def test_channels_at_the_end():
    assert "permute" in message_of(lambda: tiny()(torch.rand(2, 32, 32, 3)))


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
def test_padding_makes_the_smallest_image_large_enough(stem):
    assert tiny(stem=stem).eval()(torch.rand(1, 3, 1, 1)).shape == (1, 5)  # (1 + 2·3 − 7)/2 + 1 = 1


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
def test_one_image_in_training_is_refused_exactly_where_pytorch_refuses_it(stem):
    model, side = tiny(stem=stem), {"imagenet": 32, "cifar": 8}[stem]
    message = message_of(lambda: model(torch.rand(1, 3, side, side)))
    assert f"one image of {side}×{side}" in message
    assert "train on two images or more, or call model.eval()" in message
    model(torch.rand(1, 3, side, side + 1))  # two pixels at the end: a variance exists
    model(torch.rand(2, 3, side, side))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        nn.Sequential(*model)(torch.rand(1, 3, side, side))  # what PyTorch says


def test_of_another_mistake_pytorchs_own_words_are_heard():
    for model in (tiny(), tiny().eval()):
        with pytest.raises(RuntimeError, match="type") as error:
            model(torch.rand(1, 3, 32, 32, dtype=torch.float64))
        assert not isinstance(error.value, ValueError)


@pytest.mark.parametrize("layers", [(), (2, 2, 2), (2, 2, 2, 2, 2)])
def test_layers_of_the_wrong_length(layers):
    message = message_of(lambda: ResNet(BasicBlock, layers))
    assert f"each of the 4 widths (64, 128, 256, 512), got {len(layers)}: {layers}" in message


@pytest.mark.parametrize("layers", [(2, 0, 2, 2), (2, -1, 2, 2), (2, 1.5, 2, 2)])
def test_a_layer_without_blocks(layers):
    message = message_of(lambda: ResNet(BasicBlock, layers))
    assert f"at least 1, got {layers[1]}" in message


@pytest.mark.parametrize("num_classes", [0, -1, 2.5, True, np.True_, np.float64(3), "10", None])
def test_no_classes(num_classes):
    assert message_of(lambda: tiny(num_classes=num_classes)) == (
        f"num_classes must be a whole number of at least 1, got {num_classes!r}"
    )


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int32, torch.tensor])
def test_numbers_of_numpy_and_torch_are_numbers(kind):
    model = tiny(layers=[kind(1), kind(2)], widths=[kind(4), kind(6)], num_classes=kind(3), in_channels=kind(2))
    assert model(torch.rand(2, 2, 32, 32)).shape == (2, 3)
    assert type(model.fc.out_features) is type(model.conv1.in_channels) is type(model.bn1.num_features) is int


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"num_class": 10}, "takes no num_class; do you mean num_classes?"),
        ({"stem_kind": "cifar"}, "takes no stem_kind"),
        ({"pretrained": True}, 'takes no pretrained; today it is weights="DEFAULT"'),
        ({"groups": 32}, "takes no groups; its blocks have no groups"),
        ({"norm_layer": nn.GroupNorm}, "takes no norm_layer; build it, then"),
        ({"stride_in": "1x1"}, "a ResNet of BasicBlock takes no stride_in"),
    ],
)
def test_a_keyword_that_nobody_has_is_answered_by_the_one_that_was_meant(options, told):
    with pytest.raises(TypeError, match=re.escape(told)):
        tiny(**options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"stem": "imagnet"}, "stem must be one of 'imagenet', 'cifar', got 'imagnet'"),
        ({"shortcut": "D"}, "shortcut must be one of 'A', 'B', 'C', got 'D'"),
        ({"in_channels": 0}, "in_channels must be a whole number of at least 1, got 0"),
        ({"block": Bottleneck, "stride_in": 3}, "stride_in must be one of '3x3', '1x1', got 3"),
    ],
)
def test_options_that_do_not_exist(options, expected):
    assert message_of(lambda: tiny(**options)) == expected
