"""``Bottleneck(in_channels, channels, stride=1)``: 1×1, 3×3, 1×1 to ``4·channels``.

The stride may sit in the 3×3 (torchvision) or in the first 1×1 (the paper). No convolution has a bias.

>>> from resnet_edu import checks
>>> from resnet_edu.blocks import Bottleneck
>>> checks.bottleneck(lambda *shape: Bottleneck(*shape, stride_in="1x1")).passed
True
"""

from dataclasses import replace

from resnet_edu.checks.contracts import basic_block as basic
from resnet_edu.checks.contracts.shared import activations, addition, bias, norms
from resnet_edu.checks.source import Contract, known

REFERENCE = """
class Bottleneck(nn.Module):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__()  #: start
        width, leaving = channels, 4 * channels  #: widths
        middle, first = stride, 1  #: strides
        self.conv1 = nn.Conv2d(in_channels, width, kernel_size=1, stride=first, bias=False)  #: conv1 conv
        self.bn1 = nn.BatchNorm2d(width)  #: norm1 norm
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, stride=middle, padding=1, bias=False)  #: conv2 conv
        self.bn2 = nn.BatchNorm2d(width)  #: norm2 norm
        self.conv3 = nn.Conv2d(width, leaving, kernel_size=1, stride=1, bias=False)  #: conv3 conv
        self.bn3 = nn.BatchNorm2d(leaving)  #: norm3 norm
        self.stride, self.projected = stride, stride != 1 or in_channels != leaving  #: when
        if self.projected:
            self.proj = nn.Conv2d(in_channels, leaving, kernel_size=1, stride=stride, padding=0, bias=False)  #: proj conv
            self.projbn = nn.BatchNorm2d(leaving)  #: projnorm norm

    def forward(self, x):
        way = x  #: keep
        out = self.conv1(x)  #: run1 | the first convolution
        out = self.bn1(out)  #: bn1 | the first batch norm
        out = F.relu(out)  #: relu1 | the first ReLU
        out = self.conv2(out)  #: run2 | the second convolution
        out = self.bn2(out)  #: bn2 | the second batch norm
        out = F.relu(out)  #: relu2 | the second ReLU
        out = self.conv3(out)  #: run3 | the third convolution
        out = self.bn3(out)  #: bn3 | the third batch norm
        if self.projected:
            way = self.proj(way)  #: runproj | the projection's convolution
            way = self.projbn(way)  #: bnproj | the projection's batch norm
        out = out + way  #: add | the addition
        out = F.relu(out)  #: relu | the last ReLU
        return out
"""

