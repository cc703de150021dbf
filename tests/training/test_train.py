"""The loop: it learns, it repeats, it goes on exactly where it was, and no accident costs a finished epoch."""

import dataclasses
import decimal
import enum
import errno
import fractions
import io
import json
import math
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import replace
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_hook

from resnet_edu.drawing import plots
from resnet_edu.training import __main__ as command
from resnet_edu.training import checkpoints, locks
from resnet_edu.training import loop as room
from resnet_edu.training.augmentation import pad_crop_flip
from resnet_edu.training.checkpoints import CheckpointError
from resnet_edu.training.config import parse
from resnet_edu.training.data import ImageData, Split, digits, shapes
from resnet_edu.training.locks import one_run
from resnet_edu.training.loop import TrainConfig, evaluate, make_model, train
from resnet_edu.training.processes import Team, pick_device, threads
from resnet_edu.training.run import Run, ctrl_c
from resnet_edu.training.schedules import learning_rate

TINY = TrainConfig(model="cifar8", widths=(4, 8, 16), epochs=3, seed=1, threads=1, device="cpu", augment="crop")


def quiet(config: TrainConfig) -> Run:
    return train(config, progress=False)


def same_numbers(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without what depends on the clock."""
    return [{key: value for key, value in row.items() if key != "images_per_second"} for row in history]


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(run: Run) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in run.model.state_dict().values()])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of TINY that nothing interrupts."""
    return quiet(replace(TINY, out=str(tmp_path_factory.mktemp("whole"))))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of each step that is taken, from the start of the run."""
    real, taken = room.learning_rate, []

    def rate(step: int, *arguments: Any, **named: Any) -> float:
        taken.append(step)
        return real(step, *arguments, **named)

    monkeypatch.setattr(room, "learning_rate", rate)
    return taken


# What it computes


def test_it_learns_handwriting() -> None:
    run = quiet(replace(TINY, widths=(8, 16, 32), epochs=6, augment="none"))
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4, 5, 6]
    assert run.history[-1]["test_error"] < 15 < run.history[0]["test_error"]


@pytest.mark.parametrize("augment", ["none", "crop", "crop-flip"])
def test_it_takes_the_steps_of_a_loop_written_by_hand(augment: str) -> None:
    config = replace(TINY, epochs=2, augment=augment, schedule="cosine", warmup=1, label_smoothing=0.1)
    config = replace(config, lr=0.02, momentum=0.8, weight_decay=1e-2, seed=3)
    run = quiet(config)

    with threads(config.threads):  # with another number sums would be rounded in another order
        data = digits()
        torch.manual_seed(config.seed)
        model = make_model(config, data)
        optimizer = torch.optim.SGD(model.parameters(), 1.0, momentum=0.8, weight_decay=1e-2)
        for epoch in range(2):
            wrong = 0
            order = torch.randperm(1437, generator=room.seeded(config.seed, epoch))
            for step in range(11):
                rate = learning_rate(11 * epoch + step, 22, 0.02, schedule="cosine", warmup=11)
                optimizer.param_groups[0]["lr"] = rate
                mine = order[128 * step : 128 * (step + 1)]
                x = data.normalize(data.train.images[mine])
                if augment != "none":
                    draws = torch.rand(128, 3, generator=room.seeded(config.seed, epoch, step))
                    x = pad_crop_flip(x, draws, padding=4, flip=augment == "crop-flip")
                scores = model(x)
                wrong += int((scores.argmax(1) != data.train.labels[mine]).sum())
                optimizer.zero_grad()
                F.cross_entropy(scores, data.train.labels[mine], label_smoothing=0.1).backward()
                optimizer.step()
            row = run.history[epoch]
            assert row["train_error"] == pytest.approx(100 * wrong / 1408, abs=0.2)
            loss, error = evaluate(model, data, data.test)
            assert row["test_loss"] == pytest.approx(loss, rel=1e-3)
            assert row["test_error"] == pytest.approx(error, abs=0.6)
    theirs = torch.cat([value.flatten().double() for value in model.state_dict().values()])
    torch.testing.assert_close(weights(run), theirs, rtol=1e-5, atol=1e-6)


def test_a_model_that_comes_in_eval_mode_is_trained_all_the_same() -> None:
    data, config = part_of(digits()), replace(TINY, epochs=2, batch=32)
    runs = [
        train(config, data, progress=False, make=lambda config, data, mode=mode: make_model(config, data).train(mode))
        for mode in (True, False)
    ]
    assert torch.equal(*map(weights, runs))
    assert runs[1].model.bn1.num_batches_tracked == 4  # 2 epochs of 64 images by 32
    assert all(module.training for module in runs[1].model.modules())


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    first, second, other = (quiet(replace(TINY, epochs=1, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))


def test_evaluation_counts_every_image_once_and_leaves_the_model_as_it_was() -> None:
    data = digits()
    model = make_model(TINY, data).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loss, error = evaluate(model, data, data.train)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.eval()
    with torch.no_grad():
        scores = model(data.normalize(data.train.images))
    assert error == pytest.approx(100 * (scores.argmax(1) != data.train.labels).double().mean().item())
    assert loss == pytest.approx(F.cross_entropy(scores, data.train.labels).item(), rel=1e-5)


def test_images_per_second_are_images_over_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 14.0])
    monkeypatch.setattr(room, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert quiet(replace(TINY, epochs=1)).history[0]["images_per_second"] == 1408 / 4


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_fewer_bits_go_nearly_the_same_way(precision: str) -> None:
    """Measured after 11 steps: 0.016 of the way apart in float16, 0.052 in bfloat16."""
    seen = []

    def look(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            seen.append((module.training, output.dtype))

    single = quiet(replace(TINY, epochs=1))
    with register_module_forward_hook(look):
        run = quiet(replace(TINY, epochs=1, precision=precision))
    dtype = getattr(torch, precision)
    assert set(seen) == {(True, dtype), (False, dtype)}
    assert run.scaler.is_enabled() == (precision == "float16")
    torch.manual_seed(TINY.seed)
    start = torch.cat([p.flatten() for p in make_model(TINY, digits()).parameters()])
    mine, theirs = (torch.cat([p.detach().flatten() for p in one.model.parameters()]) for one in (run, single))
    assert (mine - theirs).norm() < 0.2 * (theirs - start).norm()


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_the_loss_of_an_evaluation_is_summed_in_float32(precision: str) -> None:
    data = digits()
    scores: list[torch.Tensor] = []
    model = make_model(TINY, data)
    with model.register_forward_hook(lambda *given: scores.append(given[2])):
        loss, _ = evaluate(model, data, data.test, precision=precision)
    exact = F.cross_entropy(torch.cat(scores).double(), data.test.labels)
    assert scores[0].dtype == getattr(torch, precision)
    assert loss == pytest.approx(exact.item(), rel=1e-6)


def test_a_run_loads_the_data_that_its_config_names() -> None:
    run = quiet(replace(TINY, data="shapes", size=8, epochs=1))
    assert run.model.conv1.in_channels == 3
    assert run.history[0]["images"] == 5000 // 128 * 128


def test_every_choice_of_model_data_and_machine_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    seen: list[tuple[int, int]] = []

    def load(name: str, **options: Any) -> ImageData:
        asked.append((name, options))
        return part_of(digits(), 200)

    def look(module: nn.Module, inputs: tuple[torch.Tensor], _: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d) and module.training:
            seen.append((len(inputs[0]), torch.get_num_threads()))

    monkeypatch.setattr(room, "load", load)
    other = 1 + torch.get_num_threads()
    config = replace(TINY, model="cifar14", widths=(3, 5, 7), epochs=2, batch=48, threads=other)
    with register_module_forward_hook(look):
        run = quiet(replace(config, data="folder", root="a folder", url="a mirror", size=24))
    assert asked == [("folder", {"root": "a folder", "url": "a mirror", "size": 24})]
    assert [len(layer) for layer in (run.model.layer1, run.model.layer3)] == [2, 2]  # 14 = 6·2 + 2
    assert (run.model.conv1.out_channels, run.model.fc.in_features) == (3, 7)
    assert set(seen) == {(48, other)}
    assert [row["images"] for row in run.history] == [4 * 48] * 2
    with pytest.raises(ValueError, match="no device 'teapot'"):
        quiet(replace(TINY, device="teapot"))


def test_channels_last_changes_the_layout_and_hardly_the_numbers() -> None:
    plain, last = (quiet(replace(TINY, epochs=1, channels_last=value)) for value in (False, True))
    assert last.model.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(weights(plain), weights(last), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("wanted", [False, True])
def test_images_of_several_channels_come_as_the_option_says(wanted: bool) -> None:
    read = []

    def look(module: nn.Module, args: Any, _: Any) -> None:
        if isinstance(module, nn.Conv2d) and args[0].shape[1] == 3 and module.training:
            read.append(args[0].is_contiguous(memory_format=torch.channels_last))

    with register_module_forward_hook(look):
        train(
            replace(TINY, epochs=1, batch=10, augment="none", channels_last=wanted),
            shapes(20, 10, size=8),
            progress=False,
        )
    assert read == [wanted] * 2


@pytest.mark.parametrize("schedule", ["linear", "step", "cosine", "constant"])
def test_a_schedule_climbs_to_its_peak_and_never_beyond(schedule: str) -> None:
    rates = [learning_rate(step, 100, 0.1, schedule=schedule, warmup=10) for step in range(100)]
    assert rates[0] == pytest.approx(0.01, rel=0.05)
    assert all(earlier < later for earlier, later in pairwise(rates[:9]))
    assert max(rates) <= 0.1
    assert all(earlier >= later for earlier, later in pairwise(rates[10:]))
    assert (rates[-1] > 0.09) == (schedule == "constant")


def test_the_schedules_go_where_they_say() -> None:
    def rates(schedule: str) -> list[float]:
        return [learning_rate(step, 8, 1.0, schedule=schedule) for step in range(8)]

    assert rates("linear") == pytest.approx([1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])
    assert rates("step") == pytest.approx([1] * 4 + [0.1] * 2 + [0.01] * 2)
    assert rates("cosine") == pytest.approx([(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)])
    assert rates("constant") == [1] * 8


def test_every_crop_is_a_window_of_the_padded_image() -> None:
    images = torch.rand(40, 3, 6, 5) + 1
    draws = torch.rand(40, 3)
    moved, unflipped = (pad_crop_flip(images, draws, padding=2, flip=flip) for flip in (True, False))
    padded = F.pad(images, (2, 2, 2, 2))
    for number in range(40):
        down, across = (int(value * 5) for value in draws[number, :2])
        window = padded[number, :, down : down + 6, across : across + 5]
        assert torch.equal(moved[number], window.flip(2) if draws[number, 2] < 0.5 else window)
        assert torch.equal(unflipped[number], window)
    assert {int(value * 5) for value in draws[:, 0]} == {0, 1, 2, 3, 4}


# Going on


def test_a_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Run, steps: list[int]
) -> None:
    config = replace(TINY, out=str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(room, "evaluate", _raise_on_call(2, KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            quiet(config)
    assert steps == list(range(22))
    before = metrics(tmp_path)
    assert len(before) == 1
    steps.clear()
    resumed = quiet(replace(config, resume=True))

    assert steps == list(range(11, 33))  # the first epoch is not trained again
    assert metrics(tmp_path)[:1] == before  # its very row, images per second included
    assert torch.equal(weights(whole), weights(resumed))
    assert same_numbers(metrics(tmp_path)) == same_numbers(whole.history)


def _raise_on_call(number: int, error: type[BaseException]) -> Any:
    real, calls = room.evaluate, [0]

    def evaluate(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            raise error
        return real(*arguments, **named)

    return evaluate


def _stop_after_step(number: int) -> Any:
    """Send this process what Ctrl-C sends, in the middle of a step."""
    real, calls = room.learning_rate, [0]

    def rate(*arguments: Any, **named: Any) -> float:
        calls[0] += 1
        if calls[0] == number:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments, **named)

    return rate


@pytest.mark.parametrize("step", [1, 16, 22])
def test_ctrl_c_finishes_the_step_and_leaves_a_checkpoint_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Run, steps: list[int], step: int
) -> None:
    config = replace(TINY, out=str(tmp_path))
    before = signal.getsignal(signal.SIGINT)  # a process started in the background ignores it
    with monkeypatch.context() as patch:
        patch.setattr(room, "learning_rate", _stop_after_step(step))
        quiet(config)
    # After the last step of an epoch nothing is saved half-way: the epoch ends, and one step of the next is done.
    done = step if step % 11 else step + 1
    assert steps == list(range(done))
    state = checkpoints.load(tmp_path / "checkpoint.pt")
    assert (state["epoch"], state["step"]) == divmod(done, 11)
    assert len(state["history"]) == state["epoch"]
    assert signal.getsignal(signal.SIGINT) is before

    steps.clear()
    resumed = quiet(replace(config, resume=True))
    assert steps == list(range(done, 33))  # and none of them twice
    assert torch.equal(weights(whole), weights(resumed))
    assert same_numbers(resumed.history) == same_numbers(whole.history)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_to_stop_and_the_second_acts_as_always(number: signal.Signals) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda sent, _: heard.append(sent))
    try:
        with ctrl_c(True) as stop:
            signal.raise_signal(number)
            assert stop.is_set()
            assert heard == []
            signal.raise_signal(number)
            assert heard == [number]
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("ends", ["as it should", "with an error", "after a signal"])
def test_after_the_run_each_signal_is_heard_by_whom_it_was_before(ends: str) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    own = {signal.SIGINT: lambda *_: None, signal.SIGTERM: lambda *_: None}
    before = {number: signal.signal(number, own[number]) for number in numbers}
    try:
        with suppress(KeyError), ctrl_c(True):
            assert all(signal.getsignal(number) is not own[number] for number in numbers)
            if ends == "after a signal":
                signal.raise_signal(signal.SIGTERM)
            if ends == "with an error":
                raise KeyError
        assert {number: signal.getsignal(number) for number in numbers} == own
        with ctrl_c(False) as stop:
            assert {number: signal.getsignal(number) for number in numbers} == own
            assert not stop.is_set()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_run_in_another_thread_leaves_the_signals_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(quiet, replace(TINY, epochs=1, out=str(tmp_path))).result().epoch == 1


def test_the_command_stops_on_ctrl_c_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[int]
) -> None:
    line = ["--model", "cifar8", "--widths", "4", "8", "16", "--epochs", "100000", "--threads", "1"]
    line += ["--out", str(tmp_path / "run"), "--device", "cpu"]
    with subprocess.Popen(
        [sys.executable, "-m", "resnet_edu.training", *line], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for(lambda: (tmp_path / "run" / "checkpoint.pt").exists() or process.poll() is not None)
            process.send_signal(signal.SIGINT)
            told = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == 130
    assert "step/s" in told  # the progress bar
    state = checkpoints.load(tmp_path / "run" / "checkpoint.pt")
    done = 11 * state["epoch"] + state["step"]
    assert f"stopped after {state['epoch']} epochs and {state['step']} steps; go on with --resume" in told
    assert len(metrics(tmp_path / "run")) == state["epoch"] > 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "checkpoint.pt",
        "metrics.jsonl",
        "curves.png",
        "curves.svg",
    }
    with monkeypatch.context() as patch:
        patch.setattr(room, "learning_rate", _stop_after_step(1))
        assert command.main([*line, "--resume"]) == 130
    assert steps[0] == done


def wait_for(happened: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"nothing happened in {seconds} seconds"
        time.sleep(0.02)


def test_resume_without_a_checkpoint_begins(tmp_path: Path, steps: list[int]) -> None:
    assert len(quiet(replace(TINY, epochs=1, out=str(tmp_path), resume=True)).history) == 1
    assert steps == list(range(11))


def test_a_finished_run_is_not_overwritten_by_accident(tmp_path: Path, steps: list[int]) -> None:
    config = replace(TINY, epochs=1, out=str(tmp_path))
    quiet(config)
    steps.clear()
    with pytest.raises(ValueError, match="holds a run already; go on with --resume, or choose another --out"):
        quiet(config)
    assert len(quiet(replace(config, resume=True)).history) == 1
    assert steps == []  # nothing left to do


def test_another_run_cannot_go_on_from_this_checkpoint(tmp_path: Path) -> None:
    config = replace(TINY, epochs=1, out=str(tmp_path))
    quiet(config)
    with pytest.raises(ValueError, match=r"lr was 0\.03, is 0\.1; seed was 1, is 2"):
        quiet(replace(config, lr=0.1, seed=2, resume=True))


# What is written can be read


class Written(str):
    """A str, but no plain one."""


class Named(enum.StrEnum):
    CIFAR8 = "cifar8"


NUMBERS = [int, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, torch.tensor]
REALS = [float, np.float16, np.float32, np.float64, np.longdouble, fractions.Fraction, decimal.Decimal, torch.tensor]
WORDS = [str, np.str_, Written]
PATHS = [*WORDS, Path, pathlib.PurePosixPath]
#: Every field, a good value of it, and the types in which it may come.
FIELDS: dict[str, tuple[Any, list[Any]]] = {
    "model": ("cifar8", [*WORDS, Named]),
    "widths": ((4, 8, 16), [tuple, list, np.array, torch.tensor, iter, lambda given: map(np.int64, given)]),
    "data": ("digits", WORDS),
    "root": ("somewhere", PATHS),
    "url": ("file:///x", WORDS),
    "size": (16, NUMBERS),
    "epochs": (1, NUMBERS),
    "batch": (64, NUMBERS),
    "lr": (0.5, [*REALS, *NUMBERS]),
    "schedule": ("cosine", WORDS),
    "warmup": (0.5, [*REALS, *NUMBERS]),
    "momentum": (0.5, REALS),
    "weight_decay": (0.5, [*REALS, *NUMBERS]),
    "label_smoothing": (0.5, REALS),
    "augment": ("crop", WORDS),
    "precision": ("float32", WORDS),
    "channels_last": (True, [bool, np.bool_]),
    "sync_bn": (True, [bool, np.bool_]),
    "seed": (3, NUMBERS),
    "device": ("cpu", [*WORDS, torch.device]),
    "threads": (1, NUMBERS),
    "out": ("here", PATHS),
    "resume": (True, [bool, np.bool_]),
}
PLAIN = (str, int, float, bool, type(None), tuple)


def test_the_fields_below_are_all_there_are() -> None:
    assert list(FIELDS) == [field.name for field in dataclasses.fields(TrainConfig)]


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_becomes_plain_in_every_type(tmp_path: Path, name: str) -> None:
    value, kinds = FIELDS[name]
    for kind in kinds:
        given = kind(1) if isinstance(value, float) and kind in NUMBERS[:-1] else kind(value)
        config = replace(TINY, **{"out": "there", name: given})
        found = getattr(config, name)
        assert type(found) in PLAIN, kind
        assert all(type(number) is int for number in (found if name == "widths" else ()))
        if isinstance(value, str | bool | int | tuple) and kind not in REALS[1:-1]:
            assert found == value, kind
        else:
            assert found == float(given), kind
        torch.save(dataclasses.asdict(config), tmp_path / "config.pt")
        assert TrainConfig(**torch.load(tmp_path / "config.pt", weights_only=True)) == config


SLIPS: dict[str, list[Any]] = {
    "str": [3, b"cifar8", None, ["cifar8"]],
    "int": [True, np.True_, 1.0, "1", np.float64(1), [1], 1j],
    "float": [True, "0.1", math.nan, math.inf, np.float32("inf"), [0.1], 1j, 10**400],
    "bool": [0, 1, "yes", None, np.int64(1)],
    "tuple": [8, torch.tensor(8), np.array(8), "8", (8, 16.0, 32), (True, 8, 8), b"abc"],
}


@pytest.mark.parametrize("name", FIELDS)
def test_what_is_no_value_of_a_field_is_named_at_once(name: str) -> None:
    kind = type(getattr(TrainConfig(), name) if getattr(TrainConfig(), name) is not None else FIELDS[name][0]).__name__
    for slip in SLIPS[kind]:
        if slip is None and getattr(TrainConfig(), name) is None:
            continue
        with pytest.raises(ValueError, match=f"^{name} must be"):
            replace(TINY, **{"out": "there", name: slip})


def test_home_is_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = TrainConfig(out="~/run", root=Path("~/data"))
    assert (config.out, config.root) == (str(tmp_path / "run"), str(tmp_path / "data"))
    monkeypatch.setattr(Path, "expanduser", _nobody)
    with pytest.raises(ValueError, match="out is ~/run, and no home folder is known here; write the whole path"):
        TrainConfig(out="~/run")


def _nobody(_: Path) -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_a_checkpoint_that_its_reader_refuses_never_gets_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the writer does wrong: here a byte of the second file is lost on its way."""
    config = replace(TINY, out=str(tmp_path))
    real, calls = torch.save, [0]

    def damaged(state: Any, buffer: io.BytesIO) -> None:
        calls[0] += 1
        real(state if calls[0] == 1 else state | {"config": Path("code")}, buffer)

    monkeypatch.setattr(torch, "save", damaged)
    with pytest.raises(CheckpointError, match=r"cannot be read again .*the checkpoint before it is untouched"):
        quiet(config)
    assert checkpoints.load(tmp_path / "checkpoint.pt")["epoch"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "metrics.jsonl"]


def test_a_checkpoint_reaches_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    synced, renamed = os.fsync, os.replace

    def sync(file: int) -> None:
        order.append(f"sync {os.fstat(file).st_size}")
        synced(file)

    def rename(old: Any, new: Any) -> None:
        order.append("rename")
        renamed(old, new)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", rename)
    for size in (100, 5000):  # smaller and larger than what Python holds back
        checkpoints.write_atomically(tmp_path / "file", b"x" * size)
    assert order == ["sync 100", "rename", "sync 5000", "rename"]


@pytest.mark.parametrize("part", checkpoints.PARTS)
def test_a_checkpoint_without_a_part_or_with_another_changes_nothing(tmp_path: Path, part: str) -> None:
    config = replace(TINY, epochs=1, out=str(tmp_path))
    quiet(config)
    path = tmp_path / "checkpoint.pt"
    good = torch.load(path, weights_only=True)
    torch.save({name: value for name, value in good.items() if name != part}, path)
    with pytest.raises(CheckpointError, match=f"no {part} of a run in it"):
        quiet(replace(config, resume=True))

    # Another one of the right type: found before the first part is taken over.
    model = nn.Linear(2, 2)
    other: dict[str, Any] = {
        "config": good["config"] | {"lr": 1.0},
        "data": good["data"] | {"checksum": "0"},
        "epoch": 2,
        "step": -1,
        "history": [],
        "sums": torch.zeros(2),
        "model": model.state_dict(),
        "optimizer": torch.optim.SGD(model.parameters()).state_dict(),
        "scaler": {"scale": 1.0},
    }
    torch.save(good | {part: other[part]}, path)
    data = digits()
    run = run_with([])
    run.model = make_model(config, data)
    run.optimizer = torch.optim.SGD(run.model.parameters(), 0.03, momentum=0.9)
    run.data = data.fingerprint()
    before = weights(run)
    with pytest.raises((CheckpointError, ValueError), match=f"{part}|lr was|other data"):
        run.restore(replace(config, resume=True))
    assert torch.equal(weights(run), before)
    assert (run.epoch, run.history, run.optimizer.state_dict()["state"]) == (0, [], {})


def test_momentum_of_another_shape_is_refused(tmp_path: Path) -> None:
    config = replace(TINY, epochs=1, out=str(tmp_path))
    quiet(config)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    state["optimizer"]["state"][0]["momentum_buffer"] = torch.zeros(2)
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="does not fit this run: its optimizer are of another kind"):
        quiet(replace(config, resume=True))


