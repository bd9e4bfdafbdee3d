"""Parameters of the estimators that cannot be meant, refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thinnet.errors import ParameterError

LEAST = {
    "n_configurations": 1,
    "n_rounds": 1,
    "cv": 2,
    "max_steps": 1,
    "n_bins": 0,
    "n_frequencies": 0,
    "batch_size": 1,
}
"""Counts, and the least that each may be."""

SWITCHES = ("select_features", "polish", "refit")
"""What is on or off."""


def check_parameters(estimator: Any) -> None:
    """Refuse what an estimator was constructed with and cannot work with.

    Raises:
        ParameterError: a parameter is of another kind or too small.
    """
    for name, low in LEAST.items():
        value: Any = getattr(estimator, name)
        if not (isinstance(value, int | np.integer) and value >= low) and not (name == "batch_size" and value is None):
            raise ParameterError(f"`{name}` must be a whole number >= {low}, got {value!r}.")
    limit: Any = estimator.time_limit
    if limit is not None and not (isinstance(limit, int | float | np.number) and limit > 0):
        raise ParameterError(f"`time_limit` must be a number of seconds > 0, or None, got {limit!r}.")
    hidden: Any = estimator.hidden
    if not isinstance(hidden, Sequence) or any(not isinstance(h, int | np.integer) or h < 1 for h in hidden):
        raise ParameterError(f"`hidden` must be a sequence of whole numbers >= 1, got {hidden!r}.")
    for name in SWITCHES:
        asked: Any = getattr(estimator, name)
        if not isinstance(asked, bool | np.bool_):
            raise ParameterError(f"`{name}` must be True or False, got {asked!r}.")
