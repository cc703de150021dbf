"""Every exercise of the book: its solution passes its check, and its starter fails with a message that helps.

An exercise leans on earlier cells of its chapter, for imports and for what they define. The statements
that it needs, and no others, run before it.
"""

import ast
import builtins
import contextlib
import io
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from resnet_edu.checks import Feedback

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from directives import cells, exercise, parts, predict, split  # noqa: E402

CHAPTERS = sorted((ROOT / "book").glob("[0-9]*.md"))
CLINIC = ROOT / "book/clinic.md"


@cache
def code_of(chapter: Path) -> tuple[tuple[str, bool], ...]:
    """The chapter's code cells, each with whether it is an exercise."""
    found = cells(chapter.read_text(encoding="utf-8"))
    return tuple((cell.source, "exercise" in cell.tags) for cell in found if cell.kind == "code")


EXERCISES = [
    pytest.param(chapter, number, id=f"{chapter.stem}-{number}")
    for chapter in [*CHAPTERS, CLINIC]
    for number, (_, is_exercise) in enumerate(code_of(chapter))
    if is_exercise
]


def names(tree: ast.AST) -> tuple[set[str], set[str]]:
    """What a piece of code defines, and what it takes from elsewhere."""
    defined, used = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.alias):
            defined.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
    return defined, used - set(dir(builtins))


def leans_on(chapter: Path, number: int) -> list[str]:
    """The earlier statements that an exercise needs, in their order."""
    code = code_of(chapter)
    defined, used = names(ast.parse(code[number][0]))
    missing, needed = used - defined, []
    statements = [statement for source, _ in code[:number] for statement in ast.parse(source).body]
    for statement in reversed(statements):
        defines, takes = names(statement)
        # What a function or class defines inside, its arguments too, is nobody else's.
        gives = {statement.name} if isinstance(statement, ast.FunctionDef | ast.ClassDef) else defines
        if gives & missing:
            needed.append(ast.unparse(statement))
            missing = (missing - gives) | (takes - defines)
    return needed[::-1]


def run(chapter: Path, number: int, source: str) -> tuple[Any, str]:
    """The value of the cell's last line, and what the cell printed."""
    space: dict[str, Any] = {"__name__": "learner"}
    if chapter == CLINIC:
        torch.manual_seed(0)
        # In place of the network that the page has trained by then: its batch norm has the same fault.
        space["model"] = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10))
    printed = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()):
        for before in leans_on(chapter, number):
            exec(compile(before, str(chapter), "exec"), space)
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), space)
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), space) if last is not None else None
    return value, printed.getvalue()


@pytest.mark.parametrize(("chapter", "number"), EXERCISES)
def test_the_solution_passes_and_the_starter_fails_with_a_message_that_helps(chapter, number):
    both = split(code_of(chapter)[number][0])
    solved, printed = run(chapter, number, both.solution)
    begun, printed_first = run(chapter, number, both.starter)
    if isinstance(solved, Feedback):
        assert solved.passed, solved
        assert not begun.passed
        assert begun.mistake is not None, f"the starter is not understood: {begun}"
        assert len(begun.message.split()) > 8
        assert "Traceback" not in begun.message
    else:
        # Measured on the page: the cell itself says how it went, in words, whatever stands in it.
        assert printed.strip()
        assert printed_first.strip()
        assert printed != printed_first


#: A slip in the solution of an exercise whose check stands in its own cell, and what the check has to say about it.
SLIPS = [
    ("03_stem", "class BatchNorm", "correction=0)", "correction=1)", "divide by n, correction=0"),
    (
        "03_stem",
        "class BatchNorm",
        ".lerp_(mean, self.momentum)",
        ".lerp_(mean, 1 - self.momentum)",
        "wrong way around",
    ),
    ("03_stem", "class BatchNorm", "x.var((0, 2, 3)), self", "variance, self", "divides by n - 1, not by n"),
    ("03_stem", "class BatchNorm", "if self.training:", "if True:", "Eval mode changes the running statistics"),
    ("03_stem", "class BatchNorm", "if self.training:", "if False:", "use the batch's statistics in train mode"),
    ("03_stem", "class BatchNorm", "weight * (x - mean)", "(x - mean)", "scale by weight"),
    ("03_stem", "class BatchNorm", " + self.eps) + bias", " + self.eps)", "shift by bias"),
    ("03_stem", "class BatchNorm", "with torch.no_grad():", "if True:", "carry a gradient"),
    ("03_stem", "class BatchNorm", "with torch.no_grad():", "if False:", "leaves a running statistic as it was"),
    ("03_stem", "class BatchNorm", "torch.sqrt(variance + self.eps)", "(variance + self.eps)", "the root"),
    ("01_why_residuals", "factor = None", ", width=16", "", "factor of width 8"),
    ("01_why_residuals", "factor = None", "factor = wide", "factor = 1 / wide", "Turn it around"),
    ("01_why_residuals", "factor = None", "[0] / wide", "[:1] or wide", "one number"),
    ("13_training", "def rate", "(step + 1) / max", "step / max", "from 1"),
    ("13_training", "def rate", " * min(1.0, (step + 1) / max(warmup, 1))", "", "the warm-up is missing"),
    ("13_training", "def rate", "min(1.0, (step + 1) / max(warmup, 1))", "(step + 1) / max(warmup, 1)", "stop it at 1"),
    ("13_training", "def rate", "(1 - step / total) * ", "", "the fall is missing"),
    (
        "13_training",
        "net = make_model",
        "    loss.backward()\n    sgd",
        "    loss.backward()\n    sgd.zero_grad()\n    sgd",
        "not between",
    ),
    ("09_resnet", "def first_difference", "zip_longest(left, right)", "zip(left, right)", "one row too many"),
    ("09_resnet", "def first_difference", "return mine, other", "return True", "a shape that differs"),
]


