"""How fast to learn, at every step of the way."""

import math

from resnet_edu.counting.recipes import check_choice

SCHEDULES = ("linear", "step", "cosine", "constant")


def learning_rate(step: int, total: int, peak: float, *, schedule: str = "linear", warmup: int = 0) -> float:
    """The learning rate of step ``step`` of ``total``, counted from 0.

    - ``linear`` falls in a straight line to 0.
    - ``step`` is divided by 10 at one half and at three quarters, as in He et al. 2015, section 4.2.
    - ``cosine`` is half a wave (Loshchilov and Hutter 2016, section 3).
    - ``constant`` stays.

    The first ``warmup`` steps climb in a straight line to it (Goyal et al. 2017, section 2.2).

    >>> [round(learning_rate(step, 4, 0.1), 3) for step in range(4)]            # 0.1 · (1 − step/4)
    [0.1, 0.075, 0.05, 0.025]
    >>> [round(learning_rate(step, 8, 0.1, schedule="step"), 4) for step in (0, 3, 4, 6)]
    [0.1, 0.1, 0.01, 0.001]
    >>> round(learning_rate(0, 100, 0.1, schedule="constant", warmup=5), 3)     # 0.1 · 1/5
    0.02

    Raises ValueError for an unknown schedule.
    """
    check_choice("schedule", schedule, SCHEDULES)
    done = step / total
    if schedule == "linear":
        share = 1 - done
    elif schedule == "step":
        share = 0.1 ** ((done >= 0.5) + (done >= 0.75))
    elif schedule == "cosine":
        share = (1 + math.cos(math.pi * done)) / 2
    else:
        share = 1.0
    return peak * share * min(1.0, (step + 1) / max(warmup, 1))
