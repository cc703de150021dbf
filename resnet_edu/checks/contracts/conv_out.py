"""``conv_out(size, kernel, stride=1, padding=0, dilation=1)``: the pixels that leave a convolution.

>>> def conv_out(size, kernel, stride=1, padding=0, dilation=1):
...     return (size + padding - dilation * (kernel - 1) - 1) // stride + 1
>>> from resnet_edu import checks
>>> checks.conv_out(conv_out).mistake
'padding-once'
"""

from resnet_edu.checks.contracts.numbers import NUMBER, formula

REFERENCE = """
def conv_out(size, kernel, stride=1, padding=0, dilation=1):
    sides = 2  #: sides
    reach = dilation * (kernel - 1) + 1  #: reach
    span = size + sides * padding - reach  #: span
    steps = span // stride  #: steps
    pixels = steps + 1  #: end
    return pixels  #: give
"""
_CASES = (
    (224, 7, 2, 3),
    (112, 3, 2, 1),
    (32, 3, 1, 1),
    (32, 5),
    (9, 3, 2),
    (10, 3, 3, 2),
    (9, 3, 3, 2),
    (17, 1, 2),
    (56, 1, 2, 0),
    (20, 3, 1, 2, 2),
    (21, 5, 2, 3, 2),
    (15, 3, 4, 1),
    (16, 4, 3, 1, 3),
)

CONTRACT = formula(
    "conv_out(size, kernel, stride=1, padding=0, dilation=1)",
    _CASES,
    REFERENCE,
    (
        NUMBER,
        """
one-missing: end:  + 1 →
    The `+ 1` at the end is missing: the kernel's first position counts too, before any step.
padding-once: sides: 2 → 1
    Padding goes on both sides, so it counts twice: size + 2·padding.
rounded-up: steps: span // stride → -(-span // stride)
    You round up. A step that does not fit is not taken, so the division rounds down: `//`.
rounded-to-nearest: steps: span // stride → round(span / stride)
    You round to the nearest. A step that does not fit is not taken: round down with `//`.
not-rounded: steps: // → /
    The division is not rounded down, so half a pixel is left over. Use `//`.
padding-ignored: span:  + sides * padding →
    The padding is ignored. It makes the input wider before the kernel moves: size + 2·padding.
padding-subtracted: span: size + → size -
    The padding is taken away, it should be added: it makes the input wider.
stride-ignored: steps: stride → 1
    The stride is ignored. Divide by it before adding 1.
dilation-ignored: reach: dilation → 1
    The dilation is ignored. A dilated kernel reaches over dilation·(kernel − 1) + 1 pixels.
dilation-times-kernel: reach: (kernel - 1) + 1 → kernel
    The dilated kernel is too wide. There are kernel − 1 gaps, not kernel: it reaches over dilation·(kernel − 1)
    + 1 pixels.
kernel-ignored: span:  - reach →
    The kernel's size is ignored. Subtract it from the padded size: the kernel stands only where all of it fits.
one-added-before-dividing: steps: span → (span + 1) | end:  + 1 →
    The 1 is added before the division. Divide first, then add 1.
minus-one-missing: reach: {} - 1
    The 1 that is taken off before the division is missing. The kernel reaches over dilation·(kernel − 1) + 1
    pixels: subtract all of them, `size + 2 * padding - dilation * (kernel - 1) - 1`.
for which what edit: one 1 span + 1 - 1 // | kernel kernel span + reach - reach //
only-the-$which-divided: steps: span // → $edit
    Only the $what is divided by the stride: `//` binds more tightly than `-`. Put parentheses around the whole
    difference: `(size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1`.
padding-overwritten: sides: {}; padding = (kernel - 1) // 2
    The padding is always (kernel − 1) // 2, whatever is handed over. That is a usual choice, not the only one:
    use `padding`.
""",
    ),
    "Right in every case, with odd sizes, padding, stride and dilation.",
)
