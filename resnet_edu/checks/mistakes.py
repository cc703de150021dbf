"""The known mistakes, as edits of the references, with what to tell the learner.

Each message says what is wrong, why it matters or how to see it, and what to change. None names an
attribute: the learner chose those.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from resnet_edu.checks.blocks import basic_ops, preactivation_ops, projection
from resnet_edu.checks.contract import Edit, Mistake
from resnet_edu.checks.program import NotHereError, Op, Program

_NTH = {1: "first", 2: "second", 3: "third"}
_ACTIVATIONS = {
    "leaky": "a leaky ReLU",
    "leaky0.1": "a leaky ReLU",
    "leaky0.2": "a leaky ReLU",
    "relu6": "ReLU6",
    "gelu": "GELU",
    "silu": "SiLU",
    "elu": "ELU",
    "sigmoid": "a sigmoid",
    "tanh": "tanh",
    "softplus": "softplus",
    "hardswish": "hard-swish",
}


# ---- edits ----------------------------------------------------------------------------------------------------------


def _drop(name: str) -> Edit:
    return lambda p, b: p.drop(b + name)


def _change(name: str, **options: Any) -> Edit:
    return lambda p, b: p.change(b + name, **options)


def _before(name: str, kind: str, index: int = 0, **options: Any) -> Edit:
    """A new operation before the given input of one."""

    def edit(p: Program, b: str) -> Program:
        return p.before(b + name, Op(f"{b}{name}<{kind}{index}{options.get('fn', '')}", kind, (), "", options), index)

    return edit


def _after(name: str, kind: str, **options: Any) -> Edit:
    def edit(p: Program, b: str) -> Program:
        return p.after(b + name, Op(f"{b}{name}>{kind}{options.get('fn', '')}", kind, (), "", options))

    return edit


def _rewire(name: str, index: int, source: str) -> Edit:
    return lambda p, b: p.rewire(b + name, index, b + source)


def _all(*edits: Edit) -> Edit:
    """One after the other, each of them."""

    def edit(p: Program, b: str) -> Program:
        for one in edits:
            p = one(p, b)
        return p

    return edit


def _any(*edits: Edit) -> Edit:
    """One after the other, those that can be made, at least one."""

    def edit(p: Program, b: str) -> Program:
        made = False
        for one in edits:
            try:
                p, made = one(p, b), True
            except NotHereError:
                continue
        if not made:
            raise NotHereError("none of them")
        return p

    return edit


def _every(kind: str, inside: str = "", **options: Any) -> Edit:
    """Other settings for every operation of one kind (in a network, outside its blocks too)."""

    def edit(p: Program, b: str) -> Program:
        names = [op.name for op in p.ops if op.kind == kind and op.name.startswith(b) and inside in op.name]
        if not names:
            raise NotHereError(kind)
        for name in names:
            p = p.change(name, **options)
        return p

    return edit


def _everywhere(kind: str, **options: Any) -> Edit:
    """As _every, once for a whole network."""
    edit = _every(kind, **options)
    return lambda p, b: edit(p, "")


def _swap_order(first: str, second: str) -> Edit:
    """Two unary operations in a row change places; the second keeps its name and settings."""

    def edit(p: Program, b: str) -> Program:
        one, two = p.op(b + first), p.op(b + second)
        if two.inputs[0] != one.name:
            raise NotHereError(second)
        ops = []
        for op in p.ops:
            if op is one:
                ops.append(replace(two, inputs=one.inputs))
            elif op is two:
                ops.append(replace(one, inputs=(two.name,)))
            else:
                ops.append(replace(op, inputs=tuple(one.name if i == two.name else i for i in op.inputs)))
        return Program(tuple(ops), p.blocks)

    return edit


# ---- mistakes that any room can have ---------------------------------------------------------------------------------


def _bias(where: str) -> Mistake:
    return Mistake(
        "conv-bias",
        _everywhere("conv", bias="any"),
        f"{where} a bias. The batch norm behind it subtracts the mean, and any constant with it, so these weights learn "
        "nothing and only cost parameters. Make convolutions before a batch norm with `bias=False`.",
    )


def _norms() -> list[Mistake]:
    return [
        Mistake(
            "batch-norm-always-training",
            _everywhere("bn", mode="train"),
            "In eval mode the batch norm still uses the mean and variance of the batch, so the answer for one image "
            "depends on its neighbours. Let the mode decide: `nn.BatchNorm2d` does so by itself, `F.batch_norm` needs "
            "`training=self.training`.",
        ),
        Mistake(
            "batch-norm-always-eval",
            _everywhere("bn", mode="eval"),
            "In training mode the batch norm still uses its stored mean and variance instead of the batch's own, and "
            "never updates them. Let the mode decide: `nn.BatchNorm2d` does so by itself, `F.batch_norm` needs "
            "`training=self.training`.",
        ),
        Mistake(
            "batch-norm-without-statistics",
            _everywhere("bn", stats=False),
            "The batch norm keeps no running mean and variance, so in eval mode it must use the batch at hand. "
            "Leave out `track_running_stats=False`.",
        ),
        Mistake(
            "batch-norm-without-scale",
            _everywhere("bn", affine=False),
            "The batch norm has no scale and shift to learn. Leave out `affine=False`.",
        ),
        Mistake(
            "batch-norm-eps",
            _everywhere("bn", eps="theirs"),
            "The batch norm's `eps` is not PyTorch's 1e-5, so the outputs differ slightly and published weights would "
            "give other answers. Leave the default.",
        ),
        Mistake(
            "batch-norm-momentum",
            _everywhere("bn", momentum="theirs"),
            "The batch norm's `momentum` is not PyTorch's 0.1. PyTorch weighs the *new* batch with it, other libraries "
            "the old average: their 0.9 is our 0.1. Leave the default.",
        ),
    ]


def _activations(kind: str = "act") -> list[Mistake]:
    def edit(fn: str) -> Edit:
        def change(p: Program, b: str) -> Program:
            names = [op.name for op in p.ops if op.kind == "act" and op["fn"] == "relu"]
            if not names:
                raise NotHereError(fn)
            for name in names:
                p = p.change(name, fn=fn)
            return p

        return change

    return [
        Mistake(
            "other-activation",
            edit(fn),
            f"The activation is {name}, this network uses ReLU: `max(0, x)`. Use `nn.ReLU()` or `torch.relu`.",
        )
        for fn, name in _ACTIVATIONS.items()
    ]


# ---- blocks ----------------------------------------------------------------------------------------------------------


def _addition() -> list[Mistake]:
    return [
        Mistake(
            "shortcut-never-added",
            _drop("add"),
            "The shortcut is never added: what comes out is F(x) alone, a plain block. Keep the input, and add it to "
            "what the convolutions made: `out = out + shortcut`.",
        ),
        Mistake(
            "shortcut-subtracted",
            _change("add", fn="minus"),
            "The shortcut is subtracted, F(x) − x. A residual block adds: F(x) + x.",
        ),
        Mistake(
            "residual-subtracted",
            _change("add", fn="reverse"),
            "The convolutions' output is subtracted from the shortcut, x − F(x). A residual block adds: F(x) + x.",
        ),
        Mistake(
            "shortcut-multiplied",
            _change("add", fn="times"),
            "The shortcut is multiplied with F(x). A residual block adds: F(x) + x.",
        ),
        Mistake(
            "shortcut-averaged",
            _change("add", fn="mean"),
            "You take the mean of F(x) and the shortcut. A residual block takes the sum, nothing is halved.",
        ),
        Mistake(
            "shortcut-twice",
            _change("add", fn="twice"),
            "The shortcut is added twice, F(x) + 2x. Once is enough: look for a `+=` and a `+` that both do it.",
        ),
        Mistake(
            "residual-twice",
            _change("add", fn="first-twice"),
            "F(x) is added twice, 2·F(x) + x. Once is enough: look for a `+=` and a `+` that both do it, or an "
            "addition to itself.",
        ),
        Mistake(
            "maximum-not-sum",
            _change("add", fn="max"),
            "You take the larger of F(x) and the shortcut at each place. A residual block takes their sum.",
        ),
        Mistake(
            "residual-dropped",
            _change("add", fn="second-only"),
            "What comes out is the shortcut alone: the convolutions' output is computed and then lost. "
            "Add the two: F(x) + x.",
        ),
        Mistake(
            "concatenated-not-added",
            _change("add", fn="concat"),
            "The shortcut is concatenated, so the channels double. A residual block adds number to number: "
            "`out + shortcut`, same shape as before.",
        ),
        Mistake(
            "shortcut-detached",
            _before("add", "act", 1, fn="detach"),
            "The numbers are right, but no gradient flows back through the shortcut, which is what it is for. Take out "
            "`.detach()`, `.data` or `torch.no_grad()` around it.",
        ),
        Mistake(
            "residual-detached",
            _before("add", "act", 0, fn="detach"),
            "The numbers are right, but no gradient reaches the convolutions, so they never learn. Take out "
            "`.detach()`, `.data` or `torch.no_grad()`.",
        ),
    ]


def _relus(convs: int) -> list[Mistake]:
    last = f"bn{convs}"
    found = [
        Mistake(
            "relu-before-addition",
            _all(_before("add", "act", 0, fn="relu"), _drop("out")),
            "The last ReLU runs before the addition. Then F(x) can never be negative, and the block can only add. "
            f"Add the shortcut to the output of the {_NTH[convs]} batch norm first, and apply the ReLU to the sum.",
        ),
        Mistake(
            "relu-on-both-ends",
            _all(_before("add", "act", 0, fn="relu"), _before("add", "act", 1, fn="relu"), _drop("out")),
            "Both ends pass a ReLU before the addition. Add first, and apply one ReLU to the sum.",
        ),
        Mistake(
            "final-relu-missing",
            _drop("out"),
            "The ReLU after the addition is missing. Apply it to the sum, as the last thing the block does.",
        ),
        Mistake(
            "relu-before-and-after-addition",
            _before("add", "act", 0, fn="relu"),
            f"There is one ReLU too many: between the {_NTH[convs]} batch norm and the addition. F(x) must be free to "
            "be negative, so only the sum passes a ReLU.",
        ),
        Mistake(
            "relu-on-shortcut",
            _before("add", "act", 1, fn="relu"),
            "The shortcut passes a ReLU of its own before the addition. It should arrive unchanged (or only projected): "
            "add it as it is, and apply the ReLU to the sum.",
        ),
    ]
    for number in range(1, convs):
        found.append(
            Mistake(
                f"{_NTH[number]}-relu-missing",
                _drop(f"relu{number}"),
                f"There is no ReLU between the {_NTH[number]} batch norm and the {_NTH[number + 1]} convolution. Without "
                "it two convolutions in a row collapse into a single linear step. Put one there.",
            )
        )
    if convs == 3:
        found.append(
            Mistake(
                "inner-relus-missing",
                _all(_drop("relu1"), _drop("relu2")),
                "There is no ReLU between the convolutions. Without them the three collapse into a single linear step. "
                "Put one after the first and one after the second batch norm.",
            )
        )
    found += [
        Mistake(
            "relu-before-batch-norm",
            _any(*(_swap_order(f"bn{n}", f"relu{n}") for n in range(1, convs))),
            "The ReLU runs before the batch norm. The order is convolution, batch norm, ReLU: the norm needs to see the "
            "negative half too.",
        ),
        Mistake(
            "all-relus-missing",
            _all(*(_drop(f"relu{n}") for n in range(1, convs)), _drop("out")),
            "There is no ReLU at all, so the block is a linear map, however many convolutions it has. Put one after "
            "each batch norm but the last, and one after the addition.",
        ),
        Mistake(
            "batch-norm-after-addition",
            _batch_norm_after_addition(last),
            f"The {_NTH[convs]} batch norm comes after the addition, so it rescales the shortcut too. Normalize F(x), "
            "then add the untouched shortcut.",
        ),
    ]
    return found


def _batch_norm_after_addition(last: str) -> Edit:
    def edit(p: Program, b: str) -> Program:
        norm = p.op(b + last)
        return p.drop(b + last).after(b + "add", norm)

    return edit


def _batch_norms(convs: int) -> list[Mistake]:
    found = [
        Mistake(
            f"{_NTH[number]}-batch-norm-missing",
            _drop(f"bn{number}"),
            f"There is no batch norm after the {_NTH[number]} convolution. Every convolution is followed by one.",
        )
        for number in range(1, convs + 1)
    ]
    everything = _any(*(_drop(f"bn{n}") for n in range(1, convs + 1)), _drop("projbn"))
    found += [
        Mistake(
            "batch-norms-missing",
            everything,
            "There is no batch norm. Every convolution of the block is followed by one.",
        ),
        Mistake(
            "batch-norm-shared",
            _any(*(_share(f"bn{n}", "bn1") for n in range(2, convs + 1))),
            "One batch norm is used in several places. Each convolution's output has its own mean and variance, and "
            "needs a batch norm of its own.",
        ),
        Mistake(
            "batch-norm-shared",
            _share("projbn", f"bn{convs}"),
            "One batch norm is used in both ends of the addition. Each convolution's output has its own mean and "
            "variance, and needs a batch norm of its own.",
        ),
    ]
    return found


def _share(name: str, other: str) -> Edit:
    def edit(p: Program, b: str) -> Program:
        one, two = p.op(b + name), p.op(b + other)
        options = dict(two.options, slot=two.get("slot", two.name))
        if one.kind == "conv":
            options = dict(options, stride=one["stride"], padding=one["padding"])
        return p.swap(b + name, replace(one, options=options))

    return edit


def _call_again(name: str, other: str) -> Edit:
    """The other one once more, with its own stride and padding."""

    def edit(p: Program, b: str) -> Program:
        one, two = p.op(b + name), p.op(b + other)
        if two["stride"] == 1 and two["ins"] == two["outs"]:
            raise NotHereError("the same as sharing the weights")
        return p.swap(b + name, replace(one, options=dict(two.options, slot=two.get("slot", two.name))))

    def everywhere(p: Program, b: str) -> Program:
        try:
            return edit(p, b)
        except NotHereError:
            return _share(name, other)(p, b)

    return everywhere


def _convolutions(convs: int) -> list[Mistake]:
    """What can be wrong with the convolutions of the main path."""
    threes = [n for n in range(1, convs + 1) if convs == 2 or n == 2]
    found = []
    for n in threes:
        which = f"the {_NTH[n]} convolution" if len(threes) > 1 else "the 3×3 convolution"
        found.append(
            Mistake(
                "padding-missing",
                _change(f"conv{n}", padding=0),
                f"{which[0].upper()}{which[1:]} has no padding, so a 3×3 kernel takes two pixels from each side's length and the "
                "two ends of the addition cannot match. Give it `padding=1`: (H + 2·1 − 3)/1 + 1 = H.",
            )
        )
    if len(threes) > 1:
        found.append(
            Mistake(
                "padding-missing",
                _all(*(_change(f"conv{n}", padding=0) for n in threes)),
                "The 3×3 convolutions have no padding, so each takes two pixels from the height and the width, and the "
                "two ends of the addition cannot match. Give both `padding=1`: (H + 2·1 − 3)/1 + 1 = H.",
            )
        )
    found += [
        Mistake(
            "wrong-kernel-size",
            _change(f"conv{n}", kernel=kernel, padding=kernel // 2),
            f"The {_NTH[n]} convolution has a {kernel}×{kernel} kernel, this block uses 3×3 there.",
        )
        for n in threes
        for kernel in (1, 5, 7)
    ]
    if len(threes) > 1:
        found += [
            Mistake(
                "wrong-kernel-size",
                _all(*(_change(f"conv{n}", kernel=kernel, padding=kernel // 2) for n in threes)),
                f"The convolutions have {kernel}×{kernel} kernels, this block uses 3×3.",
            )
            for kernel in (1, 5, 7)
        ]
    found += [
        *(
            Mistake(
                "convolution-shared",
                edit,
                "The same convolution is used twice, so both steps share one set of weights. Make two convolutions, and "
                "call each once.",
            )
            for edit in (_share("conv2", "conv1"), _call_again("conv2", "conv1"))
        ),
        *(
            Mistake(
                "padding-not-zero",
                _any(*(_change(f"conv{n}", padding_mode=mode) for n in threes)),
                "The border is not padded with zeros: `padding_mode` is set. Leave the default.",
            )
            for mode in ("reflect", "replicate", "circular")
        ),
        Mistake(
            "dilated-convolution",
            _all(*(_change(f"conv{n}", dilation=2, padding=2) for n in threes)),
            "The 3×3 convolutions are dilated: their nine weights reach over 5×5 pixels. Leave out `dilation`.",
        ),
        *(
            Mistake(
                "dilated-convolution",
                _change(f"conv{n}", dilation=2, padding=2),
                f"The {_NTH[n]} convolution is dilated: its nine weights reach over 5×5 pixels. Leave out `dilation`.",
            )
            for n in threes
            if len(threes) > 1
        ),
        Mistake(
            "grouped-convolution",
            _depthwise(f"conv{convs if convs == 2 else 2}"),
            "A 3×3 convolution is split into groups, each channel for itself. Leave out `groups`: every filter looks at "
            "all channels.",
        ),
        Mistake(
            f"{_NTH[2]}-convolution-missing",
            _all(_drop("conv2"), _drop("bn2"), _drop(f"relu{convs - 1}") if convs == 3 else _drop("relu1")),
            f"The {_NTH[2]} convolution with its batch norm is missing: this block has {'two' if convs == 2 else 'three'}.",
        ),
    ]
    return found


def _depthwise(name: str) -> Edit:
    def edit(p: Program, b: str) -> Program:
        op = p.op(b + name)
        if op["ins"] != op["outs"]:
            raise NotHereError(name)
        return p.change(b + name, groups=op["ins"])

    return edit


def _strides(convs: int) -> list[Mistake]:
    """What can be wrong with the stride of a block."""

    def moved(target: str) -> Edit:
        def edit(p: Program, b: str) -> Program:
            strided, stride = _strided(p, b, convs)
            if strided == b + target:
                raise NotHereError(target)
            return p.change(strided, stride=1).change(b + target, stride=stride)

        return edit

    def doubled(*targets: str) -> Edit:
        def edit(p: Program, b: str) -> Program:
            _, stride = _strided(p, b, convs)
            for target in targets:
                p = p.change(b + target, stride=stride)
            return p

        return edit

    def ignored(p: Program, b: str) -> Program:
        strided, _ = _strided(p, b, convs)
        return p.change(strided, stride=1)

    def ignored_everywhere(p: Program, b: str) -> Program:
        p = ignored(p, b)
        return p.change(b + "proj", stride=1) if p.has(b + "proj") else p

    last = f"conv{convs}"
    found = [
        Mistake(
            "stride-in-both-convolutions",
            doubled("conv1", "conv2"),
            "Two convolutions have the stride, so the map shrinks twice while the shortcut shrinks once. Only one of "
            "them takes `stride`, the others keep 1.",
        ),
        Mistake(
            "stride-ignored",
            ignored_everywhere,
            "The stride is ignored: the map keeps its size. Pass `stride` to "
            + ("the first convolution" if convs == 2 else "the 3×3 convolution")
            + ", and to the projection in the shortcut.",
        ),
        Mistake(
            "stride-ignored",
            _all(ignored_everywhere, _same_channels(_identity)),
            "The stride is ignored: the map keeps its size. Pass `stride` to "
            + ("the first convolution" if convs == 2 else "the 3×3 convolution")
            + ", and to the projection in the shortcut.",
        ),
        Mistake(
            "stride-missing-in-main-path",
            ignored,
            "The shortcut shrinks the map but the convolutions do not, so the two ends of the addition differ. "
            "Pass `stride` to "
            + ("the first convolution." if convs == 2 else "the 3×3 convolution."),
        ),
    ]
    if convs == 2:
        found.insert(
            0,
            Mistake(
                "stride-in-second-convolution",
                moved("conv2"),
                "The stride sits in the second convolution. It belongs to the first, so that everything after it works "
                "on the smaller map.",
            ),
        )
    else:
        found.insert(
            0,
            Mistake(
                "stride-in-last-convolution",
                moved(last),
                "The stride sits in the last 1×1 convolution, which throws three pixels of four away after all the "
                "work on them. It belongs to the 3×3 (or, as in the paper, to the first 1×1).",
            ),
        )
    return found


def _strided(p: Program, b: str, convs: int) -> tuple[str, int]:
    for n in range(1, convs + 1):
        if p.has(f"{b}conv{n}") and p.op(f"{b}conv{n}")["stride"] != 1:
            return f"{b}conv{n}", p.op(f"{b}conv{n}")["stride"]
    raise NotHereError("stride")


def _identity(p: Program, b: str) -> Program:
    """The bare input as the shortcut."""
    if not p.has(b + "proj"):
        raise NotHereError("proj")
    return p.rewire(b + "add", 1, p.op(b + "proj").inputs[0]).without(b + "proj", b + "projbn")


def _same_channels(edit: Edit) -> Edit:
    def only(p: Program, b: str) -> Program:
        op = p.op(b + "proj")
        return edit(p, b) if op["ins"] == op["outs"] else p

    return only


def _projections(convs: int) -> list[Mistake]:
    """What can be wrong with a projection shortcut."""

    def only_if(keep: Any) -> Edit:
        def edit(p: Program, b: str) -> Program:
            op = p.op(b + "proj")
            if keep(op, p, b):
                raise NotHereError("kept")
            return _identity(p, b)

        return edit

    def everywhere(p: Program, b: str) -> Program:
        if p.has(b + "proj") or p.has(b + "zeros"):
            raise NotHereError("there already")
        source = p.op(b + "add").inputs[1]
        ins, outs = p.op(b + "conv1")["ins"], p.op(f"{b}conv{convs}")["outs"]
        ops = projection(b, source, ins, outs, 1)
        place = [op.name for op in p.ops].index(b + "add")
        return Program((*p.ops[:place], *ops, *p.ops[place:]), p.blocks).rewire(b + "add", 1, b + "projbn")

    def pooled(kind: str) -> Edit:
        def edit(p: Program, b: str) -> Program:
            stride = p.op(b + "proj")["stride"]
            if stride == 1:
                raise NotHereError("stride")
            p = p.change(b + "proj", stride=1)
            return _before("proj", kind, kernel=stride, stride=stride)(p, b)

        return edit

    found = [
        Mistake(
            "projection-without-batch-norm",
            _drop("projbn"),
            "The projection has no batch norm. Its 1×1 convolution is followed by one, like every other convolution of "
            "the network, so that both ends of the addition arrive at the same scale.",
        ),
        Mistake(
            "projection-with-relu",
            _after("projbn", "act", fn="relu"),
            "The projection ends in a ReLU. It is a 1×1 convolution and a batch norm, nothing else: add its output as "
            "it is, and apply the ReLU to the sum.",
        ),
        Mistake(
            "projection-without-stride",
            _change("proj", stride=1),
            "The projection does not shrink the map as the convolutions do, so the two ends of the addition differ. "
            "Give its 1×1 convolution the same `stride`.",
        ),
        Mistake(
            "projection-3x3",
            _change("proj", kernel=3, padding=1),
            "The projection has a 3×3 kernel. It is a 1×1 convolution: it matches channels and skips pixels, and costs "
            "a ninth.",
        ),
        Mistake(
            "projection-padded",
            _change("proj", padding=1),
            "The projection's 1×1 convolution has padding, so it makes a border of zeros and the two ends of the "
            "addition differ. A 1×1 kernel needs `padding=0`.",
        ),
        Mistake(
            "projection-after-pooling",
            _any(pooled("avgpool")),
            "The shortcut pools first and projects then. That is a later variant (ResNet-D); here the projection itself "
            "takes the stride.",
        ),
        Mistake(
            "projection-after-pooling",
            _any(pooled("maxpool")),
            "The shortcut pools first and projects then. Here the projection itself takes the stride, nothing is pooled.",
        ),
        Mistake(
            "projection-missing",
            only_if(lambda op, p, b: False),
            "The input is added as it is, although its shape is not that of the convolutions' output. Where the stride is "
            "not 1 or the channels differ, bring it to the same shape: a 1×1 convolution with the same stride, and a "
            "batch norm.",
        ),
        Mistake(
            "projection-of-residual",
            _any(_rewire("proj", 0, f"relu{convs - 1}")),
            "The projection is applied to what the convolutions made, not to the block's input. Keep the input before "
            "the first convolution, and project that.",
        ),
    ]
    found += [
        Mistake(
            "projection-only-for-stride",
            only_if(lambda op, p, b: op["stride"] != 1),
            "The shortcut is projected only where the stride is not 1. With stride 1 and another number of channels "
            "the two ends do not match either: test `stride != 1 or in_channels != out_channels`, the channels being "
            "those that leave the block.",
        ),
        Mistake(
            "projection-only-for-channels",
            only_if(lambda op, p, b: op["ins"] != op["outs"]),
            "The shortcut is projected only where the channels differ. With stride 2 and equal channels the sizes do "
            "not match either: test `stride != 1 or in_channels != out_channels`.",
        ),
        Mistake(
            "projection-always",
            everywhere,
            "The shortcut is projected even where the shapes match. There it must be the identity: nothing to learn, "
            "nothing in the gradient's way. Project only where the stride is not 1 or the channels differ.",
        ),
    ]
    return found


def _late_shortcut(convs: int) -> list[Mistake]:
    """The shortcut leaves from somewhere behind the block's input."""

    def from_(source: str) -> Edit:
        def edit(p: Program, b: str) -> Program:
            name, index = (b + "proj", 0) if p.has(b + "proj") else (b + "add", 1)
            return p.rewire(name, index, b + source)

        return edit

    message = (
        "The shortcut does not start at the block's input but behind the first {}. Keep the input before anything "
        "happens to it, `shortcut = x` as the first line, and add that."
    )
    return [
        Mistake("shortcut-starts-late", from_("relu1"), message.format("ReLU")),
        Mistake("shortcut-starts-late", from_("bn1"), message.format("batch norm")),
        Mistake("shortcut-starts-late", from_("conv1"), message.format("convolution")),
    ]


