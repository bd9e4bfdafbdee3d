"""Regularization for PyTorch: penalties, constraints and dropout on any model, with strengths that are tuned."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import thinnet.schedules as schedules  # noqa: F401  # an attribute of the package for type checkers, too
    from thinnet.attachment import Attachment, Summary, attach
    from thinnet.compaction import (
        CompactCallback,
        Exported,
        Potential,
        Report,
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
        DropoutLayer,
        DropPath,
        EmbeddingDropout,
        GaussianDropout,
        LockedDropout,
        NodeDropout,
        concrete_cost,
        replace_dropout_,
    )
    from thinnet.ensemble import Coverage, Predictions, Reliability, calibration, mc_predict
    from thinnet.errors import (
        CellTypeError,
        CheckpointError,
        DataError,
        ModelFolderError,
        NoEffectWarning,
        NotCompactableError,
        NotExportableError,
        ParameterError,
        PlanWarning,
        ThinnetError,
    )
    from thinnet.penalties import (
        L1,
        L2,
        CoupledGroupLasso,
        Decay,
        ElasticNet,
        GroupLasso,
        JointPenalty,
        Penalty,
        WeightDecay,
        WeightPenalty,
    )
    from thinnet.plan import Finding, Plan, from_keras, from_torch
    from thinnet.rule import Rule
    from thinnet.schedules import RateSchedule
    from thinnet.search import KeptZeros, Point, Polished, RegularizationPath, keep_zeros, path, polish_
    from thinnet.stack import Member, Stack, StackAdam, stack_cross_entropy, stack_squared_error
    from thinnet.thinning import Chains, thin_, thinnable

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L2",
    "AlphaDropout",
    "Attachment",
    "AttentionDropout",
    "CellTypeError",
    "Chains",
    "ChannelDropout",
    "CheckpointError",
    "CompactCallback",
    "ConcreteDropout",
    "Constraint",
    "CoupledGroupLasso",
    "Coverage",
    "DataError",
    "Decay",
    "DropBlock2d",
    "DropConnect",
    "DropPath",
    "Dropout",
    "DropoutLayer",
    "ElasticNet",
    "EmbeddingDropout",
    "Exported",
    "Finding",
    "GaussianDropout",
    "GroupLasso",
    "JointPenalty",
    "KeptZeros",
    "LockedDropout",
    "MaxNorm",
    "Member",
    "ModelFolderError",
    "NoEffectWarning",
    "NodeDropout",
    "NonNegative",
    "NotCompactableError",
    "NotExportableError",
    "ParameterError",
    "Penalty",
    "Plan",
    "PlanWarning",
    "Point",
    "Polished",
    "Potential",
    "Predictions",
    "RateSchedule",
    "RegularizationPath",
    "Reliability",
    "Report",
    "Rule",
    "Stack",
    "StackAdam",
    "Summary",
    "ThinnetError",
    "UnitNorm",
    "WeightDecay",
    "WeightPenalty",
    "__version__",
    "attach",
    "calibration",
    "compact",
    "compact_",
    "compactable",
    "concrete_cost",
    "export_archive",
    "export_onnx",
    "from_keras",
    "from_torch",
    "groups",
    "keep_zeros",
    "mc_predict",
    "path",
    "polish_",
    "rebuild",
    "replace_dropout_",
    "stack_cross_entropy",
    "stack_squared_error",
    "thin_",
    "thinnable",
]

_MODULES = {
    "thinnet.attachment": "Attachment Summary attach",
    "thinnet.compaction": """
        CompactCallback Exported Potential Report compact compact_ compactable export_archive export_onnx
        groups rebuild
    """,
    "thinnet.constraints": "Constraint MaxNorm NonNegative UnitNorm",
    "thinnet.dropout": """
        AlphaDropout AttentionDropout ChannelDropout ConcreteDropout DropBlock2d DropConnect DropPath Dropout
        DropoutLayer EmbeddingDropout GaussianDropout LockedDropout NodeDropout concrete_cost replace_dropout_
    """,
    "thinnet.ensemble": "Coverage Predictions Reliability calibration mc_predict",
    "thinnet.errors": """
        CellTypeError CheckpointError DataError ModelFolderError NoEffectWarning NotCompactableError
        NotExportableError ParameterError PlanWarning ThinnetError
    """,
    "thinnet.penalties": """
        CoupledGroupLasso Decay ElasticNet GroupLasso JointPenalty L1 L2 Penalty WeightDecay WeightPenalty
    """,
    "thinnet.plan": "Finding Plan from_keras from_torch",
    "thinnet.rule": "Rule",
    "thinnet.schedules": "RateSchedule",
    "thinnet.search": "KeptZeros Point Polished RegularizationPath keep_zeros path polish_",
    "thinnet.stack": "Member Stack StackAdam stack_cross_entropy stack_squared_error",
    "thinnet.thinning": "Chains thin_ thinnable",
}
"""The names of each module, which is imported when one of them is first used (PEP 562): importing thinnet is free."""

_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

_PACKAGES = ("report", "tabular", *(module.removeprefix("thinnet.") for module in _MODULES))
"""Modules that are attributes of thinnet without an import of their own."""


if not TYPE_CHECKING:  # which would take any name for one of these

    def __getattr__(name: str) -> object:
        """Import a name on first use (PEP 562)."""
        if name in _MODULE_OF:
            value: object = getattr(import_module(_MODULE_OF[name]), name)
        elif name in _PACKAGES:
            value = import_module(f"thinnet.{name}")
        else:
            from thinnet._suggest import near_misses

            close = near_misses(name, __all__, most=1)
            raise AttributeError(f"thinnet has no {name!r}" + (f"; did you mean {close[0]}?" if close else "."))
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *__all__, *_PACKAGES})
