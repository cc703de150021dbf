"""Make a built book lighter: one style sheet without rules that no page can use, a font of its formulas' signs, WebP
that is fetched when the reader comes near.

The theme brings 400 KB of style for every page that anybody may write with it. A rule goes when its selector asks for
a class, an id, an attribute or an element whose name occurs nowhere: in no tag of any page, and in no script, which may
set it later. What cannot be told stays. The book's own style sheets stay whole.

Why not PurgeCSS: it needs node to build the book, and keeps or drops whole words of prose, where this reads tags.
"""

import hashlib
import io
import logging
import os
import re
import unicodedata
from collections.abc import Iterable
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tinycss2
from fontTools import subset
from fontTools.ttLib import TTFont
from PIL import Image, ImageChops

#: Style sheets of the book itself, by their names below `_static`.
OWN = {"palette.css", "book.css", "explorers/explorers.css"}
BUNDLE = "styles/book-and-theme.css"
FONT = "latin-modern-math-subset.woff2"
#: Scripts that no page loads, or that hold no names of classes.
NO_NAMES = ("fontawesome.js", "searchindex.js", "net/digits.js", "net/weights.js", "net/weights-plain.js", "locales/")
_LINK = re.compile(r'[ \t]*<link rel="stylesheet"(?: type="text/css")? href="((?:\.\./)*)_static/([^"?]+)[^"]*" ?/>\n?')
_TAG = re.compile(r"""<[a-zA-Z](?:[^>"']|"[^"]*"|'[^']*')*>""")
_IMAGE = re.compile(
    r"""<img (?!loading)(?P<rest>(?:[^>"']|"[^"]*"|'[^']*')*?src=["'](?:\.\./)*_images/(?P<name>[^"']+)["'][^>]*>)"""
)
_INLINE = re.compile(r"<(script|style)\b[^>]*>(.*?)</\1>", re.DOTALL)


def lighten(folder: Path) -> None:
    """Rewrite the pages below `folder` and what they link to. Nothing is asked of a browser or of the network."""
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.html"))}
    pages = {path: text for path, text in pages.items() if "<html" in text}
    scripts = [
        path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.js"))
        if not any(name in path.as_posix() for name in NO_NAMES)
    ]
    static = folder / "_static"
    sheet = static / "book.css"
    if sheet.exists() and (static / FONT).exists():
        texts = list(pages.values())
        small = only(static / FONT, formula_signs(texts), small_signs(texts))
        (static / FONT).write_bytes(small)
        text = sheet.read_text(encoding="utf-8")
        sheet.write_text(text.replace(f'"{FONT}"', f'"{FONT}?v={_digest(small)}"'), encoding="utf-8")
    bundle(static, pages, Names(pages.values(), scripts))
    theme = static / "scripts/pydata-sphinx-theme.js"
    if theme.exists():
        theme.write_text(measured_at_once(theme.read_text(encoding="utf-8")), encoding="utf-8")
    pictures(folder, pages)
    for path, text in pages.items():
        # Seven kilobytes in a menu that few open.
        text = re.sub(r"<img (?=[^>]*images/logo_\w+\.)", '<img loading="lazy" ', text)
        path.write_text(text, encoding="utf-8")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:8]


# -------------------------------------------------------------------------------------------------- scripts

_STOPS = re.compile(
    r'document\.querySelectorAll\((?P<places>\["pre"[^()]*\]\.join\(", "\))\)\.forEach\((?P<e>\w)=>\{(?P=e)\.tabIndex='
    r"(?P=e)\.scrollWidth>(?P=e)\.clientWidth\|\|(?P=e)\.scrollHeight>(?P=e)\.clientHeight\?0:-1\}\)"
    r'(?P<then>\},(?P<later>\w)=\w\(\w,300\);window\.addEventListener\("resize",(?P=later)\))'
)
_AT_ONCE = """{
  const boxes = [...document.querySelectorAll(\\g<places>)].filter((e) => !e.closest("details:not([open])"));
  const wide = boxes.map((e) => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight);
  boxes.forEach((e, n) => { if (wide[n]) e.tabIndex = 0; else if (e.hasAttribute("tabindex")) e.tabIndex = -1; });
}\\g<then>,document.addEventListener("toggle",\\g<later>,true)"""


