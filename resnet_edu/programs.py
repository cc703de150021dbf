"""A block as data: what happens on the branch, on the shortcut, and after the two are added.

    {"branch": ["conv3", "bn", "relu", "conv3", "bn"], "shortcut": ["match"], "after": ["relu"], "head": []}

``"shortcut": []`` is the identity, ``None`` is no shortcut: a plain block. ``head`` stands once, after the last
block. The first operation of a path that can change a shape takes the block's width and stride.

The pages train such blocks in the reader's browser (``resnet_edu/explorers/net``). Here they become PyTorch, with the
same names for the same weights, so that a trained network travels both ways.
"""

import base64
import json
import linecache
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from resnet_edu.counting.recipes import check_choice
from resnet_edu.head import Head
from resnet_edu.initialization import kaiming_normal_
from resnet_edu.layers import make_layer
from resnet_edu.stem import CifarStem

__all__ = ["PRESETS", "Gain", "Scale", "block_class", "export_state", "load_state", "network", "read_network", "source"]

Program = dict[str, Any]

#: What a program may contain; a number stands beside the name, as in ``["scale", 0.5]``.
OPERATIONS = ("conv3", "conv1", "bn", "relu", "match", "project", "scale", "gain", "dropout")
RESHAPING = ("conv3", "conv1", "match", "project")
#: The numbers that an operation takes, from and to.
VALUES = {"scale": (-4, 4), "gain": (-4, 4), "dropout": (0, 0.95)}
LONGEST = 12

_BASIC = ["conv3", "bn", "relu", "conv3", "bn"]
#: Blocks that the book compares, most of them from He et al. 2016, Tables 1 and 2.
PRESETS: dict[str, Program] = {
    "original": {"branch": _BASIC, "shortcut": ["match"], "after": ["relu"]},
    "plain": {"branch": _BASIC, "shortcut": None, "after": ["relu"]},
    "projection": {"branch": _BASIC, "shortcut": ["project"], "after": ["relu"]},
    "full pre-activation": {
        "branch": ["bn", "relu", "conv3", "bn", "relu", "conv3"],
        "shortcut": ["match"],
        "after": [],
        "head": ["bn", "relu"],
    },
    "batch norm after the addition": {
        "branch": ["conv3", "bn", "relu", "conv3"],
        "shortcut": ["match"],
        "after": ["bn", "relu"],
    },
    "ReLU before the addition": {"branch": [*_BASIC, "relu"], "shortcut": ["match"], "after": []},
    "ReLU-only pre-activation": {
        "branch": ["relu", "conv3", "bn", "relu", "conv3", "bn"],
        "shortcut": ["match"],
        "after": [],
        "head": ["relu"],
    },
    "1×1 convolution shortcut": {"branch": _BASIC, "shortcut": ["conv1"], "after": ["relu"]},
    "scaled shortcut": {"branch": _BASIC, "shortcut": ["match", ["scale", 0.5]], "after": ["relu"]},
    "both scaled": {
        "branch": [*_BASIC, ["scale", 0.5]],
        "shortcut": ["match", ["scale", 0.5]],
        "after": ["relu"],
    },
    "dropout on the shortcut": {"branch": _BASIC, "shortcut": ["match", ["dropout", 0.5]], "after": ["relu"]},
    "no ReLU after the addition": {"branch": _BASIC, "shortcut": ["match"], "after": []},
    "no batch norm": {"branch": ["conv3", "relu", "conv3"], "shortcut": ["match"], "after": ["relu"]},
    "no batch norm, learned gain": {
        "branch": ["conv3", "relu", "conv3", ["gain", 0]],
        "shortcut": ["match"],
        "after": ["relu"],
    },
}


class Scale(nn.Module):
    """Multiply by a number that stays.

    >>> Scale(0.5)(torch.ones(2)).tolist()
    [0.5, 0.5]
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x

    def extra_repr(self) -> str:
        return f"{self.factor:g}"


class Gain(nn.Module):
    """Multiply by a number that is learned. From 0 on, a branch starts as nothing (Bachlechner et al. 2020, ReZero).

    >>> Gain(0)(torch.ones(2)).tolist()
    [0.0, 0.0]
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(start)))

    def forward(self, x: Tensor) -> Tensor:
        return self.value * x


