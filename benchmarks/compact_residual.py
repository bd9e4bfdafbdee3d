"""A residual network of 20 layers on Fashion-MNIST, made smaller: ours beside Torch-Pruning, from one trained start.

Three stages of three blocks with 16, 32 and 64 channels, as in ResNet-20; the first convolution has stride 2, so that
a training fits a CPU. `ours` trains with `tn.groups` as a penalty (its proximal step couples all that reads a channel,
residual streams included), compacts, and trains the survivors without penalty. `torch-pruning` trains with its group
norm regularizer as long, prunes to each ratio and has the same refit. Adam, products in bfloat16 while training, errors
measured in float32.

Everybody trains on the first 50 000 training images. The last 10 000 choose: the smallest network of each side whose
error there is within 0.2 points of the dense one's is in bold. All are shown with their test errors.

Usage: THINNET_DATA=... python benchmarks/compact_residual.py [--rows ROW ...] [--seed 0]
with `THINNET_DATA` set to the folder that holds `fashion_mnist`, and `pip install torch-pruning==1.6.1`.

A run appends its JSON lines to `--out`, and rows that stand there are not repeated; `--rows` with no names trains
nothing. Networks are kept in `--work`, and their latency is measured at the end: rounds in which every network runs in
turn, CPU time of one thread, the median of the ratios to the dense one.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import compact_peer as peer
import compact_training as training
import mnist_table
import thinnet as tn
from compact_training import Phase
from machine import describe

RESULTS = Path(__file__).parent / "results"
WITHIN = 0.2
DENSE = Phase(epochs=6, lr=3e-3, schedule="one-cycle", bf16=True)
SPARSE = Phase(epochs=6, lr=2e-3, beta=0.95, bf16=True)
REFIT = Phase(epochs=4, lr=2e-3, schedule="one-cycle", bf16=True)
ROWS: dict[str, dict[str, Any]] = {
    "ours, 1e-4": {"strength": 1e-4},
    "ours, 5e-4": {"strength": 5e-4},
    "ours, 1e-3": {"strength": 1e-3},
    "ours, 1.5e-3": {"strength": 1.5e-3},
    "ours, 3e-3": {"strength": 3e-3},
    "ours, two passes": {"strength": 2e-4, "again": 5e-3, "keep": {16: 11, 32: 15, 64: 15}},
    "torch-pruning": {"reg": 1e-3, "ratios": [0.35, 0.5, 0.65]},
}
BATCHES = (1, 128)


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(fan_out)
        self.shortcut = (
            nn.Identity()
            if stride == 1
            else nn.Sequential(nn.Conv2d(fan_in, fan_out, 1, stride, bias=False), nn.BatchNorm2d(fan_out))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Channels and half the size at stride 2."""
        inner = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


def network(channels: tuple[int, ...] = (16, 32, 64), blocks: int = 3) -> nn.Sequential:
    """20 layers: the first convolution, nine blocks of two, the linear one."""
    stack: list[nn.Module] = [nn.Conv2d(1, channels[0], 3, 2, padding=1, bias=False), nn.BatchNorm2d(channels[0])]
    stack.append(nn.ReLU())
    fan_in = channels[0]
    for fan_out in channels:
        for _ in range(blocks):
            stack.append(Block(fan_in, fan_out, 1 if fan_in == fan_out else 2))
            fan_in = fan_out
    return nn.Sequential(*stack, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(fan_in, 10))


class Judge:
    """The images, and what is measured of every network."""

    def __init__(self) -> None:
        mnist_table.DATA = mnist_table.DATA.parent / "fashion_mnist"
        (x, self.y), (x_test, self.y_test) = mnist_table.images("train"), mnist_table.images("t10k")
        mean, std = x.mean(), x.std()
        self.x, self.x_test = (((p - mean) / std).view(-1, 1, 28, 28) for p in (x, x_test))
        self.learnt = len(x) - mnist_table.HELD_OUT

    @property
    def data(self) -> tuple[Tensor, Tensor]:
        """What is trained on."""
        return self.x[: self.learnt], self.y[: self.learnt]

    def __call__(self, model: nn.Module) -> dict[str, Any]:
        """Size and errors."""
        return {
            "parameters": training.parameters(model),
            "widths": training.widths(model),
            "validation": training.error(model, self.x[self.learnt :], self.y[self.learnt :]),
            "test": training.error(model, self.x_test, self.y_test),
        }