def measured_at_once(script: str) -> str:
    """The theme's script, which asks each box whether it scrolls, and writes down what follows before it asks the next.

    Each time the browser lays the page out again, also within what is folded: half of all that holds up a phone while a
    long page loads. Here all are asked first, and what is folded when it opens. Another script stays as it is.
    """
    return _STOPS.sub(_AT_ONCE, script, count=1)


# ---------------------------------------------------------------------------------------------- style sheets


class Names:
    """Every name that an element of the book has or may get: from tags, and from the words of scripts.

    >>> names = Names(['<p class="note">the word table</p>'], ['e.classList.add("is-" + kind); e.dataset.roomKind'])
    >>> [names.has(name) for name in ("p", "note", "is-open", "data-room-kind", "table")]
    [True, True, True, True, False]
    """

    def __init__(self, pages: Iterable[str], scripts: Iterable[str]) -> None:
        self.words: set[str] = {"html", "head", "body", "tbody"}  # a browser adds those that a page leaves out
        self.starts: set[str] = set()
        self.ends: set[str] = set()
        self.said: set[str] = set()  # custom properties that somebody asks for
        for text in pages:
            for tag in _TAG.findall(text):
                self.words.update(re.findall(r"[\w-]+", tag))
                self.said.update(re.findall(r"--[\w-]+", tag))
            for _, inline in _INLINE.findall(text):
                self._script(inline)
        for text in scripts:
            self._script(text)

    def _script(self, text: str) -> None:
        self.words.update(re.findall(r"[\w-]+", text))
        self.said.update(re.findall(r"--[\w-]+", text))
        # Put together from pieces: "col-" + side, `${kind}-row`.
        self.starts.update(re.findall(r"""([A-Za-z][\w-]*-)(?=["'`]|\$\{)""", text))
        self.ends.update(re.findall(r"""(?<=["'`}])(-[\w-]*\w)""", text))

    def has(self, name: str) -> bool:
        if name in self.words or name.startswith(tuple(self.starts)) or name.endswith(tuple(self.ends)):
            return True
        first, *rest = name.removeprefix("data-").split("-")
        return name.startswith("data-") and first + "".join(word.capitalize() for word in rest) in self.words


def may_match(selector: list[Any], names: Names) -> bool:
    """Whether an element of the book may fit the selector; True wherever that is not plain to see.

    >>> names = Names(['<p class="note">'], [])
    >>> def say(text): return may_match(tinycss2.parse_component_value_list(text), names)
    >>> say("p.note > a"), say("p:not(.tip):hover::before"), say(":is(.tip, .note)"), say(":is(.tip, .aside) p")
    (False, True, True, False)
    """
    before = ""
    for token in selector:
        kind = token.type
        if kind == "ident" and before == "." and not names.has(token.value):
            return False
        if kind == "ident" and before not in (".", ":", "|") and not names.has(token.lower_value):
            return False
        if kind == "hash" and not names.has(token.value):
            return False
        if kind == "[] block":
            attribute = next((part for part in token.content if part.type == "ident"), None)
            if attribute is not None and not names.has(attribute.lower_value):
                return False
        one_of = kind == "function" and token.lower_name in ("is", "where", "has")
        if one_of and not any(may_match(one, names) for one in alternatives(token.arguments)):
            return False
        before = token.value if kind == "literal" else ""
    return True


def alternatives(tokens: list[Any]) -> list[list[Any]]:
    """A selector list at its commas."""
    parts: list[list[Any]] = [[]]
    for token in tokens:
        if token.type == "literal" and token.value == ",":
            parts.append([])
        elif token.type != "comment":
            parts[-1].append(token)
    return parts


