"""The house has one direction: which floor and which room may import which, and what stays closed until used."""

import ast
import subprocess
import sys

import floors
import pytest

# From the ground up. The network's rooms ask the recipes for names and sizes; what is drawn takes Steps;
# the checks may open all doors and nobody opens theirs.
BELOW = {
    "counting": set(),
    "network": {"counting"},
    "drawing": {"counting"},
    "explorers": {"counting", "drawing"},
    "training": {"counting", "network", "drawing"},
    "checks": {"counting", "network", "drawing", "explorers", "training"},
    "command": {"counting", "drawing"},
}
# The network's rooms, each with the rooms beside it that it may open.
NETWORK: dict[str, set[str]] = {
    "convs": set(),
    "stem": {"convs"},
    "shortcuts": {"convs"},
    "blocks": {"convs", "shortcuts"},
    "layers": {"blocks"},
    "head": set(),
    "initialization": {"blocks"},
    "resnet": {"stem", "blocks", "layers", "head", "initialization"},
    "pretrained": set(),
    "zoo": {"blocks", "resnet", "pretrained"},
    "inference": set(),
    "composed": set(),
    "programs": {"head", "initialization", "layers", "stem"},
}
WITHOUT_TORCH = [
    room
    for room in floors.rooms()
    if floors.floor_of(room) in ("counting", "drawing", "explorers", "command")
    and room not in ("counting.trace", "counting.functions")
]


def test_the_plan_names_every_floor_and_room():
    assert BELOW.keys() == set(floors.FLOORS)
    assert NETWORK.keys() == set(floors.NETWORK)
    entrance = {room for room in floors.rooms() if floors.floor_of(room) == "network"}
    assert entrance == NETWORK.keys(), "a room that lies on no floor"


@pytest.mark.parametrize("floor", BELOW)
def test_a_floor_opens_only_what_lies_below(floor):
    assert floors.arrows()[floor] <= BELOW[floor]


@pytest.mark.parametrize("room", NETWORK)
def test_the_network_opens_only_what_lies_before_it(room):
    assert floors.opened_by(room) & NETWORK.keys() <= NETWORK[room]


def test_the_map_itself_has_one_direction():
    assert_one_way(BELOW)
    assert_one_way(NETWORK)
    assert_one_way({room: floors.opened_by(room) for room in floors.rooms()})


def assert_one_way(plan):
    # Peel off what opens nothing that is left; a circle would never be peeled.
    left = dict(plan)
    while left:
        free = {room for room, below in left.items() if not below & left.keys()}
        assert free, f"these import each other in a circle: {sorted(left)}"
        left = {room: below for room, below in left.items() if room not in free}


def test_the_printed_map_shows_every_room_under_its_floor():
    floor, shown = "", {}
    for line in floors.plan().partition("\n\n")[0].splitlines():
        if line.startswith(" "):
            shown.setdefault(floor, set()).update(line.split())
        else:
            floor = line.split()[0]
    assert list(shown) == list(floors.FLOORS)
    for name in floors.FLOORS:
        assert shown[name] == {
            room.removeprefix(f"{name}.") for room in floors.rooms() if floors.floor_of(room) == name and room != name
        }


def test_the_front_door_opens_nothing_until_asked():
    assert not loaded_after("import resnet_edu", ["torch", "torchvision", "resnet_edu.counting.steps"])
    assert not loaded_after("import resnet_edu.training", ["torch", "torchvision", "resnet_edu.training.loop"])


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
    code = "from resnet_edu.drawing import tables\nprint(tables.table('resnet50'))\ntables.paper()._repr_html_()"
    assert not loaded_after(code, ["torch", "torchvision", "torchinfo", "matplotlib"])


def test_pictures_are_drawn_without_torch():
    code = "from resnet_edu.drawing import diagrams, volumes\n"
    code += "diagrams.network('resnet18').svg\nvolumes.draw('resnet18').svg"
    assert not loaded_after(code, ["torch", "torchvision", "torchinfo", "matplotlib"])


def test_the_zoo_needs_torch_and_nothing_else():
    code = "import resnet_edu.zoo, resnet_edu.counting.trace, resnet_edu.inference, resnet_edu.composed"
    code += "\nresnet_edu.resnet18()"
    assert loaded_after(code, ["torch", "torchvision", "torchinfo", "matplotlib", "sklearn"]) == ["torch"]


def test_this_test_sees_imports_of_every_spelling():
    source = "import a.b\nfrom c import d\nfrom . import e\nfrom .f import g\nfrom ..h import i"
    found = [name for node in ast.walk(ast.parse(source)) for name in floors.imports(node, "resnet_edu.checks")]
    assert found == [
        "a.b",
        *("c", "c.d"),
        *("resnet_edu.checks", "resnet_edu.checks.e"),
        *("resnet_edu.checks.f", "resnet_edu.checks.f.g"),
        *("resnet_edu.h", "resnet_edu.h.i"),
    ]
