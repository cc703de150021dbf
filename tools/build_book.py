"""Build the book: the pages with every cell run, warnings as errors, and say where they are.

    python tools/build_book.py                          the book, into _build/html
    python tools/build_book.py --only book/03_stem.md   a quick look at one page, into _build/only

Sphinx works in `_build/staging`. Only a build without a warning becomes `_build/html`, at once: until then, and
whenever a build fails or is stopped, the last good book stays readable there.

Why not `jupyter-book build`: it writes into the folder that readers see, leaves half a book where it fails, and
does not know that the pages' cells hang on the package.
"""

import argparse
import fcntl
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import notebooks
import page_weight
import yaml
from jupyter_book.sphinx import build_sphinx

ROOT = Path(__file__).parent.parent


def build(source: Path) -> int:
    """Build the book in `source` and return the exit status: 0, or 1 with the last good book untouched."""
    started = time.monotonic()
    notebooks.main(["--check", "--source", str(source)])  # a word to the author; the page does not need them
    folder = source / "_build"
    staging = folder / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    with alone(staging):
        # A failed build leaves its warnings behind in the pages that Sphinx thinks it has already read: without
        # this mark the next run would find nothing to do, warn of nothing, and publish them.
        unfinished = staging / "unfinished"
        if unfinished.exists():
            shutil.rmtree(staging / ".doctrees", ignore_errors=True)
            shutil.rmtree(staging / "html", ignore_errors=True)
        unfinished.touch()
        if sphinx(source, source / "_toc.yml", staging / "html", strict=True):
            print(f"\nThe book was not built: see the warnings above. {_last_good(folder)}", file=sys.stderr)
            return 1
        publish(staging / "html", folder / "html")
        unfinished.unlink()
    page = folder / "html/index.html"
    print(f"\nThe book is ready after {time.monotonic() - started:.0f} s. Open\n\n    {page}\n\nor run: make serve")
    return 0


def preview(source: Path, page: Path) -> int:
    """Build one page by itself. Links to its neighbors lead nowhere, so warnings are shown and do not fail it."""
    folder = source / "_build/only" / page.stem
    folder.mkdir(parents=True, exist_ok=True)
    toc = folder / "_toc.yml"
    name = page.resolve().relative_to(source).as_posix()
    toc.write_text(yaml.safe_dump({"format": "jb-book", "root": name}), encoding="utf-8")
    with alone(folder):
        # From nothing, so that every warning shows every time; the cells themselves come from the cache.
        shutil.rmtree(folder / ".doctrees", ignore_errors=True)
        status = sphinx(source, toc, folder / "html", strict=False)
    print(f"\n    {folder / 'html' / Path(name).with_suffix('.html')}")
    return int(bool(status))


def sphinx(source: Path, toc: Path, out: Path, *, strict: bool) -> object:
    """Jupyter Book's build, without the traceback of its own command at the end; anything but 0 is a failure."""
    # Debuggers complain about frozen modules on every start of a kernel.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    return build_sphinx(
        source,
        out,
        noconfig=True,
        path_config=source / "_config.yml",
        confoverrides={
            "external_toc_path": str(toc),
            "latex_individualpages": False,
            "nitpicky": strict,
            "book_cache": str(source / "_build/executed"),
        },
        warningiserror=strict,
        keep_going=True,
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder against a second build of it, which waits for its turn."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another build is running here; waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _last_good(folder: Path) -> str:
    page = folder / "html/index.html"
    return f"The last good one is still at {page}." if page.exists() else "There is no older one either."


def publish(built: Path, place: Path) -> None:
    """Let `place` show a copy of `built`. It is a symbolic link, because a link is replaced in one step."""
    copies = place.parent / "published"
    link = copies / "next"
    link.unlink(missing_ok=True)
    keep_only(place.resolve(), copies)  # a build that was stopped here has left half a book
    copy = copies / str(time.time_ns())
    try:
        write(built, copy)
        link.symlink_to(copy.relative_to(place.parent))
        if place.is_dir() and not place.is_symlink():  # from plain `jupyter-book build`
            shutil.rmtree(place)
        os.replace(link, place)
    finally:
        keep_only(place.resolve(), copies)


def write(built: Path, copy: Path) -> None:
    """Copy what readers need of a built book, and make it light."""
    # No page loads the icons as a script (the font draws them), or Bootstrap (menus.js opens the menus); maps are for
    # debuggers of the theme.
    unused = shutil.ignore_patterns(
        "*.map", "*.LICENSE.txt", "fontawesome.js", "bootstrap.js", "sphinx-thebe*", "*.ttf"
    )
    shutil.copytree(built, copy, ignore=unused)
    for script in copy.rglob("*.js"):
        text = script.read_text(encoding="utf-8")
        without_map = re.sub(r"\n//# sourceMappingURL=\S+\s*$", "\n", text)
        if without_map != text:
            script.write_text(without_map, encoding="utf-8")
    page_weight.lighten(copy)


def keep_only(shown: Path, copies: Path) -> None:
    for copy in copies.glob("*"):
        if copy != shown:
            shutil.rmtree(copy, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, default=ROOT, help="the folder of _config.yml and _toc.yml")
    parser.add_argument("--only", type=Path, metavar="PAGE", help="one page by itself, without failing on warnings")
    asked = parser.parse_args()
    source = asked.source.resolve()
    try:
        return preview(source, asked.only) if asked.only else build(source)
    except OSError as error:  # no room on the disk, or no leave to write there
        # A copy of many files fails with a list, one entry for each of them.
        why = error.args[0][0][2] if isinstance(error, shutil.Error) else error
        print(f"\nThe book was not built: {why}. {_last_good(source / '_build')}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
