"""The references of the block-like contracts, written as programs."""

from typing import Any

from resnet_edu.checks.program import Op, Program


def conv(
    name: str,
    source: str,
    ins: int,
    outs: int,
    kernel: int,
    stride: int = 1,
    words: str = "",
    shortcut: bool = False,
) -> Op:
    """A convolution without bias that keeps the size at stride 1."""
    options = {"ins": ins, "outs": outs, "kernel": kernel, "stride": stride, "padding": kernel // 2, "bias": False}
    return Op(name, "conv", (source,), words, options, shortcut)


def bn(name: str, source: str, channels: int, words: str = "", shortcut: bool = False) -> Op:
    """A batch norm."""
    return Op(name, "bn", (source,), words, {"channels": channels}, shortcut)


def act(name: str, source: str, words: str = "", fn: str = "relu") -> Op:
    """An activation."""
    return Op(name, "act", (source,), words, {"fn": fn})


def add(name: str, residual: str, shortcut: str, words: str = "the addition") -> Op:
    """The plus sign."""
    return Op(name, "add", (residual, shortcut), words, {"fn": "plus"})


def projection(b: str, source: str, ins: int, outs: int, stride: int) -> list[Op]:
    """A 1×1 convolution and a batch norm."""
    return [
        conv(f"{b}proj", source, ins, outs, 1, stride, "the projection's convolution", shortcut=True),
        bn(f"{b}projbn", f"{b}proj", outs, "the projection's batch norm", shortcut=True),
    ]


def zero_pad(b: str, source: str, ins: int, outs: int, stride: int, sides: str = "both") -> list[Op]:
    """Option A: skip pixels, fill with zero channels on both sides, at the front or at the back."""
    extra = outs - ins
    front = {"both": extra // 2, "both-up": extra - extra // 2, "front": extra, "back": 0}[sides]
    return [
        Op(f"{b}skip", "subsample", (source,), "the skipping of pixels", {"stride": stride}, shortcut=True),
        Op(
            f"{b}zeros",
            "padchannels",
            (f"{b}skip",),
            "the channels of zeros",
            {"front": front, "back": extra - front, "ins": ins, "sides": sides},
            shortcut=True,
        ),
    ]


def shortcut_ops(b: str, source: str, ins: int, outs: int, stride: int, option: str) -> tuple[list[Op], str]:
    """The way around, and the name of what it ends in."""
    if option == "projection" or (option == "B" and (stride != 1 or ins != outs)):
        return projection(b, source, ins, outs, stride), f"{b}projbn"
    if option.startswith("A") and (stride != 1 or ins != outs):
        return zero_pad(b, source, ins, outs, stride, option[2:] or "both"), f"{b}zeros"
    return [], source


def basic_ops(b: str, source: str, ins: int, outs: int, stride: int, option: str = "B", where: str = "") -> list[Op]:
    """conv, BN, ReLU, conv, BN, plus the shortcut, ReLU; ``where`` tells the block in a network."""
    around, end = shortcut_ops(b, source, ins, outs, stride, option)
    return [
        conv(f"{b}conv1", source, ins, outs, 3, stride, f"the first convolution{where}"),
        bn(f"{b}bn1", f"{b}conv1", outs, f"the first batch norm{where}"),
        act(f"{b}relu1", f"{b}bn1", f"the first ReLU{where}"),
        conv(f"{b}conv2", f"{b}relu1", outs, outs, 3, 1, f"the second convolution{where}"),
        bn(f"{b}bn2", f"{b}conv2", outs, f"the second batch norm{where}"),
        *around,
        add(f"{b}add", f"{b}bn2", end, f"the addition{where}"),
        act(f"{b}out", f"{b}add", f"the last ReLU{where}"),
    ]


def basic(in_channels: int, out_channels: int, stride: int = 1) -> Program:
    """The basic block with option B."""
    return Program(tuple(basic_ops("", "x", in_channels, out_channels, stride)))


def identity_block(channels: int) -> Program:
    """The basic block that keeps the shape.

    >>> identity_block(8).op("add").inputs
    ('bn2', 'x')
    """
    return Program(tuple(basic_ops("", "x", channels, channels, 1)))


def projection_block(in_channels: int, out_channels: int, stride: int = 2) -> Program:
    """The basic block with a projection, whatever the shapes.

    >>> projection_block(8, 16).op("add").inputs
    ('bn2', 'projbn')
    """
    return Program(tuple(basic_ops("", "x", in_channels, out_channels, stride, "projection")))


def bottleneck(in_channels: int, channels: int, stride: int = 1, stride_in: str = "3x3") -> Program:
    """1×1, 3×3, 1×1 to four times the channels.

    >>> bottleneck(64, 16).op("conv3")["outs"]
    64
    """
    outs = 4 * channels
    first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
    around, end = shortcut_ops("", "x", in_channels, outs, stride, "B")
    return Program(
        (
            conv("conv1", "x", in_channels, channels, 1, first, "the first convolution"),
            bn("bn1", "conv1", channels, "the first batch norm"),
            act("relu1", "bn1", "the first ReLU"),
            conv("conv2", "relu1", channels, channels, 3, second, "the second convolution"),
            bn("bn2", "conv2", channels, "the second batch norm"),
            act("relu2", "bn2", "the second ReLU"),
            conv("conv3", "relu2", channels, outs, 1, 1, "the third convolution"),
            bn("bn3", "conv3", outs, "the third batch norm"),
            *around,
            add("add", "bn3", end),
            act("out", "add", "the last ReLU"),
        )
    )


def bottleneck_v1(in_channels: int, channels: int, stride: int = 1) -> Program:
    """The paper's bottleneck, with the stride in the first 1×1."""
    return bottleneck(in_channels, channels, stride, "1x1")


def preactivation_ops(in_channels: int, out_channels: int, stride: int = 1) -> list[Op]:
    """BN, ReLU, conv, twice, and an addition with nothing behind it (He et al. 2016, Figure 4e)."""
    changed = stride != 1 or in_channels != out_channels
    around = [conv("proj", "relu1", in_channels, out_channels, 1, stride, "the projection", True)] if changed else []
    return [
        bn("bn1", "x", in_channels, "the first batch norm"),
        act("relu1", "bn1", "the first ReLU"),
        conv("conv1", "relu1", in_channels, out_channels, 3, stride, "the first convolution"),
        bn("bn2", "conv1", out_channels, "the second batch norm"),
        act("relu2", "bn2", "the second ReLU"),
        conv("conv2", "relu2", out_channels, out_channels, 3, 1, "the second convolution"),
        *around,
        add("add", "conv2", "proj" if changed else "x"),
    ]


def preactivation(in_channels: int, out_channels: int, stride: int = 1) -> Program:
    """The pre-activation block."""
    return Program(tuple(preactivation_ops(in_channels, out_channels, stride)))


def stem_ops(source: str = "x", channels: int = 64) -> list[Op]:
    """7×7/2, BN, ReLU, max-pool 3×3/2."""
    return [
        conv("conv1", source, 3, channels, 7, 2, "the convolution"),
        bn("bn1", "conv1", channels, "the batch norm"),
        act("relu", "bn1", "the ReLU"),
        Op("pool", "maxpool", ("relu",), "the max-pool", {"kernel": 3, "stride": 2, "padding": 1}),
    ]


def stem() -> Program:
    """ImageNet's stem.

    >>> [op.kind for op in stem().ops]
    ['conv', 'bn', 'act', 'maxpool']
    """
    return Program(tuple(stem_ops()))


def head_ops(source: str, in_features: int, num_classes: int) -> list[Op]:
    """Average over the map, flatten, one linear layer."""
    return [
        Op("pool", "gap", (source,), "the average over the map", {"fn": "mean"}),
        Op("flatten", "flatten", ("pool",), "the flattening"),
        Op("fc", "linear", ("flatten",), "the linear layer", {"ins": in_features, "outs": num_classes}),
    ]


def head(in_features: int, num_classes: int) -> Program:
    """From a map of features to scores.

    >>> [op.kind for op in head(8, 3).ops]
    ['gap', 'flatten', 'linear']
    """
    return Program(tuple(head_ops("x", in_features, num_classes)))


def zero_pad_shortcut(sides: str) -> Any:
    """The reference of option A with its zeros on the given sides.

    >>> zero_pad_shortcut("both")(16, 32, 2).op("zeros")["front"]
    8
    """

    def program(in_channels: int, out_channels: int, stride: int) -> Program:
        return Program(tuple(zero_pad("", "x", in_channels, out_channels, stride, sides)))

    return program
