"""Watching a learner's code run: which weights it uses, in which order, and every tensor on the way.

The watch sits below the names, at torch's functions: ``nn.Conv2d``, ``F.conv2d`` and a convolution
inside an ``nn.Sequential`` all look the same from there.
"""

import sys
from collections.abc import Callable
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

# The functions that use weights, held since import.
_CONV = (F.conv2d, torch.conv2d)
_LINEAR = (F.linear, torch.nn.functional.linear)
_NORM = (F.batch_norm,)
_OTHER_NORMS = {F.group_norm: "group norm", F.instance_norm: "instance norm", F.layer_norm: "layer norm"}


@dataclass(eq=False)
class Unit:
    """A convolution, batch norm or linear layer as the learner's code calls it: its weights and settings."""

    kind: str  # "conv", "bn" or "linear"
    weight: Tensor | None
    bias: Tensor | None = None
    mean: Tensor | None = None
    var: Tensor | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    given: tuple[int, ...] = ()
    made: tuple[int, ...] = ()
    line: Place | None = None
    calls: int = 1
    #: The tensor that it was given first, where tensors are kept.
    taken: Tensor | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What must agree for these weights to stand for a slot of a program."""
        if self.kind == "bn":
            return (self.kind, tuple(self.identity.shape) if self.identity is not None else ())
        return (self.kind, tuple(self.weight.shape) if self.weight is not None else ())

    @property
    def identity(self) -> Tensor | None:
        """The tensor that tells one layer from another."""
        return self.weight if self.weight is not None else self.mean

    @property
    def tensors(self) -> list[Tensor]:
        """Its weights and statistics."""
        return [t for t in (self.weight, self.bias, self.mean, self.var) if t is not None]


@dataclass
class Step:
    """One function that made a tensor: its name, the shapes it took, what it made, where in the learner's code."""

    function: str
    given: tuple[tuple[int, ...], ...]
    made: Tensor
    line: Place | None


@dataclass
class Failed:
    """The function in which the learner's code failed, and the shapes that it was given."""

    kind: str
    function: str
    given: tuple[tuple[int, ...], ...]
    line: Place | None
    again: bool = False
    """Whether it was called with weights that an earlier call had used."""
    taken: Tensor | None = None
    """The first tensor that it was given."""
    inputs: list[Tensor] = field(default_factory=list)
    #: The window, where it is a pool.
    window: tuple[int, ...] = ()


class Watch(TorchFunctionMode):
    """Within it, every call of a torch function on tensors is written down.

    >>> conv = torch.nn.Conv2d(3, 8, 3)
    >>> with Watch(keep=True) as watch:
    ...     _ = conv(torch.zeros(1, 3, 9, 9)).relu()
    >>> [unit.kind for unit in watch.units], watch.steps[-1].function, tuple(watch.steps[-1].made.shape)
    (['conv'], 'relu', (1, 8, 7, 7))
    """

    def __init__(self, keep: bool = False) -> None:
        super().__init__()
        self.keep = keep  # also the tensors on the way, for a report on where they part
        self.units: list[Unit] = []
        self.steps: list[Step] = []
        self.failed: Failed | None = None
        self.other_norm: str | None = None
        self._known: dict[int, Unit] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        inputs = list(tensors_in(args)) + list(tensors_in(tuple(kwargs.values())))
        given = tuple(tuple(t.shape) for t in inputs)
        name = getattr(func, "__name__", str(func))
        try:
            out = func(*args, **kwargs)
        except BaseException:
            unit = _unit(func, args, kwargs)
            again = unit is not None and id(unit.identity) in self._known
            taken = inputs[0].detach().clone() if inputs else None
            self.failed = Failed(
                kind_of(func, name),
                name,
                given,
                _line(),
                again,
                taken,
                inputs,
                window_of(kind_of(func, name), args, kwargs),
            )
            if unit is not None and self.keep and not again:
                unit.given, unit.line, unit.taken = given[0] if given else (), _line(), taken
                self.units.append(unit)
            raise
        if func in _OTHER_NORMS:
            self.other_norm = _OTHER_NORMS[func]
        unit = _unit(func, args, kwargs)
        if unit is not None and isinstance(out, Tensor):
            unit.given, unit.made, unit.line = given[0] if given else (), tuple(out.shape), _line()
            unit.taken = inputs[0].detach().clone() if self.keep and inputs else None
            self._note(unit)
        if self.keep and isinstance(out, Tensor) and inputs and name not in _QUIET:
            self.steps.append(Step(name, given, out.detach().clone(), _line()))
        return out

    def _note(self, unit: Unit) -> None:
        identity = unit.identity
        known = self._known.get(id(identity)) if identity is not None else None
        if known is not None and known.kind == unit.kind:
            known.calls += 1
            return
        if identity is not None:
            self._known[id(identity)] = unit
        self.units.append(unit)


