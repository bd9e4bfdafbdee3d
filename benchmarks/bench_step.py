"""A training step with L1 + L2 + MaxNorm attached, against plain fused AdamW and against the penalties as loss terms.

784-1024-1024-2048-10, ReLU, batch 128: the network of Srivastava et al. 2014. Every variant trains its own copy on the
same batches. Figures: medians of rounds taken in turn in one run, as ratios of the plain step.
"""

from __future__ import annotations

import itertools
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import thinnet as tn
from machine import describe

THREADS, ROUNDS, STEPS, BATCH = 2, 25, 4, 128
WIDTHS = (784, 1024, 1024, 2048, 10)
L1, L2, LIMIT = 1e-6, 1e-4, 3.0
RULES: dict[str, tn.Rule] = {
    "attached L1 + L2 + MaxNorm": tn.L1(L1) + tn.L2(L2) + tn.MaxNorm(LIMIT),
    "attached L1": tn.L1(L1),
    "attached L2": tn.L2(L2),
    "attached MaxNorm": tn.MaxNorm(LIMIT),
}


def network() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(WIDTHS):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    return model, torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, extra: Callable[[], torch.Tensor] | None = None) -> float:
    """Seconds of one step: forward, backward, optimizer; the batch is not in the time."""
    x, y = torch.randn(BATCH, WIDTHS[0]), torch.randint(WIDTHS[-1], (BATCH,))
    start = time.perf_counter()
    optimizer.zero_grad()
    loss = cross_entropy(model(x), y)
    if extra is not None:
        loss = loss + extra()
    loss.backward()
    optimizer.step()
    return time.perf_counter() - start


def variants() -> dict[str, Callable[[], float]]:
    model, optimizer = network()
    found: dict[str, Callable[[], float]] = {"plain fused AdamW": lambda: step(model, optimizer)}
    for name, rule in RULES.items():
        governed, its_optimizer = network()
        tn.attach(governed, tn.Plan(rule), its_optimizer)
        found[name] = lambda m=governed, o=its_optimizer: step(m, o)  # type: ignore[misc]
    textbook, its_optimizer = network()
    weights = [p for p in textbook.parameters() if p.ndim > 1]

    def by_hand() -> torch.Tensor:
        return torch.stack([L1 * w.abs().sum() + L2 / 2 * w.square().sum() for w in weights]).sum()

    found["L1 + L2 as loss terms"] = lambda: step(textbook, its_optimizer, by_hand)
    return found


def main() -> None:
    torch.set_num_threads(THREADS)
    runs = variants()
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            times[name].append(statistics.median(run() for _ in range(STEPS)))
    plain = statistics.median(times["plain fused AdamW"])
    print("# One training step, 784-1024-1024-2048-10, batch 128\n")
    print(describe())
    print("| variant | ms a step | ratio to plain |")
    print("|---|---|---|")
    for name, seconds in times.items():
        ratio = statistics.median(s / p for s, p in zip(seconds, times["plain fused AdamW"], strict=True))
        print(f"| {name} | {statistics.median(seconds) * 1e3:.1f} | {ratio:.2f} |")
    print(f"\nGoal: at most 1.15 attached. Plain: {plain * 1e3:.1f} ms.")


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
