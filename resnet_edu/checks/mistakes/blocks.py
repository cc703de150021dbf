"""The known mistakes of the basic block, its relatives and the bottleneck."""

from dataclasses import replace
from typing import Any

from resnet_edu.checks.blocks import preactivation_ops, projection, zero_pad
from resnet_edu.checks.contract import Edit, Mistake
from resnet_edu.checks.mistakes.anywhere import NTH, activations, bias, norms
from resnet_edu.checks.mistakes.edits import after, all_of, any_of, before, but, change, drop, rewire, swap_order
from resnet_edu.checks.program import NotHereError, Op, Program


def _sum(fn: str) -> Edit:
    """Another operation in place of the sum."""

    def edit(p: Program, b: str) -> Program:
        if p.op(b + "add").kind != "add":
            raise NotHereError("add")
        return p.change(b + "add", fn=fn)

    return edit


def _shortcut_run_twice(p: Program, b: str) -> Program:
    """The projection called two times, and both results added."""
    total, proj, norm = p.op(b + "add"), p.op(b + "proj"), p.op(b + "projbn")
    if total.kind != "add":
        raise NotHereError("add")
    again = [
        replace(proj, name=f"{b}proj2", options={**proj.options, "slot": proj.get("slot", proj.name)}),
        replace(
            norm,
            name=f"{b}projbn2",
            inputs=(f"{b}proj2",),
            options={**norm.options, "slot": norm.get("slot", norm.name)},
        ),
    ]
    more = Op(f"{b}add2", "add", (total.name, f"{b}projbn2"), "the second addition", {"fn": "plus"})
    ops: list[Op] = []
    for op in p.ops:
        if op is total:
            ops += [*again, total, more]
        else:
            ops.append(replace(op, inputs=tuple(more.name if i == total.name else i for i in op.inputs)))
    return Program(tuple(ops), p.blocks)


def _where_identity(edit: Edit) -> Edit:
    """The edit, in blocks whose shortcut is the bare input."""

    def only(p: Program, b: str) -> Program:
        if p.has(b + "proj") or p.has(b + "zeros"):
            raise NotHereError("no identity")
        return edit(p, b)

    return only


def addition() -> list[Mistake]:
    """What can be wrong with the plus sign."""
    return [
        Mistake(
            "shortcut-never-added",
            drop("add"),
            "The shortcut is never added: what comes out is F(x) alone, a plain block. Keep the input, and add it to "
            "what the convolutions made: `out = out + shortcut`.",
        ),
        Mistake(
            "shortcut-subtracted",
            _sum("minus"),
            "The shortcut is subtracted, F(x) − x. A residual block adds: F(x) + x.",
        ),
        Mistake(
            "residual-subtracted",
            _sum("reverse"),
            "The convolutions' output is subtracted from the shortcut, x − F(x). A residual block adds: F(x) + x.",
        ),
        Mistake(
            "shortcut-multiplied",
            _sum("times"),
            "The shortcut is multiplied with F(x). A residual block adds: F(x) + x.",
        ),
        Mistake(
            "shortcut-averaged",
            _sum("mean"),
            "You take the mean of F(x) and the shortcut. A residual block takes the sum, nothing is halved.",
        ),
        Mistake(
            "shortcut-twice",
            _sum("twice"),
            "The shortcut is added twice, F(x) + 2x. Once is enough: look for a factor 2, or for a `+=` and a `+` that "
            "both do it.",
        ),
        Mistake(
            "shortcut-twice",
            any_of(_shortcut_run_twice, _where_identity(_sum("twice"))),
            "The shortcut is computed and added twice, F(x) + 2x. Once is enough: look for a `+=` and a `+` that both "
            "do it.",
        ),
        Mistake(
            "residual-twice",
            _sum("first-twice"),
            "F(x) is added twice, 2·F(x) + x. Once is enough: look for a `+=` and a `+` that both do it, or an "
            "addition to itself.",
        ),
        Mistake(
            "maximum-not-sum",
            _sum("max"),
            "You take the larger of F(x) and the shortcut at each place. A residual block takes their sum.",
        ),
        Mistake(
            "residual-dropped",
            _sum("second-only"),
            "What comes out is the shortcut alone: the convolutions' output is computed and then lost. Add the two: "
            "F(x) + x.",
        ),
        Mistake(
            "concatenated-not-added",
            _sum("concat"),
            "The shortcut is concatenated, so the channels double. A residual block adds number to number: `out + "
            "shortcut`, same shape as before.",
        ),
        Mistake(
            "shortcut-detached",
            before("add", "act", 1, fn="detach"),
            "The numbers are right, but no gradient flows back through the shortcut, which is what it is for. Take "
            "out `.detach()`, `.data` or `torch.no_grad()` around it.",
        ),
        Mistake(
            "residual-detached",
            before("add", "act", 0, fn="detach"),
            "The numbers are right, but no gradient reaches the convolutions, so they never learn. Take out "
            "`.detach()`, `.data` or `torch.no_grad()`.",
        ),
    ]


