"""What a learner's module does: in eval and in training mode, forwards and backwards, twice, with one image.

The same is asked of a program under the learner's own weights, so that the two can be held together.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from resnet_edu.checks import compare, sandbox
from resnet_edu.checks.pairing import Pairing, partial, weights
from resnet_edu.checks.program import Memory, Op, Program, ProgramError, Weights, blank, needs, run
from resnet_edu.checks.watch import Failed, Step, Unit, Watch

_randn, _rand, _grad, _sum = torch.randn, torch.rand, torch.autograd.grad, torch.sum
_no_grad, _enable_grad = torch.no_grad, torch.enable_grad


@dataclass
class LearnerError(Exception):
    """The learner's code failed: while doing what, with which error, in which of torch's functions."""

    doing: str
    error: BaseException
    failed: Failed | None = None
    units: list[Unit] = field(default_factory=list)
    given: Tensor | None = None
    memory: Memory | None = None


@dataclass
class Observed:
    """Everything that was seen of one module."""

    inputs: list[Tensor]
    units: list[Unit] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    again: Any = None
    after: Tensor | None = None  # the first input, once the module had it
    trained: Any = None
    trained_again: Any = None
    probe: Tensor | None = None
    gradients: list[Tensor | None] | None = None
    parameters: dict[str, Tensor] = field(default_factory=dict)
    before: dict[int, tuple[Tensor | None, Tensor | None]] = field(default_factory=dict)
    statistics: list[Tensor] = field(default_factory=list)
    trouble: LearnerError | None = None
    other_norm: str | None = None
    unregistered: list[Unit] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    _memories: dict[int, Memory] = field(default_factory=dict)
    _weights: dict[int, Weights] = field(default_factory=dict)
    _outputs: dict[tuple[int, int], bool] = field(default_factory=dict)
    _appears: dict[int, bool] = field(default_factory=dict)

    def memory(self, number: int) -> Memory:
        """The remembered runs of programs on one input."""
        if number not in self._memories:
            self._memories[number] = Memory(self.inputs[number])
        return self._memories[number]

    def weights_of(self, unit: Unit) -> Weights:
        """A unit's weights, with its statistics as they were before the training step."""
        if id(unit) not in self._weights:
            table = weights({"": unit}, {id(unit): before_training(self, unit)})
            self._weights[id(unit)] = table[""]
        return self._weights[id(unit)]

    def learning(self) -> dict[str, bool]:
        """For each parameter whether a gradient reached it; empty if there were none."""
        grads = (self.gradients or [])[1:]
        return {name: grad is not None for name, grad in zip(self.parameters, grads, strict=False)}

    def appears(self, result: int) -> bool:
        """Whether a remembered result on the first input is among the tensors of the learner's code."""
        if result not in self._appears:
            mine = self.memory(0).tensors[result]
            steps = [step.made for step in self.steps if isinstance(mine, Tensor) and step.made.shape == mine.shape]
            self._appears[result] = isinstance(mine, Tensor) and any(compare.same(step, mine) for step in steps)
        return self._appears[result]

    def is_output(self, number: int, result: int) -> bool:
        """Whether a remembered result is what the module made of that input."""
        if (number, result) not in self._outputs:
            mine = self.memory(number).tensors[result]
            self._outputs[number, result] = isinstance(mine, Tensor) and compare.same(self.outputs[number], mine)
        return self._outputs[number, result]

    steps: list[Step] = field(default_factory=list)


def attempt(doing: str, call: Callable[[], Any]) -> Any:
    """Call a learner's code under guard. Raises LearnerError in place of whatever it raises."""
    try:
        with sandbox.guard():
            return call()
    except BaseException as error:  # SystemExit too: it is the learner's
        raise LearnerError(doing, error) from error


def _forward(module: nn.Module, x: Tensor, keep: bool = False, watched: bool = True) -> tuple[Any, Watch]:
    """One forward pass under watch, or not: a lazy layer has no weights to watch before its first."""
    watch = Watch(keep)

    def call() -> Any:
        with watch if watched else nullcontext():
            return module(x)

    try:
        return attempt("forward", call), watch
    except LearnerError as trouble:
        trouble.failed, trouble.units, trouble.given = watch.failed, watch.units, x
        trouble.memory = Memory(x)
        raise


def observe(module: nn.Module, inputs: Sequence[Tensor], seed: int = 0, train: bool = True) -> Observed:
    """Watch the module on every input in eval mode, and on the first in training mode too."""
    seen = Observed([x.clone() for x in inputs])
    try:
        _observe(module, seen, seed, train)
    except LearnerError as trouble:
        seen.trouble = trouble
    return seen


