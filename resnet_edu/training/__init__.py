"""The training lab: data without a download, the loop in the open, runs that go on after any accident.

>>> from resnet_edu.training import TrainConfig, train
>>> run = train(TrainConfig(model="cifar8", widths=(4, 8, 16), epochs=1, device="cpu"), progress=False)
>>> run.epoch
1
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resnet_edu.training.config import TrainConfig
    from resnet_edu.training.data import digits, folder, shapes
    from resnet_edu.training.loop import evaluate, make_model, train
    from resnet_edu.training.schedules import learning_rate

__all__ = ["TrainConfig", "digits", "evaluate", "folder", "learning_rate", "make_model", "shapes", "train"]

_ROOM = {"TrainConfig": "config", "digits": "data", "folder": "data", "shapes": "data", "learning_rate": "schedules"}


def __getattr__(name: str) -> Any:
    # Imported on first use: a room that needs no torch opens without it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_ROOM.get(name, 'loop')}"), name)
