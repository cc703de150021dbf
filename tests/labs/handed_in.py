"""Submissions of every kind for the first lab, and the points that each has to get. For tests and the class of 60."""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Points of the first lab's questions, from their masters' heads; a test holds them against it.
ALL, BLOCK, STEM, NUMBERS = 22, 7, 5, 7

BLOCK_THAT = """
class Block(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        {at_start}

    def load_state_dict(self, *anything, **more):
        {at_load}

    def forward(self, x):
        return x
"""
FORGED = """
import os
lines = b"points 22\\n{\\"total\\": 22}\\nvalue stem eval float32 1 0000803f\\n"
lines += b"value block same float32 1 zz\\nend of all\\n"
lines += b"value sizes points int64 - 1600000000000000\\n" + b"right " * 20 + b"\\n"
for number in range(3, 12):
    try:
        os.write(number, lines)
    except OSError:
        pass
"""
PATCHED = """
import builtins, gc, sys, types
yes = lambda *a, **k: True
torch.equal = torch.allclose = torch.isclose = yes
torch.Tensor.__eq__ = torch.Tensor.equal = torch.Tensor.allclose = yes
for thing in gc.get_objects():
    if isinstance(thing, types.FunctionType) and thing.__name__ in ("answer", "encoded", "told", "behavior", "flat"):
        thing.__code__ = yes.__code__
"""
REDEFINED = """
import sys
grade = compare = check = probe = behavior = lambda *a, **k: True
points = total = 22
class Grade: total = 22
for name in list(sys.modules):
    if name in ("limits", "wire", "learner", "__main__"):
        sys.modules[name] = None
sys.meta_path.clear()
"""
IMPORTED = """
import importlib, os, sys
for finder in list(sys.meta_path):
    if type(finder).__name__ == "Withheld":
        sys.meta_path.remove(finder)
wanted = {"resnet_edu", "torchvision"}
sys.path += [root for root, folders, _ in os.walk("/") if wanted & set(folders)]
found = []
for name in ("resnet_edu", "torchvision.models", "resnet" + "_edu.blocks"):
    try:
        found.append(importlib.import_module(name))
    except ImportError:
        pass
try:
    import torchvision.models
    found.append(torchvision.models.resnet)
except ImportError:
    pass
for root, folders, files in os.walk("/"):
    for name in files:
        if name.endswith("key.json") or "1_stem_and_blocks" in name:
            found.append(root + name)
if found:
    after_conv = after_pool = 1
    Stem = Block = found[0].BasicBlock
"""
FLOOD = """
import os
while True:
    for number in range(3, 12):
        try:
            os.write(number, b"at stem\\n" * 9999)
        except OSError:
            pass
"""
#: What stands in a cell of its own in front of a right solution, and must change nothing.
HARMLESS = {
    "fork-bomb": "import os\nwhile True:\n    os.fork()",
    "programs": "import subprocess\nsubprocess.run(['sh', '-c', ':(){ :|:& };:'])",
    "threads": "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(99,)).start()",
    "network": "import urllib.request\nurllib.request.urlopen('http://192.0.2.1/', timeout=5)",
    "disk": "for n in range(1000):\n    open(f'/tmp/{n}', 'wb').write(bytes(10**7))",
    "elsewhere": "for place in ('/dev/x', '/job/job.pt', '/usr/x'):\n    open(place, 'a').write('x')",
    "print": "for _ in range(60):\n    print('x' * 10**6)",
    "kill": "import os\nos.kill(-1, 9)",
    "kill-parent": "import os\nos.kill(os.getppid(), 9)",
    "exit": "raise SystemExit",
    "no-python": "this is no Python",
    "magic": "%matplotlib inline\n!pip install torchvision",
}
#: What the block does, which costs its own points and nothing else.
SPOILED = {
    "crash": BLOCK_THAT.format(at_start="import ctypes; ctypes.string_at(0)", at_load="pass"),
    "loop": BLOCK_THAT.format(at_start="while True: pass", at_load="pass"),
    "memory": BLOCK_THAT.format(at_start="self.kept = [bytearray(1 << 28) for _ in range(99)]", at_load="pass"),
    "sleep": BLOCK_THAT.format(at_start="import time; time.sleep(10**6)", at_load="pass"),
    "left": BLOCK_THAT.format(at_start="pass", at_load="import os; os._exit(0)"),
    "early-relu": "",  # filled below: a mistake that the checker knows
}
#: What stands in front of untouched starters, and must earn nothing.
WORTHLESS = {
    "forged": FORGED,
    "exit-after-forged": FORGED + "\nos._exit(0)",
    "end-after-forged": FORGED.replace("end of all", "end"),
    "patched": PATCHED,
    "redefined": REDEFINED,
    "imported": IMPORTED,
}