# Looking at a tensor makes none.
_QUIET = {"__get__", "__set__", "size", "dim", "numel", "detach", "clone", "double", "to", "float", "item", "__bool__"}


def tensors_in(values: Any) -> Any:
    """The tensors among some values, and in the lists and tuples among them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)


def _bind(names: tuple[str, ...], args: Any, kwargs: Any) -> dict[str, Any]:
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _unit(func: Callable[..., Any], args: Any, kwargs: Any) -> Unit | None:
    if func in _CONV:
        bound = settings_of(func, args, kwargs)
        return Unit("conv", bound.pop("weight"), bound.pop("bias", None), settings=bound)
    if func in _LINEAR:
        bound = _bind(("input", "weight", "bias"), args, kwargs)
        return Unit("linear", bound["weight"], bound.get("bias"))
    if func in _NORM:
        names = ("input", "mean", "var", "weight", "bias", "training", "momentum", "eps")
        renamed = {{"running_mean": "mean", "running_var": "var"}.get(k, k): v for k, v in kwargs.items()}
        bound = _bind(names, args, renamed)
        settings = {
            "training": bound.get("training", False),
            "momentum": bound.get("momentum", 0.1),
            "eps": bound.get("eps", 1e-5),
        }
        return Unit("bn", bound.get("weight"), bound.get("bias"), bound.get("mean"), bound.get("var"), settings)
    return None


def settings_of(func: Callable[..., Any], args: Any, kwargs: Any) -> dict[str, Any]:
    """The stride, the padding and the other settings of a call of a convolution."""
    if func not in _CONV:
        return {}
    bound = _bind(("input", "weight", "bias", "stride", "padding", "dilation", "groups"), args, kwargs)
    bound.pop("input", None)
    return {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, **bound}


def kind_of(func: Callable[..., Any], name: str) -> str:
    """What kind of function of torch this is: "conv", "linear", "bn", "add", "cat", or its own name."""
    if func in _CONV:
        return "conv"
    if func in _LINEAR:
        return "linear"
    if func in _NORM:
        return "bn"
    if name in {"add", "add_", "__add__", "__iadd__", "__radd__", "sub", "__sub__", "mul", "__mul__", "sub_", "mul_"}:
        return "add"
    if name in {"cat", "concat", "concatenate"}:
        return "cat"
    return name


def window_of(kind: str, args: Any, kwargs: Any) -> tuple[int, ...]:
    """A pool's window, as two numbers."""
    if "pool" not in kind and kind != "fn":
        return ()
    window = args[1] if len(args) > 1 else kwargs.get("kernel_size", kwargs.get("output_size", ()))
    return (window, window) if isinstance(window, int) else tuple(window or ())


def _line() -> Place | None:
    """Where the innermost frame stands that is neither torch's nor ours, if the check has called one."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_CHECKS):
            return None  # further out stands whoever called the check
        if not file.startswith(_ROOMS):
            return file, int(frame.f_lineno)
        frame = frame.f_back
    return None
