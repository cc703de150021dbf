import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from resnet_edu.counting import arithmetic
from resnet_edu.counting.graph import by_block, by_layer
from resnet_edu.counting.recipes import Recipe, recipe
from resnet_edu.counting.steps import Step
from resnet_edu.drawing import palette, tables
from resnet_edu.zoo import build

FAMILY = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


def written(shape):
    """Sides of a shape as PyTorch prints them, a number alone with its comma."""
    return f"{shape[0]:,}" if len(shape) == 1 else "×".join(map(str, shape))


def cells(text: str) -> list[list[str]]:
    """The rows below the heading, without the rules."""
    return [[cell.strip() for cell in line.split("│")] for line in text.splitlines()[2:] if "─" not in line]


def html(table: tables.Table) -> ElementTree.Element:
    return ElementTree.fromstring(f"<body>{table._repr_html_()}</body>")


def words(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


@pytest.mark.parametrize("level", ["operation", "block", "layer"])
@pytest.mark.parametrize("name", ["resnet50", "plain18", "cifar20"])
def test_each_row_is_a_step_and_the_last_adds_them_up(name, level):
    steps = arithmetic.steps(name, (3, 64, 49))
    expected = {"operation": list, "block": by_block, "layer": by_layer}[level](steps)
    *rows, total = cells(str(tables.table(name, (3, 64, 49), level)))
    assert [row[0] for row in rows] == [step.room for step in expected]
    assert [row[2] for row in rows] == [written(step.output) for step in expected]
    assert [int(row[3].replace(",", "")) for row in rows] == [step.parameters for step in expected]
    assert [row[4] for row in rows] == [tables.units(step.multiply_adds) for step in expected]
    assert [row[5] for row in rows] == [f"{step.receptive_field:,} px" for step in expected]
    assert int(total[3].replace(",", "")) == sum(step.parameters for step in steps)
    assert total[4] == tables.units(sum(step.multiply_adds for step in steps))
    assert total[2] == rows[-1][2]


@pytest.mark.parametrize("table", [tables.table("resnet152"), tables.compare(FAMILY)])
def test_columns_stand_under_their_headings(table):
    heading, *lines = str(table).splitlines()[1:]
    bars = [n for n, sign in enumerate(heading) if sign == "│"]
    for line in lines:
        assert len(line) == len(heading)
        assert [n for n, sign in enumerate(line) if sign in "│┼"] == bars


def test_text_and_html_say_the_same():
    table = tables.table("resnet18")
    root = html(table)
    shown = [[words(cell) for cell in row] for part in ("tbody", "tfoot") for row in root.iter(part) for row in row]
    assert shown == cells(str(table))
    assert words(root.find(".//caption")) == str(table).splitlines()[0]


def test_html_can_be_read_aloud_and_scrolled_by_keyboard():
    root = html(tables.table("resnet18", level="layer"))
    box = root.find("div")
    assert (box.get("role"), box.get("tabindex")) == ("group", "0")
    assert box.get("aria-label") == words(root.find(".//caption"))
    assert [cell.get("scope") for cell in root.find(".//thead/tr")] == ["col"] * 6
    for row in [*root.find(".//tbody"), *root.find(".//tfoot")]:
        assert row[0].tag == "th"
        assert row[0].get("scope") == "row"
    swatches = root.findall(".//i")
    assert len(swatches) == 6
    assert all(swatch.get("aria-hidden") == "true" for swatch in swatches)


@pytest.mark.parametrize("table", [tables.table("resnet18", level="layer"), tables.paper()])
def test_each_row_is_marked_with_the_color_of_its_room(table):
    for row in html(table).findall(".//tbody/tr"):
        swatch, room = row.find(".//i"), re.search(r"stem|layer\d|head", words(row[0]))
        if room:
            assert swatch.get("style") == f"background:{palette.fill(room[0])};border-color:{palette.line(room[0])}"
        else:
            assert swatch is None


def test_a_table_escapes_what_it_is_given():
    root = html(tables.Table("<b> & co", ["a<b", "c"], [("<i>", "&")], total=("&", "<")))
    assert words(root.find(".//caption")) == "<b> & co"
    assert [words(cell) for cell in root.iter("td")] == ["&", "<"]


def test_a_module_a_recipe_and_steps_give_the_same_table():
    image = (3, 64, 64)
    expected = cells(str(tables.table("resnet18", image)))
    assert cells(str(tables.table(build("resnet18"), image))) == expected
    assert cells(str(tables.table(Recipe(), image))) == expected
    assert cells(str(tables.table(arithmetic.steps("resnet18", image)))) == expected


def test_any_module_has_a_table():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Flatten(), nn.Linear(4 * 36, 2))
    *rows, total = cells(str(tables.table(net, (3, 8, 8))))
    assert [row[1] for row in rows] == ["conv 3×3", "flatten", "linear"]
    assert total[3] == f"{4 * 3 * 9 + 4 * 36 * 2 + 2}"


