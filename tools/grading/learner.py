"""Runs in the learner's process: their cells first, then each question's probe, whose numbers go out.

    python -S learner.py FOLDER SITE

FOLDER holds `job.pt`: cells, probes, secret weights and inputs, limits. SITE is where torch lies. Nothing in this
process is to be believed, and nothing in it decides about points. It has no reference, and neither `resnet_edu` nor
`torchvision` is to be had here.
"""

import builtins
import contextlib
import io
import os
import re
import signal
import sys
import types
from collections.abc import Callable
from pathlib import Path

import limits
import wire

HERE = Path(__file__).parent  # `limits` and `wire` lie beside this file, in a folder of their own

#: What a learner may not have here. In a shut-in process it is not on the disk either.
WITHHELD = ("resnet_edu", "torchvision", "timm", "fvcore", "torchview")


class Withheld:
    """Says at an import what is withheld and why, and tells the grader, for the feedback.

    It stands first in `sys.meta_path`, where every spelling of an import passes. Learners' code can take it away
    there, so it hears Python's own audit events, too. That hook cannot be removed, and hears every import but those by
    `importlib.import_module`; so whoever took it away is told of, too.
    """

    def __init__(self, say) -> None:
        self.say = say
        sys.meta_path.insert(0, self)
        sys.addaudithook(self.hear)

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Part of Python's import: refuse these names, leave all others to the next finder."""
        if name.partition(".")[0] in WITHHELD:
            self.say(wire.error("withheld", name.partition(".")[0]))
            raise ModuleNotFoundError(
                f"{name} is not to be had while your work is graded: write it yourself", name=name
            )

    def hear(self, event: str, about: tuple) -> None:
        """Called by Python before each import of a module that is not loaded yet."""
        if event == "import":
            self.find_spec(about[0])

    def look(self) -> None:
        """Tell the grader if somebody has taken this out of `sys.meta_path`."""
        there = False
        with contextlib.suppress(BaseException):  # whatever lies there now
            there = any(one is self for one in sys.meta_path)
        if not there:
            self.say(wire.error("unguarded", "sys.meta_path"))


class Nowhere(io.TextIOBase):
    """Where prints go."""

    def write(self, text: str) -> int:
        """Forget it."""
        return len(text)


def only_way_out() -> Callable[[bytes], None]:
    """Send whatever is printed nowhere, and give the one function that still reaches the grader."""
    out = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)

    def say(line: bytes) -> None:
        while line:
            line = line[os.write(out, line) :]

    return say


def main(folder: Path, site: str) -> None:
    """Do the job, then end without running anything that the learner has left behind."""
    say = only_way_out()
    try:
        job = prepared(folder, site)
        withheld = Withheld(say)
    except BaseException as error:
        say(wire.error("start", told(error)))
        os._exit(1)
    given = run_cells(job, say, withheld.look)
    for task in job["tasks"]:
        answer(task, given(task["question"]), job["stage"], say)
        withheld.look()
    say(b"end\n")
    os._exit(0)


def prepared(folder: Path, site: str) -> dict:
    """Load torch and the job, then close the doors."""
    sys.path.append(site)
    import torch

    torch.set_num_threads(1)
    torch.set_num_threads = torch.set_num_interop_threads = lambda *_: None  # a second thread is not to be had
    job = torch.load(folder / "job.pt", weights_only=True)
    sys.path[:] = [path for path in sys.path if path != str(HERE)]
    sys.stdout = sys.stderr = Nowhere()
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    limits.bound(job["memory"], job["budget"], job["file"])
    if job["doors"]:
        limits.close_doors()
    return job


def run_cells(job: dict, say, after: Callable[[], None] = lambda: None) -> Callable[[str], dict]:
    """Run the learner's cells, each under its limit. What comes back tells what a question's answer defines.

    That is what stands there before the next question's cell runs, so that a name may be used again further down; and
    what is still open there may come later.
    """
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    given = module.__dict__
    given["__builtins__"] = builtins
    kept: dict = {}
    starts = {cell: question for question, cell in job["answers"].items()}
    current = ""

    def close() -> None:
        if current in job["instead"]:
            exec(compile(job["instead"][current], "solution", "exec"), given)
        kept[current] = {name: value for name, value in given.items() if value is not None}

    for name, source in job["cells"]:
        if name in starts:
            close()
            current = starts[name]
        say(f"at {name}\n".encode())
        limits.stage(job["stage"])
        try:
            exec(compile(source, name, "exec"), given)
        except BaseException as error:
            say(wire.error(name, told(error)))
        after()
    close()
    final = dict(given)

    def at(question: str) -> dict:
        # In place, since the learner's functions look up what they call in here.
        given.update({**final, **kept.get(question, {})})
        return given

    return at


def answer(task: dict, given: dict, seconds: float, say) -> None:
    """Run one probe with what the learner has defined, and send each part as soon as it is there."""
    import torch

    name = task["question"]
    say(f"at {name}\n".encode())
    limits.stage(seconds)
    try:
        torch.manual_seed(0)
        space: dict = {"__name__": "probe"}
        exec(compile(task["helpers"], "helpers", "exec"), space)
        exec(compile(task["probe"], "probe", "exec"), space)
        for part, value in space["probe"](types.SimpleNamespace(**given), types.SimpleNamespace(**task["secrets"])):
            say(encoded(name, part, value))
    except BaseException as error:
        say(wire.error(name, told(error)))


def encoded(question: str, part: str, value) -> bytes:
    """Numbers as a line: a tensor, or a number, or a list of numbers."""
    import torch

    if value is None:
        raise ValueError(f"`{part}` has no value yet")
    tensor = torch.as_tensor(value).detach().cpu().contiguous()
    kind = {torch.float32: "float32", torch.float64: "float64", torch.int64: "int64"}.get(tensor.dtype)
    if kind is None:
        tensor, kind = (tensor.double(), "float64") if tensor.is_floating_point() else (tensor.long(), "int64")
    return wire.value(question, part, kind, tuple(tensor.shape), tensor.numpy().tobytes())


def told(error: BaseException) -> str:
    """An error in a line, without addresses, which differ from run to run."""
    words = "(no words)"
    with contextlib.suppress(BaseException):
        words = str(error)
    trace, line = error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith("cell"):
            line = f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return re.sub(r"0x[0-9a-f]{6,}", "0x…", f"{type(error).__name__}: {words}{line}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
