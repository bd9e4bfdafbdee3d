"""CPU time until the MNIST network's test error is 1.5 % and 1.25 %, thinned beside nn.Dropout.

The network of the MNIST table with hidden rates of .5, input rates of .2 and max-norm 2, in float32; Adam, its rate
falling linearly to zero over each training, so each length is a training of its own. The time to a target is that of
the shortest training that ends at or below it. A run appends one JSON line to `--out`; runs that stand there are not
repeated, so a killed command goes on.

Usage: THINNET_DATA=... python benchmarks/time_to_error.py [--epochs 8 16 30] [--threads 1] [--out FILE]
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import thinnet as tn
from machine import describe
from mnist_table import WIDTHS, error, images

TARGETS = (1.5, 1.25)
BATCH = 128
KINDS = ("nn.Dropout", "tn.thin_")


def network(kind: str) -> nn.Module:
    layers: list[nn.Module] = []
    for index, (fan_in, fan_out) in enumerate(itertools.pairwise(WIDTHS)):
        layers += [nn.Dropout(0.5 if index else 0.2), nn.Linear(fan_in, fan_out), nn.ReLU()]
    if kind == "nn.Dropout":
        return nn.Sequential(*layers[:-1])
    return tn.thin_(nn.Sequential(*(layer for layer in layers[:-1] if not isinstance(layer, nn.Dropout))), 0.5, 0.2)


def run(kind: str, epochs: int) -> dict:
    """Train; the error is looked at when it is over, and its time not counted."""
    (x, y), (x_test, y_test) = images("train"), images("t10k")
    torch.manual_seed(0)
    model = network(kind)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    tn.attach(model, tn.Plan(tn.MaxNorm(2.0)), optimizer)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, epochs * -(-len(x) // BATCH))
    start = time.process_time()
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
    seconds = time.process_time() - start
    return {"kind": kind, "epochs": epochs, "cpu_seconds": seconds, "error": error(model, x_test, y_test)}


def table(lines: list[dict]) -> str:
    """The runs, and the ratio of the times to each target."""
    text = "| training | epochs | CPU seconds | test error % |\n|---|---|---|---|\n"
    for line in sorted(lines, key=lambda line: (line["kind"], line["epochs"])):
        text += f"| {line['kind']} | {line['epochs']} | {line['cpu_seconds']:.0f} | {line['error']:.2f} |\n"
    for target in TARGETS:
        dense, thin = (
            min((x["cpu_seconds"] for x in lines if x["kind"] == kind and x["error"] <= target), default=None)
            for kind in KINDS
        )
        if dense and thin:
            text += f"\nto {target} %: {thin:.0f} s thinned, {dense:.0f} s with nn.Dropout, ratio {thin / dense:.2f}\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", nargs="*", type=int, default=[8, 16, 30])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "time_to_error.jsonl")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    lines = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out.exists() else []
    for epochs, kind in itertools.product(args.epochs, reversed(KINDS)):
        if not any((line["kind"], line["epochs"]) == (kind, epochs) for line in lines):
            lines.append(run(kind, epochs))
            with args.out.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
            print(lines[-1], flush=True)
    print(describe())
    print(table(lines))


if __name__ == "__main__":
    main()
