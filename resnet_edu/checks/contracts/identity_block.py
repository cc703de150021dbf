"""``IdentityBlock(channels)``: two 3×3 convolutions and the input added unchanged.

No convolution has a bias.

>>> from resnet_edu import checks
>>> from resnet_edu.blocks import BasicBlock, PlainBlock
>>> checks.identity_block(lambda channels: BasicBlock(channels, channels)).passed
True
>>> checks.identity_block(lambda channels: PlainBlock(channels, channels)).mistake
'shortcut-never-added'
"""

from resnet_edu.checks.contracts import basic_block as basic
from resnet_edu.checks.contracts.shared import addition
from resnet_edu.checks.source import Contract

CONTRACT = Contract(
    "IdentityBlock(channels)",
    (basic.maps("IdentityBlock", 6), basic.maps("IdentityBlock", 9)),
    basic.REFERENCE.replace("class BasicBlock", "class IdentityBlock")
    .replace("(self, in_channels, out_channels, stride=1)", "(self, channels)")
    .replace("super().__init__()", "super().__init__(); in_channels = out_channels = channels; stride = 1"),
    (
        addition("runproj", "bnproj", again="self.projbn(self.proj(x)) if self.projected else way"),
        basic.INPUT_LOST,
        basic.RELUS,
        basic.NORMS[:-1],  # all but the one of the projection
        [mistake for mistake in basic.CONDITIONS if mistake.name == "projection-always"],
        basic.LATE,
        basic.CONVOLUTIONS,
        basic.ANYWHERE,
        basic.PREACTIVATED,
    ),
    "Your block computes what the reference computes, forwards and backwards.",
)
