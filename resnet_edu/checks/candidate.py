"""A candidate run under the learner's weights, and held against what was seen of the learner's module.

A candidate is the reference, plain or with known mistakes. Each layer that it calls takes the weights of a
layer of the learner's, of the same kind and shape: one that was given the same numbers, else the next that
is left in the order of use. So the order in which a learner's code runs does not matter.
"""

import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from resnet_edu.checks import compare
from resnet_edu.checks.learner import Loose, Seen, as_before, gradients
from resnet_edu.checks.source import FILE, THEIRS
from resnet_edu.checks.watch import Failed, Unit, bound, kind_of, tensors_in

_enable_grad, _no_grad = torch.enable_grad, torch.no_grad
_norm = F.batch_norm

#: After so many tensors in a row that the learner's code does not make, a candidate is given up.
PATIENCE = 12


class NoWeightsError(Exception):
    """The learner's module has no weights for a layer of the candidate."""

    def __init__(self, kind: str, shape: tuple[int, ...], line: int, place: dict[str, int]) -> None:
        super().__init__(f"{kind} {shape}")
        self.kind, self.shape, self.line, self.place = kind, shape, line, place


class GivenUpError(Exception):
    """Too many tensors in a row that the learner's code does not make."""


@dataclass
class Made:
    """A tensor on a candidate's way: what made it, and the learner's tensor and layer in its place."""

    line: int
    function: str
    tensor: Tensor
    inputs: list[Tensor]
    settings: dict[str, Any]  # of a convolution, such as its stride
    found: int | None
    unit: Unit | None
    place: dict[str, int]  # the numbers that the line knows, such as the block's


@dataclass
class Memory:
    """Results on one input in eval mode, each distinct computation once: candidates differ in a line or two."""

    x: Tensor
    room: list[int]  # how many numbers may still be kept, shared with other memories
    results: dict[Any, tuple[Tensor, Any]] = field(default_factory=dict)


@dataclass
class Run:
    """How a candidate fared on one case."""

    text: str = ""
    found: set[Any] = field(default_factory=set)
    made: list[Made] = field(default_factory=list)
    missing: int = 0
    lines: list[int] = field(default_factory=list)  # that made a tensor, up to where it leaves the learner's code
    has_left: bool = False  # whether it made one that the learner's code does not make
    error: BaseException | None = None
    failed: Failed | None = None
    pairing: dict[int, Unit] = field(default_factory=dict)
    outputs: list[Tensor] = field(default_factory=list)
    differs: str | None = "output"  # or "trouble", or the name of what is seen directly; None: nothing
    ambiguous: bool = False  # another pairing of weights is possible

    @property
    def score(self) -> float:
        """How much of the learner's code it explains; one that stops explains no more."""
        return len(self.found) - 0.5 * (PATIENCE if self.error is not None else min(self.missing, PATIENCE))


