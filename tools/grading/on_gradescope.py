"""Runs on Gradescope, once for each submission, and writes what Gradescope shows."""

import json
import secrets as chance
from pathlib import Path
from typing import Any

from grading import grader, submission, walls

SAID = {"right": "agrees", "differs": "other numbers", "shape": "another shape", "missing": "nothing came back"}


def results(key: grader.Key, grade: grader.Grade) -> dict[str, Any]:
    """A grade in Gradescope's format: a test for each question."""
    tests = []
    for number, question in enumerate(key.questions, 1):
        name = question["name"]
        lines = [
            f"{question['compared'].get(part, part)}: {SAID[found.said]}. {found.hint}".rstrip()
            for part, found in grade.parts[name].items()
        ]
        most = sum(question["points"].values())
        if grade.points(name) < most:
            lines += grade.named.get(name, []) + grade.words.get(name, [])
        tests.append(
            {
                "name": question["title"],
                "number": str(number),
                "score": grade.points(name),
                "max_score": most,
                "output": "\n".join(lines),
                "visibility": "visible",
            }
        )
    cells = [f"{where}: {text}" for where, texts in grade.words.items() if where.startswith("cell ") for text in texts]
    return {"tests": tests, "output": "\n".join([*grade.remarks, *cells]), "stdout_visibility": "hidden"}


def main(root: Path, kind: str = "user") -> None:
    """Grade what lies in `submission`, write `results/results.json`."""
    raw = json.loads((root / "source" / "key.json").read_text(encoding="utf-8"))
    key = grader.Key(raw, chance.token_hex(16))
    wall = walls.choose(kind)
    try:
        grade = grader.grade(key, submission.read(root / "submission"), wall)
        if not grade.total:  # nothing right, or is it the machine?
            grader.prove(key, raw, wall)
    except submission.NotANotebookError as error:
        grade = key.blank()
        grade.remarks.append(str(error))
    (root / "results" / "results.json").write_text(json.dumps(results(key, grade), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(Path("/autograder"))
