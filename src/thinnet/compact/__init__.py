"""Dead nodes removed, equality proven."""

from thinnet.compact._compact import compact
from thinnet.compact._errors import NotCompactableError
from thinnet.compact._groups import groups
from thinnet.compact._in_place import CompactCallback, compact_
from thinnet.compact._potential import Outputs, Potential, compactable
from thinnet.compact._rebuild import rebuild
from thinnet.compact._report import Report

__all__ = [
    "CompactCallback",
    "NotCompactableError",
    "Outputs",
    "Potential",
    "Report",
    "compact",
    "compact_",
    "compactable",
    "groups",
    "rebuild",
]
