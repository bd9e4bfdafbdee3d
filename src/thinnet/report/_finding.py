"""The finding of a training run in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thinnet.report._fit_results import UNREGULARIZED
from thinnet.report._numbers import number

if TYPE_CHECKING:
    import pandas as pd

MEMORISED = 0.5
"""A member whose training score is under this share of its held-out score is said to have memorised its rows."""


@dataclass(frozen=True)
class Row:
    """One member of the leaderboard."""

    rank: int
    name: str
    train: float
    held_out: float
    gap: float
    zeros: float
    weight: float
    epochs: int

    @property
    def regularized(self) -> bool:
        """Whether any regularizer acts on it."""
        return self.name != UNREGULARIZED

    @property
    def memorised(self) -> bool:
        """Whether it is far better on the rows it trained on than on others."""
        return self.train < MEMORISED * self.held_out

    @property
    def chips(self) -> list[str]:
        """Its regularizers, one each."""
        return self.name.split(" + ")


def rows(leaderboard: pd.DataFrame) -> list[Row]:
    """The leaderboard as rows, best first."""
    columns = ("rank", "regularizers", "train", "held_out", "gap", "zeros", "weight", "epochs")
    records = leaderboard.loc[:, list(columns)].sort_values("rank", kind="stable").itertuples(index=False, name=None)
    return [
        Row(int(rank), str(name), float(train), float(held), float(gap), float(zeros), float(weight), int(epochs))
        for rank, name, train, held, gap, zeros, weight, epochs in records
    ]


def unregularized(members: list[Row]) -> Row | None:
    """The best member without a regularizer, if one was trained."""
    return next((row for row in members if not row.regularized), None)


def finding(leaderboard: pd.DataFrame, metric: str) -> str:
    """One sentence that says what regularization did here; `leaderboard` as in `Results`."""
    return headline(rows(leaderboard), metric)


def headline(members: list[Row], metric: str) -> str:
    """The sentence, out of rows.

    Example:
        >>> best = Row(1, "dropout 0.3 + L2 0.01", 0.35, 0.41, 0.06, 0.0, 1.0, 40)
        >>> none = Row(9, "none", 0.01, 0.55, 0.54, 0.0, 0.0, 12)
        >>> print(headline([best, none], "log loss"))
        The best regularized network (dropout 0.3 + L2 0.01) has held-out log loss 0.410; the best network without \
regularization 0.550 — it memorised: 0.010 on its training rows.
    """
    best, plain = members[0], unregularized(members)
    score = f"held-out {metric} {number(best.held_out)}"
    if plain is None:
        return f"The best network ({best.name}) has {score}."
    if not best.regularized:
        second = next((row for row in members if row.regularized), None)
        rest = f"; the best regularized one ({second.name}) has {number(second.held_out)}" if second else ""
        return f"Regularization did not help here: the network without it has {score}{rest}."
    told = f"the best network without regularization {number(plain.held_out)}"
    if plain.memorised and plain.train < best.train:
        told += f" — it memorised: {number(plain.train)} on its training rows"
    return f"The best regularized network ({best.name}) has {score}; {told}."
