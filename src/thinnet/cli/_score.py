"""Scores of predictions on a table with known targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thinnet._suggest import listed
from thinnet.cli._errors import InputError

if TYPE_CHECKING:
    from thinnet.tabular import Task


def check_test(task: Task, y: pd.Series, train_y: pd.Series, name: str) -> None:
    """Refuse, before training, a test target that no model of the training target can be scored on."""
    if y.dropna().empty:
        raise InputError(f"{name}: every value of {y.name!r} is missing; there is nothing to score.")
    if task == "regression":
        bad = pd.to_numeric(y.dropna(), errors="coerce").isna()
        if bad.any():
            raise InputError(f"{name}: {y.name!r} holds {y.dropna()[bad].iloc[0]!r}, which is not a number.")
        return
    unseen = sorted(map(str, set(y.dropna()) - set(train_y.dropna())))
    if unseen:
        raise InputError(
            f"{name}: {y.name!r} holds {listed(unseen[:5], 'and')}, which the training table never has; "
            "drop those rows, or train on rows that have them."
        )


def class_scores(probabilities: np.ndarray, classes: np.ndarray, y: pd.Series) -> dict[str, float]:
    """Log loss and accuracy.

    Args:
        probabilities: (n, C), rows summing to 1.
        classes: (C,) labels.
        y: (n,) true labels, all among the classes.

    Example:
        >>> p = np.array([[0.5, 0.5], [0.25, 0.75]])
        >>> scores = class_scores(p, np.array(["a", "b"]), pd.Series(["a", "b"]))
        >>> round(scores["log loss"], 6), round(float(np.log(2) - np.log(0.75)) / 2, 6)
        (0.490415, 0.490415)
    """
    true = pd.Index(classes).get_indexer(pd.Index(y))
    chosen = probabilities[np.arange(len(y)), true].astype(float)
    return {
        "log loss": float(-np.log(np.clip(chosen, np.finfo(np.float64).eps, 1)).mean()),
        "accuracy": float((probabilities.argmax(1) == true).mean()),
    }


def number_scores(prediction: np.ndarray, y: pd.Series) -> dict[str, float]:
    """RMSE and R², the share of the variance that is explained.

    Example:
        >>> number_scores(np.array([0.0, 0.0]), pd.Series([-2.0, 2.0]))
        {'RMSE': 2.0, 'R2': 0.0}
    """
    true = pd.to_numeric(y).to_numpy(dtype=float)
    errors, spread = true - np.asarray(prediction, dtype=float), true - true.mean()
    explained = 1 - float(errors @ errors) / float(spread @ spread) if spread.any() else float("nan")
    return {"RMSE": float(np.sqrt((errors**2).mean())), "R2": explained}
