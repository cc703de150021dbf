"""The contracts with their known mistakes."""

from resnet_edu.checks import blocks, mistakes, networks
from resnet_edu.checks.contract import Case, Contract


def _case(name: str, *args: int, inputs: tuple[tuple[int, ...], ...]) -> Case:
    return Case(args, inputs, f"{name}({', '.join(map(str, args))})")


def _maps(name: str, *args: int, channels: int | None = None) -> Case:
    """A case with three inputs: an odd size, another one, and a batch of one."""
    c = args[0] if channels is None else channels
    return _case(name, *args, inputs=((3, c, 9, 8), (2, c, 7, 5), (1, c, 6, 6)))


BASIC = Contract(
    "BasicBlock",
    "BasicBlock(in_channels, out_channels, stride=1)",
    (
        _maps("BasicBlock", 6, 6),
        _maps("BasicBlock", 6, 10, 2),
        _maps("BasicBlock", 6, 10),
        _maps("BasicBlock", 6, 6, 2),
    ),
    (blocks.basic,),
    mistakes.basic_block(),
    "Your block computes what the reference computes, with and without a change of shape, forwards and backwards.",
)
IDENTITY = Contract(
    "IdentityBlock",
    "IdentityBlock(channels)",
    (_maps("IdentityBlock", 6), _maps("IdentityBlock", 9)),
    (blocks.identity_block,),
    mistakes.identity_block(),
    "Your block computes what the reference computes, forwards and backwards.",
)
PROJECTION = Contract(
    "ProjectionBlock",
    "ProjectionBlock(in_channels, out_channels, stride=2)",
    (_maps("ProjectionBlock", 6, 10), _maps("ProjectionBlock", 6, 12, 1)),
    (blocks.projection_block,),
    mistakes.projection_block(),
    "Your block computes what the reference computes, both ends of the addition included.",
)
BOTTLENECK = Contract(
    "Bottleneck",
    "Bottleneck(in_channels, channels, stride=1)",
    (
        _maps("Bottleneck", 16, 4),
        _maps("Bottleneck", 10, 4, 2),
        _maps("Bottleneck", 4, 4),
        _maps("Bottleneck", 16, 4, 2),
    ),
    (blocks.bottleneck, blocks.bottleneck_v1),
    mistakes.bottleneck(),
    "Your block computes what the reference computes, in all four combinations of shapes.",
)
PREACTIVATION = Contract(
    "preactivation_block",
    "preactivation_block(in_channels, out_channels, stride=1)",
    (
        _maps("preactivation_block", 6, 6),
        _maps("preactivation_block", 6, 10, 2),
        _maps("preactivation_block", 6, 10),
        _maps("preactivation_block", 6, 6, 2),
    ),
    (blocks.preactivation,),
    mistakes.preactivation(),
    "Your block computes what the reference computes: nothing stands between one addition and the next.",
)
STEM = Contract(
    "Stem",
    "Stem()",
    (_case("Stem", inputs=((2, 3, 33, 28), (1, 3, 23, 25), (1, 3, 32, 32))),),
    (blocks.stem,),
    mistakes.stem(),
    "Your stem computes what the reference computes: each side shrinks fourfold.",
)
HEAD = Contract(
    "Head",
    "Head(in_features, num_classes)",
    (
        _case("Head", 12, 5, inputs=((3, 12, 4, 6), (2, 12, 7, 7), (1, 12, 3, 2))),
        _case("Head", 5, 7, inputs=((2, 5, 1, 1), (3, 5, 2, 5))),
    ),
    (blocks.head,),
    mistakes.head(),
    "Your head computes what the reference computes, for maps of any size.",
)
ZERO_PAD = Contract(
    "ZeroPadShortcut",
    "ZeroPadShortcut(in_channels, out_channels, stride)",
    (
        _maps("ZeroPadShortcut", 4, 8, 2),
        _maps("ZeroPadShortcut", 3, 8, 2),
        _maps("ZeroPadShortcut", 4, 6, 1),
    ),
    tuple(blocks.zero_pad_shortcut(sides) for sides in ("both", "both-up", "back", "front")),
    mistakes.zero_pad(),
    "Your shortcut computes what the reference computes, and has nothing to learn.",
)
MAKE_LAYER = Contract(
    "make_layer",
    "make_layer(block, in_channels, channels, blocks, stride)",
    tuple(
        Case(
            (block, *args),
            ((2, args[0], 9, 8), (1, args[0], 6, 5)),
            f"make_layer(block, {', '.join(map(str, args))})",
        )
        for block, args in (
            (networks.Probe, (6, 10, 3, 2)),
            (networks.WideProbe, (8, 5, 3, 2)),
            (networks.WideProbe, (8, 3, 2, 1)),
            (networks.Probe, (6, 6, 3, 1)),
            (networks.Probe, (6, 7, 1, 2)),
            (networks.Probe, (6, 6, 2, 2)),
        )
    ),
    (networks.layer,),
    mistakes.make_layer(),
    "Your layer stacks the blocks as the reference does: the first changes the shape, the others keep it.",
)
RESNET = Contract(
    "ResNet",
    "ResNet(block, layers, num_classes)",
    (
        Case((networks.SmallProbe, [2, 1, 3, 1], 7), ((2, 3, 96, 45),), "ResNet(block, [2, 1, 3, 1], 7)"),
        Case((networks.SmallWideProbe, [1, 2, 1, 2], 5), ((2, 3, 45, 96),), "ResNet(block, [1, 2, 1, 2], 5)"),
    ),
    (networks.resnet,),
    mistakes.resnet(),
    "Your network computes what the reference computes, from stem to scores.",
)
CIFAR = Contract(
    "cifar_resnet",
    "cifar_resnet(depth, num_classes=10)",
    (
        _case("cifar_resnet", 8, inputs=((2, 3, 8, 9), (1, 3, 9, 7))),
        _case("cifar_resnet", 14, 7, inputs=((2, 3, 8, 12),)),
    ),
    (networks.cifar("A both"), networks.cifar("A back"), networks.cifar("A front")),
    mistakes.cifar(),
    "Your network computes what the reference computes: 6n + 2 layers, and shortcuts that cost nothing.",
    _case("cifar_resnet", 21, inputs=()),
)
