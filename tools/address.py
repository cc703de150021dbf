"""Where this copy of the book lives: the repository that it is built in, or else the one that _config.yml names.

A fork publishes under its own address without editing a line: on GitHub the workflow's environment tells the address,
in a clone git's own remote does. Why not Jupyter Book's setting alone: each fork would have to edit it, and each merge
from the original would fight over that line.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml

#: The branch to which the publishing workflow writes the notebooks with their address in them.
NOTEBOOKS = "notebooks"


def configured(root: Path) -> tuple[str, str]:
    """The address and branch in _config.yml, which may be the placeholder."""
    repository = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]
    return repository["url"].rstrip("/"), repository.get("branch", "main")


def known(url: str) -> bool:
    """Whether this is the address of a repository, and not the placeholder of a fresh copy."""
    return bool(url) and "YOUR_NAME" not in url


def built_in(root: Path, environment: Mapping[str, str] = os.environ) -> str | None:
    """The address on GitHub of the repository whose top folder is `root`; None where there is none."""
    if not (root / ".git").exists():  # a copy without its history, or a folder inside another project
        return None
    if name := environment.get("GITHUB_REPOSITORY"):
        return f"{environment.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}"
    found = on_github(git(root, "config", "--get", "remote.origin.url"))
    return f"https://github.com/{found}" if found else None


def on_github(remote: str) -> str | None:
    """Owner and name in one of the ways in which git writes a remote on GitHub; None for one elsewhere.

    >>> on_github("git@github.com:ada/resnet-edu.git")
    'ada/resnet-edu'
    """
    form = r"(?:https://(?:[^/@]+@)?|git@|ssh://git@)github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?"
    found = re.fullmatch(form, remote)
    return found[1] if found else None


def home(root: Path, environment: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """The address that the built pages carry, and the branch whose notebooks their buttons open in Colab."""
    url = built_in(root, environment)
    return (url, NOTEBOOKS) if url else configured(root)


def pages(url: str) -> str:
    """Where GitHub Pages serves the book of a repository.

    >>> pages("https://github.com/ada/resnet-edu"), pages("https://github.com/ada/ada.github.io")
    ('https://ada.github.io/resnet-edu', 'https://ada.github.io')
    """
    owner, name = url.rstrip("/").split("/")[-2:]
    site = f"{owner}.github.io"
    return f"https://{site}" if name.lower() == site.lower() else f"https://{site}/{name}"


def commit(root: Path) -> str:
    """The commit that is checked out, in full; empty where there is none."""
    return git(root, "rev-parse", "--verify", "--quiet", "HEAD")


def git(root: Path, *arguments: str) -> str:
    """What git answers, in one line; empty where it is not installed or knows no answer."""
    if not shutil.which("git"):
        return ""
    asked = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False)
    return asked.stdout.strip()
