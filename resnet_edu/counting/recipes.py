"""What makes a ResNet this ResNet: a handful of numbers (He et al. 2015, Table 1 and section 4.2).

No torch here. The arithmetic reads a recipe to count, the zoo reads it to build.
"""

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

#: Convolutions on the longest path through one block.
CONVS_IN_BLOCK = {"basic": 2, "bottleneck": 3, "plain": 2}
#: Channels that leave a block, as a multiple of its width.
EXPANSION = {"basic": 1, "bottleneck": 4, "plain": 1}
#: Kernel size of each stem's convolution.
STEM_KERNEL = {"imagenet": 7, "cifar": 3}


def check_choice(name: str, value: object, choices: Any) -> None:
    """Raise ValueError unless the value is one of the choices, and list them.

    >>> check_choice("stem", "imagnet", STEM_KERNEL)
    Traceback (most recent call last):
        ...
    ValueError: stem must be one of 'imagenet', 'cifar', got 'imagnet'
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def whole(value: object) -> int | None:
    """The value as a plain int if it is a whole number, numpy's and torch's included; otherwise None.

    ``True`` is none: that it equals 1 is an accident of Python.

    >>> whole(3), whole(3.0), whole(True)
    (3, None, None)
    """
    kind = getattr(value, "dtype", type(value))  # an array's or a tensor's truth values have theirs inside
    if "bool" in str(kind):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def check_count(name: str, value: object) -> int:
    """The value as a plain int; raise ValueError unless it is a whole number of at least 1.

    >>> check_count("num_classes", 10)
    10
    >>> check_count("num_classes", 0)
    Traceback (most recent call last):
        ...
    ValueError: num_classes must be a whole number of at least 1, got 0
    """
    count = whole(value)
    if count is None or count < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    return count


def check_layers(layers: tuple[int, ...], widths: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Both as plain ints; raise ValueError unless there is one count of blocks for each width, all at least 1.

    >>> check_layers((2, 2, 2), (64, 128, 256, 512))
    Traceback (most recent call last):
        ...
    ValueError: layers needs one count of blocks for each of the 4 widths (64, 128, 256, 512), got 3: (2, 2, 2)
    """
    if len(layers) != len(widths) or not layers:
        raise ValueError(
            f"layers needs one count of blocks for each of the {len(widths)} widths {tuple(widths)}, "
            f"got {len(layers)}: {tuple(layers)}"
        )
    name = "every entry of layers and widths"
    return tuple(check_count(name, count) for count in layers), tuple(check_count(name, width) for width in widths)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that fixes the shape of a residual network.

    >>> Recipe(block="bottleneck", layers=(3, 4, 6, 3)).depth      # 1 + 3·(3 + 4 + 6 + 3) + 1
    50

    Raises ValueError for a name that does not exist or a count below 1, and says what does.
    """

    block: str = "basic"
    """``basic`` (two 3×3), ``bottleneck`` (1×1, 3×3, 1×1) or ``plain`` (two 3×3, no shortcut)."""
    layers: tuple[int, ...] = (2, 2, 2, 2)
    """Blocks in each layer; the paper calls the four layers conv2_x to conv5_x."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels inside the blocks of each layer."""
    stem: str = "imagenet"
    """``imagenet`` (7×7/2 and a max-pool) or ``cifar`` (one 3×3)."""
    shortcut: str = "B"
    """Option ``A``, ``B`` or ``C`` of the paper's section 4.1; a plain block has ``none``."""
    stride_in: str = "3x3"
    """The bottleneck's convolution that strides: ``1x1`` in the paper, ``3x3`` in torchvision."""
    in_channels: int = 3
    num_classes: int = 1000

    def __post_init__(self) -> None:
        check_choice("block", self.block, CONVS_IN_BLOCK)
        check_choice("stem", self.stem, STEM_KERNEL)
        check_choice("stride_in", self.stride_in, ("3x3", "1x1"))
        if self.block == "plain":
            # A plain net is the same net without its shortcuts, so any option means none.
            object.__setattr__(self, "shortcut", "none")
        else:
            check_choice("shortcut", self.shortcut, ("A", "B", "C"))
        layers, widths = check_layers(tuple(self.layers), tuple(self.widths))
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "widths", widths)
        if self.shortcut == "A" and list(self.widths) != sorted(self.widths):
            raise ValueError(
                f"zero-padding can add channels but not remove them, so under option A no width may shrink, "
                f"got {self.widths}; use option B, a projection"
            )
        for name in ("in_channels", "num_classes"):
            object.__setattr__(self, name, check_count(name, getattr(self, name)))

    @property
    def depth(self) -> int:
        """Weighted layers on the longest path: the stem's convolution, the blocks', the classifier."""
        return 1 + CONVS_IN_BLOCK[self.block] * sum(self.layers) + 1


_IMAGENET = {
    18: Recipe("basic", (2, 2, 2, 2)),
    34: Recipe("basic", (3, 4, 6, 3)),
    50: Recipe("bottleneck", (3, 4, 6, 3)),
    101: Recipe("bottleneck", (3, 4, 23, 3)),
    152: Recipe("bottleneck", (3, 8, 36, 3)),
}


