"""Where this copy of the book lives: the repository that it is built in, or the one that _config.yml names.

A fork publishes under its own address without editing a line: on GitHub the workflow's environment tells it, in a
clone git's own remote does. Why not Jupyter Book's setting alone: it is one line that every fork would have to edit.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml

#: The branch to which the publishing workflow writes the notebooks with their address in them.
NOTEBOOKS = "notebooks"


def configured(root: Path) -> tuple[str, str]:
    """The address and branch in _config.yml; a placeholder in a fresh copy."""
    repository = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]
    return repository["url"].rstrip("/"), repository.get("branch", "main")


def built_in(root: Path, environment: Mapping[str, str] = os.environ) -> str | None:
    """The address on GitHub of the repository in which the book is built; None where there is none.

    >>> built_in(Path("."), {"GITHUB_REPOSITORY": "ada/resnet-edu"})
    'https://github.com/ada/resnet-edu'
    """
    if name := environment.get("GITHUB_REPOSITORY"):
        return f"{environment.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}"
    asked = subprocess.run(
        ["git", "-C", root, "config", "--get", "remote.origin.url"], capture_output=True, text=True, check=False
    )
    found = re.fullmatch(r"(?:https://|git@|ssh://git@)github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?", asked.stdout.strip())
    return f"https://github.com/{found[1]}" if found else None


def address(root: Path, environment: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """Where the built pages say that they come from: address and branch."""
    url, branch = configured(root)
    return built_in(root, environment) or url, branch
