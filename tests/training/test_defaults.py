"""What a run is when nobody says anything, and up to where each choice may go."""

import ast
import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest

import resnet_edu
from resnet_edu.training.config import TrainConfig, parse
from resnet_edu.training.loop import seeded

#: As on the pages and in recorded runs: another default would make them other runs.
DEFAULTS = {
    "model": "cifar20",
    "widths": None,
    "data": "digits",
    "root": None,
    "url": None,
    "size": None,
    "epochs": 15,
    "batch": 128,
    "lr": 0.03,
    "schedule": "linear",
    "warmup": 0.0,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "label_smoothing": 0.0,
    "augment": "none",
    "precision": "float32",
    "channels_last": False,
    "sync_bn": False,
    "seed": 0,
    "device": "auto",
    "threads": None,
    "out": None,
    "resume": False,
}


def test_the_defaults_are_the_same_in_python_and_in_a_shell() -> None:
    assert dataclasses.asdict(TrainConfig()) == DEFAULTS
    assert parse([]) == TrainConfig()


def test_help_says_each_choice_and_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    for choice in dataclasses.fields(TrainConfig):
        option = f"--{choice.name.replace('_', '-')}"
        assert option in told
        said = f"(default: {choice.default})" in told.partition("options:")[2].partition(option)[2].partition(" --")[0]
        assert said == (choice.default is not None and choice.type is not bool), option
        assert choice.metadata["help"] in told


def test_a_config_is_given_by_name_and_does_not_change() -> None:
    with pytest.raises(TypeError):
        TrainConfig("cifar20")  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().lr = 0.1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("last", "first"),
    [
        ({"warmup": 2.0, "epochs": 2}, {"warmup": 2.1, "epochs": 2}),
        ({"warmup": 0.0}, {"warmup": -0.1}),
        ({"lr": 1e-9}, {"lr": 0.0}),
        ({"momentum": 0.0}, {"momentum": -0.1}),
        ({"momentum": 0.999}, {"momentum": 1.0}),
        ({"weight_decay": 0.0}, {"weight_decay": -1e-9}),
        ({"label_smoothing": 0.0}, {"label_smoothing": -0.1}),
        ({"label_smoothing": 0.999}, {"label_smoothing": 1.0}),
        ({"seed": 0}, {"seed": -1}),
        ({"seed": 2**63 - 1}, {"seed": 2**63}),
        ({"epochs": 1}, {"epochs": 0}),
        ({"batch": 1}, {"batch": 0}),
        ({"threads": 1}, {"threads": 0}),
        ({"size": 1}, {"size": 0}),
    ],
)
def test_the_last_value_that_works_and_the_first_that_does_not(last: dict[str, float], first: dict[str, float]) -> None:
    name = next(iter(first))
    assert getattr(TrainConfig(**last), name) == last[name]
    with pytest.raises(ValueError, match=f"^{name} must be"):
        TrainConfig(**first)


def test_a_run_may_go_on_elsewhere_and_as_nothing_else() -> None:
    """Where it runs may change; whatever decides a number may not, and is named with both values."""
    config = TrainConfig(out="runs/x")
    elsewhere = {"root": "data", "url": "mirror", "device": "cpu", "threads": 3, "out": "runs/y", "resume": True}
    replace(config, **elsewhere).check_same_run(dataclasses.asdict(config))
    other = {
        "model": "cifar56", "widths": (4, 8, 16), "data": "shapes", "size": 16, "epochs": 3, "batch": 64, "lr": 0.1,
        "schedule": "step", "warmup": 1.0, "momentum": 0.8, "weight_decay": 0.0, "label_smoothing": 0.1,
        "augment": "crop", "precision": "bfloat16", "channels_last": True, "sync_bn": True, "seed": 1,
    }  # fmt: skip
    assert other.keys() | elsewhere.keys() == DEFAULTS.keys()
    for name, value in other.items():
        with pytest.raises(ValueError, match="another one") as caught:
            replace(config, **{name: value}).check_same_run(dataclasses.asdict(config))
        told = f"the run in runs/x was another one: {name} was {DEFAULTS[name]!r}, is {value!r}. Go"
        assert told in str(caught.value)


def test_a_seed_stands_for_the_same_order_in_every_version() -> None:
    """Whoever goes on with a run, or repeats a recorded one, sees its batches again."""
    assert seeded(0).initial_seed() == 1
    assert seeded(4, 5).initial_seed() == 5 * 1_000_003 + 6
    assert seeded(4, 5, 6).initial_seed() == (5 * 1_000_003 + 6) * 1_000_003 + 7
    assert seeded(2**61).initial_seed() == 2**61 + 1
    assert seeded(2**62).initial_seed() == 1  # the generator takes 63 bits


@pytest.mark.parametrize("name", ["root", "out", "url", "device", "model"])
def test_only_a_place_may_be_a_path(name: str) -> None:
    with pytest.raises(
        ValueError, match=f"{name} must be a str{' or a path' if name in ('root', 'out') else ''}, got 3"
    ):
        TrainConfig(**{name: 3})


def test_whatever_is_loaded_from_a_file_is_numbers_and_no_code():
    loads = [
        (path.name, call)
        for path in Path(resnet_edu.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "torch.load"
    ]
    assert loads
    for name, call in loads:
        asked = {option.arg: ast.unparse(option.value) for option in call.keywords}
        assert asked.get("weights_only") == "True", f"{name}:{call.lineno}"
