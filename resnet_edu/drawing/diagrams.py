"""Blocks, layers and networks as graphs: solid line identity, dashed projection, dotted zero-padding.

The line styles are those of He et al. 2015, Figure 3. Each graph is computed from Steps, written in
Graphviz's language and laid out by its ``dot`` program.
"""

import re
import subprocess
from collections.abc import Iterable, Sequence
from html import escape, unescape
from itertools import groupby

from resnet_edu.counting import arithmetic
from resnet_edu.counting.models import Model, name_of, steps_of
from resnet_edu.counting.recipes import STEM_KERNEL, check_choice
from resnet_edu.counting.steps import Shape, Step, block_of, by_layer, layer_of, shape_text
from resnet_edu.drawing import palette
from resnet_edu.drawing.pictures import Picture, journey, opening, size_of

#: How each kind of shortcut is drawn.
LINES = {"identity": "solid", "projection": "dashed", "zero-pad": "dotted"}

#: Equal blocks in a row that a network's picture draws before it folds the rest into one line.
_FOLD = 7


class Diagram(Picture):
    """A picture that Graphviz laid out; ``dot`` is its source, for other tools.

    >>> diagram = block("basic")
    >>> "shape=circle" in diagram.dot           # the plus sign
    True
    """

    def __init__(self, title: str, dot: str, svg: str, alt: str, narrow: str | None = None) -> None:
        super().__init__(svg, alt, narrow)
        self.title = title
        self.dot = dot


def shortcut_of(steps: Iterable[Step]) -> str:
    """The kind of shortcut of one block: ``identity``, ``projection``, ``zero-pad`` or ``none``.

    >>> [shortcut_of(arithmetic.block_steps("basic", 64, 128, 2, shortcut=option)) for option in "AB"]
    ['zero-pad', 'projection']
    >>> shortcut_of(arithmetic.block_steps("basic")), shortcut_of(arithmetic.block_steps("plain"))
    ('identity', 'none')
    """
    added = False
    for step in steps:
        if ".downsample" in step.room:
            return "zero-pad" if step.operation.startswith("zero-pad") else "projection"
        added = added or step.operation == "add"
    return "identity" if added else "none"


def block(
    kind: str = "basic",
    in_channels: int = 64,
    channels: int = 64,
    stride: int = 1,
    shortcut: str = "B",
    size: int | tuple[int, int] = 56,
    stride_in: str = "3x3",
) -> Diagram:
    """One block with every operation, and the shapes on the edges.

    >>> block("basic", 64, 128, stride=2).alt[:91]
    'A basic block with a projection shortcut. The input of 64×56×56 goes two ways. One is conv '

    ``channels`` is the block's width; a bottleneck gives four times as many.
    Raises ValueError for an unknown kind or option, or a number below 1.
    """
    # In the color of the layer that has this width in the ImageNet networks.
    number = {64: 1, 128: 2, 256: 3, 512: 4}.get(channels, 1)
    steps = arithmetic.block_steps(
        kind,
        in_channels,
        channels,
        stride,
        shortcut=shortcut,
        size=size,
        stride_in=stride_in,
        room=f"layer{number}.0",
    )
    way = shortcut_of(steps)
    title = f"{kind} block" + (f", {way} shortcut" if way != "none" else "")
    return _diagram(title, _operations(steps), _block_alt(kind, steps))


def stem(kind: str = "imagenet", image: Shape = (3, 224, 224)) -> Diagram:
    """The stem with every operation, and the shapes on the edges.

    >>> stem("imagenet").alt
    'The ImageNet stem: conv 7×7/2 to 64×112×112, batch norm, ReLU, max-pool 3×3/2 to 64×56×56.'
    """
    check_choice("stem", kind, STEM_KERNEL)
    name, title = ("resnet18", "ImageNet stem") if kind == "imagenet" else ("cifar20", "CIFAR stem")
    steps = arithmetic.steps(name, image, in_channels=image[0])
    part = [step for step in steps if layer_of(step.room) == "stem"]
    return _diagram(title, _operations(part), f"The {title}: {_listed(part)}.")


