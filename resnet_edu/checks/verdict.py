"""The verdict on a learner's module, step by step: build it, watch it, hold it against the reference, say why not."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks import compare, errors, locate, words
from resnet_edu.checks.candidate import Run, hold
from resnet_edu.checks.diagnosis import Diagnosis, Verdict, failed, passed
from resnet_edu.checks.effects import Effect, judge_effect
from resnet_edu.checks.learner import LearnerError, Seen, attempt, observe, unwrapped
from resnet_edu.checks.search import Candidate
from resnet_edu.checks.source import Case, Contract

_randn, _manual_seed = torch.randn, torch.manual_seed


@dataclass
class Trial:
    """A learner's module for one case, and what was seen of it."""

    case: Case
    seen: Seen
    module: nn.Module

    def __post_init__(self) -> None:
        seen, self.call, self.place = self.seen, self.case.call, f"in `{self.case.call}`"
        self.trouble, self.functions, self.is_long = seen.trouble, seen.functions(), len(seen.steps) > 30
        number = min(len(seen.outputs), len(seen.inputs) - 1) if seen.trouble is not None else 0
        self.shows = f"It shows {self.place} on an input of shape {words.shape(seen.inputs[number].shape)}."

    def hold(self, make: Callable[..., Any], prefer: int, located: bool) -> Run:
        """How a candidate fares under the learner's weights."""
        return hold(make, self.case.args, self.seen, prefer, located)


def judge(contract: Contract, theirs: Any) -> Verdict:
    """The verdict on a learner's class or function under a contract. Runs their code: call it in the sandbox."""
    _manual_seed(0)
    if torch.get_default_device().type != "cpu":
        torch.set_default_device("cpu")
    wrong = words.not_callable(theirs, contract.signature)
    if wrong is not None:
        return failed(wrong, "not-a-function" if isinstance(contract, Effect) else "not-a-class")
    if isinstance(contract, Effect):
        return judge_effect(contract, theirs)
    trials: list[Trial] = []
    for case in contract.cases:
        trial = _trial(contract, theirs, case)
        if isinstance(trial, dict):
            return trial
        trials.append(trial)
    diagnosis = _Diagnosis(contract, theirs, trials)
    # Code that stops with an error is never right, wherever the reference may stop.
    is_right = not diagnosis.wrong and all(trial.trouble is None for trial in trials)
    verdict = _beyond_numbers(contract, theirs, trials) if is_right else diagnosis.verdict()
    spoiled = _overwritten(contract, trials)
    if not spoiled or spoiled[1] in verdict["mistakes"]:
        return verdict
    before = "" if verdict["passed"] else f"{verdict['message']}\n"
    return failed(f"{before}{spoiled[0]}", *verdict["mistakes"], spoiled[1])


def _trial(contract: Contract, theirs: Any, case: Case) -> Trial | Verdict:
    try:
        module = attempt("construct", lambda: theirs(*case.args))
        if not isinstance(module, nn.Module):
            return failed(*words.returned(module, f"`{case.call}`", "no-module"))
        module = unwrapped(module)
        attempt("construct", lambda: module.to(torch.float64))
    except LearnerError as trouble:
        return failed(*errors.raised(trouble, case.call, contract.signature))
    generator = torch.Generator().manual_seed(7)
    inputs = [_randn(shape, generator=generator, dtype=torch.float64) for shape in case.inputs]
    seen = observe(module, inputs)
    odd = [out for name, out in seen.observed if name in ("output", "training-differs") and not isinstance(out, Tensor)]
    if odd:
        return failed(*words.returned(odd[0], f"The forward pass of `{case.call}`", "no-tensor"))
    if seen.unregistered:
        unit = seen.unregistered[0]
        layer = {"conv": "a convolution", "bn": "a batch norm", "linear": "a linear layer"}[unit.kind]
        return failed(*words.said("weights-not-registered", call=case.call, layer=layer, at=words.at(unit.place)))
    if seen.trouble is not None and errors.meaning(seen.trouble) == "fixed-type":
        return failed(*errors.raised(seen.trouble, case.call, contract.signature))
    return Trial(case, seen, module)


