"""The division of a fit's time limit among its phases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from thinnet.tabular._budget import Budget

FEATURE_SHARE = 0.3
"""Share of the time limit that the selection of features may take."""

STAGE_SHARE = 0.15
"""Share of what is left after it that each stage after training (polish, refit) may take."""

SELECTION_SHARE = 0.05
"""Share of what is left for training, or for the stages after it, that is kept for the selection of the ensemble."""


def feature_time(budget: Budget) -> Budget:
    """Return the time for the selection of features."""
    return budget.part(FEATURE_SHARE)


def fraction_during_features(share: float) -> float:
    """Convert the finished share of the selection of features to that of the whole fit."""
    return FEATURE_SHARE * share


def fraction_after_features(share: float) -> float:
    """Convert the finished share of all that follows the selection of features to that of the whole fit."""
    return FEATURE_SHARE + (1 - FEATURE_SHARE) * share


@dataclass(frozen=True)
class TimePlan:
    """The division of the time that is left among training, the stages after it, and the selection of the ensemble.

    Without a limit every part is unlimited, and only the fractions of progress mean anything.

    Args:
        budget: of the whole fit.
        stage_share: share of the time for all stages after training.
        stage_seconds: the same in seconds, as of the start of training.

    Example:
        >>> import time
        >>> plan = TimePlan.of(Budget(100.0, start=time.monotonic() - 20), stages=2)  # 80 seconds are left
        >>> round(plan.stage_seconds, 1), round(plan.training_seconds, 1)  # 0.15 · 2 · 80; 0.95 · 56
        (24.0, 53.2)
        >>> plan.training_fraction(1, rounds=2), plan.stage_fraction(0.5)
        (0.35, 0.85)
    """

    budget: Budget
    stage_share: float
    stage_seconds: float

    @classmethod
    def of(cls, budget: Budget, *, stages: int) -> Self:
        """Divide what is left of a budget, with so many stages after training."""
        share = STAGE_SHARE * stages
        return cls(budget, share, 0.0 if budget.limit is None else share * max(budget.left, 0.0))

    @property
    def training_seconds(self) -> float:
        """Time that is left for training; infinite without a limit."""
        return (self.budget.left - self.stage_seconds) * (1 - SELECTION_SHARE)

    def round_time(self, rounds: int) -> Budget:
        """Return the time for the next of so many rounds of training that are still to come."""
        return self.budget.part((1 - SELECTION_SHARE) / rounds, keep=self.stage_seconds)

    def stage_time(self) -> Budget:
        """Return the time for all stages after training."""
        return self.budget.part(1 - SELECTION_SHARE)

    def training_fraction(self, finished: float, *, rounds: int) -> float:
        """Convert a number of finished rounds to the finished share of the fit."""
        return (1 - self.stage_share) * finished / rounds

    def stage_fraction(self, share: float) -> float:
        """Convert the finished share of the stages after training to that of the fit."""
        return 1 - self.stage_share * (1 - share)
