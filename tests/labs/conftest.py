"""What the tests of the labs share: each lab, made for one class."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from grading import grader, master, notebook, walls
from handed_in import Kinds

SEED = "a class"


@dataclass(frozen=True)
class Made:
    """A lab, its key as it is after JSON, its student's notebook, and the grader's key with secrets drawn."""

    lab: master.Lab
    raw: dict[str, Any]
    text: str
    key: grader.Key

    @property
    def kinds(self) -> Kinds:
        return Kinds(self.text, self.raw)


@cache
def made(number: str, seed: str = SEED) -> Made:
    lab = master.read(master.masters()[number], seed)
    raw = json.loads(json.dumps(lab.key()))
    return Made(lab, raw, notebook.student(lab), grader.Key(raw, "secret"))


@pytest.fixture(params=sorted(master.masters()))
def lab(request: pytest.FixtureRequest) -> Made:
    """Each lab in turn."""
    return made(request.param)


@pytest.fixture
def first() -> Made:
    """The first lab."""
    return made("1")


@pytest.fixture(scope="session")
def bubblewrap() -> walls.Wall:
    """The wall that `make test` can have without a container engine; tests that need it are skipped where it fails."""
    try:
        return walls.choose("bubblewrap")
    except walls.NoWallError as error:
        pytest.skip(str(error))
