"""Reading of Parquet and Feather files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import feather, parquet

from thinnet.cli._column_names import check_names
from thinnet.cli._errors import InputError, one_line


def read_arrow(path: Path) -> pd.DataFrame:
    """The table in a Parquet or Feather file.

    Raises:
        InputError: if it is neither, cut off, or has a name twice.
    """
    kind, read = (
        ("Parquet", parquet.read_table) if path.suffix.lower() == ".parquet" else ("Feather", feather.read_table)
    )
    try:
        table: pa.Table = read(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a whole {kind} file ({one_line(error)[:120]}): write or copy it again."
        ) from error
    check_names(path, table.column_names)
    frame: pd.DataFrame = table.to_pandas()
    return frame.reset_index(drop=True)
