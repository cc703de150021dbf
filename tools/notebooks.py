"""Write the notebook of each chapter, for Colab, from its source.

    python tools/notebooks.py            write book/NN_name.ipynb beside each book/NN_name.md
    python tools/notebooks.py --check    change nothing; fail if a notebook does not follow its source

What Colab cannot draw becomes Markdown and HTML that it can: questions and hints unfold, citations link to the
paper and cross-references to the published page, an exercise is a starter and a folded solution, lines for a shell
begin with `!`. Hidden tests stay behind. The first cell installs the package from the address in _config.yml.

Why not jupytext or nbconvert: the one copies directives as they stand, which Colab shows as raw text, and the
other goes from notebooks to pages.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import directives as markup
import nbformat
import yaml
from markdown_it import MarkdownIt
from pybtex.database import Entry, parse_file
from pybtex.richtext import Text

ROOT = Path(__file__).parent.parent
# What a notebook leaves out: tests of the prose.
DROPPED = "remove-cell"
FOLDED = {"hide-input", "remove-input", "hide-cell"}
# What a folded cell shows, told by what it calls: its title is all that a reader of Colab sees before it has run.
SHOWN = {"explorers.": "explorer", "tables.": "table", "getsource(": "code", "def difference(": "check"}
ADMONITIONS = ("note", "tip", "important", "warning", "caution", "attention", "danger", "seealso")

SETUP = """\
#@title Set up: run me first
import importlib.util
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

REPOSITORY = "{url}"


def installed(package):
    try:
        return [f"{{package}}=={{version(package)}}"]
    except PackageNotFoundError:
        return []


if importlib.util.find_spec("resnet_edu"):
    print("resnet_edu is here. Go on.")
elif "YOUR_NAME" in REPOSITORY:
    print(
        "Nothing was installed: this copy of the book does not know its own address yet.\\n"
        "If you teach with it: put the address of your repository into _config.yml (repository: url:),\\n"
        "run `make notebooks`, and push. The button then works for everyone.\\n"
        "If you read it: clone the repository, run `make book`, and open this notebook from there."
    )
else:
    # The versions of PyTorch that are here are named, so that pip keeps them or stops.
    keep = installed("torch") + installed("torchvision")
    command = [sys.executable, "-m", "pip", "install", "--quiet", f"git+{{REPOSITORY}}@{branch}", *keep]
    if subprocess.run(command).returncode:
        print(f"pip could not install from {{REPOSITORY}}. Is there a network, and is the repository public?")
    else:
        importlib.invalidate_caches()
        print("resnet_edu is installed. Go on.")
