import pickle

import torch

import thinnet as tn

from .networks import exact, linear, point, regression


def test_it_prints_and_draws() -> None:
    path = exact(tn.Plan(tn.GroupLasso(1.0, by="inputs")), n_strengths=5)
    lines = str(path).splitlines()
    assert lines[0].split() == ["strength", "error", "se", "nonzero", "groups", "norm", "rounds"]
    assert len(lines) == 6
    assert lines[1 + path.points.index(path.best)].endswith(" best")
    assert lines[1 + path.points.index(path.one_se)].endswith(" one_se")
    again = exact(tn.Plan(tn.GroupLasso(1.0, by="inputs")), strengths=torch.tensor([0.5, 0.25], dtype=torch.float64))
    assert [point.strength for point in again.points] == [0.5, 0.25]
    frame = path.table()
    assert frame["strength"].tolist() == [point.strength for point in path.points]
    assert frame["groups of weight"].tolist() == [point.nonzero for point in path.points]
    titles = [annotation.text for annotation in path.figure({"weight": list("abcdefgh")}).layout.annotations]
    assert titles == [
        "held-out error",
        "nonzero weights",
        "nonzero groups of weight",
        "norm of weights",
        "strength at which groups of weight become zero",
    ]


def test_where_nothing_can_become_zero_nothing_is_said_of_zeros() -> None:
    problem = regression()
    path = tn.path(
        linear, lambda model, s: tn.Plan(tn.L2(s)), problem.fit, problem.loss, strengths=[1.0], first_rounds=2
    )
    assert str(path).split()[:3] == ["strength", "error", "rounds"]
    assert "nonzero" not in repr(path.best)
    assert [annotation.text for annotation in path.figure().layout.annotations] == ["held-out error"]


def test_choice_and_order_are_those_of_its_points() -> None:
    points = (
        point(0.0, [4.0, 5.0]),
        point(0.5, [0.0, 2.0]),
        point(1.0, [0.5, 2.5], alive={"weight": torch.zeros(4) > 0}),
    )
    path = tn.RegularizationPath(points, "up")
    assert path.best is points[1]
    assert path.one_se is points[2]
    assert path.leaves("weight").tolist() == [1.0, 1.0, 0.0, 0.0]


def test_it_can_be_pickled_where_the_function_that_makes_networks_can() -> None:
    path = exact(tn.Plan(tn.GroupLasso(1.0, by="inputs")), n_strengths=3)
    again = pickle.loads(pickle.dumps(path))
    assert str(again) == str(path)
    assert again.direction == "down"
    for one, other in zip(again.points, path.points, strict=True):
        assert one.model().weight.equal(other.model().weight)
