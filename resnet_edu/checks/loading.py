"""The check of ``load_torchvision``: every name and shape the same, or an error."""

import copy
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.contract import Slip
from resnet_edu.checks.effects import (
    Effect,
    Outcome,
    Told,
    Trials,
    changed_copy,
    copies,
    learning,
    randomized,
    state_of,
)
from resnet_edu.checks.observe import LearnerError
from resnet_edu.resnet import ResNet


def _small(classes: int = 3) -> nn.Module:
    return randomized(ResNet(BasicBlock, (1, 1), classes, stem="cifar", widths=(4, 8)), 8)


@cache
def _weights() -> dict[str, Tensor]:
    return state_of(randomized(_small(), 9))


def _loading(kind: str) -> Callable[[], tuple[Any, ...]]:
    def make() -> tuple[Any, ...]:
        state = {name: t.clone() for name, t in _weights().items()}
        if kind == "shuffled":
            order = [_PARTNERS.get(name, name) for name in state]
            state = {name: state[name] for name in order}
        if kind == "missing":
            del state["layer2.0.bn2.weight"]
        if kind == "extra":
            state["layer3.0.conv1.weight"] = torch.ones(2)
        if kind == "shape":
            state["fc.weight"], state["fc.bias"] = torch.ones(5, 8), torch.ones(5)
        if kind == "broadcast":
            state["layer1.0.conv1.weight"] = state["layer1.0.conv1.weight"][:1].clone()
        if kind == "reshape":
            state["fc.weight"] = state["fc.weight"].t().contiguous()
        return _small(), state

    return make


#: Two and two of one shape, so that a change of places can go unnoticed.
_PARTNERS = {
    "bn1.weight": "bn1.bias",
    "bn1.bias": "bn1.weight",
    "layer1.0.conv1.weight": "layer1.0.conv2.weight",
    "layer1.0.conv2.weight": "layer1.0.conv1.weight",
}


def _load_outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    model, state = arguments
    names, before = list(state), state_of(model)
    returned = function(model, state)
    changed = changed_copy(returned, model, before)
    found: Outcome = {} if changed is None else {"!copy": "changed"}
    model = model if changed is None else changed
    found |= {f"`{name}`": t for name, t in state_of(model).items()}
    return found | {"the state dict": "as before" if list(state) == names else "changed"} | learning(model)


