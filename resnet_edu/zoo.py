"""The networks by name: the paper's five for ImageNet and its family for CIFAR (He et al. 2015)."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from resnet_edu.blocks import BLOCKS
from resnet_edu.counting.recipes import Recipe, cifar_recipe, recipe
from resnet_edu.resnet import ResNet

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

    Weights: TypeAlias = str | WeightsEnum | None


def build(plan: str | Recipe, zero_init_residual: bool = False, **options: Any) -> ResNet:
    """The network of a recipe, or of a recipe's name.

    >>> from resnet_edu.counting.recipes import Recipe
    >>> tiny = build(Recipe(layers=(1, 1), widths=(8, 16), stem="cifar", num_classes=3))
    >>> tiny.fc
    Linear(in_features=16, out_features=3, bias=True)

    Raises ValueError for an unknown name. Further keywords go to every block.
    """
    fields = asdict(recipe(plan) if isinstance(plan, str) else plan)
    block = fields.pop("block")
    stride_in = fields.pop("stride_in")
    if block == "bottleneck":
        options.setdefault("stride_in", stride_in)
    return ResNet(BLOCKS[block], zero_init_residual=zero_init_residual, **fields, **options)


def cifar_resnet(depth: int, num_classes: int = 10, *, plain: bool = False, **options: Any) -> ResNet:
    """The paper's network for 32×32 images (section 4.2): 6n + 2 layers of 16, 32 and 64 channels, option A.

    ``(N, 3, H, W)`` → ``(N, num_classes)``. With ``plain=True`` the same network without shortcuts.
    Options are those of :class:`~resnet_edu.resnet.ResNet`.

    >>> sum(p.numel() for p in cifar_resnet(20).parameters())          # the paper's table: 0.27M
    269722

    Raises ValueError if the depth is not 6n + 2, with the nearest that are.
    """
    plan = cifar_recipe(depth)
    options = {"stem": plan.stem, "widths": plan.widths, "shortcut": plan.shortcut, **options}
    return ResNet(BLOCKS["plain" if plain else "basic"], plan.layers, num_classes, **options)


def resnet18(weights: "Weights" = None, progress: bool = True, **options: Any) -> ResNet:
    """ResNet-18: basic blocks, 2·2·2·2 of them, 11,689,512 parameters.

    ``weights`` takes what torchvision takes, ``"IMAGENET1K_V1"``, ``"DEFAULT"`` or an enum member;
    options are those of :class:`~resnet_edu.resnet.ResNet`.

    >>> import torch
    >>> tuple(resnet18(num_classes=10)(torch.zeros(2, 3, 64, 64)).shape)
    (2, 10)

    Raises ValueError for unknown weights or options that do not fit them, ConnectionError if the
    weights cannot be fetched.
    """
    return _imagenet("resnet18", weights, progress, options)


def resnet34(weights: "Weights" = None, progress: bool = True, **options: Any) -> ResNet:
    """ResNet-34: basic blocks, 3·4·6·3 of them, 21,797,672 parameters. Arguments as in :func:`resnet18`.

    >>> len(resnet34().layer3)
    6
    """
    return _imagenet("resnet34", weights, progress, options)


def resnet50(weights: "Weights" = None, progress: bool = True, **options: Any) -> ResNet:
    """ResNet-50: bottlenecks, 3·4·6·3 of them, 25,557,032 parameters. Arguments as in :func:`resnet18`.

    Strides in the 3×3 like torchvision; ``stride_in="1x1"`` builds the paper's.

    >>> resnet50(stride_in="1x1").layer2[0].conv1.stride
    (2, 2)
    """
    return _imagenet("resnet50", weights, progress, options)


def resnet101(weights: "Weights" = None, progress: bool = True, **options: Any) -> ResNet:
    """ResNet-101: bottlenecks, 3·4·23·3 of them, 44,549,160 parameters. Arguments as in :func:`resnet50`.

    >>> len(resnet101().layer3)
    23
    """
    return _imagenet("resnet101", weights, progress, options)


def resnet152(weights: "Weights" = None, progress: bool = True, **options: Any) -> ResNet:
    """ResNet-152: bottlenecks, 3·8·36·3 of them, 60,192,808 parameters. Arguments as in :func:`resnet50`.

    >>> len(resnet152().layer3)
    36
    """
    return _imagenet("resnet152", weights, progress, options)


def _imagenet(name: str, weights: "Weights", progress: bool, options: dict[str, Any]) -> ResNet:
    plan = recipe(name)
    if weights is None:
        return ResNet(BLOCKS[plan.block], plan.layers, **options)
    from resnet_edu import pretrained

    needed = pretrained.class_count(name, weights)
    if options.setdefault("num_classes", needed) != needed:
        raise ValueError(
            f"these weights know {needed} classes, got num_classes={options['num_classes']}; "
            "load them first, then replace the classifier: model.fc = nn.Linear(model.fc.in_features, num_classes)"
        )
    if options.get("stride_in", plan.stride_in) != plan.stride_in:
        # Shapes would not tell: the paper's network has the same weights and computes something else.
        raise ValueError(
            f"these weights were trained with the stride in the {plan.stride_in}, "
            f"got stride_in={options['stride_in']!r}"
        )
    model = ResNet(BLOCKS[plan.block], plan.layers, **options)
    with torch.device("meta"):  # shapes without numbers: what will not fit is told before it is fetched
        theirs = ResNet(BLOCKS[plan.block], plan.layers, needed, widths=plan.widths)
    pretrained.check_fit(model.state_dict(), theirs.state_dict())
    pretrained.load_torchvision(model, pretrained.download(name, weights, progress))
    return model
