"""Sets that weights are kept in, by projection after every step."""

from thinnet.constraints._base import Constraint

__all__ = ["Constraint"]