class Stand(TorchFunctionMode):
    """Within it, a candidate's layers work with the learner's weights."""

    def __init__(
        self,
        seen: Seen,
        run: Run,
        memory: Memory | None = None,
        prefer: int = 0,
        located: bool = False,
    ) -> None:
        super().__init__()
        self.seen, self.run, self.memory, self.prefer, self.located = seen, run, memory, prefer, located
        self.watched, self.row = True, 0
        self.moving = False  # whether statistics may move
        self.called: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        unit, again = None, False
        try:
            own = bound(func, args, kwargs)
            if own:
                weigh = self._normed if func is _norm else self._weighted
                args, unit, again = weigh(kind_of(func), own)
                kwargs = {}
            out = self._remembered(func, args, kwargs)
        except NoWeightsError:
            raise
        except Exception:
            if self.run.failed is None:
                self.run.failed = Failed(kind_of(func), list(tensors_in((*args, *kwargs.values()))), again)
            raise
        if self.watched and isinstance(out, Tensor) and out.is_floating_point():
            self._note(func, list(tensors_in(args)), own, unit, out)
        return out

    def _note(self, func: Any, inputs: list[Tensor], own: dict[str, Any], unit: Unit | None, out: Tensor) -> None:
        name = getattr(func, "__name__", str(func))
        if name in {"detach", "clone", "__get__"}:
            return
        found = self.seen.prints.find(out) if self.seen.prints is not None else None
        if not self.run.has_left or self.located:
            line, place = self._place()
        if not self.run.has_left:
            self.run.lines.append(line)
            self.run.has_left = found is None
        if self.located:
            self.run.made.append(Made(line, name, out, inputs, own, found, unit, place))
        if found is None:
            self.run.missing += 1
            self.row += 1
            if self.row > PATIENCE and not self.located:
                raise GivenUpError
        else:
            self.row = 0
            self.run.found.add(found)

    @staticmethod
    def _place() -> tuple[int, dict[str, int]]:
        """The line of the reference that is being run, and the whole numbers that it knows."""
        frame: Any = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != FILE:
            frame = frame.f_back
        if frame is None:
            return 0, {}
        return int(frame.f_lineno), {name: v for name, v in frame.f_locals.items() if isinstance(v, int)}

    def _remembered(self, func: Any, args: Any, kwargs: Any) -> Any:
        if self.memory is None:
            return func(*args, **kwargs)
        key = (func, _key(args), _key(tuple(kwargs.items())))
        known = self.memory.results.get(key)
        if known is None:
            out = func(*args, **kwargs)
            if not isinstance(out, Tensor):
                return out
            self.memory.room[0] -= out.numel()
            if self.memory.room[0] < 0:
                return out
            known = self.memory.results[key] = (out, (args, kwargs))  # which keeps the ids alive
        return known[0]

    def _weighted(self, kind: str, own: dict[str, Any]) -> tuple[tuple[Any, ...], Unit | None, bool]:
        """The arguments with the learner's weights, their layer, and whether it was called before."""
        x, own_weight, own_bias, *settings = own.values()
        unit, again = self._unit(kind, x, own_weight, own_bias)
        if unit is None:
            return tuple(own.values()), None, again
        # Reshaped here, so that in training the gradient finds its way to the learner's own parameter.
        weight = unit.weight.t() if unit.weight is not None and unit.settings.get("transposed") else unit.weight
        if weight is not None and weight.shape != own_weight.shape:
            weight = weight.reshape(own_weight.shape)
        return (x, weight, unit.bias if own_bias is not None else None, *settings), unit, again

    def _normed(self, kind: str, own: dict[str, Any]) -> tuple[tuple[Any, ...], Unit | None, bool]:
        x, training, momentum, eps = own["input"], own["training"], own["momentum"], own["eps"]
        identity = own["weight"] if own["weight"] is not None else own["running_mean"]
        unit, again = (None, False) if identity is None else self._unit(kind, x, identity, own)
        theirs = {"momentum": 0.1, "eps": 1e-5} if unit is None else unit.settings
        momentum = theirs.get("momentum", 0.1) if momentum == THEIRS else momentum
        eps = theirs.get("eps", 1e-5) if eps == THEIRS else eps
        if unit is None:
            return (*(own | {"momentum": momentum, "eps": eps}).values(),), None, again
        flat = [None if t is None else t.flatten() for t in (unit.mean, unit.var, unit.weight, unit.bias)]
        if training and not self.moving:
            flat[:2] = [None if t is None else t.clone() for t in flat[:2]]
        return (x, *flat, training, momentum, eps), unit, again

    def _unit(self, kind: str, x: Tensor, own: Tensor, rest: Any) -> tuple[Unit | None, bool]:
        """The learner's layer that stands for one of the candidate's, and whether it was called before."""
        again = id(own) in self.called
        self.called.add(id(own))
        if id(own) in self.run.pairing:
            return self.run.pairing[id(own)], again
        used = {id(unit) for unit in self.run.pairing.values()}
        left = [u for u in self.seen.units if id(u) not in used and _fits(kind, u, own, rest)]
        alike = [u for u in left if u.taken is not None and self._same(u.taken, x)]
        # Behind a tensor that the learner's code does not make, another layer would not help.
        self.run.ambiguous |= len(alike) > 1 or (len(left) > 1 and not alike and not self.row)
        taken = {id(t) for u in self.run.pairing.values() for t in u.settings.get("loose", ())}
        loose = [one for one in self.seen.loose if id(one.tensor) not in taken]
        # A layer of another input has its turn elsewhere; what is loose may stand anywhere.
        unit = alike[min(self.prefer, len(alike) - 1)] if alike else _from_loose(kind, loose, own, rest, self.prefer)
        if unit is None and left:
            unit = left[min(self.prefer, len(left) - 1)]
        if unit is None:
            if self.seen.trouble is not None and self.seen.trouble.doing == "forward":
                return None, False  # the learner's code stopped before it came there
            raise NoWeightsError(kind, tuple(own.shape), *self._place())
        self.run.pairing[id(own)] = unit
        return unit, False

    def _same(self, taken: Tensor, x: Tensor) -> bool:
        """Whether a layer of the learner's was given these numbers; what a step of theirs made is compared once."""
        prints = self.seen.prints
        step = prints.find(x) if prints is not None else None
        if step is None or prints is None:
            return compare.same(taken, x)
        return taken.shape == x.shape and prints.find(taken) == step


