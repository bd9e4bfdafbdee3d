"""Weights at the optimum, by scikit-learn's solvers, closed forms and a proximal gradient loop in numpy."""

import copy
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import Lasso, LogisticRegression, enet_path, lasso_path
from torch import Tensor, nn
from torch.nn import functional as F

import thinnet as tn
from thinnet.search._polish import polish_

from .networks import Problem, linear, perceptron, regression

STRENGTHS = 50
Loss = Callable[[nn.Module], Tensor]


def many_columns(outputs: int = 1) -> Problem:
    """Sixty columns, of which twelve matter."""
    draw = np.random.default_rng(0)
    x, w = draw.normal(size=(150, 60)), np.zeros((60, outputs))
    w[:12] = 2 * draw.normal(size=(12, outputs))
    return Problem(torch.tensor(x), torch.tensor(x @ w + 0.5 * draw.normal(size=(150, outputs))))


def at_zero(inputs: int, outputs: int = 1, bias: bool = False) -> nn.Linear:
    model = nn.Linear(inputs, outputs, bias=bias).double()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    return model


def ravel(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def assert_same_coefficients(found: Tensor, expected: np.ndarray, tie: float = 1e-6) -> None:
    """Equal, and zero at the same places but where the oracle's coefficient is as good as zero."""
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-4)
    clear = (expected == 0) | (np.abs(expected) > tie)
    np.testing.assert_array_equal((found.numpy() != 0)[clear], (expected != 0)[clear])


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize(
    ("rule", "share"),
    [(tn.L1(1.0), 1.0), (tn.ElasticNet(0.6, 0.4), 0.6), (tn.L1(0.6) + tn.L2(0.4), 0.6)],
    ids=["L1", "ElasticNet", "L1 + L2"],
)
def test_warm_started_along_a_path_it_is_coordinate_descents(rule: tn.Rule, share: float, direction: str) -> None:
    problem = many_columns()
    x, y = problem.x.numpy(), problem.y.numpy().ravel()
    top = np.abs(x.T @ y).max() / len(x) / share
    grid = np.geomspace(0.999 * top, 1e-3 * top, STRENGTHS)
    more = {} if share == 1 else {"l1_ratio": share}
    _, coefficients, _ = (lasso_path if share == 1 else enet_path)(x, y, alphas=grid, tol=1e-13, max_iter=10**6, **more)
    pairs = list(zip(grid, coefficients.T, strict=True))
    model, plan = at_zero(60), tn.Plan(rule)
    for strength, expected in pairs if direction == "down" else pairs[::-1]:
        assert polish_(model, plan, problem.loss, scale=strength).converged
        assert_same_coefficients(model.weight.detach()[0], expected)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_the_l1_logistic_regression_of_saga(classes: int) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 10))
    scores = x[:, :4] @ draw.normal(size=(4, classes)) + 1.5 * draw.gumbel(size=(200, classes))
    labels = scores.argmax(1)
    features, y = torch.tensor(x), torch.tensor(labels)

    def loss(model: nn.Module) -> Tensor:
        if classes == 2:
            return F.binary_cross_entropy_with_logits(model(features)[:, 0], y.double())
        return F.cross_entropy(model(features), y)

    model = at_zero(10, 1 if classes == 2 else classes, bias=True)
    saga = LogisticRegression(l1_ratio=1.0, solver="saga", tol=1e-10, max_iter=10**5, warm_start=True, random_state=0)
    for strength in np.geomspace(0.25, 1e-3, STRENGTHS):
        saga.C = 1 / (strength * len(x))
        saga.fit(x, labels)
        assert polish_(model, tn.Plan(tn.L1(1.0)), loss, scale=strength).converged
        assert_same_coefficients(model.weight.detach().flatten(), saga.coef_.ravel())


def grouped_by_numpy(x: np.ndarray, y: np.ndarray, w: np.ndarray, strength: float) -> np.ndarray:
    """Plain proximal gradient, row of w after row, until nothing moves by 1e-10 of a step."""
    gram, cross = x.T @ x / y.size, x.T @ y / y.size
    step = 1 / np.linalg.eigvalsh(gram)[-1]
    while True:
        z, moved = w - step * (gram @ w - cross), np.empty_like(w)
        for row in range(len(w)):
            norm = math.sqrt(sum(v * v for v in z[row]))
            threshold = step * strength * math.sqrt(w.shape[1])
            moved[row] = 0.0 if norm <= threshold else (1 - threshold / norm) * z[row]
        if np.abs(moved - w).max() <= 1e-10 * step:
            return moved
        w = moved


