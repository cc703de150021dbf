"""Mistakes that can be made in many places: at the plus sign, in a batch norm, an activation or a bias."""

from dataclasses import replace
from itertools import product

from resnet_edu.checks.source import Mistake, known


def addition(*projection: str, again: str = "0 if self.projected else way") -> list[Mistake]:
    """What can be wrong with the plus sign: a line ``out = out + way``, labelled ``add``.

    ``projection`` are the labels of the lines that change the shortcut before, ``again`` is what adds it once more.
    """
    unprojected = "".join(f" | {label}: -" for label in projection)
    return known(
        f"""
shortcut-never-added: add: -{unprojected}
    The shortcut is never added: what comes out is F(x) alone, a plain block. Keep the input, and add it to what
    the convolutions made: `out = out + shortcut`.
shortcut-subtracted: add: out + → out -
    The shortcut is subtracted, F(x) − x. A residual block adds: F(x) + x.
residual-subtracted: add: out + way → way - out
    The convolutions' output is subtracted from the shortcut, x − F(x). A residual block adds: F(x) + x.
shortcut-multiplied: add: out + → out *
    The shortcut is multiplied with F(x). A residual block adds: F(x) + x.
shortcut-averaged: add: out + way → (out + way) / 2
    You take the mean of F(x) and the shortcut. A residual block takes the sum, nothing is halved.
shortcut-twice: add: + way → + 2 * way
    The shortcut is added twice, F(x) + 2x. Once is enough: look for a factor 2, or for a `+=` and a `+` that
    both do it.
shortcut-twice: add: + way → + way + ({again})
    The shortcut is computed and added twice, F(x) + 2x. Once is enough: look for a `+=` and a `+` that both do
    it.
residual-twice: add: out + → 2 * out +
    F(x) is added twice, 2·F(x) + x. Once is enough: look for a `+=` and a `+` that both do it, or an addition
    to itself.
maximum-not-sum: add: out + way → torch.maximum(out, way)
    You take the larger of F(x) and the shortcut at each place. A residual block takes their sum.
residual-dropped: add: out = way
    What comes out is the shortcut alone: the convolutions' output is computed and then lost. Add the two: F(x)
    + x.
concatenated-not-added: add: out + way → torch.cat([out, way], 1)
    The shortcut is concatenated, so the channels double. A residual block adds number to number: `out +
    shortcut`, same shape as before.
shortcut-detached: add: + way → + way.detach()
    The numbers are right, but no gradient flows back through the shortcut, which is what it is for. Take out
    `.detach()`, `.data` or `torch.no_grad()` around it.
residual-detached: add: out + → out.detach() +
    The numbers are right, but no gradient reaches the convolutions, so they never learn. Take out `.detach()`,
    `.data` or `torch.no_grad()`.
"""
    )


def bias(label: str = "conv", remark: bool = False) -> Mistake:
    """Convolutions with a bias before a batch norm."""
    (mistake,) = known(
        """
conv-bias: $label: bias=False → bias=True
    A convolution has a bias. The batch norm that comes next subtracts the mean, and any constant with it, so a
    bias learns nothing and only costs parameters. Make every convolution with `bias=False`.
""",
        label=label,
    )
    return replace(mistake, remark=remark)


def norms(label: str = "norm") -> list[Mistake]:
    """What can be wrong with every batch norm."""
    return known(
        """
batch-norm-always-training: $label: nn.BatchNorm2d → AlwaysTraining
    In eval mode the batch norm still uses the mean and variance of the batch, so the answer for one image
    depends on its neighbors. Let the mode decide: `nn.BatchNorm2d` does so by itself, `F.batch_norm` needs
    `training=self.training`.
batch-norm-always-eval: $label: nn.BatchNorm2d → AlwaysEval
    In training mode the batch norm still uses its stored mean and variance instead of the batch's own, and
    never updates them. Let the mode decide: `nn.BatchNorm2d` does so by itself, `F.batch_norm` needs
    `training=self.training`.
batch-norm-without-statistics: $label: ) → , track_running_stats=False)
    The batch norm keeps no running mean and variance, so in eval mode it must use the batch at hand. Leave out
    `track_running_stats=False`.
batch-norm-without-scale: $label: ) → , affine=False)
    The batch norm has no scale and shift to learn. Leave out `affine=False`.
batch-norm-eps: $label: ) → , eps=THEIRS)
    The batch norm's `eps` is not PyTorch's 1e-5, so the outputs differ slightly and published weights would
    give other answers. Leave the default.
batch-norm-momentum: $label: ) → , momentum=THEIRS)
    The batch norm's `momentum` is not PyTorch's 0.1. PyTorch weighs the new batch with it, other libraries the
    old average: their 0.9 is our 0.1. Leave the default.
""",
        label=label,
    )


_ACTIVATIONS = (
    ("F.leaky_relu(", "leaky_relu", "a leaky ReLU"),
    ("F.leaky_relu(negative_slope=0.1, input=", "leaky_relu", "a leaky ReLU"),
    ("F.leaky_relu(negative_slope=0.2, input=", "leaky_relu", "a leaky ReLU"),
    ("F.relu6(", "relu6 hardtanh", "ReLU6"),
    ("F.gelu(", "gelu", "GELU"),
    ("F.silu(", "silu", "SiLU"),
    ("F.elu(", "elu", "ELU"),
    ("F.selu(", "selu", "SELU"),
    ("F.mish(", "mish", "Mish"),
    ("torch.sigmoid(", "sigmoid", "a sigmoid"),
    ("torch.tanh(", "tanh", "tanh"),
    ("F.softplus(", "softplus", "softplus"),
    ("F.hardswish(", "hardswish", "hard-swish"),
)


def activations(*labels: str) -> list[Mistake]:
    """Something else than ReLU, in all of these places or in one."""
    places = [labels, *((label,) for label in labels if len(labels) > 1)]
    return [
        Mistake(
            "other-activation",
            f"The activation is {name}, this network uses ReLU: `max(0, x)`. Use `nn.ReLU()` or `torch.relu`.",
            (dict.fromkeys(some, f"F.relu( → {code}"),),
            calls=frozenset(calls.split()),
        )
        for (code, calls, name), some in product(_ACTIVATIONS, places)
    ]
