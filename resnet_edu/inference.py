"""Same numbers, less time: a copy of a network that is only meant to predict (Jacob et al. 2018, section 3.2)."""

import copy
from typing import TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def fold_conv_bn(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution that computes what ``bn(conv(x))`` computes in eval mode.

    With s = γ/√(σ² + ε) for each output channel: weight ← s·weight, bias ← s·(bias − μ) + β.

    >>> import torch
    >>> conv, bn = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8).eval()
    >>> x = torch.rand(1, 3, 9, 9)
    >>> torch.allclose(fold_conv_bn(conv, bn)(x), bn(conv(x)), atol=1e-6)
    True

    Raises ValueError if the batch norm keeps no running statistics or has another number of channels.
    """
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("this batch norm keeps no running statistics, so there is nothing to fold")
    if bn.num_features != conv.out_channels:
        raise ValueError(f"the convolution makes {conv.out_channels} channels, the batch norm takes {bn.num_features}")
    folded = copy.deepcopy(conv)
    with torch.no_grad():
        scale = (bn.running_var + bn.eps).rsqrt()
        if bn.affine:
            scale = scale * bn.weight
        shift = -bn.running_mean * scale
        if conv.bias is not None:
            shift = shift + conv.bias * scale
        if bn.affine:
            shift = shift + bn.bias
        folded.weight.mul_(scale.view(-1, 1, 1, 1))
        folded.bias = nn.Parameter(shift)
    return folded


def for_inference(model: Model) -> Model:
    """A copy in eval mode, in channels-last memory, with every batch norm folded into the convolution before it.

    Give it channels-last images for the full effect: ``x.to(memory_format=torch.channels_last)``.

    >>> import torch
    >>> from resnet_edu import resnet18
    >>> model = resnet18().eval()
    >>> x = torch.rand(1, 3, 64, 64)
    >>> torch.allclose(for_inference(model)(x), model(x), atol=1e-4)
    True

    Pairs a batch norm with the convolution registered right before it in the same module, which is
    the order of execution in every room of this package and in torchvision's ResNets.
    """
    folded = copy.deepcopy(model)
    for parent in list(folded.modules()):
        previous: tuple[str, nn.Module] | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and previous is not None and isinstance(previous[1], nn.Conv2d):
                setattr(parent, previous[0], fold_conv_bn(previous[1], child))
                setattr(parent, name, nn.Identity())
            previous = (name, child)
    return folded.eval().to(memory_format=torch.channels_last)
