"""What exercises share that change a model: random numbers in it, a copy of them, and what became of the model."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks import compare
from resnet_edu.checks.effects import Outcome


def randomized(module: nn.Module, seed: int) -> nn.Module:
    """Random numbers in every weight and statistic."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                numbers = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.copy_(0.5 + numbers if name.endswith("var") else 2 * numbers - 0.7)
    return module


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the state dict."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def model_after(model: nn.Module, before: Mapping[str, Tensor], returned: Any) -> tuple[nn.Module, Outcome]:
    """The model that was changed, given or returned, and beside it whether it is a copy and what can learn."""

    def is_as_before(one: nn.Module) -> bool:
        return all(compare.same(tensor, before[name]) for name, tensor in one.state_dict().items())

    found: Outcome = {}
    is_alike = isinstance(returned, nn.Module) and returned.state_dict().keys() == before.keys()
    if is_alike and is_as_before(model) and not is_as_before(returned):
        model, found = returned, {"the model": "as it was, and a copy of it returned"}
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    learns = f"everything but {len(frozen)} parameters, the first of them `{frozen[0]}`" if frozen else "everything"
    nothing = frozen and len(frozen) == len(list(model.parameters()))
    return model, {**found, "what learns": "nothing" if nothing else learns}
