"""What runs on GitHub, as far as it can be tried here."""

import os
import re
import subprocess
from pathlib import Path

import offline
import pdf
import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
EVERY = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


@EVERY
def test_actions_are_pinned_and_jobs_may_do_no_more_than_they_need(path):
    text = path.read_text(encoding="utf-8")
    used = re.findall(r"uses: *(\S+)", text)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"]
        # Where others' code runs, nothing can be written to the repository.
        if any("pip install" in step.get("run", "") or "make" in step.get("run", "") for step in job["steps"]):
            assert job.get("permissions", {}).get("contents", "read") == "read"


@EVERY
def test_what_a_workflow_makes_is_a_target(path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
        for step in job["steps"]:
            for made in re.findall(r"^make ([^#\n]+)", step.get("run", ""), re.MULTILINE):
                assert set(made.split()) <= targets


def test_a_release_carries_the_book_to_open_and_the_book_to_print():
    jobs = yaml.safe_load((ROOT / ".github/workflows/publish.yml").read_text(encoding="utf-8"))["jobs"]
    both = {f"{offline.NAME}.zip", f"{pdf.NAME}.pdf"}
    (kept,) = [step["with"] for step in jobs["build"]["steps"] if step.get("with", {}).get("name") == "offline"]
    assert {Path(path).name for path in kept["path"].split()} == both
    assert set(jobs["release"]["steps"][-1]["run"].split()[-2:]) == both


def test_each_publication_leaves_only_its_own_notebooks_on_their_branch(tmp_path):
    job = yaml.safe_load((ROOT / ".github/workflows/publish.yml").read_text(encoding="utf-8"))["jobs"]["notebooks"]
    (script,) = [step["run"] for step in job["steps"] if "run" in step]

    def git(*arguments):
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        return subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    git("init", "--quiet", "--bare", "remote")
    git("clone", "--quiet", "remote", "author")
    (tmp_path / "author/book").mkdir()
    for name in ("book/01.md", "README.md", ".gitignore"):
        (tmp_path / "author" / name).write_text("*.ipynb\n", encoding="utf-8")
    git("-C", "author", "add", ".")
    git("-C", "author", "commit", "--quiet", "-m", "the book")
    git("-C", "author", "push", "--quiet", "origin", "HEAD:main")
    for name in ("01", "02"):
        git("clone", "--quiet", "--depth=1", "--branch=main", (tmp_path / "remote").as_uri(), name)
        (tmp_path / name / "new/book").mkdir(parents=True)
        (tmp_path / name / f"new/book/{name}.ipynb").write_text("{}", encoding="utf-8")
        subprocess.run(
            ["bash", "-e", "-c", script], cwd=tmp_path / name, check=True, env={**os.environ, "GITHUB_SHA": name}
        )
        assert git("-C", "remote", "ls-tree", "-r", "--name-only", "notebooks").split() == [f"book/{name}.ipynb"]
        assert git("-C", "remote", "log", "--format=%s", "notebooks").splitlines() == [f"Notebooks of {name}"]
    assert len(git("-C", "remote", "ls-tree", "-r", "--name-only", "main").split()) == 3
