"""A network as people hand it over: a name, a recipe, Steps, or a module; and what it is called."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from resnet_edu.counting import arithmetic
from resnet_edu.counting.recipes import Recipe, recipe
from resnet_edu.counting.steps import Shape, Step

if TYPE_CHECKING:
    from torch import nn

#: Whatever can be counted and drawn: a name, a recipe, Steps that you already have, or any module.
Model: TypeAlias = "str | Recipe | Sequence[Step] | nn.Module"


def steps_of(model: Model, image: Shape | int = (3, 224, 224), **changes: object) -> list[Step]:
    """The Steps of whatever can be drawn: computed from a name or a recipe, traced in a module.

    >>> len(steps_of("resnet18")) == len(steps_of(arithmetic.steps("resnet18")))
    True

    Raises ValueError for an unknown name, TypeError for something that is neither.
    """
    if isinstance(model, str | Recipe):
        return arithmetic.steps(model, image, **changes)
    if changes:
        raise TypeError(f"{', '.join(sorted(changes))}: changes go with a name, such as 'resnet18'")
    if isinstance(model, list) and model and all(isinstance(step, Step) for step in model):
        return model  # as it is: a traced one knows what it leaves out
    if isinstance(model, Sequence):
        rows = [step for step in model if isinstance(step, Step)]
        if rows and len(rows) == len(model):
            return rows
    elif hasattr(model, "named_modules"):
        from resnet_edu.counting.trace import trace  # needs torch, which a module has loaded already

        if not (steps := trace(model, image)):
            raise ValueError(f"nothing happens in this {type(model).__name__}: no operation changes the image")
        return steps
    raise TypeError(f"cannot draw a {type(model).__name__}: expected a name, a Recipe, a list of Steps or an nn.Module")


def name_of(model: Model, **changes: object) -> str:
    """How a caption calls the model.

    >>> name_of("resnet34"), name_of("cifar_plain20"), name_of(Recipe(layers=(1, 1, 1, 1)))
    ('ResNet-34', 'CIFAR plain-20', 'ResNet-10')
    """
    if isinstance(model, str):
        model = recipe(model, **changes)
    if isinstance(model, Recipe):
        stem = "CIFAR " if model.stem == "cifar" else ""
        return f"{stem}{'plain' if model.block == 'plain' else 'ResNet'}-{model.depth}"
    return "The network" if isinstance(model, Sequence) else type(model).__name__
