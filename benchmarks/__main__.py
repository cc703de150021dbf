"""Collect the rows of every module here and print them as one table."""

import importlib
import pkgutil
import sys
import time

import benchmarks
from benchmarks.measure import Row

_WIDTH = 76


def main() -> None:
    """Print a line as soon as it is measured; names on the command line choose modules."""
    chosen = sys.argv[1:]
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__"]
    unknown = set(chosen) - set(names)
    if unknown:
        sys.exit(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    start = time.perf_counter()
    print(f"{'what':{_WIDTH}} {'measured':>11}   {'target':>14}", flush=True)
    measured: list[Row] = []
    for name in chosen or names:
        rows = getattr(importlib.import_module(f"benchmarks.{name}"), "rows", None)
        for row in rows() if rows else ():
            measured.append(row)
            digits = 0 if row.value >= 100 else 1 if row.value >= 10 else 3
            print(
                f"{row.what:{_WIDTH}} {row.value:>9,.{digits}f} {row.unit:<1}   {row.target:>14}   {row.verdict}",
                flush=True,
            )
    short = sum(row.verdict == "short" for row in measured)
    print(f"{len(measured)} figures, {short} short, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
