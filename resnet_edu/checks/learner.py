"""What a learner's module does: in eval and in training mode, forwards and backwards, twice, with one image.

Its weights are made random first, so that no mistake hides behind a 0 or a 1. Layers are seen where torch's
functions use weights; a parameter that no such function uses is *loose*, as in a batch norm by hand.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.weak import WeakIdKeyDictionary

from resnet_edu.checks import compare, sandbox
from resnet_edu.checks.watch import Call, Step, Unit, Watch

_randn, _rand, _grad, _sum = torch.randn, torch.rand, torch.autograd.grad, torch.sum
_no_grad, _enable_grad, _stack = torch.no_grad, torch.enable_grad, torch.stack
_OTHER_NORMS = {"group_norm", "instance_norm", "layer_norm"}


@dataclass
class LearnerError(Exception):
    """The learner's code failed: while doing what, with which error, and in which call of a function of torch."""

    doing: str
    error: BaseException
    failed: Call | None = None


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
    observed: list[tuple[str, Any]] = field(default_factory=list)  # what it did, as ``behavior`` tells it
    units: list[Unit] = field(default_factory=list)
    loose: list[Loose] = field(default_factory=list)
    parameters: dict[str, Tensor] = field(default_factory=dict)
    buffers: list[Tensor] = field(default_factory=list)  # and statistics that are none: what a step of training moves
    unregistered: list[Unit] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    prints: "Prints" = field(default_factory=lambda: Prints([]))

    @property
    def outputs(self) -> list[Any]:
        """What it returned for each input."""
        return [value for name, value in self.observed if name == "output"]

    @property
    def trouble(self) -> LearnerError | None:
        """The error in which it ended."""
        return dict(self.observed).get("trouble")

    @property
    def gradients(self) -> Any:
        """Those of the first input and of the parameters, or an error that says that their numbers were overwritten."""
        return dict(self.observed).get("gradients-differ")

    @property
    def spoiled(self) -> LearnerError | None:
        """The error of a backward pass that found its numbers overwritten."""
        return self.gradients if isinstance(self.gradients, LearnerError) else None

    def functions(self) -> frozenset[str]:
        """The names of torch's functions that were called."""
        return frozenset(step.function.strip("_") for step in self.steps)

    @property
    def other_norm(self) -> str | None:
        """What normalizes in place of a batch norm."""
        return next((name.replace("_", " ") for name in _OTHER_NORMS & self.functions()), None)

    def unused(self) -> list[str]:
        """The parameters that could learn and that nothing of the output depends on."""
        if not isinstance(self.gradients, list):
            return []
        grads = zip(self.parameters.items(), self.gradients[1:], strict=True)
        return [name for (name, p), grad in grads if grad is None and p.requires_grad]


class Prints:
    """The learner's tensors, found again by their numbers: by a sample of them first."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self._found: MutableMapping[Tensor, int | None] = WeakIdKeyDictionary()  # each tensor is looked for once
        alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, step in enumerate(steps):
            if step.made.is_floating_point():
                alike[tuple(step.made.shape)].append(number)
        self._alike = {shape: (rows, _stack([_sample(steps[n].made) for n in rows])) for shape, rows in alike.items()}

    def find(self, tensor: Tensor) -> int | None:
        """The first of the learner's steps that made these numbers."""
        if tensor not in self._found:
            found = self._search(tensor)
            if found is None and tensor.shape[2:] == (1, 1):
                found = self._search(tensor.flatten(1))  # an average over the map may come as (N, C)
            self._found[tensor] = found
        return self._found[tensor]

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


def observe(module: nn.Module, inputs: Sequence[Tensor]) -> Seen:
    """Watch a learner's module on every input, under weights that are random."""
    seen = Seen([x.clone() for x in inputs])
    starts: dict[int, float | None] = {}

    def call(doing: str, x: Tensor, again: bool = False) -> Any:
        watch = Watch()
        try:
            with watch:
                return attempt(doing, lambda: module(x))
        except LearnerError as trouble:
            trouble.failed = watch.failed
            raise
        finally:
            if not seen.observed:
                _sort_out(module, seen, watch, starts)

    if any(is_lazy(p) for p in module.parameters()):
        with suppress(LearnerError):  # it will come again
            attempt("forward", lambda: module.eval()(seen.inputs[0].clone()))  # unwatched: it has no weights yet
    if not any(is_lazy(p) for p in module.parameters()):
        starts |= {id(t): _start(t) for t in (*module.parameters(), *module.buffers())}
        randomize(module, starts)
    for one in behavior(module, call, seen):
        seen.observed.append(one)
    return seen