#: Each ward of the clinic, and what is said of its broken code: the name of the mistake, or words of its own cell.
WARDS = [
    "stride-ignored",
    "projection-without-batch-norm",
    "batch-norm-shared",
    "overwritten-for-backward",
    "relu-before-addition",
    "an answer depends on its neighbors",
    "it was added to it",
    "relu-gain-forgotten",
    "features-do-not-fit",
    "softmax-inside",
]
WARD = re.compile(r"^### (\d+) · ", re.MULTILINE)


def wards() -> list[str]:
    """The text of each ward, in order."""
    text = CLINIC.read_text(encoding="utf-8").split("\n## Which ward first?")[0]
    pieces = WARD.split(text)
    assert pieces[1::2] == [str(number) for number in range(1, 11)]
    return pieces[2::2]


@pytest.mark.parametrize("number", range(1, 11))
def test_a_ward_measures_its_symptom_answers_wrong_diagnoses_and_has_one_repair(number):
    found = cells(wards()[number - 1])
    code = [cell for cell in found if cell.kind == "code"]
    assert any("hide-input" in cell.tags for cell in code)  # the symptom
    assert any("test" in cell.tags and "assert" in cell.source for cell in code)  # is as the page says
    assert sum("exercise" in cell.tags for cell in code) == 1
    asked = [
        predict(part)
        for cell in found
        if cell.kind == "markdown"
        for part in parts(cell.source.splitlines(), cell.line)
        if not isinstance(part, str) and part.name == "predict"
    ]
    [diagnosis] = asked
    assert sum(choice.correct for choice in diagnosis.choices) == 1
    assert len(diagnosis.choices) >= 3
    assert all(choice.feedback for choice in diagnosis.choices if not choice.correct)
    assert diagnosis.why


@pytest.mark.parametrize(("ward", "said"), list(enumerate(WARDS, start=1)))
def test_what_is_broken_in_a_ward_is_called_by_its_name(ward, said):
    number = [number for number, (_, is_exercise) in enumerate(code_of(CLINIC)) if is_exercise][ward - 1]
    begun, printed = run(CLINIC, number, split(code_of(CLINIC)[number][0]).starter)
    if isinstance(begun, Feedback):
        assert begun.mistake == said
    else:
        assert said in printed


@pytest.mark.parametrize(("name", "start", "right", "wrong", "said"), SLIPS)
def test_a_check_in_a_cell_names_the_likely_mistakes(name, start, right, wrong, said):
    chapter = ROOT / "book" / f"{name}.md"
    [number] = [n for n, (source, tagged) in enumerate(code_of(chapter)) if tagged and start in source]
    solution = split(code_of(chapter)[number][0]).solution
    assert right in solution
    assert said in run(chapter, number, solution.replace(right, wrong))[1]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_a_chapter_has_two_to_five_exercises_with_hints(chapter):
    found = []
    for cell in cells(chapter.read_text(encoding="utf-8")):
        if cell.kind == "markdown":
            for part in parts(cell.source.splitlines(), cell.line):
                if not isinstance(part, str) and part.name == "exercise":
                    found.append(exercise(part))
                    assert any("{hint}" in line for line in part.body), f"{found[-1].title} has no hint"
    assert 2 <= len(found) <= 5
    for one in found:
        assert one.minutes <= 60


def test_an_exercise_runs_after_the_statements_that_it_needs_and_no_others(tmp_path):
    chapter = tmp_path / "00_one.md"
    page = "---\nkernelspec: {name: python3}\n---\n"
    for source in ("import math", "raise RuntimeError('not needed')", "root = math.sqrt(4)", "print(root)"):
        page += f"\n```{{code-cell}} python\n{source}\n```\n"
    chapter.write_text(page)
    assert leans_on(chapter, 3) == ["import math", "root = math.sqrt(4)"]
    assert run(chapter, 3, "print(root)\nroot + 1") == (3.0, "2.0\n")
