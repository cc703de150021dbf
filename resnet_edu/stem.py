"""The way in: from pixels to the first map of features (He et al. 2015, Table 1 and section 4.2)."""

from collections import OrderedDict

from torch import nn

from resnet_edu.convs import conv3x3
from resnet_edu.counting.recipes import check_count


class ImageNetStem(nn.Sequential):
    """A 7×7 convolution, batch norm, ReLU and max-pool: each side shrinks fourfold.

    ``(N, in_channels, H, W)`` → ``(N, channels, ⌈H/4⌉, ⌈W/4⌉)``.

    >>> import torch
    >>> image = torch.zeros(1, 3, 224, 224)
    >>> tuple(ImageNetStem()(image).shape)             # ⌊(224 + 2·3 − 7)/2⌋ + 1 = 112, then 56
    (1, 64, 56, 56)

    A cell of the result sees 11 pixels a side: the 7 of the convolution, and 2 steps of 2 in the pooling.
    The paper gives no padding; 3 is the one that makes 224 into the 112 of its Table 1.
    Raises ValueError if a channel count is below 1.
    """

    def __init__(self, in_channels: int = 3, channels: int = 64) -> None:
        in_channels = check_count("in_channels", in_channels)
        channels = check_count("channels", channels)
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, channels, kernel_size=7, stride=2, padding=3, bias=False),
                bn1=nn.BatchNorm2d(channels),
                relu=nn.ReLU(inplace=True),
                maxpool=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            )
        )


class CifarStem(nn.Sequential):
    """One 3×3 convolution, batch norm and ReLU: a 32×32 image keeps every pixel (section 4.2).

    ``(N, in_channels, H, W)`` → ``(N, channels, H, W)``.

    >>> import torch
    >>> tuple(CifarStem()(torch.zeros(1, 3, 32, 32)).shape)        # (32 + 2·1 − 3)/1 + 1
    (1, 16, 32, 32)

    Raises ValueError if a channel count is below 1.
    """

    def __init__(self, in_channels: int = 3, channels: int = 16) -> None:
        in_channels = check_count("in_channels", in_channels)
        channels = check_count("channels", channels)
        super().__init__(
            OrderedDict(
                conv1=conv3x3(in_channels, channels),
                bn1=nn.BatchNorm2d(channels),
                relu=nn.ReLU(inplace=True),
            )
        )


#: The stems by the names that a recipe uses.
STEMS = {"imagenet": ImageNetStem, "cifar": CifarStem}
