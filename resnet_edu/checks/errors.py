"""An error inside a learner's code, in words: what it means, what mends it, and the line."""

import re

from resnet_edu.checks.learner import LearnerError
from resnet_edu.checks.words import at, shape, unequal, where

#: What to say of a parameter that is changed while autograd looks on.
IN_PLACE = (
    "It changes a parameter in place while autograd keeps the record. Wrap the change in `with torch.no_grad():`, or "
    "use a function of `nn.init`, which does that itself."
)
# What Python says of `super.__init__()`.
_BARE_SUPER = "descriptor '__init__' of 'super' object"


def is_dtype_error(error: BaseException) -> bool:
    """Whether torch complains that two types of numbers meet."""
    text = str(error)
    return isinstance(error, RuntimeError) and bool(
        re.search(
            r"dtype|expected scalar type|should be the same|Input type|type .* but|ScalarType|Float and|Double and",
            text,
        )
    )


def raised(
    trouble: LearnerError,
    call: str,
    signature: str,
    cure: str = "",
) -> tuple[str, ...]:
    """An error inside the learner's code, in words, with the line and the names of the mistake if it is known."""
    error = trouble.error
    doing = {
        "construct": f"`{call}` could not be built.",
        "forward": f"The forward pass of `{call}` stopped with an error.",
        "train": f"The forward pass of `{call}` in training mode stopped with an error.",
        "backward": f"The backward pass through `{call}` stopped with an error.",
        "call": f"`{call}` stopped with an error.",
    }[trouble.doing]
    text, *names = _in_words(error, signature, trouble, cure)
    return (f"{doing} {text}{at(where(error))}", *names)


def _in_words(error: BaseException, signature: str, trouble: LearnerError, cure: str) -> tuple[str, ...]:
    text = str(error)
    if isinstance(error, SystemExit):
        return (
            "It asked Python to exit. Take out `sys.exit()` or `exit()`: a function returns, it does not leave.",
            "exits",
        )
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "not enough memory" in text:
        return (
            "It asked for far more memory than this task can need. Look at the sizes of the tensors you make.",
            "too-much-memory",
        )
    if isinstance(error, RecursionError):
        return (
            "It calls itself without end: it has no base case, or no call ever reaches it."
            + ("" if trouble.doing == "call" else " Does `forward` call `self(x)`?"),
            "endless-recursion",
        )
    if isinstance(error, EOFError) and "input()" in text:
        return (
            "It waits for `input()`, which a check cannot answer. Take the value as an argument.",
            "waits-for-input",
        )
    if isinstance(error, NotImplementedError):
        if "ModuleList" in text or "ModuleDict" in text:
            return (
                "A list of modules cannot be called. Return `nn.Sequential(*blocks)`, which runs them in a row.",
                "list-returned",
            )
        if 'missing the required "forward"' in text:
            return ("The class has no `forward(self, x)` yet: a module needs one to be called.", "not-written")
        return ("Something is not written yet: `NotImplementedError` was raised.", "not-written")
    if "before Module.__init__() call" in text or "has no attribute '_modules'" in text or _BARE_SUPER in text:
        return (
            "The first line of `__init__` must be `super().__init__()`, with both pairs of brackets, before any layer "
            "is set.",
            "super-init-missing",
        )
    if isinstance(error, TypeError) and re.search(
        r"(positional argument|required positional|unexpected keyword|takes no arguments|missing \d+ required)", text
    ):
        if "Probe.__init__()" in text:
            return (
                "The `block` that you are given takes `(in_channels, channels, stride)`. It makes its own shortcut, so "
                "hand over these three.",
                "wrong-arguments",
            )
        if trouble.doing == "construct" and where(error) is None:
            return (
                f"It is called as `{signature}`, by position, and Python says: {text}. Compare your arguments with "
                "that.",
                "wrong-arguments",
            )
        return (f"Python says: {text}. Compare the call with the arguments that the function takes.",)
    if "is not a Module subclass" in text:
        return (
            "A list was given where modules are expected. Unpack it with a star: `nn.Sequential(*blocks)`.",
            "list-not-unpacked",
        )
    if isinstance(error, TypeError) and ("ellipsis" in text or "NoneType" in text):
        return (f"A part is not written yet, or returns nothing: {text}.", "not-written")
    if isinstance(error, AttributeError) and ("'ellipsis'" in text or "'NoneType'" in text):
        return (f"A part is not written yet, or returns nothing: {text}.", "not-written")
    if isinstance(error, AttributeError) and " object has no attribute " in text:
        return (f"{text}. Was it set in `__init__`, and spelled the same?", "attribute-missing")
    if isinstance(error, NameError):
        return (f"{text}. Was it defined, imported, and spelled the same?", "name-missing")
    known = _shapes_in_words(text, trouble, cure)
    return (
        known
        if known is not None
        else (f"Python says: {type(error).__name__}: {text.splitlines()[0] if text else ''}",)
    )


