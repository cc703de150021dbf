"""The sentences that checks share: what was handed over, where in the learner's code, what differs in a call."""

import inspect
import linecache
import re
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from resnet_edu.checks.sentences import said
from resnet_edu.checks.watch import Place


def shape(of: Iterable[int]) -> str:
    """A shape as a tuple in print."""
    return str(tuple(of))


def not_callable(theirs: Any, signature: str) -> str | None:
    """What to say if the thing handed over cannot be called to build something, else None."""
    if theirs is None or theirs is Ellipsis:
        return said("nothing-here", signature=signature)[0]
    if isinstance(theirs, nn.Module):
        return said("module-not-class", name=signature.partition("(")[0])[0]
    if isinstance(theirs, Tensor) or not callable(theirs):
        return said("not-callable", signature=signature, a_kind=_a(theirs))[0]
    return None


def returned(result: Any, call: str, otherwise: str) -> tuple[str, str]:
    """What to say of a call that returned something else than asked for."""
    if result is None or result is Ellipsis:
        return said("not-written", call=call)
    name = "list-returned" if isinstance(result, list | tuple) and otherwise == "no-module" else otherwise
    return said(name, call=call, a_kind=_a(result))


def code(names: Iterable[str]) -> str:
    """The first few names in print."""
    return ", ".join(f"`{name}`" for name in list(names)[:4])


def _a(thing: Any) -> str:
    name = type(thing).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def at(place: Place | None = None) -> str:
    """A sentence that points at the line, if it is the learner's."""
    if place is None:
        return ""
    file, line = place
    text = linecache.getline(file, line).strip()
    return f"\nLine {line}: `{text}`" if text else f"\nLine {line}."


def unequal(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    """In which dimensions two shapes differ."""
    if len(a) != len(b):
        return f"{len(a)} dimensions and {len(b)}"
    names = ("batch", "channels", "height", "width") if len(a) == 4 else tuple(f"dimension {i}" for i in range(len(a)))
    parts = [f"{name} {one} against {two}" for name, one, two in zip(names, a, b, strict=True) if one != two]
    return ", ".join(parts)


def their_names(signature: str, theirs: Any) -> Callable[[str], str]:
    """A translation of the code in a message, from a contract's names to those at the same places of the learner's.

    >>> say = their_names("make_layer(block, in_channels, channels, blocks, stride)", lambda kind, start, width: None)
    >>> say("Pass `channels * block.expansion` on, and give it `stride=2`: channels count.")
    'Pass `width * kind.expansion` on, and give it `stride=2`: channels count.'
    """
    try:
        parameters = inspect.signature(theirs).parameters.values()
    except (TypeError, ValueError):  # not every callable has one
        return lambda message: message
    ours = [part.partition("=")[0].strip(" )") for part in signature.partition("(")[2].split(",")]
    chosen = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = {our: their for our, their in zip(ours, chosen, strict=False) if our and our != their}
    if not names:
        return lambda message: message
    # `stride=2` is a keyword of PyTorch's, whatever the learner's argument is called.
    name = re.compile(rf"\b({'|'.join(names)})\b(?!=[^=])")
    return lambda message: re.sub(r"`[^`]+`", lambda code: name.sub(lambda found: names[found[1]], code[0]), message)
