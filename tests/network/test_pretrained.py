"""torchvision's weights, without a network: torch.hub's own download and checksum run on a file of ours."""

import copy
import hashlib
import re
from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision.models import ResNet18_Weights, ResNet34_Weights, ResNet50_Weights, get_model_weights, resnet50

from resnet_edu import pretrained, zoo
from resnet_edu.blocks import BasicBlock
from resnet_edu.counting.recipes import recipe
from resnet_edu.resnet import ResNet

NARROW = {"widths": (2, 4, 4, 4)}


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    """An empty torch.hub folder."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def served(tmp_path, monkeypatch, checkpoints, scramble):
    """A narrow ResNet-18 whose weights lie where ResNet18_Weights.DEFAULT points, named after their hash."""
    model = scramble(ResNet(BasicBlock, [2, 2, 2, 2], **NARROW))
    # As in older files: no counts of batches.
    state = {key: value for key, value in model.state_dict().items() if "num_batches" not in key}
    torch.save(state, tmp_path / "weights.pth")
    digest = hashlib.sha256((tmp_path / "weights.pth").read_bytes()).hexdigest()
    file = (tmp_path / "weights.pth").rename(tmp_path / f"resnet18-{digest[:8]}.pth")
    monkeypatch.setattr(ResNet18_Weights.DEFAULT.value, "url", file.as_uri())
    monkeypatch.setattr(zoo, "recipe", lambda name: recipe(name, **NARROW))  # what these weights were trained with
    return model, file


@pytest.mark.parametrize(
    "weights",
    [
        "DEFAULT",
        "IMAGENET1K_V1",
        "ResNet18_Weights.IMAGENET1K_V1",
        ResNet18_Weights.DEFAULT,
        ResNet18_Weights.IMAGENET1K_V1,
    ],
)
def test_weights_come_through_the_download_and_load_strictly(served, checkpoints, weights):
    original, file = served
    model = zoo.resnet18(weights=weights, progress=False, **NARROW).eval()
    assert (checkpoints / file.name).exists()
    x = torch.rand(2, 3, 40, 40)
    assert torch.equal(model(x), original.eval()(x))


def test_a_second_time_needs_no_download(served, checkpoints):
    _, file = served
    zoo.resnet18("DEFAULT", False, **NARROW)
    file.unlink()
    zoo.resnet18("DEFAULT", False, **NARROW)


def test_the_download_alone_shows_its_bar_unless_told_not_to(served, checkpoints, capsys):
    pretrained.download("resnet18", "DEFAULT")
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize("progress", [True, False])
def test_a_bar_is_shown_where_it_is_wanted(served, checkpoints, capsys, progress):
    zoo.resnet18("DEFAULT", progress, **NARROW)
    assert ("100%" in capsys.readouterr().err) == progress


def test_a_file_with_another_hash_is_refused(served, checkpoints):
    _, file = served
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(RuntimeError, match="invalid hash value"):
        zoo.resnet18("DEFAULT", False, **NARROW)
    assert not list(checkpoints.glob("*.pth"))


def test_a_file_that_would_run_code_is_refused(served, checkpoints, tmp_path, monkeypatch):
    torch.save({"fc.bias": print}, tmp_path / "code.pth")
    monkeypatch.setattr(ResNet18_Weights.DEFAULT.value, "url", (tmp_path / "code.pth").as_uri())
    with pytest.raises(Exception, match="Weights only load failed"):
        zoo.resnet18("DEFAULT", False, **NARROW)


@pytest.mark.parametrize("failure", [URLError("Name or service not known"), TimeoutError("timed out"), None])
def test_no_network_is_one_sentence_that_says_what_was_tried_and_what_works(checkpoints, monkeypatch, failure):
    if failure is None:  # a real attempt, at a file that is not there
        monkeypatch.setattr(ResNet50_Weights.DEFAULT.value, "url", "file:///nowhere/resnet50-00000000.pth")
    else:

        def fail(*args, **kwargs):
            raise failure

        monkeypatch.setattr(torch.hub, "urlopen", fail)
    with pytest.raises(ConnectionError) as error:
        zoo.resnet50(weights="DEFAULT", progress=False)
    message = str(error.value)
    assert "could not fetch ResNet50_Weights.IMAGENET1K_V2 from " in message
    assert ResNet50_Weights.DEFAULT.url in message
    assert "torch.hub.get_dir()/checkpoints" in message
    assert message.endswith("resnet50() without weights works offline")
    assert "\n" not in message


def test_unknown_weights_list_those_that_exist_and_nothing_is_fetched(monkeypatch):
    monkeypatch.setattr(torch.hub, "urlopen", None)
    with pytest.raises(ValueError, match="resnet18 has no weights 'IMAGENET1K_V2'; it has \"IMAGENET1K_V1\" and"):
        zoo.resnet18(weights="IMAGENET1K_V2")
    for wrong in (ResNet34_Weights.DEFAULT, True, 3):
        with pytest.raises(ValueError, match=re.escape(f'{wrong} are not weights of resnet50; it has "IMAGENET1K_V1"')):
            zoo.resnet50(weights=wrong)
    with pytest.raises(ValueError, match="has no weights"):
        zoo.resnet50(weights="ResNet18_Weights.DEFAULT")


def test_both_generations():
    assert pretrained.resolve_weights("resnet50", "IMAGENET1K_V1") is ResNet50_Weights.IMAGENET1K_V1
    assert pretrained.resolve_weights("resnet50", "DEFAULT") is ResNet50_Weights.IMAGENET1K_V2
    for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"):
        for member in get_model_weights(name):
            assert pretrained.resolve_weights(name, member) is member
            assert pretrained.resolve_weights(name, member.name) is member
            assert pretrained.class_count(name, member) == 1000


def test_another_number_of_classes_is_explained_before_any_download(monkeypatch):
    monkeypatch.setattr(torch.hub, "urlopen", None)
    with pytest.raises(
        ValueError, match="know 1000 classes, got num_classes=10; load them first, then replace"
    ) as error:
        zoo.resnet18(weights="DEFAULT", num_classes=10)
    assert "model.fc = nn.Linear(model.fc.in_features, num_classes)" in str(error.value)


def test_the_same_number_of_classes_may_be_said(served):
    assert zoo.resnet18(weights="DEFAULT", progress=False, num_classes=1000, **NARROW).fc.out_features == 1000


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({}, "conv1.weight: (64, 3, 7, 7) in the network, (2, 3, 7, 7) in the weights"),
        ({**NARROW, "stem": "cifar"}, "conv1.weight: (2, 3, 3, 3) in the network, (2, 3, 7, 7) in the weights"),
        ({**NARROW, "shortcut": "A"}, "layer2.0.downsample.0.weight: nothing in the network, (4, 2, 1, 1) in"),
        ({**NARROW, "shortcut": "C"}, "layer1.0.downsample.0.weight: (2, 2, 1, 1) in the network, nothing in"),
    ],
)
def test_weights_of_another_architecture_name_the_first_that_does_not_fit(served, checkpoints, options, first):
    with pytest.raises(ValueError, match=re.escape(first)) as error:
        zoo.resnet18(weights="DEFAULT", progress=False, **options)
    assert 'same depth, stem="imagenet", shortcut="B" and the same number of classes' in str(error.value)
    assert not checkpoints.exists()  # and nothing was fetched


def test_weights_of_a_stride_elsewhere_are_refused_although_every_shape_fits(checkpoints):
    with pytest.raises(ValueError, match=r"trained with the stride in the 3x3, got stride_in='1x1'"):
        zoo.resnet50(weights="DEFAULT", stride_in="1x1")
    assert not checkpoints.exists()


def test_a_network_that_refuses_weights_keeps_its_own():
    model = zoo.resnet50(num_classes=3)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"fc.weight: \(3, 2048\) in the network, \(1000, 2048\) in the weights"):
        pretrained.load_torchvision(model, resnet50().state_dict())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


# What people have: files, modules, checkpoints of training scripts, and damaged ones


@pytest.fixture
def theirs(scramble):
    return scramble(ResNet(BasicBlock, [1, 1, 1, 1], 3, **NARROW))


def fresh() -> ResNet:
    return ResNet(BasicBlock, [1, 1, 1, 1], 3, **NARROW)


def renamed(state, change):
    return {change(name): value for name, value in state.items()}


FORMS = {
    "state dict": lambda model, path: model.state_dict(),
    "plain dict": lambda model, path: dict(model.state_dict()),
    "module": lambda model, path: model,
    "training script": lambda model, path: {"epoch": 90, "arch": "resnet18", "state_dict": model.state_dict()},
    "references": lambda model, path: {"model": model.state_dict(), "optimizer": {}, "epoch": 3},
    "tutorial": lambda model, path: {"model_state_dict": model.state_dict()},
    "DataParallel": lambda model, path: nn.DataParallel(model).state_dict(),
    "wrapped module": lambda model, path: nn.DataParallel(model),
    "compiled": lambda model, path: torch.compile(model).state_dict(),
    "compiled, then wrapped": lambda model, path: nn.DataParallel(torch.compile(model)).state_dict(),
    "one compiled room": lambda model, path: renamed(
        model.state_dict(), lambda n: n.replace("layer1.", "layer1._orig_mod.")
    ),
    "older file": lambda model, path: {k: v for k, v in model.state_dict().items() if "num_batches" not in k},
    "older file with a version": lambda model, path: without_counters(model.state_dict()),
    "half": lambda model, path: copy.deepcopy(model).half().state_dict(),
    "path": lambda model, path: saved(model.state_dict(), path),
    "str": lambda model, path: str(saved({"state_dict": nn.DataParallel(model).state_dict()}, path)),
}


def saved(value, path):
    torch.save(value, path)
    return path


def without_counters(state):
    for name in [name for name in state if "num_batches" in name]:
        del state[name]
    return state


@pytest.mark.parametrize("form", FORMS)
def test_weights_load_in_every_form_that_people_save(theirs, tmp_path, form):
    ours = fresh()
    assert pretrained.load_torchvision(ours, FORMS[form](theirs, tmp_path / "weights.pth")) is ours
    tolerance = 1e-3 if form == "half" else 0
    for name, value in theirs.state_dict().items():
        if "num_batches" not in name:
            torch.testing.assert_close(ours.state_dict()[name], value, rtol=tolerance, atol=tolerance)


def test_a_wrapped_network_is_loaded_too(theirs):
    ours = fresh()
    pretrained.load_torchvision(nn.DataParallel(ours), theirs.state_dict())
    assert torch.equal(ours.conv1.weight, theirs.conv1.weight)


WRONG = {
    "a counter too many": (lambda s: s | {"layer9.bn1.num_batches_tracked": torch.tensor(0)}, "layer9.bn1.num_batches"),
    "one too many": (lambda s: s | {"extra": torch.zeros(1)}, "extra: nothing in the network, (1,) in the weights"),
    "one missing": (lambda s: {k: v for k, v in s.items() if k != "fc.bias"}, "fc.bias: (3,) in the network, nothing"),
    "another shape": (lambda s: s | {"fc.bias": torch.zeros(4)}, "fc.bias: (3,) in the network, (4,) in the weights"),
    "a counter of another shape": (
        lambda s: s | {"bn1.num_batches_tracked": torch.zeros(2, dtype=torch.long)},
        "bn1.num_batches_tracked: () of int64 in the network, (2,) of int64 in the weights",
    ),
    "whole numbers": (
        lambda s: s | {"fc.bias": torch.zeros(3, dtype=torch.int8)},
        "fc.bias: (3,) in the network, (3,) of int8 in the weights",
    ),
    "complex numbers": (lambda s: s | {"fc.bias": torch.zeros(3) * 1j}, "(3,) of complex64 in the weights"),
    "no numbers": (lambda s: s | {"fc.bias": torch.zeros(3, device="meta")}, "these weights lie on the meta device"),
    "no tensor": (
        lambda s: s | {"epoch": 3},
        "got 'epoch': int; where the weights are part of a larger dictionary, pass that part, "
        "for instance state['state_dict']",
    ),
    "a list": (lambda s: list(s.values()), "or the path of a file with one, got list"),
    "two versions": (
        lambda s: {"model": s, "state_dict": s},
        "several versions, state_dict, model; take one: state['state_dict']",
    ),
    "a prefix of a larger model": (
        lambda s: renamed(s, lambda name: "backbone." + name),
        "every name of these weights starts with 'backbone.'; pass them without it: {name.removeprefix('backbone.')",
    ),
    "twice": (lambda s: s | renamed(s, lambda name: "module." + name), "two of these weights would have one name"),
    "empty": (lambda s: {}, "nothing in the weights"),
}


@pytest.mark.parametrize("name", WRONG)
def test_weights_that_do_not_fit_change_nothing(theirs, name):
    change, told = WRONG[name]
    ours = fresh()
    before = copy.deepcopy(ours.state_dict())
    with pytest.raises(ValueError, match=re.escape(told)):
        pretrained.load_torchvision(ours, change(dict(theirs.state_dict())))
    assert all(torch.equal(value, before[key]) for key, value in ours.state_dict().items())


def test_a_network_without_numbers_is_refused_before_it_silently_loads_nothing(theirs):
    with torch.device("meta"):
        ours = fresh()
    with pytest.raises(ValueError, match=r'the network lies on the meta device.*to_empty\(device="cpu"\)'):
        pretrained.load_torchvision(ours, theirs.state_dict())


def test_a_file_that_is_missing_or_unreadable_is_named(theirs, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none\.pth.*weights=\"DEFAULT\""):
        pretrained.load_torchvision(fresh(), tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"model": print}, tmp_path / "code.pth")
    for name in ("text.pth", "code.pth"):
        with pytest.raises(ValueError, match=rf"{name} cannot be read as weights .*save model\.state_dict\(\)"):
            pretrained.load_torchvision(fresh(), tmp_path / name)


@pytest.mark.parametrize(
    ("error", "told"),
    [(EOFError(), r"\(EOFError\)"), (RuntimeError("no such key\nand a page more"), r"\(no such key\)")],
)
def test_what_the_reader_says_is_told_in_one_line_or_by_its_name(tmp_path, monkeypatch, error, told):
    def load(*args, **kwargs):
        raise error

    (tmp_path / "a.pth").write_bytes(b"")
    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(ValueError, match=rf"a\.pth cannot be read as weights {told}\. A file is read only if"):
        pretrained.tensors_of(tmp_path / "a.pth")
