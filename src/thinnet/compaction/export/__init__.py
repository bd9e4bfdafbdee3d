"""Models as files of other formats (ONNX, torch.export archives), each compared with its model before it is kept."""

from thinnet.compaction.export._archive import export_archive
from thinnet.compaction.export._exported import Exported, Port, required, written
from thinnet.compaction.export._onnx import export_onnx
from thinnet.compaction.export._session import Session

__all__ = [
    "Exported",
    "Port",
    "Session",
    "export_archive",
    "export_onnx",
    "required",
    "written",
]
