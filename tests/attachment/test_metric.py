"""The metric of every optimizer puts the point of rest where the penalized minimum is."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from sklearn.linear_model import Lasso
from torch import Tensor, nn, optim

import thinnet as tn
from thinnet.attachment._metric import METRICS, Moment, metric_of, next_gain, observe

if TYPE_CHECKING:
    from conftest import LeastSquares

STRENGTH = 0.15
SUPPORTED: dict[str, Callable[[Any], optim.Optimizer]] = {
    "Adam": lambda p: optim.Adam(p, 0.05),
    "Adam-tensor-lr": lambda p: optim.Adam(p, torch.tensor(0.05), foreach=False),
    "Adam-amsgrad": lambda p: optim.Adam(p, 0.05, amsgrad=True),
    "Adam-fused": lambda p: optim.Adam(p, 0.05, fused=True),
    "AdamW": lambda p: optim.AdamW(p, 0.05, weight_decay=0),
    "SGD": lambda p: optim.SGD(p, 0.1),
    "SGD-momentum": lambda p: optim.SGD(p, 0.02, momentum=0.9),
    "SGD-dampened": lambda p: optim.SGD(p, 0.1, momentum=0.9, dampening=0.5),
    "SGD-nesterov": lambda p: optim.SGD(p, 0.02, momentum=0.9, nesterov=True),
    "NAdam": lambda p: optim.NAdam(p, 0.05),
    "RAdam": lambda p: optim.RAdam(p, 0.1),
    "Adamax": lambda p: optim.Adamax(p, 0.1),
    "Adagrad": lambda p: optim.Adagrad(p, 0.5),
    "RMSprop": lambda p: optim.RMSprop(p, 0.02),
    "RMSprop-momentum": lambda p: optim.RMSprop(p, 0.005, momentum=0.9),
    "RMSprop-centered": lambda p: optim.RMSprop(p, 0.02, centered=True, eps=1e-2),
    "Adadelta": lambda p: optim.Adadelta(p, 1.0, eps=1e-2),
    "Adafactor": lambda p: optim.Adafactor(p, 0.1),
}
REFUSED = {"ASGD": "averages", "Muon": "orthogonalizes", "Rprop": "sign", "LBFGS": "many times", "SparseAdam": "rows"}


def test_every_optimizer_of_torch_is_supported_or_refused() -> None:
    kinds = {n for n, k in vars(optim).items() if inspect.isclass(k) and issubclass(k, optim.Optimizer)} - {"Optimizer"}
    assert kinds == {name.split("-")[0] for name in SUPPORTED} | (set(REFUSED) & kinds)
    assert {kind.__name__ for kind in METRICS} == {name.split("-")[0] for name in SUPPORTED}


def objective(problem: "LeastSquares", w: Tensor) -> float:
    return float(problem.loss(w) + STRENGTH * w.abs().sum())


@pytest.fixture(scope="module")
def lasso(least_squares: "LeastSquares") -> Tensor:
    model = Lasso(alpha=STRENGTH, fit_intercept=False, tol=1e-12, max_iter=100_000)
    return torch.tensor(model.fit(least_squares.x.numpy(), least_squares.y.numpy()[:, 0]).coef_)[None]


@pytest.mark.parametrize("name", SUPPORTED)
def test_l1_finds_the_lasso_of_scikit_learn(name: str, least_squares: "LeastSquares", lasso: Tensor) -> None:
    w = least_squares.fit(SUPPORTED[name], tn.L1(STRENGTH))
    assert objective(least_squares, w) == pytest.approx(objective(least_squares, lasso), rel=1e-4)
    assert torch.equal(w != 0, lasso != 0)
    assert 0 < int((w != 0).sum()) < 30


def test_the_unweighted_threshold_does_not(least_squares: "LeastSquares", lasso: Tensor) -> None:
    def unweighted(parameters: list[nn.Parameter]) -> optim.Optimizer:
        optimizer = optim.Adam(parameters, 0.05)
        shrink = tn.L1(STRENGTH)

        def threshold(*_: object) -> None:
            with torch.no_grad():
                for p in parameters:
                    p.copy_(shrink.prox(p, optimizer.param_groups[0]["lr"]))

        optimizer.register_step_post_hook(threshold)
        return optimizer

    w = least_squares.fit(unweighted, tn.MaxNorm(1e9))
    assert objective(least_squares, w) > 1.01 * objective(least_squares, lasso)
    assert not torch.equal(w != 0, lasso != 0)


def test_the_penalty_as_a_loss_term_makes_no_zero(least_squares: "LeastSquares") -> None:
    w = least_squares.fit(SUPPORTED["Adam"], tn.L1(STRENGTH), mode="cost")
    assert int((w == 0).sum()) == 0


def group_lasso_by_hand(problem: "LeastSquares", strength: float) -> Tensor:
    """Proximal gradients with the constant step 1/L, group by group in a loop: inputs that leave are columns."""
    w = torch.zeros(6, 60, dtype=torch.float64)
    count = problem.y.numel()
    step = count / torch.linalg.matrix_norm(problem.x, 2) ** 2
    for _ in range(400):
        w = w - step * (problem.x @ w.T - problem.y).T @ problem.x / count
        for column in w.T:
            norm = column.norm()
            column *= max(0.0, 1 - float(step * strength * 6**0.5 / norm)) if norm > 0 else 0.0
    return w


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Adam", "SGD-momentum"])
def test_the_group_lasso_of_the_inputs(name: str, many_outputs: "LeastSquares") -> None:
    strength = 0.02
    oracle = group_lasso_by_hand(many_outputs, strength)
    make = SUPPORTED[name] if name == "Adam" else lambda p: optim.SGD(p, 0.1, momentum=0.9)
    w = many_outputs.fit(make, tn.GroupLasso(strength, by="inputs"), steps=800)

    def cost(u: Tensor) -> float:
        return float(many_outputs.loss(u) + strength * 6**0.5 * sum(column.norm() for column in u.T))

    assert cost(w) == pytest.approx(cost(oracle), rel=1e-4)
    assert torch.equal((w != 0).any(0), (oracle != 0).any(0))
    assert 0 < int((w != 0).any(0).sum()) < 60


@pytest.mark.parametrize("settings", [{"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.3}])
def test_the_gain_is_what_the_buffer_makes_of_a_constant_gradient(settings: dict[str, float]) -> None:
    p = nn.Parameter(torch.zeros(2))
    optimizer = optim.SGD([p], 0.1, **settings)
    gain = None
    for _ in range(5):
        p.grad = torch.ones(2)
        gain = next_gain(gain, optimizer, optimizer.param_groups[0], optimizer.state[p])
        optimizer.step()
        torch.testing.assert_close(optimizer.state[p]["momentum_buffer"], torch.full((2,), gain))


def test_a_buffer_that_was_there_before_has_the_gain_of_the_limit() -> None:
    p = nn.Parameter(torch.zeros(2))
    optimizer = optim.SGD([p], 0.1, momentum=0.9)
    optimizer.state[p]["momentum_buffer"] = torch.ones(2)
    assert next_gain(None, optimizer, optimizer.param_groups[0], optimizer.state[p]) == pytest.approx(10)


@pytest.mark.parametrize("name", SUPPORTED)
def test_a_constant_gradient_moves_the_weights_by_step_over_metric(name: str) -> None:
    """w ← w − step · m / D: with the same gradient at every step m is that gradient, so the move gives step / D."""
    torch.manual_seed(0)
    p = nn.Parameter(torch.randn(4, 6, dtype=torch.float64))
    gradient = torch.randn(4, 6, dtype=torch.float64)
    optimizer = SUPPORTED[name]([p])
    group, gain = optimizer.param_groups[0], None
    for t in range(12):
        p.grad, before = gradient.clone(), p.detach().clone()
        gain = next_gain(gain, optimizer, group, optimizer.state[p])
        seen = observe(optimizer, p)
        optimizer.step()
        metric = metric_of(optimizer)(Moment(group, optimizer.state[p], p, seen, gain))
        d = metric.diagonal(torch.empty_like(p), *metric.state) if metric.state else torch.ones_like(p)
        # RMSprop's buffer keeps the denominators of earlier steps, which change while its average warms up
        if name != "RMSprop-momentum" or t == 0:
            torch.testing.assert_close(p.detach() - before, -metric.step * gradient / d, rtol=1e-6, atol=1e-12)
