"""Dead nodes removed, equality proven."""

from thinnet.compact._compact import compact
from thinnet.compact._errors import NotCompactableError
from thinnet.compact._rebuild import rebuild
from thinnet.compact._report import Report

__all__ = ["NotCompactableError", "Report", "compact", "rebuild"]
