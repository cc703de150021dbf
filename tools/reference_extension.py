"""What the reference part adds to Sphinx: links to the glossary, lists made from the chapters, and a search that
knows 1×1.

_config.yml loads it (`sphinx: local_extensions`). Why not sphinx-tippy or sphinx-hoverxref: both fetch their
scripts from another host, and a link's title shows a sentence as well.
"""

import re
from collections import Counter
from pathlib import Path

import directives as markup
import survey
from book_extension import html
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish
from sphinx.util.docutils import SphinxDirective, SphinxRole

GLOSSARY = "book/glossary"
QUESTIONS = "book/questions"
#: Parts of a page in which a word stays a word.
UNTOUCHED = (nodes.reference, nodes.literal, nodes.title, nodes.math, nodes.caption, nodes.raw, addnodes.pending_xref)


# ------------------------------------------------------------------------------------------------ glossary


def link_words(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Lead the first appearance of each of the glossary's words on a page to its entry, whose sentence it shows."""
    if not re.match(r"book/(\d\d_|workbench|clinic)", docname) or GLOSSARY not in app.env.found_docs:
        return
    waiting = {name.lower(): concept for concept in app.env.book_concepts for name in concept.names}
    for paragraph in list(doctree.findall(nodes.paragraph)):
        for text in list(paragraph.findall(nodes.Text)):
            if not waiting:
                return
            parent = text.parent
            inside = [parent]
            while inside[-1] is not paragraph:
                inside.append(inside[-1].parent)
            if any(isinstance(node, UNTOUCHED) for node in inside):
                continue
            pieces = _linked(app, docname, str(text), waiting)
            if len(pieces) > 1:
                parent.replace(text, pieces)


def _linked(app: Sphinx, docname: str, text: str, waiting: dict[str, survey.Concept]) -> list[nodes.Node]:
    words = "|".join(re.escape(name) for name in sorted(waiting, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w-])({words})(s?)(?![\w-])", re.IGNORECASE)
    pieces: list[nodes.Node] = []
    at = 0
    for found in pattern.finditer(text):
        concept = waiting.get(found[1].lower())
        if concept is None:  # the same word, or another name for it, earlier in this text
            continue
        for name in concept.names:
            waiting.pop(name.lower(), None)
        # The chapter that explains a word need not send its reader away from it.
        if docname == f"book/{concept.chapter}":
            continue
        _, anchor = app.env.domains["std"].objects["term", concept.names[0]]
        target = f"{app.builder.get_relative_uri(docname, GLOSSARY)}#{anchor}"
        link = nodes.reference("", found[0], refuri=target, internal=True, reftitle=concept.sentence, classes=["term"])
        pieces += [nodes.Text(text[at : found.start()]), link]
        at = found.end()
    return [*pieces, nodes.Text(text[at:])]


def read_glossary(app: Sphinx, *_: object) -> None:
    path = Path(app.srcdir) / f"{GLOSSARY}.md"
    app.env.book_concepts = survey.concepts(path) if path.exists() else []


# ------------------------------------------------------------------------------------- lists of the chapters


class FromChapters(SphinxDirective):
    """A list that is made again whenever a chapter changes."""

    def chapters(self) -> list[survey.Chapter]:
        found = survey.chapters(Path(self.env.srcdir) / "book")
        for chapter in found:
            self.env.note_dependency(str(chapter.path))
        return found

    def concepts(self) -> list[survey.Concept]:
        path = Path(self.env.srcdir) / f"{GLOSSARY}.md"
        self.env.note_dependency(str(path))
        return survey.concepts(path)

    def link(self, chapter: survey.Chapter, element: survey.Element | None, words: str) -> nodes.Node:
        target = self.env.app.builder.get_relative_uri(self.env.docname, f"book/{chapter.name}")
        anchor = f"#{element.anchor}" if element and element.anchor else ""
        return nodes.reference("", words, refuri=target + anchor, internal=True)

    def table(self, heads: list[str], rows: list[list[list[nodes.Node]]]) -> nodes.table:
        group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in heads), cols=len(heads))
        group += nodes.thead("", _row([[nodes.Text(head)] for head in heads]))
        group += nodes.tbody("", *(_row(row) for row in rows))
        return nodes.table("", group)