def test_errors_name_the_choices():
    with pytest.raises(ValueError, match="level must be one of 'operation', 'block', 'layer', got 'room'"):
        tables.table("resnet18", level="room")
    with pytest.raises(ValueError, match="no network is called 'resnext'"):
        tables.table("resnext")


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.integers(0, 10**13))
def test_units_lose_less_than_their_last_digit(count):
    number, _, unit = tables.units(count).partition(" ")
    size = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[unit]
    digits = len(number.partition(".")[2])
    assert abs(float(number) * size - count) <= 0.5000001 * size / 10**digits
    assert size == 1 or float(number) >= 1
    assert float(number) < 1000 or unit == "G"


# Table 1 of He et al. 2015, as printed: blocks of each layer, and FLOPs in 10⁹.
PRINTED = {
    "resnet18": ((2, 2, 2, 2), 1.8),
    "resnet34": ((3, 4, 6, 3), 3.6),
    "resnet50": ((3, 4, 6, 3), 3.8),
    "resnet101": ((3, 4, 23, 3), 7.6),
    "resnet152": ((3, 8, 36, 3), 11.3),
}


def test_the_papers_table_comes_out_of_the_steps():
    table = tables.paper()
    assert [row[1] for row in table.rows[:-2]] == ["112×112", "56×56", "56×56", "28×28", "14×14", "7×7", "1×1"]
    assert table.rows[0][2:] == ("7×7, 64, stride 2",) * 5
    assert table.rows[1][2:] == ("3×3 max-pool, stride 2",) * 5
    assert table.rows[-3][2:] == ("average pool, 1,000-d fc",) * 5
    for column, (name, (blocks, flops)) in enumerate(PRINTED.items(), start=2):
        stacks = [row[column] for row in table.rows if isinstance(row[column], tables.Stack)]
        assert tuple(stack.times for stack in stacks) == blocks
        for stack, width in zip(stacks, (64, 128, 256, 512), strict=True):
            basic = (f"3×3, {width}",) * 2
            bottleneck = (f"1×1, {width}", f"3×3, {width}", f"1×1, {4 * width:,}")
            assert stack.convolutions == (basic if name in ("resnet18", "resnet34") else bottleneck)
        shown = table.rows[-2][column]
        assert shown.endswith("×10⁹")
        # The paper keeps one decimal, and prints 3.86 as 3.8.
        assert abs(float(shown.removesuffix("×10⁹")) - flops) < 0.1
        parameters = sum(step.parameters for step in arithmetic.steps(name))
        assert table.rows[-1][column] == f"{parameters:,}"


def test_the_stride_can_stand_where_torchvision_has_it():
    assert tables.paper(["resnet50"]).rows[-2][-1] == "3.86×10⁹"
    assert tables.paper(["resnet50"], stride_in="3x3").rows[-2][-1] == "4.09×10⁹"


def test_each_network_has_its_own_cells_in_the_papers_table():
    """Whoever scrolls to ResNet-152 on a phone reads what is in it, and not half of a cell across five columns."""
    rows = html(tables.paper()).findall(".//tbody/tr")
    for row in rows:
        assert [cell.get("colspan") for cell in row.findall("td")] == [None] * 6
    assert ["".join(cell.itertext()) for cell in rows[0].findall("td")][1:] == ["7×7, 64, stride 2"] * 5


def test_the_cifar_family_has_such_a_table_too():
    table = tables.paper(["cifar20", "cifar110"], (3, 32, 32))
    assert [row[1] for row in table.rows[:-2]] == ["32×32", "32×32", "16×16", "8×8", "1×1"]
    assert [cell.times for cell in table.rows[1][2:]] == [3, 18]
    assert "⎡ 3×3, 16 ⎤" in str(table)


def test_networks_without_common_sizes_share_no_table():
    with pytest.raises(ValueError, match=r"resnet18: 112×112.*cifar20: 224×224"):
        tables.paper(["resnet18", "cifar20"])


