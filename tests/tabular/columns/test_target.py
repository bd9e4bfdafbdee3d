import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning

from thinnet.tabular.columns._target import infer_task, read_classes, read_numbers

LABELS = {
    "text": (["b", "a", "b"], ["a", "b"], "U"),
    "text objects": (np.array(["b", "a", "b"], dtype=object), ["a", "b"], "O"),
    "a series of text": (pd.Series(["b", "a", "b"]), ["a", "b"], "O"),
    "a category": (pd.Series(["b", "a", "b"], dtype="category"), ["a", "b"], "O"),
    "a category of ints": (pd.Series([7, 3, 7], dtype="category"), [3, 7], "i"),
    "ints": (np.array([7, 3, 7], dtype=np.int32), [3, 7], "i"),
    "int objects": (np.array([7, 3, 7], dtype=object), [3, 7], "i"),
    "whole floats": ([2.0, 1.0, 2.0], [1.0, 2.0], "f"),
    "nullable ints": (pd.Series([7, 3, 7], dtype="Int64"), [3, 7], "i"),
    "bools": ([True, False, True], [False, True], "b"),
    "nullable bools": (pd.Series([True, False, True], dtype="boolean"), [False, True], "b"),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_of_any_type(case: str) -> None:
    y, classes, kind = LABELS[case]
    target = read_classes(y)
    assert target.classes.tolist() == classes
    assert target.classes.dtype.kind == kind
    assert target.codes.dtype == np.int64
    assert target.classes[target.codes].tolist() == list(y)
    assert (target.left_out, target.present.tolist()) == (0, [True] * 3)


@pytest.mark.parametrize(
    "y",
    [
        np.array([2.0, np.nan, 1.0, 2.0]),
        pd.Series([2, None, 1, 2], dtype="Int64"),
        np.array([2, None, 1, 2], dtype=object),
        pd.Series(["b", "", "a", "b"]),
        pd.Series(["b", None, "a", "b"]),
        pd.Series(["b", pd.NA, "a", "b"], dtype="category"),
    ],
)
def test_rows_without_a_label_are_left_out_and_counted(y: Any) -> None:
    target = read_classes(y)
    assert target.codes.tolist() == [1, 0, 1]
    assert target.present.tolist() == [True, False, True, True]
    assert target.left_out == 1


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ones(10), r"only one class, 1\.0, in 10 rows"),
        (["a", "a", None], "only one class, 'a', in 2 rows"),
        ([0.5, 1.25, 2.0], "Unknown label type: continuous"),
        ([1.0, np.inf], "Input y contains infinity: 1 of 2 values"),
        ([1, "a", 2], "Unknown label type: the target's values are int and str, such as 1"),
        ([None, None], "no row has a target"),
        ([np.nan] * 3, "NaN"),
        (None, "requires y to be passed, but the target y is None"),
        ([[0, 1], [1, 0]], r"y should be a 1d array, got an array of shape \(2, 2\)"),
        (pd.DataFrame({"a": [0, 1], "b": [1, 0]}), r"y should be a 1d array, got an array of shape \(2, 2\)"),
    ],
)
def test_unusable_labels_are_refused(y: Any, message: str) -> None:
    if isinstance(y, list):
        y = np.array(y, dtype=object if any(isinstance(v, str | None) for v in y) else None)
    with pytest.raises(ValueError, match=message):
        read_classes(y)


@pytest.mark.parametrize("read", [read_classes, read_numbers])
def test_a_column_vector_is_read_with_scikit_learns_warning(read: Any) -> None:
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        column = read(np.array([[0], [1], [1]]))
    flat = read(np.array([0, 1, 1]))
    np.testing.assert_array_equal(*(t.codes if read is read_classes else t.values for t in (column, flat)))


def test_numbers_are_standardised_and_come_back() -> None:
    y = np.random.default_rng(0).normal(5, 3, size=100)
    target = read_numbers(y)
    np.testing.assert_allclose([target.mean, target.scale], [y.mean(), y.std()])
    np.testing.assert_allclose(target.mean + target.scale * target.values, y)
    np.testing.assert_allclose([target.values.mean(), target.values.var()], [0, 1], atol=1e-12)
    assert not target.constant


@pytest.mark.parametrize(
    "y",
    [
        np.array([1.0, np.nan, 3.0]),
        np.array([1, None, 3], dtype=object),
        pd.Series([1, None, 3], dtype="Int64"),
        pd.Series([1, None, 3], dtype="category"),
    ],
)
def test_rows_without_a_number_are_left_out_and_counted(y: Any) -> None:
    target = read_numbers(y)
    assert target.values.tolist() == [-1, 1]
    assert target.present.tolist() == [True, False, True]
    assert target.left_out == 1


@pytest.mark.parametrize("value", [0.0, 0.1, -1e300])
def test_a_constant_target(value: float) -> None:
    target = read_numbers([value] * 7)
    assert (target.values.tolist(), target.mean, target.scale, target.constant) == ([0.0] * 7, value, 1.0, True)


def test_numbers_near_the_largest_are_standardised() -> None:
    target = read_numbers([-1.5e308, 1.5e308])
    assert (target.values.tolist(), target.mean, target.scale) == ([-1, 1], 0, 1.5e308)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1.0, np.inf, -np.inf], "Input y contains infinity: 2 of 3 values"),
        (["1", "2"], "the target of a regressor must be numbers, got .*'1'"),
        (np.array(["a", "b"], dtype=object), "the target of a regressor must be numbers, got 'a'"),
        (np.array([1j, 2]), "Complex data not supported"),
        (np.array([1, "a"], dtype=object), "values are int and str"),
        (np.array([1, 10**400], dtype=object), "Input y contains infinity or a number too large"),
        ([np.nan] * 3, "NaN"),
        (np.zeros((3, 2)), "y should be a 1d array"),
    ],
)
def test_unusable_numbers_are_refused(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_numbers(y)


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (["a", "b", "c"], "classification"),
        ([True, False], "classification"),
        (pd.Series([1.5, 2.5], dtype="category"), "classification"),
        ([0, 1], "classification"),
        ([0.0, 1.0, np.nan], "classification"),
        (list(range(20)) * 2, "classification"),
        (list(range(21)) * 2, "regression"),
        (list(range(15)), "regression"),
        ([0.5, 1.0] * 10, "regression"),
        (np.array([1, 2, None] * 5, dtype=object), "classification"),
        (pd.Series([1.5, None], dtype="Float64"), "regression"),
        (np.array([Decimal("1.5"), Decimal(2)], dtype=object), "regression"),
        (np.array([1, "a"], dtype=object), "classification"),
    ],
)
def test_the_task_follows_from_the_values(y: Any, task: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert infer_task(y) == task


def test_labels_that_never_repeat_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a different class in each of its 30 rows, as an identifier has"):
        read_classes([f"customer {i}" for i in range(30)])
