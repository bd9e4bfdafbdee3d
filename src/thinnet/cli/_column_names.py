"""Column names of a table: each occurs once, and one that is missing is refused with its near misses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from thinnet._suggest import listed, suggestion
from thinnet.cli._errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def check_names(path: Path, names: Sequence[str]) -> None:
    """Refuse a table that has one column name twice."""
    twice = [name for name, times in Counter(names).items() if times > 1 and name]
    if twice:
        raise InputError(
            f"{path} has the column {listed(twice[:5], 'and')} more than once: rename or remove the other."
        )


def column(frame: pd.DataFrame, name: str, path: Path) -> pd.Series:
    """One column of a table.

    Raises:
        InputError: the table has no such column; the message names the near misses.
    """
    if name not in frame.columns:
        raise InputError(f"{path} has no column {name!r}. {suggestion(name, map(str, frame.columns))}".rstrip())
    return frame[name]


def check_columns(frame: pd.DataFrame, names: Sequence[str], path: Path) -> None:
    """Refuse a table that lacks some of the columns of the training table."""
    missing = [str(name) for name in names if name not in frame.columns]
    if len(missing) > 1:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise InputError(f"{path} lacks the columns {listed(missing[:5], 'and')}{more} that the model was trained on.")
    for name in missing:
        column(frame, name, path)
