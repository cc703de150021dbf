"""Every shape and cost of a ResNet from its recipe alone: no torch, no tensor, a few microseconds.

Sizes follow Dumoulin and Visin 2016, relationship 6; costs are counted as in He et al. 2015, Table 1;
receptive fields as in Araujo, Norris and Sim 2019, section 2.
"""

from functools import cache

from resnet_edu.counting.recipes import EXPANSION, STEM_KERNEL, Recipe, check_count, check_image, image_shape, recipe
from resnet_edu.counting.steps import Shape, Step

# Where the image is on its way: its shape, the side of the square that a cell sees, and how many
# input pixels lie between two neighboring cells.
_At = tuple[Shape, int, int]

# What a Step's own constructor does, without the call around it: making rows is most of the work here.
_row = tuple.__new__
_BEFORE = (1,)  # most rows read the one before them


def conv_out(size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Pixels along one side that leave a convolution or a pooling.

    >>> conv_out(224, kernel=7, stride=2, padding=3)        # ⌊(224 + 2·3 − 7)/2⌋ + 1
    112
    >>> conv_out(112, kernel=3, stride=2, padding=1)        # ⌊(112 + 2·1 − 3)/2⌋ + 1 = ⌊55.5⌋ + 1
    56

    Raises ValueError if an argument is out of range or the kernel is wider than the padded input.
    """
    if min(size, kernel, stride, dilation) < 1 or padding < 0:
        raise ValueError(
            "size, kernel, stride and dilation must be at least 1 and padding at least 0, "
            f"got {size}, {kernel}, {stride}, {dilation} and {padding}"
        )
    reach = dilation * (kernel - 1) + 1
    if reach > size + 2 * padding:
        raise ValueError(
            f"the kernel does not fit: it reaches over {reach} pixels, the padded input has "
            f"{size} + 2·{padding} = {size + 2 * padding}; pad more or take a smaller kernel"
        )
    return (size + 2 * padding - reach) // stride + 1


def steps(model: str | Recipe = "resnet18", image: Shape | int = (3, 224, 224), **changes: object) -> list[Step]:
    """Every operation on an image's way through the network, in the order of the forward pass.

    The model is a recipe or the name of one; changes are the recipe's fields. An image that is a square may be given as
    its side.

    >>> [step.output for step in steps("resnet18")][:4]     # 224 → 112, 112, 112 → 56
    [(64, 112, 112), (64, 112, 112), (64, 112, 112), (64, 56, 56)]
    >>> sum(step.parameters for step in steps("resnet18"))
    11689512
    >>> sum(step.multiply_adds for step in steps("resnet50", stride_in="1x1"))     # the paper's 3.8×10⁹
    3857973248

    Raises ValueError for an unknown name or field, or an image that does not suit the stem.
    """
    if isinstance(model, str):
        plan = recipe(model, **changes)
    elif changes:
        raise TypeError("changes go with a name; for a recipe of your own use dataclasses.replace")
    else:
        plan = model
    image = image_shape(image, plan.in_channels)
    check_image(image, plan.in_channels)

    rows: list[Step] = []
    at: _At = (image, 1, 1)
    at = _stem(rows, at, plan)
    for number, (blocks, width) in enumerate(zip(plan.layers, plan.widths, strict=True), start=1):
        at = _layer(rows, f"layer{number}.", at, blocks, width, 1 if number == 1 else 2, plan)
    _head(rows, at, plan.num_classes)
    return rows


def block_steps(
    kind: str = "basic",
    in_channels: int = 64,
    channels: int = 64,
    stride: int = 1,
    *,
    shortcut: str = "B",
    size: int | tuple[int, int] = 56,
    stride_in: str = "3x3",
    room: str = "layer1.0",
) -> list[Step]:
    """Every operation of one block on its own, for maps of ``size`` pixels a side, or height and width.

    >>> steps = block_steps("basic", 64, 128, stride=2)
    >>> steps[0].output, steps[-1].output                   # ⌊(56 + 2·1 − 3)/2⌋ + 1 = 28
    ((128, 28, 28), (128, 28, 28))
    >>> sum(step.parameters for step in steps)              # 9·64·128 + 9·128² + 64·128 + 3·2·128
    230144

    Raises ValueError for an unknown kind or option, or a number below 1.
    """
    plan = Recipe(kind, (1,), (channels,), shortcut=shortcut, stride_in=stride_in)
    height, width = (size, size) if isinstance(size, int) else size
    for name, value in (("in_channels", in_channels), ("stride", stride), ("size", height), ("size", width)):
        check_count(name, value)
    rows: list[Step] = []
    _block(rows, f"{room}.", ((in_channels, height, width), 1, 1), channels, stride, plan)
    return rows


def _stem(rows: list[Step], at: _At, plan: Recipe) -> _At:
    width = plan.widths[0]
    stride = 2 if plan.stem == "imagenet" else 1
    at = _conv(rows, "conv1", "bn1", at, width, STEM_KERNEL[plan.stem], stride, "relu")
    if plan.stem == "imagenet":
        shape, field, jump = at
        output = (shape[0], (shape[1] - 1) // 2 + 1, (shape[2] - 1) // 2 + 1)
        field += 2 * jump
        rows.append(Step("maxpool", "max-pool 3×3/2", shape, output, 0, 0, field))
        at = (output, field, 2 * jump)
    return at


def _layer(rows: list[Step], layer: str, at: _At, blocks: int, width: int, stride: int, plan: Recipe) -> _At:
    # Only the first block of a layer may change the shape; layer1 keeps what the stem made.
    at = _block(rows, f"{layer}0.", at, width, stride, plan)
    if blocks == 1:
        return at
    first = len(rows)
    prefix, field = f"{layer}1.", at[1]
    at = _block(rows, prefix, at, width, 1, plan)
    if blocks == 2:
        return at
    # The others are the second one again: other names, and a field that has grown.
    block, cut, growth = rows[first:], len(prefix), at[1] - field
    shapes = [(row[0][cut:], *row[1:]) for row in block]
    for number in range(2, blocks):
        room, wider = f"{layer}{number}.", (number - 1) * growth
        rows += [
            _row(Step, (room + name, what, start, end, weights, adds, seen + wider, reads, learned, True))
            for name, what, start, end, weights, adds, seen, reads, learned, _ in shapes
        ]
    return at[0], at[1] + (blocks - 2) * growth, at[2]


def _block(rows: list[Step], room: str, at: _At, width: int, stride: int, plan: Recipe) -> _At:
    start, first = at, len(rows)
    out_channels = width * EXPANSION[plan.block]
    convs: tuple[tuple[int, int, int], ...]  # channels, kernel, stride
    if plan.block == "bottleneck":
        before, middle = (stride, 1) if plan.stride_in == "1x1" else (1, stride)
        convs = ((width, 1, before), (width, 3, middle), (out_channels, 1, 1))
    else:
        convs = ((width, 3, stride), (width, 3, 1))
    for number, (channels, kernel, step) in enumerate(convs, start=1):
        relu = f"{room}relu" if number < len(convs) else ""
        at = _conv(rows, f"{room}conv{number}", f"{room}bn{number}", at, channels, kernel, step, relu)
    if plan.block != "plain":
        # The way around begins above the block's first row.
        fork = len(rows) - first + 1
        changed = stride != 1 or start[0][0] != out_channels
        if plan.shortcut == "C" or (plan.shortcut == "B" and changed):
            _conv(rows, f"{room}downsample.0", f"{room}downsample.1", start, out_channels, 1, stride, reads=(fork,))
            reads = (3, 1)
        elif changed:
            operation = "zero-pad" if stride == 1 else f"zero-pad/{stride}"
            rows.append(Step(f"{room}downsample", operation, start[0], at[0], 0, 0, start[1], (fork,)))
            reads = (2, 1)
        else:
            reads = (1, fork)
        # The convolutions see at least as far as the shortcut, so their field is the sum's.
        rows.append(_row(Step, (f"{room}add", "add", at[0], at[0], 0, 0, at[1], reads, False, True)))
    rows.append(_row(Step, (f"{room}relu", "ReLU", at[0], at[0], 0, 0, at[1], _BEFORE, False, True)))
    return at


def _head(rows: list[Step], at: _At, num_classes: int) -> None:
    shape, field, jump = at
    features = shape[0]
    field += (max(shape[1:]) - 1) * jump
    rows.append(Step("avgpool", "average pool", shape, (features, 1, 1), 0, 0, field))
    rows.append(Step("flatten", "flatten", (features, 1, 1), (features,), 0, 0, field))
    weights = features * num_classes
    rows.append(Step("fc", "linear", (features,), (num_classes,), weights + num_classes, weights, field, learned=True))


def _conv(
    rows: list[Step],
    room: str,
    norm: str,
    at: _At,
    out_channels: int,
    kernel: int,
    stride: int,
    relu: str = "",
    reads: tuple[int, ...] = _BEFORE,
) -> _At:
    """A convolution, its batch norm, and with a name for it the ReLU behind them."""
    shape, field, jump = at
    in_channels, height, width = shape
    # ⌊(H + 2·⌊k/2⌋ − k)/s⌋ + 1 with an odd kernel k: the padding takes back what the kernel takes.
    height, width = (height - 1) // stride + 1, (width - 1) // stride + 1
    output = (out_channels, height, width)
    weights = kernel * kernel * in_channels * out_channels
    field += (kernel - 1) * jump
    adds = weights * height * width
    rows.append(_row(Step, (room, _conv_name(kernel, stride), shape, output, weights, adds, field, reads, True, True)))
    rows.append(_row(Step, (norm, "batch norm", output, output, 2 * out_channels, 0, field, _BEFORE, True, True)))
    if relu:
        rows.append(_row(Step, (relu, "ReLU", output, output, 0, 0, field, _BEFORE, False, True)))
    return output, field, jump * stride


@cache  # a network has few kinds of convolutions and many of each
def _conv_name(kernel: int, stride: int) -> str:
    return f"conv {kernel}×{kernel}" + (f"/{stride}" if stride != 1 else "")
