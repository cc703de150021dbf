"""Holding a learner's module against a contract, and finding the known mistake that explains a difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, takewhile
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks import compare, difference, errors, words
from resnet_edu.checks.contract import Candidate, Case, Contract, Mistake, pairs
from resnet_edu.checks.naming import in_their_names
from resnet_edu.checks.observe import (
    LearnerError,
    Observed,
    agrees,
    attempt,
    could_fail_alike,
    fails_alike,
    observe,
    shared_shapes,
)
from resnet_edu.checks.pairing import LARGE, MOST, distance, pairings
from resnet_edu.checks.program import Program

#: How many mistakes are tried as the first of two.
_LEADING = 12

_randn, _manual_seed = torch.randn, torch.manual_seed

Verdict = dict[str, Any]


def passed(message: str) -> Verdict:
    """The verdict on code that does what it should."""
    return {"passed": True, "message": message, "mistakes": []}


def failed(message: str, *mistakes: str) -> Verdict:
    """The verdict on code that does not, with the names of the known mistakes."""
    return {"passed": False, "message": message, "mistakes": list(mistakes)}


def listed(messages: Sequence[str]) -> str:
    """One message as it is, several under numbers.

    >>> print(listed(["No ReLU.", "No shortcut."]))
    Two things at once.
    1. No ReLU.
    2. No shortcut.
    """
    if len(messages) == 1:
        return messages[0]
    count = {2: "Two", 3: "Three"}.get(len(messages), "Several")
    return "\n".join([f"{count} things at once.", *(f"{n}. {text}" for n, text in enumerate(messages, start=1))])


@dataclass
class Trial:
    """A learner's module for one case, and what was seen of it."""

    case: Case
    seen: Observed
    module: nn.Module | None = None

    @property
    def call(self) -> str:
        """The call in print."""
        return self.case.call


def judge(contract: Contract, theirs: Any) -> Verdict:
    """The verdict on a learner's class or function under a contract. Runs their code: call it in the sandbox."""
    _manual_seed(0)
    if torch.get_default_device().type != "cpu":
        torch.set_default_device("cpu")
    wrong = words.not_callable(theirs, contract.signature)
    if wrong is not None:
        return failed(wrong, "not-a-class")
    contract = replace(contract, mistakes=in_their_names(contract.mistakes, contract.signature, theirs))
    trials: list[Trial] = []
    for case in contract.cases:
        trial = _trial(contract, theirs, case, torch.float64)
        if isinstance(trial, dict):
            return trial
        if trial.seen.trouble is not None and errors.is_dtype_error(trial.seen.trouble.error):
            # The code does not follow the input's type; look at everything else in single precision first.
            trial = _trial(contract, theirs, case, torch.float32)
            if isinstance(trial, dict):
                return trial
        made = [*trial.seen.outputs, *([trial.seen.trained] if trial.seen.trained is not None else [])]
        odd = [out for out in made if not isinstance(out, Tensor)]
        if odd:
            return failed(*words.not_a_tensor(odd[0], trial.call))
        if trial.seen.unregistered:
            return _unregistered(trial, theirs, contract)
        trials.append(trial)
    differs: list[list[str | None]] = []
    for reference in range(len(contract.references)):
        programs = contract.programs(reference)
        differs.append([_difference(p, t.seen) for p, t in zip(programs, trials, strict=True)])
        if not any(differs[-1]):
            return _beyond_numbers(contract, theirs, trials, programs)
    return _diagnose(contract, theirs, trials, differs)


def _trial(contract: Contract, theirs: Any, case: Case, dtype: torch.dtype) -> Trial | Verdict:
    try:
        module = attempt("construct", lambda: theirs(*case.args))
    except LearnerError as trouble:
        return failed(*errors.raised(trouble, case.call, contract.signature))
    if not isinstance(module, nn.Module):
        return failed(*words.not_a_module(module, case.call))
    try:
        attempt("construct", lambda: module.to(dtype))
    except LearnerError as trouble:
        return failed(*errors.raised(trouble, case.call, contract.signature))
    generator = torch.Generator().manual_seed(7)
    inputs = [_randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in case.inputs]
    return Trial(case, observe(module, inputs), module)


def _difference(program: Program, seen: Observed, first: int = MOST) -> str | None:
    """What separates the module from the program under the best pairing of weights, None if nothing does."""
    if seen.trouble is not None:
        return "trouble"
    best: str | None = "output"
    lean = program.pruned()
    for variant in (program,) if lean.ops == program.ops else (program, lean):
        for pairing in pairings(variant, seen.units, first):
            found = agrees(variant, pairing, seen)
            if found is None:
                return None
            if found != "output":
                best = found
    return best