def test_the_depth_in_the_name_is_the_depth_in_the_steps():
    names = [*FAMILY, "plain34", "cifar20", "cifar_plain56"]
    for name, row in zip(names, tables.compare(names).rows, strict=True):
        assert row[0].endswith(f"-{row[2]}")
        assert name.endswith(row[2])
        assert row[3] == f"{sum(step.parameters for step in arithmetic.steps(name)):,}"


def test_projections_do_not_count_for_the_depth():
    (projected,) = tables.compare(["resnet18"], shortcut="C").rows
    (plain,) = tables.compare(["resnet18"]).rows
    assert projected[2] == plain[2] == "18"
    # Type C projects in the blocks that keep their shape, too: a weight of c×c with a batch norm in each.
    added = sum(c * c + 2 * c for c in (64, 64, 128, 256, 512))
    assert int(projected[3].replace(",", "")) == int(plain[3].replace(",", "")) + added


@pytest.mark.parametrize(
    "line",
    [
        "from resnet_edu.drawing import tables; str(tables.table('resnet152')); tables.paper()._repr_html_()",
        "from resnet_edu.drawing import diagrams; diagrams.network('resnet34')._repr_html_()",
        "from resnet_edu.drawing import volumes; volumes.draw('resnet50')._repr_html_()",
    ],
)
def test_drawing_needs_no_torch(line):
    heavy = "{'torch', 'numpy', 'matplotlib'}"
    code = f"import sys; {line}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_changes_reach_the_network_by_name():
    one, other = (tables.table("resnet50", level="layer", **changes) for changes in ({}, {"stride_in": "1x1"}))
    assert cells(str(one))[-1][4] == tables.units(4_089_184_256)
    assert cells(str(other))[-1][4] == tables.units(3_857_973_248)
    ten = tables.compare(["resnet18"], num_classes=10)
    assert f"{11_689_512 - 990 * 513:,}" in str(ten)


@pytest.mark.parametrize(
    ("convolutions", "line"), [(("3×3, 64",), 0), (("3×3, 64", "3×3, 64"), 1), (("1×1, 64", "3×3, 64", "1×1, 256"), 1)]
)
def test_how_often_a_stack_is_repeated_stands_beside_its_middle(convolutions, line):
    lines = str(tables.Stack(convolutions, 6)).splitlines()
    assert [number for number, text in enumerate(lines) if text.endswith("×6")] == [line]
    assert len(lines) == len(convolutions)


def test_a_small_table_in_html_is_exactly_this():
    table = tables.Table("Two <rooms>", ["room", "cost"], [("stem", "9"), ("head", "5")], ("total", "14"))
    root = html(table)
    (shown,) = root.iter("table")
    assert words(shown.find("caption")) == "Two <rooms>"
    assert [words(cell) for cell in shown.find("thead").iter("th")] == ["room", "cost"]
    assert [[words(cell) for cell in row] for row in shown.find("tbody")] == [["stem", "9"], ["head", "5"]]
    assert [[words(cell) for cell in row] for row in shown.find("tfoot")] == [["total", "14"]]
    # Nothing stands between the parts.
    for element in shown.iter():
        if element.tag in ("table", "thead", "tbody", "tfoot", "tr"):
            assert not (element.text or "").strip()
        assert not (element.tail or "").strip()


# What torchinfo says


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "cifar_plain20"])
def test_torchinfos_rows_are_all_modules_that_are_called_with_their_own_parameters(name):
    model = build(recipe(name))
    *rows, total = cells(str(tables.torchinfo(model, (3, 64, 64), depth=9)))
    leaves = {place: m for place, m in model.named_modules() if not any(m.children())}
    assert {row[0] for row in rows} == set(leaves)
    assert all(row[1] == type(leaves[row[0]]).__name__ for row in rows)
    assert all(int(row[3].replace(",", "")) == sum(p.numel() for p in leaves[row[0]].parameters()) for row in rows)
    assert int(total[3].replace(",", "")) == sum(p.numel() for p in model.parameters())
    assert rows[0][2] == "×".join(map(str, model.conv1(torch.rand(1, 3, 64, 64)).shape[1:]))


def test_to_a_depth_torchinfos_rows_are_whole_rooms():
    model = build(recipe("resnet18"))
    *rows, total = cells(str(tables.torchinfo(model, (3, 64, 64), depth=1)))
    assert [row[0] for row in rows] == [name for name, _ in model.named_children()]
    assert sum(int(row[3].replace(",", "")) for row in rows) == int(total[3].replace(",", "")) == 11_689_512


