"""Write the book's questions in the formats that courses import, into _build/questions/: `make questions`.

    python tools/question_bank.py

- `moodle.xml`: Moodle XML, a category for each page. Hints are Moodle's own, for quizzes with several tries.
- `canvas.zip`: QTI 1.2, a practice quiz for each page. Canvas asks for no order, so steps are matched with places.
- `anki.txt`: cards for Anki's own text import. A second import updates the cards of the first.
- `exercises.csv`: every exercise with its minutes and its difficulty, for a course page.

A number stays a number with its tolerance, and what each slip was travels along. Canvas counts every value that a
numeric question names as right, so there the slips stand together in what it says to a wrong answer. Links lead to the
published pages where tools/address.py knows their address, and are plain text elsewhere. Figures stay in the book:
each question names the place where it stands.

Why not text2qti or genanki: the one reads a text format of its own, which would have to be written and escaped first,
and drops what a wrong number meant; the other writes a database for what Anki reads as a table.
"""

import argparse
import csv
import hashlib
import html
import io
import os
import re
import sys
import textwrap
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import directives as markup
from address import commit, home, known
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from notebooks import Book, Chapter

ROOT = Path(__file__).parent.parent
TITLE = "ResNets, Block by Block"


@dataclass(frozen=True)
class Question:
    """A question of the book, and where it stands."""

    page: str
    """The title of its page, with the chapter's number."""
    ident: str
    """Its id on the page: `predict-03_stem-1`."""
    place: str
    """Page and section in HTML, a link where there is an address."""
    asked: markup.Prediction
    """Its texts are HTML here."""

    @property
    def source(self) -> str:
        """As in `03_stem`."""
        return self.ident.removeprefix("predict-").rpartition("-")[0]

    @property
    def name(self) -> str:
        return textwrap.shorten(plain(self.asked.prompt), 90, placeholder=" …")

    @property
    def prompt(self) -> str:
        unit = f" <em>({html.escape(self.asked.unit)})</em>" if self.asked.unit else ""
        return f"<p>{self.asked.prompt}{unit}</p>\n<p><small>{self.place}</small></p>"

    @property
    def answer(self) -> Decimal:
        return number(self.asked.answer)

    @property
    def tolerance(self) -> Decimal:
        return number(self.asked.tolerance)

    @property
    def why(self) -> str:
        return paragraphs(self.asked.why)

    @property
    def slips(self) -> str:
        """What went wrong, for each wrong value or order that the book knows."""
        texts = {str(choice.key): choice.text for choice in self.asked.choices}
        said = {
            given: " → ".join(texts[key] for key in given.split()) if self.asked.type == "order" else given
            for given, _ in self.asked.wrong
        }
        rows = "".join(f"<li>{said[given]}: {text}</li>" for given, text in self.asked.wrong)
        return f"<p>If you said</p>\n<ul>{rows}</ul>" if rows else ""


#: What cannot stand inside a paragraph.
BLOCK = re.compile(r"<(?:p|ul|ol|pre|table|blockquote)\b")


def number(text: str) -> Decimal:
    return Decimal(markup.plain_number(text))


def paragraphs(texts: Iterable[str]) -> str:
    return "\n".join(f"<div>{text}</div>" if BLOCK.search(text) else f"<p>{text}</p>" for text in texts)


def plain(text: str) -> str:
    """HTML as plain text.

    >>> plain("a <em>b</em> &lt; c")
    'a b < c'
    """
    return html.unescape(re.sub(r"<[^>]+>", "", text))


# ----------------------------------------------------------------------------------------- from the book


def formula(opening: str, closing: str) -> Callable[..., str]:
    """A rule of the renderer that leaves a formula to whoever shows the HTML."""

    def rule(_: object, tokens: Sequence[Token], at: int, *__: object) -> str:
        return f"{opening}{html.escape(tokens[at].content.strip())}{closing}"

    return rule


