"""What a learner's module does: in eval and in training mode, forwards and backwards, twice, with one image.

Its weights are made random first, so that no mistake hides behind a 0 or a 1. Layers are seen where torch's
functions use weights; a parameter that no such function uses is *loose*, as in a batch norm by hand.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from resnet_edu.checks import compare, sandbox
from resnet_edu.checks.watch import Failed, Step, Unit, Watch

_randn, _rand, _grad, _sum = torch.randn, torch.rand, torch.autograd.grad, torch.sum
_no_grad, _enable_grad = torch.no_grad, torch.enable_grad
_dot = torch.dot


@dataclass
class LearnerError(Exception):
    """The learner's code failed: while doing what, with which error, in which of torch's functions."""

    doing: str
    error: BaseException
    failed: Failed | None = None
    watch: Watch | None = None

    @property
    def channels(self) -> set[int]:
        """The numbers of channels that came up before."""
        steps = self.watch.steps if self.watch is not None else []
        return {size for step in steps for shape in (*step.given, step.made.shape) for size in shape[1:2]}


@dataclass
class Loose:
    """A parameter or buffer that no layer of torch uses: its name, and the number that it started with."""

    name: str
    tensor: Tensor
    start: float | None
    learns: bool
    before: Tensor | None = None  # a buffer as it was before the training step

    @property
    def owner(self) -> str:
        """The module that holds it."""
        return self.name.rpartition(".")[0]


@dataclass
class Seen:
    """Everything that was seen of one module."""

    inputs: list[Tensor]
    units: list[Unit] = field(default_factory=list)
    loose: list[Loose] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    again: Any = None
    after: Tensor | None = None  # the first input, once the module had it
    trained: Any = None
    trained_again: Any = None
    probe: Tensor | None = None
    gradients: list[Tensor | None] | None = None
    parameters: dict[str, Tensor] = field(default_factory=dict)
    statistics: dict[int, Tensor] = field(default_factory=dict)  # after one step, by the tensor's id
    trouble: LearnerError | None = None
    spoiled: LearnerError | None = None  # a backward pass that found its numbers overwritten
    other_norm: str | None = None
    unregistered: list[Unit] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    prints: "Prints | None" = None

    def functions(self) -> frozenset[str]:
        """The names of torch's functions that were called."""
        return frozenset(step.function.strip("_") for step in self.steps)

    def unused(self) -> list[str]:
        """The parameters that could learn and that nothing of the output depends on."""
        if self.gradients is None:
            return []
        grads = zip(self.parameters.items(), self.gradients[1:], strict=True)
        return [name for (name, p), grad in grads if grad is None and p.requires_grad]


class Prints:
    """The learner's tensors, found again by their numbers."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.by_shape: dict[tuple[int, ...], list[tuple[float, int]]] = {}
        self.steps = steps
        self._rows: dict[int, Tensor] = {}
        self._found: dict[int, tuple[Tensor, int | None]] = {}
        self.room = 30_000_000  # how many numbers may be kept
        for number, step in enumerate(steps):
            if step.made.is_floating_point():
                self.by_shape.setdefault(tuple(step.made.shape), []).append((self._print(step.made), number))

    def _print(self, tensor: Tensor) -> float:
        flat = tensor.detach().to(torch.float64).flatten()
        if len(flat) not in self._rows:
            generator = torch.Generator().manual_seed(1)
            self._rows[len(flat)] = _rand(len(flat), generator=generator, dtype=torch.float64) + 0.5
        return float(_dot(flat, self._rows[len(flat)]))

    def find(self, tensor: Tensor) -> int | None:
        """The first of the learner's steps that made these numbers."""
        known = self._found.get(id(tensor))
        if known is None:
            found = self._search(tensor)
            if found is None and tensor.shape[2:] == (1, 1):
                found = self._search(tensor.flatten(1))  # an average over the map may come as (N, C)
            known = (tensor, found)
            self.room -= tensor.numel()
            if self.room > 0:
                self._found[id(tensor)] = known  # the tensor too: its id must stay its own
        return known[1]

    def _search(self, tensor: Tensor) -> int | None:
        rows = self.by_shape.get(tuple(tensor.shape))
        if not rows or not tensor.is_floating_point():
            return None
        mine = self._print(tensor)
        for theirs, number in rows:
            # An average over many numbers may cancel: the comparison itself decides.
            if abs(mine - theirs) <= 1e-3 * (1 + abs(theirs)) and compare.same(self.steps[number].made, tensor):
                return number
        return None


