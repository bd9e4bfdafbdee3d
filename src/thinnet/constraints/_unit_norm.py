"""The unit-norm constraint: each output's incoming weights have norm one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from thinnet._strength import precise
from thinnet._weight_groups import group_norms, group_view
from thinnet.constraints._base import Constraint, slack
from thinnet.rule import GroupedBy


def unit_norm(w: Tensor, *, depth: int = 0) -> Tensor:
    """Divide each output's incoming weights by their norm; `depth` leading dimensions of w are a stack's."""
    view, inside = group_view(precise(w), "outputs", depth)
    norms = group_norms(view, inside)
    kind = torch.finfo(view.dtype)
    # below this floor squares lose their digits: such a row has no direction to speak of, and stays as it is
    stays = ((norms - 1).abs() <= slack(w, view.shape[-1])) | (norms <= math.sqrt(kind.tiny / kind.eps))
    return (view * torch.where(stays, 1.0, norms.reciprocal())).reshape(w.shape).to(w.dtype)


@dataclass(frozen=True, eq=False, repr=False)
class UnitNorm(Constraint):
    r"""Keeps the weights that enter each output at norm one.

    .. math:: \lVert w_o \rVert_2 = 1 \quad \text{for every output } o

    Rows that are zero have no nearest point on the sphere and stay zero; rows of norm one, to rounding, are returned
    bit for bit. Same as Keras `UnitNorm()` on a dense layer.

    Args:
        depth: how many leading dimensions of the weights are a stack's; 0 for one network.

    Raises:
        ValueError: `depth` is no whole number >= 0.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> tn.UnitNorm().project(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])

    References:
        T. Salimans, D. P. Kingma, Weight Normalization, 2016.
    """

    depth: int = 0
    strength_fields: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.depth, bool) or not isinstance(self.depth, int) or self.depth < 0:
            raise ValueError(f"UnitNorm: `depth` must be a whole number >= 0, got {self.depth!r}.")

    @property
    def grouping(self) -> GroupedBy:
        """The weights of one output."""
        return "outputs"

    def stacked(self, strengths: Mapping[str, Tensor]) -> Self:
        """The same constraint for a stack: one leading dimension more, since no strength tells of the stack."""
        return replace(self, depth=self.depth + 1, **strengths)

    def project(self, w: Tensor) -> Tensor:
        """See `Constraint.project`."""
        return unit_norm(w, depth=self.depth)
