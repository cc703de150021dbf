"""``preactivation_block(in_channels, out_channels, stride=1)``: BN, ReLU, conv, twice (He et al. 2016).

Where the shapes differ, a 1×1 convolution projects the pre-activated input. No convolution has a bias.

>>> from resnet_edu import checks
>>> from resnet_edu.blocks import BasicBlock
>>> checks.preactivation_block(BasicBlock).mistake
'post-activation-order'
"""

from resnet_edu.checks.contracts import basic_block as basic
from resnet_edu.checks.contracts.shared import activations, addition, bias, norms
from resnet_edu.checks.source import Contract

REFERENCE = """
class preactivation_block(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()  #: start
        self.bn1 = nn.BatchNorm2d(in_channels)  #: norm1 norm
        first, later = stride, 1  #: strides
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=first, padding=1, bias=False)  #: conv1 conv
        self.bn2 = nn.BatchNorm2d(out_channels)  #: norm2 norm
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, stride=later, padding=1, bias=False)  #: conv2 conv
        self.projected = stride != 1 or in_channels != out_channels  #: when
        if self.projected:
            self.proj = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, padding=0, bias=False)  #: proj conv

    def forward(self, x):
        out = x  #: keep
        out = self.bn1(out)  #: bn1 | the first batch norm
        out = F.relu(out)  #: relu1 | the first ReLU
        first = out  #: first
        out = self.conv1(out)  #: run1 | the first convolution
        out = self.bn2(out)  #: bn2 | the second batch norm
        out = F.relu(out)  #: relu2 | the second ReLU
        out = self.conv2(out)  #: run2 | the second convolution
        way = x  #: way
        if self.projected:
            way = self.proj(first)  #: runproj | the projection
        out = out + way  #: add | the addition
        return out  #: end
"""

CONTRACT = Contract(
    "preactivation_block(in_channels, out_channels, stride=1)",
    tuple(basic.maps("preactivation_block", *args) for args in ((6, 6), (6, 10, 2), (6, 10), (6, 6, 2))),
    REFERENCE,
    (
        addition("runproj", again="self.proj(first) if self.projected else way"),
        """
relu-after-addition: add: {}; out = F.relu(out)
    There is a ReLU after the addition. In the pre-activation block nothing follows it: the sum goes on
    unchanged, so that the way around all blocks stays free.
post-activation-order: norm1: in_channels → out_channels | bn1: - | relu1: -
| run1: out = F.relu(self.bn1(self.conv1(out))) | bn2: - | relu2: - | run2: out = self.bn2(self.conv2(out))
| proj: {}; self.projbn = nn.BatchNorm2d(out_channels) | runproj: way = self.projbn(self.proj(x))
| end: return F.relu(out)
    This is the original block: convolution, batch norm, ReLU. In the pre-activation block each convolution is
    preceded by its batch norm and ReLU, and nothing follows the addition.
for number which: 1 first | 2 second
$which-relu-missing: relu$number: -
    There is no ReLU between the $which batch norm and the $which convolution. The order is batch norm, ReLU,
    convolution, twice.
all-relus-missing: relu1: - | relu2: -
    There is no ReLU at all. The order is batch norm, ReLU, convolution, twice.
for number which: 1 first | 2 second
$which-batch-norm-missing: bn$number: -
    There is no batch norm before the $which convolution. The order is batch norm, ReLU, convolution, twice.
relu-before-batch-norm: bn1: (out) → (F.relu(out)) | relu1: - | bn2: (out) → (F.relu(out)) | relu2: -
    The ReLU runs before the batch norm. The order is batch norm, ReLU, convolution, twice.
identity-of-activated-input: way: x → first
    Where the shapes match, the shortcut carries the normalized and rectified input. It must be the bare input:
    that free way is what the block is for. Only a projection takes the pre-activated input.
projection-of-raw-input: runproj: first → x
    The projection is applied to the bare input. In the original it takes the pre-activated one: batch norm and
    ReLU run first, and both the first convolution and the projection work on their result.
projection-of-raw-input: bn1: {}; norm = out | runproj: first → norm
    The projection takes the input after the batch norm but before the ReLU. It shares the pre-activated input
    with the first convolution: after both.
projection-with-batch-norm: proj: {}; self.projbn = nn.BatchNorm2d(out_channels) | runproj: {}; way = self.projbn(way)
    The projection is followed by a batch norm. In this block it is a bare 1×1 convolution: the next block
    normalizes.
projection-missing: when: self.projected = False
    The input is added as it is, although its shape is not that of the convolutions' output. Where the stride is
    not 1 or the channels differ, project it with a 1×1 convolution of the same stride.
batch-norm-shared: bn2: bn2 → bn1
    One batch norm is used twice. Each place has its own mean and variance, and needs a batch norm of its own.
""",
        basic.CONDITIONS[1:],  # of a projection without batch norm
        [mistake for mistake in basic.PROJECTIONS if mistake.name in {"projection-without-stride", "projection-3x3"}],
        basic.STRIDES,
        [mistake for mistake in basic.CONVOLUTIONS if mistake.name != "second-convolution-missing"],
        bias(),
        norms(),
        activations("relu1", "relu2"),
    ),
    "Your block computes what the reference computes: nothing stands between one addition and the next.",
)
