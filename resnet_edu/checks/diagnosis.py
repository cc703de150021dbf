"""What is wrong with a learner's code, step by step, whatever was observed: by name where it is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from resnet_edu.checks.search import Candidate, Search, Trial
from resnet_edu.checks.source import Contract, Edits, Mistake
from resnet_edu.checks.words import their_names

#: What JSON can carry: "passed", "message", "mistakes" (names).
Verdict = dict[str, Any]


def passed(message: str) -> Verdict:
    """The verdict on code that does what the reference does."""
    return {"passed": True, "message": message, "mistakes": []}


def failed(message: str, *mistakes: str) -> Verdict:
    """The verdict on code that does not, with the names of the known mistakes."""
    return {"passed": False, "message": message, "mistakes": list(dict.fromkeys(mistakes))}


def listed(messages: Sequence[str]) -> str:
    """One message as it is, several under numbers.

    >>> print(listed(["No ReLU.", "No shortcut."]))
    Two things at once.
    1. No ReLU.
    2. No shortcut.
    """
    messages = list(dict.fromkeys(messages))
    if len(messages) == 1:
        return messages[0]
    count = {2: "Two", 3: "Three"}.get(len(messages), "Several")
    return "\n".join([f"{count} things at once.", *(f"{n}. {text}" for n, text in enumerate(messages, start=1))])


@dataclass
class Diagnosis:
    """The search for what is wrong, and the words for what it found. What is observed is added by heirs."""

    contract: Contract
    theirs: Any
    trials: Sequence[Trial]
    #: How many combinations of mistakes go on to the next round.
    leading: int = 12
    #: How many things each of some mistakes must explain alone, for them to be told where more is wrong (0: never).
    least: int = 2

    @cached_property
    def search(self) -> Search:
        """The candidates, held against what the learner's code did."""
        return Search(self.contract, self.trials, self.leading)

    @cached_property
    def order(self) -> list[int]:
        """The cases, those that say most first: one that failed, then one that differs."""
        differs = [self.search.run(self.search.plain, case).differs for case in range(len(self.trials))]
        return sorted(range(len(differs)), key=lambda i: (differs[i] is None, self.trials[i].trouble is None))

    @property
    def wrong(self) -> list[int]:
        """The cases in which the plain reference differs."""
        return [case for case in self.order if self.search.run(self.search.plain, case).differs is not None]

    def verdict(self) -> Verdict:
        """What is wrong."""
        found = self.search.find(self.order, self.most())
        if self.search.explains(found, self.order):
            return self.named(found.mistakes)
        return self.partly(found) or self.unnamed(self.search.plain, self.order)

    def most(self) -> int:
        """How many mistakes at once can explain the first case."""
        raise NotImplementedError

    def unnamed(self, candidate: Candidate, order: Sequence[int]) -> Verdict:
        """What can be seen in the first of these cases beyond a candidate that does not explain it."""
        raise NotImplementedError

    def say(self, message: str) -> str:
        """A message in the learner's own names."""
        return their_names(self.contract.signature, self.theirs)(message)

    def named(self, known: Sequence[Mistake]) -> Verdict:
        """These mistakes explain all."""
        known = sorted(known, key=self.contract.mistakes.index)
        remarks = [self.say(mistake.message) for mistake in known if mistake.remark]
        rest = [mistake for mistake in known if not mistake.remark]
        if not rest:
            return passed("\n".join([self.contract.passed, *remarks]))
        more = "".join(f"\nNo mistake, but a word: {text}" for text in remarks)
        shows = self.trials[self.order[0]].shows
        return failed(f"{listed([self.say(one.message) for one in rest])}\n{shows}{more}", *(one.name for one in rest))

    def partly(self, candidate: Candidate) -> Verdict | None:
        """Some mistakes are certain, and something else is wrong."""
        focus = self.order[0]
        if not candidate.mistakes or not self.least:
            return None
        certain = self.search.run(candidate, focus).differs is None
        if not certain and not self._surely(candidate, focus):
            return None
        other = next((case for case in self.order if self.search.run(candidate, case).differs is not None), focus)
        rest = self.unnamed(candidate, [other])
        told = listed([self.say(mistake.message) for mistake in candidate.mistakes])
        names = [mistake.name for mistake in candidate.mistakes]
        more = f"There is more, {self.trials[other].place}. Mend that first, and check again."
        return failed(f"{told}\n{more} {rest['message']}", *names, *rest["mistakes"])

    def _surely(self, candidate: Candidate, focus: int) -> bool:
        """Whether each of the mistakes explains several things that nothing else explains."""

        def found(edits: tuple[Edits, ...]) -> set[Any]:
            return self.search.run(Candidate((), edits, self.contract.source.edited(*edits)), focus).found

        less = (candidate.edits[:number] + candidate.edits[number + 1 :] for number in range(len(candidate.edits)))
        return all(len(found(candidate.edits) - found(edits)) >= self.least for edits in less)
