"""Weights and inputs that nobody can know beforehand, drawn in the grader for one run."""

import hashlib
import math

import torch
from torch import Tensor, nn


class Draw:
    """Draws from a seed.

    >>> Draw("a secret").normal(2, 3).shape
    torch.Size([2, 3])
    """

    def __init__(self, seed: str) -> None:
        self.generator = torch.Generator().manual_seed(
            int.from_bytes(hashlib.sha256(seed.encode()).digest()[:7], "big")
        )

    def normal(self, *shape: int) -> Tensor:
        """Numbers from N(0, 1)."""
        return torch.randn(shape, generator=self.generator)

    def integer(self, low: int, high: int) -> int:
        """A whole number, both ends among them."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def integers(self, count: int, below: int) -> Tensor:
        """Several whole numbers from 0 on."""
        return torch.randint(below, (count,), generator=self.generator)

    def order(self, count: int) -> list[int]:
        """The numbers from 0 on, shuffled."""
        return torch.randperm(count, generator=self.generator).tolist()

    def weights(self, module: nn.Module) -> dict[str, Tensor]:
        """A state for the module as after training: no batch norm is at 1 and 0, no scale explodes."""
        state = {}
        for name, value in module.state_dict().items():
            if not value.is_floating_point():
                state[name] = value.clone()
            elif name.endswith("running_var"):
                state[name] = 0.5 + 1.5 * torch.rand(value.shape, generator=self.generator)
            elif value.dim() > 1:
                state[name] = self.normal(*value.shape) * math.sqrt(2 / value[0].numel())
            elif name.endswith("weight"):
                state[name] = 0.5 + torch.rand(value.shape, generator=self.generator)
            else:
                state[name] = 0.3 * self.normal(*value.shape)
        return state
