"""The known mistakes, as edits of the references, with what to tell the learner.

Each message says what is wrong, why it matters or how to see it, and what to change. None names an
attribute: the learner chose those.
"""

from resnet_edu.checks.mistakes.blocks import basic_block, bottleneck, identity_block, projection_block
from resnet_edu.checks.mistakes.networks import cifar, make_layer, resnet
from resnet_edu.checks.mistakes.preactivation import preactivation
from resnet_edu.checks.mistakes.rooms import head, stem, zero_pad

__all__ = [
    "basic_block",
    "bottleneck",
    "cifar",
    "head",
    "identity_block",
    "make_layer",
    "preactivation",
    "projection_block",
    "resnet",
    "stem",
    "zero_pad",
]