@pytest.mark.parametrize("by", ["one parameter", "two parameters"])
def test_groups_along_a_path_are_those_of_a_proximal_gradient_loop(by: str) -> None:
    draw = np.random.default_rng(1)
    x = draw.normal(size=(80, 10))
    y = x[:, :4] @ draw.normal(size=(4, 3)) + 0.5 * draw.normal(size=(80, 3))
    features, targets = torch.tensor(x), torch.tensor(y)
    heads = nn.ModuleList([at_zero(10, 3)] if by == "one parameter" else [at_zero(10), at_zero(10, 2)])
    columns = {"0.weight": (1, range(10)), "1.weight": (1, range(10))}
    rule = tn.GroupLasso(1.0, by="inputs") if len(heads) == 1 else tn.CoupledGroupLasso(1.0, columns)

    def loss(model: nn.Module) -> Tensor:
        return (torch.cat([head(features) for head in model], 1) - targets).square().mean() / 2

    top = max(np.linalg.norm(row) for row in x.T @ y / y.size) / math.sqrt(3)
    expected, sizes = np.zeros((10, 3)), set()
    for strength in np.geomspace(0.999 * top, 1e-3 * top, STRENGTHS):
        expected = grouped_by_numpy(x, y, expected, strength)
        assert polish_(heads, tn.Plan(rule), loss, scale=strength).converged
        found = torch.cat([head.weight.detach() for head in heads]).T
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(found.numpy().any(1), expected.any(1))
        sizes.add(int(expected.any(1).sum()))
    assert sizes >= {1, 4, 10}


def test_the_false_positives_of_minibatches_go() -> None:
    problem, strength = many_columns(), 0.05
    x, y = problem.x.numpy(), problem.y.numpy().ravel()
    oracle = Lasso(strength, fit_intercept=False, tol=1e-13, max_iter=10**6).fit(x, y).coef_
    model, plan, generator = at_zero(60), tn.Plan(tn.L1(strength)), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    attachment = tn.attach(model, plan, optimizer)
    for _ in range(150):
        for rows in torch.randperm(150, generator=generator).split(32):
            optimizer.zero_grad()
            Problem(problem.x[rows], problem.y[rows]).loss(model).backward()
            optimizer.step()
    state = copy.deepcopy(optimizer.state_dict())
    assert int((model.weight != 0).sum()) > int((oracle != 0).sum())
    polish_(model, plan, problem.loss)
    assert_same_coefficients(model.weight.detach()[0], oracle)
    # the caller's attachment and optimizer go on as they were
    assert attachment.terms()["L1"] == pytest.approx(strength * np.abs(oracle).sum(), rel=1e-5)
    for key, value in state["state"][0].items():
        torch.testing.assert_close(optimizer.state_dict()["state"][0][key], value, rtol=0, atol=0)


def test_positive_lasso_from_weights_outside_of_the_constraint() -> None:
    problem = many_columns()
    oracle = Lasso(0.1, positive=True, fit_intercept=False, tol=1e-13, max_iter=10**6)
    oracle.fit(problem.x.numpy(), problem.y.numpy().ravel())
    model = at_zero(60)
    nn.init.constant_(model.weight, -1.0)
    # every weight is feasible at a higher loss than where it starts
    polish_(model, tn.Plan(tn.L1(0.1) + tn.NonNegative()), problem.loss)
    assert_same_coefficients(model.weight.detach()[0], oracle.coef_)


def test_groups_and_bounds_that_cross_are_brought_as_low_as_sequential_programming_brings_them() -> None:
    """The projection after the proximal step is not the step of both, and may raise the cost: it is shortened then."""
    torch.manual_seed(0)
    x = torch.randn(80, 6, dtype=torch.float64)
    problem, model = Problem(x, 2 * x @ torch.randn(6, 4, dtype=torch.float64)), at_zero(6, 4)
    design, targets = problem.x.numpy(), problem.y.numpy()

    def cost(flat: np.ndarray) -> float:
        w = flat.reshape(4, 6)
        residuals = design @ w.T - targets
        return (residuals**2).mean() / 2 + 0.1 * 2 * np.linalg.norm(w, axis=0).sum()

    bounds = {"type": "ineq", "fun": lambda flat: 0.64 - (flat.reshape(4, 6) ** 2).sum(1)}
    oracle = minimize(cost, np.full(24, 0.1), method="SLSQP", constraints=[bounds], options={"ftol": 1e-12})
    rules = tn.GroupLasso(0.1, by="inputs") + tn.MaxNorm(0.8)
    done = polish_(model, tn.Plan(rules), problem.loss, steps=2000)
    assert done.cost == pytest.approx(oracle.fun, rel=1e-6)
    assert bool((model.weight.norm(dim=1) <= 0.8 + 1e-9).all())


