"""``zero_init_residual(model)``: in place, γ of the last batch norm of each block to 0.

>>> from resnet_edu import checks
>>> checks.zero_init_residual(lambda model: None).mistake
'nothing-changed'
"""

import copy
from collections.abc import Callable
from typing import Any

import torch

from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks import compare
from resnet_edu.checks.contracts.models import model_after, randomized, state_of
from resnet_edu.checks.effects import Effect, Outcome
from resnet_edu.checks.source import Mistake
from resnet_edu.checks.words import said
from resnet_edu.resnet import ResNet

REFERENCE = """
def zero_init_residual(model):
    pass  #: model
    blocks = [(name.split(".")[0], m) for name, m in model.named_modules() if isinstance(m, (BasicBlock, Bottleneck))]  #: blocks
    for layer, block in blocks:  #: loop
        wide = isinstance(block, Bottleneck)
        conv, norms = (block.conv3, [block.bn1, block.bn2, block.bn3]) if wide else (block.conv2, [block.bn1, block.bn2])
        projection = [m for m in block.downsample.modules() if isinstance(m, nn.BatchNorm2d)]
        targets, value = norms[-1:], 0.0  #: targets
        for norm in targets:
            norm.weight.data.fill_(value)  #: fill
        pass  #: more
    return None  #: end
"""


def _net(block: Any) -> Callable[[], tuple[Any, ...]]:
    model = randomized(ResNet(block, (2, 1, 1, 2), 3, stem="cifar", widths=(2, 3, 4, 5)).double(), 6)
    return lambda: (copy.deepcopy(model),)


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    (model,) = arguments
    before = state_of(model)
    with torch.enable_grad():
        returned = function(model)
    model, found = model_after(model, before, returned)
    after = state_of(model)
    found |= {f"`{name}`": t for name, t in after.items() if name not in before or not compare.same(t, before[name])}
    return found | {f"`{name}`": "gone" for name in before if name not in after}


CONTRACT = Effect(
    "zero_init_residual(model)",
    (),
    REFERENCE,
    (
        """
nothing-changed: loop: in blocks → in ()
    The model that was handed over has not changed. Change it in place, for instance with
    `nn.init.zeros_(….weight)`.
first-not-last: targets: norms[-1:] → norms[:1]
    The first batch norm of each block is set to 0. Set the last one before the addition instead.
second-of-three: targets: norms[-1:] → norms[1:2]
    In a bottleneck the second batch norm is set to 0. It has three: the last one before the addition is the
    third.
only-basic-blocks: blocks: (BasicBlock, Bottleneck) → BasicBlock
    Bottlenecks are left out. Set their third batch norm's `weight` to 0.
only-bottlenecks: blocks: (BasicBlock, Bottleneck) → Bottleneck
    Basic blocks are left out. Set their second batch norm's `weight` to 0.
every-batch-norm: end: [m.weight.data.zero_() for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    Every batch norm of the network is set to 0, so nothing gets through at all, and no gradient comes back. Set
    only the last one of each block.
every-batch-norm-of-the-block: targets: norms[-1:] → norms + projection
    Every batch norm of a block is set to 0, so no gradient reaches its convolutions. Set only the last one.
projection-too: targets: norms[-1:] → norms[-1:] + projection
    The projection's batch norm is set to 0 too, so nothing gets through such a block. Set only the last one of
    the main path.
shift-not-scale: fill: weight → bias
    The shift β (`bias`) is set to 0. Set the scale γ (`weight`) instead.
shift-too: more: norms[-1].bias.data.zero_()
    The shift β (`bias`) is set to 0 as well. Leave it as it is: only the scale γ (`weight`) changes.
first-block-only: blocks: {}[:1]
    Only the first block is changed. Go through all modules of the model: `model.modules()`.
convolution-too: more: conv.weight.data.zero_()
    The last convolution's weights are set to 0 as well. Then neither it nor γ ever gets a gradient.
small-not-zero: targets: 0.0 → 1e-3
    γ is small but not 0, so a block does not start as its shortcut exactly. Set it to 0.
frozen: fill: {}; norm.weight.requires_grad_(False)
    γ is 0 and cannot learn: its `requires_grad` is off. Change the numbers, not the parameter.
first-block-of-each-layer: blocks: {}; blocks = [b for n, b in enumerate(blocks) if n == 0 or blocks[n - 1][0] != b[0]]
    Only the first block of each layer is changed. Go through all of its blocks.
last-layer-left-out: blocks: {}; blocks = [b for b in blocks if b[0] != blocks[-1][0]]
    The last layer's blocks are left out. Go through all modules: `model.modules()`.
convolution-not-norm: fill: norm.weight → conv.weight
    The last convolution's `weight` is set to 0. Set the scale γ instead, the `weight` of the batch norm behind
    it: a batch norm brings numbers to full size again, however small they are.
second-too: targets: norms[-1:] → norms[1:]
    In a bottleneck the second batch norm is set to 0 as well as the third. Set only the third, the last one
    before the addition.
every-batch-norm-of-the-main-path: targets: norms[-1:] → norms
    Every batch norm on the main path of a block is set to 0, so no gradient reaches its convolutions. Set only
    the last one.
projection-not-main-path: targets: norms[-1:] → (projection or norms[-1:])
    Where a block has a projection, the projection's batch norm is set to 0 in place of the main path's. In
    `modules()` the projection may come last: ask for the last batch norm before the addition.
copy-changed: model: model = copy.deepcopy(model) | end: return model
    The model that was handed over is as it was: a copy was changed, and returned. Leave out the copy and change
    `model` itself.
""",
        Mistake(*said("in-place-under-autograd")[::-1], ({"fill": ".data → "},)),
    ),
    "Each block starts as its shortcut, and everything else is as before.",
    names={"BasicBlock": BasicBlock, "Bottleneck": Bottleneck, "copy": copy},
    scenes={"in a network of basic blocks": _net(BasicBlock), "in a network of bottlenecks": _net(Bottleneck)},
    outcome=_outcome,
    advice="Only the `weight` of the last batch norm before each addition may change.",
)
