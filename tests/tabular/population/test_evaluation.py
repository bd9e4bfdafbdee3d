from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from thinnet.stack import Member, Stack
from thinnet.tabular.population._evaluation import Evaluation
from thinnet.tabular.population._fold_data import Problem


def make_stack(problem: Problem, members: int) -> Stack:
    settings = [Member(seed=k, dropout=0.5) for k in range(members)]
    return Stack(settings, in_features=6, hidden=[4], out_features=problem.outputs).train()


@pytest.mark.parametrize("classes", [1, 3])
def test_losses_are_those_of_each_member_alone(make_problem: Callable[..., Problem], classes: int) -> None:
    problem = make_problem(classes)
    stack, folds = make_stack(problem, 5), [2, 0, 0, 1, 0]
    evaluated = list(Evaluation(problem, seed=0)(stack, folds))
    assert [e.members for e in evaluated] == [range(1), range(1, 3), range(3, 4), range(4, 5)]
    assert not stack.training
    for each in evaluated:
        for position, k in enumerate(each.members):
            held_out = torch.from_numpy(problem.fold_N == folds[k])
            np.testing.assert_array_equal(each.rows, np.flatnonzero(held_out))
            outputs = stack.member(k)(problem.x_ND).detach()
            torch.testing.assert_close(each.outputs_KBC[position], outputs[held_out])
            losses = []
            for rows in (held_out, ~held_out):  # fewer than are sampled: all of them
                if classes == 1:
                    losses.append(float(((outputs[rows, 0] - problem.y_N[rows]) ** 2).mean()))
                else:
                    losses.append(float(F.cross_entropy(outputs[rows], problem.y_N[rows])))
            assert [each.held_out[position], each.train[position]] == pytest.approx(losses, rel=1e-5)


def test_the_training_loss_of_many_rows_is_that_of_a_fixed_sample(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem(1, rows=3000)
    stack = make_stack(problem, 1)
    one, again, other = (next(Evaluation(problem, seed)(stack, [0])).train[0] for seed in (0, 0, 1))
    outputs = stack.member(0)(problem.x_ND).detach()[:, 0]
    rows = torch.from_numpy(problem.fold_N != 0)
    whole = float(((outputs - problem.y_N) ** 2)[rows].mean())
    assert one == again != other
    assert one != pytest.approx(whole, rel=1e-6)
    assert one == pytest.approx(whole, rel=0.25)
