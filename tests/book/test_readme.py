"""What the README and the lists of chapters promise is there."""

import re
from pathlib import Path

import floors
import yaml

from resnet_edu.drawing import volumes

ROOT = Path(__file__).parent.parent.parent


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_picture_is_what_the_code_draws(tmp_path):
    drawn = volumes.draw("resnet34").save(tmp_path / "resnet34.svg")
    assert text("book/web/resnet34.svg") == drawn.read_text(encoding="utf-8")


def test_every_link_to_a_file_leads_to_one():
    for name in ("README.md", "CONTRIBUTING.md", "LICENSE-TEXT.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", text(name)):
            assert (ROOT / target).exists(), f"{name} links to {target}, which is not there"


def test_the_chapters_are_the_same_in_every_list():
    files = [entry["file"] for part in yaml.safe_load(text("_toc.yml"))["parts"] for entry in part["chapters"]]
    toc = [file for file in files if re.match(r"book/\d\d_", file)]
    in_readme = re.findall(r"\]\((book/\d\d_\w+\.md)\)", text("README.md"))
    rows = re.findall(r"^- (\d\d_\w+): ", text("book/index.md"), re.MULTILINE)
    in_index = [f"book/{name}.md" for name in rows]
    assert toc == in_readme == in_index == sorted(toc)


def test_a_chapter_has_the_number_of_its_file_in_every_list_and_link():
    rows = re.findall(r"^(\d+)\. \[.*?\]\(book/(\d\d)_\w+\.md\)", text("README.md"), re.MULTILINE)
    assert rows
    for told, number in rows:
        assert int(told) == int(number)
    for page in (ROOT / "book").glob("*.md"):
        for told, number in re.findall(r"\[[Cc]hapter (\d+)\]\((\d\d)_", page.read_text(encoding="utf-8")):
            assert int(told) == int(number), page.name


def test_the_python_in_the_readme_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", text("README.md"), re.DOTALL)
    space = {}
    exec(code, space)
    assert "1,000" in capsys.readouterr().out
    assert f"{sum(p.numel() for p in space['model'].parameters()):,} parameters" in code


def test_the_reference_part_of_the_book_shows_every_room_of_the_floors():
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "book/api").glob("*.md"))
    shown = set(re.findall(r"automodule:: resnet_edu\.(\S+)", pages))
    rooms = {room for room in floors.rooms() if room not in floors.FLOORS and not room.endswith("__main__")}
    assert {room for room in rooms if floors.floor_of(room) not in ("checks", "explorers", "command")} <= shown
