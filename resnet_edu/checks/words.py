"""What a check says where no known mistake fits: the error in words, the line, the first thing that differs."""

import linecache
import re
import sysconfig
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.arithmetic import conv_out
from resnet_edu.checks import clues, compare, sizes
from resnet_edu.checks.observe import LearnerError, Observed, before_training, outcome_shape, shapes
from resnet_edu.checks.pairing import Pairing, pairings, partial, weights
from resnet_edu.checks.program import Op, Program, ProgramError, needs, run
from resnet_edu.checks.watch import Place, Step, Unit

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


# What Python says of `super.__init__()`.
_BARE_SUPER = "descriptor '__init__' of 'super' object"


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


def is_dtype_error(error: BaseException) -> bool:
    """Whether torch complains that two types of numbers meet."""
    text = str(error)
    return isinstance(error, RuntimeError) and bool(
        re.search(
            r"dtype|expected scalar type|should be the same|Input type|type .* but|ScalarType|Float and|Double and",
            text,
        )
    )


def at(place: Place | None, theirs: Any) -> str:
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


def raised(
    trouble: LearnerError,
    theirs: Any,
    call: str,
    signature: str,
    program: Program | None = None,
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
    text, *names = _in_words(error, signature, trouble, program)
    return (f"{doing} {text}{at(where(error), theirs)}", *names)


def _in_words(error: BaseException, signature: str, trouble: LearnerError, program: Program | None) -> tuple[str, ...]:
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
            "It calls itself without end. A function needs a case in which it does not, and `forward` must not call "
            "`self(x)`.",
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
    known = _shapes_in_words(text, trouble, program)
    return (
        known
        if known is not None
        else (f"Python says: {type(error).__name__}: {text.splitlines()[0] if text else ''}",)
    )


def _shapes_in_words(text: str, trouble: LearnerError, program: Program | None) -> tuple[str, ...] | None:
    given = trouble.failed.given if trouble.failed is not None else ()
    cure = _cure(trouble, program)
    if "leaf Variable that requires grad" in text:
        return (
            "A weight is changed in place while its gradient is recorded. Do it inside `with torch.no_grad():`, or "
            "with the functions of `nn.init`.",
            "weight-changed-with-gradient",
        )
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
            f"{_unequal(a, b)}.{cure}",
            "shapes-do-not-fit",
        )
    if "Sizes of tensors must match" in text:
        return (
            "`torch.cat` needs tensors that agree in every other dimension, got "
            f"{' and '.join(shape(g) for g in given)}.{cure}",
            "shapes-do-not-fit",
        )
    if "Kernel size can't be greater" in text:
        return (
            f"The map has become smaller than the kernel. Something before it shrinks too much.{cure}",
            "map-too-small",
        )
    return None


def _features(rows: int, got: int, trouble: LearnerError) -> str:
    given = trouble.given
    if given is not None and rows == given.shape[0] and got in {given.shape[1], *(u.made[1] for u in trouble.units)}:
        return (
            "One number arrives for each channel: either the layer should take so many, or one before it was left out."
        )
    return (
        "Average each channel over the map first, then flatten from dimension 1 on, so that one number per channel "
        "is left."
    )


