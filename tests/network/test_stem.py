import pytest
import torch
from torch.nn import functional as F

from resnet_edu.counting.arithmetic import conv_out
from resnet_edu.stem import STEMS, CifarStem, ImageNetStem


@pytest.mark.parametrize("size", [7, 8, 32, 33, 97, 224, 225])
def test_imagenet_stem_shrinks_fourfold(size):
    stem = ImageNetStem(1, 2).eval()
    after_conv = conv_out(size, kernel=7, stride=2, padding=3)
    assert stem[0](torch.zeros(1, 1, size, size)).shape[2:] == (after_conv, after_conv)
    assert stem(torch.zeros(1, 1, size, size)).shape == (1, 2, -(-size // 4), -(-size // 4))


def test_imagenet_stem_is_the_papers_formula(scramble):
    stem = scramble(ImageNetStem(3, 4)).eval()
    x = torch.randn(2, 3, 33, 40)
    out = F.relu(stem.bn1(F.conv2d(x, stem.conv1.weight, stride=2, padding=3)))
    assert torch.equal(stem(x), F.max_pool2d(out, 3, stride=2, padding=1))


@pytest.mark.parametrize("size", [3, 32, 33])
def test_cifar_stem_keeps_every_pixel(size):
    assert CifarStem(1, 2)(torch.zeros(2, 1, size, size + 2)).shape == (2, 2, size, size + 2)


def test_names_and_parameters():
    assert [name for name, _ in ImageNetStem().named_children()] == ["conv1", "bn1", "relu", "maxpool"]
    assert sum(p.numel() for p in ImageNetStem().parameters()) == 7 * 7 * 3 * 64 + 2 * 64
    assert sum(p.numel() for p in CifarStem().parameters()) == 3 * 3 * 3 * 16 + 2 * 16


@pytest.mark.parametrize("stem", STEMS.values())
def test_a_stem_gives_nothing_negative(stem):
    assert stem()(torch.randn(2, 3, 32, 32)).min() >= 0


@pytest.mark.parametrize("stem", STEMS.values())
@pytest.mark.parametrize(("counts", "wrong"), [((0, 64), "in_channels"), ((3, 0), "channels"), ((3, 1.5), "channels")])
def test_a_count_that_is_none_is_named(stem, counts, wrong):
    with pytest.raises(
        ValueError, match=rf"^{wrong} must be a whole number of at least 1, got {counts[wrong == 'channels']}$"
    ):
        stem(*counts)
