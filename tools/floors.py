"""The plan of the house: which floor, and which room of the network, imports which. `make map` prints it.

tests/test_imports.py holds the same plan against the rules. Read from the sources, nothing is imported.
import-linter holds such contracts too, but draws no plan, and asks for a second copy of it in a file of its own.
"""

import ast
from pathlib import Path
from textwrap import fill

HOUSE = Path(__file__).parent.parent / "resnet_edu"
#: The network's floor has no folder: these rooms lie in the entrance, in the order in which an image meets them.
NETWORK = (
    *("convs", "stem", "shortcuts", "blocks", "layers", "head", "resnet", "zoo", "composed"),
    *("initialization", "pretrained", "inference", "programs"),
)
FLOORS = ("counting", "network", "drawing", "explorers", "training", "checks", "command")


def rooms() -> dict[str, Path]:
    """Every module by its name inside the package, such as `counting.steps`; floors' faces among them."""
    found = {}
    for path in sorted(HOUSE.rglob("*.py")):
        parts = path.relative_to(HOUSE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {name: path for name, path in found.items() if name}


def floor_of(room: str) -> str:
    """The floor on which a room lies."""
    first = room.partition(".")[0]
    if first == "__main__":  # the door from a shell lies in the entrance, what is behind it does not
        return "command"
    return first if first in FLOORS else "network"


def imports(node: ast.AST, package: str) -> list[str]:
    """Full names of what this statement, in a module of this package, imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        start = node.module or ""
        if node.level:  # from .steps import Step
            parent = package.split(".")[: len(package.split(".")) - node.level + 1]
            start = ".".join([*parent, *([start] if start else [])])
        return [start, *(f"{start}.{alias.name}" for alias in node.names)]
    return []


def opened_by(room: str) -> set[str]:
    """The rooms that a room imports, anywhere in its file."""
    every = rooms()
    path = every[room]
    package = ".".join(["resnet_edu", *path.relative_to(HOUSE).parts[:-1]])
    named = {name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for name in imports(node, package)}
    inside = {name.removeprefix("resnet_edu.") for name in named if name.startswith("resnet_edu.")}
    found = (inside & every.keys()) - {room}
    # `from resnet_edu.counting import arithmetic` opens the room, and the face only where no room has the name.
    faces = {name for name in found if any(other.startswith(f"{name}.") for other in found)}
    return found - faces


def arrows() -> dict[str, set[str]]:
    """For each floor the floors that its rooms open."""
    found: dict[str, set[str]] = {floor: set() for floor in FLOORS}
    for room in rooms():
        found[floor_of(room)] |= {floor_of(other) for other in opened_by(room)}
    return {floor: below - {floor} for floor, below in found.items()}


def plan() -> str:
    """The floors from the ground up, each with its rooms, lines of code, and what it opens.

    >>> print(plan().splitlines()[0].split()[0])
    counting
    """
    lines = []
    for floor in FLOORS:
        names = [name for name in rooms() if floor_of(name) == floor]
        names.sort(key=lambda name: NETWORK.index(name) if name in NETWORK else 0)
        total = sum(len(rooms()[name].read_text(encoding="utf-8").splitlines()) for name in names)
        below = ", ".join(sorted(arrows()[floor], key=FLOORS.index)) or "nothing"
        lines.append(f"{floor:10} {total:5} lines   opens {below}")
        words = " ".join(name.removeprefix(f"{floor}.") for name in names if name != floor)
        lines.append(fill(words, 100, initial_indent="    ", subsequent_indent="    "))
    lines.append("")
    lines.append("in the network, room by room:")
    for room in NETWORK:
        opened = sorted(opened_by(room) & set(NETWORK), key=NETWORK.index)
        lines.append(f"  {room:14} {'→ ' + ', '.join(opened) if opened else '·'}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(plan())