@dataclass
class _Diagnosis(Diagnosis):
    """What is wrong with a module."""

    trials: Sequence[Trial]

    def most(self) -> int:
        """None where Python, and not torch, stopped the code; one where nothing after it can be compared."""
        seen = self.trials[self.order[0]].seen
        if seen.trouble is not None and seen.trouble.doing == "forward" and seen.trouble.failed is None:
            return 0
        return 1 if seen.other_norm is not None or any(not compare.same(out, out) for out in seen.outputs) else 3

    def unnamed(self, candidate: Candidate, order: Sequence[int]) -> Verdict:
        """What can be seen directly, or where the numbers part."""
        trial, spoiled = self.trials[order[0]], _overwritten(self.contract, self.trials)
        if spoiled and candidate is self.search.plain:
            return failed(*spoiled)
        seen, run = trial.seen, self.search.located(candidate, order[0])
        if seen.trouble is not None:
            cure = locate.other_settings(run, self.contract.source)
            return failed(*errors.raised(seen.trouble, trial.call, self.contract.signature, cure))
        what, told = run.differs, None
        if seen.other_norm is not None:
            told = words.said("other-normalization", norm=seen.other_norm)
        elif not all(compare.same(out, out) for out in seen.outputs):
            told = words.said("not-finite", call=trial.call)
        told = told or locate.extra(trial.call, run, seen)
        if what in {"output", "training-differs", "random-in-training"}:
            told = told or locate.foreign(run, seen) or locate.shares(run, seen)
        if what == "output" and ("state-between-calls", False) in seen.observed:
            what = "state-between-calls"
        if told is None and what not in {None, "output", "trouble"}:
            told = words.said(what)
        if told is not None:
            return failed(f"{told[0]}\nIt shows in `{trial.call}`.", told[1])
        return failed(*locate.first_difference(trial.call, run, self.contract.source, seen))


def _overwritten(contract: Contract, trials: Sequence[Trial]) -> tuple[str, ...]:
    """An in-place operation that spoils the backward pass, with its line, if there is one."""
    for trial in trials:
        if trial.seen.spoiled is not None:
            text, name = errors.raised(trial.seen.spoiled, trial.call, contract.signature)
            lines = [step.place for step in trial.seen.steps if re.search("[a-z]_$|^__i", step.function)]
            return text + ("" if "\nLine " in text else words.at(*lines[-1:])), name
    return ()


def _beyond_numbers(contract: Contract, theirs: Any, trials: Sequence[Trial]) -> Verdict:
    """The verdict on a module whose numbers are right."""
    for trial in trials:
        frozen = [name for name, p in trial.module.named_parameters() if not p.requires_grad]
        seen = {"unused-weights": trial.seen.unused(), "weights-frozen": frozen, "fixed-type": _fixed_type(trial)}
        for name, names in seen.items():
            if names:
                return failed(*words.said(name, call=trial.call, names=words.code(names)))
    return passed(contract.passed + _not_refused(contract, theirs))


def _fixed_type(trial: Trial) -> list[str]:
    """The type that the module keeps to, on an input in half precision."""
    x = trial.seen.inputs[0].to(torch.bfloat16)
    trial.module.to(torch.bfloat16).eval()
    try:
        with torch.no_grad():
            out = attempt("forward", lambda: trial.module(x))
    except LearnerError as trouble:
        return ["a type of its own"] if errors.meaning(trouble) == "fixed-type" else []
    return [str(out.dtype)] if isinstance(out, Tensor) and out.dtype != torch.bfloat16 else []


def _not_refused(contract: Contract, theirs: Any) -> str:
    """A word on a call that cannot mean anything and is taken all the same."""
    case = contract.refused
    with suppress(LearnerError):
        if case is not None:
            attempt("construct", lambda: theirs(*case.args))
            return f"\nOne thing more: let `{case.call}` raise a `ValueError`. There is no such network."
    return ""
