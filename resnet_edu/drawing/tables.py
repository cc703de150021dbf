"""Shapes and costs as tables, in text and in HTML, from the same Steps as every picture."""

from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from typing import Any, NamedTuple, TypeAlias

from resnet_edu.counting import graph
from resnet_edu.counting.graph import by_block, by_layer
from resnet_edu.counting.models import Model, name_of, steps_of
from resnet_edu.counting.recipes import check_choice, image_shape
from resnet_edu.counting.steps import Shape, Step, Traced, shape_text
from resnet_edu.drawing import palette


class Stack(NamedTuple):
    """The convolutions of a block and how often it is repeated, as the paper's Table 1 writes them.

    >>> print(Stack(("1×1, 64", "3×3, 64", "1×1, 256"), 3))
    ⎡ 1×1, 64  ⎤
    ⎢ 3×3, 64  ⎥ ×3
    ⎣ 1×1, 256 ⎦
    """

    convolutions: tuple[str, ...]
    times: int

    def __str__(self) -> str:
        last = len(self.convolutions) - 1
        width = max(map(len, self.convolutions))
        rows = []
        for number, convolution in enumerate(self.convolutions):
            left, right = ("[", "]") if last == 0 else ("⎡⎤" if number == 0 else "⎣⎦" if number == last else "⎢⎥")
            times = f" ×{self.times}" if number == (last + 1) // 2 else ""
            rows.append(f"{left} {convolution:{width}} {right}{times}")
        return "\n".join(rows)


Cell: TypeAlias = str | Stack

_STYLE = (
    "<style>.re-table{overflow:auto;max-width:100%;max-height:36rem}"
    # A cell that stays in sight keeps its line only where no neighbor shares it.
    ".re-table table{border-collapse:separate;border-spacing:0;margin:0;font-size:.85rem;line-height:1.4;"
    "font-variant-numeric:tabular-nums;"
    "color:inherit;background:none;width:auto}"
    ".re-table caption{caption-side:top;text-align:left;padding:.3em .5em;color:inherit;font-weight:600}"
    # Beside a wide table on a narrow page the caption stays in sight.
    ".re-table caption span{display:inline-block;position:sticky;left:.5em;max-width:min(100%,calc(100vw - 4rem))}"
    ".re-table th,.re-table td{padding:.28em .6em;text-align:right;white-space:nowrap;color:inherit;"
    "background:none;border:0;border-bottom:1px solid rgba(128,128,128,.35);font-weight:400;vertical-align:middle}"
    ".re-table thead th{font-weight:600;border-bottom:2px solid currentColor}"
    ".re-table tfoot th,.re-table tfoot td{font-weight:600;border-top:2px solid currentColor;border-bottom:0}"
    ".re-table .re-words{text-align:left}.re-table .re-middle{text-align:center}"
    ".re-table.re-tight table{font-size:.8rem}.re-table.re-tight th,.re-table.re-tight td{padding:.28em .4em}"
    ".re-table.re-tight td:not(:has(b)){white-space:normal;text-wrap:balance}"
    ".re-table i{display:inline-block;width:.8em;height:.8em;margin-right:.5em;vertical-align:-.05em;"
    "border-radius:2px;border:1px solid}"
    ".re-table b{display:inline-block;font-weight:400;text-align:left;padding:0 .3em;margin:.15em 0;"
    "border:solid currentColor;border-width:0 1.5px;border-radius:5px;vertical-align:middle}"
    # On a phone what a row is called stays in sight while its numbers scroll.
    "@media(max-width:480px){.re-table tr>th:first-child{position:sticky;left:0;z-index:1;"
    "background:var(--re-page,canvas)}}</style>"
)


