"""The engine that trains in the page, against PyTorch: maps, losses, every gradient, statistics, twenty steps."""

import base64
import copy
import hashlib
import json
import re
import subprocess
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import system_programs
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from resnet_edu import explorers, programs, zoo

ROOT = Path(__file__).parent.parent.parent
NET = explorers.ASSETS / "net"


def in_engine(*jobs: tuple[str, dict[str, Any]]) -> list[Any]:
    """What the engine answers, all in one process of Node."""
    node = system_programs.find("node") or pytest.fail("node is not here; `make test` installs it")
    run = subprocess.run(
        [node, ROOT / "tests/explorers/js/train.js"],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


#: A small network for every block: odd depths, widths, sides and batches, none a multiple of another.
SHAPES: list[dict[str, Any]] = [
    {"layers": [1, 2, 1], "widths": [3, 5, 6], "side": 7, "batch": 5},
    {"layers": [2, 1], "widths": [4, 8], "side": 8, "batch": 8},
    {"layers": [1, 1, 2], "widths": [2, 2, 7], "side": 5, "batch": 9},
    {"layers": [3], "widths": [6], "side": 6, "batch": 3},
]
OWN: dict[str, Any] = {
    "one convolution": {"branch": ["conv3"], "shortcut": ["match"]},
    "1×1 in the middle": {
        "branch": ["conv1", "bn", "relu", "conv3", "bn", "relu", "conv1", "bn"],
        "shortcut": ["project"],
    },
    "gain on both": {"branch": ["conv3", "bn", ["gain", 0.7]], "shortcut": ["match", ["gain", 1.2]], "after": ["relu"]},
    "norm and ReLU on the shortcut": {"branch": ["conv3", "bn"], "shortcut": ["conv1", "bn", "relu"], "after": []},
    "convolution after the addition": {"branch": ["bn", "relu"], "shortcut": [], "after": ["conv3", "bn", "relu"]},
    "nothing on the branch": {"branch": [], "shortcut": [], "after": ["conv3", "relu"]},
    "ReLU on the shortcut, none after": {
        "branch": ["conv3", "bn", "relu", "conv3", "bn"],
        "shortcut": ["match", "relu"],
    },
}
CASES = [
    (name, program, SHAPES[number % len(SHAPES)])
    for number, (name, program) in enumerate({**programs.PRESETS, **OWN}.items())
]
IDS = [name for name, _, _ in CASES]


def case(
    program: Any, shape: dict[str, Any], dtype: torch.dtype, steps: int = 20
) -> tuple[Any, torch.Tensor, Any, Any]:
    """A scrambled network with a batch, and the same as a job for the engine."""
    config = {key: value for key, value in shape.items() if key != "batch"}
    generator = torch.Generator().manual_seed(len(str(program)))
    model = programs.network(program, shape["layers"], shape["widths"], side=shape["side"]).double()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor += 0.05 * torch.randn(tensor.shape, generator=generator, dtype=torch.float64).abs()
    model = model.to(dtype)
    x = torch.randn(shape["batch"], 1, shape["side"], shape["side"], generator=generator, dtype=torch.float64).to(dtype)
    y = torch.randint(10, (shape["batch"],), generator=generator)
    job = {
        "config": {"program": program, **config},
        "batch": shape["batch"],
        "state": programs.export_state(model),
        "images": x.double().flatten().tolist(),
        "labels": y.tolist(),
        "steps": steps,
        "rate": 0.01,
    }
    return model, x, y, job


def in_torch(
    model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int, masks: dict[str, Any]
) -> dict[str, Any]:
    """The same steps in PyTorch; dropout takes the engine's masks."""
    outputs: dict[str, list[torch.Tensor]] = {"blocks": []}
    for name, room in model.named_modules():
        if isinstance(room, torch.nn.Dropout):
            room.forward = lambda x, room=room, name=name: (
                x * torch.tensor(masks[name], dtype=x.dtype).view_as(x) if room.training else x
            )
    blocks = [
        room
        for layer in model.children()
        if isinstance(layer, torch.nn.Sequential)
        for room in layer
        if type(room).__name__ == "Block"
    ]
    handles = [
        room.register_forward_hook(lambda _, __, out: outputs["blocks"].append(out.detach().clone())) for room in blocks
    ]
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    found: dict[str, Any] = {}
    for step in range(steps):
        scores = model(x)
        loss = F.cross_entropy(scores, y)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            for handle in handles:
                handle.remove()
            gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
            found = {"loss": loss.item(), "logits": scores.detach(), "gradients": gradients, **outputs}
        optimizer.step()
    with torch.no_grad():
        return {**found, "state": programs.export_state(model), "scores": model.eval()(x)}


def distance(ours: Any, theirs: Any) -> float:
    """The largest difference, relative to the largest number."""
    a, b = np.asarray(ours, dtype=float).ravel(), np.asarray(theirs, dtype=float).ravel()
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-12)) if len(a) else 0.0


