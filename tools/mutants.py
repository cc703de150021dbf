"""Would the tests notice? Plant faults in the package, one at a time, and see whether a test fails: `make mutants`.

    python tools/mutants.py                                   5 faults in each room of the lower floors
    python tools/mutants.py --faults 15 --seed 7 counting.steps training.checkpoints

A fault is a comparison turned, a number off by one, a truth value flipped, a call dropped, two arguments swapped.
The room's own tests run first, then its examples, then its floor's. Equivalent faults, which change nothing that
can be observed, are listed with a reason in tools/equivalent_mutants.toml and not counted.

Why not mutmut or cosmic-ray: both start an interpreter for each fault, which here means to import torch for each.
This one imports it once and forks, so it needs a system that can (not Windows).
"""

import argparse
import ast
import copy
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import floors

ROOT = Path(__file__).parent.parent
EQUIVALENT = Path(__file__).parent / "equivalent_mutants.toml"
CHECKED = ("counting", "network", "drawing", "training")
TURNED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult, ast.Mod: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
LIMIT = 600  # seconds, after which a fault that keeps the tests running counts as noticed


@dataclass(frozen=True)
class Fault:
    """One change of one room: where it is, what stood there, and what stands there now."""

    room: str
    line: int
    before: str
    after: str
    source: str
    """The whole file with the fault in it."""

    def __str__(self) -> str:
        return f"{self.room}:{self.line}: {self.before}  →  {self.after}"


# ---------------------------------------------------------------------------------------------- planting


def faults(room: str) -> Iterator[Fault]:
    """Every fault that can be planted in a room, in the order of its lines."""
    text = floors.rooms()[room].read_text(encoding="utf-8")
    tree = ast.parse(text)
    silent = _unread(tree)
    for place, node in enumerate(ast.walk(tree)):
        if id(node) in silent:
            continue
        for change in _changes(node):
            planted = copy.deepcopy(tree)
            twin = next(other for number, other in enumerate(ast.walk(planted)) if number == place)
            change(twin)
            before, after = ast.unparse(node), ast.unparse(twin)
            if before != after:
                yield Fault(room, node.lineno, _short(before), _short(after), ast.unparse(planted))


def _unread(tree: ast.AST) -> set[int]:
    """Nodes that nobody reads while the package runs: annotations, and what stands under TYPE_CHECKING."""
    found: set[int] = set()
    for node in ast.walk(tree):
        apart: list[ast.AST | None] = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            apart.append(node)
        for part in apart:
            if part is not None:
                found |= {id(inner) for inner in ast.walk(part)}
    return found


def _changes(node: ast.AST) -> list[Callable[[ast.AST], None]]:
    """What can be done to a copy of this node."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in TURNED:
        return [lambda twin: twin.ops.__setitem__(0, TURNED[type(twin.ops[0])]())]
    if isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in TURNED:
        return [lambda twin: setattr(twin, "op", TURNED[type(twin.op)]())]
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return [lambda twin: setattr(twin, "value", not twin.value)]
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return [
            lambda twin: setattr(twin, "value", twin.value + 1),
            lambda twin: setattr(twin, "value", twin.value - 1),
        ]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return [lambda twin: setattr(twin, "value", ast.Constant(None))]
    if isinstance(node, ast.Call) and len(node.args) > 1 and not any(isinstance(a, ast.Starred) for a in node.args[:2]):
        return [lambda twin: twin.args.__setitem__(slice(0, 2), twin.args[1::-1])]
    if isinstance(node, ast.If | ast.IfExp):
        return [lambda twin: setattr(twin, "test", ast.UnaryOp(ast.Not(), twin.test))]
    return []


def _short(code: str, width: int = 70) -> str:
    line = " ".join(code.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def equivalent() -> set[tuple[str, str, str]]:
    """Room, before and after of the faults that change nothing that can be observed."""
    entries = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("fault", [])
    assert all(entry["reason"] for entry in entries)
    return {(entry["room"], entry["before"], entry["after"]) for entry in entries}


# ----------------------------------------------------------------------------------------------- noticing


def tests_of(room: str) -> list[str]:
    """What to run for a room: its own tests, its examples, then the whole floor."""
    floor, name = floors.floor_of(room), room.rpartition(".")[2]
    own = ROOT / f"tests/{floor}/test_{name}.py"
    examples = f"{ROOT}/tests/test_doctests.py::test_examples_run[resnet_edu.{room}]"
    return [*([str(own)] if own.exists() else []), examples, str(ROOT / f"tests/{floor}")]


def start(fault: Fault) -> tuple[int, Path]:
    """Run the tests of the fault's room in a fork, on a copy of the package with the fault in it; process and copy."""
    folder = Path(tempfile.mkdtemp(prefix="mutant-"))
    shutil.copytree(floors.HOUSE, folder / "resnet_edu", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "resnet_edu" / floors.rooms()[fault.room].relative_to(floors.HOUSE)
    path.write_text(fault.source, encoding="utf-8")
    child = os.fork()
    if child:
        return child, folder
    os.setsid()  # so that what the tests start can be ended with them
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.environ |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    import pytest

    status = 1
    try:
        status = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}", *tests_of(fault.room)]))
    finally:
        os._exit(status)


def run(chosen: list[Fault], jobs: int) -> list[Fault]:
    """The faults that no test noticed."""
    alive: list[Fault] = []
    waiting = list(chosen)
    running: dict[int, tuple[Fault, Path, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                fault = waiting.pop(0)
                child, folder = start(fault)
                running[child] = (fault, folder, time.monotonic())
            time.sleep(0.05)
            for child, (fault, folder, since) in list(running.items()):
                done, status = os.waitpid(child, os.WNOHANG)
                took = time.monotonic() - since
                if not done and took < LIMIT:
                    continue
                end(child, folder)
                del running[child]
                lives = bool(done) and os.waitstatus_to_exitcode(status) == 0
                alive += [fault] if lives else []
                print(f"{'ALIVE ' if lives else 'killed'} {took:5.0f} s  {fault}", flush=True)
    finally:
        for child, (_, folder, _) in running.items():
            end(child, folder)
    return alive


def end(child: int, folder: Path) -> None:
    """Stop a fork and whatever its tests have started, and remove its copy of the package."""
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(child, 0)
    shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    rooms = [room for room in floors.rooms() if floors.floor_of(room) in CHECKED and room not in floors.FLOORS]
    parser.add_argument(
        "rooms", nargs="*", help="such as counting.steps or shortcuts; without any, all of the lower floors"
    )
    parser.add_argument("--faults", type=int, default=5, help="how many in each room (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default: 2)")
    asked = parser.parse_args(arguments)
    unknown = set(asked.rooms) - set(rooms)
    if unknown:
        parser.error(f"no room is called {', '.join(sorted(unknown))}; there are {', '.join(rooms)}")

    import torch
    import torchvision  # noqa: F401  what every fork would have to import

    torch.set_num_threads(1)
    known = equivalent()
    chosen: list[Fault] = []
    for room in asked.rooms or rooms:
        possible = [fault for fault in faults(room) if (room, fault.before, fault.after) not in known]
        chosen += random.Random(f"{asked.seed} {room}").sample(possible, min(asked.faults, len(possible)))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C does: what runs is ended, too
    alive = run(chosen, asked.jobs)
    noticed = len(chosen) - len(alive)
    print(f"\n{noticed} of {len(chosen)} faults noticed, {100 * noticed / max(len(chosen), 1):.1f} %; alive:")
    print("\n".join(f"  {fault}" for fault in alive) or "  none")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
