"""A candidate run under the learner's weights, and held against what was seen of the learner's module.

A candidate is the reference, plain or with known mistakes. Each layer that it calls takes the weights of a
layer of the learner's, of the same kind and shape: one that was given the same numbers, else the next that
is left in the order of use. So the order in which a learner's code runs does not matter.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from torch import Tensor, nn

from resnet_edu.checks import compare
from resnet_edu.checks.learner import LearnerError, Loose, Seen, behavior
from resnet_edu.checks.source import THEIRS
from resnet_edu.checks.watch import STARTS, STATISTICS, Call, Place, Step, Unit, Watch, place, where

_FILLING = ("kaiming_uniform_", "uniform_", "ones_", "zeros_")
_UNFILLED: dict[str, Any] = dict.fromkeys(_FILLING, lambda tensor, *_, **__: tensor)

#: After so many tensors in a row that the learner's code does not make, a candidate is given up.
PATIENCE = 12


class NoWeightsError(Exception):
    """The learner's module has no weights for a layer of the candidate."""

    def __init__(self, kind: str, shape: tuple[int, ...], place: Place) -> None:
        super().__init__(f"{kind} {shape}")
        self.kind, self.shape, self.place = kind, shape, place


class GivenUpError(Exception):
    """Too many tensors in a row that the learner's code does not make."""


@dataclass
class Run:
    """How a candidate fared on one case."""

    text: str = ""
    found: set[Any] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)  # on the first input; none unless they are asked for
    missing: int = 0
    row: int = 0  # of these, the last ones in a row
    lines: list[int] = field(default_factory=list)  # that made a tensor, up to where it leaves the learner's code
    has_left: bool = False  # whether it made one that the learner's code does not make
    error: BaseException | None = None
    pairing: dict[int, Unit] = field(default_factory=dict)
    outputs: list[Tensor] = field(default_factory=list)
    differs: str | None = "output"  # or "trouble", or the name of what is seen directly; None: nothing
    ambiguous: bool = False  # another pairing of weights is possible

    @property
    def score(self) -> float:
        """How much of the learner's code it explains: all, or what it does alike; one that stops explains no more."""
        if self.differs is None:
            return math.inf
        return len(self.found) - 0.5 * (PATIENCE if self.error is not None else min(self.missing, PATIENCE))