def renderer() -> MarkdownIt:
    """Markdown to HTML, with formulas as Moodle, Canvas and Anki typeset them."""
    markdown = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin)

    markdown.add_render_rule("math_inline", formula(r"\(", r"\)"))
    for rule in ("math_inline_double", "math_block", "math_block_label"):
        markdown.add_render_rule(rule, formula(r"\[", r"\]"))
    return markdown


class Page(Chapter):
    """A page of the book whose questions are read; citations and references become plain Markdown as in a notebook."""

    HTML = renderer()

    def link(self, target: str, line: int) -> str:
        address = super().link(target, line)
        return address if known(self.book.url) else ""

    def html(self, text: str, line: int) -> str:
        """MyST Markdown as HTML; a single paragraph as what stands inside it."""
        made = self.HTML.render(self.markdown(text.splitlines(), line)).strip()
        made = re.sub(r'<a href="">(.*?)</a>', r"\1", made, flags=re.DOTALL)
        if "<img" in made:
            raise markup.MarkupError("a question cannot take a picture along; say in words what it shows", line)
        only = re.fullmatch(r"<p>((?:(?!<p>).)*)</p>", made, re.DOTALL)
        return only[1] if only else made

    @property
    def title(self) -> str:
        """As in `3. How do 224 pixels become 56? (the stem)`."""
        title, chapter = markup.title_of(self.path), markup.chapter_number(self.path.stem)
        return plain(self.html(title, 1)) if chapter is None else f"{chapter}. {plain(self.html(title, 1))}"

    def tasks(self) -> Iterator[tuple[str, markup.Directive]]:
        """The questions and exercises, each with the heading above it."""
        _, start = markup.front_matter(self.text)
        heading = fence = ""
        for part in markup.parts(self.text.splitlines()[start:], start + 1):
            if isinstance(part, markup.Directive):
                if part.name in ("predict", "exercise"):
                    yield heading, part
                continue
            opening = markup.FENCE.match(part)
            if fence:
                fence = "" if part.strip() == fence else fence
            elif opening:
                fence = opening["fence"]
            elif found := re.match(r"##+ (.+)", part):
                heading = found[1]

    def asked(self) -> Iterator[Question]:
        """The questions of the page, in order."""
        found = [(heading, part) for heading, part in self.tasks() if part.name == "predict"]
        for count, (heading, part) in enumerate(found, 1):
            ident = f"predict-{self.path.stem}-{count}"
            words = html.escape(self.title)
            if known(self.book.url):
                address = f"{self.book.pages}/book/{self.path.stem}.html#{ident}"
                words = f'<a href="{html.escape(address)}">{words}</a>'
            if heading:
                words += f" · {self.html(heading, part.line)}"
            yield Question(self.title, ident, words, self.rendered(markup.predict(part), part.line))

    def rendered(self, asked: markup.Prediction, line: int) -> markup.Prediction:
        """The same question with HTML for its Markdown."""

        def choices(given: tuple[markup.Choice, ...]) -> tuple[markup.Choice, ...]:
            return tuple(
                replace(one, text=self.html(one.text, line), feedback=self.html(one.feedback, line)) for one in given
            )

        return replace(
            asked,
            prompt=self.html(asked.prompt, line),
            choices=choices(asked.choices),
            shuffled=choices(asked.shuffled),
            wrong=tuple((given, self.html(text, line)) for given, text in asked.wrong),
            hints=tuple(self.html(hint, line) for hint in asked.hints),
            why=tuple(self.html(why, line) for why in asked.why),
        )

    def heads(self) -> Iterator[markup.Exercise]:
        for _, part in self.tasks():
            if part.name == "exercise":
                head = markup.exercise(part)
                yield replace(head, title=plain(self.html(head.title, part.line)))


def pages(root: Path) -> list[Page]:
    """The pages of the book that lies in `root`, chapters first."""
    book = Book.read(root)
    url, ref = home(root)
    book = replace(book, url=url, ref=commit(root) or ref)
    return [Page(book, path) for path in book.sources()]


