"""Make each lab for a class: the student's notebook, the autograder's key, and the bundle for Gradescope.

    python tools/labs.py --seed 2026        everything into _build/labs

The seed draws the numbers. Another seed, another class: keep it to yourself.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from directives import MarkupError  # noqa: E402
from grading import grader, gradescope, master, notebook  # noqa: E402

BUILT = ROOT / "_build" / "labs"


def make(number: str, path: Path, seed: str, into: Path) -> None:
    """Write what belongs to one lab. Raises ValueError where the reference does not pass its own probes."""
    lab = master.read(path, seed)
    key = lab.key()
    grader.Key(key, "proof")  # the reference answers every probe, or the master is wrong
    folder = into / lab.name
    notebook.write(lab, folder / "student" / f"{lab.name}.ipynb")
    (folder / "autograder").mkdir(parents=True, exist_ok=True)
    (folder / "autograder" / "key.json").write_text(json.dumps(key, indent=1), encoding="utf-8")
    gradescope.write(key, folder / "gradescope" / f"{lab.name}.zip")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Make the labs for a class.")
    parser.add_argument("--seed", required=True, help="a word or number that draws the class's numbers")
    parser.add_argument("--into", type=Path, default=BUILT)
    given = parser.parse_args(words)
    for number, path in master.masters().items():
        try:
            make(number, path, given.seed, given.into)
        except MarkupError as error:
            print(f"{path.name}, {error}", file=sys.stderr)
            return 1
        print(f"Lab {number}: {given.into / path.stem}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
