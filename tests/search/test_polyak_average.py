import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso
from torch import Tensor, nn
from torch.optim import Optimizer

import thinnet as tn
from thinnet.search._polyak_average import Average

from .networks import gradient_descent, linear, perceptron, regression


def taken_in(values: list[float], rounds: float, steps: int) -> float:
    """The mean of a weight that takes these values, the length of a round known after its first `steps`."""
    weight = nn.Parameter(torch.zeros(1))
    average = Average(rounds)
    for i, value in enumerate(values):
        weight.data.fill_(value)
        average.add([weight])
        if i + 1 >= steps:
            average.steps = steps
    return float(average.mean[0])


def test_it_is_the_plain_mean_of_the_first_round() -> None:
    assert taken_in([1.0, 2.0, 6.0], rounds=1, steps=3) == pytest.approx(3.0)


def test_afterwards_every_step_counts_as_one_of_a_horizon() -> None:
    expected = (1.0 + 2.0) / 2  # a round of two steps, averaged over two rounds: plain up to four
    expected += (6.0 - expected) / 3
    expected += (-1.0 - expected) / 4
    expected += (8.0 - expected) / 4
    assert taken_in([1.0, 2.0, 6.0, -1.0, 8.0], rounds=2, steps=2) == pytest.approx(expected)


def test_less_than_a_step_is_the_last_weights() -> None:
    assert taken_in([1.0, 2.0, 6.0], rounds=0.01, steps=1) == 6.0


def test_it_stands_in_but_for_zeros_and_goes_again() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 1.0]))
    average = Average(1)
    average.add([weight])
    weight.data.copy_(torch.tensor([3.0, 0.0]))
    average.add([weight])
    with pytest.raises(RuntimeError, match="broken off"), average.standing_in([weight]):
        assert weight.tolist() == [2.0, 0.0]
        raise RuntimeError("broken off")
    assert weight.tolist() == [3.0, 0.0]


def test_half_precision_is_averaged_in_single() -> None:
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float16))
    average = Average(1)
    for value in [1.0] + [1.001] * 9:  # a tenth of the step would be lost between neighbours of 1 in half precision
        weight.data.fill_(value)
        average.add([weight])
    assert average.mean[0].dtype is torch.float32
    assert float(average.mean[0]) == pytest.approx(1 + 0.9 * (weight.item() - 1), rel=1e-6)


def test_forgotten_it_begins_with_the_next_weights() -> None:
    weight = nn.Parameter(torch.ones(1))
    average = Average(1)
    average.add([weight])
    average.restart()
    weight.data.fill_(5.0)
    average.add([weight])
    assert float(average.mean[0]) == 5.0


def in_batches(seen: list[Tensor]) -> Callable[[nn.Module, Optimizer], None]:
    """A round of six steps; what the weight was after each goes into `seen`."""
    problem = regression()

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        for rows in torch.arange(60).split(10):
            optimizer.zero_grad()
            ((model(problem.x[rows]) - problem.y[rows]).square().mean() / 2).backward()
            optimizer.step()
            seen.append(model.weight.detach().clone())

    return fit


