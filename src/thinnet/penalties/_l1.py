"""The L1 penalty (lasso)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thinnet._strength import Strength, broadcast, precise, quotient, stack_depth
from thinnet.penalties._base import WeightPenalty, total
from thinnet.rule import Acts


def l1(w: Tensor, strength: Strength) -> Tensor:
    """Compute s · Σ |w|, a scalar; one a member where the strength is of shape `stack`."""
    sums = total(precise(w).abs(), stack_depth(strength))
    return broadcast(strength, sums) * sums


def l1_prox(w: Tensor, threshold: Strength, metric: Tensor | None = None) -> Tensor:
    """Soft-threshold: sign(w) · max(|w| − t/D, 0) for `threshold` t and `metric` D."""
    x, t = precise(w), broadcast(threshold, w)
    # w less its part inside [−t, t]: neither sign nor mask, and each line reuses its buffers
    if metric is not None:
        t = quotient(t, precise(metric))
        inside = torch.minimum(x, t).clamp_(min=t.neg_())
    elif isinstance(t, Tensor):
        inside = torch.minimum(x, t).clamp_(min=-t)
    else:
        inside = x.clamp(-t, t)
    return inside.neg_().add_(x).to(w.dtype)


@dataclass(frozen=True, eq=False, repr=False)
class L1(WeightPenalty):
    r"""L1 penalty (lasso): drives weights to exactly zero.

    .. math:: P(w) = s \sum_i |w_i|

    Same as Keras `L1(s)`; scikit-learn's `alpha=s` where the loss is a mean over samples divided by 2, as in `Lasso`.

    Args:
        strength: s >= 0, a number or a tensor of shape `stack`.

    Raises:
        ValueError: the strength is negative, NaN or infinite.
        TypeError: the strength is no number.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> penalty, w = tn.L1(0.5), torch.tensor([[3.0, -1.0], [0.2, 0.0]])
        >>> penalty.value(w)  # 0.5 · (3 + 1 + 0.2)
        tensor(2.1000)
        >>> penalty.prox(w, step=1.0)  # each weight 0.5 nearer to zero, and no further
        tensor([[ 2.5000, -0.5000],
                [ 0.0000,  0.0000]])

    References:
        R. Tibshirani, Regression Shrinkage and Selection via the Lasso, 1996.
        J. Yun, A. C. Lozano, E. Yang, Adaptive Proximal Gradient Methods for Structured Neural Networks, 2021.
    """

    strength: Strength
    acts: ClassVar[Acts] = "prox"

    def value(self, w: Tensor) -> Tensor:
        """See `WeightPenalty.value`."""
        return l1(w, self.strength)

    def prox(self, w: Tensor, step: Strength, metric: Tensor | None = None) -> Tensor:
        """See `WeightPenalty.prox`."""
        return l1_prox(w, step * self.strength, metric)
