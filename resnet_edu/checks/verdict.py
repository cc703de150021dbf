"""The verdict on a learner's module, step by step: build it, watch it, hold it against the reference, say why not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks import compare, errors, locate, words
from resnet_edu.checks.candidate import Memory, NoWeightsError, Run, hold
from resnet_edu.checks.diagnosis import Diagnosis, Verdict, failed, passed
from resnet_edu.checks.learner import LearnerError, Seen, attempt, observe, unwrapped
from resnet_edu.checks.search import Candidate
from resnet_edu.checks.sentences import said
from resnet_edu.checks.source import Case, Contract, changes_in_place

_randn, _manual_seed = torch.randn, torch.manual_seed

#: How many numbers the results of candidates may hold that are remembered.
NUMBERS = 60_000_000
#: With more steps than this it is a whole network.
LONG = 30


@dataclass
class Trial:
    """A learner's module for one case, and what was seen of it."""

    case: Case
    seen: Seen
    module: nn.Module
    room: list[int]  # how many numbers may still be remembered, in all cases together
    memories: dict[int, list[Memory | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.call, self.place = self.case.call, f"in `{self.case.call}`"
        self.trouble, self.functions = self.seen.trouble, self.seen.functions()
        self.is_long = len(self.seen.steps) > LONG

    @property
    def shows(self) -> str:
        """The call, and the input that says most."""
        seen = self.seen
        number = min(len(seen.outputs), len(seen.inputs) - 1) if seen.trouble is not None else 0
        return f"It shows {self.place} on an input of shape {words.shape(seen.inputs[number].shape)}."

    def hold(self, make: Callable[..., Any], text: str, prefer: int, located: bool) -> Run:
        """How a candidate fares under the learner's weights."""
        if prefer not in self.memories:
            self.memories[prefer] = [Memory(x, self.room) for x in self.seen.inputs]
        kept = [None] * len(self.seen.inputs) if changes_in_place(text) else self.memories[prefer]
        run = hold(make, self.case.args, self.seen, kept, prefer, located)
        run.text = text
        return run


def judge(contract: Contract, theirs: Any) -> Verdict:
    """The verdict on a learner's class or function under a contract. Runs their code: call it in the sandbox."""
    _manual_seed(0)
    if torch.get_default_device().type != "cpu":
        torch.set_default_device("cpu")
    wrong = words.not_callable(theirs, contract.signature)
    if wrong is not None:
        return failed(wrong, "not-a-class")
    trials: list[Trial] = []
    room = [NUMBERS]
    for case in contract.cases:
        trial = _trial(contract, theirs, case, room)
        if isinstance(trial, dict):
            return trial
        trials.append(trial)
    diagnosis = _Diagnosis(contract, theirs, trials)
    # Code that stops with an error, in the backward pass too, is never right, wherever the reference may stop.
    fine, search = all(trial.seen.trouble is trial.seen.spoiled is None for trial in trials), diagnosis.search
    if fine and search.explains(search.plain, range(len(trials))):
        return _beyond_numbers(contract, theirs, trials)
    return diagnosis.verdict()


def _trial(contract: Contract, theirs: Any, case: Case, room: list[int]) -> Trial | Verdict:
    try:
        module = attempt("construct", lambda: theirs(*case.args))
        if not isinstance(module, nn.Module):
            return failed(*words.not_a_module(module, case.call))
        module = unwrapped(module)
        attempt("construct", lambda: module.to(torch.float64))
    except LearnerError as trouble:
        return failed(*errors.raised(trouble, case.call, contract.signature))
    generator = torch.Generator().manual_seed(7)
    inputs = [_randn(shape, generator=generator, dtype=torch.float64) for shape in case.inputs]
    seen = observe(module, inputs)
    made = [*seen.outputs, *([seen.trained] if seen.trained is not None else [])]
    odd = [out for out in made if not isinstance(out, Tensor)]
    if odd:
        return failed(*words.not_a_tensor(odd[0], case.call))
    if seen.unregistered:
        unit = seen.unregistered[0]
        layer = {"conv": "a convolution", "bn": "a batch norm", "linear": "a linear layer"}[unit.kind]
        return failed(*said("weights-not-registered", call=case.call, layer=layer, at=words.at(unit.line)))
    if seen.trouble is not None and errors.is_dtype_error(seen.trouble.error):
        return failed(*errors.raised(seen.trouble, case.call, contract.signature))
    return Trial(case, seen, module, room)


@dataclass
class _Diagnosis(Diagnosis):
    """What is wrong with a module."""

    trials: Sequence[Trial]

    def verdict(self) -> Verdict:
        """What is wrong, and what spoils the backward pass beside it."""
        spoiled = self._overwritten()
        plain = {self.search.run(self.search.plain, case).differs for case in self.order}
        if spoiled and plain <= {None, "gradients-differ"}:
            return failed(*spoiled)
        verdict = super().verdict()
        if not spoiled or spoiled[1] in verdict["mistakes"]:
            return verdict
        return failed(f"{verdict['message']}\n{spoiled[0]}", *verdict["mistakes"], spoiled[1])

    def most(self) -> int:
        """None where Python, and not torch, stopped the code; one where nothing after it can be compared."""
        seen = self.trials[self.order[0]].seen
        if seen.trouble is not None and seen.trouble.doing == "forward" and seen.trouble.failed is None:
            return 0
        return 1 if seen.other_norm is not None or any(not compare.finite(out) for out in seen.outputs) else 3

    def unnamed(self, candidate: Candidate, order: Sequence[int]) -> Verdict:
        """What can be seen directly, or where the numbers part."""
        spoiled = self._overwritten()
        if spoiled and candidate is self.search.plain:
            return failed(*spoiled)
        trial, source = self.trials[order[0]], self.contract.source
        seen = trial.seen
        run = self.search.located(candidate, order[0])
        if seen.trouble is not None:
            return self._troubled(trial, run)
        if seen.other_norm is not None:
            return failed(*said("other-normalization", norm=seen.other_norm))
        what = run.differs or ""
        if not all(compare.finite(out) for out in seen.outputs):
            return failed(*said("not-finite", call=trial.call))
        known = None
        if what in {"output", "gradients-differ"}:
            known = locate.extra(trial.call, run, seen)
        if what in {"output", "training-differs", "random-in-training"}:
            known = known or locate.foreign(run, seen)
        if what == "output":
            again = compare.same(seen.outputs[0], seen.again)
            known = known or locate.shares(run, seen) or (None if again else said("state-between-calls"))
        elif known is None and what not in {"", "trouble"}:
            known = said(what)
        if known is not None:
            return failed(f"{known[0]}\nIt shows in `{trial.call}`.", known[1])
        return failed(*locate.first_difference(trial.call, run, source, seen))

    def _troubled(self, trial: Trial, run: Run) -> Verdict:
        """An error that no known mistake explains, and what led to it."""
        source, seen = self.contract.source, trial.seen
        trouble = seen.trouble
        assert trouble is not None
        cure = locate.other_settings(run, source)
        if not cure and isinstance(run.error, NoWeightsError) and trouble.doing == "forward":
            # The layer that stopped is told by its error.
            stopped = trouble.failed is not None and trouble.failed.kind in {"conv", "bn", "linear"}
            other = locate.instead(run, source, seen)
            if "in its place" in other and not (stopped and len(seen.units) - 1 <= len(run.pairing)):
                cure = other
        return failed(*errors.raised(trouble, trial.call, self.contract.signature, cure))

    def _overwritten(self) -> tuple[str, ...]:
        """An in-place operation that spoils the backward pass, with its line, if there is one."""
        trial = next((trial for trial in self.trials if trial.seen.spoiled is not None), None)
        if trial is None or trial.seen.spoiled is None:
            return ()
        text, name = errors.raised(trial.seen.spoiled, trial.call, self.contract.signature)
        if "\nLine " not in text:
            lines = [step.line for step in trial.seen.steps if _writes(step.function) and step.line is not None]
            text += words.at(lines[-1]) if lines else ""
        return text, name


def _writes(function: str) -> bool:
    return (function.endswith("_") and not function.endswith("__")) or function.startswith("__i")


def _beyond_numbers(contract: Contract, theirs: Any, trials: Sequence[Trial]) -> Verdict:
    """The verdict on a module whose numbers are right."""
    for name, look in (("unused-weights", _unused), ("weights-frozen", _frozen), ("fixed-type", _fixed_type)):
        for trial in trials:
            names = look(trial)
            if names:
                return failed(*said(name, call=trial.call, names=words.code(names)))
    return passed(contract.passed + _not_refused(contract, theirs))


def _unused(trial: Trial) -> list[str]:
    return trial.seen.unused()


def _frozen(trial: Trial) -> list[str]:
    return [name for name, p in trial.module.named_parameters() if not p.requires_grad]


def _fixed_type(trial: Trial) -> list[str]:
    """The type that the module keeps to, on an input in half precision."""
    x = trial.seen.inputs[0].to(torch.bfloat16)
    trial.module.to(torch.bfloat16).eval()
    try:
        with torch.no_grad():
            out = attempt("forward", lambda: trial.module(x))
    except LearnerError as trouble:
        return ["a type of its own"] if errors.is_dtype_error(trouble.error) else []
    return [str(out.dtype)] if isinstance(out, Tensor) and out.dtype != torch.bfloat16 else []


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