# ------------------------------------------------------------------------------------------------ Moodle


def add(parent: ET.Element, tag: str, text: str = "", **attributes: str) -> ET.Element:
    child = ET.SubElement(parent, tag, attributes)
    child.text = text or None
    return child


def add_html(parent: ET.Element, tag: str, text: str, **attributes: str) -> ET.Element:
    """Moodle's way to hold formatted text."""
    child = add(parent, tag, format="html", **attributes)
    add(child, "text", text)
    return child


def moodle(questions: Iterable[Question]) -> str:
    """Moodle XML. The type `ordering` is a part of recent Moodles and was a plug-in before."""
    quiz = ET.Element("quiz")
    page = ""
    for question in questions:
        if question.page != page:
            page = question.page
            category = add(add(quiz, "question", type="category"), "category")
            # A slash opens a category inside another; two of them are a slash.
            add(category, "text", f"$course$/top/{TITLE}/{page.replace('/', '//')}")
        _moodle(quiz, question)
    ET.indent(quiz)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(quiz, encoding="unicode")}\n'


def _moodle(quiz: ET.Element, question: Question) -> None:
    asked = question.asked
    kind = {"number": "numerical", "order": "ordering"}.get(asked.type, "multichoice")
    item = add(quiz, "question", type=kind)
    add(add(item, "name"), "text", question.name)
    add_html(item, "questiontext", question.prompt)
    add_html(item, "generalfeedback", question.why)
    add(item, "defaultgrade", "1")
    add(item, "penalty", "0.3333333")
    add(item, "hidden", "0")
    add(item, "idnumber", question.ident)
    if kind == "numerical":
        _moodle_answer(item, "100", format(question.answer, "f"), "", format(question.tolerance, "f"))
        for value, text in asked.wrong:
            _moodle_answer(item, "0", format(number(value), "f"), text, "0")
        add(item, "unitgradingtype", "0")
        add(item, "unitpenalty", "0.1")
        add(item, "showunits", "3")  # no unit is asked for: the question names it
    else:
        if kind == "ordering":
            add(item, "layouttype", "VERTICAL")
            add(item, "selecttype", "ALL")
            add(item, "selectcount", "0")
            add(item, "gradingtype", "ABSOLUTE_POSITION")
            add(item, "showgrading", "SHOW")
            add(item, "numberingstyle", "none")
        else:
            add(item, "single", "true" if asked.type == "choice" else "false")
            add(item, "shuffleanswers", "true")
            add(item, "answernumbering", "none")
        add_html(item, "correctfeedback", "")
        add_html(item, "partiallycorrectfeedback", question.slips)
        add_html(item, "incorrectfeedback", question.slips)
        add(item, "shownumcorrect", "1")
        right = sum(choice.correct for choice in asked.choices)
        wrong = len(asked.choices) - right
        for place, choice in enumerate(asked.choices, 1):
            if kind == "ordering":
                share = str(place)
            elif choice.correct:
                share = percent(right)
            else:  # whoever ticks everything gets nothing
                share = f"-{percent(wrong)}" if asked.type == "multiple" else "0"
            _moodle_answer(item, share, choice.text, choice.feedback)
    for hint in asked.hints:
        add_html(item, "hint", hint)


def _moodle_answer(item: ET.Element, fraction: str, text: str, feedback: str, tolerance: str = "") -> None:
    answer = add(item, "answer", fraction=fraction, format="moodle_auto_format" if tolerance else "html")
    add(answer, "text", text)
    add_html(answer, "feedback", feedback)
    if tolerance:
        add(answer, "tolerance", tolerance)


def percent(parts: int) -> str:
    """One of so many equal parts, as Moodle's list of grades writes it.

    >>> percent(2), percent(3)
    ('50', '33.33333')
    """
    return f"{100 / parts:.5f}".rstrip("0").rstrip(".")


