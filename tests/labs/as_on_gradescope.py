"""Start a lab's bundle as Gradescope does: as root, with the real paths, on the solved notebook and the untouched one.

    python tests/labs/as_on_gradescope.py        after make labs; needs root and bubblewrap

The system is this machine's, seen through bubblewrap; /autograder/python is this Python's environment, in place of the
one that setup.sh installs, so setup.sh itself is read and not run. Everything else is the bundle's: run_autograder,
the grader, the key, another user for the learner's process, results.json.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from handed_in import Kinds

ROOT = Path(__file__).parent.parent.parent
#: A cell that looks for what a learner must not read there; the points are the same with and without it.
NOSY = """
found = []
for path in ("/autograder/source/key.json", "/autograder/results/results.json", "/autograder/submission"):
    try:
        found.append(open(path).read())
    except OSError:
        pass
if found:
    raise RuntimeError("READ THE KEY")
"""


def started(bundle: Path, notebook: str, place: Path) -> dict:
    """What results.json says once the bundle has run on this notebook."""
    for name in ("source", "submission", "results"):
        (place / name).mkdir()
    with zipfile.ZipFile(bundle) as packed:
        packed.extractall(place / "source")
    shutil.copy(place / "source/run_autograder", place / "run_autograder")
    (place / "run_autograder").chmod(0o755)
    (place / "submission/lab.ipynb").write_text(notebook, encoding="utf-8")
    (place / "submission_metadata.json").write_text("{}")
    place.chmod(0o755)
    base, site = Path(sys.base_prefix), Path(sys.prefix)
    words = ["bwrap", "--cap-add", "ALL", "--unshare-net", "--die-with-parent", "--clearenv"]
    words += [
        "--setenv",
        "PATH",
        "/usr/bin:/bin",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--perms",
        "1777",
        "--tmpfs",
        "/tmp",
    ]
    for name in ("/usr", "/lib", "/lib64", "/bin", "/etc"):
        if os.path.exists(name):
            words += ["--ro-bind", name, name]
    if not base.is_relative_to("/usr"):
        # Its folders may be root's own, as /root is; the other user has to get through.
        for parent in reversed(base.parents[:-1]):
            words += ["--perms", "0755", "--dir", str(parent)]
        words += ["--ro-bind", str(base), str(base)]
    words += ["--bind", str(place), "/autograder", "--ro-bind", str(site), "/autograder/python", "--chdir", "/"]
    done = subprocess.run([*words, "/autograder/run_autograder"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"run_autograder ended with {done.returncode}: {done.stderr.strip()[-800:]}")
    return json.loads((place / "results/results.json").read_text(encoding="utf-8"))


def main() -> int:
    wrong = 0
    for lab in sorted((ROOT / "_build/labs").iterdir()):
        untouched = (lab / f"student/{lab.name}.ipynb").read_text(encoding="utf-8")
        key = json.loads((lab / "autograder/key.json").read_text(encoding="utf-8"))
        for name, text in (("solved", Kinds(untouched, key).perfect(NOSY)), ("untouched", untouched)):
            with tempfile.TemporaryDirectory() as folder:
                told = started(lab / f"gradescope/{lab.name}.zip", text, Path(folder))
            had, most = (sum(test[what] for test in told["tests"]) for what in ("score", "max_score"))
            wrong += had != (most if name == "solved" else 0) or "READ THE KEY" in json.dumps(told)
            print(f"{lab.name} | {name} | {had} of {most} | {told['output']}", flush=True)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
