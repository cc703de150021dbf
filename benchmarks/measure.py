"""Two things timed in turns, and the row of the table that comes of it."""

import gc
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import torch


class Row(NamedTuple):
    """One line of the table: ``value`` is fine from ``low`` to ``high``."""

    what: str
    value: float
    low: float = 0.0
    high: float = math.inf
    unit: str = "×"

    @property
    def target(self) -> str:
        if self.high == math.inf:
            return f"≥ {self.low:g} {self.unit}"
        if self.low == 0:
            return f"≤ {self.high:g} {self.unit}"
        return f"{self.low:g} to {self.high:g} {self.unit}"

    @property
    def verdict(self) -> str:
        return "ok" if self.low <= self.value <= self.high else "short"


class Medians(NamedTuple):
    """Seconds of each side, and how many times faster ours is.

    The speed-up is the median over the turns, not the quotient of the two other medians: when the
    machine slows down in the middle of a run, both sides of a turn slow down together.
    """

    ours: float
    theirs: float
    speedup: float


def processor_seconds() -> float:
    """What this process and the programs that it has run to their ends have computed, which no other work changes."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def in_turns(
    ours: Callable[[], object], theirs: Callable[[], object], seconds: float = 5.0, at_least: int = 5
) -> Medians:
    """Median processor seconds of each call on one thread, taken in turns for about this long, or at least so often.

    A side that takes less than two milliseconds is called several times in a row, for the clock's sake.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other, and waiting computes too
    sides = (ours, theirs)
    repeats = []
    for side in sides:
        count = 1
        side()  # warm up
        while count < 1000 and _timed(side, count) * count < 2e-3:
            count *= 2
        repeats.append(count)
    samples: tuple[list[float], list[float]] = ([], [])
    start = time.perf_counter()
    turn = 0
    while turn < at_least or time.perf_counter() - start < seconds:
        for side in (0, 1) if turn % 2 == 0 else (1, 0):  # neither always goes first
            samples[side].append(_timed(sides[side], repeats[side]))
        turn += 1
    torch.set_num_threads(threads)
    ratios = [theirs_took / ours_took for ours_took, theirs_took in zip(*samples, strict=True)]
    return Medians(*map(statistics.median, (*samples, ratios)))


def fresh_process(code: str) -> Callable[[], None]:
    """A call that runs this code in a new interpreter."""

    def run() -> None:
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)

    return run


def _timed(call: Callable[[], object], repeats: int) -> float:
    gc.collect()  # the other side's garbage is not ours to carry away
    start = processor_seconds()
    for _ in range(repeats):
        call()
    return (processor_seconds() - start) / repeats
