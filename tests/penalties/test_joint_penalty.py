"""The contract of a penalty over several weights: a new one works everywhere with nothing but its own class."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.penalties import JointPenalty, Penalty

MEMBERS = {"0.weight": (0, [0, 1, -1, 1]), "2.weight": (1, [0, 1, -1, 1])}


@dataclass(frozen=True, eq=False, repr=False)
class JointLasso(JointPenalty):
    """s · Σ |w| over all weights that are in a group: no thinnet file knows of it."""

    def _mask(self, name: str, w: Tensor) -> Tensor:
        dim, numbers = self.members[name]
        return (torch.tensor(numbers) >= 0).view([-1 if d == dim else 1 for d in range(w.ndim)])

    def value(self, ws: Mapping[str, Tensor]) -> Tensor:
        return self.strength * sum((w.abs() * self._mask(name, w)).sum() for name, w in ws.items())

    def prox_(self, ws: Mapping[str, Tensor], metrics: Mapping[str, Tensor | float]) -> None:
        for name, w in ws.items():
            soft = w.sign() * (w.abs() - self.strength / metrics[name]).clamp(min=0)
            w.copy_(torch.where(self._mask(name, w), soft, w))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()


def test_a_coupled_group_lasso_is_a_penalty() -> None:
    rule = tn.CoupledGroupLasso(0.5, MEMBERS)
    assert isinstance(rule, Penalty) and not rule.smooth and rule.induces_zeros and rule.in_cost
    assert rule.acts == "joint prox" and rule.grouping == "members" and set(rule.parameter_names) == set(MEMBERS)


@pytest.mark.parametrize("kind", [JointLasso, tn.CoupledGroupLasso])
def test_what_is_shared_of_settings_names_and_kinds(kind: type[JointPenalty]) -> None:
    rule = kind(0.5, MEMBERS)
    assert rule.settings() == {"strength": 0.5, "members": {name: [d, list(n)] for name, (d, n) in MEMBERS.items()}}
    assert repr(rule) == f"{kind.__name__}(strength=0.5, members=<2 groups in 2 parameters>)"
    assert 2 * rule == kind(1.0, MEMBERS) and rule.kind == (2 * rule).kind
    assert rule.kind != kind(0.5, {"2.weight": (1, [0, 0, 0, 0])}).kind
    assert rule.member_name(["2.weight"]) == "2.weight" and rule.member_name(["1.weight"]) is None
    assert rule.governs(["2.weight"], claimed=False) and not rule.governs(["1.weight"], claimed=True)
    with pytest.raises(TypeError, match=rf"{kind.__name__}: `strength` must be a number, got a tensor of shape \(2,\)"):
        kind(torch.ones(2), MEMBERS)
    with pytest.raises(ValueError, match=rf"{kind.__name__}: `strength` must be finite, got inf"):
        kind(float("inf"), MEMBERS)
    with pytest.raises(ValueError, match=rf"^{kind.__name__}: `members` has no group"):
        kind(0.5, {"0.weight": (0, [-1])})
    with pytest.raises(ValueError, match=rf"^{kind.__name__}: 0\.weight has shape \(3, 3\), but its members are 4"):
        rule.check("0.weight", (3, 3))


@pytest.mark.parametrize("kind", [JointLasso, tn.CoupledGroupLasso])
def test_of_what_is_kept_the_numbers_are_kept(kind: type[JointPenalty]) -> None:
    rule = kind(0.5, MEMBERS)
    kept = {"0.weight": {0: torch.tensor([1, 2])}, "2.weight": {1: torch.tensor([1, 2])}}
    assert rule.kept(kept) == kind(0.5, {"0.weight": (0, [1, -1]), "2.weight": (1, [1, -1])})
    assert rule.kept({}) == rule
    assert rule.kept({"0.weight": {0: torch.tensor([2])}, "2.weight": {1: torch.tensor([2])}}) is None


def test_a_new_joint_penalty_acts_in_training() -> None:
    """With every weight in a group it is L1, which thinnet knows."""
    model, alone = network(), network()
    rule = JointLasso(0.01, {"0.weight": (0, [0, 1, 0, 1]), "2.weight": (1, [0, 1, 0, 1])})
    optimizer, theirs = (torch.optim.Adam(net.parameters(), lr=0.05) for net in (model, alone))
    attachment = tn.attach(model, tn.Plan(tn.L2(0.01) + rule + tn.MaxNorm(0.9)), optimizer)
    tn.attach(alone, tn.Plan(tn.L2(0.01) + tn.L1(0.01) + tn.MaxNorm(0.9)), theirs)
    for _ in range(10):
        for net, its in ((model, optimizer), (alone, theirs)):
            its.zero_grad()
            (net(torch.eye(3).double()) - torch.eye(3, 2)).square().mean().backward()
            its.step()
    for layer in (0, 2):
        assert 0 < int((model[layer].weight == 0).sum()) < model[layer].weight.numel()
        torch.testing.assert_close(model[layer].weight, alone[layer].weight, rtol=1e-9, atol=1e-12)
    ws = {"0.weight": model[0].weight, "2.weight": model[2].weight}
    assert attachment.terms()["JointLasso"] == pytest.approx(float(rule.value(ws).detach()))


def test_a_new_joint_penalty_is_polished_to_its_optimum_and_has_a_strongest_strength() -> None:
    from thinnet.search._sparsity import Sparsity

    model = nn.Linear(3, 1, bias=False).double()
    target = torch.tensor([[3.0, -0.25, 0.5]], dtype=torch.float64)
    plan = tn.Plan(JointLasso(1.0, {"weight": (1, [0, 0, -1])}))
    assert tn.polish_(model, plan, lambda m: (m.weight - target).square().sum() / 2).converged
    torch.testing.assert_close(model.weight.detach(), torch.tensor([[2.0, 0.0, 0.5]], dtype=torch.float64))
    sparsity = Sparsity.of(plan.bind(model))
    sparsity.take_to_zero_()
    assert model.weight.tolist() == [[0.0, 0.0, pytest.approx(0.5)]]
    assert sparsity.value() == 0 and sparsity.strength_of([-target]) == pytest.approx(3.0, rel=1e-6)
