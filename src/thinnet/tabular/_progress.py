"""Progress of a fit as its callback is told: phase, share done, best score, time left."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from thinnet.tabular._budget import Budget


@dataclass(frozen=True)
class Progress:
    """The state of a fit, as its callback is told.

    Args:
        phase: what is being done, in words.
        fraction: share of the work done, in [0, 1].
        members: networks still in training.
        best: best held-out score so far, lower is better; None before the first.
        elapsed: seconds since the start.
        left: seconds that the rest is expected to take.
    """

    phase: str
    fraction: float
    members: int
    best: float | None
    elapsed: float
    left: float


class ProgressReporter:
    """Calls a callback with the progress of a fit; the fraction done never falls.

    Args:
        callback: what to call; None is nothing.
        budget: of the fit.
        units: from the trained loss to the score that is shown.
    """

    def __init__(
        self, callback: Callable[[Progress], object] | None, budget: Budget, units: Callable[[float], float]
    ) -> None:
        self.callback, self.budget, self.units = callback, budget, units
        self.furthest = 0.0

    def __call__(self, phase: str, fraction: float, members: int, best: float) -> None:
        """Report a phase, the fraction done, the networks in training and the best loss, infinite before the first."""
        # a training that grows again, as time allows, takes nothing back
        self.furthest = fraction = max(self.furthest, fraction)
        if self.callback is None:
            return
        elapsed = self.budget.elapsed
        left = min(elapsed * (1 - fraction) / max(fraction, 1e-3), max(self.budget.left, 0.0))
        score = self.units(best) if math.isfinite(best) else None
        self.callback(Progress(phase, fraction, members, score, elapsed, left))
