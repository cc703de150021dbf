"""The tool that plants faults: each is what it says, stands where it says, and takes the place of what runs."""

import ast
import difflib
import os
from collections.abc import Iterator
from pathlib import Path

import floors
import mutants
import pytest
import test_doctests

from resnet_edu.counting import steps

ROOM = "counting.steps"


@pytest.fixture
def planted() -> Iterator[None]:
    """Whatever a test does to the room's functions is undone."""
    yield
    _swap(ast.parse(floors.rooms()[ROOM].read_text(encoding="utf-8")))


def _swap(tree: ast.Module) -> None:
    path = str(floors.rooms()[ROOM])
    mutants.swap(compile(tree, path, "exec"), path, [steps.layer_of, steps.block_of])


def test_each_fault_changes_one_place_of_the_room_and_can_be_compiled() -> None:
    whole = ast.unparse(ast.parse(floors.rooms()[ROOM].read_text(encoding="utf-8"))).splitlines()
    found = list(mutants.faults(ROOM))
    assert len(found) > 20
    for fault in found:
        tree = mutants.planted(fault)
        compile(tree, "room", "exec")
        changed = [line for line in difflib.ndiff(whole, ast.unparse(tree).splitlines()) if line[0] in "+-"]
        assert changed, fault
        assert len(changed) <= 4, fault
    assert {fault.function for fault in found} > {"", "counting/steps.py:layer_of", "counting/steps.py:Traced.__init__"}


@pytest.mark.usefixtures("planted")
def test_a_fault_takes_the_place_of_the_function_that_lives() -> None:
    (fault,) = [one for one in mutants.faults(ROOM) if one.after == "first not in _STEM"]
    assert fault.function == "counting/steps.py:layer_of"
    _swap(mutants.planted(fault))
    assert steps.layer_of("conv1") == "conv1"
    assert steps.layer_of("layer1") == "stem"


def test_a_fault_meets_the_tests_that_call_its_function_the_quickest_first() -> None:
    (fault,) = [one for one in mutants.faults(ROOM) if one.after == "first not in _STEM"]
    (outside,) = [one for one in mutants.faults(ROOM) if one.code == "learned: bool = False"]
    calls = frozenset({fault.function})
    others = frozenset({"counting/steps.py:block_of"})
    known = {file: [] for file in mutants.files_of(ROOM)}
    known["tests/counting/test_steps.py"] = [
        mutants.Note("slow", 2.0, calls), mutants.Note("quick", 1.0, calls), mutants.Note("other", 0.5, others),
        mutants.Note("elsewhere", 0.1, frozenset({"counting/graph.py:parts"})),
    ]  # fmt: skip
    assert [note.name for note in mutants.tests_of(fault, known)] == ["quick", "slow"]
    # What runs while the room is imported, anybody who uses the room can notice, and its own tests without a call.
    own = mutants.Note("tests/counting/test_steps.py::looks", 3.0, frozenset())
    known["tests/counting/test_steps.py"].append(own)
    assert [note.name for note in mutants.tests_of(outside, known)] == ["other", "quick", "slow", own.name]
    assert own not in mutants.tests_of(fault, known)


def test_what_is_listed_as_equivalent_still_stands_in_the_code() -> None:
    for room, code, before, after in mutants.equivalent():
        assert (code, before, after) in {(one.code, one.before, one.after) for one in mutants.faults(room)}, code


def test_the_tests_that_are_asked_about_a_room_are_there() -> None:
    for room in floors.rooms():
        if floors.floor_of(room) in mutants.CHECKED:
            *files, examples = mutants.files_of(room)
            assert files
            assert all((mutants.ROOT / file).exists() for file in files)
            name = examples.partition("[resnet_edu.")[2].rstrip("]")
            assert f"resnet_edu.{room}" in test_doctests.MODULES if name else room.endswith("__main__")


SHARED = """
import multiprocessing, time, pytest
from resnet_edu.counting import arithmetic
def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
@pytest.fixture(scope="module")
def shared(): work(0.4)
def test_first(shared): pass
def test_second(shared): work(0.2)
def test_third(): pass
def test_in_a_fork():
    child = multiprocessing.get_context("fork").Process(target=arithmetic.conv_out, args=(224, 7))
    child.start()
    child.join()
"""


def test_what_a_test_needs_counts_for_it_in_fixtures_and_forks_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, each of them would have to set it up."""
    (tmp_path / "test_shared.py").write_text(SHARED)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    monkeypatch.setattr(mutants, "NOTES", tmp_path / "notes.json")
    monkeypatch.setattr(mutants, "FLAGS", (*mutants.FLAGS[:-2], f"--rootdir={tmp_path}"))
    child = os.fork()  # as the tool does: it follows every call
    if not child:
        mutants._quiet()
        try:
            mutants._read("test_shared.py")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    known, imported = mutants.notes(["test_shared.py"])
    seconds = {note.name.rpartition("::")[2]: note.seconds for note in known["test_shared.py"]}
    assert not imported
    assert seconds["test_first"] > 0.35  # the system counts in hundredths, and each of some differences loses one
    assert seconds["test_second"] > 0.55
    assert seconds["test_third"] < seconds["test_first"]
    calls = {note.name.rpartition("::")[2]: note.calls for note in known["test_shared.py"]}
    assert "counting/arithmetic.py:conv_out" in calls["test_in_a_fork"]
    assert not calls["test_third"]