# ------------------------------------------------------------------------------------------------ Canvas

XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


def canvas(questions: Iterable[Question]) -> dict[str, str]:
    """The files of a QTI 1.2 package as Canvas imports it, by their names."""
    by_page: dict[str, list[Question]] = {}
    for question in questions:
        by_page.setdefault(question.source, []).append(question)
    manifest = ET.Element(
        "manifest",
        {"identifier": "resnets_questions", "xmlns": "http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1"},
    )
    metadata = add(manifest, "metadata")
    add(metadata, "schema", "IMS Content")
    add(metadata, "schemaversion", "1.1.3")
    add(manifest, "organizations")
    resources = add(manifest, "resources")
    files: dict[str, str] = {}
    for source, asked in by_page.items():
        ident = f"resnets_{source}"
        quiz, meta = f"{ident}/{ident}.xml", f"{ident}/assessment_meta.xml"
        files[quiz] = _canvas_quiz(ident, asked)
        files[meta] = _canvas_meta(ident, asked)
        resource = add(resources, "resource", identifier=ident, type="imsqti_xmlv1p2")
        add(resource, "file", href=quiz)
        add(resource, "dependency", identifierref=f"{ident}_meta")
        kind = "associatedcontent/imscc_xmlv1p1/learning-application-resource"
        add(add(resources, "resource", identifier=f"{ident}_meta", type=kind, href=meta), "file", href=meta)
    return {"imsmanifest.xml": _xml(manifest), **files}


def _xml(root: ET.Element) -> str:
    ET.indent(root)
    return f"{XML}{ET.tostring(root, encoding='unicode')}\n"


def _canvas_meta(ident: str, questions: list[Question]) -> str:
    quiz = ET.Element("quiz", {"identifier": ident, "xmlns": "http://canvas.instructure.com/xsd/cccv1p0"})
    add(quiz, "title", f"{TITLE}: {questions[0].page}")
    add(quiz, "shuffle_answers", "true")
    add(quiz, "quiz_type", "practice_quiz")
    add(quiz, "points_possible", f"{len(questions)}.0")
    add(quiz, "allowed_attempts", "-1")
    return _xml(quiz)


def _canvas_quiz(ident: str, questions: list[Question]) -> str:
    root = ET.Element("questestinterop", {"xmlns": "http://www.imsglobal.org/xsd/ims_qtiasiv1p2"})
    assessment = add(root, "assessment", ident=ident, title=f"{TITLE}: {questions[0].page}")
    section = add(assessment, "section", ident="root_section")
    for question in questions:
        _canvas_item(section, question)
    return _xml(root)


def _canvas_item(section: ET.Element, question: Question) -> None:
    asked = question.asked
    item = add(section, "item", ident=question.ident, title=question.name)
    metadata = add(add(item, "itemmetadata"), "qtimetadata")
    kinds = {
        "number": "numerical_question",
        "choice": "multiple_choice_question",
        "multiple": "multiple_answers_question",
        "order": "matching_question",
    }
    for label, entry in (("question_type", kinds[asked.type]), ("points_possible", "1.0")):
        entries = add(metadata, "qtimetadatafield")
        add(entries, "fieldlabel", label)
        add(entries, "fieldentry", entry)
    shown = add(item, "presentation")
    task = f"\n<p>Choose for each step its place, 1 to {len(asked.choices)}.</p>" if asked.type == "order" else ""
    material(shown, question.prompt + task)
    judged = add(item, "resprocessing")
    add(add(judged, "outcomes"), "decvar", maxvalue="100", minvalue="0", varname="SCORE", vartype="Decimal")
    feedback = {"general_fb": question.why}
    incorrect = paragraphs(f"Hint: {hint}" for hint in asked.hints) + question.slips
    if feedback["general_fb"]:
        _canvas_says(judged, None, "general_fb")
    if asked.type == "number":
        _canvas_number(shown, judged, question)
    elif asked.type == "order":
        _canvas_order(shown, judged, asked)
    else:
        for choice in asked.choices:
            if choice.feedback:
                feedback[f"{choice.key}_fb"] = choice.feedback
                _canvas_says(judged, str(choice.key), f"{choice.key}_fb")
        _canvas_choices(shown, judged, asked)
    if incorrect:
        feedback["general_incorrect_fb"] = incorrect
        _canvas_says(judged, None, "general_incorrect_fb")
    for ident, text in feedback.items():
        if text:
            material(add(add(item, "itemfeedback", ident=ident), "flow_mat"), text)


