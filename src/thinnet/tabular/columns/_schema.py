"""A user's table, whatever its form, read into typed columns by a schema that is learnt once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thinnet._suggest import near_misses
from thinnet.errors import DataError
from thinnet.tabular.columns._cells import Kind, infer_kind, read_column
from thinnet.tabular.columns._data_errors import as_data_error

Labels = Literal["text", "numbers", "none"]
"""How the columns were labelled: by text (a DataFrame), by other labels (a DataFrame too), or not at all (an array)."""

DISTINCT_ROWS = 20
"""From this many rows on, a text column without a single repetition is taken for an identifier."""

NEAR_DISTINCT = 0.9
"""A text column with a larger share of distinct values is noted as near-unique."""


@dataclass(frozen=True)
class Column:
    """A column that the model uses: its name, its place in the table and what its values are."""

    name: str
    position: int
    kind: Kind


@dataclass(frozen=True)
class Dropped:
    """A column that is left out, and why."""

    column: str
    reason: str


@dataclass(frozen=True)
class Schema:
    """What was learnt about a table: the columns in use, those left out, and remarks.

    Attributes:
        columns: the columns in use, in the table's order.
        dropped: the columns left out, each with its reason.
        notes: remarks on columns that are used but deserve a look.
        width: number of columns of the table, those left out included.
        labels: how the table's columns were labelled.
    """

    columns: tuple[Column, ...]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...]
    width: int
    labels: Labels

    @property
    def names(self) -> list[str]:
        """All columns of the training table, those in use first."""
        return [*(column.name for column in self.columns), *(dropped.column for dropped in self.dropped)]

    def read(self, X: Any, *, estimator: str = "the model") -> pd.DataFrame:
        """Another table by this schema: its columns typed as at fit, in the same order.

        A DataFrame's columns are matched by name, in any order, and additional ones are ignored; an
        array's by position.

        Args:
            X: table of n rows, in any form that `learn` takes.
            estimator: name of the estimator, for messages.

        Returns:
            (n, columns in use): float64 (missing is NaN) for numbers and dates, object (missing is "") otherwise.

        Raises:
            DataError: a column is missing, holds text where numbers were, or is infinite; the width differs.
        """
        frame, labels = as_frame(X)
        if "none" in (labels, self.labels):
            self._check_positions(frame.shape[1], labels, estimator)
            picked = [frame.iloc[:, column.position] for column in self.columns]
        else:
            self._check_names(list(frame.columns))
            picked = [frame[column.name] for column in self.columns]
        typed = {
            column.name: read_column(values, column.name, column.kind)
            for column, values in zip(self.columns, picked, strict=True)
        }
        return pd.DataFrame(typed, copy=False)

    def _check_positions(self, width: int, labels: Labels, estimator: str) -> None:
        if width != self.width:
            raise DataError(f"X has {width} features, but {estimator} is expecting {self.width} features as input.")
        if labels == "text":
            warnings.warn(f"X has feature names, but {estimator} was fitted without feature names", stacklevel=4)
        if self.labels == "text":
            warnings.warn(
                f"X does not have valid feature names, but {estimator} was fitted with feature names", stacklevel=4
            )

    def _check_names(self, names: list[str]) -> None:
        given = set(names)
        missing = [column.name for column in self.columns if column.name not in given]
        if not missing:
            return
        spare = sorted(given - {column.name for column in self.columns})
        near = {name: near_misses(name, spare, most=1) for name in missing[:5]}
        told = [f"{name!r} (did you mean {close[0]!r}?)" if close else repr(name) for name, close in near.items()]
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise DataError(
            f"columns seen at fit are missing from the table: {', '.join(told)}{more}. Add or rename them; "
            "a column without values may be filled with missing values."
        )


def learn(X: Any, *, rows: NDArray[np.bool_] | None = None) -> tuple[Schema, pd.DataFrame]:
    """The schema of a training table, and the table read by it.

    Numbers are ints, floats, nullable numbers, durations (in days) and text that reads as numbers throughout; dates
    are date types and text in ISO 8601 throughout, read as days since 1970 (UTC); everything else is a category, a
    column that mixes numbers and text included. None, NaN, NaT, NA and empty text are missing. Columns that are
    missing throughout, constant (nothing missing), or text without any repetition (from 20 rows on) are left out.

    Args:
        X: DataFrame, anything with `to_pandas`, 2-D array or list of rows: n rows.
        rows: (n,) the rows to learn from and to return; all by default.

    Returns:
        The schema, and the chosen rows as `Schema.read` gives them.

    Raises:
        DataError: no rows or columns, names that repeat, infinite values, not 2-D, or no column left to use.
        CellTypeError: a sparse matrix, or cells that are neither text, number nor date.

    Example:
        >>> table = pd.DataFrame({"age": ["31", "40", ""], "town": ["Bonn", "Rom", "Bonn"], "unit": ["m", "m", "m"]})
        >>> schema, frame = learn(table)
        >>> [(column.name, column.kind) for column in schema.columns]
        [('age', 'numeric'), ('town', 'categorical')]
        >>> schema.dropped
        (Dropped(column='unit', reason='constant'),)
        >>> frame["age"].tolist()
        [31.0, 40.0, nan]
    """
    frame, labels = as_frame(X, min_rows=2)
    if rows is not None:
        from sklearn.utils import check_consistent_length  # reading a DataFrame needs no scikit-learn

        with as_data_error():
            check_consistent_length(frame, rows)
        frame = frame[rows]
    columns: list[Column] = []
    dropped: list[Dropped] = []
    notes: list[str] = []
    typed: dict[str, pd.Series[Any]] = {}
    for position, name in enumerate(frame.columns):
        kind = infer_kind(frame.iloc[:, position], name)
        values = read_column(frame.iloc[:, position], name, kind)
        reason = _uselessness(values, kind)
        if reason:
            dropped.append(Dropped(name, reason))
            continue
        columns.append(Column(name, position, kind))
        typed[name] = values
        present = values[values != ""] if kind == "categorical" else values[:0]
        if len(present) >= DISTINCT_ROWS and (distinct := present.nunique()) > NEAR_DISTINCT * len(present):
            notes.append(f"column {name!r}: {distinct} distinct texts in {len(present)} rows, most of them grouped.")
    if not columns:
        reasons = ", ".join(f"{d.column!r} ({d.reason})" for d in dropped[:5])
        raise DataError(f"no column of the table is of use: {reasons}. A column must hold at least two values.")
    schema = Schema(tuple(columns), tuple(dropped), tuple(notes), frame.shape[1], labels)
    return schema, pd.DataFrame(typed, copy=False)


def _uselessness(values: pd.Series[Any], kind: Kind) -> str | None:
    """Why a typed column cannot help any model, or None."""
    missing = values == "" if values.dtype == object else values.isna()
    present = values[~missing]
    if present.empty:
        return "every value is missing"
    distinct = present.nunique()
    if distinct == 1 and not missing.any():
        return "constant"
    if kind == "categorical" and distinct == len(present) >= DISTINCT_ROWS:
        return "text without any repetition, such as an identifier"
    return None


def as_frame(X: Any, *, min_rows: int = 1) -> tuple[pd.DataFrame, Labels]:
    """X as a DataFrame with distinct text column names, and how its columns were labelled.

    Raises:
        DataError: fewer rows than `min_rows`, no columns, complex, not 2-D, or names that repeat.
        CellTypeError: a sparse matrix.
    """
    to_pandas: Callable[[], Any] | None = getattr(X, "to_pandas", None)
    if to_pandas is not None:
        X = to_pandas()
    if isinstance(X, pd.DataFrame):
        labels: Labels = "text" if all(isinstance(name, str) for name in X.columns) else "numbers"
        frame = X.set_axis([str(name) for name in X.columns], axis=1).reset_index(drop=True)
    else:
        lengths = {len(row) for row in X if isinstance(row, list | tuple)} if isinstance(X, list | tuple) else set()
        if len(lengths) > 1:
            raise DataError(f"the rows of X have different lengths: {min(lengths)} to {max(lengths)} cells.")
        # a list of rows keeps its cells' own types: a plain asarray would turn numbers beside text into text
        cells = np.asarray(X, dtype=object) if isinstance(X, list | tuple) else X
        from sklearn.utils import check_array  # reading a DataFrame needs no scikit-learn

        with as_data_error():
            array = check_array(
                cells, dtype=None, ensure_all_finite=False, ensure_min_samples=0, ensure_min_features=0, input_name="X"
            )
        frame, labels = pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])]), "none"
    if len(frame) < min_rows or frame.shape[1] == 0:
        from sklearn.utils import check_array

        # scikit-learn's own words, which its checks of estimators look for
        shape_only = np.broadcast_to(np.float64(0), frame.shape)
        with as_data_error():
            check_array(shape_only, ensure_all_finite=False, ensure_min_samples=min_rows, input_name="X")
    twice = frame.columns[frame.columns.duplicated()].unique().tolist()
    if twice:
        raise DataError(f"column names must be distinct, but {', '.join(map(repr, twice[:5]))} repeats. Rename it.")
    return frame, labels
