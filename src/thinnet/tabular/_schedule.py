"""When a training of a stack anneals, halves and ends, within a time limit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

from thinnet.tabular._progress import Budget

RUNGS = (0.25, 0.5)
"""Shares of the training after which the worse half of the mixes leaves. Not earlier: strong dropout learns late."""

_WARMUP = 0.03


@dataclass
class Schedule:
    """Counts the steps of one training; shortens it, never lengthens it, to end within its budget.

    Without a limit that binds, everything it says depends on the number of steps alone, so results repeat exactly.
    The share done moves with the work: a shortened training anneals sooner, it is not cut off.
    """

    total: int
    budget: Budget
    step: int = 0
    _costs: list[float] = field(default_factory=list)

    @property
    def done(self) -> float:
        """Share of the steps taken."""
        return min(1.0, self.step / self.total)

    @property
    def over(self) -> bool:
        """Whether the training has come to its end."""
        return self.step >= self.total or self.budget.left <= 0

    def lr_factor(self) -> float:
        """Linear warm-up, then half a cosine down to zero."""
        if self.done < _WARMUP:
            return (self.step + 1) / (_WARMUP * self.total + 1)
        return 0.5 * (1 + math.cos(math.pi * (self.done - _WARMUP) / (1 - _WARMUP)))

    def spent(self, steps: int, seconds: float, members: int) -> None:
        """Learn what `steps` of `members` cost (evaluation included), and shorten the training if it would run over."""
        self._costs.append(seconds / (steps * members))
        per_step = sorted(self._costs[-5:])[len(self._costs[-5:]) // 2] * members
        if self.expected(per_step) > self.budget.left:
            affordable = max(self.budget.left, 0.0) / per_step
            # the halvings ahead make later steps cheaper: solve total for expected(total) = left, by bisection
            low, high = self.step + int(affordable), self.total
            while high - low > 1:
                self.total = (low + high) // 2
                low, high = (self.total, high) if self.expected(per_step) <= self.budget.left else (low, self.total)
            self.total = max(low, self.step)

    def expected(self, seconds_per_step: float) -> float:
        """Seconds that the remaining steps take, given what one costs now and the halvings ahead."""
        ahead = [int(rung * self.total) for rung in RUNGS if rung * self.total > self.step]
        edges = [self.step, *ahead, self.total]
        return sum((b - a) * seconds_per_step * 0.5**i for i, (a, b) in enumerate(pairwise(edges)))
