import itertools
import math

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

import thinnet as tn
from thinnet.search._gradient_recorder import GradientRecorder
from thinnet.search._path_trainer import PathTrainer

from .networks import INPUTS, Problem, gradient_descent, linear, perceptron, regression, settings, task


def test_on_the_way_down_the_rest_stays_as_it_was_trained_until_something_comes_in() -> None:
    problem = regression()
    known = False

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        nonlocal known
        optimizer.zero_grad()
        # half the gradient once the largest strength is known: a little below it nothing comes in
        ((0.5 if known else 1.0) * problem.loss(model)).backward()
        known = known or isinstance(optimizer, GradientRecorder)
        optimizer.step()
        with torch.no_grad():
            model[2].bias.add_(0.01)  # and something drifts

    path = tn.path(
        perceptron, INPUTS, fit, problem.losses, direction="down", optimizer=gradient_descent(0.05),
        n_strengths=5, eps=0.2, first_rounds=6, rounds=3, patience=9,
    )  # fmt: skip
    assert [point.nonzero > 0 for point in path.points] == [False, False, True, True, True]
    assert [point.rounds for point in path.points] == [6, 6, 6, 3, 3]  # what comes in first is trained from scratch
    first, second = (point.state() for point in path.points[:2])
    for name, tensor in first.items():
        assert tensor.equal(second[name])
    assert not first["2.bias"].equal(path.points[2].state()["2.bias"])


def test_on_the_way_up_nothing_left_is_no_reason_to_begin_anew() -> None:
    problem = regression()
    path = tn.path(
        linear, tn.Plan(tn.L1(1.0)), problem.fit, problem.losses, strengths=[0.1, 50.0, 60.0],
        optimizer=gradient_descent(0.1), first_rounds=20, rounds=2, patience=20,
    )  # fmt: skip
    assert [point.nonzero > 0 for point in path.points] == [True, False, False]
    assert [point.rounds for point in path.points] == [20, 2, 2]


def test_warm_starts_carry_weights_and_momenta() -> None:
    problem, seen = regression(), []

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        seen.append(next(iter(optimizer.state.values()))["step"].item() if optimizer.state else 0)
        problem.fit(model, optimizer)

    tn.path(linear, tn.Plan(tn.L1(1.0)), fit, problem.losses, strengths=[0.1, 0.2], rounds=3, first_rounds=4)
    assert seen == [0, 1, 2, 3, 4, 5, 6]


def test_a_refit_undoes_shrinkage_and_keeps_zeros() -> None:
    problem = regression()
    common = {"strengths": [0.3], "optimizer": gradient_descent(0.3), "first_rounds": 300, "patience": 30}
    shrunk = tn.path(linear, tn.Plan(tn.L1(1.0)), problem.fit, problem.losses, **common).points[0]
    point = tn.path(linear, tn.Plan(tn.L1(1.0)), problem.fit, problem.losses, refit=300, **common).points[0]
    kept = point.model().weight.detach().ravel() != 0
    torch.testing.assert_close(kept, shrunk.model().weight.detach().ravel() != 0)
    design = torch.cat([problem.x[:, kept], torch.ones(60, 1, dtype=torch.float64)], 1)
    expected = torch.linalg.lstsq(design, problem.y).solution[:-1].ravel()
    torch.testing.assert_close(point.model().weight.detach().ravel()[kept], expected, atol=1e-4, rtol=1e-4)
    assert point.error < shrunk.error


@pytest.mark.slow
def test_dead_structures_are_removed_on_the_way_up() -> None:
    problem = regression()
    plan = tn.Plan(tn.groups(perceptron(), problem.x))
    settings = {"n_strengths": 8, "optimizer": gradient_descent(0.2), "rounds": 30}
    whole = tn.path(perceptron, plan, problem.fit, problem.losses, **settings)
    path = tn.path(perceptron, plan, problem.fit, problem.losses, compact=problem.x[:4], **settings)
    widths = [point.model()[0].out_features for point in path.points]
    assert widths[0] == 6
    assert sorted(widths, reverse=True) == widths
    assert 0 < min(widths) < 6
    for point in path.points:
        assert point.error == pytest.approx(float(problem.loss(point.model()).detach()))
    shared = min(len(path.points), len(whole.points))
    errors = [[point.error for point in p.points[:shared]] for p in (path, whole)]
    assert errors[0] == pytest.approx(errors[1], rel=0.05)


def test_a_point_that_diverges_says_so_and_the_path_goes_on() -> None:
    problem, rounds = regression(), []

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        rounds.append(0)
        problem.fit(model, optimizer)
        if len(rounds) == 5:
            with torch.no_grad():
                model.weight.fill_(math.inf)

    path = tn.path(
        linear, tn.Plan(tn.L1(1.0)), fit, problem.losses, strengths=[0.1, 0.2, 0.3, 0.4], rounds=2, first_rounds=2
    )
    assert [point.diverged for point in path.points] == [False, False, True, False]
    assert math.isnan(path.points[2].error)
    assert all(bool(p.isfinite().all()) for point in path.points for p in point.model().parameters())
    assert "diverged" in str(path)
    assert path.figure() is not None
    assert path.best.strength != 0.3