def _nearest(contract: Contract, seen: Observed, case: int) -> int:
    """The reference that has most of its tensors in the learner's code."""
    references = range(len(contract.references))
    if len(references) == 1 or not seen.steps:
        return 0
    return max(references, key=lambda number: _reach(contract.programs(number)[case], seen))


def _leading(plain: Program, singles: Sequence[Candidate], trial: Trial, case: int) -> list[Candidate]:
    """The mistakes that may come first of two.

    Of two mistakes one comes first on the way through the network. With that one alone a program
    agrees with the learner's code up to the other, so further than the plain reference does.
    """
    seen = trial.seen
    start = _reach(plain, seen)
    unseen = _difference(plain, seen) not in {"output", "trouble"}  # the two show in training only
    small = len(plain.ops) <= LARGE
    found = []
    for number, candidate in enumerate(singles):
        if not candidate.changes(case):
            continue
        program = candidate.program(case)
        reach = _reach(program, seen)
        # A mistake in the very place where the numbers part may need the other one to be seen.
        if reach > start or (
            reach == start and (unseen or small or start < 0 or _first_change(plain, program) <= start)
        ):
            found.append((-reach, len(program.ops) - reach, number))
    return [singles[number] for _, _, number in sorted(found)[: 3 * _LEADING if small else _LEADING]]


