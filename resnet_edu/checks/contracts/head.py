"""The head: average over the map, flatten, one linear layer, no softmax."""

from resnet_edu.checks.source import Case, Contract, M

FORWARD = """
        x = torch.mean(x, (2, 3), keepdim=True)  #: average | the average over the map
        x = torch.flatten(x, 1)  #: flatten | the flattening
        x = self.fc(x)  #: scores | the linear layer
"""
REFERENCE = f"""
class Head(nn.Module):
    def __init__(self, in_features, num_classes):
        super().__init__()
        self.fc = nn.Linear(in_features, num_classes)  #: fc

    def forward(self, x):
        {FORWARD.strip()}
        return x
"""
_WINDOWS = (7, 8, 4)
MISTAKES = (
    M(
        "max-not-average",
        "The largest value of each channel is taken. Take the average: `nn.AdaptiveAvgPool2d(1)` or `x.mean((2, 3))`.",
        {"average": "torch.mean → torch.amax"},
        *({"average": f"x = F.max_pool2d(x, {size})"} for size in _WINDOWS),
    ),
    M(
        "sum-not-average",
        "The map is summed and not averaged, so a larger image gives larger scores. Take the mean "
        "over height and width.",
        average="torch.mean → torch.sum",
    ),
    M(
        "softmax-inside",
        "The head ends in a softmax. It should return plain scores: `nn.CrossEntropyLoss` contains "
        "the softmax, in a stabler form, and a second one flattens the gradients. Take it out.",
        scores="{}; x = torch.softmax(x, 1)",
    ),
    M(
        "softmax-over-batch",
        "The head ends in a softmax over the batch, so images compete with each other. It should "
        "return plain scores: take it out.",
        scores="{}; x = torch.softmax(x, 0)",
    ),
    M(
        "log-softmax-inside",
        "The head ends in a log-softmax. It should return plain scores: `nn.CrossEntropyLoss` "
        "contains it. Take it out.",
        scores="{}; x = torch.log_softmax(x, 1)",
    ),
    M(
        "sigmoid-at-end",
        "The head ends in a sigmoid. It should return plain scores. Take it out.",
        scores="{}; x = torch.sigmoid(x)",
    ),
    M(
        "argmax-at-end",
        "The head returns the number of the best class. Choosing has no gradient: return all the "
        "scores, and let the caller choose.",
        scores="{}; x = torch.argmax(x, 1)",
    ),
    M(
        "relu-at-end",
        "The scores pass a ReLU, so none can be negative. Return what the linear layer makes.",
        scores="{}; x = F.relu(x)",
    ),
    M(
        "linear-without-bias",
        "The linear layer has no bias. No batch norm follows here that could replace it: leave out `bias=False`.",
        fc=") → , bias=False)",
    ),
    M(
        "pool-missing",
        "There is no average over the map: flattening gives channels × height × width features, too "
        "many for the linear layer. Average each channel first, `nn.AdaptiveAvgPool2d(1)`.",
        average="",
    ),
    M(
        "arguments-swapped",
        "The linear layer's two numbers have changed places. First the features that arrive, then the "
        "classes that leave: `nn.Linear(in_features, num_classes)`.",
        fc="in_features, num_classes → num_classes, in_features",
    ),
    M(
        "pool-over-height-only",
        "Only the height is averaged. Take the mean over both, `x.mean((2, 3))`.",
        average="(2, 3) → (2,)",
    ),
    M(
        "pool-over-width-only",
        "Only the width is averaged. Take the mean over both, `x.mean((2, 3))`.",
        average="(2, 3) → (3,)",
    ),
    M(
        "pool-over-channels",
        "The mean is taken over the channels. Average over height and width, dimensions 2 and 3, and "
        "keep the channels.",
        average="(2, 3) → (1,)",
    ),
    M(
        "fixed-pool-size",
        "The pool has a window of fixed size, so only images of one size work. Average over whatever "
        "size arrives: `nn.AdaptiveAvgPool2d(1)`.",
        *({"average": f"x = F.avg_pool2d(x, {size})"} for size in _WINDOWS),
    ),
    M(
        "window-not-the-map",
        "The window is as wide as the map and as high as it is wide, so it does not fit a map that is not square. "
        "Average over whatever arrives: `nn.AdaptiveAvgPool2d(1)` or `x.mean((2, 3))`.",
        {"average": "x = F.avg_pool2d(x, x.shape[3])"},
        {"average": "x = F.avg_pool2d(x, x.shape[2])"},
    ),
    M(
        "flatten-over-batch",
        "The flattening takes the batch with it. Keep dimension 0: `torch.flatten(x, 1)`.",
        flatten="(x, 1) → (x, 0)",
    ),
    M(
        "flatten-missing",
        "After the average the map is still (N, C, 1, 1), and a linear layer looks at the last "
        "dimension. Flatten from dimension 1 on: `torch.flatten(x, 1)`.",
        flatten="",
    ),
)

CONTRACT = Contract(
    "Head(in_features, num_classes)",
    (
        Case((12, 5), ((3, 12, 4, 6), (2, 12, 7, 7), (1, 12, 3, 2)), "Head(12, 5)"),
        Case((5, 7), ((2, 5, 1, 1), (3, 5, 2, 5)), "Head(5, 7)"),
    ),
    REFERENCE,
    (
        MISTAKES,
        M(
            "relu-before-linear",
            "There is a ReLU before the linear layer. The last block has had its own: average, flatten, linear.",
            flatten="{}; x = F.relu(x)",
        ),
    ),
    "Your head computes what the reference computes, for maps of any size.",
)
