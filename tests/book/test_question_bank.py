"""The questions as other programs import them. Each format is read again here, by a reader of its own."""

import csv
import html
import io
import re
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import directives as markup
import pytest
import question_bank

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Read:
    """What a format says about one question; `said` holds "answer: what was wrong with it"."""

    type: str
    prompt: str
    right: object
    said: set[str]
    why: str
    hints: list[str]


def text(made: str | None) -> str:
    """HTML as its words."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", made or "")).split())


def first_paragraph(made: str) -> str:
    return text(re.match(r"<p>(.*?)</p>", made, re.DOTALL)[1])


def rows(made: str) -> set[str]:
    return {text(row) for row in re.findall(r"<li>(.*?)</li>", made, re.DOTALL)}


# --------------------------------------------------------------------------------------- the sources


def words(markdown: str) -> str:
    """Markdown as its words: what is code stays as it is."""
    out = []
    for at, piece in enumerate(re.split(r"`([^`]+)`", markdown)):
        if at % 2 == 0:
            piece = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", piece)
            piece = re.sub(r"\*+([^*]+)\*+", r"\1", piece)
            piece = re.sub(r"\$([^$]+)\$", r"\\(\1\\)", piece)
        out.append(piece)
    return " ".join("".join(out).split())


def expected(asked: markup.Prediction) -> Read:
    texts = {str(choice.key): words(choice.text) for choice in asked.choices}
    given = {value: value for value, _ in asked.wrong}
    if asked.type == "number":
        right: object = (Decimal(markup.plain_number(asked.answer)), Decimal(markup.plain_number(asked.tolerance)))
        given = {value: plain_value(value) for value in given}
    elif asked.type == "order":
        right = list(texts.values())
        given = {value: " → ".join(texts[key] for key in value.split()) for value in given}
    else:
        right = {texts[key] for key in asked.answer.split()}
    said = {f"{given[value]}: {words(feedback)}" for value, feedback in asked.wrong}
    said |= {f"{words(choice.text)}: {words(choice.feedback)}" for choice in asked.choices if choice.feedback}
    prompt = words(asked.prompt) + (f" ({asked.unit})" if asked.unit else "")
    why = " ".join(words(one) for one in asked.why)
    return Read(asked.type, prompt, right, said, why, [words(hint) for hint in asked.hints])


def directives(folder: Path, name: str) -> list[tuple[str, markup.Directive]]:
    found = []
    for path in sorted((folder / "book").glob("*.md")):
        source = path.read_text(encoding="utf-8")
        if markup.is_notebook(source):
            _, start = markup.front_matter(source)
            parts = markup.parts(source.splitlines()[start:], start + 1)
            found += [(path.stem, one) for one in parts if isinstance(one, markup.Directive) and one.name == name]
    return found


def sources(folder: Path) -> dict[str, Read]:
    counts: dict[str, int] = {}
    found = {}
    for page, part in directives(folder, "predict"):
        counts[page] = counts.get(page, 0) + 1
        found[f"predict-{page}-{counts[page]}"] = expected(markup.predict(part))
    return found


# --------------------------------------------------------------------------------------- the readers


def plain_value(row: str) -> str:
    """A number, or a row `11,689,512: why`, with its number written out."""
    value, colon, rest = row.partition(": ")
    return f"{Decimal(markup.plain_number(value)):f}{colon}{rest}"


def moodle(folder: Path) -> dict[str, Read]:
    found = {}
    for item in ET.parse(folder / "moodle.xml").getroot():
        kind = item.get("type")
        if kind == "category":
            continue
        answers = [
            (Decimal(one.get("fraction")), one.findtext("text"), text(one.findtext("feedback/text")), one)
            for one in item.findall("answer")
        ]
        said = {f"{text(answer)}: {feedback}" for _, answer, feedback, _ in answers if feedback}
        if kind == "numerical":
            ((_, value, _, node),) = [one for one in answers if one[0] == 100]
            asked, right = "number", (Decimal(value), Decimal(node.findtext("tolerance")))
            assert all(one[0] == 0 for one in answers if one[3] is not node)
            assert answers[0][3] is node, "Moodle takes the first that fits"
            said = {plain_value(row) for row in said}
        elif kind == "ordering":
            asked, right = "order", [text(answer) for _, answer, _, _ in sorted(answers, key=lambda one: one[0])]
            said = rows(item.findtext("incorrectfeedback/text"))
        else:
            assert kind == "multichoice"
            asked = "choice" if item.findtext("single") == "true" else "multiple"
            right = {text(answer) for fraction, answer, _, _ in answers if fraction > 0}
            assert sum(one[0] for one in answers if one[0] > 0) == pytest.approx(100, abs=1e-4)
            if asked == "multiple":
                assert sum(one[0] for one in answers) == pytest.approx(0, abs=1e-4), "ticking everything gives nothing"
        found[item.findtext("idnumber")] = Read(
            asked,
            first_paragraph(item.findtext("questiontext/text")),
            right,
            said,
            text(item.findtext("generalfeedback/text")),
            [text(hint.findtext("text")) for hint in item.findall("hint")],
        )
    return found


IMS = {"q": "http://www.imsglobal.org/xsd/ims_qtiasiv1p2", "m": "http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1"}


def canvas(folder: Path) -> dict[str, Read]:
    found = {}
    with zipfile.ZipFile(folder / "canvas.zip") as packed:
        names = set(packed.namelist())
        manifest = ET.fromstring(packed.read("imsmanifest.xml"))
        named = [one.get("href") for one in manifest.iterfind(".//m:file", IMS)]
        assert names == {*named, "imsmanifest.xml"}
        for resource in manifest.iterfind(".//m:resource[@type='imsqti_xmlv1p2']", IMS):
            quiz = ET.fromstring(packed.read(resource.find("m:file", IMS).get("href")))
            for item in quiz.iterfind(".//q:item", IMS):
                assert item.get("ident") not in found
                found[item.get("ident")] = canvas_item(item)
    return found


def canvas_item(item: ET.Element) -> Read:
    fields = {
        one.findtext("q:fieldlabel", "", IMS): one.findtext("q:fieldentry", "", IMS)
        for one in item.iterfind(".//q:qtimetadatafield", IMS)
    }
    kinds = {"numerical": "number", "multiple_choice": "choice", "multiple_answers": "multiple", "matching": "order"}
    asked = kinds[fields["question_type"].removesuffix("_question")]
    feedback = {one.get("ident"): one.findtext(".//q:mattext", "", IMS) for one in item.iterfind("q:itemfeedback", IMS)}
    conditions = item.findall(".//q:respcondition", IMS)
    shown = {
        one.find("q:displayfeedback", IMS).get("linkrefid") for one in conditions if one.find("q:setvar", IMS) is None
    }
    assert shown == set(feedback), "each feedback has a condition that shows it, and none shows nothing"
    scoring = [one for one in conditions if one.find("q:setvar", IMS) is not None]
    incorrect = feedback.get("general_incorrect_fb", "")
    labels = {
        one.get("ident"): text(one.findtext(".//q:mattext", "", IMS))
        for one in item.iterfind(".//q:response_label", IMS)
    }
    if asked == "number":
        (only,) = scoring
        # What Canvas's importer takes for right: whatever stands under an `or` or `and`.
        assert [one for one in conditions if one.find(".//q:or", IMS) is not None] == [only]
        low, high, exact = (
            Decimal(only.findtext(f".//q:{name}", "", IMS)) for name in ("vargte", "varlte", "varequal")
        )
        assert high - exact == exact - low
        right: object = (exact, high - exact)
        said = {plain_value(row) for row in rows(incorrect)}
    elif asked == "order":
        steps = {
            one.get("ident"): text(one.findtext("q:material/q:mattext", "", IMS))
            for one in item.iterfind(".//q:response_lid", IMS)
        }
        places = {}
        for one in scoring:
            match = one.find(".//q:varequal", IMS)
            places[int(labels[match.text])] = steps[match.get("respident")]
        assert sum(float(one.findtext("q:setvar", "", IMS)) for one in scoring) == pytest.approx(100, abs=0.1)
        assert list(steps.values()) != [places[key] for key in sorted(places)], "the order gives itself away"
        right = [places[key] for key in sorted(places)]
        said = rows(incorrect)
    else:
        (only,) = scoring
        variable = only.find("q:conditionvar", IMS)
        wanted = [*variable.findall("q:varequal", IMS), *variable.findall("q:and/q:varequal", IMS)]
        refused = {one.text for one in variable.iterfind("q:and/q:not/q:varequal", IMS)}
        right = {labels[one.text] for one in wanted}
        if asked == "multiple":
            assert refused | {one.text for one in wanted} == set(labels)
        said = set()
        for one in conditions:
            chosen = one.find("q:conditionvar/q:varequal", IMS)
            if chosen is not None and one.find("q:setvar", IMS) is None:
                key = one.find("q:displayfeedback", IMS).get("linkrefid")
                said.add(f"{labels[chosen.text]}: {text(feedback[key])}")
    return Read(
        asked,
        first_paragraph(item.findtext("q:presentation/q:material/q:mattext", "", IMS)),
        right,
        said,
        text(feedback.get("general_fb")),
        [text(hint) for hint in re.findall(r"<p>Hint: (.*?)</p>", incorrect, re.DOTALL)],
    )


def anki(folder: Path) -> dict[str, Read]:
    """A card has no type: it is told by what it lists, a number by having no list."""
    lines = (folder / "anki.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    head = [line for line in lines if line.startswith("#")]
    header = dict(line[1:].strip().split(":", 1) for line in head)
    assert lines[: len(head)] == head
    assert (header["separator"], header["html"]) == ("tab", "true")
    guid, deck, tags = (int(header[f"{name} column"]) - 1 for name in ("guid", "deck", "tags"))
    found = {}
    decks = []
    for row in csv.reader(io.StringIO("".join(lines[len(head) :])), delimiter="\t"):
        decks.append(row[deck])
        assert len(row) == 5
        front, back = [field for at, field in enumerate(row) if at not in (guid, deck, tags)]
        page = row[guid].split("-")[1]
        assert page in row[tags].split()
        letters = {one: text(said) for one, said in re.findall(r"<b>([A-Z])</b> (.*?)(?:<br>|</p>)", front, re.DOTALL)}
        answer = re.match(r"<p><b>(.*?)</b></p>", back, re.DOTALL)[1]
        told = [text(one) for one in answer.split("<br>")]
        rest = back[back.index("</b></p>") + 8 :]
        said = rows(rest)
        why = text(re.sub(r"<ul>.*?</ul>", "", rest, flags=re.DOTALL).replace("<p>If you said</p>", ""))
        if not letters:
            value = re.match(r"[-−]?[\d.,e]+", told[0])[0]
            margin = re.search(r"\(± (.*)\)", told[0])
            asked = "number"
            right: object = tuple(Decimal(markup.plain_number(one)) for one in (value, margin[1] if margin else "0"))
            said = {plain_value(one) for one in said}
        else:
            chosen = [letters[one[0]] for one in told]
            assert [one[2:] for one in told] == chosen
            if len(chosen) == len(letters):
                asked, right = "order", chosen
            else:
                asked, right = ("multiple" if "More than one" in front else "choice"), set(chosen)
                said = {f"{letters[one[0]]}: {one[3:]}" for one in said}
        hints = re.findall(r"<details><summary>Hint</summary>(.*?)</details>", front, re.DOTALL)
        found[row[guid]] = Read(asked, first_paragraph(front), right, said, why, [text(hint) for hint in hints])
    chapters = [one for one in decks if re.search(r"::\d", one)]
    assert chapters == sorted(chapters), "Anki sorts decks by their names"
    return found


READERS = [moodle, canvas, anki]


# ------------------------------------------------------------------------------------------ the book


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(folder: Path) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = question_bank.main(["--source", str(folder)])
    return Done(code, out.getvalue(), err.getvalue())


def copy_of(book: Path, target: Path, url: str = "https://github.com/YOUR_NAME/book") -> Path:
    (target / "book").mkdir(parents=True)
    for path in book.glob("*.md"):
        (target / "book" / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    config = f"repository:\n  url: {url}\n  branch: main\nbibtex_bibfiles: []\n"
    (target / "_config.yml").write_text(config, encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_of(ROOT / "book", tmp_path_factory.mktemp("book") / "copy")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert "without links" in done.stdout
    return folder / "_build/questions"


@pytest.mark.parametrize("read", READERS)
def test_what_is_imported_is_what_the_chapters_ask(made: Path, read: Callable[[Path], dict[str, Read]]):
    wanted, found = sources(ROOT), read(made)
    assert len(wanted) > 40
    assert {one.type for one in wanted.values()} == set(markup.QUESTIONS)
    assert list(found) == list(wanted)
    for ident, question in wanted.items():
        assert found[ident] == question, ident


def test_the_list_of_exercises_is_that_of_the_book(made: Path):
    listed = list(csv.DictReader(io.StringIO((made / "exercises.csv").read_text(encoding="utf-8-sig"))))
    heads = [(page, markup.exercise(part)) for page, part in directives(ROOT, "exercise")]
    assert listed
    assert [(one["title"], int(one["minutes"]), one["difficulty"], one["kind"]) for one in listed] == [
        (words(head.title), head.minutes, markup.DIFFICULTIES[head.difficulty - 1], head.kind) for _, head in heads
    ]
    for row, (page, _) in zip(listed, heads, strict=True):
        assert words(markup.title_of(ROOT / f"book/{page}.md")) in row["chapter"]


def test_the_same_book_gives_the_same_bytes(made: Path):
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    assert run(made.parent.parent).returncode == 0
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


# --------------------------------------------------------------------------------- markup of all kinds

PAGE = """\
---
kernelspec: {name: python3}
---