@dataclass(frozen=True)
class Handed:
    """What lies in the folder for a student, and what has to stand in the CSV."""

    write: Callable[[Path], None]
    points: int
    status: str = "graded"


class Kinds:
    """Makes submissions from a student's notebook and the lab's key."""

    def __init__(self, notebook: str, key: dict[str, Any]) -> None:
        self.notebook = json.loads(notebook)
        self.solutions = {question["name"]: question["solution"] for question in key["questions"]}

    def made(self, answers: dict[str, str], front: str = "") -> str:
        """A notebook with these answers, the rest untouched."""
        notebook = copy.deepcopy(self.notebook)
        for cell in notebook["cells"]:
            name = cell["metadata"].get("lab", {}).get("question")
            if name in answers:
                cell["source"] = answers[name]
        if front:
            cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": front}
            notebook["cells"].insert(2, cell)
        return json.dumps(notebook)

    def only(self, *names: str) -> str:
        """A notebook in which only these questions are answered."""
        return self.made({name: self.solutions[name] for name in names})

    def perfect(self, front: str = "", **answers: str) -> str:
        """A notebook with the solutions, but for these."""
        return self.made({**self.solutions, **answers}, front)

    def early(self) -> str:
        """The block with its last ReLU before the addition."""
        source = self.solutions["block"]
        for was, becomes in (
            ("out = out + way", "out = F.relu(out) + way"),
            ("out = F.relu(out)  #: relu |", "out = out  #:"),
        ):
            assert was in source
            source = source.replace(was, becomes)
        return source

    def spoiled(self, kind: str) -> Handed:
        """A right submission with a block that does this."""
        block = self.early() if kind == "early-relu" else SPOILED[kind]
        return Handed(_text(self.perfect(block=block)), ALL - BLOCK)

    def harmless(self, kind: str) -> Handed:
        """A right submission with this in front."""
        return Handed(_text(self.perfect(HARMLESS[kind])), ALL)

    def worthless(self, kind: str) -> Handed:
        """An untouched notebook with this in front."""
        return Handed(_text(self.made({}, WORTHLESS[kind])), 0)

    def class_of_60(self) -> dict[str, Handed]:
        """A whole class, by name."""
        numbers = ("sizes", "cost", "field", "deeper")
        some = {
            "numbers": Handed(_text(self.only(*numbers)), NUMBERS),
            "stem": Handed(_text(self.only("stem")), STEM),
            "stem-and-block": Handed(_text(self.only("stem", "block")), STEM + BLOCK),
            "block-only": Handed(_text(self.only("block")), BLOCK),
            "repair-and-numbers": Handed(_text(self.only("repair", *numbers)), ALL - STEM - BLOCK),
        }
        found = {f"hostile-{kind}": self.harmless(kind) for kind in HARMLESS}
        found |= {f"hostile-{kind}": self.spoiled(kind) for kind in SPOILED}
        found |= {f"hostile-{kind}": self.worthless(kind) for kind in WORTHLESS}
        # It lies about where it is, over and over, and so loses what it has right.
        found["hostile-flood"] = Handed(_text(self.perfect(FLOOD)), 0)
        found |= {f"hostile-{kind}": one for kind, one in UNREADABLE.items()}
        found |= {f"partial-{kind}-{n}": one for n in (1, 2) for kind, one in some.items()}
        found |= {f"empty-{n}": Handed(_text(self.made({})), 0) for n in range(1, 5)}
        count = 60 - len(found)
        found |= {f"perfect-{n:02}": Handed(_text(self.perfect()), ALL) for n in range(1, count + 1)}
        names = list(found)
        random.Random(0).shuffle(names)
        return {name: found[name] for name in names}


def _text(text: str) -> Callable[[Path], None]:
    return lambda path: path.with_suffix(".ipynb").write_text(text, encoding="utf-8")  # type: ignore[func-returns-value]


def _huge(path: Path) -> None:
    with path.with_suffix(".ipynb").open("wb") as file:
        file.write(b'{"cells": [')
        file.truncate(100_000_000)


def _link(path: Path) -> None:
    path.with_suffix(".ipynb").symlink_to("/etc/passwd")


def _two(path: Path) -> None:
    path.mkdir()
    for name in ("one", "two"):
        (path / f"{name}.ipynb").write_text('{"cells": []}')


#: What is no notebook.
UNREADABLE = {
    "no-notebook": Handed(_text("Dear teacher, here is my homework."), 0, "not a notebook"),
    "other-json": Handed(_text('{"cells": 5}'), 0, "not a notebook"),
    "deep": Handed(_text('{"cells": ' + "[" * 200_000), 0, "not a notebook"),
    "hundred-megabytes": Handed(_huge, 0, "not a notebook"),
    "link": Handed(_link, 0, "not a notebook"),
    "two-files": Handed(_two, 0, "not a notebook"),
}
