"""Which known mistakes, made in the reference, do exactly what the learner's code does: one, two or three at once.

One mistake is tried after the other. Of several, each explains a part: those that explain most are tried together
with all others. Where some explain one call and not the next, more are looked for in that one.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from resnet_edu.checks.candidate import PATIENCE, Run
from resnet_edu.checks.learner import LearnerError
from resnet_edu.checks.source import Contract, Edits, Mistake, NotHereError, ways

#: Processor seconds after which no new combination is tried.
SECONDS = 3.0


class Trial(Protocol):
    """What the learner's code did in one case."""

    @property
    def trouble(self) -> LearnerError | None:
        """The error in which it ended."""

    @property
    def functions(self) -> frozenset[str]:
        """The names of torch's functions that were called."""

    @property
    def is_long(self) -> bool:
        """Whether it is a whole network, which has twice the time."""

    @property
    def place(self) -> str:
        """Where it is, in a sentence: "in `Stem()`"."""

    @property
    def shows(self) -> str:
        """A sentence on where a mistake shows."""

    def hold(self, make: Callable[..., Any], text: str, prefer: int, located: bool, patience: int) -> Run:
        """How a candidate fares, given what its edited text defines."""


@dataclass(frozen=True)
class Candidate:
    """The reference with some mistakes, and its text."""

    mistakes: tuple[Mistake, ...]
    edits: tuple[Edits, ...]
    text: str

    @property
    def names(self) -> frozenset[str]:
        """The names of the mistakes."""
        return frozenset(mistake.name for mistake in self.mistakes)


