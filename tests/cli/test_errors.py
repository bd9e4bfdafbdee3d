import errno
from pathlib import Path

import pytest

from thinnet.cli._errors import InputError, one_line, writing


@pytest.mark.parametrize(("code", "says"), [(errno.ENOSPC, "no space left"), (errno.EACCES, "Permission denied")])
def test_what_cannot_be_written_says_why(code: int, says: str) -> None:
    with pytest.raises(InputError, match=says), writing(Path("model")):
        raise OSError(code, {errno.ENOSPC: "No space", errno.EACCES: "Permission denied"}[code])


def test_an_error_is_one_line_and_never_empty() -> None:
    assert one_line(ValueError("a\n  b")) == "a b"
    assert one_line(KeyError()) == "KeyError"
