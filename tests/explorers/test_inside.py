"""The network that the live page ships: how well it reads, and that the page and PyTorch agree whatever is changed."""

import statistics
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import torch
from test_net import in_engine
from torch import nn

from resnet_edu.training import handwriting, strokes
from resnet_edu.training.handwriting import shipped

NAMES = [f"layer{layer}.{block}" for layer in (1, 2, 3) for block in (0, 1)]


def changed(model: nn.Module, changes: dict[str, Any]) -> nn.Module:
    """The same changes by hooks."""
    rooms = dict(model.named_modules())
    for name, factor in changes.get("branch", {}).items():
        if "shortcut" in rooms[name]._modules:
            rooms[f"{name}.branch"].register_forward_hook(lambda _, __, out, f=factor: f * out)
        else:
            rooms[name].register_forward_hook(lambda _, x, __: x[0])
    for name, factor in changes.get("shortcut", {}).items():
        rooms[f"{name}.shortcut"].register_forward_hook(lambda _, __, out, f=factor: f * out)
    for name, channel in changes.get("zero", {}).items():

        def hook(_, __, out, channel=channel):
            out = out.clone()
            out[:, channel] = 0
            return out

        rooms[name].register_forward_hook(hook)
    if changes.get("swap"):
        layer = model.layer1
        model.layer1 = nn.Sequential(layer[1], layer[0])
    return model


CHANGES: list[dict[str, Any]] = [
    {},
    *({"branch": {name: 0}} for name in NAMES),
    *({"shortcut": {name: 0}} for name in NAMES),
    {"branch": dict.fromkeys(NAMES, 0)},
    {"branch": {"layer1.1": 2, "layer3.0": 0.5}, "shortcut": {"layer2.1": 0.5}},
    {"zero": {"layer1.0": 3}},
    {"zero": {"layer2.0": 15, "layer3.1": 0}, "branch": {"layer1.1": 0}},
    {"swap": True},
]


def test_accuracy_under_every_change_is_pytorchs():
    (answer,) = in_engine(("inside", {"which": "residual", "changes": CHANGES}))
    for changes, ours in zip(CHANGES, answer["accuracies"], strict=True):
        assert ours == pytest.approx(handwriting.accuracy(changed(shipped(), changes)), abs=0.3), changes
    assert len(set(answer["accuracies"])) > 10
    plain = [{}, *({"branch": {name: 0}} for name in ("layer1.0", "layer1.1", "layer2.1", "layer3.1"))]
    (answer,) = in_engine(("inside", {"which": "plain", "changes": plain}))
    for changes, ours in zip(plain, answer["accuracies"], strict=True):
        assert ours == pytest.approx(handwriting.accuracy(changed(shipped("plain"), changes)), abs=0.3), changes


def test_one_image_gives_pytorchs_maps_scores_and_occlusion():
    counts, _ = handwriting.digits_by_writer()
    mean, deviation = handwriting.statistics(counts)
    some = counts[handwriting.CUT :][:9]
    (answer,) = in_engine(("inside", {"which": "residual", "counts": some.flatten(1).tolist()}))
    model = shipped()
    maps: list[torch.Tensor] = []
    for name in NAMES:
        model.get_submodule(name).register_forward_hook(lambda _, __, out: maps.append(out[0].flatten()))
    with torch.no_grad():
        shares = model((some / 16 - mean) / deviation).softmax(1)
        covered = some[:1].repeat(64, 1, 1, 1).flatten(1)
        covered[torch.arange(64), torch.arange(64)] = 0
        scores = model((torch.cat([some[:1], covered.view(64, 1, 8, 8)]) / 16 - mean) / deviation)[:, 0]
    assert np.allclose(answer["shares"], shares, atol=1e-4)
    for ours, theirs in zip(answer["maps"][0], maps, strict=False):
        assert np.allclose(ours, theirs, atol=1e-3)
    assert np.allclose(answer["occlusion"][0], scores[1:] - scores[0], atol=1e-3)


def test_it_reads_writers_it_never_saw_and_simulated_drawings():
    model = shipped()
    assert handwriting.accuracy(model) >= 98.5
    # Other drawings than those that the command measured.
    counts, labels = handwriting.drawn(600, 7)
    assert handwriting.accuracy(model, counts, labels) >= 92
    (answer,) = in_engine(("inside", {"which": "residual", "changes": [{}]}))
    assert answer["told"]["test"] == pytest.approx(answer["accuracies"][0], abs=0.1)
    assert len({drawing.style for drawing in strokes.drawings(600, 7)}) >= 20


def test_drawings_become_the_same_numbers_in_the_page():
    made = strokes.drawings(40, 3)
    made_strokes = [[line.tolist() for line in drawing.strokes] for drawing in made]
    made_strokes += [[[[5, 5]]], [[[0, 0], [9, 0]]], [[[1, 1], [1, 1]]]]
    (ours, nothing) = in_engine(("prepare", {"drawings": made_strokes}), ("prepare", {"drawings": [[], [[]]]}))
    theirs = [strokes.prepare(each).counts.flatten().tolist() for each in made_strokes]
    assert ours == theirs
    assert nothing == [None, None]
    with pytest.raises(ValueError, match="nothing was drawn"):
        strokes.prepare([[]])


def test_a_drawing_is_upright_as_high_as_the_map_and_has_the_ink_of_a_digit():
    ink = defaultdict(list)
    for drawing in strokes.drawings(200, 5):
        bitmap = strokes.prepare(drawing.strokes).bitmap
        rows = np.flatnonzero(bitmap.any(1))
        assert rows[0] <= 1
        assert rows[-1] >= 30
        ink[drawing.digit].append(int(bitmap.sum()))
    medians = [statistics.median(values) for values in ink.values()]
    assert min(medians) > 300
    assert max(medians) < 326
    # A slanted stroke stands up, and where it was drawn does not matter.
    leaning = strokes.prepare([[(40, 0), (10, 100)]])
    assert (leaning.counts == strokes.prepare([[(3, 0), (3, 7)]]).counts).all()