def _unequal(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    if len(a) != len(b):
        return f"{len(a)} dimensions and {len(b)}"
    names = ("batch", "channels", "height", "width") if len(a) == 4 else tuple(f"dimension {i}" for i in range(len(a)))
    parts = [f"{name} {one} against {two}" for name, one, two in zip(names, a, b, strict=True) if one != two]
    return ", ".join(parts)


def _cure(trouble: LearnerError, program: Program | None) -> str:
    """Which of the learner's operations first makes another size than the reference's, and what would mend it."""
    if program is None or trouble.given is None:
        return ""
    found = size_fault(program, trouble.given, trouble.units)
    return f"\n{found}" if found else ""


def size_fault(program: Program, x: Tensor, units: Iterable[Unit]) -> str | None:
    """The first convolution whose size differs from that of the reference's with the same weights, solved."""
    units = list(units)
    if Counter(unit.key for unit in units) - Counter(needs(op) for op in program.slots()):
        return None  # other weights than the reference's: nothing to compare with
    left = [entry for _, entry in shapes(program, x)[0]]
    for unit in units:
        same_weights = [entry for entry in left if entry[:2] == unit.key]
        if not same_weights or unit.kind != "conv":
            continue
        match = next((entry for entry in same_weights if entry[2] == unit.made), None)
        left.remove(match or same_weights[0])
        if match is None and len(unit.given) == 4:
            op = next(op for op in program.ops if op.kind == "conv" and needs(op) == unit.key)
            return _size_solved(unit, op, same_weights[0][2])
    return None


def _size_solved(unit: Unit, op: Op, wanted: tuple[int, ...]) -> str | None:
    axis = 2 if unit.made[2] != wanted[2] else 3
    settings = [unit.settings.get(key) for key in ("stride", "padding")]
    stride, padding = (value[axis - 2] if isinstance(value, tuple | list) else value for value in settings)
    if not isinstance(padding, int) or not isinstance(stride, int):
        return None
    size, kernel = unit.given[axis], op["kernel"]
    side = "" if unit.made[2] != wanted[2] else " in width"
    start = (
        f"The convolution with a kernel of {kernel} makes {size} → {unit.made[axis]}{side}, {wanted[axis]} was expected"
    )
    try:
        now = sizes.formula(size, kernel, stride, padding, _first(unit.settings.get("dilation", 1)))
        right = sizes.formula(size, kernel, op["stride"], op["padding"])
    except ValueError:
        return start + "."
    if (stride, padding) != (op["stride"], op["padding"]) and right.endswith(f"= {wanted[axis]}"):
        return f"{start}: now {now}; with stride {op['stride']} and padding {op['padding']}, {right}."
    return f"{start}: {now}."


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple | list) else value


def extra_parameters(call: str, program: Program, seen: Observed) -> tuple[str, str] | None:
    """What to say of learnable numbers that no convolution, batch norm or linear layer uses."""
    by_hand = any(unit.settings.get("by_hand") for unit in seen.units)
    learning = seen.learning()
    loose = [name for name in seen.unused if learning.get(name, True)]
    if not (loose or by_hand):
        return None
    names = ", ".join(f"`{name}`" for name in loose[:4]) or "weights"
    loose_bias = any(unit.kind == "linear" and unit.bias is None for unit in seen.units)
    if by_hand or loose_bias or len(seen.units) < len(program.slots()):
        return (
            f"`{call}` uses {names} in a way that I cannot follow, so I cannot tell whether your numbers are right. I "
            "follow `nn.Conv2d`, `nn.BatchNorm2d`, `nn.Linear` and their functions in `torch.nn.functional`: write it "
            "with these.",
            "not-followed",
        )
    return (
        f"`{call}` learns numbers of its own beside the weights of its layers: {names}. The reference has none: take "
        "them out.",
        "extra-parameter",
    )


def foreign(program: Program, seen: Observed, theirs: Any) -> tuple[str, str] | None:
    """What to say of a function that has no business here."""
    found = clues.foreign(program, seen)
    return None if found is None else (f"{found[0]}{at(found[2].line, theirs)}", found[1])


def clue(program: Program, seen: Observed, theirs: Any) -> tuple[str, str] | None:
    """What the learner's code does that the reference never does, or does in another measure."""
    found = foreign(program, seen, theirs)
    if found is not None:
        return found
    values = run_as_far(program, seen, _best_pairing(program, seen))
    parts = clues.shares(values, program, seen)
    if parts is not None:
        one, other = (f"{share:.3g}" for share in parts)
        return (
            f"Your sum is {one}·F(x) + {other}·shortcut. A residual block takes one of each: F(x) + x.",
            "sum-weighted",
        )
    return None


