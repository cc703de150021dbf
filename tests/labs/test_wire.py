"""What comes out of a learner's process is read strictly, and compared in the grader. Nothing here needs a wall."""

import csv
import io
import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch
from conftest import made
from grading import classroom, feedback, grader, gradescope, on_gradescope, submission, walls, wire
from handed_in import ALL, BLOCK, NUMBERS, STEM, UNREADABLE
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "line",
    [
        b"points 22",
        b"value stem eval float32 1 0000803f00",  # a byte too many
        b"value stem eval float32 2x2 0000803f",  # too few
        b"value stem eval float32 99999999 00",
        b"value stem eval object 1 00",
        b"value stem eval float32 -1 00",
        b"value stem eval float32 1 ZZZZZZZZ",
        b'{"total": 22}',
        b"cos\nsystem\n(S'ls'\ntR.",
        b"",
    ],
)
def test_a_line_that_fits_no_pattern_is_noise(line):
    heard = wire.Heard()
    heard.take(line)
    assert heard == wire.Heard(noise=1)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_stumble(data):
    heard = wire.Heard()
    for line in data.split(b"\n"):
        heard.take(line)
    assert not heard.values


def test_the_first_line_for_a_part_counts():
    heard = wire.Heard()
    for number in (1, 2):
        heard.take(wire.value("sizes", "after_conv", "int64", (), number.to_bytes(8, "little")).rstrip(b"\n"))
    assert heard.values["sizes", "after_conv"].data[0] == 1
    assert heard.noise == 1


def sent(tensor):
    kind = {torch.float32: "float32", torch.float64: "float64", torch.int64: "int64"}[tensor.dtype]
    return wire.Value(kind, tuple(tensor.shape), tensor.numpy().tobytes())


def test_numbers_are_right_within_single_precision_and_whole_ones_exactly():
    ours = torch.linspace(-2, 2, 12).reshape(3, 4)
    assert grader.compare(ours, sent(ours * (1 + 1e-6))) == "right"
    assert grader.compare(ours, sent(ours.double())) == "right"
    assert grader.compare(ours, sent(ours + 0.01)) == "differs"
    assert grader.compare(ours, sent(ours.flatten())) == "shape"
    for odd in (float("nan"), float("inf")):
        assert grader.compare(ours, sent(torch.where(ours > 1, odd, ours))) == "differs"
    whole = torch.tensor(4_089_184_256)
    assert grader.compare(whole, sent(whole.clone())) == "right"
    assert grader.compare(whole, sent(whole + 1)) == "differs"
    assert grader.compare(whole, sent(whole.double())) == "right"
    assert grader.compare(torch.zeros(0), sent(torch.zeros(0))) == "right"


def test_the_probes_ask_for_numbers_that_nobody_guesses(lab):
    other = grader.Key(lab.raw, "another secret")
    for question in lab.lab.questions:
        for part, numbers in lab.key.expected[question.name].items():
            if question.secrets and part not in ("built", "names", "missing", "unexpected", "shapes"):
                assert not torch.equal(numbers, other.expected[question.name][part]), (question.name, part)
            if question.secrets:
                assert numbers.unique().numel() > 1 or question.name in ("counter", "accuracy"), (question.name, part)


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_is_no_notebook_is_refused_with_a_sentence(tmp_path, kind):
    UNREADABLE[kind].write(tmp_path / "student")
    [place] = submission.students(tmp_path).values()
    with pytest.raises(submission.NotANotebookError, match=r"\.$"):
        submission.read(place)


def test_a_folder_per_student_is_taken_as_course_systems_pack_it(tmp_path, first):
    folder = tmp_path / "Ada L_123_file"
    folder.mkdir()
    (folder / "lab.ipynb").write_text(first.text, encoding="utf-8")
    (tmp_path / "__MACOSX").mkdir()
    for name in ("bob.ipynb", "bob.txt"):
        (tmp_path / name).write_text("{}")
    assert list(submission.students(tmp_path)) == ["Ada L_123_file", "bob", "bob.txt"]  # nobody is lost
    handed = submission.read(folder)
    assert (handed.lab, handed.mark) == (first.lab.name, first.lab.mark)
    assert handed.answers["stem"] == next(name for name, source in handed.cells if "class Stem" in source)
    assert all("check(" in source for name, source in handed.cells if name.startswith("check."))
    assert not any("check(" in source for _, source in handed.without()[1:])  # the first cell defines it


def test_without_a_wall_it_says_what_is_missing_and_grades_nobody(monkeypatch, tmp_path, capsys):
    import grade as command

    monkeypatch.setattr(walls.shutil, "which", lambda name: None)
    (tmp_path / "labs/1_stem_and_blocks/autograder").mkdir(parents=True)
    (tmp_path / "labs/1_stem_and_blocks/autograder/key.json").write_text(json.dumps(made("1").raw))
    (tmp_path / "in").mkdir()
    (tmp_path / "in/ada.ipynb").touch()
    words = ["1", str(tmp_path / "in"), "--labs", str(tmp_path / "labs"), "--into", str(tmp_path / "out")]
    assert command.main(words) == 1
    said = capsys.readouterr().err
    assert "apt-get install bubblewrap" in said or "Walls need Linux" in said
    assert "RISK=i-have-read-every-submission" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["9", "in"], "There is no lab 9. There are 1 (1_stem_and_blocks), 2"),
        (["2", "in"], "make labs SEED=…"),
        (["1", "nowhere"], "nowhere is no folder"),
        (["1", "empty"], "empty is empty. It should hold a notebook"),
        (["1_stem_and_blocks", "in", "--wall", "docker"], "There is no wall docker. WALL is bubblewrap or container"),
        (["1", "in", "--risk", "yes"], "say RISK=i-have-read-every-submission"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_why(tmp_path, monkeypatch, capsys, words, said):
    import grade as command

    monkeypatch.chdir(tmp_path)
    for folder in ("in", "empty", "labs/1_stem_and_blocks/autograder"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("in/ada.ipynb", "labs/1_stem_and_blocks/autograder/key.json"):
        (tmp_path / file).touch()
    assert command.main([*words, "--labs", "labs"]) == 1
    assert said in capsys.readouterr().err


def test_make_hands_any_word_over_as_it_is(tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    python.chmod(0o755)
    root = Path(__file__).parent.parent.parent
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "SEED"))}

    def said(*words):
        command = ["make", "--silent", "-o", ".venv/.ready", f"BIN={tmp_path}", *words]
        return subprocess.run(command, cwd=root, env=outside, capture_output=True, text=True, check=True).stdout

    assert said("labs", 'SEED=it\'s "my" class') == '<tools/labs.py><--seed><it\'s "my" class>'
    assert said("labs") == "<tools/labs.py><--seed><practice>"
    assert said("grade", "LAB=1", 'SUBMISSIONS=a "b"', "WALL=x") == '<tools/grade.py><1><a "b"><--wall><x>'


