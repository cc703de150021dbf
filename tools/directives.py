"""The markup that chapters add to MyST Markdown, read in one place for the web page and for the notebook.

A chapter is front matter, Markdown, and code cells. Six directives are the book's own.

A question that the reader answers before looking:

    :::{predict} How many pixels a side leave the stem for a 224-pixel image?
    :answer: 56
    :unit: pixels

    - 112: That is after the convolution. The max-pool halves once more.
    - hint: Count the strides.
    - why: 224 → 112 in the convolution, 112 → 56 in the max-pool.
    :::

`:type:` is `number` (without it), `choice`, `multiple` or `order`. The body is one Markdown list:

- number: `- 112: what went wrong` for each wrong value; `:answer:`, and if need be `:tolerance:` and `:unit:`.
- choice and multiple: `- [x] right` and `- [ ] wrong`; what to say about it is an indented paragraph below.
- order: `1. first`, `2. second`, … in the right order; `- 2 1 3: what went wrong` for a wrong order.
- all: `- hint: …`, as often as you like, and `- why: …`, the explanation that comes with the answer.
- all: `:masks: 56 | 56×56`, what the page says above the question and would give the answer away: title, prose and
  labels in pictures are covered there until the reader has answered or asked to see.

An exercise, with hints inside it, and a solution inside it if the answer is prose:

    ::::{exercise} Write the block
    :minutes: 8
    :difficulty: 2

    What to do.

    :::{hint} Where the stride goes
    In the first convolution.
    :::
    ::::

`:difficulty:` is 1, 2 or 3; `:kind:` may say write, predict, repair, explain or measure. An exercise in code is
followed by one code cell with the tag `exercise`. It holds the solution; `split` makes the starter from it.

The list of chapters is one line for each, `- 03_stem: what you build`, in a `:::{chapters}`; its number comes from
the file's name and its question from the file's title, as everywhere in the book.
A `:::{doors}` holds links for the first page, which stand there as buttons.

A chapter that breaks these rules raises MarkupError with the line at which it does. Needs nothing but PyYAML.

Why not a library: jupytext reads cells but forgets their lines, which an author needs with an error, and
MyST-Parser hands directives to Sphinx, which the notebooks have to do without.
"""

import ast
import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import yaml

QUESTIONS = ("number", "choice", "multiple", "order")
KINDS = ("write", "predict", "repair", "explain", "measure")
DIFFICULTIES = ("easy", "medium", "hard")


class MarkupError(ValueError):
    """Markup that cannot be read: what is wrong, what is expected, and the line (counted from 1)."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(f"line {line}: {problem}")
        self.problem, self.line = problem, line


# ---------------------------------------------------------------------------------------------- chapters


@dataclass(frozen=True)
class Cell:
    """A stretch of Markdown (`kind` "markdown") or a code cell ("code"); `line` is where its source begins."""

    kind: str
    source: str
    line: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Directive:
    """A fenced directive: its name, the words after the name, its options, and its body, unread."""

    name: str
    argument: str
    options: dict[str, str]
    body: list[str]
    line: int
    body_line: int


FENCE = re.compile(r"^(?P<indent> *)(?P<fence>:{3,}|`{3,}|~{3,})\s*(?P<info>.*)$")
NAME = re.compile(r"^\{(?P<name>[^}\s]+)\}\s*(?P<argument>.*)$")


def front_matter(text: str) -> tuple[dict, int]:
    """The YAML between the leading `---` lines, and the number of lines that it takes."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != "---":
        return {}, 0
    for end, line in enumerate(lines[1:], 1):
        if line.strip() == "---":
            try:
                return yaml.safe_load("\n".join(lines[1:end])) or {}, end + 1
            except yaml.YAMLError as error:
                raise MarkupError(f"the front matter is not valid YAML: {error}", 1) from None
    raise MarkupError("the front matter opens with --- and never closes", 1)


def is_notebook(text: str) -> bool:
    """Whether a Markdown file names a kernel, and so has cells to run."""
    return "kernelspec" in front_matter(text)[0]


def cells(text: str) -> list[Cell]:
    """The Markdown and the code cells of a chapter, in order, without its front matter."""
    _, start = front_matter(text)
    lines = text.splitlines()
    found: list[Cell] = []
    first = at = start  # the lines of the Markdown that is being read, counted from 0

    def close() -> None:
        blank = len(list(takewhile(lambda line: not line.strip(), lines[first:at])))
        if first + blank < at:
            found.append(Cell("markdown", "\n".join(lines[first + blank : at]).rstrip(), first + blank + 1))

    for part in parts(lines[start:], start + 1):
        if isinstance(part, Directive):
            end = part.body_line + len(part.body)
            if part.name == "code-cell":
                close()
                found.append(_code_cell(part))
                first = end
            at = end
        else:
            if part.startswith("+++"):  # MyST's break between two Markdown cells
                close()
                first = at + 1
            at += 1
    close()
    return found


