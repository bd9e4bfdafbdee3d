import numpy as np
import pytest

from thinnet.search._strength_plan import StrengthPlan


@pytest.mark.parametrize("direction", ["up", "down"])
def test_given_strengths_come_one_by_one_whatever_was_measured(direction: str) -> None:
    plan = StrengthPlan(direction, [3.0, 1.0], 50, 1e-3)
    assert [plan.next(done, largest, left=False) for done in range(3) for largest in (None, 7.0)] == [
        3.0, 3.0, 1.0, 1.0, None, None,
    ]  # fmt: skip


def test_downward_they_are_numpys_geometric_grid() -> None:
    plan = StrengthPlan("down", None, 7, 1e-2)
    found = [plan.next(done, 4.0, left=done > 0) for done in range(7)]
    np.testing.assert_allclose(found, np.geomspace(4.0, 0.04, 7), rtol=1e-12)
    assert found[0] == 4.0
    assert plan.next(7, 4.0, left=True) is None


def test_upward_the_dense_network_comes_first_and_then_the_grid_until_nothing_is_left() -> None:
    plan = StrengthPlan("up", None, 5, 1e-2)
    assert plan.next(0, None, left=True) == plan.next(0, None, left=False) == 0.0
    found = [plan.next(done, 4.0, left=True) for done in range(1, 6)]
    np.testing.assert_allclose(found, np.geomspace(0.04, 4.0, 5), rtol=1e-12)
    assert plan.next(3, 4.0, left=False) is None


def test_upward_the_grid_goes_on_by_its_own_factor_to_twice_its_length() -> None:
    plan = StrengthPlan("up", None, 5, 1e-2)
    found = [plan.next(done, 4.0, left=True) for done in range(1, 12)]
    np.testing.assert_allclose(found[:10], 0.04 * np.sqrt(10.0) ** np.arange(10), rtol=1e-12)
    assert found[10] is None


def test_a_single_strength_is_the_largest() -> None:
    assert StrengthPlan("down", None, 1, 0.1).next(0, 4.0, left=True) == 4.0
    up = StrengthPlan("up", None, 1, 0.1)
    assert [up.next(done, 4.0, left=True) for done in range(4)] == pytest.approx([0.0, 4.0, 40.0, None])


@pytest.mark.parametrize(
    ("direction", "given", "done", "largest", "needed"),
    [
        ("down", None, 0, None, True),
        ("down", [1.0], 0, None, True),  # the way there ends where they begin
        ("down", None, 1, 4.0, False),
        ("down", [1.0], 1, None, False),
        ("up", None, 0, None, False),  # before there is a dense network
        ("up", None, 1, None, True),
        ("up", None, 1, 4.0, False),
        ("up", [1.0], 1, None, False),
    ],
)
def test_when_the_largest_is_measured(direction, given, done, largest, needed: bool) -> None:
    assert StrengthPlan(direction, given, 5, 0.1).needs_largest(done, largest) is needed
