"""Selection of features by a group lasso on the inputs of a network, along a path of its strength."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from thinnet.constraints import UnitNorm
from thinnet.errors import DataError
from thinnet.penalties import GroupLasso
from thinnet.plan import Plan
from thinnet.search import Point, RegularizationPath, path
from thinnet.stack import Member, Stack
from thinnet.tabular.features._path_training import OutOfTimeError, Rounds
from thinnet.tabular.population._fold_data import Problem

HIDDEN = 32
"""Units of the one hidden layer: a small network suffices to tell which columns matter."""

POINTS, FEWEST = 20, 8
"""Strengths, and how few there are where time is short."""

RATIO = 2e-2
"""The weakest strength over the one that excludes the last column: below it, hardly any column is excluded."""

FIRST_ROUNDS, ROUNDS, REFIT = 20, 3, 12
"""Most rounds of the dense network, of every strength after it, and without penalty before a strength is judged.

Judged with its penalty, a network that reads few columns looks worse than it is, and too many columns would stay.
"""

LR = 1e-2

INPUTS = "weights.0"


@dataclass(frozen=True)
class FeatureStep:
    """One strength of the path.

    Args:
        strength: of the group lasso; 0 for the dense network.
        held_out: mean loss over the folds, on the rows each did not see; NaN where training diverged.
        se: its standard error.
        features: columns left in the network of all rows.
        zeros: share of its input weights that are exactly zero.
        norm: Euclidean norm of its input weights.
        diverged: whether training diverged.
    """

    strength: float
    held_out: float
    se: float
    features: int
    zeros: float
    norm: float
    diverged: bool


@dataclass(frozen=True)
class FeaturePath:
    """What the path found; JSON as it is, but for NaN and infinity.

    Args:
        steps: the strengths, rising.
        leaves: per column, the strength from which on it is left out; infinite where it never is.
        chosen: the columns chosen, never none.
        strength: the strength at which they were.
        best: the strength of the least held-out loss.
        ended: whether time ended it before the last column left.
    """

    steps: tuple[FeatureStep, ...]
    leaves: dict[str, float]
    chosen: tuple[str, ...]
    strength: float
    best: float
    ended: bool = False

    def frame(self) -> pd.DataFrame:
        """A row a strength; which one was chosen and which is the best."""
        frame = pd.DataFrame([asdict(step) for step in self.steps])
        return frame.assign(best=frame["strength"] == self.best, chosen=frame["strength"] == self.strength)

    @classmethod
    def of(cls, found: RegularizationPath, names: Sequence[str], blocks: Sequence[int], *, ended: bool) -> Self:
        """The choice: the strongest network within one standard error of the best, and the columns that it reads.

        Where it reads none, the best one's, and where that reads none either, those that left last.

        Args:
            found: a path of stacks, whose last members saw all rows.
            names: the columns.
            blocks: per input, the number of its column.
            ended: whether time ended the path.
        """
        numbers = sorted(set(blocks))  # groups stand in the order of their numbers
        sizes = np.bincount(np.asarray(blocks), minlength=len(names))[numbers]
        left = dict.fromkeys(names, 0.0)  # of a column without any input nothing can be read
        left |= {names[i]: strength for i, strength in zip(numbers, found.leaves(INPUTS).tolist(), strict=True)}

        def columns(point: Point) -> tuple[str, ...]:
            return tuple(names[i] for i, alive in zip(numbers, _alive(point), strict=True) if alive)

        chosen = next((point for point in (found.one_se, found.best) if columns(point)), found.best)
        last = max(left.values())
        return cls(
            tuple(_step(point, sizes) for point in sorted(found.points, key=lambda point: point.strength)),
            left,
            columns(chosen) or tuple(name for name in names if left[name] == last),
            chosen.strength,
            found.best.strength,
            ended,
        )


def feature_path(
    problem: Problem, names: Sequence[str], blocks: Sequence[int], rounds: Rounds, seed: int
) -> FeaturePath:
    r"""Train a regularization path from the dense network to one that uses no column, and choose on it.

    A stack of a member a fold and one on all rows, each with one hidden layer, is trained under

    .. math:: L(w) + t \sum_g \sqrt{n_g} \, \lVert W^{(1)}_{:,g} \rVert_2, \qquad \lVert W^{(2)}_o \rVert_2 = 1

    where group g is everything that leads from one column of the table: its number and its bins, or its categories.
    The second layer's rows have norm one, as scale that moves there would not be penalized.

    Args:
        problem: encoded rows, the same mean square in every column's block; targets and folds.
        names: the columns of the table.
        blocks: per encoded column, the index of its column.
        rounds: trains and scores, within a time.
        seed: of the initial weights.

    Raises:
        DataError: every network diverged.
    """
    members = [Member(seed=seed)] * (problem.folds + 1)  # alike at first, so that folds differ by their rows alone
    plan = Plan(
        {
            INPUTS: GroupLasso(torch.ones(len(members)), by="inputs", blocks=tuple(blocks)),
            "weights.1": UnitNorm(depth=1),
        }
    )
    points: list[Point] = []

    def finished(point: Point) -> None:
        points.append(point)
        rounds.finished(len(points), min((p.error for p in points if math.isfinite(p.error)), default=math.inf))

    def make() -> Stack:
        return Stack(members, in_features=len(blocks), hidden=[HIDDEN], out_features=problem.outputs)

    count = rounds.affordable(make(), POINTS, FEWEST, FIRST_ROUNDS, ROUNDS + REFIT)
    ended = False
    try:
        path(
            make,
            plan,
            rounds.fit,
            rounds.evaluate,
            n_strengths=count,
            eps=RATIO,
            optimizer=lambda parameters: torch.optim.Adam(parameters, lr=LR, fused=True),
            rounds=ROUNDS,
            first_rounds=FIRST_ROUNDS,
            patience=2,
            average=0,
            refit=REFIT,
            callback=finished,
        )
    except OutOfTimeError:
        ended = True
    if not any(math.isfinite(point.error) for point in points):
        raise DataError(
            "every network diverged while columns were chosen: no held-out loss was finite. Look for extreme values in "
            "the table, or leave select_features out."
        )
    return FeaturePath.of(RegularizationPath(tuple(points), "up"), names, blocks, ended=ended)


def balanced(x_ND: Tensor, blocks: Sequence[int]) -> Tensor:
    """Center every encoded column, and scale every block to a mean square of 1.

    The group lasso then treats columns alike: under noise alone, the gradient of each has the norm sqrt(n_g) σ.

    Example:
        >>> x = torch.tensor([[1.0, 0.0, 5.0], [-1.0, 2.0, 9.0]])
        >>> balanced(x, [0, 0, 1])
        tensor([[ 1., -1., -1.],
                [-1.,  1.,  1.]])
    """
    x = x_ND - x_ND.mean(0)
    block_D = torch.tensor(blocks)
    squares_D = x.square().mean(0)
    groups = int(block_D.max()) + 1
    sums_G = torch.zeros(groups).index_add(0, block_D, squares_D)
    mean_G = sums_G / torch.bincount(block_D, minlength=groups).clamp(min=1)
    return x / torch.where(mean_G > 0, mean_G.sqrt(), 1)[block_D]


def _alive(point: Point) -> list[bool]:
    alive: list[bool] = point.alive[INPUTS][-1].tolist()
    return alive


def _step(point: Point, sizes: Any) -> FeatureStep:
    alive = np.array(_alive(point))
    model = point.model()
    assert isinstance(model, Stack)
    norm = float(model.weights[0][-1].detach().norm())
    zeros = 1 - float(sizes[alive].sum() / sizes.sum())
    return FeatureStep(point.strength, point.error, point.se, int(alive.sum()), zeros, norm, point.diverged)
