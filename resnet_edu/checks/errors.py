"""An error inside a learner's code, in words: what it means, what mends it, and the line."""

import re
from collections.abc import Mapping

from resnet_edu.checks.learner import LearnerError
from resnet_edu.checks.sentences import of_errors
from resnet_edu.checks.words import at, letters, shape, unequal, where

#: What to say of a parameter that is changed while autograd looks on.
IN_PLACE = (
    "It changes a parameter in place while autograd keeps the record. Wrap the change in `with torch.no_grad():`, or "
    "use a function of `nn.init`, which does that itself."
)
_DOING = {
    "construct": "`{call}` could not be built.",
    "forward": "The forward pass of `{call}` stopped with an error.",
    "train": "The forward pass of `{call}` in training mode stopped with an error.",
    "backward": "The backward pass through `{call}` stopped with an error.",
    "call": "`{call}` stopped with an error.",
}


def is_dtype_error(error: BaseException) -> bool:
    """Whether torch complains that two types of numbers meet."""
    return any(
        name == "fixed-type" and isinstance(error, kind) and re.search(pattern, str(error))
        for name, kind, pattern, _ in of_errors()
    )


def meaning(trouble: LearnerError) -> str:
    """The kind of an error: its name among the mistakes, or its words without numbers."""
    _, *names = raised(trouble, "", "")
    return names[0] if names else f"{type(trouble.error).__name__} {letters(trouble.error)}"


def raised(trouble: LearnerError, call: str, signature: str, cure: str = "") -> tuple[str, ...]:
    """An error inside the learner's code, in words, with the line and the names of the mistake if it is known."""
    text, names, values = str(trouble.error), tuple[str, ...](), _values(trouble, signature, cure)
    for name, kind, pattern, words in of_errors():
        found = re.search(pattern, text) if isinstance(trouble.error, kind) else None
        if found is None:
            continue
        try:
            told = words.format(found[0], *found.groups(), **values)
        except KeyError:  # it speaks of what is not known here
            continue
        names = () if name == "-" else (name,)
        break
    return (f"{_DOING[trouble.doing].format(call=call)} {told}{at(where(trouble.error))}", *names)


def _values(trouble: LearnerError, signature: str, cure: str) -> Mapping[str, str]:
    """What the words of an error may speak of."""
    text = str(trouble.error)
    given = trouble.failed.given if trouble.failed is not None else ()
    values = {
        "text": text,
        "kind": type(trouble.error).__name__,
        "line": text.splitlines()[0] if text else "",
        "forward": "" if trouble.doing == "call" else " Does `forward` call `self(x)`?",
        "in_place": IN_PLACE,
        "norm": "layer norm",
        "unchanged": " These weights fit as they come: hand them over unchanged.",
        "cure": f"\n{cure}" if cure else "",
        "given": " and ".join(map(shape, given)),
        "map": f", which is {shape(given[0][2:])} here" if given and len(given[0]) == 4 else "",
        "features": _features(trouble),
    }
    if trouble.doing == "call":
        values["dot"] = "the dot"
    if trouble.doing == "construct" and where(trouble.error) is None:
        values["called"] = signature
    if len(given) >= 2:
        values |= {"a": shape(given[0]), "b": shape(given[1]), "unequal": unequal(given[0], given[1])}
    return values


def _features(trouble: LearnerError) -> str:
    inputs = trouble.failed.inputs if trouble.failed is not None else []
    if inputs and inputs[0].dim() == 2 and inputs[0].shape[1] in trouble.channels:
        return (
            "One number arrives for each channel: either the layer should take so many, or one before it was left out."
        )
    return (
        "Average each channel over the map first, then flatten from dimension 1 on, so that one number per channel "
        "is left."
    )
