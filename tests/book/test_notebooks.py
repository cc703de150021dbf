"""The notebooks: what each piece of markup becomes, and whether the committed ones follow their sources."""

import ast
import builtins
import json
import os
import shutil
import subprocess
import symtable
import sysconfig
import venv
from pathlib import Path
from types import SimpleNamespace

import directives as markup
import nbformat
import notebooks
import pytest

ROOT = Path(__file__).parent.parent.parent
COMMITTED = sorted((ROOT / "book").glob("*.ipynb"))

FRONT = "---\nkernelspec: {name: python3, display_name: Python 3}\n---\n"
BIB = """@article{he2015deep,
  author = {He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing}, title = {Deep {R}esidual Learning}, year = {2015},
  url = {https://example.org/paper}
}
@misc{one, author = {Doll{\\'a}r, Piotr}, title = {One}, year = {2017}, doi = {10.1/2}}
"""


@pytest.fixture
def write(tmp_path):
    """A small book; `write(text)` gives the cells of its only chapter."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book/references.bib").write_text(BIB, encoding="utf-8")
    (tmp_path / "book/04_other.md").write_text(f"{FRONT}# Other\n", encoding="utf-8")
    (tmp_path / "book/plan.svg").write_text("<svg/>", encoding="utf-8")
    (tmp_path / "_config.yml").write_text(
        "repository: {url: https://github.com/owner/name, branch: main}\nbibtex_bibfiles: [book/references.bib]\n",
        encoding="utf-8",
    )

    def cells(text):
        path = tmp_path / "book/03_trial.md"
        path.write_text(FRONT + text, encoding="utf-8")
        notebook = notebooks.Chapter(notebooks.Book.read(tmp_path), path).notebook()
        return nbformat.reads(notebook, as_version=4).cells

    return cells


def source(cells):
    """The Markdown of a chapter that has nothing else."""
    assert [cell.cell_type for cell in cells] == ["code", "markdown"]
    return cells[1].source


def test_plain_markdown_tables_and_formulas_stay_as_they_are(write):
    text = (
        "# Title\n\nA *word*, `[x](y)`, $a_1$.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n$$\\frac{a}{b}$$\n\n- one\n  - two"
    )
    assert source(write(text)) == text.replace("# Title", "# 3. Title")  # the number of its file, 03_trial


def test_labels_and_comments_are_dropped(write):
    assert source(write("(here)=\n% a comment\nText.")) == "Text."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{cite}`he2015deep`", "([He et al., 2015](https://example.org/paper))"),
        ("{cite:t}`one`", "[Dollár (2017)](https://doi.org/10.1/2)"),
        (
            "{cite}`he2015deep,one`",
            "([He et al., 2015](https://example.org/paper); [Dollár, 2017](https://doi.org/10.1/2))",
        ),
        ("[next](04_other.md#top)", "[next](https://owner.github.io/name/book/04_other.html#top)"),
        ("{doc}`the next <04_other>`", "[the next](https://owner.github.io/name/book/04_other.html)"),
        ("{ref}`here <spot>`", "[here](https://owner.github.io/name/book/03_trial.html#spot)"),
        ("[source](../_config.yml)", "[source](https://github.com/owner/name/blob/main/_config.yml)"),
        ("[paper](https://example.org)", "[paper](https://example.org)"),
        ("![A plan.](plan.svg)", "![A plan.](https://github.com/owner/name/raw/main/book/plan.svg)"),
        ("{math}`x^2` H{sub}`2`O", "$x^2$ H<sub>2</sub>O"),
        (":::{note}\nMind {cite:t}`one`.\n:::", "> **Note**\n>\n> Mind [Dollár (2017)](https://doi.org/10.1/2)."),
        (":::{admonition} A *name*\nText.\n:::", "> **A *name***\n>\n> Text."),
        (
            "```{figure} plan.svg\n:alt: A plan.\n\nThe caption.\n```",
            "![A plan.](https://github.com/owner/name/raw/main/book/plan.svg)\n\n*The caption.*",
        ),
        (
            ":::{dropdown} More\nInside.\n:::",
            "<details>\n<summary>More</summary>\n\nInside.\n\n</details>",
        ),
        ("```{math}\n:label: eq\nx\n```\n\nSee {eq}`eq`.", "$$\nx \\tag{1}\n$$\n\nSee (1)."),
        ("$$\nx\n$$ (eq)\n\nSee {eq}`eq`.", "$$\nx\n\\tag{1}$$\n\nSee (1)."),
        ("```python\n{cite}`x`\n:::\n```", "```python\n{cite}`x`\n:::\n```"),
        ("```sh\nls\n\npython -m a \\\n    --b\n```", "```sh\n!ls\n\n!python -m a \\\n    --b\n```"),
        ("```sh\nls\n```\n\n```python\nx = 1\n```", "```sh\n!ls\n```\n\n```python\nx = 1\n```"),
    ],
)
def test_markup_that_colab_cannot_draw_becomes_markdown(write, text, shown):
    assert source(write(text)) == shown


def test_the_bibliography_lists_what_the_book_cites(write):
    text = source(write("{cite:t}`one`\n\n```{bibliography}\n```"))
    assert text.endswith("- Dollár, 2017. [One](https://doi.org/10.1/2).")
    assert "Residual" not in text


def test_a_question_unfolds(write):
    text = source(
        write(":::{predict} How many?\n:answer: 56\n:unit: pixels\n\n- 1,120: Halve *it*.\n- hint: A\n- why: B\n:::")
    )
    assert text.startswith("**Predict 1.** How many? *(pixels)*")
    hint, answer = text.split("<details>")[1:]
    assert "<summary>Hint</summary>\n\nA\n" in hint
    assert answer.index("**56 pixels**") < answer.index("B") < answer.index("- 1,120: Halve *it*.")


def test_a_choice_and_an_order_are_told_by_letters(write):
    text = source(
        write(
            ":::{predict} Which?\n:type: choice\n\n- [ ] red\n\n  No.\n- [x] blue\n- why: B\n:::\n\n"
            ":::{predict} In order?\n:type: order\n\n1. a\n2. b\n3. c\n- 2 1 3: Almost.\n:::"
        )
    )
    choice, order = text.split("**Predict 2.**")
    assert "- **A**: red\n- **B**: blue" in choice
    assert "**B**\n\nB\n\n- A: No." in choice
    letters = {line[-1]: line[4] for line in order.splitlines() if line.startswith("- **")}
    assert f"**{letters['a']}, then {letters['b']}, then {letters['c']}**" in order
    assert f"- {letters['b']}, {letters['a']}, {letters['c']}: Almost." in order
    assert "".join(sorted(letters, key=letters.get)) != "abc", "the order gives itself away"


def test_a_question_with_several_right_choices_says_so(write):
    ask = ":::{{predict}} Which?\n:type: {}\n\n- [x] a\n- [ ] b\n:::"
    assert "More than one may be right." in source(write(ask.format("multiple")))
    assert "More than one" not in source(write(ask.format("choice")))


EXERCISE = (
    "::::{exercise} Double it\n:minutes: 5\n:difficulty: 1\n\nTwice.\n\n:::{hint} Use `*`\nBy two.\n:::\n::::\n\n"
    "```{code-cell} python\n:tags: [exercise]\ndef f(x):\n    # solution\n    return 2 * x\n\nf(2)\n```\n"
)


def test_an_exercise_is_a_starter_and_a_folded_solution(write):
    _, text, starter, solution = write(EXERCISE)
    assert "### Exercise 1: Double it\n\n*5 minutes · easy*\n\nTwice." in text.source
    assert "<summary>Hint: Use <code>*</code></summary>\n\nBy two." in text.source
    assert starter.source == "def f(x):\n    ...  # your turn\n\nf(2)"
    assert starter.id == starter.metadata["id"] == markup.cell_id("code", starter.source)  # where the page links to
    assert solution.source == "#@title Solution\ndef f(x):\n    return 2 * x\n\nf(2)"
    assert solution.metadata["cellView"] == "form"  # closed in Colab, and in JupyterLab
    assert solution.metadata["jupyter"]["source_hidden"]
    assert "jupyter" not in starter.metadata


def test_hidden_tests_stay_behind_and_figures_fold(write):
    cells = write(
        "```{code-cell} python\n:tags: [remove-cell, test]\nassert True\n```\n\n"
        "```{code-cell} python\n---\ntags: [hide-input]\n---\nprint(1)\n```\n"
        "```{code-cell} python\n:tags: [hide-input]\ntables.paper()\n```\n"
    )
    assert [cell.source for cell in cells[1:]] == [
        "#@title Run me to see the figure\nprint(1)",
        "#@title Run me to see the table\ntables.paper()",
    ]
    assert all(cell.metadata["cellView"] == "form" for cell in cells[1:])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n:::{unknown}\n:::", "line 5: notebooks cannot show the directive {unknown}"),
        ("Text.\n\n{glue}`x`", "line 6: notebooks cannot show the role {glue}"),
        ("[x](nowhere.md)", "leads to 'nowhere.md', which is not in the repository"),
        ("{cite}`nobody`", "nothing in the bibliography is called 'nobody'"),
        ("{eq}`none`", "no formula on this page has the label 'none'"),
        ("```{figure} plan.svg\n```", "{figure} needs :alt:"),
        ("```{code-cell} python\n:tags: [raises-exception]\n1/0\n```", "line 6: Colab stops at an error"),
        ("Text.\n\n```{code-cell} python\n:tags: [exercise]\n# solution\nx = 1\n```", "right below its {exercise}"),
    ],
)
def test_what_a_notebook_cannot_show_is_an_error_with_its_line(write, text, said):
    with pytest.raises(markup.MarkupError) as error:
        write(text)
    assert said in str(error.value)


def test_the_same_source_gives_the_same_notebook_and_ids_survive_edits_elsewhere(write):
    before = write(EXERCISE)
    assert write(EXERCISE) == before
    after = write("# A new beginning\n\n```{code-cell} python\nx = 1\n```\n\n" + EXERCISE)
    assert [cell.id for cell in after[3:]] == [cell.id for cell in before[1:]]
    assert len({cell.id for cell in after}) == len(after)


def test_cells_with_the_same_content_have_ids_of_their_own(write):
    cell = "```{code-cell} python\nx = 1\n```\n\n"
    cells = write(cell + cell)
    assert cells[1].source == cells[2].source
    assert cells[1].id != cells[2].id


def test_check_names_the_stale_notebook_and_what_to_run(tmp_path, write, capsys):
    write("# Trial\n")
    arguments = ["--source", str(tmp_path)]
    assert notebooks.main([*arguments, "--check"]) == 1
    assert notebooks.main(arguments) == 0
    assert notebooks.main([*arguments, "--check"]) == 0
    path = tmp_path / "book/03_trial.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("Trial", "Edited"), encoding="utf-8")
    (tmp_path / "book/old.ipynb").write_text("{}", encoding="utf-8")
    capsys.readouterr()
    assert notebooks.main([*arguments, "--check"]) == 1
    said = capsys.readouterr().err
    assert "make notebooks" in said
    assert "book/03_trial.ipynb" in said
    assert "old.ipynb (it has no source)" in said
    assert "04_other" not in said
    assert notebooks.main(arguments) == 0
    assert "removed book/old.ipynb" in capsys.readouterr().out
    assert not (tmp_path / "book/old.ipynb").exists()


def test_a_broken_chapter_is_named_and_keeps_its_notebook(tmp_path, write, capsys):
    write("# Trial\n")
    arguments = ["--source", str(tmp_path)]
    assert notebooks.main(arguments) == 0
    before = (tmp_path / "book/03_trial.ipynb").read_text(encoding="utf-8")
    (tmp_path / "book/03_trial.md").write_text(f"{FRONT}# Trial\n\n:::{{unknown}}\n:::\n", encoding="utf-8")
    assert notebooks.main(arguments) == 1
    assert "book/03_trial.md:6: notebooks cannot show the directive {unknown}" in capsys.readouterr().err
    assert (tmp_path / "book/03_trial.ipynb").read_text(encoding="utf-8") == before


def test_another_branch_is_linked_and_installed(tmp_path, write):
    config = tmp_path / "_config.yml"
    config.write_text(config.read_text(encoding="utf-8").replace("branch: main", "branch: spring"), encoding="utf-8")
    setup, text = write("[source](../_config.yml)")
    assert "@spring" in setup.source
    assert text.source == "[source](https://github.com/owner/name/blob/spring/_config.yml)"


# ------------------------------------------------------------------------------------------ the set-up cell


def run(python, cell, folder, **environment):
    """What the cell prints in a process of its own."""
    done = subprocess.run(
        [python, "-c", cell],
        capture_output=True,
        text=True,
        cwd=folder,
        check=True,
        env={**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, **environment},
    )
    return done.stdout


def book(tmp_path, url="https://github.com/owner/name", ref="main"):
    return notebooks.Book(tmp_path, url, ref)


@pytest.mark.parametrize("url", ["https://github.com/owner/name", "https://github.com/YOUR_NAME/resnet-edu"])
def test_the_set_up_cell_can_be_read_at_a_glance(tmp_path, url):
    cell = book(tmp_path, url).setup
    assert len(cell.splitlines()) <= 12
    ast.parse(cell)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """Python as on Colab's image: PyTorch is there and torchinfo, for want of a network, but resnet_edu is not."""
    folder = tmp_path_factory.mktemp("machine")
    venv.create(folder / "venv", with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    # What a .pth file adds is searched, but its own .pth files, one of which brings this very checkout, are not read.
    (site / "image.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return SimpleNamespace(folder=folder, python=str(folder / "venv/bin/python"), site=site)


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    """A repository with two commits of the package, which git takes for https://github.com/owner/name."""
    folder = tmp_path_factory.mktemp("remote")
    shutil.copytree(ROOT / "resnet_edu", folder / "resnet_edu", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)

    def git(*arguments):
        options = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        command = ["git", "-C", folder, *options, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    git("add", ".")
    git("commit", "--quiet", "-m", "what the notebook was made for")
    made_for = git("rev-parse", "HEAD")
    git("rm", "--quiet", "-r", "resnet_edu/explorers")
    git("commit", "--quiet", "-m", "the book has moved on")
    (folder / "gitconfig").write_text(f'[url "{folder.as_uri()}"]\n\tinsteadOf = https://github.com/owner/name\n')
    environment = {
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        # What it takes to build a wheel comes from the image; nothing from a network.
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return SimpleNamespace(made_for=made_for, environment=environment)


def test_where_nothing_can_be_installed_the_cell_says_what_to_do(machine, tmp_path):
    said = run(machine.python, book(tmp_path, "https://github.com/YOUR_NAME/resnet-edu").setup, tmp_path)
    assert "Nothing was installed" in said
    assert "published page" in said
    assert "make book" in said


def test_an_installation_that_fails_says_what_to_look_at(machine, remote, tmp_path):
    said = run(machine.python, book(tmp_path, ref="nowhere").setup, tmp_path, **remote.environment)
    assert "pip could not install git+https://github.com/owner/name@nowhere" in said
    assert "is installed" not in said


def test_the_cell_installs_the_commit_that_it_was_made_for_and_leaves_the_image_alone(machine, remote, tmp_path):
    before = {path.name for path in machine.site.iterdir()}
    cell = book(tmp_path, ref=remote.made_for).setup
    ran = f"{cell}\nimport resnet_edu; print(resnet_edu.__file__)"
    said = run(machine.python, ran, tmp_path, **remote.environment).splitlines()
    assert said[-2] == "resnet_edu is installed. Go on."
    assert Path(said[-1]).is_relative_to(machine.site)
    added = {path.name for path in machine.site.iterdir()} - before
    assert {name.partition("-")[0] for name in added} == {"resnet_edu"}, "pip brought more than the package"
    # Everything that the package needs at run time came along, the figures' scripts and styles too.
    for path in (ROOT / "resnet_edu/explorers").rglob("*.*"):
        if "__pycache__" not in path.parts:
            assert (machine.site / path.relative_to(ROOT)).exists(), path
    assert run(machine.python, cell, tmp_path, **remote.environment) == "resnet_edu is here. Go on.\n"


# ------------------------------------------------------------------------------------- the published ones


@pytest.fixture
def fork(tmp_path, write):
    """The small book as somebody's clone of their fork on GitHub, in which _config.yml still has the placeholder."""
    config = tmp_path / "_config.yml"
    config.write_text(config.read_text(encoding="utf-8").replace("owner/name", "YOUR_NAME/name"), encoding="utf-8")
    write("# Trial\n\n[source](../_config.yml) [next](04_other.md) ![A plan.](plan.svg)\n")
    for command in (
        "git init --quiet",
        "git remote add origin git@github.com:ada/fork.git",
        "git add .",
        "git -c user.name=t -c user.email=t@example.org -c commit.gpgsign=false commit --quiet -m one",
    ):
        subprocess.run(command.split(), cwd=tmp_path, check=True)
    return tmp_path


def test_published_notebooks_carry_the_forks_address_and_the_commit(fork, monkeypatch, capsys):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    out = fork / "_build/notebooks"
    assert notebooks.main(["--source", str(fork), "--published", str(out)]) == 0
    setup, text = nbformat.read(out / "book/03_trial.ipynb", as_version=4).cells
    ref = subprocess.run(["git", "rev-parse", "HEAD"], cwd=fork, capture_output=True, text=True).stdout.strip()
    assert len(ref) == 40
    assert f"git+https://github.com/ada/fork@{ref}" in setup.source
    assert f"[source](https://github.com/ada/fork/blob/{ref}/_config.yml)" in text.source
    assert f"https://github.com/ada/fork/raw/{ref}/book/plan.svg" in text.source
    assert "[next](https://ada.github.io/fork/book/04_other.html)" in text.source
    assert {path.name for path in (out / "book").iterdir()} == {"03_trial.ipynb", "04_other.ipynb"}


@pytest.mark.parametrize("variable", [None, "bob/other"])
def test_committed_notebooks_do_not_depend_on_who_writes_them(fork, monkeypatch, variable):
    if variable:
        monkeypatch.setenv("GITHUB_REPOSITORY", variable)
    assert notebooks.main(["--source", str(fork)]) == 0
    setup, text = nbformat.read(fork / "book/03_trial.ipynb", as_version=4).cells
    assert setup.source == notebooks.SETUP_WITHOUT_ADDRESS.strip()
    assert "github.com/YOUR_NAME/name/blob/main/" in text.source


def test_without_an_address_nothing_is_published(fork, monkeypatch, capsys):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    subprocess.run(["git", "remote", "set-url", "origin", "https://example.org/ada/fork"], cwd=fork, check=True)
    assert notebooks.main(["--source", str(fork), "--published", str(fork / "out")]) == 1
    assert "remote `origin` is on github.com" in capsys.readouterr().err
    assert not (fork / "out").exists()


# ------------------------------------------------------------------------------------------- the real ones


def test_committed_notebooks_follow_their_sources(capsys):
    assert notebooks.main(["--check"]) == 0, capsys.readouterr().err
    assert COMMITTED


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_notebook_is_valid_and_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith("#@title Set up")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)
            assert cell.outputs == []
            assert cell.execution_count is None
        else:
            assert ":::" not in cell.source
            assert "```{" not in cell.source
            assert "{cite" not in cell.source
    assert json.loads(path.read_text(encoding="utf-8"))["nbformat"] == 4


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_no_cell_needs_what_only_a_hidden_cell_of_the_page_makes(path):
    known = {*dir(builtins), "get_ipython"}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            read, made = names(symtable.symtable(cell.source, path.name, "exec"))
            assert read <= known | made, cell.source
            known |= made


def names(table):
    """The names that the code of a cell reads, and those that it makes, of those that all cells share."""
    shared = [symbol for symbol in table.get_symbols() if table.get_type() == "module" or symbol.is_global()]
    read = {symbol.get_name() for symbol in shared if symbol.is_referenced()}
    made = {
        symbol.get_name() for symbol in shared if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    }
    for inner in table.get_children():
        found = names(inner)
        read, made = read | found[0], made | found[1]
    return read, made