@pytest.mark.parametrize("function", [False, True], ids=["plan", "function"])
def test_points_are_the_average_of_steps_with_the_zeros_of_the_last(function: bool) -> None:
    seen: list[Tensor] = []
    plan = tn.Plan(tn.L1(1.0))
    path = tn.path(
        linear, (lambda model, t: tn.Plan(tn.L1(t))) if function else plan, in_batches(seen), regression().losses,
        strengths=[0.3, 0.6], optimizer=gradient_descent(0.05), first_rounds=1, rounds=1, average=0.5,
    )  # fmt: skip
    mean = torch.zeros_like(seen[0])
    for i, weight in enumerate(seen):
        # the first round is as long as it is; from then on half of its six steps count
        mean = mean + (weight - mean) / (i + 1 if i < 6 else 3)
        if i % 6 == 5:
            expected = torch.where(weight == 0, 0, mean)
            torch.testing.assert_close(path.points[i // 6].state()["weight"], expected)
    assert (seen[-1] == 0).any() and (seen[-1] != 0).any()


def test_none_at_all_is_the_last_weights() -> None:
    seen: list[Tensor] = []
    path = tn.path(
        linear, tn.Plan(tn.L1(1.0)), in_batches(seen), regression().losses,
        strengths=[0.1], optimizer=gradient_descent(0.05), first_rounds=1, average=0,
    )  # fmt: skip
    assert path.points[0].state()["weight"].equal(seen[-1])


def test_it_is_nearer_to_the_optimum_than_noisy_weights() -> None:
    problem, generator = regression(), torch.Generator()
    lasso = Lasso(alpha=0.2, tol=1e-12).fit(problem.x.numpy(), problem.y.numpy().ravel())

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        for rows in torch.randperm(60, generator=generator).split(4):
            optimizer.zero_grad()
            ((model(problem.x[rows]) - problem.y[rows]).square().mean() / 2).backward()
            optimizer.step()

    def distance(average: float) -> float:
        generator.manual_seed(0)
        path = tn.path(
            linear, tn.Plan(tn.L1(1.0)), fit, problem.losses,
            strengths=[0.2], optimizer=gradient_descent(0.3), first_rounds=60, patience=60, average=average,
        )  # fmt: skip
        weight = path.points[0].state()["weight"].numpy().ravel()
        return float(np.linalg.norm(weight - lasso.coef_))

    assert distance(1) < 0.5 * distance(0)


def test_constraints_hold_for_the_average_too() -> None:
    problem = regression()
    plan = tn.Plan({"0.weight": tn.GroupLasso(1.0, by="inputs"), "2.weight": tn.UnitNorm()})
    path = tn.path(
        perceptron, plan, problem.fit, problem.losses,
        strengths=[0.01, 0.02], optimizer=gradient_descent(0.5), first_rounds=20, average=4,
    )  # fmt: skip
    for point in path.points:
        torch.testing.assert_close(point.state()["2.weight"].norm(), torch.tensor(1.0, dtype=torch.float64))


def test_buffers_are_those_of_the_last_step() -> None:
    problem = regression()
    last: list[dict[str, Tensor]] = []

    def make() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 1)).double()

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        for _ in range(4):
            problem.fit(model, optimizer)
        last.append(copy.deepcopy(model.state_dict()))

    path = tn.path(make, tn.Plan(tn.L1(0.1)), fit, problem.losses, strengths=[1.0], first_rounds=1)
    state = path.points[0].state()
    assert state["0.running_mean"].equal(last[-1]["0.running_mean"])
    assert not state["1.weight"].equal(last[-1]["1.weight"])


def test_over_no_rounds_nothing_is_averaged() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    average = Average(0)
    average.add([weight])
    weight.data.fill_(3.0)
    with average.standing_in([weight]):
        assert weight.tolist() == [3.0]
    average.replace_([weight])
    assert weight.tolist() == [3.0]


def test_adopted_it_is_the_weights_and_begins_anew() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 1.0]))
    average = Average(1)
    average.add([weight])
    weight.data.copy_(torch.tensor([3.0, 0.0]))
    average.add([weight])
    average.replace_([weight])
    assert weight.tolist() == [2.0, 0.0]
    assert average.count == 0
    average.add([weight])
    assert average.mean[0].tolist() == [2.0, 0.0]


def test_it_is_projected_onto_the_constraints_of_bindings() -> None:
    model = nn.Linear(2, 1, bias=False)
    average = Average(1)
    for row in ([1.0, 0.0], [0.0, 1.0]):
        model.weight.data.copy_(torch.tensor([row]))
        average.add([model.weight])
    model.weight.data.copy_(torch.tensor([[3.0, 4.0]]))
    for rule, expected in ((tn.UnitNorm(), [[0.5**0.5, 0.5**0.5]]), (tn.L1(9.0), [[0.5, 0.5]])):
        with average.standing_in([model.weight], tn.Plan(rule).bind(model)):
            torch.testing.assert_close(model.weight.detach(), torch.tensor(expected))
        assert model.weight.tolist() == [[3.0, 4.0]]


def test_from_its_state_another_goes_on_alike_and_apart() -> None:
    weight = nn.Parameter(torch.ones(1))
    one, other = Average(1), Average(1)
    for value in (1.0, 4.0):
        weight.data.fill_(value)
        one.add([weight])
    one.steps = 2
    other.load_state_dict(one.state_dict())
    weight.data.fill_(10.0)
    one.add([weight])
    assert float(other.mean[0]) == 2.5  # taken over, not shared
    other.add([weight])
    assert float(other.mean[0]) == float(one.mean[0]) == 2.5 + (10.0 - 2.5) / 2
