import ast
import sys

import pytest
import torch
from torchvision import models

from resnet_edu import composed, resnet18
from resnet_edu.composed import from_torchvision, to_torchvision

DEPTHS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3]}


@pytest.mark.parametrize(("depth", "parameters"), [(18, 11_689_512), (34, 21_797_672)])
def test_it_is_the_network_of_the_paper(depth, parameters):
    model = composed.ResNet(3, 1000, DEPTHS[depth])
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("size", [32, 97])
def test_weights_go_both_ways_and_the_logits_are_equal(depth, size, scramble):
    ours = scramble(composed.ResNet(3, 10, DEPTHS[depth])).eval()
    theirs = models.get_model(f"resnet{depth}", num_classes=10).eval()
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        theirs.load_state_dict(to_torchvision(ours.state_dict()), strict=True)
        assert torch.equal(ours(x), theirs(x))
        scramble(theirs, seed=1)
        torch.nn.init.normal_(theirs.conv1.weight)
        assert not torch.equal(ours(x), theirs(x))
        ours.load_state_dict(from_torchvision(theirs.state_dict()), strict=True)
        assert torch.equal(ours(x), theirs(x))


def test_it_fits_the_main_resnet(scramble):
    ours, main = scramble(composed.ResNet(3, 5, [2, 2, 2, 2])).eval(), resnet18(num_classes=5).eval()
    main.load_state_dict(to_torchvision(ours.state_dict()), strict=True)
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(ours(x), main(x))


def test_names_survive_the_way_there_and_back():
    theirs = models.resnet34().state_dict()
    back = to_torchvision(from_torchvision(theirs))
    assert list(back) == list(theirs)
    assert all(back[key] is theirs[key] for key in theirs)


def test_training_gives_equal_outputs_and_gradients(scramble):
    ours, main = scramble(composed.ResNet(3, 5, [2, 2, 2, 2])), resnet18(num_classes=5)
    main.load_state_dict(to_torchvision(ours.state_dict()), strict=True)
    x = torch.randn(2, 3, 64, 64)
    outputs = [model(x) for model in (ours, main)]
    for out in outputs:
        out.square().sum().backward()
    assert torch.equal(*outputs)
    gradients = to_torchvision({name: p.grad for name, p in ours.named_parameters()})
    assert all(torch.equal(gradients[name], p.grad) for name, p in main.named_parameters())


def test_an_identity_block_adds_its_input(scramble):
    block = scramble(composed.IdentityBlock(4)).eval()
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(block(x), torch.relu(block.residual(x) + x))


def test_a_skip_block_has_its_third_convolution_in_the_shortcut(scramble):
    block = scramble(composed.SkipBlock(4, 6)).eval()
    x = torch.randn(2, 4, 7, 6)
    assert block(x).shape == (2, 6, 4, 3)
    assert torch.equal(block(x), torch.relu(block.residual(x) + block.shortcut(x)))
    assert sum(isinstance(m, torch.nn.Conv2d) for m in block.modules()) == 3
    assert block.shortcut[0].stride == (2, 2)


@pytest.mark.parametrize("repeat", [[2, 2, 2], [2, 2, 2, 2, 2], [2, 0, 2, 2], [], [2, 2, True, 2]])
def test_counts_that_make_no_network(repeat):
    with pytest.raises(ValueError, match=r"four counts of blocks, such as \[2, 2, 2, 2\]") as error:
        composed.ResNet(3, 1000, repeat)
    assert str(list(repeat)) in str(error.value)


@pytest.mark.parametrize("ends", [(0, 10), (3, 0), (3, True)])
def test_no_channels_or_no_classes(ends):
    with pytest.raises(ValueError, match=f"at least 1 .* got {ends[0]}, {ends[1]}"):
        composed.ResNet(*ends, [1, 1, 1, 1])


def test_it_needs_nothing_but_torch():
    with open(sys.modules["resnet_edu.composed"].__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    roots = {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    assert roots == {"collections", "torch"}
