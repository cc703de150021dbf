"""The check of ``zero_init_residual``: the last γ of each block set to 0."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks import compare
from resnet_edu.checks.contract import Slip
from resnet_edu.checks.effects import (
    Effect,
    Outcome,
    changed_copy,
    copies,
    learning,
    randomized,
    state_of,
    what_learns,
)
from resnet_edu.checks.errors import IN_PLACE
from resnet_edu.resnet import ResNet


def _net(block: Any) -> Callable[[], tuple[Any, ...]]:
    def make() -> tuple[Any, ...]:
        return (randomized(ResNet(block, (2, 1, 1, 2), 3, stem="cifar", widths=(2, 3, 4, 5)).double(), 6),)

    return make


def _zero_outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    (model,) = arguments
    before = state_of(model)
    with torch.enable_grad():
        returned = function(model)
    changed = changed_copy(returned, model, before)
    found: Outcome = {} if changed is None else {"!copy": "changed"}
    model = model if changed is None else changed
    after = state_of(model)
    found |= {f"`{name}`": t for name, t in after.items() if name not in before or not compare.same(t, before[name])}
    found |= {f"`{name}`": "gone" for name in before if name not in after}
    return found | learning(model)


@dataclass(frozen=True)
class _Room:
    """A block of a network: its layer, its place there, and the names of what can be set to 0."""

    layer: str
    number: int
    wide: bool
    norms: tuple[str, ...]  # of the main path, in order
    projection: tuple[str, ...]
    conv: str  # the last one


def _rooms(model: nn.Module) -> list[_Room]:
    rooms, places = [], dict[str, int]()
    for name, block in model.named_modules():
        if not isinstance(block, BasicBlock | Bottleneck):
            continue
        layer = name.split(".")[0]
        number = places[layer] = places.get(layer, -1) + 1
        wide = isinstance(block, Bottleneck)
        inner = [child for child, m in block.downsample.named_modules() if isinstance(m, nn.BatchNorm2d)]
        dot = f"{name}." if name else ""
        rooms.append(
            _Room(
                layer,
                number,
                wide,
                tuple(f"{dot}bn{i}" for i in ((1, 2, 3) if wide else (1, 2))),
                tuple(f"{dot}downsample.{child}" for child in inner),
                f"{dot}conv{3 if wide else 2}",
            )
        )
    return rooms


def _zero_plan(
    slips: frozenset[str], rooms: Sequence[_Room], norms: Sequence[str]
) -> tuple[dict[str, float], set[str]]:
    """The parameters that are set, each to a number, and those that are frozen."""
    plan: dict[str, float] = {}
    frozen: set[str] = set()
    if "nothing-changed" in slips:
        return plan, frozen
    left_out = "basic" if "only-bottlenecks" in slips else "wide" if "only-basic-blocks" in slips else ""
    for seen, room in enumerate(rooms):
        if left_out == ("wide" if room.wide else "basic"):
            continue
        if ("first-block-only" in slips and seen) or ("first-block-of-each-layer" in slips and room.number):
            continue
        if "last-layer-left-out" in slips and room.layer == rooms[-1].layer:
            continue
        norm = room.norms[1] if "second-of-three" in slips else room.norms[-1]
        targets = [room.norms[0] if "first-not-last" in slips else norm]
        if "second-too" in slips:
            targets.append(room.norms[1])
        if "every-batch-norm-of-the-main-path" in slips or "every-batch-norm-of-the-block" in slips:
            targets = [*room.norms]
        if "projection-not-main-path" in slips and room.projection:
            targets = []
        both = {"projection-too", "every-batch-norm-of-the-block", "projection-not-main-path"}
        # The whole main path and the projection is the whole block, a slip of its own.
        targets += room.projection if slips & both and "every-batch-norm-of-the-main-path" not in slips else ()
        number = 1e-3 if "small-not-zero" in slips else 0.0
        if "convolution-not-norm" in slips:
            plan[f"{room.conv}.weight"] = number
            continue
        for target in targets:
            plan[f"{target}.{'bias' if 'shift-not-scale' in slips else 'weight'}"] = number
            if "shift-too" in slips and target not in room.projection:
                plan[f"{target}.bias"] = 0.0
            if "frozen" in slips:
                frozen.add(f"{target}.weight")
        if "convolution-too" in slips:
            plan[f"{room.conv}.weight"] = 0.0
    if "every-batch-norm" in slips:
        plan.update({f"{name}.weight": 0.0 for name in norms})
    return plan, frozen


def _norms(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]


def _zero(slips: frozenset[str], model: nn.Module) -> nn.Module | None:
    if "copy-changed" in slips:
        changed = copy.deepcopy(model)
        _zero(slips - {"copy-changed"}, changed)
        return changed
    parameters = dict(model.named_parameters())
    plan, frozen = _zero_plan(slips, _rooms(model), _norms(model))
    for name, number in plan.items():
        if "in-place-under-autograd" in slips:
            parameters[name].fill_(number)
        parameters[name].data.fill_(number)
    for name in frozen:
        parameters[name].requires_grad_(False)
    return None


@cache
def _before_zero(model: nn.Module) -> tuple[dict[str, Tensor], list[_Room], list[str]]:
    return state_of(model), _rooms(model), _norms(model)


def _zero_predicted(slips: frozenset[str], arguments: tuple[Any, ...]) -> Outcome:
    (model,) = arguments
    before, rooms, norms = _before_zero(model)
    plan, frozen = _zero_plan(slips, rooms, norms)
    return {
        **{f"`{name}`": torch.full_like(before[name], plan[name]) for name in before if name in plan},
        "what learns": what_learns([name for name in before if name in frozen], len(before)),
    }


ZERO = Effect(
    "zero_init_residual",
    "zero_init_residual(model)",
    {
        "in a network of basic blocks": _net(BasicBlock),
        "in a network of bottlenecks": _net(Bottleneck),
    },
    _zero_outcome,
    _zero,
    (
        Slip(
            "nothing-changed",
            "The model that was handed over has not changed. Change it in place, for instance with "
            "`nn.init.zeros_(….weight)`.",
        ),
        Slip(
            "first-not-last",
            "The first batch norm of each block is set to 0. Set the last one before the addition instead.",
        ),
        Slip(
            "second-of-three",
            "In a bottleneck the second batch norm is set to 0. It has three: the last one before the addition is the "
            "third.",
        ),
        Slip("only-basic-blocks", "Bottlenecks are left out. Set their third batch norm's `weight` to 0."),
        Slip("only-bottlenecks", "Basic blocks are left out. Set their second batch norm's `weight` to 0."),
        Slip(
            "every-batch-norm",
            "Every batch norm of the network is set to 0, so nothing gets through at all, and no gradient comes back. "
            "Set only the last one of each block.",
        ),
        Slip(
            "every-batch-norm-of-the-block",
            "Every batch norm of a block is set to 0, so no gradient reaches its convolutions. Set only the last one.",
        ),
        Slip(
            "projection-too",
            "The projection's batch norm is set to 0 too, so nothing gets through such a block. Set only the last one "
            "of the main path.",
        ),
        Slip("shift-not-scale", "The shift β (`bias`) is set to 0. Set the scale γ (`weight`) instead."),
        Slip(
            "shift-too",
            "The shift β (`bias`) is set to 0 as well. Leave it as it is: only the scale γ (`weight`) changes.",
        ),
        Slip(
            "first-block-only",
            "Only the first block is changed. Go through all modules of the model: `model.modules()`.",
        ),
        Slip(
            "convolution-too",
            "The last convolution's weights are set to 0 as well. Then neither it nor γ ever gets a gradient.",
        ),
        Slip("small-not-zero", "γ is small but not 0, so a block does not start as its shortcut exactly. Set it to 0."),
        Slip("frozen", "γ is 0 and cannot learn: its `requires_grad` is off. Change the numbers, not the parameter."),
        Slip(
            "first-block-of-each-layer",
            "Only the first block of each layer is changed. Go through all of its blocks.",
        ),
        Slip("last-layer-left-out", "The last layer's blocks are left out. Go through all modules: `model.modules()`."),
        Slip(
            "convolution-not-norm",
            "The last convolution's `weight` is set to 0. Set the scale γ instead, the `weight` of the batch norm "
            "behind it: a batch norm brings numbers to full size again, however small they are.",
        ),
        Slip(
            "second-too",
            "In a bottleneck the second batch norm is set to 0 as well as the third. Set only the third, the last one "
            "before the addition.",
        ),
        Slip(
            "every-batch-norm-of-the-main-path",
            "Every batch norm on the main path of a block is set to 0, so no gradient reaches its convolutions. Set "
            "only the last one.",
        ),
        Slip(
            "projection-not-main-path",
            "Where a block has a projection, the projection's batch norm is set to 0 in place of the main path's. In "
            "`modules()` the projection may come last: ask for the last batch norm before the addition.",
        ),
        Slip(
            "copy-changed",
            "The model that was handed over is as it was: a copy was changed, and returned. Leave out the copy and "
            "change `model` itself.",
        ),
        Slip("in-place-under-autograd", IN_PLACE),
    ),
    "Each block starts as its shortcut, and everything else is as before.",
    "Only the `weight` of the last batch norm before each addition may change.",
    predict=_zero_predicted,
    direct=frozenset({"copy-changed", "in-place-under-autograd"}),
    seen=copies("copy-changed"),
)
