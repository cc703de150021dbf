"""A master makes a notebook without answers, numbers that torch agrees with, and mistakes that the checker names."""

import json
import re

import pytest
import torch
from conftest import made
from directives import MarkupError
from grading import master, notebook
from mistakes import TYPICAL, graded, run
from torch import nn

from resnet_edu.checks import verdict
from resnet_edu.checks.source import Case, Contract, known


def shown(text: str) -> str:
    """What a student reads in a notebook."""
    return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


def test_there_are_four_labs_of_60_to_90_minutes():
    assert sorted(master.masters()) == ["1", "2", "3", "4"]
    for number in master.masters():
        lab = made(number).lab
        assert 60 <= lab.minutes <= 90
        assert abs(sum(question.minutes for question in lab.questions) - lab.minutes) <= 5
        assert all(question.points for question in lab.questions)


def test_the_students_notebook_holds_no_answer_and_no_hidden_test(lab):
    seen = shown(lab.text)
    starters = {line.strip() for piece in lab.lab.pieces if piece.kind != "words" for line in piece.text.splitlines()}
    for question in lab.lab.questions:
        for line in question.solution.splitlines():
            code = line.partition("  #: ")[0].strip()
            if len(code) > 14 and code not in starters:
                assert code not in seen, f"{question.name}: {code}"
        for name, value in re.findall(r"^(\w+) = (\d{3,})$", question.solution, re.MULTILINE):
            assert not re.search(rf"\b{name}\b.*\b{value}\b", seen)
        assert "def secrets" not in seen
        assert "def probe" not in seen
        for mistake in master.mistakes_of(question.mistakes):
            assert mistake.message not in seen
    assert "#:" not in seen
    assert "<<" not in seen
    assert lab.lab.seed not in lab.text


def test_the_notebook_has_a_starter_for_each_question_and_its_mark(lab):
    notebook = json.loads(lab.text)
    asked = [_role(cell)["question"] for cell in notebook["cells"] if _role(cell).get("role") == "answer"]
    assert asked == [question.name for question in lab.lab.questions]
    assert notebook["metadata"]["lab"] == {"name": lab.lab.name, "mark": lab.lab.mark}


@pytest.mark.parametrize("seed", ["a class", "b", "c"])
@pytest.mark.parametrize("number", sorted(master.masters()))
def test_the_solutions_pass_every_check(number, seed, capsys):
    lab = made(number, seed)
    solutions = {question.name: question.solution for question in lab.lab.questions}
    run(json.loads(lab.text)["cells"], solutions)
    said = capsys.readouterr().out
    assert "✓" in said
    assert "✗" not in said


def test_an_untouched_notebook_runs_to_its_end_and_is_told_what_is_open(lab, capsys):
    run(json.loads(lab.text)["cells"], {})
    said = capsys.readouterr().out
    assert "None is what an open question" in said


def test_links_lead_to_the_published_book_or_are_plain_words(first):
    known = shown(notebook.student(first.lab, "https://github.com/ada/fork"))
    assert "[2](https://ada.github.io/fork/book/02_convolution.html)" in known
    nowhere = shown(notebook.student(first.lab, "https://github.com/YOUR_NAME/resnet-edu"))
    assert "YOUR_NAME" not in nowhere
    assert "2, 3 and 4 first" in nowhere


def test_the_same_seed_makes_the_same_notebook_and_another_seed_another():
    path = master.masters()["1"]
    again, other = master.read(path, "a class"), master.read(path, "another class")
    assert again.key() == made("1").lab.key()
    assert other.mark != again.mark
    numbers = [question.solution for question in other.questions]
    assert numbers != [question.solution for question in again.questions]


