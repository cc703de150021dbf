"""A contract: how a learner's code is called, what the reference does, and the mistakes that are known."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from resnet_edu.checks.program import NotHereError, Program, same_program

Edit = Callable[[Program, str], Program]


@dataclass(frozen=True)
class Mistake:
    """A known mistake: its stable name, the edit of the reference that makes it, and what to tell the learner.

    The edit is made in every block of a program; ``block`` is the prefix of the block's operations.
    """

    name: str
    edit: Edit
    message: str

    def of(self, program: Program) -> Program:
        """The program with this mistake. Raises NotHereError where it cannot be made."""
        made = False
        for block in program.blocks:
            try:
                program, made = self.edit(program, block), True
            except NotHereError:
                continue
        if not made:
            raise NotHereError(self.name)
        return program


@dataclass(frozen=True)
class Case:
    """One way to call the learner's code: the arguments, and the shapes of the inputs."""

    args: tuple[Any, ...]
    inputs: tuple[tuple[int, ...], ...]
    call: str = ""


@dataclass(frozen=True)
class Contract:
    """What a check holds a learner's module against."""

    name: str
    signature: str
    cases: tuple[Case, ...]
    #: Each gives the program for a case's arguments; a learner may follow any of them throughout.
    references: tuple[Callable[..., Program], ...]
    mistakes: tuple[Mistake, ...]
    passed: str

    def candidates(self, reference: int) -> Iterator[tuple[tuple[Mistake, ...], tuple[Program, ...]]]:
        """Programs with one mistake, then with two, for all cases; those that equal the reference are left out."""
        plain = self.programs(reference)
        singles: list[tuple[Mistake, tuple[Program, ...]]] = []
        for mistake in self.mistakes:
            programs = made([mistake], plain)
            if programs is not None:
                singles.append((mistake, programs))
                yield (mistake,), programs
        for (one, _), (two, _) in combinations(singles, 2):
            for order in ((one, two), (two, one)):
                programs = made(order, plain)
                if programs is not None:
                    yield (one, two), programs

    def programs(self, reference: int = 0) -> tuple[Program, ...]:
        """The reference's program for each case."""
        return tuple(self.references[reference](*case.args) for case in self.cases)

    def mistake(self, name: str) -> Mistake:
        """The known mistake of this name. Raises KeyError if there is none."""
        return {mistake.name: mistake for mistake in self.mistakes}[name]


def made(mistakes: Sequence[Mistake], plain: Sequence[Program]) -> tuple[Program, ...] | None:
    """The programs with these mistakes where they can be made; None if one of them can be made nowhere."""
    programs = tuple(plain)
    for mistake in mistakes:
        after = tuple(applied([mistake], program) for program in programs)
        if all(same_program(a, b) for a, b in zip(after, programs, strict=True)):
            return None
        programs = after
    return programs


def applied(mistakes: Sequence[Mistake], program: Program) -> Program:
    """One program with those of the mistakes that can be made in it."""
    for mistake in mistakes:
        try:
            program = mistake.of(program)
        except NotHereError:
            continue
    return program
