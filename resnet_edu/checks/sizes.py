"""Solving the size formula: which padding, stride or kernel explains an observed size, and which mends it."""

from collections.abc import Iterator

from resnet_edu.counting.arithmetic import conv_out


def formula(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> str:
    """The formula with its numbers.

    >>> formula(224, 7, 2, 3)
    '⌊(224 + 2·3 − 7)/2⌋ + 1 = 112'
    """
    reach = dilation * (kernel - 1) + 1
    return f"⌊({size} + 2·{padding} − {reach})/{stride}⌋ + 1 = {conv_out(size, kernel, stride, padding, dilation)}"


def explains(size: int, got: int, kernel: int, stride: int, padding: int) -> str | None:
    """The one setting that, changed from the right kernel, stride and padding, makes the size that was got.

    >>> explains(112, 55, kernel=3, stride=2, padding=1)
    'the padding: with 0 in place of 1, ⌊(112 + 2·0 − 3)/2⌋ + 1 = 55'
    >>> explains(112, 110, kernel=3, stride=2, padding=1) is None
    True
    """
    for name, right, value, setting in _alternatives(kernel, stride, padding):
        try:
            if value != right and conv_out(size, *setting) == got:
                return f"the {name}: with {value} in place of {right}, {formula(size, *setting)}"
        except ValueError:
            continue
    return None


def _alternatives(kernel: int, stride: int, padding: int) -> Iterator[tuple[str, int, int, tuple[int, int, int]]]:
    for value in range(8):
        yield "padding", padding, value, (kernel, stride, value)
    for value in (1, 2, 3, 4):
        yield "stride", stride, value, (kernel, value, padding)
    for value in (1, 2, 3, 5, 7):
        yield "kernel", kernel, value, (value, stride, padding)
