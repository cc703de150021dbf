"""Lighter pages look and behave as those that Sphinx wrote."""

import re
from pathlib import Path

import page_weight
import pydata_sphinx_theme
import pytest
from fontTools.pens.boundsPen import BoundsPen
from fontTools.ttLib import TTFont
from PIL import Image

ROOT = Path(__file__).parent.parent.parent
FONT = ROOT / "book/web" / page_weight.FONT
HEAD = """<!DOCTYPE html>
<html><head>
  <link rel="stylesheet" href="{up}_static/styles/theme.css?v=1" />
  {more}<link rel="stylesheet" type="text/css" href="{up}_static/book.css?v=2" />
</head><body>"""


def purged(style, html="<p class='note'>", *scripts):
    return page_weight.purged([page_weight.parsed(style)], page_weight.Names([html], scripts))


@pytest.mark.parametrize(
    ("style", "kept"),
    [
        (".tip{color:red}", ""),
        (".note,.tip{color:red}", ".note{color:red}\n"),
        ("p.note:hover::after{color:red!important}", "p.note:hover::after{color:red!important}\n"),
        ("@media print{.tip{color:red}}", ""),
        ("@media print{.note{color:red}}", "@media print{.note{color:red}\n}\n"),
        # A browser that does not know one selector drops the list: without it, the rest would begin to count.
        (".tip::-moz-x,.note{color:red}", ".tip::-moz-x,.note{color:red}\n"),
        ("/* about */ /*! License */ .tip{color:red}", "/*! License */\n"),
        (':root{--a:"}";--b:1}.note{content:var(--a)}', ':root{--a:"}"}\n.note{content:var(--a)}\n'),
        ("@font-face{font-family:X;src:url(x.woff2)}", "@font-face{font-family:X;src:url(x.woff2)}\n"),
        ("@keyframes x{from{left:0}to{left:1px}}", "@keyframes x{from{left:0}to{left:1px}}\n"),
        (".note{&:hover{color:red}}", ".note{&:hover{color:red}}\n"),
    ],
)
def test_a_rule_stays_while_some_page_may_use_it(style, kept):
    assert purged(style) == kept


@pytest.mark.parametrize(
    ("name", "script"),
    [
        (".is-open", 'e.classList.add("is-open")'),
        (".is-open", "e.className = `is-${state}`"),
        (".left-row", "e.className = `${side}-row`"),
        ("[data-room-kind]", "e.dataset.roomKind = 1"),
        ("#made", "e.id='made'"),
        ("dialog", 'document.createElement("dialog")'),
    ],
)
def test_what_a_script_may_set_stays(name, script):
    assert purged(f"{name}{{color:red}}") == ""
    assert purged(f"{name}{{color:red}}", "<p>", script) == f"{name}{{color:red}}\n"
    assert purged(f"{name}{{color:red}}", f"<p><script>{script}</script>") == f"{name}{{color:red}}\n"


def book(folder, theme=".tip{color:red}.note{background:url(../dot.png)}", more=""):
    """Two pages with two style sheets, one of which imports a third."""
    for name, text in {
        "_static/styles/theme.css": f'@import "../basic.css";\n{theme}',
        "_static/basic.css": "p{background:url(file.png)}table{color:red}",
        "_static/book.css": f'@font-face{{src:url("{page_weight.FONT}")}}.own{{color:red}}',
        "index.html": HEAD.format(up="", more="") + "<p class='note'><math><mi>x</mi><mo>+</mo></math>",
        "book/a.html": HEAD.format(up="../", more=more) + "<h1>A</h1>",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "_static" / page_weight.FONT).write_bytes(FONT.read_bytes())
    return folder


