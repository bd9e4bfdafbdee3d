from pathlib import Path

import pandas as pd
import pytest

from thinnet.cli._column_names import check_columns, check_names, column
from thinnet.cli._errors import InputError

PATH = Path("t.csv")


def test_a_name_twice_is_refused_by_name() -> None:
    check_names(PATH, ["a", "b", "", ""])
    with pytest.raises(InputError, match=r"^t\.csv has the column 'b' and 'c' more than once: rename or remove"):
        check_names(PATH, ["a", "b", "b", "c", "c"])


def test_a_missing_column_names_its_near_misses() -> None:
    frame = pd.DataFrame({"Churn": [1, 2], "tenure": [3, 4]})
    assert column(frame, "tenure", PATH).tolist() == [3, 4]
    with pytest.raises(InputError, match=r"^t\.csv has no column 'churn'\. Did you mean 'Churn'\?$"):
        column(frame, "churn", PATH)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a", "Age"], r"^t\.csv has no column 'Age'\. Did you mean 'age'\?$"),
        (["x", "y"], r"^t\.csv lacks the columns 'x' and 'y' that the model was trained on\.$"),
        (list("stuvwxyz"), r"^t\.csv lacks the columns 's', 't', 'u', 'v' and 'w' and 3 more that the model"),
    ],
)
def test_missing_columns_of_the_training_table_are_named(names: list[str], says: str) -> None:
    frame = pd.DataFrame({"a": [1], "age": [2]})
    check_columns(frame, ["age"], PATH)
    with pytest.raises(InputError, match=says):
        check_columns(frame, names, PATH)
