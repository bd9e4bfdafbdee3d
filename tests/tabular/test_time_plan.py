import time

import pytest

from thinnet.tabular._budget import Budget
from thinnet.tabular._time_plan import (
    TimePlan,
    feature_time,
    fraction_after_features,
    fraction_during_features,
)


def budget(limit: float | None, elapsed: float = 0.0) -> Budget:
    return Budget(limit, start=time.monotonic() - elapsed)


@pytest.mark.parametrize(("stages", "kept", "training"), [(0, 0, 76), (1, 12, 64.6), (2, 24, 53.2)])
def test_what_is_left_is_divided(stages: int, kept: float, training: float) -> None:
    plan = TimePlan.of(budget(100.0, elapsed=20), stages=stages)
    assert plan.stage_seconds == pytest.approx(kept, abs=0.1)
    assert plan.training_seconds == pytest.approx(training, abs=0.1)  # 0.95 of 80 less what is kept
    assert plan.round_time(1).limit == pytest.approx(training, abs=0.1)
    assert plan.round_time(3).limit == pytest.approx(training / 3, abs=0.1)


def test_what_is_kept_for_the_stages_does_not_shrink_while_others_train() -> None:
    whole = budget(100.0)
    plan = TimePlan.of(whole, stages=2)
    whole.start -= 60  # 40 seconds are left, 30 of them kept
    assert plan.round_time(1).limit == pytest.approx(9.5, abs=0.1)
    assert plan.stage_time().limit == pytest.approx(38, abs=0.1)
    whole.start -= 60
    assert plan.round_time(1).limit == plan.stage_time().limit == 0


def test_without_a_limit_nothing_is_limited() -> None:
    plan = TimePlan.of(budget(None, elapsed=1e6), stages=2)
    assert plan.stage_seconds == 0
    assert plan.training_seconds == float("inf")
    assert plan.round_time(3).limit is None
    assert plan.stage_time().limit is None
    assert feature_time(plan.budget).limit is None


def test_the_selection_of_features_has_its_share_of_what_is_left() -> None:
    assert feature_time(budget(100.0, elapsed=20)).limit == pytest.approx(24, abs=0.1)


@pytest.mark.parametrize("stages", [0, 1, 2])
def test_the_fractions_of_the_phases_join(stages: int) -> None:
    plan = TimePlan.of(budget(None), stages=stages)
    assert plan.training_fraction(0, rounds=3) == 0
    assert plan.training_fraction(1.5, rounds=3) == pytest.approx((1 - 0.15 * stages) / 2)
    assert plan.training_fraction(3, rounds=3) == pytest.approx(plan.stage_fraction(0))
    assert plan.stage_fraction(1) == 1
    assert fraction_during_features(0) == 0
    assert fraction_during_features(1) == fraction_after_features(0) == 0.3
    assert fraction_after_features(1) == 1
