"""Every operation of a real forward pass, as Steps: for any ``nn.Module``, ours or not.

Hooks on the model's own modules tell the rooms; a function mode sees each function that touches a tensor, what it
read and what it made. What a tensor comes from rides along on it. What cannot be seen: the inside of a script, work
in other threads, trips through numpy.
"""

import inspect
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from resnet_edu.counting import fields, functions
from resnet_edu.counting.fields import View, image_view
from resnet_edu.counting.functions import Call
from resnet_edu.counting.recipes import image_shape
from resnet_edu.counting.steps import Shape, Step, Traced


def trace(model: nn.Module, image: Shape | int = (3, 224, 224)) -> Traced:
    """The operations of one image's way through the model, in the order they ran.

    >>> from resnet_edu import resnet18
    >>> steps = trace(resnet18(), (3, 64, 64))
    >>> steps[0].operation, steps[0].output              # ⌊(64 + 2·3 − 7)/2⌋ + 1
    ('conv 7×7/2', (64, 32, 32))
    >>> [step.operation for step in steps if step.room.startswith("layer1.0")]
    ['conv 3×3', 'batch norm', 'ReLU', 'conv 3×3', 'batch norm', 'add', 'ReLU']
    >>> steps[9].room, [steps[9 - n].room for n in steps[9].reads]          # the sum of the block, and what it adds
    ('layer1.0.add', ['layer1.0.bn2', 'maxpool'])

    A row is a module without children, or a function called between modules; what only gives a tensor another shape
    leaves none. Each parameter is counted once, in the row that reads it first; ``unread`` holds the others. Compiled
    and parallel models are unwrapped. Runs the model in eval mode without gradients and puts every module's mode back.

    Raises TypeError for a script, whose inside nobody can watch, for quantized layers, whose weights nobody can count,
    and for a model that needs several inputs. Errors of the model itself come through unchanged.
    """
    model = _unwrapped(model)
    weight = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    x = torch.zeros(1, *image_shape(image), device=weight.device, dtype=weight.dtype)
    args, kwargs = _arguments(model, x)
    modules = list(model.modules())
    training = [module for module in modules if module.training]
    compiled = {module: module._compiled_call_impl for module in modules if module._compiled_call_impl is not None}
    watch = _Watch(model, x)
    hooks = [hook for module in modules for hook in watch.hooks(module)]
    try:
        with ExitStack() as stack:
            if any(hasattr(module, "_orig_mod") for module in modules):
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            stack.enter_context(torch.no_grad())
            if training:
                model.eval()
            for module in compiled:
                module._compiled_call_impl = None
            stack.enter_context(watch)
            model(*args, **kwargs)
    finally:
        for hook in hooks:
            hook.remove()
        for module in training:
            module.training = True
        for module, call in compiled.items():
            module._compiled_call_impl = call
    return Traced(watch.steps(), watch.unread(), watch.lost)


@dataclass(slots=True, eq=False)
class _Row:
    """A Step while it is being made."""

    room: str
    operation: str
    reads: "list[_Row]"
    input: Shape
    output: Shape
    side: int
    parameters: int = 0
    multiply_adds: int = 0
    learned: bool = False
    counted: bool = True
    has_word: bool = True
    """Whether the operation is a word of the book, and not just the function's name."""
    index: int = -1
    into: "_Row | None" = None
    """The row that it became a part of."""

    def final(self) -> "_Row":
        row = self
        while row.into is not None:
            row = row.into
        return row


class _Mark:
    """What rides on a tensor: the row that made it and what its cells see, or the parameters it is made of alone."""

    __slots__ = ("cost", "owed", "row", "run", "view")

    def __init__(
        self, run: object, row: _Row | None, view: View | None, owed: tuple[Tensor, ...] = (), cost: int = 0
    ) -> None:
        self.run, self.row, self.view, self.owed = run, row, view, owed
        self.cost = cost
        """The multiply-adds that made a tensor of parameters alone, until a row has paid for them."""


