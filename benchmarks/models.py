"""Our networks against torchvision's with the same weights, and the helper for inference against eager."""

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torchvision import models

from benchmarks.measure import Row, in_turns
from resnet_edu import zoo
from resnet_edu.inference import for_inference


def rows() -> Iterator[Row]:
    """Eight images of 224 pixels."""
    batch = 8
    for name in ("resnet18", "resnet50"):
        torch.manual_seed(0)
        ours, theirs = getattr(zoo, name)(), getattr(models, name)()
        theirs.load_state_dict(ours.state_dict())
        images, labels = torch.randn(batch, 3, 224, 224), torch.arange(batch)

        ours.eval()
        theirs.eval()
        medians = in_turns(_forward(ours, images), _forward(theirs, images), seconds=8)
        yield Row(f"{name}: forward, batch {batch}, against torchvision's", medians.speedup, 0.95, 1.05)

        fast, channels_last = for_inference(ours), images.to(memory_format=torch.channels_last)
        medians = in_turns(_forward(fast, channels_last), _forward(ours, images), seconds=8)
        yield Row(f"{name}: for_inference with channels-last images, against eager", medians.speedup, 1.25)

        ours.train()
        theirs.train()
        medians = in_turns(_step(ours, images, labels), _step(theirs, images, labels), seconds=15)
        yield Row(f"{name}: forward and backward, batch {batch}, against torchvision's", medians.speedup, 0.95, 1.05)


def _forward(model: nn.Module, images: torch.Tensor) -> Callable[[], torch.Tensor]:
    def call() -> torch.Tensor:
        with torch.inference_mode():
            return model(images)

    return call


def _step(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    def call() -> None:
        model.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()

    return call
