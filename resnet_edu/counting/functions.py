"""What each of torch's functions is called in a row, what it costs, and what its output sees.

A function that nobody here knows is called by its own name, its multiply-adds are counted by PyTorch's own counter,
and its output is said to see everything that its inputs see together: an upper bound.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from resnet_edu.counting import fields
from resnet_edu.counting.fields import Tap, View
from resnet_edu.counting.steps import Shape


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: They ask about a tensor: its size, or what another one of its size would be.
QUESTIONS = _names(
    "size dim numel stride is_contiguous is_floating_point data_ptr storage_offset __len__ item tolist ndimension "
    "_set_grad_enabled is_complex element_size get_device untyped_storage zeros_like ones_like empty_like full_like "
    "rand_like randn_like new_zeros new_ones new_empty new_full new_tensor"
)
#: They make a tensor of nothing that anybody could learn or see. What takes its numbers from a list or from numpy is
#: not among them: they may come from the image.
CONSTANTS = _names("zeros ones full arange linspace logspace eye rand randn")
#: They give the same numbers another shape, type or place, and leave no row.
RESHAPES = _names(
    "view reshape flatten unflatten view_as reshape_as ravel permute transpose t swapaxes swapdims movedim "
    "moveaxis squeeze unsqueeze expand expand_as broadcast_to contiguous clone to type type_as float half "
    "double bfloat16 cpu cuda detach alias get requires_grad as_subclass adjoint matrix_transpose numpy "
    "from_numpy quantize_per_tensor dequantize atleast_1d atleast_2d atleast_3d"
)
_LOOKS = _names(
    "permute transpose t swapaxes swapdims movedim moveaxis squeeze unsqueeze expand expand_as broadcast_to "
    "get adjoint getitem chunk split split_with_sizes tensor_split unbind narrow select detach unfold"
)
_MOVES = _names("view reshape flatten unflatten view_as reshape_as ravel")

#: The words of the book, for a function and for the module that calls it alone.
WORDS = {
    "batch_norm": "batch norm",
    "layer_norm": "layer norm",
    "group_norm": "group norm",
    "instance_norm": "instance norm",
    "local_response_norm": "local response norm",
    "relu": "ReLU",
    "flatten": "flatten",
    "linear": "linear",
    "adaptive_avg_pool1d": "average pool",
    "adaptive_avg_pool2d": "average pool",
    "adaptive_avg_pool3d": "average pool",
    "adaptive_max_pool2d": "adaptive max-pool",
    "multi_head_attention_forward": "attention",
    "scaled_dot_product_attention": "attention",
    "pad": "pad",
    "cat": "concat",
    "concat": "concat",
    "concatenate": "concat",
    "stack": "stack",
    "interpolate": "resize",
    "upsample": "resize",
    "matmul": "matrix product",
    "mm": "matrix product",
    "bmm": "matrix product",
    "addmm": "matrix product",
    "baddbmm": "matrix product",
    "einsum": "einsum",
    "mean": "mean",
    "sum": "sum",
    "amax": "maximum",
    "softmax": "softmax",
    "sigmoid": "sigmoid",
    "getitem": "slice",
    "narrow": "slice",
    "select": "slice",
    "chunk": "split",
    "split": "split",
    "unbind": "split",
    "setitem": "assign",
    "gru": "GRU",
    "lstm": "LSTM",
}
_CONVS = {f"conv{n}d": n for n in (1, 2, 3)}
_TRANSPOSED = {f"conv_transpose{n}d": n for n in (1, 2, 3)}
_POOLS = {
    f"{kind}_pool{n}d": (word, n)
    for kind, word in (("max", "max-pool"), ("avg", "average pool"), ("lp", "power pool"))
    for n in (1, 2, 3)
}
_POOLS |= {f"max_pool{n}d_with_indices": ("max-pool", n) for n in (1, 2, 3)}
_ADAPTIVE = {f"adaptive_{kind}_pool{n}d": n for kind in ("avg", "max") for n in (1, 2, 3)}
_SIGNS = {"add": "+", "radd": "+", "iadd": "+", "sub": "−", "rsub": "−", "isub": "−", "subtract": "−"}
_SIGNS |= {"mul": "×", "rmul": "×", "imul": "×", "multiply": "×"}
_SIGNS |= {"div": "÷", "truediv": "÷", "rdiv": "÷", "rtruediv": "÷", "itruediv": "÷", "divide": "÷", "true_divide": "÷"}
_TWO = {"+": "add", "−": "subtract", "×": "multiply", "÷": "divide"}
#: They add something to their first argument: x + a·b, or x + a·(y − x).
_ADDS = _names("addcmul addcdiv lerp")
_REDUCES = _names("mean sum amax amin std var max min norm logsumexp prod median var_mean std_mean argmax")

#: They multiply nothing by weights, or, like a scale or a norm, only number by number, which nobody counts.
FREE = (
    frozenset(WORDS)
    - _names(
        "linear matmul mm bmm addmm baddbmm einsum multi_head_attention_forward scaled_dot_product_attention gru lstm"
    )
    | RESHAPES
    | _REDUCES
    | frozenset(_SIGNS)
    | frozenset(_POOLS)
    | frozenset(_ADAPTIVE)
    | _names(
        "neg abs exp log sqrt rsqrt pow tanh relu6 leaky_relu rrelu elu selu celu gelu silu mish softplus "
        "softsign hardswish hardsigmoid hardtanh hardshrink softshrink threshold logsigmoid prelu glu log_softmax "
        "softmin normalize rms_norm clamp clamp_min clamp_max clip where maximum minimum square reciprocal sin "
        "cos sign floor ceil round erf addcmul addcdiv lerp masked_fill dropout dropout1d dropout2d dropout3d "
        "alpha_dropout feature_alpha_dropout roll flip repeat repeat_interleave tile hstack vstack pixel_shuffle "
        "pixel_unshuffle channel_shuffle unfold fold index_select gather embedding copy fill zero take_along_dim "
        "split_with_sizes tensor_split cumsum triu tril rot90 diff nan_to_num eq ne lt le gt ge bool int long "
        "logical_and logical_or logical_not native_batch_norm expand_as topk sort argsort one_hot "
        "cosine_similarity"
    )
)


#: What a network's layers call with an image first, and their weights behind it.
LAYERS = frozenset(_CONVS) | frozenset(_TRANSPOSED) | _names("linear batch_norm layer_norm group_norm instance_norm")


class Call:
    """One call of a function: its plain name, its arguments, and the traced tensors among them with their views.

    >>> Call("conv2d", (torch.zeros(1, 3, 8, 8), torch.zeros(4, 3, 5, 5)), {}, [], []).word(learned=True)[0]
    'conv 5×5'
    """

    __slots__ = ("args", "kwargs", "name", "seen", "views")

    def __init__(self, name: str, args: Any, kwargs: Any, seen: list[Tensor], views: Sequence[View | None]) -> None:
        self.name, self.args, self.kwargs, self.seen = name, args, kwargs, seen
        self.views = [view for view in views if view is not None]

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """An argument wherever it was written.

        >>> Call("conv2d", ("x", "w", None, 2), {"padding": 1}, [], []).argument(3, "stride", 1)
        2
        """
        return self.args[place] if place < len(self.args) else self.kwargs.get(name, default)

    def word(self, learned: bool) -> tuple[str, bool]:
        """What the row is called, and whether that is better than the name of its module."""
        name = self.name
        weight = self.argument(1, "weight")
        if (name in _CONVS or name in _TRANSPOSED) and isinstance(weight, Tensor):
            count = _CONVS.get(name) or _TRANSPOSED[name]
            kind = "conv" if name in _CONVS else "transposed conv"
            return f"{kind} {_window(tuple(weight.shape[2:]), self.spread(3, 'stride', count))}", True
        if name in _POOLS:
            word, count = _POOLS[name]
            return f"{word} {_window(self.kernel(count), self.pool_stride(count))}", True
        if name in _SIGNS:
            sign = _SIGNS[name]
            # A sum of a tensor with itself is one that two rows do not enter.
            return (_TWO[sign] if len(self.seen) > 1 else f"{sign} {'parameter' if learned else 'constant'}"), True
        if name in _ADDS and len(self.seen) > 1 and self.argument(0, "input") is self.seen[0]:
            return "add", True
        return WORDS.get(name, name.replace("_", " ")), name in WORDS

    def spread(self, place: int, name: str, count: int, default: int = 1) -> tuple[int, ...]:
        """A size for each dimension, where one number or a list of one stands for all."""
        value = self.argument(place, name, default)
        values = tuple(value) if isinstance(value, list | tuple) else (value,)
        return tuple(map(int, values * count if len(values) == 1 else values))

    def kernel(self, count: int) -> tuple[int, ...]:
        """The window of a pooling."""
        return self.spread(2 if self.name.startswith("lp") else 1, "kernel_size", count)

    def pool_stride(self, count: int) -> tuple[int, ...]:
        """The stride of a pooling: its window, unless it says another."""
        place = 3 if self.name.startswith("lp") else 2
        given = self.argument(place, "stride")
        return (
            self.kernel(count) if given is None or given == [] or given == () else self.spread(place, "stride", count)
        )

    def multiply_adds(self, output: Tensor) -> int | None:
        """How many, or None if this room does not know how to count them."""
        count = COSTS.get(self.name)
        return None if count is None else count(self, output)

    def seen_by(self, output: Tensor) -> View | None:
        """What a cell of this output sees."""
        if not self.views:
            return None
        view, shape = self.views[0], tuple(output.shape)
        if self.name in LAYERS and len(self.views) > 1:  # weights that were computed from the image
            return fields.unknown(self.views, shape)
        if self.name in _CONVS or self.name in _TRANSPOSED or self.name in _POOLS or self.name in _ADAPTIVE:
            return self._windows(view, shape)
        if self.name in _MOVES:
            return fields.reshaped(view, shape)
        if self.name in _LOOKS:
            return self._look(view, output)
        if self.name in _SEEN:
            return _SEEN[self.name](self, view, shape)
        if self.name in _REDUCES and len(self.seen) == 1:
            over = self._reduced()
            return fields.unknown(self.views, shape) if over is None else fields.reduced(view, shape, over)
        sizes = [tuple(tensor.shape) for tensor in self.seen]
        if self.name in FREE and _stretch(sizes) == shape:
            return fields.together(self.views, shape)
        return fields.unknown(self.views, shape)

    def _windows(self, view: View, shape: Shape) -> View:
        name = self.name
        before = tuple(self.seen[0].shape)
        if name in _ADAPTIVE:
            count = _ADAPTIVE[name]
            return fields.windows(view, shape, list(map(_shares, before[-count:], shape[-count:])))
        if name in _POOLS:
            count = _POOLS[name][1]
            spread = self.spread(4, "dilation", count) if name.startswith("max") else (1,) * count
            padding = (0,) * count if name.startswith("lp") else self.spread(3, "padding", count, 0)
            pools = zip(self.kernel(count), spread, self.pool_stride(count), padding, strict=True)
            return fields.windows(view, shape, [Tap(d * (k - 1) + 1, s, -p) for k, d, s, p in pools])
        count = _CONVS.get(name) or _TRANSPOSED[name]
        weight = self.argument(1, "weight")
        if not isinstance(weight, Tensor):
            return fields.unknown(self.views, shape)
        spread = self.spread(5 if name in _CONVS else 7, "dilation", count)
        reaches = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], spread, strict=True)]
        strides = self.spread(3, "stride", count)
        if isinstance(self.argument(4, "padding"), str):  # "same" puts the odd one behind
            padding = tuple((reach - 1) // 2 if self.argument(4, "padding") == "same" else 0 for reach in reaches)
        else:
            padding = self.spread(4, "padding", count, 0)
        sides = zip(reaches, strides, padding, strict=True)
        if name in _CONVS:
            taps = [Tap(reach, s, -p) for reach, s, p in sides]
        else:  # every s-th tap of the kernel meets a cell
            taps = [Tap(math.ceil(reach / s), 1 / s, (p - reach + 1) / s, 1 - 1 / s) for reach, s, p in sides]
        return fields.windows(view, shape, taps, mixes=True)

    def _look(self, view: View, output: Tensor) -> View:
        source = self.seen[0]
        if self.name == "getitem" and (over := self._picked()) is not None:
            index = self.args[1] if isinstance(self.args[1], tuple) else ()
            slices = tuple(slice(None) if place in over else own for place, own in enumerate(index))
            if all(isinstance(own, slice) for own in slices):  # beside one list, slices are slices
                with torch._C.DisableTorchFunction():
                    view = self._strided(view, source[slices])
            return fields.picked(view, tuple(output.shape), over)
        if output.layout == torch.strided:
            return self._strided(view, output)
        return fields.unknown([view], tuple(output.shape))

    def _strided(self, view: View, output: Tensor) -> View:
        source = self.seen[0]
        offset = int(output.storage_offset()) - int(source.storage_offset())
        return fields.restrided(view, tuple(output.shape), output.stride(), source.stride(), offset)

    def _picked(self) -> list[int] | None:
        """The dimensions along which cells are taken by their numbers or by a mask; None where x[…] takes slices."""
        count = self.seen[0].dim()
        if self.name != "getitem":
            place = 2 if self.name == "take_along_dim" else 1
            dim = self.argument(place, "dim")
            return list(range(count)) if dim is None else [dim % count]
        index = list(self.args[1]) if isinstance(self.args[1], tuple) else [self.args[1]]
        lists = [place for place, own in enumerate(index) if isinstance(own, list) or getattr(own, "ndim", 0) > 0]
        if not lists:
            return None
        if len(lists) == 1 and all(isinstance(own, slice) for place, own in enumerate(index) if place not in lists):
            return lists
        return list(range(count))

    def _reduced(self) -> list[int] | None:
        """The dimensions that a sum or a mean goes over; None for all of them."""
        over = self.argument(1, "dim", self.kwargs.get("axis"))
        if self.name == "norm":
            over = self.argument(2, "dim")
        dims = list(over) if isinstance(over, list | tuple) else [over]
        return dims if dims and all(type(dim) is int for dim in dims) else None


def tensors(values: Iterable[Any]) -> list[Tensor]:
    """The tensors in what a function takes or gives, whatever holds them.

    >>> len(tensors([(torch.zeros(1), [torch.zeros(2)], {"a": torch.zeros(3)}, "b")]))
    3
    """
    found: list[Tensor] = []
    for value in values:
        kind = type(value)
        if kind is Tensor or isinstance(value, Tensor):
            found.append(value)
        elif kind in _PLAIN:
            continue
        elif isinstance(value, list | tuple):
            found += tensors(value)
        elif isinstance(value, dict):
            found += tensors(value.values())
    return found


_PLAIN = (int, bool, float, str, type(None))


def shape(tensor: Tensor) -> Shape:
    """Without the batch of one.

    >>> shape(torch.zeros(1, 3, 8, 8)), shape(torch.zeros(64, 49, 96))
    ((3, 8, 8), (64, 49, 96))
    """
    sizes = tuple(tensor.shape)
    return sizes[1:] if len(sizes) > 1 and sizes[0] == 1 else sizes


def changes_nothing(call: Call) -> bool:
    """Whether it adds 0 or multiplies by 1, as Python's ``sum`` does.

    >>> changes_nothing(Call("add", (torch.ones(2), 0), {}, [], []))
    True
    """
    sign = _SIGNS.get(call.name, "")
    neutral = {"+": 0, "−": 0, "×": 1, "÷": 1}.get(sign)
    values = [*call.args, *(value for key, value in call.kwargs.items() if key != "alpha")]
    others = [value for value in values if not isinstance(value, Tensor)]
    plain = all(isinstance(value, int | float) and value == neutral for value in others)
    return neutral is not None and len(values) == 2 and len(others) == 1 and plain and call.name[0] not in "r"


def measured(func: Any, args: Any, kwargs: Any) -> tuple[Any, int]:
    """What the function gives, and its multiply-adds by PyTorch's counter, which counts both operations of each.

    >>> measured(torch.mm, (torch.ones(2, 3), torch.ones(3, 4)), {})[1]          # 2·3·4
    24
    """
    with FlopCounterMode(display=False) as counter:
        output = func(*args, **kwargs)
    return output, counter.get_total_flops() // 2


def _window(kernel: tuple[int, ...], stride: tuple[int, ...]) -> str:
    text = "×".join(map(str, kernel))
    if max(stride) == 1:
        return text
    return f"{text}/{stride[0] if len(set(stride)) == 1 else '×'.join(map(str, stride))}"


def _stretch(sizes: Sequence[Shape]) -> Shape | None:
    try:
        return tuple(torch.broadcast_shapes(*sizes))  # type: ignore[no-untyped-call]
    except RuntimeError:
        return None


def _conv_cost(call: Call, output: Tensor) -> int | None:
    weight = call.argument(1, "weight")
    if not isinstance(weight, Tensor):  # a quantized convolution keeps its weights packed
        return None
    # Every weight of a filter once for each pixel; turned around, once for each pixel that is read.
    return (output if call.name in _CONVS else call.argument(0, "input")).numel() * weight[0].numel()


def _linear_cost(call: Call, output: Tensor) -> int | None:
    weight = call.argument(1, "weight")
    return output.numel() * weight.shape[-1] if isinstance(weight, Tensor) else None


#: What a matrix product calls its factors, and where the first of them stands.
_FACTORS = {
    "linear": (0, "input", "weight"),
    "matmul": (0, "input", "other"),
    "mm": (0, "input", "mat2"),
    "bmm": (0, "input", "mat2"),
    "addmm": (1, "mat1", "mat2"),
    "baddbmm": (1, "batch1", "batch2"),
}


def _factors(call: Call) -> tuple[Tensor | None, Tensor | None]:
    place, left, right = _FACTORS[call.name]
    return call.argument(place, left), call.argument(place + 1, right)


def _product_cost(call: Call, output: Tensor) -> int | None:
    left, _ = _factors(call)
    return None if left is None else output.numel() * left.shape[-1]


def _attention_cost(call: Call, output: Tensor) -> int:
    query, key = call.argument(0, "query"), call.argument(1, "key")
    # Every query with every key, then every value with its weight.
    return (query.numel() + output.numel()) * key.shape[-2]


COSTS: dict[str, Callable[[Call, Tensor], int | None]] = {
    **dict.fromkeys(_CONVS, _conv_cost),
    **dict.fromkeys(_TRANSPOSED, _conv_cost),
    **dict.fromkeys(_FACTORS, _product_cost),
    "linear": _linear_cost,  # its weight may be packed
    "scaled_dot_product_attention": _attention_cost,
}


def _matrix_view(call: Call, view: View, shape: Shape) -> View:
    if call.name == "linear" and len(shape) == len(view.dims):  # a weight of one dimension leaves one fewer
        return fields.product(view, None, shape)
    known = dict(zip(map(id, call.seen), call.views, strict=False))
    left, right = (known.get(id(factor)) for factor in _factors(call))
    if left is None or len(shape) != len(left.dims):
        return fields.unknown(call.views, shape)
    product = fields.product(left, right, shape)
    added = known.get(id(call.argument(0, "input"))) if call.name in ("addmm", "baddbmm") else None
    return fields.together([product, added], shape) if added else product


def _attention_view(call: Call, view: View, shape: Shape) -> View:
    if any(len(view.dims) != len(shape) for view in call.views):
        return fields.unknown(call.views, shape)
    # Each token sees those of its own sequence. They stand last but one, and first where PyTorch's layer calls.
    over = (0, -1) if call.name == "multi_head_attention_forward" else (-2, -1)
    seen = fields.together([fields.mixed(view, over) for view in call.views], shape)
    return View(seen.field, (*seen.dims[:-1], fields.plain_view(seen.field, shape).dims[-1]))


def _rounded(reach: int, step: Fraction, first: Fraction = Fraction(0)) -> Tap:
    """Windows that begin at the whole cell below ``first``, ``first`` + ``step``, ``first`` + 2·``step`` …"""
    late = 1 - Fraction(1, step.denominator)
    return Tap(reach, float(step), float(first - first % Fraction(1, step.denominator) - late), float(late))


def _shares(old: int, new: int) -> Tap:
    """Adaptive windows: number i reads from ⌊i·old/new⌋ to ⌈(i + 1)·old/new⌉."""
    # A single cell has no neighbor to be far from, so it takes no step.
    if new == 1:
        return Tap(old, 1)
    return _rounded(max(-(-(i + 1) * old // new) - i * old // new for i in range(new)), Fraction(old, new))


def _resize_view(call: Call, view: View, shape: Shape) -> View:
    mode = call.argument(3, "mode", "nearest")
    if mode == "area":
        return fields.windows(view, shape, list(map(_shares, call.seen[0].shape[2:], shape[2:])))
    taps = []
    for old, new in zip(call.seen[0].shape[2:], shape[2:], strict=True):
        step = Fraction(old, new)
        if old == new:
            taps.append(Tap(1, 1))
        elif mode == "nearest":
            taps.append(_rounded(1, step))
        elif mode == "nearest-exact":
            taps.append(_rounded(1, step, step / 2))
        elif call.argument(6, "antialias") and old > new:  # the window grows with the step
            reach = (4 if mode == "bicubic" else 2) * step
            taps.append(_rounded(math.ceil(reach), step, (step - reach + 1) / 2))
        else:
            if call.argument(4, "align_corners"):  # a single cell is the first one
                step, first = Fraction(old - 1, max(new - 1, 1)), Fraction(0)
            else:
                first = step / 2 - Fraction(1, 2)
            taps.append(_rounded(4, step, first - 1) if mode == "bicubic" else _rounded(2, step, first))
    return fields.windows(view, shape, taps)


def _join_view(call: Call, view: View, shape: Shape) -> View:
    along = call.argument(1, "dim", call.kwargs.get("axis", 0))
    if not isinstance(along, int) or any(len(view.dims) != len(shape) for view in call.views):
        return fields.unknown(call.views, shape)
    return fields.joined(call.views, shape, along)


def _stack_view(call: Call, view: View, shape: Shape) -> View:
    along = call.argument(1, "dim", call.kwargs.get("axis", 0))
    if not isinstance(along, int) or any(len(view.dims) != len(shape) - 1 for view in call.views):
        return fields.unknown(call.views, shape)
    return fields.stacked(call.views, shape, along % len(shape))


def _picked_view(call: Call, view: View, shape: Shape) -> View:
    over = call._picked() or ()
    # Each cell has a number of its own, so its neighbors come from elsewhere in every direction.
    return fields.picked(view if call.name == "index_select" else fields.mixed(view, over), shape, over)


def _shuffled_view(call: Call, view: View, shape: Shape) -> View:
    return fields.picked(view, shape, [1])


def _ordered_view(call: Call, view: View, shape: Shape) -> View:
    # A running sum, numbers in order of size, rows that move on: what stands somewhere may come from anywhere.
    return fields.unknown(call.views, shape)


def _shuffle_view(call: Call, view: View, shape: Shape) -> View:
    before = call.seen[0].shape
    # Into the channels: what reads them all sees the whole square that they come from.
    sides = zip(before[-2:], shape[-2:], strict=True)
    return fields.windows(view, shape, [_rounded(max(old // new, 1), Fraction(old, new)) for old, new in sides])


def _padded_view(call: Call, view: View, shape: Shape) -> View:
    padding = call.argument(1, "pad")
    first = [-int(cells) for cells in padding[::2]][::-1]  # the last dimension comes first, front before back
    return fields.resized(view, shape, [0] * (len(shape) - len(first)) + first)


def _turned_view(call: Call, view: View, shape: Shape) -> View:
    over = _numbers(call.args[1:] or [call.argument(1, "dims")])
    return fields.turned(view, over) if over else fields.unknown(call.views, shape)


def _rolled_view(call: Call, view: View, shape: Shape) -> View:
    over, by = _numbers([call.argument(2, "dims")]), _numbers([call.argument(1, "shifts")])
    if not over or len(over) != len(by):
        return fields.unknown(call.views, shape)
    first = [0] * len(shape)
    for dim, shift in zip(over, by, strict=True):
        first[dim % len(shape)] -= shift
    return fields.resized(view, shape, first)


def _numbers(given: Sequence[Any]) -> list[int]:
    """Whole numbers that are written behind each other or as one list; none if there is something else."""
    written = list(given[0]) if len(given) == 1 and isinstance(given[0], list | tuple) else list(given)
    return written if all(isinstance(number, int) for number in written) else []


def _softmax_view(call: Call, view: View, shape: Shape) -> View:
    dim = call.argument(1, "dim")
    return fields.mixed(view, [dim]) if isinstance(dim, int) else fields.unknown(call.views, shape)


def _assigned_view(call: Call, view: View, shape: Shape) -> View:
    whole = part = call.args[0]
    if call.name == "setitem":
        index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
        is_place = all(own is None or own is ... or type(own) in (int, slice) for own in index)
        with torch._C.DisableTorchFunction():
            part = whole[index] if is_place else None  # by a mask or by numbers, nobody knows where
    views = []
    for tensor, seen in zip(call.seen, call.views, strict=False):
        if tensor is whole or (part is None and tensor.dtype == torch.bool and tuple(tensor.shape) == shape):
            views.append(seen)  # a mask decides cell by cell
        elif part is not None:
            views.append(placed(fields.together([seen], tuple(part.shape)), part, whole))
        else:
            views.append(fields.unknown([seen], shape))
    return fields.together(views, shape)


def placed(view: View, part: Tensor, whole: Tensor) -> View:
    """What the cells of a tensor see into a part of which something is written.

    >>> whole = torch.zeros(1, 1, 8, 8)
    >>> placed(fields.image_view((1, 1, 6, 8)), whole[:, :, 2:], whole).start          # the image begins in row 2
    (-2, 0)
    """
    offset = int(part.storage_offset()) - int(whole.storage_offset())
    return fields.placed(view, tuple(whole.shape), part.stride(), whole.stride(), offset)


_SEEN: dict[str, Callable[[Call, View, Shape], View]] = {
    **dict.fromkeys(_FACTORS, _matrix_view),
    **dict.fromkeys(("scaled_dot_product_attention", "multi_head_attention_forward"), _attention_view),
    **dict.fromkeys(("interpolate", "upsample", "upsample_nearest", "upsample_bilinear"), _resize_view),
    **dict.fromkeys(("cat", "concat", "concatenate"), _join_view),
    "stack": _stack_view,
    **dict.fromkeys(("cumsum", "sort", "argsort", "topk", "rot90", "repeat_interleave"), _ordered_view),
    **dict.fromkeys(("index_select", "gather", "take_along_dim"), _picked_view),
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle"), _shuffle_view),
    **dict.fromkeys(("setitem", "copy"), _assigned_view),
    **dict.fromkeys(("softmax", "log_softmax", "softmin"), _softmax_view),
    "channel_shuffle": _shuffled_view,
    "pad": _padded_view,
    "flip": _turned_view,
    "roll": _rolled_view,
}