# Sizes, *and* rates (a < b)

## A section & more

:::{predict} What is $a_1 < b$ in [the next chapter](02_next.md), `x && y`?
:answer: −1,234.5
:tolerance: 0.05
:unit: °C "warm"

- 1e3: Not $x^2$, see [elsewhere](https://example.org/a).
- hint: A "quoted"\ttab.
- why: First.
- why: Second, with `<b>`.
:::

:::{predict} Which?
:type: multiple

- [x] one
- [x] two
- [x] three
- [ ] four

  Not four.
- [ ] five
:::

:::{predict} In which order?
:type: order

1. a
2. b
3. c
- 2 1 3: Not so.
:::
"""


def small(folder: Path, page: str, url: str = "https://github.com/YOUR_NAME/book") -> Path:
    source = folder / "source"
    source.mkdir()
    (source / "01_sizes.md").write_text(page, encoding="utf-8")
    (source / "02_next.md").write_text("---\nkernelspec: {name: python3}\n---\n\n# Next\n", encoding="utf-8")
    return copy_of(source, folder / "copy", url)


@pytest.mark.parametrize("read", READERS)
def test_signs_formulas_and_slips_survive(tmp_path: Path, read: Callable[[Path], dict[str, Read]]):
    folder = small(tmp_path, PAGE)
    done = run(folder)
    assert done.returncode == 0, done.stderr
    found = read(folder / "_build/questions")
    assert found == sources(folder)
    first = found["predict-01_sizes-1"]
    assert first.prompt == r'What is \(a_1 < b\) in the next chapter, x && y? (°C "warm")'
    assert first.right == (Decimal("-1234.5"), Decimal("0.05"))
    assert first.why == "First. Second, with <b>."


@pytest.mark.parametrize("name", ["moodle.xml", "anki.txt", "canvas.zip"])
def test_links_lead_to_the_published_pages_where_they_are_known(tmp_path: Path, name: str):
    def written(url: str, place: str) -> str:
        (tmp_path / place).mkdir()
        folder = small(tmp_path / place, PAGE, url)
        assert run(folder).returncode == 0
        content = (folder / "_build/questions" / name).read_bytes()
        if name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                content = packed.read("resnets_01_sizes/resnets_01_sizes.xml")
        return html.unescape(content.decode().replace('""', '"'))

    links = re.findall(r'href="([^"]*)"', written("https://github.com/ada/book", "known"))
    assert "https://ada.github.io/book/book/02_next.html" in links
    assert "https://ada.github.io/book/book/01_sizes.html#predict-01_sizes-1" in links
    unknown = written("https://github.com/YOUR_NAME/book", "unknown")
    assert set(re.findall(r'href="([^"]*)"', unknown)) == {"https://example.org/a"}
    assert "YOUR_NAME" not in unknown


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("# T\n\n:::{predict} What?\n- why: No answer.\n:::\n", "book/01_sizes.md:7: a number question needs :answer:"),
        (
            "# T\n\n:::{predict} ![p](02_next.md)?\n:answer: 1\n:::\n",
            "book/01_sizes.md:7: a question cannot take a",
        ),
        ("# T\n\n::::{exercise} E\n::::\n", "book/01_sizes.md:7: {exercise} needs :minutes:"),
    ],
)
def test_what_cannot_travel_is_refused_with_its_line(tmp_path: Path, page: str, message: str):
    folder = small(tmp_path, "---\nkernelspec: {name: python3}\n---\n\n" + page)
    done = run(folder)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert not (folder / "_build").exists()
