"""What a student handed in: one file per student, read without running or trusting any of it."""

import json
import os
import re
import stat
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path

#: Bytes. A lab's notebook with its plots has a hundred thousand.
LARGEST = 5_000_000
CELLS = 400
#: What a cell is for, by its first line: a copied cell has lost its metadata.
FIRST_LINES = {
    "answer": r"# Your answer to question \d+ \(([a-z-]+)\)",
    "public": r"# A check of question \d+ ",
    "look": r"# Run me and look: ",
}


class NotANotebookError(Exception):
    """Why this cannot be graded, in a sentence for the student."""


@dataclass(frozen=True)
class Submission:
    """The code of a notebook, and the mark of the class it was made for ("" where it says nothing).

    Cells are named by their number among the code cells: `cell.4`, or `check.4` where the lab brought it along.
    `answers` tells in which cell the answer to a question stands.
    """

    cells: tuple[tuple[str, str], ...]
    lab: str
    mark: str
    answers: dict[str, str] = field(default_factory=dict)

    def without(self, skipped: Container[str] = (), checks: bool = False) -> list[list[str]]:
        """The cells to run: an empty one in place of each skipped one, and the lab's checks only where asked for."""
        return [
            [name, "pass" if name in skipped else source]
            for name, source in self.cells
            if checks or not name.startswith("check.")
        ]


def students(folder: Path) -> dict[str, Path]:
    """Each student's name and what lies there for them: a file, or a folder, as course systems pack them."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if _counts(path):
            name = path.name if path.is_dir() else path.stem
            found[name if name not in found else path.name] = path  # two files of one name are two rows
    return found


def _counts(path: Path) -> bool:
    return not path.name.startswith((".", "__MACOSX"))


def found(place: Path) -> Path:
    """The one notebook of a student. Raises NotANotebookError where there is none, or a choice."""
    if place.is_symlink():
        raise NotANotebookError("This is a link, not a file.")
    if not place.is_dir():
        return place
    here = [
        path for path in sorted(place.rglob("*.ipynb")) if not any(not _counts(Path(part)) for part in path.parts[-2:])
    ]
    if len(here) != 1:
        raise NotANotebookError(f"There are {len(here)} notebooks in this folder. Hand in one file, the .ipynb.")
    return here[0]


def read(place: Path) -> Submission:
    """The code cells of a submission. Raises NotANotebookError."""
    path = found(place)
    try:
        # A name may be a pipe or a device: open only what is a plain file, and no link.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise NotANotebookError(f"The file cannot be opened: {error.strerror}.") from None
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise NotANotebookError("This is not a file.")
        if about.st_size > LARGEST:
            raise NotANotebookError(
                f"The file has {about.st_size / 1e6:,.0f} MB, more than {LARGEST / 1e6:g}. Clear large outputs and "
                "hand it in again."
            )
        data = file.read(LARGEST + 1)
    return read_text(data.decode("utf-8", errors="replace"))


def read_text(text: str) -> Submission:
    """The code cells of a notebook's text. Raises NotANotebookError."""
    try:
        notebook = json.loads(text)
        cells = notebook["cells"]
        sources = [(_source(cell), *_role(cell)) for cell in cells if cell["cell_type"] == "code"]
        about_it = notebook["metadata"].get("lab", {}) if isinstance(notebook.get("metadata"), dict) else {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NotANotebookError(
            "This is no Jupyter notebook. In Colab: File → Download → Download .ipynb, and hand in that file."
        ) from None
    if len(sources) > CELLS:
        raise NotANotebookError(f"The notebook has {len(sources)} code cells, more than {CELLS}.")
    named, answers = [], {}
    for number, (source, role, question) in enumerate(sources, 1):
        name = f"{'check' if role == 'public' else 'cell'}.{number}"
        if role != "look":
            named.append((name, runnable(source)))
        if role == "answer" and question:
            answers.setdefault(question, name)  # a copy of a cell, further down, is the student's own
    lab, mark = (about_it.get(key, "") if isinstance(about_it, dict) else "" for key in ("name", "mark"))
    return Submission(tuple(named), lab if isinstance(lab, str) else "", mark if isinstance(mark, str) else "", answers)


def _role(cell: dict) -> tuple[str, str]:
    """What a cell is for, and the question it answers: its metadata tell, or else its first line does."""
    tags = cell.get("metadata", {}).get("lab", {})
    if isinstance(tags, dict) and isinstance(tags.get("role"), str):
        return tags["role"], str(tags.get("question", ""))
    for role, line in FIRST_LINES.items():
        if found := re.match(line, _source(cell)):
            return role, found[1] if role == "answer" else ""
    return "", ""


def _source(cell: dict) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def runnable(source: str) -> str:
    """A cell without the lines that only a notebook understands.

    >>> runnable("%matplotlib inline\\nif True:\\n    !ls\\nx = 5 % 3")
    'pass\\nif True:\\n    pass\\nx = 5 % 3'
    """
    lines = [re.sub(r"^(\s*)[!%].*$", r"\1pass", line) for line in source.splitlines()]
    return "\n".join(lines).replace("\0", "")
