"""Pad, crop, flip: the same picture, never quite the same (He et al. 2015, section 4.2)."""

import torch
from torch import Tensor
from torch.nn import functional as F

AUGMENTATIONS = ("none", "crop", "crop-flip")


def pad_crop_flip(images: Tensor, draws: Tensor, *, padding: int = 4, flip: bool = True) -> Tensor:
    """Move each image by up to ``padding`` pixels in both directions and mirror every second one.

    ``(N, C, H, W)`` → the same. ``draws`` are random numbers in [0, 1), ``(N, 3)``: down, across and
    flip. What moves in from outside is 0, the mean of normalized images.

    >>> row = torch.arange(1.0, 5.0).view(1, 1, 1, 4)                   # 1 2 3 4
    >>> middle = torch.tensor([[0.5, 0.5, 0.9]])                        # no move, no flip
    >>> pad_crop_flip(row, middle, padding=1).flatten().tolist()
    [1.0, 2.0, 3.0, 4.0]
    >>> left_and_mirrored = torch.tensor([[0.5, 0.0, 0.1]])             # window one pixel to the left: 0 1 2 3
    >>> pad_crop_flip(row, left_and_mirrored, padding=1).flatten().tolist()
    [3.0, 2.0, 1.0, 0.0]
    """
    count, _, height, width = images.shape
    padded = F.pad(images, (padding,) * 4)
    corner = (draws[:, :2] * (2 * padding + 1)).long()  # (N, 2), 0 to 2·padding
    rows = corner[:, :1] + torch.arange(height, device=images.device)  # (N, H)
    columns = corner[:, 1:] + torch.arange(width, device=images.device)  # (N, W)
    if flip:
        columns = torch.where(draws[:, 2:] < 0.5, columns.flip(1), columns)
    image = torch.arange(count, device=images.device)[:, None, None]
    return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)  # indexing puts C last
