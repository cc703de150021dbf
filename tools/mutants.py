"""Would the tests notice? Plant faults in the package, one at a time, and see whether a test fails: `make mutants`.

    python tools/mutants.py                                   5 faults in each room of the lower floors
    python tools/mutants.py --faults 15 --seed 7 counting.steps training.checkpoints

A fault is a comparison turned, a number off by one, a truth value flipped, a call dropped, two arguments swapped.
A first run notes what each test calls and how long it takes, in _build/mutants.json. Then a fault meets those tests
only that call the function it is in, the quickest first, up to the first that fails: tests of the room's floor, and
the room's examples. Equivalent faults, which change nothing that can be observed, are listed with a reason in
tools/equivalent_mutants.toml and not counted.

Why not mutmut or cosmic-ray: both start an interpreter for each fault, which here means to import torch for each.
This one imports and collects once and forks, so it needs a system that can (not Windows). In the fork the faulty code
takes the place of the function's own. What runs while the package is imported, such as a default, has no function:
there the fork imports a copy of the package with the fault in it.
"""

import argparse
import ast
import copy
import gc
import hashlib
import json
import os
import random
import resource
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
from types import CodeType, FunctionType
from typing import Any

import called
import floors
import hypothesis
import pytest

ROOT = Path(__file__).parent.parent
EQUIVALENT = Path(__file__).parent / "equivalent_mutants.toml"
NOTES = ROOT / "_build/mutants.json"
FLAGS = ("-qq", "--no-summary", "-p", "no:cacheprovider", f"--rootdir={ROOT}", f"--config-file={ROOT}/pyproject.toml")
LIMIT = 1200  # seconds, for tests that wait for something that never comes
CHECKED = ("counting", "network", "drawing", "training")
TURNED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult, ast.Mod: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One change of one room: where it is, what stood there, and what stands there now."""

    room: str
    line: int
    code: str
    """The line in which it is, without the indent: it names the place also after others have moved it."""
    before: str
    after: str
    function: str
    """The outermost function that it is in, as `called` names it; empty where it runs while the room is imported."""
    place: int
    change: int

    def __str__(self) -> str:
        return f"{self.room}:{self.line}: {self.before}  →  {self.after}   in   {self.code}"


# ---------------------------------------------------------------------------------------------- planting


def faults(room: str) -> Iterator[Fault]:
    """Every fault that can be planted in a room, in the order of its syntax tree."""
    path = floors.rooms()[room]
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    silent, inside = _unread(tree), dict(_functions(tree, path.relative_to(floors.HOUSE).as_posix()))
    for place, node in enumerate(ast.walk(tree)):
        if id(node) in silent:
            continue
        for number, change in enumerate(_changes(node)):
            twin = copy.deepcopy(node)
            change(twin)
            before, after = ast.unparse(node), ast.unparse(twin)
            if before != after:
                code = text.splitlines()[node.lineno - 1].strip()
                function = inside.get(id(node), "")
                yield Fault(room, node.lineno, code, _short(before), _short(after), function, place, number)


def planted(fault: Fault) -> ast.Module:
    """The room with the fault in it; its lines keep their numbers."""
    tree = ast.parse(floors.rooms()[fault.room].read_text(encoding="utf-8"))
    node = next(node for number, node in enumerate(ast.walk(tree)) if number == fault.place)
    _changes(node)[fault.change](node)
    return ast.fix_missing_locations(tree)


def _functions(tree: ast.AST, file: str, name: str = "") -> Iterator[tuple[int, str]]:
    """Nodes that run when a function is called, each with the outermost function's name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            for statement in node.body:
                yield from ((id(inner), f"{file}:{name}{node.name}") for inner in ast.walk(statement))
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, file, f"{name}{node.name}.")
        else:
            yield from _functions(node, file, name)


def _unread(tree: ast.AST) -> set[int]:
    """Nodes that nobody reads while the package runs: annotations, what stands under TYPE_CHECKING, and strict=True,
    which guards a zip against what does not happen.
    """
    found: set[int] = set()
    for node in ast.walk(tree):
        apart: list[ast.AST | None] = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            apart.append(node)
        if isinstance(node, ast.keyword) and node.arg == "strict":
            apart.append(node.value)
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
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("max", "min", "math.hypot", "_add", "_same"):
        return []  # the order of what is compared, or added up, changes nothing
    if isinstance(node, ast.Call) and len(node.args) > 1 and not any(isinstance(a, ast.Starred) for a in node.args[:2]):
        return [lambda twin: twin.args.__setitem__(slice(0, 2), twin.args[1::-1])]
    if isinstance(node, ast.If | ast.IfExp):
        return [lambda twin: setattr(twin, "test", ast.UnaryOp(ast.Not(), twin.test))]
    return []


