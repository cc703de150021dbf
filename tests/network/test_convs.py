import pytest
import torch

from resnet_edu.convs import conv1x1, conv3x3
from resnet_edu.counting.arithmetic import conv_out


@pytest.mark.parametrize("size", [1, 2, 7, 8, 97])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("conv", "kernel"), [(conv3x3, 3), (conv1x1, 1)])
def test_size_is_the_ceiling_of_size_over_stride(conv, kernel, stride, size):
    out = conv(2, 5, stride)(torch.zeros(1, 2, size, size + 1))
    assert out.shape == (1, 5, -(-size // stride), -(-(size + 1) // stride))
    assert out.shape[2] == conv_out(size, kernel, stride, padding=kernel // 2)


def test_weights_and_no_bias():
    assert conv3x3(4, 6).weight.shape == (6, 4, 3, 3)
    assert conv1x1(4, 6).weight.shape == (6, 4, 1, 1)
    assert conv3x3(4, 6).bias is None
    assert conv1x1(4, 6).bias is None


def test_a_strided_1x1_reads_every_second_pixel_only():
    x = torch.rand(1, 3, 9, 9)
    changed = x.clone()
    changed[:, :, 1::2, :] = 7
    changed[:, :, :, 1::2] = 7
    conv = conv1x1(3, 4, stride=2)
    assert torch.equal(conv(x), conv(changed))


@pytest.mark.parametrize("conv", [conv3x3, conv1x1])
def test_without_a_stride_the_size_stays(conv):
    assert conv(2, 5)(torch.zeros(1, 2, 8, 6)).shape == (1, 5, 8, 6)
