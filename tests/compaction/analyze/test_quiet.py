"""Suppression of what torch says."""

import sys

import pytest

from thinnet.compaction.analyze._quiet import quiet


def test_quiet_ends_with_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="loud"), quiet():
        print("hidden", file=sys.stderr)
        raise RuntimeError("loud")
    print("shown", file=sys.stderr)
    assert capsys.readouterr().err == "shown\n"
