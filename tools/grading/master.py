"""A lab's master, read for one class: numbers are drawn by the seed, answers computed, questions collected.

A master is a page of Markdown as the book's chapters are, with `minutes:` in its front matter. `<<expression>>` stands,
in words and in code, for what the class's numbers make of it. What is its own:

    :::{question} The stem, with your numbers
    :name: stem
    :minutes: 15
    :points: eval 3, train 2
    :uses: sizes

    What to do.
    :::

`:uses:` names the earlier questions on whose answers this one builds. Whoever got those wrong is asked again with the
solutions of those in place, so that a mistake costs points once.

A question is followed by code cells, told by their tags:

- `draw`, anywhere: chooses numbers with `rng`, and computes with `arithmetic` and with the solutions that stand above.
- `answer`: the solution, as in a chapter's exercise; the student gets the starter that `directives.split` makes of it.
  `#: label | words` at the end of a line is for the checker.
- `public`: a check that the student sees. It runs in grading, too, since the cells below may use its names. Every cell
  without a tag stands in the notebook as well. Its helpers are those of `shown`.
- `look`: the same, but too long to run in grading.
- `probe`: `secrets(draw)`, which only the grader runs, and `probe(given, secrets)`, which runs once with the solution
  in the grader and once with `given`, the learner's own names, in theirs. It yields numbers, part by part, and
  `compared` says of each part what it compares, for the feedback. A question without a probe is one of numbers: each
  part is a name that the answer defines.
- `mistakes`: `known`, mistakes in the form of `resnet_edu.checks.source.known`; feedback, never points. Whose numbers
  are those of a mistake is told its message. With a `signature` and `cases`, the checker looks for the others, too.
"""

import ast
import hashlib
import random
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import directives as markup
import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu.checks.source import Mistake, NotHereError, Source, known, ways
from resnet_edu.counting import arithmetic

ROOT = Path(__file__).parent.parent.parent
MASTERS = ROOT / "labs"
SHOWN = Path(__file__).parent / "shown.py"


@dataclass
class Question:
    """What is asked, and all that the grader needs to judge it."""

    name: str
    title: str
    minutes: int
    points: dict[str, int]
    uses: tuple[str, ...] = ()
    probe: str = ""
    secrets: str = ""
    mistakes: str = ""
    solution: str = ""  # with its labels, for the checker
    #: What each part of the points compares, in words.
    compared: dict[str, str] = field(default_factory=dict)
    #: Known mistakes: name, message, and the solution with the mistake in it.
    slips: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Piece:
    """A cell on the way to the notebook: its kind is "words", "question", "answer", "public", "look" or "code"."""

    kind: str
    text: str
    line: int
    question: Question | None = None


@dataclass
class Lab:
    """A lab for one class."""

    name: str
    title: str
    minutes: int
    seed: str
    path: Path
    pieces: list[Piece] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    reference: str = ""

    @property
    def mark(self) -> str:
        """What tells the notebooks of one class from another's, without telling the seed."""
        return hashlib.sha256(f"{self.name}\0{self.seed}".encode()).hexdigest()[:12]

    def key(self) -> dict[str, Any]:
        """What the grader gets, as JSON can hold it."""
        return {
            "lab": self.name,
            "title": self.title,
            "mark": self.mark,
            "reference": self.reference,
            "questions": [asdict(question) for question in self.questions],
        }


def masters() -> dict[str, Path]:
    """The masters by number: `1` is labs/1_stem_and_blocks.md."""
    return {path.name.partition("_")[0]: path for path in sorted(MASTERS.glob("[0-9]_*.md"))}


