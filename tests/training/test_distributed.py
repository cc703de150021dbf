"""Two processes under torchrun: one run, the same images, the same gradients, and no epoch lost with a process."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, nn
from torch.multiprocessing import start_processes

from resnet_edu.training import __main__ as command
from resnet_edu.training import checkpoints, experiments
from resnet_edu.training.data import digits
from resnet_edu.training.experiments import split_batch
from resnet_edu.training.loop import TrainConfig, evaluate, make_model, train
from resnet_edu.training.sync_batchnorm import SyncBatchNorm2d, synchronize_

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nnodes=1", "--nproc-per-node=2", "--rdzv-backend=c10d")
TORCHRUN += ("--rdzv-endpoint=localhost:0", "--local-addr=localhost")
TINY = ("--model", "cifar8", "--widths", "4", "8", "16", "--device", "cpu", "--threads", "1", "--seed", "1")


def start(*arguments: str, restarts: int = 0, torchrun: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    command = [*TORCHRUN, *torchrun, f"--max-restarts={restarts}", "-m", "resnet_edu.training", *TINY, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: "subprocess.Popen[str]") -> str:
    try:
        told = process.communicate(timeout=240)[0]
    finally:
        process.kill()
    assert process.returncode == 0, told
    return told


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "images_per_second"} for row in rows(folder)]


def children(process: int) -> list[int]:
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid, parent in map(str.split, table.splitlines()) if int(parent) == process]


def fork(work: Any, arguments: tuple[Any, ...], nprocs: int) -> None:
    """As ``spawn``, without the seconds in which each process would import torch once more."""
    start_processes(work, arguments, nprocs=nprocs, start_method="fork")


#: So small a learning rate that roundings stay small for four epochs.
CALM = ("--epochs", "4", "--lr", "0.003", "--augment", "crop", "--sync-bn")


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes whose batch norms are synchronized, so that it computes what one computes."""
    folder = tmp_path_factory.mktemp("two")
    logs = folder.parent / "logs"
    finish(start(*CALM, "--out", str(folder), torchrun=("--redirects=3", f"--log-dir={logs}")))
    bars = {int(file.parent.name): file.read_text() for file in logs.rglob("stderr.log")}
    assert "44/44" in bars[0]
    assert "step" not in bars[1]  # one of them prints
    return folder


def test_two_processes_see_the_images_of_one_and_learn_the_same(two_processes: Path) -> None:
    """Measured, the worst of four epochs, relative to the loss: right 2e-7, batch norms apart 4e-4, same half 7e-3."""
    config = TrainConfig(model="cifar8", widths=(4, 8, 16), epochs=4, lr=0.003, augment="crop")
    run = train(replace(config, seed=1, threads=1, device="cpu"), progress=False)
    together = metrics(two_processes)
    assert [row["images"] for row in together] == [row["images"] for row in run.history] == [1408] * 4
    for row, other in zip(together, run.history, strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-5)
        assert row["test_loss"] == pytest.approx(other["test_loss"], rel=2e-5)
        assert row["lr"] == other["lr"]
    theirs = checkpoints.load(two_processes / "checkpoint.pt")["model"]
    for name, value in run.model.state_dict().items():
        torch.testing.assert_close(theirs[name], value, rtol=2e-3, atol=2e-3)


def test_one_of_them_writes(two_processes: Path) -> None:
    names = {path.name for path in two_processes.iterdir()}
    assert names == {"checkpoint.pt", "metrics.jsonl", "curves.png", "curves.svg"}


def test_what_two_processes_saved_one_can_read(two_processes: Path) -> None:
    state = checkpoints.load(two_processes / "checkpoint.pt")
    assert state["epoch"] == 4
    assert not any(name.startswith("module.") for name in state["model"])


def _train_in_a_team(rank: int, port: int, folder: str) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    assert command.main([*TINY, "--epochs", "1", "--out", folder]) == 0


def test_both_processes_test_the_network_that_is_saved(tmp_path: Path) -> None:
    """Each has batch statistics of its own while it trains; the test is of one network."""
    meeting = distributed.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)  # as torchrun holds one
    fork(_train_in_a_team, (meeting.port, str(tmp_path)), nprocs=2)
    data = digits()
    model = make_model(TrainConfig(model="cifar8", widths=(4, 8, 16)), data)
    model.load_state_dict(checkpoints.load(tmp_path / "checkpoint.pt")["model"])
    loss, error = evaluate(model, data, data.test)
    assert metrics(tmp_path)[0]["test_loss"] == pytest.approx(loss, rel=1e-4)
    assert metrics(tmp_path)[0]["test_error"] == pytest.approx(error, abs=0.3)


def test_a_killed_process_costs_no_finished_epoch(two_processes: Path, tmp_path: Path) -> None:
    broken = start(*CALM, "--out", str(tmp_path), restarts=1)
    try:
        end = time.monotonic() + 240
        while not (tmp_path / "metrics.jsonl").exists():
            assert broken.poll() is None
            assert time.monotonic() < end, "no epoch in four minutes"
            time.sleep(0.01)
        os.kill(max(children(broken.pid)), signal.SIGKILL)
        before = rows(tmp_path)
    finally:
        told = finish(broken)
    assert "exitcode: -9" in told
    assert rows(tmp_path)[: len(before)] == before  # not trained again: the very rows, images per second included
    assert metrics(tmp_path) == metrics(two_processes)
    ours, theirs = (checkpoints.load(folder / "checkpoint.pt")["model"] for folder in (tmp_path, two_processes))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_gradients_of_a_split_batch_differ_only_through_batch_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "spawn", fork)
    difference = {row["norm"]: row["difference"] for row in split_batch()}
    assert difference["batch norm"] > 0.05
    # float64 rounding is 2e-16; sums over 20 layers leave some multiples of it
    assert difference["frozen"] < 1e-12
    assert difference["synchronized"] < 1e-12


def _a_share_of_the_batch(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    norm = synchronize_(nn.BatchNorm2d(3))
    for batch in torch.load(f"{folder}/batches.pt"):
        norm(batch[rank::2])
    torch.save(norm.state_dict(), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_statistics_of_a_split_batch_are_those_of_the_whole(tmp_path: Path) -> None:
    batches = [5 + 2 * torch.randn(2, 3, 2, 2) for _ in range(3)]
    torch.save(batches, tmp_path / "batches.pt")
    fork(_a_share_of_the_batch, (str(tmp_path),), nprocs=2)
    alone = nn.BatchNorm2d(3)
    for batch in batches:
        alone(batch)
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), alone.state_dict())


def test_alone_a_synchronized_batch_norm_is_the_ordinary_one() -> None:
    ours, theirs = synchronize_(nn.Sequential(nn.BatchNorm2d(3))), nn.Sequential(nn.BatchNorm2d(3))
    assert type(ours[0]) is SyncBatchNorm2d
    x = torch.randn(4, 3, 5, 5)
    assert torch.equal(ours(x), theirs(x))
    assert all(torch.equal(ours.state_dict()[name], value) for name, value in theirs.state_dict().items())
    assert torch.equal(ours.eval()(x), theirs.eval()(x))
