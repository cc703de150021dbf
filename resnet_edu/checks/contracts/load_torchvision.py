"""``load_torchvision(model, state_dict)``: every name and shape the same, or an error.

>>> from resnet_edu import checks
>>> checks.load_torchvision(lambda model, state: model.load_state_dict(state, strict=False)).mistake
'not-strict'
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.contracts.models import model_after, randomized, state_of
from resnet_edu.checks.effects import Effect, Outcome
from resnet_edu.resnet import ResNet

REFERENCE = """
def load_torchvision(model, state_dict):
    pass  #: start
    own = model.state_dict()
    given = dict(state_dict)  #: given
    plan = {}
    if own.keys() - given.keys():  #: missing
        raise ValueError("weights are missing")
    if given.keys() - own.keys():  #: extra
        raise ValueError("weights are left over")
    for name, old in own.items():
        new = given.get(name, old)
        if new.shape != old.shape:
            raise ValueError("another shape")  #: shape
        plan[name] = new
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):  #: copy
        tensor.data = plan[name].clone()
    return None  #: end
"""


def _small(classes: int = 3) -> nn.Module:
    return randomized(ResNet(BasicBlock, (1, 1), classes, stem="cifar", widths=(4, 8)), 8)


def _loading(kind: str) -> Callable[[], tuple[Any, ...]]:
    def make() -> tuple[Any, ...]:
        state = {name: t.clone() for name, t in _WEIGHTS.items()}
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
        return copy.deepcopy(_MODEL), state

    return make


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    model, state = arguments
    names, before = list(state), state_of(model)
    model, found = model_after(model, before, function(model, state))
    found |= {f"`{name}`": t for name, t in state_of(model).items()}
    return found | {"the state dict": "as before" if list(state) == names else "changed"}


_MODEL = _small()
_WEIGHTS = state_of(randomized(_small(), 9))
#: Two and two of one shape, so that a change of places can go unnoticed.
_PARTNERS = {
    "bn1.weight": "bn1.bias",
    "bn1.bias": "bn1.weight",
    "layer1.0.conv1.weight": "layer1.0.conv2.weight",
    "layer1.0.conv2.weight": "layer1.0.conv1.weight",
}

CONTRACT = Effect(
    "load_torchvision(model, state_dict)",
    (),
    REFERENCE,
    (
        """
nothing-loaded: copy: for name, tensor in (): | missing: if False: | extra: if False: | shape: -
    The model's weights have not changed. Load the state dict into the model that was given.
not-strict: missing: if False: | extra: if False:
    Weights that are missing or left over pass in silence, and part of the model keeps its old numbers. Load
    with `strict=True`, which refuses both, drop nothing beforehand, and let the error through.
missing-ignored: missing: if False:
    A missing weight passes in silence, and that part of the model keeps its old numbers. Raise an error.
extra-ignored: extra: if False:
    Weights that the model has no place for are dropped in silence. Raise an error: it is another architecture.
other-shapes-skipped: shape: new = old
    A weight of another shape is skipped in silence, and that part of the model keeps its old numbers. Raise an
    error.
by-position: given: given = dict(zip(own, state_dict.values()))
    The weights are matched by their position. Match them by name: another order must give the same model.
statistics-forgotten: given: {}; given.update({n: t for n, t in own.items() if 'running' in n or 'tracked' in n})
    The batch norms' running means and variances are not loaded: they are buffers, not parameters. Go by the
    state dict, which has both.
classifier-skipped: given: {}; given.update({n: t for n, t in own.items() if n.startswith('fc.')})
    The classifier's weights are not loaded. Load everything.
changes-the-state-dict: end: state_dict.pop('fc.weight', None)
    The state dict that was handed over is changed. Work on a copy: `dict(state_dict)`.
nothing-refused: missing: if False: | extra: if False: | shape: new = old
    Whatever does not fit passes in silence: a missing weight, one left over, one of another shape. Part of the
    model keeps its old numbers without a word. Load with `strict=True`, drop nothing beforehand, and let the
    error through.
shapes-broadcast: shape: new = new.expand_as(old).clone()
    A weight of shape (1, …) is spread over a larger one in silence (broadcasting), as `copy_` does. Compare the
    shapes before you copy, and raise an error, or use `load_state_dict`, which does so.
other-shapes-taken: shape: -
    A weight of another shape takes the place of the model's own, so the model is no longer the one that was
    built. Compare the shapes and raise an error, or use `load_state_dict`, which does so.
reshaped-to-fit: shape: new = new.reshape(old.shape)
    A weight of another shape is reshaped to fit, and its numbers end up in other places. Raise an error: it is
    another architecture.
frozen: end: model.requires_grad_(False); {}
    The weights are loaded, and nothing can learn any more: `requires_grad` is off. Loading changes the numbers
    and leaves everything else.
copy-loaded: start: model = copy.deepcopy(model) | end: return model
    The model that was handed over is as it was: a copy was loaded, and returned. Load into the model itself:
    `model.load_state_dict(state_dict)`.
not-a-file: start: state_dict = torch.load(state_dict)
    There is no file to open: `state_dict` is a dict of tensors already. Leave out `torch.load`:
    `model.load_state_dict(state_dict)`.
""",
    ),
    "The weights go in by name, and whatever does not fit is an error.",
    names={"copy": copy},
    scenes={
        "with weights that fit": _loading("right"),
        "with the same weights in another order": _loading("shuffled"),
        "with a weight missing": _loading("missing"),
        "with a weight left over": _loading("extra"),
        "with a classifier of another shape": _loading("shape"),
        "with a weight of shape (1, 4, 3, 3) in place of (4, 4, 3, 3)": _loading("broadcast"),
        "with a weight of shape (8, 3) in place of (3, 8)": _loading("reshape"),
    },
    outcome=_outcome,
    advice="`model.load_state_dict(state_dict, strict=True)` does it in one line.",
    refuses=True,
)
