"""How a network starts (He et al. 2015b, "Delving Deep into Rectifiers"; Goyal et al. 2017, section 5.1).

Each function changes the model in place, as the underscore says, and returns it.
"""

import math
from typing import TypeVar

from torch import nn

from resnet_edu.blocks import BasicBlock, Bottleneck

Model = TypeVar("Model", bound=nn.Module)


def kaiming_normal_(model: Model) -> Model:
    """Convolutions from N(0, 2/fan_out), batch norms to weight 1 and bias 0: torchvision's start.

    fan_out is kernel area · out_channels, so the *gradient* keeps its variance through a ReLU
    (He et al. 2015b, equation 14). The linear layer keeps PyTorch's own start.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> conv = kaiming_normal_(nn.Conv2d(64, 128, 3))
    >>> round(conv.weight.std().item(), 3)                     # √(2 / (3·3·128)) = 0.0417
    0.042
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    return model


def zero_init_residual_(model: Model) -> Model:
    """Set the weight γ of each block's last batch norm to 0, so that every block starts as its shortcut.

    Goyal et al. 2017, section 5.1.

    >>> import torch
    >>> block = zero_init_residual_(BasicBlock(8, 8))
    >>> x = torch.rand(2, 8, 5, 5)
    >>> torch.equal(block(x), x)                               # ReLU(0 + x) = x, for x ≥ 0
    True
    """
    for module in model.modules():
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)
        elif isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)
    return model


def kaiming_uniform_(model: Model) -> Model:
    """Convolutions and linear layers from U(−b, b), b = √(1.5/fan_in); batch norms to 0.975 and 0.125.

    b comes from Kaiming's bound √(6 / ((1 + a²)·fan_in)) with a = √3. PyTorch's own start has a = √5
    and b = √(1/fan_in), so this one is a little wider. Linear biases keep PyTorch's start.

    >>> import torch
    >>> conv = kaiming_uniform_(nn.Conv2d(64, 64, 3))
    >>> bool(conv.weight.abs().max() <= math.sqrt(1.5 / (3 * 3 * 64)))
    True
    >>> norm = kaiming_uniform_(nn.BatchNorm2d(8))
    >>> norm.weight[0].item(), norm.bias[0].item()
    (0.9750000238418579, 0.125)
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(3))
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 0.975)
            nn.init.constant_(module.bias, 0.125)
    return model