class Table:
    """Rows under headings, and a caption; the first column names the row.

    ``str`` gives aligned text, a notebook shows HTML that scrolls inside its own box.

    >>> print(Table("Two rooms", ["room", "parameters"], [("stem", "9,536"), ("head", "513,000")]))
    Two rooms
    room │ parameters
    ─────┼───────────
    stem │      9,536
    head │    513,000
    """

    def __init__(
        self,
        caption: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        total: Sequence[str] = (),
        rooms: Sequence[str] = (),
        words: int = 1,
        centered: bool = False,
        remarks: Sequence[str] = (),
    ) -> None:
        self.caption = caption
        self.columns = columns
        self.rows = rows
        self.total = total
        """The last row, set apart; may be empty."""
        self.rooms = rooms
        """For each row the room whose color marks it, or nothing."""
        self.centered = centered
        """Whether HTML centers the cells."""
        self.words = words
        """How many columns, from the first, hold words and stand to the left; the others hold numbers."""
        self.remarks = remarks
        """What the rows leave out, in sentences below them."""

    def __str__(self) -> str:
        tall = any(isinstance(cell, Stack) for row in self.rows for cell in row)
        groups = [_tall(row) for row in self.rows] if tall else [self.rows]
        every = [self.columns, *(row for group in groups for row in group), *([self.total] if self.total else [])]
        widths = [max(map(len, column)) for column in zip(*every, strict=True)]
        # One formatting of each row: a table of a thousand rows takes about a millisecond.
        line = " │ ".join(f"%{'-' if n < self.words else ''}{width}s" for n, width in enumerate(widths))
        rule = "─┼─".join("─" * width for width in widths)
        text = [self.caption, line % tuple(self.columns)]
        for group in groups:
            text.append(rule)
            text += [line % tuple(row) for row in group]
        if self.total:
            text += [rule, line % tuple(self.total)]
        text += self.remarks
        return "\n".join(map(str.rstrip, text) if tall else text)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        side = ' class="re-middle"' if self.centered else ' class="re-words"'
        classes = [side if n < self.words else "" for n in range(len(self.columns))]
        classes[0] = ' class="re-words"'
        parts = [
            _STYLE,
            f'<div class="re-table{" re-tight" if self.centered else ""}" role="group" tabindex="0" '
            f'aria-label="{escape(self.caption)}">',
            f"<table><caption><span>{escape(self.caption)}</span></caption><thead><tr>",
            *(f'<th scope="col"{c}>{escape(name)}</th>' for name, c in zip(self.columns, classes, strict=True)),
            "</tr></thead><tbody>",
        ]
        for number, row in enumerate(self.rows):
            swatch = ""
            if self.rooms and self.rooms[number]:
                room = self.rooms[number]
                colors = f"background:{palette.fill(room)};border-color:{palette.line(room)}"
                swatch = f'<i aria-hidden="true" style="{colors}"></i>'
            parts.append(f'<tr><th scope="row" class="re-words">{swatch}{_html(row[0])}</th>')
            parts += _cells(row[1:], classes[1:])
            parts.append("</tr>")
        parts.append("</tbody>")
        if self.total:
            parts.append(f'<tfoot><tr><th scope="row" class="re-words">{escape(self.total[0])}</th>')
            parts += _cells(self.total[1:], classes[1:])
            parts.append("</tr></tfoot>")
        parts.append("</table>")
        parts += [f"<p>{escape(remark)}</p>" for remark in self.remarks]
        parts.append("</div>")
        return "".join(parts)


