"""The losses of the members of a stack on held-out rows and on a sample of their training rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from thinnet.stack import Stack, predict
from thinnet.tabular.population._fold_data import Problem

_CURVE_ROWS = 512
"""Number of training rows of a fold whose loss is shown."""


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The losses of a run of members that hold out the same fold.

    Args:
        members: positions in the stack.
        rows: the held-out rows.
        outputs_KBC: for these rows.
        held_out: loss of every member on them.
        train: loss of every member on a sample of the other rows.
    """

    members: range
    rows: NDArray[np.int64]
    outputs_KBC: Tensor
    held_out: list[float]
    train: list[float]


class Evaluation:
    """Evaluates members on the rows of their fold, and on a sample of the others that is drawn once.

    Args:
        problem: what is learned.
        seed: of the sample.
    """

    def __init__(self, problem: Problem, seed: int) -> None:
        self.problem = problem
        self.held_out = [np.flatnonzero(problem.fold_N == f) for f in range(problem.folds)]
        others = [np.flatnonzero(problem.fold_N != f) for f in range(problem.folds)]
        self.seen = [np.random.default_rng([seed, f]).permutation(rows)[:_CURVE_ROWS] for f, rows in enumerate(others)]

    def __call__(self, stack: Stack, folds: Sequence[int]) -> Iterator[Evaluated]:
        """Evaluate a stack, whose members have these folds; those of a fold that stand in a row are done together."""
        stack.eval()
        start = 0
        for fold, run in groupby(folds):
            members = slice(start, start := start + len(list(run)))
            outputs, held_out = self._losses(stack, members, self.held_out[fold])
            _, train = self._losses(stack, members, self.seen[fold])
            yield Evaluated(range(members.start, members.stop), self.held_out[fold], outputs, held_out, train)

    def _losses(self, stack: Stack, members: slice, rows: NDArray[np.int64]) -> tuple[Tensor, list[float]]:
        outputs = predict(stack, self.problem.x_ND[rows], members)
        losses: list[float] = self.problem.losses(outputs, self.problem.y_N[rows]).tolist()
        return outputs, losses
