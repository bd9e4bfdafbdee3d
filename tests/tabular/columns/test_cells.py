import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from thinnet.tabular.columns._cells import infer_kind, read_column

NAN = float("nan")
DATES = [datetime.date(1970, 1, 2), datetime.date(1970, 1, 11)]

KINDS = {
    "ints": (pd.Series([1, 2]), "numeric"),
    "floats": (pd.Series([1.5, NAN]), "numeric"),
    "nullable ints": (pd.Series([1, None], dtype="Int64"), "numeric"),
    "arrow ints": (pd.Series([1, None], dtype="int64[pyarrow]"), "numeric"),
    "numbers as text": (pd.Series(["1", " 2.5 ", ""]), "numeric"),
    "numbers as objects": (pd.Series([1, 2.5, None], dtype=object), "numeric"),
    "decimals": (pd.Series([Decimal("1.5"), Decimal(2)], dtype=object), "numeric"),
    "durations": (pd.Series(pd.to_timedelta([1, 2], unit="D")), "numeric"),
    "nothing": (pd.Series([None, None], dtype=object), "numeric"),
    "bools": (pd.Series([True, False]), "boolean"),
    "bools with a gap": (pd.Series([True, None, False], dtype=object), "boolean"),
    "nullable bools": (pd.Series([True, None], dtype="boolean"), "boolean"),
    "text": (pd.Series(["a", "b"]), "categorical"),
    "text objects": (pd.Series(["a", None], dtype=object), "categorical"),
    "arrow text": (pd.Series(["a", None], dtype="string[pyarrow]"), "categorical"),
    "mixed": (pd.Series([1, "a"], dtype=object), "categorical"),
    "bools beside text": (pd.Series([True, "a"], dtype=object), "categorical"),
    "category of numbers": (pd.Series([1, 2], dtype="category"), "categorical"),
    "category of bools": (pd.Series([True, False], dtype="category"), "categorical"),
    "times of day": (pd.Series([datetime.time(1), datetime.time(2)], dtype=object), "categorical"),
    "dates": (pd.Series(pd.to_datetime(["2020-01-01", None])), "datetime"),
    "dates with a zone": (pd.Series(pd.to_datetime(["2020-01-01"]).tz_localize("Europe/Rome")), "datetime"),
    "periods": (pd.Series(pd.period_range("2020-01", periods=2, freq="M")), "datetime"),
    "date objects": (pd.Series(DATES, dtype=object), "datetime"),
    "dates as text": (pd.Series(["2020-01-01", "2020-02-01T10:00:00Z", None]), "datetime"),
    "no dates after all": (pd.Series(["2020-01-01", "2020-02-31"]), "categorical"),
    "digits that are no ISO date": (pd.Series(["1/2/2020", "3/2/2020"]), "categorical"),
}