def material(parent: ET.Element, text: str, kind: str = "text/html") -> None:
    add(add(parent, "material"), "mattext", text, texttype=kind)


def _canvas_says(judged: ET.Element, chosen: str | None, linked: str) -> None:
    """What Canvas shows to one choice, or to whatever is answered."""
    condition = add(judged, "respcondition", **{"continue": "Yes"})
    variable = add(condition, "conditionvar")
    if chosen is None:
        add(variable, "other")
    else:
        add(variable, "varequal", chosen, respident="response1")
    add(condition, "displayfeedback", feedbacktype="Response", linkrefid=linked)


def _canvas_scores(judged: ET.Element, score: str = "100", action: str = "Set") -> ET.Element:
    condition = add(judged, "respcondition", **({"continue": "No"} if action == "Set" else {}))
    variable = add(condition, "conditionvar")
    add(condition, "setvar", score, action=action, varname="SCORE")
    return variable


def _canvas_number(shown: ET.Element, judged: ET.Element, question: Question) -> None:
    blank = add(add(shown, "response_str", ident="response1", rcardinality="Single"), "render_fib", fibtype="Decimal")
    add(blank, "response_label", ident="answer1")
    # Canvas's importer takes every value under an `or` or `and` for a right one. So no wrong value has a condition.
    either = add(_canvas_scores(judged), "or")
    add(either, "varequal", format(question.answer, "f"), respident="response1")
    both = add(either, "and")
    add(both, "vargte", format(question.answer - question.tolerance, "f"), respident="response1")
    add(both, "varlte", format(question.answer + question.tolerance, "f"), respident="response1")


def _canvas_choices(shown: ET.Element, judged: ET.Element, asked: markup.Prediction) -> None:
    single = asked.type == "choice"
    response = add(shown, "response_lid", ident="response1", rcardinality="Single" if single else "Multiple")
    rendered = add(response, "render_choice")
    for choice in asked.choices:
        material(add(rendered, "response_label", ident=str(choice.key)), choice.text)
    variable = _canvas_scores(judged)
    if single:
        add(variable, "varequal", asked.answer, respident="response1")
        return
    both = add(variable, "and")
    for choice in asked.choices:
        where = both if choice.correct else add(both, "not")
        add(where, "varequal", str(choice.key), respident="response1")


def _canvas_order(shown: ET.Element, judged: ET.Element, asked: markup.Prediction) -> None:
    """Each step is matched with its place."""
    places = range(1, len(asked.choices) + 1)
    for step in asked.shuffled:
        response = add(shown, "response_lid", ident=f"response_{step.key}", rcardinality="Single")
        material(response, plain(step.text), "text/plain")
        rendered = add(response, "render_choice")
        for place in places:
            material(add(rendered, "response_label", ident=f"{100 + place}"), str(place), "text/plain")
        variable = _canvas_scores(judged, f"{100 / len(places):.2f}", "Add")
        add(variable, "varequal", f"{100 + step.key}", respident=f"response_{step.key}")


# -------------------------------------------------------------------------------------------------- Anki