def test_parameters_without_a_rule_take_part_and_the_rest_is_ridge_in_closed_form() -> None:
    problem = regression()
    model = linear()
    done = polish_(model, tn.Plan({"weight": tn.L2(0.3)}), problem.loss, scale=2.0)
    x, y = problem.x - problem.x.mean(0), problem.y - problem.y.mean()
    w = torch.linalg.solve(x.T @ x / len(x) + 0.6 * torch.eye(8, dtype=x.dtype), x.T @ y / len(x))
    torch.testing.assert_close(model.weight.detach(), w.T, rtol=0, atol=1e-6)
    torch.testing.assert_close(model.bias.detach(), problem.y.mean(0) - problem.x.mean(0) @ w, rtol=0, atol=1e-6)
    cost = problem.loss(model) + 0.6 / 2 * w.square().sum()
    assert done.cost == pytest.approx(float(cost.detach()))


def test_without_a_plan_it_is_least_squares() -> None:
    problem, model = regression(), at_zero(8)
    assert polish_(model, None, problem.loss).converged
    expected = torch.linalg.lstsq(problem.x, problem.y).solution.T
    torch.testing.assert_close(model.weight.detach(), expected, rtol=0, atol=1e-6)


def test_each_member_of_a_stack_comes_to_the_lasso_of_its_own_strength_and_rows() -> None:
    problem = many_columns()
    strengths, folds = [0.05, 0.2, 1.0], [slice(0, 100), slice(50, 150), slice(25, 125)]
    stack = tn.Stack([tn.Member(seed=k) for k in range(3)], in_features=60, hidden=[], out_features=1).double()
    x, y = (torch.stack([rows[fold] for fold in folds]) for rows in (problem.x, problem.y))
    plan = tn.Plan({"weights.0": tn.L1(torch.tensor(strengths))})
    assert polish_(stack, plan, lambda m: (m(x) - y).square().mean((1, 2)).sum() / 2).converged
    for k, (strength, fold) in enumerate(zip(strengths, folds, strict=True)):
        oracle = Lasso(strength, tol=1e-13, max_iter=10**6)
        oracle.fit(problem.x[fold].numpy(), problem.y[fold].numpy().ravel())
        assert_same_coefficients(stack.weights[0].detach()[k, 0], oracle.coef_)
        assert float(stack.biases[0][k].detach()) == pytest.approx(oracle.intercept_, abs=1e-4)


@pytest.mark.parametrize("strength", [pytest.param(0.003, marks=pytest.mark.slow), 0.05])
def test_a_network_meets_the_conditions_of_a_minimum(strength: float) -> None:
    problem, model = regression(), perceptron()
    plan = tn.Plan({"0.weight": tn.L1(1.0) + tn.L2(0.5), "2.weight": tn.L2(1.0)})
    done = polish_(model, plan, problem.loss, scale=strength, steps=50_000)
    assert done.converged
    smooth = problem.loss(model) + strength / 2 * (
        0.5 * model[0].weight.square().sum() + model[2].weight.square().sum()
    )
    slopes = torch.autograd.grad(smooth, list(model.parameters()))
    w, near = model[0].weight.detach(), 1e-5
    assert 0 < int((w == 0).sum()) < w.numel()
    assert (slopes[0][w == 0].abs() <= strength + near).all()
    assert ((slopes[0] + strength * w.sign())[w != 0].abs() <= near).all()
    for slope in slopes[1:]:
        assert (slope.abs() <= near).all()


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU, nn.GELU])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "rule",
    [tn.L1(0.01), tn.GroupLasso(0.003, by="inputs") + tn.L2(0.01), tn.GroupLasso(0.01) + tn.MaxNorm(0.7)],
    ids=["L1", "GroupLasso + L2", "GroupLasso + MaxNorm"],
)
def test_no_step_raises_the_cost_of_a_network(rule: tn.Rule, dtype: torch.dtype, activation: type[nn.Module]) -> None:
    problem = regression()
    problem = Problem(problem.x.to(dtype), problem.y.sin().to(dtype))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), activation(), nn.Linear(16, 8), activation(), nn.Linear(8, 1)).to(dtype)
    plan = tn.Plan(rule)

    def cost() -> float:
        with torch.no_grad():
            rules = [(r, b.parameter) for b in plan.bind(model) for r in b.rules if isinstance(r, tn.Penalty)]
            return float(problem.loss(model)) + sum(float(r.value(w)) for r, w in rules)

    # a single step only puts the weights into the constraints, and goes down from there
    costs = [polish_(model, plan, problem.loss, steps=1).cost]
    for _ in range(10):
        done = polish_(model, plan, problem.loss, steps=20)
        assert done.cost == pytest.approx(cost(), rel=1e-5)
        costs.append(done.cost)
    rounding = 1e-6 if dtype == torch.float32 else 1e-13
    assert all(later <= earlier * (1 + rounding) for earlier, later in itertools.pairwise(costs))
    assert costs[-1] < 0.9 * costs[0]
    if any(isinstance(part, tn.MaxNorm) for part in rule.parts()):
        assert all(bool((layer.weight.norm(dim=1) <= 0.7 + 1e-6).all()) for layer in (model[0], model[2]))