def _observe(module: nn.Module, seen: Observed, seed: int, train: bool) -> None:
    module.eval()
    with _no_grad():
        if any(is_lazy(p) for p in module.parameters()):
            _forward(module, seen.inputs[0].clone(), watched=False)
        try:
            _, watch = _forward(module, seen.inputs[0].clone())
        except LearnerError as trouble:
            seen.units = trouble.units
            raise
        if any(u.weight is not None and _derived(u.weight) for u in watch.units):
            # Weights that are reshaped on the way: random where they are kept, watched where they are used.
            _randomize_parameters(module, seed)
            with _enable_grad():
                _, watch = _forward(module, seen.inputs[0].clone())
        seen.units, seen.other_norm = watch.units, watch.other_norm
        _give_biases(module, seen.units)
        own = {id(t) for t in (*module.parameters(), *module.buffers())}
        seen.unregistered = [
            u for u in seen.units if u.weight is not None and id(u.weight) not in own and not _derived(u.weight)
        ]
        used = {id(t) for u in seen.units for t in u.tensors}
        if not any(_derived(t) for u in seen.units for t in u.tensors):
            seen.unused = [name for name, p in module.named_parameters() if id(p) not in used]
        randomize(seen.units, seed)

        for x in seen.inputs:
            given = x.clone()
            seen.outputs.append(_forward(module, given)[0])
            if seen.after is None:
                seen.after = given
        if not all(isinstance(out, Tensor) for out in seen.outputs):
            return
        seen.again, watch = _forward(module, seen.inputs[0].clone(), keep=True)
        seen.steps = watch.steps
    seen.parameters = dict(module.named_parameters())
    if train:
        _train(module, seen, seed)


def _give_biases(module: nn.Module, units: Sequence[Unit]) -> None:
    """To a product written by hand the one row of numbers that can only be its bias."""
    used = {id(t) for u in units for t in u.tensors}
    for unit in units:
        if unit.settings.get("by_hand") and unit.weight is not None:
            free = [p for p in module.parameters() if p.shape == unit.weight.shape[:1] and id(p) not in used]
            if len(free) == 1:
                unit.bias = free[0]


