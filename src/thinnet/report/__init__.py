"""Reports: the results of a fit, a path or a compaction as one HTML page."""

from thinnet.report._compaction import write_compaction
from thinnet.report._finding import finding
from thinnet.report._fit_page import write_report
from thinnet.report._fit_results import UNREGULARIZED, Curve, Results, Weights
from thinnet.report._numbers import number, share
from thinnet.report._path import path_finding, write_path
from thinnet.report._path_results import PathResults

__all__ = [
    "UNREGULARIZED",
    "Curve",
    "PathResults",
    "Results",
    "Weights",
    "finding",
    "number",
    "path_finding",
    "share",
    "write_compaction",
    "write_path",
    "write_report",
]
