"""Results in, one HTML page out."""

from thinnet.report._compaction import write_compaction
from thinnet.report._finding import finding
from thinnet.report._numbers import number, share
from thinnet.report._page import write_report
from thinnet.report._results import UNREGULARIZED, Curve, Results, Weights

__all__ = [
    "UNREGULARIZED",
    "Curve",
    "Results",
    "Weights",
    "finding",
    "number",
    "share",
    "write_compaction",
    "write_report",
]