class _Operation(NamedTuple):
    name: str
    value: float | None
    in_channels: Any  # a number, or its name in the source of a class
    channels: Any
    stride: Any


def block_class(program: Program | str) -> type[nn.Module]:
    """A PyTorch block ``(in_channels, channels, stride=1)`` from a program or the name of a preset.

    >>> Block = block_class("full pre-activation")
    >>> tuple(Block(8, 16, stride=2)(torch.zeros(2, 8, 8, 8)).shape)           # 8 / 2 = 4 pixels a side
    (2, 16, 4, 4)
    >>> network = block_class({"branch": ["conv3", "bn"], "shortcut": []})     # fits wherever a block does
    >>> tuple(network(4, 4)(torch.zeros(2, 4, 8, 8)).shape)
    (2, 4, 8, 8)

    What :func:`source` shows is what runs. Raises ValueError for a program that cannot be.
    """
    text = source(program)
    name = f"<block program {hash(text)}>"
    # So that inspect.getsource and tracebacks find the lines.
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"__name__": __name__}
    exec(compile(text, name, "exec"), namespace)
    block: type[nn.Module] = namespace["Block"]
    return block


def source(program: Program | str) -> str:
    """The program as Python that runs where PyTorch and this package are.

    >>> print(source({"branch": ["conv3", "bn"], "shortcut": ["match"], "after": ["relu"]}))
    from torch import nn
    <BLANKLINE>
    from resnet_edu.shortcuts import make_shortcut
    <BLANKLINE>
    <BLANKLINE>
    class Block(nn.Module):
        def __init__(self, in_channels, channels, stride=1):
            super().__init__()
            self.branch = nn.Sequential(
                nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(channels),
            )
            self.shortcut = nn.Sequential(
                make_shortcut("A", in_channels, channels, stride),
            )
            self.after = nn.Sequential(
                nn.ReLU(),
            )
    <BLANKLINE>
        def forward(self, x):
            return self.after(self.branch(x) + self.shortcut(x))
    <BLANKLINE>

    Raises ValueError for a program that cannot be.
    """
    whole = check(program)
    paths = {"branch": _layout(whole["branch"], "in_channels", "channels", "stride")}
    if whole["shortcut"]:
        paths["shortcut"] = _layout(whole["shortcut"], "in_channels", "channels", "stride")
    if whole["after"]:
        changed = _reshapes(whole["branch"])
        first = ("channels", "channels", 1) if changed else ("in_channels", "channels", "stride")
        paths["after"] = _layout(whole["after"], *first)
    body = ["    def __init__(self, in_channels, channels, stride=1):", "        super().__init__()"]
    for path, operations in paths.items():
        if operations:
            body.append(f"        self.{path} = nn.Sequential(")
            body += [f"            {_call(operation)}," for operation in operations]
            body.append("        )")
    value = "self.branch(x)" if whole["branch"] else "x"
    if whole["shortcut"] is not None:
        value += " + self.shortcut(x)" if whole["shortcut"] else " + x"
    if whole["after"]:
        value = f"self.after({value})"
    body += ["", "    def forward(self, x):", f"        return {value}"]
    text = "\n".join(body)
    ours = [name for name in ("Gain", "Scale") if f"{name}(" in text]
    imports = ["from torch import nn"]
    if ours or "make_shortcut" in text:
        imports.append("")
    if ours:
        imports.append(f"from resnet_edu.programs import {', '.join(ours)}")
    if "make_shortcut" in text:
        imports.append("from resnet_edu.shortcuts import make_shortcut")
    return "\n".join([*imports, "", "", "class Block(nn.Module):", text, ""])


