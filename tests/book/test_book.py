"""The markup of chapters, and the build of a small book: what it shows, what it refuses, what it keeps."""

import doctest
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import book_extension
import build_book
import directives as markup
import page_weight
import preview
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent.parent


# ----------------------------------------------------------------------------------------------- markup


@pytest.mark.parametrize("module", [markup, book_extension, preview], ids=lambda module: module.__name__)
def test_examples_in_the_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def only(text):
    """The one directive of a text."""
    (directive,) = [part for part in markup.parts(text.splitlines(), 1) if isinstance(part, markup.Directive)]
    return directive


def read_all(text):
    for part in markup.parts(text.splitlines(), 1):
        if isinstance(part, markup.Directive):
            {"predict": markup.predict, "exercise": markup.exercise}[part.name](part)


def test_cells_know_their_kind_tags_and_lines():
    text = (
        "---\nkernelspec: {name: python3}\n---\n\n# Title\n\n```{code-cell} python\n:tags: [remove-cell, test]\n"
        "x = 1\n```\n\nText.\n+++\nMore.\n\n```{code-cell}\ny = '''\n:::\n'''\n```\n"
    )
    cells = markup.cells(text)
    assert [(cell.kind, cell.line, cell.tags) for cell in cells] == [
        ("markdown", 5, ()),
        ("code", 9, ("remove-cell", "test")),
        ("markdown", 12, ()),
        ("markdown", 14, ()),
        ("code", 17, ()),
    ]
    assert cells[1].source == "x = 1"
    assert cells[4].source == "y = '''\n:::\n'''"
    assert markup.is_notebook(text)
    assert not markup.is_notebook("# Title\n")


def test_number_question():
    question = markup.predict(
        only(
            ":::{predict} How **many**?\n:answer: 11,689,512\n:tolerance: 0.5\n:unit: pixels\n\n"
            "- −3: Not\n  negative.\n- 1.5e3: No.\n- hint: One: two.\n- hint: Two.\n- why: Because $x$.\n:::"
        )
    )
    assert (question.type, question.answer, question.tolerance, question.unit) == (
        "number",
        "11,689,512",
        "0.5",
        "pixels",
    )
    assert question.wrong == (("−3", "Not\nnegative."), ("1.5e3", "No."))
    assert question.hints == ("One: two.", "Two.")
    assert question.why == ("Because $x$.",)


def test_words_that_a_question_masks():
    for kind, rest in (("number", ":answer: 56\n"), ("order", "\n1. a\n2. b\n")):
        question = markup.predict(only(f":::{{predict}} A?\n:type: {kind}\n:masks: 56 | conv 3×3\n{rest}:::"))
        assert question.masks == ("56", "conv 3×3")


def test_the_list_of_chapters_takes_number_and_question_from_each_file(tmp_path):
    for name, title in (("03_stem", "How big?"), ("11_cifar", "What *changes*?"), ("checker", "What does it know?")):
        (tmp_path / f"{name}.md").write_text(f"---\na: b\n---\n# {title}\n\nText.\n")
    table = markup.chapters(only(":::{chapters}\n- 11_cifar: a family\n- 03_stem: the stem\n:::"), tmp_path)
    assert table.splitlines()[2:] == [
        "| 3 | [How big?](03_stem.md) | the stem |",
        "| 11 | [What *changes*?](11_cifar.md) | a family |",
    ]
    for row, said in (
        ("- 04_gone: a block", "no such file"),
        ("- checker: what it knows", "no number"),
        ("- 03_stem", "expected"),
        ("- 03_stem: once\n- 03_stem: twice", "twice"),
    ):
        with pytest.raises(markup.MarkupError, match=said):
            markup.chapters(only(f":::{{chapters}}\n{row}\n:::"), tmp_path)


