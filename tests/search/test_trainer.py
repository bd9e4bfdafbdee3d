import math

import pytest
from torch import nn
from torch.optim import Optimizer

import thinnet as tn
from thinnet.search._penalized_model import PenalizedModel
from thinnet.search._trainer import Trainer

from .networks import perceptron, settings, task


class Scripted:
    """A network of one weight that takes these values, one a round; the loss is the weight."""

    def __init__(self, values: list[float], **more: object) -> None:
        self.values = iter(values)
        task_ = task(self.make, tn.Plan({"weight": tn.L1(1.0)}), fit=self.fit, evaluate=self.evaluate)
        self.trainer = Trainer(PenalizedModel(task_), task_, settings(**more))
        self.trainer.model.set_strength(0.0)

    @staticmethod
    def make() -> nn.Module:
        return nn.Linear(1, 1, bias=False).double()

    def fit(self, model: nn.Module, optimizer: Optimizer) -> None:
        assert model.training
        optimizer.step()
        model.weight.data.fill_(next(self.values))

    def evaluate(self, model: nn.Module) -> float:
        assert not model.training
        return model.weight.item()

    @property
    def weight(self) -> float:
        return self.trainer.model.network.weight.item()


@pytest.mark.parametrize(
    ("values", "patience", "rounds", "weight"),
    [
        ([5.0, 4.0, 3.0], 1, 3, 3.0),  # the last is the best
        ([5.0, 4.0, 4.5, 3.0], 1, 3, 4.0),  # one without a gain ends it
        ([5.0, 4.0, 4.5, 3.0], 2, 4, 3.0),
        ([5.0, 4.0, 4.5, 4.2, 3.0], 2, 4, 4.0),
        ([5.0, 5.0 - 1e-5, 1.0], 1, 2, 5.0 - 1e-5),  # less than a ten-thousandth is no gain, but is kept
    ],
)
def test_it_ends_without_a_gain_and_goes_back_to_the_least(values, patience, rounds, weight) -> None:
    scripted = Scripted(values)
    assert scripted.trainer.train(len(values), patience=patience) == rounds
    assert scripted.weight == weight


def test_patience_is_a_tenth_of_many_rounds() -> None:
    assert Scripted([1.0] + [2.0] * 40).trainer.train(40) == 5  # one and a tenth of forty
    assert Scripted([1.0] + [2.0] * 40, patience=7).trainer.train(40) == 8


def test_rounds_must_gain_over_the_start() -> None:
    assert Scripted([5.0, 4.0, 3.0]).trainer.train(3, start=1.0) == 1
    below = Scripted([5.0, 4.0, 0.5, 3.0])
    assert below.trainer.train(4, start=1.0, patience=3) == 4
    assert below.weight == 0.5


def test_what_does_not_fall_below_the_best_is_not_taken() -> None:
    scripted = Scripted([5.0, 4.0])
    scripted.trainer.model.network.weight.data.fill_(3.5)
    assert scripted.trainer.train(2, best=3.0) == 1
    assert scripted.weight == 3.5


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_cost_that_is_not_finite_ends_it(value: float) -> None:
    scripted = Scripted([5.0, value, 1.0])
    assert scripted.trainer.train(3) == 2  # and is left so: momenta are lost too
    assert not math.isfinite(scripted.weight)
    falling_back = Scripted([5.0, value, 1.0])
    falling_back.trainer.model.network.weight.data.fill_(6.0)
    assert falling_back.trainer.train(3, best=6.0) == 2
    assert falling_back.weight == 5.0


def test_the_penalty_is_part_of_the_cost() -> None:
    scripted = Scripted([-1.0, -2.0, -3.0])  # a loss that falls by one a round, and a penalty that rises by two
    scripted.trainer.model.set_strength(2.0)
    assert scripted.trainer.train(3) == 2
    assert scripted.weight == -1.0


def test_the_average_is_measured_kept_and_can_be_adopted() -> None:
    scripted = Scripted([4.0, 1.0], average=10.0)
    trainer = scripted.trainer
    assert trainer.train(1) == 1
    before = scripted.weight
    with trainer.averaged():
        averaged = scripted.weight
    assert scripted.weight == before == 4.0
    assert averaged != before  # of the step, before the script set the weight
    trainer.adopt_average()
    assert scripted.weight == averaged
    assert trainer.average.count == 0


def test_without_an_average_weights_stand_for_themselves_and_it_comes_back() -> None:
    trainer = Scripted([4.0, 3.0], average=10.0).trainer
    average = trainer.average
    with trainer.without_average():
        trainer.train(1)
        assert trainer.average.count == 0
    assert trainer.average is average
    assert average.count == 0
    trainer.train(1)
    assert average.count == 1


def test_a_fit_that_does_not_step_is_refused_and_hooks_are_gone() -> None:
    idle = task(perceptron, tn.Plan(tn.L1(1.0)), fit=lambda model, optimizer: None)
    trainer = Trainer(PenalizedModel(idle), idle, settings())
    hooks = len(trainer.model.optimizer._optimizer_step_post_hooks)
    with pytest.raises(ValueError, match=r"`fit` never called optimizer\.step\(\)"):
        trainer.train(2)
    assert len(trainer.model.optimizer._optimizer_step_post_hooks) == hooks
