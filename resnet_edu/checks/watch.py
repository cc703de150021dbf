"""Watching a learner's code run: which weights it uses, in which order, and every tensor on the way.

The watch sits below the names, at torch's functions: ``nn.Conv2d``, ``F.conv2d`` and a convolution
inside an ``nn.Sequential`` all look the same from there.
"""

import sys
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

# The functions that use weights, held since import: their kind, their arguments, and what these are by default.
_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_WEIGHTED: dict[Any, tuple[str, tuple[str, ...], tuple[Any, ...]]] = {
    F.conv2d: ("conv", _CONV, (None, None, None, 1, 0, 1, 1)),
    torch.conv2d: ("conv", _CONV, (None, None, None, 1, 0, 1, 1)),
    F.linear: ("linear", ("input", "weight", "bias"), (None, None, None)),
    F.batch_norm: ("bn", _NORM, (None, None, None, None, None, False, 0.1, 1e-5)),
}
_SUMS = {"add", "add_", "__add__", "__iadd__", "__radd__", "sub", "__sub__", "mul", "__mul__", "sub_", "mul_"}


def kind_of(func: Any) -> str:
    """What kind of function of torch this is: "conv", "linear", "bn", "add", "cat", or its own name."""
    if func in _WEIGHTED:
        return _WEIGHTED[func][0]
    name = getattr(func, "__name__", str(func))
    return "add" if name in _SUMS else "cat" if name in {"concat", "concatenate"} else name


def bound(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of a function that uses weights, by name; nothing for any other."""
    if func not in _WEIGHTED:
        return {}
    _, names, usual = _WEIGHTED[func]
    return dict(zip(names, usual, strict=True)) | dict(zip(names, args, strict=False)) | kwargs


@dataclass(eq=False)
class Unit:
    """A convolution, batch norm or linear layer as the learner's code calls it: its weights and settings."""

    kind: str  # "conv", "bn" or "linear"
    weight: Tensor | None
    bias: Tensor | None = None
    mean: Tensor | None = None
    var: Tensor | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    taken: Tensor | None = None  # what it was given first
    line: Place | None = None
    calls: int = 0

    @property
    def identity(self) -> Tensor | None:
        """The tensor that tells one layer from another."""
        return self.weight if self.weight is not None else self.mean

    @property
    def tensors(self) -> list[Tensor]:
        """Its weights and statistics."""
        return [t for t in (self.weight, self.bias, self.mean, self.var) if t is not None]

    @property
    def derived(self) -> bool:
        """Whether its weights are computed from others."""
        return any(t.grad_fn is not None for t in self.tensors)


@dataclass
class Step:
    """One function that made a tensor: its name, the shapes it took, what it made, where in the learner's code."""

    function: str
    given: tuple[tuple[int, ...], ...]
    made: Tensor
    line: Place | None


@dataclass
class Failed:
    """The function of torch in which code failed, and the tensors that it was given."""

    kind: str
    inputs: list[Tensor]
    #: Whether an earlier call had used its weights.
    again: bool

    @property
    def given(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the tensors."""
        return tuple(tuple(t.shape) for t in self.inputs)


class Watch(TorchFunctionMode):
    """Within it, every call of a torch function on tensors is written down.

    >>> conv = torch.nn.Conv2d(3, 8, 3)
    >>> with Watch() as watch:
    ...     _ = conv(torch.zeros(1, 3, 9, 9)).relu()
    >>> [unit.kind for unit in watch.units], watch.steps[-1].function, tuple(watch.steps[-1].made.shape)
    (['conv'], 'relu', (1, 8, 7, 7))
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.failed: Failed | None = None
        self._units: dict[tuple[str, int], Unit] = {}

    @property
    def units(self) -> list[Unit]:
        """Each layer once, in the order of use."""
        return [*self._units.values()]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        inputs = list(tensors_in((*args, *kwargs.values())))
        again = self._note(func, args, kwargs) if func in _WEIGHTED else False
        given = tuple(tuple(t.shape) for t in inputs)
        try:
            out = func(*args, **kwargs)
        except BaseException:
            self.failed = Failed(kind_of(func), inputs, again)
            raise
        name = getattr(func, "__name__", str(func))
        if isinstance(out, Tensor) and inputs and name not in _QUIET:
            self.steps.append(Step(name, given, out.detach().clone(), _line()))
        return out

    def _note(self, func: Any, args: Any, kwargs: Any) -> bool:
        """Write down a layer's call, and say whether an earlier one had used its weights."""
        own = bound(func, args, kwargs)
        taken = own.pop("input")
        taken = taken.detach().clone() if isinstance(taken, Tensor) else None
        weight, bias, mean, var = (own.pop(name, None) for name in ("weight", "bias", "running_mean", "running_var"))
        unit = Unit(kind_of(func), weight, bias, mean, var, own, taken, _line())
        known = self._units.setdefault((unit.kind, id(unit.identity)), unit)
        known.calls += 1
        return known is not unit


# Looking at a tensor makes none.
_QUIET = {"__get__", "__set__", "size", "dim", "numel", "detach", "clone", "double", "to", "float", "item", "__bool__"}


def tensors_in(values: Any) -> Any:
    """The tensors among some values, and in the lists and tuples among them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)


def _line() -> Place | None:
    """Where the innermost frame stands that is neither torch's nor ours, if the check has called one."""
    frame: Any = sys._getframe(1)
    while frame.f_code.co_filename == __file__:
        frame = frame.f_back
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_CHECKS):
            return None  # further out stands whoever called the check
        if not file.startswith(_ROOMS):
            return file, int(frame.f_lineno)
        frame = frame.f_back
    return None
