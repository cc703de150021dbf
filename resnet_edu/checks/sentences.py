"""The sentences that all checks share, in one table: of errors, and of things seen directly, whatever the numbers."""

import builtins
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

#: A row has the name of a mistake (- if none), or several, and below them our words. With a kind of error and a pattern
#: of what Python or torch says it is told of such an error, the first that fits. Then {1} is the first group of the
#: pattern, and a row speaks only where all that it mentions is known.
_TABLE = r"""
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
fixed-type
fixed-type: RuntimeError: dtype|expected scalar type|should be the same|Input type|type .* but|Float and|Double and
    Your code makes or converts a tensor to a type of its own, so it fails or changes type on an input of another one
    (double or half precision). Make new tensors like the input: `torch.zeros(…, dtype=x.dtype, device=x.device)` or
    `x.new_zeros(…)`, and leave out `.float()`.
-: BaseException: Expected more than 1 value per channel
    A batch norm in training mode got one single value per channel, which has no variance. The map is 1×1 and the batch
    1: look for what shrinks the map so far.
other-normalization: BaseException: expected 2D or 3D input|expected 5D input
    A map has four dimensions, (N, C, H, W): use `nn.BatchNorm2d`.
other-normalization
other-normalization: BaseException: normalized_shape
    Your code normalizes with a {norm}, this network uses batch norm (`nn.BatchNorm2d`): mean and variance are taken
    over the batch and the map, for each channel.
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


@cache
def _rows() -> list[tuple[str, str, str, str]]:
    """Name, kind of error and pattern (or none), words."""
    return [
        (name, kind.strip(), pattern[1:], " ".join(words.split()))
        for heads, words in re.findall(r"((?:^\S.*\n)+)((?:^    .*\n)+)", _TABLE, re.MULTILINE)
        for name, _, rest in (head.partition(":") for head in heads.splitlines())
        for kind, _, pattern in [rest.partition(":")]
    ]


def said(name: str, **values: Any) -> tuple[str, str]:
    """What to say of something seen directly, and its name."""
    words = next(words for row, kind, _, words in _rows() if row == name and not kind)
    return words.format(**values), name


def of_errors() -> Iterator[tuple[str, type[BaseException], str, str]]:
    """What to say of errors: the name of the mistake, the kind, the pattern, and the words."""
    return ((name, getattr(builtins, kind), pattern, words) for name, kind, pattern, words in _rows() if kind)