class Reused(nn.Module):
    """One linear layer, called twice, and a scale that belongs to no part."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.layer = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(self.layer(x) * self.scale)


def test_what_torchinfo_counts_once_or_in_no_row_is_said():
    text = str(tables.torchinfo(Reused(), (3,)))
    rows = cells(text)
    assert [row[3] for row in rows[:3]] == ["12", "as above", "15"]
    assert text.splitlines()[-1] == "3 parameters stand in no row of their own"


def test_without_torchinfo_a_sentence_stands_in_the_place_of_its_rows(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchinfo", None)  # as if nobody had installed it
    table = tables.torchinfo(Reused(), (3,))
    sentence = "torchinfo is not installed. Install it with pip install torchinfo"
    assert sentence in str(table)
    assert sentence in table._repr_html_()
    assert (
        table._repr_html_().count('class="re-words"') == 3
    )  # the headings of words; that of the numbers stands to the right


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999"),
        (1_000, "1.0 k"),
        (999_949, "999.9 k"),
        (999_950, "1.0 M"),
        (999_949_999, "999.9 M"),
        (999_950_000, "1.000 G"),
        (2_500_000_000_000, "2500.000 G"),
        (5_250_000_000_001, "5250.000 G"),
    ],
)
def test_the_unit_changes_where_the_number_would_get_a_fourth_digit(count, text):
    assert tables.units(count) == text


def test_words_stand_to_the_left_and_numbers_to_the_right_in_text_and_in_html():
    rows = [("stem", "7×7", "9"), ("a long name", "a long word", "10")]
    table = tables.Table("Caption", ["room", "what", "number"], rows, ("total", "", "19"), words=2)
    assert str(table).splitlines() == [
        "Caption",
        "room        │ what        │ number",
        "────────────┼─────────────┼───────",
        "stem        │ 7×7         │      9",
        "a long name │ a long word │     10",
        "────────────┼─────────────┼───────",
        "total       │             │     19",
    ]
    for row in html(table).iter("tr"):
        assert [cell.get("class") for cell in row] == ["re-words", "re-words", None]
    assert html(table).find("div").get("class") == "re-table"
    assert not [cell for cell in html(table).iter("td") if cell.get("colspan") or len(cell)]
    # Or all in the middle, but for the first of each row.
    centered = tables.Table("Caption", ["room", "what", "number"], rows, ("total", "5", "5"), words=3, centered=True)
    for row in html(centered).iter("tr"):
        assert [cell.get("class") for cell in row] == ["re-words", "re-middle", "re-middle"]
    assert html(centered).find("div").get("class") == "re-table re-tight"


def test_remarks_stand_below_the_rows():
    table = tables.Table("Caption", ["room"], [("stem",)], remarks=("one <b>", "two"))
    assert str(table).splitlines()[-3:] == ["stem", "one <b>", "two"]
    assert [words(p) for p in html(table).iter("p")] == ["one <b>", "two"]


def test_a_stack_has_brackets_as_high_as_it_is():
    drawn = [str(tables.Stack(("3×3, 64",) * height, 2)).splitlines() for height in (1, 2, 3, 4)]
    assert ["".join(line[0] for line in lines) for lines in drawn] == ["[", "⎡⎣", "⎡⎢⎣", "⎡⎢⎢⎣"]
    assert [[line[10] for line in lines] for lines in drawn] == [["]"], ["⎤", "⎦"], [*"⎤⎥⎦"], [*"⎤⎥⎥⎦"]]
    rows = str(tables.Table("t", ["a", "b"], [("x", tables.Stack(("3×3, 64",) * 2, 2))], words=2)).splitlines()
    assert rows[3:] == ["x │ ⎡ 3×3, 64 ⎤", "  │ ⎣ 3×3, 64 ⎦ ×2"]


def test_the_total_counts_the_operations():
    steps = arithmetic.steps("resnet18")
    assert cells(str(tables.table(steps[:1])))[-1][1] == "1 operation"
    assert cells(str(tables.table(steps[:2])))[-1][1] == "2 operations"
    assert cells(str(tables.table(steps)))[-1][1] == f"{len(steps)} operations"
    assert cells(str(tables.table(steps, level="layer")))[-1][1] == "3×224×224"


def test_a_title_takes_the_place_of_the_name():
    assert str(tables.table("resnet18", 64, "block", title="Mine")).startswith(
        "Mine for one image of 3×64×64, block by"
    )
    assert str(tables.table("resnet18", 64)).startswith("ResNet-18 for one image of 3×64×64, operation by operation")
    shown = tables.compare(["resnet18", "resnet34"], titles=("One", "Two"))
    assert [row[0] for row in shown.rows] == ["One", "Two"]
    assert "One" in str(shown).splitlines()[3]
    assert str(shown).splitlines()[0] == "Networks side by side, for one image of 3×224×224"


def test_what_nobody_counted_is_called_so():
    known, unknown = (
        Step("a", "conv 3×3", (3, 8, 8), (4, 8, 8), 108, 6_912, 3),
        Step("b", "LSTM", (4,), (4,), 9, 0, 3),
    )
    unknown = unknown._replace(counted=False)
    both = cells(str(tables.table([known, unknown])).partition("\nthe multiply")[0])
    assert [row[4] for row in both] == ["6.9 k", "not counted", "more than 6.9 k"]
    assert cells(str(tables.table([unknown])).partition("\nthe multiply")[0])[-1][4] == "not counted"
    assert str(tables.table([known, unknown, unknown])).endswith("\nthe multiply-adds of LSTM are not counted")
    assert "not counted" not in str(tables.table([known]))
    assert tables.compare([[known, unknown]], titles=["it"]).remarks == [
        "it: the multiply-adds of LSTM are not counted"
    ]


def test_flops_are_written_in_thousands_millions_and_so_on():
    def flops(**changes):
        return tables.paper(["cifar8"], (3, 32, 32), **changes).rows[-2][-1]

    adds = sum(step.multiply_adds for step in arithmetic.steps("cifar8", (3, 32, 32)))
    assert flops() == f"{adds / 1e6:.2f}×10⁶"
    small = sum(step.multiply_adds for step in arithmetic.steps("cifar8", (3, 32, 32), widths=(1, 1, 1)))
    assert flops(widths=(1, 1, 1)) == f"{small / 1e3:.2f}×10³"


def test_the_papers_rows_have_their_names_sizes_and_rooms():
    table = tables.paper(["resnet18", "resnet50"], 64)
    assert [row[:2] for row in table.rows] == [
        ("conv1 (stem)", "32×32"),
        ("max-pool (stem)", "16×16"),
        ("conv2_x (layer1)", "16×16"),
        ("conv3_x (layer2)", "8×8"),
        ("conv4_x (layer3)", "4×4"),
        ("conv5_x (layer4)", "2×2"),
        ("classifier (head)", "1×1"),
        ("FLOPs", ""),
        ("parameters", ""),
    ]
    assert table.rooms == ["stem", "stem", "layer1", "layer2", "layer3", "layer4", "head", "", ""]
    assert table.columns == ["layer", "output", "ResNet-18", "ResNet-50"]
    assert html(table).find("div").get("class") == "re-table re-tight"


def test_at_each_level_a_row_has_the_color_of_its_part():
    image = (3, 32, 32)
    blocks = ["stem", "layer1", "layer1", "layer2", "layer2", "layer3", "layer3", "head"]
    assert tables.table("cifar14", image, "layer").rooms == ["stem", "layer1", "layer2", "layer3", "head"]
    assert tables.table("cifar14", image, "block").rooms == blocks
    operations = tables.table("cifar14", image)
    assert list(dict.fromkeys(operations.rooms)) == ["stem", "layer1", "layer2", "layer3", "head"]
    assert len(operations.rooms) == len(operations.rows)


@pytest.mark.parametrize("unit", ["k", "M", "G"])
def test_a_unit_is_exactly_a_thousand_of_the_one_before(unit):
    size, digits = {"k": (10**3, 1), "M": (10**6, 1), "G": (10**9, 3)}[unit]
    half = size // (2 * 10**digits)  # of the last digit, where a count that is one larger is rounded up
    for whole in (1, 7):
        assert tables.units(whole * size + half + 1) == f"{whole + 10**-digits:.{digits}f} {unit}"
        assert tables.units(whole * size + half - 1) == f"{whole:.{digits}f} {unit}"


@pytest.mark.parametrize(
    ("count", "text"),
    [(999, "999.00×10⁰"), (1_000, "1.00×10³"), (123_456, "123.46×10³"), (386_000_000_000, "386.00×10⁹")],
)
def test_a_power_is_that_of_the_thousands(count, text):
    assert tables._scientific(count) == text
