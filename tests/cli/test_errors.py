import errno
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils import check_array

from thinnet.cli._errors import InputError, from_user, one_line, writing
from thinnet.report import Curve


def test_what_thinnet_refuses_is_the_users() -> None:
    with pytest.raises(InputError, match="curve 'x': epochs, train and held_out must have one length"), from_user():
        Curve("x", [1], [], [], 1)


def test_what_scikit_learns_validation_refuses_is_the_users() -> None:
    with pytest.raises(InputError, match="contains infinity"), from_user():
        check_array(np.array([[np.inf]]))


def test_what_another_library_raises_is_our_fault() -> None:
    with pytest.raises(ValueError, match="broadcast"), from_user():
        np.zeros(2) + np.zeros(3)


@pytest.mark.parametrize(("code", "says"), [(errno.ENOSPC, "no space left"), (errno.EACCES, "Permission denied")])
def test_what_cannot_be_written_says_why(code: int, says: str) -> None:
    with pytest.raises(InputError, match=says), writing(Path("model")):
        raise OSError(code, {errno.ENOSPC: "No space", errno.EACCES: "Permission denied"}[code])


def test_an_error_is_one_line_and_never_empty() -> None:
    assert one_line(ValueError("a\n  b")) == "a b"
    assert one_line(KeyError()) == "KeyError"
