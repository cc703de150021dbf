"""The book is found by its own search, in the words in which people ask."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import system_programs

ROOT = Path(__file__).parent.parent.parent
HTML = ROOT / "_build/html"
QUESTIONS = (ROOT / "book/questions.md").read_text(encoding="utf-8")
# Words that nobody types into a search.
FILLERS = set(
    re.findall(
        r"\w+",
        """
        a all also am an and any are as at be but by can code did do does each else even for from get had has have here
        how i if in into is it its just keep me more my need no not of off on one only or other out same should so some
        still take than that the their them then there these this to too up use was we what when where which while who
        why will with without wrong you your""",
    )
)


def asked() -> list[tuple[str, str]]:
    """Each question as its first five words that say something, and the chapter that its answer names."""
    found = []
    for section in QUESTIONS.split("\n### ")[1:]:
        heading, _, answer = section.partition("\n")
        words = [w for w in re.findall(r"[\w×.]+(?:\(\))?", heading) if w.lower().strip(".") not in FILLERS]
        found.append((" ".join(words[:5]), re.search(r"\((\d\d_\w+)\.md", answer)[1]))
    return found


@pytest.fixture(scope="module")
def search():
    if not (HTML / "searchindex.js").exists():
        pytest.fail("there is no built book to search; run: make book")
    node = system_programs.find("node") or pytest.fail("node is not here; `make test` installs it")

    def pages(queries: list[str]) -> list[list[str]]:
        command = [node, Path(__file__).parent / "js/search.js", HTML]
        run = subprocess.run(
            command, input=json.dumps(queries), capture_output=True, text=True, check=False, timeout=60
        )
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    return pages


def test_each_question_brings_its_chapter_among_the_first_three(search):
    questions = asked()
    found = search([words for words, _ in questions])
    missed = [
        f"{words!r} brings {pages[:3]}, not {chapter}"
        for (words, chapter), pages in zip(questions, found, strict=True)
        if f"book/{chapter}" not in pages[:3]
    ]
    assert not missed, "\n".join([f"{len(missed)} of {len(questions)}:", *missed])


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("stem", "03_stem"),
        ("bottleneck", "06_bottleneck"),
        ("shortcuts", "05_shortcuts"),
        ("skip connection", "05_shortcuts"),
        ("global average pooling", "08_head"),
        ("receptive field", "02_convolution"),
        ("BatchNorm", "03_stem"),
        ("planes", "07_layers"),
        ("1×1 convolution", "02_convolution"),
        ("1x1", "06_bottleneck"),
        ("7×7", "03_stem"),
        ("initialization", "10_initialization"),
        ("CIFAR", "11_cifar"),
        ("pretrained", "12_pretrained"),
        ("pre-activation", "16_beyond"),
    ],
)
def test_the_terms_of_the_field_find_their_chapter(search, words, page):
    assert f"book/{page}" in search([words])[0][:3]


def test_both_spellings_of_a_kernel_are_one_word(search):
    by_sign, by_letter = search(["3×3", "3x3"])
    assert by_sign == by_letter != []


def test_a_word_that_stands_nowhere_does_not_hide_the_rest(search):
    assert search(["zygomorphic shortcut projection option"])[0] != []
    assert search(["zygomorphic"]) == [[]]
