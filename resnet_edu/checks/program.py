"""Networks as data: a list of operations that can be run with any weights, and edited like a text.

The reference of each contract is a program, and a mistake is an edit of it. So one mistake or two at
once are the same thing: a program that differs, run under the learner's own weights.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Held since import: what a learner's code does to torch must not reach the reference.
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "relu-roll": lambda x, f=torch.relu, g=torch.roll: f(x) + g(f(x), 1, 2),  # type: ignore[misc]
    "leaky": lambda x, f=F.leaky_relu: f(x, 0.01),  # type: ignore[misc]
    "leaky0.1": lambda x, f=F.leaky_relu: f(x, 0.1),  # type: ignore[misc]
    "leaky0.2": lambda x, f=F.leaky_relu: f(x, 0.2),  # type: ignore[misc]
    "relu6": F.relu6,
    "gelu": F.gelu,
    "silu": F.silu,
    "elu": F.elu,
    "selu": F.selu,
    "mish": F.mish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "hardswish": F.hardswish,
    "softmax": lambda x, f=torch.softmax: f(x, 1),  # type: ignore[misc]
    "softmax0": lambda x, f=torch.softmax: f(x, 0),  # type: ignore[misc]
    "log-softmax": lambda x, f=torch.log_softmax: f(x, 1),  # type: ignore[misc]
    "argmax": lambda x, f=torch.argmax: f(x, 1),  # type: ignore[misc]
    "square": torch.square,
    "abs": torch.abs,
    "detach": torch.detach,
    "negative": torch.neg,
    "none": lambda x: x,
}
_ADDITIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "plus": lambda a, b, f=torch.add: f(a, b),  # type: ignore[misc]
    "minus": lambda a, b, f=torch.sub: f(a, b),  # type: ignore[misc]
    "reverse": lambda a, b, f=torch.sub: f(b, a),  # type: ignore[misc]
    "times": lambda a, b, f=torch.mul: f(a, b),  # type: ignore[misc]
    "mean": lambda a, b, f=torch.add: f(a, b) / 2,  # type: ignore[misc]
    "max": lambda a, b, f=torch.maximum: f(a, b),  # type: ignore[misc]
    "concat": lambda a, b, f=torch.cat: f([a, b], 1),  # type: ignore[misc]
    "twice": lambda a, b, f=torch.add: f(a, b, alpha=2),  # type: ignore[misc]
    "first-twice": lambda a, b, f=torch.add: f(b, a, alpha=2),  # type: ignore[misc]
    "second-only": lambda a, b: b,
}
_conv, _norm, _linear = torch.conv2d, torch.batch_norm, F.linear
_max_pool, _avg_pool, _pad, _cat = F.max_pool2d, F.avg_pool2d, F.pad, torch.cat
_zeros = torch.zeros
_REDUCTIONS: dict[str, Callable[..., Tensor]] = {"mean": torch.mean, "max": torch.amax, "sum": torch.sum}


@dataclass(frozen=True)
class Op:
    """One operation: its name, what kind it is, the names of its inputs ("x" is the program's), its settings.

    ``words`` is what a message calls it.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    words: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    shortcut: bool = False  # on the way around, so a learner may run it before or after the main path

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """What it does, without its name and its inputs."""
        return (self.kind, *sorted((name, repr(value)) for name, value in self.options.items() if name != "slot"))

    def __getitem__(self, option: str) -> Any:
        return self.options[option]

    def get(self, option: str, default: Any = None) -> Any:
        """An option, or a default."""
        return self.options.get(option, default)


class NotHereError(Exception):
    """An edit speaks of an operation that this program does not have."""


@dataclass(frozen=True)
class Program:
    """Operations in an order in which they can run; the last one makes the output."""

    ops: tuple[Op, ...]
    #: Prefixes of the blocks in a network, so that an edit of a block can be made in each of them.
    blocks: tuple[str, ...] = ("",)

    def op(self, name: str) -> Op:
        """The operation of this name. Raises NotHereError if there is none."""
        for op in self.ops:
            if op.name == name:
                return op
        raise NotHereError(name)

    def has(self, name: str) -> bool:
        """Whether there is an operation of this name."""
        return any(op.name == name for op in self.ops)

    def is_sound(self) -> bool:
        """Whether each operation takes what an earlier one makes."""
        made = {"x"}
        for op in self.ops:
            if not made.issuperset(op.inputs):
                return False
            made.add(op.name)
        return True

    def _with(self, ops: Iterable[Op]) -> "Program":
        return Program(tuple(ops), self.blocks)

    def change(self, name: str, **options: Any) -> "Program":
        """Other settings for one operation."""
        op = self.op(name)
        new = replace(op, options={**op.options, **options})
        return self._with(new if o is op else o for o in self.ops)

    def swap(self, name: str, new: Op) -> "Program":
        """Another operation in the place of one."""
        op = self.op(name)
        return self._with(replace(new, name=op.name) if o is op else o for o in self.ops)

    def drop(self, name: str) -> "Program":
        """Leave an operation out: whoever took its output takes its first input."""
        op = self.op(name)
        if len(self.ops) == 1:
            return self.swap(name, Op(name, "act", op.inputs, options={"fn": "none"}))
        if self.ops[-1] is op and op.inputs[0] != self.ops[-2].name:
            # The output must stay last.
            return self.swap(name, Op(name, "act", op.inputs[:1], op.words, {"fn": "none"}))
        rest = [o for o in self.ops if o is not op]
        return self._with(_rewired(o, {name: op.inputs[0]}) for o in rest)

    def after(self, name: str, new: Op) -> "Program":
        """Put a new operation behind one: whoever took that one's output takes the new one's."""
        if name != "x":
            self.op(name)
        new = replace(new, inputs=(name,))
        if self.has(new.name):
            raise NotHereError(new.name)
        ops = [_rewired(o, {name: new.name}) for o in self.ops]
        place = 0 if name == "x" else [o.name for o in ops].index(name) + 1
        return self._with([*ops[:place], new, *ops[place:]])

    def before(self, name: str, new: Op, index: int = 0) -> "Program":
        """Put a new operation between one and its input."""
        op = self.op(name)
        if self.has(new.name):
            raise NotHereError(new.name)
        new = replace(new, inputs=(op.inputs[index],), shortcut=op.shortcut)
        inputs = tuple(new.name if i == index else given for i, given in enumerate(op.inputs))
        ops = list(self.ops)
        place = ops.index(op)
        return self._with([*ops[:place], new, replace(op, inputs=inputs), *ops[place + 1 :]])

    def rewire(self, name: str, index: int, source: str) -> "Program":
        """Another input for one operation."""
        op = self.op(name)
        if source != "x":
            self.op(source)
        inputs = tuple(source if i == index else given for i, given in enumerate(op.inputs))
        return _sorted(self._with(replace(op, inputs=inputs) if o is op else o for o in self.ops))

    def without(self, *names: str) -> "Program":
        """Leave out operations that nothing depends on."""
        return self._with(op for op in self.ops if op.name not in names)

    def pruned(self) -> "Program":
        """Without the operations that nothing of the output depends on."""
        wanted = {self.ops[-1].name}
        for op in reversed(self.ops):
            if op.name in wanted:
                wanted.update(op.inputs)
        return self._with(op for op in self.ops if op.name in wanted)

    def slots(self, shortcut_first: bool = False) -> list[Op]:
        """The operations with weights, each set of weights once, in the order of execution."""
        ops: Iterable[Op] = self.ops
        if shortcut_first:
            ops = _shortcuts_first(self.ops)
        seen: dict[str, Op] = {}
        for op in ops:
            if op.kind in {"conv", "bn", "linear"}:
                seen.setdefault(op.get("slot", op.name), op)
        return list(seen.values())


def _rewired(op: Op, names: Mapping[str, str]) -> Op:
    return replace(op, inputs=tuple(names.get(name, name) for name in op.inputs))


def _sorted(program: Program) -> Program:
    last = program.ops[-1].name
    done, waiting, ops = {"x"}, list(program.ops), []
    while waiting:
        ready = next((op for op in waiting if done.issuperset(op.inputs)), None)
        if ready is None:
            raise NotHereError(last)
        waiting.remove(ready)
        ops.append(ready)
        done.add(ready.name)
    # Operations that nothing leads from must not stand last.
    ops.sort(key=lambda op: op.name == last)
    return Program(tuple(ops), program.blocks)


def _shortcuts_first(ops: tuple[Op, ...]) -> list[Op]:
    done, waiting, order = {"x"}, list(ops), []
    while waiting:
        ready = [op for op in waiting if done.issuperset(op.inputs)]
        best = next((op for op in ready if op.shortcut), ready[0])
        waiting.remove(best)
        order.append(best)
        done.add(best.name)
    return order


@dataclass(frozen=True)
class Weights:
    """The tensors of one slot."""

    weight: Tensor | None
    bias: Tensor | None = None
    mean: Tensor | None = None
    var: Tensor | None = None
    eps: float = 1e-5
    momentum: float = 0.1


class ProgramError(Exception):
    """A program that cannot run: at which operation, and the shapes that met there."""

    def __init__(self, op: Op, shapes: tuple[tuple[int, ...], ...], error: Exception) -> None:
        super().__init__(f"{op.words or op.name}: {error}")
        self.op, self.shapes = op, shapes


def run(program: Program, x: Tensor, weights: Mapping[str, Weights], training: bool = False) -> dict[str, Tensor]:
    """Every tensor on the way, by the name of the operation that made it. Batch norms update their statistics.

    Raises ProgramError where two shapes do not fit.
    """
    values = {"x": x}
    for op in program.ops:
        inputs = [values[name] for name in op.inputs]
        values[op.name] = run_op(op, inputs, weights.get(op.get("slot", op.name)), training)
        if op.get("overwrites"):
            # An in-place operation: its input holds the result from now on.
            values[op.inputs[0]] = values[op.name]
    return values


class Memory:
    """Runs many programs on one input in eval mode, each distinct computation once.

    Programs with one mistake differ in a line or two; everything before that is remembered.
    """

    def __init__(self, x: Tensor) -> None:
        self.tensors: list[Tensor | ProgramError] = [x]
        self._known: dict[tuple[Any, ...], int] = {}

    def run(self, program: Program, weights: Mapping[str, Weights]) -> dict[str, int]:
        """For each operation, and for "x", where its result stands in ``tensors``; an error's under "name!"."""
        values: dict[str, int] = {"x": 0}
        for _ in self.follow(program, weights, values):
            pass
        return values

    def follow(
        self, program: Program, weights: Mapping[str, Weights], values: dict[str, int]
    ) -> Iterator[tuple[Op, int | None]]:
        """Run step by step, no further than asked: each operation, and where its result stands if it could run."""
        values["x"] = 0
        for op in program.ops:
            inputs = [values.get(name) for name in op.inputs]
            if None in inputs:
                yield op, None
                continue
            table = weights.get(op.get("slot", op.name))
            key = (op.key, id(table), *inputs)
            if key not in self._known:
                self._known[key] = len(self.tensors)
                self.tensors.append(self._make(op, [self.tensors[i] for i in inputs if i is not None], table))
            number = self._known[key]
            if isinstance(self.tensors[number], Tensor):
                values[op.name] = number
                if op.get("overwrites"):
                    values[op.inputs[0]] = number
                yield op, number
            else:
                values[f"{op.name}!"] = number
                yield op, None

    @staticmethod
    def _make(op: Op, inputs: list[Any], table: Weights | None) -> "Tensor | ProgramError":
        if op.kind == "bn" and op.get("mode") == "train" and table is not None:
            # This one would update the statistics that the others share.
            mean, var = (None if t is None else t.clone() for t in (table.mean, table.var))
            table = replace(table, mean=mean, var=var)
        try:
            return run_op(op, inputs, table)
        except ProgramError as error:
            return error


def run_op(op: Op, inputs: list[Tensor], weights: Weights | None = None, training: bool = False) -> Tensor:
    """What one operation makes of its inputs. Raises ProgramError where they do not fit."""
    try:
        return _one(op, inputs, weights, training)
    except (RuntimeError, LookupError, ValueError, TypeError) as error:
        raise ProgramError(op, tuple(tuple(t.shape) for t in inputs), error) from error


def _given(weights: Weights | None) -> Weights:
    if weights is None:
        raise ValueError("no weights for this operation")
    return weights


def _there(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise ValueError("no weight for this operation")
    return tensor


def _one(op: Op, inputs: list[Tensor], weights: Weights | None, training: bool) -> Tensor:
    x = inputs[0]
    kind = op.kind
    if kind == "conv":
        padding = op.get("padding", 0)
        if op.get("padding_mode"):
            x, padding = _pad(x, (padding,) * 4, mode=op["padding_mode"]), 0
        weight, bias = _given(weights).weight, _given(weights).bias
        stride, dilation, groups = op.get("stride", 1), op.get("dilation", 1), op.get("groups", 1)
        weight = _there(weight)
        if weight.dim() == 2:  # of a linear layer over the channels, which is a 1×1 convolution
            weight = weight[:, :, None, None]
        return _conv(x, weight, bias, stride, padding, dilation, groups)
    if kind == "bn":
        own = _given(weights)
        training = {"train": True, "eval": False}.get(op.get("mode", ""), training) or own.mean is None
        eps = own.eps if op.get("eps") == "theirs" else 1e-5
        momentum = own.momentum if op.get("momentum") == "theirs" else 0.1
        return _norm(x, own.weight, own.bias, own.mean, own.var, training, momentum, eps, False)
    if kind == "linear":
        return _linear(x, _there(_given(weights).weight).flatten(1), _given(weights).bias)
    if kind == "act":
        return _ACTIVATIONS[op["fn"]](x)
    if kind == "add":
        return _ADDITIONS[op["fn"]](x, inputs[1])
    if kind == "maxpool":
        return _max_pool(x, op["kernel"], op["stride"], op.get("padding", 0), ceil_mode=op.get("ceil", False))
    if kind == "avgpool":
        return _avg_pool(x, op["kernel"], op["stride"], op.get("padding", 0))
    if kind == "gap":
        dims = op.get("dims", (2, 3))
        return _REDUCTIONS[op.get("fn", "mean")](x, dims, keepdim=True)
    if kind == "flatten":
        return x.flatten(op.get("start", 1))
    if kind == "subsample":
        start, stride, axes = op.get("start", 0), op["stride"], op.get("axes", "both")
        down, across = (1 if axes == "width" else stride), (1 if axes == "height" else stride)
        if stride == 1:
            start = 0
        return x[:, :, start::down, start::across]
    if kind == "crop":
        return x[:, :, : -(-x.shape[2] // op["stride"]), : -(-x.shape[3] // op["stride"])]
    if kind == "padchannels":
        front, back = op["front"], op["back"]
        if op.get("fill") == "copies":
            return _cat([x] * (1 + -(-(front + back) // x.shape[1])), 1)[:, : x.shape[1] + front + back]
        return _pad(x, (0, 0, 0, 0, front, back), value=op.get("value", 0.0))
    if kind == "scale":
        return x * op["by"]
    if kind == "transpose":
        return x.transpose(2, 3)
    raise ValueError(f"unknown kind of operation {kind!r}")


class Built(nn.Module):
    """A program as an ordinary module with weights of its own: how the catalogue's mistakes become a learner's code."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        self.rooms = nn.ModuleDict()
        for op in program.slots():
            self.rooms[_room(op)] = _module(op)

    def forward(self, x: Tensor) -> Tensor:
        values = {"x": x}
        for op in self.program.ops:
            inputs = [values[name] for name in op.inputs]
            if op.get("overwrites"):
                inputs[0].relu_()
                values[op.name] = inputs[0]
            else:
                values[op.name] = self._one(op, inputs)
        return values[self.program.ops[-1].name]

    def _one(self, op: Op, inputs: list[Tensor]) -> Tensor:
        if op.kind not in {"conv", "bn", "linear"}:
            return _one(op, inputs, None, self.training)
        room = self.rooms[_room(op)]
        x = inputs[0]
        if isinstance(room, nn.BatchNorm2d):
            training = {"train": True, "eval": False}.get(op.get("mode", ""), self.training)
            stats = room.running_mean is not None
            return F.batch_norm(
                x,
                room.running_mean,
                room.running_var,
                room.weight,
                room.bias,
                training or not stats,
                0.9 if op.get("momentum") == "theirs" else 0.1,
                1e-2 if op.get("eps") == "theirs" else 1e-5,
            )
        if isinstance(room, nn.Conv2d):
            padding = op.get("padding", 0)
            if op.get("padding_mode"):
                x, padding = F.pad(x, (padding,) * 4, mode=op["padding_mode"]), 0
            stride, dilation, groups = op.get("stride", 1), op.get("dilation", 1), op.get("groups", 1)
            return F.conv2d(x, room.weight, room.bias, stride, padding, dilation, groups)
        return room(x)


def _room(op: Op) -> str:
    return str(op.get("slot", op.name)).replace(".", "_")


def _module(op: Op) -> nn.Module:
    if op.kind == "conv":
        return nn.Conv2d(op["ins"], op["outs"], op["kernel"], groups=op.get("groups", 1), bias=op.get("bias", False))
    if op.kind == "bn":
        return nn.BatchNorm2d(op["channels"], affine=op.get("affine", True), track_running_stats=op.get("stats", True))
    return nn.Linear(op["ins"], op["outs"], bias=op.get("bias", True))


def needs(op: Op) -> tuple[Any, ...]:
    """The kind and the shape of the weights that a slot takes.

    >>> needs(Op("conv1", "conv", ("x",), options={"ins": 3, "outs": 8, "kernel": 3}))
    ('conv', (8, 3, 3, 3))
    """
    if op.kind == "conv":
        kernel = op["kernel"]
        return ("conv", (op["outs"], op["ins"] // op.get("groups", 1), kernel, kernel))
    if op.kind == "bn":
        affine, stats = op.get("affine", True), op.get("stats", True)
        return ("bn", (op["channels"],) if affine or stats else ())
    return ("linear", (op["outs"], op["ins"]))


def same_program(a: Program, b: Program) -> bool:
    """Whether two programs compute the same by construction."""
    return a.ops == b.ops


def blank(shape: tuple[int, ...]) -> Tensor:
    """Zeros in double precision."""
    return _zeros(shape, dtype=torch.float64)
