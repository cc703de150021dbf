"""What the book adds to Sphinx: its directives, its formulas, and pages that ask no other host for anything.

_config.yml loads it (`sphinx: local_extensions`). The markup itself is read by directives.py, which the
notebooks share; here it becomes HTML that reads as it stands and that scripts may bring alive.

Why not a library: sphinx-exercise makes no starter from a solution, jupyterquiz has an unlabelled field and no
answer without scripts, and MathJax in the page weighs more than the page (temml compiles the formulas instead).
"""

import hashlib
import json
import os
import re
import shutil
import sys
from functools import lru_cache
from html import escape, unescape
from importlib.metadata import version
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

import directives as markup
import preview
import survey
from address import home, known, pages
from docutils import nodes
from docutils.statemachine import StringList
from py_mini_racer import JSEvalException, MiniRacer
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

HERE = Path(__file__).parent
LOGGER = logging.getLogger(__name__)
# How many execution caches to keep: that of today's sources, and of those that git may bring back soon.
CACHES = 3


# ---------------------------------------------------------------------------------------------- elements


class element(nodes.General, nodes.Element):  # noqa: N801  docutils names its nodes in lower case
    """An HTML element by name, for which docutils has no node."""


def html(tag: str, *children: nodes.Node, classes: str = "", **attributes: str) -> element:
    """`html("li", text, classes="wrong", data_key="2")` is `<li class="wrong" data-key="2">`; "" leaves one out."""
    given = {name.replace("_", "-"): value for name, value in attributes.items() if value != ""}
    ids = [given.pop("id")] if "id" in given else []
    return element("", *children, tag=tag, attributes=given, classes=classes.split(), ids=ids)


def visit_element(self, node: element) -> None:
    self.body.append(self.starttag(node, node["tag"], "", **node["attributes"]))


def depart_element(self, node: element) -> None:
    self.body.append(f"</{node['tag']}>\n")


def pass_through(self, node: element) -> None:
    """Other formats than HTML keep what stands inside."""


def details(classes: str, summary: list[nodes.Node], *children: nodes.Node) -> element:
    return html("details", html("summary", *summary), *children, classes=classes)


# -------------------------------------------------------------------------------------------- directives


