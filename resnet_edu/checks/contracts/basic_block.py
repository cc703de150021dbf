"""``BasicBlock(in_channels, out_channels, stride=1)``: the shortcut is the identity exactly where shapes match.

No convolution has a bias.

>>> from resnet_edu import checks
>>> from resnet_edu.blocks import BasicBlock
>>> checks.basic_block(BasicBlock).passed
True
>>> checks.basic_block(lambda *shape: BasicBlock(*shape, shortcut="C")).mistake
'projection-always'
"""

from resnet_edu.checks.contracts.shared import activations, addition, bias, norms
from resnet_edu.checks.source import Case, Contract, Mistake, known

REFERENCE = """
class BasicBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()  #: start
        first, later = stride, 1  #: strides
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=first, padding=1, bias=False)  #: conv1 conv
        self.bn1 = nn.BatchNorm2d(out_channels)  #: norm1 norm
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, stride=later, padding=1, bias=False)  #: conv2 conv
        self.bn2 = nn.BatchNorm2d(out_channels)  #: norm2 norm
        self.stride, self.projected = stride, stride != 1 or in_channels != out_channels  #: when
        if self.projected:
            self.proj = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, padding=0, bias=False)  #: proj conv
            self.projbn = nn.BatchNorm2d(out_channels)  #: projnorm norm

    def forward(self, x):
        way = x  #: keep
        out = self.conv1(x)  #: run1 | the first convolution
        out = self.bn1(out)  #: bn1 | the first batch norm
        out = F.relu(out)  #: relu1 | the first ReLU
        out = self.conv2(out)  #: run2 | the second convolution
        out = self.bn2(out)  #: bn2 | the second batch norm
        if self.projected:
            way = self.proj(way)  #: runproj | the projection's convolution
            way = self.projbn(way)  #: bnproj | the projection's batch norm
        out = out + way  #: add | the addition
        out = F.relu(out)  #: relu | the last ReLU
        return out
"""

