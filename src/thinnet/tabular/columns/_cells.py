"""Cells of one column: their kind, and their values typed."""

from __future__ import annotations

import datetime
import numbers
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from thinnet.errors import CellTypeError, DataError

Kind = Literal["numeric", "boolean", "categorical", "datetime"]
"""What a column's values are."""

MISSING_TEXTS = frozenset({"", "nan", "NaN", "<NA>", "NaT"})
"""Texts that mean a missing value, spaces around them aside: what numpy and pandas write for one."""

ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
DAY = np.timedelta64(1, "D")

LARGEST = 1e300
"""Numbers beyond this count as infinite: sums and differences of them would overflow."""


def infer_kind(values: pd.Series[Any], name: str) -> Kind:
    """What the values of a column are; a column without any value counts as numeric.

    Raises:
        DataError: complex numbers.
        CellTypeError: cells that are neither text, number nor date.
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "categorical"
    if types.is_bool_dtype(dtype):
        return "boolean"
    _refuse_complex(values, name)
    if types.is_numeric_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        return "numeric"
    if types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return "datetime"
    present = _objects(values, name)
    present = present[~missing_cells(present)]
    inferred = types.infer_dtype(present, skipna=True)
    if inferred == "boolean":
        return "boolean"
    if inferred in ("datetime", "datetime64", "date"):
        return "datetime"
    if inferred == "string":
        unique = pd.Series(pd.unique(present), dtype=object)
        if _parsed(unique).notna().all():
            return "numeric"
        iso = unique.str.strip().str.fullmatch(ISO_DATE).astype(bool).all()
        return "datetime" if iso and not _dates(unique).isna().any() else "categorical"
    return "numeric" if _parsed(present).notna().all() else "categorical"


def read_column(values: pd.Series[Any], name: str, kind: Kind) -> pd.Series[Any]:
    """The values typed: float64 with NaN for numbers and dates, object with "" for booleans and categories.

    Raises:
        DataError: text where numbers or dates should be, or infinite values.
        CellTypeError: cells that are neither text, number nor date.
    """
    if kind in ("boolean", "categorical"):
        return pd.Series(_texts(values, name, boolean=kind == "boolean"), dtype=object)
    numeric = _days(values, name) if kind == "datetime" else _numbers(values, name)
    infinite = int((np.abs(numeric) > LARGEST).sum())
    if infinite:
        raise DataError(
            f"X contains infinity: column {name!r} has {infinite} value{'s' if infinite > 1 else ''} beyond {LARGEST}. "
            "Give a finite number or a missing value instead."
        )
    return pd.Series(numeric)


def _numbers(values: pd.Series[Any], name: str) -> NDArray[np.float64]:
    dtype = values.dtype
    _refuse_complex(values, name)
    if types.is_timedelta64_dtype(dtype):
        return np.asarray(values.to_numpy() / DAY, dtype=np.float64)
    if types.is_numeric_dtype(dtype):
        return _floats(values)
    objects = _objects(values, name)
    parsed = _floats(_parsed(objects))
    _refuse_strangers(objects, np.isnan(parsed), name, "numbers")
    return parsed


def _days(values: pd.Series[Any], name: str) -> NDArray[np.float64]:
    """Days since 1970-01-01 UTC."""
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    if types.is_datetime64_any_dtype(values.dtype):
        dates = pd.to_datetime(values, utc=True)
    else:
        objects = _objects(values, name)
        dates = _dates(pd.Series(objects, dtype=object))
        _refuse_strangers(objects, dates.isna().to_numpy(), name, "dates")
    # microseconds: nanoseconds end in the year 2262, and 9999-12-31 is a common way to say never
    utc = dates.dt.tz_convert(None).to_numpy().astype("datetime64[us]")
    return np.asarray((utc - np.datetime64(0, "us")) / DAY, dtype=np.float64)


def _floats(values: pd.Series[Any]) -> NDArray[np.float64]:
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def _parsed(objects: Any) -> pd.Series[Any]:
    """Objects as numbers, NaN where they are none."""
    cells = pd.Series(objects, dtype=object)
    try:
        return pd.to_numeric(cells, errors="coerce")
    except OverflowError:
        # an integer beyond float64: pandas does not coerce it
        return _parsed(cells.map(lambda cell: np.inf if isinstance(cell, int) and abs(cell) > 2**1023 else cell))


def _dates(values: pd.Series[Any]) -> pd.Series[Any]:
    """Objects as UTC dates, NaT where they are none; numbers are none."""
    number = values.map(lambda value: isinstance(value, numbers.Number))
    return pd.to_datetime(values.mask(number.astype(bool)), errors="coerce", utc=True, format="ISO8601")


def _refuse_strangers(objects: NDArray[Any], unread: NDArray[np.bool_], name: str, what: str) -> None:
    strangers = objects[unread][~missing_cells(objects[unread])]
    if len(strangers):
        raise DataError(
            f"column {name!r} held {what} at fit and now holds {len(strangers)} other value"
            f"{'s' if len(strangers) > 1 else ''}, such as {strangers[0]!r}. Correct or empty such cells."
        )


def _texts(values: pd.Series[Any], name: str, *, boolean: bool) -> NDArray[Any]:
    """Every value as text, "" where it is missing."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        words = _texts(pd.Series(values.cat.categories.to_numpy()), name, boolean=boolean)
        return np.append(words, "")[values.cat.codes.to_numpy()]
    objects = _objects(values, name)
    write = _truth if boolean else _text
    if types.infer_dtype(objects, skipna=True) in ("string", "boolean"):
        codes, unique = pd.factorize(objects)
        words = np.array([*map(write, unique), ""], dtype=object)  # a missing cell has code -1, the last word
        words[:-1][missing_cells(np.asarray(unique, dtype=object))] = ""
        return words[codes]
    words = np.array([write(value) for value in objects], dtype=object)
    words[missing_cells(objects)] = ""
    return words


