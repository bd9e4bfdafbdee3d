"""Scikit-learn estimators for tables, and the fitted models that they make.

Needs the extra: pip install "thinnet[tabular]".
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thinnet.tabular._estimator import ThinNetClassifier, ThinNetRegressor
    from thinnet.tabular._load import load
    from thinnet.tabular._progress import Progress
    from thinnet.tabular.columns._target import Task, infer_task
    from thinnet.tabular.model._compacted import CompactedTable
    from thinnet.tabular.model._folder import check_destination, size_of
    from thinnet.tabular.model._saved_model import read_model
    from thinnet.tabular.model._table_model import TableModel

__all__ = [
    "CompactedTable",
    "Progress",
    "TableModel",
    "Task",
    "ThinNetClassifier",
    "ThinNetRegressor",
    "check_destination",
    "infer_task",
    "load",
    "read_model",
    "size_of",
]

_MODULES = {
    "CompactedTable": "model._compacted",
    "Progress": "_progress",
    "TableModel": "model._table_model",
    "Task": "columns._target",
    "ThinNetClassifier": "_estimator",
    "ThinNetRegressor": "_estimator",
    "check_destination": "model._folder",
    "infer_task": "columns._target",
    "load": "_load",
    "read_model": "model._saved_model",
    "size_of": "model._folder",
}
"""The module of each name, imported when the name is first used (PEP 562): predicting imports no training code."""


if not TYPE_CHECKING:  # which would take any name for one of these

    def __getattr__(name: str) -> object:
        """Import a name on first use (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"thinnet.tabular has no {name!r}")
        value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
