from types import SimpleNamespace

import pytest

from thinnet.tabular._budget import Budget
from thinnet.tabular.population._schedule import RUNGS, Schedule


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("thinnet.tabular._budget.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def seconds(total: int, step: int, per_step: float) -> float:
    """Step by step: the members left, and with them the cost, halve at each rung that is still ahead."""
    spent = 0.0
    for s in range(step, total):
        halvings = sum(step < rung * total and s >= int(rung * total) for rung in RUNGS)
        spent += per_step / 2**halvings
    return spent


def longest(limit: int, step: int, per_step: float, left: float) -> int:
    return max(t for t in range(step, limit + 1) if seconds(t, step, per_step) <= left + 1e-9)


def test_without_a_limit_the_total_never_changes() -> None:
    schedule = Schedule(100, Budget(None))
    while not schedule.over:
        schedule.step += 1
        schedule.spent(1, 1e9 * schedule.step, 7)
        assert schedule.total == 100
    assert schedule.step == 100
    assert schedule.done == 1


def test_without_rungs_no_member_is_expected_to_leave(clock: Clock) -> None:
    schedule = Schedule(1000, Budget(100.0, start=0.0), rungs=())
    schedule.step, clock.now = 10, 10.0
    schedule.spent(10, 10.0, 5)
    assert schedule.total == 100
    halved = Schedule(1000, Budget(100.0, start=0.0))
    halved.step = 10
    halved.spent(10, 10.0, 5)
    assert halved.total > 150


def test_the_learning_rate_warms_up_and_ends_at_zero() -> None:
    schedule = Schedule(1000, Budget(None))
    factors = []
    for step in range(1001):
        schedule.step = step
        factors.append(schedule.lr_factor())
    assert factors[0] == pytest.approx(1 / 31)
    assert factors[30] == 1
    assert factors[515] == pytest.approx(0.5)
    assert factors[1000] == pytest.approx(0, abs=1e-12)
    assert factors[:31] == sorted(factors[:31])
    assert factors[30:] == sorted(factors[30:], reverse=True)


def test_a_short_training_warms_up_too() -> None:
    schedule = Schedule(2, Budget(None))
    assert 0 < schedule.lr_factor() <= 1


@pytest.mark.parametrize(("step", "left"), [(1, 50.0), (20, 50.0), (40, 20.0), (60, 0.5), (60, 0.0), (10, 1e6)])
def test_the_total_is_the_largest_whose_expected_time_is_left(clock: Clock, step: int, left: float) -> None:
    schedule = Schedule(300, Budget(left, start=0.0), step=step)
    schedule.spent(step, 1.0 * step * 8, 8)  # 1 s a step and member, then 8 members
    assert schedule.total == longest(300, step, 8.0, left)


def test_a_shortened_training_grows_again_but_not_beyond_its_plan(clock: Clock) -> None:
    schedule = Schedule(300, Budget(100.0, start=0.0), step=10)
    schedule.spent(10, 100.0, 10)
    short = schedule.total
    assert short < 300
    schedule.step = 11
    schedule.spent(1, 5.0, 5)  # half the members left
    assert short < schedule.total < 300
    for step in (12, 13, 14):
        schedule.step = step
        schedule.spent(1, 1e-3, 1)
    assert schedule.total == 300


def test_a_single_slow_step_does_not_shorten(clock: Clock) -> None:
    schedule = Schedule(300, Budget(400.0, start=0.0))
    for duration in (1.0, 1.0, 1.0, 60.0):
        schedule.step += 1
        schedule.spent(1, duration, 1)
    assert schedule.total == 300


@pytest.mark.parametrize("cost", [0.002, 0.02, 0.1])
def test_a_training_with_halvings_ends_within_its_budget(clock: Clock, cost: float) -> None:
    schedule, members, rungs = Schedule(4000, Budget(60.0, start=0.0)), 40, list(RUNGS)
    while not schedule.over:
        start = clock.now
        for _ in range(min(10, schedule.total - schedule.step)):
            schedule.step += 1
            clock.now += cost * members
        schedule.spent(10, clock.now - start, members)
        if rungs and schedule.done >= rungs[0]:
            rungs.pop(0)
            members //= 2
        assert schedule.total <= 4000
    assert schedule.lr_factor() < 0.01  # it annealed, it was not cut off
    assert 48 < clock.now <= 60 + 10 * cost * members


def test_it_is_over_when_the_time_is(clock: Clock) -> None:
    schedule = Schedule(10, Budget(5.0, start=0.0))
    assert not schedule.over
    clock.now = 5.0
    assert schedule.over
