"""The loops that the tables of compaction share: every network of them, whoever prunes it, is trained by these."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import thinnet as tn


@dataclass(frozen=True)
class Phase:
    """One training: Adam, its learning rate linear to zero, in a one-cycle after a rise over the first tenth.

    Args:
        epochs: passes over the images.
        lr: the highest learning rate.
        batch: images a step.
        beta: of Adam's first moment. A group stays zero while that moment is below its threshold, and a mean over more
            steps has less noise to lift it.
        schedule: how the learning rate goes.
        bf16: matrix products in bfloat16; weights and optimizer are in float32 always.
    """

    epochs: int
    lr: float = 1e-3
    batch: int = 128
    beta: float = 0.9
    schedule: Literal["linear", "one-cycle"] = "linear"
    bf16: bool = False

    def factor(self, done: float) -> float:
        """Of the learning rate, when this part of the training is done."""
        return min(1.0, 10 * done + 1e-3, (1 - done) / 0.9) if self.schedule == "one-cycle" else 1 - done


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    phase: Phase,
    seed: int,
    plan: tn.Plan | None = None,
    after_backward: Callable[[], None] = lambda: None,
    after_step: Callable[[], None] = lambda: None,
    ramp: float = 0.3,
) -> None:
    """Train in place; the plan's strengths rise to their full over the first `ramp` of the training."""
    optimizer = torch.optim.Adam(model.parameters(), lr=phase.lr, betas=(phase.beta, 0.999), fused=True)
    attachment = None if plan is None else tn.attach(model, plan, optimizer)
    order = torch.Generator().manual_seed(seed)
    steps = itertools.count()
    total = phase.epochs * -(-len(x) // phase.batch)
    model.train()
    for _ in range(phase.epochs):
        for rows in torch.randperm(len(x), generator=order).split(phase.batch):
            done = next(steps) / total
            optimizer.param_groups[0]["lr"] = phase.lr * phase.factor(done)
            if attachment is not None:
                attachment.scale = min(1.0, done / ramp)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=phase.bf16):
                loss = cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            after_backward()
            optimizer.step()
            after_step()
    if attachment is not None:
        attachment.detach()
    model.eval()


@torch.no_grad()
def error(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Percent of wrong answers."""
    model.eval()
    wrong = sum(int((model(a).argmax(1) != b).sum()) for a, b in zip(x.split(1000), y.split(1000), strict=True))
    return 100 * wrong / len(y)


def parameters(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in model.parameters())


def widths(model: nn.Module) -> list[int]:
    """Outputs of every convolution and linear layer, in order."""
    return [m.weight.shape[0] for m in layers(model)]


def layers(model: nn.Module) -> list[nn.Module]:
    """Convolutions and linear layers, in order."""
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def drop(model: nn.Module, rates: Iterable[float]) -> None:
    """Set the rates of a model's dropout layers, in order."""
    for layer, rate in zip((m for m in model.modules() if isinstance(m, nn.Dropout)), rates, strict=True):
        layer.p = rate
