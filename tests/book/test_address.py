"""Where a copy of the book lives follows from where it is built."""

import doctest
import subprocess

import address
import pytest

ON_GITHUB = {"GITHUB_REPOSITORY": "bob/book", "GITHUB_SERVER_URL": "https://github.com"}


@pytest.fixture
def copy(tmp_path):
    """A copy of the book without its history; `copy(remote)` makes a clone of it."""
    (tmp_path / "_config.yml").write_text(
        "repository: {url: https://github.com/YOUR_NAME/resnet-edu}", encoding="utf-8"
    )

    def clone(remote):
        subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
        subprocess.run(["git", "remote", "add", "origin", remote], cwd=tmp_path, check=True)
        return tmp_path

    clone.root = tmp_path
    return clone


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/ada/resnet-edu",
        "https://github.com/ada/resnet-edu.git",
        "https://ada@github.com/ada/resnet-edu.git",
        "git@github.com:ada/resnet-edu.git",
        "ssh://git@github.com/ada/resnet-edu/",
    ],
)
def test_a_clone_carries_its_remotes_address(copy, remote):
    assert address.home(copy(remote), {}) == ("https://github.com/ada/resnet-edu", "notebooks")


@pytest.mark.parametrize(
    "remote", ["https://gitlab.com/ada/resnet-edu", "/srv/git/resnet-edu", "https://notgithub.com/a/b"]
)
def test_a_clone_from_elsewhere_has_the_address_in_the_configuration(copy, remote):
    root = copy(remote)
    url, branch = address.home(root, {})
    assert (url, branch) == ("https://github.com/YOUR_NAME/resnet-edu", "main")
    assert not address.known(url)
    (root / "_config.yml").write_text(
        "repository: {url: https://gitlab.com/ada/book/, branch: spring}", encoding="utf-8"
    )
    assert address.home(root, {}) == ("https://gitlab.com/ada/book", "spring")


def test_a_workflow_knows_better_than_the_remote(copy):
    assert address.home(copy("https://github.com/ada/resnet-edu"), ON_GITHUB)[0] == "https://github.com/bob/book"


def test_a_book_inside_another_project_does_not_take_the_projects_address(copy):
    inside = copy("https://github.com/ada/course") / "book"
    inside.mkdir()
    (inside / "_config.yml").write_bytes((copy.root / "_config.yml").read_bytes())
    assert not address.known(address.home(inside, ON_GITHUB)[0])
    assert not address.known(address.home(inside, {})[0])


def test_without_git_the_configuration_counts(copy, monkeypatch):
    root = copy("https://github.com/ada/resnet-edu")
    monkeypatch.setattr(address.shutil, "which", lambda _: None)
    assert not address.known(address.home(root, {})[0])
    assert address.commit(root) == ""


def test_the_examples_in_the_docstrings():
    assert doctest.testmod(address).attempted
    assert doctest.testmod(address).failed == 0
