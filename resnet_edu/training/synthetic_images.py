"""Images that need no download: ten shapes, drawn by arithmetic on a grid of pixels.

Each class is a function of the plane that is negative inside the shape; a turn, a size and a place
make the image. Everything is drawn from one seed.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Plane = Callable[[Tensor, Tensor], Tensor]


def _disc(radius: float, x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - radius


def _box(width: float, height: float, x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs() - width, y.abs() - height)


def _triangle(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(0.866 * x.abs() - 0.5 * y, y) - 0.45  # three half-planes, 120° apart


def _flower(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - 0.65 - 0.3 * torch.cos(5 * torch.atan2(y, x))


#: Signed distance, roughly, of each class; the shapes fit into the circle of radius 1.
SHAPES: dict[str, Plane] = {
    "disc": lambda x, y: _disc(0.8, x, y),
    "ring": lambda x, y: (_disc(0.7, x, y)).abs() - 0.2,
    "square": lambda x, y: _box(0.65, 0.65, x, y),
    "frame": lambda x, y: _box(0.55, 0.55, x, y).abs() - 0.15,
    "triangle": _triangle,
    "flower": _flower,
    "plus": lambda x, y: torch.minimum(_box(0.9, 0.25, x, y), _box(0.25, 0.9, x, y)),
    "bar": lambda x, y: _box(0.9, 0.25, x, y),
    "crescent": lambda x, y: torch.maximum(_disc(0.9, x, y), -_disc(0.7, x - 0.45, y)),
    "half disc": lambda x, y: torch.maximum(_disc(0.9, x, y + 0.35), -y - 0.35),
}


def draw(labels: Tensor, size: int, difficulty: float, generator: torch.Generator) -> Tensor:
    """One image for each label: ``(N,)`` → ``(N, 3, size, size)``, unsigned bytes.

    ``difficulty`` 0 gives large upright shapes in clear colors; 1 turns them by any angle, makes them
    small, pale and noisy, and moves them.

    >>> images = draw(torch.tensor([0, 5]), 32, 0.0, torch.Generator().manual_seed(0))
    >>> tuple(images.shape), images.dtype
    ((2, 3, 32, 32), torch.uint8)
    """
    count = len(labels)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    radius = uniform(0.85 - 0.4 * difficulty, 0.85, 1, 1)
    angle = uniform(-math.pi, math.pi, 1, 1) * difficulty
    middle = uniform(-1, 1, 2, 1, 1) * (1 - radius[:, None]) * difficulty

    pixel = (torch.arange(size) + 0.5) * (2 / size) - 1  # centers of the pixels in [−1, 1]
    across, down = pixel[None, None, :] - middle[:, 0], pixel[None, :, None] - middle[:, 1]
    x = (torch.cos(angle) * across + torch.sin(angle) * down) / radius
    y = (torch.cos(angle) * down - torch.sin(angle) * across) / radius

    distance = torch.empty(count, size, size)
    for number, shape in enumerate(SHAPES.values()):
        chosen = labels == number
        distance[chosen] = shape(x[chosen], y[chosen])
    ink = torch.sigmoid(-distance * radius * size)[:, None]  # an edge about two pixels soft

    # Two colors whose brightness differs: a lot when it is easy, a little when it is hard.
    base, contrast = uniform(0.25, 0.75, 3, 1, 1), (0.5 - 0.35 * difficulty) * uniform(0.8, 1.0, 1, 1, 1)
    sign = torch.where(torch.rand(count, 1, 1, 1, generator=generator) < 0.5, -1.0, 1.0)
    image = base + sign * contrast * (ink - 0.5)
    image = image + 0.15 * difficulty * torch.randn(image.shape, generator=generator)
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)
