"""The zoo against torchvision: the same names, weights, outputs and gradients, without a download."""

import copy
import inspect

import pytest
import torch
from torch import nn
from torchvision import models

import resnet_edu
from resnet_edu import zoo
from resnet_edu.counting.recipes import Recipe, recipe

NAMES = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]

#: Even, odd and full sizes for a basic and a bottleneck network; the others are more of the same blocks.
CASES = [(name, size) for name in NAMES for size in (32, 97, 224) if name in ("resnet18", "resnet50") or size == 32]


@pytest.fixture(scope="module")
def pair(request, scramble):
    """Ours and torchvision's with the same random weights and random batch norm statistics."""
    ours = scramble(getattr(zoo, request.param)())
    theirs = getattr(models, request.param)()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return ours, theirs


def assert_same_states(ours: nn.Module, theirs: nn.Module) -> None:
    a, b = ours.state_dict(), theirs.state_dict()
    assert list(a) == list(b)  # the order too
    for key in a:
        assert a[key].shape == b[key].shape, key
        assert torch.equal(a[key], b[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_torchvisions_very_weights(name):
    torch.manual_seed(1)
    ours = getattr(zoo, name)()
    torch.manual_seed(1)
    theirs = getattr(models, name)()
    assert_same_states(ours, theirs)
    assert [(n, p.shape) for n, p in ours.named_parameters()] == [(n, p.shape) for n, p in theirs.named_parameters()]


def test_zero_init_residual_and_the_classes_too():
    torch.manual_seed(1)
    ours = zoo.resnet50(zero_init_residual=True, num_classes=7)
    torch.manual_seed(1)
    theirs = models.resnet50(zero_init_residual=True, num_classes=7)
    assert_same_states(ours, theirs)


@pytest.mark.parametrize("pair", NAMES, indirect=True)
def test_strict_loading_in_both_directions(pair, scramble):
    ours, theirs = pair
    assert_same_states(ours, theirs)
    scrambled = scramble(copy.deepcopy(theirs), seed=1)
    target = copy.deepcopy(ours)
    target.load_state_dict(scrambled.state_dict(), strict=True)
    assert_same_states(target, scrambled)


@pytest.mark.parametrize(("pair", "size"), CASES, indirect=["pair"])
def test_equal_logits(pair, size):
    ours, theirs = (model.eval() for model in pair)
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        a, b = ours(x), theirs(x)
    assert a.isfinite().all()
    assert torch.equal(a, b)


@pytest.mark.parametrize(("pair", "size"), [case for case in CASES if case[1] < 224], indirect=["pair"])
def test_equal_outputs_gradients_and_statistics_in_training(pair, size):
    """Tolerance: none. The same operations in the same order give the same bits."""
    ours, theirs = (model.train() for model in pair)
    x, y = torch.randn(2, 3, size, size), torch.tensor([1, 7])
    outputs = []
    for model in (ours, theirs):
        model.zero_grad()
        out = model(x)
        nn.functional.cross_entropy(out, y).backward()
        outputs.append(out.detach())
    assert torch.equal(*outputs)
    for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert a.grad is not None, name
        assert torch.equal(a.grad, b.grad), name
    assert_same_states(ours, theirs)  # the running statistics have moved alike


def test_the_parity_test_would_notice(scramble):
    """The paper's stride placement has the same names, shapes and weights, and other logits."""
    theirs = scramble(models.resnet50()).eval()
    paper = zoo.resnet50(stride_in="1x1").eval()
    paper.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.allclose(paper(x), theirs(x), rtol=1e-2)


@pytest.mark.parametrize(
    ("depth", "parameters"),
    # Counted by hand in the paper's table 6 as 0.27M, 0.46M, 0.66M, 0.85M, 1.7M, 19.4M.
    [(20, 0.27e6), (32, 0.46e6), (44, 0.66e6), (56, 0.85e6), (110, 1.7e6), (1202, 19.4e6)],
)
def test_cifar_family_has_the_papers_parameters(depth, parameters):
    model = zoo.cifar_resnet(depth)
    count = sum(p.numel() for p in model.parameters())
    digits = 1 if depth > 100 else 2
    assert round(count / 1e6, digits) == round(parameters / 1e6, digits)
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(convs) == depth


def test_cifar_shapes_and_options():
    model = zoo.cifar_resnet(20, num_classes=100, in_channels=1)
    x = torch.rand(2, 1, 32, 32)
    assert model[:4](x).shape == (2, 16, 32, 32)
    assert model[:6](x).shape == (2, 64, 8, 8)
    assert model(x).shape == (2, 100)
    projected = zoo.cifar_resnet(20, shortcut="B")
    assert "layer2.0.downsample.0.weight" in projected.state_dict()
    assert "layer2.0.downsample.0.weight" not in model.state_dict()


def test_the_plain_cifar_net_has_the_same_parameters_and_no_shortcut():
    plain, residual = zoo.cifar_resnet(20, plain=True), zoo.cifar_resnet(20)
    assert list(plain.state_dict()) == list(residual.state_dict())
    assert not any(hasattr(module, "downsample") for module in plain.modules())


@pytest.mark.parametrize("depth", [0, 2, 19, 21, 34, -4])
def test_an_unknown_cifar_depth_names_the_nearest(depth):
    with pytest.raises(ValueError, match="6n \\+ 2") as error:
        zoo.cifar_resnet(depth)
    message = str(error.value)
    assert f"{depth} is not of that form" in message
    nearest = {34: "32 (n = 5) and 38 (n = 6)", 19: "14 (n = 2) and 20 (n = 3)", 21: "20 (n = 3) and 26 (n = 4)"}
    assert nearest.get(depth, "nearest: 8") in message


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "plain34", "cifar20", "cifar_plain32"])
def test_build_by_name_and_by_recipe(name):
    torch.manual_seed(3)
    by_name = zoo.build(name)
    torch.manual_seed(3)
    by_recipe = zoo.build(recipe(name))
    assert_same_states(by_name, by_recipe)
    assert str(by_name) == str(by_recipe)