def part_of(data: ImageData, count: int = 64, classes: int = 10) -> ImageData:
    def first(split: Split) -> Split:
        chosen = (split.labels < classes).nonzero()[:count, 0]
        return Split(split.images[chosen], split.labels[chosen])

    return replace(data, train=first(data.train), test=first(data.test), classes=data.classes[:classes])


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (lambda data: part_of(data, 80), "training images were 64, are 80; test images were 64, are 80"),
        (lambda data: part_of(data, classes=9), r"classes were \['0', .*'9'\], are \['0', .*'8'\]"),
        (lambda data: part_of(digits(seed=1)), "as many images of the same size, but not the same ones"),
        (
            lambda data: replace(
                part_of(data), test=Split(part_of(data).test.images, part_of(data).test.labels.roll(1))
            ),
            "as many images of the same size, but not the same ones",
        ),
        (
            lambda data: replace(
                part_of(data), train=Split(part_of(data).train.images[..., :7], part_of(data).train.labels)
            ),
            r"shape were \[1, 8, 8\], are \[1, 8, 7\]",
        ),
    ],
)
def test_a_run_does_not_go_on_with_other_images(
    tmp_path: Path, other: Callable[[ImageData], ImageData], told: str
) -> None:
    config = replace(TINY, epochs=1, batch=16, out=str(tmp_path))
    train(config, part_of(digits()), progress=False)
    with pytest.raises(ValueError, match=f"saw other data: {told}"):
        train(replace(config, resume=True), other(digits()), progress=False)
    train(replace(config, resume=True), part_of(digits()), progress=False)


