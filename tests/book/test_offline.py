"""The book as one file to carry."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def built(tmp_path):
    """What a build leaves behind: `html`, a link to a folder of pages."""
    pages = tmp_path / "_build/published/1"
    (pages / "book").mkdir(parents=True)
    (pages / "index.html").write_text("<a href='book/01.html'>", encoding="utf-8")
    (pages / "book/01.html").write_text("Größe", encoding="utf-8")
    (pages / ".buildinfo").write_text("for Sphinx alone", encoding="utf-8")
    (tmp_path / "_build/html").symlink_to("published/1")
    return tmp_path


def offline(folder):
    command = [sys.executable, str(ROOT / "tools/offline.py"), "--source", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_archive_unpacks_into_one_folder_with_the_pages_in_it(built, tmp_path_factory):
    done = offline(built)
    assert done.returncode == 0, done.stderr
    archive = built / "_build/resnets-block-by-block.zip"
    assert str(archive) in done.stdout
    out = tmp_path_factory.mktemp("out")
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
        packed.extractall(out)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {"resnets-block-by-block/index.html", "resnets-block-by-block/book/01.html"}
    assert (out / "resnets-block-by-block/book/01.html").read_text(encoding="utf-8") == "Größe"


def test_the_same_pages_give_the_same_bytes(built):
    archive = built / "_build/resnets-block-by-block.zip"
    offline(built)
    first = archive.read_bytes()
    (built / "_build/html/index.html").touch()
    offline(built)
    assert archive.read_bytes() == first
    assert [path.name for path in archive.parent.glob("resnets*")] == [archive.name]


def test_without_a_book_it_says_how_to_get_one(tmp_path):
    done = offline(tmp_path)
    assert done.returncode == 1
    assert "make book" in done.stderr
    assert "Traceback" not in done.stderr
