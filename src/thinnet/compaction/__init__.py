"""Dead nodes removed, equality proven; models in files of other formats."""

from thinnet.compaction._archive import export_archive
from thinnet.compaction._compact import compact
from thinnet.compaction._exported import Exported, Port, required, written
from thinnet.compaction._groups import groups
from thinnet.compaction._in_place import CompactCallback, compact_
from thinnet.compaction._onnx import export_onnx
from thinnet.compaction._potential import Outputs, Potential, compactable
from thinnet.compaction._rebuild import rebuild
from thinnet.compaction._report import Report
from thinnet.compaction._session import Session

__all__ = [
    "CompactCallback",
    "Exported",
    "Outputs",
    "Port",
    "Potential",
    "Report",
    "Session",
    "compact",
    "compact_",
    "compactable",
    "export_archive",
    "export_onnx",
    "groups",
    "rebuild",
    "required",
    "written",
]
