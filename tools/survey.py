"""What stands in the chapters, read from their sources: concepts, figures, cells, questions, exercises.

The reference part lists them (tools/reference_extension.py), and tests ask whether anything is missing.
Why not Sphinx's own index: it knows where a word is marked, not whether a question asks for it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import directives as markup
import yaml
from docutils import nodes

FIGURES = ("diagrams.", "volumes.", "explorers.", "plots.", "plt.", "tables.")
#: The columns of the table of coverage: what a concept should have in its chapter.
KINDS = ("figure", "cell", "predict", "exercise")


@dataclass(frozen=True)
class Element:
    """A question, an exercise, a figure or a cell, and the words around it."""

    kind: str
    anchor: str
    """Where a link leads: the element's own id, or that of the section in which it stands."""
    title: str
    text: str
    minutes: int = 0
    difficulty: int = 0


@dataclass(frozen=True)
class Concept:
    """An entry of the glossary: all its names, its first sentence, and the chapter that explains it."""

    names: tuple[str, ...]
    sentence: str
    chapter: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        # A name in code is written with an underscore: receptive_field, cross_entropy.
        words = [re.sub(r"\\?[ _-]", "[ _-]", re.escape(name)) for name in sorted(self.names, key=len, reverse=True)]
        return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?:e?s)?(?!\w)", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """A question of the page of questions, and the places that answer it."""

    question: str
    places: tuple[tuple[str, str], ...]
    """Pages and ids of their headings, the place with the whole answer first."""


class Chapter:
    """The source of a chapter, taken apart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")

    @property
    def name(self) -> str:
        """As in `05_shortcuts`."""
        return self.path.stem

    @property
    def number(self) -> int:
        return int(self.name[:2])

    @cached_property
    def title(self) -> str:
        return next(line[2:].strip() for line in self.text.splitlines() if line.startswith("# "))

    @cached_property
    def elements(self) -> list[Element]:
        _, start = markup.front_matter(self.text)
        found: list[Element] = []
        counts = {"predict": 0, "exercise": 0}
        for section in self._sections(list(markup.parts(self.text.splitlines()[start:], start + 1))):
            prose = "\n".join(part for part in section if isinstance(part, str))
            heading = next(
                (part.lstrip("# ") for part in section if isinstance(part, str) and part.startswith("#")), ""
            )
            for part in section:
                if not isinstance(part, markup.Directive):
                    continue
                body = "\n".join([part.argument, *part.body])
                if part.name in counts:
                    counts[part.name] += 1
                    anchor = f"{part.name}-{self.name}-{counts[part.name]}"
                    head = markup.exercise(part) if part.name == "exercise" else None
                    title = head.title if head else part.argument
                    size = (head.minutes, head.difficulty) if head else (0, 0)
                    found.append(Element(part.name, anchor, title, f"{prose}\n{body}", *size))
                elif part.name == "code-cell":
                    tags = yaml.safe_load(part.options.get("tags", "[]"))
                    if "exercise" in tags and found:
                        found[-1] = replace(found[-1], text=f"{found[-1].text}\n{body}")
                    if "remove-cell" in tags or "exercise" in tags:
                        continue
                    drawn = "hide-input" in tags or any(call in body for call in FIGURES)
                    kind = "figure" if drawn else "cell"
                    found.append(Element(kind, anchor_of(heading), heading, f"{prose}\n{body}"))
                    if drawn and "hide-input" not in tags:
                        found.append(Element("cell", anchor_of(heading), heading, f"{prose}\n{body}"))
        return found

    @staticmethod
    def _sections(parts: list["str | markup.Directive"]) -> Iterator[list["str | markup.Directive"]]:
        section: list[str | markup.Directive] = []
        for part in parts:
            if isinstance(part, str) and re.match(r"##? ", part):
                yield section
                section = []
            section.append(part)
        yield section


def where(kind: str, concept: Concept, chapters: list[Chapter]) -> tuple[Chapter, Element] | None:
    """The first element of this kind that names the concept, itself or in the section around it.

    The chapter that explains the concept comes first, then the others in order.
    """
    for chapter in sorted(chapters, key=lambda chapter: chapter.name != concept.chapter):
        for element in chapter.elements:
            if element.kind == kind and concept.pattern.search(element.text):
                return chapter, element
    return None


def asking(chapter: Chapter, words: str) -> Element:
    """The one question or exercise of a chapter whose title holds these words.

    Raises LookupError where none or more than one does. Why not by its id: that counts, and another question may be
    put before it.
    """
    found = [each for each in chapter.elements if each.kind in ("predict", "exercise") and words in each.title]
    if len(found) != 1:
        raise LookupError(f"{len(found)} questions and exercises of {chapter.path.name} say {words!r}; one should")
    return found[0]


def anchor_of(heading: str) -> str:
    """The id that Sphinx gives to a heading; nothing for none."""
    return nodes.make_id(re.sub(r"[*`$\\]|\[|\]\([^)]*\)", "", heading))


def chapters(book: Path) -> list[Chapter]:
    """The numbered chapters in a folder, in order."""
    return [Chapter(path) for path in sorted(book.glob("[0-9][0-9]_*.md"))]


def asking_pages(book: Path) -> list[Chapter]:
    """The pages with a question or an exercise, the numbered chapters first."""
    pages = [Chapter(path) for path in sorted(book.glob("*.md"))]
    return [page for page in pages if any(element.kind in ("predict", "exercise") for element in page.elements)]


def concepts(glossary: Path) -> list[Concept]:
    """The entries of the glossary."""
    found: list[Concept] = []
    names: list[str] = []
    for part in markup.parts(glossary.read_text(encoding="utf-8").splitlines(), 1):
        if not isinstance(part, markup.Directive) or part.name != "glossary":
            continue
        for line in part.body:
            if line.startswith(" "):
                sentence, _, link = line.strip().partition(" → ")
                found.append(Concept(tuple(names), sentence, link.partition("(")[2].partition(".md")[0]))
                names = []
            elif line.strip():
                names.append(line.strip())
    return found


def asked(questions: Path) -> list[Asked]:
    """The questions that people ask, each a heading of the third level, with the links of its answer."""
    found = []
    for section in questions.read_text(encoding="utf-8").split("\n### ")[1:]:
        heading, _, answer = section.partition("\n")
        places = re.findall(r"\((\w+)\.md#([\w-]+)\)", re.split(r"\n## ", answer)[0])
        found.append(Asked(heading.strip(), tuple(places)))
    return found
