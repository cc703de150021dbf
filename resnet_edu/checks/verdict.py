"""The verdict on a learner's module, step by step: build it, watch it, hold it against the reference, say why not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks import compare, errors, locate, words
from resnet_edu.checks.candidate import NoWeightsError, Run
from resnet_edu.checks.learner import LearnerError, Seen, attempt, observe, unwrapped
from resnet_edu.checks.naming import their_names
from resnet_edu.checks.search import Candidate, Found, Search
from resnet_edu.checks.source import Case, Contract, Mistake

_randn, _manual_seed = torch.randn, torch.manual_seed

#: What JSON can carry: "passed", "message", "mistakes" (names).
Verdict = dict[str, Any]


def passed(message: str) -> Verdict:
    """The verdict on code that does what the reference does."""
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
    seen: Seen
    module: nn.Module

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
    trials: list[Trial] = []
    for case in contract.cases:
        trial = _trial(contract, theirs, case)
        if isinstance(trial, dict):
            return trial
        trials.append(trial)
    search = Search(contract, [trial.seen for trial in trials])
    every = range(len(trials))
    # Code that stops with an error, in the backward pass too, is never right, wherever the reference may stop.
    for plain in search.plain() if all(trial.seen.trouble is trial.seen.spoiled is None for trial in trials) else ():
        if search.explains(plain, every):
            return _beyond_numbers(contract, theirs, trials)
    return _Diagnosis(contract, theirs, trials, search).verdict()


def _trial(contract: Contract, theirs: Any, case: Case) -> Trial | Verdict:
    trial = _observed(contract, theirs, case, torch.float64)
    if isinstance(trial, Trial) and trial.seen.trouble and errors.is_dtype_error(trial.seen.trouble.error):
        # The code does not follow the input's type; look at everything else in single precision first.
        trial = _observed(contract, theirs, case, torch.float32)
    if isinstance(trial, dict):
        return trial
    made = [*trial.seen.outputs, *([trial.seen.trained] if trial.seen.trained is not None else [])]
    odd = [out for out in made if not isinstance(out, Tensor)]
    if odd:
        return failed(*words.not_a_tensor(odd[0], trial.call))
    if trial.seen.unregistered:
        unit = trial.seen.unregistered[0]
        layer = {"conv": "a convolution", "bn": "a batch norm", "linear": "a linear layer"}[unit.kind]
        return failed(*words.said("weights-not-registered", call=trial.call, layer=layer, at=words.at(unit.line)))
    return trial


def _observed(contract: Contract, theirs: Any, case: Case, dtype: torch.dtype) -> Trial | Verdict:
    try:
        module = attempt("construct", lambda: theirs(*case.args))
    except LearnerError as trouble:
        return failed(*errors.raised(trouble, case.call, contract.signature))
    if not isinstance(module, nn.Module):
        return failed(*words.not_a_module(module, case.call))
    module = unwrapped(module)
    try:
        attempt("construct", lambda: module.to(dtype))
    except LearnerError as trouble:
        return failed(*errors.raised(trouble, case.call, contract.signature))
    generator = torch.Generator().manual_seed(7)
    inputs = [_randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in case.inputs]
    return Trial(case, observe(module, inputs), module)


@dataclass
class _Diagnosis:
    """The search for what is wrong, and the words for what it found."""

    contract: Contract
    theirs: Any
    trials: Sequence[Trial]
    search: Search

    def verdict(self) -> Verdict:
        """What is wrong, by name where it is known."""
        trials, search = self.trials, self.search
        # Where several references are right, the one that the learner's numbers follow furthest.
        plain = max(search.plain(), key=lambda one: sum(search.run(one, case).score for case in range(len(trials))))
        differs = [search.run(plain, case).differs for case in range(len(trials))]
        # A call that failed says most, and the first case that differs more than those that agree.
        order = sorted(range(len(trials)), key=lambda i: (differs[i] is None, trials[i].seen.trouble is None))
        wrong = [case for case in order if differs[case] is not None]
        spoiled = [trial for trial in trials if trial.seen.spoiled is not None]
        if spoiled and set(differs) <= {None, "gradients-differ"}:
            return failed(*self._overwritten(spoiled[0]))
        found = search.find(order, wrong, self._most(plain, order[0]))
        if found.whole:
            verdict = self._named(found.candidate, order, differs)
        else:
            partly = self._partly(found, plain, order)
            if partly is None and spoiled:
                return failed(*self._overwritten(spoiled[0]))
            verdict = partly or self._unnamed(plain, order)
        if spoiled:
            text, name = self._overwritten(spoiled[0])
            verdict = failed(f"{verdict['message']}\n{text}", *verdict["mistakes"], name)
        return verdict

    def _most(self, plain: Candidate, case: int) -> int:
        """How many mistakes at once can explain a case: none where Python, and not torch, stopped the code."""
        seen = self.trials[case].seen
        if seen.trouble is not None and seen.trouble.doing == "forward" and seen.trouble.failed is None:
            return 0
        run = self.search.run(plain, case)
        strange = seen.other_norm is not None or any(not compare.finite(out) for out in seen.outputs)
        return 1 if strange or locate.extra("", run, seen) is not None else 3

    def say(self, mistake: Mistake) -> str:
        """A mistake in the learner's own names."""
        return their_names(self.contract.signature, self.theirs)(mistake.message)

    def _named(self, candidate: Candidate, order: Sequence[int], differs: Sequence[str | None]) -> Verdict:
        remarks = [mistake for mistake in candidate.mistakes if mistake.remark]
        rest = [mistake for mistake in candidate.mistakes if not mistake.remark]
        if not rest:
            return passed("\n".join([self.contract.passed, *map(self.say, remarks)]))
        where = self.trials[order[0]]
        told = listed([self.say(mistake) for mistake in rest])
        more = "".join(f"\nNo mistake, but a word: {self.say(mistake)}" for mistake in remarks)
        return failed(f"{told}\n{self._shows(where)}{more}", *(mistake.name for mistake in rest))

    @staticmethod
    def _shows(trial: Trial) -> str:
        seen = trial.seen
        number = min(len(seen.outputs), len(seen.inputs) - 1) if seen.trouble is not None else 0
        return f"It shows in `{trial.call}` on an input of shape {words.shape(seen.inputs[number].shape)}."

    def _partly(self, found: Found, plain: Candidate, order: Sequence[int]) -> Verdict | None:
        """Some mistakes are certain, and something else is wrong."""
        candidate, focus = found.candidate, order[0]
        if not candidate.mistakes:
            return None
        certain = self.search.run(candidate, focus).differs is None
        if not certain and not self._surely(candidate, plain, focus):
            return None
        told = listed([self.say(mistake) for mistake in candidate.mistakes])
        other = next((case for case in order if self.search.run(candidate, case).differs is not None), focus)
        rest = self._unnamed(candidate, [other])
        names = [mistake.name for mistake in candidate.mistakes]
        names += [name for name in rest["mistakes"] if name not in names]
        if certain:
            more = (
                f"It shows in `{self.trials[focus].call}`. Mend that first, and check again: "
                f"`{self.trials[other].call}` is not right either, perhaps for another reason."
            )
        else:
            more = "There is more, which I do not recognize. Mend that first, and check again."
        return failed(f"{told}\n{more} {rest['message']}", *names)

    def _surely(self, candidate: Candidate, plain: Candidate, focus: int) -> bool:
        """Whether each of the mistakes explains several of the learner's tensors that nothing else explains."""
        mine = self.search.run(candidate, focus)
        for leave in range(len(candidate.mistakes)):
            edits = [edit for number, edit in enumerate(candidate.edits) if number != leave]
            less = Candidate((), (), self.contract.source.edited(*edits)) if edits else plain
            if len(mine.found - self.search.run(less, focus).found) < 2:
                return False
        return True

    def _unnamed(self, candidate: Candidate, order: Sequence[int]) -> Verdict:
        trial, source = self.trials[order[0]], self.contract.source
        seen = trial.seen
        run = self.search.located(candidate, order[0])
        if seen.trouble is not None:
            return self._troubled(trial, run)
        if seen.other_norm is not None:
            return failed(*words.said("other-normalization", norm=seen.other_norm))
        what = run.differs or ""
        if not all(compare.finite(out) for out in seen.outputs):
            return failed(*words.said("not-finite", call=trial.call))
        known = None
        if what in {"output", "gradients-differ"}:
            known = locate.extra(trial.call, run, seen)
        if what in {"output", "training-differs", "random-in-training"}:
            known = known or locate.foreign(run, seen)
        if what == "output":
            again = compare.same(seen.outputs[0], seen.again)
            known = known or locate.shares(run, seen) or (None if again else words.said("state-between-calls"))
        elif known is None and what not in {"", "trouble"}:
            known = words.said(what)
        if known is not None:
            return failed(f"{known[0]}\nIt shows in `{trial.call}`.", known[1])
        return failed(*locate.first_difference(trial.call, run, source, seen))

    def _troubled(self, trial: Trial, run: Run) -> Verdict:
        """An error that no known mistake explains, and what led to it."""
        source, seen = self.contract.source, trial.seen
        trouble = seen.trouble
        assert trouble is not None
        cure = locate.size_fault(run, source)
        if not cure and isinstance(run.error, NoWeightsError) and trouble.doing == "forward":
            stopped = seen.units and not seen.units[-1].made  # the layer that stopped is told by its error
            other = locate.instead(run, source, seen)
            if "in its place" in other and not (stopped and len(seen.units) - 1 <= len(run.pairing)):
                cure = other
        return failed(*errors.raised(trouble, trial.call, self.contract.signature, cure))

    def _overwritten(self, trial: Trial) -> tuple[str, str]:
        """An in-place operation that spoils the backward pass, with its line."""
        seen = trial.seen
        assert seen.spoiled is not None
        text, name = errors.raised(seen.spoiled, trial.call, self.contract.signature)
        if "\nLine " not in text:
            lines = [step.line for step in seen.steps if _writes(step.function) and step.line is not None]
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
                return failed(*words.said(name, call=trial.call, names=words.code(names)))
    return passed(contract.passed + _not_refused(contract, theirs))


def _unused(trial: Trial) -> list[str]:
    return trial.seen.unused()


def _frozen(trial: Trial) -> list[str]:
    return [name for name, p in trial.module.named_parameters() if not p.requires_grad]


def _fixed_type(trial: Trial) -> list[str]:
    """The type that the module keeps to: it was not at ease with doubles, or is not in half precision."""
    module, x = trial.module, trial.seen.inputs[0]
    if x.dtype != torch.float64:
        return [str(x.dtype)]
    x = x.to(torch.bfloat16)
    module.to(torch.bfloat16).eval()
    try:
        with torch.no_grad():
            out = attempt("forward", lambda: module(x))
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
