"""A room apart for a learner's code: endless loops and huge tensors end there, and the notebook lives on.

The work runs in a forked child, because classes that live in a notebook cannot be pickled and sent
elsewhere. What comes back over a pipe is JSON, never an object. Where the system cannot fork
(Windows), the work runs in this process, and the note in the outcome says what cannot be cut off.
"""

import builtins
import contextlib
import faulthandler
import gc
import io
import json
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any
from unittest.mock import patch

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
    """What came back: the work's result, or why there is none ("too-slow", "too-much-memory",
    "process-ended", or "unfinished" where the work itself raised an error)."""

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
    'process-ended'
    """
    if hasattr(os, "fork"):
        return _forked(work)
    with torch.random.fork_rng(devices=[]):
        return Outcome(**_captured(work), note=IN_PROCESS_NOTE)


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


def _forked(work: Callable[[], dict[str, Any]]) -> Outcome:
    fork = multiprocessing.get_context("fork")
    answers, write = fork.Pipe(duplex=False)
    child = fork.Process(target=_be_child, args=(work, write))
    with warnings.catch_warnings():
        # Python 3.12 warns that threads do not survive a fork. Ours needs none: torch is set to one below.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    write.close()
    try:
        if not answers.poll(LAST_SECONDS):  # a learner's call is cut off long before
            return Outcome(None, "unfinished", f"no answer within {LAST_SECONDS:g} seconds")
        return Outcome(**json.loads(answers.recv_bytes()))
    except (EOFError, OSError, ValueError, TypeError):  # it ended without an answer
        pass
    finally:
        answers.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid or 0, signal.SIGKILL)  # and whatever the learner's code started
        child.kill()
        child.join()
    killed = -(child.exitcode or 0)
    if killed in (signal.SIGPROF, signal.SIGALRM):
        return Outcome(None, "too-slow")
    return Outcome(
        None, "process-ended", f"signal {signal.Signals(killed).name}" if killed > 0 else "it left the process"
    )


def _be_child(work: Callable[[], dict[str, Any]], answers: Connection) -> None:
    try:
        answers.send_bytes(json.dumps(_captured(lambda: _prepared(work))).encode())
    finally:
        os._exit(0)  # without waiting for what the learner's code has started


def _prepared(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the work brings, in a child that can be ended at any time."""
    global _child
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
    return work()


def _captured(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the work brings or how it fails, as an Outcome's fields, while what it prints is kept."""
    printed, result, fault, detail = io.StringIO(), None, None, ""
    no_input = patch.object(builtins, "input", side_effect=EOFError("a check cannot answer input()"))
    # Compiling takes seconds, and changes nothing of what is computed.
    not_compiled = patch.object(
        torch, "compile", lambda model=None, **_: model if model is not None else lambda one: one
    )
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with no_input, not_compiled:
                result = work()
        except MemoryError:
            fault = "too-much-memory"
        except BaseException as error:
            fault, detail = "unfinished", f"{type(error).__name__}: {error}"[:500]
    text = printed.getvalue()
    more = f"\n… ({len(text):,} characters in all)" if len(text) > PRINTED else ""
    return {"result": result, "fault": fault, "detail": detail, "printed": text[:PRINTED] + more}


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
