"""An error inside a learner's code, in words: what it means, what mends it, and the line."""

import re
from collections.abc import Mapping
from contextlib import suppress

from resnet_edu.checks.learner import LearnerError
from resnet_edu.checks.watch import NOWHERE, where
from resnet_edu.checks.words import at, said, sentences, shape, unequal


def meaning(trouble: LearnerError) -> str:
    """The kind of an error: its name among the mistakes, or its words without numbers."""
    _, *names = raised(trouble, "", "")
    return names[0] if names else f"{type(trouble.error).__name__} {re.sub('[^a-z]+', ' ', str(trouble.error).lower())}"


def raised(trouble: LearnerError, call: str, signature: str, cure: str = "") -> tuple[str, ...]:
    """An error inside the learner's code, in words, with the line and the names of the mistake if it is known."""
    text, names, values = str(trouble.error), tuple[str, ...](), _values(trouble, signature, cure)
    for name, kind, pattern, words in sentences():
        found = re.search(pattern, text) if kind is not None and isinstance(trouble.error, kind) else None
        if found is not None:
            with suppress(KeyError):  # it speaks of what is not known here
                told = words.format(found[0], *found.groups(), **values)
                names = () if name == "-" else (name,)
                break
    stopped, _ = said(trouble.doing, call=call)
    return (f"{stopped} {told}{at(where(trouble.error))}", *names)


def _values(trouble: LearnerError, signature: str, cure: str) -> Mapping[str, str]:
    """What the words of an error may speak of."""
    text = str(trouble.error)
    given = [tuple(t.shape) for t in trouble.failed.inputs] if trouble.failed is not None else []
    values = {
        "text": text,
        "kind": type(trouble.error).__name__,
        "line": text.splitlines()[0] if text else "",
        "forward": "" if trouble.doing == "call" else " Does `forward` call `self(x)`?",
        "norm": "layer norm",
        "unchanged": " These weights fit as they come: hand them over unchanged.",
        "cure": f"\n{cure}" if cure else "",
        "given": " and ".join(map(shape, given)),
        "map": f", which is {shape(given[0][2:])} here" if given and len(given[0]) == 4 else "",
    }
    if trouble.doing == "call":
        values["dot"] = "the dot"
    if trouble.doing == "construct" and where(trouble.error) == NOWHERE:
        values["called"] = signature
    if len(given) >= 2:
        values |= {"a": shape(given[0]), "b": shape(given[1]), "unequal": unequal(given[0], given[1])}
    return values
