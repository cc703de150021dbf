"""Points for one submission: the learner's numbers against the reference's, in a process that never ran their code."""

import contextlib
import math
import types
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from grading import difference, secrets, walls, wire
from grading.submission import Submission

HELPERS = (Path(__file__).parent / "helpers.py").read_text(encoding="utf-8")
#: Beginnings again after a process was ended, without what ended it.
AGAIN = 5
#: Single precision, in another order of sums.
RELATIVE, ABSOLUTE = 1e-3, 1e-4

REASONS = {
    "clock": "It did not come back in time: something waits or sleeps.",
    "time": "It computed longer than allowed. Look for a loop that never ends.",
    "flood": "It sent far more numbers than asked for.",
    "crash": "Python itself was ended here ({detail}).",
    "left": "The process was left here (`exit`, `os._exit`), and with it what would have come.",
}
#: What the learner's process tells of itself, for the teacher.
TOLD = {
    "withheld": "Tried to import {}, which is not there.",
    "unguarded": "Took away the guard that the grader had put into {}, where Python looks for what it imports.",
}


@dataclass
class Part:
    """One part of a question: its points, and whether the numbers agree."""

    points: int
    right: bool = False
    said: str = "missing"  # "right", "differs", "shape", "missing"
    hint: str = ""  # in what way the numbers differ


@dataclass
class Grade:
    """What the grader found: the parts of each question, and words for the feedback page."""

    parts: dict[str, dict[str, Part]]
    words: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    named: dict[str, list[str]] = field(default_factory=dict)

    def points(self, question: str) -> int:
        """Points of a question."""
        return sum(part.points for part in self.parts[question].values() if part.right)

    @property
    def total(self) -> int:
        """Points of the lab."""
        return sum(self.points(question) for question in self.parts)


@dataclass(frozen=True)
class Slip:
    """A known mistake, what to say about it, and the wrong numbers that come out of it, part by part."""

    name: str
    message: str
    numbers: Mapping[str, Tensor]


