import torch
from torch import nn

import thinnet as tn

from .networks import linear, task


def with_dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.0))


def rate(model: nn.Module, p: float) -> None:
    model[1].p = p


def test_the_network_of_a_plan_is_the_one_that_is_made() -> None:
    assert task(linear, tn.Plan(tn.L1(1.0))).make_model_at(0.5) is linear


def test_a_function_sets_its_value_on_a_new_network() -> None:
    given = task(with_dropout, rate)
    half, tenth = given.make_model_at(0.5), given.make_model_at(0.1)
    assert (half()[1].p, tenth()[1].p, half()[1].p) == (0.5, 0.1, 0.5)
    assert half() is not half()
    torch.manual_seed(0)
    expected = with_dropout()
    torch.manual_seed(0)
    assert half()[0].weight.equal(expected[0].weight)
