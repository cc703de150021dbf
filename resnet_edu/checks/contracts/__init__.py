"""The exercises, one file each: signature, cases, reference, known mistakes."""

from resnet_edu.checks.contracts import (
    basic_block,
    bottleneck,
    cifar_resnet,
    conv_out,
    head,
    identity_block,
    make_layer,
    preactivation_block,
    projection_block,
    receptive_field,
    resnet,
    stem,
    zero_pad_shortcut,
)

CONTRACTS = {
    "conv_out": conv_out.CONTRACT,
    "receptive_field": receptive_field.CONTRACT,
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
    "preactivation_block": preactivation_block.CONTRACT,
}
