import time
from dataclasses import FrozenInstanceError

import pytest

from thinnet.tabular import Progress
from thinnet.tabular._budget import Budget
from thinnet.tabular._progress import ProgressReporter


def test_what_a_callback_is_told_cannot_be_changed_by_it() -> None:
    progress = Progress("training", 0.25, members=12, best=None, elapsed=3.0, left=9.0)
    assert (progress.phase, progress.fraction, progress.members, progress.best) == ("training", 0.25, 12, None)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'fraction'"):
        progress.fraction = 0.5  # type: ignore[misc]


def reports(limit: float | None, elapsed: float, told: list[tuple[float, float]]) -> list[Progress]:
    seen: list[Progress] = []
    budget = Budget(limit, start=time.monotonic() - elapsed)
    report = ProgressReporter(seen.append, budget, units=lambda loss: loss**0.5)
    for fraction, best in told:
        report("training", fraction, 7, best)
    return seen


def test_the_fraction_never_falls_and_scores_are_in_the_users_units() -> None:
    infinity = float("inf")
    seen = reports(None, 0.0, [(0.0, infinity), (0.5, 9.0), (0.4, 4.0), (0.6, 4.0)])
    assert [progress.fraction for progress in seen] == [0.0, 0.5, 0.5, 0.6]
    assert [progress.best for progress in seen] == [None, 3.0, 2.0, 2.0]
    assert {(progress.phase, progress.members) for progress in seen} == {("training", 7)}


@pytest.mark.parametrize(
    ("limit", "elapsed", "fraction", "left"),
    [(None, 60, 0.75, 20), (65, 60, 0.75, 5), (50, 60, 0.75, 0), (9, 5, 1, 0)],
)
def test_the_time_left_follows_from_what_was_done_and_from_the_limit(
    limit: float | None, elapsed: float, fraction: float, left: float
) -> None:
    (progress,) = reports(limit, elapsed, [(fraction, 1.0)])
    assert progress.left == pytest.approx(left, abs=0.5)
    assert progress.elapsed == pytest.approx(elapsed, abs=0.5)


def test_without_a_callback_nothing_is_called() -> None:
    ProgressReporter(None, Budget(None), units=float)("training", 0.5, 1, 1.0)
