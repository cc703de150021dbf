"""The known mistakes of the stem, the head and option A."""

from dataclasses import replace

from resnet_edu.checks.blocks import projection
from resnet_edu.checks.contract import Edit, Mistake
from resnet_edu.checks.mistakes.anywhere import activations, bias, norms
from resnet_edu.checks.mistakes.edits import after, all_of, before, change, drop, every, swap_order
from resnet_edu.checks.program import NotHereError, Op, Program


def stem(pool: str = "pool") -> tuple[Mistake, ...]:
    """The mistakes of ImageNet's stem.

    >>> "padding-missing" in [mistake.name for mistake in stem()]
    True
    """
    return (
        Mistake(
            "padding-missing",
            change("conv1", padding=0),
            "The 7×7 convolution has no padding, so the border is lost: ⌊(224 + 2·0 − 7)/2⌋ + 1 = 109. Give it "
            "`padding=3`, which makes 112.",
        ),
        *(
            Mistake(
                "wrong-padding",
                change("conv1", padding=padding),
                f"The 7×7 convolution has `padding={padding}`. With 3 every second pixel is a center: ⌊(224 + 2·3 − "
                "7)/2⌋ + 1 = 112.",
            )
            for padding in (1, 2, 4)
        ),
        *(
            Mistake(
                "wrong-kernel-size",
                change("conv1", kernel=kernel, padding=padding),
                f"The stem's convolution has a {kernel}×{kernel} kernel. Make it 7×7 with `padding=3`: it is the only "
                "large one in the network.",
            )
            for kernel, padding in ((3, 1), (3, 3), (5, 2), (5, 3), (11, 5))
        ),
        Mistake(
            "stride-missing",
            change("conv1", stride=1),
            "The convolution has stride 1, so the map stays twice as large as it should be. Give it `stride=2`.",
        ),
        Mistake(
            "pool-missing",
            drop(pool),
            "The max-pool is missing: the stem ends at half the image's size, and should end at a quarter. Add "
            "`nn.MaxPool2d(kernel_size=3, stride=2, padding=1)`.",
        ),
        Mistake(
            "pool-padding-missing",
            change(pool, padding=0),
            "The max-pool has no padding: ⌊(112 + 2·0 − 3)/2⌋ + 1 = 55. Give it `padding=1`, which makes 56.",
        ),
        Mistake(
            "pool-kernel-2",
            change(pool, kernel=2, padding=0),
            "The max-pool has a 2×2 kernel. Make it 3×3 with stride 2 and padding 1, so that neighbors overlap.",
        ),
        Mistake(
            "pool-kernel-5",
            change(pool, kernel=5, padding=2),
            "The max-pool has a 5×5 kernel. Make it 3×3 with stride 2 and padding 1.",
        ),
        Mistake(
            "pool-stride-missing",
            change(pool, stride=1),
            "The max-pool has stride 1, so it does not shrink the map. Give it `stride=2`.",
        ),
        Mistake(
            "pool-stride-is-kernel",
            change(pool, stride=3),
            "The max-pool has stride 3, which PyTorch also takes where no `stride` is given: the kernel's size. Give "
            "it `stride=2`.",
        ),
        Mistake(
            "pool-stride-is-kernel",
            change(pool, stride=3, padding=0),
            "The max-pool has no padding and stride 3, which PyTorch also takes where no `stride` is given: the "
            "kernel's size. Give it `stride=2, padding=1`.",
        ),
        Mistake(
            "pool-rounds-up",
            change(pool, padding=0, ceil=True),
            "The max-pool rounds sizes up in place of padding. Leave out `ceil_mode` and give it `padding=1`.",
        ),
        Mistake(
            "average-pool",
            lambda p, b: p.swap(pool, replace(p.op(pool), kind="avgpool")),
            "The pool takes the mean of its window. Take the largest value: `nn.MaxPool2d`.",
        ),
        Mistake(
            "relu-missing",
            drop("relu"),
            "There is no ReLU after the batch norm. The order is convolution, batch norm, ReLU, max-pool.",
        ),
        Mistake(
            "batch-norm-missing",
            drop("bn1"),
            "There is no batch norm after the convolution. The order is convolution, batch norm, ReLU, max-pool.",
        ),
        Mistake(
            "relu-before-batch-norm",
            swap_order("bn1", "relu"),
            "The ReLU runs before the batch norm. The order is convolution, batch norm, ReLU, max-pool.",
        ),
        Mistake(
            "pool-before-batch-norm",
            all_of(swap_order("relu", pool), swap_order("bn1", pool)),
            "The max-pool runs before the batch norm. With a negative scale the norm would turn the largest into the "
            "smallest, so the order matters: convolution, batch norm, ReLU, max-pool.",
        ),
        *(
            Mistake(
                "wrong-width",
                _stem_width(width),
                f"The convolution makes {width} channels. Give it 64: that is what the first layer takes.",
            )
            for width in (16, 32, 96, 128)
        ),
        *(
            Mistake(
                "padding-not-zero",
                change("conv1", padding_mode=mode),
                "The border is not padded with zeros: `padding_mode` is set. Leave the default.",
            )
            for mode in ("reflect", "replicate", "circular")
        ),
        bias(),
        *norms(),
        *activations(),
    )


