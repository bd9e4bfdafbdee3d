"""The progress of a fit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """What a fit tells its callback.

    Args:
        phase: what is being done, in words.
        fraction: share of the work done, in [0, 1].
        members: networks still in training.
        best: best held-out score so far, lower is better; None before the first.
        elapsed: seconds since the start.
        left: seconds that the rest is expected to take.
    """

    phase: str
    fraction: float
    members: int
    best: float | None
    elapsed: float
    left: float
