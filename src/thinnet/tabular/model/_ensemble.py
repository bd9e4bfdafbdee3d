"""What predicts: the chosen members of the population, weighted."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from thinnet.ensemble import greedy_selection, sharpened, temperature
from thinnet.stack import Stack, predict
from thinnet.tabular.model._blocks import Blocks
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._trained_population import Floats, Trained


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The mixes that greedy selection chose, every fold's member of each.

    Attributes:
        stack: members, mix by mix, fold by fold; or those that are alike block by block, once they were compacted.
        weights_K: weight of every member; sums to 1.
        temperatures_K: what every member's logits are divided by; None for regression.
        temperature: what the log of the mixture is divided by.
    """

    stack: Stack | Blocks
    weights_K: Floats
    temperatures_K: Floats | None
    temperature: float = 1.0

    def outputs(self, x_ND: Tensor) -> tuple[Floats, Floats]:
        """Weighted mean and variance over members of the probabilities or outputs: (N, C) each."""
        values_KNC = predict(self.stack, x_ND).double()
        if self.temperatures_K is not None:
            values_KNC = F.softmax(values_KNC / torch.from_numpy(self.temperatures_K).view(-1, 1, 1), -1)
        w_K11 = torch.from_numpy(self.weights_K).view(-1, 1, 1)
        mean = (w_K11 * values_KNC).sum(0)
        variance_NC = (w_K11 * (values_KNC - mean).square()).sum(0).numpy()
        mean_NC = mean.numpy()
        return mean_NC if self.temperatures_K is None else sharpened(mean_NC, self.temperature), variance_NC


def select(problem: Problem, trained: Trained) -> tuple[Ensemble, Floats, Floats, Floats]:
    """The ensemble, the weight of every mix (M,), and the ensemble's held-out mean and variance over mixes (N, C)."""
    complete = np.flatnonzero(trained.complete)
    oof = trained.oof_MNC[complete].astype(np.float64)
    temperatures_M = np.ones(len(trained.mixes))
    if problem.classification:
        targets = problem.y_N.numpy()
        # label smoothing and early stopping leave members too shy or too bold; one number each puts that right
        temperatures_M[complete] = [temperature(p_NC, targets) for p_NC in oof]
        oof = sharpened(oof, temperatures_M[complete, None, None])
    else:
        targets = problem.y_N.numpy()[:, None].astype(np.float64)
    chosen = greedy_selection(oof, targets, "log_loss" if problem.classification else "squared_error")
    weights_M = np.zeros(len(trained.mixes))
    weights_M[complete] = chosen
    mean_NC = np.tensordot(chosen, oof, 1)
    variance_NC = np.tensordot(chosen, (oof - mean_NC) ** 2, 1)
    overall = 1.0
    if problem.classification:
        overall = temperature(mean_NC, targets)
        mean_NC = sharpened(mean_NC, overall)

    folds, members_M = problem.folds, np.flatnonzero(weights_M)
    stack = copy.deepcopy(trained.stack)
    stack.keep([int(m) * folds + f for m in members_M for f in range(folds)])
    temperatures_K = np.repeat(temperatures_M[members_M], folds) if problem.classification else None
    ensemble = Ensemble(stack, np.repeat(weights_M[members_M] / folds, folds), temperatures_K, overall)
    return ensemble, weights_M, mean_NC, variance_NC
