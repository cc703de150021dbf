"""Installing the package into Colab's image must change nothing that is already there."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent.parent
IMAGE = dict(
    line.split("==")
    for line in (ROOT / "tests/book/colab-packages.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEEDED = [Requirement(line) for line in PROJECT["dependencies"]]


@pytest.mark.parametrize("requirement", NEEDED, ids=lambda r: r.name)
def test_colab_already_satisfies_every_dependency_but_torchinfo(requirement):
    if requirement.name == "torchinfo":
        # A single pure-Python package without dependencies of its own.
        assert "torchinfo" not in IMAGE
    else:
        assert requirement.specifier.contains(IMAGE[requirement.name])


def test_colabs_python_is_supported():
    assert SpecifierSet(PROJECT["requires-python"]).contains("3.13.15")