def test_multiple_choice_keeps_texts_with_colons_and_their_feedback():
    question = markup.predict(
        only(":::{predict} Which?\n:type: multiple\n\n- [x] One: a\n\n  Yes.\n\n  Indeed.\n- [ ] Two\n- [x] Three\n:::")
    )
    assert question.answer == "1 3"
    assert [choice.text for choice in question.choices] == ["One: a", "Two", "Three"]
    assert question.choices[0].feedback == "Yes.\n\nIndeed."


def test_order_is_shuffled_the_same_way_each_time_and_never_right():
    for count in range(2, 9):
        text = "\n".join([":::{predict} In order?", ":type: order", "", *(f"1. item {i}" for i in range(count)), ":::"])
        first, second = markup.predict(only(text)), markup.predict(only(text))
        keys = [choice.key for choice in first.shuffled]
        assert keys == [choice.key for choice in second.shuffled]
        assert sorted(keys) == list(range(1, count + 1)) != keys


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("\n:::{predict} What?\n- 1: no\n", 2, "never closed"),
        (":::{predict} A\n:answer: 1\n:::\n\n:::\n", 5, "closes nothing"),
        (":::{predict}\n:answer: 1\n:::", 1, "needs its question"),
        (":::{predict} A\n:answer: 1\n:answer: 2\n:::", 3, ":answer: twice"),
        (":::{predict} A\n:type: essay\n:::", 1, "number, choice, multiple, order"),
        (":::{predict} A\n:anwser: 1\n:::", 1, "no option :anwser:"),
        (":::{predict} A\n:::", 1, "needs :answer:"),
        (":::{predict} A\n:answer: about ten\n:::", 1, "'about ten' is not a number"),
        (":::{predict} A\n:answer: 1\n:tolerance: -1\n:::", 1, "not negative"),
        (":::{predict} A\n:answer: 1\n\n- 1.0: No.\n:::", 4, "it is the answer"),
        (":::{predict} A\n:answer: 1\n\n- 2: No.\n- 2.0: No.\n- 1,5: No.\n- 15: No.\n:::", 1, "listed twice"),
        (":::{predict} A\n:answer: 1\n\n- 2 No.\n:::", 4, "expected `- value: what went wrong`"),
        (":::{predict} A\n:answer: 1\n\nText.\n:::", 4, "one list"),
        (":::{predict} A\n:type: choice\n\n- [x] a\n- [x] b\n:::", 1, "one item marked [x], got 2"),
        (":::{predict} A\n:type: multiple\n\n- [ ] a\n- [ ] b\n:::", 1, "at least one item"),
        (":::{predict} A\n:type: choice\n\n- [x] a\n:::", 1, "at least two items"),
        (":::{predict} A\n:type: choice\n\n- [x] a\n- b\n:::", 5, "expected `- [x] right`"),
        (":::{predict} A\n:type: choice\n:answer: 1\n\n- [x] a\n- [ ] b\n:::", 1, "no option :answer:"),
        (":::{predict} A\n:type: order\n\n1. a\n2. b\n- 1 2: No.\n:::", 6, "expected a wrong order of 1 to 2"),
        (":::{exercise}\n:minutes: 1\n:difficulty: 1\n:::", 1, "needs a title"),
        (":::{exercise} A\n:difficulty: 1\n:::", 1, "needs :minutes:"),
        (":::{exercise} A\n:minutes: 0\n:difficulty: 1\n:::", 1, "a whole number from 1, got '0'"),
        (":::{exercise} A\n:minutes: 5\n:difficulty: hard\n:::", 1, "1, 2 or 3, got 'hard'"),
        (":::{exercise} A\n:minutes: 5\n:difficulty: 4\n:::", 1, "1, 2 or 3, got '4'"),
        (":::{exercise} A\n:minutes: 5\n:difficulty: 1\n:kind: sing\n:::", 1, "write, predict, repair"),
        (":::{exercise} A\n:minutes: 5\n:difficulty: 1\n:points: 1\n:::", 1, "no option :points:"),
    ],
)
def test_bad_markup_says_what_and_where(text, line, said):
    with pytest.raises(markup.MarkupError, match=re.escape(said)) as error:
        read_all(text)
    assert error.value.line == line