def behavior(module: nn.Module, call: Callable[..., Any], seen: Seen) -> Iterator[tuple[str, Any]]:
    """What a module does, the learner's or a candidate, each under the name of the mistake if it alone differs.

    ``call(doing, x, again)`` runs it, on an input that it was given before if ``again``. The error in which it ends is
    the last thing that it does.
    """
    try:
        yield from _one_by_one(module, call, seen)
    except LearnerError as trouble:
        yield "trouble", trouble


def _one_by_one(module: nn.Module, call: Callable[..., Any], seen: Seen) -> Iterator[tuple[str, Any]]:
    module.eval()
    for number, x in enumerate(seen.inputs):
        given = x.clone()
        with _no_grad():
            out = call("forward", given)
        yield "output", out
        if not isinstance(out, Tensor):
            return
        if number == 0:
            with _no_grad():
                again = call("forward", x.clone(), again=True)
            yield "state-between-calls", compare.same(out, again)
            yield "input-overwritten", given
    module.train()
    named, x = dict(module.named_buffers()), seen.inputs[0]
    with _enable_grad(), as_before(seen.buffers):
        leaf = x.clone().requires_grad_()
        out = call("train", leaf.clone())
        # A batch norm by hand may set a new tensor under the old name.
        now = {id(named[name]): t for name, t in module.named_buffers() if name in named}
        statistics = {id(t): now.get(id(t), t).detach().clone() for t in seen.buffers}
        slopes = _slopes(out, [leaf, *seen.parameters.values()])
        with _no_grad():
            again = call("train", x.clone(), again=True)
    yield "random-in-training", compare.same(out, again)
    yield "training-differs", ... if out is None else out
    yield "statistics-differ", statistics
    yield "gradients-differ", slopes


def _start(tensor: Tensor) -> float | None:
    """The number that a tensor starts with, if it is one and the same everywhere."""
    if tensor.numel() == 0 or not tensor.is_floating_point():
        return None
    first = float(tensor.detach().flatten()[0])
    return first if bool((tensor == first).all()) else None


def _sort_out(module: nn.Module, seen: Seen, watch: Watch, starts: Mapping[int, float | None]) -> None:
    """What belongs to a layer, what is loose, and what no module knows."""
    seen.steps, seen.prints, seen.parameters = watch.steps, Prints(watch.steps), dict(module.named_parameters())
    own = {id(t) for t in (*module.parameters(), *module.buffers())}
    # A view of a parameter is no layer of its own: the parameter is loose, and its numbers are reshaped.
    seen.units = [u for u in watch.units.values() if not any(t._is_view() for t in u.weights.values())]
    seen.unregistered = [u for u in seen.units if u.weight is not None and not u.derived and id(u.weight) not in own]
    seen.buffers = [*module.buffers(), *(t for unit in seen.units for t in unit.statistics)]
    used = {id(t) for u in seen.units for t in u.weights.values()}
    tensors: list[tuple[str, Tensor, bool]] = [(name, p, True) for name, p in seen.parameters.items()]
    tensors += [(name, b, False) for name, b in module.named_buffers() if b.is_floating_point()]
    seen.loose = [Loose(name, t, starts.get(id(t)), learns) for name, t, learns in tensors if id(t) not in used]


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


def _slopes(out: Any, leaves: Sequence[Tensor]) -> Any:
    """The gradients of the output, weighted by fixed random numbers, with respect to the leaves."""
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if not isinstance(out, Tensor) or not out.is_floating_point():
        return None
    if not out.requires_grad:
        return [None] * len(leaves)
    # In numbers that an output in single precision can take as they are.
    probe = _randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float32).to(out.dtype)
    try:
        found = iter(attempt("backward", lambda: _grad(_sum(out * probe), wanted, allow_unused=True)))
    except LearnerError as trouble:
        if "modified by an inplace operation" in str(trouble.error):
            return trouble
        # Autograd's threads for a GPU, once started, do not survive a fork. Then all but the gradients is
        # compared: this is nobody's mistake.
        if "fork" in str(trouble.error):
            return None
        raise
    return [next(found) if leaf.requires_grad else None for leaf in leaves]


def randomize(module: nn.Module, starts: Mapping[int, float | None]) -> None:
    """Random weights and random statistics in place, by shape and by the number that they start with."""
    generator = torch.Generator().manual_seed(0)

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
