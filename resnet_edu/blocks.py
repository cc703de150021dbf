"""What happens inside one block: two or three convolutions, and the addition around them.

BasicBlock and Bottleneck are the two columns of He et al. 2015, Figure 5; PlainBlock is the same
without its shortcut, the paper's control.
"""

from torch import Tensor, nn

from resnet_edu.convs import conv1x1, conv3x3
from resnet_edu.counting.recipes import check_choice
from resnet_edu.shortcuts import check_addable, make_shortcut


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut around both (He et al. 2015, Figure 2 and Figure 5 left).

    ``(N, in_channels, H, W)`` → ``(N, channels, ⌈H/stride⌉, ⌈W/stride⌉)``.
    Weights with the identity shortcut: 9·in_channels·channels + 9·channels² + 4·channels.

    >>> import torch
    >>> x = torch.zeros(1, 64, 56, 56)
    >>> tuple(BasicBlock(64, 64)(x).shape)                   # (56 + 2·1 − 3)/1 + 1
    (1, 64, 56, 56)
    >>> tuple(BasicBlock(64, 128, stride=2)(x).shape)        # ⌊(56 + 2·1 − 3)/2⌋ + 1
    (1, 128, 28, 28)

    ``shortcut`` is the paper's option A, B or C, or a module of your own.
    Raises ValueError for an unknown option, or in the forward pass if the two ends of the addition differ.
    """

    expansion = 1  # channels that leave, as a multiple of the block's width

    def __init__(self, in_channels: int, channels: int, stride: int = 1, *, shortcut: str | nn.Module = "B") -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        # torchvision's name for the shortcut, because its weights depend on it. It downsamples only
        # where the stride is 2; elsewhere it is the identity.
        self.downsample = _resolve(shortcut, in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W)
        out = self.relu(self.bn1(self.conv1(x)))  # (N, channels, ⌈H/stride⌉, ⌈W/stride⌉)
        out = self.bn2(self.conv2(out))
        shortcut = self.downsample(x)
        check_addable(out, shortcut)
        out += shortcut
        return self.relu(out)  # after the addition: the residual may be negative


class Bottleneck(nn.Module):
    """1×1 to fewer channels, 3×3, 1×1 to four times as many (He et al. 2015, Figure 5 right).

    ``(N, in_channels, H, W)`` → ``(N, 4·channels, ⌈H/stride⌉, ⌈W/stride⌉)``.

    >>> import torch
    >>> tuple(Bottleneck(256, 128, stride=2)(torch.zeros(1, 256, 56, 56)).shape)     # 4·128 channels
    (1, 512, 28, 28)

    ``stride_in="1x1"`` strides in the first convolution, as the paper does: it reads one pixel of
    four and throws the others away unseen. ``"3x3"`` strides in the second, as torchvision does
    ("v1.5"); the parameters are the same, the multiply-adds more.

    Raises ValueError for an unknown option, or in the forward pass if the two ends of the addition differ.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        *,
        shortcut: str | nn.Module = "B",
        stride_in: str = "3x3",
    ) -> None:
        super().__init__()
        check_choice("stride_in", stride_in, ("3x3", "1x1"))
        first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
        out_channels = channels * self.expansion
        self.conv1 = conv1x1(in_channels, channels, first)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels, second)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = conv1x1(channels, out_channels)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _resolve(shortcut, in_channels, out_channels, stride)  # torchvision's name

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))  # (N, channels, ⌈H/stride⌉, ⌈W/stride⌉)
        out = self.bn3(self.conv3(out))  # (N, 4·channels, ⌈H/stride⌉, ⌈W/stride⌉)
        shortcut = self.downsample(x)
        check_addable(out, shortcut)
        out += shortcut
        return self.relu(out)


class PlainBlock(nn.Module):
    """The basic block without its shortcut: the control of the paper's comparison (section 3.3).

    ``(N, in_channels, H, W)`` → ``(N, channels, ⌈H/stride⌉, ⌈W/stride⌉)``.

    >>> import torch
    >>> tuple(PlainBlock(64, 128, stride=2)(torch.zeros(1, 64, 56, 56)).shape)
    (1, 128, 28, 28)
    """

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W)
        out = self.relu(self.bn1(self.conv1(x)))  # (N, channels, ⌈H/stride⌉, ⌈W/stride⌉)
        return self.relu(self.bn2(self.conv2(out)))


#: The blocks by the names that a recipe uses.
BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck, "plain": PlainBlock}


def _resolve(shortcut: str | nn.Module, in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if isinstance(shortcut, nn.Module):
        return shortcut
    return make_shortcut(shortcut, in_channels, out_channels, stride)