def test_the_head_of_an_exercise_in_words():
    head = markup.exercise(only(":::{exercise} A\n:minutes: 1\n:difficulty: 3\n:kind: repair\n:::"))
    assert head.summary == "1 minute · hard · repair"


@pytest.mark.parametrize(
    ("source", "starter", "solution"),
    [
        (
            "class A:\n    # solution\n    def f(self):\n        return 1\n\n    x = 2\n\n\ncheck(A)",
            "class A:\n    ...  # your turn\n\n\ncheck(A)",
            "class A:\n    def f(self):\n        return 1\n\n    x = 2\n\n\ncheck(A)",
        ),
        ("import a\n# solution\nx = 1\ny = 2", "import a\n...  # your turn", "import a\nx = 1\ny = 2"),
        ("# solution\nx = 1\n# end solution\ncheck(x)", "...  # your turn\ncheck(x)", "x = 1\ncheck(x)"),
        (
            "def f(x):\n    # broken\n    #| if x:\n    #|     return x\n    # solution\n    return -x\nf(1)",
            "def f(x):\n    if x:\n        return x\nf(1)",
            "def f(x):\n    return -x\nf(1)",
        ),
        (
            "def f():\n    # solution\n    return 1\ndef g():\n    # solution\n    return 2\nf()",
            "def f():\n    ...  # your turn\ndef g():\n    ...  # your turn\nf()",
            "def f():\n    return 1\ndef g():\n    return 2\nf()",
        ),
    ],
)
def test_an_exercise_splits_into_starter_and_solution(source, starter, solution):
    assert markup.split(source) == markup.Split(starter, solution)


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("x = 1", 10, "needs a line `# solution`"),
        ("# broken\n#| x = 1", 10, "needs a # solution after it"),
        ("# broken\nx = 1\n# solution\nx = 2", 11, "each line is `#| code`"),
        ("# end solution\nx = 1", 10, "cannot stand here"),
        ("# solution\nx = 1\n# broken\n#| x", 12, "cannot stand inside # solution"),
        ("# solution\nx = = 1", 10, "the solution of this exercise is not valid Python"),
        ("# broken\n#| x = (\n# solution\nx = 2", 10, "the starter of this exercise is not valid Python"),
    ],
)
def test_a_bad_exercise_cell_says_what_and_where(source, line, said):
    with pytest.raises(markup.MarkupError, match=re.escape(said)) as error:
        markup.split(source, 10)
    assert error.value.line == line


def test_no_cell_of_a_page_fails_for_want_of_torchinfo():
    for page in (ROOT / "book").rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert not re.search("^(from|import) torchinfo", text, re.MULTILINE), f"{page.name}: guard this import"


def test_formulas_become_mathml_and_bad_ones_an_error():
    drawn = book_extension.mathml(r"\left\lfloor \frac{224}{2} \right\rfloor \boldsymbol{x}", True)
    assert drawn.startswith("<math")
    assert "<mfrac>" in drawn
    assert 'stretchy="true">⌊' in drawn
    with pytest.raises(ValueError, match="nonsense"):
        book_extension.mathml(r"\nonsense{x}", False)


# ---------------------------------------------------------------------------------------------- building

CHAPTER = r"""---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {name: python3, display_name: Python 3}
myst: {html_meta: {description: A trial.}}
---
# Trial

{MARK}

Of 100 %, `100 % 7` are *3.66 G* in ResNet-34.

:::{predict} How many is $1 + 1$?
:answer: 2

- 11: That is *writing*.
- hint: Count.
- why: One and one.
:::

$$x = \frac{1}{2}$$

::::{exercise} Double it
:minutes: 5
:difficulty: 1

Twice.

:::{hint} How
By two.
:::
::::

```{code-cell} python
:tags: [exercise]
import os
def double(x):
    # solution
    return 2 * x

print("doubled", double(21), os.environ["RESNET_EDU_BOOK"])
```

```{code-cell} python
:caption: Its code stays above it.
print("shown", 1 + 1)
```

```{code-cell} python
:tags: [hide-input]
from resnet_edu.counting import steps

print("the package says", steps.MARK)
with open("runs.txt", "a") as runs:
    runs.write("once\n")
```
"""


