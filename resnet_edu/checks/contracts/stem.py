"""``Stem()``: convolution 7×7/2 from 3 to 64 channels, batch norm, ReLU, max-pool 3×3/2.

>>> from resnet_edu import checks
>>> from torch import nn
>>> from resnet_edu.stem import ImageNetStem
>>> checks.stem(ImageNetStem).passed
True
>>> checks.stem(lambda: nn.Sequential(*list(ImageNetStem())[:3])).mistake
'pool-missing'
"""

from resnet_edu.checks.contracts.shared import activations, bias, norms
from resnet_edu.checks.source import Case, Contract, known

LAYERS = """
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)  #: stemconv
        self.bn1 = nn.BatchNorm2d(64)  #: stemnorm norm
"""
FORWARD = """
        x = self.conv1(x)  #: stemrun | the stem's convolution
        x = self.bn1(x)  #: stembn | the stem's batch norm
        x = F.relu(x)  #: stemrelu | the stem's ReLU
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)  #: pool | the max-pool
"""
REFERENCE = f"""
class Stem(nn.Module):
    def __init__(self):
        super().__init__()
        {LAYERS.strip()}

    def forward(self, x):
        {FORWARD.strip()}
        return x
"""
MISTAKES = known(
    """
cifar-stem: stemconv: kernel_size=7, stride=2, padding=3 → kernel_size=3, stride=1, padding=1 | pool: -
    This is the stem for small images: one 3×3 convolution with stride 1, and no max-pool. For 224 pixels the
    stem is a 7×7 convolution with stride 2, batch norm, ReLU and a max-pool 3×3 with stride 2.
padding-missing: stemconv: padding=3 → padding=0
    The 7×7 convolution has no padding, so the border is lost: ⌊(224 + 2·0 − 7)/2⌋ + 1 = 109. Give it
    `padding=3`, which makes 112.
for padding: 1 | 2 | 4
wrong-padding: stemconv: padding=3 → padding=$padding
    The 7×7 convolution has `padding=$padding`. With 3 every second pixel is a center: ⌊(224 + 2·3 − 7)/2⌋ + 1 =
    112.
for kernel padding: 3 1 | 3 3 | 5 2 | 5 3 | 11 5
wrong-kernel-size: stemconv: kernel_size=7 → kernel_size=$kernel ;; padding=3 → padding=$padding
    The stem's convolution has a $kernel×$kernel kernel. Make it 7×7 with `padding=3`: it is the only large one
    in the network.
stride-missing: stemconv: stride=2 → stride=1
    The convolution has stride 1, so the map stays twice as large as it should be. Give it `stride=2`.
pool-missing: pool: -
    The max-pool is missing: the stem ends at half the image's size, and should end at a quarter. Add
    `nn.MaxPool2d(kernel_size=3, stride=2, padding=1)`.
pool-padding-missing: pool: padding=1 → padding=0
    The max-pool has no padding: ⌊(112 + 2·0 − 3)/2⌋ + 1 = 55. Give it `padding=1`, which makes 56.
for kernel padding: 2 0 | 5 2
pool-kernel-$kernel: pool: kernel_size=3 → kernel_size=$kernel ;; padding=1 → padding=$padding
    The max-pool has a $kernel×$kernel kernel. Make it 3×3 with stride 2 and padding 1.
pool-stride-missing: pool: stride=2 → stride=1
    The max-pool has stride 1, so it does not shrink the map. Give it `stride=2`.
pool-stride-is-kernel: pool: stride=2 → stride=3
    The max-pool has stride 3, which PyTorch also takes where no `stride` is given: the kernel's size. Give it
    `stride=2`.
pool-stride-is-kernel: pool: stride=2 → stride=3 ;; padding=1 → padding=0
    The max-pool has no padding and stride 3, which PyTorch also takes where no `stride` is given: the kernel's
    size. Give it `stride=2, padding=1`.
pool-rounds-up: pool: padding=1 → padding=0, ceil_mode=True
    The max-pool rounds sizes up in place of padding. Leave out `ceil_mode` and give it `padding=1`.
average-pool: pool: max_pool2d → avg_pool2d
    The pool takes the mean of its window. Take the largest value: `nn.MaxPool2d`.
relu-missing: stemrelu: -
    There is no ReLU after the batch norm. The order is convolution, batch norm, ReLU, max-pool.
batch-norm-missing: stembn: -
    There is no batch norm after the convolution. The order is convolution, batch norm, ReLU, max-pool.
relu-before-batch-norm: stembn: (x) → (F.relu(x)) | stemrelu: -
    The ReLU runs before the batch norm. The order is convolution, batch norm, ReLU, max-pool.
pool-before-batch-norm: stembn: x = self.bn1(F.max_pool2d(x, kernel_size=3, stride=2, padding=1)) | pool: -
    The max-pool runs before the batch norm. With a negative scale the norm would turn the largest into the
    smallest, so the order matters: convolution, batch norm, ReLU, max-pool.
for width: 16 | 32 | 96 | 128
wrong-width: stemconv: 3, 64 → 3, $width | stemnorm: 64 → $width
    The convolution makes $width channels. Give it 64: that is what the first layer takes.
for mode: reflect | replicate | circular
padding-not-zero: stemconv: bias=False → bias=False, padding_mode='$mode'
    The border is not padded with zeros: `padding_mode` is set. Leave the default.
"""
)

CONTRACT = Contract(
    "Stem()",
    (Case((), ((2, 3, 33, 28), (1, 3, 23, 25), (1, 3, 32, 32)), "Stem()"),),
    REFERENCE,
    (MISTAKES, bias("stemconv", remark=True), norms(), activations("stemrelu")),
    "Your stem computes what the reference computes: each side shrinks fourfold.",
)
