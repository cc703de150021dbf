"""What a learner's module does: in eval and in training mode, forwards and backwards, twice, with one image.

Its weights are made random first, so that no mistake hides behind a 0 or a 1. Layers are seen where torch's
functions use weights; a parameter that no such function uses is *loose*, as in a batch norm by hand.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from resnet_edu.checks import compare, sandbox
from resnet_edu.checks.watch import Failed, Step, Unit, Watch

_randn, _rand, _grad, _sum = torch.randn, torch.rand, torch.autograd.grad, torch.sum
_no_grad, _enable_grad, _stack = torch.no_grad, torch.enable_grad, torch.stack
_OTHER_NORMS = {"group_norm", "instance_norm", "layer_norm"}


@dataclass
class LearnerError(Exception):
    """The learner's code failed: while doing what, with which error, and what it had done before."""

    doing: str
    error: BaseException
    watch: Watch | None = None

    @property
    def failed(self) -> Failed | None:
        """The function of torch in which it failed."""
        return None if self.watch is None else self.watch.failed

    @property
    def channels(self) -> set[int]:
        """The numbers of channels of the maps that came up before."""
        steps = [] if self.watch is None else self.watch.steps
        return {shape[1] for step in steps for shape in (*step.given, step.made.shape) if len(shape) == 4}


@dataclass
class Loose:
    """A parameter or buffer that no layer of torch uses: its name, and the number that it started with."""

    name: str
    tensor: Tensor
    start: float | None
    learns: bool

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
    buffers: list[Tensor] = field(default_factory=list)  # and statistics that are none: what a step of training moves
    statistics: dict[int, Tensor] = field(default_factory=dict)  # the same after one step, by the tensor's id
    trouble: LearnerError | None = None
    spoiled: LearnerError | None = None  # a backward pass that found its numbers overwritten
    unregistered: list[Unit] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    prints: "Prints | None" = None

    def functions(self) -> frozenset[str]:
        """The names of torch's functions that were called."""
        return frozenset(step.function.strip("_") for step in self.steps)

    @property
    def other_norm(self) -> str | None:
        """What normalizes in place of a batch norm."""
        return next((name.replace("_", " ") for name in _OTHER_NORMS & self.functions()), None)

    def unused(self) -> list[str]:
        """The parameters that could learn and that nothing of the output depends on."""
        if self.gradients is None:
            return []
        grads = zip(self.parameters.items(), self.gradients[1:], strict=True)
        return [name for (name, p), grad in grads if grad is None and p.requires_grad]


