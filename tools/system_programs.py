"""Find the system programs that pip cannot bring, and install what is missing where that is allowed.

    python tools/system_programs.py dot chromium node

Exits 0 once all are there. Where it may not install (no root, no passwordless sudo, no package manager
it knows), it prints the one command that does and exits 1. Standard library only: it runs before the
virtual environment exists, which is also why no library does it.
"""

import os
import shutil
import subprocess
import sys

# What each program is called on the path, and its package for each package manager.
PROGRAMS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "dot": (("dot",), dict.fromkeys(("apt-get", "dnf", "pacman", "zypper", "apk", "brew"), "graphviz")),
    "chromium": (
        ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
        {**dict.fromkeys(("apt-get", "dnf", "pacman", "zypper", "apk"), "chromium"), "brew": "--cask google-chrome"},
    ),
    "node": (
        ("node", "nodejs"),
        {**dict.fromkeys(("apt-get", "dnf", "pacman", "zypper", "apk"), "nodejs"), "brew": "node"},
    ),
}
INSTALL = {
    "apt-get": "apt-get install -y --no-install-recommends",
    "dnf": "dnf install -y",
    "pacman": "pacman -S --noconfirm",
    "zypper": "zypper --non-interactive install",
    "apk": "apk add",
    "brew": "brew install",
}
# Browsers that macOS keeps outside the path.
MAC_BROWSERS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def find(program: str) -> str | None:
    """The full path of a program, under any of the names it goes by; None if it is not here."""
    for name in PROGRAMS[program][0]:
        if path := shutil.which(name):
            return path
    if program == "chromium":
        return next((path for path in MAC_BROWSERS if os.path.exists(path)), None)
    return None


def install_command(missing: list[str]) -> list[str] | None:
    """The command, with sudo where it is needed, that installs the missing programs; None if none is known."""
    manager = next((name for name in INSTALL if shutil.which(name)), None)
    if manager is None:
        return None
    packages = [word for program in missing for word in PROGRAMS[program][1][manager].split()]
    sudo = [] if manager == "brew" or os.geteuid() == 0 else ["sudo"]
    return [*sudo, *INSTALL[manager].split(), *packages]


def may_run(command: list[str]) -> bool:
    """Whether the command can run without asking anybody for a password."""
    if command[0] != "sudo":
        return True
    if shutil.which("sudo") is None:
        return False
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0


def main(programs: list[str]) -> int:
    missing = [program for program in programs if find(program) is None]
    if not missing:
        return 0
    command = install_command(missing)
    if command is None:
        print(
            f"Missing: {', '.join(missing)}. Install them with your system's package manager and run make again.",
            file=sys.stderr,
        )
        return 1
    if may_run(command):
        print(f"Installing {', '.join(missing)}: {' '.join(command)}", flush=True)
        if "apt-get" in command:  # a fresh machine or container has no package lists yet
            subprocess.run([*command[: command.index("apt-get")], "apt-get", "update", "-qq"], check=False)
        subprocess.run(command, check=False)
        if all(find(program) for program in missing):
            return 0
    print(
        f"Missing: {', '.join(program for program in missing if find(program) is None)}. "
        f"Install with\n\n    {' '.join(command)}\n\nand run make again.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