def first_difference(call: str, program: Program, seen: Observed, theirs: Any) -> tuple[str, ...]:
    """Where the learner's numbers first leave the reference's, and the next thing to look at."""
    out = seen.outputs[0]
    x = seen.inputs[0]
    reference_shape = outcome_shape(program, x)
    lines = ["I do not recognize this one, so here is what I can see."]
    if any(isinstance(o, Tensor) and not compare.finite(o) for o in seen.outputs):
        return (
            f"`{call}` returns numbers that are not finite (NaN or infinity), on ordinary random input. Look for a "
            "division by zero, a square root or logarithm of something negative, or a tensor that was never filled "
            "(`torch.empty`).",
            "not-finite",
        )
    fault = size_fault(program, x, seen.units)
    if reference_shape is not None and tuple(out.shape) != reference_shape:
        lines = [
            f"`{call}` makes {shape(x.shape)} into {shape(out.shape)}; expected {shape(reference_shape)}: "
            f"{_unequal(tuple(out.shape), reference_shape)}."
        ]
        solved = _solved(program, seen) if fault is None else fault
        if solved:
            lines.append(solved)
        name: tuple[str, ...] = ("wrong-shape",)
    else:
        name = ()
    count = _counts(program, seen)
    if count:
        lines.append(count)
    lines.append(_walk(call, program, seen, theirs))
    return ("\n".join(line for line in lines if line), *name)


def _solved(program: Program, seen: Observed) -> str:
    pool = next((op for op in program.ops if op.kind == "maxpool"), None)
    theirs = [step for step in seen.steps if step.function == "max_pool2d" and len(step.given[0]) == 4]
    if pool is None or len(theirs) != 1:
        return ""
    size, got = theirs[0].given[0][2], theirs[0].made.shape[2]
    setting = (pool["kernel"], pool["stride"], pool["padding"])
    found = sizes.explains(size, got, *setting) if conv_out(size, *setting) != got else None
    return f"What explains {size} → {got} in the max-pool: {found}." if found else ""


_KINDS = {"conv": "convolution", "bn": "batch norm", "linear": "linear layer"}


def _counts(program: Program, seen: Observed) -> str:
    parts = []
    for kind in _KINDS:
        wanted = sum(op.kind == kind for op in program.ops)
        got = sum(unit.calls for unit in seen.units if unit.kind == kind)
        if wanted != got:
            parts.append(f"{got} {_KINDS[kind]}{'s' * (got != 1)} where the reference runs {wanted}")
    return f"Your forward pass runs {' and '.join(parts)}." if parts else ""


def _walk(call: str, program: Program, seen: Observed, theirs: Any) -> str:
    """Go along the reference and look for each of its tensors among the learner's."""
    steps = seen.steps
    if not steps:
        return "Next, print the shape and the mean of each tensor in `forward`, line by line, against your drawing."
    pairing = _best_pairing(program, seen)
    values = run_as_far(program, seen, pairing)
    last_words, last_index = "the input", -1
    for op in program.ops:
        value = values.get(op.name)
        if value is None:
            return (
                f"{_so_far(last_words)} {_instead(op, pairing, seen) or _nothing_like(op)} "
                f"{_next(steps, last_index, theirs)}"
            )
        index = next((i for i, step in enumerate(steps) if _alike(step.made, value)), None)
        if index is None:
            distance = _distance(op, steps, last_index, value)
            return (
                f"{_so_far(last_words)} The first that I cannot find is {op.words}, of "
                f"shape {shape(value.shape)}{distance}. {_next(steps, last_index, theirs)}"
            )
        last_words, last_index = op.words, max(last_index, index)
    return (
        f"Every tensor of the reference appears in your code, but what you return is another. "
        f"{_next(steps, last_index, theirs)}"
    ).strip()


def _best_pairing(program: Program, seen: Observed) -> Pairing:
    """The pairing under which most of the reference appears in the learner's code."""
    whole = list(pairings(program, seen.units))
    if whole:
        return max(whole, key=lambda pairing: progress(program, seen, pairing))
    return partial(program, seen.units)


