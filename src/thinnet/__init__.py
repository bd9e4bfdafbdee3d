"""thinnet: regularization for PyTorch, made real, fast and trustworthy."""

from thinnet.constraints import Constraint, MaxNorm, NonNegative, UnitNorm
from thinnet.dropout import Dropout
from thinnet.penalties import L1, L2, ElasticNet, GroupLasso, Penalty, WeightDecay
from thinnet.rule import Rule

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L2",
    "Constraint",
    "Dropout",
    "ElasticNet",
    "GroupLasso",
    "MaxNorm",
    "NonNegative",
    "Penalty",
    "Rule",
    "UnitNorm",
    "WeightDecay",
    "__version__",
]
