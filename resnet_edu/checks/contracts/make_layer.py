"""``make_layer(block, in_channels, channels, blocks, stride)``: blocks in a row, the first with the stride.

``block(in_channels, channels, stride)`` makes ``channels * block.expansion`` channels.

>>> from resnet_edu import checks
>>> from torch import nn
>>> def make_layer(block, in_channels, channels, blocks, stride):
...     channels_in = [in_channels] + [channels * block.expansion] * (blocks - 1)
...     return nn.Sequential(*(block(n, channels, stride) for n in channels_in))
>>> checks.make_layer(make_layer).mistake
'stride-in-every-block'
"""

from resnet_edu.checks.probes import Probe, WideProbe
from resnet_edu.checks.source import Case, Contract, known

REFERENCE = """
class Row(nn.Sequential):
    def forward(self, x):
        for number, block in enumerate(self, start=1):
            x = block(x)  #: run | block {number}
        return x

def make_layer(block, in_channels, channels, blocks, stride):
    row = []
    for n in range(blocks):  #: loop
        row.append(block(in_channels, channels, stride))  #: append
        in_channels = channels * block.expansion  #: widen
        stride = 1  #: once
    return Row(*row)  #: end
"""
STACKING = known(
    """
stride-in-every-block: once: -
    Every block of the layer has the stride, so the map shrinks again and again. Only the first block takes
    `stride`, the others 1.
stride-in-last-block: append: stride) → stride if n == blocks - 1 else 1) | once: -
    The stride sits in the last block of the layer. It belongs to the first, so that the others work on the
    smaller map.
stride-in-all-but-first: append: stride) → stride if n else 1) | once: -
    All blocks but the first have the stride. It is the other way round: the first takes `stride`, the others 1.
expansion-ignored: widen: in_channels = channels
    The blocks after the first are made for `channels` input channels. The first ends with `channels *
    block.expansion`, and that is what they get.
in-channels-not-updated: widen: -
    Every block is made for the `in_channels` of the layer. After the first block the map has `channels *
    block.expansion` channels: pass that to the others.
same-block-repeated: append: append(block → append(row[1] if n > 1 else block
or: append: append(block → append(row[0] if n else block
    Several blocks are one and the same object, so they share their weights: `[block] * n` repeats a reference.
    Make a new block each time, `[block(…) for _ in range(n)]`.
one-block-too-many: loop: blocks → blocks + 1
    There is one block too many in a layer. The first block counts too: after it come `blocks - 1` others.
one-block-missing: loop: blocks → max(1, blocks - 1)
or: loop: blocks → blocks - 1
    There is one block missing in a layer. One first block and `blocks - 1` others make `blocks`; mind where a
    `range` starts and ends.
expansion-twice: append: channels, stride → channels * block.expansion, stride | widen: {} * block.expansion
or: append: channels, stride → channels * block.expansion, stride
    The blocks are given `channels * block.expansion` as their width, and multiply by the expansion again. Pass
    `channels`: the block itself expands.
"""
)
_CASES = (
    (Probe, 6, 10, 3, 2),
    (WideProbe, 8, 5, 3, 2),
    (WideProbe, 8, 3, 2, 1),
    (Probe, 6, 6, 3, 1),
    (Probe, 6, 7, 1, 2),
    (Probe, 6, 6, 2, 2),
)

CONTRACT = Contract(
    "make_layer(block, in_channels, channels, blocks, stride)",
    tuple(
        Case(case, ((2, case[1], 9, 8), (1, case[1], 6, 5)), f"make_layer(block, {', '.join(map(str, case[1:]))})")
        for case in _CASES
    ),
    REFERENCE,
    (
        STACKING,
        """
stride-ignored: append: stride) → 1)
    The stride is ignored: the map keeps its size to the end. Pass `stride` to the first block of the layer.
only-one-block: loop: blocks → 1
    A layer has one block only. After the first come `blocks - 1` others, each with stride 1.
stride-fixed: append: stride) → 1 if n else 2)
    The stride is always 2, whatever the argument says. Pass `stride` on.
stride-tied-to-channels: append: stride) → stride if in_channels != channels * block.expansion else 1)
    The stride is lost where the number of channels stays the same. The first block takes `stride`, whatever the
    channels are.
batch-norm-after-blocks: end: row.append(nn.BatchNorm2d(in_channels)); {}
    There is a batch norm behind the last block. A layer is its blocks in a row, nothing else: each block has
    its own.
""",
    ),
    "Your layer stacks the blocks as the reference does: the first changes the shape, the others keep it.",
)
