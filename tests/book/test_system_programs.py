"""The search for Graphviz, Chromium and node, on machines that differ in what they have and allow."""

import importlib.util
import os
from pathlib import Path

import pytest

PATH = Path(__file__).parent.parent.parent / "tools/system_programs.py"


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location("system_programs", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A path with nothing on it but the scripts that a test puts there, for a user without rights."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def put(name, script="exit 0"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return put


def test_silent_where_everything_is_there(tool, machine, capfd):
    machine("dot")
    machine("google-chrome")
    assert tool.main(["dot", "chromium"]) == 0
    assert capfd.readouterr() == ("", "")


def test_root_installs_what_is_missing(tool, machine, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    log = tmp_path / "log"
    machine(
        "apt-get", f'echo "$@" >> {log}\n[ "$1" = install ] && echo > {tmp_path}/dot && /bin/chmod +x {tmp_path}/dot'
    )
    assert tool.main(["dot"]) == 0
    assert log.read_text().splitlines() == ["update -qq", "install -y --no-install-recommends graphviz"]


def test_sudo_is_used_only_where_it_asks_nothing(tool, machine, capfd):
    machine("dnf", "echo installed")
    machine("sudo", "exit 1")  # sudo -n: a password is required
    assert tool.main(["dot", "node"]) == 1
    out, err = capfd.readouterr()
    assert "installed" not in out
    assert "sudo dnf install -y graphviz nodejs" in err


def test_a_failed_installation_is_reported_with_the_command(tool, machine, monkeypatch, capfd):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine("apk", "exit 1")
    assert tool.main(["chromium"]) == 1
    assert "apk add chromium" in capfd.readouterr().err


def test_an_unknown_machine_gets_one_sentence(tool, machine, monkeypatch, capfd):
    monkeypatch.setattr(tool, "MAC_BROWSERS", ())
    assert tool.main(["chromium"]) == 1
    out, err = capfd.readouterr()
    assert "chromium" in out + err
    assert "package manager" in out + err