class BookDirective(SphinxDirective):
    """A directive whose body and options stay as written: directives.py checks them, with better messages."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True

    @property
    def source(self) -> markup.Directive:
        return markup.Directive(
            self.name,
            " ".join(self.arguments).strip(),
            {name: value or "" for name, value in self.options.items()},
            list(self.content),
            self.lineno,
            self.content_offset + 1,
        )

    def run(self) -> list[nodes.Node]:
        try:
            return self.build()
        except markup.MarkupError as error:
            LOGGER.warning(error.problem, location=(self.env.docname, error.line), type="book", subtype=self.name)
            return []

    def blocks(self, text: str) -> list[nodes.Node]:
        """Markdown as nodes, blocks allowed."""
        return self.nested(text.splitlines(), self.content_offset)

    def nested(self, lines: list[str], offset: int) -> list[nodes.Node]:
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, self.env.docname), offset, holder)
        return holder.children

    def inline(self, text: str) -> list[nodes.Node]:
        """Markdown of one paragraph as what stands inside the paragraph."""
        found = self.blocks(text)
        return found[0].children if len(found) == 1 and isinstance(found[0], nodes.paragraph) else found

    def number(self, kind: str) -> tuple[int, str]:
        """The running number of a question or an exercise on its page, and the id made from it."""
        count = self.env.new_serialno(f"book-{kind}") + 1
        return count, f"{kind}-{self.env.docname.rpartition('/')[2]}-{count}"


class Predict(BookDirective):
    option_spec = dict.fromkeys(("type", "answer", "tolerance", "unit", "masks"), str)

    def build(self) -> list[nodes.Node]:
        question = markup.predict(self.source)
        _, name = self.number("predict")
        number = question.type == "number"
        parts = [html("div", *self.blocks(question.prompt), classes="predict-prompt")]
        if question.choices:
            parts.append(
                html(
                    "ol",
                    *(self.choice(choice) for choice in question.shuffled or question.choices),
                    classes="predict-options",
                )
            )
        if question.wrong:
            parts.append(
                html(
                    "ul",
                    *(
                        html("li", *self.inline(text), data_answer=markup.plain_number(value) if number else value)
                        for value, text in question.wrong
                    ),
                    classes="predict-wrong",
                )
            )
        for count, hint in enumerate(question.hints, 1):
            label = "Hint" if len(question.hints) == 1 else f"Hint {count}"
            parts.append(details("predict-hint", [nodes.Text(label)], *self.blocks(hint)))
        parts.append(details("predict-answer", [nodes.Text("Answer")], *self.answer(question)))
        return [
            html(
                "predict-question",
                *parts,
                id=name,
                type=question.type,
                answer=markup.plain_number(question.answer) if number else question.answer,
                tolerance=markup.plain_number(question.tolerance) if number else "",
                unit=question.unit,
                masks=" | ".join(question.masks),
            )
        ]

    def choice(self, choice: markup.Choice) -> element:
        parts = [html("div", *self.blocks(choice.text), classes="predict-text")]
        if choice.feedback:
            parts.append(html("div", *self.blocks(choice.feedback), classes="predict-feedback"))
        return html("li", *parts, data_correct=str(choice.correct).lower(), data_key=str(choice.key))

    def answer(self, question: markup.Prediction) -> list[nodes.Node]:
        """The answer in words, for a reader without scripts: what it is, then why, in place of all feedback."""
        if question.type == "number":
            said = nodes.Text(f"{question.answer} {question.unit}".strip())
            parts: list[nodes.Node] = [nodes.paragraph("", "", nodes.strong("", "", said))]
        elif question.type == "order":
            parts = [html("ol", *(html("li", *self.inline(choice.text)) for choice in question.choices))]
        else:
            right = [choice for choice in question.choices if choice.correct]
            parts = [html("ul", *(html("li", *self.inline(choice.text)) for choice in right))]
        for why in question.why:
            parts.extend(self.blocks(why))
        return parts


class Exercise(BookDirective):
    option_spec = dict.fromkeys(("minutes", "difficulty", "kind"), str)

    def build(self) -> list[nodes.Node]:
        head = markup.exercise(self.source)
        count, name = self.number("exercise")
        title = html(
            "div",
            html("span", nodes.Text(f"Exercise {count}"), classes="exercise-number"),
            nodes.Text(" "),
            html("span", *self.inline(head.title), classes="exercise-name"),
            classes="exercise-title",
            role="heading",
            aria_level="3",
        )
        meta = html("div", nodes.Text(head.summary), classes=f"exercise-meta difficulty-{head.difficulty}")
        body = self.nested(list(self.content), self.content_offset)
        return [html("div", title, meta, *body, id=name, classes="exercise")]


class Dropdown(BookDirective):
    """`hint` and `solution`: closed until the reader opens them."""

    def build(self) -> list[nodes.Node]:
        title = " ".join(self.arguments).strip()
        label = nodes.Text({"hint": "Hint", "solution": "Solution"}[self.name] + (": " if title else ""))
        summary = [html("span", label, classes="label"), *(self.inline(title) if title else [])]
        return [details(f"book-{self.name}", summary, *self.nested(list(self.content), self.content_offset))]


class Doors(BookDirective):
    """Where a reader may begin, as buttons; the build adds the one that opens Colab."""

    def build(self) -> list[nodes.Node]:
        return [html("div", *self.nested(list(self.content), self.content_offset), classes="doors")]


class Chapters(BookDirective):
    def build(self) -> list[nodes.Node]:
        here = Path(self.env.doc2path(self.env.docname))
        for path in here.parent.glob("*.md"):
            self.env.note_dependency(str(path))
        return self.blocks(markup.chapters(self.source, here.parent))


def number_chapter(app: Sphinx, doctree: nodes.document) -> None:
    """Put the number that its file's name begins with before a chapter's title, wherever the title is shown."""
    number = markup.chapter_number(app.env.docname)
    title = next(iter(doctree.findall(nodes.title)), None)
    if number is not None and title is not None:
        title.insert(0, nodes.inline("", f"{number}.", classes=["chapter-number"]))
        title.insert(1, nodes.Text(" "))


def place_exercise_cells(app: Sphinx, doctree: nodes.document) -> None:
    """Put each exercise's code into its box: the starter in the open, the cell with the solution closed."""
    for cell in list(doctree.findall(nodes.container)):
        if cell.get("nb_element") != "cell_code" or "exercise" not in cell["cell_metadata"].get("tags", []):
            continue
        block = next(iter(cell.findall(nodes.literal_block)))
        place = cell.parent.index(cell)
        before = cell.parent[place - 1] if place else None
        if not isinstance(before, element) or "exercise" not in before["classes"]:
            LOGGER.warning("a cell tagged exercise stands right below its {exercise}", location=cell, type="book")
            continue
        try:
            both = markup.split(block.astext(), cell.line or 1)
        except markup.MarkupError as error:
            LOGGER.warning(error.problem, location=(app.env.docname, error.line), type="book", subtype="exercise")
            continue
        starter = nodes.literal_block(both.starter, both.starter, language=block["language"])
        solution = nodes.literal_block(both.solution, both.solution, language=block["language"])
        block.replace_self(solution)
        cell.parent.remove(cell)
        before.append(html("div", starter, classes="exercise-starter"))
        before.append(nodes.paragraph("", "", *where_to_write(app, both.starter), classes=["exercise-where"]))
        before.append(details("exercise-solution", [nodes.Text("Show the solution")], cell))


