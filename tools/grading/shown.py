"""What a student's notebook brings along: a check says what was found and what is expected, and never stops a notebook.

The text of this file, from the first `import` on, stands in the notebook's first cell, and runs there, in the maker of
labs and in the learner's process. It holds no answer. Needs nothing but torch.
"""

import math
import traceback

import torch


def check(what, found, expected):
    """Run `found`, and say whether it gives what is expected."""
    try:
        value = plain(found())
    except Exception as error:
        steps = traceback.extract_tb(error.__traceback__)
        mine = [step.line for step in steps[1:] if step.line and "site-packages" not in step.filename]
        print(f"✗ {what}: {type(error).__name__}: {error}", f"· at `{mine[-1]}`" if mine else "")
        value = None if "NoneType" in str(error) else error
    else:
        same = agree(value, expected)
        print("✓" if same else "✗", f"{what}: {value}", "" if same else f"· expected {expected}")
    if value is None:
        print("  None is what an open question, or a function without `return`, gives.")


def plain(value):
    """A value as Python's own numbers and lists, rounded to be read."""
    if isinstance(value, torch.Tensor):
        value = value.detach().tolist()
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value)) if type(value) in (list, tuple) else tuple(map(plain, value))
    return round(value, 4) if isinstance(value, float) else value


def agree(value, expected):
    """Whether two values are the same, floats up to rounding."""
    if isinstance(expected, (list, tuple)):
        return isinstance(value, (list, tuple)) and len(value) == len(expected) and all(map(agree, value, expected))
    if isinstance(expected, float) and isinstance(value, (int, float)):
        return math.isclose(value, expected, rel_tol=2e-3, abs_tol=2e-3)
    return value == expected


def wave(*shape):
    """Fixed numbers between -1 and 1 in this shape."""
    return torch.cos(1.7 * torch.arange(math.prod(shape))).reshape(shape)


def fill(module):
    """Give a module fixed weights, so that its numbers can be compared, and put it in evaluation mode."""
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            waves = wave(*value.shape)
            if value.dim() > 1:
                value.copy_(waves * (2 / value[0].numel()) ** 0.5)
            else:
                value.copy_(2 * waves if name.endswith("bias") else 1 + waves / 2)
    return module.eval()


def watch(module, x):
    """Run a module on x. By name of each part: what went in and what came out, each time that it ran."""
    seen = {}

    def note(name):
        return lambda part, inputs, output: seen.setdefault(name, []).append((inputs[0].detach().clone(), output))

    hooks = [part.register_forward_hook(note(name)) for name, part in module.named_modules() if name]
    module(x)
    for hook in hooks:
        hook.remove()
    return seen
