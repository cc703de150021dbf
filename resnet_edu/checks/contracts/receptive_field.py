"""``receptive_field(layers)``: the side, in input pixels, of what one cell sees.

``layers`` is a list of ``(kernel, stride)`` or ``(kernel, stride, dilation)``, the first layer first.

>>> from resnet_edu import checks
>>> checks.receptive_field(lambda layers: sum(layer[0] for layer in layers)).mistake
'kernels-summed'
"""

from resnet_edu.checks.contracts.numbers import NUMBER, formula

REFERENCE = """
def receptive_field(layers):
    given, layers = layers, list(layers)  #: given
    field, jump = 1, 1  #: start
    for kernel, stride, *rest in layers:  #: loop
        dilation = rest[0] if rest else 1  #: dilation
        steps = dilation * (kernel - 1)  #: steps
        field = field + steps * jump  #: widen
        jump = jump * stride  #: jump
    return field  #: end give
"""
_CASES: tuple[list[tuple[int, ...]], ...] = (
    [(3, 1)],
    [(3, 1), (3, 1)],
    [(7, 2), (3, 2)],
    [(7, 2), (3, 2), (3, 1), (3, 1)],
    [(7, 2), (3, 2), (3, 1), (3, 1), (3, 2), (3, 1)],
    [(1, 2), (3, 1)],
    [(3, 1, 2), (3, 2, 1), (5, 1, 3)],
    [],
)

CONTRACT = formula(
    "receptive_field(layers)",
    [(case,) for case in _CASES],
    REFERENCE,
    (
        NUMBER,
        """
stride-ignored: widen: jump → 1
    The strides are ignored. Behind a stride of 2 neighboring cells lie 2 input pixels apart, so each further
    kernel widens the view twice as fast.
kernels-summed: start: field, jump = 0, 1 | steps: steps = kernel | widen: jump → 1
    The kernels are added up. Each layer adds kernel − 1 steps to the one pixel of the start, and each step is
    as wide as the product of all strides before.
stride-too-early: widen: jump = jump * stride; {} | jump: -
    A layer's own stride is counted before its kernel. A kernel sees cells as far apart as the earlier strides
    made them: widen first, then multiply the distance by this stride.
kernel-not-minus-one: steps: (kernel - 1) → kernel
    Each layer adds kernel − 1 steps, not kernel: its middle pixel is in view already.
starts-at-zero: start: 1, 1 → 0, 1
    It starts from 0. Before any layer a cell sees one pixel, itself: start from 1.
wrong-direction: loop: in layers → in reversed(layers)
    The order does not fit the recurrence. A line that multiplies the field itself, r = (r − 1)·stride + …,
    works from the last layer back: go through `reversed(layers)`. One that multiplies a distance by each stride
    works from the first layer on.
only-own-stride: widen: jump → stride
    Only each layer's own stride is used. The distance between cells is the product of all strides before.
strides-added: jump: * → +
    The strides are added up. The distance between two cells multiplies with each stride: 2, then 4, then 8.
dilation-ignored: dilation: dilation = 1
    The dilation, the third number where there is one, is ignored: a dilated kernel reaches dilation·(kernel −
    1) + 1 far.
largest-only: widen: field + steps * jump → max(field, steps + 1)
    This gives the widest single kernel. Views add up: each layer looks at cells that each see a region already.
only-stride-before: jump: jump * stride → stride
    Each layer's distance is the stride of the one layer before it. Multiply all strides before it: the distance
    is 2, then 4, then 8. `*=` does it, `=` forgets the earlier ones.
strides-added-less-one: jump: jump * stride → jump + stride - 1
    Each stride adds stride − 1 to the distance between two cells. It multiplies that distance: 2, then 4, then
    8.
dilation-times-kernel: steps: (kernel - 1) → kernel - 1
    A dilated kernel is made too wide. There are kernel − 1 gaps, each dilation wide, so a layer adds
    dilation·(kernel − 1) steps, not dilation·kernel − 1.
distance-returned: end: field → jump
    You return the distance between two neighboring cells, the product of the strides. Return the field, which
    starts at 1 and grows by dilation·(kernel − 1) such distances in each layer.
last-layer-skipped: loop: in layers → in layers[:-1]
    The last layer is left out. Each layer widens the view, the last one too.
returns-after-first-layer: loop: in layers → in layers[:1] | end: field → field if layers else None
    The `return` is inside the loop, so only the first layer is counted, and an empty list gives nothing. Move
    it behind the loop, to the left by one level.
empties-the-list: end: given.clear(); {}
    Your code empties the list that it is given, as `pop` does: whoever calls it has no layers left. Go through
    `reversed(layers)`, or work on a copy, `list(layers)`.
changes-the-list: end: given.reverse(); {}
    Your code changes the list that it is given: whoever calls it finds another one afterwards. Work on a copy,
    `list(layers)`.
third-number-not-taken: given: {}; layers = [(kernel, stride) for kernel, stride in layers]
    A layer may have a third number, the dilation. Take it along where it is there: `for kernel, stride, *rest
    in layers`.
third-number-always-taken: given: {}; layers = [(kernel, stride, dilation) for kernel, stride, dilation in layers]
or: given: {}; layers = [(layer[0], layer[1], layer[2]) for layer in layers]
    A layer may have two numbers only, and its dilation is 1 then. Ask whether there is a third: `for kernel,
    stride, *rest in layers`.
""",
    ),
    "Right for plain, strided and dilated stacks.",
)
