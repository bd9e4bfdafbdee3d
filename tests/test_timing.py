import time

import pytest

from thinnet import _timing
from thinnet._timing import latencies


class Clock:
    """Stands still but for what the calls take."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


def test_the_median_of_each_without_the_first_call(clock: Clock) -> None:
    durations = {"a": iter([100.0, 1.0, 2.0, 9.0, 3.0, 1.0]), "b": iter([100.0, 4.0, 4.0, 4.0, 5.0, 5.0])}
    order: list[str] = []

    def call(name: str) -> None:
        order.append(name)
        clock.now += next(durations[name])

    assert latencies([lambda: call("a"), lambda: call("b")], seconds=0.0) == [2.0, 4.0]
    assert order == ["a", "b"] * 6


def test_it_ends_by_time_and_by_number(clock: Clock) -> None:
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        clock.now += 0.1

    latencies([call], seconds=0.95)
    assert calls == 1 + 10
    calls = 0
    latencies([call], seconds=1e9)
    assert calls == 1 + _timing.MOST


def test_waiting_for_a_device_counts(clock: Clock) -> None:
    def wait() -> None:
        clock.now += 0.5

    assert latencies([lambda: None], seconds=0.0, wait=wait) == [0.5]