def where_to_write(app: Sphinx, starter: str) -> list[nodes.Node]:
    """Where a reader of the page can run the starter: its cell in Colab, or the notebook beside the page's source."""
    options, notebook = app.config.html_theme_options, f"{app.env.docname}.ipynb"
    url = options.get("repository_url", "")
    colab = options.get("launch_buttons", {}).get("colab_url", "")
    if not colab or not known(url) or not url.startswith("https://github.com/"):
        return [
            nodes.Text("Write and run it in this chapter’s notebook, "),
            nodes.literal("", notebook),
            nodes.Text("."),
        ]
    place = f"{url.rstrip('/').removeprefix('https://github.com/')}/blob/{options.get('repository_branch') or 'main'}"
    cell = markup.cell_id("code", starter)
    link = nodes.reference(
        "", "Write and run it in Colab", refuri=f"{colab}/github/{place}/{notebook}#scrollTo={cell}", internal=False
    )
    return [link, nodes.Text(". Run the set-up cell at the top there first.")]


def fold_code(app: Sphinx, doctree: nodes.document) -> None:
    """A cell tagged hide-input shows its picture, if it has one, and keeps its code, folded, below it.

    A cell whose code stays above its picture has its caption there all the same.
    """
    for cell in list(doctree.findall(nodes.container)):
        if cell.get("nb_element") != "cell_code":
            continue
        caption = cell["cell_metadata"].get("caption", "")
        below = [html("span", nodes.Text(caption), classes="caption-text")] if caption else []
        if cell.get("hide_mode") == "input":
            del cell["hide_mode"]
            code = cell.pop(0)
            below.append(details("book-code", [nodes.Text("Code")], code))
        if below:
            cell.append(html("div", *below, classes="book-caption"))


# A space before one of these belongs to the number, and a hyphen before a number to the name.
UNIT = re.compile(r"(?<=\d) (?=(?:%|[kMG]B?|ms|s|px)(?!\w))")
NUMBERED = re.compile(r"(?<=[A-Za-z]-)(?=\d)")


def keep_whole(app: Sphinx, doctree: nodes.document) -> None:
    """No line ends within 28.54 %, 3.66 G or ResNet-34; a title keeps the words by which it is looked up."""
    for text in list(doctree.findall(nodes.Text)):
        if isinstance(text.parent, (nodes.literal, nodes.math, nodes.FixedTextElement)):
            continue
        said = UNIT.sub("\u00a0", text)
        if not isinstance(text.parent, nodes.title):
            said = NUMBERED.sub("\u2060", said)
        if said != text:
            text.parent.replace(text, nodes.Text(said))