def attempt(doing: str, call: Callable[[], Any]) -> Any:
    """Call a learner's code under guard. Raises LearnerError in place of whatever it raises."""
    try:
        with sandbox.guard():
            return call()
    except BaseException as error:  # SystemExit too: it is the learner's
        raise LearnerError(doing, error) from error


def unwrapped(module: nn.Module) -> nn.Module:
    """A module that was handed to ``torch.compile``, before anything is compiled."""
    return getattr(module, "_orig_mod", module)


def observe(module: nn.Module, inputs: Sequence[Tensor], seed: int = 0) -> Seen:
    """Watch the module on every input in eval mode, and on the first in training mode too."""
    seen = Seen([x.clone() for x in inputs])
    try:
        _evaluate(module, seen, seed)
        if all(isinstance(out, Tensor) for out in seen.outputs):
            _train(module, seen, seed)
    except LearnerError as trouble:
        seen.trouble = trouble
    if seen.prints is None:
        seen.prints = Prints(seen.steps)
    return seen


def _forward(module: nn.Module, x: Tensor, keep: bool = False, watched: bool = True) -> tuple[Any, Watch]:
    """One forward pass under watch, or not: a lazy layer has no weights to watch before its first."""
    watch = Watch(keep)

    def call() -> Any:
        with watch if watched else nullcontext():
            return module(x)

    try:
        return attempt("forward", call), watch
    except LearnerError as trouble:
        trouble.failed, trouble.watch = watch.failed, watch
        raise


def _evaluate(module: nn.Module, seen: Seen, seed: int) -> None:
    module.eval()
    with _no_grad():
        if any(is_lazy(p) for p in module.parameters()):
            _forward(module, seen.inputs[0].clone(), watched=False)
        starts = {id(t): _start(t) for t in (*module.parameters(), *module.buffers())}
        try:
            _, watch = _forward(module, seen.inputs[0].clone(), keep=True)
        except LearnerError as trouble:
            watch = trouble.watch or Watch()
        _sort_out(module, seen, watch.units, starts)
        randomize(seen.units, seen.loose, seed)
        given = seen.inputs[0].clone()
        try:
            out, watch = _forward(module, given, keep=True)
        except LearnerError as trouble:
            watch = trouble.watch or Watch()
            seen.other_norm, seen.steps = watch.other_norm, watch.steps
            _sort_out(module, seen, watch.units, starts)
            raise
        seen.outputs, seen.after = [out], given
        seen.other_norm, seen.steps = watch.other_norm, watch.steps
        _sort_out(module, seen, watch.units, starts)
        seen.prints = Prints(seen.steps)
        for x in seen.inputs[1:]:
            seen.outputs.append(_forward(module, x.clone())[0])
        if isinstance(out, Tensor):
            seen.again = _forward(module, seen.inputs[0].clone())[0]


def _start(tensor: Tensor) -> float | None:
    """The number that a tensor starts with, if it is one and the same everywhere."""
    if tensor.numel() == 0 or not tensor.is_floating_point():
        return None
    first = float(tensor.flatten()[0])
    return first if bool((tensor == first).all()) else None


def _sort_out(module: nn.Module, seen: Seen, units: Sequence[Unit], starts: dict[int, float | None]) -> None:
    """What belongs to a layer, what is loose, and what no module knows."""
    own = {id(t) for t in (*module.parameters(), *module.buffers())}
    # A view of a parameter is no layer of its own: the parameter is loose, and its numbers are reshaped.
    seen.units = [u for u in units if not any(t._is_view() for t in u.tensors)]
    seen.unregistered = [
        u for u in seen.units if u.identity is not None and not _derived(u) and id(u.identity) not in own
    ]
    used = {id(t) for u in seen.units for t in u.tensors}
    tensors: list[tuple[str, Tensor, bool]] = [(name, p, True) for name, p in module.named_parameters()]
    tensors += [(name, b, False) for name, b in module.named_buffers() if b.is_floating_point()]
    seen.loose = [Loose(name, t, starts.get(id(t)), learns) for name, t, learns in tensors if id(t) not in used]
    seen.parameters = dict(module.named_parameters())


