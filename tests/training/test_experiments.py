"""The experiments: the claims of the book hold in a small version, and every seed is in the table."""

import inspect
import io
import json
import math
import runpy
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from resnet_edu.blocks import BasicBlock
from resnet_edu.training import experiments
from resnet_edu.training.data import digits
from resnet_edu.training.experiments import (
    QUICK,
    beside_the_paper,
    degradation,
    first_over_last,
    gradients,
    removal,
    split_batch,
)
from resnet_edu.training.loop import evaluate, make_model, train
from resnet_edu.training.results import Results

BRIEF = replace(QUICK, epochs=1, widths=(4, 8, 16))


def test_a_deep_plain_net_trains_worse_than_a_shallow_one_and_a_residual_net_does_not() -> None:
    table = degradation((20, 44), (0,), setting=replace(QUICK, epochs=5), progress=False)
    error = {(row["net"], row["depth"]): row["train_error"] for row in table}
    assert error["plain", 44] - error["plain", 20] > 10
    assert abs(error["residual", 44] - error["residual", 20]) < 2


def test_degradation_has_one_row_for_each_net_and_does_not_depend_on_the_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = degradation((8, 14), (0, 1), setting=BRIEF, workers=1, progress=False)
    monkeypatch.setattr(experiments, "get_context", lambda _: get_context("fork"))  # starts in no time
    there = degradation((8, 14), (0, 1), setting=BRIEF, workers=2, progress=False)
    assert [(row["net"], row["depth"], row["seed"]) for row in here] == [
        (net, depth, seed) for net in ("plain", "residual") for depth in (8, 14) for seed in (0, 1)
    ]
    assert here.rows == there.rows


def test_plain_and_residual_nets_differ_in_nothing_but_the_shortcuts() -> None:
    plain, residual = (
        make_model(replace(QUICK, model=name), digits()).state_dict() for name in ("cifar_plain20", "cifar20")
    )
    assert {name: value.shape for name, value in plain.items()} == {name: v.shape for name, v in residual.items()}


def test_with_batch_norm_the_gradient_of_a_plain_net_explodes_towards_the_input() -> None:
    ratio = first_over_last(gradients((8, 56), (0, 1, 2), batch_norm=(True,)))
    plain, residual = (ratio.where(net=net, depth=56)["ratio"] for net in ("plain", "residual"))
    assert min(plain) > 100
    assert max(residual) < 30
    assert max(ratio.where(depth=8)["ratio"]) < 10


def test_without_batch_norm_it_is_the_plain_nets_gradient_that_vanishes() -> None:
    table = gradients((56,), (0, 1), batch_norm=(False,))
    plain, residual = (table.where(net=net)["gradient"] for net in ("plain", "residual"))
    assert max(plain) < 1e-3
    assert min(residual) > 1


def test_gradients_are_those_of_the_loss() -> None:
    """Against a difference quotient along the gradient of the stem."""
    row = gradients((8,), (0,), batch_norm=(False,), width=4).where(net="plain", convolution=0).rows[0]
    data = digits()
    torch.manual_seed(0)
    model = experiments.cifar_resnet(8, in_channels=1, widths=(4, 8, 16), plain=True)
    experiments._remove_batch_norm_(model)
    model.double()
    mine = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))[:128]
    x, y = data.normalize(data.train.images[mine]).double(), data.train.labels[mine]
    loss = nn.functional.cross_entropy(model(x), y)
    (gradient,) = torch.autograd.grad(loss, model.conv1.weight)
    direction, small = gradient / gradient.norm(), 1e-6
    with torch.no_grad():
        model.conv1.weight += small * direction
        slope = (nn.functional.cross_entropy(model(x), y) - loss) / small
    assert row["gradient"] == pytest.approx(slope.item(), rel=1e-3)