def parts(lines: list[str], first: int) -> Iterator[str | Directive]:
    """The lines, with each directive taken together; fenced code that is no directive stays lines.

    `first` is the line number of the first of them in its file.
    """
    at = 0
    while at < len(lines):
        opening = FENCE.match(lines[at])
        named = NAME.match(opening["info"]) if opening else None
        if opening is None:
            yield lines[at]
            at += 1
            continue
        fence = opening["fence"]
        if fence[0] == ":" and named is None:
            raise MarkupError(
                f"{lines[at].strip()!r} closes nothing. The fence around a directive needs more colons than "
                "those inside it.",
                first + at,
            )
        closing = re.compile(rf"^ *{re.escape(fence[0])}{{{len(fence)},}}\s*$")
        end = next((i for i in range(at + 1, len(lines)) if closing.match(lines[i])), None)
        if end is None:
            raise MarkupError(f"{lines[at].strip()!r} is never closed by {fence}", first + at)
        if named is None:
            yield from lines[at : end + 1]
        else:
            indent = len(opening["indent"])
            body = [line[indent:] if not line[:indent].strip() else line.lstrip() for line in lines[at + 1 : end]]
            options, taken = _options(named["name"], body, first + at + 1)
            yield Directive(
                named["name"], named["argument"].strip(), options, body[taken:], first + at, first + at + 1 + taken
            )
        at = end + 1


def _options(name: str, body: list[str], line: int) -> tuple[dict[str, str], int]:
    """The `:key: value` lines, or the YAML between two `---`, at the head of a body, and how many lines they take."""
    options: dict[str, str] = {}
    taken = 0
    if body and body[0].strip() == "---":
        end = next((i for i, row in enumerate(body[1:], 1) if row.strip() == "---"), None)
        if end is None:
            raise MarkupError(f"the options of {{{name}}} open with --- and never close", line)
        given = yaml.safe_load("\n".join(body[1:end])) or {}
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}, end + 1
    for row in takewhile(lambda row: re.match(r":[\w-]+:", row), body):
        key, value = row[1:].split(":", 1)
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if key in options:
            raise MarkupError(f"{{{name}}} has the option :{key}: twice", line + taken)
        options[key] = value
        taken += 1
    return options, taken


def _code_cell(directive: Directive) -> Cell:
    tags: tuple[str, ...] = ()
    if "tags" in directive.options:
        value = yaml.safe_load(directive.options["tags"])
        if not isinstance(value, list):
            raise MarkupError(
                f":tags: is a list, as in [exercise], not {directive.options['tags']!r}", directive.line + 1
            )
        tags = tuple(str(tag) for tag in value)
    body, line = directive.body, directive.body_line
    while body and not body[0].strip():
        body, line = body[1:], line + 1
    return Cell("code", "\n".join(body).rstrip(), line, tags)


# --------------------------------------------------------------------------------------------- questions


@dataclass(frozen=True)
class Choice:
    """One thing to choose or to put in order: `key` counts from 1 as written, in the right order for "order"."""

    key: int
    text: str
    correct: bool
    feedback: str = ""


@dataclass(frozen=True)
class Prediction:
    """A question and all that the page can say about an answer. Texts are Markdown, numbers stand as written.

    `answer` is a number, the key of the right choice, or the keys of several, in order for "order".
    """

    prompt: str
    type: str
    answer: str
    tolerance: str = "0"
    unit: str = ""
    choices: tuple[Choice, ...] = ()
    wrong: tuple[tuple[str, str], ...] = ()  # a wrong value or order, and what to say to it
    hints: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    shuffled: tuple[Choice, ...] = field(default=(), compare=False)  # "order": as the reader first sees them