def _preactivated() -> list[Mistake]:
    def edit(p: Program, b: str) -> Program:
        if b:
            raise NotHereError("only in a block alone")
        conv = p.op("conv1")
        stride = conv["stride"] * p.op("conv2")["stride"]
        return Program(tuple(preactivation_ops(conv["ins"], p.op("conv2")["outs"], stride)))

    return [
        Mistake(
            "pre-activation-order",
            edit,
            "Batch norm and ReLU come before each convolution. That is the later pre-activation block (He et al. 2016). "
            "Here the order is convolution, batch norm, ReLU, and the last ReLU follows the addition.",
        )
    ]


def _but(mistakes: Iterable[Mistake], *names: str) -> list[Mistake]:
    """Those of other names: elsewhere they are the same as another one, or no mistake."""
    return [mistake for mistake in mistakes if mistake.name not in names]


def identity_block() -> tuple[Mistake, ...]:
    """The mistakes of a block that keeps the shape."""
    strides = {mistake.name for mistake in _strides(2)}
    always = [mistake for mistake in _projections(2) if mistake.name == "projection-always"]
    rest = [m for m in basic_block() if m.name not in strides and not m.name.startswith("projection")]
    return (*rest, *always)


def projection_block() -> tuple[Mistake, ...]:
    """The mistakes of a block that always projects."""
    sometimes = ("projection-only-for-stride", "projection-only-for-channels", "projection-always")
    same = ("relu-on-shortcut", "projection-of-residual", "pre-activation-order")
    return tuple(_but(basic_block(), *sometimes, *same))