def table(
    model: Model = "resnet18",
    image: Shape | int = (3, 224, 224),
    level: str = "operation",
    *,
    title: str = "",
    **changes: object,
) -> Table:
    """The image's way through a network, row by row, with totals.

    The model is a name, a recipe, a list of Steps or any ``nn.Module``, called by its own name or by ``title``; changes
    are a recipe's fields. What the rows leave out of a module stands in a sentence below them.

    >>> print(table("resnet18", level="layer"))              # 11,689,512 as in torchvision
    ResNet-18 for one image of 3×224×224, layer by layer
    room   │ input     │ output    │ parameters │ multiply-adds │ receptive field
    ───────┼───────────┼───────────┼────────────┼───────────────┼────────────────
    stem   │ 3×224×224 │ 64×56×56  │      9,536 │       118.0 M │           11 px
    layer1 │ 64×56×56  │ 64×56×56  │    147,968 │       462.4 M │           43 px
    layer2 │ 64×56×56  │ 128×28×28 │    525,568 │       411.0 M │           99 px
    layer3 │ 128×28×28 │ 256×14×14 │  2,099,712 │       411.0 M │          211 px
    layer4 │ 256×14×14 │ 512×7×7   │  8,393,728 │       411.0 M │          435 px
    head   │ 512×7×7   │ 1,000     │    513,000 │       512.0 k │          627 px
    ───────┼───────────┼───────────┼────────────┼───────────────┼────────────────
    total  │ 3×224×224 │ 1,000     │ 11,689,512 │       1.814 G │          627 px

    Raises ValueError for an unknown level, name or field, and TypeError for something that is no model.
    """
    check_choice("level", level, ("operation", "block", "layer"))
    steps = steps_of(model, image, **changes)
    rows: list[tuple[str, ...]]
    if level == "operation":
        shown = steps
        columns = ["room", "operation", "output", "parameters", "multiply-adds", "receptive field"]
    else:
        shown = by_block(steps) if level == "block" else by_layer(steps)
        columns = ["room", "input", "output", "parameters", "multiply-adds", "receptive field"]
    # A network has few shapes and many rows.
    written = {shape: shape_text(shape) for shape in {s.output for s in steps} | {s.input for s in steps}}
    if level == "operation":
        rows = [
            (
                room,
                operation,
                written[output],
                f"{parameters:,}",
                units(adds) if counted else _UNCOUNTED,
                f"{field:,} px",
            )
            for room, operation, _, output, parameters, adds, field, _, _, counted in steps
        ]
    else:
        rows = [
            (room, written[start], written[output], f"{parameters:,}", _counted([step]), f"{step.receptive_field:,} px")
            for step in shown
            for room, _, start, output, parameters, *_ in [step]
        ]
    first, last = steps[0], steps[-1]
    total = (
        "total",
        f"{len(steps)} operation{'s' if len(steps) > 1 else ''}" if level == "operation" else written[first.input],
        written[last.output],
        f"{sum(step.parameters for step in steps):,}",
        _counted(steps),
        f"{last.receptive_field:,} px",
    )
    caption = f"{title or name_of(model, **changes)} for one image of {written[first.input]}, {level} by {level}"
    return Table(caption, columns, rows, total, _roles(steps, level), words=3, remarks=remarks_of(steps))


def torchinfo(model: Any, image: Shape, depth: int = 3) -> Table:
    """What ``torchinfo.summary(model, (1, *image))`` lists, in few columns: what was called, in order, for one image.

    Left out is what torchinfo says about memory and units. Below ``depth`` nothing is listed, and no module whose parts
    stand in rows of their own. Where torchinfo is not installed, the table says so in a sentence.

    >>> from resnet_edu.stem import ImageNetStem
    >>> print(torchinfo(ImageNetStem(), (3, 224, 224)))     # 7·7·3·64 + 2·64
    ImageNetStem, as torchinfo lists it
    room    │ module      │ output     │ parameters
    ────────┼─────────────┼────────────┼───────────
    conv1   │ Conv2d      │ 64×112×112 │      9,408
    bn1     │ BatchNorm2d │ 64×112×112 │        128
    relu    │ ReLU        │ 64×112×112 │          0
    maxpool │ MaxPool2d   │ 64×56×56   │          0
    ────────┼─────────────┼────────────┼───────────
    total   │             │ 64×56×56   │      9,536
    """
    caption = f"{type(model).__name__}, as torchinfo lists it"
    columns = ["room", "module", "output", "parameters"]
    try:
        from torchinfo import summary
    except ModuleNotFoundError:
        why = "The rows are missing here: torchinfo is not installed. Install it with pip install torchinfo"
        return Table(caption, columns, [], words=3, remarks=[why])
    report = summary(model, (1, *image), depth=depth, verbose=0)
    whole, *rest = report.summary_list
    rows, counted = [], 0
    for info in rest:
        if info.depth > report.formatting.max_depth or (info.children and info.depth < report.formatting.max_depth):
            continue
        name, above = info.var_name, info.parent_info
        while above is not None and above.depth > 0:
            name, above = f"{above.var_name}.{name}", above.parent_info
        counted += 0 if info.is_recursive else info.num_params
        parameters = "as above" if info.is_recursive and info.num_params else f"{info.num_params:,}"
        rows.append((name, info.class_name, shape_text(tuple(info.output_size[1:])), parameters))
    total = ("total", "", shape_text(tuple(whole.output_size[1:])), f"{report.total_params:,}")
    missing = report.total_params - counted
    remarks = [f"{missing:,} parameters stand in no row of their own"] if missing else []
    return Table(caption, columns, rows, total, words=3, remarks=remarks)