def needed(rules: list[Any], names: Names) -> list[Any]:
    """The rules that may ever apply, with the selectors of a list that may."""
    kept: list[Any] = []
    for rule in rules:
        if rule.type == "qualified-rule":
            listed = alternatives(rule.prelude)
            apply = [one for one in listed if may_match(one, names)]
            if not apply:
                continue
            # A browser drops a list with one selector that it does not know. Without that one it would take the list.
            if "::-" not in tinycss2.serialize(rule.prelude) and ":-" not in tinycss2.serialize(rule.prelude):
                comma = tinycss2.ast.LiteralToken(0, 0, ",")
                rule.prelude = [token for one in apply for token in (comma, *one)][1:]
        elif _groups(rule):
            rule.content = needed(rule.content, names)
            if not rule.content:
                continue
        kept.append(rule)
    return kept


def _groups(rule: Any) -> bool:
    """Whether the rule holds rules: what applies on paper, on a narrow page."""
    return rule.type == "at-rule" and rule.content is not None and rule.lower_at_keyword in GROUPS


GROUPS = ("media", "supports", "container", "layer")


def written(rules: list[Any], unasked: set[str] = frozenset()) -> str:  # type: ignore[assignment]
    """Rules as text, without the custom properties `unasked`."""
    text = []
    for rule in rules:
        if rule.type == "comment":
            text.append(f"/*{rule.value}*/\n")
            continue
        head = _tight(tinycss2.serialize(rule.prelude))
        if rule.type == "at-rule":
            head = f"@{rule.at_keyword} {head}".rstrip()
        if rule.content is None:
            text.append(f"{head};\n")
        elif _groups(rule):
            text.append(f"{head}{{{written(rule.content, unasked)}}}\n")
        elif body := declarations(rule.content, unasked):
            text.append(f"{head}{{{body}}}\n")
    return "".join(text)


def declarations(content: list[Any], unasked: set[str]) -> str:
    parts = tinycss2.parse_blocks_contents(content, skip_comments=True, skip_whitespace=True)
    if any(part.type != "declaration" for part in parts):  # keyframes, nested rules, what only some browser reads
        return _tight(tinycss2.serialize(content))
    return ";".join(
        f"{part.name}:{_tight(tinycss2.serialize(part.value))}{'!important' if part.important else ''}"
        for part in parts
        if part.name not in unasked
    )