def test_a_page_links_to_one_sheet_and_the_book_keeps_its_own(tmp_path):
    page_weight.lighten(book(tmp_path))
    sheet = (tmp_path / "_static" / page_weight.BUNDLE).read_text(encoding="utf-8")
    assert re.sub(r"\?v=\w+", "", sheet).splitlines() == [
        '@charset "UTF-8";',
        'p{background:url("../file.png")}',
        '.note{background:url("../dot.png")}',
        f'@font-face{{src:url("../{page_weight.FONT}")}}',
        ".own{color:red}",
    ]
    for page, up in (("index.html", ""), ("book/a.html", "../")):
        text = (tmp_path / page).read_text(encoding="utf-8")
        (link,) = re.findall(r'href="([^"]+\.css)\?v=\w{8}"', text)
        assert link == f"{up}_static/{page_weight.BUNDLE}"
    assert not (tmp_path / "_static/styles/theme.css").exists()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    page_weight.lighten(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("theme", "more"),
    [
        ("} .note{color:red}", ""),
        (".note{color:red}", '<link rel="stylesheet" href="../_static/late.css" />\n  '),
    ],
)
def test_styles_that_cannot_be_read_or_put_in_order_stay_as_they_are(tmp_path, theme, more, capsys):
    folder = book(tmp_path, theme, more)
    if more:
        text = (folder / "index.html").read_text(encoding="utf-8")
        late = '<link rel="stylesheet" href="_static/late.css" />\n</head>'
        (folder / "index.html").write_text(text.replace("</head>", late), encoding="utf-8")
        (folder / "_static/late.css").write_text("p{color:red}", encoding="utf-8")
    before = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.html")}
    page_weight.lighten(folder)
    assert {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.html")} == before
    assert theme in (folder / "_static/styles/theme.css").read_text(encoding="utf-8")


def test_the_formula_font_has_every_sign_of_the_book_and_little_else(tmp_path):
    formula = "<math><msub><mi>γ</mi><mn>2</mn></msub><mo>(</mo><mi>x</mi><mo>)</mo></math>"
    made = tmp_path / "small.woff2"
    signs, small = page_weight.formula_signs([formula]), page_weight.small_signs([formula])
    made.write_bytes(page_weight.only(FONT, signs, small))
    assert made.stat().st_size < FONT.stat().st_size / 20
    with TTFont(made) as font, TTFont(FONT) as whole:
        assert {chr(code) for code in font.getBestCmap()} == set("γ2(x)𝛾𝑥")
        names = set(font.getGlyphOrder())
        assert "two.st" in names, "a form for subscripts"
        assert not {"two.sts", "x.st", "u1D465.st"} & names
        assert "parenleft.v7" in names, "a bracket as high as a fraction"
        # A glyph is drawn as before.
        for name in ("u1D465", "two.st"):
            boxes = []
            for source in (font, whole):
                pen = BoundsPen(source.getGlyphSet())
                source.getGlyphSet()[name].draw(pen)
                boxes.append(pen.bounds)
            assert boxes[0] == boxes[1]


@pytest.mark.parametrize(
    "root", ["<msqrt><mfrac><mn>1</mn><mn>2</mn></mfrac></msqrt>", "<mroot><mn>8</mn><mn>3</mn></mroot>"]
)
def test_a_root_keeps_its_sign_which_no_formula_writes(tmp_path, root):
    formula = f"<math>{root}</math>"
    made = tmp_path / "small.woff2"
    made.write_bytes(page_weight.only(FONT, page_weight.formula_signs([formula]), page_weight.small_signs([formula])))
    with TTFont(made) as font:
        assert ord("√") in font.getBestCmap()
        assert "radical.v2" in font.getGlyphOrder(), "a root as high as a fraction"


def test_a_picture_keeps_its_pixels(tmp_path):
    (tmp_path / "_images").mkdir()
    noise = Image.effect_noise((40, 40), 90).convert("RGBA")
    noise.putpixel((0, 0), (10, 20, 30, 0))  # a color that nobody sees
    noise.save(tmp_path / "_images/a.png", compress_level=0)
    (tmp_path / "page.html").write_text("<html><img alt='1 > 0' src='_images/a.png'>", encoding="utf-8")
    page_weight.lighten(tmp_path)
    told = """<html><img loading="lazy" width="40" height="40" alt='1 > 0' src='_images/a.webp'>"""
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == told
    with Image.open(tmp_path / "_images/a.webp") as kept:
        assert kept.convert("RGBA").tobytes() == noise.tobytes()
    assert not (tmp_path / "_images/a.png").exists()


def test_a_picture_whose_size_is_told_keeps_its_shape_on_a_phone(tmp_path, chromium):
    sheet = (ROOT / "book/web/book.css").read_text(encoding="utf-8")
    (tmp_path / "page.html").write_text(
        f"<html><style>{sheet} img {{ max-width: 100% }}</style>"
        "<div class='cell_output'><img width='800' height='200' alt='A strip.'></div>",
        encoding="utf-8",
    )
    Image.new("RGB", (800, 200)).save(tmp_path / "strip.png")
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    page.goto((tmp_path / "page.html").as_uri())
    page.evaluate("() => new Promise(done => { const i = document.images[0]; i.onload = done; i.src = 'strip.png'; })")
    box = page.locator("img").bounding_box()
    assert box["width"] < 390
    assert abs(box["width"] / box["height"] - 4) < 0.05
    page.close()


# -- the built book -------------------------------------------------------------------------------------------

STYLES = """() => {
  const names = [...getComputedStyle(document.documentElement)].filter(name => !name.startsWith("--"));
  const plain = text => text.replace(/url\\([^)]*\\/|\\?v=\\w+/g, "");
  return [...document.querySelectorAll("body, body *")].flatMap(e => ["", "::before", "::after"].map(part => {
    const style = getComputedStyle(e, part);
    if (part && ["none", "normal"].includes(style.content)) return null;
    const look = plain(names.map(name => style.getPropertyValue(name)).join("|"));
    return `${e.localName}.${e.getAttribute("class") ?? ""}${part} ${look}`;
  }).filter(Boolean));
}"""


def at_rest(page):
    """The look of each element, once scripts have left it alone for a while."""
    before, now = None, page.evaluate(STYLES)
    while now != before:
        page.wait_for_timeout(250)
        before, now = now, page.evaluate(STYLES)
    return now


@pytest.mark.parametrize(("path", "width", "mode"), [("book/index.html", 390, "dark"), ("search.html", 1440, "light")])
def test_every_element_looks_as_sphinx_meant_it(chromium, path, width, mode):
    """As it stands, and with the menus that scripts open."""
    seen = []
    for folder in (ROOT / "_build/staging/html", ROOT / "_build/html"):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=mode, reduced_motion="reduce"
        )
        page = context.new_page()
        page.goto((folder / path).as_uri(), wait_until="load")
        page.add_style_tag(content="* { transition: none !important; animation: none !important }")
        styles = at_rest(page)
        page.locator(".bd-header-article .primary-toggle").click()
        styles += at_rest(page)
        page.keyboard.press("Escape")
        page.keyboard.press("Control+k")
        styles += at_rest(page)
        seen.append(styles)
        context.close()
    before, after = seen
    assert len(before) == len(after) > 400
    for one, other in zip(before, after, strict=True):
        assert one.split("|") == other.split("|")


def test_boxes_are_measured_at_once_and_what_is_folded_when_it_opens(chromium, tmp_path):
    """In the theme's own script, of which the part that does it is cut out here."""
    static = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
    script = page_weight.measured_at_once((static / "scripts/pydata-sphinx-theme.js").read_text(encoding="utf-8"))
    steps = re.search(r"const e=\(\)=>\{\{\n  const boxes.*?,e\(\)\}(?=function (\w)\()", script, re.DOTALL)
    assert steps, "the theme's script has changed, and lays pages out once for each box again"
    wide = "<pre style='width: 50px; overflow: auto'>a line that is wider than its box</pre>"
    (tmp_path / "page.html").write_text(
        f"<div id='main-content'>{wide}<pre>short</pre><details><summary>Open</summary>{wide}</details></div>"
        f"<script>const {steps[1]} = (does) => () => setTimeout(does, 10); (() => {{{steps[0]})()</script>",
        encoding="utf-8",
    )
    page = chromium.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    stops = "[...document.querySelectorAll('pre')].map((e) => e.getAttribute('tabindex'))"
    assert page.evaluate(stops) == ["0", None, None]
    page.locator("summary").click()
    page.wait_for_function(f"{stops}[2] === '0'")
    page.close()
