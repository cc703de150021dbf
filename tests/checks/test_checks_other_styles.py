"""The checks on code that people publish: layers by hand, compiled blocks, several mistakes, causes and symptoms."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu import checks
from resnet_edu.checks import learner, sandbox, search, watch
from resnet_edu.checks.contracts import CONTRACTS
from resnet_edu.checks.search import Search
from resnet_edu.checks.verdict import Trial
from resnet_edu.stem import ImageNetStem


class Block(nn.Module):
    """A right basic block, in parts that a test can replace."""

    def __init__(self, ins, outs, step=1):
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(ins, outs, 3, step, 1, bias=False), nn.BatchNorm2d(outs)
        self.second, self.norm2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False), nn.BatchNorm2d(outs)
        self.side = nn.Identity()
        if step != 1 or ins != outs:
            self.side = nn.Sequential(nn.Conv2d(ins, outs, 1, step, bias=False), nn.BatchNorm2d(outs))

    def change(self, x):
        return self.norm2(self.second(F.relu(self.norm1(self.first(x)))))

    def forward(self, x):
        return F.relu(self.change(x) + self.side(x))


class NormByHand(nn.Module):
    """A batch norm from sums and products, with scale and shift of shape (1, C, 1, 1)."""

    def __init__(self, channels, zero=False):
        super().__init__()
        shape = (1, channels, 1, 1)
        self.scale = nn.Parameter(torch.zeros(shape) if zero else torch.ones(shape))
        self.shift = nn.Parameter(torch.zeros(shape))
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("var", torch.ones(shape))

    def forward(self, x):
        mean, var = self.mean, self.var
        if self.training:
            mean = x.mean((0, 2, 3), keepdim=True)
            var = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
            with torch.no_grad():
                count = x.numel() / x.shape[1]
                self.mean += 0.1 * (mean - self.mean)
                self.var += 0.1 * (var * count / (count - 1) - self.var)
        return self.scale * (x - mean) * torch.rsqrt(var + 1e-5) + self.shift


def with_parts(**parts):
    """The right block with some modules replaced: name = function of (ins, outs, step)."""

    def build(ins, outs, step=1):
        block = Block(ins, outs, step)
        for name, make in parts.items():
            setattr(block, name, make(ins, outs, step))
        return block

    return build


@pytest.mark.parametrize("zero", [False, True])
def test_a_batch_norm_by_hand_is_followed_and_its_mistakes_are_found(zero):
    by_hand = {"norm2": lambda i, o, s: NormByHand(o, zero)}
    feedback = checks.basic_block(with_parts(**by_hand))
    assert feedback.passed, feedback

    class NoLastReLU(Block):
        def __init__(self, *shape):
            super().__init__(*shape)
            self.norm2 = NormByHand(shape[1], zero)

        def forward(self, x):
            return self.change(x) + self.side(x)

    assert checks.basic_block(NoLastReLU).mistakes == ("final-relu-missing",)


def test_a_convolution_as_a_product_with_shifted_images_is_followed():
    class Shifted(nn.Module):
        def __init__(self, ins, outs, step):
            super().__init__()
            self.kernel, self.step = nn.Parameter(torch.randn(outs, ins, 3, 3)), step

        def forward(self, x):
            size = x.shape[2:]
            x = F.pad(x, (1, 1, 1, 1))
            rows = sum(
                torch.einsum("oc,nchw->nohw", self.kernel[:, :, i, j], x[:, :, i : i + size[0], j : j + size[1]])
                for i in range(3)
                for j in range(3)
            )
            return rows[:, :, :: self.step, :: self.step]

    assert checks.basic_block(with_parts(first=Shifted, second=lambda i, o, s: Shifted(o, o, 1))).passed


def test_a_compiled_block_is_judged_without_being_compiled(monkeypatch):
    compiling = torch.compile
    assert checks.basic_block(lambda *shape: torch.compile(Block(*shape))).passed
    assert torch.compile is compiling

    @torch.compile(dynamic=True)
    def build(*shape):
        return Block(*shape)

    assert isinstance(learner.unwrapped(torch.compile(Block(3, 3))), Block)
    assert sandbox.run(lambda: {"same": torch.compile(build) is build}).result == {"same": True}


def test_a_block_with_a_length_of_zero_is_a_block():
    class Empty(Block):
        def __len__(self):
            return 0

    assert checks.basic_block(Empty).passed


def test_three_mistakes_at_once_are_three(monkeypatch):
    monkeypatch.setattr(search, "SECONDS", 60.0)  # how far a slow machine gets in four seconds is not asked here

    class Three(Block):
        def forward(self, x):
            out = self.norm2(self.second(self.first(x)))
            return out + F.relu(self.side(x))

    # No ReLU is left where one belongs, which is one mistake of the three.
    found = set(checks.basic_block(Three).mistakes)
    assert found == {"all-relus-missing", "first-batch-norm-missing", "relu-on-shortcut"}


def test_the_projection_of_what_the_convolutions_made_is_no_lost_input():
    class Wrong(nn.Module):
        def __init__(self, ins, outs, stride=2):
            super().__init__()
            self.inner = Block(ins, outs, stride)

        def forward(self, x):
            out = self.inner.change(x)
            return F.relu(out + self.inner.side(out))

    assert checks.projection_block(Wrong).mistakes == ("projection-of-residual",)


def test_an_overwritten_tensor_is_told_with_its_line_and_the_other_mistake_too():
    source = """
