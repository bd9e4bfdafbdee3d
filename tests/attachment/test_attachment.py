import copy
import gc
import weakref

import pytest
import torch
from torch import nn, optim
from torch.nn.utils.parametrizations import weight_norm

import thinnet as tn


def still(model: nn.Module, optimizer: optim.Optimizer) -> None:
    """A step with zero gradients: only rules move the weights."""
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()


def layer(value: float = 1.0) -> nn.Linear:
    made = nn.Linear(2, 2, bias=False)
    nn.init.constant_(made.weight, value)
    return made


def test_terms_and_cost_tell_each_penalty() -> None:
    model = nn.Sequential(layer(1.0), layer(2.0))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    plan = tn.Plan({"0.weight": tn.L2(0.5) + tn.MaxNorm(9.0), "1.weight": tn.L2(1.0) + tn.L1(0.25)})
    attachment = tn.attach(model, plan, optimizer, mode="cost")
    assert attachment.terms() == {"L2": 0.25 * 4 + 0.5 * 16, "L1": 0.25 * 8}
    cost = attachment.cost()
    cost.backward()
    assert cost.item() == 11
    torch.testing.assert_close(model[0].weight.grad, torch.full((2, 2), 0.5))
    torch.testing.assert_close(model[1].weight.grad, torch.full((2, 2), 2.25))


def test_cost_is_refused_where_it_would_count_twice() -> None:
    model = layer()
    attachment = tn.attach(model, tn.Plan(tn.L2(0.5)), optim.SGD(model.parameters()))
    with pytest.raises(RuntimeError, match="would count twice"):
        attachment.cost()


def test_the_cost_of_a_plan_without_penalties_is_zero() -> None:
    model = layer()
    attachment = tn.attach(model, tn.Plan(tn.MaxNorm(1.0)), optim.SGD(model.parameters()), mode="cost")
    assert (attachment.cost().item(), attachment.terms()) == (0.0, {})


def test_weight_norm_is_penalized_as_the_effective_weight_in_cost_mode() -> None:
    model = weight_norm(layer(2.0))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    attachment = tn.attach(model, tn.Plan(tn.L2(1.0)), optimizer, mode="cost")
    assert attachment.cost().item() == pytest.approx(0.5 * 16)
    attachment.cost().backward()
    scale, direction = model.parametrizations.weight.original0, model.parametrizations.weight.original1
    torch.testing.assert_close(scale.grad, scale.detach())  # Σ w² / 2 = Σ g² / 2
    torch.testing.assert_close(direction.grad, torch.zeros_like(direction))


def test_scale_schedules_every_strength() -> None:
    model = layer()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    attachment = tn.attach(model, tn.Plan(tn.L1(0.25)), optimizer)
    still(model, optimizer)
    torch.testing.assert_close(model.weight.detach(), torch.full((2, 2), 0.75))
    attachment.scale = 0.0
    still(model, optimizer)
    torch.testing.assert_close(model.weight.detach(), torch.full((2, 2), 0.75))
    attachment.scale = 2.0
    assert attachment.terms() == {"L1": 0.5 * 3}
    still(model, optimizer)
    torch.testing.assert_close(model.weight.detach(), torch.full((2, 2), 0.25))


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_scale_that_is_no_factor_is_refused(value: float) -> None:
    model = layer()
    attachment = tn.attach(model, tn.Plan(tn.L1(0.25)), optim.SGD(model.parameters()))
    with pytest.raises(ValueError, match="`scale` must be finite and >= 0, got"):
        attachment.scale = value


def test_detach_ends_it() -> None:
    model = layer()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    attachment = tn.attach(model, tn.Plan(tn.L1(0.25) + tn.L2(0.5) + tn.WeightDecay(0.5) + tn.MaxNorm(0.1)), optimizer)
    attachment.detach()
    attachment.detach()
    still(model, optimizer)
    assert torch.equal(model.weight, torch.ones(2, 2))


def test_a_run_goes_on_from_its_state_as_if_never_interrupted() -> None:
    plan = tn.Plan(tn.L1(0.01))

    def start() -> tuple[nn.Linear, optim.Optimizer, tn.Attachment]:
        torch.manual_seed(0)
        model = nn.Linear(4, 3, bias=False)
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        return model, optimizer, tn.attach(model, plan, optimizer)

    def run(model: nn.Linear, optimizer: optim.Optimizer, seeds: range) -> None:
        for seed in seeds:
            model.weight.grad = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))
            optimizer.step()

    model, optimizer, attachment = start()
    attachment.scale = 0.5
    run(model, optimizer, range(3))
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict(), attachment.state_dict()))
    run(model, optimizer, range(3, 8))

    again, its_optimizer, its_attachment = start()
    for part, state in zip((again, its_optimizer, its_attachment), saved, strict=True):
        part.load_state_dict(state)
    run(again, its_optimizer, range(3, 8))
    assert its_attachment.scale == 0.5
    torch.testing.assert_close(again.weight, model.weight, rtol=0, atol=0)


def test_a_state_of_another_kind_is_refused() -> None:
    model = layer()
    attachment = tn.attach(model, tn.Plan(tn.L1(0.25)), optim.SGD(model.parameters()))
    with pytest.raises(ValueError, match=r"needs the keys 'scale', 'gains' and 'masks', got \['scale'\]"):
        attachment.load_state_dict({"scale": 1.0})
    with pytest.raises(ValueError, match=r"fc\.weight: not governed by this plan"):
        attachment.load_state_dict({"scale": 1.0, "gains": {"fc.weight": 1.0}, "masks": {}})


def test_nothing_keeps_a_discarded_run_alive() -> None:
    model = layer()
    optimizer = optim.SGD(model.parameters())
    gone = weakref.ref(tn.attach(model, tn.Plan(tn.L1(0.25)), optimizer))
    del model, optimizer
    gc.collect()
    assert gone() is None


def test_rules_are_sorted_once_whatever_the_steps_and_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    from thinnet.plan import _binding

    calls = []
    monkeypatch.setattr(_binding, "step_order", lambda rules: calls.append(rules) or tn.plan.step_order(rules))
    model = nn.Sequential(layer(), layer())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    attachment = tn.attach(model, tn.Plan(tn.MaxNorm(2.0) + tn.L1(0.1) + tn.L2(0.1)), optimizer)
    for scale in (1.0, 0.5, 0.25):
        attachment.scale = scale
        still(model, optimizer)
        attachment.terms()
    assert len(calls) == 2
