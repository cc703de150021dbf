"""Figures that move: convolution, network and shortcut, on a static page, in Jupyter and in Colab.

Each function returns an object whose HTML is a tag, a static picture inside it, and, outside the book,
the scripts that bring the tag alive. Nothing is fetched: no other host, no widget manager, no kernel.
"""

import os
import re
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from resnet_edu.counting.recipes import check_choice, check_image, recipe
from resnet_edu.drawing import palette, volumes
from resnet_edu.drawing.pictures import Picture
from resnet_edu.explorers import stills

__all__ = [
    "ASSETS",
    "ENGINE",
    "FURTHER",
    "SCRIPTS",
    "STYLES",
    "Explorer",
    "class_board",
    "conv",
    "cover",
    "degradation",
    "live",
    "resnet",
    "served",
    "shortcut",
    "workbench",
]

#: Where the scripts and the style are.
#:
#: :meta hide-value:
ASSETS = Path(__file__).parent
#: What each tag needs, in this order, as classic scripts.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "conv-explorer": ("core.js", "ui.js", "conv-explorer.js"),
    "resnet-explorer": ("core.js", "ui.js", "resnet-explorer.js"),
    "shortcut-explorer": ("core.js", "ui.js", "shortcut-explorer.js"),
    "degradation-race": ("core.js", "ui.js", "trainer.js", "degradation-race.js"),
    "live-resnet": ("core.js", "ui.js", "trainer.js", "live-resnet.js"),
    "block-workbench": ("core.js", "ui.js", "trainer.js", "blocks.js", "block-workbench.js"),
    "class-board": ("core.js", "ui.js", "blocks.js", "class-board.js"),
    "predict-question": ("predict-question.js",),
}
#: The engine that trains in the page, in this order. A page of the book fetches it when the reader comes near.
ENGINE = tuple(
    f"net/{name}.js"
    for name in ("engine", "program", "kernels-wasm", "wasm", "network", "training", "digits", "worker")
)
#: What a page needs that has any of the tags.
STYLES = ("explorers.css",)


#: What a tag may need of the engine beyond that; the kernels in JavaScript, where WebAssembly has no SIMD.
FURTHER = {
    "degradation-race": ("net/kernels.js",),
    "live-resnet": tuple(f"net/{name}.js" for name in ("kernels", "drawing", "weights", "weights-plain", "inside")),
    "block-workbench": ("net/kernels.js", "net/source.js"),
}


class Explorer:
    """A tag with its attributes and the picture that stands in for it where scripts are stripped.

    >>> conv(size=8, kernel=3, stride=2)
    Explorer(<conv-explorer size="8" kernel="3" stride="2" padding="1" dilation="1">)

    With ``RESNET_EDU_BOOK=1`` in the environment, as while the book is built, its HTML is the tag alone,
    because the page brings the scripts; everywhere else it carries them.
    """

    def __init__(self, tag: str, attributes: dict[str, Any], picture: Picture) -> None:
        self.tag = tag
        self.attributes = {name: value for name, value in attributes.items() if value is not None}
        self.picture = picture

    @property
    def opening(self) -> str:
        """The opening tag.

        >>> shortcut().opening[:38]
        '<shortcut-explorer kind="basic" in-cha'
        """
        attributes = "".join(f' {name}="{escape(str(value))}"' for name, value in self.attributes.items())
        return f"<{self.tag}{attributes}>"

    def __repr__(self) -> str:
        return f"Explorer({self.opening})"

    def _repr_html_(self) -> str:
        if os.environ.get("RESNET_EDU_BOOK") == "1":
            return f"{self.opening}{self.picture._repr_html_()}</{self.tag}>"
        # A notebook may have run another explorer, but an output must not depend on it: Colab gives each
        # one a frame of its own, and a reader may clear any. The scripts notice if they are there already.
        opening = self.opening[:-1] + (' address="off">' if self.tag == "resnet-explorer" else ">")
        opening = re.sub(' cover="[^"]*"', ' cover=""', opening)
        needed = SCRIPTS[self.tag]
        if "trainer.js" in needed:
            needed = (*needed[:1], *ENGINE, *FURTHER.get(self.tag, ()), *needed[1:])
        scripts = "".join(f"<script>{served(name)}</script>" for name in needed)
        return f"<style>{_style(self.tag)}</style>{opening}{self.picture._repr_html_()}</{self.tag}>{scripts}"


