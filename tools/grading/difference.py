"""In what way numbers differ from those expected: a sentence that helps, and gives none of the expected ones away."""

import torch
from torch import Tensor


def sentence(expected: Tensor, found: Tensor, agrees: Tensor | None) -> str:
    """What a student may know of numbers that are not right. `agrees` says it for each number, None in another shape.

    Rows of whole numbers stand for names and letters, so only their order is told.

    >>> ours = torch.tensor([3.0, 1.0, 2.0])
    >>> sentence(ours, 2 * ours, torch.tensor([False, False, False]))
    'Each number is about 2 times what it should be.'
    >>> sentence(ours, ours.flip(0), torch.tensor([False, True, False]))
    'The numbers are right, but in another order.'
    >>> sentence(ours, ours[:2], None)
    'What came back has the shape (2,), and (3,) is expected.'
    """
    if expected.dim() and not expected.is_floating_point():
        same = agrees is not None and torch.equal(expected.sort().values, found.sort().values)
        return "The right ones came back, but in another order." if same else ""
    if agrees is None:
        return f"What came back has the shape {_shape(found)}, and {_shape(expected)} is expected."
    if not bool(torch.isfinite(found).all()):
        return "Among the numbers is an infinite one, or one that is none (`nan`)."
    ours, theirs = expected.double().flatten(), found.double().flatten()
    scale = float(ours.abs().max())
    if scale and not bool(theirs.any()):
        return "All numbers are 0." if theirs.numel() > 1 else "The number is 0."
    if times := _times(ours, theirs):
        each = "Each number" if ours.numel() > 1 else "The number"
        return f"{each} is about {times} times what it should be."
    if ours.numel() > 1 and torch.allclose(ours.sort().values, theirs.sort().values, rtol=1e-3, atol=1e-4 * scale):
        return "The numbers are right, but in another order."
    alike = int(agrees.sum())
    if ours.numel() == 1:
        return "The number is too large." if theirs > ours else "The number is too small."
    if not alike:
        return f"None of the {ours.numel()} numbers agrees."
    return (
        f"{alike} of {ours.numel()} numbers agree; the first that does not is number {int(agrees.int().argmin()) + 1}."
    )


def _shape(numbers: Tensor) -> str:
    return f"({', '.join(map(str, numbers.shape))}{',' * (numbers.dim() == 1)})" if numbers.dim() else "of one number"


def _times(ours: Tensor, theirs: Tensor) -> str:
    """One factor between all numbers, to two digits, which are too few to guess a count from; "" if there is none."""
    norm = float(ours @ ours)
    factor = float(ours @ theirs) / norm if norm else 1.0
    near = 1e-3 * float(ours.abs().max()) * max(1.0, abs(factor))
    if abs(factor - 1) < 0.01 or not factor or float((theirs - factor * ours).abs().max()) > near:
        return ""
    return f"{factor:.2g}" if 1e-3 < abs(factor) < 1e3 else ""
