"""The checks on code that a learner might write: right in unusual ways, wrong in known and unknown ways, hostile."""

import os
import select
import time

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu import ResNet, checks, cifar_resnet
from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks import Feedback, compare, sandbox
from resnet_edu.composed import IdentityBlock
from resnet_edu.counting.arithmetic import conv_out
from resnet_edu.head import Head
from resnet_edu.inference import fold_conv_bn
from resnet_edu.initialization import kaiming_normal_, zero_init_residual_
from resnet_edu.layers import make_layer
from resnet_edu.pretrained import load_torchvision
from resnet_edu.shortcuts import ZeroPadShortcut
from resnet_edu.stem import ImageNetStem


def written(source: str, name: str):
    """What a cell with this source defines."""
    namespace = {"torch": torch, "nn": nn, "F": F, "__name__": "learner"}
    exec(compile(source, "<cell>", "exec"), namespace)
    return namespace[name]


BLOCK = """
class Block(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.c1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.n1 = nn.BatchNorm2d(out_channels)
        self.c2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.n2 = nn.BatchNorm2d(out_channels)
        self.around = None
        if stride != 1 or in_channels != out_channels:
            self.around = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x):
        shortcut = x if self.around is None else self.around(x)
        out = F.relu(self.n1(self.c1(x)))
        out = self.n2(self.c2(out))
        return F.relu(out + shortcut)
"""


def block(*changes: tuple[str, str]):
    """The block above with lines replaced."""
    source = BLOCK
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    return written(source, "Block")


# ---- right ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "theirs"),
    [
        (checks.conv_out, conv_out),
        (checks.stem, ImageNetStem),
        (checks.identity_block, IdentityBlock),
        (checks.basic_block, BasicBlock),
        (checks.bottleneck, Bottleneck),
        (checks.zero_pad_shortcut, ZeroPadShortcut),
        (checks.make_layer, make_layer),
        (checks.head, Head),
        (checks.resnet, lambda block, layers, classes: ResNet(block, layers, classes, shortcut="none")),
        (checks.cifar_resnet, cifar_resnet),
        (checks.init_weights, kaiming_normal_),
        (checks.zero_init_residual, zero_init_residual_),
        (checks.fold_conv_bn, fold_conv_bn),
        (checks.load_torchvision, load_torchvision),
    ],
    ids=lambda value: getattr(value, "__name__", "value"),
)
def test_the_package_itself_passes(check, theirs):
    feedback = check(theirs)
    assert feedback.passed, feedback
    assert feedback.mistake is None


def test_the_papers_stride_in_the_1x1_passes_too():
    assert checks.bottleneck(lambda i, c, s=1: Bottleneck(i, c, s, stride_in="1x1"))


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("        return F.relu(out + shortcut)", "        return torch.clamp(torch.add(shortcut, out), min=0)")],
        [("        return F.relu(out + shortcut)", "        out += shortcut\n        return out.relu_()")],
        [("F.relu(self.n1(self.c1(x)))", "self.n1(self.c1(x)).maximum(torch.zeros((), dtype=x.dtype))")],
        # The shortcut after the main path, and its layers declared first.
        [
            ("        shortcut = x if self.around is None else self.around(x)\n", ""),
            ("out + shortcut", "out + (x if self.around is None else self.around(x))"),
        ],
        # In between: the norms' order of execution is another one.
        [
            ("        shortcut = x if self.around is None else self.around(x)\n", ""),
            (
                "        out = self.n2(self.c2(out))\n",
                "        shortcut = x if self.around is None else self.around(x)\n"
                "        out = self.n2(self.c2(out))\n",
            ),
        ],
        # Functional from end to end.
        [
            ("self.n1(self.c1(x))", "self.n1(F.conv2d(x, self.c1.weight, stride=self.c1.stride, padding=1))"),
            (
                "self.n2(self.c2(out))",
                "F.batch_norm(self.c2(out), self.n2.running_mean, self.n2.running_var, self.n2.weight, self.n2.bias, "
                "self.training, 0.1, 1e-5)",
            ),
        ],
        [
            (
                "nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)",
                'nn.LazyConv2d(out_channels, 3, 1, "same", bias=False)',
            )
        ],
    ],
    ids=["plain", "torch.add", "in place", "maximum", "shortcut last", "shortcut between", "functional", "lazy"],
)
def test_a_right_block_in_an_unusual_style_passes(changes):
    feedback = checks.basic_block(block(*changes))
    assert feedback.passed, feedback


