"""A whole training step, thinned beside nn.Dropout and beside no dropout, on CPU.

Run: python benchmarks/bench_thin.py. Forward, backward and fused AdamW on batches of 128; prints medians of interleaved
repetitions of one run; writes nothing. The limit is the share of the multiplications that the kept nodes have; the
optimizer, which updates every weight, is a part of each step that no dropout makes smaller.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import thinnet as tn
from machine import describe

THREADS = 2
BATCH, P, INPUT_P = 128, 0.5, 0.2
NETWORKS = {(784, 1024, 1024, 2048, 10): 40, (784, 4096, 4096, 4096, 10): 10}
"""Layer sizes, and how often to repeat."""


def network(sizes: tuple[int, ...], *, dropout: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        layers += [*([nn.Dropout(P if index else INPUT_P)] if dropout else []), nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def training_step(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> Callable[[], float]:
    """A step; it returns the seconds that its optimizer took."""
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def run() -> float:
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        start = time.perf_counter()
        optimizer.step()
        return time.perf_counter() - start

    return run


def main() -> None:
    torch.set_num_threads(THREADS)
    print(describe())
    print(f"batches of {BATCH}, hidden p={P}, input p={INPUT_P}: milliseconds a step; of them the optimizer's;")
    print("the step's share of nn.Dropout's and of that without dropout\n")
    for sizes, repetitions in NETWORKS.items():
        x, y = torch.rand(BATCH, sizes[0]), torch.randint(10, (BATCH,))
        models = {
            "no dropout": network(sizes, dropout=False),
            "nn.Dropout": network(sizes, dropout=True),
            "tn.thin_": tn.thin_(network(sizes, dropout=False), P, INPUT_P),
            "tn.thin_, groups=2": tn.thin_(network(sizes, dropout=False), P, INPUT_P, groups=2),
        }
        steps = {name: training_step(model, x, y) for name, model in models.items()}
        whole: dict[str, list[float]] = {name: [] for name in steps}
        inside: dict[str, list[float]] = {name: [] for name in steps}
        for repetition in range(repetitions + 3):
            for name, step in steps.items():
                start = time.perf_counter()
                optimizer = step()
                if repetition >= 3:
                    whole[name].append(time.perf_counter() - start)
                    inside[name].append(optimizer)
        took = {name: 1e3 * median(seconds) for name, seconds in whole.items()}
        weights = [a * b for a, b in itertools.pairwise(sizes)]
        kept = [1.0, *[1 - P] * (len(sizes) - 2), 1.0]
        share = sum(w * a * b for w, (a, b) in zip(weights, itertools.pairwise(kept), strict=True)) / sum(weights)
        print("-".join(map(str, sizes)), f"(kept nodes have {share:.2f} of the multiplications)")
        for name, milliseconds in took.items():
            dropout, none = milliseconds / took["nn.Dropout"], milliseconds / took["no dropout"]
            print(f"  {name:>18} {milliseconds:7.1f} {1e3 * median(inside[name]):7.1f}   {dropout:.2f}, {none:.2f}")


if __name__ == "__main__":
    main()
