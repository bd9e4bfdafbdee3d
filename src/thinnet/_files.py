"""Atomic writes: a reader sees the old file or folder, or the whole new one, never a part."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"
"""Suffix of the hidden temporary folders; one that is left over was written by a process that was killed."""


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; the file written there replaces `path` when the block ends without an error.

    The temporary file has the same name, in a hidden folder beside `path`: some formats store the name of the file that
    they are written to. File and folder are synced to the disk, so that a power cut leaves the old file or the new one.

    Raises:
        OSError: the file cannot be written; an older one is then unchanged, and nothing is left beside it.
    """
    with _temporary_folder(path) as folder:
        partial = folder / path.name
        yield partial
        _sync_file(partial)
        os.replace(partial, path)
    _sync_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by a file with this content, whole or not at all.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_bytes(Path(folder, "a"), b"new")
        ...     Path(folder, "a").read_bytes()
        b'new'
    """
    with replacing_file(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Replace `path` by a file with this text in UTF-8, line ends as they are, whole or not at all."""
    write_bytes(path, content.encode())


@contextmanager
def replacing_folder(path: Path, owned: Collection[str]) -> Iterator[Path]:
    """Yield a new empty folder, which replaces `path` when the block ends without an error.

    The folder that stood there is removed last, and put back if anything fails before. Its files that are not among
    `owned` move into the new folder.

    Args:
        path: the folder; its parent must exist.
        owned: names of the files that belong to what is replaced.

    Raises:
        OSError: the folder cannot be written; the old one is then unchanged.
    """
    with _temporary_folder(path) as partial:
        yield partial
        for file in partial.iterdir():
            _sync_file(file)
        _sync_folder(partial)
        if not path.exists():
            partial.rename(path)
            _sync_folder(path.parent)
            return
        old = partial.with_suffix(".old")
        path.rename(old)
        try:
            partial.rename(path)
        except BaseException:
            old.rename(path)
            raise
        _sync_folder(path.parent)
        for file in old.iterdir():
            if file.name not in owned:
                file.rename(path / file.name)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    folder = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:  # Windows syncs writable files only
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