def test_one_relu_for_all_and_everything_in_sequentials_passes():
    source = """
relu = nn.ReLU(inplace=True)
class Block(nn.Module):
    def __init__(self, cin, cout, s=1):
        super().__init__()
        same = s == 1 and cin == cout
        self.b = nn.ModuleDict({
            "way": nn.Sequential() if same
            else nn.Sequential(nn.Conv2d(cin, cout, 1, s, bias=False), nn.BatchNorm2d(cout)),
            "main": nn.Sequential(
                nn.Conv2d(cin, cout, (3, 3), (s, s), (1, 1), bias=False), nn.BatchNorm2d(cout), relu,
                nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(cout, cout, 3, bias=False)), nn.BatchNorm2d(cout)),
        })
    def forward(self, image):
        return relu(sum(part(image) for part in self.b.values()))
"""
    assert checks.basic_block(written(source, "Block")).passed


@pytest.mark.parametrize(
    "lines",
    [
        "        x = x[..., :: self.s, :: self.s]\n        return F.pad(x, (0, 0, 0, 0, 0, self.extra))",
        "        x = F.avg_pool2d(x, 1, self.s)\n        return F.pad(x, (0, 0, 0, 0, self.extra, 0))",
        "        x = F.max_pool2d(x, 1, self.s)\n        z = x.new_zeros(x.shape[0], self.extra, *x.shape[2:])\n"
        "        return torch.cat([x, z], 1)",
    ],
)
def test_option_a_passes_with_its_zeros_on_any_side(lines):
    source = f"""
class Pad(nn.Module):
    def __init__(self, cin, cout, s):
        super().__init__()
        self.s, self.extra = s, cout - cin
    def forward(self, x):
{lines}
"""
    assert checks.zero_pad_shortcut(written(source, "Pad")).passed


@pytest.mark.parametrize(
    "source",
    [
        "Head = lambda i, n: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(i, n))",
        "Head = lambda i, n: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(i, n, 1), nn.Flatten())",
        "Head = lambda i, n: nn.Sequential(nn.Flatten(2), Mean(), nn.Linear(i, n))",
    ],
)
def test_a_right_head_in_an_unusual_style_passes(source):
    mean = "class Mean(nn.Module):\n    def forward(self, x): return x.mean(-1)\n"
    assert checks.head(written(mean + source, "Head")).passed


def test_a_stem_that_pools_before_the_relu_computes_the_same_and_passes():
    conv = "nn.Conv2d(3, 64, 7, 2, 3, bias=False)"
    source = f"Stem = lambda: nn.Sequential({conv}, nn.BatchNorm2d(64), nn.MaxPool2d(3, 2, 1), nn.ReLU())"
    assert checks.stem(written(source, "Stem")).passed