def test_a_wall_behind_which_the_solution_fails_grades_nobody(monkeypatch, first):
    nothing = walls.Ended(wire.Heard(ended=True))
    monkeypatch.setattr(walls, "run", lambda *anything, **more: nothing)
    with pytest.raises(grader.SelfTestError, match="nobody is graded"):
        grader.prove(first.key, first.raw, walls.Wall("bubblewrap"))
    monkeypatch.setattr(walls, "run", lambda *anything, **more: walls.Ended(wire.Heard(), "left"))
    with pytest.raises(walls.NoWallError, match="did not begin"):
        grader.prove(first.key, first.raw, walls.Wall("bubblewrap"))


def test_a_run_that_was_stopped_goes_on_where_it_was(monkeypatch, tmp_path, first):
    graded = []

    def grade(key, handed, *more):
        if len(graded) == 2 and not (tmp_path / "again").exists():
            raise KeyboardInterrupt
        graded.append(len(handed.cells))
        return key.blank()

    monkeypatch.setattr(grader, "prove", lambda *anything: None)
    monkeypatch.setattr(grader, "grade", grade)
    (tmp_path / "in").mkdir()
    for name in ("ada", "=bob()", "cleo", "dan"):
        (tmp_path / "in" / f"{name}.ipynb").write_text(first.text, encoding="utf-8")
    run = (first.raw, tmp_path / "in", tmp_path / "out", walls.Wall("none"))
    with pytest.raises(KeyboardInterrupt):
        classroom.grade_all(*run, progress=False)
    (tmp_path / "again").touch()
    path = classroom.grade_all(*run, progress=False)
    assert len(graded) == 4  # nobody twice
    rows = list(csv.reader(path.open(encoding="utf-8")))
    assert [row[0] for row in rows[1:]] == ["'=bob()", "ada", "cleo", "dan"]  # no formula for a spreadsheet
    before = path.read_bytes()
    classroom.grade_all(*run, progress=False)
    assert (len(graded), path.read_bytes()) == (4, before)
    (tmp_path / "in" / "ada.ipynb").write_text(first.text + " ", encoding="utf-8")
    classroom.grade_all(*run, progress=False)
    assert len(graded) == 5  # a new file is graded anew


def test_a_students_words_stay_words_on_the_feedback_page(first):
    grade = first.key.blank()
    grade.words["stem"] = ["<script>alert(1)</script>"]
    page = feedback.page("<b>Eve</b>", first.key, grade, {})
    assert "<script" not in page
    assert "<b>Eve" not in page
    assert "0 of 22 points" in page


def test_the_points_that_the_tests_speak_of_are_those_of_the_master(first):
    points = {question.name: sum(question.points.values()) for question in first.lab.questions}
    assert first.key.most == ALL
    assert (points["block"], points["stem"]) == (BLOCK, STEM)
    assert sum(points[name] for name in ("sizes", "cost", "field", "deeper")) == NUMBERS


def test_the_bundle_for_gradescope_starts_and_holds_no_more_than_it_needs(tmp_path, first):
    gradescope.write(first.raw, tmp_path / "lab.zip")
    gradescope.write(first.raw, tmp_path / "again.zip")
    assert (tmp_path / "lab.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO((tmp_path / "lab.zip").read_bytes())) as bundle:
        names = bundle.namelist()
        for program in ("setup.sh", "run_autograder"):
            assert bundle.getinfo(program).external_attr >> 16 == 0o755
            assert bundle.read(program).startswith(b"#!/usr/bin/env bash\n")
        bundle.extractall(tmp_path / "source")
    assert "grading/on_gradescope.py" in names
    assert not any("resnet_edu" in name or name.endswith(".md") for name in names)
    # Each module of the bundle finds what it imports in the bundle.
    inside = {name.partition("/")[2].removesuffix(".py") for name in names if "/" in name}
    for name in inside - {"__init__"}:
        text = (tmp_path / "source/grading" / f"{name}.py").read_text(encoding="utf-8")
        for line in text.splitlines():
            if line.startswith("from grading import "):
                assert set(line.removeprefix("from grading import ").split(", ")) <= inside
            assert not line.startswith(("from resnet_edu", "import resnet_edu", "from torchvision"))


def test_what_gradescope_is_told_adds_up(first):
    grade = first.key.blank()
    for part in grade.parts["stem"].values():
        part.right, part.said = True, "right"
    told = on_gradescope.results(first.key, grade)
    assert sum(test["score"] for test in told["tests"]) == STEM
    assert sum(test["max_score"] for test in told["tests"]) == ALL
    assert json.loads(json.dumps(told)) == told
