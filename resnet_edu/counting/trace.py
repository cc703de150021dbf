"""Every operation of a real forward pass, as Steps: for any ``nn.Module``, ours or not.

Module hooks see what has a name; a function mode sees the additions between them, so the plus sign
of a shortcut is a row of its own. Both watch the receptive field grow (Araujo, Norris and Sim 2019,
section 2): it rides along on the tensors.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from resnet_edu.counting.steps import Shape, Step

# For the height and the width: how many input pixels a cell sees, how many lie between two cells.
_View = tuple[tuple[int, int], ...]

_WORDS: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    nn.MaxPool2d: "max-pool",
    nn.AvgPool2d: "average pool",
    nn.AdaptiveAvgPool2d: "average pool",
    nn.BatchNorm2d: "batch norm",
    nn.ReLU: "ReLU",
    nn.Flatten: "flatten",
    nn.Linear: "linear",
}


def trace(model: nn.Module, image: Shape = (3, 224, 224)) -> list[Step]:
    """The operations of one image's way through the model, in the order they ran.

    >>> from resnet_edu import resnet18
    >>> steps = trace(resnet18(), (3, 64, 64))
    >>> steps[0].operation, steps[0].output              # ⌊(64 + 2·3 − 7)/2⌋ + 1
    ('conv 7×7/2', (64, 32, 32))
    >>> [step.operation for step in steps if step.room.startswith("layer1.0")]
    ['conv 3×3', 'batch norm', 'ReLU', 'conv 3×3', 'batch norm', 'add', 'ReLU']

    A row is a module without children, under its class's name where we have no word for it, or an
    addition of two maps. Multiply-adds are counted for ``nn.Conv2d`` and ``nn.Linear``; functions
    called between modules leave no row. Runs the model in eval mode without gradients and puts every
    module's mode back. Errors of the model itself come through unchanged.
    """
    names = {module: name for name, module in model.named_modules()}
    running: list[nn.Module] = []  # outermost first
    rows: list[Step] = []

    def enter(module: nn.Module, inputs: Any) -> None:
        running.append(module)

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        running.pop()
        maps = bool(inputs) and isinstance(inputs[0], Tensor) and isinstance(output, Tensor)
        if maps and _is_leaf(module) and not isinstance(module, nn.Identity):
            rows.append(_step(names.get(module, ""), module, inputs[0], output))

    def add(output: Tensor) -> None:
        # An addition inside a leaf is that module's own business.
        if running and not _is_leaf(running[-1]):
            room = f"{names.get(running[-1], '')}.add".lstrip(".")
            shape = tuple(output.shape[1:])
            rows.append(Step(room, "add", shape, shape, 0, 0, _field(output)))

    modes = {module: module.training for module in names}
    weight = next(model.parameters(), torch.empty(0))
    x = _remember(torch.zeros(1, *image, device=weight.device, dtype=weight.dtype), ((1, 1), (1, 1)))
    model.eval()
    try:
        with (
            torch.no_grad(),
            register_module_forward_pre_hook(enter),
            register_module_forward_hook(leave),
            _Between(add),
        ):
            model(x)
    finally:
        for module, training in modes.items():
            module.training = training
    return rows


class _Between(TorchFunctionMode):
    """Hands each result the widest view of its inputs, and reports additions of two maps."""

    def __init__(self, add: Callable[[Tensor], None]) -> None:
        super().__init__()
        self.add = add

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        maps = [t for t in _tensors(args) if _view(t)]
        output = func(*args, **(kwargs or {}))
        if maps:
            view = tuple(max(axis) for axis in zip(*map(_view, maps), strict=True))
            for out in _tensors([output]):
                lost_sides = maps[0].dim() == 4 and out.dim() < 4  # flattened or averaged: every cell in one
                _remember(out, _widen(view, [(side, 1) for side in maps[0].shape[2:]]) if lost_sides else view)
            if func.__name__.strip("_") in ("add", "iadd") and len(maps) == 2 and maps[0].shape == maps[1].shape:
                self.add(output)
        return output


def _tensors(values: Any) -> list[Tensor]:
    # One list deep: torch.cat takes a list of tensors, torch.chunk gives a tuple.
    flat = (t for value in values for t in (value if isinstance(value, list | tuple) else (value,)))
    return [t for t in flat if isinstance(t, Tensor)]


def _step(room: str, module: nn.Module, x: Tensor, output: Tensor) -> Step:
    own = getattr(type(module), "operation", None)  # a module of the network may bring the word for itself
    operation = own if isinstance(own, str) else _WORDS.get(type(module), type(module).__name__)
    windows: list[tuple[int, int]] = []  # for the height and the width: cells read, cells moved
    if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        kernel, stride, dilation = (_pair(getattr(module, key, 1)) for key in ("kernel_size", "stride", "dilation"))
        operation += f" {kernel[0]}×{kernel[1]}" + (f"/{stride[0]}" if stride[0] > 1 else "")
        windows = [(d * (k - 1) + 1, s) for k, s, d in zip(kernel, stride, dilation, strict=True)]
    elif own == "zero-pad":
        steps = int(getattr(module, "stride", 1))
        operation += f"/{steps}" if steps > 1 else ""
        windows = [(1, steps)] * 2
    elif isinstance(module, nn.AdaptiveAvgPool2d):
        sides = zip(x.shape[2:], output.shape[2:], strict=True)
        # A single cell has no neighbor to be far from, so it takes no step.
        windows = [(math.ceil(before / after), max(before // after, 1) if after > 1 else 1) for before, after in sides]
    if windows and (view := _view(x)):
        _remember(output, _widen(view, windows))

    multiply_adds = 0
    if isinstance(module, nn.Conv2d):
        multiply_adds = module.weight.numel() * output[0, 0].numel()  # every weight once for each pixel
    elif isinstance(module, nn.Linear):
        multiply_adds = module.in_features * output[0].numel()
    parameters = sum(p.numel() for p in module.parameters())
    return Step(room, operation, tuple(x.shape[1:]), tuple(output.shape[1:]), parameters, multiply_adds, _field(output))


def _is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None


def _view(tensor: Tensor) -> _View:
    return getattr(tensor, "_resnet_edu_view", ())


def _remember(tensor: Tensor, view: _View) -> Tensor:
    tensor._resnet_edu_view = view  # type: ignore[attr-defined]
    return tensor


def _field(tensor: Tensor) -> int:
    return max((field for field, _ in _view(tensor)), default=1)


def _widen(view: _View, windows: list[tuple[int, int]]) -> _View:
    axes = zip(view, windows, strict=True)
    return tuple((field + (reach - 1) * jump, jump * stride) for (field, jump), (reach, stride) in axes)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)