"""


@dataclass(frozen=True)
class Book:
    """What every notebook needs to know about the book around it."""

    root: Path
    url: str
    branch: str
    bibliography: dict[str, Entry] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> "Book":
        config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
        repository = config["repository"]
        entries: dict[str, Entry] = {}
        for name in config.get("bibtex_bibfiles", []):
            entries.update(parse_file(str(root / name), bib_format="bibtex").entries)
        return cls(root, repository["url"].rstrip("/"), repository.get("branch", "main"), entries)

    @property
    def pages(self) -> str:
        """Where GitHub Pages serves the book."""
        owner, name = self.url.split("/")[-2:]
        return f"https://{owner}.github.io/{name}"

    def file(self, path: Path) -> str:
        """Where GitHub shows a file of the repository."""
        return f"{self.url}/blob/{self.branch}/{path.as_posix()}"

    def image(self, path: Path) -> str:
        """Where GitHub serves the bytes of a file."""
        return f"{self.url}/raw/{self.branch}/{path.as_posix()}"

    def sources(self) -> list[Path]:
        return sorted(
            path for path in (self.root / "book").glob("*.md") if markup.is_notebook(path.read_text(encoding="utf-8"))
        )


# ---------------------------------------------------------------------------------------------- Markdown

CODE_OR_ROLE_OR_LINK = re.compile(
    r"\{(?P<role>[\w:-]+)\}`(?P<inside>[^`]+)`"
    r"|(?P<code>(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+(?:\([^()\s]*\))?)\)"
)


class Chapter:
    """The source of one notebook while it is being rewritten."""

    def __init__(self, book: Book, path: Path) -> None:
        self.book, self.path = book, path
        self.text = path.read_text(encoding="utf-8")
        self.questions = self.exercises = 0
        labels = re.findall(r"^:label: *(\S+)|^\$\$ *\(([\w:-]+)\) *$", self.text, re.MULTILINE)
        self.equations = {first or second: number for number, (first, second) in enumerate(labels, 1)}

    def markdown(self, lines: list[str], line: int) -> str:
        """MyST Markdown as plain Markdown; `line` is the number of the first line in the file."""
        out: list[str] = []
        fence = ""
        shell = continued = False
        at = line
        for part in markup.parts(lines, line):
            if isinstance(part, markup.Directive):
                out.extend(self.directive(part).split("\n"))
                at = part.body_line + len(part.body) + 1
                continue
            opening = markup.FENCE.match(part)
            if fence:
                fence = "" if part.strip() == fence else fence
                command = shell and fence and part.strip() and not continued
                out.append(f"!{part}" if command else part)  # as a cell of a notebook takes it
                continued = part.endswith("\\")
            elif opening:
                fence, shell, continued = opening["fence"], opening["info"].strip() == "sh", False
                out.append(part)
            elif not re.match(r"^(%|\([\w:-]+\)=\s*$)", part):  # comments, and labels to refer to
                out.append(self.inline(part, at))
            at += 1
        return "\n".join(out).strip("\n")

    def inline(self, text: str, line: int) -> str:
        label = re.fullmatch(r"\$\$ *\(([\w:-]+)\) *", text)
        if label:
            return rf"\tag{{{self.equations[label[1]]}}}$$"
        return CODE_OR_ROLE_OR_LINK.sub(lambda found: self._inline(found, line), text)

    def _inline(self, found: re.Match[str], line: int) -> str:
        if found["code"]:
            return found[0]
        if found["role"]:
            return self.role(found["role"], found["inside"], line)
        text, target = found["text"], found["target"]
        if re.match(r"[a-z]+:", target):
            return found[0]
        if found["image"]:
            return f"![{text}]({self.book.image(self._local(target, line))})"
        return f"[{self.inline(text, line) or target}]({self.link(target, line)})"

    def _local(self, target: str, line: int) -> Path:
        path = (self.path.parent / target).resolve()
        if not path.exists() or not path.is_relative_to(self.book.root.resolve()):
            raise markup.MarkupError(f"the link leads to {target!r}, which is not in the repository", line)
        return path.relative_to(self.book.root.resolve())

    def link(self, target: str, line: int) -> str:
        """Where a link inside the book leads from a notebook: to the published page, or to a file on GitHub."""
        name, _, anchor = target.partition("#")
        place = self._local(name or self.path.name, line)
        if place.suffix == ".md" and place.parts[0] == "book":
            return f"{self.book.pages}/{place.with_suffix('.html').as_posix()}{'#' + anchor if anchor else ''}"
        return self.book.file(place)

    def role(self, name: str, inside: str, line: int) -> str:
        if name in ("cite", "cite:p", "cite:t"):
            cited = [self.citation(key.strip(), line, textual=name == "cite:t") for key in inside.split(",")]
            return ", ".join(cited) if name == "cite:t" else f"({'; '.join(cited)})"
        if name == "math":
            return f"${inside}$"
        if name == "eq":
            if inside not in self.equations:
                raise markup.MarkupError(f"no formula on this page has the label {inside!r}", line)
            return f"({self.equations[inside]})"
        if name in ("ref", "doc"):
            title, target = re.fullmatch(r"(?:(.*?)\s*<)?([^<>]+)>?", inside).groups()
            target = f"{target}.md" if name == "doc" else f"#{target}"
            return f"[{title or inside}]({self.link(target, line)})"
        if name in ("sub", "sup", "kbd"):
            return f"<{name}>{inside}</{name}>"
        if name == "abbr":
            return inside
        raise markup.MarkupError(f"notebooks cannot show the role {{{name}}}; teach tools/notebooks.py how", line)

    # -------------------------------------------------------------------------------------- citations

    def citation(self, key: str, line: int, *, textual: bool) -> str:
        if key not in self.book.bibliography:
            raise markup.MarkupError(f"nothing in the bibliography is called {key!r}", line)
        entry = self.book.bibliography[key]
        names = [" ".join(person.prelast_names + person.last_names) for person in entry.persons["author"]]
        who = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
        year = entry.fields["year"]
        label = plain(f"{who} ({year})" if textual else f"{who}, {year}")
        return f"[{label}]({address(entry)})" if address(entry) else label

    def references(self) -> str:
        """A line for each work that the book cites, as the page with the bibliography shows it."""
        cited = set()
        for path in (self.book.root / "book").glob("*.md"):
            for keys in re.findall(r"\{cite(?::\w)?\}`([^`]+)`", path.read_text(encoding="utf-8")):
                cited.update(key.strip() for key in keys.split(","))
        rows = []
        for key in sorted(cited):
            entry = self.book.bibliography[key]
            names = [str(person.last_names[-1]) for person in entry.persons["author"]]
            who = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
            title = plain(entry.fields["title"])
            rows.append(
                f"- {plain(who)}, {entry.fields['year']}. "
                + (f"[{title}]({address(entry)})." if address(entry) else f"{title}.")
            )
        return "\n".join(rows)

    # ------------------------------------------------------------------------------------- directives

    def directive(self, part: markup.Directive) -> str:
        """A directive as Markdown and HTML."""
        shown: dict[str, Callable[[markup.Directive], str]] = {
            "predict": self.predict,
            "exercise": self.exercise,
            "chapters": self.chapters,
            "doors": self.body,
            "hint": partial(self.folded, kind="Hint"),
            "solution": partial(self.folded, kind="Solution"),
            "dropdown": partial(self.folded, kind=""),
            "math": self.math,
            "figure": self.figure,
            "image": self.figure,
            "bibliography": lambda _: self.references(),
            "admonition": self.admonition,
            **dict.fromkeys(ADMONITIONS, self.admonition),
        }
        if part.name not in shown:
            raise markup.MarkupError(
                f"notebooks cannot show the directive {{{part.name}}}; teach tools/notebooks.py how", part.line
            )
        return shown[part.name](part)

    def body(self, part: markup.Directive) -> str:
        return self.markdown(part.body, part.body_line)

    def folded(self, part: markup.Directive, kind: str) -> str:
        title = ": ".join(filter(None, [kind, self.inline(part.argument, part.line)]))
        return unfolding(title, self.body(part))

    def admonition(self, part: markup.Directive) -> str:
        title = part.argument if part.name == "admonition" else part.name.replace("seealso", "see also").capitalize()
        text = f"**{self.inline(title, part.line)}**\n\n{self.body(part)}"
        return "\n".join(f"> {row}".rstrip() for row in text.splitlines())

    def math(self, part: markup.Directive) -> str:
        label = part.options.get("label")
        tag = rf" \tag{{{self.equations[label]}}}" if label else ""
        return "$$\n" + "\n".join(part.body).strip() + tag + "\n$$"

    def figure(self, part: markup.Directive) -> str:
        alt = part.options.get("alt", "")
        if not alt:
            raise markup.MarkupError(f"{{{part.name}}} needs :alt: that says what the picture shows", part.line)
        where = part.argument
        if not re.match(r"[a-z]+:", where):
            where = self.book.image(self._local(where, part.line))
        caption = self.body(part)
        return f"![{alt}]({where})" + (f"\n\n*{caption}*" if caption else "")

    def predict(self, part: markup.Directive) -> str:
        question = markup.predict(part)
        self.questions += 1
        say = partial(self.markdown, line=part.line)
        unit = f" *({question.unit})*" if question.unit else ""
        rows = [f"**Predict {self.questions}.** {say([question.prompt])}{unit}"]
        if question.choices:
            rows.append("")
        letters = {choice.key: chr(ord("A") + place) for place, choice in enumerate(question.shuffled)} or {
            choice.key: chr(ord("A") + choice.key - 1) for choice in question.choices
        }
        for choice in question.shuffled or question.choices:
            rows.append(f"- **{letters[choice.key]}**: {say(choice.text.splitlines())}")
        if question.type == "multiple":
            rows += ["", "More than one may be right."]
        for number, hint in enumerate(question.hints, 1):
            label = "Hint" if len(question.hints) == 1 else f"Hint {number}"
            rows += ["", unfolding(label, say(hint.splitlines()))]
        if question.type == "number":
            told = f"**{f'{question.answer} {question.unit}'.strip()}**"
        else:
            separator = ", then " if question.type == "order" else ", "
            told = f"**{separator.join(letters[int(key)] for key in question.answer.split())}**"
        answer = [told, *(say(why.splitlines()) for why in question.why)]
        slips = [f"- {value}: {say(text.splitlines())}" for value, text in question.wrong if question.type == "number"]
        slips += [
            f"- {', '.join(letters[int(key)] for key in value.split())}: {say(text.splitlines())}"
            for value, text in question.wrong
            if question.type == "order"
        ]
        slips += [
            f"- {letters[choice.key]}: {say(choice.feedback.splitlines())}"
            for choice in question.choices
            if choice.feedback
        ]
        if slips:
            answer.append("\n".join(["If you said", "", *slips] if question.type == "number" else slips))
        rows += ["", unfolding("Answer", "\n\n".join(answer))]
        return "\n".join(rows)

    def chapters(self, part: markup.Directive) -> str:
        return self.markdown(markup.chapters(part, self.path.parent).splitlines(), part.line)

    def exercise(self, part: markup.Directive) -> str:
        head = markup.exercise(part)
        self.exercises += 1
        title = self.inline(head.title, part.line)
        return f"### Exercise {self.exercises}: {title}\n\n*{head.summary}*\n\n{self.body(part)}"

    # ------------------------------------------------------------------------------------------ cells

    def cells(self) -> Iterator[nbformat.NotebookNode]:
        yield folded_code(SETUP.format(url=self.book.url, branch=self.book.branch))
        before = None
        for cell in markup.cells(self.text):
            if cell.kind == "markdown":
                text = self.markdown(cell.source.splitlines(), cell.line)
                number = markup.chapter_number(self.path.name)
                if before is None and number is not None:
                    text = re.sub(r"^# ", f"# {number}. ", text, count=1)
                yield nbformat.v4.new_markdown_cell(text)
            elif "exercise" in cell.tags:
                if before is None or before.kind != "markdown" or not ends_with_exercise(before):
                    raise markup.MarkupError("a cell tagged exercise stands right below its {exercise}", cell.line)
                both = markup.split(cell.source, cell.line)
                # Colab finds the cell that a page links to by the id in its metadata.
                yield nbformat.v4.new_code_cell(both.starter, metadata={"id": ""})
                yield folded_code(f"#@title Solution\n{both.solution}")
            elif "raises-exception" in cell.tags:
                raise markup.MarkupError(
                    "Colab stops at an error, so a cell may not end in one: catch it and print it", cell.line
                )
            elif DROPPED not in cell.tags:
                if FOLDED & set(cell.tags):
                    what = next((what for call, what in SHOWN.items() if call in cell.source), "figure")
                    yield folded_code(f"#@title Run me to see the {what}\n{cell.source}")
                else:
                    yield nbformat.v4.new_code_cell(cell.source)
            before = cell

    def notebook(self) -> str:
        """The notebook as the text of its file. The same source gives the same text."""
        cells = list(self.cells())
        seen: dict[str, int] = {}
        for cell in cells:
            name = markup.cell_id(cell.cell_type, cell.source)
            seen[name] = seen.get(name, 0) + 1
            cell["id"] = name if seen[name] == 1 else f"{name}-{seen[name]}"
            if "id" in cell.metadata:
                cell.metadata["id"] = cell["id"]
        notebook = nbformat.v4.new_notebook(
            cells=cells,
            metadata={
                "colab": {"name": self.path.with_suffix(".ipynb").name, "provenance": [], "toc_visible": True},
                "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                "language_info": {"name": "python"},
            },
        )
        nbformat.validate(notebook)
        return nbformat.writes(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def ends_with_exercise(cell: markup.Cell) -> bool:
    last = [part for part in markup.parts(cell.source.splitlines(), cell.line) if part][-1]
    return isinstance(last, markup.Directive) and last.name == "exercise"


def folded_code(source: str) -> nbformat.NotebookNode:
    """A code cell that Colab and JupyterLab show closed."""
    metadata = {"cellView": "form", "jupyter": {"source_hidden": True}}
    return nbformat.v4.new_code_cell(source.rstrip(), metadata=metadata)


def unfolding(title: str, body: str) -> str:
    """HTML that opens on a click. The blank lines make Markdown of what stands inside."""
    return f"<details>\n<summary>{MarkdownIt().renderInline(title)}</summary>\n\n{body}\n\n</details>"


def address(entry: Entry) -> str:
    if "url" in entry.fields:
        return str(entry.fields["url"])
    return f"https://doi.org/{entry.fields['doi']}" if "doi" in entry.fields else ""


def plain(text: str) -> str:
    """BibTeX's text without braces, its accents as letters."""
    return str(Text.from_latex(text))


