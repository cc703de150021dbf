"""The known mistakes of layers and of whole networks."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

from resnet_edu.checks.contract import Edit, Mistake
from resnet_edu.checks.mistakes.anywhere import activations, bias, norms
from resnet_edu.checks.mistakes.blocks import addition, batch_norms, late_shortcut, relus
from resnet_edu.checks.mistakes.edits import but, change, drop
from resnet_edu.checks.mistakes.rooms import head, stem, zero_pad, zero_pad_edit
from resnet_edu.checks.program import NotHereError, Op, Program


def _blocks_of(p: Program, layer: str) -> list[Op]:
    return [op for op in p.ops if op.kind == "conv" and op.name.startswith(layer) and op.name.endswith(".conv")]


def _layers_of(p: Program) -> list[str]:
    names = sorted({op.name.split(".")[0] + "." for op in p.ops if op.name.startswith("layer")})
    return names or [""]


def _each_layer(edit: Any) -> Edit:
    """Make an edit in each layer that allows it."""

    def whole(p: Program, b: str) -> Program:
        made = False
        for layer in _layers_of(p):
            try:
                p, made = edit(p, layer), True
            except NotHereError:
                continue
        if not made:
            raise NotHereError("no layer")
        return p

    return whole


def _stride_of(p: Program, layer: str) -> int:
    stride = max(op["stride"] for op in _blocks_of(p, layer))
    if stride == 1:
        raise NotHereError("stride")
    return int(stride)


def _on_blocks(p: Program, layer: str, *choose: Any) -> Program:
    for index, op in enumerate(_blocks_of(p, layer)):
        p = p.change(op.name, **choose[0](index, op))
    return p


def _every_block_strided(p: Program, layer: str) -> Program:
    stride = _stride_of(p, layer)
    if len(_blocks_of(p, layer)) < 2:
        raise NotHereError("one block")
    return _on_blocks(p, layer, lambda i, op: {"stride": stride})


def _last_block_strided(p: Program, layer: str) -> Program:
    stride, last = _stride_of(p, layer), len(_blocks_of(p, layer)) - 1
    if last < 1:
        raise NotHereError("one block")
    return _on_blocks(p, layer, lambda i, op: {"stride": stride if i == last else 1})


def _rest_strided(p: Program, layer: str) -> Program:
    stride = _stride_of(p, layer)
    if len(_blocks_of(p, layer)) < 3:
        raise NotHereError("too few")
    return _on_blocks(p, layer, lambda i, op: {"stride": stride if i else 1})


def _no_stride(p: Program, layer: str) -> Program:
    _stride_of(p, layer)
    return _on_blocks(p, layer, lambda i, op: {"stride": 1})


def _expansion_ignored(p: Program, layer: str) -> Program:
    ops = _blocks_of(p, layer)
    if len(ops) < 2 or ops[0]["outs"] == ops[0]["channels"]:
        raise NotHereError("no expansion")
    return _on_blocks(p, layer, lambda i, op: {"ins": op["channels"]} if i else {})


def _in_channels_kept(p: Program, layer: str) -> Program:
    ops = _blocks_of(p, layer)
    if len(ops) < 2 or ops[0]["ins"] == ops[0]["outs"]:
        raise NotHereError("same channels")
    ins = ops[0]["ins"]
    return _on_blocks(p, layer, lambda i, op: {"ins": ins})


def _shared(start: int) -> Any:
    def edit(p: Program, layer: str) -> Program:
        ops = _blocks_of(p, layer)
        if len(ops) < start + 2:
            raise NotHereError("too few")
        for op in ops[start + 1 :]:
            p = p.swap(op.name, replace(op, options=dict(ops[start].options, slot=ops[start].name)))
        return p

    return edit


def _one_more(p: Program, layer: str) -> Program:
    ops = _blocks_of(p, layer)
    last, name = ops[-1], f"{layer}{len(ops)}."
    relu = p.op(last.name.removesuffix("conv") + "relu")
    new = replace(last, name=f"{name}conv", options={**last.options, "ins": last["outs"], "stride": 1})
    return p.after(relu.name, new).after(new.name, replace(relu, name=f"{name}relu"))


def _one_less(p: Program, layer: str) -> Program:
    ops = _blocks_of(p, layer)
    if len(ops) < 2:
        raise NotHereError("one block")
    last = ops[-1].name
    return p.drop(last.removesuffix("conv") + "relu").drop(last)


def _only_one(p: Program, layer: str) -> Program:
    if len(_blocks_of(p, layer)) < 2:
        raise NotHereError("one block")
    while len(_blocks_of(p, layer)) > 1:
        p = _one_less(p, layer)
    return p


def _channels_multiplied(again: bool) -> Any:
    def edit(p: Program, layer: str) -> Program:
        ops = _blocks_of(p, layer)
        factor = ops[0]["outs"] // ops[0]["channels"]
        if factor == 1 or (len(ops) < 2 and not again):
            raise NotHereError("no expansion")
        return _on_blocks(
            p,
            layer,
            lambda i, op: {"outs": op["outs"] * factor, "ins": op["ins"] * (factor if i and again else 1)},
        )

    return edit


def _stride_fixed(p: Program, layer: str) -> Program:
    first = _blocks_of(p, layer)[0]
    if first["stride"] != 1:
        raise NotHereError("strided already")
    return p.change(first.name, stride=2)


def _stride_tied(p: Program, layer: str) -> Program:
    first = _blocks_of(p, layer)[0]
    if first["stride"] == 1 or first["ins"] != first["outs"]:
        raise NotHereError("other channels")
    return p.change(first.name, stride=1)


_STACKING: tuple[tuple[str, Any, str], ...] = (
    (
        "stride-in-every-block",
        _every_block_strided,
        "Every block of the layer has the stride, so the map shrinks again and again. Only the first block takes "
        "`stride`, the others 1.",
    ),
    (
        "stride-in-last-block",
        _last_block_strided,
        "The stride sits in the last block of the layer. It belongs to the first, so that the others work on the "
        "smaller map.",
    ),
    (
        "stride-in-all-but-first",
        _rest_strided,
        "All blocks but the first have the stride. It is the other way round: the first takes `stride`, the others 1.",
    ),
    (
        "stride-ignored",
        _no_stride,
        "The stride is ignored: the map keeps its size to the end. Pass `stride` to the first block of the layer.",
    ),
    (
        "expansion-ignored",
        _expansion_ignored,
        "The blocks after the first are made for `channels` input channels. The first ends with `channels * "
        "block.expansion`, and that is what they get.",
    ),
    (
        "in-channels-not-updated",
        _in_channels_kept,
        "Every block is made for the `in_channels` of the layer. After the first block the map has `channels * "
        "block.expansion` channels: pass that to the others.",
    ),
    (
        "same-block-repeated",
        _shared(1),
        "The blocks after the first are one and the same object, so they share their weights: `[block] * n` repeats a "
        "reference. Make a new block each time, `[block(…) for _ in range(n)]`.",
    ),
    (
        "same-block-repeated",
        _shared(0),
        "All blocks are one and the same object, so they share their weights: `[block] * n` repeats a reference. Make "
        "a new block each time, `[block(…) for _ in range(n)]`.",
    ),
    (
        "one-block-too-many",
        _one_more,
        "There is one block too many in a layer. The first block counts too: after it come `blocks - 1` others.",
    ),
    (
        "one-block-missing",
        _one_less,
        "There is one block missing in a layer. One first block and `blocks - 1` others make `blocks`; mind where a "
        "`range` starts and ends.",
    ),
    (
        "only-one-block",
        _only_one,
        "A layer has one block only. After the first come `blocks - 1` others, each with stride 1.",
    ),
    *(
        (
            "expansion-twice",
            _channels_multiplied(again),
            "The blocks are given `channels * block.expansion` as their width, and multiply by the expansion again. "
            "Pass `channels`: the block itself expands.",
        )
        for again in (True, False)
    ),
)


def make_layer() -> tuple[Mistake, ...]:
    """The mistakes of stacking blocks.

    >>> "same-block-repeated" in [mistake.name for mistake in make_layer()]
    True
    """
    return (
        *(Mistake(name, _each_layer(edit), message) for name, edit, message in _STACKING),
        Mistake(
            "stride-fixed",
            _each_layer(_stride_fixed),
            "The stride is always 2, whatever the argument says. Pass `stride` on.",
        ),
        Mistake(
            "stride-tied-to-channels",
            _each_layer(_stride_tied),
            "The stride is lost where the number of channels stays the same. The first block takes `stride`, whatever "
            "the channels are.",
        ),
        Mistake(
            "batch-norm-after-blocks",
            _norm_behind,
            "There is a batch norm behind the last block. A layer is its blocks in a row, nothing else: each block "
            "has its own.",
        ),
    )


def _norm_behind(p: Program, b: str) -> Program:
    return p.after(p.ops[-1].name, Op("extra-norm", "bn", (), "", {"channels": _blocks_of(p, "")[-1]["outs"]}))


def _resnet_strides(strides: tuple[int, ...]) -> Edit:
    def edit(p: Program, b: str) -> Program:
        for layer, stride in zip(_layers_of(p), strides, strict=True):
            p = p.change(_blocks_of(p, layer)[0].name, stride=stride)
        return p

    return edit


def _classes(count: int) -> Edit:
    def edit(p: Program, b: str) -> Program:
        if p.op("fc")["outs"] == count:
            raise NotHereError("same")
        return p.change("fc", outs=count)

    return edit


def _features_unexpanded(p: Program, b: str) -> Program:
    last = _blocks_of(p, "layer4.")[-1]
    if last["outs"] == last["channels"]:
        raise NotHereError("no expansion")
    return p.change("fc", ins=last["channels"])


def _same_widths(p: Program, b: str) -> Program:
    ins, factor = 64, 1
    for layer in _layers_of(p):
        for op in _blocks_of(p, layer):
            factor = op["outs"] // op["channels"]
            p = p.change(op.name, ins=ins, outs=64 * factor, channels=64)
            ins = 64 * factor
    return p.change("fc", ins=ins)


def _layer_missing(p: Program, b: str) -> Program:
    ops = _blocks_of(p, "layer4.")
    before = _blocks_of(p, "layer3.")[-1]["outs"]
    for op in reversed(ops):
        p = p.drop(op.name.removesuffix("conv") + "relu").drop(op.name)
    return p.change("fc", ins=before)


def _layer_inputs_unexpanded(p: Program, b: str) -> Program:
    layers = _layers_of(p)
    if all(_blocks_of(p, layer)[0]["outs"] == _blocks_of(p, layer)[0]["channels"] for layer in layers):
        raise NotHereError("no expansion")
    for one, two in pairwise(layers):
        p = p.change(_blocks_of(p, two)[0].name, ins=_blocks_of(p, one)[0]["channels"])
    return p


def _counts_fixed(counts: tuple[int, ...]) -> Edit:
    def edit(p: Program, b: str) -> Program:
        if [len(_blocks_of(p, layer)) for layer in _layers_of(p)] == list(counts):
            raise NotHereError("same")
        for layer, count in zip(_layers_of(p), counts, strict=True):
            while len(_blocks_of(p, layer)) > count:
                p = _one_less(p, layer)
            while len(_blocks_of(p, layer)) < count:
                p = _one_more(p, layer)
        return p

    return edit


def _counts_reversed(p: Program, b: str) -> Program:
    counts = tuple(len(_blocks_of(p, layer)) for layer in reversed(_layers_of(p)))
    return _counts_fixed(counts)(p, b)


def resnet() -> tuple[Mistake, ...]:
    """The mistakes of the whole network: its layers, its stem, its head.

    >>> "stride-in-layer1" in [mistake.name for mistake in resnet()]
    True
    """
    return (
        Mistake(
            "stride-in-layer1",
            _resnet_strides((2, 2, 2, 2)),
            "The first layer has stride 2 as well. The stem has shrunk the image fourfold already, so layer 1 keeps "
            "the size: strides 1, 2, 2, 2.",
        ),
        Mistake(
            "strides-missing",
            _resnet_strides((1, 1, 1, 1)),
            "No layer shrinks the map: it keeps a quarter of the image's size to the end. Layers 2, 3 and 4 have "
            "stride 2.",
        ),
        Mistake(
            "stride-in-wrong-layer",
            _resnet_strides((2, 2, 2, 1)),
            "The strides are shifted by one layer: 2, 2, 2, 1. The stem has shrunk the image already: 1, 2, 2, 2.",
        ),
        Mistake(
            "num-classes-ignored",
            _classes(1000),
            "The network always ends in 1,000 scores. Pass `num_classes` to the linear layer.",
        ),
        Mistake(
            "num-classes-ignored",
            _classes(10),
            "The network always ends in 10 scores. Pass `num_classes` to the linear layer.",
        ),
        Mistake(
            "head-without-expansion",
            _features_unexpanded,
            "The linear layer is made for 512 features, but the last layer ends with `512 * block.expansion`. "
            "Multiply.",
        ),
        Mistake(
            "layer-input-without-expansion",
            _layer_inputs_unexpanded,
            "A layer is made for the width of the one before it, but what arrives is that width times "
            "`block.expansion`. Keep track of the channels: after each layer they are `channels * block.expansion`.",
        ),
        Mistake(
            "widths-all-equal",
            _same_widths,
            "All layers have 64 channels. They double wherever the map is halved: 64, 128, 256, 512.",
        ),
        Mistake(
            "layer-missing",
            _layer_missing,
            "The fourth layer is missing. There are four, of 64, 128, 256 and 512 channels.",
        ),
        Mistake(
            "layers-ignored",
            _counts_fixed((2, 2, 2, 2)),
            "Every layer has 2 blocks, whatever `layers` says. Take the number of blocks of each layer from there.",
        ),
        Mistake(
            "layers-ignored",
            _counts_fixed((3, 4, 6, 3)),
            "The layers have 3, 4, 6 and 3 blocks, whatever `layers` says. Take the numbers from there.",
        ),
        Mistake(
            "layers-ignored",
            _counts_fixed((1, 1, 1, 1)),
            "Every layer has 1 block, whatever `layers` says. Take the number of blocks of each layer from there.",
        ),
        Mistake(
            "layers-reversed",
            _counts_reversed,
            "The numbers of blocks are used in reverse. The first number belongs to the first layer.",
        ),
        *but(
            make_layer(),
            "stride-ignored",
            "stride-fixed",
            "stride-tied-to-channels",
            "only-one-block",
            "batch-norm-after-blocks",
        ),
        *(_prefixed("stem", m) for m in but(stem("stempool"), *_SHARED)),
        *(_prefixed("head", m) for m in but(head(), "relu-before-linear")),
        Mistake(
            "conv-bias",
            _stem_bias,
            "The stem's convolution has a bias. The batch norm behind it subtracts the mean, and any constant with "
            "it. Make it with `bias=False`.",
        ),
        *norms(),
    )


_SHARED = {"conv-bias", "other-activation", *(m.name for m in norms())}


def _prefixed(where: str, mistake: Mistake) -> Mistake:
    """The same mistake in the room of a network."""
    return Mistake(f"{where}-{mistake.name}", mistake.edit, f"In the {where}: {mistake.message}")


def _stem_bias(p: Program, b: str) -> Program:
    return p.change("conv1", bias="any")


def cifar() -> tuple[Mistake, ...]:
    """The mistakes of CIFAR's network.

    >>> "imagenet-stem" in [mistake.name for mistake in cifar()]
    True
    """

    def imagenet_stem(p: Program, b: str) -> Program:
        p = p.change("conv1", kernel=7, stride=2, padding=3)
        return p.after("relu", Op("stempool", "maxpool", (), "", {"kernel": 3, "stride": 2, "padding": 1}))

    def pooled_stem(p: Program, b: str) -> Program:
        return p.after("relu", Op("stempool", "maxpool", (), "", {"kernel": 3, "stride": 2, "padding": 1}))

    def pooled_stem_2(p: Program, b: str) -> Program:
        return p.after("relu", Op("stempool", "maxpool", (), "", {"kernel": 2, "stride": 2}))

    def option_b(p: Program, b: str) -> Program:
        return zero_pad_edit("projection-not-zeros")(p, b)

    def option_b_bare(p: Program, b: str) -> Program:
        return option_b(p, b).drop(b + "projbn")

    def strides(wanted: tuple[int, int, int]) -> Edit:
        def edit(p: Program, b: str) -> Program:
            if b != p.blocks[0]:
                raise NotHereError("once")
            return _rebuilt(p, strides=wanted)

        return edit

    def widths(wanted: tuple[int, int, int]) -> Edit:
        def edit(p: Program, b: str) -> Program:
            if b != p.blocks[0]:
                raise NotHereError("once")
            return _rebuilt(p, widths=wanted)

        return edit

    def counted(count: Any) -> Edit:
        def edit(p: Program, b: str) -> Program:
            if b != p.blocks[0]:
                raise NotHereError("once")
            n = len(p.blocks) // 3
            if count(n) == n or count(n) < 1:
                raise NotHereError("same")
            return _rebuilt(p, blocks=count(n))

        return edit

    def once(edit: Edit) -> Edit:
        def only(p: Program, b: str) -> Program:
            if b != p.blocks[0]:
                raise NotHereError("once")
            return edit(p, "")

        return only

    def named(mistakes: tuple[Mistake, ...] | list[Mistake], *names: str) -> list[Mistake]:
        return [m for m in mistakes if m.name in names]

    return (
        Mistake(
            "imagenet-stem",
            once(imagenet_stem),
            "The stem is the one for 224-pixel images: 7×7 with stride 2 and a max-pool. It leaves a 32×32 image 8×8. "
            "Here the stem is one 3×3 convolution with stride 1, batch norm and ReLU.",
        ),
        Mistake(
            "stem-pool-kept",
            once(pooled_stem),
            "There is a max-pool in the stem. A 32×32 image has no pixels to give away: leave it out.",
        ),
        Mistake(
            "stem-pool-kept",
            once(pooled_stem_2),
            "There is a max-pool in the stem. A 32×32 image has no pixels to give away: leave it out.",
        ),
        Mistake(
            "stem-stride",
            once(change("conv1", stride=2)),
            "The stem's convolution has stride 2. A 32×32 image has no pixels to give away: stride 1.",
        ),
        Mistake(
            "stem-relu-missing",
            once(drop("relu")),
            "The stem has no ReLU: 3×3 convolution, batch norm, ReLU.",
        ),
        Mistake(
            "stem-batch-norm-missing",
            once(drop("bn1")),
            "The stem has no batch norm: 3×3 convolution, batch norm, ReLU.",
        ),
        Mistake(
            "projection-not-zeros",
            option_b,
            "The shortcuts are projections, option B. The paper's network for CIFAR uses option A: skip pixels and "
            "pad channels with zeros, so that it has exactly as many weights as the plain one.",
        ),
        Mistake(
            "projection-not-zeros",
            option_b_bare,
            "The shortcuts are projections, option B. The paper's network for CIFAR uses option A: skip pixels and "
            "pad channels with zeros, so that it has exactly as many weights as the plain one.",
        ),
        Mistake(
            "wrong-number-of-blocks",
            counted(lambda n: 2 * n),
            "Each layer has twice as many blocks as it should. The depth counts convolutions: a block has two, there "
            "are three layers, so n = (depth − 2) / 6.",
        ),
        Mistake(
            "wrong-number-of-blocks",
            counted(lambda n: n + 1),
            "Each layer has one block too many. With 6n + 2 layers, n = (depth − 2) / 6: 20 gives 3.",
        ),
        Mistake(
            "wrong-number-of-blocks",
            counted(lambda n: n - 1),
            "Each layer has one block too few. With 6n + 2 layers, n = (depth − 2) / 6: 20 gives 3.",
        ),
        Mistake(
            "wrong-number-of-blocks",
            counted(lambda n: 3 * n),
            "Each layer has three times the blocks it should. The depth is shared by three layers: n = (depth − 2) / "
            "6.",
        ),
        Mistake(
            "wrong-number-of-blocks",
            counted(lambda n: 6 * n + 2),
            "Each layer has `depth` blocks. With 6n + 2 layers, n = (depth − 2) / 6: 20 gives 3.",
        ),
        Mistake(
            "stride-in-layer1",
            strides((2, 2, 2)),
            "The first layer has stride 2 as well. It keeps 32×32: strides 1, 2, 2.",
        ),
        Mistake(
            "strides-missing",
            strides((1, 1, 1)),
            "No layer shrinks the map. The second and the third have stride 2: 32, 16, 8.",
        ),
        Mistake(
            "wrong-widths",
            widths((64, 128, 256)),
            "The widths are ImageNet's, 64, 128, 256. This network is narrow: 16, 32, 64.",
        ),
        Mistake(
            "wrong-widths",
            widths((16, 16, 16)),
            "All layers have 16 channels. They double wherever the map is halved: 16, 32, 64.",
        ),
        Mistake(
            "wrong-widths",
            widths((32, 64, 128)),
            "The widths are 32, 64, 128. This network is narrower: 16, 32, 64.",
        ),
        Mistake(
            "num-classes-ignored",
            once(_classes(10)),
            "The network always ends in 10 scores. Pass `num_classes` to the linear layer.",
        ),
        Mistake(
            "num-classes-ignored",
            once(_classes(100)),
            "The network always ends in 100 scores. Pass `num_classes` to the linear layer.",
        ),
        *(Mistake(m.name, once(m.edit), m.message) for m in but(head(), "relu-before-linear")),
        *addition(),
        # The blocks' inputs have passed a ReLU here, so one more on the shortcut changes nothing.
        *but(relus(2), "relu-on-shortcut", "relu-on-both-ends", "relu-before-and-after-addition"),
        *batch_norms(2)[:3],
        *named(zero_pad(), "pooled-not-skipped", "skips-the-wrong-pixels", "copies-not-zeros", "cropped-not-skipped"),
        *late_shortcut(2),
        bias(),
        *norms(),
        *activations(),
    )


def _rebuilt(
    p: Program,
    strides: tuple[int, int, int] = (1, 2, 2),
    widths: tuple[int, int, int] = (16, 32, 64),
    blocks: int | None = None,
) -> Program:
    from resnet_edu.checks.networks import cifar_program

    n = blocks if blocks is not None else len(p.blocks) // 3
    sides = next((op["sides"] for op in p.ops if op.kind == "padchannels"), "both")
    return cifar_program(n, p.op("fc")["outs"], f"A {sides}", widths, strides)
