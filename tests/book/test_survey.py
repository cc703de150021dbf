"""What the reference part says of the chapters is true, and nothing of the first two parts is missing."""

from pathlib import Path

import pytest
import survey

ROOT = Path(__file__).parent.parent.parent
CHAPTERS = survey.chapters(ROOT / "book")
CONCEPTS = survey.concepts(ROOT / "book/glossary.md")
# Parts I and II: to build a network, and to bring it to life.
FIRST_TWO_PARTS = {chapter.name for chapter in CHAPTERS if chapter.number <= 13}

PAGE = """\
---
kernelspec: {name: python3}
---
# What is a gap?

A dilated convolution has gaps.

```{code-cell} python
print(1)
```

:::{predict} How wide?
:answer: 5
- why: Two gaps of the dilation.
:::

## Another idea

```{code-cell} python
:tags: [hide-input]
diagrams.block()
```

```{code-cell} python
:tags: [remove-cell, test]
assert True
```

::::{exercise} Write it
:minutes: 8
:difficulty: 2

With a stride.
::::

```{code-cell} python
:tags: [exercise]
# solution
pass
```
"""


@pytest.fixture
def chapter(tmp_path):
    path = tmp_path / "02_gaps.md"
    path.write_text(PAGE, encoding="utf-8")
    return survey.Chapter(path)


def concept(*names):
    return survey.Concept(names, "A sentence.", "02_gaps")


def test_a_chapter_is_taken_apart(chapter):
    assert (chapter.number, chapter.title) == (2, "What is a gap?")
    assert [(e.kind, e.anchor) for e in chapter.elements] == [
        ("cell", "what-is-a-gap"),
        ("predict", "predict-02_gaps-1"),
        ("figure", "another-idea"),
        ("exercise", "exercise-02_gaps-1"),
    ]
    exercise = chapter.elements[-1]
    assert (exercise.title, exercise.minutes, exercise.difficulty) == ("Write it", 8, 2)


def test_an_element_has_to_do_with_what_it_or_its_section_names(chapter):
    def has(kind, *names):
        return survey.where(kind, concept(*names), [chapter]) is not None

    assert [has(kind, "dilation", "dilated convolution") for kind in survey.KINDS] == [False, True, True, False]
    assert [has(kind, "stride") for kind in survey.KINDS] == [False, False, False, True]
    assert not has("exercise", "rid")  # a part of a word is another word


def test_the_chapter_that_explains_a_word_comes_first(tmp_path):
    chapters = []
    for name in ("01_first", "02_gaps"):
        (tmp_path / f"{name}.md").write_text(PAGE, encoding="utf-8")
        chapters.append(survey.Chapter(tmp_path / f"{name}.md"))
    assert survey.where("exercise", concept("stride"), chapters)[0].name == "02_gaps"


def test_every_entry_of_the_glossary_has_a_sentence_and_leads_to_a_chapter():
    names = [name.lower() for concept in CONCEPTS for name in concept.names]
    assert len(names) == len(set(names))
    chapters = {chapter.name for chapter in CHAPTERS}
    for entry in CONCEPTS:
        assert entry.sentence.endswith("."), entry
        assert entry.chapter in chapters, f"{entry.names[0]} leads to {entry.chapter or 'nowhere'}"


def test_every_chapter_explains_a_word():
    assert {chapter.name for chapter in CHAPTERS} == {entry.chapter for entry in CONCEPTS}


@pytest.mark.parametrize("entry", CONCEPTS, ids=lambda entry: entry.names[0])
def test_a_concept_of_the_first_two_parts_is_drawn_run_asked_and_practiced(entry):
    if entry.chapter in FIRST_TWO_PARTS:
        missing = [kind for kind in survey.KINDS if survey.where(kind, entry, CHAPTERS) is None]
        assert not missing, f"no {' and no '.join(missing)} has to do with it"
