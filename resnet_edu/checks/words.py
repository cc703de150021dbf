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

#: What is said of things that are seen directly, whatever the numbers, by the name of the mistake.
_SAID = """
not-written
    {call} returned nothing. Write the missing part, and end with `return`.
list-returned
    `{call}` returned a {kind}. A list cannot be called and its weights stay unknown: wrap it, `nn.Sequential(*blocks)`.
no-module
    `{call}` returned {a_kind}, not an `nn.Module`. Let your class inherit from `nn.Module`.
no-tensor
    The forward pass of `{call}` returned {a_kind}, expected one tensor.
weights-not-registered
    `{call}` uses {layer} that PyTorch does not know as part of your module, so an optimizer would never train it and
    `.to(device)` would leave it behind. Make every layer in `__init__` and set it as an attribute of the module
    (`self.… = …`), and keep lists of layers in `nn.ModuleList` or `nn.Sequential`.{at}
unused-weights
    The numbers are right, but `{call}` holds weights that its forward pass never uses: {names}. They cost memory, count
    as parameters and never learn. Build a layer only where it is used.
weights-frozen
    The numbers are right, but part of `{call}` never learns: `requires_grad` is off for {names}.
fixed-type
    The numbers are right in single precision, but your code makes or converts a tensor to a type of its own, so it
    fails or changes type on an input of another one. Make new tensors like the input: `torch.zeros(…, dtype=x.dtype,
    device=x.device)` or `x.new_zeros(…)`, and leave out `.float()`.
other-normalization
    Your code normalizes with a {norm}, this network uses batch norm (`nn.BatchNorm2d`): mean and variance are taken
    over the batch and the map, for each channel.
not-finite
    `{call}` returns numbers that are not finite (NaN or infinity), on ordinary random input. Look for a division by
    zero, a square root or logarithm of something negative, or a tensor that was never filled (`torch.empty`).
state-between-calls
    The second call with the same input, in eval mode, gives another output. Something is kept or drawn anew between
    calls: a layer made inside `forward`, a random number, a tensor that is changed in place or never filled
    (`torch.empty`). Make all layers once, in `__init__`, and let `forward` only compute.
input-overwritten
    The output is right, but your code changes the input tensor that it was given. Whoever holds it, the shortcut of a
    neighboring block for instance, sees other numbers afterwards. The culprit is an in-place operation on the input:
    `x += …`, or `inplace=True` on the first activation. Write `out = out + x`.
training-differs
    In eval mode your numbers are right, in training mode they differ. Look at what behaves differently there: batch
    norm and dropout. Batch norm uses the batch's own mean and variance while training, and dropout does not belong
    here.
random-in-training
    In training mode the same input gives another output each time, so there is something random inside. These networks
    have no dropout and no noise: take it out.
statistics-differ
    The outputs are right, but after one step of training the running mean and variance of a batch norm are not the
    ones expected. Each batch norm must see each batch exactly once, with PyTorch's own momentum of 0.1.
gradients-differ
    The outputs are right, but the gradients are not: somewhere the way back is cut or doubled. Look for `.detach()`,
    `.data`, `torch.no_grad()` or a hand-written backward.
dropout-inside
    Your code calls {function}. These networks have none: take it out.{at}
other-activation
    Your code calls {function}; {instead}.{at}
interpolated
    Your code calls `interpolate`, which is made for other sizes than a stride. Skip pixels with a slice, `x[:, :,
    ::stride, ::stride]`, or let a convolution with a stride shrink the map.{at}
pooling-inside
    Your code calls {function}; {instead}.{at}
not-followed
    `{call}` uses {names} in a way that I cannot follow, so I cannot tell whether your numbers are right. I follow
    `nn.Conv2d`, `nn.BatchNorm2d`, `nn.Linear`, their functions in `torch.nn.functional`, and what computes the same
    with weights of the same sizes: write it with these.
extra-layers
    Your code learns weights that the reference does not have: {layers}. Here the layers are only {kinds}: take out what
    weighs the channels or adds to them.{at}
extra-parameter
    `{call}` learns numbers of its own beside the weights of its layers: {names}. The reference has none: take them out.
sum-weighted
    Your sum is {one:.3g}·F(x) + {other:.3g}·shortcut. A residual block takes one of each: F(x) + x.
"""


def said(name: str, **values: Any) -> tuple[str, str]:
    """What to say of something seen directly, and its name."""
    found = re.search(rf"^{name}\n((?:    .*\n)+)", _SAID, re.MULTILINE)
    assert found is not None, name
    return " ".join(found[1].split()).format(**values), name


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
