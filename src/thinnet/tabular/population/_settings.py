"""The settings of the training of a population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from thinnet.tabular.population._configuration import Stage


@dataclass(frozen=True)
class Settings:
    """The settings of a training: see the estimators' parameters of the same names.

    `stages` follow the last round, for configurations that make zeros.
    """

    n_configurations: int
    n_rounds: int
    hidden: Sequence[int]
    max_steps: int
    batch_size: int
    seed: int
    stages: tuple[Stage, ...] = ()

    @classmethod
    def of(cls, estimator: Any, rows: int, seed: int) -> Self:
        """Take the settings of an estimator for a table of so many rows."""
        stages: list[tuple[Stage, bool]] = [("polish", estimator.polish), ("refit", estimator.refit)]
        return cls(
            estimator.n_configurations,
            estimator.n_rounds,
            tuple(estimator.hidden),
            estimator.max_steps,
            estimator.batch_size or _batch_size(rows),
            seed,
            tuple(stage for stage, asked in stages if asked),
        )


def _batch_size(rows: int) -> int:
    """Choose about 40 steps an epoch, within sizes that keep the cores busy: small tables need steps, not epochs."""
    return int(np.clip(2 ** round(np.log2(rows / 40)), 32, 256))
