"""Batch norm over the images of all processes, written by hand.

Each process of a run sees a share of the batch, and an ordinary batch norm takes mean and variance
of that share only. This one adds up over all processes. PyTorch's ``nn.SyncBatchNorm`` does the
same on GPUs and refuses the CPU.
"""

from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

Model = TypeVar("Model", bound=nn.Module)


class _SumOverProcesses(torch.autograd.Function):
    """Forward: every process gets the sum. Backward: each term reached every sum, so gradients add up too."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class SyncBatchNorm2d(nn.BatchNorm2d):
    """An ``nn.BatchNorm2d`` whose mean and variance come from all processes (Ioffe and Szegedy 2015, algorithm 1).

    ``(N, C, H, W)`` → the same. Alone, or in eval mode, it is the ordinary one:

    >>> x = torch.randn(4, 8, 5, 5)
    >>> torch.equal(SyncBatchNorm2d(8)(x), nn.BatchNorm2d(8)(x))
    True
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not distributed.is_initialized() or distributed.get_world_size() == 1:
            return super().forward(x)
        # Two rounds, mean first: E[x²] − E[x]² in one round would lose half of the digits.
        counted = torch.cat([x.sum((0, 2, 3)), x.new_tensor([x.numel() / x.shape[1]])])  # (C + 1,)
        summed = _SumOverProcesses.apply(counted)
        count = summed[-1].detach()
        centered = x - (summed[:-1] / count)[:, None, None]
        variance = _SumOverProcesses.apply((centered**2).sum((0, 2, 3))) / count  # (C,)
        self._remember(summed[:-1].detach() / count, variance.detach() * count / (count - 1))
        deviation = (variance + self.eps).sqrt()
        if not self.affine:
            return centered / deviation[:, None, None]
        return centered * (self.weight / deviation)[:, None, None] + self.bias[:, None, None]

    @torch.no_grad()
    def _remember(self, mean: Tensor, unbiased: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(unbiased, share)


def synchronize_(model: Model) -> Model:
    """Turn every batch norm of the model into a :class:`SyncBatchNorm2d` with the same numbers, in place.

    >>> type(synchronize_(nn.Sequential(nn.BatchNorm2d(4)))[0]).__name__
    'SyncBatchNorm2d'
    """
    for room in model.modules():
        if type(room) is nn.BatchNorm2d:
            # Same fields, another forward: changing the class keeps parameters, buffers and hooks.
            room.__class__ = SyncBatchNorm2d
    return model
