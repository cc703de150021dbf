"""Blocks written as data become the network that they describe, travel both ways, or are refused with a sentence."""

import base64
import inspect
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.programs import (
    PRESETS,
    block_class,
    check,
    check_block,
    export_state,
    load_state,
    network,
    read_network,
    source,
)
from resnet_edu.shortcuts import make_shortcut

PLAIN_AFTER = {"branch": ["relu"], "shortcut": None, "after": [["scale", 2], "conv3", "bn"]}
OTHERS = {
    "reshaped after the addition": PLAIN_AFTER,
    "nothing on the branch": {"branch": [], "shortcut": None, "after": ["conv1"]},
    "every operation": {
        "branch": ["bn", "relu", "conv1", ["dropout", 0.25], "conv3", ["gain", -1.5], "conv1"],
        "shortcut": [["scale", 0.5], "project", "match", ["scale", -4]],
        "after": ["bn", "conv3", "relu"],
    },
}


def _by_hand(program: dict[str, Any], state: dict[str, Tensor], x: Tensor, stride: int, channels: int) -> Tensor:
    """What the program says, one operation after the other, in eval mode, with the weights of the block."""

    def walk(path: str, x: Tensor, stride: int) -> Tensor:
        for number, operation in enumerate(program.get(path) or []):
            name, value = (operation, None) if isinstance(operation, str) else operation
            mine = {key.removeprefix(f"{path}.{number}."): v for key, v in state.items() if f"{path}.{number}." in key}
            if name in ("conv3", "conv1"):
                x = F.conv2d(x, mine["weight"], stride=stride, padding=1 if name == "conv3" else 0)
            elif name in ("match", "project"):
                shortcut = make_shortcut("A" if name == "match" else "B", x.shape[1], channels, stride)
                shortcut.load_state_dict(mine)
                x = shortcut.eval()(x)
            elif name == "bn":
                x = F.batch_norm(x, mine["running_mean"], mine["running_var"], mine["weight"], mine["bias"])
            elif name == "relu":
                x = x.clamp(min=0)
            elif name == "scale":
                x = value * x
            elif name == "gain":
                x = mine["value"] * x
            stride = stride if name in ("bn", "relu", "scale", "gain", "dropout") else 1
        return x

    reshaping = any(name in ("conv3", "conv1", "match", "project") for name in program["branch"] if name)
    branch = walk("branch", x, stride)
    if program["shortcut"] is not None:
        branch = branch + walk("shortcut", x, stride)
    return walk("after", branch, 1 if reshaping else stride)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", [*PRESETS, *OTHERS])
