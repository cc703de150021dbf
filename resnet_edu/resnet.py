"""The whole house: a stem, layers of blocks and a head, in the order an image walks through them.

Follows torchvision's module names, so its weights fit; leaves it in being an ``nn.Sequential``:
the forward pass *is* the list of rooms.
"""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from resnet_edu.blocks import PlainBlock
from resnet_edu.counting.recipes import check_choice, check_count, check_layers
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
    below 1, and in the forward pass for an input that is not a batch of images it can take; TypeError
    for a keyword that neither the network nor its blocks have.
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
        layers, widths = check_layers(tuple(layers), tuple(widths))
        num_classes = check_count("num_classes", num_classes)
        if block is not PlainBlock and shortcut != "none":
            options["shortcut"] = shortcut
        _check_options(block, options)

        rooms: OrderedDict[str, nn.Module] = OrderedDict(STEMS[stem](in_channels, widths[0]).named_children())
        channels = widths[0]
        for number, (blocks, width) in enumerate(zip(layers, widths, strict=True), start=1):
            # The stem has already shrunk the image, so layer1 keeps its size.
            stride = 1 if number == 1 else 2
            rooms[f"layer{number}"] = make_layer(block, channels, width, blocks, stride, **options)
            channels = width * getattr(block, "expansion", 1)
        rooms.update(Head(channels, num_classes).named_children())
        super().__init__(rooms)

        kaiming_normal_(self)
        if zero_init_residual:
            zero_init_residual_(self)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W)
        for room in self:  # what nn.Sequential does, in the open
            x = room(x)
        return x  # (N, num_classes)

    def __getitem__(self, index: Any) -> Any:
        # nn.Sequential would build a slice as another ResNet, which takes no list of rooms.
        if isinstance(index, slice):
            return nn.Sequential(OrderedDict(list(self.named_children())[index]))
        return super().__getitem__(index)

    def __call__(self, *images: Any, **named: Any) -> Any:
        # The forward pass holds nothing but rooms, so whatever reads it (torch.fx, torch.export, a script) finds
        # nothing else. Only where PyTorch refuses an image is there something to explain.
        try:
            return super().__call__(*images, **named)
        except (RuntimeError, ValueError) as error:
            told = _what_is_wrong(self, *images, **named, said=str(error))
            if told is None:
                raise
            raise ValueError(told) from error


#: What torchvision's users look for, and where it is here.
_ELSEWHERE = {
    "pretrained": 'today it is weights="DEFAULT"',
    "groups": "its blocks have no groups; give ResNet a block of your own",
    "width_per_group": "widths gives the channels of each layer",
    "norm_layer": "build it, then put other norms in the place of its batch norms with model.set_submodule(…)",
    "replace_stride_with_dilation": "build it, then set stride and dilation of the convolutions",
}


def _check_options(block: Callable[..., nn.Module], options: dict[str, Any]) -> None:
    """Raise TypeError for a keyword that neither ResNet nor the block takes, with the one that was meant."""
    try:
        takes = inspect.signature(block).parameters
    except (TypeError, ValueError):  # a callable that does not tell
        return
    if any(option.kind is option.VAR_KEYWORD for option in takes.values()):
        return
    for name in options:
        if name not in takes:
            mine = [*inspect.signature(ResNet.__init__).parameters, *takes]
            near = get_close_matches(name, mine, n=1)
            hint = _ELSEWHERE.get(name) or (f"do you mean {near[0]}?" if near else "see its documentation")
            raise TypeError(f"a ResNet of {getattr(block, '__name__', block)} takes no {name}; {hint}")


def _what_is_wrong(model: ResNet, x: Any, *, said: str) -> str | None:
    """What a learner can change about the images, or None if PyTorch's own words are the better ones."""
    # The rooms as they are now: the first may have been replaced since the network was built.
    conv = model[0]
    if not isinstance(x, Tensor) or not isinstance(conv, nn.Conv2d):
        return None
    if x.dim() != 4:
        hint = "; one image becomes a batch with x.unsqueeze(0)" if x.dim() == 3 else ""
        return f"expected a batch of images (N, C, H, W), got {x.dim()} dimensions: {tuple(x.shape)}{hint}"
    images, channels, height, width = x.shape
    if channels != conv.in_channels:
        hint = " (height, width, channels? permute it)" if width == conv.in_channels else ""
        return (
            f"this network takes images with {conv.in_channels} channels, got {channels} in {tuple(x.shape[1:])}{hint}"
        )
    if "can't be greater than actual input size" in said:
        return (
            f"the image is too small: {height}×{width} pixels, with the padding, do not fill the window of one of the "
            "convolutions; enlarge the image, or give the convolution more padding"
        )
    if "more than 1 value per channel" in said and images == 1:
        return (
            f"one image of {height}×{width} leaves the last batch norm one value per channel, "
            "which has no variance; train on two images or more, or call model.eval() first"
        )
    return None