@pytest.mark.parametrize("seed", ["a class", "b", "c"])
def test_the_numbers_of_lab_1_are_what_torch_counts(seed):
    given = solved("1", seed)
    text = shown(made("1", seed).text)
    side = int(re.search(r"square image of (\d+) pixels", text)[1])
    width = int(re.search(r"makes (\d+) channels out of 3", text)[1])
    stem = given["Stem"](width)
    after_conv = stem.conv1(torch.zeros(1, 3, side, side)).shape[-1]
    after_pool = stem(torch.zeros(1, 3, side, side)).shape[-1]
    assert (given["after_conv"], given["after_pool"]) == (after_conv, after_pool)
    assert given["parameters"] == count(stem)
    assert given["multiply_adds"] == given["count"](stem, torch.zeros(1, 3, side, side))
    image = torch.zeros(1, 3, 99, 99, requires_grad=True)
    average = nn.Sequential(nn.Conv2d(3, 1, stem.conv1.kernel_size, 2, stem.conv1.padding), nn.AvgPool2d(3, 2, 1))
    out = average(image)
    out[0, 0, out.shape[2] // 2, out.shape[3] // 2].backward()
    assert given["seen"] == int((image.grad[0, 0].abs().sum(0) > 0).sum())
    ins, outs = map(int, re.search(r"question 5, with (\d+) channels in, (\d+) out", text).groups())
    entering = int(re.search(r"A map of (\d+)×", text)[1])
    block = given["Block"](ins, outs, 2)
    assert given["block_parameters"] == count(block)
    assert given["block_multiply_adds"] == given["count"](block, torch.zeros(1, ins, entering, entering))
    assert entering != after_pool  # or question 7 tells the answer to question 1
    for name, value in re.findall(r"^(\w+) = (\d{4,})", made("1", seed).lab.reference, re.MULTILINE):
        assert value not in text, name


@pytest.mark.parametrize("seed", ["a class", "b", "c"])
def test_the_numbers_of_lab_2_are_what_torch_counts(seed):
    given = solved("2", seed)
    text = shown(made("2", seed).text)
    blocks, ins, outs = map(
        int, re.search(r"has (\d+) basic blocks. (\d+) channels enter it, (\d+) leave", text).groups()
    )

    def projection(a, b):
        return count(nn.Sequential(nn.Conv2d(a, b, 1, bias=False), nn.BatchNorm2d(b)))

    assert given["option_a"] == 0
    assert given["option_b"] == projection(ins, outs)
    assert given["option_c"] == projection(ins, outs) + (blocks - 1) * projection(outs, outs)
    middle = int(re.search(r"`channels` is (\d+), the stride is 2", text)[1])
    layer = given["make_layer"](given["Bottleneck"], ins, middle, blocks, 2)
    assert given["parameters"] == count(layer)
    assert given["last_parameters"] == count(layer[-1])
    side = int(re.search(r"A map of (\d+)×", text)[1])
    block, image = given["Bottleneck"](ins, middle, 2), torch.zeros(1, ins, side, side)
    assert given["at_the_end"] == given["count"](block, image)
    block.conv2.stride, block.conv3.stride = (2, 2), (1, 1)
    assert given["in_the_middle"] == given["count"](block, image)


@pytest.mark.parametrize("seed", ["a class", "b", "c"])
def test_the_numbers_of_lab_3_are_what_torch_counts(seed):
    given = solved("3", seed)
    text = shown(made("3", seed).text)
    call, side = re.search(r"For `(Network\(.*?\))`.*?image of (\d+)×", text, re.DOTALL).groups()
    network = eval(call, given)
    assert given["parameters"] == count(network)
    convs = [name for name, one in network.named_modules() if isinstance(one, nn.Conv2d) and "downsample" not in name]
    assert given["depth"] == len(convs) + 1
    sizes = []
    network.layer3.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-1]))
    network(torch.zeros(1, 3, int(side), int(side)))
    assert given["last_side"] == sizes[0]


def test_the_steps_of_lab_4_are_what_a_loader_makes():
    from torch.utils.data import DataLoader

    given = solved("4", "a class")
    images, batch, epochs = map(
        int, re.search(r"(\d+) images, batches of (\d+), (\d+) epochs", shown(made("4").text)).groups()
    )
    assert given["all_kept"] == epochs * len(DataLoader(range(images), batch))
    assert given["last_dropped"] == epochs * len(DataLoader(range(images), batch, drop_last=True))