def test_gradients_can_be_taken_after_some_steps() -> None:
    """After one step of SGD, against the same step by hand."""
    row = gradients((8,), (0,), batch_norm=(True,), steps=1, width=4).where(net="residual", convolution=0).rows[0]
    data = digits()
    torch.manual_seed(0)
    model = experiments.cifar_resnet(8, in_channels=1, widths=(4, 8, 16))
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    for mine in (order[:128], order[128:256]):
        loss = nn.functional.cross_entropy(model(data.normalize(data.train.images[mine])), data.train.labels[mine])
        slopes = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for weight, slope in zip(model.parameters(), slopes, strict=True):
                weight -= QUICK.lr * slope
    assert row["gradient"] == pytest.approx(slopes[0].norm().item(), rel=1e-3)


def test_the_slope_is_by_how_much_the_loss_changes_per_radian() -> None:
    """Against a difference quotient: turn the stem's weights, at their length, along their gradient."""
    row = gradients((8,), (0,), batch_norm=(True,), width=4).where(net="plain", convolution=0).rows[0]
    assert row["slope"] == pytest.approx(row["gradient"] * row["weight"])
    data = digits()
    torch.manual_seed(0)
    model = experiments.cifar_resnet(8, in_channels=1, widths=(4, 8, 16), plain=True).double()
    mine = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))[:128]
    x, y = data.normalize(data.train.images[mine]).double(), data.train.labels[mine]
    loss = nn.functional.cross_entropy(model(x), y)
    (gradient,) = torch.autograd.grad(loss, model.conv1.weight)
    weight, angle = model.conv1.weight.detach().clone(), 1e-6
    assert float((gradient * weight).sum()) == pytest.approx(0, abs=1e-3)  # batch norm: the length does not matter
    with torch.no_grad():
        across = gradient / gradient.norm() * weight.norm()
        model.conv1.weight.copy_(math.cos(angle) * weight + math.sin(angle) * across)
        slope = (nn.functional.cross_entropy(model(x), y) - loss) / angle
    assert row["slope"] == pytest.approx(slope.item(), rel=1e-3)


def test_held_norms_stay_and_are_let_go_afterwards() -> None:
    def norms(model: nn.Module) -> list[float]:
        return [room.weight.norm().item() for room in model.modules() if isinstance(room, nn.Conv2d)]

    torch.manual_seed(BRIEF.seed)
    begun = norms(make_model(BRIEF, digits()))
    with experiments.hold_norms():
        held = train(BRIEF, progress=False).model
    free = train(BRIEF, progress=False).model
    assert norms(held) == pytest.approx(begun, rel=1e-5)
    assert norms(free) != pytest.approx(begun, rel=1e-3)
    # Turned, not frozen.
    assert not torch.allclose(held.get_submodule("conv1").weight, make_model(BRIEF, digits()).conv1.weight, atol=1e-3)


def test_degradation_holds_the_norms_if_told(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = [], []

    def noted(config: Any, data: Any, **options: Any) -> Any:
        torch.manual_seed(config.seed)
        begun.append(make_model(config, data).conv1.weight.norm().item())
        run = train(config, data, **options)
        ended.append(run.model.conv1.weight.norm().item())
        return run

    monkeypatch.setattr(experiments, "train", noted)
    for held in (True, False):
        degradation((8,), (0,), nets=("residual",), held=held, setting=BRIEF, workers=1, progress=False)
    assert ended[0] == pytest.approx(begun[0], rel=1e-5)
    assert ended[1] != pytest.approx(begun[1], rel=1e-4)


def test_without_steps_the_weights_are_those_of_the_fresh_network() -> None:
    row = gradients((8,), (4,), batch_norm=(True,), width=4).where(net="residual", convolution=2).rows[0]
    torch.manual_seed(4)
    model = experiments.cifar_resnet(8, in_channels=1, widths=(4, 8, 16))
    assert row["weight"] == pytest.approx(model.layer1[0].conv2.weight.norm().item())


def test_the_gradient_of_processes_is_told_as_a_share_of_that_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def three_times(work: Any, arguments: tuple[int, str, int], nprocs: int) -> None:
        processes, folder, seed = arguments
        assert (work, processes, nprocs) == (experiments._one_share, 5, 5)
        found, data = {}, digits()
        for norm in ("frozen", "batch norm"):
            torch.manual_seed(seed)
            model = experiments.cifar_resnet(20, in_channels=1, widths=(8, 16, 32)).double().train(norm != "frozen")
            x = data.normalize(data.train.images[:64]).double()
            nn.functional.cross_entropy(model(x), data.train.labels[:64]).backward()
            found[norm] = 3 * torch.cat([weight.grad.flatten() for weight in model.parameters()])
        torch.save(found, Path(folder) / "gradients.pt")

    monkeypatch.setattr(experiments, "spawn", three_times)
    rows = experiments.split_batch(9, processes=5).rows
    assert [row["norm"] for row in rows] == ["frozen", "batch norm"]
    assert [row["difference"] for row in rows] == pytest.approx([2, 2])  # |3·g − g| = 2·|g|


def test_a_net_of_early_relus_differs_from_the_residual_one_in_the_order_only() -> None:
    config, data = replace(BRIEF, model="cifar14"), digits()
    early, late = experiments._make_early(config, data), make_model(config, data)
    assert list(early.state_dict()) == list(late.state_dict())
    early.load_state_dict(late.state_dict())
    blocks = [room for room in early.modules() if isinstance(room, experiments.EarlyReLU)]
    assert len(blocks) == 6
    with torch.no_grad():
        for block, other in zip(blocks, [room for room in late.modules() if type(room) is BasicBlock], strict=True):
            x = torch.rand(2, block.conv1.in_channels, 8, 8)
            block.eval(), other.eval()
            change = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))
            assert torch.equal(block(x), torch.relu(change) + block.downsample(x))
            assert torch.equal(other(x), torch.relu(change + block.downsample(x)))


