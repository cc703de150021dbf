"""PyTorch's own tools take our networks as they take torchvision's, and a network may be rebuilt as one of theirs."""

import copy
import io
import pickle
import warnings
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.fx.experimental.optimization import fuse
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops import FrozenBatchNorm2d

from resnet_edu import zoo

IMAGES = torch.rand(2, 3, 40, 33, generator=torch.Generator().manual_seed(0))


def exported(model):
    program = torch.export.export(model, (IMAGES,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    assert program(IMAGES[[0, 1, 0]]).shape == (3, model.fc.out_features)
    return program(IMAGES)


def traced(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)  # a value that would be frozen into the trace
        warnings.filterwarnings("ignore", ".*deprecated", DeprecationWarning)
        return torch.jit.trace(model, IMAGES)(IMAGES)


def one_by_one(model):
    state = dict(model.state_dict())
    return torch.func.vmap(lambda image: torch.func.functional_call(model, state, (image[None],))[0])(IMAGES)


def scripted(model):
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(model), file)
    file.seek(0)
    return torch.jit.load(file)(IMAGES)


TOOLS = {
    "fx": lambda model: torch.fx.symbolic_trace(model)(IMAGES),
    "fuse": lambda model: fuse(copy.deepcopy(model))(IMAGES),
    "features": lambda model: create_feature_extractor(model, {"layer2": "middle", "fc": "scores"})(IMAGES)["scores"],
    "script": scripted,
    "trace": traced,
    "export": exported,
    "compile": lambda model: torch.compile(model, fullgraph=True, backend="eager")(IMAGES),
    "deepcopy": lambda model: copy.deepcopy(model)(IMAGES),
    "pickle": lambda model: pickle.loads(pickle.dumps(model))(IMAGES),
    "functional_call": lambda model: torch.func.functional_call(model, dict(model.state_dict()), (IMAGES,)),
    "vmap": one_by_one,
    "half": lambda model: copy.deepcopy(model).half()(IMAGES.half()).float(),
    "DataParallel": lambda model: nn.DataParallel(model)(IMAGES),
}


@pytest.fixture(scope="module", params=["resnet18", "resnet50"])
def pair(request, scramble):
    ours = scramble(getattr(zoo, request.param)())
    theirs = getattr(models, request.param)()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tool", TOOLS)
@torch.no_grad()
def test_a_tool_gives_what_it_gives_for_torchvisions(pair, tool):
    ours, theirs = (model.eval() for model in pair)
    mine, other = (TOOLS[tool](model.eval()) for model in (ours, theirs))
    torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)
    tolerance = {"half": 0.05 * float(other.abs().max())}.get(tool, 1e-3)
    torch.testing.assert_close(mine, ours.eval()(IMAGES), rtol=1e-3, atol=tolerance)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tool", ["fx", "script", "trace", "compile", "vmap"])
