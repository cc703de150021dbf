"""The pictures inside the explorers' tags, for where their scripts are stripped: print, an untrusted notebook."""

from html import escape

from resnet_edu.counting import arithmetic
from resnet_edu.counting.recipes import check_choice, check_count
from resnet_edu.counting.steps import Shape, Step, shape_text
from resnet_edu.drawing import palette
from resnet_edu.drawing.pictures import Picture, opening

#: How each way around a block is drawn, as in the paper's Figure 3 and everywhere in the book.
DASHES = {"identity": "", "projection": "7 5", "zero-pad": "2 4"}
KINDS = ("basic", "bottleneck", "preactivation")
OPTIONS = ("identity", "A", "B", "C")


def conv(size: int, kernel: int, stride: int, padding: int, dilation: int) -> Picture:
    """The padded input with the kernel on its first place, and the output beside it, at one scale.

    >>> conv(7, 3, 2, 1, 1).alt
    'A 7×7 input with 1 ring of zeros around it; a 3×3 kernel with stride 2 turns it into a 4×4 output.'

    Raises ValueError if the kernel does not fit.
    """
    side = arithmetic.conv_out(size, kernel, stride, padding, dilation)
    padded, reach = size + 2 * padding, dilation * (kernel - 1) + 1
    unit = min(22.0, 230 / padded, 330 / (padded + side + 2))
    top, gap = 24.0, 2 * unit + 16
    right, middle = padded * unit + gap, top + (padded - side) * unit / 2
    width, height = right + side * unit + 2, top + max(padded, side) * unit + 2
    parts = [
        _rect(1, top, padded * unit, f'fill="none" stroke="{palette.line("image")}" stroke-dasharray="3 3"'),
        _rect(1 + padding * unit, top + padding * unit, size * unit, f'fill="{palette.fill("image")}"'),
        _grid(1, top, padded, unit),
        *(
            _rect(1 + x * dilation * unit, top + y * dilation * unit, unit, f'fill="{palette.fill("stem")}"')
            for y in range(kernel)
            for x in range(kernel)
        ),
        _rect(1, top, reach * unit, f'fill="none" stroke="{palette.line("stem")}" stroke-width="2"'),
        _rect(right, middle, side * unit, f'fill="none" stroke="{palette.line("layer2")}"'),
        _grid(right, middle, side, unit),
        _rect(right, middle, unit, f'fill="{palette.fill("stem")}"'),
        _text(0, 14, f"{size}×{size}", "start"),
        _text(right, max(middle - 8, 14), f"{side}×{side}", "start"),
    ]
    rings = f" with {padding} ring{'s' if padding > 1 else ''} of zeros around it" if padding else ""
    spread = f" and dilation {dilation}" if dilation > 1 else ""
    alt = (
        f"A {size}×{size} input{rings}; a {kernel}×{kernel} kernel with stride {stride}{spread} "
        f"turns it into a {side}×{side} output."
    )
    return Picture(_svg(width, height, parts), alt)


def shortcut(
    kind: str, in_channels: int, channels: int, stride: int, size: int, option: str, stride_in: str
) -> Picture:
    """One block with the shapes at the two ends of its addition, also where they differ.

    >>> shortcut("basic", 64, 128, 2, 56, "identity", "3x3").alt
    'A basic block: the convolutions give 128×28×28, the identity gives 64×56×56. They cannot be added.'

    Raises ValueError for an unknown kind or option, and where zero-padding would have to remove channels.
    """
    steps = _residual(kind, in_channels, channels, stride, size, stride_in)
    start, end = (in_channels, size, size), steps[-1].output
    changed = start != end or stride != 1
    if option == "C" or (option == "B" and changed):
        way, around = "projection", end
    elif option == "A" and changed:
        if end[0] < in_channels:
            raise ValueError(
                f"zero-padding can add channels but not remove them, got {in_channels} → {end[0]}; "
                "use option B, a projection"
            )
        way, around = "zero-pad", end
    else:
        way, around = "identity", start
    fits = around == end

    row, middle, side, width = 30, 110, 250, 320
    plus = 58 + row * len(steps)
    paint = palette.line(way if fits else "error")
    dashes = f' stroke-dasharray="{DASHES[way]}"' if DASHES[way] else ""
    ink = 'stroke="currentColor" stroke-opacity=".6"'
    parts = [
        _text(middle, 14, shape_text(start)),
        f'<path d="M{middle} 20V{plus}" fill="none" {ink}/>',
        f'<path d="M{middle} 26H{side}V{plus}H{middle + 12}" fill="none" stroke="{paint}" stroke-width="2.5"{dashes}/>',
        _text(side + 4, (26 + plus) / 2, way, "start"),
        _text(middle - 16, plus + 4, shape_text(end), "end"),
        _text(side - 6, plus - 7, shape_text(around), "end"),
    ]
    # The color of the layer that has this width, as in the diagrams.
    layer = f"layer{({64: 1, 128: 2, 256: 3, 512: 4}).get(channels, 1)}"
    for number, step in enumerate(steps):
        is_conv = step.operation.startswith("conv")
        half, y = (62 if is_conv else 40), 44 + row * number
        fill, ink_on = (palette.fill(layer), palette.ink(layer)) if is_conv else ("var(--re-page, #ffffff)", "")
        parts.append(
            f'<rect x="{middle - half}" y="{y - 10}" width="{2 * half}" height="20" rx="5" fill="{fill}" '
            'stroke="currentColor" stroke-opacity=".5"/>'
        )
        parts.append(_text(middle, y + 4, step.operation, fill=ink_on or "var(--re-ink, #14161a)"))
    parts.append(
        f'<circle cx="{middle}" cy="{plus}" r="11" fill="var(--re-page, #ffffff)" stroke="{paint}" stroke-width="2"/>'
    )
    parts.append(_text(middle, plus + 5, "+" if fits else "≠", fill="var(--re-ink, #14161a)"))
    name = {"preactivation": "pre-activation"}.get(kind, kind)
    alt = (
        f"A {name} block: the convolutions give {shape_text(end)}, the {way} gives {shape_text(around)}. "
        f"{'They are added.' if fits else 'They cannot be added.'}"
    )
    return Picture(_svg(width, plus + 16, parts), alt)


