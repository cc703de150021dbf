"""Which known mistakes, made in the reference, do exactly what the learner's code does: one, two or three at once.

One mistake is tried after the other. Of several, each explains a part: those that explain most are tried together
with all others. Where some explain one call and not the next, more are looked for in that one.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from resnet_edu.checks.candidate import Run
from resnet_edu.checks.learner import LearnerError
from resnet_edu.checks.source import Contract, Edits, Mistake, NotHereError, ways

#: Processor seconds after which no new combination is tried.
SECONDS = 4.0


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
        """Whether it is a whole network, which has half as much time again."""

    @property
    def place(self) -> str:
        """Where it is, in a sentence: "in `Stem()`"."""

    @property
    def shows(self) -> str:
        """A sentence on where a mistake shows."""

    def hold(self, make: Callable[..., Any], text: str, prefer: int, located: bool) -> Run:
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
    start: float = field(default_factory=time.process_time)

    @cached_property
    def plain(self) -> Candidate:
        """The reference without a mistake."""
        return Candidate((), (), self.contract.source.edited())

    def run(self, candidate: Candidate, case: int) -> Run:
        """How a candidate fares on one case: in the right way and with the pairing of weights that explain most."""
        key = (candidate.text, case)
        if key not in self.runs:
            run = self._hold(candidate.text, case)
            for text in self._variants(candidate, run):
                run = max(run, self._hold(text, case), key=_merit)
            for prefer in (1, 2):
                if run.differs is not None and run.ambiguous:
                    run = max(run, self._hold(run.text, case, prefer), key=_merit)
            self.runs[key] = run
        return self.runs[key]

    def _variants(self, candidate: Candidate, run: Run) -> Iterator[str]:
        """Other right ways to do what was done where a candidate left the learner's code."""
        for way in self.contract.variants:
            if run.has_left and run.lines[-1] in self.contract.source.reached(way):
                with suppress(NotHereError):
                    yield self.contract.source.edited(way, *candidate.edits)

    def _hold(self, text: str, case: int, prefer: int = 0, located: bool = False) -> Run:
        try:
            make = self.contract.compiled(text)
        except NotHereError as error:
            return Run(text=text, error=error)
        return self.trials[case].hold(make, text, prefer, located)

    def located(self, candidate: Candidate, case: int) -> Run:
        """The same, with the line of each tensor."""
        text = self.run(candidate, case).text
        return max((self._hold(text, case, prefer, True) for prefer in (0, 1)), key=lambda run: run.score)

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
            (_unlikely(at, self.run(candidate, case)), place, number)
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

    def out_of_time(self) -> bool:
        """Whether no new round begins."""
        is_long = any(trial.is_long for trial in self.trials)
        return time.process_time() - self.start > SECONDS * (1.5 if is_long else 1)

    def find(self, order: Sequence[int], wrong: Sequence[int], most: int = 3) -> "Found":
        """The mistakes that explain the cases, and failing that the candidates that come nearest.

        ``order`` has the case that says most first; ``wrong`` are those in which the plain reference differs.
        """
        focus = order[0]
        known = self.known()
        nearest = self.plain
        beam = [nearest]
        parts: list[Candidate] = []  # they explain the case in focus, and not yet all
        for count in range(1, most + 1):
            tried: list[Candidate] = []
            before = [(one, self._next(one, order)) for one in parts[:4]] + [(one, focus) for one in beam]
            for one, case in self.with_one_more(before, known):
                if count > 1 and case == focus and self.out_of_time():
                    continue  # those that explain the case in focus are few, and are followed to the end
                if self.run(one, case).differs is None and self.explains(one, order):
                    return Found(one, True)
                if case == focus:
                    tried.append(one)
            if count == 1:
                for one in tried:
                    if len(wrong) < len(order) and self.explains(one, wrong):
                        return Found(one, True)
            parts = [*(one for one in tried if self.run(one, focus).differs is None), *parts]
            ranked = sorted(tried, key=lambda one: self._worth(one, focus), reverse=True)
            beam = [one for one in ranked if self.run(one, focus).differs is not None][: self.leading]
            if beam and self.run(beam[0], focus).score > self.run(nearest, focus).score:
                nearest = beam[0]
        if parts:
            # The one that explains most calls, and of those the one with the fewest mistakes.
            return Found(max(parts, key=lambda one: (self._explained(one, order), -len(one.mistakes))), False)
        return Found(nearest, False)

    def _worth(self, candidate: Candidate, case: int) -> tuple[float, int]:
        """How much it explains; of those that explain as much, whether it changes what the learner's code changes."""
        reached = self.contract.source.reached(candidate.edits[-1])
        return self.run(candidate, case).score, -_unlikely(reached, self.run(self.plain, case))

    def _explained(self, candidate: Candidate, order: Sequence[int]) -> int:
        return sum(self.run(candidate, case).differs is None for case in order)

    def _next(self, candidate: Candidate, order: Sequence[int]) -> int:
        return next((case for case in order if self.run(candidate, case).differs is not None), order[0])


def _merit(run: Run) -> tuple[bool, float]:
    return run.differs is None, run.score


def _unlikely(reached: set[int], run: Run) -> int:
    """How many tensors before the one where a candidate leaves the learner's code a mistake's lines made their last.

    One that reaches no line may change any; one whose lines have not run yet explains nothing.
    """
    if not (run.has_left or run.differs == "output"):
        return 0
    if not reached:
        return 1
    back = run.lines[::-1]
    return min((back.index(line) for line in reached if line in back), default=1000)


@dataclass(frozen=True)
class Found:
    """The candidate that explains all, or the one that comes nearest."""

    candidate: Candidate
    whole: bool