def layer(model: Model = "resnet34", number: int = 1, image: Shape = (3, 224, 224), **changes: object) -> Diagram:
    """One layer, a box for each block and its shortcut beside it; layers count from 1.

    >>> layer("resnet34", 2).dot.count("re-projection"), layer("resnet34", 2).dot.count("re-identity")
    (1, 3)

    Raises ValueError if the network has no layer of that number.
    """
    parts = _parts(steps_of(model, image, **changes))
    name = f"layer{number}"
    if name not in parts:
        raise ValueError(
            f"{name_of(model, **changes)} has {', '.join(p for p in parts if p.startswith('layer'))}, not {name}"
        )
    blocks = _blocks(parts[name])
    graph = _Graph()
    end, label = _chain(graph, blocks, "main", fold=False)
    graph.edge(end, graph.node(label, look="text"))
    title = f"{name} of {name_of(model, **changes)}"
    return _diagram(
        title, graph, f"A layer of {name_of(model, **changes)}. {journey(parts[name])} {_shortcuts_alt(blocks)}"
    )


def network(
    model: Model = "resnet34", level: str = "block", image: Shape = (3, 224, 224), **changes: object
) -> Diagram:
    """A whole network: a box for each block with its shortcut, or a box for each layer.

    >>> diagram = network("resnet34")
    >>> diagram.dot.count("re-projection")        # the first block of layer2, layer3 and layer4
    3

    A long run of equal blocks is folded into one line. Raises ValueError for an unknown level, and for
    a model without rooms called layer1, layer2, …
    """
    check_choice("level", level, ("block", "layer"))
    steps = steps_of(model, image, **changes)
    parts = _parts(steps)
    layers = [part for part in parts if part.startswith("layer")]
    if not layers:
        raise ValueError(f"a network's diagram needs rooms called layer1, layer2, …; this one has {', '.join(parts)}")
    title = name_of(model, **changes)
    alt = f"{title}. {journey(steps)}"
    if level == "layer":
        return _diagram(title, _layers(steps), alt)
    blocks = [block for part in layers for block in _blocks(parts[part])]
    alt = f"{alt} {_shortcuts_alt(blocks)}"
    wide, narrow = _network(parts, columns=True), _network(parts, columns=False)
    return _diagram(title, wide, alt, narrow)


def compare(left: Diagram, right: Diagram) -> Diagram:
    """Two diagrams side by side, one above the other where the page is narrow.

    >>> compare(block("plain"), block("basic")).title
    'plain block and basic block, identity shortcut'
    """
    return _Pair(left, right)


class _Pair(Diagram):
    def __init__(self, left: Diagram, right: Diagram) -> None:
        self.pair = (left, right)
        gap, head = 24.0, 24.0
        sizes = [size_of(diagram.svg) for diagram in self.pair]
        widths = [max(width, 7.2 * len(diagram.title)) for (width, _), diagram in zip(sizes, self.pair, strict=True)]
        width, height = sum(widths) + gap, max(height for _, height in sizes) + head
        parts = []
        at = 0.0
        for diagram, (own, _), room in zip(self.pair, sizes, widths, strict=True):
            inner = re.sub(r' (class|role|aria-label|style)="[^"]*"', "", diagram.svg[: diagram.svg.index(">")])
            rest = diagram.svg[diagram.svg.index(">") :]
            parts.append(
                f'<text x="{at + room / 2:g}" y="14" text-anchor="middle" font-size="13" font-weight="600" '
                f'fill="currentColor">{escape(diagram.title)}</text>'
                f'<svg x="{at + (room - own) / 2:g}" y="{head:g}" {inner[5:]}{rest}'
            )
            at += room + gap
        svg = opening(width, height) + "".join(parts) + "</svg>"
        alt = f"Left: {left.alt} Right: {right.alt}"
        super().__init__(f"{left.title} and {right.title}", f"{left.dot}\n{right.dot}", svg, alt)

    def _repr_html_(self) -> str:
        figures = "".join(
            '<div style="flex:0 1 auto;min-width:0;max-width:100%;text-align:center">'
            f'<div style="font-weight:600;margin-bottom:.4em">{escape(diagram.title)}</div>'
            f"{diagram._repr_html_()}</div>"
            for diagram in self.pair
        )
        return f'<div style="display:flex;flex-wrap:wrap;gap:1.5rem 2.5rem;justify-content:center">{figures}</div>'