def remarks_of(steps: Sequence[Step]) -> list[str]:
    """What the rows leave out, in sentences: parameters that nothing read, multiply-adds that nobody counted.

    >>> remarks_of([Step("rnn", "LSTM", (9, 4), (9, 8), 448, 0, 1, counted=False)])
    ['the multiply-adds of LSTM are not counted']
    """
    remarks = list(steps.remarks) if isinstance(steps, Traced) else []
    left_out = list(dict.fromkeys(step.operation for step in steps if not step.counted))
    if left_out:
        remarks.append(f"the multiply-adds of {', '.join(left_out)} are not counted")
    return remarks


def paper(
    names: Sequence[str] = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    image: Shape | int = (3, 224, 224),
    **changes: object,
) -> Table:
    """Table 1 of He et al. 2015, every cell computed from Steps, with the parameters added.

    The stride sits in the first 1×1 of a bottleneck, as in the paper; ``stride_in="3x3"`` counts
    torchvision's placement.

    >>> table1 = paper(["resnet18", "resnet50"])
    >>> table1.rows[-2][-2:]                     # the paper prints 1.8×10⁹ and 3.8×10⁹
    ('1.81×10⁹', '3.86×10⁹')

    Raises ValueError if the networks do not share their sizes, because then they share no rows.
    """
    changes = {"stride_in": "1x1", **changes}
    networks = [_Outline(steps_of(name, image, **changes)) for name in names]
    sizes = [network.sizes for network in networks]
    if any(size != sizes[0] for size in sizes):
        raise ValueError(
            "the networks of one table share their layers and sizes; here they differ: "
            + "; ".join(f"{name}: {', '.join(size)}" for name, size in zip(names, sizes, strict=True))
        )
    rows: list[tuple[Cell, ...]] = [
        (name, sizes[0][number], *(network.cells[number] for network in networks))
        for number, name in enumerate(networks[0].names)
    ]
    rows.append(("FLOPs", "", *(_scientific(network.multiply_adds) for network in networks)))
    rows.append(("parameters", "", *(f"{network.parameters:,}" for network in networks)))
    columns = ["layer", "output", *map(name_of, names)]
    caption = f"Table 1 of He et al. 2015, computed, for an image of {shape_text(image_shape(image))}"
    return Table(caption, columns, rows, rooms=[*networks[0].rooms, "", ""], words=len(columns), centered=True)


def compare(
    models: Iterable[Model] = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    image: Shape | int = (3, 224, 224),
    *,
    titles: Sequence[str] = (),
    **changes: object,
) -> Table:
    """Depth, parameters and multiply-adds of several networks.

    >>> print(compare(["resnet18", "plain18"]))
    Networks side by side, for one image of 3×224×224
    network   │ blocks        │ depth │ parameters │ multiply-adds
    ──────────┼───────────────┼───────┼────────────┼──────────────
    ResNet-18 │ 2 + 2 + 2 + 2 │    18 │ 11,689,512 │       1.814 G
    plain-18  │ 2 + 2 + 2 + 2 │    18 │ 11,515,688 │       1.795 G

    The blocks are those with a shortcut, layer by layer; in a network without any, the blocks that its names tell.
    The depth counts convolutions and linear layers on the longest path, as the paper does.
    """
    rows = []
    remarks = []
    for number, model in enumerate(models):
        steps = steps_of(model, image, **(changes if isinstance(model, str) else {}))
        name = titles[number] if titles else name_of(model, **changes)
        rows.append(
            (
                name,
                " + ".join(str(len(part.blocks)) for part in graph.parts(steps) if part.blocks),
                str(graph.depth(steps)),
                f"{sum(step.parameters for step in steps):,}",
                _counted(steps),
            )
        )
        remarks += [f"{name}: {remark}" for remark in remarks_of(steps)]
    caption = f"Networks side by side, for one image of {shape_text(image_shape(image))}"
    return Table(caption, ["network", "blocks", "depth", "parameters", "multiply-adds"], rows, words=2, remarks=remarks)


