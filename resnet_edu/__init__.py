"""ResNets, block by block: residual networks built from readable rooms.

>>> from resnet_edu import resnet18
>>> sum(p.numel() for p in resnet18().parameters())
11689512
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resnet_edu.blocks import BasicBlock, Bottleneck, PlainBlock
    from resnet_edu.resnet import ResNet
    from resnet_edu.zoo import cifar_resnet, resnet18, resnet34, resnet50, resnet101, resnet152

__version__ = "0.1.0"

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "PlainBlock",
    "ResNet",
    "cifar_resnet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
]

_ROOM = {"BasicBlock": "blocks", "Bottleneck": "blocks", "PlainBlock": "blocks", "ResNet": "resnet"}


def __getattr__(name: str) -> Any:
    # Imported on first use: a table or a diagram appears before torch has loaded.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_ROOM.get(name, 'zoo')}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
