from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from thinnet.stack import Member, Stack
from thinnet.tabular._budget import Budget
from thinnet.tabular.features._path_training import OutOfTimeError, Rounds
from thinnet.tabular.population._fold_data import Problem


def stack(problem: Problem) -> Stack:
    members = [Member(seed=3)] * (problem.folds + 1)
    return Stack(members, in_features=problem.x_ND.shape[1], hidden=[4], out_features=problem.outputs)


def rounds(problem: Problem, **options: object) -> Rounds:
    return Rounds(problem, **{"batch_size": 32, "seed": 0, "budget": Budget(None)} | options)


@pytest.mark.parametrize("classes", [1, 3])
def test_a_member_never_learns_from_the_rows_of_its_fold(make_problem: Callable[..., Problem], classes: int) -> None:
    problem = make_problem(classes)
    other = make_problem(classes)
    other.y_N[torch.from_numpy(other.fold_N == 1)] = 0
    weights = []
    for each in (problem, other):
        model = stack(each)
        rounds(each).fit(model, torch.optim.Adam(model.parameters(), lr=0.01))
        weights.append(model.weights[0].detach())
    same = [bool(torch.equal(a, b)) for a, b in zip(*weights, strict=True)]
    assert same == [False, True, False, False]  # three folds, and the member of all rows


@pytest.mark.parametrize("classes", [1, 3])
def test_losses_are_of_the_rows_held_out(make_problem: Callable[..., Problem], classes: int) -> None:
    problem = make_problem(classes)
    model = stack(problem).eval()
    found = rounds(problem).evaluate(model)
    assert found.shape == (3,)
    for fold in range(3):
        rows = torch.from_numpy(problem.fold_N == fold)
        outputs = model.member(fold)(problem.x_ND[rows])
        if classes == 1:
            expected = (outputs[:, 0] - problem.y_N[rows]).square().mean()
        else:
            expected = F.cross_entropy(outputs, problem.y_N[rows])
        torch.testing.assert_close(found[fold], expected.detach())


def test_a_round_is_an_epoch(make_problem: Callable[..., Problem]) -> None:
    seen: list[int] = []
    each = rounds(make_problem())
    for _ in range(4):
        seen += each._rows().tolist()
    assert sorted(seen) == list(range(120))
    assert each._rows().tolist() != seen[:32]  # another order in the next one


def test_a_long_epoch_is_gone_through_in_parts(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem(rows=3000)
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    model = stack(problem)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.register_step_post_hook(count)
    each = rounds(problem)  # 94 steps an epoch
    each.fit(model, optimizer)
    assert steps == 40
    np.testing.assert_array_equal(each._rows(), np.random.default_rng([0, 3, 0]).permutation(3000)[1280:1312])


def test_many_held_out_rows_are_sampled(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem(rows=9000)
    model = stack(problem).eval()
    full = torch.stack([problem.losses(model(problem.x_ND[r])[f : f + 1], problem.y_N[r])[0]
                        for f in range(3) for r in [torch.from_numpy(problem.fold_N == f)]])  # fmt: skip
    found = rounds(problem).evaluate(model)
    assert not torch.equal(found, full)
    torch.testing.assert_close(found, full.detach(), rtol=0.1, atol=0)


def test_progress_rises_from_zero_to_one(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem()
    told: list[tuple[float, int, float]] = []
    each = rounds(problem, tell=lambda *progress: told.append(progress))
    assert each.affordable(stack(problem), 3, 1, first=4, each=2) == 3
    model = stack(problem)
    optimizer = torch.optim.Adam(model.parameters())
    for point, count in enumerate([4, 1, 5, 2], 1):  # a point may end early, or take one round more for its strengths
        for _ in range(count):
            each.fit(model, optimizer)
        each.finished(point, 1 / point)
    shares = [share for share, _, _ in told]
    assert shares[0] == 0
    assert all(a <= b for a, b in pairwise(shares))
    assert shares[-1] <= 1
    assert {members for _, members, _ in told} == {4}
    assert [best for _, _, best in told][-1] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("seconds", "expected"), [(None, 9), (1e6, 9), (1e-6, 2)])
def test_short_times_afford_fewer_points(
    make_problem: Callable[..., Problem], seconds: float | None, expected: int
) -> None:
    problem = make_problem()
    assert rounds(problem, budget=Budget(seconds)).affordable(stack(problem), 9, 2, first=4, each=2) == expected


def test_time_ends_it_after_the_first_point_and_not_before(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem()
    model = stack(problem)
    each = rounds(problem, budget=Budget(1e-6))
    optimizer = torch.optim.Adam(model.parameters())
    each.fit(model, optimizer)
    each.finished(1, 0.5)
    with pytest.raises(OutOfTimeError):
        each.fit(model, optimizer)