def read(path: Path, seed: str) -> Lab:
    """The lab of this master for a class. Raises MarkupError with the line where the master cannot be read."""
    text = path.read_text(encoding="utf-8")
    matter, _ = markup.front_matter(text)
    lab = Lab(path.stem, markup.title_of(path), int(matter["minutes"]), seed, path)
    space: dict[str, Any] = {
        "rng": random.Random(f"{lab.name} {seed}"),
        "arithmetic": arithmetic,
        "torch": torch,
        "nn": nn,
        "F": F,
        "__name__": "reference",
    }
    exec(SHOWN.read_text(encoding="utf-8"), space)
    reference = ["import math\n\nimport torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"]
    torch.manual_seed(0)
    for cell in markup.cells(text):
        if cell.kind == "markdown":
            lines = _filled(cell.source, space, cell.line).splitlines()
            for piece in _words(lines, cell.line):
                if piece.question is not None:
                    earlier = [other.name for other in lab.questions]
                    if piece.question.name in earlier:
                        raise markup.MarkupError(f"two questions are called {piece.question.name!r}", piece.line)
                    if unknown := set(piece.question.uses) - set(earlier):
                        raise markup.MarkupError(f":uses: names earlier questions, not {min(unknown)!r}", piece.line)
                    lab.questions.append(piece.question)
                lab.pieces.append(piece)
            continue
        tag = next(iter(cell.tags), "code")
        if tag == "draw":
            exec(compile(cell.source, f"{path.name}:{cell.line}", "exec"), space)
            continue
        source = _filled(cell.source, space, cell.line)
        if tag == "public" and not lab.questions:
            raise markup.MarkupError("a cell tagged public stands below its {question}", cell.line)
        if tag in ("public", "look", "code"):
            lab.pieces.append(Piece(tag, source, cell.line, lab.questions[-1] if tag == "public" else None))
            if tag == "code":
                reference.append(source)
                exec(compile(source, f"{path.name}:{cell.line}", "exec"), space)
            continue
        if not lab.questions:
            raise markup.MarkupError(f"a cell tagged {tag} stands below its {{question}}", cell.line)
        question = lab.questions[-1]
        if tag == "answer":
            both = markup.split(source, cell.line)
            question.solution = both.solution
            lab.pieces.append(Piece("answer", both.starter, cell.line, question))
            reference.append(both.solution)
            exec(compile(both.solution, f"{path.name}:{cell.line}", "exec"), space)
        elif tag == "probe":
            question.secrets, question.probe, question.compared = _parted(source, cell.line)
        elif tag == "mistakes":
            question.mistakes = source
        else:
            raise markup.MarkupError(
                f"a cell of a lab is tagged draw, answer, public, look, probe or mistakes, not {tag!r}", cell.line
            )
    for question in lab.questions:
        if not question.solution:
            raise markup.MarkupError(f"the question {question.name!r} has no answer cell", 1)
        if not question.probe:
            question.probe = "def probe(given, secrets):\n" + "".join(
                f"    yield {part!r}, getattr(given, {part!r})\n" for part in question.points
            )
        for mistake, way in ways(mistakes_of(question.mistakes)):
            try:
                wrong = Source(question.solution).edited(way)
            except NotHereError as error:
                if not question.secrets:
                    continue  # with this class's numbers it is no mistake
                raise markup.MarkupError(
                    f"{question.name}: the mistake {mistake.name!r} finds nothing to change at {error}", 1
                ) from None
            question.slips.append((mistake.name, mistake.message, wrong))
    lab.reference = "\n\n".join(reference)
    return lab


def mistakes_of(text: str) -> list[Mistake]:
    """The known mistakes of a question, as its master's cell tells them."""
    told: dict[str, Any] = {"known": ""}
    exec(text, told)  # the master's own text
    return known(told["known"]) if text else []


def _filled(text: str, space: dict[str, Any], line: int) -> str:
    def value(found: re.Match[str]) -> str:
        try:
            made = eval(found[1], space)
        except Exception as error:
            raise markup.MarkupError(f"<<{found[1]}>> cannot be computed: {error}", line) from error
        return str(made)

    return re.sub(r"<<(.+?)>>", value, text)


def _words(lines: list[str], line: int) -> list[Piece]:
    pieces: list[Piece] = []
    plain: list[str] = []
    first = line

    def close() -> None:
        if any(row.strip() for row in plain):
            pieces.append(Piece("words", "\n".join(plain).strip("\n"), first))
        plain.clear()

    at = line
    for part in markup.parts(lines, line):
        if isinstance(part, markup.Directive) and part.name == "question":
            close()
            pieces.append(Piece("question", "\n".join(part.body).strip("\n"), part.body_line, _question(part)))
            at = first = part.body_line + len(part.body) + 1
        elif isinstance(part, markup.Directive):
            raise markup.MarkupError(f"a lab has no directive {{{part.name}}}, only {{question}}", part.line)
        else:
            plain.append(part)
            at += 1
    close()
    return pieces


def _question(part: markup.Directive) -> Question:
    options = dict(part.options)
    name, minutes, points = (options.pop(key, "") for key in ("name", "minutes", "points"))
    uses = tuple(filter(None, (item.strip() for item in options.pop("uses", "").split(","))))
    if options or not part.argument or not re.fullmatch(r"[a-z][a-z-]*", name) or not minutes.isdigit():
        raise markup.MarkupError(
            "{question} needs a title, :name:, :minutes: and :points:, and may have :uses:", part.line
        )
    found = [re.fullmatch(r"([a-z_]+) ([1-9]\d?)", item.strip()) for item in points.split(",")]
    if not all(found):
        raise markup.MarkupError(f":points: is a list as in `eval 3, train 2`, not {points!r}", part.line)
    return Question(name, part.argument, int(minutes), {item[1]: int(item[2]) for item in found if item}, uses)


def _parted(source: str, line: int) -> tuple[str, str, dict[str, str]]:
    """The grader's part of a probe cell, the part for the learner's process, and in words what is compared."""
    mine: list[str] = []
    theirs: list[str] = []
    compared: dict[str, str] = {}
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "compared":
            compared = ast.literal_eval(node.value)
            continue
        name = getattr(node, "name", "")
        names.add(name)
        (mine if name == "secrets" else theirs).append(ast.get_source_segment(source, node) or "")
    if "probe" not in names:
        raise markup.MarkupError("a probe cell defines probe(given, secrets)", line)
    return "\n\n".join(mine), "\n\n\n".join(theirs), compared