def test_a_block_does_what_its_program_says(name: str, stride: int, scramble: Callable[..., nn.Module]) -> None:
    program = PRESETS.get(name) or OTHERS[name]
    block = scramble(block_class(program)(4, 8, stride)).eval()
    for room in block.modules():
        if hasattr(room, "value"):
            assert room.value.item() == (0 if name in PRESETS else -1.5)
            nn.init.constant_(room.value, 0.7)
    x = torch.randn(2, 4, 6, 6)
    with torch.no_grad():
        given = block(x)
        assert given.shape == (2, 8, 6 // stride, 6 // stride)
        torch.testing.assert_close(given, _by_hand(program, block.state_dict(), x, stride, 8))


def test_a_block_drops_as_many_as_it_says_and_scales_by_what_it_says() -> None:
    block = block_class(OTHERS["every operation"])(4, 8)
    assert [room.p for room in block.modules() if isinstance(room, nn.Dropout)] == [0.25]
    assert str(block.shortcut[0]) == "Scale(0.5)"


def test_the_lines_of_a_block_can_be_looked_up() -> None:
    for program in (PRESETS["scaled shortcut"], PLAIN_AFTER):
        assert inspect.getsource(block_class(program).forward) in source(program)


def test_a_source_imports_what_it_uses() -> None:
    for program in [*PRESETS.values(), *OTHERS.values()]:
        names: dict[str, Any] = {"__name__": "elsewhere"}
        text = source(program)
        exec(text, names)
        names["Block"](4, 8, 2)
        head = text.partition("class")[0]
        for name in ("Scale", "Gain", "make_shortcut"):
            assert (name in head) == (f"{name}(" in text)


def test_a_network_has_the_layers_widths_and_ends_that_were_asked_for() -> None:
    model = network("full pre-activation", (1, 2), (3, 5), in_channels=2, num_classes=7, side=9)
    assert [name for name, _ in model.named_children()][:-3] == ["conv1", "bn1", "relu", "layer1", "layer2", "head"]
    assert [len(model.get_submodule(name)) for name in ("layer1", "layer2", "head")] == [1, 2, 2]
    shapes = {}
    for name in ("layer1", "layer2", "head"):
        model.get_submodule(name).register_forward_hook(lambda _, __, y, name=name: shapes.update({name: y.shape[1:]}))
    assert model(torch.zeros(2, 2, 9, 9)).shape == (2, 7)
    assert shapes == {"layer1": (3, 9, 9), "layer2": (5, 5, 5), "head": (5, 5, 5)}
    assert sum(p.numel() for p in network().parameters()) == 54214
    with pytest.raises(ValueError, match=r"^2 layers and 1 widths$"):
        network("plain", (1, 1), (4,))


def test_a_network_is_refused_where_one_of_its_blocks_cannot_be() -> None:
    """The first block of a layer changes the shape, the others keep it, and a layer of one block has no others."""
    from_wide = {"branch": ["conv3"], "shortcut": []}
    with pytest.raises(ValueError, match=r"the branch gives 8×4×4, the shortcut gives 4×8×8"):
        network(from_wide, (1, 1), (4, 8))
    network(from_wide, (3,), (4,))  # nothing changes its shape here
    with pytest.raises(ValueError, match=r"must take 4 channels to 8 with stride 2, and gives 4×8×8; put a conv"):
        network({"branch": ["relu"], "shortcut": []}, (1, 1), (4, 8))


def test_check_block_follows_the_side_through_the_block() -> None:
    assert [check_block(check("original"), 4, 8, 2, side) for side in (1, 7, 8, 9)] == [1, 4, 4, 5]
    assert check_block(check(PLAIN_AFTER), 4, 8, 2, 8) == 4
    with pytest.raises(ValueError, match=r"the branch gives 4×8×8, the shortcut gives 8×4×4"):
        check_block(check({"branch": ["relu"], "shortcut": ["match"]}), 4, 8, 2, 8)
    with pytest.raises(ValueError, match=r"must take 4 channels to 4 with stride 2, and gives 4×8×8"):
        check_block(check({"branch": ["bn"], "shortcut": []}), 4, 4, 2, 8)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("unheard-of", "a block must be one of"),
        ([], r"a block is {branch, shortcut, after, head}, each a list of operations"),
        ({"side": []}, "a block has branch, shortcut, after and head, not side"),
        ({"branch": None}, "branch must be a list of operations"),
        ({"shortcut": "match"}, "shortcut must be a list of operations"),
        ({"after": ["relu"] * 13}, "after has 13 operations; 12 is the most"),
        ({"branch": ["conv5"]}, "there is no operation conv5; there are conv3, conv1, bn, relu, match, project"),
        ({"branch": [[]]}, r"there is no operation \[\]; there are"),
        ({"branch": [3]}, "there is no operation 3; there are"),
        ({"branch": ["scale"]}, r'scale needs a number from -4 to 4, as in \["scale", 2\]'),
        ({"branch": [["scale"]]}, "scale needs a number"),
        ({"branch": [["scale", True]]}, "scale needs a number"),
        ({"branch": [["scale", "1"]]}, "scale needs a number"),
        ({"branch": [["scale", 4.01]]}, "scale needs a number from -4 to 4"),
        ({"branch": [["gain", -4.01]]}, "gain needs a number from -4 to 4"),
        ({"branch": [["dropout", 0.951]]}, r'dropout needs a number from 0 to 0.95, as in \["dropout", 0.475\]'),
        ({"branch": [["dropout", -0.01]]}, "dropout needs a number"),
        ({"branch": [["relu", 1]]}, "relu takes no number"),
        ({"branch": [["relu"]]}, "relu takes no number"),
        ({"head": ["bn", "match"]}, "match cannot stand in head, which only norms, ReLUs and scales what"),
    ],
)
def test_what_cannot_be_a_block_is_named(program: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check(program)


def test_the_last_values_that_can_be() -> None:
    ends = [["scale", -4], ["scale", 4], ["gain", -4], ["gain", 4], ["dropout", 0], ["dropout", 0.95]]
    program = {"branch": [*ends, *["relu"] * 6], "head": ["bn", "relu", *ends]}
    assert check(program) == {"branch": program["branch"], "shortcut": None, "after": [], "head": program["head"]}
    assert check("plain") == {**PRESETS["plain"], "head": []}


# What a page saved


def _file(model: nn.Module, **changes: Any) -> str:
    """As the page writes it: little-endian float32, one tensor after the other."""
    state = {name: value for name, value in model.state_dict().items() if "num_batches" not in name}
    numbers = np.concatenate([value.numpy().ravel() for value in state.values()]).astype("<f4")
    return json.dumps(
        {
            "made": "resnet-edu network, version 1",
            "config": {"program": "both scaled", "layers": [1, 2], "widths": [2, 3]},
            "tensors": [[name, list(value.shape)] for name, value in state.items()],
            "values": base64.b64encode(numbers.tobytes()).decode(),
        }
        | changes
    )


def test_a_saved_network_comes_back(scramble: Callable[..., nn.Module]) -> None:
    model = scramble(network("both scaled", (1, 2), (2, 3)))
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(read_network(_file(model)).eval()(x), model.eval()(x))


def test_another_file_is_refused() -> None:
    for text in ("", "[]", "3", "{}", '{"made": "resnet-edu network, version 2"}'):
        with pytest.raises(ValueError, match="this is not a network that a page saved; take the file of “Save it as"):
            read_network(text)
    model = network("both scaled", (1, 2), (2, 3))
    short = base64.b64encode(np.zeros(3, "<f4").tobytes()).decode()
    with pytest.raises(ValueError, match=r"the file has 3 numbers where its names need \d{3}; save the network again"):
        read_network(_file(model, values=short))
    with pytest.raises(ValueError, match=r"these names are not in both networks: layer2\.1"):
        read_network(_file(model, config={"program": "both scaled", "layers": [1, 1], "widths": [2, 3]}))


def test_a_state_holds_every_number_and_no_counter(scramble: Callable[..., nn.Module]) -> None:
    model = scramble(network("original", (1, 1), (2, 3)))
    state = export_state(model)
    assert list(state) == [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    for name, entry in state.items():
        assert torch.tensor(entry["values"]).reshape(entry["shape"]).equal(model.state_dict()[name])
    other = network("original", (1, 1), (2, 3))
    other.bn1.num_batches_tracked += 5
    assert load_state(other, state) is other
    assert export_state(other) == state
    assert other.bn1.num_batches_tracked == 5


def test_names_that_do_not_fit_are_told_four_at_most() -> None:
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Linear(1, 1))
    state = export_state(model)
    for name in ("1.weight", "1.bias"):
        rest = {key: value for key, value in state.items() if key != name}
        with pytest.raises(ValueError, match=f"^these names are not in both networks: {name}$"):
            load_state(model, rest)
    with pytest.raises(ValueError, match=r"networks: 0.bias, 0.running_mean, 0.running_var, 0.weight$"):
        load_state(model, {})


def test_what_is_scaled_or_dropped_in_the_papers_blocks_is_halved_and_a_gain_begins_at_0() -> None:
    """He et al. 2016, Table 1: constant scaling and dropout with 0.5."""
    numbers = [
        tuple(operation)
        for program in PRESETS.values()
        for path in ("branch", "shortcut", "after")
        for operation in program[path] or []
        if not isinstance(operation, str)
    ]
    assert set(numbers) == {("scale", 0.5), ("dropout", 0.5), ("gain", 0)}
    both = PRESETS["both scaled"]
    assert ["scale", 0.5] in both["branch"]
    assert ["scale", 0.5] in both["shortcut"]


def test_blocks_behind_the_first_take_every_program_that_the_first_takes() -> None:
    """Where neither the size nor the channels change, the ends of any two paths can be added."""
    for name in PRESETS:
        for count in (1, 2):
            assert network(name, (count,), (4,), in_channels=1)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
