"""How blocks are stacked: only the first may change the shape (He et al. 2015, section 3.3)."""

from collections.abc import Callable
from typing import Any

from torch import nn

from resnet_edu.counting.recipes import check_count


def make_layer(
    block: Callable[..., nn.Module],
    in_channels: int,
    channels: int,
    blocks: int,
    stride: int = 1,
    **options: Any,
) -> nn.Sequential:
    """A layer (the paper's conv2_x … conv5_x): the first block takes the stride, the others keep the shape.

    ``(N, in_channels, H, W)`` → ``(N, channels·block.expansion, ⌈H/stride⌉, ⌈W/stride⌉)``.
    Further keywords go to every block, for instance ``shortcut="A"``.

    >>> import torch
    >>> from resnet_edu.blocks import BasicBlock
    >>> layer2 = make_layer(BasicBlock, 64, 128, blocks=4, stride=2)
    >>> tuple(layer2(torch.zeros(1, 64, 56, 56)).shape)           # halved once, by the first of the four
    (1, 128, 28, 28)

    Raises ValueError if the number of blocks is below 1.
    """
    blocks = check_count("blocks", blocks)
    out_channels = channels * getattr(block, "expansion", 1)
    first = block(in_channels, channels, stride, **options)
    others = [block(out_channels, channels, **options) for _ in range(blocks - 1)]
    return nn.Sequential(first, *others)