def test_two_runs_do_not_share_a_folder_and_the_lock_ends_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(TINY, epochs=1, out=str(tmp_path))
    told = []

    def look(*arguments: Any, **named: Any) -> Any:
        with pytest.raises(ValueError, match=r"another run is writing into .*another --out") as caught:
            quiet(replace(config, resume=True))
        told.append(str(caught.value))
        raise FloatingPointError("the first run fails")

    with monkeypatch.context() as patch:
        patch.setattr(room, "evaluate", look)
        with pytest.raises(FloatingPointError):
            quiet(config)
    assert len(told) == 1
    quiet(config)  # failed or finished, it is free again
    quiet(replace(config, resume=True))


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    code = "from resnet_edu.training.locks import one_run\nimport sys, time\n"
    code += "with one_run(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="another run is writing"), one_run(str(tmp_path)):
            pass
        process.kill()
    with one_run(str(tmp_path)):
        assert list(tmp_path.iterdir()) == []


def _run_until(config: TrainConfig, number: int) -> None:
    """Train, and die without a word at this step, write or rename, counted from the start."""
    left = iter(range(number - 1))

    def counted(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return call

    room.learning_rate = counted(room.learning_rate)
    os.fsync, os.replace = counted(os.fsync), counted(os.replace)
    torch.save, torch.load = counted(torch.save), counted(torch.load)
    quiet(config)


def test_a_run_killed_at_twenty_random_moments_comes_to_the_same_bits(tmp_path: Path, whole: Run) -> None:
    config = replace(TINY, out=str(tmp_path), resume=True)
    moments = random.Random(0)
    known = 0
    for _ in range(20):
        # A reading, eleven steps and the six parts of two writings make an epoch; the last one is left to the end.
        moment = moments.randint(1, 18 if known < 2 else 15)
        process = get_context("fork").Process(target=_run_until, args=(config, moment))
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
        if known or (tmp_path / "checkpoint.pt").exists():  # what was there once is there for good, and whole
            state = checkpoints.load(tmp_path / "checkpoint.pt")
            assert state["epoch"] >= known
            known = state["epoch"]
        with one_run(str(tmp_path)):  # nobody holds the folder
            pass
    assert 0 < known < 3  # some of the work was kept, and some is left
    resumed = quiet(config)
    assert torch.equal(weights(resumed), weights(whole))
    assert same_numbers(metrics(tmp_path)) == same_numbers(whole.history)
    names = {"checkpoint.pt", "metrics.jsonl", "curves.png", "curves.svg"}
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".tmp"} == names


