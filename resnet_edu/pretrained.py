"""Somebody else's training: torchvision's weights in our rooms.

torchvision is imported when a function here is called, never before.
"""

from typing import TYPE_CHECKING
from urllib.error import URLError

from torch import Tensor, nn

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum


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


def load_torchvision(model: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    """Put a torchvision state dict into our network, every name and shape the same, or not at all.

    >>> from resnet_edu import resnet18
    >>> from torchvision import models
    >>> theirs, ours = models.resnet18(), resnet18()
    >>> _ = load_torchvision(ours, theirs.state_dict())
    >>> list(ours.state_dict()) == list(theirs.state_dict())
    True

    Raises ValueError if anything is missing, left over or of another shape, before anything is changed.
    """
    # Older files carry no counts of batches; load_state_dict fills them in.
    ours, given = (
        {key: tuple(value.shape) for key, value in tensors.items() if not key.endswith("num_batches_tracked")}
        for tensors in (model.state_dict(), state)
    )
    if ours != given:
        key = next(key for key in (*ours, *given) if ours.get(key) != given.get(key))
        raise ValueError(
            "these weights belong to another architecture; torchvision's fit a network with the same depth, "
            f'stem="imagenet", shortcut="B" and the same number of classes. The first that does not fit is {key}: '
            f"{ours.get(key, 'nothing')} in the network, {given.get(key, 'nothing')} in the weights"
        )
    model.load_state_dict(state, strict=True)
    return model