def test_the_nets_stand_in_the_order_in_which_they_were_asked_for() -> None:
    table = degradation((8,), (0,), nets=("residual", "early ReLU"), setting=BRIEF, workers=1, progress=False)
    assert table["net"] == ["residual", "early ReLU"]
    assert table.rows[0]["train_error"] != table.rows[1]["train_error"]


def test_the_training_error_is_that_of_the_finished_net() -> None:
    [row] = degradation((8,), (0,), setting=BRIEF, workers=1, progress=False).where(net="residual")
    data = digits()
    model = train(replace(BRIEF, model="cifar8"), progress=False).model
    assert row["train_error"] == pytest.approx(evaluate(model, data, data.train)[1])
    assert row["test_error"] == pytest.approx(evaluate(model, data, data.test)[1])


def test_a_page_of_the_book_gets_no_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("RESNET_EDU_BOOK", raising=False)
    degradation((8,), (0,), setting=BRIEF, workers=1)
    assert "2/2" in capsys.readouterr().err
    monkeypatch.setenv("RESNET_EDU_BOOK", "1")
    degradation((8,), (0,), setting=BRIEF, workers=1)
    assert capsys.readouterr().err == ""


def test_removal_takes_out_every_block_that_keeps_its_shape() -> None:
    table = removal(14, (0,), setting=BRIEF, workers=1, progress=False)
    residual = table.where(net="residual")
    assert residual["removed"] == [None, "layer1.0", "layer1.1", "layer2.1", "layer3.1"]
    assert table.where(net="plain")["removed"] == residual["removed"]


def test_defaults_are_those_of_the_pages_and_the_command_is_run_as_a_module(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The paper trains for 64,000 steps of 128 images of CIFAR-10's 50,000: 164 epochs of 391 steps (section 4.2)."""
    assert experiments.FULL.epochs == round(64_000 / math.ceil(50_000 / 128))
    taken = inspect.signature(experiments.split_batch).parameters
    assert [option.default for option in taken.values()] == [0, 2]
    monkeypatch.setattr(sys, "argv", ["experiments", "split-batch", "--seed", "many"])
    monkeypatch.delitem(sys.modules, "resnet_edu.training.experiments")
    with pytest.raises(SystemExit):
        runpy.run_module("resnet_edu.training.experiments", run_name="__main__")
    assert "invalid int value: 'many'" in capsys.readouterr().err


def test_folders_for_the_rows_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "removal", lambda *_, **__: Results([{"net": "plain"}], "A table"))
    for _ in range(2):
        assert experiments.main(["removal", "--out", str(tmp_path / "some" / "folder" / "rows.jsonl")]) == 0
    assert json.loads((tmp_path / "some/folder/rows.jsonl").read_text()) == {"net": "plain"}


