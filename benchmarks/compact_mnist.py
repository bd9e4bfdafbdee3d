"""From a strength to a smaller network on the full MNIST: LeNet-300-100 and LeNet-5, beside Torch-Pruning.

Rows of `ours` train dense with dropout, then with group lasso and its proximal step; `tn.compact` removes what is zero.
In LeNet-300-100 input pixels are groups too, pixels that nothing reads are left out, and a second pass puts the penalty
on the smallest groups alone. The survivors are then trained without any penalty. Rows of `torch-pruning` have the same
dense start and as many epochs: sparse training by its group norms, pruning to each ratio, the same refit. Rows of `l1`
take L1 on single weights, the second time more of it on the smaller ones, and keep the zeros in the refit. The images
are pixels / 255; none is shifted or distorted.

Usage: THINNET_DATA=... python benchmarks/compact_mnist.py [--rows ROW ...] [--seeds 0 1 2] [--holdout]
       [--set NAME=JSON ...] [--out FILE]
with `THINNET_DATA` set to the folder that holds `mnist`, and `pip install torch-pruning==1.6.1`.

A run appends one JSON line to `--out`, and runs that stand there are not repeated: a killed command goes on. Settings
are chosen with `--holdout`: training on the first 50 000 training images, measuring on the last 10 000. `--rows` with
no names trains nothing and prints the table.

References:
    H. Wang, C. Leng, A Note on Adaptive Group Lasso, 2008 (the second pass).
    H. Zou, The Adaptive Lasso and Its Oracle Properties, 2006 (the same for single weights).
    C. Louizos, M. Welling, D. P. Kingma, Learning Sparse Neural Networks through L0 Regularization, 2018.
    D. Molchanov, A. Ashukha, D. Vetrov, Variational Dropout Sparsifies Deep Neural Networks, 2017.
    G. Fang, X. Ma, M. Song, M. B. Mi, X. Wang, DepGraph: Towards Any Structural Pruning, 2023 (Torch-Pruning).
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
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
SPARSE = {"epochs": 30, "lr": 2e-3, "batch": 512, "beta": 0.99}
MLP = {
    "net": "lenet-300-100",
    "dense": {"epochs": 15, "lr": 2e-3},
    "sparse": SPARSE,
    "refit": {"epochs": 30, "schedule": "one-cycle"},
    "dense_drop": [0.2, 0.3, 0.3],
    "refit_drop": [0.2, 0.05, 0.05],
}
TWICE = {**MLP, "by": "ours", "strengths": [1e-4, 4e-5, 4e-4], "second": {"epochs": 20, "batch": 256}}
CONV = {
    "net": "lenet-5",
    "dense": {"epochs": 6, "lr": 2e-3},
    "sparse": {"epochs": 8, "lr": 2e-3, "batch": 256, "beta": 0.99},
    "refit": {"epochs": 8, "schedule": "one-cycle"},
    "dense_drop": [0.3, 0.3],
    "refit_drop": [0.1, 0.1],
}
CONV_TWICE = {
    **CONV,
    "by": "ours",
    "sparse": {**CONV["sparse"], "epochs": 4},
    "strengths": [1e-4, 1e-4, 1e-3],
    "again": [2e-3, 2e-3, 2e-2],
    "second": {"epochs": 4, "batch": 256},
}
ROWS: dict[str, dict[str, Any]] = {
    "ours, 300-100, larger": {**TWICE, "keep": [275, 110, 60], "again": [1e-3, 1e-3, 1e-2]},
    "ours, 300-100, smaller": {
        **TWICE,
        "keep": [205, 60, 35],
        "again": [2e-3, 2e-3, 2e-2],
        "refit_drop": [0.1, 0.0, 0.0],
    },
    "l1, 300-100": {
        **MLP,
        "by": "l1",
        "strengths": [3e-4, 2e-4, 1e-4],
        "sparse": {**SPARSE, "epochs": 25, "beta": 0.98},
        "again": [1.15e-3, 7.9e-4, 1.2e-3],
        "second": {**SPARSE, "epochs": 40, "beta": 0.98},
        "refit_drop": [0.1, 0.0, 0.0],
    },
    "torch-pruning, 300-100": {
        **MLP,
        "by": "torch-pruning",
        "sparse": {**SPARSE, "epochs": 50},
        "reg": 1e-3,
        "ratios": [0.6, 0.75, 0.9],
    },
    "ours, lenet-5, larger": {**CONV_TWICE, "keep": [10, 12, 60]},
    "ours, lenet-5, smaller": {**CONV_TWICE, "keep": [7, 8, 35]},
    "torch-pruning, lenet-5": {**CONV, "by": "torch-pruning", "reg": 1e-3, "ratios": [0.8, 0.9]},
}

Data = tuple[Tensor, Tensor, Tensor, Tensor]
Outcome = dict[str, Any]
Settings = dict[str, Any]


def network(name: str) -> nn.Module:
    """LeNet-300-100 on rows of pixels or LeNet-5 on images, with dropout layers whose rates the phases set."""
    if name == "lenet-300-100":
        stack: list[nn.Module] = [nn.Dropout(0), nn.Linear(784, 300), nn.ReLU(), nn.Dropout(0), nn.Linear(300, 100)]
        return nn.Sequential(*stack, nn.ReLU(), nn.Dropout(0), nn.Linear(100, 10))
    convolutions = [nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Flatten(), nn.Dropout(0), nn.Linear(800, 500), nn.ReLU(), nn.Dropout(0), nn.Linear(500, 10)]
    return nn.Sequential(*convolutions, *head)


def rules(model: nn.Module, example: Tensor, strengths: list[float]) -> tn.Plan:
    """A strength for each layer: on the inputs of a weight matrix, or on the channels and nodes of a convolution."""
    if example.ndim > 2:
        return training.by_layer(training.layers_of(tn.groups(model, example)), strengths)
    names = [name for name, p in model.named_parameters() if p.ndim > 1]
    return tn.Plan({name: tn.GroupLasso(s, by="inputs") for name, s in zip(names, strengths, strict=True)})


def weakest(model: nn.Module, example: Tensor, keep: list[int], strengths: list[float]) -> tn.Plan:
    """Groups with the smallest norms of each layer, all but the `keep` largest; the rest is free.

    The adaptive group lasso with two levels: what stays is not shrunk for the sake of what goes.
    """
    if example.ndim > 2:
        layers = training.layers_of(tn.groups(model.eval(), example))
        return training.weakest(model, layers, keep, strengths)
    rules = {}
    weights = [(name, p.detach()) for name, p in model.named_parameters() if p.ndim > 1]
    for (name, weight), kept, strength in zip(weights, keep, strengths, strict=True):
        low = weight.norm(dim=0).argsort()[: max(0, weight.shape[1] - kept)]
        numbers = torch.full((weight.shape[1],), -1)
        numbers[low] = torch.arange(len(low))
        if len(low):
            rules[name] = tn.CoupledGroupLasso(strength, {name: (1, numbers.tolist())})
    return tn.Plan(rules)


def compacted(model: nn.Module, data: Data) -> tuple[nn.Module, Data]:
    """What `tn.compact` leaves, on the pixels that it reads, and their columns of the images."""
    x, y, x_seen, y_seen = data
    small, _ = tn.compact(model.eval(), x[:64])
    first = training.layers(small)[0]
    if isinstance(first, nn.Linear):
        # compact keeps the model's input as wide as it was
        read = first.weight.detach().ne(0).any(0)
        first.weight = nn.Parameter(first.weight.detach()[:, read])
        first.in_features = int(read.sum())
        x, x_seen = x[:, read], x_seen[:, read]
    return small, (x, y, x_seen, y_seen)


def refit(small: nn.Module, data: Data, settings: Settings, seed: int) -> Outcome:
    """Train what is left without penalty, and measure it."""
    training.drop(small, settings["refit_drop"])
    training.fit(small, data[0], data[1], Phase(**settings["refit"]), seed + 3)
    kept = [training.layers(small)[0].weight.shape[1], *training.widths(small)]
    return {"kept": kept, "parameters": training.parameters(small), "error": training.error(small, *data[2:])}


def ours(model: nn.Module, data: Data, settings: Settings, seed: int) -> list[Outcome]:
    """Group lasso with its proximal step, `tn.compact`, refit."""
    plan = rules(model.eval(), data[0][:2], settings["strengths"])
    training.fit(model, data[0], data[1], Phase(**settings["sparse"]), seed + 1, plan)
    sparse = training.error(model, *data[2:])
    small, data = compacted(model, data)
    if "keep" in settings:
        training.drop(small, settings["refit_drop"])
        plan = weakest(small, data[0][:2], settings["keep"], settings["again"])
        training.fit(small, data[0], data[1], Phase(**settings["second"]), seed + 2, plan, ramp=0.5)
        small, data = compacted(small, data)
    return [{"sparse_error": sparse, **refit(small, data, settings, seed)}]


def theirs(model: nn.Module, data: Data, settings: Settings, seed: int) -> list[Outcome]:
    """Torch-Pruning: one sparse training, then every ratio."""
    x, y, x_seen, y_seen = data
    peer.train_sparse(model, x, y, Phase(**settings["sparse"]), seed + 1, settings["reg"])
    sparse = training.error(model, x_seen, y_seen)
    return [
        {"ratio": ratio, "sparse_error": sparse, **refit(peer.pruned(model, x[:2], ratio), data, settings, seed)}
        for ratio in settings["ratios"]
    ]


def single_weights(model: nn.Module, data: Data, settings: Settings, seed: int) -> list[Outcome]:
    """L1 with its proximal step, twice, then a refit in which what is zero is set to zero after every step.

    The second time as in the adaptive lasso, s · min(5, 0.03 / (|w| + 0.01)) for a weight that is w after the first.
    """
    x, y, x_seen, y_seen = data
    weights = {name: p for name, p in model.named_parameters() if p.ndim > 1}
    masks: dict[str, Tensor] = {}

    @torch.no_grad()
    def keep_zeros() -> None:
        for name, mask in masks.items():
            weights[name].mul_(mask)

    def train(phase: str, after: int, plan: tn.Plan | None) -> None:
        training.fit(model, x, y, Phase(**settings[phase]), seed + after, plan, after_step=keep_zeros)
        masks.update({name: weight.detach().ne(0) for name, weight in weights.items()})

    train("sparse", 1, tn.Plan({name: tn.L1(s) for name, s in zip(weights, settings["strengths"], strict=True)}))
    nearness = {name: (0.03 / (weight.detach().abs() + 0.01)).clamp(max=5) for name, weight in weights.items()}
    training.drop(model, settings["refit_drop"])
    again = zip(weights, settings["again"], strict=True)
    train("second", 2, tn.Plan({name: tn.L1(s * nearness[name]) for name, s in again}))
    sparse = training.error(model, x_seen, y_seen)
    train("refit", 3, None)
    nonzero = [int(weight.count_nonzero()) for weight in weights.values()]
    outcome = {"sparse_error": sparse, "nonzero": sum(nonzero), "nonzero_each": nonzero}
    return [{**outcome, "error": training.error(model, x_seen, y_seen)}]


PRUNE = {"ours": ours, "torch-pruning": theirs, "l1": single_weights}
STARTS: dict[str, nn.Module] = {}


def start(settings: Settings, data: Data, seed: int) -> nn.Module:
    """The dense network that every row of this net and seed begins with."""
    key = json.dumps([settings["net"], settings["dense"], settings["dense_drop"], seed, len(data[0])])
    if key not in STARTS:
        torch.manual_seed(seed)
        model = network(settings["net"])
        training.drop(model, settings["dense_drop"])
        training.fit(model, data[0], data[1], Phase(**settings["dense"]), seed)
        training.drop(model, [0.0] * len(settings["dense_drop"]))
        STARTS[key] = model
    return copy.deepcopy(STARTS[key])


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def table(found: list[dict[str, Any]]) -> str:
    """Test errors and sizes as Markdown, a line for each row and ratio: medians over the seeds, each seed behind it."""
    text = "| row | kept | parameters | non-zero weights | test error, % | each seed | dense, % | CPU s |\n"
    text += "|---" * 8 + "|\n"
    for row in ROWS:
        alike: dict[str, list[dict[str, Any]]] = {}
        for line in found:
            if line["row"] == row and line["measured_on"] == "test":
                alike.setdefault(json.dumps([line["settings"], line.get("ratio")]), []).append(line)
        for runs in alike.values():
            median = statistics.median_low(run["error"] for run in runs)
            middle = next(run for run in runs if run["error"] == median)
            each = ", ".join(f"{run['error']:.2f} at {run.get('parameters', run.get('nonzero')):,}" for run in runs)
            name = row + (f", ratio {middle['ratio']}" if "ratio" in middle else "")
            kept = "-".join(map(str, middle.get("kept", [])))
            sizes = " | ".join(f"{middle[key]:,}" if key in middle else "" for key in ("parameters", "nonzero"))
            dense = statistics.median(run["dense_error"] for run in runs)
            cpu = statistics.median(run["cpu_seconds"] for run in runs)
            text += f"| {name} | {kept} | {sizes} | {median:.2f} | {each} | {dense:.2f} | {cpu:.0f} |\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--holdout", action="store_true", help="train on 50 000, measure on the last 10 000")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=JSON", help="instead of the row's own settings")
    parser.add_argument("--out", type=Path, default=RESULTS / "compact_mnist.jsonl")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    changes = {name: json.loads(value) for name, value in (change.split("=") for change in args.set)}
    x, y = mnist_table.images("train")
    if args.holdout:
        held = mnist_table.HELD_OUT
        flat = x[:-held], y[:-held], x[-held:], y[-held:]
    else:
        flat = x, y, *mnist_table.images("t10k")
    for seed in args.seeds:
        for row in args.rows:
            settings = {**ROWS[row], **changes}
            measured_on = "validation" if args.holdout else "test"
            run = {"row": row, "seed": seed, "measured_on": measured_on, "settings": settings}
            if any(run.items() <= line.items() for line in lines(args.out)):
                continue
            shape = (-1, 784) if settings["net"] == "lenet-300-100" else (-1, 1, 28, 28)
            data = flat[0].view(shape), flat[1], flat[2].view(shape), flat[3]
            model = start(settings, data, seed)
            began = time.process_time()
            run["dense_error"] = training.error(model, *data[2:])
            found = PRUNE[settings["by"]](model, data, settings, seed)
            seconds = round(time.process_time() - began, 1)
            with args.out.open("a") as file:
                for outcome in found:
                    file.write(json.dumps({**run, **outcome, "cpu_seconds": seconds}) + "\n")
                    print(row, seed, measured_on, {"dense": run["dense_error"], **outcome}, seconds, flush=True)
    print(f"\n{describe()}\n{table(lines(args.out))}")


if __name__ == "__main__":
    main()
