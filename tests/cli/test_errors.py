import errno
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.utils import check_array

from thinnet import errors
from thinnet.cli._errors import InputError, from_user, one_line, writing
from thinnet.errors import ThinnetError
from thinnet.report import Curve
from thinnet.tabular import ThinNetClassifier

NAMED = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ThinnetError)]


@pytest.mark.parametrize("kind", NAMED)
def test_an_error_named_by_thinnet_is_the_users(kind: type[ThinnetError]) -> None:
    with pytest.raises(InputError, match="one line, two"), from_user():
        raise kind("one line,\ntwo")


def test_what_a_data_validation_refuses_is_the_users() -> None:
    model = ThinNetClassifier()
    with pytest.raises(InputError, match="Found array with 0 sample"), from_user():
        model.fit(np.zeros((0, 2)), [0, 1])
    with pytest.raises(InputError, match="Sparse data was passed"), from_user():
        model.fit(sparse.csr_array(np.eye(2)), [0, 1])


@pytest.mark.parametrize("kind", [ValueError, TypeError, KeyError, AssertionError])
def test_any_other_error_is_our_fault_wherever_it_is_raised(kind: type[Exception]) -> None:
    with pytest.raises(kind, match="ours"), from_user():
        raise kind("ours")
    with pytest.raises(ValueError, match="curve 'x': epochs, train and held_out must have one length"), from_user():
        Curve("x", [1], [], [], 1)
    with pytest.raises(ValueError, match="contains infinity"), from_user():
        check_array(np.array([[np.inf]]))


@pytest.mark.parametrize(("code", "says"), [(errno.ENOSPC, "no space left"), (errno.EACCES, "Permission denied")])
def test_what_cannot_be_written_says_why(code: int, says: str) -> None:
    with pytest.raises(InputError, match=says), writing(Path("model")):
        raise OSError(code, {errno.ENOSPC: "No space", errno.EACCES: "Permission denied"}[code])


def test_an_error_is_one_line_and_never_empty() -> None:
    assert one_line(ValueError("a\n  b")) == "a b"
    assert one_line(KeyError()) == "KeyError"