RELU_TEXT = """
relu-before-addition: add: out + → F.relu(out) + | relu: -
    The last ReLU runs before the addition. Then F(x) can never be negative, and the block can only add. Add the
    shortcut to the output of the $last batch norm first, and apply the ReLU to the sum.
relu-on-both-ends: add: out + way → F.relu(out) + F.relu(way) | relu: -
    F(x) and the shortcut each pass a ReLU before the addition. Add first, and apply one ReLU to the sum.
final-relu-missing: relu: -
    The ReLU after the addition is missing. Apply it to the sum, as the last thing the block does.
relu-before-and-after-addition: add: out + → F.relu(out) +
    There is one ReLU too many: between the $last batch norm and the addition. F(x) must be free to be
    negative, so only the sum passes a ReLU.
relu-on-shortcut: add: + way → + F.relu(way)
    The shortcut passes a ReLU of its own before the addition. It should arrive unchanged (or only projected):
    add it as it is, and apply the ReLU to the sum.
first-relu-missing: relu1: -
    There is no ReLU between the first batch norm and the second convolution. Without it two convolutions in a
    row collapse into a single linear step. Put one there.
relu-before-block: keep: x = F.relu(x); way = x
    The input passes a ReLU before anything else, and so the shortcut carries another input than the block was
    given. Start with the first convolution, and leave the shortcut alone.
relu-before-batch-norm: bn1: (out) → (F.relu(out)) | relu1: - | bn2: (out) → (F.relu(out))
or: bn1: (out) → (F.relu(out)) | relu1: - | bn2: (out) → (F.relu(out)) | relu: -
    The ReLUs run before the batch norms. The order is convolution, batch norm, ReLU, and the last ReLU follows
    the addition: the norm needs to see the negative half too.
relu-before-batch-norm: bn1: (out) → (F.relu(out)) | relu1: -
    The ReLU runs before the batch norm. The order is convolution, batch norm, ReLU: the norm needs to see the
    negative half too.
all-relus-missing: relu1: - | relu: -
    There is no ReLU at all, so the block is a linear map, however many convolutions it has. Put one after each
    batch norm but the last, and one after the addition.
"""
RELUS = known(RELU_TEXT, last="second")
NORM_TEXT = """
batch-norm-after-addition: $norm: - | add: {}; out = self.$norm(out)
    The $last batch norm comes after the addition, so it rescales the shortcut too. Normalize F(x), then add the
    untouched shortcut.
for number which: 1 first | 2 second
$which-batch-norm-missing: bn$number: -
    There is no batch norm after the $which convolution. Every convolution is followed by one.
"""
NORMS = [
    *known(NORM_TEXT, norm="bn2", last="second"),
    *known(
        """
for label which: norm1 first | norm2 second
batch-norm-without-scale: $label: ) → , affine=False)
    The $which batch norm has no scale and shift to learn. Leave out `affine=False`.
batch-norm-shared: bn2: bn2 → bn1
    One batch norm is used in several places. Each convolution's output has its own mean and variance, and needs
    a batch norm of its own.
batch-norm-shared: bnproj: projbn → bn2
    One batch norm serves the main path and the projection. Each convolution's output has its own mean and
    variance, and needs a batch norm of its own.
"""
    ),
]
STRIDE_TEXT = """
stride-fixed: strides: stride, 1 → 2, 1 | proj: stride=stride → stride=2
or: start: {}; stride = 2
    The stride is always 2, whatever the argument says. Pass `stride` on.
stride-in-both-convolutions: strides: stride, 1 → stride, stride
    Two convolutions have the stride, so the map shrinks twice while the shortcut shrinks once. Only one of them
    takes `stride`, the others keep 1.
stride-ignored: strides: stride, 1 → 1, 1 | proj: stride=stride → stride=1
or: start: {}; stride = 1
    The stride is ignored: the map keeps its size. Pass `stride` to the $which convolution, and to the projection
    in the shortcut.
stride-missing-in-main-path: strides: stride, 1 → 1, 1
    The shortcut shrinks the map but the convolutions do not, so the two ends of the addition differ. Pass
    `stride` to the $which convolution.
"""
STRIDES = known(
    """
stride-in-second-convolution: strides: stride, 1 → 1, stride
    The stride sits in the second convolution. It belongs to the first, so that everything after it works on the
    smaller map.
"""
    + STRIDE_TEXT,
    which="first",
)
OF_RESIDUAL = """
projection-of-residual: runproj: (way) → (out)
or: $relu: {}; mid = out | runproj: (way) → (mid)
    The projection is applied to what the convolutions made, not to the block's input. Keep the input before the
    first convolution, and project that.
"""
PROJECTIONS = (
    *known(
        """
projection-without-batch-norm: bnproj: -
    The projection has no batch norm. Its 1×1 convolution is followed by one, like every other convolution of
    the network, so that both ends of the addition arrive at the same scale.
shortcut-detached: bnproj: {}; way = way.detach()
    The numbers are right, but no gradient reaches the projection, so it never learns. Take out `.detach()`,
    `.data` or `torch.no_grad()` around it.
projection-with-relu: bnproj: {}; way = F.relu(way)
    The projection ends in a ReLU. It is a 1×1 convolution and a batch norm, nothing else: add its output as it
    is, and apply the ReLU to the sum.
projection-without-stride: proj: stride=stride → stride=1
    The projection does not shrink the map as the convolutions do, so the two ends of the addition differ. Give
    its 1×1 convolution the same `stride`.
projection-3x3: proj: kernel_size=1 → kernel_size=3 ;; padding=0 → padding=1
    The projection has a 3×3 kernel. Make it 1×1: it only has to match channels and skip pixels, and costs a
    ninth.
projection-padded: proj: padding=0 → padding=1
    The projection's 1×1 convolution has padding, so it makes a border of zeros and the two ends of the addition
    differ. A 1×1 kernel needs `padding=0`.
for pool more: avg_pool2d That is a later variant (ResNet-D); here the projection itself takes the stride.
| max_pool2d Here the projection itself takes the stride, nothing is pooled.
projection-after-pooling: proj: stride=stride → stride=1 | runproj: (way) → (F.$pool(way, self.stride))
or: proj: stride=stride → stride=1 | runproj: (way) → (F.$pool(way, self.stride, ceil_mode=True))
    The shortcut pools first and projects then. $more
zeros-not-projection: runproj: way = F.pad(way[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, out.shape[1] - way.shape[1]))
| bnproj: -
or: runproj: way = F.pad(way[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, (out.shape[1] - way.shape[1]) // 2, (out.shape[1] - way.shape[1] + 1) // 2))
| bnproj: -
or: runproj: way = F.pad(way[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, out.shape[1] - way.shape[1], 0))
| bnproj: -
    The shortcut skips pixels and fills new channels with zeros, which is option A. Here it is option B, a
    projection: a 1×1 convolution with the same stride, and a batch norm.
"""
    ),
    *known(OF_RESIDUAL, relu="relu1"),
)
_CONDITIONS = """
projection-missing: when: stride != 1 or in_channels != $leaving → False
    The input is added as it is, although its shape is not that of the convolutions' output. Where the stride is
    not 1 or the channels differ, bring it to the same shape: a 1×1 convolution with the same stride, and a
    batch norm.
projection-only-for-stride: when:  or in_channels != $leaving →
    The shortcut is projected only where the stride is not 1. With stride 1 and another number of channels the
    two ends do not match either: test `stride != 1 or in_channels != $told`.
projection-only-for-channels: when: stride != 1 or →
    The shortcut is projected only where the channels differ. With stride 2 and equal channels the sizes do not
    match either: test `stride != 1 or in_channels != $told`.
projection-always: when: stride != 1 or in_channels != $leaving → True
    The shortcut is projected even where the shapes match. There it must be the identity: nothing to learn,
    nothing in the gradient's way. Project only where the stride is not 1 or the channels differ.
"""


