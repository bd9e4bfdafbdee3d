"""The non-negativity constraint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from thinnet._strength import precise
from thinnet.constraints._base import Constraint


def non_negative(w: Tensor) -> Tensor:
    """Project weights onto w >= 0: max(w, 0), of w's shape and dtype."""
    return precise(w).clamp(min=0).to(w.dtype)


@dataclass(frozen=True, eq=False, repr=False)
class NonNegative(Constraint):
    r"""Keeps every weight at or above zero.

    .. math:: w_i \ge 0

    Same as Keras `NonNeg()`.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> tn.NonNegative().project(torch.tensor([[3.0, -4.0]]))
        tensor([[3., 0.]])

    References:
        D. D. Lee, H. S. Seung, Learning the Parts of Objects by Non-Negative Matrix Factorization, 1999.
    """

    strength_fields: ClassVar[tuple[str, ...]] = ()

    def project(self, w: Tensor) -> Tensor:
        """See `Constraint.project`."""
        return non_negative(w)
