"""``ResNet(block, layers, num_classes)``: stem, four layers of 64, 128, 256 and 512 channels, head.

>>> from resnet_edu import checks
>>> from resnet_edu import ResNet
>>> checks.resnet(lambda block, layers, classes: ResNet(block, layers, classes, shortcut="none")).passed
True
"""

from dataclasses import replace

from resnet_edu.checks.contracts import head, make_layer, stem
from resnet_edu.checks.contracts.shared import bias, norms
from resnet_edu.checks.probes import SmallProbe, SmallWideProbe
from resnet_edu.checks.source import Case, Contract, Mistake

REFERENCE = f"""
{make_layer.REFERENCE.strip()}

class ResNet(nn.Module):
    def __init__(self, block, layers, num_classes):
        super().__init__()
        {stem.LAYERS.strip()}
        in_channels, widths, strides = 64, (64, 128, 256, 512), (1, 2, 2, 2)  #: plan
        self.layers = nn.ModuleList()
        for channels, blocks, stride in zip(widths, layers, strides):  #: each
            self.layers.append(make_layer(block, in_channels, channels, blocks, stride))
            in_channels = channels * block.expansion  #: after
        in_features = in_channels  #: features
        self.fc = nn.Linear(in_features, num_classes)  #: fc

    def forward(self, x):
        {stem.FORWARD.strip()}
        for layer, row in enumerate(self.layers, start=1):
            for number, block in enumerate(row, start=1):
                x = block(x)  #: run | block {{number}} of layer {{layer}}
        {head.FORWARD.strip()}
        return x
"""


def _in_the(where: str, mistake: Mistake) -> Mistake:
    """The same mistake in the room of a network."""
    name = mistake.name if where in mistake.name else f"{where}-{mistake.name}"
    return replace(mistake, name=name, message=f"In the {where}: {mistake.message}")


CONTRACT = Contract(
    "ResNet(block, layers, num_classes)",
    (
        Case((SmallProbe, [2, 1, 3, 1], 7), ((2, 3, 80, 33),), "ResNet(block, [2, 1, 3, 1], 7)"),
        Case((SmallWideProbe, [1, 2, 1, 2], 5), ((2, 3, 33, 80),), "ResNet(block, [1, 2, 1, 2], 5)"),
    ),
    REFERENCE,
    (
        """
stride-in-layer1: plan: (1, 2, 2, 2) → (2, 2, 2, 2)
    The first layer has stride 2 as well. The stem has shrunk the image fourfold already, so layer 1 keeps the
    size: strides 1, 2, 2, 2.
strides-missing: plan: (1, 2, 2, 2) → (1, 1, 1, 1)
    No layer shrinks the map: it keeps a quarter of the image's size to the end. Layers 2, 3 and 4 have stride
    2.
stride-in-wrong-layer: plan: (1, 2, 2, 2) → (2, 2, 2, 1)
    The strides are shifted by one layer: 2, 2, 2, 1. The stem has shrunk the image already: 1, 2, 2, 2.
for number: 10 | 1000
num-classes-ignored: fc: num_classes → $number
    The network always ends in $number scores. Pass `num_classes` to the linear layer.
head-without-expansion: features: in_channels → 512
    The linear layer is made for 512 features, but the last layer ends with `512 * block.expansion`. Multiply.
layer-input-without-expansion: after: in_channels = channels | features: in_channels → channels * block.expansion
    A layer is made for the width of the one before it, but what arrives is that width times `block.expansion`.
    Keep track of the channels: after each layer they are `channels * block.expansion`.
widths-all-equal: plan: (64, 128, 256, 512) → (64, 64, 64, 64)
    All layers have 64 channels. They double wherever the map is halved: 64, 128, 256, 512.
layer-missing: plan: (64, 128, 256, 512) → (64, 128, 256)
    The fourth layer is missing. There are four, of 64, 128, 256 and 512 channels.
for counts told: (2,2,2,2) Every layer has 2 blocks | (3,4,6,3) The layers have 3, 4, 6 and 3 blocks
| (1,1,1,1) Every layer has 1 block
layers-ignored: each: layers → $counts
    $told, whatever `layers` says. Take the number of blocks of each layer from there.
layers-reversed: each: layers → layers[::-1]
    The numbers of blocks are used in reverse. The first number belongs to the first layer.
""",
        make_layer.STACKING,
        [_in_the("stem", mistake) for mistake in stem.MISTAKES],
        [_in_the("head", mistake) for mistake in head.MISTAKES],
        bias("stemconv", remark=True),
        norms(),
    ),
    "Your network computes what the reference computes, from stem to scores.",
)
