"""Whatever people hand over is counted as one and the same network, or refused in a sentence."""

import pytest
from torch import nn

from resnet_edu.counting import arithmetic
from resnet_edu.counting.models import name_of, steps_of
from resnet_edu.counting.recipes import recipe
from resnet_edu.resnet import ResNet
from resnet_edu.zoo import build


def test_steps_come_from_whatever_can_be_drawn():
    image = (3, 64, 64)
    expected = arithmetic.steps("resnet18", image)
    assert steps_of("resnet18", image) == expected
    assert steps_of(recipe("resnet18"), image) == expected
    assert steps_of(expected) == expected
    assert steps_of(tuple(expected)) == expected
    assert steps_of(build("resnet18"), image) == expected


@pytest.mark.parametrize("thing", [None, 18, [], [1, 2], {"layers": 2}])
def test_what_is_no_model_cannot_be_drawn(thing):
    with pytest.raises(TypeError, match=r"expected a name, a Recipe, a list of Steps or an nn\.Module"):
        steps_of(thing)


def test_changes_go_with_a_name():
    with pytest.raises(TypeError, match="num_classes: changes go with a name"):
        steps_of(arithmetic.steps("resnet18"), num_classes=10)


def test_captions_know_the_depth_of_a_changed_recipe():
    assert name_of("resnet34", layers=(1, 1, 1, 1)) == "ResNet-10"
    assert name_of(arithmetic.steps("resnet18")) == "The network"
    assert name_of(build("cifar20")) == ResNet.__name__


def test_without_a_word_about_the_image_it_is_imagenets():
    assert steps_of("resnet18")[0].input == (3, 224, 224)
    assert steps_of(build("resnet18")) == arithmetic.steps("resnet18")


def test_steps_that_know_what_they_leave_out_stay_what_they_are():
    traced = steps_of(build("cifar8"), (3, 32, 32))
    assert steps_of(traced) is traced
    with pytest.raises(TypeError, match="cannot draw a list"):
        steps_of([traced[0], "conv"])
    with pytest.raises(TypeError, match="cannot draw a tuple"):
        steps_of((traced[0], "conv"))


def test_a_module_in_which_nothing_happens_is_no_picture():
    with pytest.raises(ValueError, match="nothing happens in this Identity"):
        steps_of(nn.Identity(), (3, 8, 8))


def test_names_tell_the_stem_and_whether_there_are_shortcuts():
    names = [name_of(name) for name in ("resnet50", "plain34", "cifar20", "cifar_plain20")]
    assert names == ["ResNet-50", "plain-34", "CIFAR ResNet-20", "CIFAR plain-20"]
