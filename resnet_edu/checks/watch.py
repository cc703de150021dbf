"""Watching a learner's code run: which weights it uses, in which order, and every tensor on the way.

The watch sits below the names, at torch's functions: ``nn.Conv2d``, ``F.conv2d`` and a convolution
inside an ``nn.Sequential`` all look the same from there.
"""

import sys
import sysconfig
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class Place(NamedTuple):
    """A line of code, and the whole numbers that it knows, such as the block's."""

    file: str = ""
    line: int = 0  # none
    numbers: Mapping[str, int] = {}


NOWHERE = Place()

# This package and torch: not the learner's code.
_ROOMS = (str(Path(__file__).parent.parent), str(Path(torch.__file__).parent))
_CHECKS = str(Path(__file__).parent)
_ELSEWHERE = (*_ROOMS, sysconfig.get_paths()["stdlib"], "<frozen", "<string>")  # the last: what dataclasses write

# The functions that use weights, held since import: their arguments, and what these are by default.
STATISTICS = ("running_mean", "running_var")
#: The weights among them, and the numbers that a batch norm starts with.
STARTS = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_WEIGHTED: dict[Any, tuple[tuple[str, ...], tuple[Any, ...]]] = {
    F.conv2d: (_CONV, (None, None, None, 1, 0, 1, 1)),
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
    place: Place = NOWHERE
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
    """A call of a function of torch, and the tensors that it was given."""

    function: str
    inputs: list[Tensor]
    arguments: dict[str, Any]  # of a layer, by name
    unit: Unit | None = None  # the layer of the learner's whose weights it used
    again: bool = False  # whether an earlier call used them

    @property
    def kind(self) -> str:
        """What kind of function it is: "conv", "linear", "bn", "add", "cat", or its own name."""
        return _KINDS.get(self.function, self.function)


@dataclass(kw_only=True)
class Step(Call):
    """One that made a tensor, where in the code, and which of the learner's steps made the same."""

    made: Tensor
    place: Place
    found: int | None = None


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
        call = Call(name_of(func), list(tensors_in((*args, *kwargs.values()))), bound(func, args, kwargs))
        try:
            if call.arguments:
                args, kwargs = self.layer(call, args, kwargs)
            out = func(*args, **kwargs)
        except BaseException:
            self.failed = call
            raise
        if isinstance(out, Tensor) and call.inputs and call.function not in _QUIET:
            self.step(call, out)
        return out

    def layer(self, call: Call, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Write down the layer of a call that is about to use its weights; the arguments to call it with."""
        own = call.arguments
        weights = {name: own[name] for name in STARTS if own.get(name) is not None}
        settings = {name: value for name, value in own.items() if name not in {"input", *STARTS}}
        taken = own["input"].detach().clone() if isinstance(own["input"], Tensor) else None
        unit = Unit(call.kind, weights, settings, taken, place())
        call.unit = self.units.setdefault((unit.kind, id(unit.weight)), unit)
        call.unit.calls += 1
        call.again = call.unit is not unit
        return args, kwargs

    def step(self, call: Call, out: Tensor) -> None:
        """Write down a call that made a tensor."""
        self.steps.append(Step(**vars(call), made=out.detach().clone(), place=place()))


# Looking at a tensor makes none.
_QUIET = {"__get__", "__set__", "size", "dim", "numel", "detach", "clone", "double", "to", "float", "item", "__bool__"}


def tensors_in(values: Any) -> Any:
    """The tensors among some values, and in the lists and tuples among them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)


def place() -> Place:
    """The innermost line that is run and is neither torch's nor ours, if the check has called it."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_CHECKS):
        frame = frame.f_back
    while frame is not None and frame.f_code.co_filename.startswith(_ROOMS):
        frame = frame.f_back
        if frame is not None and frame.f_code.co_filename.startswith(_CHECKS):
            return NOWHERE  # further out stands whoever called the check
    if frame is None:
        return NOWHERE
    numbers = {name: value for name, value in frame.f_locals.items() if isinstance(value, int)}
    return Place(frame.f_code.co_filename, frame.f_lineno, numbers)


def where(error: BaseException) -> Place:
    """The last line of code that is neither torch's nor ours that an error passed through."""
    frames = [
        Place(frame.filename, frame.lineno or 0)
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_ELSEWHERE) and "site-packages" not in frame.filename
    ]
    return frames[-1] if frames else NOWHERE