def test_evaluation_leaves_every_module_in_its_mode() -> None:
    data = digits()
    model = make_model(TINY, data).train()
    model.layer1.eval()  # frozen
    before = {name: module.training for name, module in model.named_modules()}
    evaluate(model, data, data.test)
    with pytest.raises(ValueError, match="no image in this split"):
        evaluate(model, data, Split(data.test.images[:0], data.test.labels[:0]))
    model.fc.forward = lambda _: 1 / 0
    with pytest.raises(ZeroDivisionError):
        evaluate(model, data, data.test)
    assert {name: module.training for name, module in model.named_modules()} == before


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_empty_split_is_refused_before_the_first_step(part: str, steps: list[int]) -> None:
    data = digits()
    empty = replace(data, **{part: Split(data.train.images[:0], data.train.labels[:0])})
    with pytest.raises(ValueError, match=f"digits has no {'training' if part == 'train' else 'test'} images"):
        train(TINY, empty, progress=False)
    assert steps == []


def test_float_images_go_from_0_to_1(steps: list[int]) -> None:
    data = part_of(digits())

    def floats(largest: float) -> ImageData:
        return replace(
            data,
            train=Split(data.train.images / largest, data.train.labels),
            test=Split(data.test.images / largest, data.test.labels),
        )

    torch.testing.assert_close(floats(255).normalize(data.train.images / 255), data.normalize(data.train.images))
    config = replace(TINY, epochs=1, batch=16)
    ours, theirs = (train(config, given, progress=False) for given in (floats(255), data))
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=1e-4, atol=1e-5)
    steps.clear()
    with pytest.raises(ValueError, match=r"floats go from 0 to 1, and digits has 0 to 255; divide them by 255"):
        train(config, floats(1), progress=False)
    assert steps == []


