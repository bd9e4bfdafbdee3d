import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.search._sparsity import Sparsity


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()


def gradient(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_what_is_smooth_frozen_or_not_in_a_group_is_left_out() -> None:
    network = model()
    network[2].weight.requires_grad_(False)
    plan = tn.Plan(
        {"0.weight": tn.L2(1.0) + tn.GroupLasso(1.0, by="inputs", blocks=[0, 0, -1]), "2.weight": tn.L1(1.0)}
    )
    sparsity = Sparsity.of(plan.bind(network))
    assert [binding.name for binding in sparsity.bindings] == ["0.weight"]
    before = network[0].weight.detach().clone()
    sparsity.take_to_zero_()
    assert not network[0].weight[:, :2].any()
    torch.testing.assert_close(network[0].weight[:, 2], before[:, 2])


def test_the_strength_at_zero_is_the_dual_norm_of_the_gradient() -> None:
    g = gradient(4, 3)
    expected = {
        tn.L1(0.5): g.abs().max() / 0.5,
        tn.ElasticNet(0.5, 3.0): g.abs().max() / 0.5,
        tn.GroupLasso(0.25): (g.norm(dim=1) / (0.25 * 3**0.5)).max(),
        tn.GroupLasso(0.25, by="inputs"): (g.norm(dim=0) / (0.25 * 4**0.5)).max(),
        tn.GroupLasso(2.0, by="inputs", blocks=[1, -1, 1]): g[:, [0, 2]].norm() / (2.0 * 8**0.5),
    }
    for rule, strength in expected.items():
        network = model()
        sparsity = Sparsity.of(tn.Plan({"0.weight": rule}).bind(network))
        sparsity.take_to_zero_()
        before = network[0].weight.detach().clone()
        assert sparsity.strength_of([g]) == pytest.approx(float(strength), rel=1e-6)
        assert torch.equal(network[0].weight, before)


def test_groups_over_parameters_and_sums_of_penalties() -> None:
    g, h = gradient(4, 3), gradient(2, 4)
    network = model()
    rule = tn.CoupledGroupLasso(0.5, {"0.weight": (0, [0, 1, 2, 3]), "2.weight": (1, [0, 1, 2, 3])})
    sparsity = Sparsity.of(tn.Plan(rule).bind(network))
    sparsity.take_to_zero_()
    expected = ((g.square().sum(1) + h.square().sum(0)).sqrt() / (0.5 * 5**0.5)).max()
    assert sparsity.strength_of([g, h]) == pytest.approx(float(expected), rel=1e-6)
    assert len(list(sparsity.parts())) == 1
    # both penalties: the least t at which the soft-thresholded gradient has norm t · sqrt(3) · 0.2 in every row
    both = Sparsity.of(tn.Plan({"0.weight": tn.L1(0.3) + tn.GroupLasso(0.2)}).bind(network))
    t = both.strength_of([g])
    rest = (g.abs() - 0.3 * t).clamp(min=0).norm(dim=1)
    assert float(rest.max()) == pytest.approx(0.2 * t * 3**0.5, rel=1e-5)


def test_it_finds_very_large_and_very_small_strengths_and_none() -> None:
    network = model()
    sparsity = Sparsity.of(tn.Plan({"0.weight": tn.L1(1.0)}).bind(network))
    sparsity.take_to_zero_()
    for size in (1e-8, 1e8):
        assert sparsity.strength_of([torch.full((4, 3), size, dtype=torch.float64)]) == pytest.approx(size, rel=1e-6)
    assert sparsity.strength_of([torch.zeros(4, 3, dtype=torch.float64)]) == 0


def test_what_is_left_is_counted() -> None:
    network = model()
    plan = tn.Plan({"0.weight": tn.GroupLasso(1.0, by="inputs"), "2.weight": tn.L1(1.0)})
    sparsity = Sparsity.of(plan.bind(network))
    with torch.no_grad():
        network[0].weight[:, 1] = 0
    assert sparsity.count() == (16, 20)
    assert sparsity.alive()["0.weight"].tolist() == [True, False, True]
    weights = torch.cat([network[0].weight.flatten(), network[2].weight.flatten()])
    assert sparsity.norm() == pytest.approx(float(weights.detach().norm()))
    expected = 2 * network[0].weight.norm(dim=0).sum() + network[2].weight.abs().sum()
    assert sparsity.value() == pytest.approx(float(expected.detach()))
    sparsity.take_to_zero_()
    assert sparsity.value() == 0
