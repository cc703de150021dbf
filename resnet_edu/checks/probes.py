"""What references speak of beside torch: small blocks for layers and networks, and batch norms of one mode."""

import math
from typing import Self

import torch
from torch import Tensor, nn

__all__ = ["AlwaysEval", "AlwaysTraining", "Probe", "SmallProbe", "SmallWideProbe", "WideProbe"]


class Probe(nn.Module):
    """One convolution and a ReLU, called ``block(in_channels, channels, stride)``."""

    expansion = 1
    kernel = 3
    groups = 1  # at most

    def __init__(
        self, in_channels: int, channels: int | None = None, stride: int = 1, *, out_channels: int | None = None
    ) -> None:
        super().__init__()
        width = channels if channels is not None else out_channels
        if width is None:
            raise TypeError("a block takes in_channels, channels and stride")
        out, kernel = width * self.expansion, self.kernel
        groups = math.gcd(in_channels, out, self.groups)
        self.conv = nn.Conv2d(in_channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(x))
        # With a kernel of 1 alone it would not matter which layer skips the pixels.
        return x + x.roll(1, 2) if self.kernel == 1 else x


class WideProbe(Probe):
    """The same with four times the channels at its end, like a bottleneck."""

    expansion = 4


class SmallProbe(Probe):
    """The same with a kernel of 1 and few weights, for whole networks."""

    kernel = 1
    groups = 16


class SmallWideProbe(SmallProbe):
    """The same with three times the channels at its end: then no width of the network is another layer's."""

    expansion = 3


class AlwaysTraining(nn.BatchNorm2d):
    """A batch norm that stays in training mode when its network goes into eval mode."""

    def train(self, mode: bool = True) -> Self:
        """Into training mode."""
        return super().train(True)


class AlwaysEval(nn.BatchNorm2d):
    """A batch norm that is in eval mode from the first ``train`` or ``eval`` on."""

    def train(self, mode: bool = True) -> Self:
        """Into eval mode."""
        return super().train(False)