# ---- wrong in ways that are known -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mistake", "changes"),
    [
        ("shortcut-never-added", [("out + shortcut", "out")]),
        ("shortcut-subtracted", [("out + shortcut", "out - shortcut")]),
        ("final-relu-missing", [("F.relu(out + shortcut)", "out + shortcut")]),
        ("relu-before-addition", [("F.relu(out + shortcut)", "F.relu(out) + shortcut")]),
        ("first-relu-missing", [("F.relu(self.n1(self.c1(x)))", "self.n1(self.c1(x))")]),
        ("relu-before-batch-norm", [("F.relu(self.n1(self.c1(x)))", "self.n1(F.relu(self.c1(x)))")]),
        ("shortcut-multiplied", [("out + shortcut", "out * shortcut")]),
        ("concatenated-not-added", [("out + shortcut", "torch.cat([out, shortcut], 1)")]),
        ("first-batch-norm-missing", [("self.n1(self.c1(x))", "self.c1(x)")]),
        ("batch-norm-shared", [("self.n2(self.c2(out))", "self.n1(self.c2(out))")]),
        ("convolution-shared", [("self.c2(out)", "self.c1(out)")]),
        ("conv-bias", [("3, stride, 1, bias=False", "3, stride, 1"), ("3, 1, 1, bias=False", "3, 1, 1")]),
        (
            "stride-in-second-convolution",
            [
                ("out_channels, out_channels, 3, 1, 1", "out_channels, out_channels, 3, STRIDE, 1"),
                ("3, stride, 1,", "3, 1, 1,"),
                ("STRIDE", "stride"),
            ],
        ),
        (
            "stride-in-both-convolutions",
            [("out_channels, out_channels, 3, 1,", "out_channels, out_channels, 3, stride,")],
        ),
        ("padding-missing", [("3, stride, 1, bias", "3, stride, bias"), ("3, 1, 1, bias", "3, 1, bias")]),
        ("projection-without-stride", [("1, stride, bias=False)", "1, bias=False)")]),
        ("projection-missing", [("if stride != 1 or in_channels != out_channels:", "if False:")]),
        ("projection-only-for-stride", [("stride != 1 or in_channels != out_channels", "stride != 1")]),
        (
            "projection-only-for-channels",
            [("stride != 1 or in_channels != out_channels", "in_channels != out_channels")],
        ),
        ("projection-always", [("if stride != 1 or in_channels != out_channels:", "if True:")]),
        ("projection-without-batch-norm", [(", nn.BatchNorm2d(out_channels)\n", "\n")]),
        ("shortcut-detached", [("out + shortcut", "out + shortcut.detach()")]),
        ("other-activation", [("F.relu(out + shortcut)", "F.gelu(out + shortcut)"), ("F.relu(self", "F.gelu(self")]),
        ("batch-norm-momentum", [("nn.BatchNorm2d(out_channels)", "nn.BatchNorm2d(out_channels, momentum=0.9)")]),
        ("dropout-inside", [("F.relu(out + shortcut)", "F.relu(F.dropout(out, 0.5, self.training) + shortcut)")]),
        (
            "random-in-training",
            [("F.relu(out + shortcut)", "F.relu(out + shortcut + 0.1 * self.training * torch.randn_like(out))")],
        ),
        ("other-activation", [("F.relu(self.n1", "F.hardswish(self.n1")]),
        ("sum-weighted", [("F.relu(out + shortcut)", "F.relu(0.1 * out + shortcut)")]),
        (
            "input-lost",
            [("shortcut = x if self.around is None else self.around(x)", "pass"), ("out + shortcut", "out + out")],
        ),
        (
            "shortcut-twice",
            [("F.relu(out + shortcut)", "F.relu(out + shortcut + (x if self.around is None else self.around(x)))")],
        ),
        (
            "extra-parameter",
            [
                ("self.around = None", "self.around, self.gate = None, nn.Parameter(torch.ones(1))"),
                ("out + sh", "self.gate * out + sh"),
            ],
        ),
        ("weights-frozen", [("self.around = None", "self.around = self.c1.requires_grad_(False) and None")]),
        ("channels-do-not-fit", [("nn.Conv2d(out_channels, out_channels", "nn.Conv2d(in_channels, out_channels")]),
        (
            "shortcut-detached",
            [
                (
                    "shortcut = x if self.around is None else self.around(x)",
                    "shortcut = x\n        if self.around:\n            with torch.no_grad():\n                "
                    "shortcut = self.around(x)",
                )
            ],
        ),
        ("overwritten-for-backward", [("out + shortcut", "out + shortcut + 0 * x.add_(1)")]),
        ("overwritten-for-backward", [("F.relu(out + shortcut)", "F.relu(shortcut.add_(out))")]),
        ("unused-weights", [("self.around = None", "self.around, self.spare = None, nn.Linear(3, 3)")]),
        ("fixed-type", [("F.relu(out + shortcut)", "F.relu(out + shortcut).float()")]),
        ("not-finite", [("F.relu(out + shortcut)", "F.relu(out + shortcut) / 0")]),
        ("super-init-missing", [("        super().__init__()\n", "")]),
        ("attribute-missing", [("self.c2(out)", "self.conv2(out)")]),
        ("name-missing", [("self.c2(out)", "c2(out)")]),
        (
            "wrong-arguments",
            [
                ("in_channels, out_channels, stride=1", "in_channels, out_channels"),
                ("super().__init__()", "super().__init__(); stride = 1"),
            ],
        ),
        (
            "weights-not-registered",
            [
                ("self.c2 = nn.Conv2d", "self.c2 = [nn.Conv2d"),
                ("1, 1, bias=False)\n        self.n2", "1, 1, bias=False)]\n        self.n2"),
                ("self.c2(out)", "self.c2[0](out)"),
            ],
        ),
        ("other-normalization", [("nn.BatchNorm2d(out_channels)", "nn.GroupNorm(2, out_channels)")]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_in_a_learners_block_is_named(mistake, changes):
    feedback = checks.basic_block(block(*changes))
    assert not feedback
    assert feedback.mistakes == (mistake,), feedback


def test_a_projection_that_is_made_but_never_used_counts_as_never_added():
    feedback = checks.basic_block(block(("self.around(x)", "x"), ("out + shortcut", "out")))
    assert feedback.mistake == "shortcut-never-added", feedback


def test_a_shortcut_that_only_shrinks_is_told_and_does_not_stop_the_check():
    # No known mistake: the search through pairs of them makes programs that cannot run.
    source = (
        BLOCK.split("        self.around = None")[0]
        + """
    def forward(self, x):
        out = self.n2(self.c2(F.relu(self.n1(self.c1(x)))))
        return F.relu(out + F.adaptive_avg_pool2d(x, out.shape[-2:])[:, :1])
"""
    )
    feedback = checks.basic_block(written(source, "Block"))
    assert feedback.mistake == "pooling-inside"
    assert "could not finish" not in feedback.message


def test_a_norm_of_the_wrong_width_is_told_in_a_preactivation_block():
    class Block(nn.Module):
        def __init__(self, ins, outs, step=1):
            super().__init__()
            self.n1, self.n2 = nn.BatchNorm2d(outs), nn.BatchNorm2d(outs)
            self.c1 = nn.Conv2d(ins, outs, 3, step, 1, bias=False)
            self.c2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False)
            self.side = nn.Conv2d(ins, outs, 1, step, bias=False) if step != 1 or ins != outs else None

        def forward(self, x):
            h = F.relu(self.n1(x))
            return self.c2(F.relu(self.n2(self.c1(h)))) + (x if self.side is None else self.side(h))

    assert checks.preactivation_block(Block).mistake == "channels-do-not-fit"


@pytest.mark.parametrize("zeros", ["0, out.shape[1] - x.shape[1]", "out.shape[1] - x.shape[1], 0"])
def test_option_a_in_a_block_of_option_b_is_named(zeros):
    source = (
        BLOCK.split("        self.around = None")[0]
        + f"""
    def forward(self, x):
        out = self.n2(self.c2(F.relu(self.n1(self.c1(x)))))
        x = x[:, :, :: self.c1.stride[0], :: self.c1.stride[1]]
        return F.relu(out + F.pad(x, (0, 0, 0, 0, {zeros})))
"""
    )
    assert checks.basic_block(written(source, "Block")).mistake == "zeros-not-projection"


def test_two_mistakes_are_both_named():
    feedback = checks.basic_block(
        block(("F.relu(out + shortcut)", "F.relu(out) + shortcut"), ("self.n1(self.c1(x))", "self.c1(x)"))
    )
    assert set(feedback.mistakes) == {"relu-before-addition", "first-batch-norm-missing"}, feedback


def test_a_shortcut_that_starts_late_and_so_skips_the_projection_is_named_for_both():
    late = ("shortcut = x if self.around is None else self.around(x)", "x = self.c1(x)\n        shortcut = x")
    feedback = checks.basic_block(block(late, ("self.n1(self.c1(x))", "self.n1(x)")))
    assert set(feedback.mistakes) == {"shortcut-starts-late", "projection-missing"}, feedback


def test_an_input_that_is_changed_in_place_is_noticed():
    source = """
class Pad(nn.Module):
    def __init__(self, cin, cout, s):
        super().__init__()
        self.s, self.extra = s, cout - cin
    def forward(self, x):
        out = F.pad(x[:, :, :: self.s, :: self.s], (0, 0, 0, 0, 0, self.extra))
        x.relu_()
        return out
"""
    assert checks.zero_pad_shortcut(written(source, "Pad")).mistake == "input-overwritten"


@pytest.mark.parametrize("value", ["(out, shortcut)", "out.detach().numpy()", "3", "None"])
def test_a_forward_pass_that_returns_no_tensor_gets_a_word(value):
    feedback = checks.basic_block(block(("return F.relu(out + shortcut)", f"return {value}")))
    assert feedback.mistake in {"no-tensor", "not-written"}, feedback


def test_weights_that_are_reshaped_on_the_way_are_followed():
    kept = (
        "self.c2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)",
        "self.w = nn.Parameter(torch.ones(out_channels, out_channels * 9))",
    )
    used = "F.conv2d(out, self.w.view(len(self.w), -1, 3, 3), padding=1)"
    assert checks.basic_block(block(kept, ("self.c2(out)", used))).passed
    wrong = checks.basic_block(block(kept, ("self.c2(out)", used), ("out + shortcut", "out - shortcut")))
    assert wrong.mistake == "shortcut-subtracted", wrong


def test_the_networks_of_the_wrong_kind_are_named():
    def imagenet(depth, classes=10):
        return ResNet(BasicBlock, [(depth - 2) // 6] * 3, classes, widths=(16, 32, 64), shortcut="A")

    def option_b(depth, classes=10):
        return ResNet(BasicBlock, [(depth - 2) // 6] * 3, classes, widths=(16, 32, 64), stem="cifar")

    assert checks.cifar_resnet(imagenet).mistake == "imagenet-stem"
    assert checks.cifar_resnet(option_b).mistake == "projection-not-zeros"


def test_a_layer_in_a_plain_list_is_told_to_be_a_module():
    def listed(block, in_channels, channels, blocks, stride):
        return [block(in_channels, channels, stride)]

    assert checks.make_layer(listed).mistake == "list-returned"


def test_a_block_repeated_by_multiplying_a_list_is_recognized():
    source = """
def make_layer(block, in_channels, channels, blocks, stride):
    out = channels * block.expansion
    return nn.Sequential(block(in_channels, channels, stride), *[block(out, channels, 1)] * (blocks - 1))
"""
    assert checks.make_layer(written(source, "make_layer")).mistake == "same-block-repeated"


def test_float_division_in_conv_out_is_told_apart_from_a_wrong_value():
    def conv_out(size, kernel, stride=1, padding=0, dilation=1):
        return float((size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)

    assert checks.conv_out(conv_out).mistake == "float-returned"


# ---- wrong in ways that are not known -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "projection", ["torch.einsum('oc,nchw->nohw', self.w, x)", "(x.movedim(1, 3) @ self.w.T).movedim(3, 1)"]
)
def test_a_1x1_convolution_written_as_a_product_is_followed(projection):
    source = BLOCK.replace(
        "nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)", "Mixed(in_channels, out_channels, stride)"
    )
    mixed = f"""
class Mixed(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.w, self.stride = nn.Parameter(torch.randn(o, i)), stride

    def forward(self, x):
        x = x[:, :, :: self.stride, :: self.stride]
        return {projection}
"""
    assert checks.basic_block(written(mixed + source, "Block"))


@pytest.mark.parametrize("scores", ["x.mean((2, 3)) @ self.w.T", "torch.einsum('nc,kc->nk', x.mean((2, 3)), self.w)"])
def test_a_linear_layer_written_as_a_product_is_followed(scores):
    source = f"""
class Head(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.w, self.b = nn.Parameter(torch.randn(classes, features)), nn.Parameter(torch.zeros(classes))

    def forward(self, x):
        return {scores} + self.b
"""
    assert checks.head(written(source, "Head"))
    assert not checks.head(written(source.replace("+ self.b", "- self.b"), "Head"))


def test_what_cannot_be_followed_is_said_and_not_called_wrong():
    source = BLOCK.replace("self.n2(", "self.gamma.view(1, -1, 1, 1) * (").replace(
        "self.n2 = nn.BatchNorm2d(out_channels)", "self.gamma = nn.Parameter(torch.ones(out_channels))"
    )
    feedback = checks.basic_block(written(source, "Block"))
    assert feedback.mistake == "not-followed"
    assert "cannot tell whether your numbers are right" in feedback.message


@pytest.mark.parametrize("width", [24, 96])
def test_a_stem_of_another_width_is_told_its_width_and_nothing_of_its_pool(width):
    feedback = checks.stem(lambda: ImageNetStem(3, width))
    assert not feedback
    assert str(width) in feedback.message
    assert "max-pool" not in feedback.message


def test_a_stride_that_is_lost_where_the_channels_stay_is_caught():
    def stacked(block, in_channels, channels, blocks, stride):
        return make_layer(
            block, in_channels, channels, blocks, 1 if in_channels == channels * block.expansion else stride
        )

    assert checks.make_layer(stacked).mistake == "stride-tied-to-channels"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("nn.Conv2d(in_channels, out_channels, 3, stride, 1, bais=False)", "bais"),
        ("nn.BatchNorm1d(out_channels)", "BatchNorm2d"),
    ],
)
def test_an_error_inside_the_learners_code_is_not_blamed_on_the_arguments(wrong, says):
    right = (
        "nn.BatchNorm2d(out_channels)\n        self.c2"
        if "Batch" in wrong
        else "nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)"
    )
    feedback = checks.basic_block(block((right, wrong + ("\n        self.c2" if "Batch" in wrong else ""))))
    assert says in feedback.message
    assert "called as" not in feedback.message


def test_no_line_is_shown_that_is_not_the_learners():
    feedback = checks.stem(lambda: nn.Sequential(nn.Conv2d(3, 64, 9, 2, 4, bias=False), *list(ImageNetStem())[1:]))
    assert "checks.stem" not in feedback.message


def test_an_unknown_mistake_is_not_guessed_but_located():
    feedback = checks.basic_block(block(("out = self.n2(self.c2(out))", "out = self.n2(self.c2(1.3 * out))")))
    assert not feedback
    assert feedback.mistake is None
    assert "the second convolution" in feedback.message
    assert "Up to the first ReLU your numbers are right" in feedback.message


def test_a_shape_error_comes_with_the_setting_that_makes_it():
    feedback = checks.basic_block(block(("3, stride, 1, bias", "3, stride, 2, bias")))
    assert not feedback
    assert "The first convolution has `padding=2`, expected `padding=1`" in feedback.message, feedback


def test_a_message_speaks_of_the_learners_own_arguments():
    def stacked(kind, start, width, n, step):
        return nn.Sequential(*(kind(start if i == 0 else width * kind.expansion, width, step) for i in range(n)))

    feedback = checks.make_layer(stacked)
    assert feedback.mistake == "stride-in-every-block"
    assert "`step`" in feedback.message
    assert "`stride`" not in feedback.message

    shrinking_only = block(("in_channels", "a"), ("out_channels", "b"), (" or a != b", ""))
    assert "test `stride != 1 or a != b`" in checks.basic_block(shrinking_only).message


def test_the_line_is_shown_and_no_name_that_the_learner_did_not_write():
    feedback = checks.basic_block(block(("self.c2(out)", "self.c2(out.flatten(1))")))
    assert "ine 18" in feedback.message or "ine 17" in feedback.message, feedback
    for ours in ("conv1", "bn1", "downsample", "projbn", "relu1"):
        assert ours not in feedback.message


def test_a_depth_that_does_not_exist_is_worth_a_word_and_no_failure():
    careless = checks.cifar_resnet(lambda depth, classes=10: cifar_resnet(6 * ((depth - 2) // 6) + 2, classes))
    assert careless
    assert "cifar_resnet(21)" in careless.message
    assert "cifar_resnet(21)" not in checks.cifar_resnet(cifar_resnet).message


@pytest.mark.parametrize("nothing", [None, ..., 3, torch.ones(2), nn.ReLU()])
@pytest.mark.parametrize("check", [checks.basic_block, checks.conv_out, checks.init_weights, checks.fold_conv_bn])
def test_what_is_no_class_or_function_gets_a_word_and_no_error(check, nothing):
    feedback = check(nothing)
    assert not feedback
    assert feedback.message


@pytest.mark.parametrize("name", [name for name in checks.__all__ if name.islower() and name != "mistakes_table"])
def test_an_empty_answer_gets_a_word_and_no_error(name):
    class Empty(nn.Module):
        def __init__(self, *args):
            super().__init__()

        def forward(self, x): ...

    for theirs in (lambda *args: None, Empty):
        feedback = getattr(checks, name)(theirs)
        assert not feedback, (name, feedback)
        assert len(feedback.message) > 20


# ---- hostile --------------------------------------------------------------------------------------------------------


def hostile(line: str):
    return block(("        out = self.n2(self.c2(out))\n", f"        {line}\n        out = self.n2(self.c2(out))\n"))


def test_an_endless_loop_is_cut_off_even_where_it_catches_everything():
    loop = "while True:\n            try: pass\n            except BaseException: pass"
    started = time.process_time()
    feedback = checks.basic_block(hostile(loop))
    assert feedback.mistake == "too-slow"
    assert time.process_time() - started < sandbox.CPU_SECONDS  # the loop ran elsewhere


def test_a_wait_is_cut_off(monkeypatch):
    monkeypatch.setattr(sandbox, "CLOCK_SECONDS", 0.5)
    assert checks.basic_block(hostile("import time; time.sleep(1000)")).mistake == "too-slow"


@pytest.mark.parametrize("line", ["torch.empty(100 << 30, dtype=torch.uint8).fill_(1)", "bytearray(100 << 30)"])
def test_a_hundred_gigabytes_are_refused(line):
    feedback = checks.basic_block(hostile(line))
    assert feedback.mistake == "too-much-memory", feedback


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("import sys; sys.exit(3)", "exits"),
        ("raise KeyboardInterrupt", None),
        ("import os; os._exit(0)", "process-ended"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "process-ended"),
        ("input()", "waits-for-input"),
        ("out = self.forward(out)", "endless-recursion"),
        ("out = out * float('nan')", "not-finite"),
    ],
)
def test_code_that_leaves_or_crashes_yields_feedback(line, mistake):
    feedback = checks.basic_block(hostile(line))
    assert not feedback
    assert feedback.message
    if mistake != "endless-recursion":
        assert feedback.mistake == mistake, feedback


def test_the_stop_button_does_not_reach_the_learners_code():
    assert checks.basic_block(hostile("import os, signal; os.kill(os.getpid(), signal.SIGINT)")).passed


def test_what_the_code_started_ends_with_the_check():
    read, write = os.pipe()
    checks.basic_block(hostile(f"import subprocess; subprocess.Popen(['sleep', '60'], pass_fds=[{write}])"))
    os.close(write)
    ended, _, _ = select.select([read], [], [], 20)  # readable as soon as nobody holds the other end
    os.close(read)
    assert ended


def test_a_megabyte_of_print_is_kept_short():
    feedback = checks.basic_block(hostile("print('x' * 1_000_000)"))
    assert feedback.passed
    assert len(feedback.printed) < 1000
    assert "characters in all" in feedback.printed


def test_replacing_torchs_comparison_does_not_fool_the_check():
    line = "torch.equal = torch.allclose = lambda *a, **k: True; torch.sub = torch.abs = lambda *a: a[0]"
    feedback = checks.basic_block(
        block(
            ("out + shortcut", "out - shortcut"),
            ("        out = F.relu(self", f"        {line}\n        out = F.relu(self"),
        )
    )
    assert feedback.mistake == "shortcut-subtracted", feedback
    assert torch.equal(torch.ones(1), torch.zeros(1)) is False  # the notebook's own torch is untouched


def test_replacing_torchs_comparison_before_the_check_does_not_fool_it(monkeypatch):
    monkeypatch.setattr(torch, "equal", lambda *a: True)
    monkeypatch.setattr(torch, "allclose", lambda *a, **k: True)
    assert checks.basic_block(block(("out + shortcut", "out"))).mistake == "shortcut-never-added"


def test_the_notebook_lives_on():
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    checks.basic_block(hostile("torch.manual_seed(5); torch.set_grad_enabled(False)"))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    leaf = torch.ones(2, requires_grad=True)
    (leaf * 3).sum().backward()
    assert leaf.grad.tolist() == [3, 3]


def test_the_same_code_gets_the_same_feedback_twice():
    theirs = block(("out + shortcut", "1.1 * out + shortcut"))
    assert checks.basic_block(theirs) == checks.basic_block(theirs)


def test_without_fork_the_check_still_works_and_says_what_it_cannot_do(monkeypatch):
    monkeypatch.delattr(os, "fork")
    before = torch.get_rng_state()
    right = checks.basic_block(BasicBlock)
    wrong = checks.basic_block(
        block(("out + shortcut", "out"), ("        out = F", "        print('hello')\n        out = F"))
    )
    assert right.passed
    assert "interrupt the kernel" in right.message
    assert wrong.mistake == "shortcut-never-added"
    assert wrong.printed.startswith("hello")
    assert torch.equal(torch.get_rng_state(), before)
    assert not checks.basic_block(hostile("raise SystemExit"))


# ---- feedback -------------------------------------------------------------------------------------------------------


def test_feedback_reads_as_text_and_as_html():
    feedback = Feedback("Stem", False, "Use `padding=3` & <look>.\nThen again.", ("wrong-padding",), printed="<b>")
    assert str(feedback).splitlines()[0] == "✗ Stem: not yet [wrong-padding]"
    page = feedback._repr_html_()
    assert "<code>padding=3</code> &amp; &lt;look&gt;" in page
    assert "&lt;b&gt;" in page
    assert 'role="status"' in page
    assert "<code>wrong-padding</code>" in page
    assert "not yet" in page
    assert feedback.mistake == "wrong-padding"


def test_passed_and_not_yet_look_different():
    passed, failed = (Feedback("Stem", value, "Words.")._repr_html_() for value in (True, False))
    assert "✓ Stem: passed" in passed
    assert "✗ Stem: not yet" in failed
    assert "--re-pass" in passed
    assert "--re-pass" not in failed
    assert "--re-fail" in failed
    assert "--re-fail" not in passed


def test_what_the_code_printed_stands_below_the_words():
    text = str(Feedback("Stem", True, "Well done.", printed="one\ntwo"))
    assert text.splitlines()[-3:] == ["  Your code printed:", "    one", "    two"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_no_number_equals_one_that_is_not_finite(bad):
    x = torch.tensor([1.0, bad])
    assert not compare.same(x, torch.tensor([1.0, 2.0]))
    assert not compare.same(torch.tensor([1.0, 2.0]), x)
    assert not compare.same(x, x)
