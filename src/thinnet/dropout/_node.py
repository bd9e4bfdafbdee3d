"""Dropout of whole neurons for all rows of a minibatch."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from thinnet._random import LEVELS, apply_mask
from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._noise import Noise


class NodeDropout(DropoutLayer):
    r"""Removes neurons for the whole minibatch, or for one group of its rows, and divides the others by 1 − p.

    $$y_{rj} = \frac{M_{g(r)\,j}\, x_{rj}}{1 - p}$$

    with g(r) the group of row r and M_g the node set of a group, as `node_sets` draws it: of n nodes each stays with
    probability 1 − p exactly, and their number, n (1 − p) rounded up or down, is all but fixed. The sets of one call
    cover as many nodes as they can: two groups at p = 0.5 train complementary halves.

    Args:
        p: probability of a node to be removed, in [0, 1].
        groups: G >= 1, node sets a call. Group g is the g-th part of `x.tensor_split(G)`.
        generator: source of the node sets, on the input's device; None is torch's default one.

    Raises:
        TypeError: if p is not a number, or the input is not of a floating-point or complex type.
        ValueError: if p is outside [0, 1], groups is less than 1, or the input has no dimension.

    Shape:
        Input and output: (rows, ..., nodes), the same; (nodes,) is one row.

    Example:
        >>> import torch, thinnet as tn
        >>> y = tn.NodeDropout(0.5)(torch.ones(3, 4))
        >>> y.sum(dim=1)
        tensor([4., 4., 4.])
        >>> tn.NodeDropout(0.5, groups=2)(torch.ones(2, 4)).sum(dim=0)
        tensor([2., 2., 2., 2.])

    References:
        Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks from
        Overfitting", 2014. Graham, Reizenstein, Robinson, "Efficient batchwise dropout training using submatrices",
        2015 (one node set for a minibatch).
    """

    def __init__(self, p: float = 0.5, groups: int = 1, *, generator: Generator | None = None) -> None:
        super().__init__(p, generator=generator)
        if groups < 1:
            raise ValueError(f"NodeDropout: `groups` must be >= 1, got {groups}.")
        self.groups = groups

    def perturb(self, x: Tensor, noise: Noise) -> Tensor:
        """M ∘ x / (1 − p)."""
        if x.ndim == 0:
            raise ValueError("NodeDropout: the input must be (rows, ..., nodes) or (nodes,), got a tensor of shape ().")
        kept = noise.keep_nodes(self.groups, x.shape[-1], self.p, x.device)
        if self.groups == 1 or x.ndim == 1:
            mask = kept[0]
        else:
            mask = kept[_group_of_rows(len(x), self.groups, x.device)]
            mask = mask.reshape(len(x), *(1,) * (x.ndim - 2), x.shape[-1])
        return apply_mask(x, mask, LEVELS * (1 - self.p))

    def extra_repr(self) -> str:
        """The settings."""
        return f"p={self.p}, groups={self.groups}"


def _group_of_rows(rows: int, groups: int, device: torch.device) -> Tensor:
    """The group of each row where `tensor_split` cuts them: the first rows % groups have one row more."""
    size, longer = rows // groups, rows % groups
    row = torch.arange(rows, device=device)
    return torch.maximum(row // (size + 1), (row - longer) // max(size, 1))