def anki(questions: Iterable[Question]) -> str:
    """A table for Anki's text import (the one that came with 2.1.54): id, front, back, deck, tags."""
    out = io.StringIO()
    out.write("#separator:tab\n#html:true\n#notetype:Basic\n#guid column:1\n#deck column:4\n#tags column:5\n")
    rows = csv.writer(out, delimiter="\t", lineterminator="\n")
    for question in questions:
        # Anki sorts decks as text: chapter 10 comes after chapter 9 only if that is 09.
        deck = f"{TITLE}::{re.sub(r'^(?=[0-9][.])', '0', question.page).replace('::', ': ')}"
        rows.writerow([question.ident, _front(question), _back(question), deck, f"resnets {question.source}"])
    return out.getvalue()


def _lettered(question: Question) -> dict[int, tuple[str, markup.Choice]]:
    """The choices as a card lists them, by key, with their letters: a fixed order that is not the author's."""
    asked = question.asked
    shown = asked.shuffled or sorted(
        asked.choices, key=lambda choice: hashlib.sha256(f"{question.ident} {choice.key}".encode()).digest()
    )
    return {choice.key: (chr(ord("A") + place), choice) for place, choice in enumerate(shown)}


def _front(question: Question) -> str:
    rows = []
    items = "<br>".join(f"<b>{letter}</b> {choice.text}" for letter, choice in _lettered(question).values())
    if items:
        rows.append(f"<p>{items}</p>")
    if question.asked.type == "multiple":
        rows.append("<p>More than one may be right.</p>")
    rows += [f"<details><summary>Hint</summary>{hint}</details>" for hint in question.asked.hints]
    return "\n".join([question.prompt, *_left(rows)])


def _left(rows: list[str]) -> list[str]:
    """What has several lines: Anki centers whatever does not say otherwise."""
    return ['<div style="text-align: left">', *rows, "</div>"] if rows else []


def _back(question: Question) -> str:
    asked, letters = question.asked, _lettered(question)
    if asked.type == "number":
        told = html.escape(f"{asked.answer} {asked.unit}".strip())
        if question.tolerance:
            told += f" (± {html.escape(asked.tolerance)})"
    else:
        right = [letters[int(key)] for key in asked.answer.split()]
        told = "<br>".join(f"{letter} {choice.text}" for letter, choice in right)
    rows = [text for text in (question.why, question.slips) if text]
    said = "".join(f"<li>{letter}: {choice.feedback}</li>" for letter, choice in letters.values() if choice.feedback)
    if said:
        rows.append(f"<ul>{said}</ul>")
    return "\n".join([f"<p><b>{told}</b></p>", *_left(rows)])


# ------------------------------------------------------------------------------------------- the command


def exercises(book: Iterable[Page]) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["chapter", "title", "minutes", "difficulty", "kind"])
    for page in book:
        for head in page.heads():
            rows.writerow([page.title, head.title, head.minutes, markup.DIFFICULTIES[head.difficulty - 1], head.kind])
    return out.getvalue()


def pack(files: dict[str, str]) -> bytes:
    """A zip archive; the same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text.encode())
    return out.getvalue()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, default=ROOT, help="the folder of _config.yml")
    root = parser.parse_args(arguments).source.resolve()
    book = pages(root)
    questions: list[Question] = []
    at = root
    try:
        for page in book:
            at = page.path
            questions.extend(page.asked())
            list(page.heads())
    except markup.MarkupError as error:
        print(f"{at.relative_to(root)}:{error.line}: {error.problem}", file=sys.stderr)
        return 1
    made = {
        "moodle.xml": moodle(questions).encode(),
        "canvas.zip": pack(canvas(questions)),
        "anki.txt": anki(questions).encode(),
        "exercises.csv": exercises(book).encode("utf-8-sig"),  # spreadsheets read × and − only with the mark
    }
    folder = root / "_build/questions"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        unfinished = folder / f"{name}.{os.getpid()}"
        unfinished.write_bytes(content)
        os.replace(unfinished, folder / name)
    links = "with links to the published pages" if known(book[0].book.url) else "without links: no address is known"
    print(f"{len(questions)} questions for Moodle, Canvas and Anki ({links}), and the list of exercises: {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