def _text(value: object) -> str:
    """A cell as a category's name: 2, 2.0 and "2" are one."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _truth(value: object) -> str:
    """A cell of a boolean column as "True" or "False", if it is one of the usual ways to write them."""
    return {"true": "True", "1": "True", "false": "False", "0": "False"}.get(_text(value).lower(), _text(value))


def _objects(values: pd.Series[Any], name: str) -> NDArray[Any]:
    """The cells as Python objects; refuses cells that hold anything but one value."""
    objects = np.asarray(values.to_numpy(dtype=object), dtype=object)
    if types.infer_dtype(objects, skipna=True) in ("mixed", "mixed-integer"):
        single = (str, bytes, numbers.Number, np.generic, Decimal, datetime.date, datetime.time, datetime.timedelta)
        for value in objects:
            if isinstance(value, complex | np.complexfloating):
                raise DataError(f"Complex data not supported: column {name!r}.")
            if not (value is None or value is pd.NA or value is pd.NaT or isinstance(value, single)):
                kind = type(value).__name__
                raise CellTypeError(f"a cell's argument must be a string or a number, got {kind} in column {name!r}.")
    return objects


def _refuse_complex(values: pd.Series[Any], name: str) -> None:
    complex_cells = values.dtype == object and types.infer_dtype(values, skipna=True) == "complex"
    if complex_cells or types.is_complex_dtype(values.dtype):
        raise DataError(f"Complex data not supported: column {name!r}.")


def missing_cells(objects: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a cell is missing."""
    missing: NDArray[np.bool_] = np.asarray(pd.isna(objects), dtype=bool)
    if objects.dtype.kind not in "OUS":
        return missing
    blank = [isinstance(value, str) and value.strip() in MISSING_TEXTS for value in objects]
    return np.array(blank, dtype=bool) | missing