@pytest.mark.parametrize("harm", [1.0, math.inf])
def test_a_refit_that_only_harms_is_not_taken(harm: float) -> None:
    problem = regression()

    def walk(refit: int) -> list[float]:
        calls = itertools.count(1)

        def fit(model: nn.Module, optimizer: Optimizer) -> None:
            problem.fit(model, optimizer)
            if refit and next(calls) in (
                4,
                6,
            ):  # three rounds of the first point, its refit, one of the second, its refit
                model.weight.data.add_(harm)

        settings = {"strengths": [0.1, 0.2], "first_rounds": 3, "rounds": 1, "refit": refit, "average": 0}
        path = tn.path(linear, tn.Plan(tn.L1(1.0)), fit, problem.losses, **settings)
        return [point.error for point in path.points]

    assert walk(1) == walk(0)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_from_a_checkpoint_it_goes_on_as_if_nothing_had_happened(direction: str) -> None:
    problem = regression()

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        for rows in torch.randperm(60).split(20):
            optimizer.zero_grad()
            Problem(problem.x[rows], problem.y[rows]).loss(model).backward()
            optimizer.step()

    def make_trainer() -> PathTrainer:
        given = task(perceptron, INPUTS, fit=fit, make_optimizer=torch.optim.Adam, example_inputs=problem.x[:4])
        return PathTrainer(given, settings(direction=direction, average=1.0, refit=2))

    torch.manual_seed(1)
    whole = make_trainer()
    whole.point(0.01, first=True)
    checkpoint = whole.checkpoint()
    expected = whole.point(0.02, first=False)
    again = make_trainer()
    torch.manual_seed(2)
    again.resume(checkpoint)
    found = again.point(0.02, first=False)
    assert found.losses.equal(expected.losses)
    assert (found.rounds, found.nonzero, found.weights) == (expected.rounds, expected.nonzero, expected.weights)
    for name, tensor in expected.state().items():
        assert tensor.equal(found.state()[name])


def test_a_point_holds_copies() -> None:
    trainer = PathTrainer(task(linear, tn.Plan(tn.L1(1.0))), settings())
    point = trainer.point(0.1, first=True)
    before = point.state()["weight"].clone()
    trainer.point(0.5, first=False)
    assert point.state()["weight"].equal(before)
    assert point.weights == 8
    assert point.norm == pytest.approx(float(before.norm()))


def test_a_point_ends_when_a_round_gains_nothing_over_its_start() -> None:
    problem = regression()
    harm = 0.0

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        problem.fit(model, optimizer)
        with torch.no_grad():
            model.bias.add_(harm)

    def worse(_: tn.Point) -> None:
        nonlocal harm
        harm += 5.0

    common = {"strengths": [0.1, 0.11, 0.12], "optimizer": gradient_descent(0.1), "rounds": 6, "average": 0}
    path = tn.path(linear, tn.Plan(tn.L1(1.0)), fit, problem.losses, **common, first_rounds=5, callback=worse)
    assert [point.rounds for point in path.points] == [5, 1, 1]
    harm = 0.0
    path = tn.path(linear, tn.Plan(tn.L1(1.0)), fit, problem.losses, **common, first_rounds=5)
    assert [point.rounds for point in path.points] == [5, 6, 6]


def test_a_refit_begins_without_momenta_and_the_path_goes_on_with_its_own() -> None:
    problem, steps = regression(), []

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        steps.append(int(next(iter(optimizer.state.values()))["step"]) if optimizer.state else 0)
        problem.fit(model, optimizer)

    given = task(linear, tn.Plan(tn.L1(1.0)), fit=fit, make_optimizer=torch.optim.Adam)
    trainer = PathTrainer(given, settings(first_rounds=3, rounds=2, refit=2, patience=9))
    trainer.point(0.1, first=True)
    trainer.point(0.2, first=False)
    assert steps == [0, 1, 2, 0, 1, 3, 4, 0, 1]


def test_a_checkpoint_of_a_compacted_network_is_of_its_size() -> None:
    def half_dead() -> nn.Module:
        model = perceptron()
        with torch.no_grad():  # nodes without weights before and after them have no gradient
            for dead in (model[0].weight[:3], model[0].bias[:3], model[2].weight[:, :3]):
                dead.zero_()
        return model

    given = task(half_dead, INPUTS, example_inputs=regression().x[:4])
    whole = PathTrainer(given, settings())
    first = whole.point(0.001, first=True)
    assert first.model()[0].out_features == 3
    assert (first.nonzero, first.weights) == (24, 48)
    checkpoint = whole.checkpoint()
    expected = whole.point(0.002, first=False)
    again = PathTrainer(given, settings())
    again.resume(checkpoint)
    found = again.point(0.002, first=False)
    assert found.state()["0.weight"].shape == (3, 8)
    assert found.losses.equal(expected.losses)
    assert (found.recipe, found.weights) == (expected.recipe, 48)