def lost_input(convs: int) -> list[Mistake]:
    """The input's name given to what the convolutions made."""
    last = f"bn{convs}"
    message = (
        "F(x) is added to itself: the name of the input was given to what the convolutions made. Keep the input "
        "first, `shortcut = x`, and add that."
    )

    def doubled(p: Program, b: str) -> Program:
        return p.rewire(b + "add", 1, b + last)

    def projected(p: Program, b: str) -> Program:
        return p.rewire(b + "proj", 0, b + last)

    return [
        Mistake("input-lost", doubled, message),
        Mistake("input-lost", any_of(projected, _where_identity(doubled)), message),
    ]


def relus(convs: int) -> list[Mistake]:
    """What can be wrong with the ReLUs."""
    last = f"bn{convs}"
    found = [
        Mistake(
            "relu-before-addition",
            all_of(before("add", "act", 0, fn="relu"), drop("out")),
            "The last ReLU runs before the addition. Then F(x) can never be negative, and the block can only add. Add "
            f"the shortcut to the output of the {NTH[convs]} batch norm first, and apply the ReLU to the sum.",
        ),
        Mistake(
            "relu-on-both-ends",
            all_of(before("add", "act", 0, fn="relu"), before("add", "act", 1, fn="relu"), drop("out")),
            "F(x) and the shortcut each pass a ReLU before the addition. Add first, and apply one ReLU to the sum.",
        ),
        Mistake(
            "final-relu-missing",
            drop("out"),
            "The ReLU after the addition is missing. Apply it to the sum, as the last thing the block does.",
        ),
        Mistake(
            "relu-before-and-after-addition",
            before("add", "act", 0, fn="relu"),
            f"There is one ReLU too many: between the {NTH[convs]} batch norm and the addition. F(x) must be free to "
            "be negative, so only the sum passes a ReLU.",
        ),
        Mistake(
            "relu-on-shortcut",
            before("add", "act", 1, fn="relu"),
            "The shortcut passes a ReLU of its own before the addition. It should arrive unchanged (or only "
            "projected): add it as it is, and apply the ReLU to the sum.",
        ),
    ]
    for number in range(1, convs):
        found.append(
            Mistake(
                f"{NTH[number]}-relu-missing",
                drop(f"relu{number}"),
                f"There is no ReLU between the {NTH[number]} batch norm and the {NTH[number + 1]} convolution. "
                "Without it two convolutions in a row collapse into a single linear step. Put one there.",
            )
        )
    if convs == 3:
        found.append(
            Mistake(
                "inner-relus-missing",
                all_of(drop("relu1"), drop("relu2")),
                "There is no ReLU between the convolutions. Without them the three collapse into a single linear "
                "step. Put one after the first and one after the second batch norm.",
            )
        )
    found += [
        Mistake(
            "relu-before-block",
            _relu_on_input,
            "The input passes a ReLU before anything else, and so the shortcut carries another input than the block "
            "was given. Start with the first convolution, and leave the shortcut alone.",
        ),
        *(
            Mistake(
                "relu-before-batch-norm",
                edit,
                "The ReLUs run before the batch norms. The order is convolution, batch norm, ReLU, and the last ReLU "
                "follows the addition: the norm needs to see the negative half too.",
            )
            for edit in (_relus_first(convs), all_of(_relus_first(convs), drop("out")))
        ),
        Mistake(
            "relu-before-batch-norm",
            any_of(*(swap_order(f"bn{n}", f"relu{n}") for n in range(1, convs))),
            "The ReLU runs before the batch norm. The order is convolution, batch norm, ReLU: the norm needs to see "
            "the negative half too.",
        ),
        Mistake(
            "all-relus-missing",
            all_of(*(drop(f"relu{n}") for n in range(1, convs)), drop("out")),
            "There is no ReLU at all, so the block is a linear map, however many convolutions it has. Put one after "
            "each batch norm but the last, and one after the addition.",
        ),
        Mistake(
            "batch-norm-after-addition",
            _batch_norm_after_addition(last),
            f"The {NTH[convs]} batch norm comes after the addition, so it rescales the shortcut too. Normalize F(x), "
            "then add the untouched shortcut.",
        ),
    ]
    return found


