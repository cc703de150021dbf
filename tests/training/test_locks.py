"""Locks: what is opened is closed, whatever happens inside, and everybody on the machine may wait for it."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest

from resnet_edu.training import locks

KINDS: dict[str, Callable[[Path], AbstractContextManager[None]]] = {
    "one run": lambda path: locks.one_run(str(path)),
    "alone": locks.alone,
}


@pytest.fixture
def handles(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Those that are open at this moment."""
    now: list[int] = []
    opening, closing = os.open, os.close

    def note(*arguments: Any) -> int:
        now.append(opening(*arguments))
        return now[-1]

    def strike(handle: int) -> None:
        closing(handle)
        now.remove(handle)

    monkeypatch.setattr(os, "open", note)
    monkeypatch.setattr(os, "close", strike)
    return now


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fails", [False, True])
def test_a_lock_is_held_inside_and_its_handle_is_closed_after(
    tmp_path: Path, handles: list[int], kind: str, fails: bool
) -> None:
    for _ in range(2):
        with suppress(KeyError), KINDS[kind](tmp_path / "new" / "place"):
            assert len(handles) == 1
            (locked,) = (tmp_path / "new").iterdir()
            other = os.open(locked, os.O_RDONLY)
            assert not locks._lock(other, wait=False)
            os.close(other)
            if fails:
                raise KeyError
        assert handles == []


def test_who_is_refused_holds_nothing(tmp_path: Path, handles: list[int]) -> None:
    with locks.one_run(str(tmp_path)):
        with pytest.raises(ValueError, match="another run is writing into"), locks.one_run(str(tmp_path)):
            pytest.fail("two at a time")
        assert len(handles) == 1
    assert handles == []


def test_a_lock_of_a_file_that_is_gone_is_left_and_the_new_one_taken(
    tmp_path: Path, handles: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who held it before took the file away while this one waited: once nothing is there, once another file."""
    lock, real, waited = tmp_path / "file.lock", locks._lock, []

    def wait_for(handle: int, wait: bool) -> bool:
        waited.append(wait)
        if len(waited) < 3:
            lock.rename(tmp_path / f"gone {len(waited)}")
        if len(waited) == 2:
            lock.touch()
        return real(handle, wait)

    monkeypatch.setattr(locks, "_lock", wait_for)
    with locks.alone(tmp_path / "file"):
        assert waited == [True, True, True]
        (held,) = handles
        assert os.path.samestat(os.fstat(held), lock.stat())
    assert handles == []
    assert not lock.exists()


def test_a_lock_that_somebody_cleans_away_meanwhile_is_no_error(tmp_path: Path) -> None:
    with locks.alone(tmp_path / "file"):
        (tmp_path / "file.lock").unlink()


def test_every_user_may_wait_for_a_lock(tmp_path: Path) -> None:
    """A cache may be shared: who may not open the file that another user made could not wait for it."""
    before = os.umask(0)
    try:
        with locks.alone(tmp_path / "file"):
            assert (tmp_path / "file.lock").stat().st_mode & 0o777 == 0o666
    finally:
        os.umask(before)
