"""Every model of torchvision, traced: each parameter counted, and the multiply-adds that PyTorch's own counter finds.

``python -m benchmarks.torchvision_models`` prints a line for each; a name or two as arguments choose.
"""

import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from benchmarks.measure import Row
from resnet_edu.counting import graph
from resnet_edu.counting.steps import Traced
from resnet_edu.counting.trace import trace

_PACKAGES = ("segmentation", "detection", "video", "quantization", "optical_flow")


class Found(NamedTuple):
    """What a trace says of one model, beside what the model and PyTorch's counter say."""

    name: str
    refused: str = ""
    rows: int = 0
    parameters: int = 0
    real_parameters: int = 0
    multiply_adds: int = 0
    real_multiply_adds: int = 0
    uncounted: int = 0
    additions: int = 0
    kinds: str = ""

    @property
    def is_right(self) -> bool:
        """Both totals are equal; what is not counted was said not to be."""
        same = self.multiply_adds == self.real_multiply_adds or self.uncounted > 0
        return not self.refused and self.parameters == self.real_parameters and same


def kind_of(name: str) -> str:
    """The package that a model comes from."""
    module = models.get_model_builder(name).__module__.removeprefix("torchvision.models.")
    first = module.partition(".")[0]
    return (
        first if first in ("segmentation", "detection", "video", "quantization", "optical_flow") else "classification"
    )


def image_of(name: str) -> tuple[int, ...]:
    """What a model takes: images of its size, films of a few images."""
    if kind_of(name) == "video":
        return (3, 16, 112, 112) if name.startswith(("r3d", "mc3", "r2plus1d")) else (3, 16, 224, 224)
    side = 299 if "inception" in name else 128 if kind_of(name) in ("detection", "segmentation") else 224
    return (3, side, side)


def find(name: str) -> Found:
    """Trace one model, and count it a second time without a trace."""
    # Shapes are enough, and they need neither memory nor time; only a detector asks what is in its boxes.
    where = "cpu" if kind_of(name) in ("detection", "quantization") else "meta"
    has_backbone = kind_of(name) in ("segmentation", "detection")
    options: dict[str, object] = {"weights": None, **({"weights_backbone": None} if has_backbone else {})}
    image = image_of(name)
    if "rcnn" in name or name.startswith(("retinanet", "fcos")):
        options |= {"min_size": image[1], "max_size": image[1]}  # or it enlarges the image to 800 pixels
    # A RegNet computes its widths with tensors, so it has to be made of numbers first.
    with torch.device("cpu" if name.startswith("regnet") else where):
        model = models.get_model(name, **options).eval().to(where)
    try:
        steps = trace(model, image)
    except (TypeError, ValueError) as error:
        return Found(name, str(error))
    assert isinstance(steps, Traced)
    return Found(
        name,
        "",
        len(steps),
        sum(step.parameters for step in steps) + sum(steps.unread.values()),
        sum(p.numel() for p in model.parameters()),
        sum(step.multiply_adds for step in steps),
        _flops(model, image, where) // 2,
        sum(not step.counted for step in steps),
        sum(step.operation == "add" for step in steps),
        ", ".join(f"{n} {kind}" for kind, n in Counter(s.kind for s in graph.shortcuts(steps)).items()),
    )


def _flops(model: nn.Module, image: Sequence[int], where: str) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, *image, device=where))
    return counter.get_total_flops()


def rows() -> Iterator[Row]:
    """A figure for each of torchvision's packages, and a line for each model that is not right."""
    found: dict[str, list[Found]] = {}
    for name in models.list_models():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.setdefault(kind_of(name), []).append(find(name))
    for kind, those in found.items():
        traced = [one for one in those if not one.refused]
        for one in traced:
            if not one.is_right:
                yield Row(f"{one.name}: parameters and multiply-adds as they are", 0, low=1)
        if traced:
            share = sum(one.is_right for one in traced) / len(traced)
            yield Row(f"{kind}: share of {len(traced)} traced models with both totals right", share, low=1)
        yield Row(f"{kind}: models refused in a sentence", len(those) - len(traced), unit="of " + str(len(those)))


def main() -> None:
    """A line for each model."""
    warnings.simplefilter("ignore")
    for name in sys.argv[1:] or models.list_models():
        one = find(name)
        if one.refused:
            print(f"{name}: refused: {one.refused}", flush=True)
            continue
        print(
            f"{name}: {'right' if one.is_right else 'WRONG'}; {one.rows} rows, parameters {one.parameters:,} of "
            f"{one.real_parameters:,}, multiply-adds {one.multiply_adds:,} of {one.real_multiply_adds:,}, "
            f"{one.uncounted} not counted; {one.additions} additions: {one.kinds or 'no shortcut'}",
            flush=True,
        )


if __name__ == "__main__":
    main()
