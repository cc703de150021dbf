"""Pack the built book into one file to carry: _build/resnets-block-by-block.zip.

    python tools/offline.py

Unpacked, `index.html` opens by a double click: pages, search and figures work from files and ask no host for
anything. The same pages give the same bytes, so that a release can be compared with what somebody builds again.
"""

import argparse
import os
import stat
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: The archive, and the one folder in it.
NAME = "resnets-block-by-block"


def pack(pages: Path, archive: Path) -> int:
    """Write the files below `pages` into `archive`, which is replaced at once; how many there were."""
    files = sorted(path for path in pages.rglob("*") if path.is_file() and not path.name.startswith("."))
    unfinished = archive.with_suffix(f".{os.getpid()}")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
            for path in files:
                entry = zipfile.ZipInfo(f"{NAME}/{path.relative_to(pages).as_posix()}", (1980, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = (stat.S_IFREG | 0o644) << 16
                out.writestr(entry, path.read_bytes())
        os.replace(unfinished, archive)
    finally:
        unfinished.unlink(missing_ok=True)
    return len(files)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, default=ROOT, help="the folder in which the book was built")
    folder = parser.parse_args().source.resolve() / "_build"
    pages, archive = (folder / "html").resolve(), folder / f"{NAME}.zip"
    if not (pages / "index.html").is_file():
        print("There is no built book to pack; run: make book", file=sys.stderr)
        return 1
    count = pack(pages, archive)
    print(f"{archive}: {count} files, {archive.stat().st_size / 1e6:.1f} MB. Unpack it and open {NAME}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
