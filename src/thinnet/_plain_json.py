"""Values as JSON's own types: numpy's as Python's, and null for every number that JSON does not have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any


def refuse(value: object) -> Any:
    """Raise the error of a value that JSON cannot hold."""
    raise TypeError(f"JSON cannot hold {value!r}, a {type(value).__name__}.")


def to_plain(value: Any, other: Callable[[Any], Any] = refuse) -> Any:
    """A value as nested dicts, lists, strings, booleans, integers, finite floats and None.

    Args:
        value: mappings, sequences, arrays and numbers, nested; NaN and infinite numbers become None.
        other: called with anything else, such as a path or a date.

    Raises:
        TypeError: there is anything else, and no `other` was given.

    Example:
        >>> import numpy as np
        >>> to_plain({"score": float("nan"), "rows": np.array([[1, 2], [3, 4]]), 3: np.float32(0.5)})
        {'score': None, 'rows': [[1, 2], [3, 4]], '3': 0.5}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): to_plain(item, other) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item, other) for item in value]
    if isinstance(value, float):  # numpy's float64 is one, too
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist"):
        return to_plain(value.tolist(), other)
    return to_plain(other(value))


def with_nan(value: Any) -> Any:
    """The inverse of `to_plain` for numbers: NaN for every None in a list or as the value of a dict, nested.

    Example:
        >>> with_nan({"losses": [0.5, None]})
        {'losses': [0.5, nan]}
    """
    if isinstance(value, dict):
        return {key: with_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_nan(item) for item in value]
    return math.nan if value is None else value