def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):  # and not that there is nothing to take away
        checkpoints.write_atomically(tmp_path / "file", b"x")


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Make room"), (errno.EDQUOT, "Make room"), (errno.EACCES, "Make the folder writable")],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_message_about_space_is_about_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str, first: bool
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    if not first:
        (tmp_path / "checkpoint.pt").touch()
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError) as caught:
        checkpoints.save(tmp_path / "checkpoint.pt", {})
    kept = "there is none before it" if first else "the checkpoint before it is untouched"
    assert f"({os.strerror(number)}); {kept}. {advice}, then go on with --resume" in str(caught.value)


# Accidents


def test_a_loss_that_is_no_number_stops_with_epoch_rate_and_advice(tmp_path: Path) -> None:
    config = replace(TINY, out=str(tmp_path), lr=1e30)
    with pytest.raises(FloatingPointError) as caught:
        quiet(config)
    told = str(caught.value)
    assert "epoch 1" in told
    assert "learning rate" in told
    assert "--lr 1e+29" in told
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_late_nan_keeps_the_checkpoint_of_the_epoch_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = room.learning_rate
    monkeypatch.setattr(room, "learning_rate", lambda step, *a, **n: 1e30 if step >= 11 else real(step, *a, **n))
    with pytest.raises(FloatingPointError, match=r"epoch 2, step \d+, .*still holds epoch 1"):
        quiet(replace(TINY, out=str(tmp_path)))
    state = checkpoints.load(tmp_path / "checkpoint.pt")
    assert state["epoch"] == 1
    assert all(torch.isfinite(value).all() for value in state["model"].values())