def predict(directive: Directive) -> Prediction:
    """Read a `predict` directive.

    >>> question = predict(Directive("predict", "2 + 2?", {"answer": "4"}, ["- 5: Count again."], 1, 3))
    >>> question.type, question.answer, question.wrong
    ('number', '4', (('5', 'Count again.'),))
    """
    line, options = directive.line, dict(directive.options)
    if not directive.argument:
        raise MarkupError("{predict} needs its question on the same line: :::{predict} How many …?", line)
    kind = options.pop("type", "number")
    if kind not in QUESTIONS:
        raise MarkupError(f":type: is one of {', '.join(QUESTIONS)}, not {kind!r}", line)
    allowed = ("answer", "tolerance", "unit") if kind == "number" else ()
    masks = tuple(word.strip() for word in options.pop("masks", "").split("|") if word.strip())
    for key in options:
        if key not in allowed:
            raise MarkupError(
                f"a {kind} question has no option :{key}: (it may have {_listed((*allowed, 'type', 'masks'))})", line
            )
    rows = list(_items(directive.body, directive.body_line))
    hints = tuple(text for mark, head, text, _ in rows if mark == "-" and head == "hint")
    why = tuple(text for mark, head, text, _ in rows if mark == "-" and head == "why")
    rows = [row for row in rows if not (row[0] == "-" and row[1] in ("hint", "why"))]
    shared = {"prompt": directive.argument, "type": kind, "hints": hints, "why": why, "masks": masks}
    if kind == "number":
        return _number(options, rows, shared, line)
    if kind == "order":
        return _order(rows, shared, line)
    return _choices(rows, shared, line)


def _items(body: list[str], line: int) -> Iterator[tuple[str, str, str, int]]:
    """The items of a list as (mark, head, text, line): mark "-" or "1."; head is what stands before the first ": "."""
    item: list[str] = []
    start = line
    mark = ""

    def read() -> tuple[str, str, str, int]:
        text = "\n".join(item).strip()
        head, colon, rest = text.partition(":")
        if mark == "-" and colon and re.fullmatch(r"hint|why|[-+−]?[\d][\d.,_ e+-]*", head.strip()):
            return mark, head.strip(), rest.strip(), start
        return mark, "", text, start

    for number, row in enumerate(body, line):
        opening = re.match(r"^([-*]|\d+[.)])\s+(.*)$", row)
        if opening:
            if mark:
                yield read()
            mark = "-" if opening[1] in "-*" else "1."
            item, start = [opening[2]], number
        elif not row.strip() or (mark and row.startswith(" ")):
            item.append(row.strip() if not row.strip() else re.sub(r"^ {1,4}", "", row))
        else:
            raise MarkupError(f"the body of {{predict}} is one list; this line is outside it: {row.strip()!r}", number)
    if mark:
        yield read()


def _value(text: str, line: int) -> float:
    try:
        return float(plain_number(text))
    except ValueError:
        raise MarkupError(
            f"{text!r} is not a number; a number question takes values such as 56, 0.25 or 11,689,512", line
        ) from None


def plain_number(text: str) -> str:
    """A number as a program reads it: `11,689,512` → `11689512`, with an ordinary minus sign."""
    return re.sub(r"[,_ ]", "", text).replace("−", "-")


def _number(options: dict[str, str], rows: list, shared: dict, line: int) -> Prediction:
    if "answer" not in options:
        raise MarkupError("a number question needs :answer:", line)
    answer, tolerance = _value(options["answer"], line), _value(options.get("tolerance", "0"), line)
    if tolerance < 0 or not math.isfinite(answer):
        raise MarkupError(":answer: is finite and :tolerance: is not negative", line)
    wrong = []
    for mark, head, text, at in rows:
        if mark != "-" or not head or not text:
            raise MarkupError(f"expected `- value: what went wrong`, `- hint: …` or `- why: …`, got {text!r}", at)
        if abs(_value(head, at) - answer) <= tolerance:
            raise MarkupError(f"{head} is listed as wrong, but it is the answer", at)
        wrong.append((head, text))
    _distinct([plain_number(head) for head, _ in wrong], line)
    return Prediction(
        **shared,
        answer=options["answer"],
        tolerance=options.get("tolerance", "0"),
        unit=options.get("unit", ""),
        wrong=tuple(wrong),
    )


def _choices(rows: list, shared: dict, line: int) -> Prediction:
    choices = []
    for key, (_, head, text, at) in enumerate(rows, 1):
        box = re.match(r"\[( |x|X)\]\s+(.*)", text, re.DOTALL)
        if head or box is None:
            raise MarkupError(f"expected `- [x] right` or `- [ ] wrong`, got {(head or text)!r}", at)
        said, _, feedback = box[2].partition("\n\n")
        choices.append(Choice(key, said.strip(), box[1] != " ", feedback.strip()))
    right = [str(choice.key) for choice in choices if choice.correct]
    if len(choices) < 2:
        raise MarkupError("a question to choose from needs at least two items", line)
    if not right or (shared["type"] == "choice" and len(right) > 1):
        raise MarkupError(
            f"a {shared['type']} question needs {'one item' if shared['type'] == 'choice' else 'at least one item'} "
            f"marked [x], got {len(right)}",
            line,
        )
    return Prediction(**shared, answer=" ".join(right), choices=tuple(choices))