def test_it_stops_at_the_rounding_of_low_precision() -> None:
    problem, exact, rounded = many_columns(), at_zero(60), at_zero(60).float()
    coarse = Problem(problem.x.float(), problem.y.float())
    for strength in np.geomspace(3.0, 0.01, 8):
        polish_(exact, tn.Plan(tn.L1(1.0)), problem.loss, scale=strength)
        done = polish_(rounded, tn.Plan(tn.L1(1.0)), coarse.loss, scale=strength)
        assert done.converged
        torch.testing.assert_close(rounded.weight.double(), exact.weight, rtol=0, atol=1e-5)


def test_momentum_that_overshoots_starts_anew_where_costs_are_too_coarse_to_tell() -> None:
    problem, model = many_columns(), at_zero(60).float()
    shifted = Problem(problem.x.float() + 3, problem.y.float())  # a hundred times worse conditioned
    steps = [polish_(model, tn.Plan(tn.L1(s)), shifted.loss).steps for s in np.geomspace(3.0, 0.1, 4).tolist()]
    assert sum(steps) < 2500


def test_a_step_out_of_the_domain_of_the_loss_is_shortened() -> None:
    model = at_zero(1)
    nn.init.constant_(model.weight, 0.01)
    # 2w − log w has its minimum at a half, and is not a number below zero
    done = polish_(model, tn.Plan(tn.L1(1.0)), lambda m: (m.weight - m.weight.log()).sum())
    assert done.converged
    assert float(model.weight.detach()) == pytest.approx(0.5, abs=1e-5)


def test_a_parameter_that_the_loss_does_not_use_is_left_to_its_penalty() -> None:
    model = nn.ModuleDict({"used": at_zero(8), "unused": nn.Linear(3, 2)})
    bias = model["unused"].bias.detach().clone()
    assert polish_(model, tn.Plan(tn.L1(0.1)), lambda m: regression().loss(m["used"])).converged
    assert not model["unused"].weight.any()
    torch.testing.assert_close(model["unused"].bias, bias)


def test_sparse_gradients_of_an_embedding_are_as_good_as_dense_ones() -> None:
    rows, targets = torch.tensor([0, 0, 2, 3]), torch.tensor([[1.0], [3.0], [-4.0], [0.1]], dtype=torch.float64)
    model = nn.Embedding(4, 1, sparse=True).double()
    plan = tn.Plan({"weight": tn.L1(1.0)})
    polish_(model, plan, lambda m: (m(rows) - targets).square().sum() / 2)
    # each row is the mean of its targets, shrunk by 1 over their number; the second has no target
    expected = torch.tensor([[1.5], [0.0], [-3.0], [0.0]], dtype=torch.float64)
    torch.testing.assert_close(model.weight.detach(), expected, rtol=0, atol=1e-6)


def test_what_is_frozen_stays_and_gradients_are_given_back() -> None:
    problem, model = regression(), perceptron()
    problem.loss(model).backward()
    model[0].weight.requires_grad_(False)
    gradients = [p.grad for p in model.parameters()]
    values = [g.clone() for g in gradients]
    frozen, free = model[0].weight.clone(), model[2].weight.detach().clone()
    polish_(model, tn.Plan(tn.L1(0.1)), problem.loss, steps=10)
    assert torch.equal(model[0].weight, frozen)
    assert not torch.equal(model[2].weight, free)
    for parameter, gradient, value in zip(model.parameters(), gradients, values, strict=True):
        assert parameter.grad is gradient
        assert torch.equal(gradient, value)


