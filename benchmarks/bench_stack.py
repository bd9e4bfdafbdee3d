"""K networks trained as one stack, against a Python loop over plain torch modules.

Both sides train the same networks (two hidden layers, ReLU, dropout, AdamW) on the same minibatches, every member with
its own learning rate, decay and dropout rate. Figures: member-epochs per second of each, and their ratio, medians of
rounds taken in turn in one run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

import thinnet as tn
from machine import describe

THREADS, ROUNDS, ROWS, CLASSES = 2, 7, 1024, 3
SIZES = [(64, 20, 32, 128, 10), (64, 20, 64, 128, 5), (64, 20, 128, 256, 3)]  # K, features, width, batch, goal


def settings(count: int) -> list[tuple[float, float, float]]:
    """(learning rate, decay, dropout) of every member."""
    return [(1e-3 * (1 + k / count), 1e-2 * k / count, (0.1, 0.25, 0.5)[k % 3]) for k in range(count)]


def stack_epoch(
    count: int, features: int, width: int, batches: list[tuple[torch.Tensor, torch.Tensor]]
) -> Callable[[], None]:
    members = [
        tn.Member(seed=k, lr=lr, rule=tn.WeightDecay(s), dropout=p) for k, (lr, s, p) in enumerate(settings(count))
    ]
    stack = tn.Stack(members, in_features=features, hidden=[width, width], out_features=CLASSES)
    optimizer = tn.StackAdam(stack)

    def epoch() -> None:
        for x, y in batches:
            optimizer.zero_grad()
            tn.stack_cross_entropy(stack(x), y).sum().backward()
            optimizer.step()

    return epoch


def loop_epoch(
    count: int, features: int, width: int, batches: list[tuple[torch.Tensor, torch.Tensor]]
) -> Callable[[], None]:
    pairs = []
    for lr, s, p in settings(count):
        model = nn.Sequential(
            nn.Linear(features, width), nn.ReLU(), nn.Dropout(p),
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(p),
            nn.Linear(width, CLASSES),
        )  # fmt: skip
        pairs.append((model, torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=s)))

    def epoch() -> None:
        for model, optimizer in pairs:
            for x, y in batches:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()

    return epoch


def seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    torch.set_num_threads(THREADS)
    print(describe())
    print("| K | features | width | batch | loop, member-epochs/s | stack, member-epochs/s | ratio | goal |")
    print("|---|---|---|---|---|---|---|---|")
    for count, features, width, batch, goal in SIZES:
        x, y = torch.randn(ROWS, features), torch.randint(CLASSES, (ROWS,))
        batches = list(zip(x.split(batch), y.split(batch), strict=True))
        stacked, looped = stack_epoch(count, features, width, batches), loop_epoch(count, features, width, batches)
        stacked(), looped()
        pairs = [(seconds(looped), seconds(stacked)) for _ in range(ROUNDS)]
        loop_s, stack_s = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        rates = f"{count / loop_s:.0f} | {count / stack_s:.0f}"
        print(f"| {count} | {features} | {width} | {batch} | {rates} | {ratio:.1f} | {goal} |", flush=True)


if __name__ == "__main__":
    main()
