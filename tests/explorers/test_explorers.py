"""The explorers' arithmetic against Python's, what they copy, and what they print in a notebook."""

import gzip
import json
import random
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import system_programs
import torch

from resnet_edu import blocks, explorers
from resnet_edu.counting import arithmetic, graph, steps, trace
from resnet_edu.counting.recipes import Recipe, recipe
from resnet_edu.drawing import palette

ROOT = Path(__file__).parent.parent.parent


def in_javascript(questions: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    """What the core answers, all in one process."""
    node = system_programs.find("node") or pytest.fail("node is not here; `make test` installs it")
    run = subprocess.run(
        [node, ROOT / "tests/explorers/js/answer.js"],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def as_lists(rows: list[steps.Step]) -> list[Any]:
    """The first seven fields: what a row reads, and whether it learns, no explorer asks."""
    return [[list(value) if isinstance(value, tuple) else value for value in row[:7]] for row in rows]


def in_python(call: Any) -> Any:
    try:
        return call()
    except ValueError as error:
        return {"refused": str(error)}


def test_unit_tests_of_the_core_pass_under_nodes_own_runner():
    node = system_programs.find("node") or pytest.fail("node is not here; `make test` installs it")
    run = subprocess.run([node, "--test", "tests/explorers/js/"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-4000:]


# -- the core against Python ----------------------------------------------------------------------


def random_name(draw: random.Random) -> str:
    family = draw.choice(["resnet", "resnet", "plain", "cifar", "cifar_plain"])
    depths = {"resnet": [18, 34, 50, 101, 152], "plain": [18, 34]}.get(family, [6 * n + 2 for n in range(1, 20)])
    return f"{family}{draw.choice(['', '_'])}{draw.choice(depths)}"


def random_changes(draw: random.Random, plain: bool) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "stem": draw.choice(["imagenet", "cifar"]),
        "shortcut": "none" if plain else draw.choice("ABC"),
        "stride_in": draw.choice(["3x3", "1x1"]),
        "num_classes": draw.randint(1, 2000),
    }
    return {field: changes[field] for field in changes if draw.random() < 0.5}


def random_fields(draw: random.Random) -> dict[str, Any]:
    """A recipe that nobody published: any number of layers, any widths, any channels."""
    length = draw.randint(1, 5)
    return {
        "block": draw.choice(["basic", "bottleneck", "plain"]),
        "layers": [draw.randint(1, 6) for _ in range(length)],
        "widths": [draw.randint(1, 700) for _ in range(length)],
        "stem": draw.choice(["imagenet", "cifar"]),
        "shortcut": draw.choice("ABC"),
        "stride_in": draw.choice(["3x3", "1x1"]),
        "in_channels": draw.randint(1, 12),
        "num_classes": draw.randint(1, 2000),
    }


def random_sides(draw: random.Random) -> list[int]:
    height = draw.randint(1, 320)
    return [height, height if draw.random() < 0.5 else draw.randint(1, 320)]


def test_every_step_equals_pythons_in_2400_networks():
    draw = random.Random(2015)
    questions: list[tuple[str, dict[str, Any]]] = []
    expected = []
    for _ in range(1200):
        name, image = random_name(draw), [3, *random_sides(draw)]
        changes = random_changes(draw, plain="plain" in name)
        questions.append(("steps", {"name": name, "image": image, "changes": changes}))
        expected.append(as_lists(arithmetic.steps(name, tuple(image), **changes)))
    for _ in range(1200):
        fields = random_fields(draw)
        image = [fields["in_channels"], *random_sides(draw)]
        questions.append(("recipe_steps", {"fields": fields, "image": image}))
        # Shrinking widths are refused under option A; the refusal is compared like an answer.
        expected.append(in_python(lambda f=fields, i=image: as_lists(arithmetic.steps(Recipe(**f), tuple(i)))))
    assert sum(isinstance(answer, list) for answer in expected) >= 2000
    assert sum(map(len, expected)) > 100_000
    for question, ours, theirs in zip(questions, in_javascript(questions), expected, strict=True):
        assert ours == theirs, question


def test_sums_and_depths_equal_pythons():
    names = ["resnet18", "resnet50", "resnet152", "plain34", "cifar20", "cifar_plain56", "cifar1202"]
    questions: list[tuple[str, dict[str, Any]]] = []
    expected: list[Any] = []
    for name in names:
        setting = {"name": name, "image": [3, 97, 64]}
        rows = arithmetic.steps(name, (3, 97, 64))
        questions += [("by_layer", setting), ("by_block", setting), ("depth", setting)]
        expected += [as_lists(graph.by_layer(rows)), as_lists(graph.by_block(rows)), recipe(name).depth]
    assert in_javascript(questions) == expected


def test_one_convolution_equals_pythons_where_it_fits_and_where_it_does_not():
    draw = random.Random(7)
    settings = [
        {
            "size": draw.randint(0, 40),
            "kernel": draw.randint(0, 11),
            "stride": draw.randint(0, 5),
            "padding": draw.randint(-1, 6),
            "dilation": draw.randint(0, 4),
        }
        for _ in range(2000)
    ]
    expected = [in_python(lambda setting=setting: arithmetic.conv_out(**setting)) for setting in settings]
    assert sum(isinstance(answer, int) for answer in expected) > 400
    assert sum(isinstance(answer, dict) for answer in expected) > 400
    assert in_javascript([("conv_out", setting) for setting in settings]) == expected


REFUSED: list[dict[str, Any]] = [
    {"name": "resnet"},
    {"name": "it's"},
    {"name": "resnet19"},
    {"name": "resnet34 "},
    {"name": "plain50"},
    {"name": "cifar0"},
    {"name": "cifar21"},
    {"name": "cifar_plain3"},
    {"name": "resnet18", "changes": {"blocks": 3, "alpha": 1}},
    {"name": "resnet18", "changes": {"stem": "vgg"}},
    {"name": "resnet18", "changes": {"shortcut": "none"}},
    {"name": "resnet50", "changes": {"stride_in": "3"}},
    {"name": "resnet18", "changes": {"block": "wide"}},
    {"name": "resnet18", "changes": {"num_classes": 0}},
    {"name": "resnet18", "changes": {"num_classes": 2.5}},
    {"name": "resnet18", "changes": {"in_channels": -1}},
    {"name": "resnet18", "changes": {"layers": [2, 2]}},
    {"name": "resnet18", "changes": {"layers": [2], "widths": [8, 8]}},
    {"name": "resnet18", "changes": {"layers": [2, 0, 2, 2]}},
    {"name": "resnet18", "changes": {"layers": [], "widths": []}},
    {"name": "resnet18", "image": [224, 224]},
    {"name": "resnet18", "image": [1, 224, 224]},
    {"name": "resnet18", "image": [224, 224, 3]},
    {"name": "resnet18", "image": [3, 0, 224]},
    {"name": "cifar20", "image": [3, 0, 2]},
]


def test_what_python_refuses_is_refused_in_the_same_words():
    questions = [{"image": [3, 224, 224], "changes": {}, **refused} for refused in REFUSED]
    expected = []
    for question in questions:
        expected.append(in_python(lambda q=question: arithmetic.steps(q["name"], tuple(q["image"]), **q["changes"])))
    assert all("refused" in answer for answer in expected)
    assert in_javascript([("steps", question) for question in questions]) == expected


# -- one block, as the shortcut explorer shows it --------------------------------------------------


class PreActivation(torch.nn.Sequential):
    """He et al. 2016, Figure 1(b): norm and ReLU in front of each convolution."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        for number, (before, stepping) in enumerate([(in_channels, stride), (channels, 1)], start=1):
            self.add_module(f"bn{number}", torch.nn.BatchNorm2d(before))
            self.add_module(f"relu{number}", torch.nn.ReLU())
            self.add_module(f"conv{number}", torch.nn.Conv2d(before, channels, 3, stepping, padding=1, bias=False))


def random_block(draw: random.Random, kinds: list[str]) -> dict[str, Any]:
    return {
        "kind": draw.choice(kinds),
        "inChannels": draw.choice([1, 3, 16, 32, 64, 100, 256]),
        "channels": draw.choice([1, 8, 16, 25, 32, 64]),
        "stride": draw.choice([1, 2, 3]),
        "size": draw.randint(1, 40),
        "strideIn": draw.choice(["3x3", "1x1"]),
        "shortcut": draw.choice("ABC"),
    }


def test_a_block_costs_what_the_module_costs():
    draw = random.Random(11)
    settings = [random_block(draw, ["basic", "bottleneck"]) for _ in range(120)]
    replies = in_javascript([("block", setting) for setting in settings])
    refused = 0
    for setting, reply in zip(settings, replies, strict=True):
        options = {"stride_in": setting["strideIn"]} if setting["kind"] == "bottleneck" else {}
        build = blocks.BLOCKS[setting["kind"]]
        arguments = (setting["inChannels"], setting["channels"], setting["stride"])
        block = in_python(lambda b=build, a=arguments, s=setting, o=options: b(*a, shortcut=s["shortcut"], **o))
        if isinstance(block, dict):
            assert reply["sum"] == {"error": block["refused"]}, setting
            refused += 1
            continue
        rows = as_lists(trace.trace(block, (setting["inChannels"], setting["size"], setting["size"])))
        residual = [row for row in rows if not row[0].startswith("downsample") and row[0] != "add"][:-1]
        assert [row[1:6] for row in reply["residual"]] == [row[1:6] for row in residual], setting
        around = [row for row in rows if row[0].startswith("downsample")]
        option = reply["options"][setting["shortcut"]]
        assert option["parameters"] == sum(row[4] for row in around), setting
        assert option["multiplyAdds"] == sum(row[5] for row in around), setting
        assert reply["sum"] == {"shape": [1, *rows[-1][3]], "broadcast": False}, setting
    assert 0 < refused < 60


def test_a_pre_activation_block_costs_what_the_module_costs():
    draw = random.Random(12)
    settings = [random_block(draw, ["preactivation"]) for _ in range(30)]
    for setting, reply in zip(settings, in_javascript([("block", setting) for setting in settings]), strict=True):
        module = PreActivation(setting["inChannels"], setting["channels"], setting["stride"])
        rows = as_lists(trace.trace(module, (setting["inChannels"], setting["size"], setting["size"])))
        assert [row[1:6] for row in reply["residual"]] == [row[1:6] for row in rows], setting


def test_the_message_at_the_addition_is_pytorchs_own():
    draw = random.Random(13)
    pairs = [
        ([1, *(draw.choice([1, 2, 3, 5]) for _ in range(3))], [1, *(draw.choice([1, 2, 3]) for _ in range(3))])
        for _ in range(300)
    ]
    replies = in_javascript([("add_shapes", {"a": a, "b": b}) for a, b in pairs])
    expected = []
    for a, b in pairs:
        try:
            expected.append({"shape": list((torch.zeros(a) + torch.zeros(b)).shape), "broadcast": a != b})
        except RuntimeError as error:
            expected.append({"error": str(error)})
    assert sum("error" in answer for answer in expected) > 50
    assert replies == expected


# -- "Copy as Python" ------------------------------------------------------------------------------


def test_the_copied_lines_build_exactly_the_network_on_the_page():
    draw = random.Random(50)
    states: list[dict[str, Any]] = []
    for _ in range(60):
        name = random_name(draw).replace("_1", "1").replace("_5", "5")
        states.append({"model": name, **random_changes(draw, plain="plain" in name)})
    copied = in_javascript([("to_python", state) for state in states])
    assert len(set(copied)) > 50
    for state, lines in zip(states, copied, strict=True):
        assert len(lines.splitlines()) == 2, lines
        namespace: dict[str, Any] = {}
        with torch.device("meta"):  # shapes are enough, and they need no memory
            exec(lines, namespace)
        changes = {field: value for field, value in state.items() if field != "model"}
        image = (3, 41, 41)
        assert trace.trace(namespace["model"], image) == arithmetic.steps(state["model"], image, **changes), lines


# -- what Python prints ----------------------------------------------------------------------------

FIGURES = [
    explorers.conv(),
    explorers.conv(14, kernel=7, stride=2, padding=3, dilation=1),
    explorers.resnet("resnet18", versus="cifar20", open="layer1"),
    explorers.resnet("cifar20", 48, shortcut="B", num_classes=100),
    explorers.shortcut(),
    explorers.shortcut("preactivation", 16, 32, shortcut="A"),
    explorers.shortcut("bottleneck", 256, 128, shortcut="C", stride_in="1x1"),
    explorers.degradation(),
    explorers.degradation(20, shortcut="B", compact=True),
    explorers.live(),
    explorers.workbench("plain", 110),
    explorers.class_board(),
]
NAMES = [f"{figure.tag}-{i}" for i, figure in enumerate(FIGURES)]


class Tags(HTMLParser):
    """Which tags a piece of HTML opens and closes, and whether each is closed in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


@pytest.mark.parametrize("figure", FIGURES, ids=NAMES)
def test_a_notebook_gets_the_tag_its_picture_and_each_script_once(figure, monkeypatch):
    monkeypatch.delenv("RESNET_EDU_BOOK", raising=False)
    page = Tags(figure._repr_html_())
    assert page.open == []
    tags = [tag for tag, _ in page.seen]
    assert tags.count(figure.tag) == 1
    needed = explorers.SCRIPTS[figure.tag]
    assert tags.count("script") == len(needed) + (
        len(explorers.ENGINE) + len(explorers.FURTHER.get(figure.tag, ())) if "trainer.js" in needed else 0
    )
    pictures = [attributes for tag, attributes in page.seen if tag == "svg" and attributes.get("role") == "img"]
    assert {attributes["aria-label"] for attributes in pictures} == {figure.picture.alt}
    for tag, attributes in page.seen:
        assert not {"src", "href"} & attributes.keys(), f"<{tag}> fetches something"


@pytest.mark.parametrize("figure", FIGURES, ids=NAMES)
def test_the_book_gets_the_tag_and_its_picture_alone(figure, monkeypatch):
    monkeypatch.setenv("RESNET_EDU_BOOK", "1")
    page = Tags(figure._repr_html_())
    assert page.seen[0][0] == figure.tag
    assert "script" not in [tag for tag, _ in page.seen]
    assert "address" not in page.seen[0][1]


def test_python_refuses_what_the_tag_would_refuse():
    for call, said in [
        (lambda: explorers.conv(size=0), "size must be a whole number from 1 to 256, got 0"),
        (lambda: explorers.conv(size=2, kernel=9), "the kernel does not fit"),
        (lambda: explorers.resnet("resnet19"), "the nearest is 18"),
        (lambda: explorers.resnet("resnet18", widths=(1, 2)), "a change must be one of 'stem', 'shortcut'"),
        (lambda: explorers.resnet("resnet18", versus="vgg"), "no network is called 'vgg'"),
        (lambda: explorers.resnet("resnet18", open="layers"), "open lists rooms such as"),
        (lambda: explorers.degradation(57), "the nearest: 56"),
        (lambda: explorers.degradation(224), "depth must be a whole number from 8 to 218"),
        (lambda: explorers.shortcut("wide"), "kind must be one of 'basic', 'bottleneck', 'preactivation'"),
        (lambda: explorers.shortcut(shortcut="D"), "shortcut must be one of 'identity', 'A', 'B', 'C'"),
        (lambda: explorers.shortcut(stride_in="2"), "stride_in must be one of"),
        (lambda: explorers.shortcut(in_channels=256, channels=64, shortcut="A"), "256 → 64; use option B"),
    ]:
        with pytest.raises(ValueError, match=re.escape(said)):
            call()


def test_still_pictures_tell_the_shapes_that_the_core_computes():
    settings = [
        {"kind": kind, "inChannels": 64, "channels": 32, "stride": 2, "size": 9, "shortcut": option, "strideIn": "3x3"}
        for kind in ("basic", "bottleneck", "preactivation")
        for option in ("identity", "B", "C")
    ]
    replies = in_javascript([("block", setting) for setting in settings])
    for s, reply in zip(settings, replies, strict=True):
        figure = explorers.shortcut(s["kind"], 64, 32, 2, 9, s["shortcut"])
        chosen = reply["options"][s["shortcut"]]
        assert f"the convolutions give {'×'.join(map(str, reply['output']))}" in figure.picture.alt
        assert f"the {chosen['kind']} gives {'×'.join(map(str, chosen['shape']))}" in figure.picture.alt
        assert ("They are added" in figure.picture.alt) == chosen["fits"]


@pytest.mark.parametrize("tag", explorers.SCRIPTS)
def test_what_one_figure_needs_weighs_at_most_28_kilobytes(tag):
    """A page loads the scripts of its own figures and no others."""
    assert weight(*explorers.SCRIPTS[tag]) <= 28 * 1024


def test_every_script_is_needed_by_a_figure():
    names = {name for needed in explorers.SCRIPTS.values() for name in needed}
    assert names == {path.name for path in explorers.ASSETS.glob("*.js")}


def weight(*names: str) -> int:
    """Bytes of these scripts as they are served, gzipped one by one."""
    return sum(len(gzip.compress(explorers.served(name).encode(), mtime=0)) for name in names)


def test_the_engine_is_whole_and_weighs_at_most_60_kilobytes():
    names = {f"net/{path.name}" for path in (explorers.ASSETS / "net").glob("*.js")}
    assert {*explorers.ENGINE, *(name for further in explorers.FURTHER.values() for name in further)} == names
    listed = re.search(r"const ENGINE = \[([^\]]+)\]", (explorers.ASSETS / "trainer.js").read_text(encoding="utf-8"))[1]
    assert [f"net/{name}.js" for name in re.findall(r'"([\w-]+)"', listed)] == list(explorers.ENGINE)
    assert weight(*explorers.ENGINE) <= 60_000
    # What a worker is made of, without the digits.
    worker = "".join(explorers.served(name) for name in explorers.ENGINE if "digits" not in name)
    assert len(gzip.compress(worker.encode(), mtime=0)) <= 14_000
    # One trained network: 43,490 weights of one byte.
    assert weight("net/weights.js") <= 48 * 1024


def test_what_is_served_lost_its_comments_and_keeps_whose_data_it_holds():
    for path in explorers.ASSETS.rglob("*.js"):
        text = explorers.served(path.relative_to(explorers.ASSETS).as_posix())
        assert not re.search(r"^\s|^//|/\*\*", text, re.MULTILINE), path.name
        # A text of several lines would lose its spaces; a style may.
        source = re.sub(r"const LOOK = `.*?\n`;", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert all(line.count("`") % 2 == 0 for line in source.splitlines()), path.name
    assert "CC BY 4.0" in explorers.served("net/digits.js")


@pytest.mark.parametrize("path", sorted(explorers.ASSETS.rglob("*.js")), ids=lambda path: path.name)
def test_scripts_can_stand_inside_html_and_parse_nothing(path):
    source = path.read_text(encoding="utf-8")
    assert "</script" not in source.lower()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|fetch\(|import\(", source
    )
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", source)


def test_the_colors_are_the_palettes():
    """The scripts carry the light colors for pages without a palette."""
    source = (explorers.ASSETS / "ui.js").read_text(encoding="utf-8")
    found = re.findall(r'^    "?([\w-]+)"?: \["(#\w+)", "(#\w+)", "(#\w+)"\],$', source, flags=re.MULTILINE)
    assert {name: palette.Color(*colors) for name, *colors in found} == palette.LIGHT


def test_a_network_of_your_own_is_sent_to_the_drawings():
    from torch import nn

    with pytest.raises(TypeError, match=r"takes a name, such as 'resnet50', got Linear; .*volumes\.draw\(model\)"):
        explorers.resnet(nn.Linear(1, 1))
