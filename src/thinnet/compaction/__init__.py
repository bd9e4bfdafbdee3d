"""Removal of dead neurons, channels and heads with proven equality; export to other formats."""

from thinnet.compaction._callback import CompactCallback
from thinnet.compaction._compact import compact
from thinnet.compaction._compactable import Outputs, Potential, compactable
from thinnet.compaction._groups import groups
from thinnet.compaction._in_place import compact_
from thinnet.compaction._report import Report
from thinnet.compaction.export import Exported, export_archive, export_onnx
from thinnet.compaction.shrink._rebuild import rebuild

__all__ = [
    "CompactCallback",
    "Exported",
    "Outputs",
    "Potential",
    "Report",
    "compact",
    "compact_",
    "compactable",
    "export_archive",
    "export_onnx",
    "groups",
    "rebuild",
]
