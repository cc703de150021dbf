"""Which functions of the package are called, in this process and in those that it starts: for tools/mutants.py.

Not coverage.py: whole functions are enough to choose tests by, cost a tenth, and still hold when lines move.
"""

import os
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType

HOUSE = str(Path(__file__).parent.parent / "resnet_edu")
STARTED = """import os, sys, runpy
if "CALLED" in os.environ:
    sys.path.append({tools!r})
    import called
    called.Calls(started=True).follow()
"""


class Calls:
    """The functions called since `clear`, each as `file in the package:qualified name`."""

    def __init__(self, started: bool = False) -> None:
        self.names: set[str] = set()
        self._known: dict[CodeType, str | None] = {}
        self._started = started

    def follow(self) -> None:
        """Begin; threads that start later are followed, too, and so are forks."""
        os.register_at_fork(after_in_child=self._begin_as_a_fork)
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def clear(self) -> None:
        self.names = set()

    def _begin_as_a_fork(self) -> None:
        self.names, self._started = set(), "CALLED" in os.environ

    def _trace(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if code not in self._known:
            self._known[code] = name_of(code)
        name = self._known[code]
        if name and name not in self.names:
            self.names.add(name)
            if self._started:  # at once, since a process may be killed
                with open(os.environ["CALLED"], "a", encoding="utf-8") as file:
                    file.write(f"{name}\n")


def name_of(code: CodeType) -> str | None:
    """The function that a reader would name: lambdas, comprehensions and inner functions belong to the outer one."""
    if not code.co_filename.startswith(HOUSE) or code.co_name == "<module>":
        return None
    return f"{code.co_filename[len(HOUSE) + 1 :]}:{code.co_qualname.partition('.<locals>')[0]}"


def follow_what_starts(folder: Path) -> None:
    """Have the Python processes that this one starts write what they call into the file that CALLED names."""
    text = STARTED.format(tools=str(Path(__file__).parent))
    (folder / "sitecustomize.py").write_text(text, encoding="utf-8")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
