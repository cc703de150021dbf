"""The answer as text, Markdown, CSV or JSON; the last two with plain numbers, for other programs."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from resnet_edu.command.networks import Network
from resnet_edu.counting import graph
from resnet_edu.counting.steps import Shape
from resnet_edu.drawing import tables
from resnet_edu.drawing.tables import Table


def table(network: Network, level: str, form: str) -> str:
    """The image's way through a network.

    >>> from resnet_edu.command.networks import find
    >>> print(table(find("resnet18", (3, 224, 224)), "layer", "csv").splitlines()[1])
    stem,4 operations,3x224x224,64x56x56,9536,118013952,11
    """
    shown = tables.table(network.model, network.image, level, title=network.name)
    if form in ("text", "markdown"):
        return str(shown) if form == "text" else markdown(shown)
    steps = network.model
    summed = steps if level == "operation" else graph.by_block(steps) if level == "block" else graph.by_layer(steps)
    fields = ("room", "operation", "input", "output", "parameters", "multiply_adds", "receptive_field")
    if form == "csv":
        return _csv(fields, [[_cell(value) for value in step[:7]] for step in summed])
    rows = [step._asdict() for step in summed]
    total = {key: sum(row[key] for row in rows) for key in ("parameters", "multiply_adds")}
    whole = {"network": network.name, "image": network.image, "level": level, "rows": rows, "total": total}
    return json.dumps({**whole, "remarks": shown.remarks}, ensure_ascii=False, indent=1)


def compare(networks: Sequence[Network], image: Shape, form: str) -> str:
    """Depth, parameters and multiply-adds of several networks.

    >>> from resnet_edu.command.networks import find
    >>> print(compare([find("cifar20", (3, 32, 32))], (3, 32, 32), "csv").splitlines()[1])
    CIFAR ResNet-20,3 + 3 + 3,20,269722,40551040
    """
    shown = tables.compare([network.model for network in networks], image, titles=[n.name for n in networks])
    if form in ("text", "markdown"):
        return str(shown) if form == "text" else markdown(shown)
    rows: list[dict[str, Any]] = []
    for network, row in zip(networks, shown.rows, strict=True):
        steps = network.model
        rows.append(
            {
                "network": network.name,
                "blocks": row[1],
                "depth": graph.depth(steps),
                "parameters": sum(step.parameters for step in steps),
                "multiply_adds": sum(step.multiply_adds for step in steps),
            }
        )
    if form == "csv":
        return _csv(list(rows[0]), [list(row.values()) for row in rows])
    return json.dumps({"image": image, "rows": rows, "remarks": shown.remarks}, ensure_ascii=False, indent=1)


def markdown(shown: Table) -> str:
    """A table as GitHub writes one.

    >>> print(markdown(Table("Two rooms", ["room", "parameters"], [("stem", "9,536"), ("head", "513,000")])))
    **Two rooms**
    <BLANKLINE>
    | room | parameters |
    | :--- | ---: |
    | stem | 9,536 |
    | head | 513,000 |
    """
    sides = [":---" if number < shown.words else "---:" for number in range(len(shown.columns))]
    rows = [shown.columns, sides, *shown.rows, *([[f"**{cell}**" for cell in shown.total]] if shown.total else [])]
    lines = [f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([f"**{shown.caption}**", "", *lines, *(f"\n{remark}" for remark in shown.remarks)])


def _csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue().rstrip("\n")


def _cell(value: Any) -> Any:
    return "x".join(map(str, value)) if isinstance(value, tuple) else value
