import math
import pickle
import statistics

import pytest
import torch

import thinnet as tn

from .networks import exact, point, regression


def test_a_point_is_the_network_with_its_zeros_and_its_error() -> None:
    problem = regression()
    for found in exact(tn.Plan(tn.L1(1.0)), n_strengths=6).points:
        model = found.model()
        assert not model.training
        assert int(model.weight.count_nonzero()) == found.nonzero
        assert found.zeros == 8 - found.nonzero
        assert found.error == pytest.approx(float(problem.loss(model).detach()))
        assert found.se == pytest.approx(float(problem.losses(model).detach().std()) / math.sqrt(60))
        assert found.norm == pytest.approx(float(model.weight.detach().norm()))


def test_error_and_groups_follow_from_losses_and_masks() -> None:
    found = point(0.5, [1.0, 2.0, 6.0])
    assert found.error == pytest.approx(3.0)
    assert found.se == pytest.approx(statistics.stdev([1.0, 2.0, 6.0]) / math.sqrt(3))
    assert (found.groups, found.zeros) == ({"weight": 2}, 2)
    stacked = point(0.5, [1.0], alive={"w": torch.tensor([[True, True, False], [False, True, False]])})
    assert stacked.groups == {"w": 3}


def test_its_network_is_built_anew_each_time() -> None:
    found = point(0.5, [1.0])
    one, other = found.model(), found.model()
    with torch.no_grad():
        one.weight.zero_()
    assert other.weight.tolist() == found.model().weight.tolist() == [[2.0, -1.0, 0.0, 0.0]]


def test_it_says_what_it_is() -> None:
    assert repr(point(0.5, [1.0, 2.0])) == "Point(strength=0.5, error=1.5 ± 0.5, nonzero=2 of 4)"
    assert repr(point(0.5, [1.5], weights=0)) == "Point(strength=0.5, error=1.5)"
    assert repr(point(0.5, [math.nan], diverged=True)).endswith("nonzero=2 of 4, diverged)")


def test_it_can_be_pickled() -> None:
    found = point(0.5, [1.0, 2.0])
    again = pickle.loads(pickle.dumps(found))
    assert repr(again) == repr(found)
    assert again.model().weight.equal(found.model().weight)
