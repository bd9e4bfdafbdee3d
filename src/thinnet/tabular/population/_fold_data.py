"""The rows, targets and folds that a population is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from thinnet.stack import stack_cross_entropy, stack_squared_error


@dataclass(frozen=True)
class Problem:
    """Encoded rows, targets and cross-validation folds.

    Args:
        x_ND: encoded features, float32.
        y_N: classes (int64) or standardised targets (float32).
        fold_N: the fold in which each row is held out.
        outputs: classes, or 1.
        parts_D: which part of the encoding each column is, see `Encoder`.
    """

    x_ND: Tensor
    y_N: Tensor
    fold_N: np.ndarray
    outputs: int
    parts_D: np.ndarray

    @property
    def classification(self) -> bool:
        """Whether targets are classes."""
        return not self.y_N.is_floating_point()

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return int(self.fold_N.max()) + 1

    def seen(self, fold_K: np.ndarray, rows: np.ndarray) -> Tensor:
        """Compute the weights of rows in the loss of members, (K, B): 0 where a member's fold holds a row out, else 1.

        A fold that there is not, such as the number of folds, holds no row out.
        """
        return torch.from_numpy((fold_K[:, None] != self.fold_N[rows]).astype(np.float32))

    def predictions(self, outputs: Tensor) -> Tensor:
        """Convert outputs to predictions: probabilities for classes, the outputs themselves for numbers."""
        return F.softmax(outputs, -1) if self.classification else outputs

    def losses(
        self,
        outputs_KBC: Tensor,
        y_B: Tensor,
        row_weights_KB: Tensor | None = None,
        label_smoothing_K: Tensor | None = None,
    ) -> Tensor:
        """Compute the log loss or mean squared error of every member: (K,). Label smoothing is for classes only."""
        if self.classification:
            return stack_cross_entropy(outputs_KBC, y_B, row_weights_KB, label_smoothing_K)
        return stack_squared_error(outputs_KBC, y_B, row_weights_KB)