def _relu_on_input(p: Program, b: str) -> Program:
    if b:
        raise NotHereError("in a network the input has passed a ReLU already")
    return p.after("x", Op("x>relu", "act", (), "", {"fn": "relu"}))


def _relus_first(convs: int) -> Edit:
    inner = (swap_order(f"bn{n}", f"relu{n}") for n in range(1, convs))
    return all_of(*inner, before(f"bn{convs}", "act", fn="relu"))


def _batch_norm_after_addition(last: str) -> Edit:
    def edit(p: Program, b: str) -> Program:
        norm = p.op(b + last)
        return p.drop(b + last).after(b + "add", norm)

    return edit


def batch_norms(convs: int) -> list[Mistake]:
    """What can be wrong with the batch norms of the main path."""
    found = [
        Mistake(
            f"{NTH[number]}-batch-norm-missing",
            drop(f"bn{number}"),
            f"There is no batch norm after the {NTH[number]} convolution. Every convolution is followed by one.",
        )
        for number in range(1, convs + 1)
    ]
    everything = any_of(*(drop(f"bn{n}") for n in range(1, convs + 1)), drop("projbn"))
    found += [
        Mistake(
            "batch-norm-without-scale",
            any_of(*(change(f"bn{n}", affine=False) for n in numbers)),
            f"{which} no scale and shift to learn. Leave out `affine=False`.",
        )
        for numbers, which in (
            *(((n,), f"The {NTH[n]} batch norm has") for n in range(1, convs + 1)),
            (range(1, convs + 1), "The batch norms of the main path have"),
        )
    ]
    found += [
        Mistake(
            "batch-norms-missing",
            everything,
            "There is no batch norm. Every convolution of the block is followed by one.",
        ),
        Mistake(
            "batch-norm-shared",
            any_of(*(share(f"bn{n}", "bn1") for n in range(2, convs + 1))),
            "One batch norm is used in several places. Each convolution's output has its own mean and variance, and "
            "needs a batch norm of its own.",
        ),
        *(
            Mistake(
                "batch-norm-shared",
                share("bn2", "bn1"),
                "The first two convolutions share one batch norm. Each convolution's output has its own mean and "
                "variance, and needs a batch norm of its own.",
            )
            for _ in range(convs - 2)
        ),
        Mistake(
            "batch-norm-shared",
            share("projbn", f"bn{convs}"),
            "One batch norm serves the main path and the projection. Each convolution's output has its own mean and "
            "variance, and needs a batch norm of its own.",
        ),
    ]
    return found


def share(name: str, other: str) -> Edit:
    """One operation with the weights of another."""

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
            return share(name, other)(p, b)

    return everywhere