def distances(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    found = {"loss": distance(ours["loss"], theirs["loss"]), "logits": distance(ours["logits"], theirs["logits"])}
    assert len(ours["blocks"]) == len(theirs["blocks"])
    for number, (a, b) in enumerate(zip(ours["blocks"], theirs["blocks"], strict=True)):
        found[f"block {number}"] = distance(a, b)
    assert ours["gradients"].keys() == theirs["gradients"].keys()
    # A bias in front of a batch norm has a gradient of rounding alone; the largest of all is the measure.
    largest = max(float(g.abs().max()) for g in theirs["gradients"].values())
    for name, gradient in theirs["gradients"].items():
        a, b = np.asarray(ours["gradients"][name]), gradient.flatten().numpy()
        found[f"gradient of {name}"] = float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-6 * largest))
    return found


@cache
def runs(kernels: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every case in the engine and in PyTorch, float64."""
    prepared = []
    for name, program, shape in CASES:
        batch = {**shape, "batch": 8} if kernels == "wasm" else shape
        # A mask belongs to one step, so a network with dropout takes one.
        prepared.append(case(program, batch, torch.float64, 1 if "dropout" in name else 20))
    answers = in_engine(*(("steps", {**job, "kernels": kernels}) for *_, job in prepared))
    return [
        (answer, in_torch(model, x, y, job["steps"], answer["masks"]))
        for (model, x, y, job), answer in zip(prepared, answers, strict=True)
    ]


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_float64_equals_pytorch_in_maps_loss_gradients_statistics_and_twenty_steps(number):
    ours, theirs = runs("float64")[number]
    worst = max(distances(ours, theirs).items(), key=lambda pair: pair[1])
    assert worst[1] < 1e-9, worst
    assert ours["state"].keys() == theirs["state"].keys()
    for name, entry in theirs["state"].items():
        assert ours["state"][name]["shape"] == entry["shape"]
        assert distance(ours["state"][name]["values"], entry["values"]) < 1e-9, name
    assert distance(ours["scores"], theirs["scores"]) < 1e-9


def test_webassembly_is_as_exact_as_float32_can_be():
    errors = [error for ours, theirs in runs("wasm") for error in distances(ours, theirs).values()]
    # Where one ReLU falls on the other side a gradient jumps; the rest shows the kernels.
    assert np.median(errors) < 2e-6
    assert np.quantile(errors, 0.98) < 1e-3
    own = []
    for _, program, shape in CASES[:4]:
        model, x, y, _ = case(program, {**shape, "batch": 8}, torch.float64)
        single = in_torch(copy.deepcopy(model).float(), x.float(), y, 1, {})
        single["gradients"] = {name: g.double() for name, g in single["gradients"].items()}
        own += distances(
            {**single, "gradients": {n: g.flatten().tolist() for n, g in single["gradients"].items()}},
            in_torch(model, x, y, 1, {}),
        ).values()
    assert np.median(errors) < 5 * np.median(own)


def test_presets_shapes_and_refusals_are_pythons():
    assert in_engine(("presets", {})) == [programs.PRESETS]
    wrong: list[Any] = [
        {"branch": ["conv3"], "shortcut": []},
        {"branch": ["relu"], "shortcut": ["match"]},
        {"branch": ["relu"], "shortcut": []},
        {"branch": ["conv5"]},
        {"branch": ["conv3"], "side": []},
        {"branch": ["conv3", "scale"], "shortcut": ["match"]},
        {"branch": ["conv3", ["dropout", 1]], "shortcut": ["match"]},
        {"branch": ["conv3", ["relu", 1]], "shortcut": ["match"]},
        {"branch": ["conv3"], "shortcut": ["match"], "head": ["conv3"]},
        {"branch": ["conv3"] * 13, "shortcut": ["match"]},
        {"branch": "conv3", "shortcut": ["match"]},
    ]
    every = [*programs.PRESETS, *OWN.values(), *wrong]
    family = {"layers": [1, 2, 1], "widths": [4, 8, 16]}
    answers = in_engine(*(("plan", {"config": {"program": program, **family}}) for program in every))
    for program, answer in zip(every, answers, strict=True):
        assert answer == in_python(program), program
        assert ("refused" in answer) == (program in wrong), program


def in_python(program: Any) -> dict[str, Any]:
    try:
        model = programs.network(program, (1, 2, 1))
    except ValueError as error:
        return {"refused": str(error)}
    return {"shapes": {name: list(p.shape) for name, p in model.named_parameters()}}


def test_the_python_on_the_page_is_what_runs_here():
    every = [*programs.PRESETS.values(), *OWN.values()]
    (texts,) = in_engine(("sources", {"programs": every}))
    assert texts == [programs.source(program) for program in every]


def test_the_original_block_is_the_familys_own():
    ours = programs.network("original", (3, 3, 3), (4, 8, 16))
    theirs = zoo.cifar_resnet(20, in_channels=1, widths=(4, 8, 16))
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.randn(3, 1, 8, 8)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_what_the_page_trained_scores_the_same_in_pytorch_and_back():
    settings = {"layers": [1, 1, 1], "widths": [4, 8, 16], "epochs": 2}
    (trained,) = in_engine(("train", {"settings": settings, "kernels": "wasm"}))
    model = programs.load_state(programs.network("original", (1, 1, 1)), trained["state"]).eval()
    (digits,) = in_engine(("digits", {}))
    images = torch.tensor(digits["images"]).view(-1, 1, 8, 8)
    labels = torch.tensor(digits["labels"])
    with torch.no_grad():
        errors = model(images).argmax(1) != labels
    assert 100 * errors[digits["cut"] :].float().mean().item() == pytest.approx(trained["testError"], abs=1e-3)
    assert 100 * errors[: digits["cut"]].float().mean().item() == pytest.approx(trained["trainError"], abs=1e-3)
    again = programs.export_state(model)
    assert all(again[name]["values"] == entry["values"] for name, entry in trained["state"].items())
    with pytest.raises(ValueError, match="not in both networks"):
        programs.load_state(programs.network("original", (1, 1, 2)), trained["state"])


def test_the_digits_are_scikit_learns_and_cut_between_writers():
    (digits,) = in_engine(("digits", {}))
    bunch = load_digits()
    raw = np.array(digits["images"]).reshape(-1, 64) * digits["deviation"] + digits["mean"]
    assert np.abs(raw * 16 - bunch.data).max() < 1e-9
    assert digits["labels"] == bunch.target.tolist()
    train = np.array(digits["images"])[: digits["cut"] * 64]
    assert abs(train.mean()) < 1e-9
    assert train.std(ddof=1) == pytest.approx(1)


def test_the_exponential_and_the_draws_are_what_they_should_be():
    values = [-x for x in np.concatenate([np.linspace(0, 40, 2001), [0, 1e-300, 699]])]
    (ours,) = in_engine(("exp", {"values": values}))
    assert np.abs(np.array(ours) / np.exp(values) - 1).max() < 1e-12
    (draws,) = in_engine(("normals", {"seed": 3, "count": 20000}))
    assert abs(np.mean(draws)) < 0.03
    assert np.std(draws) == pytest.approx(1, abs=0.02)


def test_the_binary_is_made_from_the_source_beside_it():
    text = (NET / "kernels-wasm.js").read_text(encoding="utf-8")
    source = hashlib.sha256((NET / "kernels.c").read_bytes()).hexdigest()
    assert f"source {source}" in text, "kernels.c has changed; run tools/kernels.py, which says how"
    binary = zlib.decompress(base64.b64decode(re.search(r'net\.WASM = "([^"]+)"', text)[1]), wbits=-15)
    assert f"binary {hashlib.sha256(binary).hexdigest()}" in text


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    settings = {"depth": 8, "epochs": 1}
    first, again, other = (
        hashlib.sha256(json.dumps(answer["state"]).encode()).hexdigest()
        for answer in in_engine(
            ("train", {"settings": {**settings, "seed": 1}, "kernels": "wasm"}),
            ("train", {"settings": {**settings, "seed": 1}, "kernels": "wasm"}),
            ("train", {"settings": {**settings, "seed": 2}, "kernels": "wasm"}),
        )
    )
    assert first == again != other


def test_a_run_that_diverges_says_so():
    settings = {"depth": 56, "program": "no batch norm", "epochs": 1, "images": 640}
    diverged, dead = in_engine(
        ("train", {"settings": settings, "kernels": "wasm"}),
        ("train", {"settings": {**settings, "program": "plain", "rate": 1e-9}, "kernels": "wasm"}),
    )
    assert (diverged["outcome"], dead["outcome"]) == ("diverged", "dead")


def test_the_race_of_chapter_1_ends_as_its_text_says_for_nine_of_ten_seeds():
    settings = [
        {"depth": 56, "seed": seed, "program": program} for program in ("plain", "original") for seed in range(10)
    ]
    ends = in_engine(*(("train", {"settings": each, "kernels": "fastest", "state": False}) for each in settings))
    plain, residual = ends[:10], ends[10:]
    assert sum(end["trainError"] > 30 for end in plain) >= 9, [end["trainError"] for end in plain]
    assert sum(end["trainError"] < 2 for end in residual) >= 9, [end["trainError"] for end in residual]


def test_the_presets_that_the_workbench_calls_broken_are_broken_in_two_of_three_seeds():
    names = ("scaled shortcut", "batch norm after the addition", "dropout on the shortcut")
    settings = [{"depth": 56, "seed": seed, "program": name} for name in names for seed in range(3)]
    ends = in_engine(*(("train", {"settings": each, "kernels": "fastest", "state": False}) for each in settings))
    for i, name in enumerate(names):
        errors = [end["trainError"] for end in ends[3 * i : 3 * i + 3]]
        assert sum(error > 25 for error in errors) >= 2, (name, errors)


def test_two_presets_mostly_fail_and_now_and_then_learn():
    """Of ten seeds three learned with the 1×1 convolution and one with the early ReLU; here is one of each kind."""
    settings = [
        {"depth": 56, "seed": seed, "program": name}
        for name, seeds in (("1×1 convolution shortcut", (3, 6)), ("ReLU before the addition", (3, 8)))
        for seed in seeds
    ]
    ends = in_engine(*(("train", {"settings": each, "kernels": "fastest", "state": False}) for each in settings))
    failed, learned = [[end["trainError"] for end in ends[start::2]] for start in (0, 1)]
    assert min(failed) > 25 > 10 > max(learned), (failed, learned)
