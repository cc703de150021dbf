"""A whole class: each submission once, a row in a CSV and a page for each student, stopped and taken up again."""

import csv
import hashlib
import json
import os
import secrets as chance
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from grading import feedback, grader, naming, submission, walls


def grade_all(
    raw: dict[str, Any],
    folder: Path,
    into: Path,
    wall: walls.Wall,
    bounds: walls.Limits = walls.Limits(),  # noqa: B008
    jobs: int = 1,
    progress: bool = True,
) -> Path:
    """Grade every submission of a folder that is not graded yet, and write the CSV. Returns its path."""
    (into / "done").mkdir(parents=True, exist_ok=True)
    (into / "pages").mkdir(exist_ok=True)
    seed = _seed(into / "secret")
    key = grader.Key(raw, seed)
    grader.prove(key, raw, wall, bounds)
    version = hashlib.sha256(json.dumps([raw, seed, grader.HELPERS], sort_keys=True).encode()).hexdigest()
    everybody = submission.students(folder)
    one = partial(_one, key=key, version=version, into=into, wall=wall, bounds=bounds)
    with (
        ThreadPoolExecutor(jobs) as pool,
        tqdm(total=len(everybody), unit="student", disable=not progress) as bar,
    ):
        waiting = [pool.submit(one, student, place) for student, place in everybody.items()]
        try:
            for done in waiting:
                done.result()
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return _write_csv(key, into, list(everybody))


def _seed(path: Path) -> str:
    """The secret of this run: drawn once, so that a run that is taken up again asks the same."""
    if not path.exists():
        _write(path, chance.token_hex(16))
        path.chmod(0o600)
    return path.read_text()


def _one(
    student: str, place: Path, *, key: grader.Key, version: str, into: Path, wall: walls.Wall, bounds: walls.Limits
) -> None:
    kept = into / "done" / f"{_file(student)}.json"
    print_of = _fingerprint(place, version)
    if kept.exists() and json.loads(kept.read_text(encoding="utf-8"))["of"] == print_of:
        return
    named: dict[str, list[str]] = {}
    status = "graded"
    try:
        handed = submission.read(place)
        grade = grader.grade(key, handed, wall, bounds)
        named = naming.named(key, handed, grade, wall, bounds)
    except submission.NotANotebookError as error:
        grade, status = key.blank(), "not a notebook"
        grade.remarks.append(str(error))
    _write(into / "pages" / f"{_file(student)}.html", feedback.page(student, key, grade, named))
    row = {
        "of": print_of,
        "status": status,
        "points": {question["name"]: grade.points(question["name"]) for question in key.questions},
        "remarks": grade.remarks,
        "mistakes": {name: [text[1:].partition("]")[0] for text in texts] for name, texts in named.items()},
        "parts": {name: {part: asdict(one) for part, one in parts.items()} for name, parts in grade.parts.items()},
    }
    _write(kept, json.dumps(row, indent=1, ensure_ascii=False))


def _fingerprint(place: Path, version: str) -> str:
    """What a kept result belongs to: this submission, as it lies there, and this key."""
    try:
        path = submission.found(place)
        about = path.lstat()
        told = f"{path.name} {about.st_size} {about.st_mtime_ns}"
    except (submission.NotANotebookError, OSError) as error:
        told = str(error)
    return hashlib.sha256(f"{version} {told}".encode(errors="surrogateescape")).hexdigest()


def _file(student: str) -> str:
    """A student's name as a file's, different for different names.

    >>> _file("Ada L.") == _file("Ada L_")
    False
    """
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in student)[:80]
    if plain == student:
        return plain
    return f"{plain}-{hashlib.sha256(student.encode(errors='surrogateescape')).hexdigest()[:8]}"


def _write(path: Path, text: str) -> None:
    """A file is there whole or not at all."""
    part = path.with_suffix(path.suffix + ".part")
    part.write_text(text, encoding="utf-8", errors="replace")
    os.replace(part, path)


def _write_csv(key: grader.Key, into: Path, students: list[str]) -> Path:
    names = [question["name"] for question in key.questions]
    rows = []
    for student in sorted(students):
        row = json.loads((into / "done" / f"{_file(student)}.json").read_text(encoding="utf-8"))
        points = [row["points"][name] for name in names]
        rows.append([_cell(student), row["status"], sum(points), *points, " ".join(row["remarks"])])
    path = into / "grades.csv"
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8", errors="replace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["student", "status", f"points of {key.most}", *names, "remarks"])
        writer.writerows(rows)
    os.replace(part, path)
    return path


def _cell(text: str) -> str:
    """A name that a spreadsheet takes for a name, and not for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def summary(path: Path) -> str:
    """A line about a CSV: how many were graded, and what they have."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    points = sorted(int(row[2]) for row in rows)
    middle = points[len(points) // 2] if points else 0
    return f"{len(rows)} submissions, median {middle} {head[2].removeprefix('points ')}"
