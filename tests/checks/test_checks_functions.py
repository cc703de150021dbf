"""The checks of functions, on code that learners write: right in a plain style, and wrong in ways that have a name."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from resnet_edu import checks
from resnet_edu.blocks import BasicBlock, Bottleneck

# ---- conv_out --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mistake", "conv_out"),
    [
        ("only-the-one-divided", lambda n, k, s=1, p=0, d=1: n + 2 * p - d * (k - 1) - 1 // s + 1),
        ("only-the-kernel-divided", lambda n, k, s=1, p=0, d=1: n + 2 * p - (d * (k - 1) + 1) // s + 1),
        ("minus-one-missing", lambda n, k, s=1, p=0, d=1: (n + 2 * p - d * (k - 1)) // s + 1),
        ("padding-overwritten", lambda n, k, s=1, p=0, d=1: (n + 2 * ((k - 1) // 2) - d * (k - 1) - 1) // s + 1),
        ("text-returned", lambda n, k, s=1, p=0, d=1: f"{(n + 2 * p - d * (k - 1) - 1) // s + 1}"),
    ],
)
def test_a_wrong_size_formula_has_a_name(mistake, conv_out):
    assert checks.conv_out(conv_out).mistake == mistake


def test_missing_parentheses_are_shown_in_the_learners_own_names():
    def conv_out(n, k, s=1, p=0, d=1):
        return n + 2 * p - d * (k - 1) - 1 // s + 1

    assert "`(n + 2 * p - d * (k - 1) - 1) // s + 1`" in checks.conv_out(conv_out).message


def test_a_whole_number_of_torch_counts_as_one():
    def conv_out(n, k, s=1, p=0, d=1):
        return torch.tensor((n + 2 * p - d * (k - 1) - 1) // s + 1)

    assert checks.conv_out(conv_out).passed


def test_recursion_without_end_is_told_to_have_a_base_case():
    def conv_out(n, k, s=1, p=0, d=1):
        return 1 + conv_out(n - s, k, s, p, d)

    feedback = checks.conv_out(conv_out)
    assert feedback.mistake == "endless-recursion"
    assert "base case" in feedback.message
    assert "forward" not in feedback.message


# ---- receptive_field -------------------------------------------------------------------------------------------------


def field(
    widen: Callable[..., int] = lambda k, s, d, j: d * (k - 1) * j,
    jump: Callable[[int, int], int] = lambda j, s: j * s,
    layers: slice = slice(None),
    give: Callable[[int, int], Any] = lambda r, j: r,
):
    """A right answer, line by line, each of which can be replaced."""

    def receptive_field(stack):
        r, j = 1, 1
        for k, s, *rest in stack[layers]:
            r += widen(k, s, rest[0] if rest else 1, j)
            j = jump(j, s)
        return give(r, j)

    return receptive_field


def test_the_replaceable_answer_is_right():
    assert checks.receptive_field(field()).passed


@pytest.mark.parametrize(
    ("mistake", "change"),
    [
        ("only-stride-before", {"jump": lambda j, s: s}),
        ("strides-added-less-one", {"jump": lambda j, s: j + s - 1}),
        ("dilation-times-kernel", {"widen": lambda k, s, d, j: (d * k - 1) * j}),
        ("distance-returned", {"give": lambda r, j: j}),
        ("last-layer-skipped", {"layers": slice(-1)}),
    ],
)
def test_a_wrong_recurrence_has_a_name(mistake, change):
    assert checks.receptive_field(field(**change)).mistake == mistake


def test_the_recurrence_from_the_back_is_sent_through_reversed():
    def receptive_field(layers):
        r = 1
        for k, s, *rest in layers:
            r = (r - 1) * s + (rest[0] if rest else 1) * (k - 1) + 1
        return r

    feedback = checks.receptive_field(receptive_field)
    assert feedback.mistake == "wrong-direction"
    assert "`reversed(layers)`" in feedback.message
    assert "read from the end" not in feedback.message


def test_a_right_answer_that_empties_the_callers_list_hears_so():
    def receptive_field(layers):
        r = 1
        while layers:
            k, s, *rest = layers.pop()
            r = (r - 1) * s + (rest[0] if rest else 1) * (k - 1) + 1
        return r

    assert checks.receptive_field(receptive_field).mistake == "empties-the-list"


def test_a_wrong_answer_that_empties_the_list_is_shown_the_list_as_it_was():
    def receptive_field(layers):
        r = 1
        while layers:
            k, s, *_ = layers.pop()
            r = (r - 1) * s + k
        return r

    feedback = checks.receptive_field(receptive_field)
    assert feedback.mistakes == ("dilation-ignored", "empties-the-list")
    assert "receptive_field([(3, 1, 2)" in feedback.message


def test_a_return_inside_the_loop_is_named():
    def receptive_field(layers):
        r, j = 1, 1
        for k, s, *rest in layers:
            r += (rest[0] if rest else 1) * (k - 1) * j
            j *= s
            return r
        return None

    assert checks.receptive_field(receptive_field).mistake == "returns-after-first-layer"


def test_a_third_number_that_is_not_unpacked_is_named_beside_another_mistake():
    def receptive_field(layers):
        r, j = 0, 1
        for k, s in layers:
            r += (k - 1) * j
            j *= s
        return r

    feedback = checks.receptive_field(receptive_field)
    assert feedback.mistakes == ("starts-at-zero", "third-number-not-taken")
    assert "`for kernel, stride, *rest in layers`" in feedback.message


def test_a_float_is_shown_as_the_one_that_came():
    feedback = checks.receptive_field(field(give=lambda r, j: float(r)))
    assert feedback.mistake == "float-returned"
    assert "3.0" in feedback.message
    assert "112.0" not in feedback.message


def test_an_error_on_the_empty_list_comes_with_its_answer():
    def receptive_field(layers):
        r, j = 1, layers[0][1] // layers[0][1]
        for k, s, *rest in layers:
            r += (rest[0] if rest else 1) * (k - 1) * j
            j *= s
        return r

    assert "`receptive_field([])`, where 1 is right" in checks.receptive_field(receptive_field).message


# ---- fold_conv_bn ----------------------------------------------------------------------------------------------------


def folding(
    scale: Callable[[nn.BatchNorm2d], Any] = lambda bn: bn.weight / torch.sqrt(bn.running_var + bn.eps),
    new: Callable[[nn.Conv2d], nn.Conv2d] = lambda c: nn.Conv2d(
        c.in_channels, c.out_channels, c.kernel_size, c.stride, c.padding, c.dilation, c.groups
    ),
    shift: Callable[..., Any] = lambda b, bn, s: (b - bn.running_mean) * s + bn.bias,
    weight: Callable[..., Any] = lambda w, s: w * s[:, None, None, None],
    write_bias: bool = True,
):
    """The textbook's answer, with a new convolution in single precision; each of its lines can be replaced."""

    def fold_conv_bn(conv, bn):
        folded, s = new(conv), scale(bn)
        b = conv.bias if conv.bias is not None else torch.zeros(conv.out_channels)
        with torch.no_grad():
            folded.weight.copy_(weight(conv.weight, s))
            if write_bias and folded.bias is not None:
                folded.bias.copy_(shift(b, bn, s))
        return folded

    return fold_conv_bn


