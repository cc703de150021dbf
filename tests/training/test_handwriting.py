"""The command behind the live network: what it redraws, how it packs one byte a weight, and what it writes."""

import base64
import inspect
import json
import math
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_hook

from resnet_edu import programs
from resnet_edu.training import handwriting


def network() -> nn.Module:
    return programs.network("original", handwriting.LAYERS, handwriting.WIDTHS)


def test_the_test_images_are_by_writers_of_whom_none_taught_it() -> None:
    counts, labels = handwriting.digits_by_writer()
    assert (counts.shape, len(labels), handwriting.CUT) == ((1797, 1, 8, 8), 1797, 1415)
    mean, deviation = handwriting.statistics(counts)
    taught = counts[:1415] / 16
    assert (mean, deviation) == pytest.approx((taught.mean().item(), taught.std().item()))


def test_accuracy_is_the_share_that_is_right_in_eval_mode_on_scaled_counts() -> None:
    counts, _ = handwriting.digits_by_writer()
    mean, deviation = handwriting.statistics(counts)
    seen = []

    class Nearest(nn.Module):
        """Knows the answers to the first of ten."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append((self.training, x))
            return F.one_hot(torch.arange(len(x)) % 10, 10)

    model = Nearest().train()
    told = torch.tensor([0, 1, 2, 9, 9])
    assert handwriting.accuracy(model, counts[:5], told) == pytest.approx(60)
    assert model.training
    assert not seen[0][0]
    torch.testing.assert_close(seen[0][1], (counts[:5] / 16 - mean) / deviation)
    handwriting.accuracy(model.eval())
    assert not model.training
    torch.testing.assert_close(seen[1][1], (counts[1415:] / 16 - mean) / deviation)
    with pytest.raises(ValueError, match="counts came without labels; pass both, or none for the test digits"):
        handwriting.accuracy(model, counts[:5])
    with pytest.raises(ValueError, match="labels came without counts"):
        handwriting.accuracy(model, labels=told)


def test_distances_are_positive_inside_of_the_ink_and_grow_away_from_the_outline() -> None:
    pixels = torch.zeros(3, 1, 32, 32)
    pixels[0, 0, 10:15, 10:15] = 1
    pixels[1] = 1
    inside, full, empty = handwriting.signed_distances(pixels)[:, 0]
    assert inside[12, 9:16].tolist() == [-1, 1, 2, 3, 2, 1, -1]
    assert inside[12, 20].item() == -6
    assert (full > 0).all()
    assert (empty == -32).all()


def test_a_digit_that_is_redrawn_is_the_digit_moved_a_little() -> None:
    torch.manual_seed(0)
    pixels = torch.zeros(400, 1, 32, 32)
    pixels[:, 0, 6:26, 10:22] = 1
    distances = handwriting.signed_distances(pixels)
    drawn = handwriting.redrawn(distances)[:, 0]
    plain = F.avg_pool2d(pixels[:1], 4)[0, 0] * 16
    assert drawn.shape == (400, 8, 8)
    assert drawn.min() == 0
    assert drawn.max() == 16
    assert (drawn.mean(0) - plain).abs().max() < 5  # on average where it was
    assert drawn.mean().item() == pytest.approx(plain.mean().item(), rel=0.12)
    columns, rows = torch.arange(8.0), torch.arange(8.0)[:, None]
    ink = drawn.sum((1, 2))
    x, y = (drawn * columns).sum((1, 2)) / ink, (drawn * rows).sum((1, 2)) / ink
    assert (x.mean().item(), y.mean().item()) == pytest.approx((3.5, 3.5), abs=0.1)
    # By up to 2 of 32 pixels sideways and 1 up or down, in cells of 4, and what the turns add.
    assert 0.2 < x.std().item() < 0.5
    assert 0.1 < y.std().item() < 0.3
    lean = (drawn * (columns - x[:, None, None]) * (rows - y[:, None, None])).sum((1, 2)) / ink
    assert lean.mean().item() == pytest.approx(0, abs=0.08)
    assert 0.3 < lean.std().item() < 0.9
    assert 0.1 < (ink.std() / ink.mean()).item() < 0.35  # thicker or thinner
    handwriting.redrawn(distances[:3])  # of any number


def test_what_is_packed_is_the_network_folded_to_a_byte_a_weight(scramble) -> None:
    model = scramble(network()).eval()
    packed = handwriting.compact(model)
    x = torch.randn(64, 1, 8, 8)
    for name, room in model.named_modules():
        if isinstance(room, nn.Conv2d):
            weight = packed[f"{name}.weight"]
            assert weight.dtype == torch.int8
            assert weight.abs().amax((1, 2, 3)).eq(127).all()  # each filter uses the whole byte
            largest = room.weight.detach().abs().amax((1, 2, 3), keepdim=True)
            torch.testing.assert_close(
                weight * largest / 127, room.weight.detach(), atol=largest.max().item() / 250, rtol=0
            )
    assert torch.equal(packed["fc.weight"], model.fc.weight)
    assert torch.equal(packed["fc.bias"], model.fc.bias)
    again = handwriting.unpack(packed)
    assert not again.training
    with torch.no_grad():
        theirs, ours = model(x), again(x)
    assert (theirs - ours).abs().max() < 0.1 * theirs.std()
    assert (theirs - ours).abs().mean() < 0.02 * theirs.std()


def test_a_filter_of_zeros_and_a_channel_that_hardly_varies_are_packed_too(scramble) -> None:
    model = scramble(network()).eval()
    with torch.no_grad():
        model.conv1.weight[0] = 0
        model.bn1.running_var[1] = 2e-6  # below the ε of the norm
        model.conv1.weight[1] *= 1e-3
        largest = model.conv1.weight.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
        model.conv1.weight.copy_((model.conv1.weight / largest * 127).round() / 127 * largest)  # nothing left to round
    again = handwriting.unpack(handwriting.compact(model))
    x = torch.randn(64, 1, 8, 8)
    with torch.no_grad():
        theirs, ours = model.bn1(model.conv1(x)), again.bn1(again.conv1(x))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_script_holds_every_number_in_the_order_that_it_names() -> None:
    model = network().eval()
    packed = handwriting.compact(model)
    for name, part in (("residual", "weights"), ("plain", "weights-plain")):
        text = handwriting.script(name, model, {"test": 98.5})
        assert f'net.part("{part}"' in text
        assert f'(net.TRAINED ??= {{}}).{name} = {{"test": 98.5}};' in text
        assert f"(net.WEIGHTS ??= {{}}).{name} = {{" in text
        tensors = json.loads(text.partition("tensors: ")[2].partition(",\n")[0])
        raw = base64.b64decode(text.partition('bytes: "')[2].partition('"')[0])
        at = 0
        for (key, shape, kind), value in zip(tensors, packed.values(), strict=True):
            size = math.prod(shape) * {"int8": 1, "float32": 4}[kind]
            here = torch.frombuffer(bytearray(raw[at : at + size]), dtype=getattr(torch, kind)).reshape(shape)
            assert torch.equal(here, value), key
            at += size
        assert at == len(raw)


def test_the_shipped_network_is_found_by_its_name() -> None:
    residual, plain = handwriting.shipped(), handwriting.shipped("plain")
    x = torch.randn(4, 1, 8, 8)
    assert (residual.training, plain.training) == (False, False)
    assert not torch.equal(residual.conv1(x), plain.conv1(x))
    for model, file in ((residual, "weights.js"), (plain, "weights-plain.js")):
        told = re.search(r'"test": ([\d.]+)', (handwriting.SCRIPTS / file).read_text(encoding="utf-8"))
        assert round(handwriting.accuracy(model), 1) == pytest.approx(float(told[1]), abs=0.3)
    with pytest.raises(ValueError, match="which must be one of 'residual', 'plain', got 'other'"):
        handwriting.shipped("other")


def test_the_command_trains_both_from_its_options_and_writes_them_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def train(epochs: int, seed: int, *, plain: bool) -> nn.Module:
        asked.append((epochs, seed, plain))
        torch.manual_seed(plain)
        return programs.network("plain" if plain else "original", handwriting.LAYERS, handwriting.WIDTHS).eval()

    monkeypatch.setattr(handwriting, "train_handwriting", train)
    monkeypatch.setattr(handwriting, "drawn", lambda count, seed: (torch.zeros(9, 1, 8, 8), torch.full((9,), seed)))
    assert handwriting.main(["--epochs", "3", "--seed", "5", "--out", str(tmp_path)]) == 0
    assert asked == [(3, 5, False), (3, 5, True)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["weights-plain.js", "weights.js"]
    for name in ("weights", "weights-plain"):
        text = (tmp_path / f"{name}.js").read_text(encoding="utf-8")
        assert "python -m resnet_edu.training.handwriting --epochs 3 --seed 5" in text
        assert "images 0 to 1414 of load_digits()" in text
    handwriting.main(["--out", str(tmp_path)])
    assert asked[2:] == [(60, 0, False), (60, 0, True)]
    assert "residual" in capsys.readouterr().out


def test_one_seed_redraws_the_same_in_every_version() -> None:
    """The shipped network was taught by these; a pixel here and there may fall to the other side of an outline."""
    counts, _ = handwriting.digits_by_writer()
    pixels = handwriting.bitmaps(counts[:60])
    place = torch.arange(1024.0).view(32, 32)
    whole = [145397, 163025, 185553, 135894, 150198, 176225, 177957, 123274, 191889, 157930]
    assert (pixels[:10, 0] * place).sum((1, 2)).tolist() == pytest.approx(whole, rel=2e-3)
    torch.manual_seed(0)
    drawn = handwriting.redrawn(handwriting.signed_distances(pixels))[:20, 0]
    ink = [275, 269, 375, 267, 309, 286, 237, 282, 423, 364, 263, 312, 193, 238, 329, 349, 335, 285, 173, 248]
    cells = [
        8610, 8829, 12616, 8924, 10775, 9625, 8402, 7810, 14419, 10689, 8001, 9878, 6867, 7204, 10822, 9738, 13016,
        8799, 5011, 8722,
    ]  # fmt: skip
    assert drawn.sum((1, 2)).tolist() == pytest.approx(ink, abs=3)
    assert (drawn * torch.arange(64.0).view(8, 8)).sum((1, 2)).tolist() == pytest.approx(cells, abs=130)


def test_it_is_trained_as_the_shipped_one_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twelve epochs of a hundred digits, of which 64 are used at a time: how far each part has gone from its start."""
    monkeypatch.setattr(handwriting, "CUT", 100)
    sizes = []

    def look(module: nn.Module, args: tuple[torch.Tensor], _: object) -> None:
        if isinstance(module, nn.Linear) and module.training:
            sizes.append(len(args[0]))

    torch.manual_seed(5)  # the seed that counts is the one that is asked for
    with register_module_forward_hook(look):
        model = handwriting.train_handwriting(12, 0)
    assert sizes == [64] * 12
    torch.manual_seed(0)
    start = network()
    gone = [
        (a - b).norm().item() for (name, a), b in zip(model.named_parameters(), start.parameters(), strict=True)
        if name in ("conv1.weight", "fc.weight", "fc.bias", "bn1.weight")
    ]  # fmt: skip
    assert gone == pytest.approx([0.43784, 0.08857, 0.85496, 0.06938], rel=0.01)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("epoch 10: loss ")
    assert not model.training


