import math

import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor

from thinnet.penalties import L1, GroupLasso, group_lasso_prox


def group_by_hand(z: Tensor, d: Tensor, tau: float) -> Tensor:
    """One group's proximal step in float64 by bracketing the norm of the outcome, a coordinate at a time."""
    zs, ds = z.double().flatten().tolist(), d.double().flatten().tolist()
    pull = math.sqrt(math.fsum((b * a) ** 2 for a, b in zip(zs, ds, strict=True)))
    if pull <= tau:
        return torch.zeros_like(z.double())
    low, high = (pull - tau) / max(ds) * 0.99, (pull - tau) / min(ds) * 1.01

    def excess(log_theta: float) -> float:
        theta = math.exp(log_theta)
        return math.log(math.fsum((b * a / (b * theta + tau)) ** 2 for a, b in zip(zs, ds, strict=True)))

    theta = math.exp(brentq(excess, math.log(low), math.log(high), xtol=1e-15, rtol=1e-15, maxiter=1000))
    outcome = [b * theta / (b * theta + tau) * a for a, b in zip(zs, ds, strict=True)]
    return torch.tensor(outcome, dtype=torch.float64).reshape(z.shape)


def spread_out(decades: float, groups: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Weights and a metric that ranges over `decades` inside each group; large weights where it is small."""
    g = torch.Generator().manual_seed(seed)
    exponents = decades * (torch.rand(groups, size, generator=g, dtype=torch.float64) - 0.5)
    tilt = torch.rand(groups, 1, generator=g, dtype=torch.float64)
    z = torch.randn(groups, size, generator=g, dtype=torch.float64) * 10 ** (-exponents * tilt)
    return z, 10**exponents


def test_golden_value_and_step() -> None:
    w = torch.tensor([[3.0, 4.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    assert GroupLasso(1.0).value(w).item() == 14.0
    assert GroupLasso(1.0).prox(w, 1.25).tolist() == [[1.5, 2.0, 0.0, 0.0], [0.0] * 4]


def test_golden_groups_by_inputs() -> None:
    w = torch.tensor([[3.0, 0.5], [4.0, 0.5]])
    assert GroupLasso(2.0, by="inputs").value(w).item() == pytest.approx(2 * math.sqrt(2) * (5 + math.sqrt(0.5)))
    expected = torch.tensor([[1.5, 0.0], [2.0, 0.0]])
    torch.testing.assert_close(GroupLasso(2.0, by="inputs").prox(w, 1.25 / math.sqrt(2)), expected)


def test_golden_step_in_a_metric() -> None:
    # the outcome (3, 4) has norm 5; with τ = 10 it comes from z = u + τ/D · u/5 = (3 + 6, 4 + 2)
    z, d = torch.tensor([[9.0, 6.0]], dtype=torch.float64), torch.tensor([[1.0, 4.0]], dtype=torch.float64)
    stepped = GroupLasso(10 / math.sqrt(2)).prox(z, 1.0, d)
    torch.testing.assert_close(stepped, torch.tensor([[3.0, 4.0]], dtype=torch.float64), rtol=1e-14, atol=0)


@pytest.mark.parametrize("by", ["outputs", "inputs"])
def test_a_kernel_is_inside_its_group(by: str) -> None:
    w = torch.randn(4, 3, 2, 5, generator=torch.Generator().manual_seed(0))
    groups = list(w) if by == "outputs" else list(w.transpose(0, 1))
    expected = sum(0.3 * g.numel() ** 0.5 * g.norm() for g in groups)
    torch.testing.assert_close(GroupLasso(0.3, by=by).value(w), expected)
    stepped = torch.stack([g * max(0.0, 1 - 0.3 * g.numel() ** 0.5 / float(g.norm())) for g in groups])
    torch.testing.assert_close(
        GroupLasso(0.3, by=by).prox(w, 1.0), stepped if by == "outputs" else stepped.transpose(0, 1)
    )


@pytest.mark.parametrize("by", ["outputs", "inputs"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_layout_in_memory_does_not_matter(by: str, weighted: bool) -> None:
    g = torch.Generator().manual_seed(0)
    w, d = torch.randn(3, 4, 5, generator=g), torch.rand(3, 4, 5, generator=g) + 0.1
    for penalty in (GroupLasso(0.2, by=by), GroupLasso(torch.tensor([0.1, 0.2, 0.3]), by=by)):
        plain = penalty.prox(w, 1.0, d if weighted else None)
        other = penalty.prox(w.mT.contiguous().mT, 1.0, d.mT.contiguous().mT if weighted else None)
        torch.testing.assert_close(other, plain)


def test_groups_of_one_weight_are_l1() -> None:
    bias = torch.tensor([0.5, -2.0, 0.1])
    d = torch.tensor([1.0, 4.0, 0.5])
    assert GroupLasso(0.3).value(bias) == L1(0.3).value(bias)
    torch.testing.assert_close(GroupLasso(0.3).prox(bias, 1.0), L1(0.3).prox(bias, 1.0))
    torch.testing.assert_close(GroupLasso(0.3).prox(bias, 1.0, d), L1(0.3).prox(bias, 1.0, d))


def test_inputs_of_a_vector_are_refused() -> None:
    with pytest.raises(ValueError, match=r"by inputs needs weights of at least 2 dimensions, got shape \(3,\)"):
        GroupLasso(0.3, by="inputs").prox(torch.ones(3), 1.0)
    with pytest.raises(ValueError, match=r"at least 3 dimensions \(1 of them the stack\), got shape \(2, 3\)"):
        GroupLasso(torch.ones(2), by="inputs").value(torch.ones(2, 3))


def test_an_unknown_grouping_is_refused() -> None:
    with pytest.raises(ValueError, match='GroupLasso: `by` must be "outputs" or "inputs", got \'rows\''):
        GroupLasso(0.3, by="rows")


def test_it_couples_what_it_groups_by() -> None:
    assert (GroupLasso(1.0).grouping, GroupLasso(1.0, by="inputs").grouping) == ("outputs", "inputs")


@pytest.mark.parametrize("decades", [0, 0.5, 2, 5, 9, 12])
@pytest.mark.parametrize("share", [1e-6, 1e-2, 0.5, 0.95])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-6)], ids=str)
def test_the_step_in_a_metric_is_right_over_many_decades(
    decades: float, share: float, dtype: torch.dtype, tolerance: float
) -> None:
    """Each group's threshold is `share` of what would make it zero; errors are relative to the group's norm."""
    z, d = (t.to(dtype) for t in spread_out(decades, groups=20, size=16, seed=3))
    tau = share * (d.double() * z.double()).norm(dim=1)
    # a stack of one-row members, so that each group has its own threshold
    stepped = group_lasso_prox(z[:, None], tau / 4, d[:, None])[:, 0]
    expected = torch.stack([group_by_hand(z[k], d[k], float(tau[k])) for k in range(20)])
    errors = (stepped.double() - expected).norm(dim=1) / z.double().norm(dim=1)
    assert errors.max() < tolerance
    assert stepped.dtype == dtype and (expected.norm(dim=1) > 0).all()


def test_by_inputs_in_a_metric_is_by_outputs_of_the_transpose() -> None:
    z, d = spread_out(3, groups=6, size=8, seed=5)
    strength = float((d * z).norm(dim=1).median()) / 8**0.5  # about half of the groups go
    rows = GroupLasso(strength).prox(z, 1.0, d)
    torch.testing.assert_close(GroupLasso(strength, by="inputs").prox(z.T, 1.0, d.T), rows.T)
    assert 0 < (rows == 0).all(dim=1).sum() < 6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_group_is_zero_exactly_from_its_threshold_on(dtype: torch.dtype) -> None:
    # ‖D∘w‖ = 5 without rounding, by (3, 4), and sqrt(size) = 2
    w, d = torch.tensor([[1.5, 8.0, 0.0, 0.0]], dtype=dtype), torch.tensor([[2.0, 0.5, 1.0, 3.0]], dtype=dtype)
    above = 2.5 * (1 + 4 * torch.finfo(dtype).eps)
    for step, zero in ((2.5, True), (above, True), (2.5 / (1 + 4 * torch.finfo(dtype).eps), False)):
        stepped = GroupLasso(1.0).prox(w, step, d)
        assert bool((stepped == 0).all()) == zero
        stepped = GroupLasso(1.0).prox(w * d, step)
        assert bool((stepped == 0).all()) == zero


def test_dead_groups_stay_dead_beside_live_ones() -> None:
    z, d = spread_out(2, groups=5, size=4, seed=1)
    z[2] = 0
    stepped = GroupLasso(1e-3).prox(z, 1.0, d)
    assert (stepped[2] == 0).all() and (stepped[[0, 1, 3, 4]].norm(dim=1) > 0).all() and stepped.isfinite().all()


def test_a_group_steps_alike_whoever_steps_beside_it() -> None:
    easy, easy_d = spread_out(0.1, groups=3, size=8, seed=1)
    hard, hard_d = spread_out(10, groups=3, size=8, seed=2)
    together = GroupLasso(0.01).prox(torch.cat([easy, hard]), 1.0, torch.cat([easy_d, hard_d]))
    assert torch.equal(together[:3], GroupLasso(0.01).prox(easy, 1.0, easy_d))


def test_the_values_gradient_pulls_live_groups_and_leaves_dead_ones() -> None:
    w = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    GroupLasso(1.0).value(w).backward()
    torch.testing.assert_close(w.grad, math.sqrt(2) * torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
