"""What a run says while it runs: the bar, the advice, and Ctrl-C where nothing would be kept."""

import os
import signal
from dataclasses import replace

import pytest
import torch

from resnet_edu.training import loop
from resnet_edu.training.data import ImageData, Split, shapes
from resnet_edu.training.loop import TrainConfig, check_finite, check_fit, make_model, train
from resnet_edu.training.processes import Team
from resnet_edu.training.run import Run

TINY = TrainConfig(model="cifar8", widths=(2, 2, 2), epochs=2, batch=10, threads=1, device="cpu")
DATA = shapes(20, 10, size=8)


def test_the_bar_counts_steps_of_all_epochs_and_shows_the_errors(capsys: pytest.CaptureFixture[str]) -> None:
    run = train(TINY, DATA)
    told = capsys.readouterr().err.replace("\r", "\n").splitlines()[-1]
    assert " 4/4 [" in told  # 20 images in batches of 10, twice
    assert f"test={run.history[1]['test_error']:.1f} %, train={run.history[1]['train_error']:.1f} %]" in told
    train(TINY, DATA, progress=False)
    assert capsys.readouterr().err == ""


def test_the_bar_of_a_resumed_run_begins_where_the_run_was(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(TINY, out=str(tmp_path))
    real, taken = loop.learning_rate, []

    def rate(step: int, *arguments, **named) -> float:
        taken.append(step)
        if len(taken) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return real(step, *arguments, **named)

    monkeypatch.setattr(loop, "learning_rate", rate)
    train(config, DATA, progress=False)
    assert taken == [0, 1, 2]
    train(replace(config, resume=True), DATA)
    assert " 3/4 [" in capsys.readouterr().err
    assert taken == [0, 1, 2, 3]


def test_ctrl_c_stops_a_run_without_a_folder_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to finish a step for: nothing would be saved."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(loop, "learning_rate", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    try:
        with pytest.raises(KeyboardInterrupt):
            train(TINY, DATA, progress=False)
    finally:
        signal.signal(signal.SIGINT, before)


def test_one_batch_may_hold_all_images() -> None:
    assert train(replace(TINY, batch=20, epochs=1), DATA, progress=False).history[0]["images"] == 20


def _within(low: float, high: float) -> ImageData:
    images = torch.full((20, 3, 8, 8), float(low))
    images[:10] = high
    return replace(DATA, train=Split(images, DATA.train.labels), test=Split(images[:10], DATA.test.labels))


def test_floats_may_touch_0_and_1_and_not_pass_them() -> None:
    team = Team(torch.device("cpu"))
    for good in (_within(0, 1), _within(0.2, 0.3)):
        check_fit(TINY, good, team)
    for low, high in ((-0.5, 0.5), (0, 1.5), (0.5, 1.5), (-1, 0)):
        with pytest.raises(ValueError, match=f"shapes has {low:.3g} to {high:.3g}; divide them by 255"):
            check_fit(TINY, _within(low, high), team)


@pytest.mark.parametrize(
    ("changes", "epoch", "told"),
    [
        ({}, 0, r"epoch 1, step 7, at learning rate 0\.5\. Try --lr 0\.002, a --warmup of some epochs$"),
        ({}, 3, r"epoch 4, .* epochs$"),  # without a folder nothing is held
        ({"out": "runs/x"}, 0, r"epochs$"),
        ({"out": "runs/x"}, 3, r"epochs; runs/x still holds epoch 3$"),
        ({"out": "runs/x", "precision": "float16"}, 1, r"epochs or --precision float32; runs/x still holds epoch 1$"),
    ],
)
def test_the_advice_after_a_loss_that_is_no_number(changes: dict[str, str], epoch: int, told: str) -> None:
    config = replace(TINY, lr=0.02, **changes)
    model = make_model(config, DATA)
    run = Run(model, torch.optim.SGD(model.parameters()), torch.amp.GradScaler("cpu"), sums=torch.zeros(3))
    run.epoch, run.step = epoch, 7
    check_finite(run, 0.5, config)
    run.sums[1:] = float("nan")  # the loss stands first
    check_finite(run, 0.5, config)
    for bad in (float("nan"), float("inf")):
        run.sums[0] = bad
        with pytest.raises(FloatingPointError, match=told):
            check_finite(run, 0.5, config)