def _stem_width(width: int) -> Edit:
    return lambda p, b: p.change("conv1", outs=width).change("bn1", channels=width)


def head() -> tuple[Mistake, ...]:
    """The mistakes of the head.

    >>> "softmax-inside" in [mistake.name for mistake in head()]
    True
    """
    return (
        Mistake(
            "max-not-average",
            change("pool", fn="max"),
            "The largest value of each channel is taken. Take the average: `nn.AdaptiveAvgPool2d(1)` or `x.mean((2, "
            "3))`.",
        ),
        Mistake(
            "sum-not-average",
            change("pool", fn="sum"),
            "The map is summed and not averaged, so a larger image gives larger scores. Take the mean over height and "
            "width.",
        ),
        Mistake(
            "softmax-inside",
            after("fc", "act", fn="softmax"),
            "The head ends in a softmax. It should return plain scores: `nn.CrossEntropyLoss` contains the softmax, "
            "in a stabler form, and a second one flattens the gradients. Take it out.",
        ),
        Mistake(
            "softmax-over-batch",
            after("fc", "act", fn="softmax0"),
            "The head ends in a softmax over the batch, so images compete with each other. It should return plain "
            "scores: take it out.",
        ),
        Mistake(
            "log-softmax-inside",
            after("fc", "act", fn="log-softmax"),
            "The head ends in a log-softmax. It should return plain scores: `nn.CrossEntropyLoss` contains it. Take "
            "it out.",
        ),
        Mistake(
            "sigmoid-at-end",
            after("fc", "act", fn="sigmoid"),
            "The head ends in a sigmoid. It should return plain scores. Take it out.",
        ),
        Mistake(
            "argmax-at-end",
            after("fc", "act", fn="argmax"),
            "The head returns the number of the best class. Choosing has no gradient: return all the scores, and let "
            "the caller choose.",
        ),
        Mistake(
            "relu-at-end",
            after("fc", "act", fn="relu"),
            "The scores pass a ReLU, so none can be negative. Return what the linear layer makes.",
        ),
        Mistake(
            "relu-before-linear",
            before("fc", "act", fn="relu"),
            "There is a ReLU before the linear layer. The last block has had its own: average, flatten, linear.",
        ),
        Mistake(
            "linear-without-bias",
            change("fc", bias=False),
            "The linear layer has no bias. No batch norm follows here that could replace it: leave out `bias=False`.",
        ),
        Mistake(
            "pool-missing",
            drop("pool"),
            "There is no average over the map: flattening gives channels × height × width features, too many for the "
            "linear layer. Average each channel first, `nn.AdaptiveAvgPool2d(1)`.",
        ),
        Mistake(
            "arguments-swapped",
            lambda p, b: p.change("fc", ins=p.op("fc")["outs"], outs=p.op("fc")["ins"]),
            "The linear layer's two numbers have changed places. First the features that arrive, then the classes "
            "that leave: `nn.Linear(in_features, num_classes)`.",
        ),
        Mistake(
            "pool-over-height-only",
            change("pool", dims=(2,)),
            "Only the height is averaged. Take the mean over both, `x.mean((2, 3))`.",
        ),
        Mistake(
            "pool-over-width-only",
            change("pool", dims=(3,)),
            "Only the width is averaged. Take the mean over both, `x.mean((2, 3))`.",
        ),
        Mistake(
            "pool-over-channels",
            all_of(change("pool", dims=(1,))),
            "The mean is taken over the channels. Average over height and width, dimensions 2 and 3, and keep the "
            "channels.",
        ),
        Mistake(
            "fixed-pool-size",
            lambda p, b: p.swap("pool", Op("pool", "avgpool", p.op("pool").inputs, "", {"kernel": 7, "stride": 7})),
            "The pool has a window of fixed size, so only images of one size work. Average over whatever size arrives: "
            "`nn.AdaptiveAvgPool2d(1)`.",
        ),
        Mistake(
            "flatten-over-batch",
            change("flatten", start=0),
            "The flattening takes the batch with it. Keep dimension 0: `torch.flatten(x, 1)`.",
        ),
        Mistake(
            "flatten-missing",
            drop("flatten"),
            "After the average the map is still (N, C, 1, 1), and a linear layer looks at the last dimension. Flatten "
            "from dimension 1 on: `torch.flatten(x, 1)`.",
        ),
    )


