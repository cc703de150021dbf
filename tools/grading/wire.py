"""The lines that come out of a learner's process: numbers and nothing else, so that there is nothing to forge.

A line is one of

    at stem                                 what runs now: a cell's or a question's name
    value stem eval float32 2x24x8x8 9a99…  the numbers of one part, as bytes in hexadecimal
    error stem 4e616d65…                    the words of an error, as bytes in hexadecimal
    named stem relu-missing                 what the checker calls a mistake
    end                                     nothing more comes

No pickle and no JSON: whoever reads this has a pattern for each line, knows beforehand how many bytes to expect, and
takes the first line for each part. What does not fit a pattern is counted and thrown away. Standard library only.
"""

import re
from dataclasses import dataclass, field

SIZES = {"float32": 4, "float64": 8, "int64": 8}
#: More than any lab sends; a process that sends more is ended.
MOST = 8 << 20
WORDS = 600  # of an error

_LINE = re.compile(
    rb"(?:at (?P<at>[\w.-]{1,60})"
    rb"|value (?P<question>[\w-]{1,40}) (?P<part>[\w-]{1,40}) (?P<type>float32|float64|int64) "
    rb"(?P<shape>\d{1,7}(?:x\d{1,7}){0,5}|-) (?P<bytes>[0-9a-f]*)"
    rb"|error (?P<where>[\w.-]{1,60}) (?P<words>[0-9a-f]{0,4800})"
    rb"|named (?P<what>[\w-]{1,40}) (?P<mistake>[a-z0-9-]{1,60})"
    rb"|(?P<end>end))"
)


@dataclass(frozen=True)
class Value:
    """The numbers of one part, still as bytes."""

    type: str
    shape: tuple[int, ...]
    data: bytes


@dataclass
class Heard:
    """What a process has said so far."""

    at: str = ""
    values: dict[tuple[str, str], Value] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)
    ended: bool = False
    #: Lines that fit no pattern, or repeat a part.
    noise: int = 0

    def take(self, line: bytes) -> None:
        """Read one line, without its end."""
        found = _LINE.fullmatch(line)
        if found is None:
            self.noise += 1
        elif found["at"]:
            self.at = found["at"].decode()
        elif found["question"]:
            key = found["question"].decode(), found["part"].decode()
            value = _value(found)
            if value is None or key in self.values:
                self.noise += 1
            else:
                self.values[key] = value
        elif found["where"]:
            words = found["words"]
            text = bytes.fromhex(words[: len(words) // 2 * 2].decode()).decode(errors="replace")
            self.errors.setdefault(found["where"].decode(), text[:WORDS])
        elif found["what"]:
            names = self.named.setdefault(found["what"].decode(), [])
            if len(names) < 3:
                names.append(found["mistake"].decode())
        else:
            self.ended = True


def _value(found: re.Match[bytes]) -> Value | None:
    kind, shape = found["type"].decode(), found["shape"].decode()
    sides = () if shape == "-" else tuple(int(side) for side in shape.split("x"))
    count = SIZES[kind]
    for side in sides:
        count *= side
    if len(found["bytes"]) != 2 * count:
        return None
    return Value(kind, sides, bytes.fromhex(found["bytes"].decode()))


def value(question: str, part: str, kind: str, shape: tuple[int, ...], data: bytes) -> bytes:
    """A line with numbers.

    >>> heard = Heard()
    >>> heard.take(value("stem", "side", "int64", (), (56).to_bytes(8, "little")).rstrip())
    >>> heard.values["stem", "side"].data[0], heard.noise
    (56, 0)
    """
    sides = "x".join(map(str, shape)) or "-"
    return f"value {question} {part} {kind} {sides} {data.hex()}\n".encode()


def error(where: str, words: str) -> bytes:
    """A line with the words of an error."""
    return f"error {where} {words[:WORDS].encode(errors='replace')[: 4 * WORDS].hex()}\n".encode()
