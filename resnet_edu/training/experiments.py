"""The book's experiments: each trains or probes small networks and returns every number it saw.

They run in minutes on two CPU cores. ``python -m resnet_edu.training.experiments degradation --full`` is the
paper's own setting, for a GPU.
"""

import argparse
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, spawn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from tqdm import tqdm

from resnet_edu.blocks import BasicBlock, PlainBlock
from resnet_edu.counting.recipes import check_choice, check_count, recipe
from resnet_edu.resnet import ResNet
from resnet_edu.training.config import TrainConfig
from resnet_edu.training.data import ImageData, digits, load
from resnet_edu.training.loop import evaluate, train
from resnet_edu.training.processes import threads
from resnet_edu.training.results import Results
from resnet_edu.training.sync_batchnorm import synchronize_
from resnet_edu.zoo import cifar_resnet

__all__ = [
    "EarlyReLU",
    "beside_the_paper",
    "degradation",
    "first_over_last",
    "gradients",
    "hold_norms",
    "removal",
    "split_batch",
]

#: CIFAR-10 test error in percent of the residual nets, He et al. 2015, Table 6 (110: the best of five).
#: The plain nets' errors are drawn in Figure 6 and not printed.
PAPER = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43}

#: The setting of section 4.2: 64,000 steps of 128 images are 164 epochs of CIFAR-10.
FULL = TrainConfig(data="cifar10", epochs=164, lr=0.1, schedule="step", augment="crop-flip")

#: Small and quick: an epoch of ResNet-20 on digits takes about a quarter of a second.
QUICK = TrainConfig(data="digits", widths=(8, 16, 32), epochs=15, lr=0.03, threads=1, device="cpu")

#: For many networks at a time: three epochs fewer, and an order in memory in which small convolutions are faster.
MANY = replace(QUICK, epochs=12, channels_last=True)


#: What a script needs that starts processes.
MAIN = (
    "In a script, calls that start processes stand below the line 'if __name__ == \"__main__\":', because each process "
    "imports the script first; or pass workers=1, which starts none"
)


class EarlyReLU(BasicBlock):
    """The basic block with its last ReLU *before* the addition (He et al. 2016, Figure 4c).

    What it adds is zero or more, so it can raise its input and never lower it.

    >>> _ = torch.manual_seed(0)
    >>> x = torch.randn(2, 8, 5, 5)
    >>> bool((EarlyReLU(8, 8)(x) >= x).all())
    True
    """

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out))) + self.downsample(x)


#: What :func:`degradation` can compare: the name of a net, and that of its recipe before the depth.
NETS = {"plain": "cifar_plain", "residual": "cifar", "early ReLU": "cifar"}


def degradation(
    depths: Sequence[int] = (20, 32, 44, 56),
    seeds: Sequence[int] = (0, 1, 2),
    *,
    nets: Sequence[str] = ("plain", "residual"),
    held: bool = False,
    setting: TrainConfig = MANY,
    workers: int = 2,
    progress: bool | None = None,
) -> Results:
    """Train plain and residual nets of each depth from each seed (He et al. 2015, Figure 6).

    One row for each net: ``net``, ``depth``, ``seed``, ``train_error`` and ``test_error`` in percent
    after the last epoch, in eval mode over the whole set.

    ``nets`` chooses among :data:`NETS`; ``"early ReLU"`` stacks :class:`EarlyReLU` blocks. With ``held=True``
    no convolution's norm can leave its start (:func:`hold_norms`).

    ``workers`` nets are trained at a time, each in a process of its own with ``setting.threads`` threads: for
    networks this small that beats one net on all cores. The numbers do not depend on ``workers``.

    >>> table = degradation((8,), (0,), setting=replace(QUICK, epochs=1), workers=1, progress=False)
    >>> table["net"], table["depth"]
    (['plain', 'residual'], [8, 8])

    Raises ValueError for a depth that is not 6n + 2, or fewer than one worker.
    """
    for net in nets:
        check_choice("net", net, tuple(NETS))
    jobs = [
        (net, depth, replace(setting, model=f"{NETS[net]}{depth}", seed=seed), held)
        # Deep nets first: the short jobs fill the gaps at the end.
        for depth in sorted(depths, reverse=True)
        for seed in seeds
        for net in nets
    ]
    rows = _in_processes(_train_one, jobs, workers, progress)
    rows.sort(key=lambda row: (nets.index(row["net"]), row["depth"], row["seed"]))
    return Results(rows, "Errors in %")