_UNCOUNTED = "not counted"


def _counted(steps: Sequence[Step]) -> str:
    adds = units(sum(step.multiply_adds for step in steps))
    left_out = sum(not step.counted for step in steps)
    if not left_out:
        return adds
    return _UNCOUNTED if adds == "0" else f"more than {adds}"


def _roles(steps: Sequence[Step], level: str) -> list[str]:
    """For each row of the table the part whose color marks it."""
    parts = graph.parts(steps)
    if level == "operation":
        return [part.role for part in parts for _ in range(part.start, part.stop)]
    return [part.role for part in parts for _ in (graph.runs(part) if level == "block" else (part,))]


@cache  # a network has few counts and many rows
def units(count: int) -> str:
    """A count with the unit that keeps it short.

    >>> [units(n) for n in (0, 512, 512_000, 118_013_952, 1_814_073_344)]
    ['0', '512', '512.0 k', '118.0 M', '1.814 G']
    """
    if count < 1000:
        return str(count)
    if count < 999_950:
        return f"{count / 1e3:.1f} k"
    if count < 999_950_000:
        return f"{count / 1e6:.1f} M"
    return f"{count / 1e9:.3f} G"


class _Outline:
    """A network as the paper's table lists it, one cell for each of its rows."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.multiply_adds = sum(step.multiply_adds for step in steps)
        self.parameters = sum(step.parameters for step in steps)
        self.names: list[str] = []
        self.rooms: list[str] = []
        self.sizes: list[str] = []
        self.cells: list[Cell] = []
        for part in graph.parts(steps):
            role, end = part.role, steps[part.stop - 1]
            if part.blocks:
                # As in the paper, the stride of the first block is not written here; the sizes show it.
                first = part.blocks[0]
                aside = first.shortcut.way if first.shortcut else ()
                places = [place for place in range(first.start, first.stop) if place not in aside]
                weighted = [steps[place] for place in places if graph.is_layer(steps[place])]
                convolutions = tuple(_convolution(step).partition(", stride")[0] for step in weighted)
                name = f"conv{int(role.removeprefix('layer')) + 1}_x ({role})"
                self._add(name, role, end.output[1:], Stack(convolutions, len(part.blocks)))
            elif role == "head":
                self._add("classifier (head)", role, (1, 1), f"average pool, {end.output[0]:,}-d fc")
            else:
                for step in steps[part.start : part.stop]:
                    if step.operation.startswith(("conv ", "max-pool ")):
                        kind = "conv1" if graph.is_layer(step) else "max-pool"
                        self._add(f"{kind} ({role})", role, step.output[1:], _convolution(step))

    def _add(self, name: str, room: str, size: Shape, cell: Cell) -> None:
        self.names.append(name)
        self.rooms.append(room)
        self.sizes.append(shape_text(size))
        self.cells.append(cell)


def _convolution(step: Step) -> str:
    kind, _, window = step.operation.rpartition(" ")
    kernel, _, stride = window.partition("/")
    what = f"{kernel}, {step.output[0]:,}" if kind == "conv" else f"{kernel} {kind}"
    return f"{what}, stride {stride}" if stride else what


def _scientific(count: int) -> str:
    """
    >>> _scientific(3857973248)
    '3.86×10⁹'
    """
    power = len(str(count)) - 1
    power -= power % 3
    return f"{count / 10**power:.2f}×10{str(power).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def _tall(row: Sequence[Cell]) -> list[list[str]]:
    columns = [str(cell).split("\n") for cell in row]
    height = max(map(len, columns))
    return [[column[n] if n < len(column) else "" for column in columns] for n in range(height)]


def _cells(row: Sequence[Cell], classes: Sequence[str]) -> list[str]:
    return [f"<td{look}>{_html(cell)}</td>" for cell, look in zip(row, classes, strict=True)]


def _html(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    return f"<b>{'<br/>'.join(map(escape, cell.convolutions))}</b> ×{cell.times}"
