import gzip
from pathlib import Path

import pandas as pd
import pytest

from thinnet.cli._errors import InputError
from thinnet.cli._read import read_table


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("dup.csv", b"a,b,a\n1,2,3\n", "has the column 'a' more than once"),
        ("dup.csv", b'"a",b,"a"\n1,2,3\n', "has the column 'a' more than once"),
        ("semi.csv", b"a;b;c\n1;2;3\n4;5;6\n", "but semicolons in every line: separate it by commas"),
        ("tabs.csv", b"a\tb\n1\t2\n4\t5\n", r"but tabs in every line: separate it by commas, or name it \.tsv"),
        ("commas.tsv", b"a,b\n1,2\n4,5\n", "but commas in every line: separate it by tabs"),
        ("latin.csv", "name,x\nok,1\nJosé,2\n".encode("latin-1"), r"not UTF-8 text \(byte 0xe9 in line 3\)"),
        ("utf16.csv", "a,b\n1,2\n".encode("utf-16"), "is UTF-16 text"),
        ("binary.csv", b"a,b\n\x00\x01\x02\n", "is binary, not text"),
        ("blank.csv", b"\n \n\n", "nothing but blank lines"),
        ("headless.csv", b",,\n1,2,3\n", "has no header"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3\n", r"is not a table: Expected 2 fields in line 3, saw 3"),
        ("wide.csv", b"a,b\n1,2,3\n4,5,6\n", "more fields than the header's 2"),
        ("open.csv", b'a,b\n"x,2\n3,4\n', "is not a table: EOF inside string"),
        ("excel.csv", b"PK\x03\x04rest", "is a zip or Excel file, not text"),
        ("parquet.csv", b"PAR1rest", "is Parquet, not text"),
        ("zipped.csv", gzip.compress(b"a,b\n1,2\n", mtime=0), r"is gzipped: give it the suffix \.csv\.gz"),
        ("plain.csv.gz", b"a,b\n1,2\n", "is not a whole gzip file"),
        ("cut.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 500, mtime=0)[:-9], "is not a whole gzip file"),
        ("spoilt.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:12] + b"\xff" * 20, "is not a whole gzip file"),
    ],
)
def test_what_is_no_table_is_refused_by_name(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says) as raised:
        read_table(tmp_path / name)
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a,b\n1,2\n".encode("utf-8-sig"))
    assert list(read_table(tmp_path / "t.csv").columns) == ["a", "b"]


def test_names_may_hold_separators_quotes_and_line_ends(tmp_path: Path) -> None:
    frame = pd.DataFrame({'a "x", b': [1], "two\nlines": [2], "<script>": [3]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), frame)


def test_one_column_is_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text\na;b\nc\n")
    assert list(read_table(tmp_path / "t.csv")["text"]) == ["a;b", "c"]


def test_no_column_becomes_an_index(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",a\n0,5\n1,6\n")
    frame = read_table(tmp_path / "t.csv")
    assert frame.shape == (2, 2)
    assert list(frame.index) == [0, 1]