@pytest.mark.parametrize("fold_conv_bn", [folding(), lambda conv, bn: torch.nn.utils.fuse_conv_bn_eval(conv, bn)])
def test_the_textbooks_and_pytorchs_own_folding_pass(fold_conv_bn):
    feedback = checks.fold_conv_bn(fold_conv_bn)
    assert feedback.passed, feedback


def without(**settings: Any):
    """A new convolution like the old one, but for some settings."""

    def new(conv):
        names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
        return nn.Conv2d(**{name: getattr(conv, name) for name in names} | settings)

    return new


def plain_weight(conv):
    """A copy of a convolution that has forgotten its groups."""
    folded = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    folded.weight = nn.Parameter(conv.weight.detach().clone())
    return folded


@pytest.mark.parametrize(
    ("mistakes", "change"),
    [
        (("stride-lost",), {"new": without(stride=1)}),
        (("padding-lost",), {"new": without(padding=0)}),
        (("dilation-lost",), {"new": without(dilation=1)}),
        (("stride-lost", "dilation-lost"), {"new": without(stride=1, dilation=1)}),
        (("groups-lost",), {"new": plain_weight}),
        (("groups-lost",), {"new": without(groups=1)}),
        (("eps-hard-coded",), {"scale": lambda bn: bn.weight / torch.sqrt(bn.running_var + 1e-5)}),
        (("eps-forgotten",), {"scale": lambda bn: bn.weight / torch.sqrt(bn.running_var)}),
        (("bias-scaled-twice",), {"shift": lambda b, bn, s: ((b - bn.running_mean) * s + bn.bias) * s}),
        (("beta-scaled",), {"shift": lambda b, bn, s: (b - bn.running_mean + bn.bias) * s}),
        (("weight-scaled-twice",), {"weight": lambda w, s: w * (s * s)[:, None, None, None]}),
        (("bias-forgotten",), {"new": without(bias=False)}),
        (("bias-not-written",), {"write_bias": False}),
        (("scale-not-reshaped",), {"weight": lambda w, s: w * s}),
        (("stride-lost", "mean-forgotten"), {"new": without(stride=1), "shift": lambda b, bn, s: b * s + bn.bias}),
    ],
)
def test_a_wrong_folding_has_a_name(mistakes, change):
    feedback = checks.fold_conv_bn(folding(**change))
    assert feedback.mistakes == mistakes, feedback


