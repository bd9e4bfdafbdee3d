"""What a command ends with when it does not end well: who has to act, in one line."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
VALIDATORS = (str(Path(__file__).parents[1]), str(Path("sklearn", "utils")))
"""Whose ValueErrors speak to the user: thinnet's own and scikit-learn's input validation."""


class InputError(Exception):
    """What the user gave cannot be used: exit status 2, the message says what, where and the remedy."""


class Stopped(Exception):
    """Ctrl-C: exit status 130, the message says what was saved."""


@contextmanager
def from_user() -> Iterator[None]:
    """Turn the errors that thinnet raises about the user's data into an `InputError`; leave our own faults alone."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
        if any(part in raised_in for part in VALIDATORS):
            raise InputError(one_line(error)) from error
        raise


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
