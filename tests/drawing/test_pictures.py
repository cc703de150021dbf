import itertools
import re
import xml.etree.ElementTree as ElementTree

import pytest

from resnet_edu.counting import arithmetic
from resnet_edu.counting.graph import parts
from resnet_edu.counting.steps import Step
from resnet_edu.drawing import diagrams, volumes
from resnet_edu.drawing.pictures import PHONE, Picture, journey, opening, size_of

SMALL = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 6" width="8" height="6"><path d="M0 0h8"/></svg>'
WIDE = SMALL.replace('width="8"', 'width="900"')


def test_a_picture_names_itself_whatever_the_words():
    alt = 'Smaller < larger & "quoted" > done'
    root = ElementTree.fromstring(Picture(SMALL, alt).svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == alt
    assert root.get("class") == "re-picture"
    assert Picture(SMALL, alt).alt == alt


def test_the_narrow_arrangement_has_the_same_name():
    root = ElementTree.fromstring(Picture(WIDE, "A <line>.", narrow=SMALL).narrow)
    assert (root.get("role"), root.get("aria-label")) == ("img", "A <line>.")


def test_a_picture_shrinks_a_little_and_never_until_its_text_is_lost():
    style = ElementTree.fromstring(Picture(WIDE, "A line.").svg).get("style")
    assert "max-width:100%" in style
    least = int(re.search(r"min-width:(\d+)px", style)[1])
    assert 0.8 * 900 <= least < 900


def test_only_a_picture_wider_than_a_phone_scrolls_and_by_keyboard_too():
    assert "tabindex" not in Picture(SMALL, "A line.")._repr_html_()
    wide = ElementTree.fromstring(Picture(WIDE, "A line.")._repr_html_())
    assert wide.get("tabindex") == "0"
    assert wide.get("aria-label")
    assert "overflow-x:auto" in wide.get("style")


def test_the_narrow_arrangement_takes_the_place_of_the_wide_one():
    html = Picture(WIDE, "A line.", narrow=SMALL)._repr_html_()
    root = ElementTree.fromstring(f"<div>{html}</div>")
    wide, narrow = root.findall("div")
    assert (wide.get("class"), narrow.get("class")) == ("re-wide", "re-narrow")
    # Hidden by display, so that a screen reader meets one of the two.
    style = root.find("style").text
    assert ".re-narrow{display:none}" in style
    assert ".re-wide{display:none}" in style.partition("@media(max-width:640px)")[2]


def test_a_saved_picture_stands_alone(tmp_path):
    path = diagrams.block("basic", 64, 128, stride=2).save(tmp_path / "block.svg")
    root = ElementTree.parse(path).getroot()
    style = root.find("{http://www.w3.org/2000/svg}style").text
    assert "--re-layer2:" in style
    assert "background" in style
    assert "prefers-color-scheme: dark" in style
    assert len(root) == 2


def test_a_picture_is_saved_as_svg_only(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.svg, got 'block.png'"):
        Picture(SMALL, "A line.").save(tmp_path / "block.png")


@pytest.mark.parametrize("draw", [diagrams.network, volumes.draw, lambda: diagrams.block("bottleneck", 256, 64)])
def test_several_pictures_share_a_page(draw):
    one, other = draw(), draw()
    root = ElementTree.fromstring(f"<div>{one._repr_html_()}{other._repr_html_()}</div>")
    names = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(names) == len(set(names))
    assert "url(#" not in one.svg
    assert "http" not in one.svg.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "cifar20"])
@pytest.mark.parametrize("level", ["layer", "block"])
def test_every_network_fits_a_phone(name, level):
    image = (3, 32, 32) if name == "cifar20" else (3, 224, 224)
    for picture in (volumes.draw(name, image, level=level), diagrams.network(name, level=level, image=image)):
        shown = picture.narrow or picture.svg
        assert 0.85 * size_of(shown)[0] <= PHONE
        assert size_of(picture.svg)[0] <= 52 * 16, "no wider than code and cards"


def test_the_journey_tells_every_size():
    words = journey(arithmetic.steps("resnet34", (3, 225, 161)))
    assert "layer1 keeps 57×41 pixels a side and 64 channels in 3 blocks" in words
    assert "layer2 halves 57×41 pixels a side to 29×21 and goes from 64 to 128 channels in 4 blocks" in words
    assert words.endswith("the head averages 512×8×6 into 512 numbers and gives 1,000 scores.")
    assert "from 512 to 1,024 channels" in journey(arithmetic.steps("resnet50"))
    assert "in 1 block;" in journey(arithmetic.steps("resnet34", layers=(1, 1, 1, 1)))