class _Watch(TorchFunctionMode):
    def __init__(self, model: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.run = object()  # a tensor that an earlier trace has marked means nothing here
        self.thread = threading.get_ident()
        self.names = {module: _shown(name) for name, module in model.named_modules()}
        self.leaves = {module for module in self.names if _is_leaf(module)}
        self.model = model
        self.parameters = {id(p): p for p in model.parameters()}
        self.read: set[int] = set()
        self.rows: list[_Row] = []
        self.lost = False
        self.running: list[tuple[nn.Module, int]] = []  # outermost first, with the number of rows before it
        shape = tuple(x.shape[1:])
        self.image = _Row("image", "image", [], shape, shape, 1)
        self.pixels = image_view(x.shape)
        _put(x, _Mark(self.run, self.image, self.pixels))

    # -- modules ------------------------------------------------------------------------------------

    def hooks(self, module: nn.Module) -> Iterator[Any]:
        yield module.register_forward_pre_hook(self.enter)
        # Also when the forward fails: the model may catch the error and go on.
        yield module.register_forward_hook(self.leave, with_kwargs=True, always_call=True)

    def enter(self, module: nn.Module, args: Any) -> None:
        if threading.get_ident() == self.thread:
            self.running.append((module, len(self.rows)))

    def leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if threading.get_ident() != self.thread or not self.running:
            return
        _, start = self.running.pop()
        made = len(self.rows) - start
        if module in self.leaves and made == 1:
            self.name(self.rows[start], module)
        elif module in self.leaves and made:
            self.merge(module, start)
        elif not made and isinstance(output, Tensor) and not isinstance(module, nn.Identity | nn.Sequential):
            with torch._C.DisableTorchFunction():
                self.silent(module, args, kwargs, output)

    def name(self, row: _Row, module: nn.Module) -> None:
        row.room = self.names.get(module, "")
        own = getattr(type(module), "operation", None)  # a module of the network may bring the word for itself
        if isinstance(own, str):
            stride = getattr(module, "stride", 1)
            row.operation = f"{own}/{stride}" if own == "zero-pad" and stride != 1 else own
        elif not row.has_word:
            row.operation = type(module).__name__

    def merge(self, module: nn.Module, start: int) -> None:
        """What a module without children did, as one row, unless it is a block of its own."""
        parts = self.rows[start:]
        inside = set(map(id, parts))
        outside: list[_Row] = []
        for row in parts:
            outside += [read for read in map(_Row.final, row.reads) if id(read) not in inside and read not in outside]
        weighted = [row for row in parts if row.multiply_adds or not row.counted]
        sums = [row for row in parts if row.operation == "add"]
        is_known = type(module).__module__.startswith("torch.nn") or hasattr(type(module), "operation")
        several = len(weighted) > 1 or (sums and (len(outside) > 1 or any(row.learned for row in parts)))
        if not is_known and (several or module is self.model):
            return
        whole = _Row(
            "",
            weighted[0].operation if len(weighted) == 1 else type(module).__name__,
            outside,
            parts[0].input,
            parts[-1].output,
            parts[-1].side,
            sum(row.parameters for row in parts),
            sum(row.multiply_adds for row in parts),
            any(row.learned for row in parts),
            all(row.counted for row in parts),
        )
        self.name(whole, module)
        for row in parts:
            row.into = whole
        self.rows[start:] = [whole]

    def silent(self, module: nn.Module, args: Any, kwargs: Any, output: Tensor) -> None:
        """A module that ran and made no row: it did nothing, or it did it where nobody can look."""
        marked = ((tensor, self.mark(tensor)) for tensor in functions.tensors((*args, *kwargs.values())))
        given = [(tensor, mark) for tensor, mark in marked if mark is not None and mark.row is not None]
        mark = self.mark(output)
        # A dropout does nothing now, a flatten hardly more, and a reader who wrote one looks for it.
        is_torchs = module in self.leaves and type(module).__module__.startswith("torch.nn.modules")
        if not given or not output.is_floating_point() or (mark is not None and not is_torchs):
            return
        views = [mark.view for _, mark in given if mark.view is not None]
        view = mark.view if mark else fields.unknown(views, tuple(output.shape))
        row = _Row(
            self.names.get(module, ""),
            functions.WORDS.get(type(module).__name__.lower(), type(module).__name__),
            [mark.row for _, mark in given if mark.row is not None],
            functions.shape(given[0][0]),
            functions.shape(output),
            view.side if view else 1,
        )
        if mark is None:
            self.pay(row, list(module.parameters()))
            row.counted = not row.learned
        self.rows.append(row)
        _put(output, _Mark(self.run, row, view))

    def pay(self, row: _Row, owed: list[Tensor]) -> None:
        """The row reads these parameters; those that no row has read before are its own."""
        row.learned = bool(owed)
        for parameter in owed:
            if id(parameter) not in self.read:
                self.read.add(id(parameter))
                row.parameters += parameter.numel()

    # -- functions ----------------------------------------------------------------------------------

    def mark(self, tensor: Tensor) -> _Mark | None:
        mark = getattr(tensor, "_resnet_edu_mark", None)
        return mark if mark is not None and mark.run is self.run else None

    def constant(self, output: Any) -> None:
        """A tensor that is made of nothing: neither of the image nor of parameters."""
        for tensor in functions.tensors((output,)):
            if id(tensor) not in self.parameters:
                _put(tensor, _Mark(self.run, None, None))

    def is_strange(self, x: Any) -> bool:
        """Whether this is a tensor from nowhere."""
        if not isinstance(x, Tensor) or id(x) in self.parameters or self.mark(x) is not None:
            return False
        return x.is_floating_point() and not any(x is buffer for buffer in self.model.buffers())

    def guess(self, tensor: Tensor) -> _Mark:
        """It probably comes from the last row; what it sees nobody knows."""
        row = self.rows[-1] if self.rows else self.image
        return _Mark(self.run, row, fields.unknown([self.pixels], tensor.shape))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "function").partition(".")[0]
        if name in functions.QUESTIONS:
            output = func(*args, **kwargs)
            if isinstance(output, Tensor):  # zeros_like and its kind
                self.constant(output)
            return output
        given = functions.tensors((*args, *(value for key, value in kwargs.items() if key != "out")))
        marks: list[_Mark] = []
        seen: list[Tensor] = []
        owed: list[Tensor] = []
        paid: list[_Mark] = []
        made_before = 0
        matrix = False
        for tensor in given:
            mark = getattr(tensor, "_resnet_edu_mark", None)
            if mark is not None and mark.run is self.run:
                if mark.row is None:
                    owed += mark.owed
                    if mark not in paid:
                        made_before += mark.cost
                        paid.append(mark)
                    matrix = matrix or bool(mark.owed and tensor.dim() > 1)
                else:
                    marks.append(mark)
                    seen.append(tensor)
            elif id(tensor) in self.parameters and not is_lazy(tensor):
                owed.append(tensor)
                matrix = matrix or tensor.dim() > 1
        if not marks and not owed:
            output = func(*args, **kwargs)
            if name in functions.CONSTANTS or (given and all(map(self.mark, given))):
                self.constant(output)
            return output
        writes = [_writes(tensor) for tensor in given]
        plain = name.strip("_")
        first = args[0] if args else kwargs.get("input")
        if not marks and plain in functions.LAYERS and self.is_strange(first):
            # A layer reads what no function made that could be seen: a script's output, or numpy's.
            marks, seen, self.lost = [self.guess(first)], [first], True
        if plain in functions.FREE or plain in functions.COSTS or not (marks or matrix):
            output, cost = func(*args, **kwargs), None
        else:
            output, cost = functions.measured(func, args, kwargs)
        made = functions.tensors((output,)) if not isinstance(output, Tensor) else [output]
        if output is None and isinstance(first, Tensor):  # x[…] = y
            made = [first]
        if not made:  # a question about a tensor, such as its shape, pays for nothing
            return output
        for mark in paid:
            mark.cost = 0
        if not marks:
            own = Call(plain, args, kwargs, given, []).multiply_adds(made[0]) or cost or 0
            for tensor in made:
                if id(tensor) not in self.parameters and (tensor.is_floating_point() or tensor.is_complex()):
                    _put(tensor, _Mark(self.run, None, None, tuple(owed), made_before + own))
                    made_before = own = 0
            return output
        call = Call(plain, args, kwargs, seen, [mark.view for mark in marks])
        source = marks[0]
        # Whole numbers tell where something is, as argmax does, unless weights made them.
        is_value = made[0].is_floating_point() or made[0].is_complex() or bool(owed) or plain in functions.LAYERS
        if plain in functions.RESHAPES or not is_value:
            for tensor in made:
                _put(tensor, _Mark(self.run, source.row, call.seen_by(tensor)))
            return output
        is_changed = (
            output is None
            or "out" in kwargs
            or (name.endswith("_") and not name.endswith("__"))
            or any(made[0] is x and _writes(x) != before for x, before in zip(given, writes, strict=True))
            or bool(made[0].is_inference() and kwargs.get("inplace"))
        )
        if not is_changed and (any(made[0] is tensor for tensor in given) or functions.changes_nothing(call)):
            for tensor in made:
                _put(tensor, _Mark(self.run, source.row, source.view))
            return output
        if plain == "getitem" and output.numel() == seen[0].numel():
            _put(output, _Mark(self.run, source.row, call.seen_by(output)))
            return output
        view = call.seen_by(made[0])
        row = self.add(call, [mark.row for mark in marks], owed, made[0], cost, matrix, view)
        row.multiply_adds += made_before
        for tensor in made:
            _put(tensor, _Mark(self.run, row, view if tensor is made[0] else call.seen_by(tensor)))
            base = tensor._base if is_changed else None
            whole = self.mark(base) if base is not None else None
            if base is not None and whole and view:  # a write through a view changes what it is a view of
                _put(base, _Mark(self.run, row, _written(whole.view, view, tensor, base)))
        return output

    def add(
        self,
        call: Call,
        reads: Any,
        owed: list[Tensor],
        output: Tensor,
        cost: int | None,
        matrix: bool,
        view: View | None,
    ) -> _Row:
        word, has_word = call.word(bool(owed))
        # A module that is made in the forward has no name: it ran inside the one around it.
        room = next((self.names[module] for module, _ in reversed(self.running) if module in self.names), "")
        row = _Row(
            f"{room}.{call.name}".lstrip("."),
            word,
            reads,
            functions.shape(call.seen[0]),
            functions.shape(output),
            view.side if view else 1,
            has_word=has_word,
        )
        self.pay(row, owed)
        own = call.multiply_adds(output)
        row.multiply_adds = (cost or 0) if own is None else own
        # What multiplies by a matrix and is known to nobody, PyTorch's counter included, is not counted.
        row.counted = own is not None or bool(cost) or call.name in functions.FREE or not matrix
        self.rows.append(row)
        return row

    # -- afterwards ---------------------------------------------------------------------------------

    def steps(self) -> Iterator[Step]:
        for index, row in enumerate(self.rows):
            row.index = index
        for row in self.rows:
            reads = tuple(row.index - read.final().index for read in row.reads)
            yield Step(
                row.room,
                row.operation,
                row.input,
                row.output,
                row.parameters,
                row.multiply_adds,
                row.side,
                reads,
                row.learned,
                row.counted,
            )

    def unread(self) -> dict[str, int]:
        left: dict[str, int] = {}
        for name, module in self.model.named_modules():
            for own, parameter in module.named_parameters(recurse=False):
                if id(parameter) not in self.read:
                    self.read.add(id(parameter))
                    holder = _shown(name) or own
                    left[holder] = left.get(holder, 0) + parameter.numel()
        return left