def test_a_full_disk_keeps_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Run
) -> None:
    config = replace(TINY, out=str(tmp_path))
    real, calls = os.fsync, [0]

    def sync(file: int) -> None:
        calls[0] += 1
        if calls[0] == 3:  # two files an epoch: this is the second checkpoint, of which a part is written
            os.ftruncate(file, 1000)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sync)
        with pytest.raises(CheckpointError) as caught:
            quiet(config)
    told = str(caught.value)
    assert os.strerror(errno.ENOSPC) in told
    assert "the checkpoint before it is untouched" in told
    assert re.search(r"checkpoint\.pt, \d+,\d{3} bytes", told)
    assert "Make room, then go on with --resume" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "metrics.jsonl"]
    assert len(metrics(tmp_path)) == checkpoints.load(tmp_path / "checkpoint.pt")["epoch"] == 1
    assert torch.equal(weights(quiet(replace(config, resume=True))), weights(whole))


@pytest.mark.parametrize("damage", ["cut", "flip", "words", "stranger"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    config = replace(TINY, epochs=1, out=str(tmp_path))
    quiet(config)
    path = tmp_path / "checkpoint.pt"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[len(content) // 2] ^= 1
    elif damage == "words":
        content = bytearray(b"not a checkpoint")
    path.write_bytes(content)
    if damage == "stranger":
        torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="damaged or is not a checkpoint of this script"):
        quiet(replace(config, resume=True))


def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "it ran",))

    good = {name: kind() for name, kind in checkpoints.PARTS.items()}
    torch.save(good | {"config": Trap()}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="UnpicklingError: Weights only load failed"):  # of many lines the first
        checkpoints.load(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "it ran").exists()


