"""The sentences that all checks share: of errors, and of things seen directly, whatever the numbers.

They stand in ``sentences.txt``, in rows. A row has the name of a mistake (- if none), or several, and below them our
words. With a kind of error and a pattern of what Python or torch says it is told of such an error, the first that
fits. Then {1} is the first group of the pattern, and a row speaks only where all that it mentions is known.
"""

import builtins
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _rows() -> list[tuple[str, str, str, str]]:
    """Name, kind of error and pattern (or none), words."""
    table = Path(__file__).with_name("sentences.txt").read_text(encoding="utf-8")
    return [
        (name, kind.strip(), pattern[1:], " ".join(words.split()))
        for heads, words in re.findall(r"((?:^\S.*\n)+)((?:^    .*\n)+)", table, re.MULTILINE)
        for name, _, rest in (head.partition(":") for head in heads.splitlines())
        for kind, _, pattern in [rest.partition(":")]
    ]


def said(name: str, /, **values: Any) -> tuple[str, str]:
    """What to say of something seen directly, and its name."""
    words = next(words for row, kind, _, words in _rows() if row == name and not kind)
    return words.format(**values), name


def of_errors() -> Iterator[tuple[str, type[BaseException], str, str]]:
    """What to say of errors: the name of the mistake, the kind, the pattern, and the words."""
    return ((name, getattr(builtins, kind), pattern, words) for name, kind, pattern, words in _rows() if kind)
