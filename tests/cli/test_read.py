from pathlib import Path

import pandas as pd
import pytest

from thinnet.cli._errors import InputError
from thinnet.cli._read import FORMATS, read_table
from thinnet.cli._write import write_table


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_comes_back_as_written(kind: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / f"t{kind}"
    write_table(frame, path)
    pd.testing.assert_frame_equal(read_table(path), frame, check_dtype=False)


def test_a_suffix_counts_in_any_case(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "T.CSV", index=False)
    assert read_table(tmp_path / "T.CSV").shape == frame.shape


def test_a_missing_file_names_the_near_misses(tmp_path: Path) -> None:
    (tmp_path / "telco_churn.csv.gz").write_text("x")
    (tmp_path / "telco_churn.py").write_text("x")
    with pytest.raises(
        InputError, match=r"there is no file .*telco-churn\.csv\. Did you mean 'telco_churn\.csv\.gz'\?$"
    ):
        read_table(tmp_path / "telco-churn.csv")


def test_a_missing_folder_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*t\.csv\.$"):
        read_table(tmp_path / "nowhere" / "t.csv")


@pytest.mark.parametrize("name", ["t.xlsx", "t.parquet.gz", "t"])
def test_another_format_is_refused_with_ours(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("a,b\n1,2\n")
    with pytest.raises(
        InputError,
        match=r"(the suffix '\.(xlsx|gz)' is not supported|the name has no suffix); supported: \.csv, \.csv\.gz, \.tsv",
    ):
        read_table(tmp_path / name)


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder; give the table file in it"):
        read_table(tmp_path)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_empty_file_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / f"t{kind}").touch()
    with pytest.raises(InputError, match="is empty"):
        read_table(tmp_path / f"t{kind}")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_table_without_rows_is_refused(kind: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    write_table(frame.iloc[:0], tmp_path / f"t{kind}")
    with pytest.raises(InputError, match="has 6 columns but no rows"):
        read_table(tmp_path / f"t{kind}")
