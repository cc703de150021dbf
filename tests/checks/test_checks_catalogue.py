"""Every known mistake is called by its name, alone; of two or three at once, at least one of them is."""

import random
import re
from itertools import combinations

import pytest

from resnet_edu import checks
from resnet_edu.checks.contracts import CONTRACTS
from resnet_edu.checks.source import NotHereError, Source, ways
from resnet_edu.checks.table import contract_of, known_mistakes, mistakes_table

BLOCKS = {"stem", "identity_block", "projection_block", "basic_block", "bottleneck", "zero_pad_shortcut", "head"}
BLOCKS |= {"preactivation_block", "make_layer", "resnet", "cifar_resnet", "squeeze_excitation_block"}
MODULES = [check for check in CONTRACTS if check in BLOCKS]

#: What the checker says where the mistakes that it names do not explain all.
PARTLY = re.compile("There is more|check again|do not recognize")


@pytest.mark.parametrize("check", CONTRACTS)
def test_every_known_mistake_is_called_by_its_name(check):
    wrong = []
    for known in known_mistakes(check):
        feedback = getattr(checks, check)(known.code)
        if feedback.mistakes != (known.name,):
            wrong.append(f"{known.name} {known.way}: {feedback}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("check", CONTRACTS)
def test_a_remark_passes_with_its_word(check):
    for mistake in contract_of(check).mistakes:
        if mistake.remark:
            feedback = getattr(checks, check)(contract_of(check).made(mistake.ways[0]))
            assert feedback.passed
            assert mistake.message in feedback.message


@pytest.mark.parametrize("check", CONTRACTS)
def test_enough_mistakes_are_known(check):
    assert len({known.name for known in known_mistakes(check)}) >= (8 if check in BLOCKS else 4)


@pytest.mark.parametrize("check", CONTRACTS)
def test_messages_are_sentences_that_name_nothing_of_ours(check):
    contract = contract_of(check)
    ours = {word for word in re.findall(r"self\.(\w+)", contract.reference) if re.search(r"\d|proj(bn)?$", word)}
    for mistake in contract.mistakes:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", mistake.name)
        assert len(mistake.message.split()) >= 6, mistake.message
        assert re.search(r"[.)`]$", mistake.message), mistake.message
        assert mistake.message.count("`") % 2 == 0
        assert not set(re.findall(r"[\w.]+", mistake.message)) & ours, mistake.message


@pytest.mark.parametrize("check", CONTRACTS)
def test_the_references_themselves_pass(check):
    for variant in contract_of(check).variants:
        assert getattr(checks, check)(contract_of(check).made(*([variant] if variant else []))).passed, variant


@pytest.mark.parametrize("check", CONTRACTS)
def test_any_two_mistakes_make_code_or_are_refused(check):
    contract = contract_of(check)
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


def several(generator: random.Random, count: int, among: list[str]):
    """Code with so many mistakes of one contract, drawn at random, and their names."""
    while True:
        check = generator.choice(among)
        contract = contract_of(check)
        names = generator.sample(sorted({known.name for known in known_mistakes(check)}), count)
        edits = [generator.choice([k.way for k in known_mistakes(check) if k.name == name]) for name in names]
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
        feedback = getattr(checks, check)(code)
        # What passes does what the reference does, forwards and backwards: the mistakes undo each other.
        if feedback.passed:
            passing.append(f"{check}: {names}")
        elif not set(names) & set(feedback.mistakes) and (not feedback.mistakes or PARTLY.search(feedback.message)):
            unnamed.append(f"{check}: {names} → {feedback.mistakes or feedback.message}")
    assert len(passing) <= tries // 20, "\n".join(passing)
    assert len(unnamed) <= tries // 6, "\n".join(unnamed)


def test_the_table_shows_what_it_counted():
    table = mistakes_table("conv_out", "fold_conv_bn")
    assert [row.contract for row in table.rows] == ["conv_out", "fold_conv_bn"]
    assert all(row.known == row.diagnosed for row in table.rows)
    page = table._repr_html_()
    assert page.count("<tr>") == 4
    assert 'scope="col"' in page
    assert "<caption>" in page
    assert str(table.total.known) in str(table).splitlines()[-1]
