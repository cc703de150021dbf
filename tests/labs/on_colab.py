"""Every lab on Colab's versions: the notebook as it is handed out, and solved, run from the top and graded.

    python tests/labs/on_colab.py _build/on-colab [PYTHON]        after make labs

Makes the replica of tools/colab.py (or takes the PYTHON of one), runs each lab's two notebooks there from an empty
folder as *Restart and run all* does, and grades what comes out twice: here, and by the replica's own Python. Minutes
long and in need of a package index, so no part of `make test`.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import colab  # noqa: E402
from handed_in import Kinds  # noqa: E402


def run(python: str, notebook: Path) -> str:
    """Run a notebook's cells where it lies and keep their outputs. Returns what failed, "" if nothing did."""
    command = [python, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
    command += ["--ExecutePreprocessor.startup_timeout=600", str(notebook.resolve())]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with tempfile.TemporaryDirectory() as empty:
        env = {**clean, "IPYTHONDIR": empty, "JUPYTER_PATH": str(Path(python).parent.parent / "share/jupyter")}
        done = subprocess.run(command, cwd=empty, env=env, capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def points(python: str, number: str, folder: Path, into: Path) -> dict[str, str]:
    """What the grader, run by this Python, gives to each notebook of a folder."""
    command = [python, str(ROOT / "tools/grade.py"), number, str(folder), "--into", str(into)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, check=True)
    with (into / "grades.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    return {"most": head[2].rpartition(" ")[2], **{row[0]: row[2] for row in rows}}


def main(place: Path, python: str) -> int:
    wrong = 0
    print("lab | notebook | cells run | points here | points by the replica's Python", flush=True)
    for lab in sorted((ROOT / "_build/labs").iterdir()):
        folder = place / lab.name
        folder.mkdir(parents=True)
        untouched = (lab / f"student/{lab.name}.ipynb").read_text(encoding="utf-8")
        key = json.loads((lab / "autograder/key.json").read_text(encoding="utf-8"))
        failed = {}
        for name, text in (("solved", Kinds(untouched, key).perfect()), ("untouched", untouched)):
            (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")
            failed[name] = run(python, folder / f"{name}.ipynb")
        number = lab.name.partition("_")[0]
        found = [
            points(one, number, folder, place / f"{lab.name}-{n}") for n, one in enumerate((sys.executable, python))
        ]
        for name, due in (("solved", found[0]["most"]), ("untouched", "0")):
            had = [one[name] for one in found]
            wrong += bool(failed[name]) + (had != [due, due])
            print(
                f"{number} | {name} | {failed[name] or 'all'} | {had[0]} of {found[0]['most']} | {had[1]}", flush=True
            )
    return bool(wrong)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    sys.exit(main(place, sys.argv[2] if len(sys.argv) > 2 else str(colab.environment(place, colab.PYTHON))))
