from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from thinnet.cli._errors import InputError
from thinnet.cli._read import read_table
from thinnet.cli._write import write_table


@pytest.mark.parametrize(("kind", "write"), [("parquet", parquet.write_table), ("feather", feather.write_feather)])
def test_a_name_that_stands_twice_is_refused(kind: str, write, tmp_path: Path) -> None:
    write(pa.table([[1], [2], [3]], names=["a", "b", "a"]), tmp_path / f"t.{kind}")
    with pytest.raises(InputError, match=r"has the column 'a' more than once|is not a whole"):
        read_table(tmp_path / f"t.{kind}")


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_a_truncated_file_is_refused(kind: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / f"t.{kind}"
    write_table(frame, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=f"is not a whole {kind.capitalize()} file"):
        read_table(path)


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_text_is_no_arrow_file(kind: str, tmp_path: Path) -> None:
    (tmp_path / f"t.{kind}").write_text("a,b\n1,2\n" * 10)
    with pytest.raises(InputError, match=f"is not a whole {kind.capitalize()} file"):
        read_table(tmp_path / f"t.{kind}")


def test_a_saved_index_is_no_column(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.sample(frac=1, random_state=0).to_parquet(tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet")
    assert list(read.columns) == list(frame.columns)
    assert list(read.index) == list(range(len(frame)))
