"""Checks that run a learner's code, compare what it does with the reference, and name the mistake.

>>> from resnet_edu import checks
>>> from torch import nn
>>> class Block(nn.Module):
...     def __init__(self, in_channels, out_channels, stride=1):
...         super().__init__()
...         self.conv = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)
...     def forward(self, x):
...         return self.conv(x)
>>> bool(checks.basic_block(Block))
False

Each check takes the learner's class or function and returns a :class:`Feedback`. It never raises on
a learner's fault, leaves the notebook's random numbers alone, and says the same each time. Names of
attributes and arguments are free: what counts is what the code computes.
"""

from collections.abc import Callable
from typing import Any

from resnet_edu.checks import effects, formulas, sandbox, verdict
from resnet_edu.checks.contracts import CONTRACTS
from resnet_edu.checks.feedback import Feedback
from resnet_edu.checks.table import MistakesTable, mistakes_table

__all__ = [
    "Feedback",
    "MistakesTable",
    "basic_block",
    "bottleneck",
    "cifar_resnet",
    "conv_out",
    "fold_conv_bn",
    "head",
    "identity_block",
    "init_weights",
    "load_torchvision",
    "make_layer",
    "mistakes_table",
    "preactivation_block",
    "projection_block",
    "receptive_field",
    "resnet",
    "squeeze_excitation_block",
    "stem",
    "zero_init_residual",
    "zero_pad_shortcut",
]


def conv_out(theirs: Callable[..., Any]) -> Feedback:
    """``conv_out(size, kernel, stride=1, padding=0, dilation=1)``: the pixels that leave a convolution.

    >>> def conv_out(size, kernel, stride=1, padding=0, dilation=1):
    ...     return (size + padding - dilation * (kernel - 1) - 1) // stride + 1
    >>> from resnet_edu import checks
    >>> checks.conv_out(conv_out).mistake
    'padding-once'
    """
    return _checked("conv_out", theirs)


def receptive_field(theirs: Callable[..., Any]) -> Feedback:
    """``receptive_field(layers)``: the side, in input pixels, of what one cell sees.

    ``layers`` is a list of ``(kernel, stride)`` or ``(kernel, stride, dilation)``, the first layer first.

    >>> from resnet_edu import checks
    >>> checks.receptive_field(lambda layers: sum(layer[0] for layer in layers)).mistake
    'kernels-summed'
    """
    return _checked("receptive_field", theirs)


def stem(theirs: Callable[..., Any]) -> Feedback:
    """``Stem()``: convolution 7×7/2 from 3 to 64 channels, batch norm, ReLU, max-pool 3×3/2.

    >>> from resnet_edu import checks
    >>> from torch import nn
    >>> from resnet_edu.stem import ImageNetStem
    >>> checks.stem(ImageNetStem).passed
    True
    >>> checks.stem(lambda: nn.Sequential(*list(ImageNetStem())[:3])).mistake
    'pool-missing'
    """
    return _checked("stem", theirs)


def identity_block(theirs: Callable[..., Any]) -> Feedback:
    """``IdentityBlock(channels)``: two 3×3 convolutions and the input added unchanged.

    No convolution has a bias.

    >>> from resnet_edu import checks
    >>> from resnet_edu.blocks import BasicBlock, PlainBlock
    >>> checks.identity_block(lambda channels: BasicBlock(channels, channels)).passed
    True
    >>> checks.identity_block(lambda channels: PlainBlock(channels, channels)).mistake
    'shortcut-never-added'
    """
    return _checked("identity_block", theirs)


def projection_block(theirs: Callable[..., Any]) -> Feedback:
    """``ProjectionBlock(in_channels, out_channels, stride=2)``: two 3×3 convolutions and a projection around them.

    No convolution has a bias.

    >>> from resnet_edu import checks
    >>> from resnet_edu.blocks import BasicBlock, PlainBlock
    >>> checks.projection_block(lambda ins, outs, stride=2: BasicBlock(ins, outs, stride, shortcut="C")).passed
    True
    >>> checks.projection_block(lambda ins, outs, stride=2: PlainBlock(ins, outs, stride)).mistake
    'shortcut-never-added'
    """
    return _checked("projection_block", theirs)


