"""What predicts: the chosen members of the population, weighted."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from thinnet.ensemble import greedy_selection
from thinnet.stack import Stack
from thinnet.tabular._training import Floats, Problem, Trained, predict


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The mixes that greedy selection chose, every fold's member of each.

    Attributes:
        stack: members, mix by mix, fold by fold.
        weights_K: weight of every member; sums to 1.
        classification: whether outputs become probabilities.
    """

    stack: Stack
    weights_K: Floats
    classification: bool

    def outputs(self, x_ND: Tensor) -> tuple[Floats, Floats]:
        """Weighted mean and variance over members of the probabilities or outputs: (N, C) each."""
        outputs = predict(self.stack, x_ND)
        values_KNC = F.softmax(outputs.double(), -1) if self.classification else outputs.double()
        w_K11 = torch.from_numpy(self.weights_K).view(-1, 1, 1)
        mean = (w_K11 * values_KNC).sum(0)
        return mean.numpy(), (w_K11 * (values_KNC - mean).square()).sum(0).numpy()


def select(problem: Problem, trained: Trained) -> tuple[Ensemble, Floats, Floats, Floats]:
    """The ensemble, the weight of every mix (M,), and the ensemble's held-out mean and variance over mixes (N, C)."""
    complete = np.flatnonzero(trained.complete)
    oof = trained.oof_MNC[complete].astype(np.float64)
    targets = problem.y_N.numpy() if problem.classification else problem.y_N.numpy()[:, None].astype(np.float64)
    chosen = greedy_selection(oof, targets, "log_loss" if problem.classification else "squared_error")
    weights_M = np.zeros(len(trained.mixes))
    weights_M[complete] = chosen
    mean_NC = np.tensordot(chosen, oof, 1)
    variance_NC = np.tensordot(chosen, (oof - mean_NC) ** 2, 1)

    folds = problem.folds
    stack = copy.deepcopy(trained.stack)
    stack.keep([int(m) * folds + f for m in np.flatnonzero(weights_M) for f in range(folds)])
    weights_K = np.repeat(weights_M[weights_M > 0] / folds, folds)
    return Ensemble(stack, weights_K, problem.classification), weights_M, mean_NC, variance_NC