@dataclass
class Search:
    """The candidates of one contract, held against what a learner's code did in each case."""

    contract: Contract
    trials: Sequence[Trial]
    leading: int = 12  # how many combinations go on to the next round
    runs: dict[tuple[str, int], Run] = field(default_factory=dict)
    #: The cases in which the plain reference is right in eval mode, and wrong in training or about its input.
    beyond: frozenset[int] = frozenset()
    start: float = field(default_factory=time.process_time)

    def plain(self) -> list[Candidate]:
        """The reference, in each of the ways that are right."""
        edits = [(way,) if way else () for way in self.contract.variants]
        return [Candidate((), some, self.contract.source.edited(*some)) for some in edits]

    def run(self, candidate: Candidate, case: int) -> Run:
        """How a candidate fares on one case, under the pairing of weights that explains most."""
        key = (candidate.text, case)
        if key not in self.runs:
            run = self._hold(candidate, case, 0)
            for prefer in (1, 2):
                if run.differs is not None and run.ambiguous:
                    other = self._hold(candidate, case, prefer)
                    run = other if other.differs is None or other.score > run.score else run
            self.runs[key] = run
        return self.runs[key]

    def _hold(self, candidate: Candidate, case: int, prefer: int, located: bool = False) -> Run:
        try:
            make = self.contract.compiled(candidate.text)
        except NotHereError as error:
            return Run(error=error)
        patience = 0 if case in self.beyond and not located else PATIENCE
        return self.trials[case].hold(make, candidate.text, prefer, located, patience)

    def located(self, candidate: Candidate, case: int) -> Run:
        """The same, with the line of each tensor."""
        return max((self._hold(candidate, case, prefer, True) for prefer in (0, 1)), key=lambda run: run.score)

    def explains(self, candidate: Candidate, cases: Sequence[int]) -> bool:
        """Whether a candidate does in these cases exactly what the learner's code does."""
        return all(self.run(candidate, case).differs is None for case in cases)

    def known(self) -> list[tuple[Mistake, Edits]]:
        """The mistakes that the learner's code may have made."""
        called = frozenset().union(*(trial.functions for trial in self.trials))
        return [
            (mistake, way)
            for mistake, way in ways(self.contract.mistakes)
            if not mistake.calls or mistake.calls & called
        ]

    def with_one_more(
        self, before: Sequence[tuple[Candidate, int]], known: Sequence[tuple[Mistake, Edits]]
    ) -> Iterator[tuple[Candidate, int]]:
        """Each candidate with each mistake that it has not, made last or first; beside it the case to try it on.

        The likeliest come first: those that change the line where the candidate leaves the learner's code.
        """
        reached = [self.contract.source.reached(way) for _, way in known]
        rounds = sorted(
            (_unlikely(at, self._left(candidate, case)), place, number)
            for place, (candidate, case) in enumerate(before)
            for number, at in enumerate(reached)
        )
        texts: set[tuple[str, int]] = set()
        for _, place, number in rounds:
            (candidate, case), (mistake, way) = before[place], known[number]
            if mistake.name in candidate.names:
                continue
            for edits in ((*candidate.edits, way), (way, *candidate.edits))[: 1 + bool(candidate.edits)]:
                try:
                    text = self.contract.source.edited(*edits)
                except NotHereError:
                    continue
                if text != candidate.text and (text, case) not in texts:
                    texts.add((text, case))
                    yield Candidate((*candidate.mistakes, mistake), edits, text), case

    def _left(self, candidate: Candidate, case: int) -> int:
        """The line where a candidate leaves the learner's code: the last one where only what is returned differs."""
        run = self.run(candidate, case)
        return run.left or (len(self.contract.source.lines) if run.differs == "output" else 0)

    def out_of_time(self) -> bool:
        """Whether no new round begins."""
        is_long = any(trial.is_long for trial in self.trials)
        return time.process_time() - self.start > SECONDS * (1 + is_long)

    def find(self, order: Sequence[int], wrong: Sequence[int], most: int = 3) -> "Found":
        """The mistakes that explain the cases, and failing that the candidates that come nearest.

        ``order`` has the case that says most first; ``wrong`` are those in which the plain reference differs.
        """
        focus = order[0]
        known = self.known()
        plain = self.plain()
        outcomes = {case: {self.run(one, case).differs for one in plain} for case in order}
        self.beyond = frozenset(case for case in order if not outcomes[case] & {None, "output", "trouble"})
        beam: list[Candidate] = plain
        nearest = max(plain, key=lambda one: self.run(one, focus).score)
        parts: list[Candidate] = []  # they explain the case in focus, and not yet all
        for count in range(1, most + 1):
            tried: list[Candidate] = []
            before = [(one, self._next(one, order)) for one in parts[:4]] + [(one, focus) for one in beam]
            for one, case in self.with_one_more(before, known):
                if count > 1 and self.out_of_time():
                    break
                if self.run(one, case).differs is None and self.explains(one, order):
                    return Found(one, True)
                if case == focus:
                    tried.append(one)
            if count == 1:
                for one in tried:
                    if len(wrong) < len(order) and self.explains(one, wrong):
                        return Found(one, True)
            parts = [*(one for one in tried if self.run(one, focus).differs is None), *parts]
            ranked = sorted(tried, key=lambda one: -self.run(one, focus).score)
            beam = [one for one in ranked if self.run(one, focus).differs is not None][: self.leading]
            if beam and self.run(beam[0], focus).score > self.run(nearest, focus).score:
                nearest = beam[0]
        if parts:
            # The one that explains most calls, and of those the one with the fewest mistakes.
            return Found(max(parts, key=lambda one: (self._explained(one, order), -len(one.mistakes))), False)
        return Found(nearest, False)

    def _explained(self, candidate: Candidate, order: Sequence[int]) -> int:
        return sum(self.run(candidate, case).differs is None for case in order)

    def _next(self, candidate: Candidate, order: Sequence[int]) -> int:
        return next((case for case in order if self.run(candidate, case).differs is not None), order[0])


def _unlikely(reached: set[int], left: int) -> int:
    """How far a mistake's lines are from the one where the learner's code parts: a later one explains nothing."""
    if not left or left in reached:
        return 0
    before = [line for line in reached if line < left]
    return 1 if not reached else 1 + left - max(before) if before else 1000


@dataclass(frozen=True)
class Found:
    """The candidate that explains all, or the one that comes nearest."""

    candidate: Candidate
    whole: bool
