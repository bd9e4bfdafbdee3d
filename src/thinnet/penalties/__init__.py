"""Terms that a cost adds to the loss, as pure functions of a tensor and a strength."""

from thinnet.penalties._base import Decay, Penalty

__all__ = ["Decay", "Penalty"]
