"""thinnet: regularization for PyTorch, made real, fast and trustworthy."""

from thinnet.attach import Attachment, attach
from thinnet.constraints import Constraint, MaxNorm, NonNegative, UnitNorm
from thinnet.dropout import (
    AlphaDropout,
    AttentionDropout,
    ChannelDropout,
    ConcreteDropout,
    DropBlock2d,
    DropConnect,
    Dropout,
    DropPath,
    EmbeddingDropout,
    GaussianDropout,
    LockedDropout,
    NodeDropout,
    RateSchedule,
    concrete_cost,
    cosine_ramp,
    curriculum,
    linear_ramp,
    off_after,
    on_after,
    replace_dropout,
    thin,
    thinnable,
)
from thinnet.ensemble import Predictions, mc_predict
from thinnet.penalties import L1, L2, ElasticNet, GroupLasso, Penalty, WeightDecay
from thinnet.plan import Finding, Plan
from thinnet.rule import Rule
from thinnet.stack import Member, Stack, StackAdam, stack_cross_entropy, stack_squared_error

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L2",
    "AlphaDropout",
    "Attachment",
    "AttentionDropout",
    "ChannelDropout",
    "ConcreteDropout",
    "Constraint",
    "DropBlock2d",
    "DropConnect",
    "DropPath",
    "Dropout",
    "ElasticNet",
    "EmbeddingDropout",
    "Finding",
    "GaussianDropout",
    "GroupLasso",
    "LockedDropout",
    "MaxNorm",
    "Member",
    "NodeDropout",
    "NonNegative",
    "Penalty",
    "Plan",
    "Predictions",
    "RateSchedule",
    "Rule",
    "Stack",
    "StackAdam",
    "UnitNorm",
    "WeightDecay",
    "__version__",
    "attach",
    "concrete_cost",
    "cosine_ramp",
    "curriculum",
    "linear_ramp",
    "mc_predict",
    "off_after",
    "on_after",
    "replace_dropout",
    "stack_cross_entropy",
    "stack_squared_error",
    "thin",
    "thinnable",
]
