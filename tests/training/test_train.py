"""The loop: it learns, it repeats, it goes on exactly where it was, and no accident costs a finished epoch."""

import errno
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_hook

from resnet_edu.drawing import plots
from resnet_edu.training import __main__ as command
from resnet_edu.training import checkpoints
from resnet_edu.training import loop as room
from resnet_edu.training.augmentation import pad_crop_flip
from resnet_edu.training.checkpoints import CheckpointError
from resnet_edu.training.config import parse
from resnet_edu.training.data import digits, shapes
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


# What it computes


def test_it_learns_handwriting() -> None:
    run = quiet(replace(TINY, widths=(8, 16, 32), epochs=6, augment="none"))
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4, 5, 6]
    assert run.history[-1]["test_error"] < 15 < run.history[0]["test_error"]


@pytest.mark.parametrize("augment", ["none", "crop", "crop-flip"])
def test_it_takes_the_steps_of_a_loop_written_by_hand(augment: str) -> None:
    config = replace(TINY, epochs=2, augment=augment, schedule="cosine", warmup=1, label_smoothing=0.1)
    config = replace(config, momentum=0.8, weight_decay=1e-2, seed=3)
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
                rate = learning_rate(11 * epoch + step, 22, 0.03, schedule="cosine", warmup=11)
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


@pytest.mark.parametrize("changes", [{"precision": "bfloat16"}, {"channels_last": True}, {"data": "shapes", "size": 8}])
def test_other_numbers_layouts_and_data_train_too(changes: dict[str, Any]) -> None:
    data = shapes(256, 64, size=8) if "data" in changes else None
    run = train(replace(TINY, epochs=1, augment="crop-flip", **changes), data, progress=False)
    assert 0 < run.history[0]["train_loss"] < 4


def test_channels_last_changes_the_layout_and_hardly_the_numbers() -> None:
    plain, last = (quiet(replace(TINY, epochs=1, channels_last=value)) for value in (False, True))
    assert last.model.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(weights(plain), weights(last), rtol=1e-2, atol=1e-3)


def test_lower_precision_is_used_in_training_and_in_evaluation() -> None:
    seen = []

    def look(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            seen.append((module.training, output.dtype))

    with register_module_forward_hook(look):
        quiet(replace(TINY, epochs=1, precision="bfloat16"))
    assert set(seen) == {(True, torch.bfloat16), (False, torch.bfloat16)}


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


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = quiet(replace(TINY, out=str(tmp_path / "whole")))

    config = replace(TINY, out=str(tmp_path / "parts"))
    with monkeypatch.context() as patch:
        patch.setattr(room, "evaluate", _raise_on_call(2, KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            quiet(config)
    assert len(metrics(tmp_path / "parts")) == 1
    resumed = quiet(replace(config, resume=True))

    assert torch.equal(weights(whole), weights(resumed))
    assert same_numbers(metrics(tmp_path / "parts")) == same_numbers(metrics(tmp_path / "whole"))
    assert len(whole.history) == 3


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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    whole = quiet(TINY)
    config = replace(TINY, out=str(tmp_path))
    before = signal.getsignal(signal.SIGINT)  # a process started in the background ignores it
    with monkeypatch.context() as patch:
        patch.setattr(room, "learning_rate", _stop_after_step(step))
        stopped = quiet(config)
    # After the last step of an epoch nothing is saved half-way: the epoch ends, and one step of the next is done.
    done = 11 * stopped.epoch + stopped.step
    assert done == (step if step % 11 else step + 1)
    assert signal.getsignal(signal.SIGINT) is before
    resumed = quiet(replace(config, resume=True))
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


def test_a_run_in_another_thread_leaves_the_signals_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(quiet, replace(TINY, epochs=1, out=str(tmp_path))).result().epoch == 1


def test_the_command_stops_on_ctrl_c_and_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "resnet_edu.training", "--model", "cifar8", "--widths", "4", "8", "16"]
    command += ["--epochs", "400", "--threads", "1", "--out", str(tmp_path / "run"), "--device", "cpu"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "run" / "checkpoint.pt").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        told = process.communicate()[1]
    assert process.returncode == 130
    assert "step/s" in told  # the progress bar
    assert "go on with --resume" in told
    state = checkpoints.load(tmp_path / "run" / "checkpoint.pt")
    assert 11 * state["epoch"] + state["step"] > 0
    assert len(metrics(tmp_path / "run")) == state["epoch"]
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "checkpoint.pt",
        "metrics.jsonl",
        "curves.png",
        "curves.svg",
    }


def test_resume_without_a_checkpoint_begins(tmp_path: Path) -> None:
    assert len(quiet(replace(TINY, epochs=1, out=str(tmp_path), resume=True)).history) == 1


def test_a_finished_run_is_not_overwritten_by_accident(tmp_path: Path) -> None:
    config = replace(TINY, epochs=1, out=str(tmp_path))
    quiet(config)
    with pytest.raises(ValueError, match="holds a run already; go on with --resume, or choose another --out"):
        quiet(config)
    assert len(quiet(replace(config, resume=True)).history) == 1  # nothing left to do


def test_another_run_cannot_go_on_from_this_checkpoint(tmp_path: Path) -> None:
    config = replace(TINY, epochs=1, out=str(tmp_path))
    quiet(config)
    with pytest.raises(ValueError, match=r"lr was 0\.03, is 0\.1; seed was 1, is 2"):
        quiet(replace(config, lr=0.1, seed=2, resume=True))


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


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert "--resume" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "metrics.jsonl"]
    assert len(metrics(tmp_path)) == checkpoints.load(tmp_path / "checkpoint.pt")["epoch"] == 1
    assert torch.equal(weights(quiet(replace(config, resume=True))), weights(quiet(TINY)))


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

    torch.save({"config": Trap(), "model": {}, "optimizer": {}, "history": []}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError):
        checkpoints.load(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "it ran").exists()


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


def test_float16_goes_through_the_scaler() -> None:
    """Small gradients survive because the loss is scaled; the weights end up near those of float32."""
    half, single = (quiet(replace(TINY, epochs=1, precision=name)) for name in ("float16", "float32"))
    assert half.scaler.is_enabled()
    assert isinstance(half.model, nn.Module)
    assert abs(half.history[0]["train_loss"] - single.history[0]["train_loss"]) < 0.2


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
