"""Forward and backward of tn.Dropout beside torch's nn.Dropout, on CPU.

Run: python benchmarks/bench_dropout.py. Prints medians of interleaved repetitions of one run; writes nothing.
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
REPETITIONS = 150
SHAPES = ((128, 1024), (512, 1024))
RATES = (0.1, 0.2, 0.5)


def step(drop: nn.Module, x: torch.Tensor, upstream: torch.Tensor) -> Callable[[], None]:
    def run() -> None:
        x.grad = None
        drop(x).backward(upstream)

    return run


def interleaved(*runs: Callable[[], None]) -> list[float]:
    """Median seconds of each, every one timed once in each repetition."""
    seconds: list[list[float]] = [[] for _ in runs]
    for repetition in range(REPETITIONS + 5):
        for run, mine in zip(runs, seconds, strict=True):
            start = time.perf_counter()
            run()
            if repetition >= 5:
                mine.append(time.perf_counter() - start)
    return [median(mine) for mine in seconds]


def main() -> None:
    torch.set_num_threads(THREADS)
    print(describe())
    print(f"forward + backward in float32, medians of {REPETITIONS} interleaved repetitions\n")
    print(f"{'shape':>12} {'p':>4} {'nn.Dropout':>12} {'tn.Dropout':>12} {'faster':>8}")
    for shape in SHAPES:
        x, upstream = torch.randn(shape, requires_grad=True), torch.randn(shape)
        for p in RATES:
            theirs, ours = interleaved(step(nn.Dropout(p), x, upstream), step(tn.Dropout(p), x, upstream))
            print(f"{shape!s:>12} {p:>4} {theirs * 1e6:>9.0f} µs {ours * 1e6:>9.0f} µs {theirs / ours:>7.1f}x")


if __name__ == "__main__":
    main()