def network(
    program: Program | str = "original",
    layers: Sequence[int] = (9, 9, 9),
    widths: Sequence[int] = (4, 8, 16),
    *,
    in_channels: int = 1,
    num_classes: int = 10,
    side: int = 8,
) -> nn.Sequential:
    """The paper's family for small images (He et al. 2015, section 4.2), made of such blocks: rooms in a row.

    ``(N, in_channels, side, side)`` → ``(N, num_classes)``.

    >>> model = network("original")                                # 1 + 2·27 + 1 = 56 layers
    >>> tuple(model(torch.zeros(2, 1, 8, 8)).shape), sum(p.numel() for p in model.parameters())
    ((2, 10), 54214)

    Raises ValueError for a program that cannot be, or whose two ends cannot be added.
    """
    if len(layers) != len(widths):
        raise ValueError(f"{len(layers)} layers and {len(widths)} widths")
    whole = check(program)
    block = block_class(whole)
    rooms: OrderedDict[str, nn.Module] = OrderedDict(CifarStem(in_channels, widths[0]).named_children())
    channels = widths[0]
    for number, (count, width) in enumerate(zip(layers, widths, strict=True), start=1):
        stride = 1 if number == 1 else 2
        side = check_block(whole, channels, width, stride, side)
        rooms[f"layer{number}"] = make_layer(block, channels, width, count, stride)
        channels = width
    if whole["head"]:
        operations = _layout(whole["head"], channels, channels, 1)
        rooms["head"] = nn.Sequential(*(eval(_call(operation), _NAMES) for operation in operations))
    rooms.update(Head(channels, num_classes).named_children())
    return kaiming_normal_(nn.Sequential(rooms))


