"""Rates at every milestone and crops at every place, against formulas by hand."""

import math
from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch.nn import functional as F

from resnet_edu.training.augmentation import AUGMENTATIONS, pad_crop_flip
from resnet_edu.training.schedules import SCHEDULES, learning_rate

#: The share of the largest rate at step s of n, without a warmup.
BY_HAND: dict[str, Callable[[int, int], float]] = {
    "linear": lambda s, n: (n - s) / n,
    "step": lambda s, n: 1 if 2 * s < n else 0.1 if 4 * s < 3 * n else 0.01,
    "cosine": lambda s, n: math.cos(math.pi * s / n / 2) ** 2,
    "constant": lambda s, n: 1,
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_rate_is_the_formulas_at_every_step(schedule: str) -> None:
    """The step that ends the warmup is the first at the full rate; half and three quarters are the first lower ones."""
    for total, warmup in product((1, 2, 4, 7, 8, 100), (0, 1, 2, 5)):
        for step in range(total):
            climbed = (step + 1) / warmup if step + 1 < warmup else 1
            expected = 0.3 * BY_HAND[schedule](step, total) * climbed
            found = learning_rate(step, total, 0.3, schedule=schedule, warmup=warmup)
            assert found == pytest.approx(expected, rel=1e-12), (step, total, warmup)


def test_a_line_without_a_warmup_is_what_is_taken_unasked() -> None:
    assert SCHEDULES == ("linear", "step", "cosine", "constant") == tuple(BY_HAND)
    assert [learning_rate(step, 5, 1.0) for step in range(5)] == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
    with pytest.raises(ValueError, match="schedule must be one of 'linear', 'step', 'cosine', 'constant', got 'poly'"):
        learning_rate(0, 1, 0.1, schedule="poly")


# Crops


def _draws_of_each_place(padding: int) -> tuple[torch.Tensor, list[tuple[int, int, bool]]]:
    """The first and the last draw that lead to each place, and these places: down, across, mirrored."""
    places = 2 * padding + 1
    ends = [(n, (n + share) / places) for n in range(places) for share in (1e-3, 1 - 1e-3)]
    chosen = [(*pair, flip) for pair in product(ends, ends) for flip in ((True, 0.0), (True, 0.499), (False, 0.5))]
    draws = torch.tensor([[down[1], across[1], flip[1]] for down, across, flip in chosen])
    return draws, [(down[0], across[0], flip[0]) for down, across, flip in chosen]


@pytest.mark.parametrize("padding", [0, 1, 2, 4])
@pytest.mark.parametrize("flip", [True, False])
def test_every_place_is_reached_by_an_equal_share_of_the_draws(padding: int, flip: bool) -> None:
    draws, places = _draws_of_each_place(padding)
    image = torch.arange(1.0, 13.0).view(1, 2, 2, 3)
    padded = F.pad(image[0], (padding,) * 4)
    cropped = pad_crop_flip(image.expand(len(draws), -1, -1, -1), draws, padding=padding, flip=flip)
    assert cropped.shape == (len(draws), 2, 2, 3)
    for found, (down, across, mirrored) in zip(cropped, places, strict=True):
        window = padded[:, down : down + 2, across : across + 3]
        assert torch.equal(found, window.flip(2) if flip and mirrored else window)


def test_the_first_and_the_last_draw_are_the_corners() -> None:
    """A draw lies in [0, 1): 0 is the corner above on the left, the largest below 1 the one below on the right."""
    image, largest = torch.rand(1, 1, 3, 3) + 1, 1 - 2**-24
    first, last = (pad_crop_flip(image, torch.full((1, 3), draw), flip=False) for draw in (0.0, largest))
    assert torch.equal(first, torch.zeros(1, 1, 3, 3))  # 4 pixels of padding unless something else is said
    assert torch.equal(last, torch.zeros(1, 1, 3, 3))
    for padding in (1, 2):
        first, last = (
            pad_crop_flip(image, torch.full((1, 3), draw), padding=padding, flip=False) for draw in (0.0, largest)
        )
        assert torch.equal(first[..., padding:, padding:], image[..., : 3 - padding, : 3 - padding])
        assert torch.equal(last[..., : 3 - padding, : 3 - padding], image[..., padding:, padding:])


def test_unless_something_else_is_said_it_moves_by_up_to_four_and_mirrors() -> None:
    assert AUGMENTATIONS == ("none", "crop", "crop-flip")
    image = torch.rand(1, 1, 6, 6) + 1
    draw = torch.tensor([[0.0, 0.5, 0.0]])  # 4 up, in the middle, mirrored
    moved = pad_crop_flip(image, draw)
    assert torch.equal(moved[..., 4:, :], image[..., :2, :].flip(3))
    assert moved[..., :4, :].eq(0).all()
