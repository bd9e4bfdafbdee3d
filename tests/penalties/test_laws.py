"""What every penalty and every decay promises. A public one that is not enrolled here fails the suite."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from thinnet import penalties
from thinnet.penalties import L1, L2, CoupledGroupLasso, Decay, ElasticNet, GroupLasso, Penalty, WeightDecay
from thinnet.rule import Rule, stack_rules


@dataclass(frozen=True)
class Enrolled:
    rule: Rule
    degree: int | None  # value(a w) = |a|^degree value(w), where it is so


ENROLLED = [
    Enrolled(L1(0.3), 1),
    Enrolled(L2(0.3), 2),
    Enrolled(ElasticNet(0.2, 0.4), None),
    Enrolled(ElasticNet(0.0, 0.4), 2),
    Enrolled(GroupLasso(0.15), 1),
    Enrolled(GroupLasso(0.15, by="inputs"), 1),
    Enrolled(WeightDecay(0.3), None),
]
# acts on several parameters at once, so that the laws of one weight, of its dtype and of stacks have nothing to act on;
# those that hold for many are in test_coupled_group_lasso.py
OF_MANY = {CoupledGroupLasso}
PENALTIES = [e for e in ENROLLED if isinstance(e.rule, Penalty)]
SMOOTH = [e for e in PENALTIES if e.rule.smooth]
DECAYS = [e for e in ENROLLED if isinstance(e.rule, Decay)]
SHAPES = [(4, 6), (3, 2, 3, 2)]


def name(e: Enrolled) -> str:
    return repr(e.rule)


of_all = pytest.mark.parametrize("e", ENROLLED, ids=name)
of_penalties = pytest.mark.parametrize("e", PENALTIES, ids=name)
of_smooth = pytest.mark.parametrize("e", SMOOTH, ids=name)
of_shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def metric_of(w: Tensor, seed: int = 1) -> Tensor:
    return torch.exp(2 * normal(*w.shape, seed=seed)).to(w.dtype)


def actions(rule: Rule) -> dict[str, Callable[[Rule, Tensor, Tensor], Tensor]]:
    """Everything that a rule may do to weights, each a function of the rule, the weights and a metric."""
    if isinstance(rule, Decay):
        return {"shrink": lambda r, w, d: r.shrink(w, 0.1)}
    found = {"prox": lambda r, w, d: r.prox(w, 0.7), "prox in a metric": lambda r, w, d: r.prox(w, 0.7, d)}
    return found | ({"gradient": lambda r, w, d: r.gradient(w)} if rule.smooth else {})


def test_every_public_penalty_is_enrolled() -> None:
    public = [getattr(penalties, name) for name in penalties.__all__]
    concrete = {c for c in public if inspect.isclass(c) and issubclass(c, Rule) and not inspect.isabstract(c)}
    assert concrete == {type(e.rule) for e in ENROLLED} | OF_MANY


@of_penalties
@of_shapes
def test_value_is_nonnegative_and_zero_at_zero(e: Enrolled, shape: tuple[int, ...]) -> None:
    assert e.rule.value(normal(*shape)) > 0
    assert e.rule.value(torch.zeros(shape)) == 0


@pytest.mark.parametrize("e", [e for e in PENALTIES if e.degree], ids=name)
@pytest.mark.parametrize("factor", [-3.0, 0.5])
def test_value_is_homogeneous_of_its_degree(e: Enrolled, factor: float) -> None:
    w = normal(4, 6)
    torch.testing.assert_close(e.rule.value(factor * w), abs(factor) ** e.degree * e.rule.value(w))


@of_penalties
def test_twice_the_penalty_is_twice_the_value(e: Enrolled) -> None:
    w = normal(4, 6)
    for double in (2 * e.rule, e.rule * 2, e.rule * torch.tensor(2.0, dtype=torch.float64)):
        torch.testing.assert_close(double.value(w), 2 * e.rule.value(w))


@of_all
def test_twice_the_rule_acts_as_two_steps_long(e: Enrolled) -> None:
    w = normal(4, 6)
    if isinstance(e.rule, Decay):
        torch.testing.assert_close((2 * e.rule).shrink(w, 0.1), e.rule.shrink(w, 0.2))
    else:
        torch.testing.assert_close((2 * e.rule).prox(w, 0.1), e.rule.prox(w, 0.2))


@of_all
@of_shapes
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_a_stack_equals_its_members_alone(e: Enrolled, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    members = [e.rule * factor for factor in (0.0, 0.7, 1.0, 3.0)]
    stacked = stack_rules(members)
    w = normal(len(members), *shape, dtype=dtype)
    d = metric_of(w)
    for action, act in actions(e.rule).items():
        alone = torch.stack([act(rule, w[k], d[k]) for k, rule in enumerate(members)])
        assert torch.equal(act(stacked, w, d), alone), action
    if isinstance(e.rule, Penalty):
        values = stacked.value(w)
        assert values.shape == (len(members),)
        torch.testing.assert_close(values, torch.stack([rule.value(w[k]) for k, rule in enumerate(members)]))


@of_penalties
def test_a_stack_of_steps_equals_its_members_alone(e: Enrolled) -> None:
    w, steps = normal(3, 4, 6), torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    alone = torch.stack([e.rule.prox(w[k], step) for k, step in enumerate(steps.tolist())])
    assert torch.equal(e.rule.prox(w, steps), alone)


@of_all
def test_a_stack_of_another_size_is_refused(e: Enrolled) -> None:
    stacked, w = stack_rules([e.rule] * 3), normal(2, 4, 6)
    for act in actions(e.rule).values():
        with pytest.raises(ValueError, match=r"shape \(3,\) acts on a stack .* got weights \(2, 4, 6"):
            act(stacked, w, metric_of(w))
    if isinstance(e.rule, Penalty):
        with pytest.raises(ValueError, match=r"shape \(3,\) acts on a stack .* got weights \(2"):
            stacked.value(w)


@of_all
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("depth", [0, 1, None], ids=["0-d strength", "stack strength", "number"])
def test_weights_keep_their_dtype_and_shape(e: Enrolled, dtype: torch.dtype, depth: int | None) -> None:
    w = normal(2, 3, 4, dtype=dtype)
    one = torch.ones((2,) * depth, dtype=torch.float64) if depth is not None else 1.0
    rule = replace(e.rule, **{field: getattr(e.rule, field) * one for field in e.rule.strength_fields})
    for act in actions(rule).values():
        outcome = act(rule, w, metric_of(w))
        assert (outcome.dtype, outcome.shape) == (dtype, w.shape)
    if isinstance(rule, Penalty):
        assert rule.value(w).dtype == torch.promote_types(dtype, torch.float32)


@of_all
def test_weights_and_metric_are_left_alone(e: Enrolled) -> None:
    for rule in (e.rule, stack_rules([e.rule] * 4)):
        w = normal(4, 3, 6)
        d = metric_of(w)
        before, d_before, settings = w.clone(), d.clone(), rule.settings()
        for act in actions(rule).values():
            act(rule, w, d)
            assert torch.equal(w, before) and torch.equal(d, d_before) and rule.settings() == settings


@of_penalties
@pytest.mark.parametrize("shape", [(2, 3), (2, 2, 1, 2)], ids=str)
@pytest.mark.parametrize("step", [0.3, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_prox_is_the_minimizer(e: Enrolled, shape: tuple[int, ...], step: float, weighted: bool) -> None:
    """The objective F is D-strongly convex: u minimizes it iff F(v) >= F(u) + ½ Σ D (v − u)² for every v."""
    w = normal(*shape)
    d = metric_of(w) if weighted else torch.ones_like(w)

    def objective(v: Tensor) -> Tensor:
        return (d * (v - w) ** 2).sum() / 2 + step * e.rule.value(v)

    def cost(flat: NDArray[np.float64]) -> float:
        return float(objective(torch.tensor(flat).reshape(shape)))

    u = e.rule.prox(w, step, d if weighted else None)
    found = minimize(cost, w.flatten().numpy(), method="Powell", options={"xtol": 1e-9, "ftol": 1e-15}).x
    nearest = torch.tensor(found).reshape(shape)
    torch.testing.assert_close(u, nearest, atol=1e-4, rtol=0)
    for v in [nearest, 0 * w] + [u + scale * normal(*shape, seed=k) for k in range(20) for scale in (1e-5, 1e-2, 1)]:
        assert objective(v) >= objective(u) + (d * (v - u) ** 2).sum() / 2 - 1e-12


@of_penalties
@pytest.mark.parametrize("weighted", [False, True])
def test_prox_brings_points_nearer_and_shrinks(e: Enrolled, weighted: bool) -> None:
    a, b = normal(4, 6), normal(4, 6, seed=5)
    d = metric_of(a) if weighted else torch.ones_like(a)
    given = d if weighted else None
    pa, pb = e.rule.prox(a, 0.5, given), e.rule.prox(b, 0.5, given)
    assert (d * (pa - pb) ** 2).sum() <= (d * (a - b) ** 2).sum()
    assert (pa.abs() <= a.abs()).all() and (pa * a >= 0).all()
    assert not torch.equal(pa, a)


@of_penalties
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_prox_of_step_zero_or_strength_zero_changes_no_bit(e: Enrolled, dtype: torch.dtype, weighted: bool) -> None:
    w = normal(4, 6, dtype=dtype)
    w[1], w[2] = 0, w[2] * 1e-30  # float32 squares of these underflow
    given = metric_of(w) if weighted else None
    assert torch.equal(e.rule.prox(w, 0.0, given), w)
    assert torch.equal((0 * e.rule).prox(w, 1.0, given), w)


@of_penalties
@pytest.mark.parametrize("weighted", [False, True])
def test_prox_hides_no_nan(e: Enrolled, weighted: bool) -> None:
    w = normal(4, 6)
    w[2, 3] = torch.nan
    assert e.rule.prox(w, 0.5, metric_of(w.nan_to_num()) if weighted else None)[2, 3].isnan()


@of_penalties
@pytest.mark.parametrize("constant", [0.3, 1.0, 7.0])
def test_prox_in_a_constant_metric_is_a_shorter_step(e: Enrolled, constant: float) -> None:
    w = normal(4, 6)
    torch.testing.assert_close(e.rule.prox(w, 0.5, torch.full_like(w, constant)), e.rule.prox(w, 0.5 / constant))


@of_smooth
def test_gradient_is_autograds(e: Enrolled) -> None:
    w = normal(4, 6).requires_grad_()
    (expected,) = torch.autograd.grad(e.rule.value(w), w)
    torch.testing.assert_close(e.rule.gradient(w.detach()), expected)


@of_smooth
def test_value_passes_gradcheck(e: Enrolled) -> None:
    w = normal(4, 6).requires_grad_()
    assert torch.autograd.gradcheck(e.rule.value, w)
    assert torch.autograd.gradgradcheck(e.rule.value, w)


@pytest.mark.parametrize("e", [e for e in PENALTIES if not e.rule.smooth], ids=name)
def test_a_penalty_that_is_not_smooth_has_no_gradient(e: Enrolled) -> None:
    with pytest.raises(TypeError, match=rf"{type(e.rule).__name__} is not smooth: it acts through prox"):
        e.rule.gradient(normal(4, 6))


@of_penalties
def test_value_has_autograds_slope_away_from_kinks(e: Enrolled) -> None:
    w = normal(4, 6).requires_grad_()
    (slope,) = torch.autograd.grad(e.rule.value(w), w)
    v, h = normal(4, 6, seed=3), 1e-6
    with torch.no_grad():
        expected = (e.rule.value(w + h * v) - e.rule.value(w - h * v)) / (2 * h)
    torch.testing.assert_close((slope * v).sum(), expected, rtol=1e-7, atol=1e-7)
    assert slope.abs().max() > 0


@of_penalties
def test_gradient_of_the_value_at_zero_is_zero(e: Enrolled) -> None:
    w = torch.zeros(4, 6, requires_grad=True)
    e.rule.value(w).backward()
    assert torch.equal(w.grad, torch.zeros(4, 6))


@of_penalties
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_low_precision_is_summed_in_float32(e: Enrolled, dtype: torch.dtype) -> None:
    w = torch.full((1000, 1000), 0.5, dtype=dtype)
    torch.testing.assert_close(e.rule.value(w), e.rule.value(w.double()).float())
    assert e.rule.value(torch.full((2, 2), 300.0, dtype=dtype)).isfinite()  # 300² is beyond float16


@pytest.mark.parametrize("e", DECAYS, ids=name)
def test_decay_shrinks_toward_zero_and_not_at_rate_zero(e: Enrolled) -> None:
    w = normal(4, 6)
    shrunk = e.rule.shrink(w, 0.1)
    assert (shrunk.abs() < w.abs()).all() and (shrunk * w > 0).all()
    assert torch.equal(e.rule.shrink(w, 0.0), w)
    assert torch.equal((0 * e.rule).shrink(w, 0.1), w)


@of_all
def test_settings_survive_json(e: Enrolled) -> None:
    for rule in (e.rule, stack_rules([e.rule, 2 * e.rule])):
        settings = json.loads(json.dumps(rule.settings()))
        strengths = {k: torch.tensor(settings[k], dtype=torch.float64) for k in rule.strength_fields}
        assert type(rule)(**settings | strengths) == rule


@of_all
@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf"), torch.tensor([0.1, -0.1])], ids=str)
def test_a_strength_that_is_none_is_refused_by_name(e: Enrolled, wrong: float | Tensor) -> None:
    for field in e.rule.strength_fields:
        with pytest.raises(ValueError, match=rf"{type(e.rule).__name__}: `{field}` must be (>= 0|finite), got"):
            replace(e.rule, **{field: wrong})


@of_all
def test_weights_of_whole_numbers_are_refused(e: Enrolled) -> None:
    w = torch.ones(4, 6, dtype=torch.int64)
    for act in actions(e.rule).values():
        with pytest.raises(TypeError, match=r"floating-point weights, got torch\.int64"):
            act(e.rule, w, torch.ones(4, 6))