def test_build_is_the_factory():
    for name, factory in [("resnet18", zoo.resnet18), ("resnet50", zoo.resnet50), ("cifar20", zoo.cifar_resnet)]:
        torch.manual_seed(3)
        built = zoo.build(name)
        torch.manual_seed(3)
        made = factory(20) if name == "cifar20" else factory()
        assert str(built) == str(made)
        assert_same_states(built, made)


def test_build_follows_every_field_of_the_recipe():
    plan = Recipe("bottleneck", (1, 2), (4, 8), "cifar", "C", "1x1", in_channels=2, num_classes=3)
    model = zoo.build(plan, zero_init_residual=True)
    assert (model.conv1.in_channels, model.fc.out_features, model.fc.in_features) == (2, 3, 32)
    assert [len(model.layer1), len(model.layer2)] == [1, 2]
    assert model.conv1.kernel_size == (3, 3)
    assert model.layer2[0].conv1.stride == (2, 2)
    assert len(model.layer2[1].downsample) == 2
    assert model.layer1[0].bn3.weight.count_nonzero() == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_torchvision_user_finds_the_arguments_where_they_are(name):
    ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (zoo, models))
    positional = [p for p in ours.values() if p.kind is not p.VAR_KEYWORD]
    assert [p.name for p in positional] == ["weights", "progress"] == list(theirs)[:2]
    assert [p.default for p in positional] == [None, True]


def test_the_front_door_opens_on_the_same_rooms():
    for name in resnet_edu.__all__:
        assert getattr(resnet_edu, name) is not None
        assert name in dir(resnet_edu)
    assert resnet_edu.resnet18 is zoo.resnet18
    with pytest.raises(AttributeError, match="has no attribute 'resnet19'"):
        resnet_edu.resnet19  # noqa: B018
