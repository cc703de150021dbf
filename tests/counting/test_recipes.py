import dataclasses
import re

import numpy as np
import pytest

from resnet_edu.counting.recipes import Recipe, check_image, cifar_recipe, image_shape, recipe


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_the_depth_counts_to_the_name(depth):
    assert recipe(f"resnet{depth}").depth == depth


@pytest.mark.parametrize("depth", [8, 20, 32, 44, 56, 110, 1202])
def test_cifar_depths_count_to_the_name(depth):
    for name in (f"cifar{depth}", f"cifar_{depth}", f"cifar_plain{depth}"):
        assert recipe(name).depth == depth
    assert cifar_recipe(depth) == recipe(f"cifar{depth}")


@pytest.mark.parametrize(
    ("plain", "residual"), [("plain18", "resnet18"), ("plain34", "resnet34"), ("cifar_plain20", "cifar20")]
)
def test_a_plain_net_is_the_same_net_without_shortcuts(plain, residual):
    assert recipe(plain) == dataclasses.replace(recipe(residual), block="plain")
    assert recipe(plain).shortcut == "none"


def test_classes_of_the_data_that_the_paper_trained_on():
    assert {recipe(name).num_classes for name in ("resnet18", "resnet152", "plain34")} == {1000}
    assert {recipe(name).num_classes for name in ("cifar20", "cifar_plain110")} == {10}


def test_changes():
    assert recipe("resnet50", num_classes=7, stride_in="1x1", layers=[1, 1, 1, 1]) == Recipe(
        "bottleneck", (1, 1, 1, 1), num_classes=7, stride_in="1x1"
    )


def test_a_recipe_does_not_change_and_can_be_a_key():
    plan = Recipe(layers=[1, 2], widths=[3, 4])
    assert {plan: 1}[Recipe(layers=(1, 2), widths=(3, 4))] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.block = "bottleneck"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet19", "resnet has depths 18, 34, 50, 101, 152, got 19; the nearest is 18"),
        ("resnet1000", "got 1000; the nearest is 152"),
        ("resnet45", "the nearest is 50"),
        ("plain50", "plain has depths 18, 34, got 50; the nearest is 34"),
        ("cifar21", "21 is not of that form; the nearest: 20 (n = 3) and 26 (n = 4)"),
        ("cifar2", "the nearest: 8"),
        ("vgg16", "no network is called 'vgg16': expected resnet18, resnet34"),
        ("resnet", "no network is called 'resnet'"),
        ("ResNet-18", "no network is called 'ResNet-18'"),
        ("", "no network is called ''"),
    ],
)
def test_unknown_names_say_what_exists(name, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        recipe(name)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"shortcuts": "A"}, "a recipe has no shortcuts; it has block, layers, widths, stem, shortcut"),
        ({"block": "Basic"}, "block must be one of 'basic', 'bottleneck', 'plain', got 'Basic'"),
        ({"stem": 7}, "stem must be one of 'imagenet', 'cifar', got 7"),
        ({"shortcut": "D"}, "shortcut must be one of 'A', 'B', 'C', got 'D'"),
        ({"shortcut": "none"}, "shortcut must be one of 'A', 'B', 'C', got 'none'"),
        ({"stride_in": "1×1"}, "stride_in must be one of '3x3', '1x1', got '1×1'"),
        ({"layers": (2, 2, 2)}, "each of the 4 widths (64, 128, 256, 512), got 3: (2, 2, 2)"),
        ({"layers": (), "widths": ()}, "got 0: ()"),
        ({"layers": (2, 2, 0, 2)}, "at least 1, got 0"),
        ({"widths": (64, -1, 4, 4)}, "at least 1, got -1"),
        ({"num_classes": 0}, "num_classes must be a whole number of at least 1, got 0"),
        ({"in_channels": 0}, "in_channels must be a whole number of at least 1, got 0"),
        ({"shortcut": "A", "widths": (64, 32, 32, 32)}, "no width may shrink, got (64, 32, 32, 32); use option B"),
    ],
)
def test_changes_that_make_no_network_say_why(changes, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        recipe("resnet18", **changes)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((224, 224), "an image is (channels, height, width), got 2 numbers: (224, 224)"),
        ((1, 3, 224, 224), "got 4 numbers"),
        ((1, 28, 28), "takes images with 3 channels, got 1 in (1, 28, 28)"),
        ((224, 224, 3), "permute it"),
        ((3, 0, 224), "at least 1 pixel a side, got 0×224"),
    ],
)
def test_images_that_do_not_suit(shape, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        check_image(shape, in_channels=3)


@pytest.mark.parametrize("image", [224, 3.5, None])
def test_a_side_alone_is_no_image(image):
    with pytest.raises(ValueError, match=re.escape(f"(channels, height, width), such as (3, 224, 224), got {image}")):
        check_image(image, in_channels=3)


def test_a_recipe_goes_by_its_name():
    with pytest.raises(TypeError, match="a recipe goes by its name, such as 'resnet50', got int"):
        recipe(50)


@pytest.mark.parametrize("kind", [np.int64, np.uint8])
def test_numbers_of_numpy_become_plain(kind):
    plan = Recipe(layers=[kind(1), kind(2)], widths=np.array([3, 4], kind), num_classes=kind(5), in_channels=kind(2))
    assert plan == Recipe(layers=(1, 2), widths=(3, 4), num_classes=5, in_channels=2)
    assert {type(number) for number in (*plan.layers, *plan.widths, plan.num_classes, plan.in_channels)} == {int}


@pytest.mark.parametrize("field", ["layers", "widths", "num_classes", "in_channels"])
@pytest.mark.parametrize("value", [True, np.True_, 2.0, "2", None])
def test_what_only_looks_like_a_number_is_refused(field, value):
    wrong = (value,) * 4 if field in ("layers", "widths") else value
    with pytest.raises(ValueError, match=f"must be a whole number of at least 1, got {value!r}"):
        Recipe(**{field: wrong})


@pytest.mark.parametrize(
    ("depth", "nearest"),
    [(-3, "8"), (2, "8"), (7, "8"), (9, "8 (n = 1) and 14 (n = 2)"), (57, "56 (n = 9) and 62 (n = 10)")],
)
def test_the_nearest_depths_are_told(depth: int, nearest: str) -> None:
    with pytest.raises(ValueError, match=rf"{depth} is not of that form; the nearest: {re.escape(nearest)}$"):
        cifar_recipe(depth)


def test_a_recipe_of_no_words_is_resnet_18() -> None:
    assert Recipe() == recipe("resnet18")


@pytest.mark.parametrize("image", [(3, True, 224), (3, 224.5, 224), True, "224", ()])
def test_an_image_has_whole_sides(image):
    with pytest.raises(TypeError, match=re.escape(f"or one number for a square, got {image!r}")):
        image_shape(image)
