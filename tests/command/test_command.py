"""The command as a person in a shell has it: what is printed, what is written, what is refused."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from torchvision import models

from resnet_edu.command.main import main
from resnet_edu.counting import arithmetic
from resnet_edu.drawing import diagrams, tables

NET = """
import torch
from torch import nn
from beside import WIDTH
print("a file may print what it likes")

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.way = nn.Conv2d(width, width, 3, padding=1)
    def forward(self, x):
        return x + torch.relu(self.way(x))

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, WIDTH, 3), Block(WIDTH), Block(WIDTH))

def broken():
    raise RuntimeError("no such weights")

made = Net()
number = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("WIDTH = 4\n")
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 1
    out, error = capsys.readouterr()
    assert not out
    assert error.startswith("error: ")
    assert len(error.strip().splitlines()) == 1
    return error


@pytest.mark.parametrize("level", ["operation", "block", "layer"])
def test_a_table_is_the_packages_table(capsys, level):
    assert told(capsys, "table", "resnet50", "--level", level).strip() == str(tables.table("resnet50", level=level))


def test_numbers_for_other_programs_are_plain(capsys):
    steps = arithmetic.steps("cifar20", (3, 32, 32))
    rows = list(csv.DictReader(io.StringIO(told(capsys, "table", "cifar20", "--format", "csv"))))
    assert [int(row["multiply_adds"]) for row in rows] == [step.multiply_adds for step in steps]
    assert rows[0]["output"] == "16x32x32"
    found = json.loads(told(capsys, "table", "cifar20", "--format", "json"))
    assert [tuple(row["reads"]) for row in found["rows"]] == [step.reads for step in steps]
    assert found["total"]["parameters"] == 269_722
    compared = json.loads(told(capsys, "compare", "resnet18", "resnet34", "--format", "json"))
    assert [row["depth"] for row in compared["rows"]] == [18, 34]


def test_markdown_has_as_many_cells_in_every_row(capsys):
    caption, _, *rows = told(capsys, "compare", "resnet18", "plain18", "--format", "markdown").strip().splitlines()
    assert caption.startswith("**Networks side by side")
    assert {row.count("|") for row in rows} == {6}


def test_a_picture_is_saved_where_it_was_asked_for(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told(capsys, "draw", "resnet18", "--image", "64", "-o", "small.svg")
    assert (tmp_path / "small.svg").read_text().count("<path") == diagrams.network("resnet18", image=64).svg.count(
        "<path"
    )
    assert "To scale" in told(capsys, "draw", "resnet18", "--scale", "--level", "layer")
    assert (tmp_path / "ResNet-18.svg").exists()


@pytest.mark.parametrize("name", ["table.md", "table.csv", "table.json", "table.txt"])
def test_the_name_of_a_file_chooses_its_format(capsys, tmp_path, name):
    path = tmp_path / name
    assert not told(capsys, "table", "resnet18", "--level", "layer", "-o", str(path))
    head = {".md": "**ResNet-18", ".csv": "room,operation", ".json": "{", ".txt": "ResNet-18 for one"}[path.suffix]
    assert path.read_text(encoding="utf-8").startswith(head)


def test_torchvisions_networks_have_their_names(capsys):
    shown = told(capsys, "table", "squeezenet1_1", "--level", "layer")
    assert shown.startswith("squeezenet1_1 for one image of 3×224×224")
    assert f"{sum(p.numel() for p in models.squeezenet1_1().parameters()):,}" in shown


def test_a_network_in_a_file_runs_in_a_process_of_its_own(capsys, file):
    for name in ("Net", "made"):
        found = json.loads(told(capsys, "table", f"{file}:{name}", "--image", "1", "8", "8", "--format", "json"))
        assert found["network"] == name
        assert found["total"]["parameters"] == (9 + 1) * 4 + 2 * (4 * 4 * 9 + 4)
        assert [row["operation"] for row in found["rows"]] == ["conv 3×3", *["conv 3×3", "ReLU", "add"] * 2]
    assert "net" not in sys.modules
    assert "2 identity" in told(capsys, "draw", f"{file}:Net", "--image", "1", "8", "8", "-o", f"{file.parent}/n.svg")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("table", "resnet51"), "resnet has depths 18, 34, 50, 101, 152, got 51; the nearest is 50"),
        (("table", "vgg17"), "torchvision has vgg"),
        (("table", "resnet18", "--image", "1", "28", "28"), "images with 3 channels, got 1"),
        (("table", "resnet18", "--image", "0"), "at least 1"),
        (("draw", "resnet18", "-o", "net.png"), "the name must end in .svg, got 'net.png'"),
        (("table", "resnet18", "-o", "net.xls"), "the name must end in .txt, .md, .csv, .json"),
        (("table", "resnet18", "-o", "nowhere/net.md"), "there is no folder nowhere"),
        (("table", "missing.py:Net"), "there is no file missing.py"),
        (("table", "{file}"), "which network of {file}? Say {file}:Net; it holds Block, Net"),
        (("table", "{file}:Wet"), "there is no Wet in it; it has Block, Net"),
        (("table", "{file}:Block"), "Block cannot be made without arguments (missing a required argument: 'width')"),
        (("table", "{file}:broken"), "RuntimeError: no such weights"),
        (("table", "{file}:number"), "number is a int: expected a network"),
        (("table", "{file}:Net", "--image", "3", "8", "8"), "RuntimeError"),
    ],
)
def test_what_cannot_be_answered_is_told_in_one_sentence(capsys, file, arguments, words):
    arguments = [argument.format(file=file) for argument in arguments]
    assert words.format(file=file) in refused(capsys, *arguments)


def test_a_file_that_ends_its_process_ends_nothing_else(capsys, tmp_path):
    path = tmp_path / "gone.py"
    path.write_text("import os\nos._exit(3)\n")
    assert "ended its process (status 3)" in refused(capsys, "table", f"{path}:Net")
    path.write_text("raise SystemExit('enough')\n")
    assert "SystemExit: enough" in refused(capsys, "table", f"{path}:Net")


def test_from_a_shell_without_torch_and_on_a_terminal_without_the_sign():
    code = "import sys; from resnet_edu.command.main import main; main(['table', 'resnet18', '--level', 'layer']); "
    done = subprocess.run(
        [sys.executable, "-c", f"{code} print('torch' in sys.modules)"],
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "3?224?224" in done.stdout
    assert done.stdout.endswith("False\n")


def test_python_dash_m_is_the_same_door():
    done = subprocess.run(
        [sys.executable, "-m", "resnet_edu", "compare", "resnet18"], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0
    assert "11,689,512" in done.stdout
