"""``Head(in_features, num_classes)``: average over the map, flatten, one linear layer, no softmax.

It takes maps of any size, square or not.

>>> from resnet_edu import checks
>>> from torch import nn
>>> from resnet_edu.head import Head
>>> checks.head(lambda features, classes: nn.Sequential(Head(features, classes), nn.Softmax(1))).mistake
'softmax-inside'
"""

from resnet_edu.checks.source import Case, Contract, known

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
MISTAKES = known(
    """
max-not-average: average: torch.mean → torch.amax
or: average: x = F.max_pool2d(x, 7)
or: average: x = F.max_pool2d(x, 8)
or: average: x = F.max_pool2d(x, 4)
    The largest value of each channel is taken. Take the average: `nn.AdaptiveAvgPool2d(1)` or `x.mean((2, 3))`.
sum-not-average: average: torch.mean → torch.sum
    The map is summed and not averaged, so a larger image gives larger scores. Take the mean over height and
    width.
softmax-inside: scores: {}; x = torch.softmax(x, 1)
    The head ends in a softmax. It should return plain scores: `nn.CrossEntropyLoss` contains the softmax, in a
    stabler form, and a second one flattens the gradients. Take it out.
softmax-over-batch: scores: {}; x = torch.softmax(x, 0)
    The head ends in a softmax over the batch, so images compete with each other. It should return plain scores:
    take it out.
log-softmax-inside: scores: {}; x = torch.log_softmax(x, 1)
    The head ends in a log-softmax. It should return plain scores: `nn.CrossEntropyLoss` contains it. Take it
    out.
sigmoid-at-end: scores: {}; x = torch.sigmoid(x)
    The head ends in a sigmoid. It should return plain scores. Take it out.
argmax-at-end: scores: {}; x = torch.argmax(x, 1)
    The head returns the number of the best class. Choosing has no gradient: return all the scores, and let the
    caller choose.
relu-at-end: scores: {}; x = F.relu(x)
    The scores pass a ReLU, so none can be negative. Return what the linear layer makes.
linear-without-bias: fc: ) → , bias=False)
    The linear layer has no bias. No batch norm follows here that could replace it: leave out `bias=False`.
pool-missing: average: -
    There is no average over the map: flattening gives channels × height × width features, too many for the
    linear layer. Average each channel first, `nn.AdaptiveAvgPool2d(1)`.
arguments-swapped: fc: in_features, num_classes → num_classes, in_features
    The linear layer's two numbers have changed places. First the features that arrive, then the classes that
    leave: `nn.Linear(in_features, num_classes)`.
for dimension side: 2 height | 3 width
pool-over-$side-only: average: (2, 3) → ($dimension,)
    Only the $side is averaged. Take the mean over both, `x.mean((2, 3))`.
pool-over-channels: average: (2, 3) → (1,)
    The mean is taken over the channels. Average over height and width, dimensions 2 and 3, and keep the
    channels.
fixed-pool-size: average: x = F.avg_pool2d(x, 7)
or: average: x = F.avg_pool2d(x, 8)
or: average: x = F.avg_pool2d(x, 4)
    The pool has a window of fixed size, so only images of one size work. Average over whatever size arrives:
    `nn.AdaptiveAvgPool2d(1)`.
window-not-the-map: average: x = F.avg_pool2d(x, x.shape[3])
or: average: x = F.avg_pool2d(x, x.shape[2])
    The window is as wide as the map and as high as it is wide, so it does not fit a map that is not square.
    Average over whatever arrives: `nn.AdaptiveAvgPool2d(1)` or `x.mean((2, 3))`.
flatten-over-batch: flatten: (x, 1) → (x, 0)
    The flattening takes the batch with it. Keep dimension 0: `torch.flatten(x, 1)`.
flatten-missing: flatten: -
    After the average the map is still (N, C, 1, 1), and a linear layer looks at the last dimension. Flatten
    from dimension 1 on: `torch.flatten(x, 1)`.
"""
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
        """
relu-before-linear: flatten: {}; x = F.relu(x)
    There is a ReLU before the linear layer. The last block has had its own: average, flatten, linear.
""",
    ),
    "Your head computes what the reference computes, for maps of any size.",
)
