"""The walls around a learner's process, and what comes through: lines of `wire`, up to a length and a time.

- `bubblewrap`: a view of the disk with Python, torch, numpy and matplotlib in it and nothing else, read-only, with
  neither network nor other processes.
- `container`: the same from Docker or Podman, in an image that holds nothing else.
- `user`: another user's process, for a server that gives each submission a machine of its own (Gradescope). Needs root.
- `none`: a process of your own account, which can read what you can read. Only for submissions that you have read.

In all of them `limits` closes doors from inside: no processes, no sockets, so much memory and time.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement

from grading import limits, wire

HERE = Path(__file__).parent
#: What a learner may import, with all that it needs.
PACKAGES = ("torch", "numpy", "matplotlib", "tqdm")
#: What of them holds residual blocks: torch's own tests.
HIDDEN = ("torch/testing/_internal/common_quantization.py",)
IMAGE = "resnet-labs-learner"
NOBODY = 65534
CLEAN = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "MPLCONFIGDIR": "/tmp", "OMP_NUM_THREADS": "1"}


class NoWallError(Exception):
    """Why there is no wall here, and what to do."""


@dataclass(frozen=True)
class Limits:
    """What one run may take: seconds of computing for a cell or question and for all, bytes, seconds by the clock.

    The clock is generous, for a machine may be busy; `asleep` are seconds in which the process neither computes nor
    waits for a processor.
    """

    stage: float = 10
    budget: float = 60
    memory: int = 2 << 30
    file: int = 16 << 20
    clock: float = 600
    asleep: int = 10


@dataclass
class Ended:
    """What a process said, and how it ended: "done", "clock", "flood", "time", "crash" or "left"."""

    heard: wire.Heard = field(default_factory=wire.Heard)
    how: str = "done"
    detail: str = ""


@dataclass(frozen=True)
class Wall:
    """One way to shut a process in. `site` is where its packages lie, as it sees them."""

    kind: str
    program: str = ""
    site: str = "/site"

    def command(self, folder: Path, script: str, extra: tuple[tuple[Path, str], ...] = ()) -> list[str]:
        """The command that runs a script of `folder` inside; `extra` are further folders, and where they appear."""
        if self.kind == "bubblewrap":
            return [*_bubblewrap(self.program), *_bound(extra), *_start(folder, script, self.site)]
        if self.kind == "container":
            mounts = [part for source, at in ((folder, "/job"), *extra) for part in ("-v", f"{source}:{at}:ro")]
            return [
                *_container(self.program),
                *mounts,
                IMAGE,
                "python",
                "-S",
                "-B",
                f"/job/{script}",
                "/job",
                self.site,
            ]
        return [sys.executable, "-S", "-B", str(folder / script), str(folder), self.site]


def choose(kind: str = "") -> Wall:
    """The wall that is to be had here, or the one that is asked for. Raises NoWallError."""
    if kind == "none":
        return Wall("none", site=_here())
    if not limits.known_machine():
        raise NoWallError(
            f"Walls need Linux on x86-64 or 64-bit ARM; this is {platform.system()} {platform.machine()}."
        )
    if kind == "user":
        if os.geteuid() != 0:
            raise NoWallError("The wall `user` needs root: it gives the learner's process to another user.")
        return Wall("user", site=_here())
    reasons = []
    # Bubblewrap first: it starts at once and needs no image.
    if kind in ("", "bubblewrap"):
        program = shutil.which("bwrap")
        trouble = "bubblewrap is not installed (Debian, Ubuntu: apt-get install bubblewrap)"
        if program and not (trouble := _trouble(program)):
            return Wall("bubblewrap", program)
        reasons.append(trouble)
    if kind in ("", "container"):
        missing = "no container engine answers"
        for engine in ("podman", "docker"):
            program = shutil.which(engine)
            if program and subprocess.run([program, "info"], capture_output=True, check=False).returncode == 0:
                if subprocess.run([program, "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
                    missing = f"{engine} runs, but has no image of that name ({engine} build -t {IMAGE} labs/)"
                    continue
                return Wall("container", program, site="/usr/local/lib/python3.12/site-packages")
        reasons.append(missing)
    raise NoWallError("No wall to run students' code behind: " + "; ".join(reasons) + ".")


def _here() -> str:
    """The folder in which this Python finds torch, and what torch needs."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        raise NoWallError("PyTorch is not installed for this Python.")
    return str(Path(found.origin).parent.parent)


def _trouble(program: str) -> str:
    """Why bubblewrap does not work here, "" if it does."""
    tried = subprocess.run([*_bubblewrap(program), "/usr/bin/true"], capture_output=True, text=True, check=False)
    if tried.returncode == 0:
        return ""
    words = (tried.stderr.strip().splitlines() or ["no reason given"])[-1]
    return f"bubblewrap is installed but may not make its walls here ({words})"


@cache
def packages() -> tuple[str, ...]:
    """The files and folders of site-packages that a learner may see, by name."""
    wanted, seen, names = list(PACKAGES), set(), set()
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            package = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # needed on other systems only, or not installed
        names |= {file.parts[0] for file in package.files or () if file.parts[0] not in ("..", "__pycache__")}
        for line in package.requires or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                wanted.append(need.name)
    return tuple(sorted(name for name in names if not name.endswith(".pth")))


