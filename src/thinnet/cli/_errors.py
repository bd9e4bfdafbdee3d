"""Errors that end a command, each with one line that says who has to act."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thinnet.errors import ThinnetError

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class InputError(ThinnetError):
    """Unusable input of a command: exit status 2; the message says what, where and the remedy."""


class Stopped(Exception):
    """Ctrl-C: exit status 130, the message says what was saved."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what keeps `path` from being written into an `InputError` that says so."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise InputError(
                f"no space left to write {path}: free some, or name another place; nothing was written there."
            ) from error
        raise InputError(f"cannot write {path}: {error.strerror or one_line(error)}; name another place.") from error


def one_line(error: BaseException) -> str:
    """The message of an error, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
