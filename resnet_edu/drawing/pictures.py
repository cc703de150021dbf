"""What diagrams and volumes return: an SVG that describes itself, on any page and in both modes."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from resnet_edu.counting import graph
from resnet_edu.counting.steps import Shape, Step, shape_text
from resnet_edu.drawing import palette

#: CSS pixels between the margins of a phone's page; a picture wider than this scrolls in its own box.
PHONE = 358

_FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"


class Picture:
    """An SVG and the words for those who do not see it.

    >>> picture = Picture('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8" width="8" height="8"></svg>',
    ...                   alt="An empty square.")
    >>> picture
    Picture(An empty square.)

    ``narrow`` is the same picture arranged for a narrow page, shown instead of it there.
    """

    def __init__(self, svg: str, alt: str, narrow: str | None = None) -> None:
        self.svg = _named(svg, alt)
        self.alt = alt
        self.narrow = None if narrow is None else _named(narrow, alt)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.alt})"

    def _repr_html_(self) -> str:
        if self.narrow is None:
            return _boxed(self.svg)
        return (
            "<style>.re-narrow{display:none}"
            "@media(max-width:640px){.re-wide{display:none}.re-narrow{display:block}}</style>"
            f'<div class="re-wide">{_boxed(self.svg)}</div>'
            f'<div class="re-narrow">{_boxed(self.narrow)}</div>'
        )

    def save(self, path: str | Path) -> Path:
        """Write an SVG file that brings its colors and its page, light or dark as the system prefers.

        Raises ValueError if the name does not end in ``.svg``.
        """
        path = Path(path)
        if path.suffix != ".svg":
            raise ValueError(f"a picture is saved as SVG, so the name must end in .svg, got {path.name!r}")
        head, _, body = self.svg.partition(">")
        path.write_text(f"{head}><style>{palette.css_of_file()}</style>{body}\n", encoding="utf-8")
        return path


def journey(steps: Sequence[Step], parts: Sequence[graph.Part] | None = None) -> str:
    """The way from image to scores in words, for those who do not see the picture; or the way through some parts.

    >>> from resnet_edu.counting import arithmetic
    >>> journey(arithmetic.steps("resnet18"))[:98]
    'The stem turns 3×224×224 into 64×56×56; layer1 keeps 56 pixels a side and 64 channels in 2 blocks;'
    """
    clauses = []
    for part in graph.parts(steps) if parts is None else parts:
        start = graph.channels_first(steps, steps[part.start].input)
        end = graph.channels_first(steps, steps[part.stop - 1].output)
        count = len(part.blocks)
        blocks = f" in {count} block{'s' if count > 1 else ''}"
        if part.blocks and len(start) == len(end) == 3:
            if start[1:] == end[1:]:
                pixels = f"keeps {_side(start)} pixels a side"
            else:
                halved = all((before + 1) // 2 == after for before, after in zip(start[1:], end[1:], strict=True))
                pixels = f"{'halves' if halved else 'takes'} {_side(start)} pixels a side to {_side(end)}"
            kept = start[0] == end[0]
            channels = f"{end[0]:,} channels" if kept else f"goes from {start[0]:,} to {end[0]:,} channels"
            clauses.append(f"{part.name} {pixels} and {channels}{blocks}")
        elif part.blocks:
            clauses.append(f"{part.name} turns {shape_text(start)} into {shape_text(end)}{blocks}")
        elif part.role == "head" and len(start) == 3 and len(end) == 1:
            means, scores = f"{start[0]:,} numbers", f"{end[0]:,} scores"
            clauses.append(f"the head averages {shape_text(start)} into {means} and gives {scores}")
        else:
            name = f"the {part.name}" if part.role in ("stem", "head") else part.name or "it"
            clauses.append(f"{name} turns {shape_text(start)} into {shape_text(end)}")
    text = "; ".join(clauses)
    return f"{text[:1].upper()}{text[1:]}."


def _side(shape: Shape) -> str:
    return str(shape[1]) if shape[1] == shape[2] else f"{shape[1]}×{shape[2]}"


def size_of(svg: str) -> tuple[float, float]:
    """Width and height that an SVG asks for, in CSS pixels.

    >>> size_of('<svg width="8" height="6"></svg>')
    (8.0, 6.0)
    """
    width, height = re.findall(r' width="([\d.]+)" height="([\d.]+)"', svg)[0]
    return float(width), float(height)


def opening(width: float, height: float) -> str:
    """The first tag of a picture, with text in the page's own sans-serif.

    >>> opening(8, 6)[:64]
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 6" width='
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="{_FONT}" font-size="13">'
    )


def _named(svg: str, alt: str) -> str:
    # A page a little too narrow shrinks the picture; below that its box scrolls, so text stays legible.
    least = _least(svg)
    fit = f"max-width:100%;min-width:{least:.0f}px;height:auto"
    return f'<svg class="re-picture" role="img" aria-label="{escape(alt)}" style="{fit}" {svg[5:]}'


def _least(svg: str) -> float:
    return 0.85 * size_of(svg)[0]


def _boxed(svg: str) -> str:
    # What does not fit a phone scrolls in a box, and the keyboard must reach that box.
    scrolls = _least(svg) > PHONE
    keys = 'role="group" tabindex="0" aria-label="A wide picture: scrolls sideways" ' if scrolls else ""
    return f'<div {keys}style="overflow-x:auto;max-width:100%;text-align:center">{svg}</div>'
