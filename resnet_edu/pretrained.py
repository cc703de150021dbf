"""Somebody else's training: torchvision's weights in our rooms.

torchvision is imported when a function here is called, never before.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.error import URLError

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

#: What can be loaded.
Weights: TypeAlias = Mapping[str, Any] | nn.Module | str | os.PathLike[str]
#: Where training scripts put the weights among the other things that they save.
INSIDE = ("state_dict", "model_state_dict", "model")
#: What DataParallel and torch.compile put into the names of the parts that they wrap.
WRAPPERS = ("module", "_orig_mod")


def resolve_weights(name: str, weights: "str | WeightsEnum") -> "WeightsEnum":
    """The member of torchvision's weights that is meant for the network called ``name``.

    Takes what torchvision takes: ``"DEFAULT"``, ``"IMAGENET1K_V1"``, ``"ResNet18_Weights.DEFAULT"``
    or the member itself.

    >>> print(resolve_weights("resnet18", "DEFAULT"))
    ResNet18_Weights.IMAGENET1K_V1

    Raises ValueError for weights that do not exist or belong to another network, and lists those that do.
    """
    from torchvision.models import WeightsEnum, get_model_weights

    family = get_model_weights(name)
    valid = ", ".join(f'"{member.name}"' for member in family)
    if isinstance(weights, str):
        member = weights.removeprefix(f"{family.__name__}.")
        if member not in family.__members__:
            raise ValueError(f'{name} has no weights {weights!r}; it has {valid} and "DEFAULT"')
        return family[member]
    if not isinstance(weights, WeightsEnum) or not isinstance(weights, family):
        raise ValueError(f"{weights} are not weights of {name}; it has {valid}")
    return weights


def class_count(name: str, weights: "str | WeightsEnum") -> int:
    """How many classes these weights were trained on.

    >>> class_count("resnet50", "IMAGENET1K_V2")
    1000
    """
    return len(resolve_weights(name, weights).meta["categories"])


def download(name: str, weights: "str | WeightsEnum", progress: bool = True) -> dict[str, Tensor]:
    """The weights' state dict, through torchvision's own download with its checksum.

    >>> download("resnet18", "IMAGENET1K_V2")
    Traceback (most recent call last):
        ...
    ValueError: resnet18 has no weights 'IMAGENET1K_V2'; it has "IMAGENET1K_V1" and "DEFAULT"

    Raises ConnectionError, in one sentence, if they are not on this machine and cannot be fetched.
    """
    member = resolve_weights(name, weights)
    try:
        state: dict[str, Tensor] = member.get_state_dict(progress=progress, check_hash=True, weights_only=True)
    except (URLError, OSError) as error:
        raise ConnectionError(
            f"could not fetch {member} from {member.url} ({error}); connect to the network once, or put the file into "
            f"torch.hub.get_dir()/checkpoints yourself; {name}() without weights works offline"
        ) from error
    return state


def load_torchvision(model: nn.Module, state: Weights) -> nn.Module:
    """Put torchvision's weights into our network: every name, shape and kind of number the same, or nothing at all.

    ``state`` is a state dict, a module, the path of a file that holds one, or what a training script saved:
    ``{"state_dict": …}``, and names that DataParallel (``module.``) or ``torch.compile`` (``_orig_mod.``) made longer.

    >>> from resnet_edu import resnet18
    >>> from torchvision import models
    >>> theirs, ours = models.resnet18(), resnet18()
    >>> _ = load_torchvision(ours, theirs.state_dict())
    >>> list(ours.state_dict()) == list(theirs.state_dict())
    True

    Raises ValueError if anything is missing, left over, of another shape or kind, or if a tensor has no numbers in
    it (the meta device), and FileNotFoundError for a path without a file; always before anything is changed.
    """
    given = tensors_of(state)
    names = {_plain(name): name for name in model.state_dict()}
    ours = {plain: model.state_dict()[name] for plain, name in names.items()}
    check_fit(ours, given)
    for whose, tensors in (("the network", ours), ("these weights", given)):
        if any(value.is_meta for value in tensors.values()):
            raise ValueError(
                f"{whose} lies on the meta device: shapes without numbers. Build it there where it shall run, "
                'or call model.to_empty(device="cpu") first'
                if whose == "the network"
                else f"{whose} lie on the meta device: shapes without numbers, so there is nothing to load"
            )
    # Older files carry no counts of batches: then the network's own stay.
    model.load_state_dict({name: given.get(plain, ours[plain]) for plain, name in names.items()}, strict=True)
    return model


def tensors_of(state: Weights) -> dict[str, Tensor]:
    """The tensors in a state dict, a module, a file or a training script's checkpoint, by their plain names.

    >>> tensors_of({"epoch": 90, "state_dict": {"module.fc.bias": torch.zeros(2)}})
    {'fc.bias': tensor([0., 0.])}

    Raises ValueError, and says what was found, if there is no state dict in it.
    """
    if isinstance(state, str | os.PathLike):
        state = _read(Path(state))
    if isinstance(state, nn.Module):
        state = state.state_dict()
    if not isinstance(state, Mapping):
        raise ValueError(f"expected a state dict, a module or the path of a file with one, got {type(state).__name__}")
    inside = [name for name in INSIDE if isinstance(state.get(name), Mapping | nn.Module)]
    if len(inside) > 1:
        raise ValueError(f"these weights come in several versions, {', '.join(inside)}; take one: state[{inside[0]!r}]")
    if inside:
        return tensors_of(state[inside[0]])
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ValueError(
                f"expected a state dict, the name of each tensor and the tensor, got {name!r}: {type(value).__name__}; "
                f"where the weights are part of a larger dictionary, pass that part, for instance state[{INSIDE[0]!r}]"
            )
    plain = {_plain(name): value for name, value in state.items()}
    if len(plain) < len(state):
        raise ValueError(f"two of these weights would have one name once {' and '.join(WRAPPERS)} are taken away")
    return plain


def check_fit(ours: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Raise ValueError for the first tensor that only one side has, or whose shape or kind of number differs.

    >>> check_fit({"fc.bias": torch.zeros(10)}, {"fc.bias": torch.zeros(1000)})     # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: these weights belong to another architecture; ... fc.bias: (10,) in the network, (1000,) in the weights
    """
    for name in (*ours, *given):
        if name not in given and name.endswith("num_batches_tracked"):
            continue
        mine, theirs = (_kind(tensors[name]) if name in tensors else "nothing" for tensors in (ours, given))
        if mine != theirs:
            first = next(iter(given), "").partition(".")[0] + "."
            longer = len(given) > 0 and all(key.startswith(first) and key.removeprefix(first) in ours for key in given)
            raise ValueError(
                f"every name of these weights starts with {first!r}; pass them without it: "
                f"{{name.removeprefix({first!r}): value for name, value in state.items()}}"
                if longer
                else "these weights belong to another architecture; torchvision's fit a network with the same depth, "
                'stem="imagenet", shortcut="B" and the same number of classes. The first that does not fit is '
                f"{name}: {mine} in the network, {theirs} in the weights"
            )


def _kind(value: Tensor) -> str:
    """Its shape, and what kind of numbers it holds unless they are real: any precision of those can be loaded."""
    shape = str(tuple(value.shape))
    return shape if value.is_floating_point() else f"{shape} of {str(value.dtype).removeprefix('torch.')}"


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _read(path: Path) -> Any:
    path = path.expanduser()
    if not path.exists():
        raise FileNotFoundError(
            f'there is no file {path}; torchvision\'s own weights come by name: resnet18(weights="DEFAULT")'
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # every layer of the reader has its own
        raise ValueError(
            f"{path} cannot be read as weights ({str(error).splitlines()[0] if str(error) else type(error).__name__}). "
            "A file is read only if it holds tensors and plain data, and no code: save model.state_dict()"
        ) from error