def recipe(name: str, **changes: Any) -> Recipe:
    """The recipe with this name, with changes.

    Names: ``resnet18`` (34, 50, 101, 152), ``plain18`` (34), ``cifar20`` and ``cifar_plain20``
    (any depth 6n + 2).

    >>> recipe("resnet34").layers
    (3, 4, 6, 3)
    >>> recipe("cifar20", num_classes=100).layers                  # 20 = 6·3 + 2
    (3, 3, 3)
    >>> recipe("resnet34", layers=(1, 1, 1, 1)).depth              # 1 + 2·4 + 1
    10

    Raises ValueError for a name or depth that does not exist, with the nearest ones that do.
    """
    if not isinstance(name, str):
        raise TypeError(f"a recipe goes by its name, such as 'resnet50', got {type(name).__name__}")
    match = re.fullmatch(r"(resnet|plain|cifar_plain|cifar)_?(\d+)", name)
    if match is None:
        raise ValueError(
            f"no network is called {name!r}: expected resnet18, resnet34, resnet50, resnet101, resnet152, "
            "plain18, plain34, or cifar20 and cifar_plain20 with any depth 6n + 2"
        )
    family, depth = match[1], int(match[2])
    if family in ("cifar", "cifar_plain"):
        base = cifar_recipe(depth)
    else:
        valid = [d for d, plan in _IMAGENET.items() if family == "resnet" or plan.block == "basic"]
        if depth not in valid:
            nearest = min(valid, key=lambda d: abs(d - depth))
            raise ValueError(f"{family} has depths {', '.join(map(str, valid))}, got {depth}; the nearest is {nearest}")
        base = _IMAGENET[depth]
    if family.endswith("plain"):
        changes.setdefault("block", "plain")
    if not changes:
        return base
    unknown = changes.keys() - Recipe.__dataclass_fields__.keys()
    if unknown:
        raise ValueError(
            f"a recipe has no {', '.join(sorted(unknown))}; it has {', '.join(Recipe.__dataclass_fields__)}"
        )
    return replace(base, **changes)


def cifar_recipe(depth: int) -> Recipe:
    """The paper's network for 32×32 images with 6n + 2 weighted layers (section 4.2).

    >>> cifar_recipe(110).layers                                   # (110 − 2) / 6 = 18
    (18, 18, 18)

    Raises ValueError if the depth is not 6n + 2, with the nearest that are.
    """
    n, rest = divmod(depth - 2, 6)
    if rest or n < 1:
        lower = 6 * n + 2
        nearest = "8" if n < 1 else f"{lower} (n = {n}) and {lower + 6} (n = {n + 1})"
        raise ValueError(
            "a CIFAR ResNet has 6n + 2 layers: the stem, three layers of n blocks with two convolutions each, "
            f"and the classifier. {depth} is not of that form; the nearest: {nearest}"
        )
    return Recipe("basic", (n, n, n), (16, 32, 64), stem="cifar", shortcut="A", num_classes=10)


def image_shape(image: Any, channels: int = 3) -> tuple[int, ...]:
    """An image's shape as people write it: all three numbers, or the side of a square.

    >>> image_shape(224), image_shape([1, 28, 28])
    ((3, 224, 224), (1, 28, 28))

    Raises TypeError for what is neither.
    """
    sides = [image] if not isinstance(image, tuple | list) else list(image)
    if not sides or any(isinstance(side, bool) or not hasattr(side, "__index__") for side in sides):
        raise TypeError(f"an image is (channels, height, width), or one number for a square, got {image!r}")
    numbers = tuple(side.__index__() for side in sides)
    return numbers if isinstance(image, tuple | list) else (channels, *numbers * 2)


def check_image(shape: tuple[int, ...], in_channels: int, stem_kernel: int) -> None:
    """Raise ValueError unless ``(C, H, W)`` is an image that a stem can take, and say what to change.

    >>> check_image((1, 28, 28), in_channels=3, stem_kernel=7)
    Traceback (most recent call last):
        ...
    ValueError: this network takes images with 3 channels, got 1 in (1, 28, 28)
    """
    if not isinstance(shape, Sequence):
        raise ValueError(f"an image is (channels, height, width), such as (3, 224, 224), got {shape!r}")
    if len(shape) != 3:
        raise ValueError(f"an image is (channels, height, width), got {len(shape)} numbers: {tuple(shape)}")
    channels, height, width = shape
    if channels != in_channels:
        hint = " (height, width, channels? permute it)" if width == in_channels else ""
        raise ValueError(
            f"this network takes images with {in_channels} channels, got {channels} in {tuple(shape)}{hint}"
        )
    if min(height, width) < stem_kernel:
        raise ValueError(
            f"the image is too small for the stem: its {stem_kernel}×{stem_kernel} window needs at least "
            f"{stem_kernel} pixels a side, got {height}×{width}; enlarge the image or choose another stem"
        )