def _order(rows: list, shared: dict, line: int) -> Prediction:
    texts = [text for mark, _, text, _ in rows if mark == "1."]
    if len(texts) < 2:
        raise MarkupError("an order question needs at least two numbered items", line)
    choices = tuple(Choice(key, text, True) for key, text in enumerate(texts, 1))
    right = [choice.key for choice in choices]
    wrong = []
    for mark, head, text, at in rows:
        if mark == "1.":
            continue
        keys = [int(word) for word in head.split() if word.isdigit()]
        if sorted(keys) != right or keys == right or not text:
            raise MarkupError(
                f"expected a wrong order of 1 to {len(right)}, as in `- 2 1{' 3' if len(right) > 2 else ''}: …`, "
                f"got {(head or text)!r}",
                at,
            )
        wrong.append((" ".join(map(str, keys)), text))
    _distinct([head for head, _ in wrong], line)
    # Fixed, so that a rebuilt page is the same page, and never the right order.
    shuffled = sorted(choices, key=lambda choice: hashlib.sha256(choice.text.encode()).digest())
    if [choice.key for choice in shuffled] == right:
        shuffled.reverse()
    return Prediction(
        **shared,
        answer=" ".join(map(str, right)),
        choices=choices,
        wrong=tuple(wrong),
        shuffled=tuple(shuffled),
    )


def _distinct(heads: list[str], line: int) -> None:
    twice = {head for head in heads if heads.count(head) > 1}
    if twice:
        raise MarkupError(f"the wrong answer {_listed(sorted(twice))} is listed twice", line)


def _listed(words: tuple[str, ...] | list[str]) -> str:
    return ", ".join(words)


# ---------------------------------------------------------------------------------- the list of chapters


def chapter_number(name: str) -> int | None:
    """The number of a chapter, which its file's name begins with; other pages have none.

    >>> chapter_number("book/04_basic_block.md"), chapter_number("book/checker")
    (4, None)
    """
    found = re.match(r"(\d+)_", name.rpartition("/")[2])
    return int(found[1]) if found else None


def title_of(path: Path) -> str:
    """The title of a page, as its source says it, without a number."""
    found = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise MarkupError(f"{path.name} has no title, a line that begins with one #", 1)
    return found[1].strip()


def chapters(directive: Directive, folder: Path) -> str:
    """The list of chapters as a table in Markdown, in the order of their numbers."""
    rows: list[tuple[int, str]] = []
    for number, row in enumerate(directive.body, directive.body_line):
        if not row.strip():
            continue
        found = re.fullmatch(r"- ([\w-]+): (.+)", row.strip())
        if found is None:
            raise MarkupError(f"expected `- 03_stem: what you build`, got {row.strip()!r}", number)
        path = folder / f"{found[1]}.md"
        if chapter_number(found[1]) is None or not path.exists():
            raise MarkupError(f"{path.name} is no chapter: it has no number, or there is no such file", number)
        rows.append((chapter_number(found[1]) or 0, f"[{title_of(path)}]({path.name}) | {found[2]}"))
    numbers = [number for number, _ in rows]
    if len(set(numbers)) < len(numbers):
        raise MarkupError("a chapter is listed twice", directive.line)
    table = [f"| {number} | {text} |" for number, text in sorted(rows)]
    return "\n".join(["| no. | the question | what you build |", "|--:|---|---|", *table])


# --------------------------------------------------------------------------------------------- exercises


@dataclass(frozen=True)
class Exercise:
    """What stands at the head of an exercise."""

    title: str
    minutes: int
    difficulty: int
    kind: str = ""

    @property
    def summary(self) -> str:
        """As in "8 minutes · medium"."""
        minutes = f"{self.minutes} minute{'' if self.minutes == 1 else 's'}"
        return " · ".join([minutes, DIFFICULTIES[self.difficulty - 1], *([self.kind] if self.kind else [])])


