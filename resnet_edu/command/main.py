"""The command's words: what can be asked, and where the answer goes."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from resnet_edu.command import networks, written
from resnet_edu.command.networks import Network
from resnet_edu.counting.steps import Shape

_FORMATS = {".txt": "text", ".md": "markdown", ".csv": "csv", ".json": "json"}
_EPILOG = """A network is a name of this book (resnet50, plain34, cifar20), a name of torchvision's (vgg16), or
path/to/file.py:Net, a class or a function without arguments in a file of yours, which runs in a process of its own.

  resnet-edu table resnet50 --level layer
  resnet-edu draw net.py:Net --image 1 28 28 -o net.svg
  resnet-edu compare resnet18 vgg16 --format markdown"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one question; 0, or 1 with one sentence if it cannot be answered.

    >>> main(["compare", "resnet18", "plain18"])            # doctest: +ELLIPSIS
    Networks side by side, for one image of 3×224×224
    network   │ blocks        │ depth │ parameters │ multiply-adds
    ...
    0
    """
    asked = _parser().parse_args(arguments)
    try:
        return _answer(asked)
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _answer(asked: argparse.Namespace) -> int:
    out = Path(asked.out) if asked.out else None
    if out is not None and not out.absolute().parent.is_dir():
        raise ValueError(f"there is no folder {out.parent} for {out.name}: make it first")
    if asked.what == "draw" and out is not None and out.suffix != ".svg":
        raise ValueError(f"a picture is saved as SVG, so the name must end in .svg, got {out.name!r}")
    names = asked.networks if asked.what == "compare" else [asked.network]
    image = _image(asked.image, names)
    found = [networks.find(name, image) for name in names]
    if asked.what == "draw":
        _draw(found[0], asked, out)
        return 0
    form = asked.format or (_FORMATS.get(out.suffix, "") if out else "text")
    if not form:
        raise ValueError(f"the name must end in {', '.join(_FORMATS)}, or say the format with --format; got {out}")
    text = written.table(found[0], asked.level, form) if asked.what == "table" else written.compare(found, image, form)
    if out is None:
        _say(text)
    else:
        out.write_text(f"{text}\n", encoding="utf-8")
    return 0


def _draw(network: Network, asked: argparse.Namespace, out: Path | None) -> None:
    from resnet_edu.drawing import diagrams, volumes

    draw = volumes.draw if asked.scale else diagrams.network
    picture = draw(network.model, level=asked.level, image=network.image, title=network.name)
    path = picture.save(out or f"{_file_name(network.name)}.svg")
    _say(f"{path}: {picture.alt}")


def _say(text: str) -> None:
    # A terminal that knows no ×, as on some Windows machines, shows a question mark and goes on.
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


def _file_name(name: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in name).strip("-") or "network"


def _image(numbers: list[int] | None, names: Sequence[str]) -> Shape:
    if not numbers:
        side = 32 if all(name.startswith("cifar") for name in names) else 224
        return (3, side, side)
    if len(numbers) == 1:
        numbers = numbers * 2
    image = (3, *numbers) if len(numbers) == 2 else tuple(numbers)
    if min(image) < 1:
        raise ValueError(f"an image is channels, height and width of at least 1, got {' '.join(map(str, numbers))}")
    return image


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="resnet-edu",
        description="Shapes and costs of a network as a table, its blocks as a picture, or several side by side.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_subparsers(dest="what", required=True, metavar="table | draw | compare")
    table = what.add_parser("table", help="the image's way through a network, row by row, with totals")
    draw = what.add_parser("draw", help="a network as a picture, an SVG file")
    compare = what.add_parser("compare", help="depth, parameters and multiply-adds of several networks")
    for one in (table, draw):
        one.add_argument("network", help="resnet50, vgg16 or path/to/file.py:Net")
    compare.add_argument("networks", nargs="+", metavar="network", help="resnet50, vgg16 or path/to/file.py:Net")
    table.add_argument("--level", choices=("operation", "block", "layer"), default="operation")
    draw.add_argument("--level", choices=("block", "layer"), default="block")
    draw.add_argument("--scale", action="store_true", help="boxes to scale instead of a diagram")
    for one in (table, compare):
        one.add_argument("--format", choices=("text", "markdown", "csv", "json"), help="text, or what -o ends in")
    for one in (table, draw, compare):
        one.add_argument(
            "--image", type=int, nargs="+", metavar="N", help="channels, height, width; or one side (224, CIFAR 32)"
        )
        one.add_argument("-o", "--out", metavar="FILE", help="write into a file")
    return parser
