"""The selection of the ensemble from the trained population."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np

from thinnet.ensemble import greedy_selection, sharpened, temperature
from thinnet.tabular._networks_as_arrays import frozen
from thinnet.tabular.model._ensemble import Ensemble, Floats
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._trained_population import Trained


class Selection(NamedTuple):
    """An ensemble, and what it predicts for rows that its members were not trained on.

    Attributes:
        ensemble: the chosen members, every fold's of each chosen configuration.
        weights_M: weight of every configuration of the population, most of them 0.
        mean_NC: held-out predictions of the ensemble.
        variance_NC: their variance over its configurations.
    """

    ensemble: Ensemble
    weights_M: Floats
    mean_NC: Floats
    variance_NC: Floats


def select(problem: Problem, trained: Trained) -> Selection:
    """Select the ensemble greedily by its held-out loss, after temperature scaling of each configuration."""
    complete = np.flatnonzero(trained.complete)
    oof = trained.oof_MNC[complete].astype(np.float64)
    temperatures_M = np.ones(len(trained.configurations))
    if problem.classification:
        targets = problem.y_N.numpy()
        # label smoothing and early stopping leave members too shy or too bold; one number each puts that right
        temperatures_M[complete] = [temperature(p_NC, targets) for p_NC in oof]
        oof = sharpened(oof, temperatures_M[complete, None, None])
    else:
        targets = problem.y_N.numpy()[:, None].astype(np.float64)
    chosen = greedy_selection(oof, targets, "log_loss" if problem.classification else "squared_error")
    weights_M = np.zeros(len(trained.configurations))
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
    ensemble = Ensemble(frozen(stack), np.repeat(weights_M[members_M] / folds, folds), temperatures_K, overall)
    return Selection(ensemble, weights_M, mean_NC, variance_NC)