def _tight(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def purged(sheets: Iterable[list[Any]], names: Names) -> str:
    """The text of several style sheets, in their order, with the rules and custom properties that are needed.

    >>> names = Names(['<p class="note">'], [])
    >>> sheet = parsed(":root{--a:red;--b:blue} .note, .tip { color: var(--a) } .tip { color: green }")
    >>> print(purged([sheet], names), end="")
    :root{--a:red}
    .note{color:var(--a)}
    """
    rules = needed([rule for sheet in sheets for rule in sheet], names)
    unasked: set[str] = set()
    while True:
        text = written(rules, unasked)
        asked = set(re.findall(r"--[\w-]+(?![\w-]|\s*:)", text)) | names.said
        more = set(re.findall(r"(?<=[{;])--[\w-]+(?=:)", text)) - asked
        more = {name for name in more if not name.startswith(tuple(names.starts))}
        if not more:
            return text
        unasked |= more


def parsed(sheet: str | list[Any]) -> list[Any]:
    """Rules, and the rules in them. Of comments those stay that begin with a mark: licenses."""
    rules = []
    for rule in tinycss2.parse_rule_list(sheet, skip_whitespace=True):
        for part in (rule, *(rule.prelude if hasattr(rule, "prelude") else ())):
            if part.type == "error":
                raise ValueError(f"one cannot be read at line {part.source_line}: {part.message}")
        if rule.type == "comment" and not rule.value.startswith("!"):
            continue
        if rule.type == "at-rule" and rule.lower_at_keyword == "charset":
            continue
        if _groups(rule):
            rule.content = parsed(rule.content)
        rules.append(rule)
    return rules


def bundle(static: Path, pages: dict[Path, str], names: Names) -> None:
    """Let every page link to one style sheet in place of all. What cannot be read or put in order stays as it is."""
    linked = {path: _LINK.findall(text) for path, text in pages.items()}
    order = in_one_order([[name for _, name in found] for found in linked.values()])
    foreign = [name for name in order if name not in OWN]
    if not order or BUNDLE in order or order[: len(foreign)] != foreign:
        return
    try:
        sheets = {name: parsed(read(static / name, static / BUNDLE)) for name in order}
    except ValueError as error:
        print(f"The style sheets stay as they are: {error}")
        return
    own = "".join(written(sheets[name]) for name in order if name in OWN)
    names.said.update(re.findall(r"--[\w-]+", own))
    text = '@charset "UTF-8";\n' + purged([sheets[name] for name in foreign], names) + own
    (static / BUNDLE).write_text(text, encoding="utf-8")
    version = _digest(text.encode())
    for path, text in pages.items():
        if first := _LINK.search(text):
            link = f'  <link rel="stylesheet" href="{first[1]}_static/{BUNDLE}?v={version}" />\n'
            pages[path] = text[: first.start()] + link + _LINK.sub("", text[first.end() :])
    for name in order:
        (static / name).unlink()


def read(sheet: Path, to: Path) -> str:
    """A style sheet as it may stand in the file `to`: with those that it imports, each of which costs one more trip."""
    text = sheet.read_text(encoding="utf-8")
    text = re.sub(
        r"url\((['\"]?)(?!data:|#|/|\w+:)([^'\")]+)\1\)",
        lambda found: f'url("{_relative(sheet.parent, found[2], to)}")',
        text,
    )
    return re.sub(r'@import "([^"]+)";', lambda found: read(sheet.parent / found[1], to), text)


def _relative(place: Path, url: str, to: Path) -> str:
    """The address of what stands at `url` as seen from `place`, seen from the file `to`."""
    path, mark, rest = url.partition("?")
    return Path(os.path.relpath(place / path, to.parent)).as_posix() + mark + rest


def in_one_order(lists: Iterable[list[str]]) -> list[str]:
    """One order that agrees with all lists; empty if there is none.

    >>> in_one_order([["a", "c"], ["a", "b", "c"], []]), in_one_order([["a", "b"], ["b", "a"]])
    (['a', 'b', 'c'], [])
    """
    after: dict[str, set[str]] = {}
    for one in lists:
        for place, name in enumerate(one):
            after.setdefault(name, set()).update(one[:place])
    order: list[str] = []
    while after:
        free = [name for name, before in after.items() if before <= set(order)]
        if not free:
            return []
        order.append(free[0])
        del after[free[0]]
    return order


# -------------------------------------------------------------------------------------------------- pictures


def pictures(folder: Path, pages: dict[Path, str]) -> None:
    """Pictures of cells as WebP, where that is smaller and has the same pixels."""
    for picture in sorted((folder / "_images").glob("*.png")):
        packed = io.BytesIO()
        with Image.open(picture) as image:
            whole = image.convert("RGBA")
        whole.save(packed, "WEBP", lossless=True, exact=True, method=4)
        with Image.open(packed) as image:
            same = ImageChops.difference(whole, image.convert("RGBA")).getbbox(alpha_only=False) is None
        if not same or len(packed.getvalue()) >= picture.stat().st_size:
            continue
        picture.with_suffix(".webp").write_bytes(packed.getvalue())
        picture.unlink()
        for path, text in pages.items():
            pages[path] = text.replace(f"_images/{picture.name}", f"_images/{picture.stem}.webp")
    for path, text in pages.items():
        pages[path] = _IMAGE.sub(lambda tag: later(tag, folder), text)


def later(tag: re.Match[str], folder: Path) -> str:
    """An <img> that is fetched when the reader comes near; its size is told, so that nothing moves when it comes."""
    try:
        with Image.open(folder / "_images" / tag["name"]) as image:
            width, height = image.size
    except OSError:  # a drawing in SVG
        return tag[0]
    return f'<img loading="lazy" width="{width}" height="{height}" {tag["rest"]}'


# -------------------------------------------------------------------------------------------------- formulas


def formula_signs(pages: Iterable[str]) -> set[str]:
    """Every sign that a formula may show: those in it, and the italics in which browsers draw a variable of one letter.

    >>> sorted(formula_signs(["<math><mi>x</mi><mo>&lt;</mo><mn>2</mn></math> prose"]))
    ['2', '<', 'x', '𝑥']

    The sign of a root is drawn without being written:

    >>> sorted(formula_signs(["<math><msqrt><mn>2</mn></msqrt></math>"]))
    ['2', '√']
    """
    signs: set[str] = set()
    for text in pages:
        for formula in re.findall(r"<math\b.*?</math>", text, re.DOTALL):
            signs.update(unescape(re.sub(r"<[^>]*>", "", formula)))
            signs.update(char for value in re.findall(r'"([^"]*)"', formula) for char in unescape(value))
            if re.search(r"<m(sqrt|root)\b", formula):
                signs.add("√")
    return with_italics(signs)


def small_signs(pages: Iterable[str]) -> list[set[str]]:
    """The signs that stand in a superscript, a subscript or a fraction, and those that stand in one within another.

    >>> small_signs(["<math><msup><mi>x</mi><msub><mi>n</mi><mn>2</mn></msub></msup></math>"]) == [set("n𝑛2"), {"2"}]
    True
    """
    found: list[set[str]] = [set(), set()]
    for text in pages:
        for formula in re.findall(r"<math\b.*?</math>", text, re.DOTALL):
            try:
                _walk(ElementTree.fromstring(formula), 0, found)
            except ElementTree.ParseError:  # written by hand, with HTML's own names for signs
                for level in found:
                    level.update(formula_signs([formula]))
    return [with_italics(signs) for signs in found]


#: The first child that is set smaller; all those of a fraction.
SMALLER = dict.fromkeys(("msup", "msub", "msubsup", "mover", "munder", "munderover", "mmultiscripts", "mroot"), 1)
SMALLER["mfrac"] = 0


def _walk(node: ElementTree.Element, depth: int, found: list[set[str]]) -> None:
    for level in range(min(depth, len(found))):
        found[level].update(node.text or "")
    first = SMALLER.get(node.tag, len(node))
    for place, child in enumerate(node):
        _walk(child, depth + (place >= first), found)


def with_italics(signs: set[str]) -> set[str]:
    signs = signs | {ITALICS[sign] for sign in signs if sign in ITALICS}
    return {sign for sign in signs if not sign.isspace()}


def _italics() -> dict[str, str]:
    """Each letter and its italic form among the mathematical letters; h is Planck's constant there."""
    found = {"h": "\N{PLANCK CONSTANT}"}
    for code in (*range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C), 0x1D6A4, 0x1D6A5):
        sign = chr(code)
        if plain := unicodedata.normalize("NFKC", sign):
            found.setdefault(plain, sign)
    return found


ITALICS = _italics()


def only(font: Path, signs: set[str], small: list[set[str]]) -> bytes:
    """The font with these signs, what they grow into (larger brackets, longer bars), and the forms of small ones."""
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every table
    options = subset.Options()
    options.flavor = "woff2"
    options.desubroutinize = True
    options.hinting = False
    options.layout_features = ["ssty"]
    with TTFont(font, recalcTimestamp=False) as source:
        names = source.getBestCmap()
        allowed = [{names[ord(sign)] for sign in level if ord(sign) in names} for level in small]
        for lookup in source["GSUB"].table.LookupList.Lookup if "GSUB" in source else []:
            for table in lookup.SubTable:
                _forms(getattr(table, "ExtSubTable", table), allowed)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=[ord(sign) for sign in signs])
        subsetter.subset(source)
        out = io.BytesIO()
        source.save(out)
    return out.getvalue()


def _forms(table: Any, allowed: list[set[str]]) -> None:
    """Of the forms for small sizes leave those that some formula shows: the first, or also the one smaller still."""
    for sign, forms in list(getattr(table, "alternates", {}).items()):
        count = sum(sign in level for level in allowed)
        if count:
            table.alternates[sign] = forms[:count]
        else:
            del table.alternates[sign]