def _row(cells: list[list[nodes.Node]]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))


class ExerciseIndex(FromChapters):
    """`exercise-index`: every exercise with minutes, difficulty and what it is about, the shortest first."""

    def run(self) -> list[nodes.Node]:
        concepts = self.concepts()
        rows = []
        about: dict[str, list[nodes.Node]] = {}
        for chapter in self.chapters():
            for element in chapter.elements:
                if element.kind != "exercise":
                    continue
                words = [concept.names[0] for concept in concepts if concept.pattern.search(element.text)]
                title = [nodes.Text(f"{chapter.number} · "), self.link(chapter, element, plain(element.title))]
                cells = [str(element.minutes), markup.DIFFICULTIES[element.difficulty - 1], ", ".join(words[:3]) or "–"]
                rows.append((element, [title, *([nodes.Text(cell)] for cell in cells)]))
                for word in words:
                    about.setdefault(word, []).append(self.link(chapter, element, plain(element.title)))
        rows.sort(key=lambda row: (row[0].minutes, row[0].difficulty))
        table = self.table(["exercise", "minutes", "difficulty", "about"], [cells for _, cells in rows])
        listing = nodes.bullet_list()
        for word in sorted(about, key=str.lower):
            line = nodes.paragraph("", "", nodes.strong("", word), nodes.Text(": "), about[word][0])
            for link in about[word][1:]:
                line += [nodes.Text(", "), link]
            listing += nodes.list_item("", line)
        return [table, nodes.rubric("", "By concept"), listing]


class Coverage(FromChapters):
    """`coverage`: for each word of the glossary where it is explained, drawn, run, asked and practiced."""

    def run(self) -> list[nodes.Node]:
        chapters = self.chapters()
        by_name = {chapter.name: chapter for chapter in chapters}
        rows = []
        for concept in self.concepts():
            if concept.chapter not in by_name:
                continue
            home = by_name[concept.chapter]
            cells = [[nodes.Text(concept.names[0])], [self.link(home, None, f"{home.number}")]]
            for kind in survey.KINDS:
                found = survey.where(kind, concept, chapters)
                cells.append([self.link(*found, f"in\u00a0{found[0].number}")] if found else [nodes.Text("–")])
            rows.append(cells)
        return [self.table(["concept", "explained in", "figure", "cell", "question", "exercise"], rows)]


class Lessons(FromChapters):
    """`lessons`: how many questions and exercises each chapter has, and the minutes of its exercises."""

    def run(self) -> list[nodes.Node]:
        rows = []
        for chapter in self.chapters():
            count = Counter(element.kind for element in chapter.elements)
            minutes = sum(element.minutes for element in chapter.elements)
            title = [nodes.Text(f"{chapter.number} · "), self.link(chapter, None, plain(chapter.title))]
            cells = [str(number) for number in (count["predict"], count["exercise"], minutes)]
            rows.append([title, *([nodes.Text(cell)] for cell in cells)])
        return [self.table(["chapter", "questions", "exercises", "minutes"], rows)]


