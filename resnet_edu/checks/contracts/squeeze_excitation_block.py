"""``squeeze_excitation_block(channels, reduction=16)``: a gate for each channel (Hu et al. 2018, Figure 2).

Average over the map, a linear layer to ``channels // reduction``, ReLU, one back to ``channels``, sigmoid; the
map is multiplied by what comes out. 1×1 convolutions do as well as linear layers.

>>> from resnet_edu import checks
>>> from torch import nn
>>> checks.squeeze_excitation_block(lambda channels, reduction=16: nn.Identity()).passed
False
"""

from resnet_edu.checks.source import Case, Contract

REFERENCE = """
class squeeze_excitation_block(nn.Module):
    def __init__(self, channels, reduction=16):
        super().__init__()
        hidden = channels // reduction  #: hidden
        self.down = nn.Linear(channels, hidden)  #: down
        self.up = nn.Linear(hidden, channels)  #: up

    def forward(self, x):
        s = torch.mean(x, (2, 3))  #: squeeze | the average over the map
        s = self.down(s)  #: rundown | the layer that narrows
        s = F.relu(s)  #: relu | the ReLU
        s = self.up(s)  #: runup | the layer that widens
        s = torch.sigmoid(s)  #: gate | the sigmoid
        s = s[:, :, None, None]  #: spread
        x = x * s  #: weigh | the product
        return x
"""

CONTRACT = Contract(
    "squeeze_excitation_block(channels, reduction=16)",
    (
        Case((16, 4), ((3, 16, 5, 4), (2, 16, 7, 3), (1, 16, 1, 1)), "squeeze_excitation_block(16, 4)"),
        Case((32,), ((2, 32, 4, 6),), "squeeze_excitation_block(32)"),
    ),
    REFERENCE,
    (
        """
squeeze-missing: squeeze: s = x.flatten(2).movedim(1, 2) | spread: s = s.movedim(1, 2).view_as(x)
    There is no average over the map, so the layers look at each pixel alone. Average each channel first:
    `x.mean((2, 3))`.
max-not-average: squeeze: torch.mean → torch.amax
    The largest value of each channel is taken. Squeeze by the average: `x.mean((2, 3))` or
    `nn.AdaptiveAvgPool2d(1)`.
sum-not-average: squeeze: torch.mean → torch.sum
    The map is summed and not averaged, so a larger image gives larger gates. Take the mean over height and
    width.
relu-missing: relu: -
    There is no ReLU between the two layers, so they collapse into one linear step. Put one there.
sigmoid-missing: gate: -
    The gates are not limited: there is no sigmoid. With it each channel is kept by a share between 0 and 1.
softmax-not-sigmoid: gate: torch.sigmoid(s) → torch.softmax(s, 1)
    The gates are a softmax, so the channels compete and sum to 1. Each channel has a gate of its own:
    `torch.sigmoid`.
tanh-not-sigmoid: gate: torch.sigmoid → torch.tanh
    The gates are a tanh, which can turn a channel's sign. Use `torch.sigmoid`: a share between 0 and 1.
hard-sigmoid: gate: torch.sigmoid → F.hardsigmoid
    The gates are a hard sigmoid, which later mobile networks use. Here it is the plain one: `torch.sigmoid`.
gate-added: weigh: x * s → x + s
    The gates are added to the map. Multiply: each channel is weighed by its gate, `x * gate`.
gate-returned: weigh: x = s
or: spread: - | weigh: x = s
    The gates alone are returned. Multiply the map by them: `x * gate`.
input-added-again: weigh: x * s → x + x * s
    The input is added to the weighed map. The block only weighs: the residual block around it adds.
sigmoid-before-second-layer: relu: s = torch.sigmoid(s) | gate: s = F.relu(s)
    The sigmoid stands between the two layers and the ReLU behind them. First the ReLU, and the sigmoid last,
    which makes the gates.
reduction-ignored: hidden:  // reduction →
    The hidden layer is as wide as the input. Narrow it: `channels // reduction`.
reduction-fixed: hidden: reduction → 16
    The reduction is always 16, whatever the argument says. Divide by `reduction`.
reduction-is-the-width: hidden: channels // reduction → reduction
    The hidden layer has `reduction` channels. Divide by it: `channels // reduction`.
bias-missing: down: ) → , bias=False)
or: up: ) → , bias=False)
    A layer has no bias. The paper's have one, and no batch norm follows that could replace it: leave out
    `bias=False`.
one-layer-only: down: hidden → channels | relu: - | runup: -
    There is one layer where the block has two: one that narrows to `channels // reduction`, a ReLU, and one
    that widens again.
gate-detached: weigh: * s → * s.detach()
    The numbers are right, but no gradient flows back through the gates, so they never learn. Take out
    `.detach()` or `torch.no_grad()`.
""",
    ),
    "Your block computes what the reference computes: a gate for each channel, from all channels.",
)
