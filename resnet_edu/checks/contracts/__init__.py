"""The exercises, one file each: what is asked, cases, reference, known mistakes."""

from importlib import import_module
from types import ModuleType
from typing import Any

from resnet_edu.checks import verdict
from resnet_edu.checks.diagnosis import Verdict
from resnet_edu.checks.source import Contract

#: Each exercise by the name of its file, in the order of the book. A new one is one line here.
EXERCISES: dict[str, ModuleType] = {
    name: import_module(f"{__name__}.{name}")
    for name in (
        "conv_out",
        "stem",
        "identity_block",
        "projection_block",
        "basic_block",
        "bottleneck",
        "zero_pad_shortcut",
        "make_layer",
        "head",
        "resnet",
        "cifar_resnet",
        "init_weights",
        "zero_init_residual",
        "fold_conv_bn",
        "load_torchvision",
        "receptive_field",
        "preactivation_block",
        "squeeze_excitation_block",
    )
}
CONTRACTS: dict[str, Contract] = {check: module.CONTRACT for check, module in EXERCISES.items()}


def judge(check: str, theirs: Any) -> Verdict:
    """The verdict on code, in this process and without a guard: for what can be trusted."""
    return verdict.judge(CONTRACTS[check], theirs)
