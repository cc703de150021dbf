"""Which known mistakes, made in the reference, do exactly what the learner's module does: one, two or three at once.

One mistake is tried after the other. Of several, each explains a part: those that explain most are tried together
with all others. Where some explain one call and not the next, more are looked for in that one.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Any

from resnet_edu.checks.candidate import PATIENCE, Memory, Run, hold
from resnet_edu.checks.learner import Seen
from resnet_edu.checks.source import Contract, Edits, Mistake, NotHereError, changes_in_place, ways

#: How many combinations go on to the next round, and processor seconds after which no new one begins.
LEADING = 12
SECONDS = 3.0
#: How many numbers the results of candidates may hold that are remembered.
NUMBERS = 60_000_000
#: With more tensors than this it is a whole network, which has twice the time.
LONG = 30


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
    """The candidates of one contract, held against what was seen of a learner's module in each case."""

    contract: Contract
    seen: Sequence[Seen]
    runs: dict[tuple[str, int], Run] = field(default_factory=dict)
    memories: dict[tuple[int, int], list[Memory | None]] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    room: list[int] = field(default_factory=lambda: [NUMBERS])
    #: The cases in which the plain reference is right in eval mode, and wrong in training or about its input.
    beyond: frozenset[int] = frozenset()
    start: float = field(default_factory=time.process_time)

    def plain(self) -> list[Candidate]:
        """The reference, in each of the ways that are right."""
        return [
            Candidate((), (way,) if way else (), self.contract.source.edited(*((way,) if way else ())))
            for way in self.contract.variants
        ]

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
        if candidate.text not in self.made:
            try:
                self.made[candidate.text] = self.contract.compiled(candidate.text)
            except NotHereError as error:
                self.made[candidate.text] = error
        make = self.made[candidate.text]
        if isinstance(make, NotHereError):
            return Run(error=make)
        seen = self.seen[case]
        if (case, prefer) not in self.memories:
            self.memories[case, prefer] = [Memory(x, self.room) for x in seen.inputs]
        kept = self.memories[case, prefer]
        if changes_in_place(candidate.text):
            kept = [None] * len(seen.inputs)
        patience = 0 if case in self.beyond and not located else PATIENCE
        return hold(make, self.contract.cases[case].args, seen, kept, prefer, located, patience)

    def located(self, candidate: Candidate, case: int) -> Run:
        """The same, with the line of each tensor."""
        return max((self._hold(candidate, case, prefer, True) for prefer in (0, 1)), key=lambda run: run.score)

    def explains(self, candidate: Candidate, cases: Sequence[int]) -> bool:
        """Whether a candidate does in these cases exactly what the learner's module does."""
        return all(self.run(candidate, case).differs is None for case in cases)

    def known(self) -> list[tuple[Mistake, Edits]]:
        """The mistakes that the learner's code may have made."""
        called = frozenset().union(*(seen.functions() for seen in self.seen))
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
        long = max(len(seen.steps) for seen in self.seen) > LONG
        return time.process_time() - self.start > SECONDS * (1 + long)

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
            beam = [one for one in ranked if self.run(one, focus).differs is not None][:LEADING]
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


def fewest(
    contract: Contract,
    known: Sequence[tuple[Mistake, Edits]],
    explains: Callable[[Sequence[Edits]], bool],
    counts: Sequence[int] = (1, 2, 3),
    seconds: float = math.inf,
) -> list[Mistake]:
    """The mistakes, as few as possible, that explain all where they are made in one order or the other."""
    start = time.process_time()
    for some in chain.from_iterable(combinations(known, count) for count in counts):
        if time.process_time() - start > seconds:
            break
        if len({mistake.name for mistake, _ in some}) < len(some):
            continue
        edits = [way for _, way in some]
        texts: set[str] = set()
        for order in (edits, edits[::-1]):
            try:
                text = contract.source.edited(*order)
            except NotHereError:
                continue
            if text not in texts and explains(order):
                return [mistake for mistake, _ in some]
            texts.add(text)
    return []


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
