import math
from types import SimpleNamespace

import pytest
import torch

import thinnet as tn
from thinnet.search._choice import best, leaves, one_se

from .networks import exact, linear, point, regression


def along(*masks: list[int]) -> list[SimpleNamespace]:
    """Points of strengths 1, 2, ... at which these groups are alive."""
    return [
        SimpleNamespace(strength=float(i), alive={"w": torch.tensor(mask, dtype=torch.bool)}, diverged=False)
        for i, mask in enumerate(masks, 1)
    ]


@pytest.mark.parametrize("turn", [list, lambda points: points[::-1]], ids=["up", "down"])
def test_a_group_that_comes_back_has_not_left_before(turn) -> None:
    points = along([1, 0, 1, 0, 1], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [1, 0, 0, 0, 0])
    assert leaves(turn(points), "w").tolist() == [float("inf"), 3.0, 4.0, 1.0, 2.0]


def test_the_choice_is_the_strongest_within_one_standard_error() -> None:
    path = exact(tn.Plan(tn.L1(1.0)), n_strengths=30)
    errors = {point.strength: point.error for point in path.points}
    assert path.best.error == min(errors.values())
    limit = path.best.error + path.best.se
    assert path.one_se.strength == max(strength for strength, error in errors.items() if error <= limit)
    assert path.one_se.nonzero < path.best.nonzero


def test_one_number_has_no_standard_error() -> None:
    problem = regression()
    path = tn.path(linear, tn.Plan(tn.L1(1.0)), problem.fit, problem.loss, strengths=[0.1], first_rounds=2)
    assert math.isnan(path.points[0].se)
    with pytest.raises(ValueError, match="returned one number, of which there is no standard error"):
        _ = path.one_se


def test_features_leave_in_the_order_of_their_weight() -> None:
    leaves = exact(tn.Plan(tn.GroupLasso(1.0, by="inputs")), n_strengths=40).leaves("weight")
    assert leaves.argsort(descending=True)[:3].tolist() == [0, 1, 2]
    with pytest.raises(
        ValueError, match=r"no GroupLasso acts on 'bias' \(available: weight\); `leaves` is defined only"
    ):
        exact(tn.Plan(tn.GroupLasso(1.0, by="inputs")), n_strengths=2).leaves("bias")


def test_best_and_one_se_are_those_of_a_loop() -> None:
    points = [point(s, [e - 0.3, e + 0.3]) for s, e in ((0.0, 2.0), (1.0, 1.0), (2.0, 1.0), (3.0, 1.2), (4.0, 1.4))]
    assert best(points).strength == 2.0  # of equal ones the strongest
    assert one_se(points).strength == 3.0  # the standard error is 0.3
    assert best([*points, point(9.0, [math.nan])]).strength == 2.0


def test_where_all_diverged_there_is_no_best() -> None:
    with pytest.raises(ValueError, match=r"no point has a finite error; lower the learning rate"):
        best([point(1.0, [math.nan])])


def test_removed_groups_and_stacks() -> None:
    members = [point(s, [1.0], alive={"w": torch.tensor(mask, dtype=torch.bool)}) for s, mask in
               ((1.0, [[0, 0], [1, 1]]), (2.0, [[1, 1], [0, 1]]))]  # fmt: skip
    assert leaves(members, "w").tolist() == [2.0, math.inf]  # of the last member
    fewer = [*members, point(3.0, [1.0], alive={"w": torch.tensor([[True], [True]])})]
    with pytest.raises(ValueError, match=r"groups of 'w' were removed along the way; call `path` without `compact`"):
        leaves(fewer, "w")
