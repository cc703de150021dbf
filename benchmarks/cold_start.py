"""What a reader waits for in a fresh process: a table, a diagram, the first import."""

from collections.abc import Iterator

from benchmarks.measure import Row, fresh_process, in_turns

_TORCHINFO = (
    "from torchinfo import summary; from torchvision import models; print(summary(models.resnet50(), (1, 3, 224, 224)))"
)


def rows() -> Iterator[Row]:
    """Each side is a new interpreter, from its start to its end."""
    for what, code in (
        ("a table", "from resnet_edu.drawing import tables; print(tables.table('resnet50', level='operation'))"),
        ("a diagram", "from resnet_edu.drawing import diagrams; print(diagrams.network('resnet50').svg)"),
    ):
        medians = in_turns(fresh_process(code), fresh_process(_TORCHINFO))
        yield Row(f"fresh process: {what} of resnet50, against torchvision and torchinfo", medians.speedup, 25)
        yield Row(f"fresh process: {what} of resnet50", medians.ours, high=0.15, unit="s")

    medians = in_turns(fresh_process("from resnet_edu import resnet18"), fresh_process("import torch"), seconds=15)
    yield Row("fresh process: import of resnet18, against import torch", 1 / medians.speedup, high=1.05)
