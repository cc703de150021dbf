"""Fetch one large file over a line that may break: with progress, from where it stopped, never unchecked."""

import hashlib
import http.client
import os
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from resnet_edu.training.locks import alone

CHUNK = 1 << 18  # bytes between two movements of the progress bar
TIMEOUT = 30.0  # seconds without a byte before a line counts as broken


def fetch(url: str, path: Path, md5: str, *, attempts: int = 3, progress: bool = True) -> Path:
    """Bring ``url`` to ``path``, or leave ``path`` as it was. Of several processes one fetches, the others wait for it.

    What has arrived waits in ``path.part``. A broken line is taken up again at the byte where it
    broke, up to ``attempts`` times here and again in the next call. The file gets its name only
    after its checksum has been found right.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "there.txt").write_text("56")
    >>> md5 = hashlib.md5(b"56").hexdigest()
    >>> fetch((folder / "there.txt").as_uri(), folder / "here.txt", md5, progress=False).read_text()
    '56'

    Raises ConnectionError if the file does not arrive whole, ValueError if it arrives and its
    checksum is another one; then nothing of it is kept.
    """
    with alone(path):
        if path.exists() and md5_of(path) == md5:  # another process was faster
            return path
        return _fetch(url, path, md5, attempts, progress)


def md5_of(path: Path) -> str:
    """The MD5 of a file, in hexadecimal.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "empty"
    >>> path.touch()
    >>> md5_of(path)
    'd41d8cd98f00b204e9800998ecf8427e'
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _fetch(url: str, path: Path, md5: str, attempts: int, progress: bool) -> Path:
    part = path.with_name(path.name + ".part")
    reason = ""
    for _ in range(attempts):
        try:
            if _append(url, part, progress):
                break
            reason = f"the connection closed after {part.stat().st_size:,} bytes"
        except HTTPError as error:
            if error.code == 416:  # nothing behind the last byte: the part is whole, or of another file
                break
            raise ConnectionError(f"{url} answered {error.code} {error.reason}") from error
        except (URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
    else:
        kept = part.stat().st_size if part.exists() else 0
        raise ConnectionError(f"{url} broke off {attempts} times ({reason}); {kept:,} bytes wait in {part}")

    found = md5_of(part)
    if found != md5:
        part.unlink()
        raise ValueError(f"{url} is not the expected file: its MD5 is {found}, expected {md5}; it was thrown away")
    os.replace(part, path)
    return path


def _append(url: str, part: Path, progress: bool) -> bool:
    """Add what is missing to the part; False if the line closed early."""
    have = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urlopen(request, timeout=TIMEOUT) as answer:
        if answer.status != 206:  # the server sends all of it, whatever was asked for
            have = 0
        length = answer.headers["Content-Length"]
        total = have + int(length) if length else None
        with (
            part.open("ab" if have else "wb") as file,
            tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=not progress) as bar,
        ):
            while piece := answer.read(CHUNK):
                file.write(piece)
                bar.update(len(piece))
    return total is None or part.stat().st_size == total