_OF_THREE = ("relu-before-batch-norm", "all-relus-missing")
_RELUS = (
    *(mistake for mistake in known(basic.RELU_TEXT, last="third") if mistake.name not in _OF_THREE),
    *known(
        """
second-relu-missing: relu2: -
    There is no ReLU between the second batch norm and the third convolution. Without it two convolutions in a
    row collapse into a single linear step. Put one there.
inner-relus-missing: relu1: - | relu2: -
    There is no ReLU between the convolutions: the three collapse into a linear step. Put one behind the first two norms.
relu-before-batch-norm: bn1: (out) → (F.relu(out)) | relu1: - | bn2: (out) → (F.relu(out)) | relu2: -
| bn3: (out) → (F.relu(out))
or: bn1: (out) → (F.relu(out)) | relu1: - | bn2: (out) → (F.relu(out)) | relu2: - | bn3: (out) → (F.relu(out)) | relu: -
    The ReLUs run before the batch norms. The order is convolution, batch norm, ReLU, and the last ReLU follows
    the addition: the norm needs to see the negative half too.
relu-before-batch-norm: bn1: (out) → (F.relu(out)) | relu1: - | bn2: (out) → (F.relu(out)) | relu2: -
    The ReLU runs before the batch norm. The order is convolution, batch norm, ReLU: the norm needs to see the
    negative half too.
all-relus-missing: relu1: - | relu2: - | relu: -
    There is no ReLU at all, so the block is a linear map, however many convolutions it has. Put one after each
    batch norm but the last, and one after the addition.
"""
    ),
)
_NORMS = (
    *known(basic.NORM_TEXT, norm="bn3", last="third"),
    *known(
        """
third-batch-norm-missing: bn3: -
    There is no batch norm after the third convolution. Every convolution is followed by one.
for label which: norm1 first | norm2 second | norm3 third
batch-norm-without-scale: $label: ) → , affine=False)
    The $which batch norm has no scale and shift to learn. Leave out `affine=False`.
batch-norm-shared: bn2: bn2 → bn1 | bn3: bn3 → bn1
    One batch norm is used in several places. Each convolution's output has its own mean and variance, and needs
    a batch norm of its own.
batch-norm-shared: bn2: bn2 → bn1
    The first two convolutions share one batch norm. Each convolution's output has its own mean and variance,
    and needs a batch norm of its own.
batch-norm-shared: bnproj: projbn → bn3
    One batch norm serves the main path and the projection. Each convolution's output has its own mean and
    variance, and needs a batch norm of its own.
"""
    ),
)
_STRIDES = known(
    """
stride-in-last-convolution: strides: stride, 1 → 1, 1 | conv3: stride=1 → stride=stride
    The stride sits in the last 1×1 convolution, which throws three pixels of four away after all the work on
    them. It belongs to the 3×3 (or, as in the paper, to the first 1×1).
"""
    + basic.STRIDE_TEXT,
    which="3×3",
)
_WIDTHS = known(
    """
expansion-missing: widths: 4 * channels → channels | when: leaving → 4 * channels
or: widths: 4 * channels → channels
    The block ends with `channels` channels. A bottleneck widens again: the last 1×1 convolution, its batch norm
    and the shortcut make `4 * channels`.
channels-taken-as-output: widths: width, leaving = max(1, channels // 4), channels
or: widths: width, leaving = max(1, channels // 4), channels | when: leaving → 4 * channels
    You take `channels` for the number of channels that leave the block, and squeeze to a quarter of it. It is
    the width inside: squeeze to `channels`, and widen to `4 * channels`.
widened-too-early: conv2: width, width → width, leaving | norm2: width → leaving
| conv3: width, leaving → leaving, leaving
    The 3×3 convolution already widens to four times the channels, where it costs most. Keep it narrow, and let
    the last 1×1 widen.
expansion-forgotten-in-condition: when: leaving → channels
    The shortcut is projected where `in_channels` and `channels` differ. What counts are the channels that
    leave: test `stride != 1 or in_channels != 4 * channels`.
"""
)
_CONVOLUTIONS = (
    *(mistake for mistake in basic.CONVOLUTIONS if all(way.keys() <= {"conv2"} for way in mistake.ways)),
    *known(
        """
convolution-shared: run2: conv2 → conv1
    The same convolution is used twice, so both steps share one set of weights. Make two convolutions, and call
    each once.
second-convolution-missing: run2: - | bn2: - | relu2: -
    The second convolution with its batch norm is missing: this block has three.
"""
    ),
)

CONTRACT = Contract(
    "Bottleneck(in_channels, channels, stride=1)",
    tuple(basic.maps("Bottleneck", *args) for args in ((16, 4), (10, 4, 2), (4, 4), (16, 4, 2))),
    REFERENCE,
    (
        addition("runproj", "bnproj", again="self.projbn(self.proj(x)) if self.projected else way"),
        known(basic.LOST, last="bn3"),
        _RELUS,
        _NORMS,
        _STRIDES,
        _WIDTHS,
        [mistake for mistake in basic.PROJECTIONS if mistake.name != "projection-of-residual"],
        known(basic.OF_RESIDUAL, relu="relu2"),
        basic.conditions("leaving", "4 * channels"),
        [
            replace(mistake, ways=(mistake.ways[0], {**mistake.ways[1], "proj": "in_channels → width"}))
            for mistake in basic.LATE
        ],
        _CONVOLUTIONS,
        bias(),
        norms(),
        activations("relu1", "relu2", "relu"),
    ),
    "Your block computes what the reference computes, in all four combinations of shapes.",
    variants=(("run1", {"strides": "stride, 1 → 1, stride"}),),
)
