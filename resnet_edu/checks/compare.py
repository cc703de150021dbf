"""Comparing numbers with torch's own functions, held since import: a learner may replace ``torch.equal``.

Everything is compared in double precision, so the tolerance can be far below any real difference.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_abs, _max, _sub, _all, _zeros = torch.abs, torch.amax, torch.sub, torch.all, torch.zeros
_to, _item, _detach, _tolist = torch.Tensor.to, torch.Tensor.item, torch.Tensor.detach, torch.Tensor.tolist

#: Largest difference between two computations of the same numbers, relative to the largest of them.
TOLERANCE = 1e-8
#: The same where a learner's code leaves double precision on its own account.
FLOAT_TOLERANCE = 2e-4


def difference(a: Tensor, b: Tensor) -> float:
    """The largest difference of two tensors of one shape, relative to the larger of 1 and b's largest value.

    >>> difference(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]))
    0.2
    """
    if a.shape != b.shape:
        return math.inf
    if a.numel() == 0:
        return 0.0
    a, b = _double(a), _double(b)
    # NaN and infinity end up in the difference, whichever side they are on.
    distance = float(_item(_max(_abs(_sub(a, b)))))
    return distance / max(1.0, float(_item(_max(_abs(b))))) if math.isfinite(distance) else math.inf


def _double(tensor: Tensor) -> Tensor:
    return _detach(tensor) if tensor.dtype == torch.float64 else _to(_detach(tensor), dtype=torch.float64)


def same(a: Any, b: Any) -> bool:
    """Whether two things are tensors of one shape with, up to rounding, the same finite numbers.

    One with an infinite number, or none at all (NaN), is not the same as itself.

    >>> same(torch.ones(2), torch.ones(2) + 1e-12), same(torch.ones(2), torch.ones(3))
    (True, False)
    """
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return False
    coarse = torch.float32 in (a.dtype, b.dtype)
    return difference(a, b) <= (FLOAT_TOLERANCE if coarse else TOLERANCE)


def near(rows: Tensor, a: Tensor) -> list[bool]:
    """Which rows of a matrix may be the same as this one, in a hurry.

    >>> near(torch.eye(2), torch.tensor([0.0, 1.0]))
    [False, True]
    """
    return _tolist(_all(_abs(_sub(rows, a)) <= 1e-3 * (1 + _max(_abs(a)) if a.numel() else 1), 1))


def all_same(a: Sequence[Tensor | None], b: Sequence[Tensor | None]) -> bool:
    """Whether two rows of tensors are the same, a missing one counting as zeros.

    >>> all_same([None, torch.ones(1)], [torch.zeros(3), torch.ones(1)])
    True
    """
    return len(a) == len(b) and all(same(_or_zeros(x, y), _or_zeros(y, x)) for x, y in zip(a, b, strict=True))


def _or_zeros(a: Tensor | None, b: Tensor | None) -> Tensor:
    return a if a is not None else _zeros(() if b is None else b.shape)
