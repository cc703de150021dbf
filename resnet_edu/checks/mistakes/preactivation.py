"""The known mistakes of the pre-activation block."""

from typing import Any

from resnet_edu.checks.blocks import basic_ops
from resnet_edu.checks.contract import Edit, Mistake
from resnet_edu.checks.mistakes.anywhere import activations, bias, norms
from resnet_edu.checks.mistakes.blocks import addition, convolutions, share
from resnet_edu.checks.mistakes.edits import after, all_of, any_of, change, drop, swap_order
from resnet_edu.checks.program import NotHereError, Op, Program


def preactivation() -> tuple[Mistake, ...]:
    """The mistakes of the pre-activation block.

    >>> "relu-after-addition" in [mistake.name for mistake in preactivation()]
    True
    """

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
        *addition(),
        Mistake(
            "relu-after-addition",
            after("add", "act", fn="relu"),
            "There is a ReLU after the addition. In the pre-activation block nothing follows it: the sum goes on "
            "unchanged, so that the way around all blocks stays free.",
        ),
        Mistake(
            "post-activation-order",
            post,
            "This is the original block: convolution, batch norm, ReLU. In the pre-activation block each convolution "
            "is preceded by its batch norm and ReLU, and nothing follows the addition.",
        ),
        Mistake(
            "first-relu-missing",
            drop("relu1"),
            "There is no ReLU between the first batch norm and the first convolution. The order is batch norm, ReLU, "
            "convolution, twice.",
        ),
        Mistake(
            "second-relu-missing",
            drop("relu2"),
            "There is no ReLU between the second batch norm and the second convolution. The order is batch norm, "
            "ReLU, convolution, twice.",
        ),
        Mistake(
            "all-relus-missing",
            all_of(drop("relu1"), drop("relu2")),
            "There is no ReLU at all. The order is batch norm, ReLU, convolution, twice.",
        ),
        Mistake(
            "first-batch-norm-missing",
            drop("bn1"),
            "There is no batch norm before the first convolution. The order is batch norm, ReLU, convolution, twice.",
        ),
        Mistake(
            "second-batch-norm-missing",
            drop("bn2"),
            "There is no batch norm before the second convolution. The order is batch norm, ReLU, convolution, twice.",
        ),
        Mistake(
            "batch-norms-missing",
            all_of(drop("bn1"), drop("bn2")),
            "There is no batch norm. The order is batch norm, ReLU, convolution, twice.",
        ),
        Mistake(
            "relu-before-batch-norm",
            any_of(swap_order("bn1", "relu1"), swap_order("bn2", "relu2")),
            "The ReLU runs before the batch norm. The order is batch norm, ReLU, convolution, twice.",
        ),
        Mistake(
            "identity-of-activated-input",
            shortcut_from_activated,
            "Where the shapes match, the shortcut carries the normalized and rectified input. It must be the bare "
            "input: that free way is what the block is for. Only a projection takes the pre-activated input.",
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
            "The projection takes the input after the batch norm but before the ReLU. It shares the pre-activated "
            "input with the first convolution: after both.",
        ),
        Mistake(
            "projection-with-batch-norm",
            projected_norm,
            "The projection is followed by a batch norm. In this block it is a bare 1×1 convolution: the next block "
            "normalizes.",
        ),
        Mistake(
            "projection-without-stride",
            change("proj", stride=1),
            "The projection does not shrink the map as the convolutions do. Give its 1×1 convolution the same "
            "`stride`.",
        ),
        Mistake(
            "projection-3x3",
            change("proj", kernel=3, padding=1),
            "The projection has a 3×3 kernel. It is a 1×1 convolution.",
        ),
        Mistake(
            "projection-missing",
            only_if(lambda op: False),
            "The input is added as it is, although its shape is not that of the convolutions' output. Where the "
            "stride is not 1 or the channels differ, project it with a 1×1 convolution of the same stride.",
        ),
        Mistake(
            "projection-only-for-stride",
            only_if(lambda op: op["stride"] != 1),
            "The shortcut is projected only where the stride is not 1. With stride 1 and another number of channels "
            "the two ends do not match either: test `stride != 1 or in_channels != out_channels`.",
        ),
        Mistake(
            "projection-only-for-channels",
            only_if(lambda op: op["ins"] != op["outs"]),
            "The shortcut is projected only where the channels differ. With stride 2 and equal channels the sizes do "
            "not match either: test `stride != 1 or in_channels != out_channels`.",
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
            "Both convolutions have the stride, so the map shrinks twice while the shortcut shrinks once. Only the "
            "first takes `stride`.",
        ),
        Mistake(
            "stride-ignored",
            ignored,
            "The stride is ignored: the map keeps its size. Pass `stride` to the first convolution and to the "
            "projection.",
        ),
        Mistake(
            "stride-missing-in-main-path",
            main_ignored,
            "The shortcut shrinks the map but the convolutions do not, so the two ends of the addition differ. Pass "
            "`stride` to the first convolution.",
        ),
        *convolutions(2)[:3],
        Mistake(
            "convolution-shared",
            share("conv2", "conv1"),
            "The same convolution is used twice, so both steps share one set of weights. Make two.",
        ),
        Mistake(
            "batch-norm-shared",
            share("bn2", "bn1"),
            "One batch norm is used twice. Each place has its own mean and variance, and needs a batch norm of its "
            "own.",
        ),
        bias(),
        *norms(),
        *activations(),
    )
