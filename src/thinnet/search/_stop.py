"""Where a walk stood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from thinnet.search._losses import Losses


@dataclass(frozen=True, eq=False)
class Stop:
    """Where the walk stood after a strength: what a point tells, and its weights."""

    strength: float
    losses: Losses
    rounds: int
    nonzero: int
    weights: int
    alive: dict[str, Tensor]
    norm: float
    diverged: bool
    recipe: dict[str, Any] | None
    state: dict[str, Tensor]
