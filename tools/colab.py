"""Run the published notebooks on a replica of Colab's image: `make colab`.

    python tools/colab.py                      every notebook
    python tools/colab.py 03_stem clinic       these
    python tools/colab.py --refresh FREEZE     take the versions from a list that `pip freeze` printed on Colab

The replica has Colab's Python (3.13) and the versions of tests/book/colab-packages.txt. A notebook is read from the
last commit and starts in an empty folder; its own set-up cell installs the package with git and pip, as on Colab, and
nothing else may. Git alone is told that the address in that cell is this repository. Needs the network, for pip.

Why not a container: Colab's own image is 20 GB, and a reader's cells see none of it but Python and these packages.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ROOT / "tests/book/colab-packages.txt"
PYTHON = "3.13"
#: What the set-up cell may add: the package, and what Colab lacks of its needs.
MAY_ADD = {"resnet-edu", "torchinfo"}
OWNER = "replica/resnet-edu"


def pinned() -> list[str]:
    return [line for line in PACKAGES.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def environment(folder: Path, base: str) -> Path:
    """The replica's Python, made anew when the list has changed. Returns the path of its interpreter."""
    python = folder / "env/bin/python"
    key = hashlib.sha256("\n".join(pinned()).encode()).hexdigest()
    stamp = folder / "ready"
    if stamp.exists() and stamp.read_text() == key and python.exists():
        return python
    stamp.unlink(missing_ok=True)
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        raise SystemExit("uv is missing; run: make book")
    print(f"Making a replica of Colab's image in {folder}; the first time downloads about 3 GB.", flush=True)
    for command in (
        [uv, "venv", "--quiet", "--clear", "--seed", "--python", base, folder / "env"],
        [uv, "pip", "install", "--quiet", "--python", python, *pinned()],
    ):
        if subprocess.run(command, check=False).returncode:
            raise SystemExit(
                f"The replica needs Python {PYTHON} (--python PATH names one) and a package index: see above."
            )
    stamp.write_text(key)
    return python


def installed(python: Path) -> dict[str, str]:
    """The versions in an environment, by their names as the index writes them."""
    code = "import importlib.metadata as m, json; print(json.dumps([(d.name, d.version) for d in m.distributions()]))"
    listed = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in json.loads(listed)}


# What runs inside the replica, with the versions of Jupyter that are there.
RUNNER = """
import json, resource, sys, time
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
notebook = nbformat.read(sys.argv[1], as_version=4)
started, failed = time.perf_counter(), ""
client = NotebookClient(notebook, timeout=7200, kernel_name="python3")
try:
    client.execute()
except CellExecutionError as error:
    failed = f"{error.ename}: {error.evalue}".splitlines()[0]
except CellTimeoutError as error:
    failed = str(error).splitlines()[0]
done = sum(cell.cell_type == "code" and cell.execution_count is not None for cell in notebook.cells)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
print(json.dumps([time.perf_counter() - started, peak, failed, done]))
"""


def run(python: Path, notebook: Path, home: Path) -> tuple[float, float, str, int]:
    """Seconds, GiB at the peak, what failed, and how many cells ran."""
    with tempfile.TemporaryDirectory() as empty:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RESNET_EDU"))}
        variables = {
            "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
            "PATH": f"{python.parent}{os.pathsep}{clean.get('PATH', '')}",
            "JUPYTER_PATH": str(python.parent.parent / "share/jupyter"),
            "IPYTHONDIR": empty,
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        command = [python, "-c", RUNNER, notebook]
        done = subprocess.run(
            command, cwd=empty, env={**clean, **variables}, capture_output=True, text=True, check=False
        )
    if done.returncode:
        return 0, 0, done.stderr.strip().splitlines()[-1], 0
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def published(folder: Path) -> list[Path]:
    """The notebooks as the last commit publishes them, and git's word that their address is that commit."""
    source, notebooks = folder / "source", folder / "notebooks"
    for old in (source, notebooks):
        shutil.rmtree(old, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, source], check=True)
    (folder / "gitconfig").write_text(
        f'[url "{source.as_uri()}"]\n\tinsteadOf = https://github.com/{OWNER}\n[safe]\n\tdirectory = *\n'
    )
    command = [sys.executable, source / "tools/notebooks.py", "--published", notebooks]
    env = {**os.environ, "GITHUB_REPOSITORY": OWNER, "GITHUB_SERVER_URL": "https://github.com"}
    subprocess.run(command, check=True, env={**env, "PYTHONPATH": str(source)}, stdout=subprocess.DEVNULL)
    return sorted(notebooks.rglob("*.ipynb"))


def refresh(freeze: Path) -> None:
    """Bring the versions of the packages in our list from what `pip freeze` printed on Colab."""
    new = dict(re.findall(r"^([\w.-]+)==([^+\s;]+)", freeze.read_text(encoding="utf-8"), re.MULTILINE))
    by_name = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in new.items()}
    text = PACKAGES.read_text(encoding="utf-8")
    lines = []
    for line in text.splitlines():
        name, mark, _ = line.partition("==")
        version = by_name.get(re.sub(r"[-_.]+", "-", name).lower())
        lines.append(f"{name}=={version}" if mark and version and not line.startswith("#") else line)
    dated = re.sub(r"dated \d{4}-\d\d-\d\d", f"dated {time.strftime('%Y-%m-%d')}", "\n".join(lines) + "\n")
    PACKAGES.write_text(dated, encoding="utf-8")
    print(f"{PACKAGES} is of today; its first line names the version of Python: look whether that still holds.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="such as 03_stem; all of them if left out")
    parser.add_argument("--refresh", type=Path, metavar="FREEZE", help="a list that `pip freeze` printed on Colab")
    parser.add_argument("--python", default=PYTHON, help="a version that uv finds, or the path of an interpreter")
    asked = parser.parse_args()
    if asked.refresh:
        refresh(asked.refresh)
        return 0
    folder = ROOT / "_build/colab"
    folder.mkdir(parents=True, exist_ok=True)
    python = environment(folder, asked.python)
    notebooks = published(folder)
    chosen = [path for path in notebooks if not asked.names or path.stem in asked.names]
    print(f"{'notebook':24} {'cells':>6} {'seconds':>8} {'peak GiB':>9}  packages changed", flush=True)
    failures = 0
    for notebook in chosen:
        subprocess.run(
            [python, "-m", "pip", "uninstall", "--quiet", "--yes", *MAY_ADD], check=True, capture_output=True
        )
        before = installed(python)
        seconds, memory, failed, cells = run(python, notebook, folder)
        after = installed(python)
        changed = sorted(
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name) and name not in MAY_ADD
        )
        print(
            f"{notebook.stem:24} {cells:6} {seconds:8.1f} {memory:9.2f}  {', '.join(changed) or 'none'}"
            f"{'  ← ' + failed if failed else ''}",
            flush=True,
        )
        failures += bool(failed or changed)
    print(f"{len(chosen)} notebooks, {failures} with a failure or a changed package")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