def _short(code: str, width: int = 70) -> str:
    line = " ".join(code.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def equivalent() -> set[tuple[str, str, str, str]]:
    """Room, line, before and after of the faults that change nothing that can be observed."""
    entries = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("fault", [])
    assert all(entry["reason"] for entry in entries)
    return {(entry["room"], entry["code"], entry["before"], entry["after"]) for entry in entries}


# --------------------------------------------------------------------------- which tests call which functions


@dataclass(frozen=True)
class Note:
    """What is known of a test."""

    name: str
    seconds: float
    """Of the processor, with what it starts and with the fixtures that it needs, whoever set them up."""
    calls: frozenset[str]


def files_of(room: str) -> list[str]:
    """Whose tests are asked about a room: the files of its floor, and the room's examples."""
    folder = ROOT / f"tests/{floors.floor_of(room)}"
    files = [str(path.relative_to(ROOT)) for path in sorted(folder.glob("test_*.py"))]
    examples = [] if room.endswith("__main__") else [f"tests/test_doctests.py::test_examples_run[resnet_edu.{room}]"]
    return [*files, *examples]


def notes(files: list[str]) -> tuple[dict[str, list[Note]], set[str]]:
    """The tests of these files, and the functions that are called while they are collected.

    A file is read anew when it, or a room that it calls, has changed.
    """
    known = json.loads(NOTES.read_text(encoding="utf-8")) if NOTES.exists() else {}
    for file in files:
        if file not in known or known[file]["digest"] != _digest(file, known[file]["rooms"]):
            print(f"seeing what {file} calls", flush=True)
            child = os.fork()
            if not child:
                _quiet()
                with suppress(BaseException):
                    _read(file)
                os._exit(0)
            os.waitpid(child, 0)
            known |= json.loads(NOTES.read_text(encoding="utf-8")) if NOTES.exists() else {}
            if file not in known or known[file]["digest"] != _digest(file, known[file]["rooms"]):
                sys.exit(f"{file} fails as it is: no fault can be noticed by it. Run it with pytest first")
    tests = {
        file: [Note(name, note["seconds"], frozenset(note["calls"])) for name, note in known[file]["tests"].items()]
        for file in files
    }
    return tests, {name for file in files for name in known[file]["imported"]}


def _digest(file: str, rooms: list[str]) -> str:
    texts = [(ROOT / file.partition("::")[0]).read_bytes()]
    texts += [path.read_bytes() if path.exists() else b"" for path in (floors.HOUSE / room for room in sorted(rooms))]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()


def _read(file: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        called.follow_what_starts(Path(folder))
        reader = _Reader(Path(folder) / "called")
        reader.calls.follow()
        assert pytest.main([*FLAGS, str(ROOT / file)], plugins=[reader]) == 0
    tests = {name: {"seconds": note.seconds, "calls": sorted(note.calls)} for name, note in reader.found.items()}
    every = set().union(reader.imported, *(note.calls for note in reader.found.values()))
    rooms = sorted({name.partition(":")[0] for name in every})
    entry = {"digest": _digest(file, rooms), "rooms": rooms, "imported": sorted(reader.imported), "tests": tests}
    known = json.loads(NOTES.read_text(encoding="utf-8")) if NOTES.exists() else {}
    NOTES.parent.mkdir(exist_ok=True)
    NOTES.write_text(json.dumps(known | {file: entry}), encoding="utf-8")


class _Reader:
    """Notes what each test calls, and how long it takes.

    What a shared fixture calls counts for every test that asks for it, whichever was the first.
    """

    def __init__(self, started: Path) -> None:
        self.calls = called.Calls()
        self.started = started
        self.imported: set[str] = set()
        self.found: dict[str, Note] = {}
        self.fixtures: dict[object, Note] = {}
        self.setting_up = 0.0
        os.environ["CALLED"] = str(started)

    def _since(self) -> set[str]:
        names = set(self.calls.names)
        if self.started.exists():
            names |= set(self.started.read_text(encoding="utf-8").splitlines())
        return names

    def _clear(self) -> None:
        self.calls.clear()
        self.started.unlink(missing_ok=True)

    def pytest_collection_finish(self) -> None:
        self.imported = self._since()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Any:
        before, self.calls.names = self._since(), set()
        began = _seconds()
        result = yield
        took = _seconds() - began
        self.fixtures[fixturedef] = Note("", took, frozenset(self._since()))
        self.setting_up += took
        self.calls.names |= before
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        self._clear()
        began, self.setting_up = _seconds(), 0.0
        result = yield
        own = _seconds() - began - self.setting_up
        asked = (fixture for found in item._fixtureinfo.name2fixturedefs.values() for fixture in found)
        needed = [self.fixtures[fixture] for fixture in asked if fixture in self.fixtures]
        names = self._since().union(*(note.calls for note in needed))
        self.found[_name(item)] = Note(_name(item), own + sum(note.seconds for note in needed), frozenset(names))
        return result


def _seconds() -> float:
    """Of the processor, so far, with the processes that have ended."""
    return sum(os.times()[:4])


def _name(item: Any) -> str:
    """A test's name with the file's in the repository, from wherever it is run."""
    return f"{Path(item.path).relative_to(ROOT)}::{item.nodeid.partition('::')[2]}"


# ----------------------------------------------------------------------------------------------- noticing


def tests_of(fault: Fault, known: dict[str, list[Note]]) -> list[Note]:
    """The tests that can notice it, in the order in which to ask them."""
    file = floors.rooms()[fault.room].relative_to(floors.HOUSE).as_posix()
    own = f"/test_{fault.room.rpartition('.')[2]}.py::"

    def can_notice(note: Note) -> bool:
        if fault.function:
            return fault.function in note.calls
        # A default is seen without a call, in a signature, and a constant by its name.
        return own in note.name or not note.calls or any(name.startswith(f"{file}:") for name in note.calls)

    found = [note for name in files_of(fault.room) for note in known[name] if can_notice(note)]
    return sorted(found, key=lambda note: (note.seconds, note.name))


#: Run tests until one fails, write its name into the file, and give pytest's status.
Ask = Callable[[list[str], Path], int]


def fork(fault: Fault, tests: list[Note], ask: Ask) -> tuple[int, Path]:
    """Ask the tests in a fork that sees a copy of the package with the fault in it; process and copy."""
    folder = Path(tempfile.mkdtemp(prefix="mutant-"))
    child = os.fork()
    if child:
        return child, folder
    status = 1
    try:
        os.setsid()  # so that what the tests start can be ended with them
        _quiet()
        for path in ROOT.iterdir():  # the copy's folder looks like the repository's
            if path.name != "resnet_edu" and not path.name.startswith("."):
                (folder / path.name).symlink_to(path)
        shutil.copytree(floors.HOUSE, folder / "resnet_edu", ignore=shutil.ignore_patterns("__pycache__"))
        path = folder / "resnet_edu" / floors.rooms()[fault.room].relative_to(floors.HOUSE)
        path.write_text(ast.unparse(planted(fault)), encoding="utf-8")
        os.chdir(folder)
        os.environ |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(folder))
        limit = 30 + round(5 * sum(note.seconds for note in tests))  # one that keeps the tests running is noticed
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        status = ask([note.name for note in tests], folder / "noticed")
    finally:
        os._exit(status)


def _quiet() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


class _First:
    """Says in a file which test failed first."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.file.exists():
            self.file.write_text(report.nodeid.rpartition("/")[2], encoding="utf-8")


def ask_anew(names: list[str], noticed: Path) -> int:
    """Collect these tests and run them: for faults in what runs while the package is imported."""
    return int(pytest.main([*FLAGS, "-x", *(str(ROOT / name) for name in names)], plugins=[_First(noticed)]))


def ask_collected(fault: Fault, items: dict[str, Any], live: list[FunctionType]) -> Ask:
    """Put the faulty code into the functions that live, and run tests that are collected already."""

    def ask(names: list[str], noticed: Path) -> int:
        path = str(floors.rooms()[fault.room])
        swap(compile(planted(fault), path, "exec"), path, live)
        chosen = [items[name] for name in names]
        session = chosen[0].session
        session.config.pluginmanager.register(_First(noticed))
        for item, following in zip(chosen, [*chosen[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                return 1
        return 0

    return ask


def swap(module: CodeType, path: str, live: list[FunctionType]) -> None:
    """Give the functions of a room, wherever they are held, the code that they have in this module."""
    new: dict[tuple[str, int], CodeType] = {}
    waiting = [module]
    while waiting:
        code = waiting.pop()
        new[code.co_qualname, code.co_firstlineno] = code
        waiting += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    for function in live:
        if function.__code__.co_filename == path:
            function.__code__ = new[function.__code__.co_qualname, function.__code__.co_firstlineno]


class _Collected:
    """Instead of running the tests that pytest has collected, ask them about one fault after another."""

    def __init__(self, work: Callable[[dict[str, Any]], None]) -> None:
        self.work = work

    def pytest_runtestloop(self, session: Any) -> bool:
        self.work({_name(item): item for item in session.items})
        return True


def run(chosen: list[Fault], known: dict[str, list[Note]], asking: Callable[[Fault], Ask], jobs: int) -> list[Fault]:
    """The faults that no test noticed."""
    alive: list[Fault] = []
    waiting = list(chosen)
    running: dict[int, tuple[Fault, Path, float]] = {}
    gc.freeze()  # or each fork would copy what the collector touches
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                fault = waiting.pop(0)
                tests = tests_of(fault, known)
                if not tests:
                    alive.append(fault)
                    print(f"ALIVE, not called  {fault}", flush=True)
                    continue
                child, folder = fork(fault, tests, asking(fault))
                running[child] = (fault, folder, time.monotonic())
            time.sleep(0.02)
            for child, (fault, folder, since) in list(running.items()):
                done, status = os.waitpid(child, os.WNOHANG)
                took = time.monotonic() - since
                if not done and took < LIMIT:
                    continue
                test = (
                    (folder / "noticed").read_text(encoding="utf-8")
                    if (folder / "noticed").exists()
                    else "no test: it cannot be imported, or it does not end"
                )
                end(child, folder)
                del running[child]
                if done and os.waitstatus_to_exitcode(status) == 0:
                    alive.append(fault)
                    print(f"ALIVE  {took:5.1f} s  {fault}", flush=True)
                else:
                    print(f"killed {took:5.1f} s  {fault}   by   {test}", flush=True)
    finally:
        for child, (_, folder, _) in running.items():
            end(child, folder)
    return alive


def run_collected(chosen: list[Fault], known: dict[str, list[Note]], jobs: int) -> list[Fault]:
    """The same for faults in functions, all with one collection, in a fork: this process imports nothing of ours."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "alive"
        child = os.fork()
        if not child:

            def work(items: dict[str, Any]) -> None:
                live = [thing for thing in gc.get_objects() if isinstance(thing, FunctionType)]
                alive = run(chosen, known, lambda fault: ask_collected(fault, items, live), jobs)
                result.write_text(json.dumps([chosen.index(fault) for fault in alive]), encoding="utf-8")

            try:
                pytest.main([*FLAGS, "-s", *(str(ROOT / file) for file in known)], plugins=[_Collected(work)])
            finally:
                os._exit(0)
        try:
            os.waitpid(child, 0)
        except BaseException:  # whoever stops this process stops that one, and what it runs
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
            raise
        return [chosen[number] for number in json.loads(result.read_text(encoding="utf-8"))]


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
    # A failing example ends the test at once, and is not kept for the next fault.
    settings = {"database": None, "phases": (hypothesis.Phase.explicit, hypothesis.Phase.generate)}
    hypothesis.settings.register_profile("mutants", **settings)
    hypothesis.settings.load_profile("mutants")
    left_out = equivalent()
    chosen: list[Fault] = []
    for room in asked.rooms or rooms:
        possible = [f for f in faults(room) if (room, f.code, f.before, f.after) not in left_out]
        chosen += random.Random(f"{asked.seed} {room}").sample(possible, min(asked.faults, len(possible)))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C does: what runs is ended, too
    known, imported = notes(sorted({file for fault in chosen for file in files_of(fault.room)}))
    inside = [fault for fault in chosen if fault.function]
    quick = run_collected(inside, known, asked.jobs)
    # What is called while tests are collected has left its results in them: such a fault gets a second chance.
    slow = [fault for fault in chosen if not fault.function or (fault in quick and fault.function in imported)]
    alive = [fault for fault in quick if fault not in slow] + run(slow, known, lambda _: ask_anew, asked.jobs)
    noticed = len(chosen) - len(alive)
    print(f"\n{noticed} of {len(chosen)} faults noticed, {100 * noticed / max(len(chosen), 1):.1f} %; alive:")
    print("\n".join(f"  {fault}" for fault in alive) or "  none")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
