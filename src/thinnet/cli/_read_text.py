"""Reading of CSV and TSV files; one that cannot be read is refused with the reason and the remedy."""

from __future__ import annotations

import csv
import gzip
import io
import warnings
import zlib
from pathlib import Path

import pandas as pd

from thinnet.cli._column_names import check_names
from thinnet.cli._errors import InputError, one_line

MAGIC = {b"PAR1": "Parquet", b"ARROW1": "Feather", b"PK\x03\x04": "a zip or Excel file", b"%PDF": "PDF"}
NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
LOOK = 1 << 16
"""Bytes of the first look."""


def read_text(path: Path, separator: str) -> pd.DataFrame:
    """The table in a CSV or TSV file, gzipped or not.

    Raises:
        InputError: if it is not UTF-8 text, not separated as its suffix says, has a name twice or ragged rows.
    """
    content = text(path)
    names = next(csv.reader(io.StringIO(content[:LOOK], newline=""), delimiter=separator), [])
    if not any(names):
        raise InputError(f"{path} has no header: its first line must name the columns.")
    check_separator(path, content[:LOOK], names, separator)
    check_names(path, names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(io.StringIO(content), sep=separator, index_col=False, low_memory=False)
    except pd.errors.ParserWarning as error:
        raise InputError(
            f"{path}: the rows have more fields than the header's {len(names)}; name every column in the first line."
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = one_line(error).removeprefix("Error tokenizing data. C error: ")
        raise InputError(
            f"{path} is not a table: {reason}. Quote fields that hold {NAMES[separator]} or line ends."
        ) from error


def text(path: Path) -> str:
    """The file as text, without a byte order mark."""
    raw = unpacked(path)
    kind = next((kind for magic, kind in MAGIC.items() if raw.startswith(magic)), None)
    if kind is not None:
        raise InputError(f"{path} is {kind}, not text: give it the suffix of what it is, or save it as CSV.")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path} is UTF-16 text: save it as UTF-8 (iconv -f UTF-16 -t UTF-8).")
    if b"\0" in raw[:LOOK]:
        raise InputError(f"{path} is binary, not text: save the table as CSV, TSV, Parquet or Feather.")
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path} is not UTF-8 text (byte 0x{raw[error.start]:02x} in line {line}): save it as UTF-8, "
            "for example by iconv -f WINDOWS-1252 -t UTF-8."
        ) from error
    if not content.strip():
        raise InputError(f"{path} holds nothing but blank lines.")
    return content


def unpacked(path: Path) -> bytes:
    """The file's bytes, unzipped if its name says gzip."""
    zipped = path.name.lower().endswith(".gz")
    try:
        raw = path.read_bytes()
        if zipped:
            return gzip.decompress(raw)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a whole gzip file ({one_line(error)}): copy or download it again.") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from error
    if raw.startswith(b"\x1f\x8b"):
        raise InputError(f"{path} is gzipped: give it the suffix {path.suffix}.gz.")
    return raw


def check_separator(path: Path, start: str, names: list[str], separator: str) -> None:
    """Refuse a table of one column whose lines all hold another separator equally often."""
    lines = start.splitlines()[:20]
    lines = lines[:-1] if len(start) == LOOK and len(lines) > 1 else lines
    if len(names) > 1 or len(lines) < 2:
        return
    for other, name in NAMES.items():
        counts = {line.count(other) for line in lines if line}
        if other != separator and counts != {0} and len(counts) == 1:
            raise InputError(
                f"{path} has one column by its suffix, but {name} in every line: "
                f"separate it by {NAMES[separator]}{', or name it .tsv' if other == chr(9) else ''}."
            )
