"""Of two or three mistakes at once, drawn at random from every contract, at least one is called by its name."""

import random
import re
from itertools import combinations

import pytest

from resnet_edu.checks.contracts import CONTRACTS, judge
from resnet_edu.checks.source import NotHereError
from resnet_edu.checks.table import known_mistakes

#: What the checker says where the mistakes that it names do not explain all.
PARTLY = re.compile("There is more|check again|do not recognize")


def several(generator: random.Random, count: int, among: list[str]):
    """Code with so many mistakes of one contract, drawn at random, and their names."""
    while True:
        check = generator.choice(among)
        contract = CONTRACTS[check]
        names = generator.sample(sorted({name for name, _ in known_mistakes(check)}), count)
        edits = [generator.choice([way for one, way in known_mistakes(check) if one == name]) for name in names]
        try:
            text = contract.source.edited(*edits)
            if text in {contract.source.edited(*some) for some in combinations(edits, count - 1)}:
                continue  # one leaves nothing for the others
            return check, names, contract.made(*edits)
        except NotHereError:
            continue


@pytest.mark.parametrize(("count", "tries"), [(2, 90), (3, 18)])
def test_of_several_mistakes_at_once_at_least_one_is_named(count, tries):
    generator = random.Random(count)
    unnamed, passing = [], []
    for _ in range(tries):
        check, names, code = several(generator, count, list(CONTRACTS))
        verdict = judge(check, code)
        named, message = verdict["mistakes"], verdict["message"]
        # What passes does what the reference does, forwards and backwards: the mistakes undo each other.
        if verdict["passed"]:
            passing.append(f"{check}: {names}")
        elif not set(names) & set(named) and (not named or PARTLY.search(message)):
            unnamed.append(f"{check}: {names} → {named or message}")
    assert len(passing) <= tries // 20, "\n".join(passing)
    assert len(unnamed) <= tries // 6, "\n".join(unnamed)
