"""Vectorized sums over groups that span parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from thinnet._strength import precise
from thinnet.penalties._group_members import Members

BLOCK = 2**18
"""Elements a block and thread: temporaries that stay in a CPU's cache cost a fraction of what others do."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of one parameter, or all of them, with their metric and groups.

    Args:
        w: the weights, as stored.
        z: what norms are made of: the weights, or, where `d` is one number for all, the norms of their slices along
            `dim`, which then say as much.
        d: the metric, of z's shape or one number.
        dim: the dimension along which indices belong to groups.
        slots: the group of each index along it.
    """

    w: Tensor
    z: Tensor
    d: Tensor | float
    dim: int
    slots: Tensor

    def broadcast(self, per_group: Tensor) -> Tensor:
        """Broadcast a value for each group to the indices of the weights."""
        shape = [-1 if dim == self.dim else 1 for dim in range(self.w.ndim)]
        return per_group.to(self.w.device, _dtype(self.w))[self.slots].view(shape)

    def add(self, sums: Tensor, terms: Tensor) -> None:
        """Add `terms`, of z's shape, to the sums of their groups."""
        add_to_groups(sums, terms, self.dim, self.slots)


def parts_of(ws: Mapping[str, Tensor], metrics: Mapping[str, Tensor | float], members: Members) -> Iterator[Part]:
    """Split parameters into blocks of rows that fit a CPU's cache, where the metric varies; else yield them whole."""
    for name, w in ws.items():
        (dim, _), slots, d = members[name], members.slots(name, w.device), metrics[name]
        if not isinstance(d, Tensor) or not d.ndim:
            norms = torch.linalg.vector_norm(w.unsqueeze(-1), dim=_others(w, dim), keepdim=True, dtype=_dtype(w))
            yield Part(w, norms.squeeze(-1), d, dim, slots)
        elif w.device.type != "cpu" or not w.numel():
            yield Part(w, w, d, dim, slots)
        else:
            rows = max(1, BLOCK * torch.get_num_threads() * w.shape[0] // w.numel())
            for start in range(0, w.shape[0], rows):
                block = slice(start, start + rows)
                yield Part(w[block], w[block], d[block], dim, slots if dim else slots[block])


def group_zeros(ws: Mapping[str, Tensor], members: Members) -> Tensor:
    """Return zeros for the sums, one a slot, in the widest precision, on the device of the first parameter."""
    dtype = reduce(torch.promote_types, map(_dtype, ws.values()))
    return torch.zeros(members.groups + 1, dtype=dtype, device=next(iter(ws.values())).device)


def add_to_groups(sums: Tensor, terms: Tensor, dim: int, slots: Tensor) -> None:
    """Add terms, summed over every dimension but `dim`, to the sums of the groups in `slots`."""
    per_index = terms.unsqueeze(-1).sum(_others(terms, dim))
    sums.index_add_(0, slots.to(sums.device), per_index.to(sums))


def group_sizes(ws: Mapping[str, Tensor], members: Members) -> Tensor:
    """Count the weights of each group in `ws`; zero in the last slot, which is no group."""
    sizes = group_zeros(ws, members)
    for name, w in ws.items():
        slots = members.slots(name, sizes.device)
        sizes.index_add_(0, slots, sizes.new_full(slots.shape, w.numel() / max(1, slots.numel())))
    sizes[members.groups] = 0
    return sizes


def _others(w: Tensor, dim: int) -> list[int]:
    """Every dimension of `w.unsqueeze(-1)` but `dim`: never none, which torch would take for all."""
    return [other for other in range(w.ndim + 1) if other != dim]


def _dtype(w: Tensor) -> torch.dtype:
    return precise(w[:0]).dtype
