"""Every shape and cost of a network: computed from its recipe without torch, or observed in a forward pass.

>>> from resnet_edu.counting import conv_out
>>> conv_out(224, kernel=7, stride=2, padding=3)        # ⌊(224 + 2·3 − 7)/2⌋ + 1
112
"""

from resnet_edu.counting.arithmetic import block_steps, conv_out
from resnet_edu.counting.graph import by_block, by_layer
from resnet_edu.counting.recipes import Recipe, recipe
from resnet_edu.counting.steps import Step

__all__ = ["Recipe", "Step", "block_steps", "by_block", "by_layer", "conv_out", "recipe"]