def _writes(tensor: Tensor) -> int:
    """How often its memory was written to, through any of its views; tensors of ``inference_mode`` do not count it."""
    return 0 if tensor.is_inference() else tensor._version


def _written(whole: View | None, view: View, part: Tensor, base: Tensor) -> View:
    """What a tensor sees, into a part of which another one was written."""
    written = functions.placed(view, part, base)
    return fields.together([whole, written], tuple(base.shape)) if whole else written


def _unwrapped(model: nn.Module) -> nn.Module:
    while True:
        if isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner  # torch.compile
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            break
    for name, module in model.named_modules():
        if _is_packed(module):
            layer = name.removesuffix("_packed_params").removesuffix(".")
            raise TypeError(
                f"{layer or type(model).__name__} keeps its weights packed in eight bits, where nobody can count them: "
                "pass the model as it was before it was quantized"
            )
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise TypeError(
            "nobody can watch the inside of a script: pass the model as it was before torch.jit.script or "
            "torch.jit.trace"
        )
    return model


def _arguments(model: nn.Module, x: Tensor) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """The image as the forward takes it: first, or under the one keyword that has to be there."""
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        return (x,), {}
    needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    name = type(model).__name__
    if len(needed) > 1:
        raise TypeError(
            f"{name}.forward needs {len(needed)} inputs ({', '.join(p.name for p in needed)}), and trace gives it one "
            "image: pass a module whose forward takes the image and makes the others"
        )
    if not parameters:
        raise TypeError(f"{name}.forward takes no input, so no image can go through it")
    if [p.kind for p in needed] == [inspect.Parameter.KEYWORD_ONLY]:
        return (), {p.name: x for p in needed}
    return (x,), {}


def _is_packed(module: nn.Module) -> bool:
    """Whether it is one of PyTorch's quantized layers: they have no parameters, but an object for PyTorch's kernels."""
    held = vars(module).values() if type(module).__module__.startswith("torch.ao.") else ()
    return any(isinstance(value, torch.ScriptObject) or getattr(value, "is_quantized", False) for value in held)


def _is_leaf(module: nn.Module) -> bool:
    # torch.nn.utils.parametrize hangs what makes the weight below the module.
    return all(name == "parametrizations" for name, _ in module.named_children())


def _shown(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def _put(tensor: Tensor, mark: _Mark) -> None:
    tensor._resnet_edu_mark = mark  # type: ignore[attr-defined]
