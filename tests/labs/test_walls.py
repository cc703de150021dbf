"""Submissions run in a process apart: everywhere what needs no wall, the rest where bubblewrap works."""

import json
from types import SimpleNamespace

import pytest
import torch
from conftest import made
from grading import grader, limits, naming, on_gradescope, submission, walls
from handed_in import ALL, BLOCK, HARMLESS

#: Short, so that a loop costs a test two seconds.
BOUNDS = walls.Limits(stage=2, budget=20, asleep=3)
OPEN = walls.Wall("none", site=walls._here())


def graded(wall, lab, handed, tmp_path, bounds=BOUNDS):
    handed.write(tmp_path / "student")
    return grader.grade(lab.key, submission.read(tmp_path / "student.ipynb"), wall, bounds)


def test_the_solution_gets_all_points(lab, tmp_path):
    (tmp_path / "student.ipynb").write_text(lab.kinds.perfect(), encoding="utf-8")
    perfect = grader.grade(lab.key, submission.read(tmp_path / "student.ipynb"), OPEN, BOUNDS)
    assert (perfect.total, perfect.words, perfect.remarks) == (lab.key.most, {}, [])


def test_the_untouched_notebook_gets_none(first, tmp_path):
    (tmp_path / "student.ipynb").write_text(first.text, encoding="utf-8")
    assert grader.grade(first.key, submission.read(tmp_path / "student.ipynb"), OPEN, BOUNDS).total == 0


def test_no_starter_answers_a_probe(lab):
    given = {}
    for _, source in submission.read_text(lab.text).cells:
        exec(source, given)
    for question in lab.lab.questions:
        space = dict(given)
        exec(f"{grader.HELPERS}\n{question.probe}", space)
        right = []
        try:
            secrets = SimpleNamespace(**lab.key.secrets[question.name])
            for part, value in space["probe"](SimpleNamespace(**given), secrets):
                right.append((part, torch.equal(torch.as_tensor(value), lab.key.expected[question.name][part])))
        except Exception:
            pass  # most starters stop here
        assert not any(same for _, same in right), (question.name, right)