def test_a_file_that_cannot_be_read_without_a_word_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({}, tmp_path / "checkpoint.pt")

    def fails(*_: Any, **__: Any) -> None:
        raise EOFError

    monkeypatch.setattr(torch, "load", fails)
    with pytest.raises(CheckpointError, match=r"\(EOFError: unreadable\)"):
        checkpoints.load(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize(
    ("number", "is_held"),
    [(errno.EWOULDBLOCK, True), (errno.EACCES, True), (errno.ENOLCK, False), (errno.EINVAL, False)],
)
def test_where_no_lock_is_kept_nothing_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_held: bool
) -> None:
    """As on some disks in the network; an answer that another process holds it is another thing."""

    def flock(handle: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    refused = pytest.raises(ValueError, match="another run is writing into") if is_held else nullcontext()
    with refused, locks.one_run(str(tmp_path / "out")):
        assert (tmp_path / "out").is_dir()
    monkeypatch.setattr(locks, "fcntl", None)  # Windows
    with locks.one_run(str(tmp_path / "other")), locks.alone(tmp_path / "file"):
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "resnet35"}, "the nearest is 34"),
        ({"model": "cifar21"}, "6n"),
        ({"widths": (8, 16)}, "one count of blocks for each of the 2 widths"),
        ({"data": "mnist"}, "data must be one of 'digits'"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"batch": 0}, "batch must be a whole number"),
        ({"lr": 0.0}, "lr must be more than 0, got 0"),
        ({"lr": float("nan")}, "lr must be a finite number, got nan"),
        ({"warmup": 4.0}, r"warmup must be between 0 and the 3 epochs of the run, got 4\.0"),
        ({"warmup": -1.0}, "warmup must be between 0 and"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1"),
        ({"weight_decay": -1.0}, "weight_decay must be 0 or more"),
        ({"label_smoothing": 1.0}, "label_smoothing must be"),
        ({"schedule": "poly"}, "schedule must be one of 'linear', 'step', 'cosine', 'constant', got 'poly'"),
        ({"augment": "mixup"}, "augment must be one of"),
        ({"precision": "int8"}, "precision must be one of"),
        ({"threads": 0}, "threads must be a whole number"),
        ({"seed": -1}, "seed must be at least 0 and below 2⁶³, got -1"),
        ({"resume": True}, "resume needs out"),
        ({"out": __file__}, "out must be a folder, and .* is a file"),
    ],
)
def test_a_wrong_choice_is_refused_before_anything_is_computed(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changes)


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match="batch is 2000, and digits has 1437 training images"):
        quiet(replace(TINY, batch=2000))


