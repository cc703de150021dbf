"""What a check says: passed or not, the mistake by name, and the sentences that help."""

import html
import re
import textwrap
from dataclasses import dataclass

_WIDTH = 96  # characters of a line of text


@dataclass(frozen=True)
class Feedback:
    """The answer of a check. True where the learner's code passed; prints as text, shows as HTML in a notebook.

    ``mistakes`` holds stable short names such as ``"relu-before-addition"``; it is empty where the code
    passed or matches no known mistake. ``printed`` is the beginning of what the learner's code printed.

    >>> feedback = Feedback("Stem", False, "The ReLU is missing.", ("relu-missing",))
    >>> bool(feedback), feedback.mistake
    (False, 'relu-missing')
    >>> print(feedback)
    ✗ Stem: not yet [relu-missing]
      The ReLU is missing.
    """

    contract: str
    passed: bool
    message: str
    mistakes: tuple[str, ...] = ()
    printed: str = ""

    @property
    def mistake(self) -> str | None:
        """The first of the mistakes."""
        return next(iter(self.mistakes), None)

    def __bool__(self) -> bool:
        return self.passed

    @property
    def _headline(self) -> str:
        return f"✓ {self.contract}: passed" if self.passed else f"✗ {self.contract}: not yet"

    def __str__(self) -> str:
        lines = [self._headline + (f" [{', '.join(self.mistakes)}]" if self.mistakes else "")]
        for paragraph in self.message.split("\n"):
            lines += textwrap.wrap(paragraph, _WIDTH, initial_indent="  ", subsequent_indent="  ")
        if self.printed:
            lines.append("  Your code printed:")
            lines += [f"    {line}" for line in self.printed.splitlines()]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        # Colored by a bar only: text and background are the page's own, in light and in dark mode.
        color = "var(--re-pass, #1a7f37)" if self.passed else "var(--re-fail, #bc4c00)"
        names = "".join(f" <code>{html.escape(name)}</code>" for name in self.mistakes)
        paragraphs = [_inline(paragraph) for paragraph in self.message.split("\n") if paragraph.strip()]
        message = "".join(f'<p style="margin: 0.4em 0">{paragraph}</p>' for paragraph in paragraphs)
        printed = html.escape(self.printed)
        if printed:
            summary = "<details><summary>What your code printed</summary>"
            printed = f'{summary}<pre style="white-space: pre-wrap">{printed}</pre></details>'
        return (
            f'<div class="re-feedback" role="status" style="border-left: 0.35em solid {color}; padding: 0.3em 0 0.3em '
            f'0.9em; margin: 0.6em 0; max-width: 46em; line-height: 1.5"><div><strong>{html.escape(self._headline)}'
            f"</strong>{names}</div>{message}{printed}</div>"
        )


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
