"""One run in several processes: PyTorch's own engine, and what it needs to be told.

``torchrun --nproc-per-node=2 -m resnet_edu.training …`` starts the same script twice and sets three
environment variables. Everything here follows from them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous


@dataclass(frozen=True)
class Team:
    """This process among those that share a run.

    >>> team = Team(torch.device("cpu"))
    >>> team.leads, team.sum_(torch.ones(2)).tolist()
    (True, [1.0, 1.0])
    """

    device: torch.device
    rank: int = 0
    """Number of this process, from 0."""
    size: int = 1
    """How many there are."""

    @property
    def leads(self) -> bool:
        """Whether this is the one process that prints and writes."""
        return self.rank == 0

    def sum_(self, values: Tensor) -> Tensor:
        """Add up the values of all processes, in place, in all of them."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def share_buffers_(self, model: nn.Module) -> None:
        """Give every process the first one's running statistics, so that all test the same network."""
        if self.size > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` is a GPU where there is one, otherwise the CPU.

    >>> pick_device("cpu")
    device(type='cpu')

    Raises ValueError for a device that this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # PyTorch without CUDA answers with an AssertionError
        raise ValueError(f"this machine has no device {name!r}; use cpu, or auto for the best there is") from error
    return device


@contextmanager
def join(device: str = "auto") -> Iterator[Team]:
    """The team that torchrun started, or a team of one.

    >>> with join("cpu") as team:
    ...     team.size
    1
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(pick_device(device))
        return
    picked = pick_device(device)
    if picked.type == "cuda":  # one GPU for each process of this machine
        picked = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(picked)
    store, rank, size = next(rendezvous("env://"))
    if os.environ.get("LOCAL_WORLD_SIZE") == str(size):
        # torchrun may keep one store through all restarts, with the addresses of the dead in it. On one
        # machine every process knows the same number of restarts, so each start gets a page of its own.
        store = PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    backend = "nccl" if picked.type == "cuda" else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
    try:
        yield Team(picked, rank, size)
    finally:
        distributed.destroy_process_group()


def was_restarted() -> bool:
    """Whether torchrun has started this process again after one of the team died.

    >>> was_restarted()
    False
    """
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Compute with this many threads inside: results repeat to the bit only for the same number.

    >>> with threads(1):
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
