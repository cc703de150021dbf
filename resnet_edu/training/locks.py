"""One at a time: locks of the operating system, which end with the process that holds them.

Windows has none of this kind; there, and on a disk that keeps no locks, nothing is held.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


@contextmanager
def one_run(folder: str | None) -> Iterator[None]:
    """Hold a folder, made if it is missing, so that no other run writes into it. ``None`` is no folder.

    The lock lies on the folder itself: it leaves no file behind, whatever happens to the process.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with one_run(folder), one_run(folder):                          # doctest: +ELLIPSIS
    ...     pass
    Traceback (most recent call last):
        ...
    ValueError: another run is writing into ... Wait until it has ended, or choose another --out

    Raises ValueError if another run holds it.
    """
    if folder is None or fcntl is None:
        yield
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        if not _lock(handle, wait=False):
            raise ValueError(
                f"another run is writing into {folder} at this moment. Wait until it has ended, or choose another --out"
            )
        yield
    finally:
        os.close(handle)  # and the lock with it


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process is at work on ``path``, then keep the others waiting.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cifar.tar.gz"
    >>> with alone(path):
    ...     [file.name for file in path.parent.iterdir()]
    ['cifar.tar.gz.lock']
    >>> list(path.parent.iterdir())
    []
    """
    if fcntl is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(path.name + ".lock")
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle, wait=True)
            # Whoever held it before has taken the file away: then this is the lock of a file that is gone.
            if lock.exists() and os.path.samestat(os.fstat(handle), lock.stat()):
                try:
                    yield
                finally:
                    lock.unlink(missing_ok=True)
                return
        finally:
            os.close(handle)


def _lock(handle: int, wait: bool) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        # A disk in the network may keep no locks, or none on folders.
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True
