import copy
import math

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

import thinnet as tn
from thinnet.dropout import Noise


class Frozen(Noise):
    """The same uniform numbers at every call."""

    def __init__(self, u: Tensor) -> None:
        super().__init__()
        self.u = u

    def uniform(self, shape: object, dtype: torch.dtype, device: torch.device) -> Tensor:
        assert tuple(shape) == tuple(self.u.shape)  # type: ignore[arg-type]
        return self.u.to(dtype)


def grid(n: int) -> Tensor:
    """Uniform numbers without chance: midpoints."""
    return (torch.arange(n, dtype=torch.float64) + 0.5) / n


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9])
def test_the_output_is_the_papers(p: float) -> None:
    # their implementation: drop_prob = log p - log(1 - p) + log u - log(1 - u), then a sigmoid of it over 0.1
    u, x = np.linspace(0.01, 0.99, 60).reshape(4, 15), np.random.default_rng(0).normal(size=(4, 15))
    z = 1 / (1 + np.exp(-(np.log(p) - np.log(1 - p) + np.log(u) - np.log(1 - u)) / 0.1))
    y = tn.ConcreteDropout(p).double().perturb(torch.tensor(x), Frozen(torch.tensor(u)))
    torch.testing.assert_close(y, torch.tensor(x * (1 - z) / (1 - p)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("p", [0.05, 0.3, 0.9])
def test_at_no_temperature_it_is_a_mask_of_the_rate(p: float) -> None:
    u = grid(1000)
    layer = tn.ConcreteDropout(p, temperature=1e-6).double()
    y = layer.perturb(torch.ones(1000, dtype=torch.float64), Frozen(u))
    torch.testing.assert_close(y, (u < 1 - p).double() / (1 - p))


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9])
def test_an_element_is_rather_dropped_than_kept_at_the_rate(p: float) -> None:
    y = tn.ConcreteDropout(p, temperature=0.5).double().perturb(torch.ones(10_000), Frozen(grid(10_000)))
    assert float((y < 0.5 / (1 - p)).double().mean()) == pytest.approx(p, abs=2e-4)


@pytest.mark.parametrize("p", [0.05, 0.3, 0.9])
def test_the_expectation_is_the_input_but_for_a_part_of_the_temperature_squared(p: float) -> None:
    x, noise = torch.ones(200_000, dtype=torch.float64), Frozen(grid(200_000))
    warm, cold = (
        abs(float(tn.ConcreteDropout(p, temperature=t).double().perturb(x, noise).detach().mean()) - 1)
        for t in (0.1, 0.05)
    )
    # the logistic distribution spreads by π²t²/3, and p(1 − p)(1 − 2p) is the curvature of its distribution function
    predicted = math.pi**2 / 6 * 0.1**2 * p * abs(1 - 2 * p)
    assert warm == pytest.approx(predicted, rel=0.1) and cold == pytest.approx(predicted / 4, rel=0.1)


def losses(layer: tn.ConcreteDropout, x: Tensor, u: Tensor) -> Tensor:
    return layer.perturb(x, Frozen(u)).square().sum() + layer.cost(7)


def test_the_slope_of_the_rate_by_differences() -> None:
    torch.manual_seed(0)
    layer = tn.ConcreteDropout(0.3, layer=nn.Linear(5, 4).double(), strength=0.3).double()
    x, u, h = torch.randn(6, 5, dtype=torch.float64), torch.rand(6, 5, dtype=torch.float64), 1e-6
    losses(layer, x, u).backward()
    slope = float(layer.logit.grad)
    with torch.no_grad():
        layer.logit += h
        above = losses(layer, x, u)
        layer.logit -= 2 * h
        below = losses(layer, x, u)
    assert slope == pytest.approx(float(above - below) / (2 * h), rel=1e-5)
    assert abs(slope) > 0.1


def divergence(p: float) -> float:
    """From the definition, outcome by outcome."""
    return sum(q * math.log(q / 0.5) for q in (p, 1 - p))


@pytest.mark.parametrize("p", [1e-3, 0.25, 0.5, 0.9])
def test_the_cost_is_the_divergence_of_each_input_and_the_weights_share(p: float) -> None:
    torch.manual_seed(0)
    linear, convolution = nn.Linear(5, 3), nn.Conv2d(4, 6, 3, groups=2)
    model = nn.Sequential(
        tn.ConcreteDropout(p, layer=linear, strength=0.5), linear, tn.ConcreteDropout(p, layer=convolution), convolution
    )
    squares = [sum(w * w for w in layer.weight.flatten().tolist()) for layer in (linear, convolution)]
    expected = (5 + 4) * divergence(p) + (0.5 / 2 * squares[0] + 1 / 2 * squares[1]) / (1 - p)
    assert tn.concrete_cost(model, examples=10).item() == pytest.approx(expected / 10, rel=1e-5)
    assert model[0].cost(1).item() == pytest.approx(5 * divergence(p) + 0.25 * squares[0] / (1 - p), rel=1e-5)


def test_without_the_layer_the_inputs_are_counted_as_they_come() -> None:
    layer = tn.ConcreteDropout(0.25)
    with pytest.raises(RuntimeError, match="not known before the first call in training; call the model first"):
        layer.cost(10)
    layer(torch.ones(2, 9, 7))
    assert layer.cost(10).item() == pytest.approx(7 * divergence(0.25) / 10)


