import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from thinnet.tabular.columns._schema import Dropped, as_frame, learn


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [31, 40, None, 25],
            "town": ["Bonn", "Rom", None, "Bonn"],
            "member": [True, False, True, True],
            "since": pd.to_datetime(["2020-01-01", "2021-01-01", None, "2022-01-01"]),
        }
    )


def kinds(X: Any) -> dict[str, str]:
    schema, _ = learn(X)
    return {column.name: column.kind for column in schema.columns}


def test_a_frame_is_read_by_its_types() -> None:
    assert kinds(table()) == {"age": "numeric", "town": "categorical", "member": "boolean", "since": "datetime"}


def test_arrays_and_lists_get_names_and_their_cells_own_types() -> None:
    rows = [[1, "a", 2.5], [2, "b", "x"], [3, "a", None]]
    expected = {"x0": "numeric", "x1": "categorical", "x2": "categorical"}
    assert kinds(rows) == kinds(np.array(rows, dtype=object)) == expected
    assert kinds(np.array([["1", "a"], ["2", "b"]])) == {"x0": "numeric", "x1": "categorical"}
    assert kinds(np.array([[1.0, 2.0], [3.0, np.nan]])) == {"x0": "numeric", "x1": "numeric"}


def test_anything_with_to_pandas_is_a_frame() -> None:
    class Foreign:
        def to_pandas(self) -> pd.DataFrame:
            return table()

    assert kinds(Foreign()) == kinds(table())


def test_useless_columns_are_left_out_and_said_so() -> None:
    rows = 25
    frame = pd.DataFrame(
        {
            "number": range(rows),
            "one": ["m"] * rows,
            "none": [None] * rows,
            "blank": [" "] * rows,
            "id": [f"id{i}" for i in range(rows)],
            "one or none": [1.0, None, *[1.0] * (rows - 2)],
        }
    )
    schema, read = learn(frame)
    assert list(read.columns) == [c.name for c in schema.columns] == ["number", "one or none"]
    assert schema.dropped == (
        Dropped("one", "constant"),
        Dropped("none", "every value is missing"),
        Dropped("blank", "every value is missing"),
        Dropped("id", "text without any repetition, such as an identifier"),
    )
    assert schema.width == 6


def test_few_rows_of_distinct_text_are_no_identifiers_yet() -> None:
    assert kinds(pd.DataFrame({"town": [f"town {i}" for i in range(19)]})) == {"town": "categorical"}


def test_near_unique_text_is_noted() -> None:
    schema, _ = learn(pd.DataFrame({"name": [f"n{i}" for i in range(39)] + ["n0"]}))
    assert len(schema.notes) == 1
    assert "column 'name': 39 distinct texts in 40 rows" in schema.notes[0]


def test_only_the_chosen_rows_are_learnt_from() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "word or number": ["1", "2", "word"]}, index=[5, 5, 7])
    schema, read = learn(frame, rows=np.array([True, True, False]))
    assert [column.kind for column in schema.columns] == ["numeric", "numeric"]
    assert read["x"].tolist() == [1.0, 2.0]
    assert read.index.tolist() == [0, 1]


def test_rows_and_table_must_agree() -> None:
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        learn(table(), rows=np.array([True]))


def test_reading_again_gives_the_same() -> None:
    schema, read = learn(table())
    pd.testing.assert_frame_equal(schema.read(table()), read)
    pd.testing.assert_frame_equal(schema.read(table().astype(object)), read)


def test_columns_are_matched_by_name_in_any_order_beside_others() -> None:
    schema, read = learn(table())
    shuffled = table()[["since", "town", "age", "member"]].assign(other=1)
    pd.testing.assert_frame_equal(schema.read(shuffled), read)


def test_the_input_is_left_alone() -> None:
    frame = table()
    learn(frame)[0].read(frame)
    pd.testing.assert_frame_equal(frame, table())


def test_missing_columns_are_named_with_near_misses() -> None:
    schema, _ = learn(table())
    with pytest.raises(ValueError, match=r"missing from the table: 'age', 'town' \(did you mean 'Town'\?\)\. Add"):
        schema.read(table().rename(columns={"town": "Town"}).drop(columns="age"))


