"""Writing a page: the old file or the whole new one, never a part."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_page(page: str, path: Path) -> Path:
    """Write the page and return the path.

    Raises:
        OSError: if the file cannot be written; an older one is then left as it was.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; a report is one file, such as {path / 'report.html'}.")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)  # mkstemp's 0600 would keep colleagues from reading it
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path
