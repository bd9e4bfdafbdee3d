"""Constraints: sets that weights are projected onto after every step."""

from thinnet.constraints._base import Constraint
from thinnet.constraints._max_norm import MaxNorm, max_norm
from thinnet.constraints._non_negative import NonNegative, non_negative
from thinnet.constraints._unit_norm import UnitNorm, unit_norm

__all__ = ["Constraint", "MaxNorm", "NonNegative", "UnitNorm", "max_norm", "non_negative", "unit_norm"]