def test_square_settings_are_told_from_pairs():
    def square(conv):
        numbers = (getattr(conv, name)[0] for name in ("kernel_size", "stride", "padding", "dilation"))
        return nn.Conv2d(conv.in_channels, conv.out_channels, *numbers, groups=conv.groups)

    feedback = checks.fold_conv_bn(folding(new=square))
    assert feedback.mistake == "only-first-of-the-pair"
    assert "`conv.stride[0]`" in feedback.message


def test_a_lost_setting_is_shown_with_its_values_and_without_the_formula_of_s():
    message = checks.fold_conv_bn(folding(new=without(stride=1))).message
    assert "(1, 1), not (2, 2)" in message
    assert "√" not in message


def test_a_bias_that_is_none_is_not_called_unwritten():
    def fold_conv_bn(conv, bn):
        s = bn.weight / torch.sqrt(bn.running_var + bn.eps)
        shift = (conv.bias - bn.running_mean) * s + bn.bias
        folded = copy.deepcopy(conv)
        folded.bias = nn.Parameter(shift)
        return folded

    feedback = checks.fold_conv_bn(fold_conv_bn)
    assert feedback.mistakes == ("weight-not-scaled", "bias-is-none")
    assert "`if conv.bias is not None`" in feedback.message
    assert "not written" not in feedback.message


def test_two_tensors_are_not_a_convolution():
    feedback = checks.fold_conv_bn(lambda conv, bn: (conv.weight, bn.bias))
    assert feedback.mistake == "tuple-returned"


def test_an_unknown_folding_is_told_which_half_is_right():
    feedback = checks.fold_conv_bn(folding(shift=lambda b, bn, s: (b - bn.running_mean) * s + 1.5 * bn.bias))
    assert feedback.mistake is None
    assert "the new weight is right" in feedback.message


# ---- zero_init_residual ----------------------------------------------------------------------------------------------


def blocks_of(model):
    return [m for m in model.modules() if isinstance(m, BasicBlock | Bottleneck)]


def last(block):
    return block.bn3 if isinstance(block, Bottleneck) else block.bn2


def zeroing(chosen: Callable[[nn.Module], list[nn.Module]]):
    """A function that sets the weights of some modules to 0."""

    def zero_init_residual(model):
        for module in chosen(model):
            nn.init.zeros_(module.weight)

    return zero_init_residual


def test_the_four_layers_of_a_network_can_be_named():
    def layers(model):
        return [last(b) for layer in (model.layer1, model.layer2, model.layer3, model.layer4) for b in layer]

    assert checks.zero_init_residual(zeroing(layers)).passed


def norms(block):
    return [m for m in block.modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("mistake", "chosen"),
    [
        ("first-block-of-each-layer", lambda m: [last(getattr(m, f"layer{i}")[0]) for i in (1, 2, 3, 4)]),
        ("last-layer-left-out", lambda m: [last(b) for i in (1, 2, 3) for b in getattr(m, f"layer{i}")]),
        ("convolution-not-norm", lambda m: [getattr(b, "conv3", b.conv2) for b in blocks_of(m)]),
        ("second-too", lambda m: [n for b in blocks_of(m) for n in (b.bn2, last(b))]),
        (
            "every-batch-norm-of-the-main-path",
            lambda m: [n for b in blocks_of(m) for n in b.children() if isinstance(n, nn.BatchNorm2d)],
        ),
        ("projection-not-main-path", lambda m: [norms(b)[-1] for b in blocks_of(m)]),
        ("copy-changed", None),
    ],
)
def test_a_wrong_choice_of_what_starts_at_zero_has_a_name(mistake, chosen):
    def copied(model):
        model = copy.deepcopy(model)
        zeroing(lambda model: [last(b) for b in blocks_of(model)])(model)
        return model

    feedback = checks.zero_init_residual(zeroing(chosen) if chosen else copied)
    assert feedback.mistakes == (mistake,), feedback


@pytest.mark.parametrize("check", [checks.zero_init_residual, checks.init_weights])
def test_a_parameter_changed_in_place_is_sent_to_no_grad(check):
    def change(model):
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
                module.weight.zero_()

    feedback = check(change)
    assert feedback.mistake == "in-place-under-autograd"
    assert "`with torch.no_grad():`" in feedback.message
    assert "out + x" not in feedback.message


# ---- init_weights ----------------------------------------------------------------------------------------------------


