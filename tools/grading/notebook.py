"""The student's notebook: words, starters and public checks. What makes an answer right stays behind."""

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import directives as markup
import nbformat
import notebooks
from address import home, known

from grading.master import ROOT, SHOWN, Lab, Question

SETUP = """\
#@title Set up: run me first
import math
import traceback

import torch
from torch import nn
from torch.nn import functional as F


{helpers}


print("PyTorch", torch.__version__, "is here. Nothing else is needed.")
"""
INTRODUCTION = """\
# {title}

{minutes} minutes, {points} points. Every number of this lab is drawn for your class.

**How it is graded.** Your notebook is run from top to bottom{but}. Then your answers are run with weights and
inputs that nobody knows beforehand, and the numbers that come out are compared. So keep the names that a question
gives, of classes, arguments and attributes. Only torch, numpy and matplotlib are there when it is graded, even if
Colab has more. Lines that begin with `!` or `%` are left out.

**What counts.** A question's answer stands in its own cell, or in cells of yours between it and the next question.
What you define further down changes nothing, so you may use a name again. A question that is open, or that raises an
error, costs its own points and no others: what builds on it is graded with the right answer in its place, too.

**What a check says.** Below most questions a check prints ✓ or ✗, what it found, and what is expected. It gives no
points, and a row of ✓ is not yet a right answer: checks look at shapes, names and a few numbers. The grading looks at
more, such as other sizes, training mode and gradients.

**How to hand it in.** Run all cells from the top once (*Runtime → Restart and run all*), then *File → Download →
Download .ipynb*, and upload that one file. A file in which a cell stops with an error may be handed in.
"""
BUT = ", checks included, but for the long cell below *Now look*"
#: First lines that tell the reader, and the grader where a notebook has lost its metadata, what a cell is for.
ANSWER, CHECK = "# Your answer to question {number} ({name})", "# A check of question {number} ({name})"
LOOK = "# Run me and look: this takes a while, gives no points, and is not run in grading"


class Page(notebooks.Chapter):
    """A master whose links lead to the published book, and are plain words where nobody knows its address."""

    def _inline(self, found: re.Match[str], line: int) -> str:
        made = super()._inline(found, line)
        local = found["target"] and not re.match(r"[a-z]+:", found["target"])
        return found["text"] if local and not known(self.book.url) else made


def student(lab: Lab, url: str | None = None) -> str:
    """The notebook as the text of its file. Its links lead to the book of the repository at `url`."""
    url = home(ROOT)[0] if url is None else url
    page = Page(replace(notebooks.Book.read(ROOT), url=url), lab.path)
    cells = [_words(_introduction(lab)), _setup(lab)]
    number = 0
    for piece in lab.pieces:
        if piece.kind in ("words", "question"):
            text = page.markdown(piece.text.splitlines(), piece.line)
            if piece.kind == "question":
                number += 1
                text = f"{_head(piece.question, number)}\n\n{text}"
            text = text.removeprefix(f"# {lab.title}").strip("\n")
            if text:
                cells.append(_words(text))
        elif piece.kind == "answer":
            first = ANSWER.format(number=number, name=piece.question.name)
            cells.append(_code(f"{first}\n{piece.text}", "answer", piece.question.name))
        elif piece.kind == "public":
            first = CHECK.format(number=number, name=piece.question.name)
            cells.append(_code(f"{first}\n{piece.text}", "public"))
        else:
            cells.append(_code(f"{LOOK}\n{piece.text}" if piece.kind == "look" else piece.text, piece.kind))
    seen: dict[str, int] = {}
    for cell in cells:
        name = markup.cell_id(cell.cell_type, cell.source)
        seen[name] = seen.get(name, 0) + 1
        cell["id"] = name if seen[name] == 1 else f"{name}-{seen[name]}"
    made = nbformat.v4.new_notebook(
        cells=cells,
        metadata={
            "colab": {"name": f"{lab.name}.ipynb", "provenance": [], "toc_visible": True},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "lab": {"name": lab.name, "mark": lab.mark},
        },
    )
    nbformat.validate(made)
    return nbformat.writes(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _introduction(lab: Lab) -> str:
    points = sum(sum(question.points.values()) for question in lab.questions)
    looks = any(piece.kind == "look" for piece in lab.pieces)
    return INTRODUCTION.format(
        title=lab.title, minutes=lab.minutes, points=points, but=BUT if looks else ", checks included"
    )


def _head(question: Question, number: int) -> str:
    points = sum(question.points.values())
    return (
        f"## Question {number}: {question.title}\n\n"
        f"*{question.minutes} minutes · {points} {'point' if points == 1 else 'points'}*"
    )


def _setup(lab: Lab) -> Any:
    """The first cell: imports, and the helpers that this lab's checks call."""
    text = SHOWN.read_text(encoding="utf-8")
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    shown = "\n".join(piece.text for piece in lab.pieces if piece.kind in ("public", "look"))
    wanted, waiting = set(), [name for name in functions if f"{name}(" in shown]
    while waiting:
        name = waiting.pop()
        wanted.add(name)
        called = {node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)}
        waiting += called & functions.keys() - wanted
    helpers = [ast.get_source_segment(text, node) or "" for name, node in functions.items() if name in wanted]
    cell = _code(SETUP.format(helpers="\n\n\n".join(helpers)), "setup")
    cell.metadata.update({"cellView": "form", "jupyter": {"source_hidden": True}})
    return cell


def _words(text: str) -> Any:
    return nbformat.v4.new_markdown_cell(text.strip("\n"))


def _code(source: str, role: str, question: str = "") -> Any:
    tags = {"role": role, **({"question": question} if question else {})}
    return nbformat.v4.new_code_cell(source.rstrip(), metadata={"lab": tags})


def write(lab: Lab, path: Path) -> None:
    """Write the notebook to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(student(lab), encoding="utf-8")
