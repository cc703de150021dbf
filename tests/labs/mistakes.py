"""Typical mistakes of students: a change of a line or two in a right answer. What do checks and grading make of it?"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from grading import grader, walls, wire
from grading.submission import Submission

Change = tuple[str, str] | Callable[[str], str]


@dataclass(frozen=True)
class Mistake:
    """Changes in the solution of a question. `seen`: whether a public check shows it, or is blind on purpose."""

    lab: str
    question: str
    name: str
    changes: tuple[Change, ...]
    seen: bool = True

    def made(self, solution: str) -> str:
        """The answer with the mistake in it."""
        for change in self.changes:
            before = solution
            solution = change(solution) if callable(change) else solution.replace(*change)
            assert solution != before, f"the solution of {self.question} has changed: mend the mistake {self.name!r}"
        return solution


def _other_pooling(text: str) -> str:
    return re.sub(r"nn\.(Max|Avg)Pool", lambda found: "nn.AvgPool" if found[1] == "Max" else "nn.MaxPool", text)


def _other_end(text: str) -> str:
    return re.sub(r"(self\.missing|0), (self\.missing|0)\)\)", r"\2, \1))", text)


def _both_halve(text: str) -> str:
    return re.sub(r"enumerate\(\(.*?\)\)", "enumerate((1, 2, 2))", text)


def _among_the_others(text: str) -> str:
    return re.sub(r"logs\.mean\(1\)", "(logs.sum(1) - right) / (logs.shape[1] - 1)", text)


def _unsmoothed(text: str) -> str:
    return re.sub(r"return -.*", "return -right.mean()", text)


RELU, ONLY_STRIDE = "F.relu(out)  #: relu |", ("stride != 1 or in_channels", "in_channels")
EARLY = (("out + way", "F.relu(out) + way"), (RELU, "out  # |"))
SQUARE = "module.weight.shape[1] * (module.weight.shape[-1] ** 2 if module.weight.dim() == 4 else 1)"
KEPT = {
    "1 stem": {
        "the other pooling": [_other_pooling],
        "zeros of the padding left out": [("nn.AvgPool2d(", "nn.AvgPool2d(count_include_pad=False, ")],
        "no ReLU": [("x = F.relu(x)", "pass")],
        "no batch norm": [("x = self.bn1(x)", "pass")],
        "a bias": [("bias=False", "bias=True")],
    },
    "1 block": {
        "no projection where only the stride differs": [ONLY_STRIDE],
        "always a projection": [(" or in_channels != out_channels", " or True")],
        "ReLU before the sum": [*EARLY],
        "first ReLU missing": [("F.relu(out)  #: relu1", "out  #")],
        "last ReLU missing": [(RELU, "out  # |")],
        "stride in the first convolution": [
            ("stride=1, padding", "stride=first, padding"),
            ("stride=stride, padding", "stride=1, padding"),
            ("stride=first", "stride=stride"),
        ],
        "stride in both": [("stride=1, padding", "stride=stride, padding")],
        "a bias": [("bias=False", "bias=True")],
        "no second batch norm": [("self.bn2(out)", "out")],
    },
    "1 repair": {
        "the input's ReLU left, not in place": [("self.conv1(x)", "self.conv1(F.relu(x))")],
        "the input changed in place": [("self.conv1(x)", "self.conv1(F.relu_(x))")],
        "bn1 twice": [("self.bn2(self", "self.bn1(self")],
        "no ReLU after the sum": [("F.relu(out + x)", "out + x")],
        "unseen: ReLU before the sum as well": [("F.relu(out + x)", "F.relu(F.relu(out) + x)")],
    },
    "2 zeros": {
        "zeros at the other end": [_other_end],
        "subsampling": [("F.avg_pool2d(x, self.stride, ceil_mode=True)", "x[:, :, :: self.stride, :: self.stride]")],
        "the last window divided by all": [
            ("F.avg_pool2d(x,", "F.avg_pool2d(F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2)),")
        ],
        "the last window dropped": [(", ceil_mode=True", "")],
        "maxima": [("F.avg_pool2d", "F.max_pool2d")],
    },
    "2 bottleneck": {
        "no projection where only the stride differs": [ONLY_STRIDE],
        "stride in the 3×3": [
            ("stride=1, padding", "stride=stride, padding"),
            ("wide, kernel_size=1, stride=stride, bias=False)  #: conv3", "wide, kernel_size=1, bias=False)  #: conv3"),
        ],
        "stride in the first 1×1": [
            ("stride=1, bias", "stride=first, bias"),
            ("wide, kernel_size=1, stride=stride, bias=False)  #: conv3", "wide, kernel_size=1, bias=False)  #: conv3"),
            ("stride=first", "stride=stride"),
        ],
        "ReLU before the sum": [*EARLY],
        "second ReLU missing": [("F.relu(out)  #: relu2", "out  #")],
        "no third batch norm": [("self.bn3(out)", "out")],
        "a bias": [("bias=False", "bias=True")],
    },
    "2 layer": {
        "stride in the first block": [("number == blocks - 1", "number == 0")],
        "stride in every block": [("stride if number == blocks - 1 else 1", "stride")],
        "expansion forgotten": [("channels * block.expansion", "channels")],
        "a list": [("nn.Sequential(*row)", "row")],
    },
    "3 head": {
        "maxima first": [("x.mean((2, 3)), x.amax((2, 3))", "x.amax((2, 3)), x.mean((2, 3))")],
        "means only": [("x.amax((2, 3))", "x.mean((2, 3))")],
        "joined along the batch": [("], 1)", "])")],
        "maxima of what is positive": [("x.amax(", "F.relu(x).amax(")],
    },
    "3 network": {
        "both layers halve": [_both_halve],
        "stride in every block": [("stride if place == 0 else 1", "stride")],
        "no ReLU in the stem": [("F.relu(self.bn1(self.conv1(x)))", "self.bn1(self.conv1(x))")],
        "a pooling in the stem": [("(self.conv1(x)))", "(self.conv1(x)))\n        x = F.max_pool2d(x, 3, 2, 1)")],
        "a bias": [(", bias=False", "")],
    },
    "3 translate": {
        "the shortcut not translated": [
            ("if words[3] ==", "if 0 and words[3] =="),
            ("inner[words[3]]", "inner.get(words[3], words[3])"),
        ],
        "layers from 0": [("int(words[1]) + 1", "int(words[1])")],
        "batch norms swapped": [('"norm_a": "bn1", "norm_b": "bn2"', '"norm_a": "bn2", "norm_b": "bn1"')],
        "convolutions swapped": [('"conv_a": "conv1", "conv_b": "conv2"', '"conv_a": "conv2", "conv_b": "conv1"')],
        "counters dropped": [("found[", "if 'num_batches' not in name: found[")],
        "the given one emptied": [("state.items()", "list(state.items())"), ("] = value", "] = state.pop(name)")],
    },
    "3 compare": {
        "not sorted": [("sorted(", "list(")],
        "counts of numbers compared": [(".shape", ".numel()")],
        "values compared": [("wanted[name].shape != given[name].shape", "not torch.equal(wanted[name], given[name])")],
        "missing and unexpected swapped": [("return missing, unexpected", "return unexpected, missing")],
    },
    "3 counter": {
        "groups ignored": [("module.weight[0].numel()", "module.weight[0].numel() * getattr(module, 'groups', 1)")],
        "square kernels taken for granted": [("module.weight[0].numel()", SQUARE)],
        "a linear layer counted once": [
            ("output.numel() *", "(output.numel() if output.dim() == 4 else output.shape[-1]) *")
        ],
        "biases counted": [("module.weight[0].numel()", "(module.weight[0].numel() + (module.bias is not None))")],
        "hooks left on": [("hook.remove()", "pass")],
        "left in evaluation mode": [("module.training = mode", "pass")],
        "one mode for all": [("module.training = mode", "module.training = modes[0][1]")],
        "statistics moved": [("model.eval()", "pass")],
    },
    "4 schedule": {
        "a cosine over all steps": [("(step - warmup) / (steps - warmup)", "step / steps")],
        "0 at the last step": [("(steps - warmup)", "(steps - warmup - 1)")],
        "the warmup from 0": [("(step + 1) / warmup", "step / warmup")],
    },
    "4 loss": {
        "no smoothing": [_unsmoothed],
        "spread over the others": [_among_the_others],
        "a sum over the batch": [(").mean()", ").sum()")],
        "the logarithm of a softmax": [("F.log_softmax(scores, 1)", "F.softmax(scores, 1).log()")],
    },
    "4 epoch": {
        "decay on everything": [('"params": small, "weight_decay": 0', '"params": small, "weight_decay": 0.05')],
        "convolutions left out of the decay": [
            ("one.dim() > 1", "one.dim() == 2"),
            ("one.dim() <= 1", "one.dim() != 2"),
        ],
        "no decay": [(r'"params": large, "weight_decay": 0.', '"params": large, "weight_decay": 0 * 0.')],
        "no zero_grad": [("optimizer.zero_grad()", "pass")],
        "no train()": [("model.train()", "pass")],
        "Nesterov": [("momentum=momentum)", "momentum=momentum, nesterov=momentum > 0)")],
        "no momentum": [(", momentum=momentum)", ")")],
        "losses after the step": [("loss.item()", "smoothed_loss(model(images), labels).item()")],
    },
    "4 accuracy": {
        "left in evaluation mode": [("module.training = mode", "pass")],
        "one mode for all": [("module.training = mode", "module.training = modes[0][1]")],
        "in training mode": [("model.eval()", "pass")],
        "with gradients": [("no_grad", "enable_grad")],
        "a mean over batches": [(".sum())", ".sum()) / len(labels)"), ("count += len(labels)", "count += 1")],
    },
    "4 profile": {
        "gradients added": [("model.zero_grad()", "pass")],
        "in evaluation mode": [("model.train()", "model.eval()")],
        "linear layers, too": [("nn.Conv2d", "(nn.Conv2d, nn.Linear)")],
    },
}
TYPICAL = [
    Mistake(*place.split(), name.removeprefix("unseen: "), tuple(changes), not name.startswith("unseen: "))
    for place, mistakes in KEPT.items()
    for name, changes in mistakes.items()
]


def run(cells: list[dict[str, Any]], answers: dict[str, str], only: str | None = None) -> dict[str, Any]:
    """Run a student's notebook with these answers, and of its checks those of one question or all. Gives its names."""
    space: dict[str, Any] = {"__name__": "student"}
    for cell in cells:
        source = "".join(cell["source"])
        role = cell["metadata"].get("lab", {})
        checked = role.get("role") == "public" and (only is None or f"({only})" in source.partition("\n")[0])
        if role.get("role") in ("setup", "code") or checked:
            exec(source, space)
        elif role.get("role") == "answer":
            exec(answers.get(role["question"], source), space)
    return space


