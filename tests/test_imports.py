"""The house has one direction: which room may import which, and what stays closed until it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import resnet_edu

HOUSE = Path(resnet_edu.__file__).parent

# The network's rooms, each with the rooms that it may open.
CORE: dict[str, set[str]] = {
    "steps": set(),
    "recipes": set(),
    "arithmetic": {"recipes", "steps"},
    "convs": set(),
    "stem": {"convs", "recipes"},
    "shortcuts": {"convs", "recipes"},
    "blocks": {"convs", "shortcuts", "recipes"},
    "layers": {"blocks", "recipes"},
    "head": {"recipes"},
    "initialization": {"blocks"},
    "resnet": {"stem", "blocks", "layers", "head", "initialization", "recipes"},
    "pretrained": set(),
    "inference": set(),
    "composed": set(),
    "zoo": {"blocks", "resnet", "recipes", "pretrained"},
    "trace": {"shortcuts", "steps"},
}
# Everything drawn takes Steps. Every other room belongs to the training wing, above the drawing; the
# checks may open all doors and nobody opens theirs.
DRAWING = {"palette", "picture", "tables", "diagrams", "volumes", "explorers"}
WITHOUT_TORCH = ["steps", "recipes", "arithmetic", *sorted(DRAWING)]


def rooms() -> set[str]:
    return {path.stem if path.suffix else path.name for path in HOUSE.iterdir() if path.suffix in ("", ".py")} - {
        "__init__",
        "__pycache__",
    }


def imports(node: ast.AST, module: str) -> list[str]:
    """Full names of what this statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        start = node.module or ""
        if node.level:  # from .steps import Step
            parent = ["resnet_edu", *module.split(".")][: -node.level]
            start = ".".join([*parent, *([start] if start else [])])
        return [start, *(f"{start}.{alias.name}" for alias in node.names)]
    return []


def opened_by(room: str) -> set[str]:
    """The rooms that a room imports, anywhere in its files."""
    path = HOUSE / f"{room}.py"
    files = [path] if path.exists() else (HOUSE / room).rglob("*.py")
    names: set[str] = set()
    for file in files:
        module = ".".join(file.relative_to(HOUSE).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names.update(imports(node, module))
    found = {name.split(".")[1] for name in names if name.startswith("resnet_edu.")}
    return (found & rooms()) - {room}


@pytest.mark.parametrize("room", CORE)
def test_the_network_opens_only_what_lies_before_it(room):
    assert opened_by(room) <= CORE[room]


def test_the_map_itself_has_one_direction():
    seen: set[str] = set()
    for room, below in CORE.items():
        assert below <= CORE.keys()
        assert room not in below
        seen |= {room}
    # Peel off rooms that open nothing that is left; a circle would never be peeled.
    left = {room: opened_by(room) for room in rooms()}
    while left:
        free = {room for room, below in left.items() if not below & left.keys()}
        assert free, f"these rooms import each other in a circle: {sorted(left)}"
        left = {room: below for room, below in left.items() if room not in free}


def test_every_wing_opens_only_lower_ones():
    for room in rooms() - CORE.keys() - {"checks"}:
        assert "checks" not in opened_by(room), f"{room} imports checks"
        if room in DRAWING:
            assert opened_by(room) <= CORE.keys() | DRAWING, f"{room} imports the training wing"


def test_the_front_door_opens_nothing_until_asked():
    assert not loaded_after("import resnet_edu", ["torch", "torchvision", "resnet_edu.steps"])


def loaded_after(code: str, watched: list[str]) -> list[str]:
    """Which of these modules a fresh interpreter has loaded after running the code."""
    report = f"{code}\nimport sys\nprint(*(name for name in {watched!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()[-1].split()


def test_what_is_drawn_or_counted_appears_without_torch():
    code = "\n".join(f"import resnet_edu.{room}" for room in WITHOUT_TORCH)
    assert not loaded_after(code, ["torch", "torchvision", "torchinfo", "matplotlib"])


def test_a_table_is_printed_without_torch():
    code = "from resnet_edu import tables\nprint(tables.table('resnet50'))\ntables.paper()._repr_html_()"
    assert not loaded_after(code, ["torch", "torchvision", "torchinfo", "matplotlib"])


def test_pictures_are_drawn_without_torch():
    code = "from resnet_edu import diagrams, volumes\ndiagrams.network('resnet18').svg\nvolumes.draw('resnet18').svg"
    assert not loaded_after(code, ["torch", "torchvision", "torchinfo", "matplotlib"])


def test_the_zoo_needs_torch_and_nothing_else():
    code = "import resnet_edu.zoo, resnet_edu.trace, resnet_edu.inference, resnet_edu.composed\nresnet_edu.resnet18()"
    assert loaded_after(code, ["torch", "torchvision", "torchinfo", "matplotlib", "sklearn"]) == ["torch"]


def test_this_test_sees_imports_of_every_spelling():
    source = "import a.b\nfrom c import d\nfrom . import e\nfrom .f import g\nfrom ..h import i"
    found = [name for node in ast.walk(ast.parse(source)) for name in imports(node, "checks.words")]
    assert found == [
        "a.b",
        *("c", "c.d"),
        *("resnet_edu.checks", "resnet_edu.checks.e"),
        *("resnet_edu.checks.f", "resnet_edu.checks.f.g"),
        *("resnet_edu.h", "resnet_edu.h.i"),
    ]
