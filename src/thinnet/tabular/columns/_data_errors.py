"""Errors of scikit-learn's input validation as thinnet's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from thinnet.errors import CellTypeError, DataError


@contextmanager
def as_data_error() -> Iterator[None]:
    """Raise ValueErrors and TypeErrors of the block, a validation of the user's data, as `DataError`.

    Example:
        >>> from sklearn.utils import check_array
        >>> with as_data_error():
        ...     check_array([1.0, 2.0], ensure_2d=False, ensure_min_samples=3)
        Traceback (most recent call last):
        thinnet.errors.DataError: Found array with 2 sample(s) (shape=(2,)) while a minimum of 3 is required.
    """
    try:
        yield
    except DataError:
        raise
    except TypeError as error:
        raise CellTypeError(*error.args) from error
    except ValueError as error:
        raise DataError(*error.args) from error
