"""Dead nodes removed, equality proven; models in files of other formats."""

from thinnet.compact._archive import export_archive
from thinnet.compact._compact import compact
from thinnet.compact._errors import NotCompactableError
from thinnet.compact._exported import Exported, NotExportableError, Port, required, written
from thinnet.compact._groups import groups
from thinnet.compact._in_place import CompactCallback, compact_
from thinnet.compact._onnx import export_onnx
from thinnet.compact._potential import Outputs, Potential, compactable
from thinnet.compact._rebuild import rebuild
from thinnet.compact._report import Report
from thinnet.compact._session import Session

__all__ = [
    "CompactCallback",
    "Exported",
    "NotCompactableError",
    "NotExportableError",
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