def convolutions(convs: int) -> list[Mistake]:
    """What can be wrong with the convolutions of the main path."""
    threes = [n for n in range(1, convs + 1) if convs == 2 or n == 2]
    found = []
    for n in threes:
        which = f"the {NTH[n]} convolution" if len(threes) > 1 else "the 3×3 convolution"
        found.append(
            Mistake(
                "padding-missing",
                change(f"conv{n}", padding=0),
                f"{which[0].upper()}{which[1:]} has no padding, so a 3×3 kernel takes two pixels from each side's "
                "length and the two ends of the addition cannot match. Give it `padding=1`: (H + 2·1 − 3)/1 + 1 = H.",
            )
        )
    if len(threes) > 1:
        found.append(
            Mistake(
                "padding-missing",
                all_of(*(change(f"conv{n}", padding=0) for n in threes)),
                "The 3×3 convolutions have no padding, so each takes two pixels from the height and the width, and "
                "the two ends of the addition cannot match. Give both `padding=1`: (H + 2·1 − 3)/1 + 1 = H.",
            )
        )
    found += [
        Mistake(
            "wrong-kernel-size",
            change(f"conv{n}", kernel=kernel, padding=kernel // 2),
            f"The {NTH[n]} convolution has a {kernel}×{kernel} kernel, this block uses 3×3 there.",
        )
        for n in threes
        for kernel in (1, 5, 7)
    ]
    if len(threes) > 1:
        found += [
            Mistake(
                "wrong-kernel-size",
                all_of(*(change(f"conv{n}", kernel=kernel, padding=kernel // 2) for n in threes)),
                f"The convolutions have {kernel}×{kernel} kernels, this block uses 3×3.",
            )
            for kernel in (1, 5, 7)
        ]
    found += [
        *(
            Mistake(
                "convolution-shared",
                edit,
                "The same convolution is used twice, so both steps share one set of weights. Make two convolutions, "
                "and call each once.",
            )
            for edit in (share("conv2", "conv1"), _call_again("conv2", "conv1"))
        ),
        *(
            Mistake(
                "padding-not-zero",
                any_of(*(change(f"conv{n}", padding_mode=mode) for n in numbers)),
                "The border is not padded with zeros: `padding_mode` is set. Leave the default.",
            )
            for mode in ("reflect", "replicate", "circular")
            for numbers in (threes, *((n,) for n in threes if len(threes) > 1))
        ),
        Mistake(
            "dilated-convolution",
            all_of(*(change(f"conv{n}", dilation=2, padding=2) for n in threes)),
            "The 3×3 convolutions are dilated: their nine weights reach over 5×5 pixels. Leave out `dilation`.",
        ),
        *(
            Mistake(
                "dilated-convolution",
                change(f"conv{n}", dilation=2, padding=2),
                f"The {NTH[n]} convolution is dilated: its nine weights reach over 5×5 pixels. Leave out `dilation`.",
            )
            for n in threes
            if len(threes) > 1
        ),
        Mistake(
            "grouped-convolution",
            _depthwise(f"conv{convs if convs == 2 else 2}"),
            "A 3×3 convolution is split into groups, each channel for itself. Leave out `groups`: every filter looks "
            "at all channels.",
        ),
        Mistake(
            f"{NTH[2]}-convolution-missing",
            all_of(drop("conv2"), drop("bn2"), drop(f"relu{convs - 1}") if convs == 3 else drop("relu1")),
            f"The {NTH[2]} convolution with its batch norm is missing: this block has "
            f"{'two' if convs == 2 else 'three'}.",
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

    def always(p: Program, b: str) -> Program:
        if any(op["stride"] != 1 for op in p.ops if op.kind == "conv"):
            raise NotHereError("strided already")
        p = p.change(b + ("conv1" if convs == 2 else "conv2"), stride=2)
        return p.change(b + "proj", stride=2) if p.has(b + "proj") else p

    last = f"conv{convs}"
    found = [
        Mistake(
            "stride-fixed",
            always,
            "The stride is always 2, whatever the argument says. Pass `stride` on.",
        ),
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
            all_of(ignored_everywhere, _same_channels(_identity)),
            "The stride is ignored: the map keeps its size. Pass `stride` to "
            + ("the first convolution" if convs == 2 else "the 3×3 convolution")
            + ", and to the projection in the shortcut.",
        ),
        Mistake(
            "stride-missing-in-main-path",
            ignored,
            "The shortcut shrinks the map but the convolutions do not, so the two ends of the addition differ. Pass "
            "`stride` to " + ("the first convolution." if convs == 2 else "the 3×3 convolution."),
        ),
    ]
    if convs == 2:
        found.insert(
            0,
            Mistake(
                "stride-in-second-convolution",
                moved("conv2"),
                "The stride sits in the second convolution. It belongs to the first, so that everything after it "
                "works on the smaller map.",
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


def _projected_everywhere(convs: int) -> Edit:
    """A projection where the identity would do."""

    def edit(p: Program, b: str) -> Program:
        if p.has(b + "proj") or p.has(b + "zeros"):
            raise NotHereError("there already")
        source = p.op(b + "add").inputs[1]
        ins, outs = p.op(b + "conv1")["ins"], p.op(f"{b}conv{convs}")["outs"]
        ops = projection(b, source, ins, outs, 1)
        place = [op.name for op in p.ops].index(b + "add")
        return Program((*p.ops[:place], *ops, *p.ops[place:]), p.blocks).rewire(b + "add", 1, b + "projbn")

    return edit


def _projections(convs: int) -> list[Mistake]:
    """What can be wrong with a projection shortcut."""

    def only_if(keep: Any) -> Edit:
        def edit(p: Program, b: str) -> Program:
            op = p.op(b + "proj")
            if keep(op, p, b):
                raise NotHereError("kept")
            return _identity(p, b)

        return edit

    def pooled(kind: str) -> Edit:
        def edit(p: Program, b: str) -> Program:
            stride = p.op(b + "proj")["stride"]
            if stride == 1:
                raise NotHereError("stride")
            p = p.change(b + "proj", stride=1)
            return before("proj", kind, kernel=stride, stride=stride)(p, b)

        return edit

    def padded(sides: str) -> Edit:
        def edit(p: Program, b: str) -> Program:
            op = p.op(b + "proj")
            if op["ins"] > op["outs"]:
                raise NotHereError("fewer channels")
            ops = zero_pad(b, op.inputs[0], op["ins"], op["outs"], op["stride"], sides)
            place = p.ops.index(op)
            whole = Program((*p.ops[:place], *ops, *p.ops[place:]), p.blocks)
            return whole.rewire(b + "add", 1, f"{b}zeros").without(b + "proj", b + "projbn")

        return edit

    leaving = "out_channels" if convs == 2 else "4 * channels"
    found = [
        Mistake(
            "projection-without-batch-norm",
            drop("projbn"),
            "The projection has no batch norm. Its 1×1 convolution is followed by one, like every other convolution "
            "of the network, so that both ends of the addition arrive at the same scale.",
        ),
        Mistake(
            "projection-with-relu",
            after("projbn", "act", fn="relu"),
            "The projection ends in a ReLU. It is a 1×1 convolution and a batch norm, nothing else: add its output as "
            "it is, and apply the ReLU to the sum.",
        ),
        Mistake(
            "projection-without-stride",
            change("proj", stride=1),
            "The projection does not shrink the map as the convolutions do, so the two ends of the addition differ. "
            "Give its 1×1 convolution the same `stride`.",
        ),
        Mistake(
            "projection-3x3",
            change("proj", kernel=3, padding=1),
            "The projection has a 3×3 kernel. Make it 1×1: it only has to match channels and skip pixels, and costs a "
            "ninth.",
        ),
        Mistake(
            "projection-padded",
            change("proj", padding=1),
            "The projection's 1×1 convolution has padding, so it makes a border of zeros and the two ends of the "
            "addition differ. A 1×1 kernel needs `padding=0`.",
        ),
        Mistake(
            "projection-after-pooling",
            any_of(pooled("avgpool")),
            "The shortcut pools first and projects then. That is a later variant (ResNet-D); here the projection "
            "itself takes the stride.",
        ),
        Mistake(
            "projection-after-pooling",
            any_of(pooled("maxpool")),
            "The shortcut pools first and projects then. Here the projection itself takes the stride, nothing is "
            "pooled.",
        ),
        Mistake(
            "projection-missing",
            only_if(lambda op, p, b: False),
            "The input is added as it is, although its shape is not that of the convolutions' output. Where the "
            "stride is not 1 or the channels differ, bring it to the same shape: a 1×1 convolution with the same "
            "stride, and a batch norm.",
        ),
        *(
            Mistake(
                "zeros-not-projection",
                any_of(padded(sides)),
                "The shortcut skips pixels and fills new channels with zeros, which is option A. Here it is option B, "
                "a projection: a 1×1 convolution with the same stride, and a batch norm.",
            )
            for sides in ("back", "both", "front")
        ),
        Mistake(
            "projection-of-residual",
            any_of(rewire("proj", 0, f"relu{convs - 1}")),
            "The projection is applied to what the convolutions made, not to the block's input. Keep the input before "
            "the first convolution, and project that.",
        ),
    ]
    found += [
        Mistake(
            "projection-only-for-stride",
            only_if(lambda op, p, b: op["stride"] != 1),
            "The shortcut is projected only where the stride is not 1. With stride 1 and another number of channels "
            f"the two ends do not match either: test `stride != 1 or in_channels != {leaving}`.",
        ),
        Mistake(
            "projection-only-for-channels",
            only_if(lambda op, p, b: op["ins"] != op["outs"]),
            "The shortcut is projected only where the channels differ. With stride 2 and equal channels the sizes do "
            f"not match either: test `stride != 1 or in_channels != {leaving}`.",
        ),
        Mistake(
            "projection-always",
            _projected_everywhere(convs),
            "The shortcut is projected even where the shapes match. There it must be the identity: nothing to learn, "
            "nothing in the gradient's way. Project only where the stride is not 1 or the channels differ.",
        ),
    ]
    return found


def late_shortcut(convs: int) -> list[Mistake]:
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
            "Batch norm and ReLU come before each convolution. That is the later pre-activation block (He et al. "
            "2016). Here the order is convolution, batch norm, ReLU, and the last ReLU follows the addition.",
        )
    ]


def identity_block() -> tuple[Mistake, ...]:
    """The mistakes of a block that keeps the shape.

    >>> "first-relu-missing" in [mistake.name for mistake in identity_block()]
    True
    """
    strides = {mistake.name for mistake in _strides(2)}
    always = [mistake for mistake in _projections(2) if mistake.name == "projection-always"]
    rest = [m for m in basic_block() if m.name not in strides and not m.name.startswith("projection")]
    return (*rest, *always)


def projection_block() -> tuple[Mistake, ...]:
    """The mistakes of a block that always projects.

    >>> "projection-with-relu" in [mistake.name for mistake in projection_block()]
    True
    """
    sometimes = ("projection-only-for-stride", "projection-only-for-channels", "projection-always")
    same = ("relu-on-shortcut", "projection-of-residual", "pre-activation-order")
    return tuple(but(basic_block(), *sometimes, *same))


def basic_block() -> tuple[Mistake, ...]:
    """The mistakes of a block with two convolutions.

    >>> "relu-before-addition" in [mistake.name for mistake in basic_block()]
    True
    """
    return (
        *addition(),
        *lost_input(2),
        *relus(2),
        *batch_norms(2),
        *_strides(2),
        *_projections(2),
        *late_shortcut(2),
        *convolutions(2),
        bias(),
        *norms(),
        *activations(),
        *_preactivated(),
    )


def bottleneck() -> tuple[Mistake, ...]:
    """The mistakes of a block with three convolutions.

    >>> "expansion-missing" in [mistake.name for mistake in bottleneck()]
    True
    """

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
        ins, width = p.op(b + "conv1")["ins"], p.op(b + "conv1")["outs"]
        if not p.has(b + "proj") and ins != width:
            return _projected_everywhere(3)(p, b)
        if p.has(b + "proj") and p.op(b + "proj")["stride"] == 1 and ins == width:
            return _identity(p, b)
        raise NotHereError("kept")

    def wide_middle(p: Program, b: str) -> Program:
        outs = p.op(b + "conv3")["outs"]
        p = p.change(b + "conv2", outs=outs).change(b + "bn2", channels=outs)
        return p.change(b + "conv3", ins=outs)

    return (
        *addition(),
        *lost_input(3),
        *relus(3),
        *batch_norms(3),
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
            "You take `channels` for the number of channels that leave the block, and squeeze to a quarter of it. It "
            "is the width inside: squeeze to `channels`, and widen to `4 * channels`.",
        ),
        Mistake(
            "widened-too-early",
            wide_middle,
            "The 3×3 convolution already widens to four times the channels, where it costs most. Keep it narrow, and "
            "let the last 1×1 widen.",
        ),
        Mistake(
            "expansion-forgotten-in-condition",
            by_width,
            "The shortcut is projected where `in_channels` and `channels` differ. What counts are the channels that "
            "leave: test `stride != 1 or in_channels != 4 * channels`.",
        ),
        *_projections(3),
        *late_shortcut(3),
        *convolutions(3),
        bias(),
        *norms(),
        *activations(),
    )
