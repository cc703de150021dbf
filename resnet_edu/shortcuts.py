"""The way around a block, and what to do where its two ends differ (He et al. 2015, section 4.1)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.convs import conv1x1
from resnet_edu.counting.recipes import check_choice


class ZeroPadShortcut(nn.Module):
    """Option A: skip pixels, and fill the new channels with zeros. Costs nothing to learn or compute.

    ``(N, in_channels, H, W)`` → ``(N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉)``.

    >>> import torch
    >>> x = torch.ones(1, 16, 32, 32)
    >>> padded = ZeroPadShortcut(16, 32, stride=2)(x)
    >>> tuple(padded.shape)                              # 8 zero channels, the 16, 8 zero channels
    (1, 32, 16, 16)
    >>> padded[0, :, 0, 0].sum().item()                  # only the 16 carry something
    16.0

    The paper does not say where the zeros go. Half on each side treats the old channels alike.
    Raises ValueError if out_channels is smaller than in_channels: padding cannot remove channels.
    """

    operation = "zero-pad"  #: its name in tables and diagrams

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        if out_channels < in_channels:
            raise ValueError(
                f"zero-padding can add channels but not remove them, got {in_channels} → {out_channels}; "
                "use option B, a projection"
            )
        super().__init__()
        self.stride = stride
        extra = out_channels - in_channels
        self.before, self.after = extra // 2, extra - extra // 2

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))  # last dimension first: W, H, then C

    def extra_repr(self) -> str:
        return f"stride={self.stride}, zeros={self.before} + {self.after} channels"


class ProjectionShortcut(nn.Sequential):
    """Options B and C: a 1×1 convolution and a batch norm bring the input to the shape of the output.

    ``(N, in_channels, H, W)`` → ``(N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉)``.
    Weights: in_channels·out_channels, and 2·out_channels of the batch norm.

    >>> import torch
    >>> tuple(ProjectionShortcut(64, 128, stride=2)(torch.zeros(2, 64, 56, 56)).shape)
    (2, 128, 28, 28)
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        # The paper does not mention the batch norm here; its authors' released models have it.
        super().__init__(conv1x1(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels))


def make_shortcut(option: str, in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """The shortcut that a block needs under one of the paper's three options.

    - **A**: identity where the shapes match, zero-padding where they do not.
    - **B**: identity where the shapes match, a projection where they do not.
    - **C**: a projection everywhere.

    >>> make_shortcut("B", 64, 64)
    Identity()
    >>> make_shortcut("A", 64, 128, stride=2)
    ZeroPadShortcut(stride=2, zeros=32 + 32 channels)

    Raises ValueError if the option is none of the three.
    """
    check_choice("shortcut", option, ("A", "B", "C"))
    if option == "C":
        return ProjectionShortcut(in_channels, out_channels, stride)
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    if option == "A":
        return ZeroPadShortcut(in_channels, out_channels, stride)
    return ProjectionShortcut(in_channels, out_channels, stride)


def check_addable(residual: Tensor, shortcut: Tensor) -> None:
    """Raise ValueError unless the two ends of the addition have the same shape, and name the cures.

    >>> import torch
    >>> check_addable(torch.zeros(1, 128, 28, 28), torch.zeros(1, 64, 56, 56))
    Traceback (most recent call last):
        ...
    ValueError: cannot add: the convolutions give (1, 128, 28, 28), the shortcut gives (1, 64, 56, 56). \
Bring the shortcut to the shape of the convolutions: A, skip pixels and pad channels with zeros \
(ZeroPadShortcut); B, project with a 1×1 convolution of the same stride (ProjectionShortcut); \
C, project in every block.
    """
    # A tracer sends through stand-ins that have no shapes, and a script has no such sentence to say.
    if torch.jit.is_scripting() or torch.jit.is_tracing() or not isinstance(residual, Tensor):  # type: ignore
        return
    # Broadcasting would accept some of these shapes and hide the mistake, so equality is asked for.
    if residual.shape != shortcut.shape:
        raise ValueError(
            f"cannot add: the convolutions give {tuple(residual.shape)}, the shortcut gives {tuple(shortcut.shape)}. "
            "Bring the shortcut to the shape of the convolutions: A, skip pixels and pad channels with zeros "
            "(ZeroPadShortcut); B, project with a 1×1 convolution of the same stride (ProjectionShortcut); "
            "C, project in every block."
        )
