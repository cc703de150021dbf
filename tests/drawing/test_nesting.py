"""What is inside what: the counts are the network's, the boxes lie in each other, and the words say the same."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest

from resnet_edu.counting.recipes import Recipe, recipe
from resnet_edu.drawing import nesting
from resnet_edu.drawing.pictures import PHONE, size_of

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet152", "cifar20", "cifar_plain56"])
def test_the_counts_are_those_of_the_network(name):
    plan = recipe(name)
    picture = nesting.draw(name)
    deepest = max(plan.layers)
    assert f"layer{plan.layers.index(deepest) + 1}, {deepest} block" in picture.alt
    assert picture.alt.endswith(f"= {plan.depth}.")
    assert eval(re.search(r"([\d+·() ]+) = \d+\.$", picture.alt)[1].replace("·", "*")) == plan.depth
    assert ("nothing goes around" in picture.alt) == (plan.block == "plain")


def test_one_block_to_a_layer_is_named_and_counted_as_one():
    assert "Layer: layer1, 1 block on" in nesting.draw(Recipe(layers=(1, 1, 1, 1))).alt


@pytest.mark.parametrize("name", ["resnet34", "resnet152", "cifar1202"])
def test_each_box_lies_inside_the_one_before_and_all_fit_a_phone(name):
    svg = nesting.draw(name).svg
    width, height = size_of(svg)
    assert width <= PHONE
    boxes = [
        tuple(float(box.get(key)) for key in ("x", "y", "width", "height"))
        for box in ElementTree.fromstring(svg).iter(f"{SVG}rect")
    ]
    assert len(boxes) == 4
    for (x, y, w, h), (inner_x, inner_y, inner_w, inner_h) in pairwise(boxes):
        assert x < inner_x
        assert y < inner_y
        assert inner_x + inner_w < x + w
        assert inner_y + inner_h < y + h
    for text in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        assert 7 * len("".join(text.itertext())) < width  # letters 7 units wide
        assert float(text.get("y")) < height


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="nearest is 34"):
        nesting.draw("resnet35")


def test_boxes_lie_evenly_in_each_other_with_two_lines_of_text_at_the_top_of_each():
    svg = nesting.draw("resnet34").svg
    width, height = size_of(svg)
    root = ElementTree.fromstring(svg)
    boxes = [{key: float(box.get(key)) for key in ("x", "y", "width", "height")} for box in root.iter(f"{SVG}rect")]
    texts = [(float(text.get("x")), float(text.get("y"))) for text in root.iter(f"{SVG}text")]
    # Half of a line 2.5 wide lies outside of its box, and stays inside the picture.
    assert (boxes[0]["x"], boxes[0]["y"], boxes[0]["x"] + boxes[0]["width"]) == (1, 1, width - 1)
    for outer, inner in pairwise(boxes):
        sides = (
            inner["x"] - outer["x"],
            outer["x"] + outer["width"] - inner["x"] - inner["width"],
            outer["y"] + outer["height"] - inner["y"] - inner["height"],
        )
        assert sides == pytest.approx((11, 11, 11))
        assert inner["y"] - outer["y"] == 48
    innermost = boxes[-1]
    assert innermost["height"] == pytest.approx(48 + 10 - 2)
    for box, first, second in zip(boxes, texts[::2], texts[1::2], strict=False):
        assert first == (box["x"] + 10, box["y"] + 19)
        assert second == (box["x"] + 10, box["y"] + 36)
    # Two lines below the boxes, in the middle.
    bottom = boxes[0]["y"] + boxes[0]["height"] + 1
    assert texts[8:] == [(width / 2, bottom + 19), (width / 2, bottom + 38)]
    assert height == bottom + 48


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ((1, 1), ["2 layers", "layer1, 1 block ", "layer1.0, "]),
        ((1, 2), ["2 layers", "layer2, 2 blocks ", "layer2.1, "]),
        ((1, 3, 2), ["3 layers", "layer2, 3 blocks ", "layer2.1, "]),
    ],
)
def test_the_layer_with_most_blocks_is_opened_and_its_second_block(layers, told):
    alt = nesting.draw(Recipe(layers=layers, widths=(8,) * len(layers))).alt
    assert all(words in alt for words in told)
    assert "a stem, " in alt
    assert f"{nesting.draw('resnet18').alt.count('2 convolutions')}" == "1"


def test_changes_go_into_the_recipe():
    assert "ResNet-10," in nesting.draw("resnet18", layers=(1, 1, 1, 1)).alt


def test_a_picture_leaves_a_margin_of_4_on_each_side_of_a_phone():
    assert size_of(nesting.draw("resnet34").svg)[0] == PHONE - 8
