"""The student's notebook: words, starters and public checks. What makes an answer right stays behind."""

from pathlib import Path
from typing import Any

import directives as markup
import nbformat
import notebooks

from grading.master import ROOT, Lab, Piece

SETUP = """\
#@title Set up: run me first
import math

import torch
from torch import nn
from torch.nn import functional as F

print("PyTorch", torch.__version__, "is here. Nothing else is needed.")
"""
INTRODUCTION = """\
# {title}

{minutes} minutes, {points} points. Every number of this lab is drawn for your class.

**How it is graded.** Your code is run with weights and inputs that nobody knows beforehand, and the numbers that come
out are compared. So keep the names that a question gives, of classes, arguments and attributes. Only torch, numpy and
matplotlib are there: `resnet_edu` and `torchvision` are not. Further cells of your own are welcome; lines that
begin with `!` or `%` are left out.

**How to hand it in.** Run all cells from the top once (*Runtime → Restart and run all*), then *File → Download →
Download .ipynb*, and upload that one file. The checks below the questions look at shapes and a few numbers. They give
no points.
"""


def student(lab: Lab) -> str:
    """The notebook as the text of its file."""
    book = notebooks.Book.read(ROOT)
    page = notebooks.Chapter(book, lab.path)
    points = sum(sum(question.points.values()) for question in lab.questions)
    cells = [_words(INTRODUCTION.format(title=lab.title, minutes=lab.minutes, points=points)), _code(SETUP, "setup")]
    number = 0
    for piece in lab.pieces:
        if piece.kind in ("words", "question"):
            text = page.markdown(piece.text.splitlines(), piece.line)
            if piece.kind == "question":
                number += 1
                text = f"{_head(piece, number)}\n\n{text}"
            text = text.removeprefix(f"# {lab.title}").strip("\n")
            if text:
                cells.append(_words(text))
        else:
            cells.append(_code(piece.text, piece.kind, piece.question.name if piece.question else ""))
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


def _head(piece: Piece, number: int) -> str:
    question = piece.question
    assert question is not None
    points = sum(question.points.values())
    return f"## Question {number}: {question.title}\n\n*{question.minutes} minutes · {points} points*"


def _words(text: str) -> Any:
    return nbformat.v4.new_markdown_cell(text.strip("\n"))


def _code(source: str, role: str, question: str = "") -> Any:
    tags = {"role": role, **({"question": question} if question else {})}
    return nbformat.v4.new_code_cell(source.rstrip(), metadata={"lab": tags})


def write(lab: Lab, path: Path) -> None:
    """Write the notebook to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(student(lab), encoding="utf-8")
