"""What probes may call, on both sides: with the reference in the grader, with a learner's code in their process.

The text of this file goes into the learner's process, so it holds no answer. Needs nothing but torch.
"""

import torch
from torch import nn


def behavior(module: nn.Module, weights: dict[str, torch.Tensor], x: torch.Tensor):
    """What a module does with these weights: in evaluation, and in a step of training, forwards and backwards."""
    module.load_state_dict(weights)
    module.eval()
    yield "eval", module(x.clone())
    module.train()
    image = x.clone().requires_grad_()
    out = module(image * 1)
    (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
    yield "train", torch.cat([out.detach().flatten(), image.grad.flatten(), *after(module, weights)])


def after(module: nn.Module, names) -> list[torch.Tensor]:
    """Gradients and running statistics of a module, flat, in the order of these names."""
    slopes = {name: one.grad for name, one in module.named_parameters()}
    kept = dict(module.named_buffers())
    found = [slopes[name] if name in slopes else kept[name] for name in names if "num_batches" not in name]
    return [one.detach().flatten() for one in found]


def flat(tensors) -> torch.Tensor:
    """Many tensors as one row of numbers."""
    return torch.cat([torch.as_tensor(one).detach().flatten().double() for one in tensors])