class Trial:
    """A book of one page, with a copy of the package beside it to edit."""

    def __init__(self, folder):
        self.folder = folder
        self.page = folder / "book/01_trial.md"
        self.html = folder / "_build/html/book/01_trial.html"

    def write(self, mark="Text."):
        self.page.write_text(CHAPTER.replace("{MARK}", mark), encoding="utf-8")

    def build(self):
        return subprocess.run(
            [sys.executable, str(ROOT / "tools/build_book.py"), "--source", str(self.folder)],
            env={**os.environ, "PYTHONPATH": str(self.folder), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def package_says(self, mark):
        path = self.folder / "resnet_edu/counting/steps.py"
        text = (ROOT / "resnet_edu/counting/steps.py").read_text(encoding="utf-8")
        path.write_text(f"{text}\n\nMARK = {mark!r}\n", encoding="utf-8")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    trial = Trial(tmp_path_factory.mktemp("book"))
    for name in ("tools", "book/web", "book/templates", "book/references.bib"):
        target = trial.folder / name
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(ROOT / name)
    shutil.copy(ROOT / "_config.yml", trial.folder)
    shutil.copytree(ROOT / "resnet_edu", trial.folder / "resnet_edu", ignore=shutil.ignore_patterns("__pycache__"))
    (trial.folder / "_toc.yml").write_text("format: jb-book\nroot: book/01_trial.md\n", encoding="utf-8")
    trial.package_says("one")
    trial.write()
    done = trial.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(trial.folder / "_build/html/index.html") in done.stdout
    trial.said = done.stdout
    return trial


@pytest.fixture
def trial(built, tmp_path):
    """The built book, copied, so that each test breaks its own."""
    shutil.copytree(built.folder, tmp_path / "book", symlinks=True)
    return Trial(tmp_path / "book")


def test_the_page_holds_what_scripts_and_readers_need(built):
    page = built.html.read_text(encoding="utf-8")
    question = page[page.index("<predict-question") : page.index("</predict-question>")]
    assert 'id="predict-01_trial-1"' in question
    assert 'type="number"' in question
    assert 'answer="2"' in question
    assert '<li data-answer="11">That is <em>writing</em>.</li>' in question
    assert question.count("<math>") == 1
    assert re.search(r'<details class="predict-hint"><summary>Hint</summary>\s*<p>Count.</p>', question)
    assert re.search(r'<details class="predict-answer"><summary>Answer</summary>\s*<p><strong>2</strong>', question)

    exercise = page[page.index('<div class="exercise"') :]
    starter = exercise.index("# your turn")
    solution = exercise.index('<details class="exercise-solution">')
    assert starter < solution < exercise.index("doubled 42 1")
    assert "# solution" not in exercise
    # This copy does not know its own address, so it names the notebook and links nowhere.
    where = exercise[exercise.index('<p class="exercise-where">') :].partition("</p>")[0]
    assert "book/01_trial.ipynb" in where
    assert "href" not in where
    assert re.search(r'<details class="book-hint"><summary>.*?Hint: .*?How</summary>', exercise, re.DOTALL)
    # The picture of a cell with hidden input comes before its code.
    assert exercise.index("the package says one") < exercise.index('<details class="book-code">')
    assert exercise.index("shown 2") < exercise.index('<span class="caption-text">Its code stays above it.</span>')
    assert 'class="math' in page
    assert "<mfrac>" in page
    # A line ends neither before nor after a unit, but in code, where the sign is a remainder.
    assert re.search(r"Of 100\u00a0%, .*>100</span> <span.*<em>3\.66\u00a0G</em> in ResNet-\u206034", page)


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://github.com/owner/name", True),
        ("https://github.com/owner/name/", True),
        ("https://github.com/YOUR_NAME/name", False),
        ("https://example.org/owner/name", False),
        ("", False),
    ],
)
def test_an_exercise_links_to_its_cell_in_colab_once_the_book_knows_its_address(url, linked):
    options = {"repository_url": url, "repository_branch": "main", "launch_buttons": {"colab_url": "https://colab"}}
    app = SimpleNamespace(
        config=SimpleNamespace(html_theme_options=options), env=SimpleNamespace(docname="book/03_trial")
    )
    first, *rest = book_extension.where_to_write(app, "f(2)")
    if linked:
        place = "https://colab/github/owner/name/blob/main/book/03_trial.ipynb#scrollTo="
        assert first["refuri"] == place + markup.cell_id("code", "f(2)")
    else:
        assert [one.astext() for one in rest] == ["book/03_trial.ipynb", "."]