def test_the_journey_does_not_take_every_pooling_for_a_classifier():
    pooled = [step for step in arithmetic.steps("resnet18") if step.room != "fc" and step.room != "flatten"]
    assert journey(pooled).endswith("the head turns 512×7×7 into 512×1×1.")


def test_an_opening_has_the_size_twice():
    assert size_of(opening(640, 480.5) + "</svg>") == (640, 480.5)
    assert 'viewBox="0 0 640 480.5"' in opening(640, 480.5)


@pytest.mark.parametrize(("width", "scrolls"), [(421, False), (422, True)])
def test_a_picture_scrolls_from_the_width_at_which_it_cannot_shrink_enough(width, scrolls):
    """85 % of 421 are 357.9 pixels, of 422 they are 358.7; a phone has 358."""
    html = Picture(SMALL.replace('width="8"', f'width="{width}"'), "A line.")._repr_html_()
    assert ("tabindex" in html) == scrolls


def test_the_journey_says_what_does_not_halve():
    steps = arithmetic.steps("resnet18", (3, 64, 64))
    words = journey([step._replace(output=(128, 9, 9)) if step.room.startswith("layer2") else step for step in steps])
    assert "layer2 takes 16 pixels a side to 9 and goes from 64 to 128 channels in 2 blocks" in words


def rows(*shapes: tuple[int, ...], room: str = "", is_block: bool = False) -> list[Step]:
    """A convolution from each shape to the next, and around the last one a way back to its input."""
    found = [Step(f"{room}a", "conv 1×1", a, b, 9, 9, 1, learned=True) for a, b in itertools.pairwise(shapes)]
    add = Step(f"{room}add", "add", shapes[-1], shapes[-1], 0, 0, 1, (1, 2))
    return [*found, add] if is_block else found


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (
            [Step("", "conv 1×1", (3, 8, 8), (4, 8, 8), 9, 9, 1, learned=True)],
            "It turns 3×8×8 into 4×8×8.",
        ),
        (rows((3, 8, 8), (4, 8, 8), room="early."), "Early turns 3×8×8 into 4×8×8."),
        (
            rows((3, 8, 8), (4, 8, 8), room="early.") + rows((4, 8, 8), (5, 4, 4), room="late."),
            "Early turns 3×8×8 into 4×8×8; late turns 4×8×8 into 5×4×4.",
        ),
        (
            rows((4, 9, 7), (4, 9, 7), room="body.0.", is_block=True),
            "Body keeps 9×7 pixels a side and 4 channels in 1 block.",
        ),
        (
            rows((4, 9, 7), (8, 5, 4), room="body.0.", is_block=True),
            "Body halves 9×7 pixels a side to 5×4 and goes from 4 to 8 channels in 1 block.",
        ),
        (
            rows((1000, 9, 8), (1000, 5, 8), room="body.0.", is_block=True),
            "Body takes 9×8 pixels a side to 5×8 and 1,000 channels in 1 block.",
        ),
        (
            rows((4, 8, 9), (4, 8, 5), room="body.0.", is_block=True),
            "Body takes 8×9 pixels a side to 8×5 and 4 channels in 1 block.",
        ),
        (
            rows((6, 8), (6, 8), room="body.0.", is_block=True) + rows((6, 8), (6, 8), room="body.1.", is_block=True),
            "Body turns 6×8 into 6×8 in 2 blocks.",
        ),
        (
            rows((3, 8, 8), (4, 8, 8), room="conv.")
            + rows((4, 8, 8), (4, 8, 8), room="body.0.", is_block=True)
            + rows((4, 8, 8), (1000,), room="fc."),
            "The stem turns 3×8×8 into 4×8×8; body keeps 8 pixels a side and 4 channels in 1 block; "
            "the head averages 4×8×8 into 4 numbers and gives 1,000 scores.",
        ),
    ],
)
def test_the_journey_says_of_each_part_what_it_does(steps, words):
    assert journey(steps) == words


def test_the_journey_through_a_part_alone_is_of_this_part():
    steps = arithmetic.steps("resnet18", (3, 64, 64))
    part = parts(steps)[2]
    assert journey(steps, [part]) == (
        "Layer2 halves 16 pixels a side to 8 and goes from 64 to 128 channels in 2 blocks."
    )