class Ask(SphinxRole):
    """`` {ask}`03_stem: a 300 × 300 image` ``: a link to the one question or exercise of a page that says so.

    It shows the question's own words, or the exercise's title and minutes.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        page, _, words = self.text.partition(": ")
        path = Path(self.env.srcdir) / "book" / f"{page}.md"
        try:
            found = survey.asking(survey.Chapter(path), words)
        except (LookupError, OSError, markup.MarkupError) as problem:
            return [], [self.inliner.reporter.warning(f"{{ask}}: {problem}", line=self.lineno)]
        self.env.note_dependency(str(path))
        size = f" ({found.minutes} min)" if found.kind == "exercise" else ""
        target = self.env.app.builder.get_relative_uri(self.env.docname, f"book/{page}")
        uri = f"{target}#{found.anchor}"
        return [nodes.reference("", plain(found.title) + size, refuri=uri, internal=True)], []


class ProgressList(FromChapters):
    """`progress`: every question and exercise, page by page; a script writes beside each what the reader has done."""

    def run(self) -> list[nodes.Node]:
        parts: list[nodes.Node] = []
        for page in survey.asking_pages(Path(self.env.srcdir) / "book"):
            self.env.note_dependency(str(page.path))
            number = markup.chapter_number(page.name)
            title = self.link(page, None, plain(f"{number}. {page.title}" if number else page.title))
            rows = [
                html(
                    "li",
                    nodes.Text("Exercise: " if element.kind == "exercise" else ""),
                    nodes.inline("", "", self.link(page, element, plain(element.title))),
                    data_id=element.anchor,
                )
                for element in page.elements
                if element.kind in ("predict", "exercise")
            ]
            parts += [html("h2", nodes.inline("", "", title)), html("ul", *rows)]
        return [html("div", *parts, classes="progress-list")]


def plain(title: str) -> str:
    return re.sub(r"[`*$\\]", "", title)


# ---------------------------------------------------------------------------------------------------- search


def name_pages(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Tell the search what a page is about: the glossary's words that it explains, and the questions that lead to it.

    They become entries of an index that is not printed; book/web/search.js ranks by them. Without them a page is
    found only in its own words.
    """
    page = docname.removeprefix("book/")
    entries = [(name, "") for concept in app.env.book_concepts if concept.chapter == page for name in concept.names]
    entries += [(asked.question, id) for asked in app.env.book_asked for place, id in asked.places if place == page]
    # A semicolon or an exclamation mark would split an entry in two.
    doctree += addnodes.index(entries=[("single", re.sub("[;!]", ",", name), id, "", None) for name, id in entries])


def read_questions(app: Sphinx, env: object, changed: list[str]) -> None:
    path = Path(app.srcdir) / f"{QUESTIONS}.md"
    app.env.book_asked = survey.asked(path) if path.exists() else []
    app.env.book_changed = bool(changed)


def write_again(app: Sphinx, env: object) -> list[str]:
    """All pages, if one has changed.

    Sphinx's index forgets the entries of a page that is not written again; and they hang on glossary and questions.
    """
    return sorted(app.env.found_docs) if app.env.book_changed else []


class Words(SearchEnglish):
    """English, in which 1×1 and 1x1 are one word, as are state_dict, BatchNorm2d, v1.5, 0.485 and 11,689,512."""

    _words = r"\w*\d\.\d+|\d{1,3}(?:,\d{3})+|\w+"
    # Of letters, JavaScript's \w knows only those of ASCII.
    _in_javascript = _words.replace(r"\w", r"[\p{L}\p{N}_]")
    js_splitter_code = (
        r"var splitQuery = (query) => query.replace(/(\d)\s*[×x]\s*(?=\d)/gi, '$1x')"
        rf".match(/{_in_javascript}/gu) ?? [];"
        "\n"
    )

    def split(self, input: str) -> list[str]:
        return re.findall(self._words, re.sub(r"(\d)\s*[×x]\s*(?=\d)", r"\1x", input, flags=re.IGNORECASE))


def setup(app: Sphinx) -> dict:
    app.add_directive("exercise-index", ExerciseIndex)
    app.add_directive("coverage", Coverage)
    app.add_directive("lessons", Lessons)
    app.add_directive("progress", ProgressList)
    app.add_role("ask", Ask())
    app.add_search_language(Words)
    app.connect("env-before-read-docs", read_glossary)
    app.connect("env-before-read-docs", read_questions)
    app.connect("env-updated", write_again)
    app.connect("doctree-resolved", name_pages)
    app.connect("doctree-resolved", link_words)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
