"""thinnet: regularization for PyTorch, made real, fast and trustworthy."""

import thinnet.schedules as schedules
from thinnet.attachment import Attachment, attach
from thinnet.compaction import (
    CompactCallback,
    compact,
    compact_,
    compactable,
    export_archive,
    export_onnx,
    groups,
    rebuild,
)
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
    concrete_cost,
    replace_dropout_,
)
from thinnet.ensemble import Coverage, Predictions, Reliability, calibration, mc_predict
from thinnet.errors import NotCompactableError, NotExportableError
from thinnet.penalties import L1, L2, CoupledGroupLasso, ElasticNet, GroupLasso, Penalty, WeightDecay
from thinnet.plan import Finding, Plan
from thinnet.rule import Rule
from thinnet.schedules import RateSchedule
from thinnet.search import Point, Polished, RegularizationPath, keep_zeros, path, polish_
from thinnet.stack import Member, Stack, StackAdam, stack_cross_entropy, stack_squared_error
from thinnet.thinning import thin_, thinnable

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L2",
    "AlphaDropout",
    "Attachment",
    "AttentionDropout",
    "ChannelDropout",
    "CompactCallback",
    "ConcreteDropout",
    "Constraint",
    "CoupledGroupLasso",
    "Coverage",
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
    "NotCompactableError",
    "NotExportableError",
    "Penalty",
    "Plan",
    "Point",
    "Polished",
    "Predictions",
    "RateSchedule",
    "RegularizationPath",
    "Reliability",
    "Rule",
    "Stack",
    "StackAdam",
    "UnitNorm",
    "WeightDecay",
    "__version__",
    "attach",
    "calibration",
    "compact",
    "compact_",
    "compactable",
    "concrete_cost",
    "export_archive",
    "export_onnx",
    "groups",
    "keep_zeros",
    "mc_predict",
    "path",
    "polish_",
    "rebuild",
    "replace_dropout_",
    "schedules",
    "stack_cross_entropy",
    "stack_squared_error",
    "thin_",
    "thinnable",
]
