"""Same numbers, less time: a copy of a network that is only meant to predict (Jacob et al. 2018, section 3.2)."""

import copy
import inspect
from collections import Counter
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode

Model = TypeVar("Model", bound=nn.Module)


def fold_conv_bn(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution that computes what ``bn(conv(x))`` computes in eval mode.

    With s = γ/√(σ² + ε) for each output channel: weight ← s·weight, bias ← s·(bias − μ) + β.

    >>> import torch
    >>> conv, bn = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8).eval()
    >>> x = torch.rand(1, 3, 9, 9)
    >>> torch.allclose(fold_conv_bn(conv, bn)(x), bn(conv(x)), atol=1e-6)
    True

    What was frozen stays frozen: the weight as the convolution's, the bias as the batch norm's.
    Raises ValueError if the batch norm keeps no running statistics or has another number of channels.
    """
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("this batch norm keeps no running statistics, so there is nothing to fold")
    if bn.num_features != conv.out_channels:
        raise ValueError(f"the convolution makes {conv.out_channels} channels, the batch norm takes {bn.num_features}")
    folded = copy.deepcopy(conv)
    with torch.no_grad():
        scale = (bn.running_var + bn.eps).rsqrt()
        if bn.affine:
            scale = scale * bn.weight
        shift = -bn.running_mean * scale
        if conv.bias is not None:
            shift = shift + conv.bias * scale
        if bn.affine:
            shift = shift + bn.bias
        folded.weight.copy_(conv.weight * scale.view(-1, 1, 1, 1))
    learned = bn.bias if bn.affine else conv.weight if conv.bias is None else conv.bias
    folded.bias = nn.Parameter(shift.to(conv.weight.dtype), requires_grad=learned.requires_grad)
    return folded


def for_inference(model: Model) -> Model:
    """A copy in eval mode, in channels-last memory, with every batch norm folded into the convolution before it.

    Give it channels-last images for the full effect: ``x.to(memory_format=torch.channels_last)``.

    >>> import torch
    >>> from resnet_edu import resnet18
    >>> model = resnet18().eval()
    >>> x = torch.rand(1, 3, 64, 64)
    >>> torch.allclose(for_inference(model)(x), model(x), atol=1e-4)
    True

    Which convolution is before it is read from the network's graph (``torch.fx``), and not from names or the order
    of registration. A batch norm stays where it is if what comes before it is no convolution, or one whose output,
    weight or second run something else uses, or if it takes its statistics from the batch. A compiled network or one
    in DataParallel is taken out of its wrapper.

    Raises ValueError if the graph cannot be seen, because the way of the image depends on its numbers or its shape,
    and for a pair that could be folded but for a hook, a parametrization or a replaced ``forward``.
    """
    model = unwrapped(model)
    try:
        folded = copy.deepcopy(model).eval()
    except RuntimeError as error:
        raise ValueError(
            f"cannot copy this {type(model).__name__} ({str(error).splitlines()[0]}); a weight that is computed from "
            "others, as by torch.nn.utils.weight_norm, must be made plain first"
        ) from error
    pairs = _pairs(folded)
    for conv, bn in pairs:
        # Under every name that they have: what is shared is replaced everywhere.
        _replace(folded, conv, fold_conv_bn(conv, bn))
        _replace(folded, bn, nn.Identity())
    if pairs:
        graph, _ = _follow(folded)
        still = {id(room) for room in _rooms(folded, graph).values()}
        if any(id(room) in still for pair in pairs for room in pair):
            raise ValueError("this network keeps its convolutions or batch norms outside of its modules; register them")
    return folded.eval().to(memory_format=torch.channels_last)


def unwrapped(model: Model) -> Model:
    """The network inside what torch.compile, DataParallel or DistributedDataParallel made of it.

    >>> net = nn.Linear(2, 2)
    >>> unwrapped(nn.DataParallel(net)) is net
    True
    """
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inside := getattr(model, "_orig_mod", None), nn.Module):
            model = inside  # type: ignore[assignment]
        else:
            return model


class _Tracer(fx.Tracer):
    """Runs a network with stand-ins for tensors and writes down who reads what."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # A batch norm of another class looks at shapes, which a stand-in does not have.
        return isinstance(m, nn.modules.batchnorm._BatchNorm) or super().is_leaf_module(m, module_qualified_name)


class _Watch(TorchFunctionMode):
    """Remembers the tensors that reach a function: while a network is traced, its own weights and statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.read: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.read |= {id(value) for value in (*args, *(kwargs or {}).values()) if isinstance(value, Tensor)}
        return func(*args, **(kwargs or {}))


def _follow(model: nn.Module) -> tuple[fx.Graph, set[int]]:
    """The graph of ``model(images)``, and the parameters and buffers that it reads without calling their module."""
    try:
        # What has a default is left at it.
        options = inspect.signature(model.forward).parameters.values()
        fixed = {option.name: option.default for option in options if option.default is not option.empty}
        with _Watch() as watch:
            graph = _Tracer().trace(model, fixed)
    except Exception as error:  # whatever the forward pass does with a stand-in
        raise ValueError(
            f"cannot follow an image through this {type(model).__name__}, so nothing is known about the order of "
            f"its batch norms ({type(error).__name__}: {(str(error) or 'no words').splitlines()[0]}). torch.fx must be "
            "able to trace it: take checks of shapes and branches on numbers out of forward()"
        ) from error
    return graph, watch.read | {id(_attribute(model, str(n.target))) for n in graph.nodes if n.op == "get_attr"}


def _rooms(model: nn.Module, graph: fx.Graph) -> dict[fx.Node, nn.Module]:
    """The module behind each call in the graph."""
    return {node: model.get_submodule(str(node.target)) for node in graph.nodes if node.op == "call_module"}


def _pairs(model: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    graph, read = _follow(model)
    rooms = _rooms(model, graph)
    runs = Counter(map(id, rooms.values()))
    pairs = []
    for node, bn in rooms.items():
        before = node.args[0] if node.args else None
        if not isinstance(before, fx.Node) or not isinstance(bn, nn.BatchNorm2d):
            continue
        conv = rooms.get(before)
        if not isinstance(conv, nn.Conv2d):
            continue
        alone = len(before.users) == 1 and runs[id(conv)] == runs[id(bn)] == 1
        own = not any(id(value) in read for room in (conv, bn) for value in (*room.parameters(), *room.buffers()))
        if not (alone and own) or bn.training or bn.running_mean is None or bn.running_var is None:
            continue
        if parametrize.is_parametrized(conv) or parametrize.is_parametrized(bn):
            raise ValueError(
                f"{before.target} or {node.target} is parametrized, which folding would undo; make it plain first with "
                "torch.nn.utils.parametrize.remove_parametrizations(module, name)"
            )
        if type(conv).forward is not nn.Conv2d.forward or type(bn).forward is not nn.BatchNorm2d.forward:
            continue  # a class of its own computes what it likes
        for name, room in ((before.target, conv), (node.target, bn)):
            if "forward" in vars(room) or room._forward_hooks or room._forward_pre_hooks or room._backward_hooks:
                raise ValueError(
                    f"{name} has a hook or a forward of its own, which would see other numbers after folding, or none; "
                    "remove it, then fold"
                )
        pairs.append((conv, bn))
    return pairs


def _attribute(model: nn.Module, path: str) -> object:
    value: object = model
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _replace(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in model.modules():
        for name, child in parent._modules.items():
            if child is old:
                setattr(parent, name, new)
