import itertools

import pytest

from resnet_edu.counting import arithmetic
from resnet_edu.counting.graph import by_block, by_layer
from resnet_edu.counting.steps import Step, Traced, block_of, layer_of, shape_text

NAMES = ["resnet18", "resnet50", "plain18", "cifar20"]


def steps_of(name: str) -> list[Step]:
    return arithmetic.steps(name, (3, 64, 47))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("summed", [by_layer, by_block])
def test_sums_lose_nothing(name, summed):
    steps = steps_of(name)
    rows = summed(steps)
    for field in ("parameters", "multiply_adds"):
        assert sum(getattr(row, field) for row in rows) == sum(getattr(step, field) for step in steps)
    assert rows[0].input == steps[0].input
    assert rows[-1].output == steps[-1].output
    assert rows[-1].receptive_field == steps[-1].receptive_field
    assert sum(int(row.operation.split()[0]) for row in rows) == len(steps)
    for before, after in itertools.pairwise(rows):
        assert before.output == after.input


@pytest.mark.parametrize(("summed", "part_of"), [(by_layer, layer_of), (by_block, block_of)])
def test_a_part_sees_what_its_last_operation_sees(summed, part_of):
    steps = steps_of("resnet18")
    last = {part_of(step.room): step.receptive_field for step in steps}  # a later one takes the place of an earlier
    assert {row.room: row.receptive_field for row in summed(steps)} == last


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_the_parts_of_the_network(name):
    steps = steps_of(name)
    layers = ["layer1", "layer2", "layer3"] + ["layer4"] * (name != "cifar20")
    assert [row.room for row in by_layer(steps)] == ["stem", *layers, "head"]
    blocks = [row.room for row in by_block(steps)]
    assert len(blocks) == len(set(blocks))
    assert {block.split(".")[0] for block in blocks} == {"stem", *layers, "head"}


def test_a_single_operation_is_in_the_singular():
    [row] = by_layer(steps_of("resnet18")[:1])
    assert row.operation == "1 operation"


@pytest.mark.parametrize(
    ("room", "layer", "block"),
    [
        ("conv1", "stem", "stem"),
        ("maxpool", "stem", "stem"),
        ("layer1.0.conv1", "layer1", "layer1.0"),
        ("layer3.22.downsample.0", "layer3", "layer3.22"),
        ("layer10.1.add", "layer10", "layer10.1"),
        ("avgpool", "head", "head"),
        ("flatten", "head", "head"),
        ("fc", "head", "head"),
        ("features.0.conv", "features", "features"),
    ],
)
def test_every_room_has_its_part(room, layer, block):
    assert layer_of(room) == layer
    assert block_of(room) == block


def test_a_step_does_not_change():
    step = steps_of("resnet18")[0]
    with pytest.raises(AttributeError):
        step.parameters = 0


@pytest.mark.parametrize(
    ("count", "named"),
    [
        (1, "5 parameters belong to no row, because nothing read them: m0 (5)"),
        (4, "20 parameters belong to no row, because nothing read them: m0 (5), m1 (5), m2 (5), m3 (5)"),
        (5, "25 parameters belong to no row, because nothing read them: m0 (5), m1 (5), m2 (5), m3 (5) and 1 more"),
        (9, "45 parameters belong to no row, because nothing read them: m0 (5), m1 (5), m2 (5), m3 (5) and 5 more"),
    ],
)
def test_four_of_the_modules_that_nothing_read_are_named(count, named):
    assert Traced([], {f"m{number}": 5 for number in range(count)}).remarks == [named]


def test_what_is_lost_is_said_once_and_not_by_itself():
    assert Traced([], {}).remarks == []
    (lost,) = Traced([], {}, lost=True).remarks
    assert "in a script, in numpy, in a thread" in lost


def test_a_shape_without_axes_is_one_number():
    assert shape_text(()) == "1"