def _key(values: Any) -> Any:
    return tuple(
        id(v) if isinstance(v, Tensor) else _key(v) if isinstance(v, tuple | list) else repr(v) for v in values
    )


def _fits(kind: str, unit: Unit, own: Tensor, rest: Any) -> bool:
    """Whether a learner's layer has the weights that one of the candidate's needs."""
    if kind == "bn":
        if unit.kind != "bn" or unit.identity is None or unit.identity.shape != own.shape:
            return False
        return (unit.weight is None) == (rest.get("weight") is None) and (unit.mean is None) == (
            rest.get("running_mean") is None
        )
    if unit.kind == "bn" or unit.weight is None:
        return False
    # A 1×1 convolution on one pixel is a linear layer.
    if unit.weight.shape != own.shape and not (
        unit.weight.numel() == own.numel()
        and unit.weight.shape[:2] == own.shape[:2]
        and own.numel() == own.shape[0] * own.shape[1]
    ):
        return False
    if kind == "conv":
        return rest is not None or unit.bias is None
    return (unit.bias is None) == (rest is None)


def _from_loose(kind: str, loose: Sequence[Loose], own: Tensor, rest: Any, prefer: int) -> Unit | None:
    """A layer by hand, put together from parameters and buffers of the right sizes."""
    if kind == "bn":
        wanted = [("weight", True, 1.0), ("bias", True, 0.0), ("running_mean", False, 0.0), ("running_var", False, 1.0)]
        left = [one for one in loose if one.tensor.numel() == own.numel() == max(one.tensor.shape, default=1)]
        parts: list[Loose | None] = []
        owner: str | None = None
        for name, learns, start in wanted:
            if rest.get(name) is None:
                parts.append(None)
                continue
            fitting = [one for one in left if one.learns == learns]
            # By the number that it starts with, then from the same module; a zero-started γ keeps the order.
            fitting.sort(key=lambda one: (owner is not None and one.owner != owner, one.start != start))
            if not fitting:
                return None
            one = fitting[min(prefer, len(fitting) - 1) if owner is None else 0]
            left.remove(one)
            owner = one.owner
            parts.append(one)
        weight, bias, mean, var = (None if one is None else one.tensor for one in parts)
        return Unit("bn", weight, bias, mean, var, {"loose": [one.tensor for one in parts if one is not None]})
    fitting = [one for one in loose if one.learns and _could_be(one.tensor, own)]
    if not fitting:
        return None
    one = fitting[min(prefer, len(fitting) - 1)]
    used, bias = [one.tensor], None
    if rest is not None:
        biases = [b for b in loose if b.learns and b.tensor.shape == own.shape[:1] and b.tensor is not one.tensor]
        biases.sort(key=lambda b: b.owner != one.owner)
        if not biases and kind == "linear":
            return None
        if biases and (kind == "linear" or biases[0].owner == one.owner):
            bias = biases[0].tensor
            used.append(bias)
    transposed = one.tensor.dim() == 2 and one.tensor.shape[0] != own.shape[0]
    return Unit(kind, one.tensor, bias, settings={"loose": used, "transposed": transposed})


def _could_be(tensor: Tensor, own: Tensor) -> bool:
    if tensor.numel() != own.numel() or tensor.dim() < 2:
        return False
    return tensor.shape[0] == own.shape[0] or (tensor.dim() == 2 and tensor.shape[1] == own.shape[0])


def _quick_building() -> AbstractContextManager[Any]:
    """Layers keep the memory they get: a candidate's own weights are never used."""
    stack = ExitStack()
    for kind in (nn.Conv2d, nn.BatchNorm2d, nn.Linear):
        stack.enter_context(patch.object(kind, "reset_parameters", lambda self: None))
    return stack