@pytest.mark.parametrize("build", [zoo.cifar_resnet, lambda depth: zoo.cifar_resnet(depth, plain=True)])
@torch.no_grad()
def test_the_cifar_family_goes_through_the_tools_too(scramble, build, tool):
    model = scramble(build(8)).eval()
    torch.testing.assert_close(TOOLS[tool](model), model.eval()(IMAGES), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_onnx_gets_as_far_as_with_torchvisions(pair):
    ends = []
    for model in pair:
        file = io.BytesIO()
        try:
            torch.onnx.export(model.eval(), (IMAGES,), file, dynamo=False)
        except torch.onnx.errors.OnnxExporterError as error:  # without the package onnx the last step, the file, fails
            ends.append(str(error))
        else:
            ends.append("written" if file.getvalue() else "empty")
    assert ends[0] == ends[1]
    assert ends[0] in ("written", "Module onnx is not installed!")


@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_the_onnx_file_holds_torchvisions_operations_and_gives_the_models_scores(pair):
    onnx = pytest.importorskip("onnx", reason="PyTorch writes the file with onnx, which the book does not need")
    operations = []
    for model in pair[::-1]:
        file = io.BytesIO()
        axes = {"images": {0: "batch"}}
        torch.onnx.export(model.eval(), (IMAGES,), file, dynamo=False, input_names=["images"], dynamic_axes=axes)
        written = onnx.load_from_string(file.getvalue())
        onnx.checker.check_model(written)
        operations.append(Counter(node.op_type for node in written.graph.node))
    assert operations[0] == operations[1]
    evaluator = pytest.importorskip("onnx.reference").ReferenceEvaluator(written)
    three = torch.cat([IMAGES, IMAGES[:1]])
    scores = evaluator.run(None, {"images": three.numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(scores), pair[0](three), rtol=1e-3, atol=1e-3)


# A network that has been rebuilt after it was made


def gray(model):
    model.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)


def four_channels(model):
    model.conv1 = nn.Conv2d(4, 64, 7, 2, 3, bias=False)


def small_stem(model):
    model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()


def without_padding(model):
    model.conv1 = nn.Conv2d(3, 64, 7, 2, bias=False)


def group_norm(model):
    for name, room in list(model.named_modules()):
        if isinstance(room, nn.BatchNorm2d):
            model.set_submodule(name, nn.GroupNorm(8, room.num_features))


def frozen(model):
    for name, room in list(model.named_modules()):
        if isinstance(room, nn.BatchNorm2d):
            model.set_submodule(name, FrozenBatchNorm2d(room.num_features))


def no_last_stride(model):
    model.layer4[0].conv1.stride = (1, 1)
    for name, child in model.layer4[0].downsample.named_children():
        if name == "0":
            child.stride = (1, 1)


def another_stem(model):
    model.conv1 = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 64, 3, 1, 1, bias=False))


def running_statistics(model):
    for room in model.modules():
        if isinstance(room, nn.BatchNorm2d):
            room.eval()


EDITS = [
    *(gray, four_channels, small_stem, without_padding, group_norm, frozen, no_last_stride),
    *(another_stem, running_statistics),
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_after_any_change_it_takes_and_refuses_the_images_that_torchvisions_does(edit):
    rebuilt = []
    for library in (zoo, models):
        torch.manual_seed(0)
        model = library.resnet18(num_classes=4)
        edit(model)
        rebuilt.append(model)
    ours, theirs = rebuilt
    theirs.load_state_dict(ours.state_dict())

    @settings(max_examples=20, deadline=None, database=None, derandomize=True)
    @given(
        st.tuples(st.integers(1, 2), st.sampled_from([1, 3, 4]), st.integers(1, 40), st.integers(1, 40)),
        st.booleans(),
        st.sampled_from([None, 0]),
    )
    def alike(shape, eager, one):
        x = torch.rand(shape if one is None else shape[1:])
        if edit is not running_statistics:
            ours.train(eager), theirs.train(eager)
        found = []
        for model in (ours, theirs):
            try:
                with torch.no_grad():
                    found.append(model(x))
            except (RuntimeError, ValueError):
                found.append(None)
        assert (found[0] is None) == (found[1] is None)
        if found[0] is not None:
            assert torch.equal(*found)

    alike()
    channels = {gray: 1, four_channels: 4}.get(edit, 3)
    assert ours.eval()(torch.rand(2, channels, 64, 64)).shape == (2, 4)


def test_the_sentence_speaks_of_the_convolution_that_is_there():
    model = zoo.resnet18(num_classes=4).eval()
    gray(model)
    with pytest.raises(ValueError, match=r"takes images with 1 channels, got 3 in \(3, 40, 33\)"):
        model(IMAGES)
    without_padding(model)
    with pytest.raises(ValueError, match="the image is too small: 6×9 pixels"):
        model(torch.rand(1, 3, 6, 9))


def test_an_error_of_a_room_of_your_own_keeps_its_words():
    class Mine(nn.Module):
        def forward(self, x):
            raise ValueError("my own words")

    model = zoo.resnet18(num_classes=4)
    model.layer2 = Mine()
    with pytest.raises(ValueError, match="my own words"):
        model(IMAGES)
