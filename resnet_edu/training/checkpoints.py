"""Save a run so that it can go on exactly where it was, and so that no accident leaves half a file."""

import errno
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

#: What a checkpoint consists of, and the type of each part.
PARTS: dict[str, type] = {
    "config": dict,
    "data": dict,
    "epoch": int,
    "step": int,
    "history": list,
    "sums": Tensor,
    "model": dict,
    "optimizer": dict,
    "scaler": dict,
}


class CheckpointError(Exception):
    """A checkpoint that could not be written or read, and what to do about it."""


def write_atomically(path: Path, content: bytes, check: Callable[[Path], object] | None = None) -> None:
    """The file is either the old one or the new one, never something between.

    The new one gets its name only after ``check`` has read it, if there is a check.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "numbers.txt"
    >>> write_atomically(path, b"112 56 28")
    >>> path.read_text(), len(list(path.parent.iterdir()))
    ('112 56 28', 1)

    Raises OSError if it cannot be written; then the old file is untouched.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # on the disk before it gets its name, or a power cut leaves an empty file
        if check is not None:
            check(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save(path: Path, state: dict[str, Any]) -> None:
    """Write the :data:`PARTS` of a run, and read them again before the file gets its name.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "checkpoint.pt"
    >>> state = {"config": {}, "data": {}, "epoch": 1, "step": 0, "history": [{"epoch": 1}], "sums": torch.zeros(3)}
    >>> save(path, state | {"model": {}, "optimizer": {}, "scaler": {}})
    >>> load(path)["history"]
    [{'epoch': 1}]

    Raises CheckpointError if it cannot be written or could not be read; an earlier checkpoint stays as it is.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    kept = "the checkpoint before it is untouched" if path.exists() else "there is none before it"
    try:
        write_atomically(path, buffer.getvalue(), check=_read)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise CheckpointError(
            f"could not write the checkpoint {path}, {buffer.tell():,} bytes ({error.strerror}); {kept}. "
            + ("Make room" if full else "Make the folder writable")
            + ", then go on with --resume"
        ) from error
    except _UnreadableError as error:
        raise CheckpointError(f"what was written to {path} cannot be read again ({error}); {kept}") from error


def load(path: Path) -> dict[str, Any]:
    """What :func:`save` wrote, on the CPU.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "checkpoint.pt"
    >>> _ = path.write_bytes(b"half a file")
    >>> load(path)                                                   # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    resnet_edu.training.checkpoints.CheckpointError: ... is damaged or is not a checkpoint of this script ...

    Raises FileNotFoundError if there is none, CheckpointError if it is damaged or no checkpoint of a run.
    """
    try:
        return _read(path)
    except _UnreadableError as error:
        raise CheckpointError(
            f"{path} is damaged or is not a checkpoint of this script ({error}). "
            "Put a good copy in its place, or delete it to start from the beginning"
        ) from error


class _UnreadableError(Exception):
    pass


def _read(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load does not compare the checksums
        if damaged is not None:
            raise _UnreadableError(damaged)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, _UnreadableError):
        raise
    except Exception as error:  # a damaged file can fail in any layer of the reader
        reason = str(error).splitlines()[0] if str(error) else "unreadable"
        raise _UnreadableError(f"{type(error).__name__}: {reason}") from error
    if not isinstance(state, dict):
        raise _UnreadableError("no run in it")
    for name, kind in PARTS.items():
        if not isinstance(state.get(name), kind):
            raise _UnreadableError(f"no {name} of a run in it")
    return state
