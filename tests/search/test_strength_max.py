import pytest
import torch
from torch import nn
from torch.optim import Optimizer

import thinnet as tn
from thinnet.search._penalized_model import PenalizedModel
from thinnet.search._strength_max import strength_max_from_dense, strength_max_from_zero
from thinnet.search._trainer import Trainer

from .networks import INPUTS, convolutional, gradient_descent, images, linear, perceptron, regression, settings, task


@pytest.mark.parametrize(
    ("make", "plan", "problem"),
    [
        (linear, tn.Plan(tn.L1(1.0)), regression()),
        (linear, tn.Plan(tn.L1(0.3) + tn.GroupLasso(0.7)), regression()),
        (perceptron, INPUTS, regression()),
        (convolutional, tn.Plan({"0.weight": tn.GroupLasso(2.0)}), images()),
        (convolutional, tn.Plan({"4.weight": tn.GroupLasso(0.5, by="inputs")}), images()),
    ],
    ids=["linear", "both", "perceptron", "convolution", "channels"],
)
def test_zero_is_optimal_from_the_largest_strength_on_and_not_below(make, plan, problem) -> None:
    found = tn.path(
        make, plan, problem.fit, problem.losses,
        direction="down", n_strengths=1, optimizer=gradient_descent(0.1), first_rounds=400, patience=50,
    )  # fmt: skip
    top = found.points[0].strength
    for factor, left in ((1.001, False), (0.95, True)):
        path = tn.path(
            make, plan, problem.fit, problem.losses, strengths=[factor * top],
            direction="down", optimizer=gradient_descent(0.1), first_rounds=400, patience=50,
        )  # fmt: skip
        assert bool(path.points[0].nonzero) is left


@pytest.mark.parametrize(("bias", "stuck"), [(False, "0.weight, 2.weight"), (True, "0.weight")])
def test_layers_that_feed_each_other_cannot_leave_zero_and_are_refused(bias: bool, stuck: str) -> None:
    problem = regression()

    def two() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 6, bias=bias), nn.Tanh(), nn.Linear(6, 1)).double()

    with pytest.raises(ValueError, match=rf'no gradient reaches {stuck}, at any strength .* use direction="up"'):
        tn.path(two, tn.Plan(tn.L1(1.0)), problem.fit, problem.losses, direction="down", first_rounds=3)


def test_from_zero_it_is_the_closed_form_of_the_lasso_and_the_rest_is_trained() -> None:
    problem = regression()
    given = task(linear, tn.Plan(tn.L1(0.5)), make_optimizer=gradient_descent(0.5))
    trainer = Trainer(PenalizedModel(given), given, settings(first_rounds=60, average=2.0))
    found = strength_max_from_zero(trainer)
    centered = problem.y - problem.y.mean()  # the bias, which is not penalized, is at its optimum
    assert found == pytest.approx(float((problem.x.T @ centered / 60).abs().max()) / 0.5, rel=1e-3)
    assert not trainer.model.network.weight.any()
    assert trainer.model.network.bias.item() == pytest.approx(float(problem.y.mean()), rel=2e-2)
    assert trainer.average.rounds == 2.0
    problem.fit(trainer.model.network, trainer.model.optimizer)
    assert trainer.model.network.weight.any()  # nothing holds the zeros any more


@pytest.mark.parametrize("s", [0.05, 5.0], ids=["the first part's", "the second's"])
def test_from_the_dense_network_it_is_the_largest_over_parts_each_alone_at_zero(s: float) -> None:
    problem = regression()
    given = task(perceptron, tn.Plan({"0.weight": tn.L1(s), "2.weight": tn.GroupLasso(2.0, by="inputs")}))
    trainer = Trainer(PenalizedModel(given), given, settings())
    trainer.model.set_strength(0.0)
    trainer.train(5)
    network = trainer.model.network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    expected = []
    for name, strength in (
        ("0.weight", lambda g: g.abs().max() / s),
        ("2.weight", lambda g: g.norm(dim=0).max() / 2),
    ):
        alone = perceptron()
        alone.load_state_dict({**before, name: torch.zeros_like(before[name])})
        (slope,) = torch.autograd.grad(problem.loss(alone), [alone.get_parameter(name)])
        expected.append(float(strength(slope)))
    assert strength_max_from_dense(trainer) == pytest.approx(max(expected), rel=1e-6)
    assert (expected[0] > expected[1]) is (s < 1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_loss_on_all_rows_takes_the_place_of_a_round() -> None:
    problem = regression()

    def never(model: nn.Module, optimizer: object) -> None:
        raise AssertionError("no round is needed")

    given = task(linear, tn.Plan(tn.L1(1.0)), fit=never, polish=problem.loss)
    trainer = Trainer(PenalizedModel(given), given, settings(first_rounds=0))
    centered = problem.y - problem.y.mean()
    assert strength_max_from_zero(trainer) == pytest.approx(float((problem.x.T @ centered / 60).abs().max()), rel=1e-5)
    assert all(p.requires_grad for p in trainer.model.network.parameters())


def test_weights_without_a_gradient_are_refused() -> None:
    def flat(model: nn.Module) -> torch.Tensor:
        return model(regression().x).sum() * 0.0

    given = task(linear, tn.Plan(tn.L1(1.0)), polish=flat)
    trainer = Trainer(PenalizedModel(given), given, settings(first_rounds=0))
    with pytest.raises(ValueError, match="no penalized weight has a gradient; see that `fit` trains"):
        strength_max_from_dense(trainer)


def test_the_rest_is_trained_no_longer_than_it_gains() -> None:
    calls = 0

    def idle(model: nn.Module, optimizer: Optimizer) -> None:
        nonlocal calls
        calls += 1
        regression().fit(model, optimizer)
        with torch.no_grad():
            model.bias.zero_()

    given = task(linear, tn.Plan(tn.L1(1.0)), fit=idle)
    trainer = Trainer(PenalizedModel(given), given, settings(first_rounds=50))
    strength_max_from_zero(trainer)
    assert calls == 4  # one, two without a gain, and one for the gradient
