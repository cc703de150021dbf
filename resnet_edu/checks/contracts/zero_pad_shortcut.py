"""``ZeroPadShortcut(in_channels, out_channels, stride)``: option A, zeros on both sides or on one.

>>> from resnet_edu import checks
>>> from resnet_edu.shortcuts import ProjectionShortcut
>>> checks.zero_pad_shortcut(ProjectionShortcut).mistake
'projection-not-zeros'
"""

from resnet_edu.checks.contracts import basic_block as basic
from resnet_edu.checks.source import Contract, known

LAYERS = """
        self.stride, self.extra = stride, out_channels - in_channels  #: sizes
        self.front = self.extra // 2  #: sides
        self.back = self.extra - self.front  #: back
"""
FORWARD = """
        way = way[:, :, :: self.stride, :: self.stride]  #: skip | the skipping of pixels
        way = F.pad(way, (0, 0, 0, 0, self.front, self.back))  #: zeros | the channels of zeros
"""
REFERENCE = f"""
class ZeroPadShortcut(nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()  #: start
        {LAYERS.strip()}

    def forward(self, way):
        {FORWARD.strip()}
        return way
"""
#: Zeros on both sides with the odd one in front, all behind, all in front.
SIDES: tuple[dict[str, str], ...] = (
    {"sides": "self.extra // 2 → (self.extra + 1) // 2"},
    {"sides": "self.extra // 2 → 0"},
    {"sides": " // 2 → "},
)
SHORTCUT = known(
    """
pooled-not-skipped: skip: way = F.avg_pool2d(way, self.stride)
or: skip: way = F.max_pool2d(way, self.stride)
    The map is shrunk by pooling. Option A skips pixels: `x[:, :, ::stride, ::stride]`.
skips-the-wrong-pixels: skip: way = way[:, :, self.stride - 1 :: self.stride, self.stride - 1 :: self.stride]
    The slice starts at pixel 1. A convolution with stride 2 looks at pixels 0, 2, 4, …: start at 0.
cropped-not-skipped: skip: way = way[:, :, : -(-way.shape[2] // self.stride), : -(-way.shape[3] // self.stride)]
    The map is cut to its first corner. Skip every second pixel over the whole map instead: `x[:, :, ::stride,
    ::stride]`.
copies-not-zeros: zeros: way = torch.cat([way] * (2 + self.extra // way.shape[1]), 1)[:, : way.shape[1] + self.extra]
    The new channels are copies of the old ones. Option A fills with zeros: they add nothing to the sum.
"""
)

CONTRACT = Contract(
    "ZeroPadShortcut(in_channels, out_channels, stride)",
    tuple(basic.maps("ZeroPadShortcut", *args) for args in ((4, 8, 2), (3, 8, 2), (4, 6, 1))),
    REFERENCE,
    (
        """
stride-ignored: skip: :: self.stride, :: self.stride → :, :
    The stride is ignored: the map keeps its size. Skip pixels with a slice, `x[:, :, ::stride, ::stride]`.
zeros-missing: zeros: -
    The new channels are missing. Fill up to the wanted number with channels of zeros: `F.pad` on dimension 1.
""",
        SHORTCUT,
        """
ones-not-zeros: zeros: self.back)) → self.back), value=1.0)
    The new channels are filled with ones. Option A fills with zeros: they add nothing to the sum.
too-many-zeros: sides: self.front = 0 | back: self.back = out_channels
or: sides: self.front = self.extra | back: self.back = self.extra
    There are too many channels. Add only the difference, `out_channels - in_channels`, and add it once: split it, or
    put it on one side.
stride-fixed: start: {}; stride = 2
    The stride is always 2, whatever the argument says: `x[:, :, ::stride, ::stride]`.
projection-not-zeros: sizes: {}; self.proj = nn.Conv2d(in_channels, out_channels, 1, stride); self.projbn = nn.BatchNorm2d(out_channels)
| skip: way = self.proj(way) | zeros: way = self.projbn(way)
or: sizes: {}; self.proj = nn.Conv2d(in_channels, out_channels, 1, stride) | skip: way = self.proj(way) | zeros: -
    This is a projection, option B: it has weights to learn. Option A skips pixels and pads with zeros.
relu-on-shortcut: zeros: {}; way = F.relu(way)
    The shortcut passes a ReLU. It should carry the input unchanged: skip, pad, nothing else.
detached: zeros: {}; way = way.detach()
    The numbers are right, but no gradient flows back. Take out `.detach()`, `.data` or `torch.no_grad()`.
height-and-width-swapped: zeros: {}; way = way.transpose(2, 3)
    Height and width have changed places. Leave the order (N, C, H, W).
for side other edit: height width :: self.stride, : | width height :, :: self.stride
only-$side-skipped: skip: :: self.stride, :: self.stride → $edit
    Only the $side is skipped, the $other keeps its pixels. Slice both: `x[:, :, ::stride, ::stride]`.
""",
    ),
    "Your shortcut computes what the reference computes, and has nothing to learn.",
    variants=tuple(("zeros", side) for side in SIDES),
)
