"""Grade a class of 60 of every kind, twice: in one go, and killed half way and taken up again.

    python tests/labs/class_of_60.py _build/class        after make labs

Compares the two CSVs byte for byte, and each row with what that submission has to get. Prints wall time and memory.
Minutes long, so no part of `make test`.
"""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from handed_in import Handed, Kinds

ROOT = Path(__file__).parent.parent.parent
LAB = ROOT / "_build/labs/1_stem_and_blocks"


@dataclass
class Run:
    """The grader on one folder: how long it took, and the most memory that it and its processes held at once."""

    submissions: Path
    into: Path
    seconds: float = 0.0
    most: int = 0

    def done(self) -> int:
        """Submissions graded so far."""
        return len(list((self.into / "done").glob("*.json")))

    def grade(self, until: int) -> None:
        """Run the grader to its end, or kill it with ``until`` submissions graded."""
        began = time.monotonic()
        command = [sys.executable, str(ROOT / "tools/grade.py"), "1", str(self.submissions), "--into", str(self.into)]
        process = subprocess.Popen(command)
        while process.poll() is None:
            self.most = max(self.most, resident(process.pid))
            if self.done() >= until:
                process.send_signal(signal.SIGKILL)
                process.wait()
                print(f"killed with {self.done()} graded", flush=True)
                break
            time.sleep(0.2)
        self.seconds += time.monotonic() - began
        if process.returncode not in (0, -signal.SIGKILL):
            raise SystemExit(f"the grader ended with {process.returncode}")

    def __str__(self) -> str:
        return f"{self.into.name}: {self.done()} graded, {self.seconds:.0f} s, at most {self.most / 2**20:.0f} MB"


def resident(pid: int) -> int:
    """Bytes of memory that a process and all below it hold; what two of them share counts twice."""
    with contextlib.suppress(OSError):
        own = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        below = Path(f"/proc/{pid}/task").glob("*/children")
        return own + sum(resident(int(child)) for path in below for child in path.read_text().split())
    return 0


def wrong(path: Path, students: dict[str, Handed]) -> int:
    """Print the rows of a CSV that are not as they have to be, and count them."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row[0]: (row[1], int(row[2])) for row in list(csv.reader(file))[1:]}
    count = len(rows.keys() - students.keys())
    for name, handed in students.items():
        if rows.get(name) != (handed.status, handed.points):
            count += 1
            print(f"{name}: {rows.get(name)}, expected {(handed.status, handed.points)}")
    return count


def main(place: Path) -> int:
    kinds = Kinds(
        (LAB / "student/1_stem_and_blocks.ipynb").read_text(encoding="utf-8"),
        json.loads((LAB / "autograder/key.json").read_text(encoding="utf-8")),
    )
    students = kinds.class_of_60()
    folder = place / "submissions"
    folder.mkdir(parents=True)
    for name, handed in students.items():
        handed.write(folder / name)
    whole, halves = Run(folder, place / "in-one-go"), Run(folder, place / "killed-half-way")
    whole.grade(until=len(students) + 1)
    print(whole, flush=True)
    halves.grade(until=len(students) // 2)
    halves.grade(until=len(students) + 1)
    print(halves, flush=True)
    paths = [run.into / "grades.csv" for run in (whole, halves)]
    same = paths[0].read_bytes() == paths[1].read_bytes()
    count = sum(wrong(path, students) for path in paths)
    print(f"{count} wrong rows; the two CSVs are {'the same, byte for byte' if same else 'NOT the same'}")
    return int(bool(count) or not same)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
