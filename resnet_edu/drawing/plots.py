"""A run as two pictures: the error falls, the learning rate says why."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from resnet_edu.drawing.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(history: Sequence[dict[str, Any]]) -> "Figure":
    """Error of training and test against the epoch, and the learning rate below.

    >>> history = [{"epoch": n, "train_error": 50 / n, "test_error": 60 / n, "lr": 0.1} for n in (1, 2, 3)]
    >>> [len(axes.lines) for axes in draw(history).axes]
    [2, 1]
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5.5, 4.5), layout="constrained", facecolor="white")
    error, rate = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    epochs = [row["epoch"] for row in history]
    error.plot(epochs, [row["train_error"] for row in history], "o-", color=LIGHT["layer3"].line, label="training")
    error.plot(epochs, [row["test_error"] for row in history], "s--", color=LIGHT["stem"].line, label="test")
    error.set_ylabel("error, %")
    error.set_ylim(bottom=0)
    error.legend(frameon=False)
    rate.plot(epochs, [row["lr"] for row in history], color=LIGHT["layer4"].fill)
    rate.set_ylabel("learning\nrate")
    rate.set_ylim(bottom=0)
    rate.set_xlabel("epoch")
    rate.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (error, rate):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def render(history: Sequence[dict[str, Any]], format: str = "png") -> bytes:
    """The same as a file: ``png``, ``svg`` or ``pdf``.

    >>> render([{"epoch": 1, "train_error": 50.0, "test_error": 60.0, "lr": 0.1}])[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    draw(history).savefig(buffer, format=format, dpi=150)
    return buffer.getvalue()
