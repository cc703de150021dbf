"""Train the small network that the live page ships: ``python -m resnet_edu.training.handwriting``.

1,415 digits teach it, by writers of whom none wrote the 382 test images. Each epoch sees every digit turned, sheared,
scaled, shifted, bent and drawn with another pen, at the 32×32 pixels from which the 8×8 numbers were counted.
"""

import argparse
import base64
import json
import math
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu import programs
from resnet_edu.counting.recipes import check_choice
from resnet_edu.training.processes import threads
from resnet_edu.training.schedules import learning_rate
from resnet_edu.training.strokes import drawings, prepare

__all__ = ["digits_by_writer", "shipped", "train_handwriting"]

#: The first image by a writer of whom no earlier image exists: 1,415 to train, 382 to test.
CUT = 1415
LAYERS, WIDTHS = (2, 2, 2), (8, 16, 32)  # 14 layers
#: PyTorch's ε in a batch norm.
EPSILON = 1e-5
#: Where the page's engine lies, and these weights with it.
SCRIPTS = Path(__file__).parent.parent / "explorers/net"


def digits_by_writer() -> tuple[Tensor, Tensor]:
    """Counts 0 to 16 of the 1,797 digits in their own order, ``(1797, 1, 8, 8)``, and their labels.

    >>> counts, labels = digits_by_writer()
    >>> counts.shape, int(counts.max())
    (torch.Size([1797, 1, 8, 8]), 16)
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return torch.from_numpy(bunch.images)[:, None].float(), torch.from_numpy(bunch.target).long()


def train_handwriting(epochs: int = 60, seed: int = 0, *, plain: bool = False, progress: bool = True) -> nn.Module:
    """A network of 14 layers, residual or plain, trained on the digits as other people might have drawn them.

    >>> model = train_handwriting(epochs=1, progress=False)
    >>> sum(p.numel() for p in model.parameters())
    43490
    """
    counts, labels = digits_by_writer()
    mean, deviation = statistics(counts)
    distances = signed_distances(bitmaps(counts[:CUT]))
    torch.manual_seed(seed)
    model = programs.network("plain" if plain else "original", LAYERS, WIDTHS)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    batch, total, step = 64, epochs * (CUT // 64), 0
    with threads(1):
        for epoch in range(epochs):
            model.train()
            seen = redrawn(distances)
            order = torch.randperm(CUT)
            for mine in torch.split(order[: CUT // batch * batch], batch):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, total, 0.1, schedule="cosine", warmup=total // 5)
                loss = F.cross_entropy(model((seen[mine] / 16 - mean) / deviation), labels[mine])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                step += 1
            if progress and (epoch + 1) % 10 == 0:
                print(f"epoch {epoch + 1}: loss {loss.item():.3f}, test {accuracy(model):.1f} %", file=sys.stderr)
    return model.eval()


def statistics(counts: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of the training images, on the scale 0 to 1.

    >>> [round(value, 3) for value in statistics(digits_by_writer()[0])]
    [0.305, 0.376]
    """
    values = counts[:CUT] / 16
    return values.mean().item(), values.std().item()