def _derived(unit: Unit) -> bool:
    return any(t.grad_fn is not None for t in unit.tensors)


def _train(module: nn.Module, seen: Seen, seed: int) -> None:
    module.train()
    for unit in seen.units:
        unit.mean, unit.var = _copied(seen, unit.mean), _copied(seen, unit.var)
    for loose in seen.loose:
        loose.before = None if loose.learns else _copied(seen, loose.tensor)
    with _enable_grad():
        leaf = seen.inputs[0].clone().requires_grad_()
        seen.trained = attempt("train", lambda: module(leaf.clone()))
        # Read now: a second call would move the statistics on.
        seen.statistics = {key: live.detach().clone() for key, live in seen.statistics.items()}
        if isinstance(seen.trained, Tensor) and seen.trained.is_floating_point():
            generator = torch.Generator().manual_seed(seed + 1)
            seen.probe = _randn(seen.trained.shape, generator=generator, dtype=torch.float64).to(seen.trained.dtype)
            leaves = [leaf, *seen.parameters.values()]
            try:
                seen.gradients = attempt("backward", lambda: gradients(seen.trained, seen.probe, leaves))
            except LearnerError as error:
                if "modified by an inplace operation" in str(error.error):
                    seen.spoiled = error
                # Autograd's threads for a GPU, once started, do not survive a fork. Then all but the
                # gradients is compared: this is nobody's mistake.
                elif "fork" not in str(error.error):
                    raise
    if not isinstance(seen.trained, Tensor):
        seen.trained = seen.trained if seen.trained is not None else ...
        return
    with _no_grad():
        seen.trained_again = attempt("train", lambda: module(seen.inputs[0].clone()))


def _copied(seen: Seen, live: Tensor | None) -> Tensor | None:
    """A copy that stands for a tensor from now on; the tensor itself goes on changing, and is read later."""
    if live is None:
        return None
    copy = live.detach().clone()
    seen.statistics[id(copy)] = live
    return copy


def gradients(out: Tensor, probe: Tensor | None, leaves: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradients of the output, weighted by a fixed random probe, with respect to the leaves."""
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if not out.requires_grad or probe is None or not wanted:
        return [None] * len(leaves)
    found = iter(_grad(_sum(out * probe), wanted, allow_unused=True))
    return [next(found) if leaf.requires_grad else None for leaf in leaves]


def randomize(units: Sequence[Unit], loose: Sequence[Loose], seed: int) -> None:
    """Random weights and random statistics in place."""
    generator = torch.Generator().manual_seed(seed)

    def normal(t: Tensor | None, std: float, mean: float = 0.0) -> None:
        if t is not None:
            t.copy_(mean + _randn(t.shape, generator=generator, dtype=torch.float64) * std)

    def between(t: Tensor | None, low: float, high: float) -> None:
        if t is not None:
            t.copy_(low + (high - low) * _rand(t.shape, generator=generator, dtype=torch.float64))

    def scale(t: Tensor | None) -> None:
        if t is not None:
            between(t, 1.0, 3.0)
            # Some negative, so that max-pool and batch norm do not commute.
            t.flatten()[::3].neg_()

    with _no_grad():
        for unit in units:
            if _derived(unit):
                continue
            if unit.kind == "bn":
                scale(unit.weight)
                if unit.mean is not None and unit.var is not None:
                    normal(unit.mean, 0.5)
                    between(unit.var, 0.5, 2.0)
            elif unit.weight is not None:
                normal(unit.weight, 1.4 / max(1, unit.weight[0].numel()) ** 0.5)
            normal(unit.bias, 0.7)
        for one in loose:
            t = one.tensor
            if max(t.shape, default=1) < t.numel():  # more than one dimension that counts
                normal(t, 1.4 / max(1, t[0].numel()) ** 0.5)
            elif one.learns:
                scale(t) if one.start == 1 else normal(t, 0.7)
            elif t.dim():
                between(t, 0.5, 2.0) if one.start == 1 else normal(t, 0.5)
