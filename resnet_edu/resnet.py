"""The whole house: a stem, layers of blocks and a head, in the order an image walks through them.

Follows torchvision's module names, so its weights fit; leaves it in being an ``nn.Sequential``:
the forward pass *is* the list of rooms.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from resnet_edu.blocks import PlainBlock
from resnet_edu.counting.recipes import STEM_KERNEL, check_choice, check_count, check_image, check_layers
from resnet_edu.head import Head
from resnet_edu.initialization import kaiming_normal_, zero_init_residual_
from resnet_edu.layers import make_layer
from resnet_edu.stem import STEMS


class ResNet(nn.Sequential):
    """A residual network (He et al. 2015), built from a block and the number of blocks in each layer.

    ``(N, in_channels, H, W)`` → ``(N, num_classes)``.

    >>> import torch
    >>> from resnet_edu.blocks import BasicBlock
    >>> model = ResNet(BasicBlock, [2, 2, 2, 2])
    >>> sum(p.numel() for p in model.parameters())
    11689512
    >>> x = torch.zeros(1, 3, 224, 224)
    >>> tuple(model[:4](x).shape)                    # the stem: 224 → 112 → 56
    (1, 64, 56, 56)
    >>> tuple(model(x).shape)                        # 56 → 28 → 14 → 7 → 1,000 scores
    (1, 1000)

    ``stem`` is ``"imagenet"`` or ``"cifar"``; ``widths`` gives each layer's channels; ``shortcut`` is
    the paper's option A, B or C, or ``"none"`` for a block of your own that takes no such argument
    (a :class:`~resnet_edu.blocks.PlainBlock` has none whatever it says). Further keywords go to every
    block, such as ``stride_in="1x1"`` for a :class:`~resnet_edu.blocks.Bottleneck`.

    Raises ValueError if layers and widths differ in length, for an unknown stem or option, a count
    below 1, and in the forward pass for an input that is not a batch of images it can take.
    """

    def __init__(
        self,
        block: Callable[..., nn.Module],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        *,
        in_channels: int = 3,
        stem: str = "imagenet",
        widths: Sequence[int] = (64, 128, 256, 512),
        shortcut: str = "B",
        **options: Any,
    ) -> None:
        check_choice("stem", stem, STEMS)
        check_layers(tuple(layers), tuple(widths))
        check_count("num_classes", num_classes)
        if block is not PlainBlock and shortcut != "none":
            options["shortcut"] = shortcut

        rooms: OrderedDict[str, nn.Module] = OrderedDict(STEMS[stem](in_channels, widths[0]).named_children())
        channels = widths[0]
        for number, (blocks, width) in enumerate(zip(layers, widths, strict=True), start=1):
            # The stem has already shrunk the image, so layer1 keeps its size.
            stride = 1 if number == 1 else 2
            rooms[f"layer{number}"] = make_layer(block, channels, width, blocks, stride, **options)
            channels = width * getattr(block, "expansion", 1)
        rooms.update(Head(channels, num_classes).named_children())
        super().__init__(rooms)

        self.in_channels, self.stem_kernel = in_channels, STEM_KERNEL[stem]
        self.total_stride = (4 if stem == "imagenet" else 1) * 2 ** (len(layers) - 1)
        kaiming_normal_(self)
        if zero_init_residual:
            zero_init_residual_(self)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W)
        self._check(x)
        for room in self:  # what nn.Sequential does, in the open
            x = room(x)
        return x  # (N, num_classes)

    def __getitem__(self, index: Any) -> Any:
        # nn.Sequential would build a slice as another ResNet, which takes no list of rooms.
        if isinstance(index, slice):
            return nn.Sequential(OrderedDict(list(self.named_children())[index]))
        return super().__getitem__(index)

    def _check(self, x: Tensor) -> None:
        if x.dim() != 4:
            hint = "; one image becomes a batch with x.unsqueeze(0)" if x.dim() == 3 else ""
            raise ValueError(
                f"expected a batch of images (N, C, H, W), got {x.dim()} dimensions: {tuple(x.shape)}{hint}"
            )
        check_image(tuple(x.shape[1:]), self.in_channels, self.stem_kernel)
        if self.training and x.shape[0] == 1 and max(x.shape[2:]) <= self.total_stride:
            raise ValueError(
                f"one image of {x.shape[2]}×{x.shape[3]} leaves the last batch norm one value per channel, "
                "which has no variance; train on two images or more, or call model.eval() first"
            )