def _shapes_in_words(text: str, trouble: LearnerError, cure: str) -> tuple[str, ...] | None:
    given = trouble.failed.given if trouble.failed is not None else ()
    cure = f"\n{cure}" if cure else ""
    if "leaf Variable that requires grad" in text:
        return (IN_PLACE, "in-place-under-autograd")
    if "modified by an inplace operation" in text:
        return (
            "An in-place operation has overwritten numbers that the backward pass needs. Replace `+=` or "
            "`inplace=True` by an operation that makes a new tensor, such as `out = out + x`.",
            "overwritten-for-backward",
        )
    if "Expected more than 1 value per channel" in text:
        return (
            "A batch norm in training mode got one single value per channel, which has no variance. The map is 1×1 "
            "and the batch 1: look for what shrinks the map so far.",
        )
    if "expected 2D or 3D input" in text or "expected 5D input" in text:
        return ("A map has four dimensions, (N, C, H, W): use `nn.BatchNorm2d`.", "other-normalization")
    if "normalized_shape" in text:
        return (
            "Your code uses layer norm, this network uses batch norm (`nn.BatchNorm2d`): mean and variance are taken "
            "over the batch and the map, for each channel.",
            "other-normalization",
        )
    if "expected weight to be at least 1 at dimension 0" in text:
        return ("A convolution was made with 0 channels. Look at how you compute their number.", "channels-do-not-fit")
    found = re.search(r"expected input\[(.*?)\] to have (\d+) channels, but got (\d+) channels", text)
    if found:
        return (
            f"A convolution was made for {found[2]} channels and got {found[3]}, in a tensor of shape ({found[1]}). "
            f"Its first argument must be the number of channels that arrive.{cure}",
            "channels-do-not-fit",
        )
    found = re.search(r"(?:running_mean|weight) should contain (\d+) elements not (\d+)", text)
    if found:
        return (
            f"A batch norm was made for {found[2]} channels and got {found[1]}. Give it the number of channels that "
            "leave the convolution before it.",
            "channels-do-not-fit",
        )
    found = re.search(r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)", text)
    if found:
        return (
            f"The linear layer takes {found[3]} features and got {found[2]} in each of {found[1]} rows. "
            + _features(int(found[1]), int(found[2]), trouble),
            "features-do-not-fit",
        )
    if "must match the size of tensor b" in text and len(given) >= 2:
        a, b = given[0], given[1]
        return (
            f"Two tensors that should be added have different shapes, {shape(a)} and {shape(b)}: "
            f"{unequal(a, b)}.{cure}",
            "shapes-do-not-fit",
        )
    if "Sizes of tensors must match" in text:
        return (
            "`torch.cat` needs tensors that agree in every other dimension, got "
            f"{' and '.join(shape(g) for g in given)}.{cure}",
            "shapes-do-not-fit",
        )
    if "Output size is too small" in text:
        size = f", which is {shape(given[0][2:])} here" if given and len(given[0]) == 4 else ""
        return (
            f"A pool's window is larger than the map that arrives{size}. A window of fixed size fits images of one "
            f"size only: take the average over whatever arrives, `nn.AdaptiveAvgPool2d(1)`.{cure}",
            "map-too-small",
        )
    if "Kernel size can't be greater" in text:
        return (
            f"The map has become smaller than the kernel. Something before it shrinks too much.{cure}",
            "map-too-small",
        )
    return None


def _features(rows: int, got: int, trouble: LearnerError) -> str:
    inputs = trouble.failed.inputs if trouble.failed is not None else []
    if inputs and inputs[0].dim() == 2 and rows == inputs[0].shape[0] and got in trouble.channels:
        return (
            "One number arrives for each channel: either the layer should take so many, or one before it was left out."
        )
    return (
        "Average each channel over the map first, then flatten from dimension 1 on, so that one number per channel "
        "is left."
    )
