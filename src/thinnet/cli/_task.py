"""Classification or regression: what a target column asks for."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from pandas.api import types

Task = Literal["classification", "regression"]

CLASSES = 20
"""More distinct whole numbers than this are a quantity, not classes."""
EACH = 10
"""Whole numbers are classes if they come back this often on average; two values always are."""


def task_of(y: pd.Series) -> Task:
    """The task that a target's values ask for.

    Text, categories and booleans are classes. Numbers are classes if they are whole, at most `CLASSES` different ones,
    and either two or each there `EACH` times on average.

    Example:
        >>> task_of(pd.Series(["no", "yes"])), task_of(pd.Series([0, 1, 1])), task_of(pd.Series([1.5, 2.0]))
        ('classification', 'classification', 'regression')
    """
    values = y.dropna()
    if types.is_bool_dtype(values) or not types.is_numeric_dtype(values):
        return "classification"
    distinct = values.nunique()
    whole = bool((values % 1 == 0).all())
    repeated = distinct <= 2 or (distinct <= CLASSES and len(values) >= EACH * distinct)
    return "classification" if whole and repeated else "regression"
