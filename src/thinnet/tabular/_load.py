"""The estimator of either kind that a folder holds."""

from __future__ import annotations

from pathlib import Path

from thinnet.tabular._estimator import ThinNetClassifier, ThinNetRegressor
from thinnet.tabular.model._saved_model import read_saved


def load(path: str | Path) -> ThinNetClassifier | ThinNetRegressor:
    """Read a fitted estimator of either kind from a folder; executes nothing that it holds.

    Raises:
        ModelFolderError: no model, or a damaged one; the message says which file and the remedy.
    """
    saved = read_saved(path)
    return (ThinNetClassifier if saved.model.head.task == "classification" else ThinNetRegressor).of(saved)
