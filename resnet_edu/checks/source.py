"""A reference as labelled source, known mistakes as edits of its lines, and the code that comes of both.

A line of a reference ends in ``#: labels | what a message calls it``. A mistake gives new text for some
labels. ``{}`` in it stands for the line as it is, ``old → new`` replaces words in the line, and an empty
text takes the line out.

>>> text = Source("def double(x):\\n    x = x + x  #: sum\\n    return x")
>>> print(text.edited({"sum": "+ → -"}))
def double(x):
    x = x - x
    return x
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from string import Template
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu.checks import probes
from resnet_edu.checks.watch import Place

Edits = Mapping[str, str]

#: A number that stands for the learner's own, whatever it is: `eps` and `momentum` of a batch norm.
THEIRS = 0.0123

#: What the file of a reference is called in a traceback.
FILE = "<reference>"


class NotHereError(Exception):
    """An edit speaks of words that this text does not have."""


@dataclass(frozen=True)
class Source:
    """A reference in lines, some of which have labels."""

    text: str

    @cached_property
    def lines(self) -> tuple[tuple[str, frozenset[str], str], ...]:
        """Each line's code, its labels, and its words."""
        found = []
        for line in self.text.strip("\n").split("\n"):
            code, _, comment = line.partition("  #: ")
            labels, _, words = comment.partition(" | ")
            found.append((code, frozenset(labels.split()), words))
        return tuple(found)

    def words(self, place: Place) -> str:
        """What a message calls a line, with the numbers that it knows."""
        return self.lines[place.line - 1][2].format_map(place.numbers) if 0 < place.line <= len(self.lines) else ""

    def reached(self, edits: Edits) -> set[int]:
        """The lines with words that edits change.

        >>> Source("kept = 1  #: keep\\n\\ny = f(x)  #: run | a call").reached({"run": "", "keep": "1 → 2"})
        {3}
        """
        return {n for n, (_, labels, words) in enumerate(self.lines, start=1) if words and labels & edits.keys()}

    def edited(self, *edits: Edits) -> str:
        """The text after these edits, one after the other, with as many lines as before.

        Raises NotHereError where one of them finds nothing to change.
        """
        lines = [code for code, _, _ in self.lines]
        for one in edits:
            for label, new in one.items():
                places = [number for number, (_, labels, _) in enumerate(self.lines) if label in labels]
                after = {number: _line(lines[number], new) for number in places}
                if all(lines[number] == after[number] for number in places):
                    raise NotHereError(label)
                for number in places:
                    lines[number] = after[number]
        return "\n".join(lines)


def _line(line: str, new: str) -> str:
    """One line after an edit; as it was where the edit does not find its words."""
    indent = line[: len(line) - len(line.lstrip())]
    code = line.strip()
    for step in new.split(" ;; "):
        before, arrow, after = step.partition(" → ")
        code = code.replace(before, after) if arrow else step.replace("{}", code) or "pass"
    return indent + code


@dataclass(frozen=True)
class Mistake:
    """A known mistake: its stable name, what to tell the learner, and the edits that make it, in one way or several."""

    name: str
    message: str
    ways: tuple[Edits, ...] = ()
    #: It passes, with this word.
    remark: bool = False
    #: Tried only where the learner's code calls one of these functions of torch.
    calls: frozenset[str] = frozenset()


def known(text: str, **values: object) -> list[Mistake]:
    """Known mistakes as text: a line with the name and the edits, other ways to make it, and below what to say.

    ``for a b: 1 x | 2 y`` reads the mistake below it twice: with 1 and then 2 where it says ``$a``, x and then y
    where it says ``$b``. With ``size=5`` it is 5 wherever the text says ``$size``.

    >>> one, other = known('''
    ... for line which: relu1 first | relu2 second
    ... relu-missing: $line: -
    ... or: $line: F.relu(x) → x | last: {}; x = x + 0
    ...     There is no ReLU after the $which batch norm.
    ... ''')
    >>> one.ways[1]["last"], other.message
    ('{}; x = x + 0', 'There is no ReLU after the second batch norm.')
    """
    found: list[tuple[str, list[dict[str, str]], list[str]]] = []
    text = Template(text.replace("\n| ", " | ")).safe_substitute(values)  # a line may go on in the next one
    for line in filter(None, _LOOP.sub(_repeated, text).split("\n")):
        if line.startswith(" "):
            found[-1][2].append(line.strip())
            continue
        name, _, rest = line.partition(": ")
        pairs = [part.partition(": ") for part in rest.split(" | ")]
        way = {label: "" if edit == "-" else edit + " " * edit.endswith("→") for label, _, edit in pairs}
        if name == "or":
            found[-1][1].append(way)
        else:
            found.append((name, [way], []))
    return [Mistake(name, " ".join(words), tuple(some)) for name, some, words in found]


_LOOP = re.compile(r"^for (.+?): (.+)\n((?:\S.*\n)+(?:    .*\n)+)", re.MULTILINE)


def _repeated(found: re.Match[str]) -> str:
    names, rows, text = found[1].split(), found[2].split(" | "), Template(found[3])
    filled = (zip(names, row.split(maxsplit=len(names) - 1), strict=True) for row in rows)
    return "".join(text.safe_substitute(dict(values)) for values in filled)


@dataclass(frozen=True)
class Case:
    """One way to call the learner's code: the arguments, and for a module the shapes of its inputs."""

    args: tuple[Any, ...]
    inputs: tuple[tuple[int, ...], ...] = ()
    call: str = ""


@dataclass(frozen=True)
class Contract:
    """What a check holds a learner's class or function against. The reference defines the name of the signature."""

    signature: str
    cases: tuple[Case, ...]
    reference: str
    known: tuple[str | Mistake | Sequence[Mistake], ...]
    passed: str
    #: Other right answers: the label of the line where they show, and edits of the reference.
    variants: tuple[tuple[str, Edits], ...] = ()
    #: A call that should raise ValueError; one that does not is worth a word, and no mistake.
    refused: Case | None = None
    #: What the reference may speak of beside torch, nn and F.
    names: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What is to be written."""
        return self.signature.partition("(")[0]

    @cached_property
    def mistakes(self) -> tuple[Mistake, ...]:
        """Every known mistake."""
        found: list[Mistake] = []
        for one in self.known:
            found += known(one) if isinstance(one, str) else [one] if isinstance(one, Mistake) else one
        return tuple(found)

    @cached_property
    def source(self) -> Source:
        """The reference in lines."""
        return Source(self.reference)

    def made(self, *edits: Edits) -> Callable[..., Any]:
        """The reference with these edits, compiled. Raises NotHereError where one cannot be made."""
        return self.compiled(self.source.edited(*edits))

    def compiled(self, text: str) -> Callable[..., Any]:
        """What an edited text defines. Raises NotHereError if it is no Python."""
        namespace = {**_NAMES, **self.names}
        try:
            exec(_code(text), namespace)
        except (SyntaxError, NameError) as error:
            raise NotHereError(str(error)) from error
        made: Callable[..., Any] = namespace[self.name]
        return made


_NAMES = {"torch": torch, "nn": nn, "F": F, "THEIRS": THEIRS, "__name__": "reference"}
_NAMES |= {name: getattr(probes, name) for name in probes.__all__}


@lru_cache(4096)
def _code(text: str) -> Any:
    return compile(text, FILE, "exec")


def ways(mistakes: Sequence[Mistake]) -> Iterator[tuple[Mistake, Edits]]:
    """Each mistake in each way to make it."""
    return ((mistake, way) for mistake in mistakes for way in mistake.ways)
