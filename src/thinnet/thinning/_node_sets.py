"""Random sets of neurons, drawn without replacement."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor


def node_sets(
    n: int,
    p: float,
    groups: int = 1,
    *,
    generator: Generator | None = None,
    device: torch.device | str | None = None,
) -> list[Tensor]:
    r"""Draw random sets of kept neurons, one for each group of rows.

    Every set has k nodes, k = floor(n (1 − p)) or one more, at random, such that E[k] = n (1 − p): each node stays with
    probability 1 − p exactly. Within one draw the sets share k and lie around one random order of the nodes, n/groups
    apart, so that together they cover as many nodes as they can: two groups at p = 0.5 are complementary halves.

    Args:
        n: number of nodes.
        p: probability of a node to be removed, in [0, 1].
        groups: G >= 1, the number of sets.
        generator: source of the order, on `device`; None is torch's default one.
        device: where the sets lie; None is torch's default device.

    Returns:
        G int64 tensors (k,), each in ascending order.

    Example:
        >>> import torch
        >>> from thinnet.thinning import node_sets
        >>> first, second = node_sets(6, 0.5, groups=2)
        >>> torch.cat([first, second]).sort().values
        tensor([0, 1, 2, 3, 4, 5])
    """
    share = n * (1 - p)
    k = math.floor(share)
    if share > k and torch.rand((), generator=generator, device=device).item() < share - k:
        k += 1
    order = torch.randperm(n, generator=generator, device=device)
    starts = [group * n // groups for group in range(groups)]
    around = torch.cat([order, order])
    return [around[start : start + k].sort().values for start in starts]
