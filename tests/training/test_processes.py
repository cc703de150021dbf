"""A team in one process: what it asks of PyTorch's engine, told by an engine that only takes notes."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import distributed, nn
from torch.nn import functional as F

from resnet_edu.training import processes
from resnet_edu.training.processes import Team, join, pick_device, threads, was_restarted
from resnet_edu.training.sync_batchnorm import SyncBatchNorm2d, synchronize_

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [1, 2, 3])
def test_values_and_statistics_are_shared_as_soon_as_there_are_two(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    sent: list[tuple[torch.Tensor, int]] = []
    summed: list[torch.Tensor] = []
    monkeypatch.setattr(distributed, "all_reduce", lambda values: summed.append(values.mul_(size)))  # all have the same
    monkeypatch.setattr(distributed, "broadcast", lambda buffer, source: sent.append((buffer, source)))
    team = Team(CPU, 0, size)
    values = torch.tensor([1.0, 2.0])
    assert team.sum_(values) is values
    assert values.tolist() == [size, 2 * size]
    assert len(summed) == (size > 1)  # alone there is no engine to ask
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.BatchNorm2d(2))
    team.share_buffers_(model)
    expected = list(model.buffers()) if size > 1 else []
    assert [buffer.data_ptr() for buffer, _ in sent] == [buffer.data_ptr() for buffer in expected]
    assert {source for _, source in sent} <= {0}


def test_the_first_one_leads() -> None:
    assert [Team(CPU, rank, 3).leads for rank in range(3)] == [True, False, False]
    assert (Team(CPU).rank, Team(CPU).size) == (0, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Team(CPU).rank = 1  # type: ignore[misc]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Any]]]:
    """Set the variables that torchrun sets, and return the list of what is asked of the engine."""
    asked: list[Any] = []
    kept = distributed.HashStore()

    def initialize(backend: str, *, store: Any, rank: int, world_size: int) -> None:
        asked.append(("begin", backend, rank, world_size))
        asked.append(store)

    monkeypatch.setattr(processes, "rendezvous", lambda where: iter([(kept, 1, 2)]) if where == "env://" else None)
    monkeypatch.setattr(distributed, "init_process_group", initialize)
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: asked.append("end"))

    def start(**variables: str) -> list[Any]:
        for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        asked.clear()
        return asked

    return start


@pytest.mark.parametrize("variables", [{}, {"WORLD_SIZE": "1"}, {"WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}])
def test_one_alone_needs_no_engine(started: Callable[..., list[Any]], variables: dict[str, str]) -> None:
    asked = started(**variables)
    with join("cpu") as team:
        assert team == Team(CPU, 0, 1)
    assert asked == []


def test_a_team_begins_with_its_numbers_and_ends_with_its_work(started: Callable[..., list[Any]]) -> None:
    asked = started(WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
    with join("cpu") as team:
        assert team == Team(CPU, 1, 2)
        assert asked[0] == ("begin", "gloo", 1, 2)
        assert "end" not in asked
    assert asked[2:] == ["end"]
    asked.clear()
    with pytest.raises(KeyError, match="the work fails"), join("cpu"):
        raise KeyError("the work fails")
    assert asked[2:] == ["end"]


def test_each_start_on_one_machine_has_a_page_of_its_own(started: Callable[..., list[Any]]) -> None:
    """The addresses of the dead stand on the page of the start before."""

    def store(**variables: str) -> Any:
        asked = started(WORLD_SIZE="2", **variables)
        with join("cpu"):
            return asked[1]

    first = store(LOCAL_WORLD_SIZE="2")
    first.set("address", "of the dead")
    assert store(LOCAL_WORLD_SIZE="2", TORCHELASTIC_RESTART_COUNT="0").check(["address"])  # the others of that start
    again = store(LOCAL_WORLD_SIZE="2", TORCHELASTIC_RESTART_COUNT="1")
    assert not again.check(["address"])
    again.set("address", "of the living")
    assert first.get("address") == b"of the dead"
    assert not store(LOCAL_WORLD_SIZE="2", TORCHELASTIC_RESTART_COUNT="2").check(["address"])


@pytest.mark.parametrize("variables", [{}, {"LOCAL_WORLD_SIZE": "1"}, {"LOCAL_WORLD_SIZE": "3"}])
def test_on_several_machines_all_read_one_page(started: Callable[..., list[Any]], variables: dict[str, str]) -> None:
    """Their numbers of restarts may differ."""
    found = []
    for restart in ("0", "3"):
        asked = started(WORLD_SIZE="2", TORCHELASTIC_RESTART_COUNT=restart, **variables)
        with join("cpu"):
            found.append(asked[1])
    assert found[0] is found[1]


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch, started: Callable[..., list[Any]]) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(processes, "pick_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    asked = started(WORLD_SIZE="2", LOCAL_WORLD_SIZE="2", LOCAL_RANK="1")
    with join() as team:
        assert team == Team(torch.device("cuda", 1), 1, 2)
    assert chosen == [torch.device("cuda", 1)]
    assert asked[0] == ("begin", "nccl", 1, 2)


@pytest.mark.parametrize(("count", "restarted"), [(None, False), ("0", False), ("1", True), ("2", True)])
def test_whether_it_was_restarted(started: Callable[..., list[Any]], count: str | None, restarted: bool) -> None:
    started(**({} if count is None else {"TORCHELASTIC_RESTART_COUNT": count}))
    assert was_restarted() is restarted


@pytest.mark.parametrize("error", [RuntimeError, AssertionError])
def test_a_device_that_pytorch_refuses_in_its_own_way_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refuse(*_: Any, device: torch.device) -> None:
        raise error("Torch not compiled with CUDA enabled")

    monkeypatch.setattr(torch, "empty", refuse)
    with pytest.raises(ValueError, match=r"^this machine has no device 'cuda:7'; use cpu, or auto for the best"):
        pick_device("cuda:7")


def test_no_number_of_threads_is_as_many_as_before_and_a_failure_gives_them_back() -> None:
    before = torch.get_num_threads()
    with threads(None):
        assert torch.get_num_threads() == before
    with suppress(KeyError), threads(before + 2):
        assert torch.get_num_threads() == before + 2
        raise KeyError
    assert torch.get_num_threads() == before


# Batch norm over a team, of which each has the same images


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if another process had the same share of the batch: a sum over both is twice the own."""
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda values: values.mul_(2))


