"""What the page for teachers asks, adds up and shows in code is so."""

import re
from pathlib import Path

import nbformat
import pytest
import survey

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "book/teach.md").read_text(encoding="utf-8")
ASKED = re.findall(r"\{ask\}`(\w+): ([^`]+)`", PAGE)


def section(heading):
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(("page", "words"), sorted(set(ASKED)))
def test_each_question_that_it_asks_is_there_once(page, words):
    assert survey.asking(survey.Chapter(ROOT / f"book/{page}.md"), words).anchor.split("-")[1] == page


def test_words_that_name_no_question_or_several_are_told():
    chapter = survey.Chapter(ROOT / "book/04_basic_block.md")
    for words, found in (("no such words", "0 questions"), ("the", r"\d+ questions")):
        with pytest.raises(LookupError, match=f"^{found} and exercises of 04_basic_block.md say"):
            survey.asking(chapter, words)


def test_every_chapter_the_bench_and_the_clinic_have_a_question_to_expose_a_belief():
    beliefs = re.findall(
        r"^\*\*\[\]\((\w+)\.md\)\*\*\n: \*They believe\* .+\n: \*Ask\* (.+)\n: \*(?:Draw|Show)\* ",
        section("What they believe, and what to ask"),
        re.MULTILINE,
    )
    pages = [chapter.name for chapter in survey.chapters(ROOT / "book")]
    assert [page for page, _ in beliefs] == [*pages, "workbench", "clinic"]
    for page, ask in beliefs:
        assert {asked for asked, _ in re.findall(r"\{ask\}`(\w+): ([^`]+)`", ask)} == {page}


def test_the_session_lasts_as_long_as_it_says_and_its_exercises_fit():
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", section("One session of 90 minutes"), re.MULTILINE)
    assert sum(int(minutes) for minutes, _ in rows) == 90
    for minutes, text in rows:
        asked = [survey.asking(survey.Chapter(ROOT / f"book/{page}.md"), words) for page, words in
                 re.findall(r"\{ask\}`(\w+): ([^`]+)`", text)]  # fmt: skip
        assert sum(element.minutes for element in asked) < int(minutes)


def test_its_handout_holds_the_starters_and_no_solution_in_code(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(import nbformat.*?)```", PAGE, re.DOTALL)
    (tmp_path / "book").symlink_to(ROOT / "book")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    before, after = (nbformat.read(path, 4).cells for path in ("book/04_basic_block.ipynb", "handout.ipynb"))
    exercises = re.findall(r"^:tags: \[exercise\]", (ROOT / "book/04_basic_block.md").read_text(), re.MULTILINE)
    assert len(before) - len(after) == len(exercises) > 0
    assert any("# your turn" in cell.source for cell in after)


def test_its_picture_is_saved_as_svg(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(from resnet_edu\.drawing.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert (tmp_path / "resnet34.svg").read_text(encoding="utf-8").startswith("<svg")


def test_there_are_as_many_challenges_at_the_bench_as_it_says():
    script = (ROOT / "resnet_edu/explorers/block-workbench.js").read_text(encoding="utf-8")
    challenges = script.split("const CHALLENGES = [")[1].split("\n  ];")[0]
    assert len(re.findall(r'^    \["', challenges, re.MULTILINE)) == 4
    for words in ("Challenges", "As Python", "Save as a file"):
        assert f'"{words}"' in script
        assert words in PAGE
