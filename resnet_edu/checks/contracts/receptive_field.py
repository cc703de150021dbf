"""The side, in input pixels, of what one cell sees."""

from resnet_edu.checks.source import Case, Contract, M

REFERENCE = """
def receptive_field(layers):
    given, layers = layers, list(layers)  #: given
    field, jump = 1, 1  #: start
    for kernel, stride, *rest in layers:  #: loop
        dilation = rest[0] if rest else 1  #: dilation
        steps = dilation * (kernel - 1)  #: steps
        field = field + steps * jump  #: widen
        jump = jump * stride  #: jump
    return field  #: end
"""
_CASES = (
    [(3, 1)],
    [(3, 1), (3, 1)],
    [(7, 2), (3, 2)],
    [(7, 2), (3, 2), (3, 1), (3, 1)],
    [(7, 2), (3, 2), (3, 1), (3, 1), (3, 2), (3, 1)],
    [(1, 2), (3, 1)],
    [(3, 1, 2), (3, 2, 1), (5, 1, 3)],
    [],
)

CONTRACT = Contract(
    "receptive_field(layers)",
    tuple(Case((case,)) for case in _CASES),
    REFERENCE,
    (
        M(
            "stride-ignored",
            "The strides are ignored. Behind a stride of 2 neighboring cells lie 2 input pixels apart, so "
            "each further kernel widens the view twice as fast.",
            widen="jump → 1",
        ),
        M(
            "kernels-summed",
            "The kernels are added up. Each layer adds kernel − 1 steps to the one pixel of the start, "
            "and each step is as wide as the product of all strides before.",
            start="field, jump = 0, 1",
            steps="steps = kernel",
            widen="jump → 1",
        ),
        M(
            "stride-too-early",
            "A layer's own stride is counted before its kernel. A kernel sees cells as far apart as the "
            "earlier strides made them: widen first, then multiply the distance by this stride.",
            widen="jump = jump * stride; {}",
            jump="",
        ),
        M(
            "kernel-not-minus-one",
            "Each layer adds kernel − 1 steps, not kernel: its middle pixel is in view already.",
            steps="(kernel - 1) → kernel",
        ),
        M(
            "starts-at-zero",
            "It starts from 0. Before any layer a cell sees one pixel, itself: start from 1.",
            start="1, 1 → 0, 1",
        ),
        M(
            "wrong-direction",
            "The order does not fit the recurrence. A line that multiplies the field itself, r = (r − "
            "1)·stride + …, works from the last layer back: go through `reversed(layers)`. One that "
            "multiplies a distance by each stride works from the first layer on.",
            loop="in layers → in reversed(layers)",
        ),
        M(
            "only-own-stride",
            "Only each layer's own stride is used. The distance between cells is the product of all strides before.",
            widen="jump → stride",
        ),
        M(
            "strides-added",
            "The strides are added up. The distance between two cells multiplies with each stride: 2, then 4, then 8.",
            jump="* → +",
        ),
        M(
            "dilation-ignored",
            "The dilation, the third number where there is one, is ignored: a dilated kernel reaches "
            "dilation·(kernel − 1) + 1 far.",
            dilation="dilation = 1",
        ),
        M(
            "largest-only",
            "This gives the widest single kernel. Views add up: each layer looks at cells that each see a "
            "region already.",
            widen="field + steps * jump → max(field, steps + 1)",
        ),
        M(
            "only-stride-before",
            "Each layer's distance is the stride of the one layer before it. Multiply all strides before "
            "it: the distance is 2, then 4, then 8. `*=` does it, `=` forgets the earlier ones.",
            jump="jump * stride → stride",
        ),
        M(
            "strides-added-less-one",
            "Each stride adds stride − 1 to the distance between two cells. It multiplies that distance: "
            "2, then 4, then 8.",
            jump="jump * stride → jump + stride - 1",
        ),
        M(
            "dilation-times-kernel",
            "A dilated kernel is made too wide. There are kernel − 1 gaps, each dilation wide, so a layer "
            "adds dilation·(kernel − 1) steps, not dilation·kernel − 1.",
            steps="(kernel - 1) → kernel - 1",
        ),
        M(
            "distance-returned",
            "You return the distance between two neighboring cells, the product of the strides. Return "
            "the field, which starts at 1 and grows by dilation·(kernel − 1) such distances in each "
            "layer.",
            end="field → jump",
        ),
        M(
            "last-layer-skipped",
            "The last layer is left out. Each layer widens the view, the last one too.",
            loop="in layers → in layers[:-1]",
        ),
        M(
            "returns-after-first-layer",
            "The `return` is inside the loop, so only the first layer is counted, and an empty list gives "
            "nothing. Move it behind the loop, to the left by one level.",
            loop="in layers → in layers[:1]",
            end="field → field if layers else None",
        ),
        M(
            "empties-the-list",
            "Your code empties the list that it is given, as `pop` does: whoever calls it has no layers "
            "left. Go through `reversed(layers)`, or work on a copy, `list(layers)`.",
            end="given.clear(); {}",
        ),
        M(
            "changes-the-list",
            "Your code changes the list that it is given: whoever calls it finds another one afterwards. "
            "Work on a copy, `list(layers)`.",
            end="given.reverse(); {}",
        ),
        M(
            "third-number-not-taken",
            "A layer may have a third number, the dilation. Take it along where it is there: `for kernel, "
            "stride, *rest in layers`.",
            given="{}; layers = [(kernel, stride) for kernel, stride in layers]",
        ),
        M(
            "third-number-always-taken",
            "A layer may have two numbers only, and its dilation is 1 then. Ask whether there is a third: "
            "`for kernel, stride, *rest in layers`.",
            given="{}; layers = [(kernel, stride, dilation) for kernel, stride, dilation in layers]",
        ),
    ),
    "Right for plain, strided and dilated stacks.",
    errors={
        "ValueError: too many values to unpack (expected 2": "third-number-not-taken",
        "ValueError: not enough values to unpack (expected 3, got 2": "third-number-always-taken",
        "IndexError: tuple index out of range": "third-number-always-taken",
    },
)
