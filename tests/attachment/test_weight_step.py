"""The rules of one weight around one step, against the same step written out on the whole weight."""

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.attachment import _weight_step
from thinnet.attachment._kernels import Scratch
from thinnet.attachment._metric import Metric
from thinnet.attachment._weight_step import WeightStep

RULE = tn.L2(0.1) + tn.WeightDecay(0.1) + tn.ElasticNet(0.01, 0.1) + tn.L1(0.01) + tn.GroupLasso(0.01) + tn.MaxNorm(1.0)
LR = 0.5


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer() -> nn.Linear:
    found = nn.Linear(7, 5, bias=False).double()
    found.weight.data.copy_(normal(5, 7))
    found.weight.grad = normal(5, 7, seed=1)
    return found


def step_of(rule: tn.Rule, module: nn.Module, *, penalties_act: bool = True, scale: float = 1.0) -> WeightStep:
    (binding,) = tn.Plan({"weight": rule}).bind(module)
    return WeightStep.of(binding, scale, penalties_act)


def take(step: WeightStep, second_moment: Tensor) -> None:
    """Both halves of a step, in between the optimizer's, in a metric that is not constant."""
    with torch.no_grad():
        step.before(LR, 1.0)
        step.binding.parameter.sub_(LR * step.binding.parameter.grad)
        step.after(Metric(LR, (second_moment,), lambda out, v: torch.sqrt(v, out=out)), Scratch())


@pytest.mark.parametrize("block", [2**18, 4, 1], ids="blocks of {}".format)
@pytest.mark.parametrize("penalties_act", [True, False])
def test_a_step_is_each_rules_own_in_turn(monkeypatch: pytest.MonkeyPatch, block: int, penalties_act: bool) -> None:
    monkeypatch.setattr(_weight_step, "BLOCK", block)
    module, v = layer(), normal(5, 7, seed=2).square() + 0.1
    w, g, d = module.weight.detach().clone(), module.weight.grad.clone(), v.sqrt()
    take(step_of(RULE, module, penalties_act=penalties_act, scale=2.0), v)
    g = g + 0.2 * w if penalties_act else g
    w = w * (1 - LR * 0.2) - LR * g
    if penalties_act:
        for penalty in (tn.L1(0.02), tn.ElasticNet(0.02, 0.2), tn.GroupLasso(0.02)):
            w = penalty.prox(w, LR, d)
    torch.testing.assert_close(module.weight.detach(), tn.MaxNorm(1.0).project(w))


def test_weights_stored_inputs_first_are_stepped_where_they_lie() -> None:
    module = nn.ConvTranspose1d(4, 3, 2, bias=False).double()
    v = normal(4, 3, 2, seed=2).square() + 0.1
    w, module.weight.grad = module.weight.detach().clone(), torch.zeros(4, 3, 2, dtype=torch.float64)
    take(step_of(tn.GroupLasso(0.1) + tn.MaxNorm(0.3), module), v)
    turned = tn.GroupLasso(0.1).prox(w.transpose(0, 1), LR, v.sqrt().transpose(0, 1))
    torch.testing.assert_close(module.weight.detach(), tn.MaxNorm(0.3).project(turned).transpose(0, 1))


def test_projections_wait_where_groups_span_parameters() -> None:
    module = layer()
    groups = tn.CoupledGroupLasso(0.1, {"weight": (1, [0, 0, 0, 1, 1, 1, -1])})
    step = step_of(groups + tn.MaxNorm(0.5), module)
    assert step.proximal and step.joint
    before = module.weight.detach().clone()
    step.after(Metric(LR), Scratch())
    assert torch.equal(module.weight, before)
    step.project()
    assert torch.equal(module.weight.detach(), tn.MaxNorm(0.5).project(before))