# --------------------------------------------------------------------------------------------- the tool


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail if a notebook is out of date")
    parser.add_argument("--source", type=Path, default=ROOT, help="the folder of _config.yml")
    asked = parser.parse_args(arguments)
    book = Book.read(asked.source)
    written: set[Path] = set()
    stale: list[str] = []
    broken = False
    for path in book.sources():
        try:
            text = Chapter(book, path).notebook()
        except markup.MarkupError as error:
            print(f"{path.relative_to(book.root)}:{error.line}: {error.problem}", file=sys.stderr)
            written.add(path.with_suffix(".ipynb"))
            broken = True
            continue
        target = path.with_suffix(".ipynb")
        written.add(target)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            stale.append(str(target.relative_to(book.root)))
            if not asked.check:
                target.write_text(text, encoding="utf-8")
    orphans = [path for path in sorted((book.root / "book").glob("*.ipynb")) if path not in written]
    for path in orphans:
        stale.append(f"{path.relative_to(book.root)} (it has no source)")
        if not asked.check:
            path.unlink()
    if asked.check and stale:
        print("These notebooks do not follow their sources; run: make notebooks", file=sys.stderr)
        print("\n".join(f"  {name}" for name in stale), file=sys.stderr)
        return 1
    for name in stale:
        print(f"wrote {name}" if "(" not in name else f"removed {name}")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
