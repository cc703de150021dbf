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

    data: dict[str, Any] = field(default_factory=dict)
    """What the images were, as :meth:`~resnet_edu.training.data.ImageData.fingerprint` says."""

    def save(self, config: TrainConfig) -> None:
        """Write ``checkpoint.pt`` and ``metrics.jsonl`` into ``config.out``, if there is one.

        Raises CheckpointError if that fails; the files of the epoch before stay.
        """
        if config.out is None:
            return
        state = {name: self._part(name) for name in checkpoints.PARTS if name != "config"}
        checkpoints.save(Path(config.out) / "checkpoint.pt", state | {"config": asdict(config)})
        # Written from the history each time: after any accident the lines agree with the checkpoint.
        lines = "".join(json.dumps(row) + "\n" for row in self.history)
        checkpoints.write_atomically(Path(config.out) / "metrics.jsonl", lines.encode())

    def restore(self, config: TrainConfig) -> None:
        """Go back to where the checkpoint in ``config.out`` was written, if this run shall go on.

        Raises CheckpointError for a damaged one, ValueError for one of another run, of other images, or one that
        would be overwritten; then nothing has changed.
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
        check_same_data(state["data"], self.data, config.out)
        self._check(state, config, path)
        for name in checkpoints.PARTS:
            mine = getattr(self, name, None)
            if isinstance(mine, nn.Module | torch.optim.Optimizer | torch.amp.GradScaler):
                mine.load_state_dict(state[name])
            elif isinstance(mine, Tensor):
                mine.copy_(state[name])
            elif name != "config":
                setattr(self, name, state[name])

    def _part(self, name: str) -> Any:
        value = getattr(self, name)
        return value.state_dict() if hasattr(value, "state_dict") else value

    def _check(self, state: dict[str, Any], config: TrainConfig, path: Path) -> None:
        """Raise CheckpointError unless every part fits this run: a half-restored run would be another one."""
        sizes = [value.shape for value in self.model.parameters()]
        memory = state["optimizer"].get("state", {})
        fits = {
            "model": _form(state["model"]) == _form(self.model.state_dict()),
            "scaler": state["scaler"].keys() == self.scaler.state_dict().keys(),
            "optimizer": [group.get("params") for group in state["optimizer"].get("param_groups", [])]
            == [group["params"] for group in self.optimizer.state_dict()["param_groups"]]
            and all(
                value.shape == sizes[number]
                for number, row in memory.items()
                for value in row.values()
                if isinstance(value, Tensor)
            ),
            "sums": state["sums"].shape == self.sums.shape,
            "epoch": 0 <= state["epoch"] <= config.epochs,
            "step": state["step"] >= 0,
            "history": len(state["history"]) == state["epoch"],
        }
        wrong = [name for name, good in fits.items() if not good]
        if wrong:
            raise checkpoints.CheckpointError(
                f"{path} does not fit this run: its {', '.join(wrong)} are of another kind. "
                "Put a good copy in its place, or delete it to start from the beginning"
            )

    def draw(self, config: TrainConfig) -> None:
        """Write the curves beside the metrics."""
        if config.out is not None and self.history:
            for suffix in ("png", "svg"):
                checkpoints.write_atomically(Path(config.out) / f"curves.{suffix}", plots.render(self.history, suffix))


def check_same_data(saved: dict[str, Any], mine: dict[str, Any], out: str) -> None:
    """Raise ValueError unless both fingerprints are of the same images; name what differs.

    >>> check_same_data({"training images": 64}, {"training images": 80}, "runs/first")
    Traceback (most recent call last):
        ...
    ValueError: the run in runs/first saw other data: training images were 64, are 80. Go on with the same, or begin \
in another --out
    """
    names = [name for name in mine if mine[name] != saved.get(name)]
    if names == ["checksum"]:
        told = "as many images of the same size, but not the same ones or not in the same order"
    else:
        told = "; ".join(f"{name} were {saved.get(name)}, are {mine[name]}" for name in names if name != "checksum")
    if names:
        raise ValueError(f"the run in {out} saw other data: {told}. Go on with the same, or begin in another --out")


def _form(state: dict[str, Any]) -> dict[str, Any]:
    return {name: getattr(value, "shape", None) for name, value in state.items()}


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
