"""What one cell of a tensor can see of the image, through every operation (Araujo, Norris and Sim 2019, section 2).

A :class:`View` says how far a cell sees, and for each dimension of its tensor how many input pixels lie between two
neighbors along it. So it survives what moves the pixels to other dimensions: permuting, flattening, windows, tokens.
Normalizations are left out, as is usual, although their statistics see everything. No torch here.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

#: For the height and the width, in input pixels.
Pair = tuple[float, float]
_NOTHING: Pair = (0, 0)


class Factor(NamedTuple):
    """One factor of a dimension: the 196 tokens of a map of 14×14 are a dimension of two factors.

    >>> Factor(size=14, jump=(16, 0), span=(208, 0)).span[0]          # 13 steps of 16 pixels
    208
    """

    size: int
    jump: Pair
    """Pixels from one cell to the next; both 0 along channels, and where the distances differ."""
    span: Pair
    """Pixels from the first cell to the last."""


Dim = tuple[Factor, ...]


class View(NamedTuple):
    """How far a cell sees, and what each dimension of its tensor is made of.

    >>> pooled = windows(image_view((1, 3, 224, 224)), (1, 64, 112, 112), [(7, 2), (7, 2)])
    >>> windows(pooled, (1, 64, 56, 56), [(3, 2), (3, 2)]).side            # 7 + (3 − 1)·2
    11
    """

    field: Pair
    dims: tuple[Dim, ...]

    @property
    def side(self) -> int:
        """Of the square that holds the field, in whole pixels."""
        # Between two cells, as after an upsampling, lies no third one to see.
        return math.ceil(max(self.field) - 1e-9)


def image_view(shape: Sequence[int]) -> View:
    """The image's own view: each pixel sees itself, and the last two dimensions are its height and width.

    >>> image_view((1, 3, 8, 6)).dims[-1]
    (Factor(size=6, jump=(0, 1), span=(0, 5)),)
    """
    dims = [_plain(size) for size in shape[:-2]]
    return View((1, 1), (*dims, _line(shape[-2], (1, 0)), _line(shape[-1], (0, 1))))


def windows(view: View, shape: Sequence[int], taps: Sequence[tuple[float, float]], mixes: bool = False) -> View:
    """Through a convolution or a pooling over the last dimensions.

    ``taps`` holds for each of them the cells that a window reaches over, and the cells from one window to the next:
    (3, 2) for 3×3/2. A convolution ``mixes`` all channels, whatever they carry.

    >>> windows(image_view((1, 3, 8, 8)), (1, 4, 4, 4), [(3, 2), (3, 2)]).dims[2][0].jump
    (2, 0)
    """
    field, count = view.field, len(taps)
    before, moved = view.dims[:-count], view.dims[-count:]
    dims = [dim if _size(dim) == size else _plain(size) for dim, size in zip(before, shape, strict=False)]
    if mixes:
        field = _across(field, before[-1:])  # without a batch, the channels stand first
        dims[-1] = _plain(shape[-count - 1])
    for dim, size, (reach, stride) in zip(moved, shape[-count:], taps, strict=True):
        jump, span = (dim[0].jump, dim[0].span) if len(dim) == 1 else (_NOTHING, _span(dim))
        if any(jump):
            field = _add(field, _times(jump, reach - 1))
            dims.append(_line(size, _times(jump, stride)))
        else:  # neighbors at no equal distance: a window may see all of them
            field = _add(field, span if reach > 1 else _NOTHING)
            dims.append((Factor(size, _NOTHING, span),))
    return View(field, tuple(dims))


def mixed(view: View, over: Iterable[int] | None = None) -> View:
    """Each cell sees what all cells along these dimensions see, all dimensions by default.

    >>> mixed(image_view((1, 3, 8, 6)), [2]).field
    (8, 1)
    """
    dims = view.dims if over is None else [view.dims[dim] for dim in over]
    return View(_across(view.field, dims), view.dims)


def reduced(view: View, shape: Sequence[int], over: Iterable[int] | None = None) -> View:
    """After a mean or a sum over these dimensions, which are gone or of size 1.

    >>> reduced(image_view((1, 3, 8, 6)), (1, 3), [2, 3]).side
    8
    """
    gone = {dim % len(view.dims) for dim in (range(len(view.dims)) if over is None else over)}
    field = mixed(view, gone).field
    if len(shape) == len(view.dims):
        return View(field, tuple(_plain(1) if n in gone else dim for n, dim in enumerate(view.dims)))
    return View(field, tuple(dim for n, dim in enumerate(view.dims) if n not in gone))


def product(left: View, right: View | None, shape: Sequence[int]) -> View:
    """After a matrix product, where the last dimension of the left is summed with the last but one of the right.

    >>> product(image_view((1, 3, 8, 6)), None, (1, 3, 8, 5)).field   # a linear layer over each row of the image
    (1, 6)
    """
    field = _across(left.field, left.dims[-1:])
    if right is None:
        return View(field, (*left.dims[:-1], _plain(shape[-1])))
    both = _widest([field, _across(right.field, right.dims[-2:-1])])
    return View(both, (*left.dims[:-1], right.dims[-1]))


def together(views: Sequence[View], shape: Sequence[int]) -> View:
    """What is computed cell by cell from several tensors, stretched over each other where they differ in size.

    >>> image = image_view((1, 3, 8, 8))
    >>> together([windows(image, (1, 3, 8, 8), [(3, 1), (3, 1)]), image], (1, 3, 8, 8)).side
    3
    """
    first, *others = views
    if not others and len(first.dims) == len(shape):
        return resized(first, shape)
    dims = []
    for back in range(len(shape), 0, -1):
        own = [view.dims[-back] for view in views if back <= len(view.dims) and _size(view.dims[-back]) == shape[-back]]
        dims.append(max(own, key=_span) if own else _plain(shape[-back]))
    return View(_widest(view.field for view in views), tuple(dims))


def joined(views: Sequence[View], shape: Sequence[int], along: int) -> View:
    """Tensors one behind the other along a dimension: channels of two maps, or a class token before the others.

    >>> image = image_view((1, 3, 8, 8))
    >>> joined([image, image], (1, 6, 8, 8), 1).side
    1
    """
    dims = [max(own, key=_span) for own in zip(*(view.dims for view in views), strict=True)]
    dims[along] = (Factor(shape[along], _NOTHING, _span(dims[along])),)
    return View(_widest(view.field for view in views), tuple(dims))


def stacked(views: Sequence[View], shape: Sequence[int], along: int) -> View:
    """Tensors of one shape side by side along a dimension of its own: what two branches made, before their mean.

    >>> image = image_view((1, 3, 8, 8))
    >>> stacked([image, image], (2, 1, 3, 8, 8), 0).side
    1
    """
    whole = together(views, [*shape[:along], *shape[along + 1 :]])
    return View(whole.field, (*whole.dims[:along], _plain(shape[along]), *whole.dims[along:]))


def reshaped(view: View, shape: Sequence[int]) -> View:
    """The same cells in other dimensions, in the same order.

    >>> tokens = reshaped(image_view((1, 3, 8, 6)), (1, 3, 48))
    >>> [factor.size for factor in tokens.dims[-1]], mixed(tokens, [-1]).field
    ([8, 6], (8, 6))
    """
    left = [factor for dim in view.dims for factor in dim if factor.size > 1][::-1]
    dims = []
    for size in shape:
        dim: list[Factor] = []
        missing = size
        while missing > 1:
            factor = left.pop() if left else Factor(0, _NOTHING, _NOTHING)
            if factor.size and missing % factor.size == 0:
                dim.append(factor)
                missing //= factor.size
            elif factor.size and factor.size % missing == 0:
                inner = factor.size // missing
                dim.append(_part(factor, missing, inner))
                left.append(_part(factor, inner, 1))
                missing = 1
            else:
                return unknown([view], shape)
        dims.append(tuple(dim) or _plain(1))
    result = View(view.field, tuple(dims))
    # A vector has no place any more: whoever reads a number of it reads from the whole map.
    return unknown([result], shape) if len(shape) <= 2 < len(view.dims) else result


def restrided(view: View, shape: Sequence[int], strides: Sequence[int], old_strides: Sequence[int]) -> View:
    """Another look at the same memory: permuted, sliced, every second cell, dimensions of size 1 more or fewer.

    >>> every_second = restrided(image_view((1, 1, 8, 8)), (1, 1, 4, 8), (64, 64, 16, 1), (64, 64, 8, 1))
    >>> every_second.dims[2][0].jump
    (2, 0)
    """
    dims: list[Dim] = []
    left = [n for n, dim in enumerate(view.dims) if _size(dim) > 1 and old_strides[n]]
    for size, stride in zip(shape, strides, strict=True):
        # Of the dimensions that have such cells, the one with the longest stride: the others lie inside it.
        fits = [
            n
            for n in left
            if stride % old_strides[n] == 0 and (size - 1) * (stride // old_strides[n]) < _size(view.dims[n])
        ]
        if size == 1 or not stride or not fits:
            dims.append(_plain(size))
            continue
        source = max(fits, key=lambda n: old_strides[n])
        left.remove(source)
        own, taken = view.dims[source], stride // old_strides[source]
        if taken == 1:
            dims.append(_resized(own, size))
        elif len(own) == 1 and any(own[0].jump):
            dims.append(_line(size, _times(own[0].jump, taken)))
        else:
            dims.append((Factor(size, _NOTHING, _span(own)),))
    return View(view.field, tuple(dims))


def picked(view: View, shape: Sequence[int], over: Iterable[int]) -> View:
    """Cells by their numbers along these dimensions, in any order: two neighbors may come from anywhere along them.

    >>> windows(picked(image_view((1, 3, 8, 6)), (1, 3, 5, 6), [2]), (1, 3, 3, 6), [(3, 1), (1, 1)]).field
    (8, 1)
    """
    if len(shape) != len(view.dims):
        return unknown([view], shape)
    gone = set(over)
    dims = (
        (Factor(size, _NOTHING, _span(dim)),) if place in gone else _resized(dim, size)
        for place, (dim, size) in enumerate(zip(view.dims, shape, strict=True))
    )
    return View(view.field, tuple(dims))


def resized(view: View, shape: Sequence[int]) -> View:
    """The same distances in a tensor of other sizes: padded, or cropped.

    >>> resized(image_view((1, 3, 8, 8)), (1, 3, 10, 10)).dims[2][0].span
    (9, 0)
    """
    return View(view.field, tuple(_resized(dim, size) for dim, size in zip(view.dims, shape, strict=True)))


def unknown(views: Sequence[View], shape: Sequence[int]) -> View:
    """After an operation that nobody here knows: everything may see everything, an upper bound.

    >>> unknown([image_view((1, 3, 8, 6))], (1, 10)).field
    (8, 6)
    """
    return plain_view(_widest(mixed(view).field for view in views), shape)


def plain_view(field: Pair, shape: Sequence[int]) -> View:
    """Cells that all see so far, and whose places in the image nobody knows.

    >>> plain_view((11, 11), (1, 64)).side
    11
    """
    return View(field, tuple(_plain(size) for size in shape))


def _part(factor: Factor, size: int, step: int) -> Factor:
    jump = _times(factor.jump, step)
    return Factor(size, jump, _times(jump, size - 1) if any(jump) else factor.span)


def _plain(size: int) -> Dim:
    return (Factor(size, _NOTHING, _NOTHING),)


def _line(size: int, jump: Pair) -> Dim:
    return (Factor(size, jump, _times(jump, size - 1)),)


def _resized(dim: Dim, size: int) -> Dim:
    if _size(dim) == size:
        return dim
    if len(dim) == 1 and any(dim[0].jump):
        return _line(size, dim[0].jump)
    return (Factor(size, _NOTHING, _span(dim)),)


def _across(field: Pair, dims: Iterable[Dim]) -> Pair:
    for dim in dims:
        field = _add(field, _span(dim))
    return field


def _size(dim: Dim) -> int:
    return dim[0].size if len(dim) == 1 else math.prod(factor.size for factor in dim)


def _span(dim: Dim) -> Pair:
    if len(dim) == 1:
        return dim[0].span
    return (sum(factor.span[0] for factor in dim), sum(factor.span[1] for factor in dim))


def _add(a: Pair, b: Pair) -> Pair:
    return (a[0] + b[0], a[1] + b[1])


def _widest(fields: Iterable[Pair]) -> Pair:
    heights, widths = zip(*fields, strict=True)
    return max(heights), max(widths)


def _times(a: Pair, n: float) -> Pair:
    return (a[0] * n, a[1] * n)
