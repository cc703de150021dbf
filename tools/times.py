"""How long each chapter takes to run, how much work that is, and how much memory: `make times`.

    python tools/times.py                     every chapter, one after the other
    python tools/times.py 03_stem 05_shortcuts    these

Each runs from nothing in a kernel of its own, without the book's cache. Seconds of work are those of all its processes
together; unlike the others they hardly depend on what else the machine does. Why not the times that MyST-NB notes: it
notes seconds only, and a chapter taken from the cache has none.
"""

import os
import resource
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import directives as markup
import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent


def measure(path: Path) -> tuple[float, float, float]:
    """Seconds that the chapter's cells take with their kernel's start, seconds of work, and GiB at their peak."""
    with get_context("spawn").Pool(1) as apart:  # the system counts memory for each process and its children
        return apart.apply(_run, (path,))


def _run(path: Path) -> tuple[float, float, float]:
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    cells = [cell for cell in markup.cells(path.read_text(encoding="utf-8")) if cell.kind == "code"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.source) for cell in cells])
    started = time.perf_counter()
    NotebookClient(
        notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    seconds, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20


def main(names: list[str]) -> int:
    pages = [
        path for path in sorted((ROOT / "book").glob("*.md")) if markup.is_notebook(path.read_text(encoding="utf-8"))
    ]
    chosen = [path for path in pages if not names or path.stem in names]
    print(f"{'chapter':24} {'seconds':>8} {'of work':>8} {'peak GiB':>9}", flush=True)
    total = working = 0.0
    for path in chosen:
        seconds, work, memory = measure(path)
        total, working = total + seconds, working + work
        print(f"{path.stem:24} {seconds:8.1f} {work:8.1f} {memory:9.2f}", flush=True)
    print(f"{'together':24} {total:8.1f} {working:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
