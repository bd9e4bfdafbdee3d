"""The results of a fit that its report shows: plain numbers, whatever trained the networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

UNREGULARIZED = "none"
"""How the member without any regularizer is named in the leaderboard, the curves and the weights."""

COLUMNS = ("rank", "regularizers", "train", "held_out", "gap", "zeros", "weight", "epochs")
"""The columns of a leaderboard: scores where lower is better, `zeros` and `weight` as shares from 0 to 1."""


@dataclass(frozen=True)
class Curve:
    """How one member learned.

    Args:
        name: its regularizers, as in the leaderboard.
        epochs: E increasing epoch numbers.
        train: E losses on the rows it trained on; NaN where not measured.
        held_out: E losses on rows it never saw; NaN where not measured.
        best_epoch: the epoch whose weights were kept.

    Raises:
        ValueError: if the three sequences differ in length.
    """

    name: str
    epochs: Sequence[float]
    train: Sequence[float]
    held_out: Sequence[float]
    best_epoch: float

    def __post_init__(self) -> None:
        lengths = (len(self.epochs), len(self.train), len(self.held_out))
        if len(set(lengths)) > 1:
            raise ValueError(
                f"curve {self.name!r}: epochs, train and held_out must have one length, got {lengths[0]}, "
                f"{lengths[1]} and {lengths[2]}; put NaN where a loss was not measured."
            )


@dataclass(frozen=True)
class Weights:
    """The weights of one member, a layer a name, of any shape.

    Args:
        name: its regularizers, as in the leaderboard.
        layers: the raw weights by layer, first layer first.
    """

    name: str
    layers: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Results:
    """Everything that a report shows.

    Args:
        title: what was fitted, such as "Churn".
        task: "classification" or "regression".
        metric: the name of the score, such as "log loss"; lower is better.
        facts: short facts by name, in the order to show them.
        leaderboard: a row a member, best first, with the columns of `COLUMNS`; further columns are not shown.
        curves: of the best and of the unregularized member, if there.
        weights: of the same members.
        notes: what the reader should know: columns left out, rows dropped.

    Raises:
        ValueError: if the leaderboard is empty or lacks a column.
    """

    title: str
    task: str
    metric: str
    facts: Mapping[str, str]
    leaderboard: pd.DataFrame
    curves: Sequence[Curve]
    weights: Sequence[Weights]
    notes: Sequence[str]

    def __post_init__(self) -> None:
        missing = [column for column in COLUMNS if column not in self.leaderboard.columns]
        if missing:
            raise ValueError(f"the leaderboard needs the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}.")
        if self.leaderboard.empty:
            raise ValueError("the leaderboard has no rows: a report needs at least one trained member.")