def basic_block() -> tuple[Mistake, ...]:
    """The mistakes of a block with two convolutions."""
    return (
        *_addition(),
        *_relus(2),
        *_batch_norms(2),
        *_strides(2),
        *_projections(2),
        *_late_shortcut(2),
        *_convolutions(2),
        _bias("The convolutions have"),
        *_norms(),
        *_activations(),
        *_preactivated(),
    )


def bottleneck() -> tuple[Mistake, ...]:
    """The mistakes of a block with three convolutions."""

    def no_expansion(p: Program, b: str) -> Program:
        width = p.op(b + "conv1")["outs"]
        p = p.change(b + "conv3", outs=width).change(b + "bn3", channels=width)
        if p.has(b + "proj"):
            p = p.change(b + "proj", outs=width).change(b + "projbn", channels=width)
        return p

    def channels_are_output(p: Program, b: str) -> Program:
        outs = p.op(b + "conv1")["outs"]
        width = max(1, outs // 4)
        p = p.change(b + "conv1", outs=width).change(b + "bn1", channels=width)
        p = p.change(b + "conv2", ins=width, outs=width).change(b + "bn2", channels=width)
        p = p.change(b + "conv3", ins=width, outs=outs).change(b + "bn3", channels=outs)
        if p.has(b + "proj"):
            p = p.change(b + "proj", outs=outs).change(b + "projbn", channels=outs)
        return p

    def by_width(p: Program, b: str) -> Program:
        op = p.op(b + "proj")
        width = p.op(b + "conv1")["outs"]
        if op["stride"] != 1 or op["ins"] != width:
            raise NotHereError("kept")
        return _identity(p, b)

    def wide_middle(p: Program, b: str) -> Program:
        outs = p.op(b + "conv3")["outs"]
        p = p.change(b + "conv2", outs=outs).change(b + "bn2", channels=outs)
        return p.change(b + "conv3", ins=outs)

    return (
        *_addition(),
        *_relus(3),
        *_batch_norms(3),
        *_strides(3),
        Mistake(
            "expansion-missing",
            no_expansion,
            "The block ends with `channels` channels. A bottleneck widens again: the last 1×1 convolution, its batch "
            "norm and the shortcut make `4 * channels`.",
        ),
        Mistake(
            "channels-taken-as-output",
            channels_are_output,
            "You take `channels` for the number of channels that leave the block, and squeeze to a quarter of it. It is "
            "the width inside: squeeze to `channels`, and widen to `4 * channels`.",
        ),
        Mistake(
            "widened-too-early",
            wide_middle,
            "The 3×3 convolution already widens to four times the channels, where it costs most. Keep it narrow, and "
            "let the last 1×1 widen.",
        ),
        *_projections(3),
        *_late_shortcut(3),
        *_convolutions(3),
        _bias("The convolutions have"),
        *_norms(),
        *_activations(),
    )


def preactivation() -> tuple[Mistake, ...]:
    """The mistakes of the pre-activation block."""

    def post(p: Program, b: str) -> Program:
        conv = p.op("conv1")
        return Program(tuple(basic_ops("", "x", conv["ins"], conv["outs"], conv["stride"])))

    def shortcut_from_activated(p: Program, b: str) -> Program:
        if p.has("proj"):
            raise NotHereError("proj")
        return p.rewire("add", 1, "relu1")

    def raw(p: Program, b: str) -> Program:
        return p.rewire("proj", 0, "x")

    def projected_norm(p: Program, b: str) -> Program:
        return p.after("proj", Op("projbn", "bn", (), "", {"channels": p.op("proj")["outs"]}))

    def after_first_norm(p: Program, b: str) -> Program:
        return p.rewire("proj", 0, "bn1")

    def only_if(keep: Any) -> Edit:
        def edit(p: Program, b: str) -> Program:
            if keep(p.op("proj")):
                raise NotHereError("kept")
            return p.rewire("add", 1, "x").without("proj")

        return edit

    def everywhere(p: Program, b: str) -> Program:
        if p.has("proj"):
            raise NotHereError("there already")
        conv1 = p.op("conv1")
        new = Op("proj", "conv", ("relu1",), "", {**conv1.options, "kernel": 1, "padding": 0}, True)
        place = [op.name for op in p.ops].index("add")
        return Program((*p.ops[:place], new, *p.ops[place:])).rewire("add", 1, "proj")

    def moved(p: Program, b: str) -> Program:
        stride = p.op("conv1")["stride"]
        if stride == 1:
            raise NotHereError("stride")
        return p.change("conv1", stride=1).change("conv2", stride=stride)

    def twice(p: Program, b: str) -> Program:
        if p.op("conv1")["stride"] == 1:
            raise NotHereError("stride")
        return p.change("conv2", stride=p.op("conv1")["stride"])

    def ignored(p: Program, b: str) -> Program:
        if p.op("conv1")["stride"] == 1:
            raise NotHereError("stride")
        p = p.change("conv1", stride=1)
        return p.change("proj", stride=1) if p.has("proj") else p

    def main_ignored(p: Program, b: str) -> Program:
        if p.op("conv1")["stride"] == 1:
            raise NotHereError("stride")
        return p.change("conv1", stride=1)

    return (
        *_addition(),
        Mistake(
            "relu-after-addition",
            _after("add", "act", fn="relu"),
            "There is a ReLU after the addition. In the pre-activation block nothing follows it: the sum goes on "
            "unchanged, so that the way around all blocks stays free.",
        ),
        Mistake(
            "post-activation-order",
            post,
            "This is the original block: convolution, batch norm, ReLU. In the pre-activation block each convolution is "
            "preceded by its batch norm and ReLU, and nothing follows the addition.",
        ),
        Mistake(
            "first-relu-missing",
            _drop("relu1"),
            "There is no ReLU between the first batch norm and the first convolution. The order is batch norm, ReLU, "
            "convolution, twice.",
        ),
        Mistake(
            "second-relu-missing",
            _drop("relu2"),
            "There is no ReLU between the second batch norm and the second convolution. The order is batch norm, ReLU, "
            "convolution, twice.",
        ),
        Mistake(
            "all-relus-missing",
            _all(_drop("relu1"), _drop("relu2")),
            "There is no ReLU at all. The order is batch norm, ReLU, convolution, twice.",
        ),
        Mistake(
            "first-batch-norm-missing",
            _drop("bn1"),
            "There is no batch norm before the first convolution. The order is batch norm, ReLU, convolution, twice.",
        ),
        Mistake(
            "second-batch-norm-missing",
            _drop("bn2"),
            "There is no batch norm before the second convolution. The order is batch norm, ReLU, convolution, twice.",
        ),
        Mistake(
            "batch-norms-missing",
            _all(_drop("bn1"), _drop("bn2")),
            "There is no batch norm. The order is batch norm, ReLU, convolution, twice.",
        ),
        Mistake(
            "relu-before-batch-norm",
            _any(_swap_order("bn1", "relu1"), _swap_order("bn2", "relu2")),
            "The ReLU runs before the batch norm. The order is batch norm, ReLU, convolution, twice.",
        ),
        Mistake(
            "identity-of-activated-input",
            shortcut_from_activated,
            "Where the shapes match, the shortcut carries the normalized and rectified input. It must be the bare input: "
            "that free way is what the block is for. Only a projection takes the pre-activated input.",
        ),
        Mistake(
            "projection-of-raw-input",
            raw,
            "The projection is applied to the bare input. In the original it takes the pre-activated one: batch norm "
            "and ReLU run first, and both the first convolution and the projection work on their result.",
        ),
        Mistake(
            "projection-of-raw-input",
            after_first_norm,
            "The projection takes the input after the batch norm but before the ReLU. It shares the pre-activated input "
            "with the first convolution: after both.",
        ),
        Mistake(
            "projection-with-batch-norm",
            projected_norm,
            "The projection is followed by a batch norm. In this block it is a bare 1×1 convolution: the next block "
            "normalizes.",
        ),
        Mistake(
            "projection-without-stride",
            _change("proj", stride=1),
            "The projection does not shrink the map as the convolutions do. Give its 1×1 convolution the same `stride`.",
        ),
        Mistake(
            "projection-3x3",
            _change("proj", kernel=3, padding=1),
            "The projection has a 3×3 kernel. It is a 1×1 convolution.",
        ),
        Mistake(
            "projection-missing",
            only_if(lambda op: False),
            "The input is added as it is, although its shape is not that of the convolutions' output. Where the stride "
            "is not 1 or the channels differ, project it with a 1×1 convolution of the same stride.",
        ),
        Mistake(
            "projection-only-for-stride",
            only_if(lambda op: op["stride"] != 1),
            "The shortcut is projected only where the stride is not 1. With stride 1 and another number of channels the "
            "two ends do not match either: test `stride != 1 or in_channels != out_channels`.",
        ),
        Mistake(
            "projection-only-for-channels",
            only_if(lambda op: op["ins"] != op["outs"]),
            "The shortcut is projected only where the channels differ. With stride 2 and equal channels the sizes do not "
            "match either: test `stride != 1 or in_channels != out_channels`.",
        ),
        Mistake(
            "projection-always",
            everywhere,
            "The shortcut is projected even where the shapes match. There it must be the bare input.",
        ),
        Mistake(
            "stride-in-second-convolution",
            moved,
            "The stride sits in the second convolution. It belongs to the first.",
        ),
        Mistake(
            "stride-in-both-convolutions",
            twice,
            "Both convolutions have the stride, so the map shrinks twice while the shortcut shrinks once. Only the first "
            "takes `stride`.",
        ),
        Mistake(
            "stride-ignored",
            ignored,
            "The stride is ignored: the map keeps its size. Pass `stride` to the first convolution and to the projection.",
        ),
        Mistake(
            "stride-missing-in-main-path",
            main_ignored,
            "The shortcut shrinks the map but the convolutions do not, so the two ends of the addition differ. Pass "
            "`stride` to the first convolution.",
        ),
        *_convolutions(2)[:3],
        Mistake(
            "convolution-shared",
            _share("conv2", "conv1"),
            "The same convolution is used twice, so both steps share one set of weights. Make two.",
        ),
        Mistake(
            "batch-norm-shared",
            _share("bn2", "bn1"),
            "One batch norm is used twice. Each place has its own mean and variance, and needs a batch norm of its own.",
        ),
        _bias("The convolutions have"),
        *_norms(),
        *_activations(),
    )


# ---- stem, head, option A --------------------------------------------------------------------------------------------


def stem(pool: str = "pool") -> tuple[Mistake, ...]:
    """The mistakes of ImageNet's stem."""
    return (
        Mistake(
            "padding-missing",
            _change("conv1", padding=0),
            "The 7×7 convolution has no padding, so the border is lost: ⌊(224 + 2·0 − 7)/2⌋ + 1 = 109. Give it "
            "`padding=3`, which makes 112.",
        ),
        *(
            Mistake(
                "wrong-padding",
                _change("conv1", padding=padding),
                f"The 7×7 convolution has `padding={padding}`. With 3 every second pixel is a centre: "
                "⌊(224 + 2·3 − 7)/2⌋ + 1 = 112.",
            )
            for padding in (1, 2, 4)
        ),
        *(
            Mistake(
                "wrong-kernel-size",
                _change("conv1", kernel=kernel, padding=padding),
                f"The stem's convolution has a {kernel}×{kernel} kernel. It is 7×7, the only large one in the network.",
            )
            for kernel, padding in ((3, 1), (3, 3), (5, 2), (5, 3), (11, 5))
        ),
        Mistake(
            "stride-missing",
            _change("conv1", stride=1),
            "The convolution has stride 1, so the map stays twice as large as it should be. Give it `stride=2`.",
        ),
        Mistake(
            "pool-missing",
            _drop(pool),
            "The max-pool is missing: the stem ends at half the image's size, and should end at a quarter. Add "
            "`nn.MaxPool2d(kernel_size=3, stride=2, padding=1)`.",
        ),
        Mistake(
            "pool-padding-missing",
            _change(pool, padding=0),
            "The max-pool has no padding: ⌊(112 + 2·0 − 3)/2⌋ + 1 = 55. Give it `padding=1`, which makes 56.",
        ),
        Mistake(
            "pool-kernel-2",
            _change(pool, kernel=2, padding=0),
            "The max-pool has a 2×2 kernel. It is 3×3 with stride 2 and padding 1, so that neighbours overlap.",
        ),
        Mistake(
            "pool-stride-missing",
            _change(pool, stride=1),
            "The max-pool has stride 1, so it does not shrink the map. Give it `stride=2`.",
        ),
        Mistake(
            "pool-stride-is-kernel",
            _change(pool, stride=3),
            "The max-pool has stride 3: without `stride`, PyTorch takes the kernel's size. Give it `stride=2`.",
        ),
        Mistake(
            "pool-stride-is-kernel",
            _change(pool, stride=3, padding=0),
            "The max-pool has stride 3 and no padding: without `stride`, PyTorch takes the kernel's size. Give it "
            "`stride=2, padding=1`.",
        ),
        Mistake(
            "pool-rounds-up",
            _change(pool, padding=0, ceil=True),
            "The max-pool rounds sizes up in place of padding. Leave out `ceil_mode` and give it `padding=1`.",
        ),
        Mistake(
            "average-pool",
            lambda p, b: p.swap(pool, replace(p.op(pool), kind="avgpool")),
            "The pool takes the mean, here it takes the largest: `nn.MaxPool2d`.",
        ),
        Mistake(
            "relu-missing",
            _drop("relu"),
            "There is no ReLU after the batch norm. The order is convolution, batch norm, ReLU, max-pool.",
        ),
        Mistake(
            "batch-norm-missing",
            _drop("bn1"),
            "There is no batch norm after the convolution. The order is convolution, batch norm, ReLU, max-pool.",
        ),
        Mistake(
            "relu-before-batch-norm",
            _swap_order("bn1", "relu"),
            "The ReLU runs before the batch norm. The order is convolution, batch norm, ReLU, max-pool.",
        ),
        Mistake(
            "pool-before-batch-norm",
            _all(_swap_order("relu", pool), _swap_order("bn1", pool)),
            "The max-pool runs before the batch norm. With a negative scale the norm would turn the largest into the "
            "smallest, so the order matters: convolution, batch norm, ReLU, max-pool.",
        ),
        Mistake(
            "wrong-width",
            _stem_width(32),
            "The convolution makes 32 channels, the stem ends with 64.",
        ),
        _bias("The convolution has"),
        *_norms(),
        *_activations(),
    )


def _stem_width(width: int) -> Edit:
    return lambda p, b: p.change("conv1", outs=width).change("bn1", channels=width)


def head(prefix: str = "") -> tuple[Mistake, ...]:
    """The mistakes of the head."""
    return (
        Mistake(
            "max-not-average",
            _change("pool", fn="max"),
            "The largest value of each channel is taken, the head takes the average: `nn.AdaptiveAvgPool2d(1)` or "
            "`x.mean((2, 3))`.",
        ),
        Mistake(
            "sum-not-average",
            _change("pool", fn="sum"),
            "The map is summed and not averaged, so a larger image gives larger scores. Take the mean over height and "
            "width.",
        ),
        Mistake(
            "softmax-inside",
            _after("fc", "act", fn="softmax"),
            "The head ends in a softmax. It should return plain scores: `nn.CrossEntropyLoss` contains the softmax, in a "
            "stabler form, and a second one flattens the gradients. Take it out.",
        ),
        Mistake(
            "softmax-over-batch",
            _after("fc", "act", fn="softmax0"),
            "The head ends in a softmax over the batch, so images compete with each other. It should return plain "
            "scores: take it out.",
        ),
        Mistake(
            "log-softmax-inside",
            _after("fc", "act", fn="log-softmax"),
            "The head ends in a log-softmax. It should return plain scores: `nn.CrossEntropyLoss` contains it. "
            "Take it out.",
        ),
        Mistake(
            "sigmoid-at-end",
            _after("fc", "act", fn="sigmoid"),
            "The head ends in a sigmoid. It should return plain scores. Take it out.",
        ),
        Mistake(
            "argmax-at-end",
            _after("fc", "act", fn="argmax"),
            "The head returns the number of the best class. Choosing has no gradient: return all the scores, and let the "
            "caller choose.",
        ),
        Mistake(
            "relu-at-end",
            _after("fc", "act", fn="relu"),
            "The scores pass a ReLU, so none can be negative. Return what the linear layer makes.",
        ),
        Mistake(
            "relu-before-linear",
            _before("fc", "act", fn="relu"),
            "There is a ReLU before the linear layer. The last block has had its own: average, flatten, linear.",
        ),
        Mistake(
            "linear-without-bias",
            _change("fc", bias=False),
            "The linear layer has no bias. No batch norm follows here that could replace it: leave out `bias=False`.",
        ),
        Mistake(
            "pool-missing",
            _drop("pool"),
            "There is no average over the map: flattening gives channels × height × width features, too many for the "
            "linear layer. Average each channel first, `nn.AdaptiveAvgPool2d(1)`.",
        ),
        Mistake(
            "pool-over-height-only",
            _change("pool", dims=(2,)),
            "Only the height is averaged. Take the mean over both, `x.mean((2, 3))`.",
        ),
        Mistake(
            "pool-over-width-only",
            _change("pool", dims=(3,)),
            "Only the width is averaged. Take the mean over both, `x.mean((2, 3))`.",
        ),
        Mistake(
            "pool-over-channels",
            _all(_change("pool", dims=(1,))),
            "The mean is taken over the channels. Average over height and width, dimensions 2 and 3, and keep the "
            "channels.",
        ),
        Mistake(
            "fixed-pool-size",
            lambda p, b: p.swap("pool", Op("pool", "avgpool", p.op("pool").inputs, "", {"kernel": 7, "stride": 7})),
            "The pool has a fixed 7×7 window, so only images of one size work. Average over whatever size arrives: "
            "`nn.AdaptiveAvgPool2d(1)`.",
        ),
        Mistake(
            "flatten-over-batch",
            _change("flatten", start=0),
            "The flattening takes the batch with it. Keep dimension 0: `torch.flatten(x, 1)`.",
        ),
        Mistake(
            "flatten-missing",
            _drop("flatten"),
            "After the average the map is still (N, C, 1, 1), and a linear layer looks at the last dimension. Flatten "
            "from dimension 1 on: `torch.flatten(x, 1)`.",
        ),
    )


def zero_pad() -> tuple[Mistake, ...]:
    """The mistakes of option A."""

    def pooled(kind: str) -> Edit:
        def edit(p: Program, b: str) -> Program:
            stride = p.op(b + "skip")["stride"]
            if stride == 1:
                raise NotHereError("stride")
            return p.swap(b + "skip", replace(p.op(b + "skip"), kind=kind, options={"kernel": stride, "stride": stride}))

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

    def without_norm(p: Program, b: str) -> Program:
        return projected(p, b).drop(b + "projbn")

    return (
        Mistake(
            "stride-ignored",
            _every("subsample", stride=1),
            "The stride is ignored: the map keeps its size. Skip pixels with a slice, `x[:, :, ::stride, ::stride]`.",
        ),
        Mistake(
            "zeros-missing",
            _drop("zeros"),
            "The new channels are missing. Fill up to the wanted number with channels of zeros: `F.pad` on dimension 1.",
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
            _every("subsample", start=1),
            "The slice starts at pixel 1. A convolution with stride 2 looks at pixels 0, 2, 4, …: start at 0.",
        ),
        Mistake(
            "cropped-not-skipped",
            lambda p, b: p.swap(b + "skip", replace(p.op(b + "skip"), kind="crop")),
            "The map is cut to its first corner. Skip every second pixel over the whole map instead: "
            "`x[:, :, ::stride, ::stride]`.",
        ),
        Mistake(
            "copies-not-zeros",
            _change("zeros", fill="copies"),
            "The new channels are copies of the old ones. Option A fills with zeros: they add nothing to the sum.",
        ),
        Mistake(
            "ones-not-zeros",
            _change("zeros", value=1.0),
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
            "There are too many channels: the whole difference is added on both sides. Split it, or add it on one side.",
        ),
        Mistake(
            "projection-not-zeros",
            projected,
            "This is a projection, option B: it has weights to learn. Option A skips pixels and pads with zeros.",
        ),
        Mistake(
            "projection-not-zeros",
            without_norm,
            "This is a projection, option B: it has weights to learn. Option A skips pixels and pads with zeros.",
        ),
        Mistake(
            "relu-on-shortcut",
            _after("zeros", "act", fn="relu"),
            "The shortcut passes a ReLU. It should carry the input unchanged: skip, pad, nothing else.",
        ),
        Mistake(
            "detached",
            _after("zeros", "act", fn="detach"),
            "The numbers are right, but no gradient flows back. Take out `.detach()`, `.data` or `torch.no_grad()`.",
        ),
        Mistake(
            "height-and-width-swapped",
            _after("zeros", "transpose"),
            "Height and width have changed places. Leave the order (N, C, H, W).",
        ),
        Mistake(
            "only-height-skipped",
            _every("subsample", axes="height"),
            "Only the height is skipped, the width keeps its pixels. Slice both: `x[:, :, ::stride, ::stride]`.",
        ),
        Mistake(
            "only-width-skipped",
            _every("subsample", axes="width"),
            "Only the width is skipped, the height keeps its pixels. Slice both: `x[:, :, ::stride, ::stride]`.",
        ),
    )


# ---- layers and networks ---------------------------------------------------------------------------------------------


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
    last = _blocks_of(p, layer)[-1]
    new = replace(last, name=f"{layer}extra.conv", options={**last.options, "ins": last["outs"], "stride": 1})
    relu = last.name.removesuffix("conv") + "relu"
    p = p.after(relu, new)
    return p.after(new.name, Op(f"{layer}extra.relu", "act", (), "", {"fn": "relu"}))


def _one_less(p: Program, layer: str) -> Program:
    ops = _blocks_of(p, layer)
    if len(ops) < 2:
        raise NotHereError("one block")
    last = ops[-1].name
    return p.drop(last.removesuffix("conv") + "relu").drop(last)


def _only_one(p: Program, layer: str) -> Program:
    if len(_blocks_of(p, layer)) < 3:
        raise NotHereError("too few")
    while len(_blocks_of(p, layer)) > 1:
        p = _one_less(p, layer)
    return p


def _channels_multiplied(p: Program, layer: str) -> Program:
    ops = _blocks_of(p, layer)
    factor = ops[0]["outs"] // ops[0]["channels"]
    if factor == 1:
        raise NotHereError("no expansion")
    return _on_blocks(
        p,
        layer,
        lambda i, op: {"outs": op["outs"] * factor, "ins": op["ins"] if i == 0 else op["ins"] * factor},
    )


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
        "The blocks after the first are made for `channels` input channels. The first ends with "
        "`channels * block.expansion`, and that is what they get.",
    ),
    (
        "in-channels-not-updated",
        _in_channels_kept,
        "Every block is made for the `in_channels` of the layer. After the first block the map has "
        "`channels * block.expansion` channels: pass that to the others.",
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
        "All blocks are one and the same object, so they share their weights: `[block] * n` repeats a reference. Make a "
        "new block each time, `[block(…) for _ in range(n)]`.",
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
    (
        "expansion-twice",
        _channels_multiplied,
        "The blocks are given `channels * block.expansion` as their width, and multiply by the expansion again. Pass "
        "`channels`: the block itself expands.",
    ),
)


