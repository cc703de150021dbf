"""The references of whole layers and networks, written as programs around a small block of our own."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks import blocks
from resnet_edu.checks.program import Op, Program


class Probe(nn.Module):
    """The block that a check hands to ``make_layer`` or ``ResNet``: one convolution and a ReLU, cheap to run.

    It is called like every block of the book: ``block(in_channels, channels, stride)``.
    """

    expansion = 1
    kernel = 3

    def __init__(
        self, in_channels: int, channels: int | None = None, stride: int = 1, *, out_channels: int | None = None
    ) -> None:
        super().__init__()
        width = channels if channels is not None else out_channels
        if width is None:
            raise TypeError("a block takes in_channels, channels and stride")
        kernel = self.kernel
        self.conv = nn.Conv2d(in_channels, width * self.expansion, kernel, stride, kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(x))
        # With a kernel of 1 alone it would not matter which layer skips the pixels.
        return x + x.roll(1, 2) if self.kernel == 1 else x


class WideProbe(Probe):
    """The same with four times the channels at its end, like a bottleneck."""

    expansion = 4


class SmallProbe(Probe):
    """The same with a kernel of 1, for whole networks."""

    kernel = 1


class SmallWideProbe(SmallProbe):
    """The same with twice the channels at its end."""

    expansion = 2


def probe_ops(name: str, source: str, ins: int, channels: int, stride: int, block: type[Probe], words: str) -> list[Op]:
    """What a probe computes."""
    conv = blocks.conv(f"{name}conv", source, ins, channels * block.expansion, block.kernel, stride, words)
    return [
        replace(conv, options={**conv.options, "channels": channels}),
        blocks.act(f"{name}relu", f"{name}conv", f"the end of {words}", "relu" if block.kernel == 3 else "relu-roll"),
    ]


def layer(block: type[Probe], in_channels: int, channels: int, count: int, stride: int) -> Program:
    """A layer of probes."""
    return Program(tuple(layer_ops("", "x", block, in_channels, channels, count, stride)))


def layer_ops(
    b: str, source: str, block: type[Probe], ins: int, channels: int, count: int, stride: int, where: str = ""
) -> list[Op]:
    """A layer's operations: the first probe takes the stride."""
    ops: list[Op] = []
    for number in range(count):
        ops += probe_ops(
            f"{b}{number}.", source, ins, channels, stride if number == 0 else 1, block, f"block {number + 1}{where}"
        )
        source, ins = ops[-1].name, channels * block.expansion
    return ops


def resnet(block: type[Probe], layers: Any, num_classes: int) -> Program:
    """The whole network around probes.

    >>> len([op for op in resnet(SmallProbe, [1, 2, 1, 2], 7).ops if op.kind == "conv"])
    7
    """
    ops = blocks.stem_ops()
    ops[-1] = Op("stempool", *_fields(ops[-1]))
    source, ins = "stempool", 64
    for number, (count, width) in enumerate(zip(layers, (64, 128, 256, 512), strict=True), start=1):
        stride = 1 if number == 1 else 2
        ops += layer_ops(f"layer{number}.", source, block, ins, width, count, stride, f" of layer {number}")
        source, ins = ops[-1].name, width * block.expansion
    return Program((*ops, *blocks.head_ops(source, ins, num_classes)))


def _fields(op: Op) -> tuple[Any, ...]:
    return op.kind, op.inputs, op.words, op.options


def cifar_program(
    n: int,
    num_classes: int,
    option: str = "A both",
    widths: tuple[int, int, int] = (16, 32, 64),
    strides: tuple[int, int, int] = (1, 2, 2),
) -> Program:
    """CIFAR's network of n blocks a layer."""
    ops = [
        blocks.conv("conv1", "x", 3, widths[0], 3, 1, "the stem's convolution"),
        blocks.bn("bn1", "conv1", widths[0], "the stem's batch norm"),
        blocks.act("relu", "bn1", "the stem's ReLU"),
    ]
    source, ins, prefixes = "relu", widths[0], []
    for number, (width, first) in enumerate(zip(widths, strides, strict=True), start=1):
        for index in range(n):
            b = f"layer{number}.{index}."
            where = f" of block {index + 1} in layer {number}"
            ops += blocks.basic_ops(b, source, ins, width, first if index == 0 else 1, option, where)
            source, ins = f"{b}out", width
            prefixes.append(b)
    return Program((*ops, *blocks.head_ops(source, ins, num_classes)), tuple(prefixes))


def cifar(option: str = "A both") -> Any:
    """The reference of CIFAR's network under one option for the shortcuts."""

    def program(depth: int, num_classes: int = 10) -> Program:
        return cifar_program((depth - 2) // 6, num_classes, option)

    return program
