"""An error inside a learner's code, in words: what it means, what mends it, and the line."""

import builtins
import re
from collections.abc import Iterator, Mapping

from resnet_edu.checks.learner import LearnerError
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
#: The first that fits is told: the name of the mistake (- if none), the kind of error, what Python or torch says, and
#: below it our words. {1} is the first group of the pattern; a row speaks only where all that it mentions is known.
_KNOWN = r"""
exits: SystemExit:
    It asked Python to exit. Take out `sys.exit()` or `exit()`: a function returns, it does not leave.
too-much-memory: MemoryError:
too-much-memory: BaseException: can't allocate memory|not enough memory
    It asked for far more memory than this task can need. Look at the sizes of the tensors you make.
endless-recursion: RecursionError:
    It calls itself without end: it has no base case, or no call ever reaches it.{forward}
waits-for-input: EOFError: input\(\)
    It waits for `input()`, which a check cannot answer. Take the value as an argument.
list-returned: NotImplementedError: ModuleList|ModuleDict
    A list of modules cannot be called. Return `nn.Sequential(*blocks)`, which runs them in a row.
not-written: NotImplementedError: missing the required "forward"
    The class has no `forward(self, x)` yet: a module needs one to be called.
not-written: NotImplementedError:
    Something is not written yet: `NotImplementedError` was raised.
super-init-missing: BaseException: before Module.__init__\(\) call|has no attribute '_modules'
super-init-missing: BaseException: descriptor '__init__' of 'super' object
    The first line of `__init__` must be `super().__init__()`, with both pairs of brackets, before any layer is set.
wrong-arguments: TypeError: Probe\.__init__\(\).*(?:positional|unexpected keyword)
    The `block` that you are given takes `(in_channels, channels, stride)`. It makes its own shortcut, so hand over
    these three.
wrong-arguments: TypeError: positional argument|required positional|unexpected keyword|takes no arguments|missing \d+
    It is called as `{called}`, by position, and Python says: {text}. Compare your arguments with that.
-: TypeError: positional argument|required positional|unexpected keyword|takes no arguments|missing \d+
    Python says: {text}. Compare the call with the arguments that the function takes.
list-not-unpacked: BaseException: is not a Module subclass
    A list was given where modules are expected. Unpack it with a star: `nn.Sequential(*blocks)`.
not-written: TypeError: ellipsis|NoneType
not-written: AttributeError: 'ellipsis'|'NoneType'
    A part is not written yet, or returns nothing: {text}.
attribute-missing: AttributeError:
    Python says: {text}. Check the spelling, and what kind of object stands before {dot}.
attribute-missing: AttributeError:  object has no attribute\s
    {text}. Was it set in `__init__`, and spelled the same?
name-missing: NameError:
    {text}. Was it defined, imported, and spelled the same?
tensor-not-parameter: TypeError: cannot assign .* as parameter
    A parameter cannot be replaced by a plain tensor or number. Change its numbers in place, with a function of
    `nn.init` or with `copy_` under `torch.no_grad()`; or wrap the new tensor, `nn.Parameter(…)`.
-: RuntimeError: ^Error\(s\) in loading state_dict[\s\S]*Unexpected key\(s\) in state_dict: "([^"]+)"
    `load_state_dict` finds `{1}`, which the model has no place for.{unchanged}
-: RuntimeError: ^Error\(s\) in loading state_dict[\s\S]*Missing key\(s\) in state_dict: "([^"]+)"
    `load_state_dict` does not find `{1}`, which the model needs.{unchanged}
-: RuntimeError: size mismatch for (\S+): .*?torch\.Size\(\[(.*?)\]\).*?torch\.Size\(\[(.*?)\]\)
    `load_state_dict` is given `{1}` of shape ({2}), and the model's is ({3}).{unchanged}
in-place-under-autograd: BaseException: leaf Variable that requires grad
    {in_place}
overwritten-for-backward: BaseException: modified by an inplace operation
    An in-place operation has overwritten numbers that the backward pass needs. Replace `+=` or `inplace=True` by an
    operation that makes a new tensor, such as `out = out + x`.
-: BaseException: Expected more than 1 value per channel
    A batch norm in training mode got one single value per channel, which has no variance. The map is 1×1 and the batch
    1: look for what shrinks the map so far.
other-normalization: BaseException: expected 2D or 3D input|expected 5D input
    A map has four dimensions, (N, C, H, W): use `nn.BatchNorm2d`.
other-normalization: BaseException: normalized_shape
    Your code uses layer norm, this network uses batch norm (`nn.BatchNorm2d`): mean and variance are taken over the
    batch and the map, for each channel.
channels-do-not-fit: BaseException: expected weight to be at least 1 at dimension 0
    A convolution was made with 0 channels. Look at how you compute their number.
channels-do-not-fit: BaseException: expected input\[(.*?)\] to have (\d+) channels, but got (\d+) channels
    A convolution was made for {2} channels and got {3}, in a tensor of shape ({1}). Its first argument must be the
    number of channels that arrive.{cure}
channels-do-not-fit: BaseException: (?:running_mean|weight) should contain (\d+) elements not (\d+)
    A batch norm was made for {2} channels and got {1}. Give it the number of channels that leave the convolution before
    it.
features-do-not-fit: BaseException: mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)
    The linear layer takes {3} features and got {2} in each of {1} rows. {features}
shapes-do-not-fit: BaseException: must match the size of tensor b
    Two tensors that should be added have different shapes, {a} and {b}: {unequal}.{cure}
shapes-do-not-fit: BaseException: Sizes of tensors must match
    `torch.cat` needs tensors that agree in every other dimension, got {given}.{cure}
map-too-small: BaseException: Output size is too small
    A pool's window is larger than the map that arrives{map}. A window of fixed size fits images of one size only: take
    the average over whatever arrives, `nn.AdaptiveAvgPool2d(1)`.{cure}
map-too-small: BaseException: Kernel size can't be greater
    The map has become smaller than the kernel. Something before it shrinks too much.{cure}
-: BaseException:
    Python says: {kind}: {line}
"""


def is_dtype_error(error: BaseException) -> bool:
    """Whether torch complains that two types of numbers meet."""
    pattern = r"dtype|expected scalar type|should be the same|Input type|type .* but|ScalarType|Float and|Double and"
    return isinstance(error, RuntimeError) and re.search(pattern, str(error)) is not None


def meaning(trouble: LearnerError) -> str:
    """The kind of an error: its name among the mistakes, or its words without numbers."""
    _, *names = raised(trouble, "", "")
    return names[0] if names else f"{type(trouble.error).__name__} {letters(trouble.error)}"


def raised(trouble: LearnerError, call: str, signature: str, cure: str = "") -> tuple[str, ...]:
    """An error inside the learner's code, in words, with the line and the names of the mistake if it is known."""
    text, names, values = str(trouble.error), tuple[str, ...](), _values(trouble, signature, cure)
    for name, kind, pattern, words in _rows():
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


def _rows() -> Iterator[tuple[str, type[BaseException], str, str]]:
    """The table above, row by row."""
    for heads, words in re.findall(r"((?:^\S.*\n)+)((?:^    .*\n)+)", _KNOWN, re.MULTILINE):
        for head in heads.splitlines():
            name, kind, pattern = head.split(":", 2)
            yield name, getattr(builtins, kind.strip()), pattern[1:], " ".join(words.split())


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