def make_layer() -> tuple[Mistake, ...]:
    """The mistakes of stacking blocks."""
    return (
        *(Mistake(name, _each_layer(edit), message) for name, edit, message in _STACKING),
        Mistake(
            "batch-norm-after-blocks",
            _norm_behind,
            "There is a batch norm behind the last block. A layer is its blocks in a row, nothing else: each block has "
            "its own.",
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
    for one, two in zip(layers, layers[1:], strict=False):
        p = p.change(_blocks_of(p, two)[0].name, ins=_blocks_of(p, one)[0]["channels"])
    return p


def _counts_fixed(counts: tuple[int, ...]) -> Edit:
    def edit(p: Program, b: str) -> Program:
        if [len(_blocks_of(p, layer)) for layer in _layers_of(p)] == list(counts):
            raise NotHereError("same")
        for layer, count in zip(_layers_of(p), counts, strict=True):
            while len(_blocks_of(p, layer)) > count:
                p = _one_less(p, layer)
            if len(_blocks_of(p, layer)) < count:
                p = _one_more(p, layer)
        return p

    return edit


def _counts_reversed(p: Program, b: str) -> Program:
    counts = tuple(len(_blocks_of(p, layer)) for layer in reversed(_layers_of(p)))
    return _counts_fixed(counts)(p, b)


def resnet() -> tuple[Mistake, ...]:
    """The mistakes of the whole network: its layers, its stem, its head."""
    return (
        Mistake(
            "stride-in-layer1",
            _resnet_strides((2, 2, 2, 2)),
            "The first layer has stride 2 as well. The stem has shrunk the image fourfold already, so layer 1 keeps the "
            "size: strides 1, 2, 2, 2.",
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
            "A layer is made for the width of the one before it, but what arrives is that width times `block.expansion`. "
            "Keep track of the channels: after each layer they are `channels * block.expansion`.",
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
            _counts_fixed((1, 1, 1, 1)),
            "Every layer has 1 block, whatever `layers` says. Take the number of blocks of each layer from there.",
        ),
        Mistake(
            "layers-reversed",
            _counts_reversed,
            "The numbers of blocks are used in reverse. The first number belongs to the first layer.",
        ),
        *_but(make_layer(), "stride-ignored", "only-one-block", "batch-norm-after-blocks"),
        *(_prefixed("stem", m) for m in _but(stem("stempool"), *_SHARED)),
        *(_prefixed("head", m) for m in _but(head(), "relu-before-linear")),
        Mistake(
            "conv-bias",
            _stem_bias,
            "The stem's convolution has a bias. The batch norm behind it subtracts the mean, and any constant with it. "
            "Make it with `bias=False`.",
        ),
        *_norms(),
    )


_SHARED = {"conv-bias", "other-activation", *(m.name for m in _norms())}


def _prefixed(where: str, mistake: Mistake) -> Mistake:
    """The same mistake in the room of a network."""
    return Mistake(f"{where}-{mistake.name}", mistake.edit, f"In the {where}: {mistake.message}")


def _stem_bias(p: Program, b: str) -> Program:
    return p.change("conv1", bias="any")


def cifar() -> tuple[Mistake, ...]:
    """The mistakes of CIFAR's network."""

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
            once(_change("conv1", stride=2)),
            "The stem's convolution has stride 2. A 32×32 image has no pixels to give away: stride 1.",
        ),
        Mistake(
            "stem-relu-missing",
            once(_drop("relu")),
            "The stem has no ReLU: 3×3 convolution, batch norm, ReLU.",
        ),
        Mistake(
            "stem-batch-norm-missing",
            once(_drop("bn1")),
            "The stem has no batch norm: 3×3 convolution, batch norm, ReLU.",
        ),
        Mistake(
            "projection-not-zeros",
            option_b,
            "The shortcuts are projections, option B. The paper's network for CIFAR uses option A: skip pixels and pad "
            "channels with zeros, so that it has exactly as many weights as the plain one.",
        ),
        Mistake(
            "projection-not-zeros",
            option_b_bare,
            "The shortcuts are projections, option B. The paper's network for CIFAR uses option A: skip pixels and pad "
            "channels with zeros, so that it has exactly as many weights as the plain one.",
        ),
        Mistake(
            "wrong-number-of-blocks",
            counted(lambda n: 2 * n),
            "Each layer has twice as many blocks as it should. The depth counts convolutions: a block has two, there are "
            "three layers, so n = (depth − 2) / 6.",
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
            "Each layer has three times the blocks it should. The depth is shared by three layers: n = (depth − 2) / 6.",
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
        *(Mistake(m.name, once(m.edit), m.message) for m in _but(head(), "relu-before-linear")),
        *_addition(),
        # The blocks' inputs have passed a ReLU here, so one more on the shortcut changes nothing.
        *_but(_relus(2), "relu-on-shortcut", "relu-on-both-ends", "relu-before-and-after-addition"),
        *_batch_norms(2)[:3],
        *named(zero_pad(), "pooled-not-skipped", "skips-the-wrong-pixels", "copies-not-zeros", "cropped-not-skipped"),
        *_late_shortcut(2),
        _bias("The convolutions have"),
        *_norms(),
        *_activations(),
    )


def zero_pad_edit(name: str) -> Edit:
    """The edit of one of option A's mistakes."""
    return next(mistake.edit for mistake in zero_pad() if mistake.name == name)


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
