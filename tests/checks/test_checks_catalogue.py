"""Every known mistake is called by its name, alone; and of two at once, at least one of them is."""

import random
import re
from itertools import product

import pytest
import torch

from resnet_edu import checks
from resnet_edu.checks.contract import Contract, applied, made
from resnet_edu.checks.observe import outcome_shape
from resnet_edu.checks.program import Built
from resnet_edu.checks.table import CONTRACTS, known_mistakes, mistakes_table, with_mistakes, with_slips

BLOCKS = {"stem", "identity_block", "projection_block", "basic_block", "bottleneck", "zero_pad_shortcut", "head"}
BLOCKS |= {"preactivation_block", "make_layer", "resnet", "cifar_resnet"}


@pytest.mark.parametrize("check", CONTRACTS)
def test_every_known_mistake_is_called_by_its_name(check):
    wrong = []
    for known in known_mistakes(check):
        feedback = getattr(checks, check)(known.code)
        if feedback.mistakes != (known.name,):
            wrong.append(f"{known.name}: {feedback}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("check", CONTRACTS)
def test_enough_mistakes_are_known(check):
    assert len({known.name for known in known_mistakes(check)}) >= (8 if check in BLOCKS else 4)


@pytest.mark.parametrize("check", CONTRACTS)
def test_messages_are_sentences_that_name_nothing_of_ours(check):
    contract = CONTRACTS[check]
    ours = set()
    if isinstance(contract, Contract):
        ours = {op.name for program in contract.programs() for op in program.ops if re.search(r"\d|\.|proj", op.name)}
    for known in known_mistakes(check):
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", known.name)
        assert len(known.message.split()) >= 6, known.message
        assert re.search(r"[.)`]$", known.message), known.message
        assert known.message.count("`") % 2 == 0
        words = set(re.findall(r"[\w.]+", known.message))
        assert not words & ours, known.message


def test_the_references_themselves_pass_as_programs():
    for check, contract in CONTRACTS.items():
        if isinstance(contract, Contract):
            for reference in contract.references:
                assert getattr(checks, check)(lambda *args, reference=reference: Built(reference(*args))).passed, check


@pytest.mark.parametrize("check", ["basic_block", "preactivation_block"])
def test_any_two_mistakes_make_a_program_that_can_be_followed(check):
    contract = CONTRACTS[check]
    plain, x = contract.programs()[1], torch.zeros(1, 6, 4, 4, dtype=torch.float64)
    for one, other in product(contract.mistakes, repeat=2):
        program = applied([one, other], plain)
        assert len(program.slots()) == len(program.slots(shortcut_first=True)), (one.name, other.name)
        outcome_shape(program, x)  # a shape, or None where it cannot run


def two(generator: random.Random):
    """Code with two mistakes of one contract, drawn at random, and their names."""
    while True:
        check = generator.choice(list(CONTRACTS))
        contract = CONTRACTS[check]
        names = generator.sample(sorted({known.name for known in known_mistakes(check)}), 2)
        if isinstance(contract, Contract):
            if set(names) == {"one-block-too-many", "one-block-missing"}:
                continue  # the one undoes the other
            mistakes = [generator.choice([m for m in contract.mistakes if m.name == name]) for name in names]
            if any(made(some, contract.programs()) is None for some in ([mistakes[0]], [mistakes[1]], mistakes)):
                continue  # one leaves nothing for the other
            code = with_mistakes(contract, *mistakes)
        else:
            code = with_slips(contract, *names)
        return check, names, code


def one_that_is_both(check: str, names: list[str], found: tuple[str, ...]) -> bool:
    """Whether one known mistake makes the same code as the two, as two missing ReLUs are all ReLUs missing."""
    contract = CONTRACTS[check]
    if not isinstance(contract, Contract) or len(found) != 1:
        return False
    if found[0] not in {mistake.name for mistake in contract.mistakes}:
        return False
    one = made([contract.mistake(found[0])], contract.programs())
    both = [made([contract.mistake(name) for name in order], contract.programs()) for order in (names, names[::-1])]
    return one in both


def test_of_two_mistakes_at_once_at_least_one_is_named_over_200_random_pairs():
    generator = random.Random(0)
    unnamed, named = [], 0
    for _ in range(200):
        check, names, code = two(generator)
        feedback = getattr(checks, check)(code)
        assert not feedback.passed, f"{check}: {names} pass"
        if set(names) & set(feedback.mistakes) or one_that_is_both(check, names, feedback.mistakes):
            named += 1
        else:
            unnamed.append(f"{check}: {names} → {feedback.mistakes or feedback.message}")
    assert named == 200, "\n".join(unnamed)


def test_the_table_shows_what_it_counted():
    table = mistakes_table("conv_out", "fold_conv_bn")
    assert [row.contract for row in table.rows] == ["conv_out", "fold_conv_bn"]
    assert all(row.known == row.diagnosed for row in table.rows)
    page = table._repr_html_()
    assert page.count("<tr>") == 4
    assert 'scope="col"' in page
    assert "<caption>" in page
    assert str(table.total.known) in str(table).splitlines()[-1]
