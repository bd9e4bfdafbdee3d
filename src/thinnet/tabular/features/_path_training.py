"""Training and evaluation of the networks on a feature path, within a time budget."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from thinnet.stack import Stack, predict
from thinnet.tabular._budget import Budget
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._minibatches import Minibatches

_STEPS = (4, 40)
"""Fewest and most steps of a round: early stopping counts rounds, which must not shrink or grow with the table."""

_TAKEN = 0.75
"""Expected share of its rounds that a point takes: most are stopped early."""

_SCORED = 2000
"""Most held-out rows of a fold that a network is evaluated on, a random sample."""


class OutOfTimeError(Exception):
    """Signals that the time for a feature path is over; the points until then count."""


class Rounds:
    """Trains a stack of a member for each fold and one for all rows, and evaluates the folds' on their held-out rows.

    Without a limit that binds, what it does depends on the seed alone.

    Args:
        problem: encoded rows, targets and folds.
        batch_size: rows a step.
        seed: of the rows' order.
        budget: the time for it.
        tell: called with the share done, the networks in training and the best loss, before every round.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        batch_size: int,
        seed: int,
        budget: Budget,
        tell: Callable[[float, int, float], None] = lambda share, members, best: None,
    ) -> None:
        self.problem, self.budget, self.tell = problem, budget, tell
        self.minibatches = Minibatches(len(problem.x_ND), batch_size, seed=[seed, problem.folds], keep_rest=True)
        self.steps = int(np.clip(self.minibatches.steps_an_epoch, *_STEPS))
        self.held_out = [
            torch.from_numpy(np.random.default_rng([seed, fold]).permutation(np.flatnonzero(problem.fold_N == fold)))
            for fold in range(problem.folds)
        ]
        self._step = 0
        self._rounds = self._points = 0
        self._best = float("inf")
        self._expected = (1, 1, 1)

    def affordable(self, stack: Stack, most: int, fewest: int, first: int, each: int) -> int:
        """Count the points of a path that fit into the time, between `fewest` and `most`.

        Args:
            stack: one like those to come, which is of no use afterwards.
            most: points.
            fewest: points.
            first: rounds of the first point.
            each: rounds of every further one.
        """
        count = most
        if self.budget.limit is not None:
            optimizer = torch.optim.Adam(stack.parameters(), fused=True)
            times = []
            for _ in range(4):
                start = time.monotonic()
                self._train(stack, optimizer)
                times.append(time.monotonic() - start)
            self._step = 0
            # the proximal step and the scores come on top
            round_ = 1.5 * self.steps * sorted(times[1:])[1]
            count = int(np.clip((self.budget.left / round_ - first) / (_TAKEN * each), fewest, most))
        self._expected = (count, first, each)
        return count

    def fit(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Train for a round: an epoch, or a part of a long one, from where the last round ended."""
        count, first, each = self._expected
        if self._points and self.budget.left <= 0:
            raise OutOfTimeError
        before = first + each * (self._points - 1) if self._points else 0
        done = before + min(self._rounds, each if self._points else first)
        self.tell(min(done / (first + each * count), 1.0), self.problem.folds + 1, self._best)
        self._rounds += 1
        for _ in range(self.steps):
            self._train(model, optimizer)

    def finished(self, points: int, best: float) -> None:
        """Record that so many points are finished, and the least loss of any."""
        self._points, self._rounds, self._best = points, 0, best

    def evaluate(self, model: nn.Module) -> Tensor:
        """Compute the loss of every fold's member on its held-out rows: (folds,)."""
        problem = self.problem
        losses = []
        for fold, rows in enumerate(self.held_out):
            some = rows[:_SCORED]
            outputs = predict(model, problem.x_ND[some], slice(fold, fold + 1))
            losses.append(problem.losses(outputs, problem.y_N[some]))
        return torch.cat(losses)

    def _train(self, model: nn.Module, optimizer: Optimizer) -> None:
        problem, rows = self.problem, self._rows()
        index = torch.from_numpy(rows)
        optimizer.zero_grad()
        # the last member's number is no fold: it sees every row
        seen_KB = problem.seen(np.arange(problem.folds + 1), rows)
        problem.losses(model(problem.x_ND[index]), problem.y_N[index], seen_KB).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def _rows(self) -> NDArray[np.int64]:
        rows = self.minibatches.rows_of_step(self._step)
        self._step += 1
        return rows