class Key:
    """A lab's key with secrets drawn for one run, and what the reference makes of them."""

    def __init__(self, key: Mapping[str, Any], seed: str) -> None:
        self.lab, self.title, self.mark = key["lab"], key["title"], key["mark"]
        self.questions: list[Mapping[str, Any]] = key["questions"]
        given: dict[str, Any] = {"__name__": "reference"}
        exec(compile(key["reference"], "reference", "exec"), given)
        self._given = given
        self.secrets: dict[str, dict[str, Any]] = {}
        self.expected: dict[str, dict[str, Tensor]] = {}
        self.slips: dict[str, list[Slip]] = {}
        for question in self.questions:
            name = question["name"]
            space: dict[str, Any] = dict(given)
            exec(question["secrets"], space)
            self.secrets[name] = space["secrets"](secrets.Draw(f"{seed} {name}")) if question["secrets"] else {}
            self.expected[name] = dict(self._probed(question, given))
            if self.expected[name].keys() != question["points"].keys():
                raise ValueError(
                    f"the question {name!r} gives points for {list(question['points'])}, its probe yields "
                    f"{list(self.expected[name])}"
                )
            self.slips[name] = self._slips(question)

    def _probed(self, question: Mapping[str, Any], names: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
        """What a question's probe makes of these names, part by part."""
        space = dict(self._given)
        exec(HELPERS, space)
        exec(question["probe"], space)
        torch.manual_seed(0)
        drawn = _copied(self.secrets[question["name"]])
        for part, value in space["probe"](types.SimpleNamespace(**names), types.SimpleNamespace(**drawn)):
            yield part, torch.as_tensor(value).detach().clone()

    def _slips(self, question: Mapping[str, Any]) -> list[Slip]:
        """The known mistakes of a question, each with the wrong numbers that it makes of the secrets."""
        found = []
        for name, message, source in question["slips"]:
            names, numbers = dict(self._given), {}
            with contextlib.suppress(Exception):
                exec(compile(source, "slip", "exec"), names)
                for part, value in self._probed(question, names):
                    if not _right(self.expected[question["name"]][part], value):
                        numbers[part] = value
            if numbers:
                found.append(Slip(name, message, numbers))
        return found

    def blank(self) -> Grade:
        """No points."""
        return Grade({q["name"]: {part: Part(points) for part, points in q["points"].items()} for q in self.questions})

    @property
    def most(self) -> int:
        """Points that can be had."""
        return sum(sum(question["points"].values()) for question in self.questions)


def _copied(value: Any) -> Any:
    """Secrets again, so that a probe that writes into them changes nobody else's."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


def grade(key: Key, handed: Submission, wall: walls.Wall, bounds: walls.Limits = walls.Limits()) -> Grade:  # noqa: B008
    """Run a submission behind the wall and compare what comes out."""
    result = key.blank()
    if handed.lab and handed.lab != key.lab:
        result.remarks.append(f"This is the notebook of another lab, not of {key.lab}.")
    elif handed.mark and handed.mark != key.mark:
        result.remarks.append("This notebook was made for another class: its numbers are not those asked for here.")
    left = {question["name"]: question for question in key.questions}
    numbers: dict[str, dict[str, Tensor]] = {name: {} for name in left}
    skipped: set[str] = set()
    checks = True  # run, too, since cells below may use their names; left out once one of them has ended the process
    noise = 0
    seconds = bounds.budget
    for _ in range(AGAIN):
        ended = _run(key, handed, list(left.values()), handed.without(skipped, checks), wall, bounds, seconds)
        heard, noise = ended.heard, noise + ended.heard.noise
        for (name, part), value in heard.values.items():
            if name not in left or part not in result.parts[name]:
                noise += 1
                continue
            expected, found = key.expected[name][part], numbers[name].setdefault(part, _numbers(value))
            said = compare(expected, value)
            hint = difference.sentence(expected, found, _agrees(expected, found)) if key.secrets[name] else ""
            result.parts[name][part] = Part(
                result.parts[name][part].points, said == "right", said, hint if said != "right" else ""
            )
        for where, text in heard.errors.items():
            if where in TOLD:
                remark = TOLD[where].format(text)
                result.remarks += [remark] if remark not in result.remarks else []
            else:
                _say(result, where, text)
        if ended.how == "done":
            break
        if ended.how == "flood":
            noise += 1
        reason = REASONS[ended.how].format(detail=ended.detail)
        if not heard.at:
            raise walls.NoWallError(f"The process behind the wall did not begin: {heard.errors.get('start', reason)}")
        _say(result, heard.at, reason)
        if heard.at.startswith("check.") and checks:
            checks = False
        elif heard.at in left:
            reached = [question["name"] for question in left.values()]
            for name in reached[: reached.index(heard.at) + 1]:
                del left[name]
        elif heard.at in {name for name, _ in handed.cells} - skipped:
            skipped.add(heard.at)
        else:
            break
        if not left:
            break
    _ask_again(key, handed, result, handed.without(skipped, checks), wall, bounds)
    if noise:
        result.remarks.append("Something wrote onto the way back that nobody had asked for. It counts for nothing.")
    for question in key.questions:
        name = question["name"]
        if all(part.said == "missing" for part in result.parts[name].values()):
            result.words.setdefault(name, ["No numbers came back."])
        elif result.points(name) < sum(question["points"].values()):
            _name(result, name, key.slips[name], numbers[name])
    return result


def _ask_again(
    key: Key, handed: Submission, result: Grade, cells: list[list[str]], wall: walls.Wall, bounds: walls.Limits
) -> None:
    """What builds on a wrong answer counts, too, if it is right with the solution in its place.

    Nothing is told of these runs but points: an error's words could carry the solution out.
    """
    numbers = {question["name"]: number for number, question in enumerate(key.questions, 1)}
    wrong = {q["name"] for q in key.questions if result.points(q["name"]) < sum(q["points"].values())}
    for question in key.questions:
        name = question["name"]
        builds_on = [used for used in question["uses"] if used in wrong & handed.answers.keys()]
        if name not in wrong or not builds_on:
            continue
        heard = _run(key, handed, [question], cells, wall, bounds, bounds.budget, builds_on).heard
        before = result.points(name)
        for part, found in result.parts[name].items():
            value = heard.values.get((name, part))
            if not found.right and value and compare(key.expected[name][part], value) == "right":
                found.right, found.said, found.hint = True, "right", ""
        if result.points(name) > before:
            told = " and ".join(str(numbers[used]) for used in builds_on)
            result.remarks.append(f"Question {numbers[name]} counts with the right answer to question {told} in place.")


class SelfTestError(Exception):
    """The grader does not give full marks to its own solution, so it may grade nobody."""


def prove(key: Key, raw: Mapping[str, Any], wall: walls.Wall, bounds: walls.Limits = walls.Limits()) -> None:  # noqa: B008
    """The reference, sent through the wall like a submission, has to get all points. Raises SelfTestError."""
    found = grade(key, Submission((("cell.1", raw["reference"]),), key.lab, key.mark), wall, bounds)
    if found.total < key.most:
        raise SelfTestError(
            f"Behind the wall `{wall.kind}` the lab's own solution gets {found.total} of {key.most} points, so nobody "
            f"is graded. {found.words} {' '.join(found.remarks)}"
        )


def _run(
    key: Key,
    handed: Submission,
    questions: list[Mapping[str, Any]],
    cells: list[list[str]],
    wall: walls.Wall,
    bounds: walls.Limits,
    seconds: float,
    instead: Collection[str] = (),
) -> walls.Ended:
    with walls.folder("learner.py", "limits.py", "wire.py") as place:
        job = {
            "cells": cells,
            "answers": handed.answers,
            "instead": {q["name"]: q["solution"] for q in key.questions if q["name"] in instead},
            "tasks": [
                {
                    "question": question["name"],
                    "probe": question["probe"],
                    "helpers": HELPERS,
                    "secrets": key.secrets[question["name"]],
                }
                for question in questions
            ],
            "memory": bounds.memory,
            "budget": seconds,
            "stage": bounds.stage,
            "file": bounds.file,
            "doors": walls.limits.known_machine(),
        }
        torch.save(job, place / "job.pt")
        (place / "job.pt").chmod(0o644)
        return walls.run(wall, place, "learner.py", bounds)


def _say(result: Grade, where: str, text: str) -> None:
    if where.startswith("check."):
        return  # a check gives no points, and stops where a cell above or a probe stops, too
    name = f"cell {where.removeprefix('cell.')}" if where.startswith("cell.") else where
    words = result.words.setdefault(name, [])
    if text not in words:
        words.append(text)


def compare(expected: Tensor, value: wire.Value) -> str:
    """Whether the numbers are the reference's: "right", "differs" or "shape".

    >>> compare(torch.tensor(56), wire.Value("int64", (), (56).to_bytes(8, "little")))
    'right'
    """
    agrees = _agrees(expected, _numbers(value))
    return "shape" if agrees is None else "right" if bool(agrees.all()) else "differs"


def _numbers(value: wire.Value) -> Tensor:
    kind = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64}[value.type]
    flat = torch.frombuffer(bytearray(value.data), dtype=kind) if value.data else torch.zeros(0, dtype=kind)
    return flat.reshape(value.shape)


def _name(result: Grade, question: str, slips: list[Slip], numbers: Mapping[str, Tensor]) -> None:
    """Tell the mistakes that make just these numbers, one for each part that is wrong."""
    told: set[str] = set()
    for slip in slips:
        if told.isdisjoint(slip.numbers) and all(
            part in numbers and _right(wrong, numbers[part]) for part, wrong in slip.numbers.items()
        ):
            told |= slip.numbers.keys()
            result.named.setdefault(question, []).append(f"[{slip.name}] {slip.message}")


def _right(expected: Tensor, found: Tensor) -> bool:
    agrees = _agrees(expected, found)
    return agrees is not None and bool(agrees.all())


def _agrees(expected: Tensor, found: Tensor) -> Tensor | None:
    """For each number in a row, whether it is the expected one; None in another shape."""
    if found.shape != expected.shape:
        return None
    theirs, ours = found.double().flatten(), expected.double().flatten()
    # Whole numbers are counted, so they are right or wrong.
    scale = float(ours.abs().max()) if ours.numel() else 0.0
    near = 0.0 if not expected.is_floating_point() else RELATIVE * ours.abs() + ABSOLUTE * max(scale, math.ulp(0.0))
    return torch.isfinite(theirs) & ((theirs - ours).abs() <= near)