def _alike(theirs: Tensor, value: Tensor) -> bool:
    # An average over the map may come as (N, C, 1, 1) or as (N, C).
    return compare.same(theirs, value) or (value.shape[2:] == (1, 1) and compare.same(theirs, value.flatten(1)))


def _instead(op: Op, pairing: Pairing, seen: Observed) -> str:
    """The learner's layer that stands where this one should, if there is one of its kind with other weights."""
    free = [u for u in seen.units if u.kind == op.kind and all(u is not paired for paired in pairing.values())]
    kind, wanted = needs(op)
    if not free or not free[0].key[1] or free[0].key[1] == wanted:
        return ""
    groups = free[0].settings.get("groups", 1)
    shown = free[0].key[1]
    if groups > 1:
        shown = (shown[0], shown[1] * groups, *shown[2:])
    theirs = _takes(kind, shown, "s") + (f" in {groups} groups" if groups > 1 else "")
    return f"{op.words[:1].upper()}{op.words[1:]} should {_takes(kind, wanted)}; the one I find in its place {theirs}."


def _takes(kind: str, weights: tuple[int, ...], s: str = "") -> str:
    if kind == "bn":
        return f"ha{'s' if s else 've'} {weights[0]} channels"
    if kind == "linear":
        return f"make{s} {weights[1]} features into {weights[0]}"
    return f"make{s} {weights[1]} channels into {weights[0]} with a {weights[2]}×{weights[3]} kernel"


def _nothing_like(op: Op) -> str:
    return f"I find nothing in your code that does the work of {op.words}."


def _so_far(last: str) -> str:
    return f"Up to {last} your numbers are right." if last != "the input" else "Your numbers differ from the start."


def progress(program: Program, seen: Observed, pairing: Pairing) -> int:
    """How many of the program's operations, from the first on, make tensors that appear in the learner's code."""
    count, last = 0, None
    for _, last in seen.memory(0).follow(program, {s: seen.weights_of(u) for s, u in pairing.items()}, {}):
        if last is None or not seen.appears(last):
            return count
        count += 1
    return count + (last is not None and seen.is_output(0, last))


_MADE_BY = {
    "conv": {"conv2d"},
    "bn": {"batch_norm"},
    "linear": {"linear"},
    "act": {"relu", "relu_"},
    "add": {"add", "add_", "__add__", "__iadd__", "__radd__"},
    "maxpool": {"max_pool2d"},
}


def _distance(op: Op, steps: list[Step], last: int, value: Tensor) -> str:
    """How far the nearest of the learner's tensors is that the same kind of operation made."""
    functions = _MADE_BY.get(op.kind, set())
    near = [
        compare.difference(step.made, value)
        for step in steps[last + 1 :]
        if step.function in functions and step.made.shape == value.shape
    ]
    return f"; the nearest of yours differs by {min(near):.2g} (relative)" if near else ""


def _next(steps: list[Step], last: int, theirs: Any) -> str:
    if last + 1 >= len(steps):
        return ""
    step = steps[last + 1]
    name = step.function.strip("_")
    return f"Look at what your code does next, `{name}`, which makes {shape(step.made.shape)}.{at(step.line, theirs)}"


def run_as_far(program: Program, seen: Observed, pairing: Pairing) -> dict[str, Tensor]:
    """The reference's tensors up to the first operation for which the learner has no weights."""
    # The statistics of before the training step: the learner's tensors were kept before it too.
    known = weights(pairing, {id(unit): before_training(seen, unit) for unit in pairing.values() if unit.kind == "bn"})
    values: dict[str, Tensor] = {}
    ops: list[Op] = []
    for op in program.ops:
        if op.kind in {"conv", "bn", "linear"} and op.get("slot", op.name) not in known:
            break
        ops.append(op)
    with torch.no_grad():
        try:
            values = run(Program(tuple(ops), program.blocks), seen.inputs[0].clone(), known) if ops else {}
        except ProgramError:
            return {}
    return values
