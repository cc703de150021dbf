"""``cifar_resnet(depth, num_classes=10)``: 6n + 2 layers of 16, 32 and 64 channels, option A.

It takes images of any size, square or not square. Its convolutions have no bias.

>>> from resnet_edu import checks
>>> from resnet_edu import cifar_resnet
>>> checks.cifar_resnet(cifar_resnet).passed
True
>>> checks.cifar_resnet(lambda *sizes: cifar_resnet(*sizes, shortcut="B")).mistake
'projection-not-zeros'
"""

from dataclasses import replace

from resnet_edu.checks.contracts import basic_block as basic
from resnet_edu.checks.contracts import head, zero_pad_shortcut
from resnet_edu.checks.contracts.shared import activations, addition, bias, norms
from resnet_edu.checks.source import Case, Contract

REFERENCE = f"""
class Block(nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)  #: conv1 conv
        self.bn1 = nn.BatchNorm2d(out_channels)  #: norm1 norm
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, stride=1, padding=1, bias=False)  #: conv2 conv
        self.bn2 = nn.BatchNorm2d(out_channels)  #: norm2 norm
        self.projected = stride != 1 or in_channels != out_channels
        {zero_pad_shortcut.LAYERS.strip()}

    def forward(self, x, layer, number):
        way = x  #: keep
        out = self.conv1(x)  #: run1 | the first convolution of block {{number}} in layer {{layer}}
        out = self.bn1(out)  #: bn1 | the first batch norm of block {{number}} in layer {{layer}}
        out = F.relu(out)  #: relu1 | the first ReLU of block {{number}} in layer {{layer}}
        out = self.conv2(out)  #: run2 | the second convolution of block {{number}} in layer {{layer}}
        out = self.bn2(out)  #: bn2 | the second batch norm of block {{number}} in layer {{layer}}
        if self.projected:
            way = way[:, :, :: self.stride, :: self.stride]  #: skip | the skipping of pixels
            way = F.pad(way, (0, 0, 0, 0, self.front, self.back))  #: zeros | the channels of zeros
        out = out + way  #: add | the addition of block {{number}} in layer {{layer}}
        out = F.relu(out)  #: relu | the last ReLU of block {{number}} in layer {{layer}}
        return out

class Network(nn.Module):
    def __init__(self, n, num_classes):
        super().__init__()
        widths, strides = (16, 32, 64), (1, 2, 2)  #: plan
        in_channels = widths[0]
        self.conv = nn.Conv2d(3, in_channels, kernel_size=3, stride=1, padding=1, bias=False)  #: stemconv conv
        self.bn = nn.BatchNorm2d(in_channels)  #: stemnorm norm
        self.layers = nn.ModuleList()
        for out_channels, first in zip(widths, strides):
            self.layers.append(nn.ModuleList())
            for number in range(n):
                self.layers[-1].append(Block(in_channels, out_channels, 1 if number else first))
                in_channels = out_channels
        in_features = in_channels
        self.fc = nn.Linear(in_features, num_classes)  #: fc

    def forward(self, x):
        x = self.conv(x)  #: stemrun | the stem's convolution
        x = self.bn(x)  #: stembn | the stem's batch norm
        x = F.relu(x)  #: stemrelu | the stem's ReLU
        for layer, row in enumerate(self.layers, start=1):
            for number, block in enumerate(row, start=1):
                x = block(x, layer, number)
        {head.FORWARD.strip()}
        return x

def cifar_resnet(depth, num_classes=10):
    n = (depth - 2) // 6  #: count
    return Network(n, num_classes)
"""
_ELSEWHERE = ("relu-on-shortcut", "relu-on-both-ends", "relu-before-and-after-addition", "relu-before-block")
_NORMS = (
    "batch-norm-after-addition",
    "first-batch-norm-missing",
    "second-batch-norm-missing",
    "batch-norm-without-scale",
)

