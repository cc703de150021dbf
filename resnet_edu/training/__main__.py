"""The command: ``python -m resnet_edu.training --model cifar20 --data digits --out runs/first``.

One process or several (``torchrun --nproc-per-node=2 -m resnet_edu.training …``) run the same lines.
"""

import sys
from collections.abc import Sequence

from resnet_edu.training.checkpoints import CheckpointError
from resnet_edu.training.config import parse
from resnet_edu.training.loop import train


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0, 130 after Ctrl-C, and 1 with one sentence if something is wrong."""
    config = parse(arguments)
    try:
        run = train(config)
    except (ValueError, FloatingPointError, CheckpointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if run.epoch < config.epochs:
        print(f"stopped after {run.epoch} epochs and {run.step} steps; go on with --resume", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
