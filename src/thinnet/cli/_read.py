"""Read a table from a CSV, TSV, Parquet or Feather file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from thinnet._suggest import suggestion
from thinnet.cli._errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TEXT = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
"""The separator of each text format."""

ARROW = (".parquet", ".feather")
FORMATS = (*TEXT, *ARROW)


def suffix(path: Path) -> str:
    """The file format by the path's suffix."""
    for known in sorted(FORMATS, key=len, reverse=True):
        if path.name.lower().endswith(known):
            return known
    found = f"the suffix {path.suffix!r} is not supported" if path.suffix else "the name has no suffix"
    raise InputError(f"{path}: {found}; supported: {', '.join(FORMATS)}.")


def read_table(path: Path) -> pd.DataFrame:
    """The table in a file.

    Raises:
        InputError: if there is no such file, if it is not what its suffix says, or if it holds no rows.
    """
    check_file(path)
    if suffix(path) in TEXT:
        from thinnet.cli._read_text import read_text

        frame = read_text(path, TEXT[suffix(path)])
    else:
        from thinnet.cli._read_arrow import read_arrow

        frame = read_arrow(path)
    if frame.empty:
        raise InputError(f"{path} has {len(frame.columns)} columns but no rows.")
    return frame


def check_file(path: Path) -> None:
    """Refuse a path that is not a file with something in it."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; give the table file in it.")
        if not path.exists():
            beside = path.parent.iterdir() if path.parent.is_dir() else ()
            tables = [other.name for other in beside if other.name.lower().endswith(FORMATS)]
            raise InputError(f"there is no file {path}. {suggestion(path.name, tables)}".rstrip())
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty (0 bytes).")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from error
