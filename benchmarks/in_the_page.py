"""How fast the engine that trains in the page is, beside PyTorch with one thread on the same network.

What is timed is what a reader waits for: a whole run of the default race, Node's start, the digits and the compiler
of WebAssembly with all their threads on the one side; on the other the same steps in a PyTorch that is loaded already.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn import functional as F

from benchmarks.measure import Row, in_turns
from resnet_edu import programs
from resnet_edu.training.handwriting import CUT, digits_by_writer, statistics

_NODE = Path(__file__).parent.parent / "tests/explorers/js/train.js"
_SETTINGS = {"depth": 56, "epochs": 8}


def rows() -> Iterator[Row]:
    """Eight epochs of 56 layers on the digits, batches of 64, widths 4, 8, 16: WebAssembly in Node against PyTorch."""
    speed = in_turns(_in_the_page, _in_pytorch, seconds=20, at_least=3)
    yield Row("images/s of the page's engine over PyTorch with one thread, 56 layers", speed.speedup, low=3.0)


def _in_the_page() -> None:
    jobs = [["train", {"settings": _SETTINGS, "kernels": "wasm", "state": False}]]
    subprocess.run(
        [shutil.which("node") or "node", _NODE], input=json.dumps(jobs), text=True, check=True, capture_output=True
    )


def _in_pytorch() -> None:
    counts, labels = digits_by_writer()
    mean, deviation = statistics(counts)
    x, y = (counts[:CUT] / 16 - mean) / deviation, labels[:CUT]
    model = programs.network("original")
    optimizer = torch.optim.SGD(model.parameters(), 0.03, momentum=0.9, weight_decay=1e-4)
    for _ in range(_SETTINGS["epochs"]):
        for batch in torch.split(torch.randperm(CUT)[: CUT // 64 * 64], 64):
            loss = F.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.inference_mode():
        for batch in torch.split(x, 64):  # the page measures its error at the end as well
            model.eval()(batch)