def basic_block(theirs: Callable[..., Any]) -> Feedback:
    """``BasicBlock(in_channels, out_channels, stride=1)``: the shortcut is the identity exactly where shapes match.

    No convolution has a bias.

    >>> from resnet_edu import checks
    >>> from resnet_edu.blocks import BasicBlock
    >>> checks.basic_block(BasicBlock).passed
    True
    >>> checks.basic_block(lambda *shape: BasicBlock(*shape, shortcut="C")).mistake
    'projection-always'
    """
    return _checked("basic_block", theirs)


def bottleneck(theirs: Callable[..., Any]) -> Feedback:
    """``Bottleneck(in_channels, channels, stride=1)``: 1×1, 3×3, 1×1 to ``4·channels``.

    The stride may sit in the 3×3 (torchvision) or in the first 1×1 (the paper). No convolution has a bias.

    >>> from resnet_edu import checks
    >>> from resnet_edu.blocks import Bottleneck
    >>> checks.bottleneck(lambda *shape: Bottleneck(*shape, stride_in="1x1")).passed
    True
    """
    return _checked("bottleneck", theirs)


def zero_pad_shortcut(theirs: Callable[..., Any]) -> Feedback:
    """``ZeroPadShortcut(in_channels, out_channels, stride)``: option A, zeros on both sides or on one.

    >>> from resnet_edu import checks
    >>> from resnet_edu.shortcuts import ProjectionShortcut
    >>> checks.zero_pad_shortcut(ProjectionShortcut).mistake
    'projection-not-zeros'
    """
    return _checked("zero_pad_shortcut", theirs)


def preactivation_block(theirs: Callable[..., Any]) -> Feedback:
    """``preactivation_block(in_channels, out_channels, stride=1)``: BN, ReLU, conv, twice (He et al. 2016).

    Where the shapes differ, a 1×1 convolution projects the pre-activated input. No convolution has a bias.

    >>> from resnet_edu import checks
    >>> from resnet_edu.blocks import BasicBlock
    >>> checks.preactivation_block(BasicBlock).mistake
    'post-activation-order'
    """
    return _checked("preactivation_block", theirs)


def squeeze_excitation_block(theirs: Callable[..., Any]) -> Feedback:
    """``squeeze_excitation_block(channels, reduction=16)``: a gate for each channel (Hu et al. 2018, Figure 2).

    Average over the map, a linear layer to ``channels // reduction``, ReLU, one back to ``channels``, sigmoid; the
    map is multiplied by what comes out. 1×1 convolutions do as well as linear layers.

    >>> from resnet_edu import checks
    >>> from torch import nn
    >>> checks.squeeze_excitation_block(lambda channels, reduction=16: nn.Identity()).passed
    False
    """
    return _checked("squeeze_excitation_block", theirs)


def make_layer(theirs: Callable[..., Any]) -> Feedback:
    """``make_layer(block, in_channels, channels, blocks, stride)``: blocks in a row, the first with the stride.

    ``block(in_channels, channels, stride)`` makes ``channels * block.expansion`` channels.

    >>> from resnet_edu import checks
    >>> from torch import nn
    >>> def make_layer(block, in_channels, channels, blocks, stride):
    ...     channels_in = [in_channels] + [channels * block.expansion] * (blocks - 1)
    ...     return nn.Sequential(*(block(n, channels, stride) for n in channels_in))
    >>> checks.make_layer(make_layer).mistake
    'stride-in-every-block'
    """
    return _checked("make_layer", theirs)


def head(theirs: Callable[..., Any]) -> Feedback:
    """``Head(in_features, num_classes)``: average over the map, flatten, one linear layer, no softmax.

    It takes maps of any size, square or not.

    >>> from resnet_edu import checks
    >>> from torch import nn
    >>> from resnet_edu.head import Head
    >>> checks.head(lambda features, classes: nn.Sequential(Head(features, classes), nn.Softmax(1))).mistake
    'softmax-inside'
    """
    return _checked("head", theirs)


def resnet(theirs: Callable[..., Any]) -> Feedback:
    """``ResNet(block, layers, num_classes)``: stem, four layers of 64, 128, 256 and 512 channels, head.

    >>> from resnet_edu import checks
    >>> from resnet_edu import ResNet
    >>> checks.resnet(lambda block, layers, classes: ResNet(block, layers, classes, shortcut="none")).passed
    True
    """
    return _checked("resnet", theirs)


