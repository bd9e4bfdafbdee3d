"""Tables in, scikit-learn estimators out.

Needs the extra: pip install "thinnet[tabular]".
"""

from thinnet.tabular._estimator import ThinNetClassifier, ThinNetRegressor
from thinnet.tabular._progress import Progress
from thinnet.tabular.columns._target import Task, infer_task
from thinnet.tabular.model._compacted import CompactedTable
from thinnet.tabular.model._folder import check_destination
from thinnet.tabular.model._save_load import load

__all__ = [
    "CompactedTable",
    "Progress",
    "Task",
    "ThinNetClassifier",
    "ThinNetRegressor",
    "check_destination",
    "infer_task",
    "load",
]