CONTRACT = Contract(
    "cifar_resnet(depth, num_classes=10)",
    (
        Case((8,), ((2, 3, 8, 9), (1, 3, 9, 7)), "cifar_resnet(8)"),
        Case((14, 7), ((2, 3, 8, 12),), "cifar_resnet(14, 7)"),
    ),
    REFERENCE,
    (
        """
imagenet-stem: stemconv: kernel_size=3, stride=1, padding=1 → kernel_size=7, stride=2, padding=3
| stemrelu: {}; x = F.max_pool2d(x, 3, 2, 1)
    The stem is the one for 224-pixel images: 7×7 with stride 2 and a max-pool. It leaves a 32×32 image 8×8.
    Here the stem is one 3×3 convolution with stride 1, batch norm and ReLU.
stem-pool-kept: stemrelu: {}; x = F.max_pool2d(x, 3, 2, 1)
or: stemrelu: {}; x = F.max_pool2d(x, 2)
    There is a max-pool in the stem. A 32×32 image has no pixels to give away: leave it out.
stem-stride: stemconv: stride=1 → stride=2
    The stem's convolution has stride 2. A 32×32 image has no pixels to give away: stride 1.
stem-relu-missing: stemrelu: -
    The stem has no ReLU: 3×3 convolution, batch norm, ReLU.
stem-batch-norm-missing: stembn: -
    The stem has no batch norm: 3×3 convolution, batch norm, ReLU.
stem-wrong-kernel-size: stemconv: kernel_size=3 → kernel_size=5 ;; padding=1 → padding=2
    The stem's convolution has a 5×5 kernel. Make it 3×3 with `padding=1`, like every other one of the network.
projection-not-zeros: sizes: {}; self.proj = nn.Conv2d(in_channels, out_channels, 1, stride); self.projbn = nn.BatchNorm2d(out_channels)
| skip: way = self.proj(way) | zeros: way = self.projbn(way)
or: sizes: {}; self.proj = nn.Conv2d(in_channels, out_channels, 1, stride) | skip: way = self.proj(way) | zeros: -
    The shortcuts are projections, option B. The paper's network for CIFAR uses option A: skip pixels and pad
    channels with zeros, so that it has exactly as many weights as the plain one.
""",
        """
for count told: n+1 one block too many | max(1,n-1) one block too few | depth `depth` blocks
| 2*n twice the blocks it should | 3*n three times the blocks it should
wrong-number-of-blocks: count: {}; n = $count
    Each layer has $told. The depth counts convolutions: a block has two, there are three layers, so
    n = (depth − 2) / 6, and 20 gives 3.
stride-in-layer1: plan: (1, 2, 2) → (2, 2, 2)
    The first layer has stride 2 as well. It keeps 32×32: strides 1, 2, 2.
strides-missing: plan: (1, 2, 2) → (1, 1, 1)
    No layer shrinks the map. The second and the third have stride 2: 32, 16, 8.
for widths: 64,128,256 | 16,16,16 | 32,64,128
wrong-widths: plan: (16, 32, 64) → ($widths)
    The layers' widths are $widths. This network is narrow, and they double wherever the map is halved: 16, 32, 64.
for number: 10 | 100
num-classes-ignored: fc: num_classes → $number
    The network always ends in $number scores. Pass `num_classes` to the linear layer.
""",
        head.MISTAKES,
        addition(),
        # The blocks' inputs have passed a ReLU here, so one more on the shortcut changes nothing.
        [mistake for mistake in basic.RELUS if mistake.name not in _ELSEWHERE],
        [mistake for mistake in basic.NORMS if mistake.name in _NORMS],
        zero_pad_shortcut.SHORTCUT,
        # Late, the shortcut has the right shape and may need no zeros.
        [
            replace(mistake, ways=(mistake.ways[0], {**mistake.ways[0], "skip": "", "zeros": ""}))
            for mistake in basic.LATE
        ],
        bias(),
        norms(),
        activations("relu1", "relu", "stemrelu"),
    ),
    "Your network computes what the reference computes: 6n + 2 layers, and shortcuts that cost nothing.",
    variants=zero_pad_shortcut.CONTRACT.variants,
    refused=Case((21,), (), "cifar_resnet(21)"),
)