def test_what_is_tested_again_has_one_block_less(monkeypatch: pytest.MonkeyPatch) -> None:
    tested = []

    def note(model: nn.Module, *_: Any, **__: Any) -> tuple[float, float]:
        tested.append([name for name, room in model.named_modules() if isinstance(room, nn.Identity)])
        return 2.3, 90.0

    monkeypatch.setattr(experiments, "evaluate", note)
    rows = experiments._train_and_remove("residual", 14, replace(BRIEF, model="cifar14"))
    blocks = [[name for name in names if name.count(".") == 1] for names in tested]
    assert blocks == [[row["removed"]] for row in rows[1:]] != []


def test_the_whole_network_stands_first_with_the_error_of_its_last_epoch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def and_one_more(*args: Any, **options: Any) -> Any:
        run = train(*args, **options)
        run.history += [{"test_error": 12.5}, {"test_error": 7.5}]
        return run

    monkeypatch.setattr(experiments, "train", and_one_more)
    for work, options in ((experiments._train_one, (False,)), (experiments._train_and_remove, ())):
        made = work("residual", 8, replace(BRIEF, model="cifar8"), *options)
        whole = made[0] if isinstance(made, list) else made
        assert whole["test_error"] == 7.5
    assert capsys.readouterr().err == ""  # the bar of a net would tear that of the nets


def test_a_trained_residual_net_survives_the_loss_of_a_block_better_than_a_plain_one() -> None:
    table = removal(20, (0,), setting=replace(QUICK, epochs=3), workers=1, progress=False)
    lost = {net: [row["test_error"] for row in table.where(net=net) if row["removed"]] for net in ("plain", "residual")}
    assert sum(lost["plain"]) / len(lost["plain"]) > sum(lost["residual"]) / len(lost["residual"]) + 10


