"""Messages that speak of a learner's arguments by the names that the learner chose."""

import inspect
import re
from collections.abc import Callable
from typing import Any


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
