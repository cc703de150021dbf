"""The network that a person names in a shell: ours, torchvision's, or one in a file."""

import ast
import json
import subprocess
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from resnet_edu.counting import arithmetic
from resnet_edu.counting.models import name_of
from resnet_edu.counting.steps import Shape, Step, Traced


class Network(NamedTuple):
    """Steps under a name."""

    name: str
    model: list[Step]
    image: Shape


def find(named: str, image: Shape) -> Network:
    """What a name or ``file.py:Net`` stands for, counted for one image.

    >>> find("resnet18", (3, 64, 64)).name
    'ResNet-18'

    Raises ValueError with the nearest names for one that is unknown, and with the sentence of whatever went wrong in a
    file. Needs torch only for what is not ours.
    """
    if ".py" in named or ":" in named:
        return _in_file(named, image)
    try:
        steps = arithmetic.steps(named, image)
    except ValueError as error:
        if "no network is called" not in str(error):
            raise
        return _torchvisions(named, image, str(error))
    return Network(name_of(named), steps, image)


def _torchvisions(named: str, image: Shape, ours: str) -> Network:
    from torchvision import models

    known = models.list_models()
    if named not in known:
        near = get_close_matches(named, known)
        hint = f"; torchvision has {', '.join(near)}" if near else "; torchvision has none of that name either"
        raise ValueError(f"{ours}{hint}; a network of your own is path/to/file.py:Net")
    from resnet_edu.counting.trace import trace

    return Network(named, trace(models.get_model(named, weights=None), image), image)


def _in_file(named: str, image: Shape) -> Network:
    path, colon, name = named.rpartition(":")
    if not colon or path.endswith((":", "/")) or name.endswith(".py"):
        path, name = named, ""
    if not Path(path).is_file():
        raise ValueError(f"there is no file {path}")
    if not name:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"), filename=path)
        classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        raise ValueError(f"which network of {path}? Say {path}:Net; it holds {', '.join(classes) or 'no class'}")
    # In a process of its own: what the file prints, changes or breaks stays there.
    child = [sys.executable, "-m", "resnet_edu.command.child", path, name, json.dumps(image)]
    done = subprocess.run(child, stdout=subprocess.PIPE, encoding="utf-8")
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise ValueError(f"{named} ended its process (status {done.returncode}) before it could be counted") from None
    if "error" in answer:
        raise ValueError(f"{named}: {answer['error']}")
    rows = (Step._make(tuple(value) if isinstance(value, list) else value for value in row) for row in answer["steps"])
    return Network(name, Traced(rows, answer["unread"]), image)
