"""Tables in, scikit-learn estimators out.

Needs the extra: pip install "thinnet[tabular]".
"""

from thinnet.tabular._compacted import CompactedTable
from thinnet.tabular._estimators import ThinNetClassifier, ThinNetRegressor
from thinnet.tabular._folder import ModelFolderError, check_destination
from thinnet.tabular._progress import Progress
from thinnet.tabular._saving import load
from thinnet.tabular._target import infer_task

__all__ = [
    "CompactedTable",
    "ModelFolderError",
    "Progress",
    "ThinNetClassifier",
    "ThinNetRegressor",
    "check_destination",
    "infer_task",
    "load",
]