def cifar_resnet(theirs: Callable[..., Any]) -> Feedback:
    """``cifar_resnet(depth, num_classes=10)``: 6n + 2 layers of 16, 32 and 64 channels, option A.

    It takes images of any size, square or not square. Its convolutions have no bias.

    >>> from resnet_edu import checks
    >>> from resnet_edu import cifar_resnet
    >>> checks.cifar_resnet(cifar_resnet).passed
    True
    >>> checks.cifar_resnet(lambda *sizes: cifar_resnet(*sizes, shortcut="B")).mistake
    'projection-not-zeros'
    """
    return _checked("cifar_resnet", theirs)


def init_weights(theirs: Callable[..., Any]) -> Feedback:
    """``init_weights(model)``: in place, convolutions from N(0, 2/fan_out), batch norms to 1 and 0.

    Everything else, such as a linear layer, keeps its start.

    >>> from resnet_edu import checks
    >>> from resnet_edu.initialization import kaiming_normal_, kaiming_uniform_
    >>> checks.init_weights(kaiming_normal_).passed
    True
    >>> "uniform-not-normal" in checks.init_weights(kaiming_uniform_).mistakes
    True
    """
    return _checked("init_weights", theirs)


def zero_init_residual(theirs: Callable[..., Any]) -> Feedback:
    """``zero_init_residual(model)``: in place, γ of the last batch norm of each block to 0.

    >>> from resnet_edu import checks
    >>> checks.zero_init_residual(lambda model: None).mistake
    'nothing-changed'
    """
    return _checked("zero_init_residual", theirs)


def fold_conv_bn(theirs: Callable[..., Any]) -> Feedback:
    """``fold_conv_bn(conv, bn)``: one new convolution that computes ``bn(conv(x))`` in eval mode.

    >>> from resnet_edu import checks
    >>> checks.fold_conv_bn(lambda conv, bn: conv).mistake
    'nothing-folded'
    """
    return _checked("fold_conv_bn", theirs)


def load_torchvision(theirs: Callable[..., Any]) -> Feedback:
    """``load_torchvision(model, state_dict)``: every name and shape the same, or an error.

    >>> from resnet_edu import checks
    >>> checks.load_torchvision(lambda model, state: model.load_state_dict(state, strict=False)).mistake
    'not-strict'
    """
    return _checked("load_torchvision", theirs)


def _checked(check: str, theirs: Any) -> Feedback:
    contract = CONTRACTS[check]
    if isinstance(contract, effects.Effect):
        return _run(contract.name, lambda: effects.judge_effect(contract, theirs))
    judge = verdict.judge if contract.cases[0].inputs else formulas.judge_formula
    return _run(contract.name, lambda: judge(contract, theirs))


_FAULTS: dict[str, tuple[str | None, str]] = {
    "loop": (
        "too-slow",
        "Your code did not come back within {cpu:g} seconds of computing, on inputs of a few pixels. Look for a loop "
        "whose condition never becomes false, a module that calls itself, or a network far larger than asked for.",
    ),
    "sleep": (
        "too-slow",
        "Your code did not come back. Look for something that waits: `sleep`, `input`, a download, a lock.",
    ),
    "memory": (
        "too-much-memory",
        "Your code asked for far more memory than this task can need. Look at the sizes of what you make.",
    ),
    "unfinished": (None, "The check itself could not finish ({detail}). Run it again; if it says so again, report it."),
    "ended": ("process-ended", "Your code ended the Python process that ran it ({detail}). Take out what exits."),
}


def _run(name: str, work: Callable[[], verdict.Verdict]) -> Feedback:
    outcome = sandbox.run(lambda: dict(work()))
    if outcome.result is None:
        mistake, message = _FAULTS[outcome.fault or "ended"]
        message = message.format(cpu=sandbox.CPU_SECONDS, detail=outcome.detail)
        return Feedback(name, False, message, mistake, printed=outcome.printed)
    names = tuple(outcome.result["mistakes"])
    message = outcome.result["message"] + (f"\n{outcome.note}" if outcome.note else "")
    return Feedback(
        name, outcome.result["passed"], message, names[0] if names else None, names, printed=outcome.printed
    )