def test_many_missing_columns_are_counted() -> None:
    wide = pd.DataFrame(np.arange(16.0).reshape(2, 8), columns=list("abcdefgh"))
    schema, _ = learn(wide)
    with pytest.raises(ValueError, match="'e' and 3 more"):
        schema.read(pd.DataFrame({"z": [1.0]}))


def test_a_column_left_out_at_fit_may_be_absent() -> None:
    schema, read = learn(table().assign(one=1))
    pd.testing.assert_frame_equal(schema.read(table()), read)


def test_arrays_are_read_by_position_and_width() -> None:
    schema, _ = learn(np.array([[1.0, 5.0, 2.0], [3.0, 5.0, 4.0]]))
    read = schema.read(np.array([[7.0, 0.0, 8.0]]))
    assert read.to_numpy().tolist() == [[7.0, 8.0]]
    with pytest.raises(ValueError, match="X has 2 features, but Model is expecting 3 features as input"):
        schema.read(np.zeros((1, 2)), estimator="Model")


def test_names_on_one_side_only_warn_as_scikit_learn_does() -> None:
    numbers = np.array([[1.0, 2.0], [3.0, 4.0]])
    named = pd.DataFrame(numbers, columns=["a", "b"])
    with pytest.warns(UserWarning, match="X does not have valid feature names, but M was fitted with feature names"):
        assert learn(named)[0].read(numbers, estimator="M").columns.tolist() == ["a", "b"]
    with pytest.warns(UserWarning, match="X has feature names, but M was fitted without feature names"):
        learn(numbers)[0].read(named, estimator="M")


def test_numbered_columns_are_names_between_frames_and_positions_beside_arrays() -> None:
    frame = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]])
    schema, read = learn(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pd.testing.assert_frame_equal(schema.read(frame[[1, 0]]), read)
        pd.testing.assert_frame_equal(schema.read(frame.to_numpy()), read)
        learn(frame.to_numpy())[0].read(frame)


@pytest.mark.parametrize("columns", [["a", "a"], [1, "1"]])
def test_repeated_names_are_refused(columns: list[object]) -> None:
    with pytest.raises(ValueError, match=f"column names must be distinct, but '{columns[0]}' repeats"):
        learn(pd.DataFrame([[1, 2], [3, 4]], columns=columns))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros(3), "Reshape your data"),
        ([1.0, 2.0], "Reshape your data"),
        (pd.Series([1.0, 2.0]), "Expected a 2-dimensional container"),
        (np.zeros((2, 2, 2)), "dim 3"),
        (np.zeros((0, 3)), r"Found array with 0 sample\(s\)"),
        (pd.DataFrame({"a": []}), r"Found array with 0 sample\(s\)"),
        (np.zeros((12, 0)), r"0 feature\(s\) \(shape=\(12, 0\)\) while a minimum of 1 is required"),
        (pd.DataFrame(index=range(3)), r"0 feature\(s\)"),
        (np.zeros((2, 2)) + 1j, "Complex data not supported"),
        (pd.DataFrame({"a": [1j, 2]}), "Complex data not supported"),
        (np.ones((3, 2)), r"no column of the table is of use: 'x0' \(constant\), 'x1' \(constant\)"),
        (np.array([[1.0, np.inf], [2.0, 3.0]]), "X contains infinity: column 'x1' has 1 value beyond"),
        ([[1], [2, 3]], "the rows of X have different lengths: 1 to 2 cells"),
    ],
)
def test_unusable_tables_are_refused(X: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learn(X)


def test_one_row_is_enough_to_predict_and_too_few_to_fit() -> None:
    schema, _ = learn(table())
    assert len(schema.read(table().head(1))) == 1
    with pytest.raises(ValueError, match=r"1 sample.* minimum of 2 is required"):
        learn(table().head(1))


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csr_array])
def test_sparse_tables_are_refused(form: Any) -> None:
    with pytest.raises(TypeError, match="Sparse data was passed"):
        as_frame(form(np.eye(3)))
