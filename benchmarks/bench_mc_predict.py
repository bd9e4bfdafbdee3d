"""mc_predict beside a loop of forward passes in training mode, on networks like those of the UCI regression table.

Run: python benchmarks/bench_mc_predict.py. Prints medians of interleaved repetitions of one run; writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import nn

import thinnet as tn
from machine import describe

THREADS = 2
SAMPLES = 50
RATE = 0.05
SIZES = ((13, 50), (8, 100))
ROWS = ((50, 200), (500, 60), (5000, 20))


def network(dropout: type[nn.Module], inputs: int, hidden: int) -> nn.Sequential:
    """One hidden layer, and dropout before each linear one."""
    linear = nn.Linear(inputs, hidden), nn.Linear(hidden, 1)
    return nn.Sequential(dropout(RATE), linear[0], nn.ReLU(), dropout(RATE), linear[1]).train()


def loop(model: nn.Module, x: torch.Tensor) -> Callable[[], object]:
    def run() -> object:
        with torch.no_grad():
            return torch.stack([model(x) for _ in range(SAMPLES)])

    return run


def interleaved(repetitions: int, *runs: Callable[[], object]) -> list[float]:
    """Median seconds of each, every one timed once in each repetition."""
    seconds: list[list[float]] = [[] for _ in runs]
    for repetition in range(repetitions + 3):
        for run, mine in zip(runs, seconds, strict=True):
            start = time.perf_counter()
            run()
            if repetition >= 3:
                mine.append(time.perf_counter() - start)
    return [median(mine) for mine in seconds]


def main() -> None:
    torch.set_num_threads(THREADS)
    print(describe())
    print(f"{SAMPLES} samples in float32 at p = {RATE}, medians of interleaved repetitions\n")
    print(
        f"{'network':>9} {'rows':>5} {'loop':>11} {'mc_predict':>11} {'ratio':>6} {'with tn.Dropout':>16} {'ratio':>6}"
    )
    for inputs, hidden in SIZES:
        for rows, repetitions in ROWS:
            x = torch.randn(rows, inputs)
            theirs, ours = network(nn.Dropout, inputs, hidden), network(tn.Dropout, inputs, hidden)
            plain, folded, with_ours = interleaved(
                repetitions,
                loop(theirs, x),
                lambda theirs=theirs, x=x: tn.mc_predict(theirs, x, samples=SAMPLES, seed=0),
                lambda ours=ours, x=x: tn.mc_predict(ours, x, samples=SAMPLES, seed=0),
            )
            print(
                f"{f'{inputs}-{hidden}-1':>9} {rows:>5} {plain * 1e3:>8.2f} ms {folded * 1e3:>8.2f} ms "
                f"{folded / plain:>6.2f} {with_ours * 1e3:>13.2f} ms {with_ours / plain:>6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