def _first_change(plain: Program, program: Program) -> int:
    """The place of the first operation in which two programs differ."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(plain.ops, program.ops, strict=False))
    return sum(1 for _ in same)


def _follows(program: Program, seen: Observed) -> bool:
    """What can be said quickly: in a whole network each of the program's tensors must appear in the learner's code."""
    if seen.trouble is not None:
        return could_fail_alike(program, seen)
    if len(program.ops) <= LARGE:
        return True
    return _reach(program, seen) > min(len(program.ops), len(program.pruned().ops)) - 1


def _reach(program: Program, seen: Observed) -> float:
    """How far a program agrees with what was seen."""
    if seen.trouble is not None:
        # Of two mistakes the other one may change the numbers on the way.
        return shared_shapes(program, seen) + fails_alike(program, seen, by_numbers=False)
    best = -1.0 - distance(program, seen.units)  # its weights are not even the right ones
    for variant in (program, program.pruned()):
        for pairing in pairings(variant, seen.units, 2):
            best = max(best, difference.progress(variant, seen, pairing))
    return best


def _explains(candidate: Candidate, trials: Sequence[Trial], order: Sequence[int], first: int = MOST) -> bool:
    for index in order:
        program, seen = candidate.program(index), trials[index].seen
        if seen.trouble is not None:
            if not fails_alike(program, seen):
                return False
        elif _difference(program, seen, first) is not None:
            return False
    return True


def _diagnose(
    contract: Contract, theirs: Any, trials: Sequence[Trial], every_differs: Sequence[Sequence[str | None]]
) -> Verdict:
    # Where several references are right, the one that the learner's numbers follow furthest.
    differs = min(every_differs, key=lambda some: sum(d in {"output", "trouble"} for d in some))
    # A call that failed says most, and the first case that differs more than those that agree.
    order = sorted(range(len(trials)), key=lambda i: (differs[i] is None, trials[i].seen.trouble is None))
    first = order[0]
    every = [contract.singles(reference) for reference in range(len(contract.references))]
    for candidate in chain.from_iterable(every):
        if candidate.changes(first) and _explains(candidate, trials, order):
            return _named(candidate.mistakes, trials, order)
    # It explains every call that differs; in the others the learner's code does what it should.
    wrong = [i for i in order if differs[i] is not None]
    for candidate in chain.from_iterable(every) if len(wrong) < len(order) else ():
        if candidate.changes(first) and _explains(candidate, trials, wrong):
            return _named(candidate.mistakes, trials, wrong)
    nearest = _nearest(contract, trials[first].seen, first)
    leading = _leading(contract.programs(nearest)[first], every[nearest], trials[first], first)
    for candidate in pairs(leading, every[nearest], first):
        if _follows(candidate.program(first), trials[first].seen) and _explains(candidate, trials, order, 2):
            return _named(candidate.mistakes, trials, order)
    for candidate in leading:
        # It explains this case, forwards and backwards, and another one is still different.
        if _explains(candidate, trials, order[:1]):
            return _partly(contract, candidate, trials, order)
    return _unnamed(contract, trials, order, dict(enumerate(differs)))


def _named(mistakes: Sequence[Mistake], trials: Sequence[Trial], order: Sequence[int]) -> Verdict:
    where = trials[order[0]]
    trouble = where.seen.trouble
    x = where.seen.inputs[0] if trouble is None or trouble.given is None else trouble.given
    ending = f"It shows in `{where.call}` on an input of shape {words.shape(x.shape)}."
    told = listed([mistake.message for mistake in mistakes])
    return failed(f"{told}\n{ending}", *(mistake.name for mistake in mistakes))


def _partly(contract: Contract, candidate: Candidate, trials: Sequence[Trial], order: Sequence[int]) -> Verdict:
    """One mistake is certain, and something else is wrong in another case."""
    other = next(i for i in order if not _explains(candidate, trials, [i]))
    rest = _unnamed(contract, trials, [other], {other: _difference(candidate.program(other), trials[other].seen)})
    mistake = candidate.mistakes[0]
    return failed(
        f"{mistake.message}\nIt shows in `{trials[order[0]].call}`. Mend that first, and check again: "
        f"`{trials[other].call}` is not right either, perhaps for another reason. {rest['message']}",
        mistake.name,
        *rest["mistakes"],
    )


def _unnamed(
    contract: Contract, trials: Sequence[Trial], order: Sequence[int], differs: Mapping[int, str | None]
) -> Verdict:
    trial, program = trials[order[0]], contract.programs()[order[0]]
    seen = trial.seen
    if seen.trouble is not None:
        return failed(*errors.raised(seen.trouble, trial.call, contract.signature, program))
    if seen.other_norm is not None:
        return failed(
            f"Your code normalizes with a {seen.other_norm}, this network uses batch norm (`nn.BatchNorm2d`): "
            "mean and variance are taken over the batch and the map, for each channel.",
            "other-normalization",
        )
    what = differs[order[0]] or ""
    if what == "output" and all(compare.finite(out) for out in seen.outputs):
        if not compare.same(seen.outputs[0], seen.again):
            what = "again"
        known = difference.extra_parameters(trial.call, program, seen) or difference.clue(program, seen)
    elif what == "gradients":
        known = difference.extra_parameters(trial.call, program, seen)
    else:
        known = difference.foreign(program, seen) if what in {"train", "random"} else None
    known = known or words.DIRECT.get(what)
    if known is not None:
        return failed(f"{known[0]}\nIt shows in `{trial.call}`.", known[1])
    return failed(*difference.first_difference(trial.call, program, seen))


def _beyond_numbers(contract: Contract, theirs: Any, trials: Sequence[Trial], programs: Sequence[Program]) -> Verdict:
    for trial in trials:
        if trial.seen.unused:
            names = ", ".join(f"`{name}`" for name in trial.seen.unused[:4])
            return failed(
                f"The numbers are right, but `{trial.call}` holds weights that its forward pass never uses: {names}. "
                "They cost memory, count as parameters and never learn. Build a layer only where it is used.",
                "unused-weights",
            )
    for trial in trials:
        frozen = [name for name, p in trial.module.named_parameters() if not p.requires_grad] if trial.module else []
        if frozen:
            names = ", ".join(f"`{name}`" for name in frozen[:4])
            return failed(
                f"The numbers are right, but part of `{trial.call}` never learns: `requires_grad` is off for {names}.",
                "weights-frozen",
            )
    for trial in trials:
        if trial.seen.inputs[0].dtype != torch.float64:
            return failed(words.FIXED_TYPE, "fixed-type")
        note = _half(trial)
        if note is not None:
            return note
    return passed(contract.passed + _not_refused(contract, theirs))


def _not_refused(contract: Contract, theirs: Any) -> str:
    """A word on a call that cannot mean anything and is taken all the same."""
    case = contract.refused
    if case is None:
        return ""
    try:
        attempt("construct", lambda: theirs(*case.args))
    except LearnerError as trouble:
        if isinstance(trouble.error, ValueError):
            return ""
    return f"\nOne thing more: let `{case.call}` raise a `ValueError`. There is no such network."


def _half(trial: Trial) -> Verdict | None:
    """Once more in half precision, where a tensor of a fixed type shows."""
    module, x = trial.module, trial.seen.inputs[0].to(torch.bfloat16)
    if module is None:
        return None
    module.to(torch.bfloat16).eval()
    try:
        with torch.no_grad():
            out = attempt("forward", lambda: module(x))
    except LearnerError as trouble:
        if errors.is_dtype_error(trouble.error):
            return failed(words.FIXED_TYPE, "fixed-type")
        return None
    if isinstance(out, Tensor) and out.dtype != torch.bfloat16:
        return failed(words.FIXED_TYPE, "fixed-type")
    return None


def _unregistered(trial: Trial, theirs: Any, contract: Contract) -> Verdict:
    unit = trial.seen.unregistered[0]
    kind = {"conv": "a convolution", "bn": "a batch norm", "linear": "a linear layer"}[unit.kind]
    return failed(
        f"`{trial.call}` uses {kind} that PyTorch does not know as part of your module, so an optimizer would never "
        "train it and `.to(device)` would leave it behind. Make every layer in `__init__` and set it as an attribute "
        "of the module (`self.… = …`), and keep lists of layers in `nn.ModuleList` or "
        f"`nn.Sequential`.{words.at(unit.line)}",
        "weights-not-registered",
    )