def starting(draw: Callable[[nn.Conv2d], Any], modules: Callable[[nn.Module], Any] = lambda model: model.modules()):
    """A function that starts the convolutions this way, and the batch norms as they should."""

    def init_weights(model):
        for module in modules(model):
            if isinstance(module, nn.Conv2d):
                draw(module)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)

    return init_weights


def he(conv: nn.Module) -> None:
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")


def seeded(conv: nn.Conv2d) -> None:
    torch.manual_seed(0)
    he(conv)


@pytest.mark.parametrize(
    ("mistake", "init_weights"),
    [
        ("same-numbers", starting(seeded)),
        ("only-top-level", starting(he, lambda model: model.children())),
        ("kernel-area-forgotten", starting(lambda c: nn.init.normal_(c.weight, 0, math.sqrt(2 / c.out_channels)))),
        ("orthogonal-not-normal", starting(lambda c: nn.init.orthogonal_(c.weight))),
        ("bias-is-none", starting(lambda c: (he(c), nn.init.zeros_(c.bias)))),
    ],
)
def test_a_wrong_start_has_a_name(mistake, init_weights):
    feedback = checks.init_weights(init_weights)
    assert feedback.mistakes == (mistake,), feedback


def test_the_linear_layer_keeps_its_start():
    def with_linear(model):
        starting(he)(model)
        for module in model.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)

    def whatever_has_two_dimensions(model):
        starting(he)(model)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")

    assert checks.init_weights(starting(he)).passed
    for init_weights in (with_linear, whatever_has_two_dimensions):
        assert checks.init_weights(init_weights).mistakes == ("linear-changed",)


def test_a_started_copy_is_told_from_an_untouched_model():
    def init_weights(model):
        model = copy.deepcopy(model)
        starting(he)(model)
        return model

    assert checks.init_weights(init_weights).mistakes == ("copy-changed",)


# ---- load_torchvision ------------------------------------------------------------------------------------------------


def swallowed(model, state_dict):
    try:
        model.load_state_dict(state_dict)
    except RuntimeError:
        print("does not fit")


def filtered(model, state_dict):
    own = model.state_dict()
    model.load_state_dict(own | {k: v for k, v in state_dict.items() if k in own and v.shape == own[k].shape})


def copied_without_shapes(model, state_dict):
    own = model.state_dict()
    if own.keys() != state_dict.keys():
        raise KeyError("names differ")
    for name in own:
        own[name].copy_(state_dict[name])


def reshaped(model, state_dict):
    own = model.state_dict()
    state_dict = {
        k: v.reshape(own[k].shape) if k in own and v.numel() == own[k].numel() else v for k, v in state_dict.items()
    }
    model.load_state_dict(state_dict)


def frozen(model, state_dict):
    model.load_state_dict(state_dict)
    for parameter in model.parameters():
        parameter.requires_grad = False


def into_a_copy(model, state_dict):
    new = copy.deepcopy(model)
    new.load_state_dict(state_dict)
    return new


def by_position(model, state_dict):
    model.load_state_dict(dict(zip(model.state_dict(), state_dict.values(), strict=False)))


def from_a_file(model, state_dict):
    model.load_state_dict(torch.load(state_dict))


@pytest.mark.parametrize(
    ("mistake", "load_torchvision"),
    [
        ("nothing-refused", swallowed),
        ("nothing-refused", filtered),
        ("shapes-broadcast", copied_without_shapes),
        ("reshaped-to-fit", reshaped),
        ("frozen", frozen),
        ("copy-loaded", into_a_copy),
        ("by-position", by_position),
        ("not-a-file", from_a_file),
    ],
)
def test_a_wrong_loading_has_a_name(mistake, load_torchvision):
    feedback = checks.load_torchvision(load_torchvision)
    assert feedback.mistakes == (mistake,), feedback


def test_no_message_quotes_an_argument_that_was_not_written():
    for load_torchvision in (swallowed, filtered):
        assert "strict=False" not in checks.load_torchvision(load_torchvision).message


def test_an_error_on_weights_that_fit_is_told_with_its_line():
    def prefixed(model, state_dict):
        model.load_state_dict({"module." + name: tensor for name, tensor in state_dict.items()})

    def transposed(model, state_dict):
        model.load_state_dict(state_dict | {"fc.weight": state_dict["fc.weight"].t()})

    feedback = checks.load_torchvision(prefixed)
    assert "`module.conv1.weight`" in feedback.message
    assert "\nLine " in feedback.message
    assert "shape (8, 3), and the model's is (3, 8)" in checks.load_torchvision(transposed).message


def test_a_refusal_of_any_kind_is_a_refusal():
    def load_torchvision(model, state_dict):
        own = model.state_dict()
        if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in state_dict.items()}:
            raise Exception("these do not fit")
        model.load_state_dict(state_dict)

    assert checks.load_torchvision(load_torchvision).passed
