"""The words that checks share: the sentences of all of them, what was handed over, where in the code, what differs.

The sentences stand in ``sentences.txt``, in rows. A row has the name of a mistake (- if none), or several, and below
them our words. With a kind of error and a pattern of what Python or torch says it is told of such an error, the first
that fits. Then {1} is the first group of the pattern, and a row speaks only where all that it mentions is known.
"""

import builtins
import inspect
import linecache
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from resnet_edu.checks.watch import NOWHERE, Place


@cache
def sentences() -> list[tuple[str, type[BaseException] | None, str, str]]:
    """Name, kind of error and pattern (or none), words."""
    table = Path(__file__).with_name("sentences.txt").read_text(encoding="utf-8")
    return [
        (name, getattr(builtins, kind.strip(), None), pattern[1:], " ".join(words.split()))
        for heads, words in re.findall(r"((?:^\S.*\n)+)((?:^    .*\n)+)", table, re.MULTILINE)
        for name, _, rest in (head.partition(":") for head in heads.splitlines())
        for kind, _, pattern in [rest.partition(":")]
    ]


def said(name: str, /, **values: Any) -> tuple[str, str]:
    """What to say of something seen directly, and its name."""
    words = next(words for row, kind, _, words in sentences() if row == name and kind is None)
    return words.format(**values), name


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


def at(place: Place = NOWHERE) -> str:
    """A sentence that points at the line, if it is the learner's."""
    text = linecache.getline(place.file, place.line).strip()
    return f"\nLine {place.line}: `{text}`" if text else f"\nLine {place.line}." if place.line else ""


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