def numbers(key: grader.Key, question: str, names: dict[str, Any]) -> Iterator[tuple[str, wire.Value]]:
    """What comes back for a question, part by part, probed in this process."""
    probe = next(one["probe"] for one in key.questions if one["name"] == question)
    space = {"__name__": "probe"}
    exec(f"{grader.HELPERS}\n{probe}", space)
    torch.manual_seed(0)
    given = SimpleNamespace(**grader._copied(key.secrets[question]))
    for part, value in space["probe"](SimpleNamespace(**names), given):
        found = torch.as_tensor(value).detach().contiguous()
        kind = {torch.float32: "float32", torch.float64: "float64", torch.int64: "int64"}[found.dtype]
        yield part, wire.Value(kind, tuple(found.shape), found.numpy().tobytes())


def graded(key: grader.Key, question: str, names: dict[str, Any]) -> grader.Grade:
    """A grade of this one question, from numbers that were made in this process."""
    ended = walls.Ended(wire.Heard(at=question, ended=True))
    with contextlib.suppress(Exception):  # what raises loses what is left
        for part, value in numbers(key, question, names):
            ended.heard.values[question, part] = value
    with mock.patch.object(walls, "run", return_value=ended):
        return grader.grade(key, Submission((), key.lab, key.mark), walls.Wall("none"))
