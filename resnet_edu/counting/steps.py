"""One row of the journey from image to scores, the format that everything drawn shares.

Two rooms produce Steps: :mod:`resnet_edu.counting.arithmetic` computes them from a recipe, without torch,
and :mod:`resnet_edu.counting.trace` observes them in a real forward pass. Tables, diagrams, volumes and
explorers consume them and do not care which.
"""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import NamedTuple

Shape = tuple[int, ...]

_STEM = {"conv1", "bn1", "relu", "maxpool"}
_HEAD = {"avgpool", "flatten", "fc"}


# A NamedTuple and not a frozen dataclass: as immutable, and four times faster to make, which is
# most of the cost of a table computed by arithmetic.
class Step(NamedTuple):
    """One operation on one image; shapes leave out the batch dimension.

    >>> step = Step("conv1", "conv 7×7/2", (3, 224, 224), (64, 112, 112), 9408, 118013952, 7)
    >>> step.parameters          # 7·7·3 inputs for each of 64 filters
    9408
    >>> step.multiply_adds       # each of them once for every output pixel: 9408·112·112
    118013952
    """

    room: str
    """Dotted path of the module, ``layer1.0.conv1``; the addition, no module, is ``layer1.0.add``."""
    operation: str
    """``conv 3×3/2``, ``batch norm``, ``ReLU``, ``add``, …"""
    input: Shape
    """``(C, H, W)``, or ``(features,)`` after the flatten."""
    output: Shape
    parameters: int
    """Learnable numbers; a batch norm has two for each channel."""
    multiply_adds: int
    """Of convolutions and linear layers, biases left out, as the paper counts its FLOPs (Table 1)."""
    receptive_field: int
    """Side, in input pixels, of the square that one output cell can see; the border is ignored."""


def layer_of(room: str) -> str:
    """The part of the network that a room belongs to: ``stem``, ``layer1`` …, or ``head``.

    >>> layer_of("bn1"), layer_of("layer2.0.bn1"), layer_of("fc")
    ('stem', 'layer2', 'head')
    """
    first = room.partition(".")[0]
    return "stem" if first in _STEM else "head" if first in _HEAD else first


def block_of(room: str) -> str:
    """The block that a room belongs to; outside the layers, the part of the network.

    >>> block_of("layer2.0.bn1"), block_of("maxpool")
    ('layer2.0', 'stem')
    """
    layer = layer_of(room)
    return ".".join(room.split(".")[:2]) if layer.startswith("layer") else layer


def by_layer(steps: Iterable[Step]) -> list[Step]:
    """Sum up Steps to one for each of stem, layer1 …, head.

    >>> from resnet_edu.counting import arithmetic
    >>> [step.output for step in by_layer(arithmetic.steps("resnet18"))][:3]
    [(64, 56, 56), (64, 56, 56), (128, 28, 28)]
    """
    return _summed(steps, layer_of)


def by_block(steps: Iterable[Step]) -> list[Step]:
    """Sum up Steps to one for each block, with the stem and the head as one row each.

    >>> from resnet_edu.counting import arithmetic
    >>> [step.room for step in by_block(arithmetic.steps("resnet18"))][:4]
    ['stem', 'layer1.0', 'layer1.1', 'layer2.0']
    """
    return _summed(steps, block_of)


def _summed(steps: Iterable[Step], key: Callable[[str], str]) -> list[Step]:
    rows = []
    for name, group in groupby(steps, lambda step: key(step.room)):
        members = list(group)
        count = len(members)
        rows.append(
            Step(
                name,
                f"{count} operation{'s' if count > 1 else ''}",
                members[0].input,
                members[-1].output,
                sum(step.parameters for step in members),
                sum(step.multiply_adds for step in members),
                members[-1].receptive_field,
            )
        )
    return rows


def shape_text(shape: Shape) -> str:
    """A shape as the book writes it.

    >>> shape_text((64, 56, 56)), shape_text((1000,))
    ('64×56×56', '1000')
    """
    return "×".join(map(str, shape))
