import pytest
import torch

from resnet_edu.head import Head


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (3, 10)])
def test_scores_are_the_linear_layer_of_the_mean(size):
    head = Head(6, 4)
    x = torch.randn(3, 6, *size)
    expected = x.mean((2, 3)) @ head.fc.weight.T + head.fc.bias
    torch.testing.assert_close(head(x), expected)


def test_scores_are_not_probabilities():
    head = Head(6, 4)
    torch.nn.init.constant_(head.fc.weight, -1.0)
    torch.nn.init.zeros_(head.fc.bias)
    assert torch.equal(head(torch.ones(2, 6, 3, 3)), torch.full((2, 4), -6.0))


def test_names_and_parameters():
    assert [name for name, _ in Head(6, 4).named_children()] == ["avgpool", "flatten", "fc"]
    assert sum(p.numel() for p in Head(512, 10).parameters()) == 512 * 10 + 10


@pytest.mark.parametrize(
    ("counts", "wrong"), [((0, 10), "in_features"), ((512, 0), "num_classes"), ((512, -3), "num_classes")]
)
def test_a_count_below_one_is_named(counts, wrong):
    with pytest.raises(ValueError, match=f"{wrong} must be a whole number of at least 1, got {min(counts)}"):
        Head(*counts)


def test_unless_told_otherwise_there_are_a_thousand_classes():
    assert Head(6)(torch.zeros(2, 6, 3, 3)).shape == (2, 1000)