def conditions(leaving: str, told: str) -> list[Mistake]:
    """When the shortcut is projected: the channels that leave, by their name in the reference and as they are told."""
    return known(_CONDITIONS, leaving=leaving, told=told)


CONDITIONS = conditions("out_channels", "out_channels")
LOST = """
input-lost: add: + way → + out | runproj: - | bnproj: -
or: keep: - | $last: {}; way = out
    F(x) is added to itself: the name of the input was given to what the convolutions made. Keep the input
    first, `shortcut = x`, and add that.
"""
INPUT_LOST = known(LOST, last="bn2")
LATE = known(
    """
for label layer: relu1 ReLU | bn1 batch norm | run1 convolution
shortcut-starts-late: keep: - | $label: {}; way = out
or: keep: - | $label: {}; way = out | proj: in_channels → out_channels ;; stride=stride → stride=1
    The shortcut does not start at the block's input but behind the first $layer. Keep the input before anything
    happens to it, `shortcut = x` as the first line, and add that.
"""
)
CONVOLUTIONS = known(
    """
for label which: conv1 first | conv2 second
padding-missing: $label: padding=1 → padding=0
    The $which convolution has no padding, so a 3×3 kernel takes two pixels from each side's length and the two
    ends of the addition cannot match. Give it `padding=1`: (H + 2·1 − 3)/1 + 1 = H.
for label which size half: conv1 first 1 0 | conv1 first 5 2 | conv1 first 7 3 | conv2 second 1 0 | conv2 second 5 2
| conv2 second 7 3
wrong-kernel-size: $label: kernel_size=3 → kernel_size=$size ;; padding=1 → padding=$half
    The $which convolution has a $size×$size kernel, this block uses 3×3 there.
convolution-shared: run2: conv2 → conv1
or: run2: self.conv2(out) → F.conv2d(out, self.conv1.weight, padding=1)
    The same convolution is used twice, so both steps share one set of weights. Make two convolutions, and call
    each once.
for label which mode: conv1 first reflect | conv1 first replicate | conv1 first circular | conv2 second reflect
| conv2 second replicate | conv2 second circular
padding-not-zero: $label: bias=False → bias=False, padding_mode='$mode'
    The $which convolution does not pad the border with zeros: `padding_mode` is set. Leave the default.
for label which: conv1 first | conv2 second
dilated-convolution: $label: padding=1 → padding=2, dilation=2
    The $which convolution is dilated: its nine weights reach over 5×5 pixels. Leave out `dilation`.
grouped-convolution: conv2: bias=False → bias=False, groups=self.conv1.out_channels
    A 3×3 convolution is split into groups, each channel for itself. Leave out `groups`: every filter looks at
    all channels.
second-convolution-missing: relu1: - | run2: - | bn2: -
    The second convolution with its batch norm is missing: this block has two.
"""
)
PREACTIVATED = known(
    """
pre-activation-order: norm1: out_channels → in_channels | run1: - | bn1: out = self.bn1(x)
| relu1: {}; first = out; out = self.conv1(out) | run2: out = self.conv2(F.relu(self.bn2(out))) | bn2: -
| runproj: (way) → (first) | bnproj: - | relu: -
    Batch norm and ReLU come before each convolution. That is the later pre-activation block (He et al. 2016). Here
    the order is convolution, batch norm, ReLU, and the last ReLU follows the addition.
"""
)
ANYWHERE: tuple[Mistake, ...] = (bias(), *norms(), *activations("relu1", "relu"))


def maps(name: str, *args: int) -> Case:
    """A case with three inputs: an odd size, another one, and a batch of one."""
    call = f"{name}({', '.join(map(str, args))})"
    return Case(args, ((3, args[0], 9, 8), (2, args[0], 7, 5), (1, args[0], 6, 6)), call)


CONTRACT = Contract(
    "BasicBlock(in_channels, out_channels, stride=1)",
    tuple(maps("BasicBlock", *args) for args in ((6, 6), (6, 10, 2), (6, 10), (6, 6, 2))),
    REFERENCE,
    (
        addition("runproj", "bnproj", again="self.projbn(self.proj(x)) if self.projected else way"),
        INPUT_LOST,
        RELUS,
        NORMS,
        STRIDES,
        PROJECTIONS,
        CONDITIONS,
        LATE,
        CONVOLUTIONS,
        ANYWHERE,
        PREACTIVATED,
    ),
    "Your block computes what the reference computes, with and without a change of shape, forwards and backwards.",
)
