"""Save a run so that it can go on exactly where it was, and so that no accident leaves half a file."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import torch


class CheckpointError(Exception):
    """A checkpoint that could not be written or read, and what to do about it."""


def write_atomically(path: Path, content: bytes) -> None:
    """The file is either the old one or the new one, never something between.

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
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain data, nothing that needs code to be read.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "checkpoint.pt"
    >>> save(path, {"config": {}, "model": {}, "optimizer": {}, "history": [{"epoch": 1}]})
    >>> load(path)["history"]
    [{'epoch': 1}]

    Raises CheckpointError if the disk is full or closed; an earlier checkpoint stays as it is.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        kept = "the checkpoint before it is untouched" if path.exists() else "there is none before it"
        raise CheckpointError(
            f"could not write the checkpoint {path}, {buffer.tell():,} bytes ({error.strerror}); {kept}. "
            "Make room, then go on with --resume"
        ) from error


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
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load does not compare the checksums
        if damaged is None:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if isinstance(state, dict) and {"config", "model", "optimizer", "history"} <= state.keys():
                return state
            damaged = "no run in it"
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file can fail in any layer of the reader
        damaged = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'unreadable'}"
    raise CheckpointError(
        f"{path} is damaged or is not a checkpoint of this script ({damaged}). "
        "Put a good copy in its place, or delete it to start from the beginning"
    )