def exercise(directive: Directive) -> Exercise:
    """Read the head of an `exercise` directive.

    >>> exercise(Directive("exercise", "Write it", {"minutes": "8", "difficulty": "2"}, [], 1, 4)).summary
    '8 minutes · medium'
    """
    line, options = directive.line, dict(directive.options)
    if not directive.argument:
        raise MarkupError("{exercise} needs a title on the same line: ::::{exercise} Write the block", line)
    minutes, difficulty = options.pop("minutes", ""), options.pop("difficulty", "")
    kind = options.pop("kind", "")
    if options:
        raise MarkupError(f"{{exercise}} has no option :{next(iter(options))}: (minutes, difficulty, kind)", line)
    if not minutes.isdigit() or int(minutes) < 1:
        raise MarkupError(f"{{exercise}} needs :minutes: as a whole number from 1, got {minutes!r}", line)
    if difficulty not in ("1", "2", "3"):
        raise MarkupError(f"{{exercise}} needs :difficulty: 1, 2 or 3, got {difficulty!r}", line)
    if kind and kind not in KINDS:
        raise MarkupError(f":kind: is one of {', '.join(KINDS)}, not {kind!r}", line)
    return Exercise(directive.argument, int(minutes), int(difficulty), kind)


@dataclass(frozen=True)
class Split:
    """The two faces of an exercise's code cell."""

    starter: str
    solution: str


def cell_id(kind: str, source: str) -> str:
    """The id of a notebook's cell, of kind "code" or "markdown": made from its content, so that it stays when cells
    around it change, and a page can link to a cell of the notebook that lies beside it.

    >>> cell_id("code", "f(2)") == cell_id("code", "f(2)") != cell_id("code", "f(3)")
    True
    """
    return hashlib.sha256(f"{kind}\0{source}".encode()).hexdigest()[:12]


TURN = "...  # your turn"
MARKER = re.compile(r"^(?P<indent>\s*)# (?P<word>solution|broken|end solution)\s*$")


def split(source: str, line: int = 1) -> Split:
    """Split the code of an exercise, which holds the solution, into what the learner gets and the solution.

    `# solution` opens what the learner writes. It ends before the first line with less indentation, or at
    `# end solution`; the rest of the cell stands in both.

    >>> both = split("def double(x):\\n    # solution\\n    return 2 * x\\n\\nprint(double(2))")
    >>> print(both.starter)
    def double(x):
        ...  # your turn
    <BLANKLINE>
    print(double(2))
    >>> print(both.solution)
    def double(x):
        return 2 * x
    <BLANKLINE>
    print(double(2))

    To repair something, put the broken code between `# broken` and `# solution`, as comments `#| code`:

    >>> print(split("# broken\\n#| x = 1\\n# solution\\nx = 2\\n# end solution\\nprint(x)").starter)
    x = 1
    print(x)
    """
    starter: list[str] = []
    solution: list[str] = []
    where = ""  # in which stretch the line stands: "", "broken" or "solution"
    indent = ""
    repair = found = False
    for number, row in enumerate(source.splitlines(), line):
        marker = MARKER.match(row)
        if marker:
            word = marker["word"]
            if (word, where) not in (
                ("broken", ""),
                ("solution", ""),
                ("solution", "broken"),
                ("end solution", "solution"),
            ):
                raise MarkupError(f"# {word} cannot stand {f'inside # {where}' if where else 'here'}", number)
            if word == "solution":
                found = True
                if where != "broken":
                    starter.append(f"{marker['indent']}{TURN}")
            repair = word == "broken"
            where = "" if word == "end solution" else word
            indent = marker["indent"]
            continue
        if where == "broken":
            code = re.match(r"^(\s*)#\| ?(.*)$", row)
            if code is None:
                raise MarkupError(f"between # broken and # solution each line is `#| code`, got {row!r}", number)
            starter.append((code[1] + code[2]).rstrip())
            continue
        if where == "solution" and row.strip() and len(row) - len(row.lstrip()) < len(indent):
            # The blank lines before this one belong to it.
            blank = len(list(takewhile(lambda text: not text.strip(), reversed(solution))))
            starter.extend([""] * blank)
            where = ""
        solution.append(row)
        if where != "solution":
            starter.append(row)
    if repair:
        raise MarkupError("# broken needs a # solution after it", line)
    if not found:
        raise MarkupError("a cell tagged exercise needs a line `# solution` above what the learner writes", line)
    both = Split("\n".join(starter).strip("\n"), "\n".join(solution).strip("\n"))
    for name, code in (("starter", both.starter), ("solution", both.solution)):
        try:
            ast.parse(code)
        except SyntaxError as error:
            raise MarkupError(
                f"the {name} of this exercise is not valid Python ({error.msg}): {error.text!r}", line
            ) from None
    return both
