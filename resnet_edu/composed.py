"""The same network on one page: identity blocks and skip blocks between a head and a tail.

Read it from top to bottom; each piece uses only the ones above it, and nothing but torch. It builds
the networks of He et al. 2015 with basic blocks and option B: ResNet-18 is ``ResNet(3, 1000,
[2, 2, 2, 2])``, ResNet-34 ``ResNet(3, 1000, [3, 4, 6, 3])``. ``ni`` and ``no`` are the channels in
and out.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn


def conv(ni: int, no: int, size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size at stride 1 and halves it at stride 2.

    >>> conv(64, 64, 3).padding                              # 3 // 2
    (1, 1)
    """
    return nn.Conv2d(ni, no, size, stride, padding=size // 2, bias=False)


def two_convs(ni: int, no: int, stride: int = 1) -> nn.Sequential:
    """The residual F(x) of both blocks: conv, BN, ReLU, conv, BN. ``(N, ni, H, W)`` → ``(N, no, H/stride, W/stride)``.

    >>> len(two_convs(64, 64))
    5
    """
    return nn.Sequential(conv(ni, no, 3, stride), nn.BatchNorm2d(no), nn.ReLU(), conv(no, no, 3), nn.BatchNorm2d(no))


class IdentityBlock(nn.Module):
    """Two convolutions, and the input added unchanged. ``(N, n, H, W)`` → the same.

    >>> import torch
    >>> tuple(IdentityBlock(64)(torch.rand(2, 64, 56, 56)).shape)
    (2, 64, 56, 56)
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.residual = two_convs(n, n)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + x)


class SkipBlock(nn.Module):
    """Three convolutions, the third in the shortcut; both ends stride 2. ``(N, ni, H, W)`` → ``(N, no, H/2, W/2)``.

    >>> import torch
    >>> tuple(SkipBlock(64, 128)(torch.rand(2, 64, 56, 56)).shape)
    (2, 128, 28, 28)
    """

    def __init__(self, ni: int, no: int) -> None:
        super().__init__()
        self.residual = two_convs(ni, no, stride=2)
        self.shortcut = nn.Sequential(conv(ni, no, 1, stride=2), nn.BatchNorm2d(no))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + self.shortcut(x))


def identity_blocks(n: int, repeat: int) -> nn.Sequential:
    """N identity blocks, one after the other.

    >>> len(identity_blocks(64, 3))
    3
    """
    return nn.Sequential(*[IdentityBlock(n) for _ in range(repeat)])


def skip_and_identity_blocks(ni: int, no: int, repeat: int) -> nn.Sequential:
    """One skip block, then identity blocks: ``repeat`` blocks in all.

    >>> [type(block).__name__ for block in skip_and_identity_blocks(64, 128, 3)]
    ['SkipBlock', 'IdentityBlock', 'IdentityBlock']
    """
    return nn.Sequential(SkipBlock(ni, no), *identity_blocks(no, repeat - 1))


def head(ni: int, no: int) -> nn.Sequential:
    """The way in. ``(N, ni, H, W)`` → ``(N, no, H/4, W/4)``.

    >>> import torch
    >>> tuple(head(3, 64)(torch.rand(1, 3, 224, 224)).shape)
    (1, 64, 56, 56)
    """
    return nn.Sequential(conv(ni, no, 7, stride=2), nn.BatchNorm2d(no), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1))


def tail(ni: int, no: int) -> nn.Sequential:
    """The way out. ``(N, ni, H, W)`` → ``(N, no)`` scores.

    >>> import torch
    >>> tuple(tail(512, 1000)(torch.rand(1, 512, 7, 7)).shape)
    (1, 1000)
    """
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(ni, no))


class ResNet(nn.Sequential):
    """Head, four groups of blocks, tail. ``(N, ni, H, W)`` → ``(N, no)``.

    >>> import torch
    >>> model = ResNet(3, 1000, [2, 2, 2, 2])
    >>> tuple(model(torch.rand(85, 3, 32, 32)).shape)
    (85, 1000)
    >>> sum(p.numel() for p in model.parameters())
    11689512

    Raises ValueError unless ``repeat`` holds four whole numbers of at least 1, and ni and no are at least 1.
    """

    def __init__(self, ni: int, no: int, repeat: Sequence[int]) -> None:
        if len(repeat) != 4 or min(*repeat, ni, no) < 1 or any(isinstance(n, bool) for n in (*repeat, ni, no)):
            raise ValueError(
                f"expected ni and no of at least 1 and four counts of blocks, such as [2, 2, 2, 2], "
                f"got {ni}, {no} and {list(repeat)}"
            )
        super().__init__(
            OrderedDict(
                head=head(ni, 64),
                layer1=identity_blocks(64, repeat[0]),
                layer2=skip_and_identity_blocks(64, 128, repeat[1]),
                layer3=skip_and_identity_blocks(128, 256, repeat[2]),
                layer4=skip_and_identity_blocks(256, 512, repeat[3]),
                tail=tail(512, no),
            )
        )


# What a piece is called here, and in the main ResNet and torchvision.
_NAMES = {
    "head.0.": "conv1.",
    "head.1.": "bn1.",
    "residual.0.": "conv1.",
    "residual.1.": "bn1.",
    "residual.3.": "conv2.",
    "residual.4.": "bn2.",
    "shortcut.": "downsample.",
    "tail.2.": "fc.",
}


def to_torchvision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a composed ResNet to those of the main ResNet, which are torchvision's.

    >>> list(to_torchvision(ResNet(3, 10, [1, 1, 1, 1]).state_dict()))[-2:]
    ['fc.weight', 'fc.bias']
    """
    return {_renamed(key, _NAMES): value for key, value in state.items()}


def from_torchvision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename torchvision's weights of a basic-block ResNet to those of a composed one.

    >>> ours = ResNet(3, 10, [1, 1, 1, 1]).state_dict()
    >>> list(from_torchvision(to_torchvision(ours))) == list(ours)
    True
    """
    in_blocks = {theirs: ours for ours, theirs in _NAMES.items() if ours.startswith(("residual", "shortcut"))}
    outside = {theirs: ours for ours, theirs in _NAMES.items() if ours.startswith(("head", "tail"))}
    return {_renamed(key, in_blocks if key.startswith("layer") else outside): value for key, value in state.items()}


def _renamed(key: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        if old in key:
            return key.replace(old, new)
    return key
