"""Checks of functions that work on finished modules: how weights start, are folded, and are loaded."""

from typing import Any

from resnet_edu.checks.judge import Verdict, passed


def init_weights(theirs: Any) -> Verdict:
    return passed("")


def zero_init_residual(theirs: Any) -> Verdict:
    return passed("")


def fold_conv_bn(theirs: Any) -> Verdict:
    return passed("")


def load_torchvision(theirs: Any) -> Verdict:
    return passed("")
