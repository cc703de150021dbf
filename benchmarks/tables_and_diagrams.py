"""Shapes and costs by arithmetic against torchinfo's forward pass; our diagrams against torchview's."""

from collections.abc import Iterator

from torch import nn
from torchinfo import summary
from torchview import draw_graph
from torchvision import models

from benchmarks.measure import Row, in_turns
from resnet_edu.counting import arithmetic
from resnet_edu.counting.steps import Step
from resnet_edu.counting.trace import trace
from resnet_edu.drawing import diagrams, tables
from resnet_edu.zoo import build


def rows() -> Iterator[Row]:
    """The built model is given to torchinfo for nothing; no side may remember an earlier turn."""
    for name, side, target in (
        ("resnet18", 224, 500),
        ("resnet50", 224, 500),
        ("resnet152", 224, 500),
        ("cifar1202", 32, 200),
    ):
        model, image = build(name), (3, side, side)
        medians = in_turns(
            lambda name=name, image=image: _cold_steps(name, image),
            lambda model=model, image=image: summary(model, (1, *image), verbose=0),
        )
        yield Row(f"{name}: Steps by arithmetic, against torchinfo's summary", medians.speedup, target)

    for name, side in (("resnet50", 224), ("cifar110", 32)):
        model, image = build(name).eval(), (3, side, side)
        medians = in_turns(
            lambda model=model, image=image: trace(model, image),
            lambda model=model, image=image: summary(model, (1, *image), verbose=0),
        )
        yield Row(f"{name}: trace of a forward pass, against torchinfo's summary", medians.speedup, 1)

    for name in ("resnet18", "resnet50", "resnet152"):
        model = build(name)
        medians = in_turns(
            lambda name=name: _cold_table(name),
            lambda model=model: str(summary(model, (1, 3, 224, 224), verbose=0)),
        )
        yield Row(f"{name}: a printed table of every operation, against torchinfo's", medians.speedup, 100)

    # From the network's name to the picture: torchview draws a module, so it needs one built and run first.
    # Its depth 3, the default, shows the convolutions and the sums of each block, as our picture of every block does.
    model = build("resnet18")
    for level, depth in (("block", 3), ("layer", 1)):
        medians = in_turns(
            lambda level=level: diagrams.network("resnet18", level=level).svg,
            lambda depth=depth: _torchview(models.resnet18(), depth),
        )
        yield Row(f"resnet18: from its name to an SVG of every {level}, against torchview's", medians.speedup, 5)
        # Starting Graphviz's program is most of ours and a part of theirs, so this one cannot reach far.
        medians = in_turns(
            lambda level=level: diagrams.network("resnet18", level=level).svg,
            lambda depth=depth: _torchview(model, depth),
        )
        yield Row(f"resnet18: the same, torchview's model built beforehand ({level})", medians.speedup, 3)


def _cold_steps(name: str, image: tuple[int, int, int]) -> list[Step]:
    arithmetic._conv_name.cache_clear()
    return arithmetic.steps(name, image)


def _cold_table(name: str) -> str:
    arithmetic._conv_name.cache_clear()
    tables.units.cache_clear()
    return str(tables.table(name, level="operation"))


def _torchview(model: nn.Module, depth: int) -> bytes:
    return draw_graph(model, input_size=(1, 3, 224, 224), depth=depth).visual_graph.pipe("svg")
