"""The results of a regularization path that its report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

POINTS = ("strength", "held_out", "se", "features", "zeros", "norm")
"""The columns of a path's points: `zeros` as a share from 0 to 1; `held_out` is NaN where training diverged."""


@dataclass(frozen=True)
class PathResults:
    """Everything that a path's page shows.

    Args:
        title: what was predicted, such as "Churn".
        task: "classification" or "regression".
        metric: the name of the score, such as "log loss"; lower is better.
        facts: short facts by name, in the order to show them.
        points: a row a strength, rising, with the columns of `POINTS`; strength 0 is the network without the penalty.
        leaves: per feature, the strength at which it left; infinite where it never did.
        chosen: the features that were chosen.
        strength: the strength at which they were.
        best: the strength of the lowest held-out score.
        notes: what the reader should know.

    Raises:
        ValueError: `points` lacks a column, has no rows, or its strengths do not rise from 0 or more; a feature or a
            strength that was chosen is not on the path.
    """

    title: str
    task: str
    metric: str
    facts: Mapping[str, str]
    points: pd.DataFrame
    leaves: Mapping[str, float]
    chosen: Sequence[str]
    strength: float
    best: float
    notes: Sequence[str]

    def __post_init__(self) -> None:
        missing = [column for column in POINTS if column not in self.points.columns]
        if missing:
            raise ValueError(f"the points need the columns {', '.join(POINTS)}; missing: {', '.join(missing)}.")
        if self.points.empty:
            raise ValueError("the path has no points: a page needs at least one.")
        strengths = self.points["strength"].to_numpy(dtype=float)
        if not (strengths[0] >= 0 and (np.diff(strengths) > 0).all()):
            raise ValueError("the strengths of the points must be >= 0 and rise; sort the points by strength.")
        strangers = [name for name in self.chosen if name not in self.leaves]
        if strangers:
            raise ValueError(f"the chosen feature {strangers[0]!r} is not among those that the path was about.")
        for name, value in (("strength", self.strength), ("best", self.best)):
            if value not in strengths:
                raise ValueError(f"`{name}` must be the strength of one of the points, got {value!r}.")