def conv(size: int = 7, kernel: int = 3, stride: int = 2, padding: int = 1, dilation: int = 1) -> Explorer:
    """A kernel that slides over its padded input and fills the output, with the size formula beside it.

    >>> conv(14, kernel=7, stride=2, padding=3).picture.alt
    'A 14×14 input with 3 rings of zeros around it; a 7×7 kernel with stride 2 turns it into a 7×7 output.'

    Sizes go up to 256, kernels to 15, strides and padding to 8, dilation to 6. Raises ValueError for a
    number outside, or if the kernel does not fit.
    """
    asked = {"size": size, "kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    ranges = {"size": (1, 256), "kernel": (1, 15), "stride": (1, 8), "padding": (0, 8), "dilation": (1, 6)}
    for name, value in asked.items():
        _check_range(name, value, *ranges[name])
    return Explorer("conv-explorer", asked, stills.conv(size, kernel, stride, padding, dilation))


def resnet(
    model: str = "resnet50",
    image: int | None = None,
    *,
    versus: str | None = None,
    open: str = "",  # what the attribute is called as well
    **changes: Any,
) -> Explorer:
    """A whole network as boxes to scale and as a table, alone or beside another (``versus``).

    >>> resnet("resnet18", image=160, stem="cifar")
    Explorer(<resnet-explorer model="resnet18" image="160" stem="cifar">)

    ``open`` lists the layers and blocks that start open, such as ``"layer2 layer2.0"``. Changes are the
    recipe's ``stem``, ``shortcut``, ``stride_in`` and ``num_classes``. The image is 224 pixels a side,
    32 for the CIFAR family, or any number up to 1,024.

    Raises ValueError for an unknown name or change, or an image out of range; TypeError for a module.
    """
    attributes = {"stem": "stem", "shortcut": "shortcut", "stride_in": "stride-in", "num_classes": "classes"}
    for name in changes:
        check_choice("a change", name, attributes)
    if not isinstance(model, str):
        raise TypeError(
            f"this figure computes in the page and takes a name, such as 'resnet50', got {type(model).__name__}; "
            "a network of your own is drawn by resnet_edu.drawing: diagrams.network(model), volumes.draw(model)"
        )
    side = image if image is not None else 32 if model.startswith("cifar") else 224
    _check_range("image", side, 1, 1024)
    plan = recipe(model, **changes)
    check_image((plan.in_channels, side, side), plan.in_channels)
    for room in open.split():
        if not re.fullmatch(r"stem|head|layer\d+(\.\d+)?", room):
            raise ValueError(f"open lists rooms such as 'stem', 'layer2' or 'layer2.0', got {room!r}")
    shape = (plan.in_channels, side, side)
    picture = volumes.draw(plan, shape) if versus is None else volumes.compare([plan, recipe(versus)], shape)
    asked = {"model": model, "image": image}
    asked |= {attributes[name]: value for name, value in changes.items()}
    return Explorer("resnet-explorer", {**asked, "open": open or None, "versus": versus}, picture)


def cover(model: str = "resnet34", doors: Mapping[str, str] | None = None) -> Explorer:
    """The picture of a network with two controls, for a first page: ``doors`` are the addresses behind its rooms.

    >>> cover("resnet18", {"stem": "03_stem.html"})
    Explorer(<resnet-explorer model="resnet18" cover="stem:03_stem.html">)

    A notebook lies elsewhere than the pages, so outside the book its rooms lead nowhere. Raises ValueError for an
    unknown name or room.
    """
    for room in doors or {}:
        check_choice("a room", room, palette.ROOMS)
    addresses = " ".join(f"{room}:{address}" for room, address in (doors or {}).items())
    return Explorer("resnet-explorer", {"model": model, "cover": addresses}, resnet(model).picture)


def shortcut(
    kind: str = "basic",
    in_channels: int = 64,
    channels: int = 128,
    stride: int = 2,
    size: int = 56,
    shortcut: str = "identity",
    stride_in: str = "3x3",
) -> Explorer:
    """One block whose addition fails or works, and what the paper's options A, B and C cost to repair it.

    >>> shortcut(in_channels=64, channels=128, stride=2).picture.alt
    'A basic block: the convolutions give 128×28×28, the identity gives 64×56×56. They cannot be added.'

    ``kind`` is ``basic``, ``bottleneck`` or ``preactivation`` (He et al. 2016); ``shortcut`` is ``identity``,
    ``A``, ``B`` or ``C``. Raises ValueError for anything else, or a number out of range.
    """
    check_choice("kind", kind, stills.KINDS)
    check_choice("shortcut", shortcut, stills.OPTIONS)
    for name, value, most in (
        ("in_channels", in_channels, 4096),
        ("channels", channels, 4096),
        ("stride", stride, 3),
        ("size", size, 512),
    ):
        _check_range(name, value, 1, most)
    asked = {"kind": kind, "in-channels": in_channels, "channels": channels, "stride": stride, "size": size}
    picture = stills.shortcut(kind, in_channels, channels, stride, size, shortcut, stride_in)
    return Explorer("shortcut-explorer", {**asked, "shortcut": shortcut, "stride-in": stride_in}, picture)


def degradation(
    depth: int = 56,
    seed: int = 0,
    shortcut: str = "A",
    widths: str = "narrow",
    epochs: int = 8,
    *,
    compact: bool = False,
) -> Explorer:
    """A race: a plain and a residual network of the same depth train in the reader's own browser, side by side.

    >>> degradation(20).picture.alt
    'Two networks of 20 layers, plain and residual, that train here: in a browser with scripts, on this page.'

    ``shortcut`` is the residual network's option, ``A`` or ``B``; ``widths`` is ``narrow`` (4, 8, 16 channels) or
    ``wide`` (8, 16, 32). The depth is 6n + 2, up to 218. ``compact`` shows one chart and no further choices.
    Raises ValueError for anything else.
    """
    _check_range("depth", depth, 8, 218)
    recipe(f"cifar{depth}")  # refuses what is not 6n + 2, and names the nearest
    _check_range("seed", seed, 0, 9999)
    check_choice("shortcut", shortcut, ("A", "B"))
    check_choice("widths", widths, ("narrow", "wide"))
    _check_range("epochs", epochs, 1, 40)
    asked = {"depth": depth, "seed": seed, "shortcut": shortcut, "widths": widths, "epochs": epochs}
    asked |= {"compact": "yes"} if compact else {}
    return Explorer("degradation-race", asked, stills.race(depth))


def live(digit: int = 0) -> Explorer:
    """A trained network of 14 layers: draw a digit, see the map in every room, switch its branches and shortcuts.

    >>> live().picture.alt
    'A network of 14 layers that reads the digit you draw: in a browser with scripts, on this page.'

    ``digit`` is the number of the test image that it starts with, up to 381. Raises ValueError for another.
    """
    _check_range("digit", digit, 0, 381)
    return Explorer("live-resnet", {"digit": digit}, stills.live())


def workbench(preset: str = "original", depth: int = 56) -> Explorer:
    """A bench for blocks: assemble one from pieces, see its code, train it 20 to 218 layers deep in the browser.

    >>> workbench("full pre-activation", 110)
    Explorer(<block-workbench preset="full pre-activation" depth="110">)

    Presets are those of :data:`resnet_edu.programs.PRESETS`. Raises ValueError for a depth that is not offered.
    """
    check_choice("depth", depth, (20, 56, 110, 218))
    return Explorer("block-workbench", {"preset": preset, "depth": depth}, stills.race(depth))


def class_board() -> Explorer:
    """A table of many groups' blocks: it reads the files that the bench saves, in the page, and sends nothing.

    >>> class_board().picture.alt
    'The boards of many groups, put together: in a browser with scripts, on this page.'
    """
    return Explorer("class-board", {}, stills.class_board())


def _check_range(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, got {value!r}")


@cache
def served(name: str) -> str:
    """A script as a page gets it: without comments and indentation, which are a third of its weight.

    >>> served("net/engine.js").splitlines()[0]
    '(function (root) {'

    What begins with ``/*`` and one star stays: it says whose data follow.
    """
    text = (ASSETS / name).read_text(encoding="utf-8")
    text = re.sub(r"^\s*/\*\*(?:(?!\*/).)*\*/$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = (re.sub(r"(?<=[;,{})\]]) +// .*", "", line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"


def _style(tag: str) -> str:
    """The palette for this tag alone: a notebook's own colors are not ours to change."""
    light, dark = palette.declarations("light"), palette.declarations("dark")
    # Jupyter, Colab and VS Code each say in their own way whether they are dark.
    is_dark = f'body[data-jp-theme-light="false"] {tag}, html[theme="dark"] {tag}, body.vscode-dark {tag}'
    unknown = f"body:not([data-jp-theme-light], .vscode-light) {tag}"
    return (
        f"{tag} {{ display: block; {light} }} {is_dark} {{ {dark} }} "
        f"@media (prefers-color-scheme: dark) {{ html:not([theme]) {unknown} {{ {dark} }} }}"
    )
