"""Decoupled weight decay, as in AdamW."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from thinnet._strength import Strength, broadcast, precise
from thinnet.penalties._base import Decay


def weight_decay(w: Tensor, rate: Strength) -> Tensor:
    """Decay weights: w · (1 − r) for `rate` r = lr · strength, of w's shape and dtype."""
    return (precise(w) * broadcast(1 - rate, w)).to(w.dtype)


@dataclass(frozen=True, eq=False, repr=False)
class WeightDecay(Decay):
    r"""Decoupled weight decay: shrinks weights beside the optimizer's step, in proportion to the learning rate.

    .. math:: w \leftarrow w \, (1 - \mathrm{lr} \cdot s)

    Adds nothing to the cost. Same as `weight_decay=s` in `torch.optim.AdamW`. Under plain SGD it equals `L2(s)`; under
    Adam it does not, since no denominator divides it.

    Args:
        strength: s >= 0, a number or a tensor of shape `stack`.

    Raises:
        ValueError: the strength is negative, NaN or infinite.
        TypeError: the strength is no number.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> tn.WeightDecay(0.5).shrink(torch.tensor([[3.0, -1.0]]), lr=0.5)  # w · (1 − 0.5 · 0.5)
        tensor([[ 2.2500, -0.7500]])

    References:
        I. Loshchilov, F. Hutter, Decoupled Weight Decay Regularization, 2019.
    """

    strength: Strength

    def shrink(self, w: Tensor, lr: Strength) -> Tensor:
        """See `Decay.shrink`."""
        return weight_decay(w, lr * self.strength)