class Prints:
    """The learner's tensors, found again by their numbers: by a sample of them first."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.room = 30_000_000  # how many numbers may be kept
        self._found: dict[int, tuple[Tensor, int | None]] = {}
        alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, step in enumerate(steps):
            if step.made.is_floating_point():
                alike[tuple(step.made.shape)].append(number)
        self._alike = {shape: (rows, _stack([_sample(steps[n].made) for n in rows])) for shape, rows in alike.items()}

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
        if tuple(tensor.shape) not in self._alike:
            return None
        rows, samples = self._alike[tuple(tensor.shape)]
        near = [row for row, is_near in zip(rows, compare.near(samples, _sample(tensor)), strict=True) if is_near]
        return next((row for row in near if compare.same(self.steps[row].made, tensor)), None)


def _sample(tensor: Tensor) -> Tensor:
    return tensor.detach().flatten()[:: max(1, tensor.numel() // 64)].double()


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


def _forward(module: nn.Module, x: Tensor, watch: Watch) -> Any:
    """One forward pass under watch."""

    def call() -> Any:
        with watch:
            return module(x)

    try:
        return attempt("forward", call)
    except LearnerError as trouble:
        trouble.watch = watch
        raise


def _evaluate(module: nn.Module, seen: Seen, seed: int) -> None:
    module.eval()
    first, *others = (x.clone() for x in seen.inputs)
    with _no_grad():
        if any(is_lazy(p) for p in module.parameters()):
            attempt("forward", lambda: module(first.clone()))  # unwatched: it has no weights yet
        starts = {id(t): _start(t) for t in (*module.parameters(), *module.buffers())}
        randomize(module, starts, seed)
        watch = Watch()
        try:
            out = _forward(module, first, watch)
        finally:
            seen.steps = watch.steps
            _sort_out(module, seen, watch.units, starts)
            seen.prints = Prints(seen.steps)
        seen.outputs, seen.after = [out], first
        for x in others:
            seen.outputs.append(_forward(module, x, Watch()))
        if isinstance(out, Tensor):
            seen.again = _forward(module, seen.inputs[0].clone(), Watch())


def _start(tensor: Tensor) -> float | None:
    """The number that a tensor starts with, if it is one and the same everywhere."""
    if tensor.numel() == 0 or not tensor.is_floating_point():
        return None
    first = float(tensor.flatten()[0])
    return first if bool((tensor == first).all()) else None


def _sort_out(module: nn.Module, seen: Seen, units: Sequence[Unit], starts: Mapping[int, float | None]) -> None:
    """What belongs to a layer, what is loose, and what no module knows."""
    own = {id(t) for t in (*module.parameters(), *module.buffers())}
    # A view of a parameter is no layer of its own: the parameter is loose, and its numbers are reshaped.
    seen.units = [u for u in units if not any(t._is_view() for t in u.tensors)]
    seen.unregistered = [
        u for u in seen.units if u.identity is not None and not u.derived and id(u.identity) not in own
    ]
    used = {id(t) for u in seen.units for t in u.tensors}
    tensors: list[tuple[str, Tensor, bool]] = [(name, p, True) for name, p in module.named_parameters()]
    tensors += [(name, b, False) for name, b in module.named_buffers() if b.is_floating_point()]
    seen.loose = [Loose(name, t, starts.get(id(t)), learns) for name, t, learns in tensors if id(t) not in used]
    seen.parameters = dict(module.named_parameters())


def _train(module: nn.Module, seen: Seen, seed: int) -> None:
    module.train()
    named = dict(module.named_buffers())
    seen.buffers = [*named.values(), *(t for unit in seen.units for t in (unit.mean, unit.var) if t is not None)]
    with _enable_grad(), as_before(seen.buffers):
        leaf = seen.inputs[0].clone().requires_grad_()
        seen.trained = attempt("train", lambda: module(leaf.clone()))
        # A batch norm by hand may set a new tensor under the old name.
        now = {id(named[name]): t for name, t in module.named_buffers() if name in named}
        seen.statistics = {id(t): now.get(id(t), t).detach().clone() for t in seen.buffers}
        if not isinstance(seen.trained, Tensor):
            seen.trained = seen.trained if seen.trained is not None else ...
            return
        if seen.trained.is_floating_point():
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
        with _no_grad():
            seen.trained_again = attempt("train", lambda: module(seen.inputs[0].clone()))


@contextmanager
def as_before(buffers: Iterable[Tensor]) -> Iterator[None]:
    """Afterwards these tensors have the numbers that they had before."""
    kept = [(t, t.detach().clone()) for t in buffers]
    try:
        yield
    finally:
        with _no_grad():
            for tensor, numbers in kept:
                tensor.copy_(numbers)


def gradients(out: Tensor, probe: Tensor | None, leaves: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradients of the output, weighted by a fixed random probe, with respect to the leaves."""
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if not out.requires_grad or probe is None or not wanted:
        return [None] * len(leaves)
    found = iter(_grad(_sum(out * probe), wanted, allow_unused=True))
    return [next(found) if leaf.requires_grad else None for leaf in leaves]


def randomize(module: nn.Module, starts: Mapping[int, float | None], seed: int) -> None:
    """Random weights and random statistics in place, by shape and by the number that they start with."""
    generator = torch.Generator().manual_seed(seed)

    def normal(t: Tensor, std: float) -> Tensor:
        return t.copy_(_randn(t.shape, generator=generator, dtype=torch.float64) * std)

    def between(t: Tensor, low: float, high: float) -> Tensor:
        return t.copy_(low + (high - low) * _rand(t.shape, generator=generator, dtype=torch.float64))

    with _no_grad():
        t: Tensor
        for t in module.parameters():
            if max(t.shape, default=1) < t.numel():  # more than one dimension that counts
                # A linear layer's are small: large scores would saturate a softmax and a sigmoid alike.
                normal(t, (1.4 if t.dim() > 2 else 0.1) / max(1, t[0].numel()) ** 0.5)
            elif starts[id(t)] == 1:  # some negative, so that max-pool and batch norm do not commute
                between(t, 1.0, 3.0).flatten()[::3].neg_()
            else:
                normal(t, 0.7)
        for t in module.buffers():
            if t.is_floating_point() and t.dim():
                between(t, 0.5, 2.0) if starts[id(t)] == 1 else normal(t, 0.5)
