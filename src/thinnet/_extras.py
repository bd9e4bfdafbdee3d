"""Optional dependencies: the error for a missing one names the extra to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needed_for(what: str) -> Iterator[None]:
    """Turn a missing module in an import of the block into an error that says what installs it.

    Args:
        what: what needs the imported modules, as the start of a sentence.

    Raises:
        ModuleNotFoundError: a module is not installed.

    Example:
        >>> with needed_for("a figure"):
        ...     import no_such_module
        Traceback (most recent call last):
        ModuleNotFoundError: a figure needs no_such_module: pip install "thinnet[tabular]"
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f'{what} needs {missing.name}: pip install "thinnet[tabular]"', name=missing.name
        ) from missing
