import itertools
import math
from collections.abc import Callable

import pytest

import thinnet as tn


def run(curve: Callable[[int], float], steps: int, p: float = 0.5) -> list[float]:
    """The rate at each step, the first before any."""
    layer = tn.Dropout(p)
    schedule, seen = tn.RateSchedule(layer, curve), [layer.p]
    for _ in range(steps):
        schedule.step()
        seen.append(layer.p)
    return seen


def test_curriculum_keeps_what_the_paper_keeps() -> None:
    # the paper's rate of keeping: (1 - θ) exp(-γ t) + θ, from 1 down to θ
    rates, keep, gamma = run(tn.schedules.curriculum(50, gamma=5), 60, p=0.3), 0.7, 5 / 50
    assert rates == pytest.approx([1 - ((1 - keep) * math.exp(-gamma * t) + keep) for t in range(61)])
    assert rates[0] == 0 and all(a < b < 0.3 for a, b in itertools.pairwise(rates))


def test_curriculum_is_nearly_whole_at_the_end_by_default() -> None:
    assert run(tn.schedules.curriculum(100), 100)[-1] == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("ramp", [tn.schedules.linear_ramp, tn.schedules.cosine_ramp])
def test_ramps_go_from_end_to_end_and_stay(ramp: Callable[..., Callable[[int], float]]) -> None:
    up = run(ramp(8, start=0.5), 10)
    assert up[0] == 0.25 and up[8:] == [0.5, 0.5, 0.5]
    assert all(a < b for a, b in itertools.pairwise(up[:9]))
    down = run(ramp(8, start=1, end=0.5), 10)
    assert [a + b for a, b in zip(up, down, strict=True)] == pytest.approx([0.75] * 11)
    # symmetric about the middle
    assert [a + b for a, b in zip(up[:9], up[8::-1], strict=True)] == pytest.approx([0.75] * 9)


def test_the_shape_of_each_ramp() -> None:
    assert run(tn.schedules.linear_ramp(4), 4) == [0, 0.125, 0.25, 0.375, 0.5]
    eighth = 0.5 * math.sin(math.pi / 8) ** 2
    assert run(tn.schedules.cosine_ramp(4), 4) == pytest.approx([0, eighth, 0.25, 0.5 - eighth, 0.5])


def test_early_and_late_dropout() -> None:
    assert run(tn.schedules.off_after(3), 5) == [0.5, 0.5, 0.5, 0, 0, 0]
    assert run(tn.schedules.on_after(3), 5) == [0, 0, 0, 0.5, 0.5, 0.5]
    assert run(tn.schedules.linear_ramp(4, start=1, end=0), 5) == [0.5, 0.375, 0.25, 0.125, 0, 0]


@pytest.mark.parametrize(
    "curve",
    [
        tn.schedules.curriculum,
        tn.schedules.linear_ramp,
        tn.schedules.cosine_ramp,
        tn.schedules.off_after,
        tn.schedules.on_after,
    ],
)
@pytest.mark.parametrize("steps", [0, -1, math.nan, math.inf])
def test_a_length_that_is_none_is_refused(curve: Callable[..., object], steps: float) -> None:
    with pytest.raises(ValueError, match=rf"{curve.__name__}: `steps` must be finite and > 0, got {steps}"):
        curve(steps)


def test_other_settings_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="curriculum: `gamma` must be finite and > 0, got 0"):
        tn.schedules.curriculum(10, gamma=0)
    with pytest.raises(ValueError, match="`levels` must be >= 1 or None, got 0"):
        tn.RateSchedule(tn.Dropout(0.5), tn.schedules.on_after(1), levels=0)
