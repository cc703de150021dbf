"""Mistakes that can be made in any room: biases, batch norms, activations."""

from resnet_edu.checks.contract import Edit, Mistake
from resnet_edu.checks.mistakes.edits import everywhere
from resnet_edu.checks.program import NotHereError, Program

NTH = {1: "first", 2: "second", 3: "third"}
_ACTIVATIONS = {
    "leaky": "a leaky ReLU",
    "leaky0.1": "a leaky ReLU",
    "leaky0.2": "a leaky ReLU",
    "relu6": "ReLU6",
    "gelu": "GELU",
    "silu": "SiLU",
    "elu": "ELU",
    "selu": "SELU",
    "mish": "Mish",
    "sigmoid": "a sigmoid",
    "tanh": "tanh",
    "softplus": "softplus",
    "hardswish": "hard-swish",
}


def bias() -> Mistake:
    """Convolutions with a bias before a batch norm."""
    return Mistake(
        "conv-bias",
        everywhere("conv", bias="any"),
        "A convolution has a bias. The batch norm that comes next subtracts the mean, and any constant with it, so a "
        "bias learns nothing and only costs parameters. Make every convolution with `bias=False`.",
    )


def norms() -> list[Mistake]:
    """What can be wrong with every batch norm."""
    return [
        Mistake(
            "batch-norm-always-training",
            everywhere("bn", mode="train"),
            "In eval mode the batch norm still uses the mean and variance of the batch, so the answer for one image "
            "depends on its neighbors. Let the mode decide: `nn.BatchNorm2d` does so by itself, `F.batch_norm` needs "
            "`training=self.training`.",
        ),
        Mistake(
            "batch-norm-always-eval",
            everywhere("bn", mode="eval"),
            "In training mode the batch norm still uses its stored mean and variance instead of the batch's own, and "
            "never updates them. Let the mode decide: `nn.BatchNorm2d` does so by itself, `F.batch_norm` needs "
            "`training=self.training`.",
        ),
        Mistake(
            "batch-norm-without-statistics",
            everywhere("bn", stats=False),
            "The batch norm keeps no running mean and variance, so in eval mode it must use the batch at hand. Leave "
            "out `track_running_stats=False`.",
        ),
        Mistake(
            "batch-norm-without-scale",
            everywhere("bn", affine=False),
            "The batch norm has no scale and shift to learn. Leave out `affine=False`.",
        ),
        Mistake(
            "batch-norm-eps",
            everywhere("bn", eps="theirs"),
            "The batch norm's `eps` is not PyTorch's 1e-5, so the outputs differ slightly and published weights would "
            "give other answers. Leave the default.",
        ),
        Mistake(
            "batch-norm-momentum",
            everywhere("bn", momentum="theirs"),
            "The batch norm's `momentum` is not PyTorch's 0.1. PyTorch weighs the new batch with it, other libraries "
            "the old average: their 0.9 is our 0.1. Leave the default.",
        ),
    ]


def activations(kind: str = "act") -> list[Mistake]:
    """Something else than ReLU."""

    def edit(fn: str) -> Edit:
        def change(p: Program, b: str) -> Program:
            names = [op.name for op in p.ops if op.kind == "act" and op["fn"] == "relu"]
            if not names:
                raise NotHereError(fn)
            for name in names:
                p = p.change(name, fn=fn)
            return p

        return change

    return [
        Mistake(
            "other-activation",
            edit(fn),
            f"The activation is {name}, this network uses ReLU: `max(0, x)`. Use `nn.ReLU()` or `torch.relu`.",
        )
        for fn, name in _ACTIVATIONS.items()
    ]