def export_state(model: nn.Module) -> dict[str, dict[str, Any]]:
    """Weights and running statistics as the pages read them: ``{name: {"shape": […], "values": […]}}``.

    >>> export_state(nn.BatchNorm2d(2))["running_var"]
    {'shape': [2], 'values': [1.0, 1.0]}
    """
    return {
        name: {"shape": list(tensor.shape), "values": tensor.double().flatten().tolist()}
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def load_state(model: nn.Module, state: dict[str, dict[str, Any]]) -> nn.Module:
    """The way back: what a page trained, in PyTorch. Changes the model and returns it.

    >>> norm = load_state(nn.BatchNorm2d(1), {name: {"shape": [1], "values": [0.5]}
    ...                   for name in ("weight", "bias", "running_mean", "running_var")})
    >>> norm.weight.item()
    0.5

    Raises ValueError where a name is missing, or has no place in the model.
    """
    mine = model.state_dict()
    wanted = {name for name in mine if not name.endswith("num_batches_tracked")}
    if wanted != state.keys():
        differ = sorted(wanted.symmetric_difference(state))
        raise ValueError(f"these names are not in both networks: {', '.join(differ[:4])}")
    found = {
        name: torch.tensor(entry["values"], dtype=mine[name].dtype).reshape(entry["shape"])
        for name, entry in state.items()
    }
    model.load_state_dict({**mine, **found})
    return model


def read_network(text: str) -> nn.Module:
    """The network in a file that the race or the bench saved: what the page trained, ready for PyTorch.

    >>> read_network("{}")
    Traceback (most recent call last):
        ...
    ValueError: this is not a network that a page saved; take the file of “Save it as a file”

    Raises ValueError for another text, and where weights and block do not fit each other.
    """
    try:
        saved = json.loads(text)
        is_ours = saved.get("made") == "resnet-edu network, version 1"
    except (AttributeError, json.JSONDecodeError):
        is_ours = False
    if not is_ours:
        raise ValueError("this is not a network that a page saved; take the file of “Save it as a file”")
    config = saved["config"]
    values = np.frombuffer(base64.b64decode(saved["values"]), dtype="<f4")
    names, shapes = zip(*saved["tensors"], strict=True)
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    if ends[-1] != len(values):
        raise ValueError(f"the file has {len(values)} numbers where its names need {ends[-1]}; save the network again")
    parts = np.split(values, ends[:-1])
    state = {
        name: {"shape": shape, "values": part.tolist()} for name, shape, part in zip(names, shapes, parts, strict=True)
    }
    return load_state(network(config["program"], config["layers"], config["widths"]), state)


def check(program: Program | str) -> Program:
    """The program with every path written out; ValueError names what cannot be.

    >>> check("plain")["shortcut"], check("plain")["head"]
    (None, [])
    """
    if isinstance(program, str):
        check_choice("a block", program, tuple(PRESETS))
        program = PRESETS[program]
    if not isinstance(program, dict):
        raise ValueError("a block is {branch, shortcut, after, head}, each a list of operations")
    whole: Program = {"branch": [], "shortcut": None, "after": [], "head": [], **program}
    for path, operations in whole.items():
        if path not in ("branch", "shortcut", "after", "head"):
            raise ValueError(f"a block has branch, shortcut, after and head, not {path}")
        if path == "shortcut" and operations is None:
            continue
        if not isinstance(operations, list | tuple):
            raise ValueError(f"{path} must be a list of operations")
        if len(operations) > LONGEST:
            raise ValueError(f"{path} has {len(operations)} operations; {LONGEST} is the most")
        for operation in operations:
            name, value = _name_and_value(operation)
            if name not in OPERATIONS:
                raise ValueError(f"there is no operation {name}; there are {', '.join(OPERATIONS)}")
            if name in VALUES:
                low, high = VALUES[name]
                if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                    raise ValueError(f'{name} needs a number from {low} to {high}, as in ["{name}", {high / 2:g}]')
            elif not isinstance(operation, str):
                raise ValueError(f"{name} takes no number")
            if path == "head" and name in RESHAPING:
                raise ValueError(
                    f"{name} cannot stand in head, which only norms, ReLUs and scales what the last block gives"
                )
    return whole


def check_block(program: Program, in_channels: int, channels: int, stride: int, side: int) -> int:
    """The side of the map that the block gives; ValueError with both shapes where its ends cannot be added.

    >>> check_block(check("original"), 4, 8, 2, 8)
    4
    >>> check_block(check({"branch": ["conv3"], "shortcut": []}), 4, 8, 2, 8)
    Traceback (most recent call last):
        ...
    ValueError: cannot add: the branch gives 8×4×4, the shortcut gives 4×8×8; \
put match, project or a convolution on the path that does not change its shape
    """

    def end(path: list[_Operation], at: tuple[int, int]) -> tuple[int, int]:
        for operation in path:
            at = (operation.channels, -(-at[1] // operation.stride))
        return at

    start = (in_channels, side)
    ours = end(_layout(program["branch"], in_channels, channels, stride), start)
    if program["shortcut"] is not None:
        other = end(_layout(program["shortcut"], in_channels, channels, stride), start)
        if ours != other:
            raise ValueError(
                f"cannot add: the branch gives {ours[0]}×{ours[1]}×{ours[1]}, the shortcut gives "
                f"{other[0]}×{other[1]}×{other[1]}; "
                "put match, project or a convolution on the path that does not change its shape"
            )
    changed = _reshapes(program["branch"])
    ours = end(_layout(program["after"], ours[0], channels, 1 if changed else stride), ours)
    if ours != (channels, -(-side // stride)):
        raise ValueError(
            f"the block must take {in_channels} channels to {channels} with stride {stride}, and gives "
            f"{ours[0]}×{ours[1]}×{ours[1]}; put a convolution on its branch"
        )
    return ours[1]


def _name_and_value(operation: Any) -> tuple[Any, Any]:
    if isinstance(operation, str):
        return operation, None
    if isinstance(operation, list | tuple) and operation:
        return operation[0], operation[1] if len(operation) > 1 else None
    return operation, None


def _reshapes(path: Sequence[Any]) -> bool:
    return any(_name_and_value(operation)[0] in RESHAPING for operation in path)


def _layout(path: Sequence[Any], in_channels: Any, channels: Any, stride: Any) -> list[_Operation]:
    """Each operation with its channels and stride: numbers, or their names in the source of a class."""
    rows, at, waiting = [], in_channels, True
    for operation in path:
        name, value = _name_and_value(operation)
        before, stepping = at, 1
        if waiting and name in RESHAPING:
            waiting, at, stepping = False, channels, stride
        rows.append(_Operation(name, value, before, at, stepping))
    return rows


def _call(operation: _Operation) -> str:
    """The line of Python that makes the operation."""
    name, value, before, after, stride = operation
    step = "" if stride == 1 else f", {stride}"
    calls = {
        "conv3": f"nn.Conv2d({before}, {after}, 3{step}, padding=1, bias=False)",
        "conv1": f"nn.Conv2d({before}, {after}, 1{step}, bias=False)",
        "bn": f"nn.BatchNorm2d({after})",
        "relu": "nn.ReLU()",
        "match": f'make_shortcut("A", {before}, {after}{step})',
        "project": f'make_shortcut("B", {before}, {after}{step})',
        "scale": f"Scale({value!r})",
        "gain": f"Gain({value!r})",
        "dropout": f"nn.Dropout({value!r})",
    }
    return calls[name]


_NAMES = {"nn": nn, "Scale": Scale, "Gain": Gain}