class Jobs:
    """Takes the place of the processes: notes what they would do, and answers in another order."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answer = answer

    def __call__(self, work: Any, jobs: Sequence[Any], workers: int, progress: bool | None) -> list[Any]:
        self.asked = [(work, workers, progress), *jobs]
        return [self.answer(*job) for job in reversed(jobs)]


def test_degradation_asks_for_every_net_the_deep_ones_first_and_sorts_what_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = Jobs(lambda net, depth, config, held: {"net": net, "depth": depth, "seed": config.seed})
    monkeypatch.setattr(experiments, "_in_processes", jobs)
    table = degradation((8, 20, 14), (5, 3, 4), nets=("residual", "early ReLU", "plain"), held=True, workers=7)
    about, *asked = jobs.asked
    assert about == (experiments._train_one, 7, None)
    assert asked == [
        (net, depth, replace(experiments.MANY, model=f"{name}{depth}", seed=seed), True)
        for depth in (20, 14, 8)
        for seed in (5, 3, 4)
        for net, name in (("residual", "cifar"), ("early ReLU", "cifar"), ("plain", "cifar_plain"))
    ]
    assert [tuple(row.values()) for row in table] == [
        (net, depth, seed) for net in ("residual", "early ReLU", "plain") for depth in (8, 14, 20) for seed in (3, 4, 5)
    ]
    assert table.caption == "Errors in %"


def test_removal_asks_for_both_nets_of_every_seed_and_keeps_the_blocks_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocks = (None, "layer2.0", "layer1.1")
    jobs = Jobs(lambda net, depth, config: [{"net": net, "seed": config.seed, "removed": block} for block in blocks])
    monkeypatch.setattr(experiments, "_in_processes", jobs)
    table = removal(14, (5, 3, 4), workers=7, progress=False)
    about, *asked = jobs.asked
    assert about == (experiments._train_and_remove, 7, False)
    assert asked == [
        (net, 14, replace(QUICK, model=f"{name}14", seed=seed))
        for seed in (5, 3, 4)
        for net, name in (("plain", "cifar_plain"), ("residual", "cifar"))
    ]
    assert [tuple(row.values()) for row in table] == [
        (net, seed, block) for net in ("plain", "residual") for seed in (3, 4, 5) for block in blocks
    ]
    assert table.caption == "Test error in %, with one block taken out"


def test_unless_something_else_is_said_the_experiments_are_those_of_the_book(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (QUICK.data, QUICK.widths, QUICK.epochs, QUICK.lr, QUICK.threads) == ("digits", (8, 16, 32), 15, 0.03, 1)
    assert replace(QUICK, epochs=12, channels_last=True) == experiments.MANY
    assert experiments.PAPER == {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43}
    jobs = Jobs(lambda net, depth, config, held: {"net": net, "depth": depth, "seed": config.seed})
    monkeypatch.setattr(experiments, "_in_processes", jobs)
    assert len(degradation()) == 2 * 4 * 3
    assert jobs.asked[0] == (experiments._train_one, 2, None)
    assert {job[1] for job in jobs.asked[1:]} == {20, 32, 44, 56}
    assert {(job[2].epochs, job[2].channels_last, job[3]) for job in jobs.asked[1:]} == {(12, True, False)}
    assert {job[2].seed for job in jobs.asked[1:]} == {0, 1, 2}
    jobs = Jobs(lambda net, depth, config: [{"net": net, "seed": config.seed, "depth": depth}])
    monkeypatch.setattr(experiments, "_in_processes", jobs)
    assert [tuple(row.values()) for row in removal()] == [
        (net, n, 20) for net in ("plain", "residual") for n in range(3)
    ]
    assert jobs.asked[0] == (experiments._train_and_remove, 2, None)
    assert {(job[2].epochs, job[2].channels_last) for job in jobs.asked[1:]} == {(15, False)}
    taken = {name: choice.default for name, choice in inspect.signature(gradients).parameters.items()}
    assert taken == {
        "depths": (8, 20, 56, 110), "seeds": (0, 1, 2, 3, 4), "batch_norm": (True, False), "steps": 0, "width": 8,
    }  # fmt: skip


def test_one_row_of_gradients_for_each_convolution_of_each_net() -> None:
    table = gradients((8,), (0, 4), width=2)
    assert table.caption == "Gradients of the 3×3 convolutions"
    assert [tuple(row.values())[:5] for row in table] == [
        (net, normed, 8, seed, number)
        for seed in (0, 4)
        for net in ("plain", "residual")
        for normed in (True, False)
        for number in range(7)
    ]
    assert list(table.rows[0]) == ["net", "batch_norm", "depth", "seed", "convolution", "gradient", "weight", "slope"]
    ends = first_over_last(table)
    assert ends.caption == "Gradient of the first convolution over that of the last"
    assert len(ends) == 8
    for number, row in enumerate(ends):
        of_one = table.rows[7 * number : 7 * number + 7]
        assert row == {name: of_one[0][name] for name in ("net", "batch_norm", "depth", "seed")} | {
            "ratio": of_one[0]["gradient"] / of_one[-1]["gradient"]
        }


def test_the_paper_stands_only_beside_rows_that_were_computed() -> None:
    rows = [
        {"net": net, "depth": depth, "seed": 0, "train_error": 1.0, "test_error": 9.0}
        for net in ("plain", "residual")
        for depth in (20, 26)
    ]
    assert beside_the_paper(Results(rows))["paper's test error"] == [None, None, 8.75, None]


def test_the_full_version_is_the_papers_setting() -> None:
    full = experiments.FULL
    assert (full.data, full.batch, full.lr, full.weight_decay, full.momentum) == ("cifar10", 128, 0.1, 1e-4, 0.9)
    assert (full.schedule, full.augment, full.widths) == ("step", "crop-flip", None)
    assert full.epochs * (50_000 // full.batch) == pytest.approx(64_000, rel=0.01)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="6n"):
        degradation((21,), (0,))
    with pytest.raises(ValueError, match="early ReLU"):
        degradation((8,), (0,), nets=("dense",))
    for workers in (0, True, 1.5):
        with pytest.raises(ValueError, match=f"workers must be a whole number of at least 1, got {workers}"):
            degradation((8,), (0,), workers=workers)
    with pytest.raises(ValueError, match="processes must be a whole number of at least 1, got 0"):
        split_batch(processes=0)


# The command


def test_the_command_prints_the_table_and_keeps_the_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "rows.jsonl"
    for _ in range(2):  # the second time in the place of the first
        assert experiments.main(["gradients", "--depths", "8", "--seeds", "0", "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 4
    printed = capsys.readouterr().out.splitlines()
    assert [name.strip() for name in printed[1].split("│")] == ["net", "batch_norm", "depth", "seed", "ratio"]
    assert len(printed) == 2 * 7


LINES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("degradation", ((20, 32, 44, 56), [0, 1, 2]), {"workers": 2}),
    ("degradation --depths 8 14 --seeds 5 --workers 1", ([8, 14], [5]), {"workers": 1}),
    ("degradation --workers 0", ((20, 32, 44, 56), [0, 1, 2]), {"workers": 0}),
    (
        "degradation --full --root here --url there",
        ((20, 32, 44, 56, 110), [0, 1, 2]),
        {"setting": replace(experiments.FULL, root="here", url="there"), "workers": 1},
    ),
    (
        "degradation --full --depths 20 --seeds 3 --workers 4",
        ([20], [3]),
        {"setting": experiments.FULL, "workers": 4},
    ),
    ("gradients", ((8, 20, 56, 110), [0, 1, 2]), {}),
    ("gradients --depths 8 --seeds 4", ([8], [4]), {}),
    ("removal", (20, [0, 1, 2]), {"workers": 2}),
    ("removal --depth 14 --seeds 5 --workers 3", (14, [5]), {"workers": 3}),
    ("split-batch", (0, 2), {}),
    ("split-batch --seed 3 --processes 4", (3, 4), {}),
]


@pytest.mark.parametrize(("line", "arguments", "options"), LINES)
def test_the_command_hands_on_what_it_was_told(
    monkeypatch: pytest.MonkeyPatch, line: str, arguments: Any, options: Any
) -> None:
    asked = []

    def experiment(*given: Any, **named: Any) -> Results:
        asked.append((given, named))
        return Results([])

    monkeypatch.setattr(experiments, line.split()[0].replace("-", "_"), experiment)
    assert experiments.main(line.split()) == 0
    assert asked == [(arguments, options)]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("gradients --full", "unrecognized arguments: --full"),
        ("gradients --workers 4", "unrecognized arguments: --workers 4"),
        ("gradients --root x", "unrecognized arguments: --root x"),
        ("removal --depths 8 14", "unrecognized arguments: --depths 8 14"),
        ("removal --work 2", "unrecognized arguments: --work 2"),
        ("split-batch --seeds 1", "unrecognized arguments: --seeds 1"),
        ("degradation --root x", "only degradation --full trains on"),
        ("degradation --url x", "only degradation --full trains on"),
        ("", "arguments are required: experiment"),
    ],
)
def test_an_option_that_means_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, told: str
) -> None:
    monkeypatch.setattr(experiments, "_run", lambda _: pytest.fail("it computes"))
    with pytest.raises(SystemExit) as caught:
        experiments.main(line.split())
    assert caught.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("gradients --depths 9", "error: a CIFAR ResNet has 6n + 2 layers"),
        ("degradation --workers 0", "error: workers must be a whole number of at least 1, got 0"),
        ("gradients --out {file}/rows", "error: "),
    ],
)
def test_what_cannot_work_is_told_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, told: str
) -> None:
    (tmp_path / "file").touch()
    assert experiments.main(line.format(file=tmp_path / "file").split()) == 1
    error = capsys.readouterr().err
    assert error.startswith(told)
    assert error.count("\n") == 1


def test_the_file_is_opened_before_and_written_before_the_table_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "rows.jsonl"
    out.write_text("earlier rows\n")

    def experiment(*_: Any, **__: Any) -> Results:
        assert out.read_text() == "earlier rows\n"
        raise ValueError("it fails")

    monkeypatch.setattr(experiments, "removal", experiment)
    assert experiments.main(["removal", "--out", str(out)]) == 1
    assert out.read_text() == "earlier rows\n"

    class Unprintable(Results):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "removal", lambda *_, **__: Unprintable([{"net": "plain"}]))
    with pytest.raises(KeyboardInterrupt):
        experiments.main(["removal", "--out", str(out)])
    assert out.read_text() == '{"net": "plain"}\n'

    monkeypatch.setattr(experiments, "removal", lambda *_, **__: pytest.fail("it computed first"))
    assert experiments.main(["removal", "--out", str(tmp_path)]) == 1


def test_a_terminal_without_signs_gets_the_table_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr(experiments, "removal", lambda *_, **__: Results([{"net": "plain", "error": "40 ± 2"}]))
    assert experiments.main(["removal"]) == 0
    screen.flush()
    assert b"40 ? 2" in screen.buffer.getvalue()


def test_a_script_without_its_main_line_is_told_what_it_needs(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from resnet_edu.training import experiments\nexperiments.degradation((8,), (0,), workers=2, progress=False)\n"
    )
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert "below the line 'if __name__ == \"__main__\":'" in last
    assert "or pass workers=1" in last


# The table itself


def test_columns_stand_under_their_headings_with_numbers_to_the_right() -> None:
    table = Results([{"net": "plain", "error": 40.0}, {"net": "residual", "error": 1234.5}])
    rows = [[cell.strip() for cell in row.split("│")] for row in str(table).splitlines() if "│" in row]
    assert rows == [["net", "error"], ["plain", "40.0"], ["residual", "1,234"]]
    assert str(table).splitlines()[-2].endswith("  40.0")


def test_numbers_of_one_column_are_written_alike_however_large_or_small() -> None:
    values = [7_054_321.0, 1698.2, -1698.2, 999.7, 0.0314, 3.14e-17, 2.5e15, 0.0, float("nan")]
    written = [line.strip() for line in str(Results([{"ratio": value} for value in values])).splitlines()[3:]]
    assert written == ["7,054,321", "1,698", "-1,698", "1,000", "0.0314", "3.14·10⁻¹⁷", "2.50·10¹⁵", "0", "nan"]


def test_where_takes_the_rows_that_match_every_column() -> None:
    table = Results([{"net": net, "seed": seed} for net in ("plain", "residual") for seed in (0, 1)])
    assert table.where(net="plain", seed=1).rows == [{"net": "plain", "seed": 1}]


def test_different_values_keep_their_order() -> None:
    assert Results([{"depth": 20}, {"depth": 8}, {"depth": 20}]).unique("depth") == [20, 8]


def test_a_table_shows_every_value_and_escapes_html() -> None:
    table = Results([{"net": "<b>", "error": 1.25}, {"net": "plain", "error": None}])
    page = table._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert page.count("</tr>") == 3
    assert "1.25" in page
    assert "None" not in page
    assert str(Results([])) == "(no rows)"


def test_a_summary_keeps_all_values_and_takes_the_middle_one() -> None:
    rows = [{"net": "plain", "seed": seed, "error": error} for seed, error in enumerate((40.0, 18.0, 32.0))]
    assert Results(rows).summary("error", by=("net",)).rows == [
        {"net": "plain", "every run": "40.0 · 18.0 · 32.0", "median": 32}
    ]


def test_after_a_failure_no_other_net_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    class Pool:
        def __init__(self, workers: int, mp_context: object) -> None:
            calls.append(workers)

        def submit(self, work: object, *job: object) -> "Future[int]":
            future: Future[int] = Future()
            future.set_exception(ValueError("no such job")) if job == (3,) else future.set_result(1)
            return future

        def shutdown(self, wait: bool = True, cancel_futures: bool = False) -> None:
            calls.append((wait, cancel_futures))

    monkeypatch.setattr(experiments, "ProcessPoolExecutor", Pool)
    with pytest.raises(ValueError, match="no such job"):
        experiments._in_processes(len, [(1,), (3,), (2,)], 2, progress=False)
    assert experiments._in_processes(len, [(1,), (2,)], 8, progress=False) == [1, 1]
    assert calls == [2, (True, True), 2, (True, True)]
