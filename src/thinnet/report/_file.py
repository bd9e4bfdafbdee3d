"""Writing a page: the old file or the whole new one, never a part."""

from __future__ import annotations

from pathlib import Path

from thinnet._files import write_text


def write_page(page: str, path: Path) -> Path:
    """Write an HTML page to a file, whole or not at all, and return the path.

    Raises:
        OSError: if the file cannot be written; an older one is then unchanged.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; a report is one file, such as {path / 'report.html'}.")
    write_text(path, page)
    return path
