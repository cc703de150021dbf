"""``ProjectionBlock(in_channels, out_channels, stride=2)``: two 3×3 convolutions and a projection around them.

No convolution has a bias.

>>> from resnet_edu import checks
>>> from resnet_edu.blocks import BasicBlock, PlainBlock
>>> checks.projection_block(lambda ins, outs, stride=2: BasicBlock(ins, outs, stride, shortcut="C")).passed
True
>>> checks.projection_block(lambda ins, outs, stride=2: PlainBlock(ins, outs, stride)).mistake
'shortcut-never-added'
"""

from dataclasses import replace

from resnet_edu.checks.contracts import basic_block as basic
from resnet_edu.checks.contracts.shared import addition
from resnet_edu.checks.source import Contract, Mistake


def _in_one_way(mistake: Mistake) -> Mistake:
    """Always projected, the other ways to lose the input are a late shortcut or the projection of the residual."""
    one = mistake.name in {"input-lost", "projection-of-residual"}
    return replace(mistake, ways=mistake.ways[:1]) if one else mistake


CONTRACT = Contract(
    "ProjectionBlock(in_channels, out_channels, stride=2)",
    (basic.maps("ProjectionBlock", 6, 10), basic.maps("ProjectionBlock", 6, 12, 1)),
    basic.REFERENCE.replace("class BasicBlock", "class ProjectionBlock")
    .replace("stride=1):", "stride=2):")
    .replace("stride != 1 or in_channels != out_channels", "True"),
    (
        addition("runproj", "bnproj", again="self.projbn(self.proj(x)) if self.projected else way"),
        basic.LATE,
        [_in_one_way(mistake) for mistake in basic.PROJECTIONS],
        [replace(mistake, ways=({"when": "True → False"},)) for mistake in basic.CONDITIONS[:1]],
        [_in_one_way(mistake) for mistake in basic.INPUT_LOST],
        [mistake for mistake in basic.RELUS if mistake.name != "relu-on-shortcut"],
        basic.NORMS,
        basic.STRIDES,
        basic.CONVOLUTIONS,
        basic.ANYWHERE,
    ),
    "Your block computes what the reference computes, both ends of the addition included.",
)
