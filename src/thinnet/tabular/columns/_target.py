"""The column to predict: labels to codes, numbers to standardised numbers, rows without a value left out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from thinnet.errors import DataError
from thinnet.tabular.columns._cells import missing_cells
from thinnet.tabular.columns._data_errors import as_data_error

Task = Literal["classification", "regression"]

UNREPEATED_ROWS = 20
"""From this many rows on, labels without any repetition are refused."""

CLASSES_AT_MOST = 20
"""Whole numbers with more distinct values than this are taken for quantities."""

NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")
"""What pandas calls objects that are all numbers."""


@dataclass(frozen=True, eq=False)
class ClassTarget:
    """Labels as codes.

    Attributes:
        classes: (C,) the distinct labels, sorted, in their own dtype.
        codes: (kept rows,) int64, `classes[codes]` are the labels.
        present: (n,) True where a row has a label.
    """

    classes: NDArray[Any]
    codes: NDArray[np.int64]
    present: NDArray[np.bool_]

    @property
    def outputs(self) -> int:
        """Outputs that networks need to predict it: one a class."""
        return len(self.classes)

    @property
    def encoded(self) -> NDArray[np.int64]:
        """What networks are trained on: the codes."""
        return self.codes

    @property
    def strata(self) -> NDArray[np.int64] | None:
        """What folds are spread evenly over: the codes."""
        return self.codes

    @property
    def left_out(self) -> int:
        """Number of rows without a label."""
        return int((~self.present).sum())


@dataclass(frozen=True, eq=False)
class NumberTarget:
    """Numbers standardised: value = mean + scale · standardised.

    Attributes:
        values: (kept rows,) float64 of mean 0 and variance 1; all 0 for a constant target.
        mean: mean of the target.
        scale: its standard deviation, 1 for a constant target.
        present: (n,) True where a row has a number.
    """

    values: NDArray[np.float64]
    mean: float
    scale: float
    present: NDArray[np.bool_]

    @property
    def outputs(self) -> int:
        """Outputs that networks need to predict it: one."""
        return 1

    @property
    def encoded(self) -> NDArray[np.float32]:
        """What networks are trained on: the standardised numbers."""
        return self.values.astype(np.float32)

    @property
    def strata(self) -> NDArray[np.int64] | None:
        """What folds are spread evenly over: nothing."""
        return None

    @property
    def left_out(self) -> int:
        """Number of rows without a number."""
        return int((~self.present).sum())

    @property
    def constant(self) -> bool:
        """Whether all numbers are equal."""
        return not self.values.any()


Target = ClassTarget | NumberTarget


def read_classes(y: Any) -> ClassTarget:
    """Labels of any one type as codes.

    Args:
        y: (n,) labels: text, whole numbers, booleans or categories; missing ones are left out.

    Raises:
        DataError: no label, only one class, continuous or infinite numbers, labels of several types, or more than one
            column.

    Example:
        >>> target = read_classes(["no", "yes", None, "no"])
        >>> target.classes.tolist(), target.codes.tolist(), target.left_out
        (['no', 'yes'], [0, 1, 0], 1)
    """
    cells, present = _cells(y)
    labels = cells[present]
    if labels.dtype == object:
        labels = _of_one_type(labels)
    _refuse_infinite(labels)
    # scikit-learn casts to integers, which fails for whole numbers beyond 64 bits
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The number of unique classes")  # refused below where it matters
        with as_data_error():
            check_classification_targets(labels)
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) == len(labels) >= UNREPEATED_ROWS:
        raise DataError(
            f"the target has a different class in each of its {len(labels)} rows, as an identifier has: nothing can be "
            "learned about classes that never repeat. Name another column, or predict it as a number."
        )
    if len(classes) < 2:
        raise DataError(
            f"the target has only one class, {classes[0].item() if hasattr(classes[0], 'item') else classes[0]!r}, "
            f"in {len(labels)} rows. A classifier needs rows of at least two."
        )
    return ClassTarget(classes, codes.astype(np.int64), present)


def read_numbers(y: Any) -> NumberTarget:
    """Numbers standardised.

    Args:
        y: (n,) numbers; missing ones are left out.

    Raises:
        DataError: no number, infinite numbers, text, complex numbers, or more than one column.

    Example:
        >>> target = read_numbers([1.0, 3.0, float("nan")])
        >>> target.values.tolist(), target.mean, target.scale, target.left_out
        ([-1.0, 1.0], 2.0, 1.0, 1)
    """
    cells, present = _cells(y)
    kept = cells[present]
    if kept.dtype == object:
        kept = _of_one_type(kept)
    if kept.dtype.kind not in "biuf":
        raise DataError(
            f"the target of a regressor must be numbers, got {kept[0]!r}. "
            "Convert it to numbers, or use a classifier for labels."
        )
    numbers = kept.astype(np.float64)
    _refuse_infinite(numbers)
    # a power of two brings the largest number to about 1, exactly, so that squares cannot overflow
    size = float(np.ldexp(1.0, int(np.frexp(np.abs(numbers).max())[1]) - 1))
    unit = numbers / size
    mean, scale = float(unit.mean()), float(unit.std())
    if scale <= 1e-12 * abs(mean) or np.ptp(unit) == 0:
        return NumberTarget(np.zeros_like(numbers), float(numbers[0]), 1.0, present)
    return NumberTarget((unit - mean) / scale, mean * size, scale * size, present)


def infer_task(y: Any) -> Task:
    """Classification or regression, by the target's values alone.

    Text, booleans, categories and labels of mixed types: classification. Numbers: classification if they are whole,
    have at most 20 distinct values and each occurs twice on average (or they have just two); otherwise regression.

    Example:
        >>> infer_task([0, 1, 1, 2, 2, 0]), infer_task([0.5, 1.0, 2.5]), infer_task(["a", "b"])
        ('classification', 'regression', 'classification')
    """
    if isinstance(getattr(y, "dtype", None), pd.CategoricalDtype):
        return "classification"
    cells, present = _cells(y)
    kept = cells[present]
    if kept.dtype == object:
        if pd.api.types.infer_dtype(kept, skipna=False) not in NUMBERS:
            return "classification"
        kept = _of_one_type(kept)
    if kept.dtype.kind not in "iuf":
        return "classification"
    whole = kept.dtype.kind in "iu" or bool((np.isfinite(kept) & (kept == np.round(kept))).all())
    distinct = len(np.unique(kept))
    few = distinct <= 2 or (distinct <= CLASSES_AT_MOST and 2 * distinct <= len(kept))
    return "classification" if whole and few else "regression"


def _cells(y: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The target as one array, and where it has a value."""
    if y is None:
        raise DataError("requires y to be passed, but the target y is None")
    array = np.asarray(y.to_numpy() if isinstance(y, pd.DataFrame) else y)
    if array.ndim == 2 and array.shape[1] != 1:
        raise DataError(
            f"y should be a 1d array, got an array of shape {array.shape} instead: "
            "one target at a time. Fit one model per column."
        )
    with as_data_error():
        cells = column_or_1d(array, warn=True)
    present = ~missing_cells(cells)
    if not present.any():
        raise DataError(f"Input y contains NaN or no value in each of its {len(cells)} rows: no row has a target.")
    return cells, present


def _refuse_infinite(kept: NDArray[Any]) -> None:
    infinite = int(np.isinf(kept).sum()) if kept.dtype.kind == "f" else 0
    if infinite:
        raise DataError(f"Input y contains infinity: {infinite} of {len(kept)} values. Replace or empty them.")


def _of_one_type(cells: NDArray[Any]) -> NDArray[Any]:
    """Objects as an array of their common type; text stays as it is."""
    inferred = pd.api.types.infer_dtype(cells, skipna=False)
    if inferred == "string":
        return cells
    if inferred in (*NUMBERS, "boolean"):
        array = np.array(cells.tolist())
        try:
            # still objects: decimals, and integers beyond 64 bits
            return array.astype(np.float64) if array.dtype == object else array
        except OverflowError as error:
            raise DataError("Input y contains infinity or a number too large for float64.") from error
    kinds = sorted({type(cell).__name__ for cell in cells})
    raise DataError(
        f"Unknown label type: the target's values are {' and '.join(kinds)}, such as {cells[0]!r}. "
        "Give it one type, for example with y.astype(str)."
    )
