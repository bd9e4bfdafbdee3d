"""Forward and backward of tn.Dropout beside torch's nn.Dropout, on CPU, and beside the least that memory allows.

Run: python benchmarks/bench_dropout.py. Prints medians and minima of interleaved repetitions; writes nothing.
The limit is a multiplication by a number: it moves the 16 bytes an element that any dropout in float32 must (input,
output and their gradients), draws nothing and keeps nothing. The share is the limit's least time over tn.Dropout's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

import thinnet as tn
from machine import describe

THREADS = 2
SECONDS = 2.5
"""For each line of the table, at most; at least five repetitions."""
REPETITIONS = 400
SHAPES = ((128, 256), (128, 1024), (512, 1024), (2048, 4096))
RATES = (0.1, 0.5)


def step(layer: Callable[[Tensor], Tensor], x: Tensor, upstream: Tensor) -> Callable[[], None]:
    def run() -> None:
        x.grad = None
        layer(x).backward(upstream)

    return run


def double(x: Tensor) -> Tensor:
    return x * 2.0


def interleaved(*runs: Callable[[], None]) -> list[list[float]]:
    """Seconds of each, every one timed once in each repetition."""
    seconds: list[list[float]] = [[] for _ in runs]
    for run in runs * 3:
        run()
    end = time.perf_counter() + SECONDS
    while len(seconds[0]) < REPETITIONS and (len(seconds[0]) < 5 or time.perf_counter() < end):
        for run, mine in zip(runs, seconds, strict=True):
            start = time.perf_counter()
            run()
            mine.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    torch.set_num_threads(THREADS)
    print(describe())
    print("forward + backward in float32, median (minimum) of interleaved repetitions in µs\n")
    print(f"{'shape':>12} {'p':>4} {'nn.Dropout':>19} {'tn.Dropout':>19} {'limit':>19} {'faster':>13} {'share':>6}")
    for shape in SHAPES:
        x, upstream = torch.randn(shape, requires_grad=True), torch.randn(shape)
        for p in RATES:
            layers = (nn.Dropout(p), tn.Dropout(p), double)
            seconds = interleaved(*(step(layer, x, upstream) for layer in layers))
            typical, least = [median(mine) for mine in seconds], [min(mine) for mine in seconds]
            cells = " ".join(f"{a * 1e6:>9.0f} ({b * 1e6:>7.0f})" for a, b in zip(typical, least, strict=True))
            faster = f"{typical[0] / typical[1]:>5.1f} ({least[0] / least[1]:>4.1f})x"
            print(f"{shape!s:>12} {p:>4} {cells} {faster:>13} {least[2] / least[1]:>6.0%}")


if __name__ == "__main__":
    main()