@pytest.mark.usefixtures("twins")
@pytest.mark.parametrize("momentum", [0.1, 0.7, 1.0, None])
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_a_synchronized_batch_norm_is_the_ordinary_one_of_the_whole_batch(momentum: float | None, eps: float) -> None:
    """Answers, statistics and gradients over three batches; without a momentum statistics are those of all so far."""
    ours, theirs = (nn.BatchNorm2d(3, eps=eps, momentum=momentum).double() for _ in range(2))
    synchronize_(ours)
    for norm in (ours, theirs):
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
            norm.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
    for number in range(3):
        share = (number + 1) * torch.randn(2, 3, 2, 3, dtype=torch.float64) + number
        told = torch.randn_like(share)
        x, whole = share.clone().requires_grad_(), torch.cat([share, share]).requires_grad_()
        answer, expected = ours(x), theirs(whole)
        torch.testing.assert_close(answer, expected[:2])
        (told * answer).sum().backward()
        (torch.cat([told, told]) * expected).sum().backward()
        torch.testing.assert_close(x.grad, whole.grad[:2])
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    for mine, of_both in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(2 * mine.grad, of_both.grad)  # the run adds up those of the processes
    assert ours.num_batches_tracked == 3


@pytest.mark.usefixtures("twins")
@pytest.mark.parametrize("missing", ["track_running_stats", "affine"])
def test_a_batch_norm_that_remembers_or_learns_nothing_is_synchronized_too(missing: str) -> None:
    norm = synchronize_(nn.BatchNorm2d(2, **{missing: False}))
    x = torch.randn(2, 2, 3, 3)
    torch.testing.assert_close(norm(x), F.batch_norm(torch.cat([x, x]), None, None, training=True)[:2])


@pytest.mark.parametrize(
    ("there", "size", "training", "adds"),
    [
        (True, 2, True, True),
        (True, 3, True, True),
        (True, 1, True, False),
        (False, 2, True, False),
        (True, 2, False, False),
    ],
)
def test_only_a_team_that_trains_adds_up(
    monkeypatch: pytest.MonkeyPatch, there: bool, size: int, training: bool, adds: bool
) -> None:
    asked: list[torch.Tensor] = []
    monkeypatch.setattr(distributed, "is_initialized", lambda: there)
    monkeypatch.setattr(distributed, "get_world_size", lambda: size)
    monkeypatch.setattr(distributed, "all_reduce", asked.append)
    norm = SyncBatchNorm2d(2).train(training)
    norm(torch.randn(2, 2, 3, 3))
    assert bool(asked) is adds
    assert norm.num_batches_tracked == training


def test_every_batch_norm_is_synchronized_and_keeps_its_numbers() -> None:
    class Own(nn.BatchNorm2d):
        """A norm with a forward of its own keeps it."""

    model = nn.Sequential(nn.BatchNorm2d(2), nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), Own(2), nn.GroupNorm(1, 2))
    before = {name: value.data_ptr() for name, value in model.state_dict().items()}
    assert synchronize_(model) is model
    kinds = [type(room) for room in model.modules() if not isinstance(room, nn.Sequential)]
    assert kinds == [SyncBatchNorm2d, SyncBatchNorm2d, nn.ReLU, Own, nn.GroupNorm]
    assert {name: value.data_ptr() for name, value in model.state_dict().items()} == before
