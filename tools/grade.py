"""Grade a folder of submissions for one lab.

    python tools/grade.py 1 submissions/                      results in _build/grades/1_stem_and_blocks
    python tools/grade.py 1 submissions/ --wall container     or bubblewrap; the first that works otherwise

Stop it with Ctrl-C and start it again: what is graded stays graded. Needs the key that `make labs SEED=…` wrote.
"""

import argparse
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from grading import classroom, grader, master, submission, walls  # noqa: E402

RISK = "i-have-read-every-submission"
WALLS = ("bubblewrap", "container")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Grade a folder of submissions.")
    parser.add_argument("lab", help="the number or the name of the lab, as in 1")
    parser.add_argument("submissions", type=Path, help="a folder with one notebook, or one folder, per student")
    parser.add_argument("--into", type=Path, help="where results go")
    parser.add_argument("--labs", type=Path, default=ROOT / "_build" / "labs", help="what `make labs` wrote")
    parser.add_argument("--wall", default="", help=" or ".join(WALLS))
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="submissions at a time")
    parser.add_argument("--risk", default="", help=f"{RISK}: grade without a wall, at your own risk")
    given = parser.parse_args(words)
    if problem := _wrong(given):
        print(problem, file=sys.stderr)
        return 1
    try:
        wall = walls.choose("none" if given.risk else given.wall)
    except walls.NoWallError as error:
        print(
            f"{error}\nStudents' code could read and change what you can. If you have read every submission, "
            f"`RISK={RISK}` grades without a wall.",
            file=sys.stderr,
        )
        return 1
    print(f"Wall: {wall.kind}")
    raw = json.loads(_key(given).read_text(encoding="utf-8"))
    into = given.into or ROOT / "_build" / "grades" / raw["lab"]
    try:
        path = classroom.grade_all(raw, given.submissions, into, wall, jobs=given.jobs)
    except (grader.SelfTestError, walls.NoWallError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 130
    print(f"{classroom.summary(path)}\n{path}\n{into / 'pages'}: a page for each student")
    return 0


def _key(given: argparse.Namespace) -> Path:
    """Where the key of the lab lies, by the lab's number or its whole name."""
    path = master.masters().get(given.lab.partition("_")[0], Path(given.lab))
    return given.labs / path.stem / "autograder" / "key.json"


def _wrong(given: argparse.Namespace) -> str:
    """What is wrong with the words of the command, and what to do; "" if nothing is."""
    labs = {number: path.stem for number, path in master.masters().items()}
    if given.lab not in labs and given.lab not in labs.values():
        return f"There is no lab {given.lab}. There are " + ", ".join(f"{n} ({labs[n]})" for n in labs) + "."
    if not _key(given).is_file():
        return f"There is no key for lab {given.lab} in {given.labs}. Make it first: make labs SEED=…"
    if not given.submissions.is_dir():
        return f"{given.submissions} is no folder. Name the folder in which the submissions lie."
    if not submission.students(given.submissions):
        return f"{given.submissions} is empty. It should hold a notebook, or a folder with one, for each student."
    if given.wall and given.wall not in WALLS:
        return f"There is no wall {given.wall}. WALL is {' or '.join(WALLS)}, or left out."
    if given.risk and given.risk != RISK:
        return f"RISK={given.risk} says nothing. To grade without a wall, say RISK={RISK}."
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
