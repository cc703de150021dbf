"""A run: everything that changes while a network trains, and the folder that remembers it."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.drawing import plots
from resnet_edu.training import checkpoints
from resnet_edu.training.config import TrainConfig
from resnet_edu.training.processes import was_restarted


@dataclass(eq=False)
class Run:
    """A network on its way through training.

    >>> model = nn.Linear(2, 2)
    >>> run = Run(model, torch.optim.SGD(model.parameters()), torch.amp.GradScaler("cpu"), sums=torch.zeros(3))
    >>> run.epoch, run.history
    (0, [])
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    sums: Tensor
    """Loss, mistakes and images of the epoch so far, ``(3,)``."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """One row for each epoch: lr, losses, errors in percent, images, images per second."""
    epoch: int = 0
    """Epochs that are complete."""
    step: int = 0
    """Steps of the next epoch that are done already."""

    def save(self, config: TrainConfig) -> None:
        """Write ``checkpoint.pt`` and ``metrics.jsonl`` into ``config.out``, if there is one.

        Raises CheckpointError if that fails; the files of the epoch before stay.
        """
        if config.out is None:
            return
        state = {"config": asdict(config), "epoch": self.epoch, "step": self.step, "history": self.history}
        state |= {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "scaler")}
        checkpoints.save(Path(config.out) / "checkpoint.pt", state | {"sums": self.sums})
        # Written from the history each time: after any accident the lines agree with the checkpoint.
        lines = "".join(json.dumps(row) + "\n" for row in self.history)
        checkpoints.write_atomically(Path(config.out) / "metrics.jsonl", lines.encode())

    def restore(self, config: TrainConfig) -> None:
        """Go back to where the checkpoint in ``config.out`` was written, if this run shall go on.

        Raises CheckpointError for a damaged one, ValueError for one of another run or one that
        would be overwritten.
        """
        if config.out is None:
            return
        path = Path(config.out) / "checkpoint.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            return
        if not (config.resume or was_restarted()):
            raise ValueError(f"{config.out} holds a run already; go on with --resume, or choose another --out")
        state = checkpoints.load(path)
        config.check_same_run(state["config"])
        for name in ("model", "optimizer", "scaler"):
            getattr(self, name).load_state_dict(state[name])
        self.sums.copy_(state["sums"])
        self.history, self.epoch, self.step = state["history"], state["epoch"], state["step"]

    def draw(self, config: TrainConfig) -> None:
        """Write the curves beside the metrics."""
        if config.out is not None and self.history:
            for suffix in ("png", "svg"):
                checkpoints.write_atomically(Path(config.out) / f"curves.{suffix}", plots.render(self.history, suffix))


@contextmanager
def ctrl_c(wanted: bool) -> Iterator[threading.Event]:
    """An event that is set by the first Ctrl-C, so that a step is finished before it is saved.

    The second Ctrl-C acts as always. Only the main thread hears signals; elsewhere, and if not
    ``wanted``, nothing changes.

    >>> with ctrl_c(True) as stop:
    ...     signal.raise_signal(signal.SIGINT)
    ...     stop.is_set()
    True
    """
    stop = threading.Event()
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def hear(number: int, _: Any) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, hear)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
