"""The loops that the tables of compaction share: every network of them, whoever prunes it, is trained by these."""

from __future__ import annotations

import functools
import itertools
import operator
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


def layers_of(rule: tn.CoupledGroupLasso) -> list[tn.CoupledGroupLasso]:
    """The groups layer by layer: those that lie in the same parameters, in the order of the first."""
    places: dict[int, tuple[str, ...]] = {}
    for name, (_, numbers) in rule.members.items():
        for number in {n for n in numbers if n >= 0}:
            places[number] = (*places.get(number, ()), name)
    found: dict[tuple[str, ...], list[int]] = {}
    for number in sorted(places):
        found.setdefault(places[number], []).append(number)
    return [only(rule, groups) for groups in found.values()]


def only(rule: tn.CoupledGroupLasso, groups: Iterable[int]) -> tn.CoupledGroupLasso:
    """These groups alone, numbered anew."""
    numbered = {number: i for i, number in enumerate(groups)}
    members = {
        name: (dim, [numbered.get(number, -1) for number in numbers])
        for name, (dim, numbers) in rule.members.items()
        if any(number in numbered for number in numbers)
    }
    return tn.CoupledGroupLasso(rule.strength, members)


def group_norms(model: nn.Module, rule: tn.CoupledGroupLasso) -> Tensor:
    """The norm of every group."""
    parameters = dict(model.named_parameters())
    squares: dict[int, float] = {}
    for name, (dim, numbers) in rule.members.items():
        each = parameters[name].detach().movedim(dim, 0).flatten(1).square().sum(1).tolist()
        for number, square in zip(numbers, each, strict=True):
            squares[number] = squares.get(number, 0.0) + square
    return torch.tensor([squares[n] for n in sorted(n for n in squares if n >= 0)]).sqrt()


def by_layer(rules: Iterable[tn.CoupledGroupLasso], strengths: Iterable[float]) -> tn.Plan:
    """A strength for each layer."""
    pairs = zip(rules, strengths, strict=True)
    return tn.Plan(functools.reduce(operator.add, (rule * (s / rule.strength) for rule, s in pairs)))


def weakest(
    model: nn.Module, layers: list[tn.CoupledGroupLasso], keep: Iterable[int], strengths: Iterable[float]
) -> tn.Plan:
    """The groups with the smallest norms of each layer, all but the `keep` largest; the rest is free."""
    chosen = []
    for rule, kept, strength in zip(layers, keep, strengths, strict=True):
        low = group_norms(model, rule).argsort(descending=True)[kept:].tolist()
        if low:
            chosen.append((only(rule, low), strength))
    return by_layer(*zip(*chosen, strict=True))
