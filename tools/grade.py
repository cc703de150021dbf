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

from grading import classroom, grader, walls  # noqa: E402

RISK = "--i-have-read-every-submission"


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Grade a folder of submissions.")
    parser.add_argument("lab", help="the number of the lab, as in 1")
    parser.add_argument("submissions", type=Path, help="a folder with one notebook, or one folder, per student")
    parser.add_argument("--into", type=Path, help="where results go")
    parser.add_argument("--labs", type=Path, default=ROOT / "_build" / "labs", help="what `make labs` wrote")
    parser.add_argument("--wall", choices=("bubblewrap", "container"), default="")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="submissions at a time")
    parser.add_argument(RISK, action="store_true", dest="read", help="grade without a wall, at your own risk")
    given = parser.parse_args(words)
    keys = sorted(given.labs.glob(f"{given.lab}_*/autograder/key.json"))
    if len(keys) != 1:
        print(f"There is no key for lab {given.lab} in {given.labs}. Make it first: make labs SEED=…", file=sys.stderr)
        return 1
    if not given.submissions.is_dir():
        print(f"{given.submissions} is no folder. Name the folder in which the submissions lie.", file=sys.stderr)
        return 1
    try:
        wall = walls.choose("none" if given.read else given.wall)
    except walls.NoWallError as error:
        print(
            f"{error}\nStudents' code could read and change what you can. If you have read every submission, "
            f"`RISK={RISK.removeprefix('--')}` grades without a wall.",
            file=sys.stderr,
        )
        return 1
    print(f"Wall: {wall.kind}")
    raw = json.loads(keys[0].read_text(encoding="utf-8"))
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
