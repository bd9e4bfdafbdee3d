"""How a population is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from thinnet.tabular.population._configuration import Stage


@dataclass(frozen=True)
class Settings:
    """How to train: see the estimators' parameters of the same names.

    `stages` are what becomes of configurations that make zeros, after the last round.
    """

    n_mixes: int
    n_rounds: int
    hidden: Sequence[int]
    max_steps: int
    batch_size: int
    seed: int
    stages: tuple[Stage, ...] = ()

    @classmethod
    def of(cls, estimator: Any, rows: int, seed: int) -> Self:
        """Those of an estimator for a table of so many rows."""
        stages: list[tuple[Stage, bool]] = [("polish", estimator.polish), ("refit", estimator.refit)]
        return cls(
            estimator.n_mixes,
            estimator.n_rounds,
            tuple(estimator.hidden),
            estimator.max_steps,
            estimator.batch_size or _batch_size(rows),
            seed,
            tuple(stage for stage, asked in stages if asked),
        )


def _batch_size(rows: int) -> int:
    """Small tables need more steps, not more epochs: about 40 steps an epoch, within what keeps the cores busy."""
    return int(np.clip(2 ** round(np.log2(rows / 40)), 32, 256))
