"""The max-norm constraint: each output's incoming weights have a bounded norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thinnet._strength import Strength, broadcast, precise, quotient, stack_depth
from thinnet._weight_groups import group_norms, group_view
from thinnet.constraints._base import Constraint, slack
from thinnet.rule import GroupedBy


def max_norm(w: Tensor, limit: Strength) -> Tensor:
    """Project each output's incoming weights onto the ball of radius `limit`; of w's shape and dtype."""
    view, inside = group_view(precise(w), "outputs", stack_depth(limit))
    norms = group_norms(view, inside)
    # a hair inside, so that rounding leaves no row outside, and projecting again changes nothing
    target = limit * (1 - slack(w, view.shape[-1]))
    scale = torch.where(norms > broadcast(limit, view), quotient(broadcast(target, view), norms), 1.0)
    return (view * scale).reshape(w.shape).to(w.dtype)


@dataclass(frozen=True, eq=False, repr=False)
class MaxNorm(Constraint):
    r"""Max-norm: bounds the norm of the weights that enter each output, as is usual beside dropout.

    .. math:: \lVert w_o \rVert_2 \le c \quad \text{for every output } o

    Rows inside the bound are returned bit for bit. Same as Keras `MaxNorm(c)` on a dense layer.

    Args:
        limit: c >= 0, a number or a tensor of shape `stack`; infinite for no effect. 2 to 4 are usual.

    Raises:
        ValueError: the limit is negative or NaN.
        TypeError: the limit is no number.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> tn.MaxNorm(2.5).project(torch.tensor([[3.0, 4.0], [1.0, 2.0]]))  # norms 5 and 2.24
        tensor([[1.5000, 2.0000],
                [1.0000, 2.0000]])

    References:
        N. Srebro, A. Shraibman, Rank, Trace-Norm and Max-Norm, 2005.
        N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, Dropout: A Simple Way to Prevent Neural
        Networks from Overfitting, 2014.
    """

    limit: Strength
    strength_fields: ClassVar[tuple[str, ...]] = ("limit",)

    @property
    def grouping(self) -> GroupedBy:
        """The weights of one output."""
        return "outputs"

    def project(self, w: Tensor) -> Tensor:
        """See `Constraint.project`."""
        return max_norm(w, self.limit)