def ours(
    model: nn.Module, judge: Judge, seed: int, strength: float, again: float = 0.0, keep: dict[int, int] | None = None
) -> list[tuple[dict[str, Any], nn.Module]]:
    """The groups as a penalty, compacted, trained on without it.

    With `keep`, by the number of a layer's channels, the second half puts the strength `again` on its smallest channels
    alone, all but so many, and none on the others.
    """
    x, y = judge.data
    phase = dataclasses.replace(SPARSE, epochs=SPARSE.epochs // 2) if keep else SPARSE
    groups = tn.groups(model.eval(), x[:2], strength=strength)
    training.fit(model, x, y, phase, seed + 1, tn.Plan(groups))
    if keep:
        layers = training.layers_of(groups)
        numbers = [keep[len(training.group_norms(model, layer))] for layer in layers]
        plan = training.weakest(model, layers, numbers, [again] * len(layers))
        training.fit(model, x, y, phase, seed + 3, plan, ramp=0.5)
    sparse = judge(model)["validation"]
    small, _ = tn.compact(model, x[:8])
    training.fit(small, x, y, REFIT, seed + 2)
    return [({"sparse_validation": sparse}, small)]


def theirs(
    model: nn.Module, judge: Judge, seed: int, reg: float, ratios: list[float]
) -> list[tuple[dict[str, Any], nn.Module]]:
    """One sparse training, pruned to each ratio and trained on."""
    x, y = judge.data
    peer.train_sparse(model, x, y, SPARSE, seed + 1, reg)
    sparse = judge(model)["validation"]
    found = []
    for ratio in ratios:
        small = peer.pruned(model, x[:2], ratio)
        training.fit(small, x, y, REFIT, seed + 2)
        found.append(({"ratio": ratio, "sparse_validation": sparse}, small))
    return found


@torch.no_grad()
def latency(models: list[nn.Module], batch: int, rounds: int = 60) -> list[tuple[float, float]]:
    """Milliseconds a call, and the median ratio to the first model's in the same round."""
    x = torch.randn(batch, 1, 28, 28)
    seconds: list[list[float]] = [[] for _ in models]
    for _ in range(rounds):
        for spent, model in zip(seconds, models, strict=True):
            model(x)  # warms the caches that the model before has filled
            began = time.process_time()
            model(x)
            spent.append(time.process_time() - began)
    first = seconds[0]
    return [
        (1000 * statistics.median(spent), statistics.median(a / b for a, b in zip(spent, first, strict=True)))
        for spent in seconds
    ]


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def label(line: dict[str, Any]) -> str:
    return line["row"] + (f", ratio {line['ratio']:g}" if "ratio" in line else "")


def chosen(found: list[dict[str, Any]]) -> set[str]:
    """The smallest network of each side that the held-out images call as good as the dense one."""
    best: dict[str, dict[str, Any]] = {}
    limit = next(line["validation"] for line in found if line["row"] == "dense") + WITHIN
    for line in found:
        side = line["row"].split(",")[0]
        if (
            line["validation"] <= limit + 1e-9
            and line["parameters"] < best.get(side, line | {"parameters": 1e9})["parameters"]
        ):
            best[side] = line
    return {label(line) for line in best.values()} - {"dense"}


def table(found: list[dict[str, Any]]) -> str:
    """All networks as Markdown, the chosen ones marked."""
    marked = chosen(found)
    text = "| network | parameters | held-out error, % | test error, % | " + " | ".join(
        f"ms, batch {b} (share of dense)" for b in BATCHES
    )
    text += " |\n" + "|---" * (4 + len(BATCHES)) + "|\n"
    for line in found:
        name = f"**{label(line)}**" if label(line) in marked else label(line)
        times = " | ".join(
            "{:.2f} ({:.2f})".format(*line["latency"][str(b)]) if "latency" in line else "" for b in BATCHES
        )
        text += f"| {name} | {line['parameters']:,} | {line['validation']:.2f} | {line['test']:.2f} | {times} |\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "compact_residual.jsonl")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "compact_residual")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    judge = Judge()
    start = args.work / f"dense-{args.seed}.pt"

    def keep(line: dict[str, Any], model: nn.Module, began: float) -> None:
        line |= {"seed": args.seed, **judge(model), "cpu_seconds": round(time.process_time() - began)}
        torch.save(model, args.work / f"{label(line)}-{args.seed}.pt")
        with args.out.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)

    def mine() -> list[dict[str, Any]]:
        return [line for line in lines(args.out) if line["seed"] == args.seed]

    if not start.exists():
        began = time.process_time()
        torch.manual_seed(args.seed)
        model = network()
        training.fit(model, *judge.data, DENSE, args.seed)
        keep({"row": "dense"}, model, began)
    for row in args.rows:
        if any(line["row"] == row for line in mine()):
            continue
        began = time.process_time()
        model = torch.load(start, weights_only=False)
        prune = theirs if "ratios" in ROWS[row] else ours
        for extra, small in prune(model, judge, args.seed, **ROWS[row]):
            keep({"row": row, **ROWS[row], **extra}, small, began)
    found = mine()
    models = [torch.load(args.work / f"{label(line)}-{args.seed}.pt", weights_only=False).eval() for line in found]
    for batch in BATCHES:
        for line, times in zip(found, latency(models, batch), strict=True):
            line.setdefault("latency", {})[str(batch)] = [round(t, 4) for t in times]
    others = [line for line in lines(args.out) if line["seed"] != args.seed]
    args.out.write_text("".join(json.dumps(line) + "\n" for line in others + found))
    print(f"\n{describe()}\n{table(found)}")


if __name__ == "__main__":
    main()