def test_a_forks_pages_carry_the_forks_address_without_an_edit(trial, monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert "YOUR_NAME" in (trial.folder / "_config.yml").read_text(encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=trial.folder, check=True)
    remote = "git@github.com:ada/fork.git"
    subprocess.run(["git", "remote", "add", "origin", remote], cwd=trial.folder, check=True)
    trial.page.with_suffix(".ipynb").write_text("{}", encoding="utf-8")
    done = trial.build()
    assert done.returncode == 0, done.stdout + done.stderr
    page = trial.html.read_text(encoding="utf-8")
    colab = "https://colab.research.google.com/github/ada/fork/blob/notebooks/book/01_trial.ipynb"
    assert f'href="{colab}"' in page
    assert re.search(rf'href="{re.escape(colab)}#scrollTo=\w+">Write and run it in Colab', page)
    assert 'rel="canonical" href="https://ada.github.io/fork/book/01_trial.html"' in page
    assert 'href="https://github.com/ada/fork"' in page
    assert "YOUR_NAME" not in page
    card = re.search(r'<meta property="og:image" content="https://ada.github.io/fork/([^"]+)" />', page)[1]
    with Image.open(trial.folder / "_build/html" / card) as picture:
        assert picture.size == (1200, 630)
    assert (
        '<meta property="og:title" content="1. Trial" />\n<meta property="og:description" content="A trial." />' in page
    )


def test_cells_run_once_ahead_of_their_page(built):
    ran, read = (built.said.index(words) for words in ("01_trial.md: Executed notebook", "reading sources"))
    assert ran < read
    assert (built.folder / "book/runs.txt").read_text(encoding="utf-8") == "once\n"


def test_no_page_names_a_host_that_a_browser_would_ask(built):
    for path in (built.folder / "_build/html").rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        asked = re.findall(r'<(?:script|link|img|iframe|source)[^>]+(?:src|href)="(https?:[^"]+)"', page)
        assert [address for address in asked if 'rel="canonical"' not in address] == []
        assert "thebe" not in page


def test_a_failed_build_says_why_and_leaves_the_last_good_page(trial):
    good = trial.html.read_text(encoding="utf-8")
    broken = "```{code-cell} python\nraise RuntimeError('the cell broke')\n```\n\n:::{predict} How many?\n:::"
    trial.write(broken)
    first, again = trial.build(), trial.build()
    for done in (first, again):  # a second run must not take the failed pages for good ones
        assert done.returncode != 0
        assert "RuntimeError" in done.stderr
        assert "the cell broke" in done.stderr
        assert re.search(r"01_trial\.md:12: WARNING: a number question needs :answer:", done.stderr)
        assert "The last good one is still at" in done.stderr
        assert trial.html.read_text(encoding="utf-8") == good
    trial.write("Mended.")
    assert trial.build().returncode == 0
    assert "Mended." in trial.html.read_text(encoding="utf-8")


def test_editing_the_package_runs_the_cells_again(trial):
    trial.package_says("two")
    done = trial.build()
    assert done.returncode == 0, done.stderr
    assert "the package says two" in trial.html.read_text(encoding="utf-8")
    unchanged = trial.build()
    assert unchanged.returncode == 0
    assert "0 added, 0 changed, 0 removed" in unchanged.stdout


def test_a_change_of_one_page_leaves_what_the_search_knows_of_the_others(trial):
    def known():
        text = (trial.folder / "_build/html/searchindex.js").read_text(encoding="utf-8")
        return json.loads(text[text.index("(") + 1 : text.rindex(")")])

    head = "---\nmyst:\n  html_meta:\n    description: Another page.\n---\n"
    text = f"{head}# Another page\n\n```{{index}} stride of a window\n```\n\nBesides.\n"
    (trial.folder / "book/02_other.md").write_text(text, encoding="utf-8")
    toc = "format: jb-book\nroot: book/01_trial.md\nchapters:\n- file: book/02_other.md\n"
    (trial.folder / "_toc.yml").write_text(toc, encoding="utf-8")
    done = trial.build()
    assert done.returncode == 0, done.stdout + done.stderr
    before = known()
    assert "stride of a window" in before["indexentries"]
    trial.write("Another text.")
    assert trial.build().returncode == 0
    after = known()
    assert after["indexentries"] == before["indexentries"]
    assert after["terms"].keys() >= {"besid", "anoth"}
    assert after["terms"]["besid"] == before["terms"]["besid"]


def test_publishing_replaces_the_book_in_one_step(tmp_path):
    place = tmp_path / "_build/html"
    for mark in ("first", "second"):
        built = tmp_path / mark
        built.mkdir()
        (built / "index.html").write_text(mark, encoding="utf-8")
        (built / "a.js").write_text("code\n//# sourceMappingURL=a.js.map\n", encoding="utf-8")
        (built / "a.js.map").write_text("{}", encoding="utf-8")
        (tmp_path / "_build").mkdir(exist_ok=True)
        build_book.publish(built, place)
        assert (place / "index.html").read_text(encoding="utf-8") == mark
    assert (place / "a.js").read_text(encoding="utf-8") == "code\n"
    assert not (place / "a.js.map").exists()
    assert len(list((tmp_path / "_build/published").iterdir())) == 1


def test_a_book_for_which_there_is_no_room_leaves_the_last_one_and_takes_its_half_away(tmp_path, monkeypatch, capsys):
    place = tmp_path / "_build/html"
    (tmp_path / "built").mkdir()
    (tmp_path / "built/index.html").write_text("first", encoding="utf-8")
    (tmp_path / "_build/published/stopped").mkdir(parents=True)  # by a build that was killed
    build_book.publish(tmp_path / "built", place)
    (tmp_path / "built/index.html").write_text("second", encoding="utf-8")
    full = OSError(errno.ENOSPC, "No space left on device", "page.html")

    def raise_(error, *_):
        raise error

    monkeypatch.setattr(page_weight, "lighten", partial(raise_, full))
    with pytest.raises(OSError, match="No space left"):
        build_book.publish(tmp_path / "built", place)
    assert (place / "index.html").read_text(encoding="utf-8") == "first"
    assert len(list((tmp_path / "_build/published").iterdir())) == 1

    monkeypatch.setattr(sys, "argv", ["build_book.py", "--source", str(tmp_path)])
    for error in (full, shutil.Error([("from", "to", str(full))])):
        monkeypatch.setattr(build_book, "build", partial(raise_, error))
        assert build_book.main() == 1
        said = capsys.readouterr().err
        assert "The book was not built: [Errno 28] No space left on device: 'page.html'. The last good one is" in said


def test_a_folder_from_plain_jupyter_book_gives_way(tmp_path):
    place = tmp_path / "_build/html"
    place.mkdir(parents=True)
    (tmp_path / "built").mkdir()
    (tmp_path / "built/index.html").write_text("new", encoding="utf-8")
    build_book.publish(tmp_path / "built", place)
    assert (place / "index.html").read_text(encoding="utf-8") == "new"