def test_connections_are_dropped_by_the_callers_attachment_before_and_after() -> None:
    problem, model = regression(), linear()
    plan = tn.Plan(tn.L1(0.1) + tn.DropConnect(0.5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    attachment = tn.attach(model, plan, optimizer)
    with pytest.raises(ValueError, match=r"same value twice.*model\.eval\(\)"):
        polish_(model, plan, problem.loss)
    model.eval()
    polish_(model, plan, problem.loss)
    model.train()
    assert not torch.equal(model(problem.x), model(problem.x))
    attachment.detach()
    torch.testing.assert_close(model(problem.x), model(problem.x), rtol=0, atol=0)


def test_an_interrupted_polish_leaves_the_best_weights_it_had() -> None:
    problem, model, calls = regression(), perceptron(), 0

    def loss(m: nn.Module) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 40:
            raise KeyboardInterrupt
        return problem.loss(m)

    before = float(problem.loss(model).detach())
    with pytest.raises(KeyboardInterrupt):
        polish_(model, None, loss)
    assert float(problem.loss(model).detach()) < before
    assert all(p.grad is None for p in model.parameters())


def test_out_of_steps_is_not_converged() -> None:
    done = polish_(linear(), tn.Plan(tn.L1(0.01)), regression().loss, steps=2)
    assert (done.steps, done.converged) == (2, False)
    assert done.residual > 1e-3


def test_at_the_optimum_one_step_says_so() -> None:
    problem, model = regression(), linear()
    polish_(model, tn.Plan(tn.L1(0.1)), problem.loss, tolerance=1e-9)
    before = ravel(model)
    done = polish_(model, tn.Plan(tn.L1(0.1)), problem.loss)
    assert (done.steps, done.converged) == (1, True)
    torch.testing.assert_close(ravel(model), before, rtol=0, atol=1e-7)


def nothing_to_train() -> nn.Module:
    return linear().requires_grad_(False)


def infinite(model: nn.Module) -> Tensor:
    return model.weight.sum() * math.inf


REFUSED: dict[str, tuple[Callable[[], nn.Module], tn.Rule, Loss, str]] = {
    "frozen": (nothing_to_train, tn.L1(0.1), regression().loss, "no parameter of the model requires a gradient"),
    "not finite": (linear, tn.L1(0.1), infinite, "`loss` must be finite, got (inf|-inf|nan)"),
    "no scalar": (linear, tn.L1(0.1), regression().losses, r"real scalar tensor, got shape \(60,\)"),
    "a number": (linear, tn.L1(0.1), lambda m: 1.0, r"real scalar tensor, got 1\.0"),
    "detached": (linear, tn.L1(0.1), lambda m: m.weight.detach().sum(), "not differentiable"),
    "no slope": (linear, tn.L1(0.1), lambda m: (m.bias - m.bias).sqrt().sum(), "gradient of bias is not finite"),
    "dropout": (linear, tn.L1(0.1), lambda m: F.dropout(m.weight).sum(), "same value twice"),
    "decay": (linear, tn.WeightDecay(0.1), regression().loss, r"WeightDecay\(.*on weight has no cost.*tn\.L2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_optimum_is_refused_and_the_weights_stay(case: str) -> None:
    make, rule, loss, message = REFUSED[case]
    model = make()
    before = ravel(model)
    with pytest.raises(ValueError, match=f"polish_: .*{message}"):
        polish_(model, tn.Plan(rule), loss)
    assert torch.equal(ravel(model), before)
    assert all(p.grad is None for p in model.parameters())


def test_a_key_that_claims_nothing_and_a_weight_made_anew_are_refused() -> None:
    with pytest.raises(ValueError, match=r"polish_: .*decoder"):
        polish_(linear(), tn.Plan({"decoder.weight": tn.L1(0.1)}), regression().loss)
    model = nn.utils.parametrizations.weight_norm(linear())
    with pytest.raises(ValueError, match=r"cannot act on weight, which is parametrized by WeightNorm"):
        polish_(model, tn.Plan(tn.L1(0.1)), regression().loss)


@pytest.mark.parametrize(("name", "value"), [("scale", -1.0), ("scale", math.inf), ("steps", 0), ("tolerance", -1e-9)])
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"polish_: `{name}` must be finite and >= "):
        polish_(linear(), None, regression().loss, **{name: value})
