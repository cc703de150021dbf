"""A room apart for a learner's code: endless loops and huge tensors end there, and the notebook lives on.

The work runs in a forked child, because classes that live in a notebook cannot be pickled and sent
elsewhere. What comes back over a pipe is JSON, never an object. Where the system cannot fork
(Windows), the work runs in this process, and the note in the outcome says what cannot be cut off.
"""

import contextlib
import faulthandler
import gc
import io
import json
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

#: Processor seconds that one call of a learner's code may take, and seconds by the clock.
CPU_SECONDS = 1.2
CLOCK_SECONDS = 6.0
#: When the parent stops waiting, whatever the child does.
LAST_SECONDS = 300.0
#: What the child may allocate beyond what the notebook already holds.
MEMORY = 3 << 30
#: How much of what a learner's code prints is kept.
PRINTED = 400

IN_PROCESS_NOTE = (
    "This system cannot run your code in a process of its own. An endless loop or a huge tensor would stop the "
    "notebook: interrupt the kernel if the check does not come back."
)


@dataclass(frozen=True)
class Outcome:
    """What came back: the work's result, or why there is none ("loop", "sleep", "memory", "ended",
    or "unfinished" where the work itself raised an error)."""

    result: dict[str, Any] | None
    fault: str | None = None
    detail: str = ""
    printed: str = ""
    note: str = ""


def run(work: Callable[[], dict[str, Any]]) -> Outcome:
    """Do the work apart and bring back its result, a dict that JSON can hold.

    >>> run(lambda: {"sum": 1 + 2}).result
    {'sum': 3}
    >>> run(lambda: os._exit(3)).fault
    'ended'
    """
    return _forked(work) if hasattr(os, "fork") else _in_process(work)


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """Around every call of a learner's code: the child dies if the call takes too long.

    The timers kill without asking Python, so neither a loop in C nor ``except: pass`` outlives them.
    """
    if not _child:
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, CLOCK_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


_child = False  # True in the forked process only


class _Bounded(io.TextIOBase):
    """Keeps the first characters and counts the rest."""

    def __init__(self) -> None:
        self.kept, self.total = "", 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if len(self.kept) < PRINTED:
            self.kept += text[: PRINTED - len(self.kept)]
        self.total += len(text)
        return len(text)

    def excerpt(self) -> str:
        if self.total > PRINTED:
            return f"{self.kept}\n… ({self.total:,} characters in all)"
        return self.kept


def _forked(work: Callable[[], dict[str, Any]]) -> Outcome:
    read, write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # Python 3.12 warns that threads do not survive a fork. Ours needs none: torch is set to one below.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(read)
        _be_child(work, write)  # never returns
    os.close(write)
    data = b""
    try:
        data, in_time = _receive(read, time.monotonic() + LAST_SECONDS)
    finally:
        os.close(read)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # and whatever the learner's code started
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return _read(data, status, in_time)


def _receive(read: int, deadline: float) -> tuple[bytes, bool]:
    pieces: list[bytes] = []
    while (left := deadline - time.monotonic()) > 0:
        if select.select([read], [], [], left)[0]:
            piece = os.read(read, 1 << 16)
            if not piece:
                return b"".join(pieces), True
            pieces.append(piece)
            # One line is the whole answer: a grandchild that keeps the pipe open must not hold us up.
            if piece.endswith(b"\n"):
                return b"".join(pieces), True
    return b"".join(pieces), False


def _read(data: bytes, status: int, in_time: bool) -> Outcome:
    if data.endswith(b"\n"):
        try:
            answer = json.loads(data)
            return Outcome(**answer)
        except (ValueError, TypeError):
            pass
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if killed == signal.SIGPROF:
        return Outcome(None, "loop")
    if killed == signal.SIGALRM:
        return Outcome(None, "sleep")
    if not in_time:  # a learner's call is cut off long before
        return Outcome(None, "unfinished", f"no answer within {LAST_SECONDS:g} seconds")
    if killed is not None:
        return Outcome(None, "ended", f"signal {signal.Signals(killed).name}")
    return Outcome(None, "ended", "it left the process")


def _be_child(work: Callable[[], dict[str, Any]], write: int) -> None:
    global _child
    answer: dict[str, Any] = {"result": None, "fault": "unfinished", "detail": ""}
    try:
        torch.set_num_threads(1)  # first: OpenMP's threads did not survive the fork
        gc.freeze()  # what the notebook holds is not looked through again: each look would copy its memory
        faulthandler.disable()  # a crash in the child is a result, not a report for the notebook
        os.setsid()
        for timer in (signal.SIGPROF, signal.SIGALRM):
            signal.signal(timer, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the stop button speaks to the parent, which ends us
        _child = True
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        _limit_memory()
        answer = _captured(work)
    except BaseException as error:
        answer["detail"] = f"{type(error).__name__}: {error}"[:500]
    finally:
        try:
            data = json.dumps(answer).encode() + b"\n"
            while data:
                data = data[os.write(write, data) :]
        finally:
            os._exit(0)


def _captured(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    import builtins

    printed = _Bounded()

    def no_input(*_: object) -> str:
        raise EOFError("a check cannot answer input()")

    def uncompiled(model: Any = None, **_: Any) -> Any:
        return (lambda one: one) if model is None else model

    kept_out, kept_err, kept_input, kept_compile = sys.stdout, sys.stderr, builtins.input, torch.compile
    sys.stdout = sys.stderr = printed
    builtins.input = no_input
    torch.compile = uncompiled  # compiling takes seconds, and changes nothing of what is computed
    result, fault, detail = None, None, ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = work()
    except MemoryError:
        fault = "memory"
    except BaseException as error:
        fault, detail = "unfinished", f"{type(error).__name__}: {error}"[:500]
    finally:
        sys.stdout, sys.stderr, builtins.input = kept_out, kept_err, kept_input
        torch.compile = kept_compile
    return {"result": result, "fault": fault, "detail": detail, "printed": printed.excerpt()}


def _limit_memory() -> None:
    try:
        import resource

        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = used + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    except (ImportError, OSError, ValueError):
        pass  # macOS has no such limit; the clock still cuts off a loop that fills the memory


def _in_process(work: Callable[[], dict[str, Any]]) -> Outcome:
    with torch.random.fork_rng(devices=[]):
        return Outcome(**_captured(work), note=IN_PROCESS_NOTE)