def test_a_batch_that_the_processes_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of the 3 processes, got 128"):
        room.check_fit(TINY, digits(), Team(torch.device("cpu"), size=3))


@pytest.mark.parametrize(("there", "device"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch, there: bool, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert pick_device("auto") == torch.device(device)


def test_a_run_leaves_the_number_of_threads_as_it_was() -> None:
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no device 'teapot'"):
        pick_device("teapot")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--model", "resnet35"], 2, "error: resnet has depths"),
        (["--lr", "fast"], 2, "invalid float value: 'fast'"),
        (["--data", "mnist"], 2, "invalid choice: 'mnist'"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, told: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == code
    assert told in capsys.readouterr().err


def test_the_command_answers_in_one_sentence_when_the_run_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--batch", "5000", "--device", "cpu"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: batch is 5000")
    assert "Traceback" not in told


def test_help_tells_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--help"])
    assert caught.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "the largest learning rate (default: 0.03)" in told
    assert "images in one step, over all processes (default: 128)" in told


def test_every_choice_of_the_config_is_on_the_command_line() -> None:
    line = (
        "--model cifar20 --widths 8 16 32 --data shapes --size 16 --epochs 2 --batch 64 --lr 0.1 --schedule cosine "
        "--warmup 1 --momentum 0.8 --weight-decay 0.001 --label-smoothing 0.1 --augment crop-flip "
        "--precision bfloat16 --channels-last --sync-bn --seed 5 --device cpu --threads 1 --out runs/x --resume"
    )
    config = parse(line.split())
    assert config == TrainConfig(
        model="cifar20",
        widths=(8, 16, 32),
        data="shapes",
        size=16,
        epochs=2,
        batch=64,
        lr=0.1,
        schedule="cosine",
        warmup=1,
        momentum=0.8,
        weight_decay=0.001,
        label_smoothing=0.1,
        augment="crop-flip",
        precision="bfloat16",
        channels_last=True,
        sync_bn=True,
        seed=5,
        device="cpu",
        threads=1,
        out="runs/x",
        resume=True,
    )


# The curves


HISTORY = [
    {"epoch": 1, "train_error": 50.0, "test_error": 60.0, "lr": 0.1},
    {"epoch": 2, "train_error": 20.0, "test_error": 30.0, "lr": 0.05},
]


def test_each_curve_shows_its_own_column() -> None:
    error, rate = plots.draw(HISTORY).axes
    shown = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in error.lines}
    assert shown == {"training": ([1, 2], [50, 20]), "test": ([1, 2], [60, 30])}
    assert list(rate.lines[0].get_ydata()) == [0.1, 0.05]
    assert (error.get_ylabel(), rate.get_xlabel()) == ("error, %", "epoch")


def test_curves_are_files_of_the_kind_that_their_names_say(tmp_path: Path) -> None:
    run_with(HISTORY).draw(replace(TINY, out=str(tmp_path)))
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "curves.svg").read_text()


def test_without_a_finished_epoch_there_is_nothing_to_draw(tmp_path: Path) -> None:
    run_with([]).draw(replace(TINY, out=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def run_with(history: list[dict[str, Any]]) -> Run:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters())
    return Run(model, optimizer, torch.amp.GradScaler("cpu"), sums=torch.zeros(3), history=history)