@torch.inference_mode()
def accuracy(model: nn.Module, counts: Tensor | None = None, labels: Tensor | None = None) -> float:
    """Percent right: on the test digits, or on these counts.

    >>> 0 <= accuracy(programs.network("original", LAYERS, WIDTHS)) <= 100
    True

    Raises ValueError for counts without their labels, or labels without counts.
    """
    if (counts is None) != (labels is None):
        given, missing = ("counts", "labels") if labels is None else ("labels", "counts")
        raise ValueError(f"{given} came without {missing}; pass both, or none for the test digits")
    every, classes = digits_by_writer()
    mean, deviation = statistics(every)
    if counts is None or labels is None:
        counts, labels = every[CUT:], classes[CUT:]
    was_training = model.training
    right = (model.eval()((counts / 16 - mean) / deviation).argmax(1) == labels).float().mean()
    model.train(was_training)
    return 100 * right.item()


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Simulated drawings as the network reads them: counts ``(count, 1, 8, 8)`` and labels.

    >>> drawn(20, 0)[0].shape
    torch.Size([20, 1, 8, 8])
    """
    made = drawings(count, seed)
    counts = torch.stack([torch.from_numpy(prepare(drawing.strokes).counts) for drawing in made])
    return counts[:, None].float(), torch.tensor([drawing.digit for drawing in made])


def bitmaps(counts: Tensor) -> Tensor:
    """A bitmap of 32×32 for each digit, with exactly its counts: of each cell, the pixels beside its dark neighbors.

    >>> counts, _ = digits_by_writer()
    >>> pixels = bitmaps(counts[:5])
    >>> torch.equal(F.avg_pool2d(pixels, 4) * 16, counts[:5])
    True
    """
    smooth = F.interpolate(counts, scale_factor=4, mode="bicubic")
    cells = F.unfold(smooth, 4, stride=4).transpose(1, 2)  # (N, 64 cells, 16 pixels)
    rank = cells.argsort(2, descending=True).argsort(2)
    inked = (rank < counts.flatten(1)[:, :, None]).float()
    return F.fold(inked.transpose(1, 2), (32, 32), 4, stride=4)


def signed_distances(pixels: Tensor) -> Tensor:
    """For each pixel how far the outline is, positive inside the ink.

    >>> signed_distances(torch.ones(1, 1, 3, 3))[0, 0, 1, 1].item() > 0
    True
    """
    from scipy.ndimage import distance_transform_edt

    found = []
    for image in pixels[:, 0].numpy():
        padded = image if image.min() == 0 else image * 0 + 1
        inside = distance_transform_edt(padded)
        outside = distance_transform_edt(1 - padded) if padded.max() else 32.0
        found.append(torch.from_numpy(inside - outside))
    return torch.stack(found)[:, None].float()


def redrawn(distances: Tensor) -> Tensor:
    """The digits as others might have drawn them: turned, sheared, scaled, shifted, bent, thicker or thinner.

    >>> redrawn(torch.zeros(3, 1, 32, 32)).shape
    torch.Size([3, 1, 8, 8])
    """
    count = len(distances)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.empty(count, *shape).uniform_(low, high)

    angle, shear = uniform(-math.pi / 18, math.pi / 18), uniform(-0.25, 0.25)
    wide, high = uniform(0.85, 1.2), uniform(0.92, 1.08)
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.stack(
        [
            torch.stack([wide * cos, wide * (shear * cos - sin), uniform(-2 / 16, 2 / 16)], 1),
            torch.stack([high * sin, high * (shear * sin + cos), uniform(-1 / 16, 1 / 16)], 1),
        ],
        1,
    )
    grid = F.affine_grid(matrix, [count, 1, 32, 32], align_corners=False)
    bent = F.interpolate(torch.randn(count, 2, 5, 5) * 0.06, size=(32, 32), mode="bicubic", align_corners=True)
    moved = F.grid_sample(distances, grid + bent.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)
    ink = (moved > uniform(-1.0, 1.2, 1, 1, 1)).float()
    return F.avg_pool2d(ink, 4) * 16


def compact(model: nn.Module) -> dict[str, Any]:
    """The network in one byte a weight: norms folded into a scale and a shift for each channel, weights rounded.

    >>> packed = compact(programs.network("original", (1, 1, 1), (8, 16, 32)))
    >>> packed["conv1.weight"].dtype
    torch.int8
    """
    state = {name: tensor.double() for name, tensor in model.state_dict().items()}
    packed: dict[str, Any] = {}
    rooms = list(model.named_modules())
    for (conv, left), (norm, right) in pairwise(rooms):
        if not (isinstance(left, nn.Conv2d) and isinstance(right, nn.BatchNorm2d)):
            continue
        weight = state[f"{conv}.weight"]
        largest = weight.abs().amax((1, 2, 3)).clamp_min(1e-12)
        packed[f"{conv}.weight"] = (weight / largest.view(-1, 1, 1, 1) * 127).round().to(torch.int8)
        scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + EPSILON).sqrt()
        packed[f"{norm}.weight"] = (scale * largest / 127).float()
        packed[f"{norm}.bias"] = (state[f"{norm}.bias"] - scale * state[f"{norm}.running_mean"]).float()
    weight = state["fc.weight"]
    packed["fc.weight"], packed["fc.bias"] = weight.float(), state["fc.bias"].float()
    return packed


def unpack(packed: dict[str, Tensor], *, plain: bool = False) -> nn.Module:
    """The network again, from one byte a weight.

    >>> model = train_handwriting(epochs=1, progress=False)
    >>> x = torch.randn(50, 1, 8, 8)
    >>> (unpack(compact(model))(x).argmax(1) == model(x).argmax(1)).float().mean().item() > 0.9
    True
    """
    model = programs.network("plain" if plain else "original", LAYERS, WIDTHS)
    state = model.state_dict()
    for name, tensor in state.items():
        if name in packed:
            tensor.copy_(packed[name])
        elif name.endswith("running_mean"):
            tensor.zero_()
        elif name.endswith("running_var"):
            tensor.fill_(1 - EPSILON)
    return model.eval()


def shipped(which: str = "residual") -> nn.Module:
    """The network that the live page ships, or its plain twin, in PyTorch and in eval mode.

    >>> len(list(shipped().layer2))
    2

    Raises ValueError for another name.
    """
    check_choice("which", which, ("residual", "plain"))
    text = (SCRIPTS / ("weights.js" if which == "residual" else "weights-plain.js")).read_text(encoding="utf-8")
    entries = [json.loads(line.strip()[len("tensors: ") : -1]) for line in text.splitlines() if "tensors: " in line]
    raw = base64.b64decode(text.partition('bytes: "')[2].partition('"')[0])
    packed, at = {}, 0
    for name, shape, kind in entries[0]:
        dtype = getattr(torch, kind)
        length = math.prod(shape) * dtype.itemsize
        packed[name] = torch.frombuffer(bytearray(raw[at : at + length]), dtype=dtype).reshape(shape)
        at += length
    return unpack(packed, plain=which == "plain")


def script(name: str, model: nn.Module, told: dict[str, Any]) -> str:
    """One network as a part of the engine in the page, with what was measured.

    >>> script("residual", programs.network("original", (1, 1, 1), (8, 16, 32)), {"test": 98}).count("TRAINED")
    1
    """
    packed = compact(model)
    whole = b"".join(bytes(tensor.contiguous().view(torch.uint8).flatten().tolist()) for tensor in packed.values())
    kinds = {torch.int8: "int8", torch.float32: "float32"}
    tensors = [[key, list(tensor.shape), kinds[tensor.dtype]] for key, tensor in packed.items()]
    part = "weights" if name == "residual" else f"weights-{name}"
    return (
        "/* Made by python -m resnet_edu.training.handwriting; not to be edited. */\n"
        f'ResnetEdu.net.part("{part}", function (net) {{\n'
        f"  (net.TRAINED ??= {{}}).{name} = {json.dumps(told)};\n"
        f"  (net.WEIGHTS ??= {{}}).{name} = {{\n    tensors: {json.dumps(tensors)},\n"
        f'    bytes: "{base64.b64encode(whole).decode()}",\n  }};\n'
        "});\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: train, measure, and write the networks where the page finds them."""
    parser = argparse.ArgumentParser(prog="python -m resnet_edu.training.handwriting", description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=SCRIPTS, help="the folder for weights.js and weights-plain.js")
    chosen = parser.parse_args(arguments)
    for name, plain in (("residual", False), ("plain", True)):
        trained = train_handwriting(chosen.epochs, chosen.seed, plain=plain)
        small = unpack(compact(trained), plain=plain)
        told = {
            "command": f"python -m resnet_edu.training.handwriting --epochs {chosen.epochs} --seed {chosen.seed}",
            "train": f"images 0 to {CUT - 1} of load_digits()",
            "test": round(accuracy(small), 1),
            "drawn": round(accuracy(small, *drawn(600, 1)), 1),
        }
        before = accuracy(trained), accuracy(trained, *drawn(600, 1))
        print(name, told, "before rounding:", before, flush=True)
        file = "weights.js" if name == "residual" else f"weights-{name}.js"
        (chosen.out / file).write_text(script(name, trained, told), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