def _randomize_parameters(module: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        fan_in = max(1, parameter[0].numel()) if parameter.dim() > 1 else 1
        numbers = _randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.copy_(numbers * 1.4 / fan_in**0.5)


def _derived(tensor: Tensor) -> bool:
    return tensor._is_view() or tensor.grad_fn is not None


def _train(module: nn.Module, seen: Observed, seed: int) -> None:
    module.train()
    seen.before = {id(u): (_copy(u.mean), _copy(u.var)) for u in seen.units if u.kind == "bn"}
    with _enable_grad():
        leaf = seen.inputs[0].clone().requires_grad_()
        seen.trained = attempt("train", lambda: module(leaf.clone()))
        # Read now: a second call would move the statistics on.
        seen.statistics = [t.clone() for u in seen.units if u.kind == "bn" for t in (u.mean, u.var) if t is not None]
        if isinstance(seen.trained, Tensor) and seen.trained.is_floating_point():
            generator = torch.Generator().manual_seed(seed + 1)
            seen.probe = _randn(seen.trained.shape, generator=generator, dtype=torch.float64).to(seen.trained.dtype)
            try:
                seen.gradients = attempt(
                    "backward", lambda: gradients(seen.trained, seen.probe, [leaf, *seen.parameters.values()])
                )
            except LearnerError as error:
                # Autograd's threads for a GPU, once started, do not survive a fork. Then all but the
                # gradients is compared: this is nobody's mistake.
                if "fork" not in str(error.error):
                    raise
    if not isinstance(seen.trained, Tensor):
        seen.trained = seen.trained if seen.trained is not None else ...
        return
    with _no_grad():
        seen.trained_again = attempt("train", lambda: module(seen.inputs[0].clone()))


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().clone()


def gradients(out: Tensor, probe: Tensor | None, leaves: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradients of the output, weighted by a fixed random probe, with respect to the leaves."""
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if not out.requires_grad or probe is None or not wanted:
        return [None] * len(leaves)
    found = iter(_grad(_sum(out * probe), wanted, allow_unused=True))
    return [next(found) if leaf.requires_grad else None for leaf in leaves]


def randomize(units: Sequence[Unit], seed: int) -> None:
    """Random weights and random statistics in place, so that no mistake hides behind a 0 or a 1."""
    generator = torch.Generator().manual_seed(seed)

    def normal(t: Tensor, std: float) -> None:
        t.copy_(_randn(t.shape, generator=generator, dtype=torch.float64) * std)

    def between(t: Tensor, low: float, high: float) -> None:
        t.copy_(low + (high - low) * _rand(t.shape, generator=generator, dtype=torch.float64))

    with _no_grad():
        for unit in units:
            if any(_derived(t) for t in unit.tensors):
                continue
            if unit.kind == "bn":
                if unit.weight is not None:
                    between(unit.weight, 1.0, 3.0)
                    # Some negative, so that max-pool and batch norm do not commute.
                    unit.weight[::3].neg_()
                if unit.mean is not None and unit.var is not None:
                    normal(unit.mean, 0.5)
                    between(unit.var, 0.5, 2.0)
            elif unit.weight is not None:
                fan_in = max(1, unit.weight[0].numel())
                normal(unit.weight, 1.4 / fan_in**0.5)
            if unit.bias is not None:
                normal(unit.bias, 0.7)


def agrees(program: Program, pairing: Pairing, seen: Observed) -> str | None:
    """None if the program under these weights does all that was seen, or the name of the first thing that differs.

    One of "output", "again", "input", "train", "random", "statistics", "gradients".
    """
    table = {slot: seen.weights_of(unit) for slot, unit in pairing.items()}
    last = program.ops[-1].name
    with _no_grad():
        for number, out in enumerate(seen.outputs):
            values = seen.memory(number).run(program, table)
            if last not in values or not isinstance(out, Tensor) or not seen.is_output(number, values[last]):
                return "output"
            if number == 0:
                mine = seen.memory(0).tensors
                if not isinstance(seen.again, Tensor) or not _like(seen.again, mine[values[last]]):
                    return "again"
                if seen.after is None or not _like(seen.after, mine[values["x"]]):
                    return "input"
    try:
        return _agrees_in_training(program, pairing, seen)
    except ProgramError:
        return "train"


def _like(theirs: Tensor, mine: Tensor | ProgramError) -> bool:
    return isinstance(mine, Tensor) and compare.same(theirs, mine)


def before_training(seen: Observed, unit: Unit) -> tuple[Tensor | None, Tensor | None]:
    """A batch norm's mean and variance as they were before the training step."""
    return seen.before.get(id(unit), (unit.mean, unit.var))


def _agrees_in_training(program: Program, pairing: Pairing, seen: Observed) -> str | None:
    if not isinstance(seen.trained, Tensor):
        return None
    frozen = {id(unit): before_training(seen, unit) for unit in pairing.values() if unit.kind == "bn"}
    table = weights(pairing, frozen)
    with _enable_grad():
        leaf = seen.inputs[0].clone().requires_grad_()
        mine = run(program, leaf.clone(), table, training=True)[program.ops[-1].name]
        if not isinstance(seen.trained_again, Tensor) or not compare.same(seen.trained, seen.trained_again):
            return "random"
        if not compare.same(seen.trained, mine):
            return "train"
        slot_of = {id(unit): slot for slot, unit in pairing.items()}
        stats = []
        for unit in seen.units:
            if unit.kind == "bn":
                after = table[slot_of[id(unit)]]
                stats += [t for t in (after.mean, after.var) if t is not None]
        if not compare.all_same(seen.statistics, stats):
            return "statistics"
        if seen.gradients is not None:
            try:
                grads = gradients(mine, seen.probe, [leaf, *seen.parameters.values()])
            except RuntimeError:
                return "gradients"
            if not compare.all_same(seen.gradients, grads):
                return "gradients"
    return None


def fails_alike(program: Program, seen: Observed, by_numbers: bool = True) -> bool:
    """Whether the program fails where the learner's code failed: the same operation and shapes, the same before.

    ``by_numbers`` also asks whether the same numbers came there, which tells apart sources of one shape.
    """
    trouble = seen.trouble
    if trouble is None or trouble.failed is None or trouble.given is None:
        return False
    failed = trouble.failed
    done, errors = shapes(program, trouble.given, trouble.memory)
    theirs = Counter((*unit.key, unit.made) for unit in trouble.units)
    mine = Counter(entry for _, entry in done)
    if theirs - mine:
        return False
    for error in errors:
        shared = error.op.get("slot", error.op.name) != error.op.name
        if shared == failed.again and _same_function(error.op, failed) and _same_shapes(error, failed):
            needed = _before_it(program, error.op)
            if Counter(entry for op, entry in done if op.name in needed) - theirs:
                continue
            if not by_numbers or _same_source(program, error.op, needed, trouble):
                return True
    return False


def _same_source(program: Program, last: Op, needed: set[str], trouble: LearnerError) -> bool:
    """Whether the numbers that came to the failing layer are those that come to it in the program."""
    taken = trouble.failed.taken if trouble.failed is not None else None
    if taken is None or trouble.given is None or last.kind not in {"conv", "bn", "linear"}:
        return True
    part = Program(tuple(op for op in program.ops if op.name in needed), program.blocks)
    # Copies of the statistics: a batch norm that is always in training mode would move on those of the learner.
    table = weights(partial(part, trouble.units), {id(u): (u.mean, u.var) for u in trouble.units})
    try:
        with _no_grad():
            values = run(part, trouble.given.clone(), table)
    except ProgramError:
        return True
    return compare.same(values[last.inputs[0]], taken)


def shared_shapes(program: Program, seen: Observed) -> float:
    """How much of what ran before the error the program and the learner's code have in common.

    One for each unit that makes the same shape, a little for each that has only the weights in
    common, and half of one taken off for each that only the program runs.
    """
    trouble = seen.trouble
    if trouble is None or trouble.given is None:
        return 0
    done, _ = shapes(program, trouble.given, trouble.memory)
    theirs = Counter((*unit.key, unit.made) for unit in trouble.units)
    mine = Counter(entry for _, entry in done)
    weights_alike = Counter(unit.key for unit in trouble.units) & Counter(needs(op) for op in program.slots())
    return (theirs & mine).total() - 0.5 * (mine - theirs).total() + 0.01 * weights_alike.total()


def could_fail_alike(program: Program, seen: Observed) -> bool:
    """Whether the program has all the weights that the learner's code used before its error. Runs nothing."""
    units = seen.trouble.units if seen.trouble is not None else []
    return not Counter(unit.key for unit in units) - Counter(needs(op) for op in program.slots())


def _same_function(op: Op, failed: Failed) -> bool:
    kind = "cat" if op.kind == "add" and op["fn"] == "concat" else op.kind
    return failed.kind == kind or failed.function in _FUNCTIONS.get(kind, ())


_FUNCTIONS = {
    "add": ("maximum", "max"),
    "avgpool": ("avg_pool2d",),
    "maxpool": ("max_pool2d", "boolean_dispatch", "fn"),
}


def _before_it(program: Program, last: Op) -> set[str]:
    """The operations that one depends on."""
    needed = set(last.inputs)
    for op in reversed(program.ops):
        if op.name in needed:
            needed.update(op.inputs)
    return needed


def outcome_shape(program: Program, x: Tensor) -> tuple[int, ...] | None:
    """The shape of a program's output, None if it cannot run."""
    table = {op.get("slot", op.name): _plain(needs(op)) for op in program.slots()}
    try:
        with _no_grad():
            return tuple(run(program, x.clone(), table)[program.ops[-1].name].shape)
    except ProgramError:
        return None


def shapes(
    program: Program, x: Tensor, memory: Memory | None = None
) -> tuple[list[tuple[Op, tuple[Any, ...]]], list[ProgramError]]:
    """What the program's weighted operations make, as far as it can run, and every operation that cannot."""
    memory = memory or Memory(x)
    weighted = program.slots()
    with _no_grad():
        values = memory.run(program, {op.get("slot", op.name): _plain(needs(op)) for op in weighted})
    done = []
    for op in weighted:
        made = memory.tensors[values[op.name]] if op.name in values else None
        if isinstance(made, Tensor):
            done.append((op, (*needs(op), tuple(made.shape))))
    errors = []
    for op in program.ops:
        error = memory.tensors[values[f"{op.name}!"]] if f"{op.name}!" in values else None
        if isinstance(error, ProgramError):
            errors.append(ProgramError(op, error.shapes, error))
    return done, errors


@cache
def _plain(key: tuple[Any, ...]) -> Weights:
    zeros = blank(key[1])
    return Weights(zeros + 1, zeros, zeros.clone(), zeros + 1) if key[0] == "bn" else Weights(zeros)


def _same_shapes(error: ProgramError, failed: Failed) -> bool:
    kind = error.op.kind
    if kind in {"add"}:
        return sorted(error.shapes) == sorted(failed.given[:2])
    if kind == "conv":
        return failed.given[:2] == (error.shapes[0], needs(error.op)[1])
    if kind == "bn":
        return failed.given[:1] == error.shapes[:1] and needs(error.op)[1] in failed.given
    if kind == "linear":
        return failed.given[:2] == (error.shapes[0], needs(error.op)[1])
    return failed.given[:1] == error.shapes[:1]