def race(depth: int) -> Picture:
    """Where two networks of this depth would train, had the page its scripts: each as a row of its blocks.

    >>> race(56).alt
    'Two networks of 56 layers, plain and residual, that train here: in a browser with scripts, on this page.'
    """
    blocks, width, row = (depth - 2) // 2, 330.0, 34
    each = (width - 40) / blocks
    parts = []
    for y, paint, name in ((30, "error", "plain"), (30 + row + 22, "identity", "residual")):
        parts.append(_text(0, y - 6, name, "start"))
        for i in range(blocks):
            room = f"layer{1 + 3 * i // blocks}"
            parts.append(
                f'<rect x="{i * each:.2f}" y="{y}" width="{max(each - 1, 0.6):.2f}" height="14" '
                f'fill="{palette.fill(room)}" stroke="{palette.line(room)}" stroke-width=".6"/>'
            )
            if paint == "identity":
                left = i * each
                parts.append(
                    f'<path d="M{left:.2f} {y + 16}q{each / 2:.2f} 8 {each:.2f} 0" fill="none" '
                    f'stroke="{palette.line(paint)}" stroke-width="1.2"/>'
                )
    alt = (
        f"Two networks of {depth} layers, plain and residual, that train here: in a browser with scripts, on this page."
    )
    return Picture(_svg(width, 30 + 2 * row + 22, parts), alt)


def live() -> Picture:
    """The rooms that a drawn digit would walk through, had the page its scripts.

    >>> live().alt
    'A network of 14 layers that reads the digit you draw: in a browser with scripts, on this page.'
    """
    rooms = ["image", "stem", *(f"layer{layer}" for layer in (1, 1, 2, 2, 3, 3)), "head"]
    parts = []
    for i, room in enumerate(rooms):
        x = 4 + 36 * i
        parts.append(
            f'<rect x="{x}" y="24" width="28" height="28" rx="4" fill="{palette.fill(room)}" '
            f'stroke="{palette.line(room)}"/>'
        )
        if 2 <= i < 8:
            way = f"M{x - 4} 58q18 12 36 0"
            parts.append(f'<path d="{way}" fill="none" stroke="{palette.line("identity")}" stroke-width="2"/>')
    alt = "A network of 14 layers that reads the digit you draw: in a browser with scripts, on this page."
    return Picture(_svg(36 * len(rooms), 72, parts), alt)


def class_board() -> Picture:
    """Where the class's table would stand, had the page its scripts.

    >>> class_board().alt
    'The boards of many groups, put together: in a browser with scripts, on this page.'
    """
    rows = [
        f'<rect x="{4 + 90 * (i % 2)}" y="{6 + 20 * (i // 2)}" width="{(80, 220)[i % 2]}" height="14" rx="3" '
        f'fill="{palette.fill(("image", "layer2")[i % 2])}"/>'
        for i in range(8)
    ]
    return Picture(
        _svg(320, 92, rows), "The boards of many groups, put together: in a browser with scripts, on this page."
    )


def _residual(kind: str, in_channels: int, channels: int, stride: int, size: int, stride_in: str) -> list[Step]:
    check_choice("kind", kind, KINDS)
    if kind != "preactivation":
        steps = arithmetic.block_steps(kind, in_channels, channels, stride, size=size, stride_in=stride_in)
        # The last ReLU comes after the addition.
        return [step for step in steps if "downsample" not in step.room and step.operation != "add"][:-1]
    for name, value in (("in_channels", in_channels), ("channels", channels), ("stride", stride), ("size", size)):
        check_count(name, value)
    check_choice("stride_in", stride_in, ("3x3", "1x1"))
    rows: list[Step] = []
    shape: Shape = (in_channels, size, size)
    for number, step in ((1, stride), (2, 1)):  # He et al. 2016, Figure 1(b)
        after = (channels, *(arithmetic.conv_out(pixels, 3, step, 1) for pixels in shape[1:]))
        rows.append(Step(f"bn{number}", "batch norm", shape, shape, 2 * shape[0], 0, 1))
        rows.append(Step("relu", "ReLU", shape, shape, 0, 0, 1))
        rows.append(Step(f"conv{number}", "conv 3×3" + (f"/{step}" if step > 1 else ""), shape, after, 0, 0, 1))
        shape = after
    return rows


def _svg(width: float, height: float, parts: list[str]) -> str:
    return f"{opening(width, height)}{''.join(parts)}</svg>"


def _rect(x: float, y: float, side: float, more: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" {more}/>'


def _grid(x: float, y: float, count: int, unit: float) -> str:
    if unit < 4:  # lines closer than this would be a gray veil
        return ""
    far = count * unit
    lines = (f"M{x + i * unit:g} {y:g}v{far:g}M{x:g} {y + i * unit:g}h{far:g}" for i in range(count + 1))
    return f'<path d="{"".join(lines)}" stroke="currentColor" stroke-opacity=".45" stroke-width=".7" fill="none"/>'


def _text(x: float, y: float, words: str, anchor: str = "middle", fill: str = "currentColor") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{fill}" font-size="12">{escape(words)}</text>'
