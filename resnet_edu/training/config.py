"""Every choice of a training run, checked before anything is computed, and the command line made from them."""

import argparse
import dataclasses
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resnet_edu.counting.recipes import check_choice, check_count, recipe, whole
from resnet_edu.training.augmentation import AUGMENTATIONS
from resnet_edu.training.schedules import SCHEDULES

DATA = ("digits", "shapes", "cifar10", "cifar100", "folder")
PRECISIONS = ("float32", "bfloat16", "float16")

#: Choices that may differ when a run goes on: they say where it runs, not what it computes.
WHERE = ("root", "url", "device", "threads", "out", "resume")


def _choice(default: Any, help: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": help, **more})


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What to train, on what, and how. The defaults train ResNet-20 on handwritten digits in a minute.

    >>> TrainConfig(model="cifar56", lr=0.1).batch
    128

    Raises ValueError for a value that cannot work, and says which can.
    """

    model: str = _choice("cifar20", "a network of the zoo: cifar20, cifar_plain20 (any depth 6n + 2), resnet18, …")
    widths: tuple[int, ...] | None = _choice(None, "channels of each layer, such as 8 16 32", nargs="+", type=int)
    data: str = _choice("digits", "the data set; digits and shapes need no download", choices=DATA)
    root: str | None = _choice(None, "the folder of a data set that is on disk, or where a download goes")
    url: str | None = _choice(None, "a mirror of the CIFAR archive")
    size: int | None = _choice(None, "pixels a side, for shapes and folder", type=int)
    epochs: int = _choice(15, "how often every image is seen")
    batch: int = _choice(128, "images in one step, over all processes")
    lr: float = _choice(0.03, "the largest learning rate")
    schedule: str = _choice("linear", "how the learning rate falls", choices=SCHEDULES)
    warmup: float = _choice(0.0, "epochs in which the learning rate climbs to its largest")
    momentum: float = _choice(0.9, "momentum of SGD")
    weight_decay: float = _choice(1e-4, "how strongly weights are pulled to 0")
    label_smoothing: float = _choice(0.0, "share of the target that is spread over all classes")
    augment: str = _choice("none", "what happens to training images", choices=AUGMENTATIONS)
    precision: str = _choice("float32", "numbers inside convolutions", choices=PRECISIONS)
    channels_last: bool = _choice(False, "store the channels of a pixel side by side")
    sync_bn: bool = _choice(False, "with several processes: batch norm over all of them")
    seed: int = _choice(0, "decides weights, order and augmentation")
    device: str = _choice("auto", "cpu, cuda, … or auto")
    threads: int | None = _choice(None, "threads of this process; the same number gives the same bits", type=int)
    out: str | None = _choice(None, "folder for checkpoint.pt, metrics.jsonl and curves.png, curves.svg")
    resume: bool = _choice(False, "go on from the checkpoint in --out; without one, begin")

    def __post_init__(self) -> None:
        for choice in dataclasses.fields(self):
            # Plain types only: the config goes into checkpoints, which are read without running any code.
            object.__setattr__(self, choice.name, _plain(choice, getattr(self, choice.name)))
        recipe(self.model, **({} if self.widths is None else {"widths": self.widths}))
        for name, choices in (
            ("data", DATA),
            ("schedule", SCHEDULES),
            ("augment", AUGMENTATIONS),
            ("precision", PRECISIONS),
        ):
            check_choice(name, getattr(self, name), choices)
        for name in ("epochs", "batch", "threads", "size"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        for name, good, meaning in (
            ("lr", self.lr > 0, "more than 0"),
            ("warmup", 0 <= self.warmup <= self.epochs, f"between 0 and the {self.epochs} epochs of the run"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
            ("weight_decay", self.weight_decay >= 0, "0 or more"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "at least 0 and below 1"),
            ("seed", 0 <= self.seed < 2**63, "at least 0 and below 2⁶³"),
        ):
            if not good:
                raise ValueError(f"{name} must be {meaning}, got {getattr(self, name)}")
        if self.resume and self.out is None:
            raise ValueError("resume needs out, the folder that holds the checkpoint")
        if self.out is not None and Path(self.out).exists() and not Path(self.out).is_dir():
            raise ValueError(f"out must be a folder, and {self.out} is a file")

    def check_same_run(self, saved: dict[str, Any]) -> None:
        """Raise ValueError unless a checkpoint with these choices can go on under mine; name those that differ."""
        mine = dataclasses.asdict(self)
        names = [name for name in mine if name not in WHERE and mine[name] != saved.get(name)]
        if names:
            told = "; ".join(f"{name} was {saved.get(name)!r}, is {mine[name]!r}" for name in names)
            raise ValueError(
                f"the run in {self.out} was another one: {told}. Go on with the same values, or begin in another --out"
            )


def _plain(choice: "dataclasses.Field[Any]", value: Any) -> Any:
    """The value as the plain Python type that the field is declared with, or ValueError if it is another thing."""
    name, kind = choice.name, getattr(choice.type, "__name__", str(choice.type))
    if value is None and kind.endswith("| None"):
        return None
    kind = kind.removesuffix(" | None")
    wanted = _MEANING[kind]
    if kind == "str":
        if isinstance(value, os.PathLike) and name in ("root", "out"):
            value = os.fspath(value)
        if isinstance(value, torch.device) and name == "device":
            value = str(value)
        if isinstance(value, str):
            # A str of numpy or of an Enum is a str, but no plain one.
            return _at_home(name, str.__str__(value)) if name in ("root", "out") else str.__str__(value)
        wanted += " or a path" * (name in ("root", "out"))
    elif kind == "bool":
        if isinstance(value, bool | np.bool_):
            return bool(value)
    elif kind == "int":
        if (number := whole(value)) is not None:
            return number
    elif kind == "float":
        # True and "0.1" are slips, although Python could make numbers of them.
        if not isinstance(value, bool | np.bool_ | str | bytes):
            try:
                real = float(value)
            except (TypeError, ValueError, OverflowError):
                real = math.nan
            if math.isfinite(real):
                return real
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        try:
            numbers = [whole(number) for number in value]
        except TypeError:  # an array or a tensor of one number alone
            numbers = [None]
        if None not in numbers:
            return tuple(numbers)
    raise ValueError(f"{name} must be {wanted}, got {value!r}")


def _at_home(name: str, path: str) -> str:
    try:
        return str(Path(path).expanduser())
    except RuntimeError as error:
        raise ValueError(f"{name} is {path}, and no home folder is known here; write the whole path") from error


#: What a field of this type takes, in words.
_MEANING = {
    "str": "a str",
    "bool": "True or False",
    "int": "a whole number",
    "float": "a finite number",
    "tuple[int, ...]": "whole numbers, such as (8, 16, 32)",
}


def parse(arguments: Sequence[str] | None = None) -> TrainConfig:
    """The command line as a :class:`TrainConfig`.

    >>> parse(["--model", "cifar20", "--widths", "8", "16", "32"]).widths
    (8, 16, 32)
    """
    parser = argparse.ArgumentParser(
        prog="python -m resnet_edu.training",
        description="Train a ResNet in the open.",
        epilog="In several processes: torchrun --nproc-per-node=2 -m resnet_edu.training …",
    )
    for choice in dataclasses.fields(TrainConfig):
        options: dict[str, Any] = dict(choice.metadata)
        shown = "" if choice.default is None or choice.type is bool else f" (default: {choice.default})"
        options["help"] += shown
        if choice.type is bool:
            options["action"] = "store_true"
        elif "type" not in options and choice.type in (int, float):
            options["type"] = choice.type
        parser.add_argument("--" + choice.name.replace("_", "-"), default=choice.default, **options)
    try:
        return TrainConfig(**vars(parser.parse_args(arguments)))
    except ValueError as error:
        parser.exit(2, f"error: {error}\n")
