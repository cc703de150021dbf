"""Watching a learner's code run: which weights it uses, in which order, and every tensor on the way.

The watch sits below the names, at torch's functions: ``nn.Conv2d``, ``F.conv2d`` and a convolution
inside an ``nn.Sequential`` all look the same from there.
"""

import sys
import sysconfig
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Place = tuple[str, int]  # a file and a line

# This package and torch: not the learner's code.
_ROOMS = (str(Path(__file__).parent.parent), str(Path(torch.__file__).parent))
_CHECKS = str(Path(__file__).parent)
_PYTHON = sysconfig.get_paths()["stdlib"]

# The functions that use weights, held since import: their arguments, and what these are by default.
STATISTICS = ("running_mean", "running_var")
#: The weights among them, and the numbers that a batch norm starts with.
STARTS = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_WEIGHTED: dict[Any, tuple[tuple[str, ...], tuple[Any, ...]]] = {
    F.conv2d: (_CONV, (None, None, None, 1, 0, 1, 1)),
    torch.conv2d: (_CONV, (None, None, None, 1, 0, 1, 1)),
    F.linear: (("input", "weight", "bias"), (None, None, None)),
    F.batch_norm: (_NORM, (None, None, None, None, None, False, 0.1, 1e-5)),
}
_KINDS = {"conv2d": "conv", "batch_norm": "bn", "concat": "cat", "concatenate": "cat"}
_KINDS |= dict.fromkeys(("add_", "__add__", "__iadd__", "__radd__"), "add")
_KINDS |= dict.fromkeys(("sub", "__sub__", "mul", "__mul__", "sub_", "mul_"), "add")


def name_of(func: Any) -> str:
    """What a function of torch is called."""
    return getattr(func, "__name__", str(func))


def bound(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of a function that uses weights, by name; nothing for any other."""
    if func not in _WEIGHTED:
        return {}
    names, usual = _WEIGHTED[func]
    return dict(zip(names, usual, strict=True)) | dict(zip(names, args, strict=False)) | kwargs


@dataclass(eq=False)
class Unit:
    """A convolution, batch norm or linear layer as the learner's code calls it: its weights and settings."""

    kind: str  # "conv", "bn" or "linear"
    weights: dict[str, Tensor]  # by the argument in whose place they stand
    settings: dict[str, Any] = field(default_factory=dict)
    taken: Tensor | None = None  # what it was given first
    line: Place | None = None
    calls: int = 0

    @property
    def weight(self) -> Tensor | None:
        """The tensor that tells one layer from another."""
        return self.weights.get("weight", self.weights.get("running_mean"))

    @property
    def statistics(self) -> list[Tensor]:
        """A batch norm's running mean and variance."""
        return [self.weights[name] for name in STATISTICS if name in self.weights]

    @property
    def derived(self) -> bool:
        """Whether its weights are computed from others."""
        return any(t.grad_fn is not None for t in self.weights.values())


@dataclass
class Call:
    """A call of a function of torch: its name, the tensors it was given, whether an earlier call used its weights."""

    function: str
    inputs: list[Tensor]
    again: bool

    @property
    def kind(self) -> str:
        """What kind of function it is: "conv", "linear", "bn", "add", "cat", or its own name."""
        return _KINDS.get(self.function, self.function)


@dataclass
class Step(Call):
    """One that made a tensor, and where in the code."""

    made: Tensor
    line: Place | None


class Watch(TorchFunctionMode):
    """Within it, every call of a torch function on tensors is written down.

    >>> conv = torch.nn.Conv2d(3, 8, 3)
    >>> with Watch() as watch:
    ...     _ = conv(torch.zeros(1, 3, 9, 9)).relu()
    >>> [kind for kind, _ in watch.units], watch.steps[-1].function, tuple(watch.steps[-1].made.shape)
    (['conv'], 'relu', (1, 8, 7, 7))
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.failed: Call | None = None
        self.units: dict[tuple[str, int], Unit] = {}  # each layer once, in the order of use

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        call = Call(name_of(func), list(tensors_in((*args, *kwargs.values()))), False)
        own = bound(func, args, kwargs)
        if own:
            call.again = self._note(call.kind, own)
        try:
            out = func(*args, **kwargs)
        except BaseException:
            self.failed = call
            raise
        if isinstance(out, Tensor) and call.inputs and call.function not in QUIET:
            self.steps.append(Step(call.function, call.inputs, call.again, out.detach().clone(), _line()))
        return out

    def _note(self, kind: str, own: dict[str, Any]) -> bool:
        """Write down a layer's call, and say whether an earlier one had used its weights."""
        taken = own.pop("input")
        taken = taken.detach().clone() if isinstance(taken, Tensor) else None
        weights = {name: own.pop(name) for name in STARTS if name in own}
        unit = Unit(kind, {name: t for name, t in weights.items() if t is not None}, own, taken, _line())
        known = self.units.setdefault((kind, id(unit.weight)), unit)
        known.calls += 1
        return known is not unit


# Looking at a tensor makes none.
QUIET = {"__get__", "__set__", "size", "dim", "numel", "detach", "clone", "double", "to", "float", "item", "__bool__"}


def tensors_in(values: Any) -> Any:
    """The tensors among some values, and in the lists and tuples among them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)


def caller() -> Any:
    """The innermost frame that is neither torch's nor ours, if the check has called one."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_CHECKS):
        frame = frame.f_back
    while frame is not None and frame.f_code.co_filename.startswith(_ROOMS):
        frame = frame.f_back
        if frame is not None and frame.f_code.co_filename.startswith(_CHECKS):
            return None  # further out stands whoever called the check
    return frame


def _line() -> Place | None:
    frame = caller()
    return None if frame is None else (frame.f_code.co_filename, int(frame.f_lineno))


def where(error: BaseException) -> Place | None:
    """The last line of code that is neither torch's nor ours that an error passed through."""
    frames = [
        (frame.filename, frame.lineno or 0)
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*_ROOMS, _PYTHON, "<frozen")) and "site-packages" not in frame.filename
    ]
    return frames[-1] if frames else None
