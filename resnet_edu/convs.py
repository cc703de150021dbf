"""The two convolutions that every block is made of (He et al. 2015, section 3.3)."""

from torch import nn


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 3×3 convolution that keeps the size, or halves it with stride 2.

    ``(N, in_channels, H, W)`` → ``(N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉)``.

    >>> import torch
    >>> tuple(conv3x3(64, 128, stride=2)(torch.zeros(1, 64, 56, 56)).shape)     # ⌊(56 + 2·1 − 3)/2⌋ + 1
    (1, 128, 28, 28)

    No bias: the batch norm behind it subtracts the mean, and any constant with it.
    """
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 1×1 convolution: mixes channels at each pixel, and with stride 2 reads every second pixel only.

    ``(N, in_channels, H, W)`` → ``(N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉)``.

    >>> conv1x1(64, 256).weight.numel()                                         # 64·256
    16384
    """
    return nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False)
