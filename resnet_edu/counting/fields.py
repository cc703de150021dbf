"""What one cell of a tensor can see of the image, through every operation (Araujo, Norris and Sim 2019, section 2).

A :class:`View` says how far a cell sees, where the first one begins, and for each dimension of its tensor how many
input pixels lie between two neighbors along it. So it survives what moves the pixels to other dimensions: permuting,
flattening, windows, tokens; and a sum of a map with its shifted copy sees both places. What this room does not know it
takes for more, never for less. Left out, as is usual: the statistics of normalizations, which see everything, and what
a border that wraps around brings from the other end. No torch here.
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
    """Pixels from one cell to the next, below 0 in a map that is turned around; both 0 along channels, and where the
    distances differ."""
    span: Pair
    """Pixels between the two cells that lie farthest from each other."""


Dim = tuple[Factor, ...]


class View(NamedTuple):
    """How far a cell sees, where the first one looks, and what each dimension of its tensor is made of.

    >>> pooled = windows(image_view((1, 3, 224, 224)), (1, 64, 112, 112), [Tap(7, 2, -3), Tap(7, 2, -3)])
    >>> pooled.start, windows(pooled, (1, 64, 56, 56), [Tap(3, 2, -1), Tap(3, 2, -1)]).side            # 7 + (3 − 1)·2
    ((-3, -3), 11)
    """

    field: Pair
    dims: tuple[Dim, ...]
    start: Pair = _NOTHING
    """Where the cell that lies first in the image begins to see."""
    slack: Pair = _NOTHING
    """By how many pixels a cell may begin later than its place tells, as between two pixels of an upsampling."""
    grain: Pair = _NOTHING
    """The pixels between two places where it may begin; without slack of no meaning."""

    @property
    def side(self) -> int:
        """Of the square that holds the field, in whole pixels."""
        # Between two cells, as after an upsampling, lies no third one to see.
        return math.ceil(max(self.field) - 1e-9)


class Tap(NamedTuple):
    """How a window moves along a dimension, in cells of what it reads: 7/2 with a padding of 3 is ``Tap(7, 2, -3)``.

    >>> Tap(reach=3, stride=2)
    Tap(reach=3, stride=2, first=0, slack=0)
    """

    reach: float
    stride: float
    first: float = 0
    """The first cell of the first window."""
    slack: float = 0
    """By how many cells a window may begin later than one stride after the other."""


def image_view(shape: Sequence[int]) -> View:
    """The image's own view: each pixel sees itself, and the last two dimensions are its height and width.

    >>> image_view((1, 3, 8, 6)).dims[-1]
    (Factor(size=6, jump=(0, 1), span=(0, 5)),)
    """
    dims = [_plain(size) for size in shape[:-2]]
    return View((1, 1), (*dims, _line(shape[-2], (1, 0)), _line(shape[-1], (0, 1))))


def windows(view: View, shape: Sequence[int], taps: Sequence[Tap], mixes: bool = False) -> View:
    """Through a convolution or a pooling over the last dimensions. A convolution ``mixes`` the channels.

    >>> windows(image_view((1, 3, 8, 8)), (1, 4, 4, 4), [Tap(3, 2, -1), Tap(3, 2, -1)]).dims[2][0].jump
    (2, 0)
    """
    field, start, slack, grain, count = view.field, view.start, view.slack, view.grain, len(taps)
    before, moved = view.dims[:-count], view.dims[-count:]
    dims = [dim if _size(dim) == size else _plain(size) for dim, size in zip(before, shape, strict=False)]
    if mixes:
        field = _add(field, _reach(view, [before[-1]]))  # without a batch, the channels stand first
        dims[-1] = _plain(shape[-count - 1])
    for dim, size, tap in zip(moved, shape[-count:], taps, strict=True):
        cells, low = _cells(dim, size, tap)
        if _is_line(dim):
            (line,) = dim
            field, start = _add(field, _steps(view, _far(line.jump, tap.reach - 1))), _add(start, low)
            step = _far(line.jump, 1)
            grain = (grain[0] if slack[0] else step[0], grain[1] if slack[1] else step[1])
            slack = _add(slack, _times(step, tap.slack))
        elif tap.reach > 1:  # neighbors at no equal distance: a window may see all of them
            cells, field = _plain(size), _add(field, _reach(view, [dim]))
        dims.append(cells)
    return View(field, tuple(dims), start, slack, grain)


def mixed(view: View, over: Iterable[int] | None = None) -> View:
    """Each cell sees what all cells along these dimensions see, all dimensions by default.

    >>> mixed(image_view((1, 3, 8, 6)), [2]).field
    (8, 1)
    """
    among = {dim % len(view.dims) for dim in (range(len(view.dims)) if over is None else over)}
    dims = tuple(_plain(_size(dim)) if n in among else dim for n, dim in enumerate(view.dims))
    return view._replace(field=_add(view.field, _reach(view, [view.dims[n] for n in among])), dims=dims)


def reduced(view: View, shape: Sequence[int], over: Iterable[int] | None = None) -> View:
    """After a mean or a sum over these dimensions, which are gone or of size 1.

    >>> reduced(image_view((1, 3, 8, 6)), (1, 3), [2, 3]).side
    8
    """
    gone = {dim % len(view.dims) for dim in (range(len(view.dims)) if over is None else over)}
    seen = mixed(view, gone)
    if len(shape) == len(view.dims):
        dims = [_plain(1) if n in gone else dim for n, dim in enumerate(seen.dims)]
    else:
        dims = [dim for n, dim in enumerate(seen.dims) if n not in gone]
    return seen._replace(dims=tuple(dims))


def product(left: View, right: View | None, shape: Sequence[int]) -> View:
    """After a matrix product, where the last dimension of the left is summed with the last but one of the right.

    >>> product(image_view((1, 3, 8, 6)), None, (1, 3, 8, 5)).field   # a linear layer over each row of the image
    (1, 6)
    """
    rows = mixed(left, [-1])
    rows = rows._replace(dims=(*rows.dims[:-1], _plain(1 if right else shape[-1])))
    if right is None:
        return rows
    columns = mixed(right, [-2])
    return together([rows, columns._replace(dims=(*columns.dims[:-2], _plain(1), columns.dims[-1]))], shape)


def together(views: Sequence[View], shape: Sequence[int]) -> View:
    """What is computed cell by cell from several tensors, stretched over each other where they differ in size.

    >>> image = image_view((1, 3, 8, 8))
    >>> below = restrided(image, (1, 3, 6, 8), (192, 64, 8, 1), (192, 64, 8, 1), 16)
    >>> together([below, resized(image, (1, 3, 6, 8))], (1, 3, 6, 8)).field   # a pixel, and the one two rows below
    (3, 1)
    """
    stretched = [_stretched(view, shape) for view in views]
    shared = tuple(dim or _plain(size) for dim, size in zip(_shared(stretched), shape, strict=True))
    # Told from the places that they share, from those of one of them, or from the corner: whatever leaves least.
    unions = (_union(stretched, dims) for dims in [shared, *(view.dims for view in stretched)])
    least = min(unions, key=lambda view: (sum(view.field), sum(_across(_NOTHING, view.dims))))
    whole = unknown(stretched, shape)
    return whole if sum(whole.field) < sum(least.field) else least


def joined(views: Sequence[View], shape: Sequence[int], along: int) -> View:
    """Tensors one behind the other along a dimension: channels of two maps, or a class token before the others.

    >>> image = image_view((1, 3, 8, 8))
    >>> joined([image, image], (1, 6, 8, 8), 1).side
    1
    """
    along %= len(shape)
    if len({(view.start, view.slack, view.grain) for view in views}) > 1:  # each begins late in its own way
        views = [view._replace(field=_add(view.field, view.slack), slack=_NOTHING) for view in views]
    others = [view._replace(dims=(*view.dims[:along], *view.dims[along + 1 :])) for view in views]
    most = _widest([view.field for view in views])
    shared = [dim for dim in _shared(others) if dim]
    if len(shared) == len(shape) - 1:
        # Each part begins where it begins, and ends where it ends; the cells along the dimension lie between.
        first = _least([view.start for view in views])
        last = _widest([_add(view.start, _add(view.field, _span(view.dims[along]))) for view in views])
        dim = _anywhere(shape[along], _minus(last, _add(first, most)))
        return views[0]._replace(field=most, dims=(*shared[:along], dim, *shared[along:]), start=first)
    return unknown(views, shape)


def stacked(views: Sequence[View], shape: Sequence[int], along: int) -> View:
    """Tensors of one shape side by side along a dimension of its own: what two branches made, before their mean.

    >>> image = image_view((1, 3, 8, 8))
    >>> stacked([image, image], (2, 1, 3, 8, 8), 0).side
    1
    """
    apart = [view._replace(dims=(*view.dims[:along], _plain(1), *view.dims[along:])) for view in views]
    return joined(apart, shape, along)


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
                break
            else:
                return unknown([view], shape)
        dims.append(_even(dim) or _plain(1))
    result = view._replace(dims=tuple(dims))
    # A vector has no place any more: whoever reads a number of it reads from the whole map.
    return unknown([result], shape) if len(shape) <= 2 < len(view.dims) else result


def restrided(
    view: View, shape: Sequence[int], strides: Sequence[int], old_strides: Sequence[int], offset: int = 0
) -> View:
    """Another look at the same memory: permuted, sliced, every second cell, dimensions of size 1 more or fewer.

    ``offset`` is where the first cell lies, counted as strides are.

    >>> every_second = restrided(image_view((1, 1, 8, 8)), (1, 1, 4, 8), (64, 64, 16, 1), (64, 64, 8, 1), 8)
    >>> every_second.dims[2][0].jump, every_second.start
    ((2, 0), (1, 0))
    """
    dims: list[Dim] = []
    start, slack = view.start, view.slack
    left = [n for n, dim in enumerate(view.dims) if _size(dim) > 1 and old_strides[n]]
    first = _place(offset, {n: (old_strides[n], _size(view.dims[n])) for n in left})
    for size, stride in zip(shape, strides, strict=True):
        if size == 1 or not stride:
            dims.append(_plain(size))
            continue
        # Of the dimensions that have such cells, the one with the longest stride: the others lie inside it.
        fits = [
            n
            for n in left
            if stride % old_strides[n] == 0 and first[n] + (size - 1) * (stride // old_strides[n]) < _size(view.dims[n])
        ]
        if not fits:
            return unknown([view], shape)
        source = max(fits, key=lambda n: old_strides[n])
        left.remove(source)
        own, step = view.dims[source], stride // old_strides[source]
        cells, low = _cells(own, size, Tap(1, step, first.pop(source)))
        dims.append(cells)
        start = _add(start, low)
    for source, cell in first.items():  # one cell of a dimension, which is gone
        own = view.dims[source]
        if _is_line(own):
            (line,) = own
            start = _add(start, _low(line, cell))
        else:
            slack = _add(slack, _span(own))
    for dim in view.dims:
        if _size(dim) == 1:  # also a single cell may lie anywhere
            slack = _add(slack, _span(dim))
    return view._replace(dims=tuple(dims), start=start, slack=slack)


def placed(view: View, shape: Sequence[int], strides: Sequence[int], whole_strides: Sequence[int], offset: int) -> View:
    """A part of a larger tensor, told from the cells of the whole: the way back from ``restrided``.

    >>> placed(image_view((1, 1, 6, 8)), (1, 1, 8, 8), (64, 64, 8, 1), (64, 64, 8, 1), 16).start
    (-2, 0)
    """
    cells = _place(offset, {n: (whole_strides[n], size) for n, size in enumerate(shape) if size > 1})
    dims, start = list(map(_plain, shape)), view.start
    for dim, stride in zip(view.dims, strides, strict=True):
        if _size(dim) == 1:
            continue
        fits = [n for n, cell in cells.items() if whole_strides[n] == stride and cell + _size(dim) <= shape[n]]
        if not fits:
            return unknown([view], shape)
        place = fits[0]
        dims[place], low = _cells(dim, shape[place], Tap(1, 1, -cells.pop(place)))
        start = _add(start, low)
    return view._replace(dims=tuple(dims), start=start)


def picked(view: View, shape: Sequence[int], over: Iterable[int]) -> View:
    """Cells by their numbers along these dimensions, in any order: two neighbors may come from anywhere along them.

    >>> windows(picked(image_view((1, 3, 8, 6)), (1, 3, 5, 6), [2]), (1, 3, 3, 6), [Tap(3, 1), Tap(1, 1)]).field
    (8, 1)
    """
    if len(shape) != len(view.dims):
        return unknown([view], shape)
    gone = set(over)
    dims = (
        _anywhere(size, _span(dim)) if place in gone or _size(dim) != size else dim
        for place, (dim, size) in enumerate(zip(view.dims, shape, strict=True))
    )
    return view._replace(dims=tuple(dims))


def turned(view: View, over: Iterable[int]) -> View:
    """The same cells in the opposite order along these dimensions.

    >>> image = image_view((1, 3, 8, 6))
    >>> turned(image, [3]).dims[3][0].jump, together([image, turned(image, [3])], (1, 3, 8, 6)).field
    ((0, -1), (1, 6))
    """
    around = {dim % len(view.dims) for dim in over}
    dims = (
        dim if n not in around else tuple(factor._replace(jump=_times(factor.jump, -1)) for factor in dim)
        for n, dim in enumerate(view.dims)
    )
    return view._replace(dims=tuple(dims))


def resized(view: View, shape: Sequence[int], first: Sequence[int] = ()) -> View:
    """The same distances in a tensor of other sizes: padded, or cropped. ``first`` holds the old cell with which each
    dimension begins: below 0 in front of a padding.

    >>> padded = resized(image_view((1, 3, 8, 8)), (1, 3, 10, 10), (0, 0, -1, -1))
    >>> padded.dims[2][0].span, padded.start
    ((9, 0), (-1, -1))
    """
    start = view.start
    dims: list[Dim] = []
    for dim, size, cell in zip(view.dims, shape, first or [0] * len(shape), strict=True):
        cells, low = _cells(dim, size, Tap(1, 1, cell))
        dims.append(cells)
        start = _add(start, low)
    return view._replace(dims=tuple(dims), start=start)


def unknown(views: Sequence[View], shape: Sequence[int]) -> View:
    """After an operation that nobody here knows: everything may see everything, an upper bound.

    >>> unknown([image_view((1, 3, 8, 6))], (1, 10)).field
    (8, 6)
    """
    first = _least([view.start for view in views])
    last = _widest([_add(view.start, _add(_across(view.field, view.dims), view.slack)) for view in views])
    return View(_minus(last, first), tuple(map(_plain, shape)), first)


def plain_view(field: Pair, shape: Sequence[int]) -> View:
    """Cells that all see so far, and whose places in the image nobody knows.

    >>> plain_view((11, 11), (1, 64)).side
    11
    """
    return View(field, tuple(map(_plain, shape)))


def _union(views: Sequence[View], dims: tuple[Dim, ...]) -> View:
    """What several tensors see together, told from the cells of these dimensions."""
    if all(view == views[0] and all(map(_same, view.dims, dims)) for view in views):
        return views[0]
    first, last = [], []
    for view in views:
        low, high = view.start, _add(view.start, _add(view.field, view.slack))
        for own, dim in zip(view.dims, dims, strict=True):
            least, most = _apart(own, dim)
            low, high = _add(low, least), _add(high, most)
        first.append(low)
        last.append(high)
    return View(_minus(_widest(last), _least(first)), dims, _least(first))


def _reach(view: View, dims: Iterable[Dim]) -> Pair:
    """How much wider a field is that holds those of all cells along these dimensions."""
    (height, width), (later, further) = _across(_NOTHING, dims), view.slack
    return (height and height + later, width and width + further)


def _steps(view: View, far: Pair) -> Pair:
    """The same for cells that stand this far apart on a line: they begin whole grains apart."""
    (height, width), (later, further), (step, stride) = far, view.slack, view.grain
    return (
        math.floor((height + later) / step + 1e-9) * step if height and later else height,
        math.floor((width + further) / stride + 1e-9) * stride if width and further else width,
    )


def _apart(own: Dim, other: Dim) -> tuple[Pair, Pair]:
    """How much later the cells of one dimension begin than those of another one, at least and at most."""
    if _same(own, other):
        return _NOTHING, _NOTHING
    if any(map(_is_anywhere, (*own, *other))):
        return _times(_span(other), -1), _span(own)
    apart = list(map(_minus, _places(own), _places(other)))
    return _least(apart), _widest(apart)


def _places(dim: Dim) -> list[Pair]:
    """How far behind the first in the image each cell of a dimension begins."""
    places = [_NOTHING]
    for factor in dim:
        steps = [_low(factor, cell) for cell in range(factor.size)]
        places = [_add(place, step) for place in places for step in steps]
    return places


def _same(own: Dim, other: Dim) -> bool:
    """Whether the cells of two dimensions lie alike: a single one has no neighbor, and what lies anywhere lies alike
    only where it is one and the same."""
    if len(own) != len(other):
        return False
    return all(
        a is b or ((a == b or a.size == b.size == 1) and not _is_anywhere(a) and not _is_anywhere(b))
        for a, b in zip(own, other, strict=True)
    )


def _shared(views: Sequence[View]) -> list[Dim | None]:
    """The dimensions along which the cells of all views lie alike, and None for the others."""
    columns = zip(*(view.dims for view in views), strict=True)
    return [max(dims, key=_pace) if all(_same(dim, dims[0]) for dim in dims) else None for dims in columns]


def _pace(dim: Dim) -> float:
    return sum(abs(pixels) for factor in dim for pixels in factor.jump)


def _stretched(view: View, shape: Sequence[int]) -> View:
    dims = ((_plain(1),) * len(shape) + view.dims)[-len(shape) :] if shape else ()
    if any(_size(dim) not in (1, size) for dim, size in zip(dims, shape, strict=True)):
        return unknown([view], shape)
    fits = (dim if _size(dim) == size else _plain(size) for dim, size in zip(dims, shape, strict=True))
    return view._replace(dims=tuple(fits))


def _cells(dim: Dim, size: int, tap: Tap) -> tuple[Dim, Pair]:
    """Windows along a dimension as one of their own, and where the first of them in the image begins in the old one."""
    if not _is_line(dim):
        return (dim if (size, tap) == (_size(dim), Tap(1, 1)) else _anywhere(size, _span(dim))), _NOTHING
    (line,) = dim
    last = tap.first + tap.stride * (size - 1) + tap.reach - 1 + tap.slack
    low = _least([_low(line, tap.first), _low(line, last)])
    return _line(size, _times(line.jump, tap.stride)), low


def _low(factor: Factor, cell: float) -> Pair:
    """How far behind the first in the image a cell of a line begins."""
    (down, right), (height, width) = factor.jump, factor.span
    return (down * cell + (height if down < 0 else 0), right * cell + (width if right < 0 else 0))


def _place(offset: int, steps: dict[int, tuple[int, int]]) -> dict[int, int]:
    """The cell along each dimension that lies at this offset, from their strides and sizes."""
    cells = {}
    for n, (stride, size) in sorted(steps.items(), key=lambda item: -item[1][0]):
        cells[n] = min(offset // stride, size - 1)
        offset -= cells[n] * stride
    return cells


def _part(factor: Factor, size: int, step: int) -> Factor:
    jump = _times(factor.jump, step)
    return Factor(size, jump, _far(jump, size - 1)) if any(jump) else factor._replace(size=size)


def _even(factors: Iterable[Factor]) -> Dim:
    """A dimension of these factors, where a line that was cut is a line again."""
    dim: list[Factor] = []
    for factor in factors:
        outer = dim[-1] if dim else None
        if outer and any(factor.jump) and outer.jump == _times(factor.jump, factor.size):
            size = outer.size * factor.size
            dim[-1] = Factor(size, factor.jump, _far(factor.jump, size - 1))
        else:
            dim.append(factor)
    return tuple(dim)


def _plain(size: int) -> Dim:
    return (Factor(size, _NOTHING, _NOTHING),)


def _line(size: int, jump: Pair) -> Dim:
    return (Factor(size, jump, _far(jump, size - 1)),)


def _anywhere(size: int, span: Pair) -> Dim:
    return (Factor(size, _NOTHING, span),)


def _is_anywhere(factor: Factor) -> bool:
    return any(factor.span) and not any(factor.jump)


def _is_line(dim: Dim) -> bool:
    return len(dim) == 1 and any(dim[0].jump)


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


def _minus(a: Pair, b: Pair) -> Pair:
    return (a[0] - b[0], a[1] - b[1])


def _times(a: Pair, n: float) -> Pair:
    return (a[0] * n, a[1] * n)


def _far(jump: Pair, steps: float) -> Pair:
    return (abs(jump[0] * steps), abs(jump[1] * steps))


def _widest(pairs: Iterable[Pair]) -> Pair:
    heights, widths = zip(*pairs, strict=True)
    return max(heights), max(widths)


def _least(pairs: Iterable[Pair]) -> Pair:
    heights, widths = zip(*pairs, strict=True)
    return min(heights), min(widths)
