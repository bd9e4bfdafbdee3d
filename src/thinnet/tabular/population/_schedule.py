"""The learning rate schedule and the length of a training, within a time limit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

from thinnet.tabular._budget import Budget

RUNGS = (0.25, 0.5)
"""Shares of the training after which the worse half of the configurations is dropped: strong dropout learns late."""

_WARMUP = 0.03


@dataclass
class Schedule:
    """A counter of steps that sets the learning rate, and shortens a training to end within its budget.

    Without a limit that binds, everything it says depends on the number of steps alone, so results repeat exactly.
    The share done moves with the work: a shortened training anneals sooner, it is not cut off.
    """

    total: int
    budget: Budget
    step: int = 0
    rungs: tuple[float, ...] = RUNGS
    _costs: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.longest = self.total

    @property
    def done(self) -> float:
        """Share of the steps that were taken."""
        return min(1.0, self.step / self.total)

    @property
    def over(self) -> bool:
        """Whether the training has come to its end."""
        return self.step >= self.total or self.budget.left <= 0

    def lr_factor(self) -> float:
        """Compute the factor of the learning rate: a linear warm-up, then half a cosine down to zero."""
        if self.done < _WARMUP:
            return (self.step + 1) / (_WARMUP * self.total + 1)
        return 0.5 * (1 + math.cos(math.pi * (self.done - _WARMUP) / (1 - _WARMUP)))

    def spent(self, steps: int, seconds: float, members: int) -> None:
        """Record the cost of `steps` of `members`, evaluation included, and fit the rest of the training to the time.

        It is never longer than it was planned to be; a training once shortened grows again when members leave early.
        """
        self._costs.append(seconds / (steps * members))
        recent = sorted(self._costs[-5:])
        per_step = recent[len(recent) // 2] * members
        low, high = self.step, self.longest + 1
        while high - low > 1:  # the largest total that is affordable, by bisection
            middle = (low + high) // 2
            low, high = (middle, high) if self._expected(middle, per_step) <= self.budget.left else (low, middle)
        self.total = low

    def _expected(self, total: int, per_step: float) -> float:
        """Seconds until step `total`, given what a step costs now and the halvings ahead."""
        ahead = [int(rung * total) for rung in self.rungs if rung * total > self.step]
        edges = [self.step, *ahead, total]
        return float(sum((b - a) * per_step * 0.5**i for i, (a, b) in enumerate(pairwise(edges))))
