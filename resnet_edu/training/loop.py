"""The whole of training in the open: one epoch after the other, in one process or several."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from resnet_edu.counting.recipes import recipe
from resnet_edu.training.augmentation import pad_crop_flip
from resnet_edu.training.config import TrainConfig
from resnet_edu.training.data import ImageData, Split, load
from resnet_edu.training.locks import one_run
from resnet_edu.training.processes import Team, join, threads
from resnet_edu.training.run import Run, ctrl_c
from resnet_edu.training.schedules import learning_rate
from resnet_edu.training.sync_batchnorm import synchronize_
from resnet_edu.zoo import build

__all__ = ["evaluate", "make_model", "train"]  # the other functions are the loop's own steps

LOOK_EVERY = 20  # steps between two looks at the loss: each look waits for the device


def train(
    config: TrainConfig,
    data: ImageData | None = None,
    *,
    progress: bool = True,
    make: Callable[[TrainConfig, ImageData], nn.Module] | None = None,
) -> Run:
    """Train the network of the config and return the run with its history.

    ``make(config, data)`` builds another network than the config's, from the config's seed.

    >>> run = train(TrainConfig(model="cifar8", widths=(4, 8, 16), epochs=1, device="cpu"), progress=False)
    >>> run.epoch, run.history[0]["images"]              # 1,437 training images: 11 batches of 128
    (1, 1408)

    Raises ValueError for a config that does not fit the data or the machine, or a folder in which another
    run is at work; FloatingPointError if
    the loss stops being a number, CheckpointError if a checkpoint cannot be written or read.
    """
    with join(config.device) as team, threads(config.threads), one_run(config.out if team.leads else None):
        data = data or load(config.data, root=config.root, url=config.url, size=config.size)
        check_fit(config, data, team)
        known = data.fingerprint() if config.out is not None else {}
        data = data.to(team.device)
        torch.manual_seed(config.seed)  # the same first weights in every process
        model = (make or make_model)(config, data).to(team.device)
        if config.channels_last:
            model = model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(
            model.parameters(), config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
        scaler = torch.amp.GradScaler(team.device.type, enabled=config.precision == "float16")
        run = Run(model, optimizer, scaler, sums=torch.zeros(3, device=team.device), data=known)
        run.restore(config)

        parallel = model
        if team.size > 1:
            # Averages the gradients over the processes while the backward pass is still running.
            parallel = DistributedDataParallel(synchronize_(model) if config.sync_bn else model)
        steps = len(data.train) // config.batch  # what is left over has its turn in another epoch
        done = run.epoch * steps + run.step
        bar = tqdm(total=config.epochs * steps, initial=done, unit="step", disable=not (progress and team.leads))
        # Several processes cannot stop at the same step on their own: they keep the last epoch's checkpoint.
        with bar, ctrl_c(config.out is not None and team.size == 1) as stop:
            while run.epoch < config.epochs:
                row = train_epoch(run, parallel, config, data, team, bar, stop)
                if row is None:  # Ctrl-C
                    break
                team.share_buffers_(model)
                row["test_loss"], row["test_error"] = evaluate(model, data, data.test, team, config.precision)
                run.history.append(row)
                run.epoch, run.step = run.epoch + 1, 0
                run.sums.zero_()
                bar.set_postfix(train=f"{row['train_error']:.1f} %", test=f"{row['test_error']:.1f} %")
                if team.leads:
                    run.save(config)
        if team.leads:
            run.draw(config)
        return run


def train_epoch(
    run: Run,
    model: nn.Module,
    config: TrainConfig,
    data: ImageData,
    team: Team,
    bar: "tqdm[Any]",
    stop: threading.Event,
) -> dict[str, Any] | None:
    """One epoch from ``run.step`` on: every image once. None if it was told to stop, with the run saved."""
    began, first, steps = time.perf_counter(), run.step, len(data.train) // config.batch
    order = torch.randperm(len(data.train), generator=seeded(config.seed, run.epoch)).to(team.device)
    model.train()
    for step in range(first, steps):
        rate = learning_rate(
            run.epoch * steps + step,
            config.epochs * steps,
            config.lr,
            schedule=config.schedule,
            warmup=round(config.warmup * steps),
        )
        run.optimizer.param_groups[0]["lr"] = rate
        batch = order[step * config.batch : (step + 1) * config.batch]
        mine = batch[team.rank :: team.size]  # every process takes its share of the same batch
        x, y = data.normalize(data.train.images[mine]), data.train.labels[mine]  # (N, C, H, W), (N,)
        if config.augment != "none":
            draws = torch.rand(config.batch, 3, generator=seeded(config.seed, run.epoch, step)).to(team.device)
            x = pad_crop_flip(x, draws[team.rank :: team.size], flip=config.augment == "crop-flip")
        if config.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)

        with autocast(team, config.precision):
            scores = model(x)  # (N, classes)
            loss = F.cross_entropy(scores, y, label_smoothing=config.label_smoothing)
        run.optimizer.zero_grad()
        # Scaled for float16 only, in which small gradients would be 0.
        run.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        run.scaler.step(run.optimizer)
        run.scaler.update()

        run.sums += torch.stack([loss.detach() * len(y), (scores.argmax(1) != y).sum(), loss.new_tensor(len(y))])
        run.step = step + 1
        bar.update()
        if step % LOOK_EVERY == 0 or run.step == steps or stop.is_set():
            check_finite(run, rate, config)
        if stop.is_set() and run.step < steps:
            run.save(config)
            return None
    seconds = time.perf_counter() - began
    loss_sum, mistakes, images = team.sum_(run.sums.clone()).tolist()
    row = {"epoch": run.epoch + 1, "lr": rate, "images": int(images)}
    row |= {"images_per_second": (steps - first) * config.batch / seconds}
    return row | {"train_loss": loss_sum / images, "train_error": 100 * mistakes / images}


@torch.inference_mode()
def evaluate(
    model: nn.Module, data: ImageData, split: Split, team: Team | None = None, precision: str = "float32"
) -> tuple[float, float]:
    """Loss and error in percent over every image of the split, in eval mode, shared among the team.

    Every module is left in the mode in which it came.

    >>> data = load("digits")
    >>> loss, error = evaluate(make_model(TrainConfig(model="cifar8"), data), data, data.test)
    >>> 0 <= error <= 100
    True

    Raises ValueError for a split without images.
    """
    if not len(split):
        raise ValueError("there is no image in this split, so nothing can be measured on it")
    team = team or Team(split.labels.device)
    modes = {room: room.training for room in model.modules()}  # a part of a model may be frozen in eval mode
    model.eval()
    sums = torch.zeros(3, device=team.device)  # loss, mistakes, images
    try:
        for mine in torch.split(torch.arange(len(split), device=team.device)[team.rank :: team.size], 500):
            x, y = data.normalize(split.images[mine]), split.labels[mine]
            with autocast(team, precision):
                scores = model(x)
            loss = F.cross_entropy(scores.float(), y, reduction="sum")
            sums += torch.stack([loss, (scores.argmax(1) != y).sum(), loss.new_tensor(len(y))])
    finally:
        for room, mode in modes.items():
            room.training = mode
    loss_sum, mistakes, images = team.sum_(sums).tolist()
    return loss_sum / images, 100 * mistakes / images


def make_model(config: TrainConfig, data: ImageData) -> nn.Module:
    """The network of the config, with the data's input channels and classes.

    >>> make_model(TrainConfig(model="cifar8", widths=(4, 8, 16)), load("digits")).conv1     # digits are gray
    Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    """
    plan = recipe(config.model, in_channels=data.shape[0], num_classes=len(data.classes))
    return build(plan if config.widths is None else replace(plan, widths=config.widths))


def autocast(team: Team, precision: str) -> torch.autocast:
    """Convolutions and matrix products in this precision; sums, batch norms and losses stay float32."""
    return torch.autocast(team.device.type, getattr(torch, precision), enabled=precision != "float32")


def seeded(*numbers: int) -> torch.Generator:
    """A generator that is the same for the same numbers: order and augmentation need no memory to repeat."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number + 1) % 2**62
    return torch.Generator().manual_seed(seed)


