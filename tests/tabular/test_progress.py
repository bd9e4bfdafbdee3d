from dataclasses import FrozenInstanceError

import pytest

from thinnet.tabular import Progress


def test_what_a_callback_is_told_cannot_be_changed_by_it() -> None:
    progress = Progress("training", 0.25, members=12, best=None, elapsed=3.0, left=9.0)
    assert (progress.phase, progress.fraction, progress.members, progress.best) == ("training", 0.25, 12, None)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'fraction'"):
        progress.fraction = 0.5  # type: ignore[misc]
