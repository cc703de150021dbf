"""Every operation of a real forward pass, as Steps: for any ``nn.Module``, ours or not.

Module hooks see what has a name; a function mode sees the additions between them, so the plus sign
of a shortcut is a row of its own. Both watch the receptive field grow (Araujo, Norris and Sim 2019,
section 2).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from resnet_edu.shortcuts import ZeroPadShortcut
from resnet_edu.steps import Shape, Step

_ADDITIONS = (torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__iadd__, Tensor.__radd__)


def trace(model: nn.Module, image: Shape = (3, 224, 224)) -> list[Step]:
    """The operations of one image's way through the model, in the order they ran.

    >>> from resnet_edu import resnet18
    >>> steps = trace(resnet18(), (3, 64, 64))
    >>> steps[0].operation, steps[0].output              # ⌊(64 + 2·3 − 7)/2⌋ + 1
    ('conv 7×7/2', (64, 32, 32))
    >>> [step.operation for step in steps if step.room.startswith("layer1.0")]
    ['conv 3×3', 'batch norm', 'ReLU', 'conv 3×3', 'batch norm', 'add', 'ReLU']

    Runs the model in eval mode without gradients and puts every module's mode back. Errors of the
    model itself come through unchanged.
    """
    rows: list[Step] = []
    modes = {module: module.training for module in model.modules()}
    model.eval()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    x = torch.zeros(1, *image, device=device)
    try:
        with torch.no_grad(), _watch(model, rows, x):
            model(x)
    finally:
        for module, training in modes.items():
            module.training = training
    return rows


@contextmanager
def _watch(model: nn.Module, rows: list[Step], image: Tensor) -> Iterator[None]:
    fields = _Fields(image)
    stack: list[str] = []

    def enter(name: str) -> Any:
        return lambda module, inputs: stack.append(name)

    def leave(name: str, leaf: bool) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            stack.pop()
            if leaf and not isinstance(module, nn.Identity) and isinstance(output, Tensor):
                rows.append(_step(name, module, before[name], output, fields))

        return hook

    before: dict[str, tuple[Shape, tuple[int, int]]] = {}

    def remember(name: str) -> Any:
        # Before the module runs: afterwards an in-place operation has overwritten the record.
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if inputs and isinstance(inputs[0], Tensor):
                before[name] = (tuple(inputs[0].shape[1:]), fields.of(inputs[0]))

        return hook

    def added(out: Tensor) -> None:
        room = f"{stack[-1]}.add" if stack and stack[-1] else "add"
        shape = tuple(out.shape[1:])
        rows.append(Step(room, "add", shape, shape, 0, 0, fields.of(out)[0]))

    handles = []
    for name, module in model.named_modules():
        leaf = next(module.children(), None) is None
        handles.append(module.register_forward_pre_hook(enter(name)))
        if leaf:
            handles.append(module.register_forward_pre_hook(remember(name)))
        handles.append(module.register_forward_hook(leave(name, leaf)))
    try:
        with _Propagate(fields, added, stack, model):
            yield
    finally:
        for handle in handles:
            handle.remove()


class _Fields:
    """For each tensor: how many input pixels a cell sees, and how many lie between two cells."""

    def __init__(self, image: Tensor) -> None:
        self._known: dict[int, tuple[Tensor, tuple[int, int]]] = {id(image): (image, (1, 1))}

    def of(self, tensor: Tensor) -> tuple[int, int]:
        entry = self._known.get(id(tensor))
        return entry[1] if entry else (1, 1)

    def set(self, tensor: Tensor, field: tuple[int, int]) -> None:
        self._known[id(tensor)] = (tensor, field)  # the tensor too, lest its id be used again


class _Propagate(TorchFunctionMode):
    """Hands each result the widest receptive field of its inputs, and reports additions of two maps."""

    def __init__(self, fields: _Fields, added: Any, stack: list[str], model: nn.Module) -> None:
        super().__init__()
        self.fields, self.added, self.stack = fields, added, stack
        self.leaves = {name for name, module in model.named_modules() if next(module.children(), None) is None}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        inputs = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
        inputs += [t for a in args if isinstance(a, list | tuple) for t in a if isinstance(t, Tensor)]
        known = [self.fields.of(t) for t in inputs if t.dim() > 1]
        out = func(*args, **kwargs)
        if isinstance(out, Tensor) and known:
            self.fields.set(out, max(known))
            inside_leaf = bool(self.stack) and self.stack[-1] in self.leaves and self.stack[-1] != ""
            if func in _ADDITIONS and out.dim() == 4 and len(inputs) == 2 and not inside_leaf:
                self.added(out)
        return out


def _step(name: str, module: nn.Module, before: tuple[Shape, tuple[int, int]], output: Tensor, fields: _Fields) -> Step:
    shape, (field, jump) = before
    out = tuple(output.shape[1:])
    operation, multiply_adds = type(module).__name__, 0
    if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        kernel, stride, dilation = (_pair(getattr(module, key, 1)) for key in ("kernel_size", "stride", "dilation"))
        kind = (
            "conv"
            if isinstance(module, nn.Conv2d)
            else "max-pool"
            if isinstance(module, nn.MaxPool2d)
            else "average pool"
        )
        operation = f"{kind} {kernel[0]}×{kernel[1]}" + (f"/{stride[0]}" if stride[0] != 1 else "")
        field, jump = field + (kernel[0] - 1) * dilation[0] * jump, jump * stride[0]
        if isinstance(module, nn.Conv2d):
            multiply_adds = module.weight.numel() * out[1] * out[2]
    elif isinstance(module, nn.AdaptiveAvgPool2d):
        operation, field = "average pool", field + (max(shape[1:]) - 1) * jump
    elif isinstance(module, nn.Linear):
        operation, multiply_adds = "linear", module.weight.numel() * (output.numel() // out[-1])
    elif isinstance(module, nn.BatchNorm2d):
        operation = "batch norm"
    elif isinstance(module, nn.ReLU):
        operation = "ReLU"
    elif isinstance(module, nn.Flatten):
        operation = "flatten"
    elif isinstance(module, ZeroPadShortcut):
        operation, jump = "zero-pad" if module.stride == 1 else f"zero-pad/{module.stride}", jump * module.stride
    fields.set(output, (field, jump))
    parameters = sum(p.numel() for p in module.parameters())
    return Step(name, operation, shape, out, parameters, multiply_adds, field)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)