@pytest.mark.parametrize("case", KINDS)
def test_kinds(case: str) -> None:
    values, kind = KINDS[case]
    assert infer_kind(values, "x") == kind


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pd.Series(["1", " 2.5 ", "", "nan", None], dtype=object), "numeric", [1, 2.5, NAN, NAN, NAN]),
        (pd.Series([1, None], dtype="Int64"), "numeric", [1, NAN]),
        (pd.Series([True, False]), "numeric", [1, 0]),
        (pd.Series(pd.to_timedelta([36, None], unit="h")), "numeric", [1.5, NAN]),
        (pd.Series(["1970-01-02", "1970-01-01T12:00:00", ""]), "datetime", [1, 0.5, NAN]),
        (pd.Series(DATES, dtype=object), "datetime", [1, 10]),
        (pd.Series(pd.to_datetime(["1970-01-02"]).tz_localize("Etc/GMT-12")), "datetime", [0.5]),
        (pd.Series(["9999-12-31", "1970-01-01", "0001-01-01"]), "datetime", [2932896, 0, -719162]),
        (pd.Series(pd.period_range("1970-02", periods=1, freq="M")), "datetime", [31]),
    ],
)
def test_numbers_and_dates(values: "pd.Series", kind: str, expected: list[float]) -> None:
    read = read_column(values, "x", kind)
    assert read.dtype == np.float64
    np.testing.assert_array_equal(read.to_numpy(), expected)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pd.Series([1, "a", 2.0, None, " ", pd.NA], dtype=object), "categorical", ["1", "a", "2", "", "", ""]),
        (pd.Series([2.5, "a"], dtype=object), "categorical", ["2.5", "a"]),
        (pd.Series([1.0, None, 2.0], dtype="category"), "categorical", ["1", "", "2"]),
        (pd.Series(["b", "", "b", "NaN"]), "categorical", ["b", "", "b", ""]),
        (pd.Series([3, 1]), "categorical", ["3", "1"]),
        (pd.Series([True, None], dtype=object), "boolean", ["True", ""]),
        (pd.Series([True, None], dtype="boolean"), "boolean", ["True", ""]),
        (pd.Series([1.0, 0.0, NAN]), "boolean", ["True", "False", ""]),
        (pd.Series(["true", "FALSE", "maybe"]), "boolean", ["True", "False", "maybe"]),
    ],
)
def test_categories(values: "pd.Series", kind: str, expected: list[str]) -> None:
    read = read_column(values, "x", kind)
    assert read.dtype == object
    assert read.tolist() == expected


@pytest.mark.parametrize(
    "values", [[1.0, np.inf, -np.inf], [1e299, 1e301, -1e301], ["1", "inf", "-inf"], [1, 10**400, -(10**400)]]
)
def test_infinite_values_are_refused(values: list[object]) -> None:
    column = pd.Series(values, dtype=None if isinstance(values[0], float) else object)
    with pytest.raises(ValueError, match=r"X contains infinity: column 'pay' has 2 values beyond 1e\+300"):
        read_column(column, "pay", infer_kind(column, "pay"))


def test_text_among_numbers_is_refused_with_an_example() -> None:
    with pytest.raises(ValueError, match=r"column 'age' held numbers at fit and now holds 2 other .*, such as 'old'"):
        read_column(pd.Series(["1", "old", "older", ""]), "age", "numeric")


@pytest.mark.parametrize("values", [["soon"], [3.5], [7]])
def test_anything_but_dates_among_dates_is_refused(values: list[object]) -> None:
    with pytest.raises(ValueError, match="column 'day' held dates at fit and now holds 1 other value, such as"):
        read_column(pd.Series(values), "day", "datetime")


def test_dates_among_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="column 'age' held numbers at fit"):
        read_column(pd.Series(pd.to_datetime(["2020-01-01"])), "age", "numeric")


@pytest.mark.parametrize("values", [pd.Series([1j]), pd.Series([1j, "a", 2], dtype=object)])
def test_complex_numbers_are_refused(values: "pd.Series") -> None:
    with pytest.raises(ValueError, match="Complex data not supported: column 'x'"):
        infer_kind(values, "x")
    with pytest.raises(ValueError, match="Complex data not supported: column 'x'"):
        read_column(values, "x", "numeric")


@pytest.mark.parametrize("cell", [{"foo": "bar"}, [1, 2], np.zeros(2)])
def test_cells_of_several_values_are_refused(cell: object) -> None:
    values = pd.Series([1.0, 2.0], dtype=object)
    values.iat[0] = cell
    with pytest.raises(TypeError, match=f"must be a string or a number, got {type(cell).__name__} in column 'x'"):
        infer_kind(values, "x")


@pytest.mark.parametrize("kind", ["categorical", "boolean"])
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, "", " NaN "], ids=repr)
def test_cells_beside_a_missing_one_keep_their_text(kind: str, missing: object) -> None:
    for cells in (["True", missing, "False", "True"], [True, missing, False, True]):
        values = read_column(pd.Series(cells, dtype=object), "x", kind)
        assert values.tolist() == ["True", "", "False", "True"]