class Stand(Watch):
    """Within it, a candidate's layers work with the learner's weights. Its calls are those of ``behavior``."""

    def __init__(self, module: nn.Module, seen: Seen, run: Run, prefer: int, located: bool) -> None:
        super().__init__()
        self.module, self.seen, self.run, self.prefer, self.located = module, seen, run, prefer, located
        self.watched = True
        self.moving = False  # whether statistics may move
        self.called: set[int] = set()
        self.out: Any = None

    def call(self, doing: str, x: Tensor, again: bool = False) -> Any:
        """The candidate's output; a reference has no second answer to the same input."""
        if not again:
            self.moving, self.called = doing == "train", set()
            try:
                with self:
                    self.out = self.module(x)
            except Exception as error:
                raise LearnerError(doing, error, self.failed) from error
            self.watched = False
        return self.out

    def step(self, call: Call, out: Tensor) -> None:
        """Look for the tensor among the learner's, the first time that the candidate runs."""
        if not self.watched or not out.is_floating_point():
            return
        run, step = self.run, Step(**vars(call), made=out, place=place(), found=self.seen.prints.find(out))
        if not run.has_left:
            run.lines.append(step.place.line)
            run.has_left = step.found is None
        if self.located:
            run.steps.append(step)
        if step.found is not None:
            run.row = 0
            run.found.add(step.found)
            return
        run.missing += 1
        run.row += 1
        if run.row > PATIENCE and not self.located:
            raise GivenUpError

    def layer(self, call: Call, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Put the learner's weights among the arguments, if they have a layer for this one."""
        own = call.arguments
        identity = own["weight"] if own["weight"] is not None else own.get("running_mean")
        if identity is not None:
            call.again = id(identity) in self.called
            self.called.add(id(identity))
            call.unit = self.run.pairing.get(id(identity)) or self._unit(call.kind, identity, own)
        for name, usual in (("momentum", 0.1), ("eps", 1e-5)):
            if own.get(name) == THEIRS:
                own[name] = call.unit.settings.get(name, usual) if call.unit is not None else usual
        if call.unit is not None:
            for name in own.keys() & STARTS.keys():
                own[name] = _shaped(call.unit.weights.get(name), own[name])
                if name in STATISTICS and own[name] is not None and own["training"] and not self.moving:
                    own[name] = own[name].clone()
        return tuple(own.values()), {}

    def _unit(self, kind: str, own: Tensor, needed: dict[str, Any]) -> Unit | None:
        """The learner's layer that stands for one of the candidate's."""
        used = {id(t) for unit in self.run.pairing.values() for t in unit.weights.values()}
        sizes = {name: _size(needed[name]) for name in STARTS if needed.get(name) is not None}
        left = [unit for unit in self.seen.units if id(unit.weight) not in used and _fits(kind, unit, sizes)]
        x, find = needed["input"], self.seen.prints.find
        same = compare.same if find(x) is None else lambda a, b: find(a) == find(b)  # each step is compared once
        alike = [u for u in left if u.taken is not None and u.taken.shape == x.shape and same(u.taken, x)]
        loose = [one for one in self.seen.loose if id(one.tensor) not in used]
        # A layer of another input has its turn elsewhere; what is loose may stand anywhere.
        by_hand, other = (None if alike else _from_loose(kind, loose, needed, n + self.prefer) for n in (0, 1))
        several = len(left) > 1 or (by_hand and other and by_hand.weight is not other.weight)
        # Behind a tensor that the learner's code does not make, another layer would not help.
        self.run.ambiguous |= len(alike) > 1 or bool(several and not alike and not self.run.row)
        rest = alike or ([by_hand] if by_hand is not None else left)
        if not rest and self.seen.trouble is not None and self.seen.trouble.doing == "forward":
            return None  # the learner's code stopped before it came there
        if not rest:
            raise NoWeightsError(kind, tuple(own.shape), place())
        unit = self.run.pairing[id(own)] = rest[min(self.prefer, len(rest) - 1)]
        return unit


def _fits(kind: str, unit: Unit, sizes: dict[str, Any]) -> bool:
    """Whether a learner's layer has the weights that one of the candidate's needs."""
    if kind == "conv" and "bias" not in unit.weights:
        sizes = {name: size for name, size in sizes.items() if name != "bias"}  # one more in the candidate does no harm
    return sizes == {name: _size(t) for name, t in unit.weights.items()}


def _size(tensor: Tensor) -> tuple[int, ...]:
    """The shape of weights; a linear layer is a 1×1 convolution on one pixel."""
    return (*tensor.shape, 1, 1) if tensor.dim() == 2 else tuple(tensor.shape)


def _shaped(theirs: Tensor | None, own: Tensor | None) -> Tensor | None:
    """The learner's weights in the shape of the candidate's: a view, so that gradients find their way."""
    if theirs is None or own is None:
        return None
    turned = theirs.t() if theirs.dim() == 2 and theirs.shape[0] != own.shape[0] else theirs
    return turned if turned.shape == own.shape else turned.reshape(own.shape)


def _from_loose(kind: str, loose: Sequence[Loose], needed: dict[str, Any], prefer: int) -> Unit | None:
    """A layer by hand, put together from parameters and buffers of the right sizes."""
    parts: dict[str, Loose] = {}
    owner: str | None = None
    for name, start in STARTS.items():
        if needed.get(name) is None:
            continue
        fitting = [one for one in loose if one.learns != (name in STATISTICS) and one not in parts.values()]
        fitting = [one for one in fitting if _could_be(one.tensor, needed[name])]
        if kind == "conv" and parts:  # its bias may be missing
            fitting = [one for one in fitting if one.owner == owner]
            if not fitting:
                continue
        if not fitting:
            return None
        # From the same module, and by the number that it starts with; a zero-started γ keeps the order.
        fitting.sort(key=lambda one: (owner not in (None, one.owner), kind == "bn" and one.start != start))
        parts[name] = fitting[0 if parts else min(prefer, len(fitting) - 1)]
        owner = parts[name].owner
    return Unit(kind, {name: one.tensor for name, one in parts.items()})


def _could_be(tensor: Tensor, own: Tensor) -> bool:
    """Whether numbers by hand are as many, in an order that can be made the right one."""
    if own.dim() == 1:
        return tensor.numel() == own.numel() == max(tensor.shape, default=1)
    return tensor.numel() == own.numel() and own.shape[0] in tensor.shape[: 2 if tensor.dim() == 2 else 1]


def hold(make: Callable[..., Any], args: Sequence[Any], seen: Seen, prefer: int = 0, located: bool = False) -> Run:
    """Build a candidate, run it under the learner's weights, and say what differs first (None: nothing)."""
    run = Run()
    try:
        # Layers keep the memory they get: a candidate's own weights are never used.
        with patch.multiple(nn.init, **_UNFILLED):
            module = make(*args)
    except Exception as error:
        run.error = error
        return run
    if not isinstance(module, nn.Module):
        return run
    stand = Stand(module, seen, run, prefer, located)
    run.differs = None
    mine: Any
    for (name, theirs), (now, mine) in zip(seen.observed, behavior(module, stand.call, seen), strict=False):
        if now == "output":
            run.outputs.append(mine)
        if now == "trouble" and mine.doing == "forward":
            if not run.has_left:
                run.lines.append(where(mine.error).line)
                run.has_left = True
            run.error = mine.error.with_traceback(None)  # which would hold every tensor on the way
            mine.error.__context__ = None
        if name != now or not _alike(name, theirs, mine, run, seen):
            run.differs = name
            break
    return run


def _alike(name: str, theirs: Any, mine: Any, run: Run, seen: Seen) -> bool:
    """Whether the learner's code and a candidate did the same, in one thing."""
    if name == "trouble":
        return bool(theirs.doing == mine.doing and (mine.doing != "forward" or _fails_alike(run, mine, theirs)))
    if name == "input-overwritten" and seen.spoiled is not None:
        return True  # which is told with its line
    if name == "statistics-differ":
        moved = [t for unit in run.pairing.values() for t in unit.statistics if id(t) in theirs]
        return all(compare.same(theirs[id(t)].flatten(), mine[id(t)].flatten()) for t in moved)
    if name == "gradients-differ":
        if not isinstance(theirs, list) or any(unit.derived for unit in seen.units):
            return True
        return isinstance(mine, list) and compare.all_same(theirs, mine)
    return theirs is mine or compare.same(theirs, mine)


def _fails_alike(run: Run, mine: LearnerError, theirs: LearnerError) -> bool:
    """Whether a candidate stopped where the learner's code did: in the same operation, on the same numbers."""
    one, other = mine.failed, theirs.failed
    if run.row or one is None or other is None or (one.kind, one.again) != (other.kind, other.again):
        return False  # after something else of its own, or elsewhere
    # The words in any order: an addition's two ends may have changed places.
    if sorted(str(mine.error).split()) != sorted(str(theirs.error).split()):
        return False
    ours, others = ([t for t in call.inputs if not isinstance(t, nn.Parameter)] for call in (one, other))
    if one.kind in {"conv", "linear", "bn"}:  # their weights are in the words
        ours, others = ours[:1], others[:1]
    return len(ours) == len(others) and all(any(compare.same(a, b) for b in others) for a in ours)
