"""Each known mistake in a whole network is called by its name, in every way to make it."""

import pytest

from resnet_edu.checks.contracts import judge
from resnet_edu.checks.table import known_mistakes


@pytest.mark.parametrize("check", ["resnet", "cifar_resnet"])
def test_every_known_mistake_in_every_way_is_called_by_its_name(check):
    verdicts = [(known, judge(check, known.code)) for known in known_mistakes(check)]
    assert not [f"{one.name} {one.way}: {found}" for one, found in verdicts if found["mistakes"] != [one.name]]
