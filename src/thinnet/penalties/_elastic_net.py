"""The elastic net, L1 + L2 in one proximal step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from thinnet._strength import Strength, broadcast, precise, stack_depth
from thinnet.penalties._base import WeightPenalty, total
from thinnet.penalties._l1 import l1_prox
from thinnet.penalties._l2 import l2_prox
from thinnet.rule import Acts


def elastic_net(w: Tensor, absolute: Strength, squared: Strength) -> Tensor:
    """Compute a · Σ |w| + b/2 · Σ w² for `absolute` a and `squared` b; a scalar, or one value a member of a stack."""
    x, depth = precise(w), stack_depth(absolute, squared)
    absolutes, squares = total(x.abs(), depth), total(x.square(), depth)
    return broadcast(absolute, absolutes) * absolutes + broadcast(squared, squares) * squares / 2


def elastic_net_prox(w: Tensor, absolute: Strength, squared: Strength, metric: Tensor | None = None) -> Tensor:
    """The step sign(w) · max(|w| − a/D, 0) / (1 + b/D): L1's proximal step, then L2's, which together are exact."""
    x = l1_prox(precise(w), absolute, metric)
    return l2_prox(x, squared, metric).to(w.dtype)


@dataclass(frozen=True, eq=False, repr=False)
class ElasticNet(WeightPenalty):
    r"""Elastic net: the sum of L1 and L2, with one exact proximal step.

    .. math:: P(w) = l_1 \sum_i |w_i| + \frac{l_2}{2} \sum_i w_i^2

    Same as Keras `L1L2(l1, l2 / 2)`, and as scikit-learn's `ElasticNet(alpha, l1_ratio)` with `l1 = alpha · l1_ratio`
    and `l2 = alpha · (1 − l1_ratio)`. `L1(l1) + L2(l2)` has the same value; there L2 acts through the gradient.

    Args:
        l1: strength of Σ|w|, >= 0, a number or a tensor of shape `stack`.
        l2: strength of ½Σw², likewise.

    Raises:
        ValueError: a strength is negative, NaN or infinite.
        TypeError: a strength is no number.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> penalty, w = tn.ElasticNet(l1=1.0, l2=0.5), torch.tensor([[3.0, -1.0]])
        >>> penalty.value(w)  # 1 · (3 + 1) + 0.5 / 2 · (9 + 1)
        tensor(6.5000)
        >>> penalty.prox(w, step=2.0)  # (3 − 2 · 1) / (1 + 2 · 0.5), and 1 is under the threshold 2
        tensor([[0.5000, 0.0000]])

    References:
        H. Zou, T. Hastie, Regularization and Variable Selection via the Elastic Net, 2005.
    """

    l1: Strength
    l2: Strength
    strength_fields: ClassVar[tuple[str, ...]] = ("l1", "l2")
    acts: ClassVar[Acts] = "prox"

    def value(self, w: Tensor) -> Tensor:
        """See `WeightPenalty.value`."""
        return elastic_net(w, self.l1, self.l2)

    def prox(self, w: Tensor, step: Strength, metric: Tensor | None = None) -> Tensor:
        """See `WeightPenalty.prox`."""
        return elastic_net_prox(w, step * self.l1, step * self.l2, metric)