@pytest.mark.parametrize("mistake", TYPICAL, ids=lambda one: f"{one.lab}-{one.question}-{one.name}")
def test_a_typical_mistake_is_seen_by_a_check_and_loses_points(mistake, capsys):
    lab = made(mistake.lab, "averages1")  # a class whose stem ends in average pooling
    solutions = {question.name: question.solution for question in lab.lab.questions}
    answers = {**solutions, mistake.question: mistake.made(solutions[mistake.question])}
    names = run(json.loads(lab.text)["cells"], answers, only=mistake.question)
    assert ("✗" in capsys.readouterr().out) == mistake.seen
    grade = graded(lab.key, mistake.question, names)
    assert grade.points(mistake.question) < sum(part.points for part in grade.parts[mistake.question].values())
    # Told by its numbers, by its shape or order, or, where nothing came back, by the words of its error.
    parts = grade.parts[mistake.question].values()
    assert grade.named.get(mistake.question) or any(part.hint or part.said == "missing" for part in parts)


@pytest.mark.parametrize("number", sorted(master.masters()))
def test_a_known_mistake_is_told_by_the_numbers_it_makes(number):
    found = {
        (question.name, slip.name)
        for seed in ("a class", "b", "c")
        for question in made(number, seed).lab.questions
        for slip in made(number, seed).key.slips[question.name]
    }
    lab = made(number)
    for question in lab.lab.questions:
        given = dict(lab.key._given)
        exec(question.solution, given)
        right = graded(lab.key, question.name, given)
        assert (right.named, right.points(question.name)) == ({}, sum(question.points.values()))
        for mistake in master.mistakes_of(question.mistakes):
            # Where all that a mistake makes is an error, its words are what is shown.
            assert (question.name, mistake.name) in found or mistake.name in ("conv-bias", "narrow-middle"), mistake
        for name, message, source in question.slips:
            wrong = dict(lab.key._given)
            exec(source, wrong)
            told = graded(lab.key, question.name, wrong).named.get(question.name, [])
            assert f"[{name}] {message}" in told or name in ("conv-bias", "narrow-middle"), (question.name, name, told)


MISTAKES = [
    pytest.param(number, question.name, mistake, way, id=f"{number}-{question.name}-{mistake.name}")
    for number in master.masters()
    for question in made(number).lab.questions
    if "signature" in question.mistakes
    for mistake in master.mistakes_of(question.mistakes)
    for way in mistake.ways
]


@pytest.mark.parametrize(("number", "name", "mistake", "way"), MISTAKES)
def test_each_known_mistake_is_called_by_its_name(number, name, mistake, way):
    question = next(question for question in made(number).lab.questions if question.name == name)
    told = _told(question)
    cases = tuple(Case(args, tuple(inputs), call) for args, inputs, call in told["cases"])
    contract = Contract(told["signature"], cases, question.solution, (known(told["known"]),), "")
    assert verdict.judge(contract, contract.made(way))["mistakes"] == [mistake.name]
    assert verdict.judge(contract, contract.made())["passed"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (":::{question} Title\n:name: a\n:minutes: 5\n:points: eval\n:::", "is a list as in"),
        (":::{question} Title\n:minutes: 5\n:points: eval 3\n:::", "needs a title"),
        (":::{note}\nWords.\n:::", "no directive {note}"),
        ("<<nothing>>", "cannot be computed"),
        ("```{code-cell} python\n:tags: [answer]\nx = 1\n```", "stands below its {question}"),
        (":::{question} T\n:name: a\n:minutes: 5\n:points: x 1\n:::", "has no answer cell"),
        (":::{question} T\n:name: a\n:minutes: 5\n:points: x 1\n:uses: b\n:::", "names earlier questions, not 'b'"),
        ("```{code-cell} python\n:tags: [public]\nx = 1\n```", "stands below its {question}"),
    ],
)
def test_a_master_that_cannot_be_read_says_where(tmp_path, text, problem):
    path = tmp_path / "5_new.md"
    path.write_text(f"---\nminutes: 60\n---\n# A lab\n\n{text}\n", encoding="utf-8")
    with pytest.raises(MarkupError, match=re.escape(problem)):
        master.read(path, "seed")


def count(module):
    return sum(one.numel() for one in module.parameters())


def solved(number, seed):
    """What the solutions define, and lab 3's counter of multiply-adds."""
    given = {}
    exec(made(number, seed).lab.reference, given)
    counter = {}
    exec(made("3").lab.reference, counter)
    return {**given, "count": counter["multiply_adds"]}


def _told(question):
    told = {}
    exec(question.mistakes, told)
    return told


def _role(cell):
    return cell["metadata"].get("lab", {})
