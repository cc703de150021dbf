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

from resnet_edu.checks.watch import Place

_ROOMS = (str(Path(__file__).parent.parent), str(Path(torch.__file__).parent))
_PYTHON = sysconfig.get_paths()["stdlib"]

FIXED_TYPE = (
    "The numbers are right in single precision, but your code makes or converts a tensor to a type of its own, so it "
    "fails or changes type on an input of another one. Make new tensors like the input: `torch.zeros(…, "
    "dtype=x.dtype, device=x.device)` or `x.new_zeros(…)`, and leave out `.float()`."
)

#: What differs although the output of a first call is right: what to say, and the name.
DIRECT = {
    "again": (
        "The second call with the same input, in eval mode, gives another output. Something is kept or drawn anew "
        "between calls: a layer made inside `forward`, a random number, a tensor that is changed in place or never "
        "filled (`torch.empty`). Make all layers once, in `__init__`, and let `forward` only compute.",
        "state-between-calls",
    ),
    "input": (
        "The output is right, but your code changes the input tensor that it was given. Whoever holds it, the "
        "shortcut of a neighboring block for instance, sees other numbers afterwards. The culprit is an in-place "
        "operation on the input: `x += …`, or `inplace=True` on the first activation. Write `out = out + x`.",
        "input-overwritten",
    ),
    "train": (
        "In eval mode your numbers are right, in training mode they differ. Look at what behaves differently there: "
        "batch norm and dropout. Batch norm uses the batch's own mean and variance while training, and dropout does "
        "not belong here.",
        "training-differs",
    ),
    "random": (
        "In training mode the same input gives another output each time, so there is something random inside. These "
        "networks have no dropout and no noise: take it out.",
        "random-in-training",
    ),
    "statistics": (
        "The outputs are right, but after one step of training the running mean and variance of a batch norm are not "
        "the ones expected. Each batch norm must see each batch exactly once, with PyTorch's own momentum of 0.1.",
        "statistics-differ",
    ),
    "gradients": (
        "The outputs are right, but the gradients are not: somewhere the way back is cut or doubled. Look for "
        "`.detach()`, `.data`, `torch.no_grad()` or a hand-written backward.",
        "gradients-differ",
    ),
}


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
        return (f"`{call}` returned nothing. Write the missing part, and `return` the module.", "not-written")
    if isinstance(result, list | tuple):
        return (
            f"`{call}` returned a {type(result).__name__}. A list cannot be called and its weights stay unknown: wrap "
            "it, `nn.Sequential(*blocks)`.",
            "list-returned",
        )
    if isinstance(result, Tensor):
        return (f"`{call}` returned a tensor. It must return the module that will make the tensor.",)
    return (
        f"`{call}` returned {_a(result)}, not an `nn.Module`. Let your class inherit from `nn.Module`.",
        "no-module",
    )


def not_a_tensor(result: Any, call: str) -> tuple[str, ...]:
    """What to say if the forward pass returned something else than a tensor."""
    if result is None or result is Ellipsis:
        return (
            f"The forward pass of `{call}` returned nothing. Write the missing part, and end with `return`.",
            "not-written",
        )
    return (f"The forward pass of `{call}` returned {_a(result)}, expected one tensor.", "no-tensor")


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
