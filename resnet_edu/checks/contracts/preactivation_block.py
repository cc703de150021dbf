"""The pre-activation block: batch norm and ReLU before each convolution, and nothing behind the addition."""

from resnet_edu.checks.contracts import basic_block as basic
from resnet_edu.checks.contracts.shared import activations, addition, bias, norms
from resnet_edu.checks.source import Contract, M

REFERENCE = """
class preactivation_block(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()  #: start
        self.bn1 = nn.BatchNorm2d(in_channels)  #: norm1 norm
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)  #: conv1 conv
        self.bn2 = nn.BatchNorm2d(out_channels)  #: norm2 norm
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, stride=1, padding=1, bias=False)  #: conv2 conv
        self.projected = stride != 1 or in_channels != out_channels  #: when
        if self.projected:
            self.proj = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, padding=0, bias=False)  #: proj conv
            self.projbn = nn.BatchNorm2d(out_channels)

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
        [
            mistake if mistake.name != "shortcut-never-added" else M(mistake.name, mistake.message, add="", runproj="")
            for mistake in addition(projected=False)
        ],
        M(
            "shortcut-twice",
            "The shortcut is computed and added twice, F(x) + 2x. Once is enough: look for a `+=` and a "
            "`+` that both do it.",
            add="+ way → + way + (self.proj(first) if self.projected else way)",
        ),
        M(
            "relu-after-addition",
            "There is a ReLU after the addition. In the pre-activation block nothing follows it: the sum "
            "goes on unchanged, so that the way around all blocks stays free.",
            add="{}; out = F.relu(out)",
        ),
        M(
            "post-activation-order",
            "This is the original block: convolution, batch norm, ReLU. In the pre-activation block each "
            "convolution is preceded by its batch norm and ReLU, and nothing follows the addition.",
            norm1="in_channels → out_channels",
            bn1="",
            relu1="",
            run1="out = F.relu(self.bn1(self.conv1(out)))",
            bn2="",
            relu2="",
            run2="out = self.bn2(self.conv2(out))",
            runproj="way = self.projbn(self.proj(x))",
            end="return F.relu(out)",
        ),
        M(
            "first-relu-missing",
            "There is no ReLU between the first batch norm and the first convolution. The order is batch "
            "norm, ReLU, convolution, twice.",
            relu1="",
        ),
        M(
            "second-relu-missing",
            "There is no ReLU between the second batch norm and the second convolution. The order is "
            "batch norm, ReLU, convolution, twice.",
            relu2="",
        ),
        M(
            "all-relus-missing",
            "There is no ReLU at all. The order is batch norm, ReLU, convolution, twice.",
            relu1="",
            relu2="",
        ),
        M(
            "first-batch-norm-missing",
            "There is no batch norm before the first convolution. The order is batch norm, ReLU, convolution, twice.",
            bn1="",
        ),
        M(
            "second-batch-norm-missing",
            "There is no batch norm before the second convolution. The order is batch norm, ReLU, convolution, twice.",
            bn2="",
        ),
        M(
            "batch-norms-missing",
            "There is no batch norm. The order is batch norm, ReLU, convolution, twice.",
            bn1="",
            bn2="",
        ),
        M(
            "relu-before-batch-norm",
            "The ReLU runs before the batch norm. The order is batch norm, ReLU, convolution, twice.",
            bn1="(out) → (F.relu(out))",
            relu1="",
            bn2="(out) → (F.relu(out))",
            relu2="",
        ),
        M(
            "identity-of-activated-input",
            "Where the shapes match, the shortcut carries the normalized and rectified input. It must be "
            "the bare input: that free way is what the block is for. Only a projection takes the "
            "pre-activated input.",
            way="x → first",
        ),
        M(
            "projection-of-raw-input",
            "The projection is applied to the bare input. In the original it takes the pre-activated one: "
            "batch norm and ReLU run first, and both the first convolution and the projection work on "
            "their result.",
            runproj="first → x",
        ),
        M(
            "projection-of-raw-input",
            "The projection takes the input after the batch norm but before the ReLU. It shares the "
            "pre-activated input with the first convolution: after both.",
            bn1="{}; norm = out",
            runproj="first → norm",
        ),
        M(
            "projection-with-batch-norm",
            "The projection is followed by a batch norm. In this block it is a bare 1×1 convolution: the "
            "next block normalizes.",
            runproj="{}; way = self.projbn(way)",
        ),
        M(
            "projection-without-stride",
            "The projection does not shrink the map as the convolutions do. Give its 1×1 convolution the "
            "same `stride`.",
            proj="stride=stride → stride=1",
        ),
        M(
            "projection-3x3",
            "The projection has a 3×3 kernel. It is a 1×1 convolution.",
            proj="kernel_size=1 → kernel_size=3 ;; padding=0 → padding=1",
        ),
        M(
            "projection-missing",
            "The input is added as it is, although its shape is not that of the convolutions' output. "
            "Where the stride is not 1 or the channels differ, project it with a 1×1 convolution of the "
            "same stride.",
            when="self.projected = False",
        ),
        M(
            "projection-only-for-stride",
            "The shortcut is projected only where the stride is not 1. With stride 1 and another number "
            "of channels the two ends do not match either: test `stride != 1 or in_channels != "
            "out_channels`.",
            when=" or in_channels != out_channels → ",
        ),
        M(
            "projection-only-for-channels",
            "The shortcut is projected only where the channels differ. With stride 2 and equal channels "
            "the sizes do not match either: test `stride != 1 or in_channels != out_channels`.",
            when="stride != 1 or → ",
        ),
        M(
            "projection-always",
            "The shortcut is projected even where the shapes match. There it must be the bare input.",
            when="self.projected = True",
        ),
        M(
            "stride-in-second-convolution",
            "The stride sits in the second convolution. It belongs to the first.",
            conv1="stride=stride → stride=1",
            conv2="stride=1 → stride=stride",
        ),
        M(
            "stride-in-both-convolutions",
            "Both convolutions have the stride, so the map shrinks twice while the shortcut shrinks once. "
            "Only the first takes `stride`.",
            conv2="stride=1 → stride=stride",
        ),
        M(
            "stride-ignored",
            "The stride is ignored: the map keeps its size. Pass `stride` to the first convolution and to "
            "the projection.",
            {"conv1": "stride=stride → stride=1", "proj": "stride=stride → stride=1"},
            {"start": "{}; stride = 1"},
        ),
        M(
            "stride-missing-in-main-path",
            "The shortcut shrinks the map but the convolutions do not, so the two ends of the addition "
            "differ. Pass `stride` to the first convolution.",
            conv1="stride=stride → stride=1",
        ),
        basic.CONVOLUTIONS[:3],
        M(
            "convolution-shared",
            "The same convolution is used twice, so both steps share one set of weights. Make two.",
            run2="conv2 → conv1",
        ),
        M(
            "batch-norm-shared",
            "One batch norm is used twice. Each place has its own mean and variance, and needs a batch "
            "norm of its own.",
            bn2="bn2 → bn1",
        ),
        bias(),
        norms(),
        activations("relu1", "relu2"),
    ),
    "Your block computes what the reference computes: nothing stands between one addition and the next.",
)
