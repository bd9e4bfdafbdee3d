"""Write tables to files, whole or not at all, and text to stdout; refuse places that cannot be written."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from thinnet._files import replacing_file
from thinnet.cli._errors import InputError, writing
from thinnet.cli._read import TEXT, suffix

if TYPE_CHECKING:
    import pandas as pd


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table in the format that the path's suffix says; a reader sees the old file or the whole new one."""
    kind = suffix(path)
    with writing(path), replacing_file(path) as partial:
        if kind in TEXT:
            frame.to_csv(partial, sep=TEXT[kind], index=False, compression="gzip" if kind.endswith(".gz") else None)
        elif kind == ".parquet":
            frame.to_parquet(partial, index=False)
        else:
            frame.to_feather(partial)


def to_stdout(content: str) -> None:
    """Print text as it is; a reader that has seen enough (`| head`) is no error."""
    try:
        sys.stdout.write(content)
        sys.stdout.flush()
    except BrokenPipeError:
        # the interpreter flushes stdout once more when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def check_output_file(out: Path, is_ours: Callable[[Path], bool], what: str) -> None:
    """Refuse, before any work, an output file that stands for something else or that cannot be written.

    Args:
        out: the file.
        is_ours: whether an existing file may be replaced, because thinnet wrote it.
        what: what thinnet writes there, for the message.
    """
    if out.exists() and (out.is_dir() or not is_ours(out)):
        raise InputError(f"{out} exists and is not {what}: name another file, or remove it.")
    check_place(out)
    if not out.absolute().parent.is_dir():
        raise InputError(f"cannot write {out}: there is no folder {out.parent}; make it first.")


def check_place(path: Path, free: int = 1 << 25) -> None:
    """Refuse, before any work, a place that cannot be written or has less than `free` bytes left."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise InputError(f"cannot write {path}: {folder} is a file, not a folder; name another place.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: no permission to write in {folder}; name another place.")
    left = shutil.disk_usage(folder).free
    if left < free:
        raise InputError(
            f"no space left to write {path}: {folder} has {left / 1e6:.0f} MB, {free / 1e6:.0f} MB are needed; "
            "free some, or name another place."
        )
