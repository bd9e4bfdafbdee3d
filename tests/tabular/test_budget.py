import time

import pytest

from thinnet.tabular._budget import Budget


def test_a_budget_counts_from_its_start() -> None:
    budget = Budget(100.0, start=time.monotonic() - 30)
    assert 30 <= budget.elapsed < 60
    assert 40 < budget.left <= 70


def test_a_budget_without_limit_never_ends() -> None:
    budget = Budget(None, start=time.monotonic() - 1e6)
    assert budget.left == float("inf")
    assert budget.part(0.1).left == float("inf")
    assert budget.elapsed >= 1e6


def test_a_part_is_a_share_of_what_is_left_from_now_on() -> None:
    part = Budget(100.0, start=time.monotonic() - 60).part(0.5)
    assert part.limit == pytest.approx(20, abs=5)
    assert part.elapsed < 5


def test_what_is_kept_is_no_part() -> None:
    budget = Budget(100.0, start=time.monotonic() - 60)
    assert budget.part(0.5, keep=10).limit == pytest.approx(15, abs=4)
    assert budget.part(0.5, keep=90).limit == 0
    assert Budget(None).part(0.5, keep=90).limit is None


def test_nothing_is_left_of_an_exceeded_budget() -> None:
    budget = Budget(1.0, start=time.monotonic() - 50)
    assert budget.left < 0
    assert budget.part(0.5).limit == 0
