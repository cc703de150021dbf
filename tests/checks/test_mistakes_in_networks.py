"""Known mistakes in whole networks are called by their names: each in every way to make it, and two at once."""

import pytest

from resnet_edu.checks.contracts import CONTRACTS, judge
from resnet_edu.checks.contracts.zero_pad_shortcut import SIDES
from resnet_edu.checks.table import known_mistakes


@pytest.mark.parametrize("check", ["resnet", "cifar_resnet"])
def test_every_known_mistake_in_every_way_is_called_by_its_name(check):
    verdicts = [(name, way, judge(check, CONTRACTS[check].made(way))) for name, way in known_mistakes(check)]
    assert not [f"{name} {way}: {found}" for name, way, found in verdicts if found["mistakes"] != [name]]


def judged_together(check, names, *rest):
    """The names that a network gets which has these mistakes, each in its last way, and further edits."""
    ways = dict(known_mistakes(check))
    return set(judge(check, CONTRACTS[check].made(*rest, *(ways[name] for name in sorted(names))))["mistakes"])


@pytest.mark.parametrize(
    ("check", "names"),
    [
        ("cifar_resnet", {"stem-batch-norm-missing", "first-relu-missing"}),  # at the start
        ("cifar_resnet", {"stem-relu-missing", "softmax-over-batch"}),  # far from each other
        ("cifar_resnet", {"argmax-at-end", "batch-norm-always-eval"}),  # one that shows in training only
        ("cifar_resnet", {"concatenated-not-added", "stem-batch-norm-missing"}),  # it ends in an error
        ("resnet", {"head-sum-not-average", "head-log-softmax-inside"}),
        ("resnet", {"layer-missing", "head-pool-missing"}),
        ("resnet", {"in-channels-not-updated", "stem-relu-before-batch-norm"}),
    ],
)
def test_two_mistakes_in_a_network_are_both_named(check, names):
    assert judged_together(check, names) == names


@pytest.mark.parametrize("side", SIDES)
def test_zeros_on_another_side_are_right_beside_mistakes_too(side):
    names = {"stem-relu-missing", "shortcut-subtracted"}
    assert judged_together("cifar_resnet", names, side) == names