class _Graph:
    """A graph in Graphviz's language. Colors are CSS values; dot sees a number in their place."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.css: dict[str, str] = {}
        self.count = 0

    @property
    def dot(self) -> str:
        return "\n".join(("digraph {", _DEFAULTS, *self.lines, "}"))

    def color(self, css: str) -> str:
        code = self.css.setdefault(css, f"#{len(self.css) + 1:06x}")
        return f'"{code}"'

    def node(self, label: str, room: str = "", look: str = "filled", group: str = "main", dashes: str = "") -> str:
        name = f"n{self.count}"
        self.count += 1
        text = label.replace("\n", "\\n")
        if look == "text":
            style = f"shape=plaintext fontcolor={self.color('currentColor')} margin=0.03 height=0.25"
        elif look == "plus":
            current = self.color("currentColor")
            style = f"shape=circle fixedsize=true width=0.27 margin=0 fontsize=15 color={current} fontcolor={current}"
        elif look == "filled":
            fill, line, ink = (self.color(paint(room)) for paint in (palette.fill, palette.line, palette.ink))
            style = f'style="filled,rounded{dashes}" fillcolor={fill} color={line} fontcolor={ink}'
        else:
            line, ink = self.color(palette.line(room)), self.color("currentColor")
            style = f'style="rounded{dashes}" color={line} fontcolor={ink}'
        self.lines.append(f'{name} [label="{text}" group="{group}" {style}]')
        return name

    def edge(self, tail: str, head: str, label: str = "", kind: str = "", **options: object) -> None:
        color = self.color(palette.line(kind) if kind else "currentColor")
        options = {"color": color, "fontcolor": self.color("currentColor"), **options}
        if label:
            options["label"] = f'"  {label} "'
        if kind:
            options |= {"class": f'"re-{kind}"', "style": LINES[kind], "penwidth": 1.8}
        else:
            options.setdefault("weight", 20)
        written = " ".join(f"{key}={value}" for key, value in options.items())
        self.lines.append(f"{tail} -> {head} [{written}]")


_DEFAULTS = (
    'graph [bgcolor="transparent" ranksep=0.28 nodesep=0.3 pad=0.06]\n'
    'node [shape=box fontname="sans-serif" fontsize=13 height=0.34 margin="0.13,0.05"]\n'
    'edge [fontname="sans-serif" fontsize=12 arrowsize=0.7]'
)


def _diagram(title: str, graph: _Graph, alt: str, narrow: _Graph | None = None) -> Diagram:
    graphs = [graph] if narrow is None else [graph, narrow]
    svgs = [_painted(graph, raw) for graph, raw in zip(graphs, _laid_out(graphs), strict=True)]
    return Diagram(title, graph.dot, svgs[0], alt, None if narrow is None else svgs[1])


def _operations(steps: Sequence[Step]) -> _Graph:
    """Each Step a node; the shortcut, if there is one, beside the others."""
    graph = _Graph()
    way = shortcut_of(steps)
    start = graph.node(shape_text(steps[0].input), look="text")
    before, label = start, ""
    side, side_label = start, ""
    for step in steps:
        if ".downsample" in step.room:
            dashes = f",{LINES[way]}"
            node = graph.node(step.operation, step.room, "outline", group="side", dashes=dashes)
            graph.edge(side, node, side_label, way, weight=2)
            side, side_label = node, shape_text(step.output) if step.input != step.output else ""
        elif step.operation == "add":
            node = graph.node("+", look="plus")
            graph.edge(before, node, label)
            ports = {"tailport": "e", "headport": "e"} if way == "identity" else {}
            graph.edge(side, node, "identity" if way == "identity" else side_label, way, weight=0, **ports)
            before, label = node, ""
        else:
            node = graph.node(step.operation, step.room, "filled" if step.multiply_adds else "outline")
            graph.edge(before, node, label)
            before, label = node, shape_text(step.output) if step.input != step.output else ""
    end = graph.node(shape_text(steps[-1].output), look="text")
    graph.edge(before, end)
    return graph


def _layers(steps: Sequence[Step]) -> _Graph:
    graph = _Graph()
    before = graph.node("image", "image")
    label = shape_text(steps[0].input)
    parts = _parts(steps)
    for row in by_layer(steps):
        text = row.room
        if row.room.startswith("layer"):
            blocks = _blocks(parts[row.room])
            text = f"{row.room}\n{_counted(len(blocks), 'block')}"
        node = graph.node(text, row.room)
        graph.edge(before, node, label)
        before, label = node, shape_text(row.output)
    graph.edge(before, graph.node("scores", look="text"), label)
    return graph


def _network(parts: dict[str, list[Step]], columns: bool) -> _Graph:
    """The blocks in one column, or a column for each layer, the stem above the first, the head below the last."""
    graph = _Graph()
    layers = [part for part in parts if part.startswith("layer")]
    before, label = "", ""
    for part, steps in parts.items():
        if part.startswith("layer"):
            if columns and part != layers[0]:
                text = f"from {layers[layers.index(part) - 1]}\n{shape_text(steps[0].input)}"
                before, label = graph.node(text, look="text", group=part), ""
            elif part == layers[0] and before:
                start = graph.node(shape_text(steps[0].input), look="text", group=part if columns else "main")
                graph.edge(before, start)
                before, label = start, ""
            before, label = _chain(graph, _blocks(steps), part if columns else "main", True, before, label)
            if columns and part != layers[-1]:
                end = graph.node(f"to {layers[layers.index(part) + 1]}", look="text", group=part)
                graph.edge(before, end, label)
            continue
        group = (layers[-1] if before else layers[0]) if columns else "main"
        if not before:
            before, label = graph.node("image", "image", group=group), shape_text(steps[0].input)
        for step in steps:
            if step.operation in ("batch norm", "ReLU", "flatten"):
                continue
            text = _weights(step) if step.multiply_adds else step.operation
            node = graph.node(text, step.room, "filled" if step.multiply_adds else "outline", group=group)
            graph.edge(before, node, label)
            before, label = node, shape_text(step.output)
    graph.edge(before, graph.node("scores", look="text", group=layers[-1] if columns else "main"), label)
    return graph


def _chain(
    graph: _Graph, blocks: Sequence[Sequence[Step]], group: str, fold: bool, before: str = "", label: str = ""
) -> tuple[str, str]:
    """One box and one plus for each block; returns where the chain ends, and the shape there."""
    if not before:
        before = graph.node(shape_text(blocks[0][0].input), look="text", group=group)
    drawn = [1 if fold and len(blocks) > _FOLD and 2 <= n < len(blocks) - 1 else 0 for n in range(len(blocks))]
    for number, steps in enumerate(blocks):
        if drawn[number]:
            if number == 2:
                more = graph.node(f"⋮\n{sum(drawn)} more like these\n⋮", look="text", group=group)
                graph.edge(before, more, label)
                before, label = more, ""
            continue
        weights = [_weights(step) for step in steps if step.multiply_adds and ".downsample" not in step.room]
        box = graph.node("\n".join(weights), steps[0].room, group=group)
        graph.edge(before, box, label)
        label = shape_text(steps[-1].output) if steps[-1].output != steps[0].input else ""
        way = shortcut_of(steps)
        end = box
        if way != "none":
            end = graph.node("+", look="plus", group=group)
            graph.edge(box, end)
            graph.edge(before, end, "", way, weight=0, tailport="e", headport="e")
        before = end
    return before, label or shape_text(blocks[-1][-1].output)


def _weights(step: Step) -> str:
    return f"{step.operation}, {step.output[0]}"


def _parts(steps: Iterable[Step]) -> dict[str, list[Step]]:
    return {part: list(group) for part, group in groupby(steps, lambda step: layer_of(step.room))}


def _blocks(steps: Iterable[Step]) -> list[list[Step]]:
    return [list(group) for _, group in groupby(steps, lambda step: block_of(step.room))]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"


def _listed(steps: Iterable[Step]) -> str:
    return ", ".join(
        step.operation + (f" to {shape_text(step.output)}" if step.output != step.input else "") for step in steps
    )


def _block_alt(kind: str, steps: Sequence[Step]) -> str:
    way = shortcut_of(steps)
    main = [step for step in steps if ".downsample" not in step.room]
    start = shape_text(steps[0].input)
    if way == "none":
        return f"A {kind} block without a shortcut. The input of {start} passes {_listed(main)}."
    side = [step for step in steps if ".downsample" in step.room]
    place = [step.operation for step in main].index("add")
    other = "the identity" if way == "identity" else _listed(side)
    article = "an" if way == "identity" else "a"
    return (
        f"A {kind} block with {article} {way} shortcut. The input of {start} goes two ways. One is "
        f"{_listed(main[:place])}. The other, a {LINES[way]} line, is {other}. "
        f"Both are added to {shape_text(main[place].output)}, and {_listed(main[place + 1 :])} follows."
    )


def _shortcuts_alt(blocks: Sequence[Sequence[Step]]) -> str:
    ways = [shortcut_of(block) for block in blocks]
    counts = [f"{ways.count(way)} {way} ({line})" for way, line in LINES.items() if way in ways]
    if not counts:
        return "No block has a shortcut."
    return f"Shortcuts: {', '.join(counts)}."


def _laid_out(graphs: Sequence[_Graph]) -> list[str]:
    # One run for all: most of the time goes into starting the program.
    source = "\n".join(graph.dot for graph in graphs)
    try:
        done = subprocess.run(["dot", "-Tsvg"], input=source, capture_output=True, text=True, encoding="utf-8")
    except FileNotFoundError:
        raise RuntimeError(
            "diagrams are laid out by Graphviz, and its program dot is not installed: "
            "sudo apt-get install graphviz (Debian, Ubuntu, Colab), brew install graphviz (macOS) "
            "or conda install graphviz"
        ) from None
    if done.returncode:
        raise RuntimeError(f"dot could not lay out the graph: {done.stderr.strip()}")
    return done.stdout.split("</svg>")[: len(graphs)]


def _painted(graph: _Graph, raw: str) -> str:
    """Hand dot's colors and fonts over to the page."""
    width, height = map(float, re.findall(r'viewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"', raw)[0])
    body = raw[raw.index("<g ") :]
    body = re.sub(r"<title>.*?</title>\n?|<!--.*?-->\n?", "", body, flags=re.DOTALL)
    body = re.sub(r' (id|font-family)="[^"]*"', "", body)
    paints = {code: css for css, code in graph.css.items()}

    def painted(match: re.Match[str]) -> str:
        found = ((key, paints.get(match[key], "")) for key in ("fill", "stroke") if match[key])
        return ' style="' + ";".join(f"{key}:{css or 'none'}" for key, css in found) + '"'

    body = re.sub(r' fill="(?P<fill>[^"]*)"(?: stroke="(?P<stroke>[^"]*)")?', painted, body)
    for dots, ours in (("5,2", "6 3"), ("1,5", "2 4")):  # as distinct in a small picture as in a large one
        body = body.replace(f'stroke-dasharray="{dots}"', f'stroke-dasharray="{ours}"')
    body = re.sub(r'class="([^"]*)"', lambda m: f'class="{_classes(unescape(m[1]))}"', body)
    return opening(width, height) + body + "</svg>"


def _classes(dots: str) -> str:
    # dot's own names, graph, node and edge, could meet a page's style sheet.
    return " ".join(name if name.startswith("re-") else f"re-{name}" for name in dots.split())