@pytest.mark.skipif(not limits.known_machine(), reason="system calls are closed on Linux only")
def test_the_doors_are_closed_from_inside_without_any_wall(first, tmp_path):
    kinds = ("fork-bomb", "programs", "threads", "network", "kill", "kill-parent", "magic", "exit")
    cells = [HARMLESS[kind] for kind in kinds]
    notebook = json.loads(first.kinds.perfect())
    for source in cells:
        cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
        notebook["cells"].insert(2, cell)
    (tmp_path / "student.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    grade = grader.grade(first.key, submission.read(tmp_path / "student.ipynb"), OPEN, BOUNDS)
    assert grade.total == ALL
    assert sum("not permitted" in text for texts in grade.words.values() for text in texts) >= 3


def test_an_attempt_to_import_the_answer_is_reported_by_name(first, tmp_path):
    front = "try:\n    import torchvision.models\nexcept ImportError: pass\nfrom resnet_edu import blocks"
    (tmp_path / "student.ipynb").write_text(first.kinds.perfect(front), encoding="utf-8")
    grade = grader.grade(first.key, submission.read(tmp_path / "student.ipynb"), OPEN, BOUNDS)
    assert "Tried to import torchvision" in grade.remarks[0]


def test_a_notebook_of_another_class_is_told_so(first, tmp_path):
    (tmp_path / "student.ipynb").write_text(made("1", "next year").text, encoding="utf-8")
    grade = grader.grade(first.key, submission.read(tmp_path / "student.ipynb"), OPEN, BOUNDS)
    assert "another class" in grade.remarks[0]


def test_a_loop_costs_its_question_and_no_other(first, tmp_path):
    grade = graded(OPEN, first, first.kinds.spoiled("loop"), tmp_path)
    assert grade.total == ALL - BLOCK
    assert "never ends" in " ".join(grade.words["block"])


def graded_text(made_lab, text, tmp_path):
    (tmp_path / "student.ipynb").write_text(text, encoding="utf-8")
    return grader.grade(made_lab.key, submission.read(tmp_path / "student.ipynb"), OPEN, BOUNDS)


def test_an_answer_may_use_what_a_check_above_it_made(tmp_path):
    third = made("3")
    solution = next(question.solution for question in third.lab.questions if question.name == "count")
    counted = f"{solution}\nlast_side += 0 * len(list(network.parameters()))"  # `network` comes from a check
    grade = graded_text(third, third.kinds.perfect(count=counted), tmp_path)
    assert (grade.total, grade.words) == (third.key.most, {})


def test_an_answer_is_what_stands_there_before_the_next_question(first, tmp_path):
    solution = next(question.solution for question in first.lab.questions if question.name == "deeper")
    again = f"{solution}\nclass Stem: pass\nparameters = multiply_adds = block_parameters"
    assert graded_text(first, first.kinds.perfect(deeper=again), tmp_path).total == ALL
    third = made("3")
    compare = next(question.solution for question in third.lab.questions if question.name == "compare")
    later = third.kinds.perfect(compare=f"{compare}\nHead = dict")  # which the network of question 2 calls
    assert graded_text(third, later, tmp_path).total == third.key.most
    notebook = json.loads(first.kinds.perfect())
    for cell in notebook["cells"]:  # copied cells have no metadata: their first line tells
        if cell["metadata"].get("lab", {}).get("question"):
            name = cell["metadata"]["lab"]["question"]
            cell["source"] = f"# Your answer to question 1 ({name})\n{cell['source']}"
        cell["metadata"] = {}
    text = json.dumps(notebook).replace(json.dumps(solution)[1:-1], json.dumps(again)[1:-1])
    assert graded_text(first, text, tmp_path).total == ALL


def test_a_mistake_costs_its_points_once(tmp_path):
    third = made("3")
    wrong = "class Head(nn.Module):\n    def __init__(self, ins, outs):\n        raise ValueError('secret')"
    grade = graded_text(third, third.kinds.perfect(head=wrong), tmp_path)
    assert grade.total == third.key.most - 3
    assert grade.remarks == ["Question 2 counts with the right answer to question 1 in place."]
    alone = graded_text(third, third.kinds.only("network"), tmp_path)
    assert (alone.points("head"), alone.points("network")) == (0, 7)
    talks = "class Network(nn.Module):\n    def __init__(self, *args):\n        raise ValueError(Head(2, 4).fc)"
    told = graded_text(third, third.kinds.made({"network": talks}), tmp_path)
    assert told.total == 0
    assert "Linear" not in str(told.words)  # no word of an earlier solution comes out


# ------------------------------------------------------------------------------------------- behind the wall


# Every kind of submission is in the class of 60 (class_of_60.py), which takes minutes; here are one of each sort.


def test_too_much_memory_costs_the_questions_own_points(bubblewrap, first, tmp_path):
    assert graded(bubblewrap, first, first.kinds.spoiled("memory"), tmp_path).total == ALL - BLOCK


@pytest.mark.parametrize("kind", ["exit-after-forged", "patched"])
def test_nothing_is_forged(bubblewrap, first, tmp_path, kind):
    assert graded(bubblewrap, first, first.kinds.worthless(kind), tmp_path).total == 0


def test_who_takes_the_guard_away_and_imports_the_answer_has_nothing_and_is_reported(bubblewrap, first, tmp_path):
    grade = graded(bubblewrap, first, first.kinds.worthless("imported"), tmp_path)
    assert grade.total == 0
    said = " ".join(grade.remarks)
    assert "Tried to import torchvision" in said  # the finder was gone by then: the audit hook heard it
    assert "Took away the guard that the grader had put into sys.meta_path" in said


def test_neither_disk_nor_network_nor_noise_is_to_be_had(bubblewrap, first, tmp_path):
    kinds = ("disk", "elsewhere", "print", "network")
    front = "\n".join(f"try:\n    exec({HARMLESS[kind]!r})\nexcept OSError: pass" for kind in kinds)
    (tmp_path / "student.ipynb").write_text(first.kinds.perfect(front), encoding="utf-8")
    assert grader.grade(first.key, submission.read(tmp_path / "student.ipynb"), bubblewrap, BOUNDS).total == ALL


def test_a_known_mistake_is_named_and_earns_nothing(bubblewrap, first, tmp_path):
    first.kinds.spoiled("early-relu").write(tmp_path / "student")
    handed = submission.read(tmp_path / "student.ipynb")
    grade = grader.grade(first.key, handed, bubblewrap, BOUNDS)
    assert grade.total == ALL - BLOCK
    assert grade.named["block"][0].startswith("[relu-before-addition] ")  # told by its numbers
    grade.named.clear()  # and, as if they had not told it, by the checker
    [text] = naming.named(first.key, handed, grade, bubblewrap, walls.Limits())["block"]
    assert text.startswith("[relu-before-addition] The last ReLU runs before the addition.")


def test_gradescope_gets_its_file(bubblewrap, first, tmp_path):
    for name in ("source", "submission", "results"):
        (tmp_path / name).mkdir()
    (tmp_path / "source/key.json").write_text(json.dumps(first.raw), encoding="utf-8")
    (tmp_path / "submission/lab.ipynb").write_text(first.kinds.perfect(), encoding="utf-8")
    on_gradescope.main(tmp_path, "bubblewrap")
    told = json.loads((tmp_path / "results/results.json").read_text(encoding="utf-8"))
    assert sum(test["score"] for test in told["tests"]) == ALL
