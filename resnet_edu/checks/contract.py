"""A contract: how a learner's code is called, what the reference does, and the mistakes that are known."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
            except (NotHereError, LookupError, ValueError):  # or what it speaks of was edited away
                continue
        # An edit of an edited program may have taken away what another operation needs.
        if not made or not program.is_sound():
            raise NotHereError(self.name)
        return program


@dataclass(frozen=True)
class Slip:
    """A known mistake in a formula: a switch of the reference, and what to tell the learner."""

    name: str
    message: str


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
    #: A call that should raise ValueError; one that does not is worth a word, and no mistake.
    refused: Case | None = None

    def singles(self, reference: int) -> list["Candidate"]:
        """The reference with each mistake, one at a time."""
        plain = self.programs(reference)
        return [Candidate((mistake,), plain) for mistake in self.mistakes]

    def programs(self, reference: int = 0) -> tuple[Program, ...]:
        """The reference's program for each case."""
        return tuple(self.references[reference](*case.args) for case in self.cases)

    def mistake(self, name: str) -> Mistake:
        """The known mistake of this name. Raises KeyError if there is none."""
        return {mistake.name: mistake for mistake in self.mistakes}[name]


class Candidate:
    """A reference with one mistake or two. Its programs are made when they are asked for."""

    def __init__(
        self, mistakes: tuple[Mistake, ...], plain: Sequence[Program], before: "Candidate | None" = None
    ) -> None:
        self.mistakes, self.plain, self._before = mistakes, plain, before
        self._programs: dict[int, Program] = {}
        self._touched: dict[int, set[str]] = {}

    def program(self, case: int) -> Program:
        """The program for one case."""
        if case not in self._programs:
            start = self.plain[case] if self._before is None else self._before.program(case)
            self._programs[case] = applied(self.mistakes[-1:], start)
        return self._programs[case]

    def touched(self, case: int) -> set[str]:
        """The names of the operations that are not the plain reference's there, new or gone ones too."""
        if case not in self._touched:
            mine, plain = ({op.name: op for op in p.ops} for p in (self.program(case), self.plain[case]))
            self._touched[case] = {name for name in {*mine, *plain} if mine.get(name) != plain.get(name)}
        return self._touched[case]

    def changes(self, case: int) -> bool:
        """Whether the last mistake makes a difference there."""
        start = self.plain[case] if self._before is None else self._before.program(case)
        return self.program(case) is not start


def pairs(leading: Sequence[Candidate], singles: Sequence[Candidate], first: int) -> Iterator[Candidate]:
    """Two mistakes at once, in both orders where they may get in each other's way."""
    tried: set[tuple[int, int]] = set()
    for one in leading:
        for two in singles:
            if one.mistakes[0].name == two.mistakes[0].name or (id(two), id(one)) in tried:
                continue
            tried.add((id(one), id(two)))
            forth = Candidate(one.mistakes + two.mistakes, one.plain, one)
            yield forth
            if _meet(one, two):
                back = Candidate(two.mistakes + one.mistakes, one.plain, two)
                if back.changes(first) and back.program(first).ops != forth.program(first).ops:
                    yield back


def _meet(one: Candidate, two: Candidate) -> bool:
    """Whether the order may matter: both change one operation, or one adds some that the other may change."""
    for case, plain in enumerate(one.plain):
        mine, others = one.touched(case), two.touched(case)
        if mine & others or not (mine | others) <= {op.name for op in plain.ops}:
            return True
    return False


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