def _bubblewrap(program: str) -> list[str]:
    base, here = Path(sys.base_prefix), Path(_here())
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    words = [
        program,
        "--unshare-all",
        "--unshare-user",
        "--uid",
        str(NOBODY),
        "--gid",
        str(NOBODY),
        "--cap-drop",
        "ALL",
    ]
    words += ["--die-with-parent", "--new-session", "--clearenv", "--hostname", "learner", "--ro-bind", "/usr", "/usr"]
    for name in ("lib", "lib64", "bin"):
        place = Path("/", name)
        if place.is_symlink():
            words += ["--symlink", os.readlink(place), str(place)]
        elif place.exists():
            words += ["--ro-bind", str(place), str(place)]
    if Path("/etc/ld.so.cache").exists():
        words += ["--ro-bind", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    if not base.is_relative_to("/usr"):
        words += ["--ro-bind", str(base), str(base)]
    # Whatever else is installed for this Python, or for the system's, is not to be read.
    folders = {base / "lib" / version / "site-packages"}
    for root in (Path("/usr/lib"), Path("/usr/lib64"), Path("/usr/local/lib")):
        folders |= {folder for pattern in ("site", "dist") for folder in root.glob(f"python3*/{pattern}-packages")}
    for folder in sorted(folders):
        if folder.is_dir():
            words += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    for name in packages():
        if (here / name).exists():
            words += ["--ro-bind", str(here / name), f"/site/{name}"]
    for name in HIDDEN:
        if (here / name).exists():
            words += ["--ro-bind", os.devnull, f"/site/{name}"]
    words += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    words += ["--size", str(64 << 20), "--tmpfs", "/tmp", "--chdir", "/tmp"]
    for name, value in CLEAN.items():
        words += ["--setenv", name, value]
    return words


def _bound(extra: tuple[tuple[Path, str], ...]) -> list[str]:
    return [word for source, at in extra for word in ("--ro-bind", str(source), at)]


def _start(folder: Path, script: str, site: str) -> list[str]:
    python = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    run = [str(python), "-S", "-B", f"/job/{script}", "/job", site]
    return ["--ro-bind", str(folder), "/job", "--remount-ro", "/", *run]


def _container(program: str) -> list[str]:
    words = [
        program,
        "run",
        "--rm",
        "--network",
        "none",
        "--read-only",
        "--tmpfs",
        "/tmp:size=64m",
        "--workdir",
        "/tmp",
    ]
    words += ["--memory", "4g", "--memory-swap", "4g", "--pids-limit", "32", "--cap-drop", "ALL"]
    words += ["--security-opt", "no-new-privileges", "--user", f"{NOBODY}:{NOBODY}", "--name", _name()]
    return words


def _name() -> str:
    return f"resnet-labs-{os.getpid()}-{time.monotonic_ns()}"


@contextlib.contextmanager
def folder(*scripts: str) -> Iterator[Path]:
    """A fresh folder with these scripts of this package in it, which others may read."""
    with tempfile.TemporaryDirectory(prefix="resnet-lab-") as made:
        place = Path(made)
        place.chmod(0o755)
        for name in scripts:
            shutil.copy(HERE / name, place / name)
            (place / name).chmod(0o644)
        yield place


def run(wall: Wall, place: Path, script: str, bounds: Limits, extra: tuple[tuple[Path, str], ...] = ()) -> Ended:
    """Run a script of a folder behind the wall and listen to it, until it ends or has to be ended."""
    command = wall.command(place, script, extra)
    as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if wall.kind == "user" else {}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=CLEAN if wall.kind != "container" else None,
        cwd="/tmp" if wall.kind == "user" else None,
        start_new_session=True,
        **as_nobody,
    )
    ended = Ended()
    try:
        ended.how = _listen(process, ended.heard, bounds, watched=wall.kind != "container")
    finally:
        if wall.kind == "container":
            name = command[command.index("--name") + 1]
            subprocess.run([wall.program, "kill", name], capture_output=True, check=False)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # bubblewrap takes everything inside with it
        process.kill()
        status = process.wait()
        assert process.stdout is not None
        process.stdout.close()
    if ended.how == "done" and not ended.heard.ended:
        number = -status if status < 0 else status - 128 if status > 128 else 0
        ended.how = {0: "left", signal.SIGXCPU: "time", signal.SIGKILL: "time"}.get(number, "crash")
        ended.detail = signal.Signals(number).name if number in {one.value for one in signal.Signals} else str(status)
    return ended


def _listen(process: subprocess.Popen[bytes], heard: wire.Heard, bounds: Limits, watched: bool) -> str:
    assert process.stdout is not None
    pipe, rest, total = process.stdout.fileno(), b"", 0
    deadline, asleep, before = time.monotonic() + bounds.clock, 0, -1.0
    while time.monotonic() < deadline:
        if not select.select([pipe], [], [], 1)[0]:
            # Silent for a second: it computes, or waits for a processor, or sleeps. Only the last is a fault.
            # A container's processes are not below ours, so there only the clock tells.
            state, computed = _doing(process.pid) if watched else ("", 0.0)
            asleep = asleep + 1 if state == "S" and computed == before else 0
            before = computed
            if asleep >= bounds.asleep:
                return "clock"
            continue
        data = os.read(pipe, 1 << 16)
        if not data:
            # The pipe is closed; the process may still be on its way out, or pretend to be.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
                return "done"
            return "clock"
        total, asleep = total + len(data), 0
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            heard.take(line)
        if heard.ended:
            return "done"
        if total > wire.MOST:
            return "flood"
    return "clock"


def _doing(pid: int) -> tuple[str, float]:
    """The state of the innermost process below this one, as the kernel writes it, and how long it has computed."""
    try:
        while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            pid = int(children[0])
        _, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")
        fields = rest.split()
        return fields[0], float(fields[11]) + float(fields[12])
    except (OSError, ValueError, IndexError):
        return "", 0.0