def check_fit(config: TrainConfig, data: ImageData, team: Team) -> None:
    """Raise ValueError for images that nobody can learn from, a batch that they cannot fill or the processes share."""
    for name, split in (("training", data.train), ("test", data.test)):
        if not len(split):
            raise ValueError(f"{data.name} has no {name} images")
        if split.images.is_floating_point() and not (split.images.min() >= 0 and split.images.max() <= 1):
            raise ValueError(
                f"{name} images in floats go from 0 to 1, and {data.name} has {float(split.images.min()):.3g} to "
                f"{float(split.images.max()):.3g}; divide them by 255, or keep them as bytes"
            )
    if config.batch > len(data.train):
        raise ValueError(f"batch is {config.batch}, and {data.name} has {len(data.train)} training images; take fewer")
    if config.batch % team.size:
        raise ValueError(f"batch must be a multiple of the {team.size} processes, got {config.batch}")


def check_finite(run: Run, rate: float, config: TrainConfig) -> None:
    """Raise FloatingPointError if the loss is no number any more; once it is not, the sum stays so."""
    if not torch.isfinite(run.sums[0]):
        other = "" if config.precision == "float32" else " or --precision float32"
        kept = f"; {config.out} still holds epoch {run.epoch}" if config.out and run.epoch else ""
        raise FloatingPointError(
            f"the loss is no longer a number in epoch {run.epoch + 1}, step {run.step}, at learning rate {rate:.3g}. "
            f"Try --lr {config.lr / 10:g}, a --warmup of some epochs{other}{kept}"
        )
