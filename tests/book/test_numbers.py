"""Every number in prose is computed on its page, guarded by an assertion there, or cited."""

import html
import re
from pathlib import Path

import directives as markup
import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(path for path in (ROOT / "book").glob("*.md"))
# Parameter counts and costs (1,234 and more; 3.66 G), accuracies and shares (28.54 %).
NUMBER = re.compile(r"(?<![\w.,/\-])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?= ?(?:M|G|k)\b)|\d+(?:\.\d+)?(?= ?%))")
# Round numbers that name a thing: 1,000 classes of ImageNet, 50,000 images of CIFAR-10, all of something.
NAMES = {"1,000", "50,000", "100", "0"}


def unguarded(text: str) -> list[str]:
    """The numbers of the prose that no cell of the page holds and whose paragraph cites nothing."""
    _, start = markup.front_matter(text)
    prose: list[str] = []
    code: list[str] = []
    for part in markup.parts(text.splitlines()[start:], start + 1):
        if isinstance(part, markup.Directive):
            if part.name == "code-cell":
                code += part.body
            else:
                # The values of wrong answers are slips, not claims.
                body = [re.sub(r"^- [\d.,]+: ", "- ", line) for line in part.body]
                prose += ["", part.argument, *part.options.values(), *body, ""]
        elif not part.startswith("#"):  # a heading may quote what somebody asks
            prose.append(part)
    known = {number.replace("_", "").replace(",", "") for number in re.findall(r"\d[\d_,]*(?:\.\d+)?", "\n".join(code))}
    missing = []
    paragraphs = re.split(r"\n\s*\n", "\n".join(prose).strip())
    for before, paragraph, after in zip(["", *paragraphs], paragraphs, [*paragraphs[1:], ""], strict=False):
        # What a table shows may be cited in the paragraph that introduces or follows it.
        source = f"{before}{paragraph}{after}" if paragraph.startswith("|") else paragraph
        if "{cite" in source:
            continue
        for number in NUMBER.findall(paragraph):
            if number not in NAMES and number.replace(",", "") not in known:
                missing.append(number)
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_no_number_stands_alone(page):
    assert unguarded(page.read_text(encoding="utf-8")) == []


def test_this_test_finds_a_number_that_nobody_guards():
    page = "# A page\n\nThere are 11,689,512 parameters, 3.66 G multiply-adds, and 28.54 % errors.\n"
    assert unguarded(page) == ["11,689,512", "3.66", "28.54"]
    guard = "\n```{code-cell} python\nassert (11_689_512, 3.66, 28.54)\n```\n"
    assert unguarded(page + guard) == []
    assert unguarded(page.replace("errors.", "errors {cite}`he2015deep`.")) == []


def test_what_cells_print_is_written_as_the_page_writes_numbers():
    """0.0000005, not 5e-07. Only a learning rate that no run survives is too long for that."""
    printed = []
    for page in sorted((ROOT / "_build/html/book").glob("*.html")):
        for output in re.findall(r'<div class="output [^>]*>.*?</div>', page.read_text("utf-8"), re.DOTALL):
            text = html.unescape(re.sub(r"<[^>]*>", "", output))
            printed += [(page.stem, number) for number in re.findall(r"\b\d[\d.]*e[+-]\d+", text)]
    assert [one for one in printed if one[0] != "13_training"] == []
    assert printed, "the output of cells was not found"
