"""What references speak of beside torch: small blocks for layers and networks, and batch norms of one mode."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
    """A batch norm that uses the batch's mean and variance in eval mode too."""

    mode = True

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same shape."""
        weights = (self.running_mean, self.running_var, self.weight, self.bias)
        return F.batch_norm(x, *weights, self.mode, self.momentum or 0.1, self.eps)


class AlwaysEval(AlwaysTraining):
    """A batch norm that uses its stored mean and variance in training mode too."""

    mode = False
