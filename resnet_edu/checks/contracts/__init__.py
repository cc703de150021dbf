"""The exercises, one file each: signature, cases, reference, known mistakes. A new one is one line here."""

from resnet_edu.checks.contracts import (
    basic_block,
    bottleneck,
    cifar_resnet,
    conv_out,
    fold_conv_bn,
    head,
    identity_block,
    init_weights,
    load_torchvision,
    make_layer,
    preactivation_block,
    projection_block,
    receptive_field,
    resnet,
    squeeze_excitation_block,
    stem,
    zero_init_residual,
    zero_pad_shortcut,
)
from resnet_edu.checks.effects import Effect
from resnet_edu.checks.source import Contract

#: Each exercise by the name of its check.
CONTRACTS: dict[str, Contract | Effect] = {
    "conv_out": conv_out.CONTRACT,
    "stem": stem.CONTRACT,
    "identity_block": identity_block.CONTRACT,
    "projection_block": projection_block.CONTRACT,
    "basic_block": basic_block.CONTRACT,
    "bottleneck": bottleneck.CONTRACT,
    "zero_pad_shortcut": zero_pad_shortcut.CONTRACT,
    "make_layer": make_layer.CONTRACT,
    "head": head.CONTRACT,
    "resnet": resnet.CONTRACT,
    "cifar_resnet": cifar_resnet.CONTRACT,
    "init_weights": init_weights.EFFECT,
    "zero_init_residual": zero_init_residual.EFFECT,
    "fold_conv_bn": fold_conv_bn.EFFECT,
    "load_torchvision": load_torchvision.EFFECT,
    "receptive_field": receptive_field.CONTRACT,
    "preactivation_block": preactivation_block.CONTRACT,
    "squeeze_excitation_block": squeeze_excitation_block.CONTRACT,
}
