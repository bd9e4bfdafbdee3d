"""The folds of cross-validation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def stratified_folds(strata: NDArray[np.int64] | None, rows: int, folds: int, seed: int) -> NDArray[np.int64]:
    """Assign every row to a fold at random, with the same share of each class in every fold.

    scikit-learn's StratifiedKFold refuses classes that are smaller than the number of folds; tables have them.

    Args:
        strata: class of every row, (N,); None for a numeric target.
        rows: N.
        folds: number of folds.
        seed: of the order of the rows within a class.

    Returns:
        Number of the fold that holds each row out, (N,). Sizes of folds differ by at most 1, as do those of a class.
    """
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(rows), np.zeros(rows) if strata is None else strata))
    fold_N = np.empty(rows, dtype=np.int64)
    fold_N[order] = np.arange(rows) % folds
    return fold_N