def test_a_norm_that_is_unpacked_scales_and_shifts_and_does_nothing_else(scramble) -> None:
    again = handwriting.unpack(handwriting.compact(scramble(network()).eval()))
    norms = [room for room in again.modules() if isinstance(room, nn.BatchNorm2d)]
    assert len(norms) == 13
    for norm in norms:
        ones = torch.ones(1, norm.num_features, 1, 1, dtype=torch.float64)
        scale, shift = norm.weight.double(), norm.bias.double()
        with torch.no_grad():
            answers = [norm.double()(value * ones).flatten() for value in (0, 1)]
        torch.testing.assert_close(answers[0], shift, rtol=1e-6, atol=0)
        torch.testing.assert_close(answers[1] - answers[0], scale, rtol=1e-6, atol=0)  # ε is 1e-5


def test_what_is_told_of_a_network_is_measured_on_the_same_drawings_before_and_after_rounding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """600 drawings of seed 1, of whatever seed the network is; 382 digits by other writers."""
    asked, measured = [], []

    def drawn(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append((count, seed))
        return torch.zeros(count, 1, 8, 8), torch.zeros(count, dtype=torch.long)

    def accuracy(model: nn.Module, counts: torch.Tensor | None = None, labels: torch.Tensor | None = None) -> float:
        rounded = any((room.running_mean == 0).all() for room in model.modules() if isinstance(room, nn.BatchNorm2d))
        measured.append((rounded, None if counts is None else len(counts)))
        return 10.26 + len(measured)

    trained = network().eval()
    with torch.no_grad():
        for room in trained.modules():
            if isinstance(room, nn.BatchNorm2d):
                room.running_mean.fill_(0.1)
    monkeypatch.setattr(handwriting, "train_handwriting", lambda *_, **__: trained)
    monkeypatch.setattr(handwriting, "drawn", drawn)
    monkeypatch.setattr(handwriting, "accuracy", accuracy)
    handwriting.main(["--seed", "7", "--epochs", "2", "--out", str(tmp_path)])
    assert asked == [(600, 1)] * 4
    assert measured == [(True, None), (True, 600), (False, None), (False, 600)] * 2
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[0] for line in told] == ["residual", "plain"]
    assert told[0].endswith("'test': 11.3, 'drawn': 12.3} before rounding: (13.26, 14.26)")
    assert '"test": 15.3, "drawn": 16.3}' in (tmp_path / "weights-plain.js").read_text(encoding="utf-8")


def test_the_command_is_run_as_a_module_and_trains_for_60_epochs_from_seed_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = inspect.signature(handwriting.train_handwriting).parameters
    assert {name: option.default for name, option in taken.items()} == {
        "epochs": 60, "seed": 0, "plain": False, "progress": True,
    }  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["handwriting", "--epochs", "many"])
    monkeypatch.delitem(sys.modules, "resnet_edu.training.handwriting")
    with pytest.raises(SystemExit):
        runpy.run_module("resnet_edu.training.handwriting", run_name="__main__")
    assert "invalid int value: 'many'" in capsys.readouterr().err
