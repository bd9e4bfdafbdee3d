"""Choice of a point on a path, and the strength at which each group of weights becomes zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from thinnet.search._point import Point


def best(points: Sequence[Point]) -> Point:
    """The point of the least error, of equal ones the strongest."""
    trained = [point for point in points if math.isfinite(point.error)]
    if not trained:
        raise ValueError(
            "path: no point has a finite error; lower the learning rate, or look at what `evaluate` returns."
        )
    return min(trained, key=lambda point: (point.error, -point.strength))


def one_se(points: Sequence[Point]) -> Point:
    """The strongest point within one standard error of the best."""
    chosen = best(points)
    if math.isnan(chosen.se):
        raise ValueError(
            "path: `evaluate` returned one number, of which there is no standard error; return a tensor of losses, one "
            "an example or a fold."
        )
    return max((p for p in points if p.error <= chosen.error + chosen.se), key=lambda point: point.strength)


def leaves(points: Sequence[Point], name: str) -> Tensor:
    """The strength from which on each group of a weight is zero: (groups,); infinite where there is none."""
    known = sorted({known for point in points for known in point.alive})
    if name not in known:
        raise ValueError(
            f"path: no GroupLasso acts on {name!r} (available: {', '.join(known) or 'none'}); `leaves` is defined only "
            "for weights under GroupLasso."
        )
    rising = sorted((p for p in points if name in p.alive and not p.diverged), key=lambda point: point.strength)
    masks = [p.alive[name] if p.alive[name].ndim == 1 else p.alive[name][-1] for p in rising]
    if len({mask.shape for mask in masks}) > 1:
        raise ValueError(f"path: groups of {name!r} were removed along the way; call `path` without `compact`.")
    found = torch.full(masks[0].shape, math.inf, dtype=torch.float64)
    zero_from = torch.ones_like(masks[0])
    for point, mask in zip(reversed(rising), reversed(masks), strict=True):
        zero_from = zero_from & ~mask  # a group that is nonzero at some strength counts as nonzero at all weaker ones
        found[zero_from] = point.strength
    return found