def zero_pad() -> tuple[Mistake, ...]:
    """The mistakes of option A.

    >>> "copies-not-zeros" in [mistake.name for mistake in zero_pad()]
    True
    """

    def pooled(kind: str) -> Edit:
        def edit(p: Program, b: str) -> Program:
            stride = p.op(b + "skip")["stride"]
            if stride == 1:
                raise NotHereError("stride")
            return p.swap(
                b + "skip", replace(p.op(b + "skip"), kind=kind, options={"kernel": stride, "stride": stride})
            )

        return edit

    def out_channels_added(p: Program, b: str) -> Program:
        op = p.op(b + "zeros")
        return p.change(b + "zeros", front=0, back=op["front"] + op["back"] + op["ins"])

    def both_sides_whole(p: Program, b: str) -> Program:
        op = p.op(b + "zeros")
        extra = op["front"] + op["back"]
        return p.change(b + "zeros", front=extra, back=extra)

    def projected(p: Program, b: str) -> Program:
        skip, zeros = p.op(b + "skip"), p.op(b + "zeros")
        ins = zeros["ins"]
        outs = ins + zeros["front"] + zeros["back"]
        ops = projection(b, skip.inputs[0], ins, outs, skip["stride"])
        kept: list[Op] = []
        for op in p.ops:
            if op is skip:
                kept += ops
            elif op is not zeros:
                kept.append(replace(op, inputs=tuple(b + "projbn" if i == zeros.name else i for i in op.inputs)))
        return Program(tuple(kept), p.blocks)

    def with_bias(p: Program, b: str) -> Program:
        return projected(p, b).change(b + "proj", bias="any")

    def without_norm(p: Program, b: str) -> Program:
        return with_bias(p, b).drop(b + "projbn")

    def always(p: Program, b: str) -> Program:
        if p.op(b + "skip")["stride"] != 1:
            raise NotHereError("strided already")
        return p.change(b + "skip", stride=2)

    return (
        Mistake(
            "stride-ignored",
            every("subsample", stride=1),
            "The stride is ignored: the map keeps its size. Skip pixels with a slice, `x[:, :, ::stride, ::stride]`.",
        ),
        Mistake(
            "zeros-missing",
            drop("zeros"),
            "The new channels are missing. Fill up to the wanted number with channels of zeros: `F.pad` on dimension "
            "1.",
        ),
        Mistake(
            "pooled-not-skipped",
            pooled("avgpool"),
            "The map is shrunk by averaging. Option A skips pixels: `x[:, :, ::stride, ::stride]`.",
        ),
        Mistake(
            "pooled-not-skipped",
            pooled("maxpool"),
            "The map is shrunk by max-pooling. Option A skips pixels: `x[:, :, ::stride, ::stride]`.",
        ),
        Mistake(
            "skips-the-wrong-pixels",
            every("subsample", start=1),
            "The slice starts at pixel 1. A convolution with stride 2 looks at pixels 0, 2, 4, …: start at 0.",
        ),
        Mistake(
            "cropped-not-skipped",
            lambda p, b: p.swap(b + "skip", replace(p.op(b + "skip"), kind="crop")),
            "The map is cut to its first corner. Skip every second pixel over the whole map instead: `x[:, :, "
            "::stride, ::stride]`.",
        ),
        Mistake(
            "copies-not-zeros",
            change("zeros", fill="copies"),
            "The new channels are copies of the old ones. Option A fills with zeros: they add nothing to the sum.",
        ),
        Mistake(
            "ones-not-zeros",
            change("zeros", value=1.0),
            "The new channels are filled with ones. Option A fills with zeros: they add nothing to the sum.",
        ),
        Mistake(
            "too-many-zeros",
            out_channels_added,
            "There are too many channels: you add `out_channels` of zeros to the old ones. Add only the difference, "
            "`out_channels - in_channels`.",
        ),
        Mistake(
            "too-many-zeros",
            both_sides_whole,
            "There are too many channels: the whole difference is added on both sides. Split it, or add it on one "
            "side.",
        ),
        Mistake(
            "stride-fixed",
            always,
            "The stride is always 2, whatever the argument says: `x[:, :, ::stride, ::stride]`.",
        ),
        Mistake(
            "projection-not-zeros",
            with_bias,
            "This is a projection, option B: it has weights to learn. Option A skips pixels and pads with zeros.",
        ),
        Mistake(
            "projection-not-zeros",
            without_norm,
            "This is a projection, option B: it has weights to learn. Option A skips pixels and pads with zeros.",
        ),
        Mistake(
            "relu-on-shortcut",
            after("zeros", "act", fn="relu"),
            "The shortcut passes a ReLU. It should carry the input unchanged: skip, pad, nothing else.",
        ),
        Mistake(
            "detached",
            after("zeros", "act", fn="detach"),
            "The numbers are right, but no gradient flows back. Take out `.detach()`, `.data` or `torch.no_grad()`.",
        ),
        Mistake(
            "height-and-width-swapped",
            after("zeros", "transpose"),
            "Height and width have changed places. Leave the order (N, C, H, W).",
        ),
        Mistake(
            "only-height-skipped",
            every("subsample", axes="height"),
            "Only the height is skipped, the width keeps its pixels. Slice both: `x[:, :, ::stride, ::stride]`.",
        ),
        Mistake(
            "only-width-skipped",
            every("subsample", axes="width"),
            "Only the width is skipped, the height keeps its pixels. Slice both: `x[:, :, ::stride, ::stride]`.",
        ),
    )


def zero_pad_edit(name: str) -> Edit:
    """The edit of one of option A's mistakes."""
    return next(mistake.edit for mistake in zero_pad() if mistake.name == name)
