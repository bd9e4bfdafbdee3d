from collections.abc import Callable

import numpy as np
import pytest
import torch

from thinnet.stack import Member, Stack
from thinnet.tabular.population._best_members import BestMembers
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._evaluation import Evaluated
from thinnet.tabular.population._fold_data import Problem

CONFIGURATIONS = [Configuration(), Configuration(dropout=0.3)]


@pytest.fixture
def problem(make_problem: Callable[..., Problem]) -> Problem:
    return make_problem(1)


def stack_of(value: float, members: int = 6) -> Stack:
    stack = Stack([Member(seed=k) for k in range(members)], in_features=6, hidden=[4], out_features=1)
    for parameter in stack.parameters():
        parameter.data.fill_(value)
    return stack


def evaluated(problem: Problem, positions: range, fold: int, losses: list[float], value: float) -> Evaluated:
    rows = np.flatnonzero(problem.fold_N == fold)
    outputs = torch.full((len(positions), len(rows), 1), value)
    return Evaluated(positions, rows, outputs, losses, [loss / 2 for loss in losses])


def test_each_member_is_kept_at_its_least_loss(problem: Problem) -> None:
    best = BestMembers(problem, CONFIGURATIONS, stack_of(0.0))
    assert best.best_score == float("inf")
    alive = [4, 1, 0]  # fold 1 of both configurations, fold 0 of the first
    best.update(stack_of(1.0, 3), alive, evaluated(problem, range(2), 1, [0.5, 0.7], 1.0), epoch=1.0)
    best.update(stack_of(1.0, 3), alive, evaluated(problem, range(2, 3), 0, [0.9], 1.0), epoch=1.0)
    best.update(stack_of(2.0, 3), alive, evaluated(problem, range(2), 1, [0.6, 0.3], 2.0), epoch=2.0)
    values = [float(best.stack.weights[0][k].mean()) for k in range(6)]
    assert values == [1.0, 2.0, 0.0, 0.0, 1.0, 0.0]
    assert [trace.score for trace in best.traces] == [0.9, 0.3, np.inf, np.inf, 0.5, np.inf]
    assert (best.traces[4].epochs, best.traces[4].train, best.traces[4].best) == ([1.0, 2.0], [0.25, 0.3], 0)
    first, second = (best.oof_MNC[m, problem.fold_N == 1, 0] for m in (0, 1))
    assert set(first.tolist()) == {2.0}
    assert set(second.tolist()) == {1.0}
    assert np.isnan(best.oof_MNC[1, problem.fold_N == 0]).all()
    assert best.result().complete == [False, False]


def test_a_loss_that_is_not_finite_is_recorded_and_not_kept(problem: Problem) -> None:
    for keep_last in (False, True):
        best = BestMembers(problem, CONFIGURATIONS, stack_of(0.0), keep_last=keep_last)
        best.update(stack_of(1.0, 1), [0], evaluated(problem, range(1), 0, [0.4], 1.0), epoch=1.0)
        best.update(stack_of(2.0, 1), [0], evaluated(problem, range(1), 0, [0.8], 2.0), epoch=2.0)
        best.update(stack_of(3.0, 1), [0], evaluated(problem, range(1), 0, [float("nan")], 3.0), epoch=3.0)
        assert float(best.stack.weights[0][0].mean()) == (2.0 if keep_last else 1.0)
        assert len(best.traces[0].held_out) == 3
        assert best.traces[0].score == (0.8 if keep_last else 0.4)


def test_a_result_does_not_change_afterwards(problem: Problem) -> None:
    best = BestMembers(problem, CONFIGURATIONS[:1], stack_of(0.0, 3))
    for fold in range(3):
        best.update(stack_of(1.0, 3), [0, 1, 2], evaluated(problem, range(fold, fold + 1), fold, [1.0], 1.0), epoch=1.0)
    result = best.result()
    assert result.complete == [True]
    best.update(stack_of(2.0, 3), [0, 1, 2], evaluated(problem, range(1), 0, [0.1], 2.0), epoch=2.0)
    assert result.scores().tolist() == [1.0]
    assert set(result.oof_MNC.ravel().tolist()) == {1.0}
    assert float(result.stack.weights[0].mean()) == 1.0
    assert best.best_score == pytest.approx((0.1 + 1 + 1) / 3)


def test_it_goes_on_from_another_population(problem: Problem) -> None:
    before = BestMembers(problem, CONFIGURATIONS[:1], stack_of(0.0, 3))
    for fold in range(3):
        found = evaluated(problem, range(fold, fold + 1), fold, [1.0], 5.0)
        before.update(stack_of(1.0, 3), [0, 1, 2], found, epoch=4.0)
    best = BestMembers(problem, CONFIGURATIONS[:1], stack_of(9.0, 3), start=before.result())
    assert float(best.stack.weights[0].mean()) == 1.0
    assert set(best.oof_MNC.ravel().tolist()) == {5.0}
    best.update(stack_of(2.0, 3), [0, 1, 2], evaluated(problem, range(1), 0, [3.0], 2.0), epoch=1.5)
    assert best.traces[0].epochs == [4.0, 5.5]
    assert best.best_score == 1.0
