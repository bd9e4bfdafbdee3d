"""The members of a training as they were at their best evaluation."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch

from thinnet.stack import Stack
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._evaluation import Evaluated
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._trained_population import Trace, Trained


class BestMembers:
    """Parameters, held-out predictions and curves of all members, each at the evaluation of its least held-out loss.

    Args:
        problem: what is learned.
        configurations: each with a member for every fold, in turn.
        stack: the members as they are at first.
        start: what they go on from; None is from scratch.
        keep_last: whether the last evaluation with a finite loss is kept, not the best.
    """

    def __init__(
        self,
        problem: Problem,
        configurations: Sequence[Configuration],
        stack: Stack,
        *,
        start: Trained | None = None,
        keep_last: bool = False,
    ) -> None:
        self.problem, self.configurations, self.stack, self.keep_last = problem, list(configurations), stack, keep_last
        self.traces = [Trace(m, f) for m in range(len(configurations)) for f in range(problem.folds)]
        shape = (len(configurations), len(problem.x_ND), problem.outputs)
        self.oof_MNC = np.full(shape, np.nan, dtype=np.float32)
        if start is not None:
            self.traces = [trace.resumed() for trace in start.traces]
            self.oof_MNC[:] = start.oof_MNC
            for own, theirs in zip(stack.parameters(), start.stack.parameters(), strict=True):
                own.data.copy_(theirs.data)
        self.origins = [trace.epochs[0] if trace.epochs else 0.0 for trace in self.traces]
        stack.requires_grad_(False).eval()

    @property
    def best_score(self) -> float:
        """Least held-out loss of a configuration so far, the mean over its folds; infinite before the first."""
        scores = np.array([trace.score for trace in self.traces])
        return float(scores.reshape(len(self.configurations), -1).mean(1).min())

    @torch.no_grad()
    def update(self, current: Stack, alive: Sequence[int], evaluated: Evaluated, epoch: float) -> None:
        """Record losses, and keep the members that are better than ever.

        Args:
            current: the members in training.
            alive: which of all members they are.
            evaluated: what an evaluation of some of them gave.
            epoch: when it was made, counted from the start of this training.
        """
        better = []
        for k, (loss, train) in enumerate(zip(evaluated.held_out, evaluated.train, strict=True)):
            member = alive[evaluated.members[k]]
            trace = self.traces[member]
            trace.epochs.append(self.origins[member] + epoch)
            trace.train.append(train)
            trace.held_out.append(loss)
            if loss < trace.score or (self.keep_last and math.isfinite(loss)):
                trace.best = len(trace.held_out) - 1
                better.append(k)
        if not better:
            return
        source = [evaluated.members[k] for k in better]
        target = [alive[k] for k in source]
        configurations = np.array([self.traces[member].configuration for member in target])
        predictions = self.problem.predictions(evaluated.outputs_KBC[better]).numpy()
        self.oof_MNC[np.ix_(configurations, evaluated.rows)] = predictions
        for kept, parameter in zip(self.stack.parameters(), current.parameters(), strict=True):
            kept[target] = parameter[source]

    def result(self) -> Trained:
        """Return copies of them all; this object may go on."""
        complete = [bool(np.isfinite(oof).all()) for oof in self.oof_MNC]
        traces = copy.deepcopy(self.traces)
        return Trained(list(self.configurations), copy.deepcopy(self.stack), traces, self.oof_MNC.copy(), complete)
