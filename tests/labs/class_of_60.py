"""Grade a class of 60 of every kind, killed half way and taken up again. Minutes long, so no part of `make test`.

    python tests/labs/class_of_60.py _build/class        after make labs

Compares the CSV with what each submission has to get, and prints wall time and peak memory.
"""

import csv
import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from handed_in import Kinds

ROOT = Path(__file__).parent.parent.parent
LAB = ROOT / "_build/labs/1_stem_and_blocks"


def main(place: Path) -> int:
    kinds = Kinds(
        (LAB / "student/1_stem_and_blocks.ipynb").read_text(encoding="utf-8"),
        json.loads((LAB / "autograder/key.json").read_text(encoding="utf-8")),
    )
    students = kinds.class_of_60()
    folder, into = place / "submissions", place / "grades"
    folder.mkdir(parents=True)
    for name, handed in students.items():
        handed.write(folder / name)
    command = [sys.executable, str(ROOT / "tools/grade.py"), "1", str(folder), "--into", str(into)]
    began = time.monotonic()
    process = subprocess.Popen(command)
    while process.poll() is None and len(list((into / "done").glob("*.json"))) < len(students) // 2:
        time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    half = len(list((into / "done").glob("*.json")))
    print(f"killed with {half} of {len(students)} graded", flush=True)
    if subprocess.run(command, check=False).returncode:
        return 1
    seconds = time.monotonic() - began
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    with (into / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = {row[0]: (row[1], int(row[2])) for row in list(csv.reader(file))[1:]}
    wrong = 0
    for name, handed in students.items():
        if rows.get(name) != (handed.status, handed.points):
            wrong += 1
            print(f"{name}: {rows.get(name)}, expected {(handed.status, handed.points)}")
    print(f"{len(rows)} rows, {wrong} wrong, {seconds:.0f} s, largest process {memory:.0f} MB")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
