"""The card that a link to a page unfolds into where people post it: its title, its description, a picture.

The picture shows the page's question and the maps of a ResNet-34 in the colors of their rooms.

Why not sphinxext-opengraph: its cards know nothing of the book's colors, and it brings fonts of its own.
"""

import re
from functools import lru_cache
from html import escape, unescape
from itertools import pairwise
from pathlib import Path

from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from resnet_edu.counting import arithmetic
from resnet_edu.counting.graph import channels_first, parts
from resnet_edu.drawing.palette import LIGHT

SIZE = (1200, 630)
#: Where the cards lie below the pages.
FOLDER = "_static/cards"


def tags(title: str, description: str, page: str, picture: str) -> str:
    """The lines in a page's head from which others make a card, with full addresses.

    >>> print(tags("3. Why?", "It says why.", "https://a.b/3.html", "https://a.b/3.png").splitlines()[0])
    <meta property="og:title" content="3. Why?" />
    """
    found = {"title": title, "description": description, "type": "article", "url": page, "image": picture}
    lines = [f'<meta property="og:{name}" content="{escape(text)}" />' for name, text in found.items() if text]
    return "\n".join((*lines, '<meta name="twitter:card" content="summary_large_image" />', ""))


def plain(title: str) -> str:
    """A page's title as text, from its HTML.

    >>> plain('<span class="chapter-number">3.</span> 224 &amp; 56?')
    '3. 224 & 56?'
    """
    return " ".join(unescape(re.sub(r"<[^>]*>", "", title)).split())


@lru_cache(None)
def font(size: int, weight: str = "") -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans{weight}.ttf", size)


def draw(title: str, book: str, to: Path) -> None:
    """Write the picture of one page."""
    picture = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(picture)
    size = next(size for size in (64, 54, 46, 38) if size == 38 or len(wrapped(title, size)) <= 3)
    for row, line in enumerate(wrapped(title, size)):
        pen.text((70, 62 + row * size * 1.25), line, fill="#14161a", font=font(size, "-Bold"))
    pen.text((70, 552), book, fill="#525d6b", font=font(30))
    maps(pen)
    picture.quantize(64).save(to, optimize=True)


def wrapped(title: str, size: int) -> list[str]:
    """The title in lines that fit beside the margins."""
    lines = [""]
    for word in title.split():
        longer = f"{lines[-1]} {word}".strip()
        if font(size, "-Bold").getlength(longer) <= SIZE[0] - 140:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def maps(pen: ImageDraw.ImageDraw) -> None:
    """ResNet-34 as boxes: the sides of the maps to one scale, the channels by their square root."""
    steps = arithmetic.steps("resnet34")
    rooms = [part for part in parts(steps) if part.role != "head"]
    shapes = [channels_first(steps, steps[part.stop - 1].output) for part in rooms]
    left, foot = 70.0, 520.0
    for part, (channels, side, _) in zip(rooms, shapes, strict=True):
        high, wide = side * 2.6, channels**0.5 * 9
        deep = high * 0.35
        color = LIGHT[part.name]
        front = [(left, foot), (left + wide, foot), (left + wide, foot - high), (left, foot - high)]
        top = [front[3], front[2], (left + wide + deep, foot - high - deep), (left + deep, foot - high - deep)]
        flank = [front[1], (left + wide + deep, foot - deep), top[2], front[2]]
        for face in (front, top, flank):
            pen.polygon(face, fill=color.fill)
            for one, other in pairwise([*face, face[0]]):
                pen.line([one, other], fill=color.line, width=2)
        left += wide + deep + 46
