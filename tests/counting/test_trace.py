"""The trace on models of every kind. That it agrees with the arithmetic is shown in test_arithmetic."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models

from resnet_edu import resnet18, resnet50
from resnet_edu.blocks import BasicBlock
from resnet_edu.composed import ResNet as Composed
from resnet_edu.counting import arithmetic
from resnet_edu.counting.trace import trace

SMALL = (3, 64, 64)


@pytest.mark.parametrize(("ours", "theirs"), [(resnet18, models.resnet18), (resnet50, models.resnet50)])
def test_torchvisions_resnet_takes_the_same_steps_but_for_its_nameless_flatten(ours, theirs):
    expected = [step for step in trace(ours(), SMALL) if step.operation != "flatten"]
    assert trace(theirs(), SMALL) == expected


@pytest.mark.parametrize("name", ["vgg11", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"])
def test_any_other_network(name):
    model = models.get_model(name)
    rows = trace(model)
    assert sum(step.parameters for step in rows) == sum(p.numel() for p in model.parameters())
    published = models.get_model_weights(name).DEFAULT.meta["_ops"]
    assert sum(step.multiply_adds for step in rows) / 1e9 == pytest.approx(published, abs=6e-4)
    assert rows[0].input == (3, 224, 224)
    assert rows[-1].output[0] == 1000
    assert all(1 <= step.receptive_field < 5000 for step in rows)
    fields = [step.receptive_field for step in rows if step.operation.startswith("conv")]
    assert fields[-1] > fields[0]


def test_a_transformer():
    model = models.vit_b_32()
    rows = trace(model)
    additions = [step.room for step in rows if step.operation == "add"]
    assert additions.count("encoder.layers.encoder_layer_0.add") == 2  # around the attention, around the MLP
    assert rows[-1].output == (1000,)


def test_the_composed_version_takes_the_same_path():
    ours = arithmetic.steps("resnet18", SMALL)
    theirs = trace(Composed(3, 1000, [2, 2, 2, 2]), SMALL)
    # It spells the addition before the shortcut's convolution has run, no other difference.
    assert sorted(step[1:] for step in theirs) == sorted(step[1:] for step in ours)


def test_widest_view_through_a_parallel_path():
    class Fork(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = nn.Conv2d(1, 1, (1, 7), padding=(0, 3))
            self.tall = nn.Conv2d(1, 1, (5, 1), stride=(2, 1), padding=(2, 0), dilation=(1, 1))
            self.after = nn.Conv2d(2, 1, 3)

        def forward(self, x):
            a, b = self.wide(x)[:, :, ::1], self.tall(F.interpolate(x, scale_factor=(2, 1)))
            return self.after(torch.cat([a, b], dim=1))

    wide, tall, after = trace(Fork(), (1, 20, 20))
    assert (wide.operation, wide.receptive_field) == ("conv 1×7", 7)
    assert (tall.operation, tall.receptive_field) == ("conv 5×1/2", 5)
    assert after.receptive_field == 5 + 2 * 2  # the taller of 5 + 2·2 and 7 + 2·1


def test_dilation_groups_and_pooling():
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    conv, pool, average, flatten = trace(model, (4, 10, 10))
    assert conv.parameters == 8 * 2 * 9 + 8
    assert conv.multiply_adds == 8 * 2 * 9 * 10 * 10
    assert [s.operation for s in (conv, pool, average, flatten)] == [
        "conv 3×3",
        "average pool 2×2/2",
        "average pool",
        "flatten",
    ]
    assert [s.receptive_field for s in (conv, pool, average, flatten)] == [5, 6, 6 + 4 * 2, 6 + 4 * 2]


def test_flattening_a_whole_map_sees_all_of_it():
    conv, flatten, linear = trace(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 8 * 6, 4)), (1, 10, 8))
    assert conv.receptive_field == 3
    assert flatten.receptive_field == linear.receptive_field == 10
    assert linear.multiply_adds == 2 * 8 * 6 * 4


def test_every_spelling_of_the_addition_is_one_row():
    class Sum(nn.Module):
        def __init__(self, add):
            super().__init__()
            self.conv, self.add = nn.Conv2d(1, 1, 1), add

        def forward(self, x):
            return self.add(self.conv(x), x)

    def in_place(a, b):
        a += b
        return a

    for add in (lambda a, b: a + b, torch.add, in_place, lambda a, b: a.add(b), lambda a, b: a.add_(b)):
        assert [step.operation for step in trace(Sum(add), (1, 4, 4))] == ["conv 1×1", "add"]
    # Not a shortcut: a constant, and a map that is stretched over the other.
    for add in (lambda a, b: a + 1, lambda a, b: a + b.mean(), lambda a, b: a * b):
        assert [step.operation for step in trace(Sum(add), (1, 4, 4))] == ["conv 1×1"]


def test_a_single_module_is_a_single_row():
    [step] = trace(nn.Conv2d(3, 8, 3, padding=1), (3, 5, 5))
    assert (step.room, step.operation, step.output) == ("", "conv 3×3", (8, 5, 5))


def test_a_block_on_its_own():
    rows = trace(BasicBlock(4, 8, stride=2), (4, 6, 6))
    assert [step.room for step in rows] == [
        "conv1",
        "bn1",
        "relu",
        "conv2",
        "bn2",
        "downsample.0",
        "downsample.1",
        "add",
        "relu",
    ]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(dtype):
    model = resnet18(num_classes=3).to(dtype)
    assert trace(model, SMALL) == arithmetic.steps("resnet18", SMALL, num_classes=3)


def test_the_model_is_left_as_it_was(scramble):
    model = scramble(resnet18(num_classes=3)).train()
    model.layer1.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    trace(model, SMALL)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_errors_come_through_and_leave_nothing_behind():
    model = resnet18().train()
    with pytest.raises(ValueError, match="images with 3 channels"):
        trace(model, (1, 64, 64))
    assert model.training
    assert trace(model, SMALL) == arithmetic.steps("resnet18", SMALL)