class Overwriting(Block):
    def forward(self, x):
        out = F.relu(self.change(x))
        out *= 1
        out += self.side(x)
        return out
"""
    namespace = {"Block": Block, "F": F, "__name__": "learner"}
    exec(compile(source, "<cell>", "exec"), namespace)
    feedback = checks.basic_block(namespace["Overwriting"])
    assert set(feedback.mistakes) == {"relu-before-addition", "overwritten-for-backward"}
    assert "\nLine 6" in feedback.message


def test_channels_that_are_weighed_are_told_as_layers_too_many():
    class Weighed(Block):
        def __init__(self, *shape):
            super().__init__(*shape)
            self.down, self.up = nn.Linear(shape[1], 2), nn.Linear(2, shape[1])

        def forward(self, x):
            out = self.change(x)
            gate = torch.sigmoid(self.up(F.relu(self.down(out.mean((2, 3))))))
            return F.relu(out * gate[..., None, None] + self.side(x))

    feedback = checks.basic_block(Weighed)
    assert feedback.mistakes == ("extra-layers",)
    assert "2 linear layers" in feedback.message


def test_a_bias_before_the_stems_batch_norm_passes_with_a_word():
    layers = (nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    feedback = checks.stem(lambda: nn.Sequential(*layers))
    assert feedback.passed
    assert "`bias=False`" in feedback.message


def test_a_stride_that_follows_the_width_is_right():
    def build(block, layers, classes):
        rows, ins = [*ImageNetStem()], 64
        for width, count in zip((64, 128, 256, 512), layers, strict=True):
            # Right for the expansions 1 and 4 of real blocks.
            step = 1 if ins == width else 2
            for number in range(count):
                rows.append(block(ins, width, step if number == 0 else 1))
                ins = width * block.expansion
        return nn.Sequential(*rows, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(ins, classes))

    assert checks.resnet(build).passed


def test_a_window_that_fits_no_map_is_told_without_torchs_words():
    feedback = checks.head(
        lambda features, classes: nn.Sequential(nn.AvgPool2d(9), nn.Flatten(), nn.Linear(features, classes))
    )
    assert "Output size is too small" not in feedback.message
    assert "window" in feedback.message


def test_convolutions_by_hand_may_be_registered_in_any_order():
    class ByHand(Block):
        def __init__(self, ins, outs, step=1):
            super().__init__(ins, outs, step)
            self.kernel2, self.kernel1 = self.second.weight, self.first.weight  # the later one comes first
            self.first, self.second, self.step = None, None, step

        def convolved(self, x, kernel, step):
            patches = F.unfold(x, 3, padding=1, stride=step)
            height, width = ((side - 1) // step + 1 for side in x.shape[2:])
            return (kernel.flatten(1) @ patches).view(len(x), len(kernel), height, width)

        def change(self, x):
            x = F.relu(self.norm1(self.convolved(x, self.kernel1, self.step)))
            return self.norm2(self.convolved(x, self.kernel2, 1))

    assert checks.basic_block(ByHand).passed


def test_weights_are_paired_by_the_numbers_that_they_were_given():
    contract = CONTRACTS["basic_block"]
    module = Block(6, 6).double()
    module.norm1, module.norm2 = module.norm2, module.norm1  # another order of registration
    seen = learner.observe(module, [torch.randn(3, 6, 9, 8, dtype=torch.float64)])
    search = Search(contract, [Trial(contract.cases[0], seen, module)])
    run = search.located(search.plain, 0)
    paired = [step.unit.weight for step in run.steps if step.unit is not None]
    layers = (module.first, module.norm1, module.second, module.norm2)  # in the order in which they run
    assert len(paired) == len(layers)
    assert all(weight is layer.weight for weight, layer in zip(paired, layers, strict=True))
    assert run.differs is None


def test_code_that_always_stops_with_an_error_never_passes():
    class NoStatistics(Block):
        def forward(self, x):
            x = F.batch_norm(self.first(x), None, None, self.norm1.weight, self.norm1.bias, training=False)
            return F.relu(x)

    feedback = checks.basic_block(NoStatistics)
    assert not feedback.passed
    assert "batch-norm-without-statistics" in feedback.mistakes


def test_a_line_that_python_wrote_itself_is_not_the_learners():
    namespace = {}
    exec("def __init__(): raise KeyError", namespace)  # as in a dataclass
    with pytest.raises(KeyError) as raised:
        namespace["__init__"]()
    assert watch.where(raised.value).file == __file__