def _load_plan(
    slips: frozenset[str], own: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> dict[str, Tensor] | None:
    """What each of the model's tensors becomes, None if the weights are refused."""
    if "nothing-loaded" in slips:
        return dict(own)
    given = dict(state)
    if "by-position" in slips:
        given = dict(zip(own, given.values(), strict=False))
    if "classifier-skipped" in slips:
        given = {name: t for name, t in given.items() if not name.startswith("fc.")}
        given.update({name: t for name, t in own.items() if name.startswith("fc.")})
    if "statistics-forgotten" in slips:
        given.update({name: t for name, t in own.items() if "running" in name or "tracked" in name})
    missing, extra = own.keys() - given.keys(), given.keys() - own.keys()
    # Two that make up a third count as the first of them: the third has a name of its own.
    lenient = slips & {"not-strict", "nothing-refused"}
    if extra and not lenient | slips & {"extra-ignored"}:
        return None
    if missing and not lenient | (slips & {"missing-ignored"} if "extra-ignored" not in slips else set()):
        return None
    left = dict(own)
    for name, old in own.items():
        new = given.get(name, old)
        if new.shape != old.shape:
            if "shapes-broadcast" in slips and _spreads(new, old):
                new = new.expand_as(old)
            elif "reshaped-to-fit" in slips and new.numel() == old.numel():
                new = new.reshape(old.shape)
            elif "nothing-refused" in slips or ("other-shapes-skipped" in slips and "not-strict" not in slips):
                new = old
            elif "other-shapes-taken" not in slips:
                return None
        left[name] = new
    return left


def _spreads(new: Tensor, old: Tensor) -> bool:
    sizes = zip(reversed(new.shape), reversed(old.shape), strict=False)
    return new.dim() <= old.dim() and all(a in (1, b) for a, b in sizes)


def _load(slips: frozenset[str], model: nn.Module, state: dict[str, Tensor]) -> nn.Module | None:
    if "not-a-file" in slips:
        state = torch.load(state)  # type: ignore[arg-type]
    if "copy-loaded" in slips:
        loaded = copy.deepcopy(model)
        _load(slips - {"copy-loaded"}, loaded, state)
        return loaded
    plan = _load_plan(slips, model.state_dict(), state)
    if plan is None:
        raise ValueError("these weights do not fit")
    if "changes-the-state-dict" in slips:
        state.pop("fc.weight", None)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        tensor.data = plan[name].clone()
    if "frozen" in slips:
        model.requires_grad_(False)
    return None


def _load_predicted(slips: frozenset[str], arguments: tuple[Any, ...]) -> Outcome:
    model, state = arguments
    plan = _load_plan(slips, _state_of(model), state)
    if plan is None:
        return {"the call": "an error"}
    return {
        "the state dict": "changed" if "changes-the-state-dict" in slips else "as before",
        "what learns": "nothing" if "frozen" in slips else "everything",
        **{f"`{name}`": tensor for name, tensor in plan.items()},
    }


@cache
def _state_of(model: nn.Module) -> dict[str, Tensor]:
    return state_of(model)


def _load_error(trials: Trials, trouble: LearnerError) -> Told | None:
    """What `load_state_dict` and `torch.load` say, in words."""
    text = str(trouble.error)
    if "'dict' object has no attribute" in text and re.search(r"'(seek|read|readline|tell)'", text):
        return "not-a-file", trials.stopped(trouble, trials.slip("not-a-file").message)
    if not text.startswith("Error(s) in loading state_dict"):
        return None
    parts = []
    for what, pattern in (
        ("does not find {}, which the model needs", r'Missing key\(s\) in state_dict: ("[^"]+")'),
        ("finds {}, which the model has no place for", r'Unexpected key\(s\) in state_dict: ("[^"]+")'),
    ):
        found = re.search(pattern, text)
        if found:
            parts.append(what.format(f"`{found[1][1:-1]}`"))
    found = re.search(r"size mismatch for (\S+): .*?torch\.Size\(\[(.*?)\]\).*?torch\.Size\(\[(.*?)\]\)", text)
    if found:
        parts.append(f"is given `{found[1]}` of shape ({found[2]}), and the model's is ({found[3]})")
    if not parts:
        return None
    return None, trials.stopped(
        trouble,
        f"`load_state_dict` {', and '.join(parts)}. These weights fit as they come: hand them over unchanged.",
    )


LOAD = Effect(
    "load_torchvision",
    "load_torchvision(model, state_dict)",
    {
        "with weights that fit": _loading("right"),
        "with the same weights in another order": _loading("shuffled"),
        "with a weight missing": _loading("missing"),
        "with a weight left over": _loading("extra"),
        "with a classifier of another shape": _loading("shape"),
        "with a weight of shape (1, 4, 3, 3) in place of (4, 4, 3, 3)": _loading("broadcast"),
        "with a weight of shape (8, 3) in place of (3, 8)": _loading("reshape"),
    },
    _load_outcome,
    _load,
    (
        Slip(
            "nothing-loaded", "The model's weights have not changed. Load the state dict into the model that was given."
        ),
        Slip(
            "not-strict",
            "Weights that are missing or left over pass in silence, and part of the model keeps its old numbers. Load "
            "with `strict=True`, which refuses both, drop nothing beforehand, and let the error through.",
        ),
        Slip(
            "missing-ignored",
            "A missing weight passes in silence, and that part of the model keeps its old numbers. Raise an error.",
        ),
        Slip(
            "extra-ignored",
            "Weights that the model has no place for are dropped in silence. Raise an error: it is another "
            "architecture.",
        ),
        Slip(
            "other-shapes-skipped",
            "A weight of another shape is skipped in silence, and that part of the model keeps its old numbers. Raise "
            "an error.",
        ),
        Slip(
            "by-position",
            "The weights are matched by their position. Match them by name: another order must give the same model.",
        ),
        Slip(
            "statistics-forgotten",
            "The batch norms' running means and variances are not loaded: they are buffers, not parameters. Go by the "
            "state dict, which has both.",
        ),
        Slip("classifier-skipped", "The classifier's weights are not loaded. Load everything."),
        Slip(
            "changes-the-state-dict",
            "The state dict that was handed over is changed. Work on a copy: `dict(state_dict)`.",
        ),
        Slip(
            "nothing-refused",
            "Whatever does not fit passes in silence: a missing weight, one left over, one of another shape. Part of "
            "the model keeps its old numbers without a word. Load with `strict=True`, drop nothing beforehand, and let "
            "the error through.",
        ),
        Slip(
            "shapes-broadcast",
            "A weight of shape (1, …) is spread over a larger one in silence (broadcasting), as `copy_` does. Compare "
            "the shapes before you copy, and raise an error, or use `load_state_dict`, which does so.",
        ),
        Slip(
            "other-shapes-taken",
            "A weight of another shape takes the place of the model's own, so the model is no longer the one that was "
            "built. Compare the shapes and raise an error, or use `load_state_dict`, which does so.",
        ),
        Slip(
            "reshaped-to-fit",
            "A weight of another shape is reshaped to fit, and its numbers end up in other places. Raise an error: it "
            "is another architecture.",
        ),
        Slip(
            "frozen",
            "The weights are loaded, and nothing can learn any more: `requires_grad` is off. Loading changes the "
            "numbers and leaves everything else.",
        ),
        Slip(
            "copy-loaded",
            "The model that was handed over is as it was: a copy was loaded, and returned. Load into the model itself: "
            "`model.load_state_dict(state_dict)`.",
        ),
        Slip(
            "not-a-file",
            "There is no file to open: `state_dict` is a dict of tensors already. Leave out `torch.load`: "
            "`model.load_state_dict(state_dict)`.",
        ),
    ),
    "The weights go in by name, and whatever does not fit is an error.",
    "`model.load_state_dict(state_dict, strict=True)` does it in one line.",
    predict=_load_predicted,
    direct=frozenset({"copy-loaded", "not-a-file"}),
    seen=copies("copy-loaded"),
    refuses=True,
    error=_load_error,
    most=3,
)
