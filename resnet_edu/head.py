"""The way out: from a map of features to one score for each class (He et al. 2015, Table 1)."""

from collections import OrderedDict

from torch import nn

from resnet_edu.counting.recipes import check_count


class Head(nn.Sequential):
    """Average each channel over the map, then one linear layer. Scores, not probabilities.

    ``(N, in_features, H, W)`` → ``(N, num_classes)`` for any H and W.
    Parameters: in_features·num_classes + num_classes.

    >>> import torch
    >>> head = Head(512, 1000)
    >>> tuple(head(torch.zeros(2, 512, 7, 7)).shape)           # (2, 512, 7, 7) → (2, 512) → (2, 1000)
    (2, 1000)
    >>> sum(p.numel() for p in head.parameters())              # 512·1000 + 1000
    513000

    The softmax is missing on purpose: ``nn.CrossEntropyLoss`` contains it, in a stabler form.
    Raises ValueError if a count is below 1.
    """

    def __init__(self, in_features: int, num_classes: int = 1000) -> None:
        in_features = check_count("in_features", in_features)
        num_classes = check_count("num_classes", num_classes)
        super().__init__(
            OrderedDict(
                avgpool=nn.AdaptiveAvgPool2d((1, 1)),
                flatten=nn.Flatten(1),
                fc=nn.Linear(in_features, num_classes),
            )
        )