def list_citations(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """The bibliography as an ordinary list: docutils gives it roles that screen readers are told to refuse."""
    for first in list(doctree.findall(nodes.citation)):
        if first not in first.parent.children:  # taken along with the one before it
            continue
        parent, place = first.parent, first.parent.index(first)
        run = list(takewhile(lambda node: isinstance(node, nodes.citation), parent[place:]))
        items = html("ul", classes="references")
        for citation in run:
            parent.remove(citation)
            # Its label is left out: the text says "He et al., 2015", which the entry answers.
            item = html("li", *(child for child in citation if not isinstance(child, nodes.label)))
            item["ids"] = citation["ids"]
            items.append(item)
        parent.insert(place, items)


# ---------------------------------------------------------------------------------------------- formulas


@lru_cache(1)
def temml() -> MiniRacer:
    """The formula compiler temml, in a JavaScript engine inside this process."""
    engine = MiniRacer()
    engine.eval((HERE / "temml/temml.min.js").read_text(encoding="utf-8") + "; 0")
    return engine


@lru_cache(None)
def mathml(formula: str, display: bool) -> str:
    """TeX as MathML, which browsers draw without a script. Raises ValueError on TeX that is not valid.

    >>> mathml("x", display=False)
    '<math><mi>x</mi></math>'
    """
    options = {"displayMode": display, "throwOnError": True}
    try:
        return str(temml().call("temml.renderToString", formula, options))
    except JSEvalException as error:
        raise ValueError(str(error).partition("\nvar temml")[0].replace("<anonymous>:1: ", "")) from None


def formula(self, node: nodes.Element, display: bool) -> str:
    text = node.astext()
    # As Sphinx does for its other renderers: several lines without an environment of their own are aligned.
    if display and r"\\" in text and r"\begin" not in text:
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    try:
        return mathml(text, display)
    except ValueError as error:
        LOGGER.warning("formula %r: %s", text, error, location=node, type="book", subtype="math")
        return self.encode(text)


def visit_math(self, node: nodes.math) -> None:
    self.body.append(self.starttag(node, "span", "", CLASS="math notranslate nohighlight"))
    self.body.append(formula(self, node, display=False) + "</span>")
    raise nodes.SkipNode


def visit_displaymath(self, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({node["number"]})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    # A formula wider than a phone scrolls in its own box, which the keyboard must reach.
    self.body.append('<div class="formula" tabindex="0" role="group" aria-label="Formula">')
    self.body.append(formula(self, node, display=True) + "</div></div>\n")
    raise nodes.SkipNode


# ------------------------------------------------------------------------------------------------- pages


def digest(*paths: Path) -> str:
    """One hash over the names and contents of files and, below folders, of all their files."""
    found = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                found.update(f"{file.relative_to(path.parent)}\0".encode() + file.read_bytes())
    return found.hexdigest()[:16]


def configure(app: Sphinx, config) -> None:
    """Settings that follow from the sources: what to execute again, which files to serve."""
    root = Path(app.srcdir)
    package = Path(find_spec("resnet_edu").origin).parent
    sources = sorted([*package.rglob("*.py"), *package.rglob("*.txt")])
    # Jupyter's cache knows a notebook by its cells and does not see that the package under it has changed.
    key = hashlib.sha256(f"{digest(*sources)} {version('torch')} {sys.version_info[:2]}".encode()).hexdigest()[:16]
    caches = Path(config.book_cache or Path(app.doctreedir).parent / "executed")
    config.nb_execution_cache_path = str(caches / key)
    # Only the links to Colab ask for the branch.
    url, branch = home(root)
    config.html_theme_options |= {"repository_url": url, "repository_branch": branch}
    if not config.html_baseurl and known(url):
        config.html_baseurl = f"{pages(url)}/"
    config.book_tools = f"{digest(HERE / 'directives.py', Path(__file__))} {url} {branch}"
    config.book_look = digest(
        root / "book/web", root / "book/templates", *sorted((package / "explorers").rglob("*.[jc]s*"))
    )
    older = sorted(
        (path for path in caches.glob("*") if path.name not in (key, "ipython")), key=lambda path: path.stat().st_mtime
    )
    for path in older[: -(CACHES - 1)]:
        shutil.rmtree(path, ignore_errors=True)
    # Explorers print their element alone here; the page brings the scripts.
    os.environ["RESNET_EDU_BOOK"] = "1"
    # Kernels start without the start-up files of whoever builds, and without telling each time that they speak
    # to this machine unencrypted.
    profile = caches / "ipython/profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 'ERROR'\n", encoding="utf-8")
    os.environ["IPYTHONDIR"] = str(profile.parent)

    files = Path(app.doctreedir) / "served"
    shutil.rmtree(files, ignore_errors=True)
    (files / "explorers/net").mkdir(parents=True)
    from resnet_edu import explorers
    from resnet_edu.drawing import palette

    # The theme writes the mode on every page. Where no script turns its "auto" into one, the page is light,
    # whatever the system prefers, and so must be the colors.
    colors = palette.css().replace(':root:not([data-theme="light"])', ":root:not([data-theme])")
    # Paper is white, whatever the screen was.
    paper = f"@media print {{ html[data-theme] {{\n{palette.declarations('light')}}} }}\n"
    (files / "palette.css").write_text(colors + paper, encoding="utf-8")
    for asset in sorted((package / "explorers").glob("*.css")):
        shutil.copy(asset, files / "explorers")
    for asset in sorted((package / "explorers").rglob("*.js")):  # those in net are fetched by the figures that train
        name = asset.relative_to(package / "explorers").as_posix()
        (files / "explorers" / name).write_text(explorers.served(name), encoding="utf-8")
    # How much there is to do on each page, which the marks in the list of chapters count against.
    (files / "outline.js").write_text(f"globalThis.BOOK_OUTLINE = {json.dumps(outline(root / 'book'))};\n", "utf-8")
    config.html_static_path.append(str(files))


def outline(book: Path) -> dict[str, int]:
    """How many questions and exercises each page asks; a page whose markup cannot be read says so when it is built."""
    try:
        pages = survey.asking_pages(book)
    except markup.MarkupError:
        return {}
    return {page.name: sum(each.kind in ("predict", "exercise") for each in page.elements) for page in pages}


def page(app: Sphinx, name: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Per page: a description, the scripts that its body needs, and none that it does not."""
    if doctree is not None and 'name="description"' not in context.get("metatags", ""):
        LOGGER.warning(
            "the page has no description; add myst: {html_meta: {description: …}} to its front matter",
            location=name,
            type="book",
            subtype="description",
        )
    post(app, name, context)
    # MyST-NB calls a folded cell by another name than the words that stand on it.
    body = context.get("body", "").replace(' aria-label="Toggle hidden content"', "")
    context["body"] = body
    door = colab(context)
    if door and "</h1>" in body:
        words = f'<p class="page-doors d-print-none"><a href="{escape(door)}">Run in Colab</a></p>'
        place = '<div class="doors">' if '<div class="doors">' in body else "</h1>"
        before, _, after = body.partition(place)
        # Beside the other doors of the first page; on a chapter under its title.
        at_end = (
            f"{place}{after.replace('</div>', words + '</div>', 1)}" if place != "</h1>" else f"{place}\n{words}{after}"
        )
        context["body"] = body = before + at_end
    # Sphinx adds to the lists that it has handed out, so this comes before new lists replace them.
    from resnet_edu import explorers

    parts = {"review.js": 'class="progress-list"', "figures.js": 'class="re-picture"'}
    for script in (
        "menus.js",
        "outline.js",
        "progress.js",
        *(script for script, mark in parts.items() if mark in body),
    ):
        app.add_js_file(script, loading_method="defer")
    found = [tag for tag in explorers.SCRIPTS if f"<{tag}" in body]
    # Questions cover their answers before anybody reads them. Figures wait for the reader.
    if "predict-question" in found:
        app.add_js_file("explorers/predict-question.js", loading_method="defer")
    figures = {tag: [served(context, script) for script in explorers.SCRIPTS[tag]] for tag in found}
    figures.pop("predict-question", None)
    if figures:
        app.add_js_file("near.js", loading_method="defer", **{"data-figures": json.dumps(figures)})
    if found:
        for style in explorers.STYLES:
            app.add_css_file(f"explorers/{style}")
    folding = re.search(r'class="[^"]*\b(dropdown|toggle)[ "]', body) is not None
    needed_by = {
        "sphinx-thebe": False,
        "toggle": folding,
        "design": "sd-" in body,
        "clipboard": "highlight" in body,
        "copybutton": "highlight" in body,
    }
    for kind in ("script_files", "css_files"):
        kept = []
        for file in context[kind]:
            text = f"{file.filename} {file.attributes.get('body', '')}"
            if not all(wanted for word, wanted in needed_by.items() if word in text):
                continue
            # Scripts wait for the page, but for the options that the page's own lines change and those that
            # the search page's lines call. The objects are shared by all pages: a changed one is a new one.
            waits = kind == "script_files" and name != "search" and "documentation_options" not in text
            if waits and file.filename:
                file = type(file)(file.filename, priority=file.priority, **{**file.attributes, "defer": "defer"})
            kept.append(file)
        context[kind] = kept


def post(app: Sphinx, name: str, context: dict) -> None:
    """Give a page what others show where its address is posted. Without an address nobody can."""
    found = re.search(r'<meta content="([^"]*)" name="description"', context.get("metatags", ""))
    if not app.config.html_baseurl or not found:
        return
    title = preview.plain(context["title"])
    card = f"{preview.FOLDER}/{name.replace('/', '-')}.png"
    to = Path(app.outdir, card)
    to.parent.mkdir(parents=True, exist_ok=True)
    preview.draw(title, app.config.html_title, to)
    where = app.config.html_baseurl
    context["metatags"] += preview.tags(title, unescape(found[1]), f"{where}{name}.html", f"{where}{card}")


def served(context: dict, script: str) -> str:
    """Where a page finds an explorer's script, with a mark that changes when the script does."""
    from resnet_edu import explorers

    return f"{context['pathto'](f'_static/explorers/{script}', 1)}?v={digest(explorers.ASSETS / script)[:8]}"


def colab(context: dict) -> str:
    """The address under which the theme's buttons open this page in Colab; empty where they do not."""
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if "colab" in button.get("url", ""):
                return str(button["url"])
    return ""


def without_thebe(app: Sphinx, config) -> None:
    """Jupyter Book always loads sphinx_thebe, which writes the address of another host into every page."""
    for listeners in app.events.listeners.values():
        listeners[:] = [one for one in listeners if not one.handler.__module__.startswith("sphinx_thebe")]


def setup(app: Sphinx) -> dict:
    app.add_node(
        element,
        html=(visit_element, depart_element),
        **dict.fromkeys(("latex", "text", "man", "texinfo"), (pass_through, pass_through)),
    )
    app.add_directive("predict", Predict)
    app.add_directive("exercise", Exercise)
    app.add_directive("chapters", Chapters)
    app.add_directive("doors", Doors)
    app.add_directive("hint", Dropdown, override=True)
    app.add_directive("solution", Dropdown)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    app.add_config_value("book_cache", "", "")
    # With these in the environment, Sphinx reads or writes its pages again when they change.
    app.add_config_value("book_tools", "", "env")
    app.add_config_value("book_look", "", "html")
    app.add_css_file("palette.css")
    app.add_css_file("book.css")
    app.connect("config-inited", configure)
    app.connect("config-inited", without_thebe)
    # Before Sphinx collects the titles for its lists.
    app.connect("doctree-read", number_chapter, priority=100)
    app.connect("doctree-read", place_exercise_cells)
    app.connect("doctree-read", fold_code)
    app.connect("doctree-read", keep_whole)
    app.connect("doctree-resolved", list_citations, priority=900)
    # After the themes and extensions have added theirs.
    app.connect("html-page-context", page, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
