"""The sentences that checks share: what was handed over, where in the learner's code, what differs in a call."""

import linecache
import re
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks.sentences import said
from resnet_edu.checks.watch import Place

_ROOMS = (str(Path(__file__).parent.parent), str(Path(torch.__file__).parent))
_PYTHON = sysconfig.get_paths()["stdlib"]


def shape(of: Iterable[int]) -> str:
    """A shape as a tuple in print."""
    return str(tuple(of))


def not_callable(theirs: Any, signature: str) -> str | None:
    """What to say if the thing handed over cannot be called to build something, else None."""
    name = signature.split("(")[0]
    if theirs is None or theirs is Ellipsis:
        return f"There is nothing here yet. Write `{signature}` and hand over its name."
    if isinstance(theirs, nn.Module):
        return (
            "You handed over one finished module. Hand over the class (or function) itself, without the brackets, so "
            f"that the check can build it in several shapes: `{name}`, not `{name}(…)`."
        )
    if isinstance(theirs, Tensor) or not callable(theirs):
        return f"Expected a class or a function, called as `{signature}`, got {_a(theirs)}."
    return None


def not_a_module(result: Any, call: str) -> tuple[str, ...]:
    """What to say if a call that should build a module returned something else."""
    if result is None or result is Ellipsis:
        return said("not-written", call=f"`{call}`")
    if isinstance(result, Tensor):
        return (f"`{call}` returned a tensor. It must return the module that will make the tensor.",)
    name = "list-returned" if isinstance(result, list | tuple) else "no-module"
    return said(name, call=call, kind=type(result).__name__, a_kind=_a(result))


def not_a_tensor(result: Any, call: str) -> tuple[str, ...]:
    """What to say if the forward pass returned something else than a tensor."""
    if result is None or result is Ellipsis:
        return said("not-written", call=f"The forward pass of `{call}`")
    return said("no-tensor", call=call, a_kind=_a(result))


def code(names: Iterable[str]) -> str:
    """The first few names in print."""
    return ", ".join(f"`{name}`" for name in list(names)[:4])


def _a(thing: Any) -> str:
    name = type(thing).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def letters(error: BaseException | None) -> str:
    """What an error says, without its numbers."""
    return re.sub(r"[^a-z]+", " ", str(error).lower())


def at(place: Place | None) -> str:
    """A sentence that points at the line, if it is the learner's."""
    if place is None:
        return ""
    file, line = place
    if file.startswith(_ROOMS):
        return ""
    text = linecache.getline(file, line).strip()
    return f"\nLine {line}: `{text}`" if text else f"\nLine {line}."


def where(error: BaseException) -> Place | None:
    """The last line of the learner's own code that the error passed through."""
    frames = [
        (frame.filename, frame.lineno or 0)
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*_ROOMS, _PYTHON, "<frozen")) and "site-packages" not in frame.filename
    ]
    return frames[-1] if frames else None


def unequal(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    """In which dimensions two shapes differ."""
    if len(a) != len(b):
        return f"{len(a)} dimensions and {len(b)}"
    names = ("batch", "channels", "height", "width") if len(a) == 4 else tuple(f"dimension {i}" for i in range(len(a)))
    parts = [f"{name} {one} against {two}" for name, one, two in zip(names, a, b, strict=True) if one != two]
    return ", ".join(parts)
