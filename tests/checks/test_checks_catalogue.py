"""What the contracts hold: right references, sentences, edits that find their lines, and a table that counts."""

import random
import re
from itertools import combinations

import pytest

from resnet_edu import checks
from resnet_edu.checks.contracts import CONTRACTS, judge
from resnet_edu.checks.source import NotHereError, Source, ways
from resnet_edu.checks.table import known_mistakes, mistakes_table

#: Their mistakes have test files of their own, so that two processors can share the work.
ELSEWHERE = {"resnet", "cifar_resnet", "identity_block", "projection_block", "basic_block", "bottleneck"}
ELSEWHERE |= {"preactivation_block"}
BLOCKS = {"stem", "identity_block", "projection_block", "basic_block", "bottleneck", "zero_pad_shortcut", "head"}
BLOCKS |= {"preactivation_block", "make_layer", "resnet", "cifar_resnet", "squeeze_excitation_block"}


@pytest.mark.parametrize("check", [check for check in CONTRACTS if check not in ELSEWHERE])
def test_every_known_mistake_in_every_way_is_called_by_its_name(check):
    verdicts = [(name, way, judge(check, CONTRACTS[check].made(way))) for name, way in known_mistakes(check)]
    assert not [f"{name} {way}: {found}" for name, way, found in verdicts if found["mistakes"] != [name]]


@pytest.mark.parametrize("check", CONTRACTS)
def test_a_remark_passes_with_its_word(check):
    for mistake in CONTRACTS[check].mistakes:
        if mistake.remark:
            feedback = getattr(checks, check)(CONTRACTS[check].made(mistake.ways[0]))
            assert feedback.passed
            assert mistake.message in feedback.message


@pytest.mark.parametrize("check", CONTRACTS)
def test_enough_mistakes_are_known(check):
    assert len({name for name, _ in known_mistakes(check)}) >= (8 if check in BLOCKS else 4)


@pytest.mark.parametrize("check", CONTRACTS)
def test_messages_are_sentences_that_name_nothing_of_ours(check):
    contract = CONTRACTS[check]
    ours = {word for word in re.findall(r"self\.(\w+)", contract.reference) if re.search(r"\d|proj(bn)?$", word)}
    for mistake in contract.mistakes:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", mistake.name)
        assert len(mistake.message.split()) >= 6, mistake.message
        assert re.search(r"[.)`]$", mistake.message), mistake.message
        assert mistake.message.count("`") % 2 == 0
        assert not set(re.findall(r"[\w.]+", mistake.message)) & ours, mistake.message


@pytest.mark.parametrize("check", CONTRACTS)
def test_the_references_themselves_pass(check):
    for edits in ((), *((variant,) for _, variant in CONTRACTS[check].variants)):
        assert getattr(checks, check)(CONTRACTS[check].made(*edits)).passed, edits


@pytest.mark.parametrize("check", CONTRACTS)
def test_any_two_mistakes_make_code_or_are_refused(check):
    contract = CONTRACTS[check]
    rows = list(ways(contract.mistakes))
    for (_, one), (_, other) in random.Random(0).sample(list(combinations(rows, 2)), min(300, len(rows))):
        try:
            contract.made(one, other)
        except NotHereError:
            continue


def test_an_edit_that_finds_nothing_is_refused():
    source = Source("def f(x):\n    return x + 1  #: end")
    assert source.edited({"end": "+ → -"}) == "def f(x):\n    return x - 1"
    assert source.edited({"end": "x = 2 * x; {}"}) == "def f(x):\n    x = 2 * x; return x + 1"
    assert source.edited({"end": ""}) == "def f(x):\n    pass"
    for missing in ({"end": "* → -"}, {"start": ""}):
        with pytest.raises(NotHereError):
            source.edited(missing)


def test_the_table_shows_what_it_counted():
    table = mistakes_table("conv_out", "fold_conv_bn")
    assert [check for check, _, _ in table.rows] == ["conv_out", "fold_conv_bn"]
    assert all(known == diagnosed for _, known, diagnosed in table.rows)
    page = table._repr_html_()
    assert page.count("<tr>") == 4
    assert 'scope="col"' in page
    assert "<caption>" in page
    assert table.total[1] in str(table).splitlines()[-1]