def hold(
    make: Callable[..., Any],
    args: Sequence[Any],
    seen: Seen,
    memories: Sequence[Memory | None],
    prefer: int = 0,
    located: bool = False,
) -> Run:
    """Build a candidate, run it under the learner's weights, and say what differs first (None: nothing)."""
    run = Run()
    try:
        with _quick_building():
            module = make(*args)
    except Exception as error:
        run.error = error
        return run
    if not isinstance(module, nn.Module):
        return run
    module.eval()
    stand = Stand(seen, run, memories[0], prefer, located)
    try:
        with _no_grad():
            for number, x in enumerate(seen.inputs):
                memory = memories[number]
                given = x.clone() if memory is None else memory.x
                stand.memory, stand.watched, stand.called = memory, number == 0, set()
                with stand:
                    out = module(given)
                run.outputs.append(out)
                found = _differs(run, seen, number, given)
                if found is not None:
                    run.differs = found
                    return run
    except Exception as error:
        if not run.has_left:
            run.lines.append(_line_of(error))
            run.has_left = True
        run.error = error.with_traceback(None)  # which would hold every tensor on the way
        error.__context__ = None
        alike = not stand.row and _fails_alike(run, seen)  # and not after something else of its own
        run.differs = None if alike else "trouble" if seen.trouble is not None else "output"
        return run
    run.differs = _in_training(module, run, seen)
    return run


def _line_of(error: BaseException) -> int:
    """The last line of a reference that an error passed through."""
    lines = [frame.lineno or 0 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
    return lines[-1] if lines else 0


def _differs(run: Run, seen: Seen, number: int, given: Tensor) -> str | None:
    if number >= len(seen.outputs):
        return "trouble"
    theirs, mine = seen.outputs[number], run.outputs[number]
    if not (isinstance(theirs, Tensor) and isinstance(mine, Tensor) and compare.same(theirs, mine)):
        return "output"
    if number == 0:
        if seen.again is not None and not (isinstance(seen.again, Tensor) and compare.same(seen.again, mine)):
            return "state-between-calls"
        if seen.spoiled is None and (seen.after is None or not compare.same(seen.after, given)):
            return "input-overwritten"
    return None


def _in_training(module: nn.Module, run: Run, seen: Seen) -> str | None:
    """What differs in one step of training."""
    if seen.trouble is not None and seen.trouble.doing != "train":
        return "trouble"
    if seen.trouble is None and not isinstance(seen.trained, Tensor):
        return None
    module.train()
    stand = Stand(seen, run)
    stand.watched, stand.moving = False, True
    try:
        with _enable_grad(), as_before(seen.buffers):
            leaf = seen.inputs[0].clone().requires_grad_()
            with stand:
                mine = module(leaf.clone())
            if seen.trouble is not None:
                return "trouble"
            if not isinstance(seen.trained_again, Tensor) or not compare.same(seen.trained, seen.trained_again):
                return "random-in-training"
            if not compare.same(seen.trained, mine):
                return "training-differs"
            for unit in run.pairing.values():
                for moved in (unit.mean, unit.var):
                    after = moved if moved is None else seen.statistics.get(id(moved))
                    if moved is not None and after is not None and not compare.same(after.flatten(), moved.flatten()):
                        return "statistics-differ"
            if seen.gradients is not None and not any(unit.derived for unit in seen.units):
                grads = gradients(mine, seen.probe, [leaf, *seen.parameters.values()])
                if not compare.all_same(seen.gradients, grads):
                    return "gradients-differ"
    except Exception:
        return "training-differs" if seen.trouble is None else None
    return None


def _fails_alike(run: Run, seen: Seen) -> bool:
    """Whether the candidate stopped where the learner's code did: in the same operation, on the same numbers."""
    mine, trouble = run.failed, seen.trouble
    theirs = trouble.failed if trouble is not None and trouble.doing == "forward" else None
    if mine is None or theirs is None or trouble is None or (mine.kind, mine.again) != (theirs.kind, theirs.again):
        return False
    # The words in any order: an addition's two ends may have changed places.
    if sorted(str(run.error).split()) != sorted(str(trouble.error).split()):
        return False
    ours, others = ([t for t in failed.inputs if not isinstance(t, nn.Parameter)] for failed in (mine, theirs))
    if mine.kind in {"conv", "linear", "bn"}:  # their weights are in the words
        ours, others = ours[:1], others[:1]
    return len(ours) == len(others) and all(any(compare.same(a, b) for b in others) for a in ours)
