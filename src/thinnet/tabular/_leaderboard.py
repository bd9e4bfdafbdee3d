"""The leaderboard of a fit, and the curves and weights for its report, in the user's units."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from thinnet.report import Curve, Weights
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._trained_population import Floats, Trace, Trained

Units = Callable[[float], float]
"""From the loss that is trained to the score that is shown: the log loss itself, or the RMSE in the target's units."""


def leaderboard(problem: Problem, trained: Trained, weights_M: Floats, units: Units) -> pd.DataFrame:
    """Tabulate the configurations, best held-out score first; scores are means over folds, training scores of a sample.

    Columns: rank, regularizers, train, held_out, gap, zeros (share of weights exactly zero), weight (in the ensemble),
    epochs, learning_rate, encodings (of numbers, that it sees).
    """
    rows = []
    for m, configuration in enumerate(trained.configurations):
        traces = _folds(problem, trained, m)
        scored = [t for t in traces if t.best >= 0]
        held_out = units(float(np.mean([t.score for t in traces])))
        train = units(float(np.mean([t.train[t.best] for t in scored]))) if scored else np.nan
        rows.append(
            {
                "regularizers": str(configuration),
                "train": train,
                "held_out": held_out if np.isfinite(held_out) else np.nan,
                "gap": held_out - train if np.isfinite(held_out) else np.nan,
                "zeros": float(np.mean([trained.zeros(m * problem.folds + t.fold) for t in traces])),
                "weight": float(weights_M[m]),
                "epochs": float(np.mean([t.epochs[t.best] for t in scored])) if scored else 0.0,
                "learning_rate": configuration.lr,
                "encodings": " + ".join(v for v in configuration.encodings if v in problem.parts_D) or "plain",
            }
        )
    board = pd.DataFrame(rows).sort_values("held_out", kind="stable").reset_index(drop=True)
    board.insert(0, "rank", np.arange(1, len(board) + 1))
    return board


def shown(problem: Problem, trained: Trained, units: Units) -> tuple[list[Curve], list[Weights]]:
    """Return curve and weights of the best configuration and of the unregularized one."""
    scores = [
        float(np.mean([t.score for t in _folds(problem, trained, m)])) for m in range(len(trained.configurations))
    ]
    best = int(np.argmin(scores))
    plain = [m for m, configuration in enumerate(trained.configurations) if not configuration.regularized]
    curves, weights = [], []
    for m in dict.fromkeys([best, *plain[:1]]):
        name = str(trained.configurations[m])
        curves.append(_curve(name, _folds(problem, trained, m), units))
        member = trained.stack.member(m * problem.folds)
        layers = [p.detach().numpy() for n, p in member.named_parameters() if n.endswith("weight")]
        if (inputs := trained.stack.members[m * problem.folds].inputs) is not None:
            layers[0] = layers[0][:, np.flatnonzero(inputs)]
        weights.append(Weights(name, {f"layer {i}": layer for i, layer in enumerate(layers, 1)}))
    return curves, weights


def _folds(problem: Problem, trained: Trained, configuration: int) -> list[Trace]:
    return trained.traces[configuration * problem.folds : (configuration + 1) * problem.folds]


def _curve(name: str, traces: Sequence[Trace], units: Units) -> Curve:
    """Average the curves over folds, for as long as all of them trained."""
    length = min(len(t.epochs) for t in traces)
    mean = {
        key: [units(float(v)) for v in np.mean([getattr(t, key)[:length] for t in traces], 0)]
        for key in ("train", "held_out")
    }
    epochs = [round(e, 2) for e in traces[0].epochs[:length]]
    return Curve(name, epochs, mean["train"], mean["held_out"], epochs[int(np.nanargmin(mean["held_out"]))])