def test_the_cost_reaches_the_rate_and_the_weight() -> None:
    read = nn.Linear(5, 3)
    layer = tn.ConcreteDropout(0.25, layer=read, strength=0.5)
    tn.concrete_cost(nn.Sequential(layer, read), examples=10).backward()
    torch.testing.assert_close(read.weight.grad, 0.5 * read.weight.detach() / 0.75 / 10)
    squares = float(read.weight.detach().square().sum())
    # dKL/dθ = p (1 − p) θ and d(1 + e^θ)/dθ = p/(1 − p)
    expected = 5 * 0.25 * 0.75 * math.log(1 / 3) + 0.25 * squares / 3
    assert float(layer.logit.grad) == pytest.approx(expected / 10, rel=1e-5)


def test_the_rate_is_read_and_set() -> None:
    layer = tn.ConcreteDropout(0.2)
    parameter = layer.logit
    assert layer.p == pytest.approx(0.2) and float(layer.logit.detach()) == pytest.approx(math.log(0.25))
    layer.p = 0.9
    assert layer.logit is parameter and layer.p == pytest.approx(0.9)
    for p, bound in ((0.0, "more than 0"), (1, "less than 1")):
        with pytest.raises(ValueError, match=f"`p` must be {bound}, got {p}: a learned rate never leaves its end"):
            layer.p = p
    assert repr(layer) == "ConcreteDropout(p=0.9, temperature=0.1)"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"layer": nn.ReLU()}, TypeError, "`layer` must be a Linear or Conv1d to Conv3d layer, got ReLU"),
        ({"strength": -1.0}, ValueError, r"`strength` must be finite and >= 0, got -1\.0"),
        ({"strength": math.nan}, ValueError, "`strength` must be finite and >= 0, got nan"),
        ({"temperature": 0.0}, ValueError, r"`temperature` must be finite and > 0, got 0\.0"),
        ({"temperature": math.inf}, ValueError, "`temperature` must be finite and > 0, got inf"),
    ],
)
def test_settings_that_are_none_are_refused(settings: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tn.ConcreteDropout(0.1, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("examples", [0, -1, 2.0, True])
def test_a_number_of_examples_that_is_none_is_refused(examples: object) -> None:
    with pytest.raises(ValueError, match=f"`examples` must be an integer >= 1, got {examples!r}"):
        tn.concrete_cost(tn.ConcreteDropout(layer=nn.Linear(2, 2)), examples)  # type: ignore[arg-type]


def test_a_model_without_learned_rates_is_refused() -> None:
    with pytest.raises(ValueError, match="concrete_cost: Linear has no ConcreteDropout layer"):
        tn.concrete_cost(nn.Linear(2, 2), examples=10)


def test_the_layer_that_reads_is_no_part_of_it_and_is_copied_with_the_model() -> None:
    read = nn.Linear(5, 3)
    model = nn.Sequential(tn.ConcreteDropout(layer=read), read)
    assert list(model.state_dict()) == ["0.logit", "1.weight", "1.bias"]
    assert [name for name, _ in model.named_modules()] == ["", "0", "1"]
    twin = copy.deepcopy(model)
    tn.concrete_cost(twin, examples=1).backward()
    assert twin[1].weight.grad is not None and read.weight.grad is None


def test_a_plan_of_one_rule_leaves_the_rate_alone() -> None:
    model = nn.Sequential(tn.ConcreteDropout(), nn.Linear(2, 2))
    assert [binding.name for binding in tn.Plan(tn.L2(1.0)).bind(model)] == ["1.weight"]


def test_numbers_at_the_ends_give_no_infinities() -> None:
    layer = tn.ConcreteDropout(0.5)
    u = torch.tensor([0.0, torch.finfo(torch.float32).tiny, 1 - 2**-24])
    y = layer.perturb(torch.ones(3), Frozen(u))
    y.sum().backward()
    torch.testing.assert_close(y.detach(), torch.tensor([2.0, 2.0, 0.0]))
    assert bool(layer.logit.grad.isfinite())


def learned_rate(examples: int, *, cost: bool = True) -> float:
    """The rate after learning a noisy sine of known noise from so many examples, starting at 0.2."""
    torch.manual_seed(0)
    draw, noise = Generator().manual_seed(0), 0.3
    x = torch.rand(examples, 1, generator=draw) * 4 - 2
    y = torch.sin(2 * x) + noise * torch.randn(examples, 1, generator=draw)
    read = nn.Linear(32, 1)
    drop = tn.ConcreteDropout(0.2, layer=read, generator=Generator().manual_seed(0))
    model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), drop, read)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(300):
        rows = torch.randint(examples, (64,), generator=draw)
        optimizer.zero_grad()
        loss = (model(x[rows]) - y[rows]).square().mean() / (2 * noise**2)
        (loss + tn.concrete_cost(model, examples) if cost else loss).backward()
        optimizer.step()
    return drop.p


def test_the_rate_that_is_learned_falls_with_more_data() -> None:
    few, some, many = map(learned_rate, (20, 200, 2000))
    assert few > 0.3 > 0.2 > some > 1.5 * many


def test_without_its_cost_nothing_holds_the_rate_up() -> None:
    assert learned_rate(20, cost=False) < 0.1
