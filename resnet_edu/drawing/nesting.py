"""What is inside what: an operation in a block, a block in a layer, a layer in the network."""

from html import escape

from resnet_edu.counting.models import name_of
from resnet_edu.counting.recipes import CONVS_IN_BLOCK, Recipe, recipe
from resnet_edu.drawing import palette
from resnet_edu.drawing.pictures import Picture, opening

_WIDTH, _INSET, _LINE, _PAD = 350.0, 11.0, 19.0, 10.0


def draw(model: str | Recipe = "resnet34", **changes: object) -> Picture:
    """Four boxes, one in the other, with the counts of the network (He et al. 2015, Table 1).

    The layer that is opened is the one with the most blocks.

    >>> draw("resnet34")                                     # 1 + 2·(3 + 4 + 6 + 3) + 1 = 34
    Picture(Four boxes, one in the other. Network: ResNet-34, a stem, 4 layers and a head. Layer: layer3, 6 blocks ...)
    >>> draw("resnet50").alt.count("3 convolutions")
    1

    Raises ValueError for an unknown name.
    """
    plan = recipe(model, **changes) if isinstance(model, str) else model
    convolutions = CONVS_IN_BLOCK[plan.block]
    blocks = max(plan.layers)
    layer = f"layer{plan.layers.index(blocks) + 1}"
    around = "nothing goes around them" if plan.block == "plain" else "a shortcut around them"
    boxes = (
        ("network", name_of(plan), f"a stem, {_count(len(plan.layers), 'layer')} and a head", "image"),
        ("layer", layer, f"{_count(blocks, 'block')} on maps of one size", layer),
        (
            "block",
            f"{layer}.1" if blocks > 1 else f"{layer}.0",
            f"{_count(convolutions, 'convolution')}, {around}",
            layer,
        ),
        ("operation", "conv1", "a convolution: a layer with weights", layer),
    )
    total = " + ".join(map(str, plan.layers))
    foot = ("The name counts the layers with weights:", f"1 + {convolutions}·({total}) + 1 = {plan.depth}")
    return Picture(_svg(boxes, foot), alt=_words(boxes, foot))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _words(boxes: tuple[tuple[str, str, str, str], ...], foot: tuple[str, str]) -> str:
    inside = " ".join(f"{kind.capitalize()}: {name}, {what}." for kind, name, what, _ in boxes)
    return f"Four boxes, one in the other. {inside} {' '.join(foot)}."


def _svg(boxes: tuple[tuple[str, str, str, str], ...], foot: tuple[str, str]) -> str:
    head = 2 * _LINE + _PAD  # two lines of text at the top of each box
    height = len(boxes) * (head + _INSET) - _INSET + _PAD
    rows = [opening(_WIDTH, height + 2 * _LINE + _PAD)]
    for depth, (kind, name, what, room) in enumerate(boxes):
        left, top = 1 + depth * _INSET, 1 + depth * head
        width, tall = _WIDTH - 2 - 2 * depth * _INSET, height - 2 - depth * (head + _INSET)
        rows.append(
            f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{tall:g}" rx="8" fill="none" '
            f'stroke="{palette.line(room)}" stroke-width="2.5"/>'
            f'<text x="{left + _PAD:g}" y="{top + _LINE:g}" fill="currentColor">'
            f'<tspan font-weight="700">{kind}</tspan> {escape(name)}</text>'
            f'<text x="{left + _PAD:g}" y="{top + 2 * _LINE - 2:g}" fill="currentColor">{escape(what)}</text>'
        )
    for number, text in enumerate(foot, 1):
        rows.append(
            f'<text x="{_WIDTH / 2:g}" y="{height + number * _LINE:g}" text-anchor="middle" '
            f'fill="currentColor">{escape(text)}</text>'
        )
    return "".join([*rows, "</svg>"])