@contextmanager
def hold_norms() -> Iterator[None]:
    """While it holds, each step of any optimizer ends with every convolution scaled back to the norm it came with.

    A batch norm after a convolution divides its scale away, so this changes no answer of the network. It changes
    how far the next step turns the weights.

    >>> conv = nn.Conv2d(1, 1, 3)
    >>> before = conv.weight.norm().item()
    >>> with hold_norms():
    ...     conv(torch.ones(1, 1, 3, 3)).sum().backward()
    ...     torch.optim.SGD(conv.parameters(), lr=10).step()
    >>> abs(conv.weight.norm().item() - before) < 1e-5
    True
    """
    norms: dict[Tensor, Tensor] = {}

    def remember(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for weight in _convolution_weights(optimizer):
            if weight not in norms:
                norms[weight] = weight.norm()

    @torch.no_grad()
    def scale_back(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for weight in _convolution_weights(optimizer):
            weight *= norms[weight] / weight.norm()

    hooks = (register_optimizer_step_pre_hook(remember), register_optimizer_step_post_hook(scale_back))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def gradients(
    depths: Sequence[int] = (8, 20, 56, 110),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    *,
    batch_norm: Sequence[bool] = (True, False),
    steps: int = 0,
    width: int = 8,
) -> Results:
    """The size of the gradient in every 3×3 convolution, for one batch of digits.

    One row for each convolution: ``net``, ``batch_norm``, ``depth``, ``seed``, ``convolution``
    (0 is the stem's), ``gradient`` (the Euclidean norm of the loss's derivative by its weights),
    ``weight`` (the norm of those weights) and their product, ``slope``. Batch norm divides a weight's scale
    away and leaves its direction; ``slope`` is by how much the loss changes per radian that it turns.
    ``steps`` steps of SGD come first, with the learning rate of :data:`QUICK`.

    >>> len(gradients((8,), (0,), batch_norm=(True,)))               # 2 nets of 1 + 3·2 convolutions
    14
    """
    data = digits()
    rows: list[dict[str, Any]] = []
    with threads(1):
        for depth in depths:
            for seed in seeds:
                for net in ("plain", "residual"):
                    for normed in batch_norm:
                        torch.manual_seed(seed)
                        model = cifar_resnet(
                            depth, in_channels=1, widths=(width, 2 * width, 4 * width), plain=net == "plain"
                        )
                        if not normed:
                            _remove_batch_norm_(model)
                        order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(seed))
                        optimizer = torch.optim.SGD(model.parameters(), QUICK.lr, momentum=QUICK.momentum)
                        for step in range(steps + 1):
                            mine = order.roll(-step * QUICK.batch)[: QUICK.batch]
                            optimizer.zero_grad()
                            scores = model(data.normalize(data.train.images[mine]))
                            F.cross_entropy(scores, data.train.labels[mine]).backward()  # type: ignore[no-untyped-call]
                            if step < steps:
                                optimizer.step()
                        about = {"net": net, "batch_norm": normed, "depth": depth, "seed": seed}
                        convolutions = [room for room in model.modules() if isinstance(room, nn.Conv2d)]
                        for number, room in enumerate(convolutions):
                            gradient, weight = float(_gradient(room).norm()), float(room.weight.detach().norm())
                            row = {"convolution": number, "gradient": gradient, "weight": weight}
                            rows.append(about | row | {"slope": gradient * weight})
    return Results(rows, "Gradients of the 3×3 convolutions")


def first_over_last(gradient: Results) -> Results:
    """From the rows of :func:`gradients`: the stem's gradient divided by the last convolution's, for each net.

    1 means that both ends of the network are pushed equally hard.

    >>> rows = [{"net": "plain", "batch_norm": True, "depth": 8, "seed": 0, "convolution": n, "gradient": 2.0 / (n + 1)}
    ...         for n in range(2)]
    >>> first_over_last(Results(rows))["ratio"]
    [2.0]
    """
    ends: dict[tuple[Any, ...], list[float]] = {}
    names = ("net", "batch_norm", "depth", "seed")
    for row in gradient:
        ends.setdefault(tuple(row[name] for name in names), []).append(row["gradient"])
    return Results(
        [dict(zip(names, key, strict=True)) | {"ratio": values[0] / values[-1]} for key, values in ends.items()],
        "Gradient of the first convolution over that of the last",
    )


def removal(
    depth: int = 20,
    seeds: Sequence[int] = (0, 1, 2),
    *,
    setting: TrainConfig = QUICK,
    workers: int = 2,
    progress: bool | None = None,
) -> Results:
    """Train, then take one block out at a time and test again (Veit et al. 2016, section 4.1).

    One row for each block that keeps its shape, and one for the whole net: ``net``, ``depth``,
    ``seed``, ``removed`` (``None`` or the block's name), ``test_error`` in percent. What a residual
    net loses is one change, F(x); a plain net loses a link of its chain.

    >>> removal(8, (0,), setting=replace(QUICK, epochs=1), workers=1, progress=False)["removed"]
    [None, 'layer1.0', None, 'layer1.0']
    """
    jobs = [
        (net, depth, replace(setting, model=f"{model}{depth}", seed=seed))
        for seed in seeds
        for net, model in (("plain", "cifar_plain"), ("residual", "cifar"))
    ]
    found = _in_processes(_train_and_remove, jobs, workers, progress)
    found.sort(key=lambda rows: (rows[0]["net"], rows[0]["seed"]))
    return Results([row for rows in found for row in rows], "Test error in %, with one block taken out")


def split_batch(seed: int = 0, processes: int = 2) -> Results:
    """How far the first gradient of several processes is from that of one with the same batch.

    Each process sees its share of 64 digits; the gradients are averaged. One row for each way to
    normalize: ``norm`` and ``difference``, the norm of the difference over the norm of one
    process's gradient. In float64, so what is left of rounding is about 1e-16.

    >>> split_batch(processes=1)["norm"]
    ['batch norm', 'frozen', 'synchronized']

    Raises ValueError for fewer than one process.
    """
    processes = check_count("processes", processes)
    with tempfile.TemporaryDirectory() as folder:
        try:
            spawn(_one_share, (processes, folder, seed), nprocs=processes)  # type: ignore[no-untyped-call]
        except (ProcessExitedException, ProcessRaisedException) as error:
            raise RuntimeError(f"a process ended before its work. {MAIN}") from error
        shared: dict[str, Tensor] = torch.load(Path(folder) / "gradients.pt", weights_only=True)
    rows = []
    with threads(1):
        for norm, theirs in shared.items():
            model, x, y = _split_batch_case(norm, seed)
            F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
            mine = _flat_gradient(model)
            rows.append({"norm": norm, "difference": float((theirs - mine).norm() / mine.norm())})
    return Results(rows, "First gradient of several processes against that of one")


def _train_one(net: str, depth: int, config: TrainConfig, held: bool) -> dict[str, Any]:
    data = load(config.data, root=config.root, url=config.url, size=config.size)
    with hold_norms() if held else nullcontext():
        run = train(config, data, progress=False, make=_make_early if net == "early ReLU" else None)
    there = data.to(run.sums.device)
    with threads(config.threads):
        train_error = evaluate(run.model, there, there.train, precision=config.precision)[1]
    row = {"net": net, "depth": depth, "seed": config.seed, "train_error": train_error}
    return row | {"test_error": run.history[-1]["test_error"]}


def _train_and_remove(net: str, depth: int, config: TrainConfig) -> list[dict[str, Any]]:
    data = load(config.data, root=config.root, url=config.url, size=config.size)
    run = train(config, data, progress=False)
    there = data.to(run.sums.device)
    about = {"net": net, "depth": depth, "seed": config.seed}
    rows = [about | {"removed": None, "test_error": run.history[-1]["test_error"]}]
    with threads(config.threads):
        for name, block in run.model.named_modules():
            if not isinstance(block, BasicBlock | PlainBlock):
                continue
            if block.conv1.stride != (1, 1):
                continue  # nothing fits in the place of a block that changes the shape
            without = deepcopy(run.model)
            without.set_submodule(name, nn.Identity())
            error = evaluate(without, there, there.test, precision=config.precision)[1]
            rows.append(about | {"removed": name, "test_error": error})
    return rows


def _in_processes(work: Callable[..., Any], jobs: Sequence[Any], workers: int, progress: bool | None) -> list[Any]:
    workers = check_count("workers", workers)
    if progress is None:  # a bar on a built page would be a wall of old states
        progress = "RESNET_EDU_BOOK" not in os.environ
    if workers == 1:
        return [work(*job) for job in tqdm(jobs, unit="net", disable=not progress)]
    # A fresh interpreter for each: a forked one inherits locks of threads that it does not have.
    pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn"))
    try:
        tasks = [pool.submit(work, *job) for job in jobs]
        return [task.result() for task in tqdm(as_completed(tasks), total=len(tasks), unit="net", disable=not progress)]
    except BrokenProcessPool as error:
        raise RuntimeError(
            f"a worker ended before its work. {MAIN}. Or the memory was too small for them all"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _make_early(config: TrainConfig, data: ImageData) -> nn.Module:
    plan = recipe(config.model, in_channels=data.shape[0], num_classes=len(data.classes))
    return ResNet(
        EarlyReLU,
        plan.layers,
        plan.num_classes,
        in_channels=plan.in_channels,
        stem=plan.stem,
        widths=config.widths or plan.widths,
        shortcut=plan.shortcut,
    )


def _convolution_weights(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"] if weight.dim() == 4]


def _remove_batch_norm_(model: nn.Module) -> None:
    for name, room in list(model.named_modules()):
        if isinstance(room, nn.BatchNorm2d):
            model.set_submodule(name, nn.Identity())


def _gradient(room: nn.Conv2d) -> Tensor:
    if room.weight.grad is None:
        raise ValueError("this convolution has no gradient; call backward() first")
    return room.weight.grad


def _split_batch_case(norm: str, seed: int) -> tuple[nn.Module, Tensor, Tensor]:
    data = digits()
    torch.manual_seed(seed)
    model = cifar_resnet(20, in_channels=1, widths=(8, 16, 32)).double()
    if norm == "frozen":
        model.eval()
    x = data.normalize(data.train.images[:64]).double()
    return model, x, data.train.labels[:64]


def _flat_gradient(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def _one_share(rank: int, processes: int, folder: str, seed: int) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=processes)
    found = {}
    for norm in ("batch norm", "frozen", "synchronized"):
        model, x, y = _split_batch_case(norm, seed)
        if norm == "synchronized":
            synchronize_(model)
        parallel = DistributedDataParallel(model)
        F.cross_entropy(parallel(x[rank::processes]), y[rank::processes]).backward()  # type: ignore[no-untyped-call]
        found[norm] = _flat_gradient(model)
    if rank == 0:
        torch.save(found, Path(folder) / "gradients.pt")
    distributed.destroy_process_group()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: one experiment, its rows in a file and its table on the screen; 1 with one sentence if it fails."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.experiment == "degradation" and not chosen.full and (chosen.root or chosen.url):
        parser.error("--root and --url say where CIFAR-10 is, which only degradation --full trains on")
    try:
        # Open before hours are spent, and only then emptied: earlier rows stay if nothing comes of it.
        out = Path(chosen.out or os.devnull).expanduser()
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("a", encoding="utf-8") as rows:
            table = _run(chosen)
            if chosen.out:
                rows.truncate(0)
                rows.write(table.lines())
    except (ValueError, RuntimeError, ArithmeticError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without lines and ± gets ? for them
    print(table)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m resnet_edu.training.experiments", description=__doc__)
    kinds = parser.add_subparsers(dest="experiment", required=True)
    degradation_, gradients_, removal_, split_batch_ = (
        kinds.add_parser(name, help=text, description=text, allow_abbrev=False)
        for name, text in (
            ("degradation", "Train plain and residual nets of each depth from each seed."),
            ("gradients", "Compare the gradients of the first and the last convolution, before training."),
            ("removal", "Train, then take one block out at a time and test again."),
            ("split-batch", "Compare the gradient of several processes with that of one."),
        )
    )
    degradation_.add_argument("--full", action="store_true", help="as in the paper: CIFAR-10, 164 epochs, a GPU")
    for kind in (degradation_, gradients_):
        kind.add_argument("--depths", type=int, nargs="+", help="depths 6n + 2")
    removal_.add_argument("--depth", type=int, default=20, help="a depth 6n + 2 (default: 20)")
    for kind in (degradation_, gradients_, removal_):
        kind.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one net of each kind for each seed")
    for kind in (degradation_, removal_):
        kind.add_argument("--workers", type=int, help="nets trained at a time (default: 2, with --full 1)")
    degradation_.add_argument("--root", help="with --full: a copy of CIFAR-10")
    degradation_.add_argument("--url", help="with --full: a mirror of the CIFAR-10 archive")
    split_batch_.add_argument("--seed", type=int, default=0, help="decides the weights (default: 0)")
    split_batch_.add_argument("--processes", type=int, default=2, help="how many share the batch (default: 2)")
    for kind in (degradation_, gradients_, removal_, split_batch_):
        kind.add_argument("--out", help="file for the rows, JSON lines")
    return parser


def _run(chosen: argparse.Namespace) -> Results:
    if chosen.experiment == "split-batch":
        return split_batch(chosen.seed, chosen.processes)
    if chosen.experiment == "gradients":
        return first_over_last(gradients(chosen.depths or (8, 20, 56, 110), chosen.seeds))
    if chosen.experiment == "removal":
        return removal(chosen.depth, chosen.seeds, workers=_given(chosen.workers, 2))
    if chosen.full:
        setting = replace(FULL, root=chosen.root, url=chosen.url)
        table = degradation(
            chosen.depths or tuple(PAPER), chosen.seeds, setting=setting, workers=_given(chosen.workers, 1)
        )
        return beside_the_paper(table)
    return degradation(chosen.depths or (20, 32, 44, 56), chosen.seeds, workers=_given(chosen.workers, 2))


def _given(workers: int | None, usual: int) -> int:
    return usual if workers is None else workers  # a 0 is refused, not replaced


def beside_the_paper(table: Results) -> Results:
    """The rows of :func:`degradation` on CIFAR-10 with the paper's test error, where it prints one.

    >>> rows = [{"net": "residual", "depth": 20, "seed": 0, "train_error": 0.1, "test_error": 8.3}]
    >>> beside_the_paper(Results(rows))["paper's test error"]
    [8.75]
    """
    return Results(
        [row | {"paper's test error": PAPER.get(row["depth"]) if row["net"] == "residual" else None} for row in table],
        table.caption,
    )


if __name__ == "__main__":
    sys.exit(main())
