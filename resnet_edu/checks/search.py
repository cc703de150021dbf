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

    place: str  # "in `Stem()`"
    shows: str  # a sentence on where a mistake shows
    trouble: LearnerError | None  # the error in which it ended
    functions: frozenset[str] = frozenset()  # torch's, that were called
    is_long: bool = False  # whether it is a whole network, which has half as much time again

    def hold(self, make: Callable[..., Any], prefer: int, located: bool) -> Run:
        """How a candidate fares, given what its edited text defines."""


@dataclass(frozen=True)
class Candidate:
    """The reference with some mistakes, and its text."""

    mistakes: tuple[Mistake, ...]
    edits: tuple[Edits, ...]
    text: str


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
            for label, way in self.contract.variants:  # where it left the learner's code
                if run.has_left and run.lines[-1] in self.contract.source.reached({label: ""}):
                    with suppress(NotHereError):
                        text = self.contract.source.edited(way, *candidate.edits)
                        run = max(run, self._hold(text, case), key=lambda run: run.score)
            for prefer in (1, 2):
                if run.differs is not None and run.ambiguous:
                    run = max(run, self._hold(run.text, case, prefer), key=lambda run: run.score)
            self.runs[key] = run
        return self.runs[key]

    def _hold(self, text: str, case: int, prefer: int = 0, located: bool = False) -> Run:
        try:
            make = self.contract.compiled(text)
        except NotHereError as error:
            return Run(text=text, error=error)
        run = self.trials[case].hold(make, prefer, located)
        run.text = text
        return run

    def located(self, candidate: Candidate, case: int) -> Run:
        """The same, with the line of each tensor."""
        return self._hold(self.run(candidate, case).text, case, located=True)

    def explains(self, candidate: Candidate, cases: Sequence[int]) -> bool:
        """Whether a candidate does in these cases exactly what the learner's code does."""
        return all(self.run(candidate, case).differs is None for case in cases)

    def with_one_more(
        self, before: Sequence[tuple[Candidate, int]], known: Sequence[tuple[Mistake, Edits]]
    ) -> Iterator[tuple[Candidate, int]]:
        """Each candidate with one mistake more, made last or first; beside it the case to try it on.

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
            for edits in ((*candidate.edits, way), (way, *candidate.edits))[: 1 + bool(candidate.edits)]:
                with suppress(NotHereError):
                    text = self.contract.source.edited(*edits)
                    if text != candidate.text and (text, case) not in texts:
                        texts.add((text, case))
                        yield Candidate((*candidate.mistakes, mistake), edits, text), case

    def find(self, order: Sequence[int], most: int = 3) -> Candidate:
        """The mistakes that explain the cases, and failing that those that come nearest.

        ``order`` has the case that says most first.
        """
        focus, called = order[0], frozenset().union(*(trial.functions for trial in self.trials))
        known = [one for one in ways(self.contract.mistakes) if not one[0].calls or one[0].calls & called]
        nearest, beam = self.plain, [self.plain]
        seconds = SECONDS * (1.5 if any(trial.is_long for trial in self.trials) else 1)
        parts: list[Candidate] = []  # they explain the case in focus, and not yet all
        for count in range(1, most + 1):
            tried: list[Candidate] = []
            following = ((one, [case for case in order if not self.explains(one, [case])]) for one in parts[:4])
            before = [(one, cases[0]) for one, cases in following] + [(one, focus) for one in beam]
            for one, case in self.with_one_more(before, known):
                if count > 1 and case == focus and time.process_time() - self.start > seconds:
                    continue  # those that explain the case in focus are few, and are followed to the end
                if self.explains(one, [case, *order]):
                    return one
                if case == focus:
                    tried.append(one)
            parts = [*(one for one in tried if self.explains(one, [focus])), *parts]
            ranked = sorted(tried, key=lambda one: self._worth(one, focus), reverse=True)
            beam = [one for one in ranked if not self.explains(one, [focus])][: self.leading]
            nearest = max([nearest, *beam[:1]], key=lambda one: self.run(one, focus).score)
        # The one that explains most calls, and of those the one with the fewest mistakes.
        return max(
            parts, key=lambda one: (sum(self.explains(one, [c]) for c in order), -len(one.mistakes)), default=nearest
        )

    def _worth(self, candidate: Candidate, case: int) -> tuple[float, int]:
        """How much it explains; of those that explain as much, whether it changes what the learner's code changes."""
        reached = self.contract.source.reached(candidate.edits[-1])
        return self.run(candidate, case).score, -_unlikely(reached, self.run(self.plain, case))


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
