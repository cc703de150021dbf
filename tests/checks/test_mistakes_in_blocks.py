"""Each known mistake in a residual block is called by its name, in every way to make it."""

import pytest

from resnet_edu.checks.contracts import CONTRACTS, judge
from resnet_edu.checks.table import known_mistakes

BLOCKS = ["identity_block", "projection_block", "basic_block", "bottleneck", "preactivation_block"]


@pytest.mark.parametrize("check", BLOCKS)
def test_every_known_mistake_in_every_way_is_called_by_its_name(check):
    verdicts = [(name, way, judge(check, CONTRACTS[check].made(way))) for name, way in known_mistakes(check)]
    assert not [f"{name} {way}: {found}" for name, way, found in verdicts if found["mistakes"] != [name]]
