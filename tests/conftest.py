"""What the tests of several rooms share."""

from collections.abc import Callable, Iterator

import pytest
import system_programs
import torch
from playwright.sync_api import Browser, sync_playwright
from torch import nn


def _scramble(model: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, 0, 0.2, generator=generator)
            nn.init.normal_(module.running_mean, 0, 0.2, generator=generator)
            nn.init.uniform_(module.running_var, 0.5, 2.0, generator=generator)
    return model


@pytest.fixture(autouse=True)
def _same_numbers_in_every_run() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def scramble() -> Callable[..., nn.Module]:
    """Give every batch norm statistics and an affine part as after training: a fresh one hides mistakes."""
    return _scramble


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser without a window, for the pages of one module of tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=system_programs.find("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield browser
        browser.close()
