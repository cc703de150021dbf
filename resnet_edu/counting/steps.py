"""One row of the journey from image to scores, the format that everything drawn shares.

Two rooms produce Steps: :mod:`resnet_edu.counting.arithmetic` computes them from a recipe, without torch,
and :mod:`resnet_edu.counting.trace` observes them in a real forward pass. Tables, diagrams, volumes and
explorers consume them and do not care which. Each row says which rows above it reads, so the rows are a graph,
and :mod:`resnet_edu.counting.graph` finds the shortcuts, blocks and layers in it.
"""

from collections.abc import Iterable
from typing import NamedTuple

Shape = tuple[int, ...]

# The names of a ResNet's own rooms, torchvision's. They color a picture, and divide a network where nothing is added.
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
    >>> step.reads               # the row before it; before the first row lies the image
    (1,)
    """

    room: str
    """Dotted path of the module, ``layer1.0.conv1``; the addition, no module, is ``layer1.0.add``."""
    operation: str
    """``conv 3×3/2``, ``batch norm``, ``ReLU``, ``add``, …"""
    input: Shape
    """``(C, H, W)``, or ``(features,)`` after the flatten."""
    output: Shape
    parameters: int
    """Learnable numbers that no row above has read; a batch norm has two for each channel."""
    multiply_adds: int
    """Of convolutions, linear layers and matrix products, biases left out, as the paper counts its FLOPs (Table 1)."""
    receptive_field: int
    """Side, in input pixels, of the square that one output cell can see; the border is ignored."""
    reads: tuple[int, ...] = (1,)
    """How many rows up each row lies that this one reads; above the first row lies the image. Counted from the row
    itself, so that a part of a network is the same rows wherever it stands."""
    learned: bool = False
    """Whether it computes with parameters, its own or shared ones."""
    counted: bool = True
    """Whether its multiply-adds are known; if not, they are left out."""


class Traced(list[Step]):
    """Steps of a model that ran, and what they leave out.

    >>> Traced([], unread={"aux": 50}).remarks
    ['50 parameters belong to no row, because nothing read them: aux (50)']
    """

    def __init__(self, steps: Iterable[Step], unread: dict[str, int], lost: bool = False) -> None:
        super().__init__(steps)
        self.unread = unread
        """Parameters that no row has read, by the module that holds them."""
        self.lost = lost
        """Whether something came from where nobody can look, so that rows are missing."""

    @property
    def remarks(self) -> list[str]:
        """What a table has to add, so that its rows and its remarks are the whole model."""
        remarks = []
        if self.unread:
            named = ", ".join(f"{name} ({count:,})" for name, count in list(self.unread.items())[:4])
            more = f" and {len(self.unread) - 4} more" if len(self.unread) > 4 else ""
            total = sum(self.unread.values())
            remarks.append(f"{total:,} parameters belong to no row, because nothing read them: {named}{more}")
        if self.lost:
            remarks.append("operations are missing that ran where nobody can look: in a script, in numpy, in a thread")
        return remarks


def layer_of(room: str) -> str:
    """The part of a ResNet that a room's name belongs to: ``stem``, ``layer1`` …, or ``head``.

    >>> layer_of("bn1"), layer_of("layer2.0.bn1"), layer_of("fc")
    ('stem', 'layer2', 'head')
    """
    first = room.partition(".")[0]
    return "stem" if first in _STEM else "head" if first in _HEAD else first


def block_of(room: str) -> str:
    """The block that a room's name belongs to; outside the layers, the part of the network.

    >>> block_of("layer2.0.bn1"), block_of("maxpool")
    ('layer2.0', 'stem')
    """
    layer = layer_of(room)
    return ".".join(room.split(".")[:2]) if layer.startswith("layer") else layer


def shape_text(shape: Shape) -> str:
    """A shape as the book writes it. A number alone has its comma; sides of a shape are as PyTorch prints them.

    >>> shape_text((1024, 14, 14)), shape_text((1000,))
    ('1024×14×14', '1,000')
    """
    return f"{shape[0]:,}" if len(shape) == 1 else "×".join(map(str, shape)) or "1"
