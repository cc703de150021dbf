"""What our training loop costs over a loop of eight lines, and what half the numbers in another order gain."""

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.measure import Row, in_turns
from resnet_edu.training.data import ImageData, shapes
from resnet_edu.training.loop import TrainConfig, make_model, train
from resnet_edu.zoo import resnet50

_CONFIG = TrainConfig(model="cifar20", data="shapes", epochs=1, batch=64, device="cpu")


def rows() -> Iterator[Row]:
    """One epoch of 1,920 images of 32×32 with ResNet-20; then steps of ResNet-50 at 224 pixels."""
    # The loop also tests once an epoch, so the test set is as small as it can be.
    data = shapes(1920, 10)
    loop = in_turns(lambda: train(_CONFIG, data, progress=False), lambda: _eight_lines(data), seconds=20)
    yield Row("samples/s of our training loop over a minimal one, ResNet-20 on 32×32", loop.speedup, low=0.97)

    fast, plain = _step(half=True), _step(half=False)
    gain = in_turns(fast, plain, seconds=20)
    yield Row("samples/s of bf16 + channels-last over float32, ResNet-50, training", gain.speedup, low=1.0)


def _eight_lines(data: ImageData) -> None:
    torch.manual_seed(0)
    model = make_model(_CONFIG, data)
    optimizer = torch.optim.SGD(model.parameters(), 0.03, momentum=0.9, weight_decay=1e-4)
    for batch in torch.split(torch.randperm(len(data.train)), _CONFIG.batch):
        loss = F.cross_entropy(model(data.normalize(data.train.images[batch])), data.train.labels[batch])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _step(half: bool) -> Callable[[], None]:
    layout = torch.channels_last if half else torch.contiguous_format
    model: nn.Module = resnet50().to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    x, y = torch.rand(4, 3, 224, 224).contiguous(memory_format=layout), torch.arange(4)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step
