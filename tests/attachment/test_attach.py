"""What attach promises, against torch's own optimizers and by what a training loop can see."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn, optim

import thinnet as tn
from thinnet.errors import NoEffectWarning, PlanWarning

Make = Callable[[Any], optim.Optimizer]


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))


def batches(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(8, 5, generator=generator) for _ in range(count)]


def train(model: nn.Module, optimizer: optim.Optimizer, steps: int = 6, *, closure: bool = False) -> nn.Module:
    falling = optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    for x in batches(steps):

        def evaluate(x: Tensor = x) -> Tensor:
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            return loss

        if closure:
            optimizer.step(evaluate)
        else:
            evaluate()
            optimizer.step()
        falling.step()
    return model


def every_weight(model: nn.Module) -> list[dict[str, Any]]:
    """Weights and biases apart, so that torch's own decay is on the weights alone."""
    return [
        {"params": [p for p in model.parameters() if p.ndim > 1]},
        {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]


def assert_same(left: nn.Module, right: nn.Module, **tolerance: float) -> None:
    torch.testing.assert_close(dict(left.named_parameters()), dict(right.named_parameters()), **tolerance)


@pytest.mark.parametrize("closure", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (optim.SGD, {}),
        (optim.SGD, {"momentum": 0.9, "nesterov": True}),
        (optim.Adam, {}),
        (optim.Adam, {"amsgrad": True}),
        (optim.Adam, {"fused": True}),
        (optim.Adagrad, {}),
        (optim.RMSprop, {}),
        (optim.Adamax, {}),
        (optim.NAdam, {}),
        (optim.RAdam, {}),
        (optim.Adadelta, {}),
    ],
)
def test_l2_is_the_weight_decay_of_torch(
    kind: type[optim.Optimizer], settings: dict[str, Any], maximize: bool, closure: bool
) -> None:
    theirs, ours = network(), network()
    settings = {"lr": 0.1, "maximize": maximize, **settings}
    train(theirs, kind(every_weight(theirs), weight_decay=0.3, **settings))
    optimizer = kind(ours.parameters(), **settings)
    tn.attach(ours, tn.Plan(tn.L2(0.3)), optimizer)
    train(ours, optimizer, closure=closure)
    assert_same(ours, theirs, rtol=2e-5, atol=2e-6)


def test_l2_in_sgd_is_the_weight_decay_of_torch_bit_for_bit() -> None:
    theirs, ours = network(), network()
    train(theirs, optim.SGD(every_weight(theirs), lr=0.1, momentum=0.9, weight_decay=0.3))
    optimizer = optim.SGD(ours.parameters(), lr=0.1, momentum=0.9)
    tn.attach(ours, tn.Plan(tn.L2(0.3)), optimizer)
    assert_same(train(ours, optimizer), theirs, rtol=0, atol=0)


@pytest.mark.parametrize("closure", [False, True])
@pytest.mark.parametrize("lr", [float, torch.tensor])
def test_weight_decay_is_adamw_bit_for_bit(lr: Callable[[float], Any], closure: bool) -> None:
    theirs, ours = network(), network()
    train(theirs, optim.AdamW(every_weight(theirs), lr=lr(0.1), weight_decay=0.3, foreach=False))
    optimizer = optim.Adam(ours.parameters(), lr=lr(0.1), foreach=False)
    tn.attach(ours, tn.Plan(tn.WeightDecay(0.3)), optimizer)
    assert_same(train(ours, optimizer, closure=closure), theirs, rtol=0, atol=0)


def test_the_textbook_strength_is_divided_by_the_examples() -> None:
    left, right = network(), network()
    for model, plan in ((left, tn.Plan(tn.L2(3.0), examples=10)), (right, tn.Plan(tn.L2(0.3)))):
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        tn.attach(model, plan, optimizer)
        train(model, optimizer)
    assert_same(left, right)


def test_cost_mode_trains_smooth_penalties_alike() -> None:
    left, right = network(), network()
    optimizer = optim.SGD(left.parameters(), lr=0.1)
    attachment = tn.attach(left, tn.Plan(tn.L2(0.3) + tn.MaxNorm(0.5)), optimizer, mode="cost")
    for x in batches(4):
        optimizer.zero_grad()
        (left(x).square().mean() + attachment.cost()).backward()
        optimizer.step()
    optimizer = optim.SGD(right.parameters(), lr=0.1)
    tn.attach(right, tn.Plan(tn.L2(0.3) + tn.MaxNorm(0.5)), optimizer)
    for x in batches(4):
        optimizer.zero_grad()
        right(x).square().mean().backward()
        optimizer.step()
    assert_same(left, right)
    assert float(left[0].weight.detach().norm(dim=1).max()) <= 0.5 + 1e-6


def test_accumulated_micro_batches_count_as_one_step() -> None:
    left, right = network(), network()
    plan = tn.Plan(tn.L2(0.3) + tn.L1(0.01) + tn.WeightDecay(0.1))
    for model, parts in ((left, 1), (right, 4)):
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        tn.attach(model, plan, optimizer)
        for x in batches(3):
            optimizer.zero_grad()
            for part in x.chunk(parts):
                (model(part).square().mean() / parts).backward()
            optimizer.step()
    assert_same(left, right)


def test_tied_weights_are_penalized_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    before = model[0].weight.detach().clone()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    attachment = tn.attach(model, tn.Plan(tn.L2(0.25)), optimizer)
    (model(torch.zeros(1, 3)).sum() * 0).backward()
    optimizer.step()
    torch.testing.assert_close(model[0].weight.detach(), 0.75 * before)
    torch.testing.assert_close(attachment.terms()["L2"], float(0.125 * model[0].weight.detach().square().sum()))


def test_what_has_no_gradient_is_left_alone_and_looked_at_anew() -> None:
    model = network()
    model[2].requires_grad_(False)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    plan = tn.Plan(tn.L1(0.5) + tn.WeightDecay(0.5) + tn.MaxNorm(0.1))
    with pytest.warns(NoEffectWarning, match=r"\[frozen\] 2\.weight"):
        attachment = tn.attach(model, plan, optimizer)
    before = copy.deepcopy(model.state_dict())
    optimizer.step()  # nobody has a gradient yet
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    train(model, optimizer, steps=1)
    assert not torch.equal(model[0].weight, before["0.weight"])
    assert torch.equal(model[2].weight, before["2.weight"])
    assert attachment.terms()["L1"] == pytest.approx(0.5 * float(model[0].weight.detach().abs().sum()))
    model[2].requires_grad_(True)
    train(model, optimizer, steps=1)
    assert not torch.equal(model[2].weight, before["2.weight"])


@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW, optim.SGD])
@pytest.mark.parametrize("fused", [False, True])
def test_a_grad_scaler_changes_nothing(kind: type[optim.Optimizer], fused: bool) -> None:
    plain, scaled = network(), network()
    plan = tn.Plan(tn.L2(0.3) + tn.L1(0.01) + tn.WeightDecay(0.1) + tn.MaxNorm(1.0))
    for model in (plain, scaled):
        settings = {"weight_decay": 0.0} if kind is optim.AdamW else {}
        optimizer = kind(model.parameters(), lr=0.01, fused=fused, **settings)
        tn.attach(model, plan, optimizer)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=model is scaled)
        for x in batches(3):
            optimizer.zero_grad()
            scaler.scale(model(x).square().mean()).backward()
            scaler.step(optimizer)
            scaler.update()
    assert_same(scaled, plain)


@pytest.mark.parametrize("fused", [False, True])
def test_nothing_happens_on_a_step_that_the_scaler_skips(fused: bool) -> None:
    model = network()
    optimizer = optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.0, fused=fused)
    tn.attach(model, tn.Plan(tn.L2(0.3) + tn.L1(0.3) + tn.WeightDecay(0.3) + tn.MaxNorm(0.1)), optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    before = copy.deepcopy(model.state_dict())
    scaler.scale(model(batches(1)[0]).sum() * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    optimizer.zero_grad()
    scaler.scale(model(batches(1)[0]).square().mean()).backward()
    scaler.step(optimizer)
    assert all(p.isfinite().all() for p in model.parameters())
    assert not torch.equal(model[0].weight, before["0.weight"])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_weights_get_exact_zeros_and_finite_sums(dtype: torch.dtype) -> None:
    model = nn.Linear(1000, 1000, bias=False, dtype=dtype)
    nn.init.constant_(model.weight, 0.5)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    attachment = tn.attach(model, tn.Plan(tn.L2(0.5) + tn.L1(0.125) + tn.MaxNorm(2.0)), optimizer)
    assert attachment.terms() == {"L2": 0.25 * 0.25e6, "L1": 0.125 * 0.5e6}
    for _ in range(4):
        model.weight.grad = torch.zeros_like(model.weight)
        optimizer.step()
    assert not model.weight.any()


def test_a_group_that_is_zero_stays_finite_and_zero() -> None:
    model = nn.Linear(3, 2, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    tn.attach(model, tn.Plan(tn.GroupLasso(0.1) + tn.MaxNorm(1.0) + tn.UnitNorm()), optimizer)
    model.weight.grad = torch.zeros_like(model.weight)
    optimizer.step()
    assert torch.equal(model.weight, torch.zeros_like(model.weight))


@given(limit=st.floats(0.05, 5), lr=st.floats(0.001, 10), seed=st.integers(0, 99))
def test_max_norm_holds_after_every_step(limit: float, lr: float, seed: int) -> None:
    model = nn.Sequential(network(seed), nn.ConvTranspose1d(3, 4, 2))
    optimizer = optim.SGD(model.parameters(), lr=lr)
    tn.attach(model, tn.Plan(tn.L1(0.01) + tn.MaxNorm(limit)), optimizer)
    for _ in range(3):
        for p in model.parameters():
            p.grad = torch.randn_like(p)
        optimizer.step()
        for w in (model[0][0].weight, model[0][2].weight, model[1].weight.transpose(0, 1)):
            assert float(w.detach().double().flatten(1).norm(dim=1).max()) <= limit * (1 + 1e-6)


def test_elementwise_penalties_go_before_groups_whatever_the_order() -> None:
    """The proximal step of a sum of L1 and a group lasso is L1's first; checked by the conditions of its minimum."""
    z, grouped = torch.tensor([[3.0, -1.0, 0.2], [0.9, 0.8, -0.1]]), tn.GroupLasso(0.5)
    for rule in (grouped + tn.L1(0.3), tn.L1(0.3) + grouped):
        model = nn.Linear(3, 2, bias=False)
        model.weight.data.copy_(z)
        optimizer = optim.SGD(model.parameters(), lr=1.0)
        tn.attach(model, tn.Plan(rule), optimizer)
        model.weight.grad = torch.zeros(2, 3)
        optimizer.step()
        u = model.weight.detach()
        kept = u[0] != 0
        residual = (z - u)[0] - 0.5 * 3**0.5 * u[0] / u[0].norm()
        torch.testing.assert_close(residual[kept], 0.3 * u[0].sign()[kept])
        assert float(residual[~kept].abs().max()) <= 0.3
        assert not u[1].any()


def test_only_parameters_of_this_optimizer_are_governed() -> None:
    model = network()
    optimizer = optim.SGD(model[0].parameters(), lr=0.1)
    with pytest.warns(NoEffectWarning, match=r"\[not-in-optimizer\] 2\.weight"):
        tn.attach(model, tn.Plan(tn.WeightDecay(0.5)), optimizer)
    before = model[2].weight.detach().clone()
    train(model, optimizer, steps=1)
    assert torch.equal(model[2].weight, before)


def test_two_optimizers_share_a_model() -> None:
    model = network()
    for layer in (0, 2):
        tn.attach(model, tn.Plan({f"{layer}.weight": tn.L2(0.1)}), optim.SGD(model[layer].parameters(), lr=0.1))


def test_findings_become_warnings() -> None:
    model = network()
    with pytest.warns(PlanWarning, match=r"\[double-decay\] 0\.weight: has weight_decay=0\.01 in the optimizer"):
        tn.attach(model, tn.Plan({"0.weight": tn.L2(0.1)}), optim.AdamW(model.parameters()))


def test_many_alike_findings_are_one_warning() -> None:
    model = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(5)))
    with pytest.warns(NoEffectWarning, match="and 2 more like it") as record:
        tn.attach(model, tn.Plan(tn.L2(0.0)), optim.SGD(model.parameters()))
    assert len(record) == 1


def test_a_key_that_claims_nothing_is_refused_with_near_misses() -> None:
    model = nn.ModuleDict({"encoder": nn.Linear(2, 2)})
    with pytest.raises(ValueError, match=r"'encodr\.weight': claims no parameter\. Did you mean 'encoder\.weight'"):
        tn.attach(model, tn.Plan({"encodr.weight": tn.L2(0.1)}), optim.SGD(model.parameters()))


def test_a_second_attachment_on_the_same_parameter_is_refused() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    attachment = tn.attach(model, tn.Plan({"0.weight": tn.L2(0.1)}), optimizer)
    tn.attach(model, tn.Plan({"2.weight": tn.L2(0.1)}), optimizer)
    with pytest.raises(ValueError, match=r"0\.weight: another attachment acts on this already"):
        tn.attach(model, tn.Plan({"0.weight": tn.L1(0.1)}), optimizer)
    attachment.detach()
    tn.attach(model, tn.Plan({"0.weight": tn.L1(0.1)}), optimizer)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["deepcopy", "pickle"])
def test_a_copied_optimizer_has_no_rules_until_they_are_attached_again(clone: Callable[[Any], Any]) -> None:
    model = nn.Linear(3, 2, bias=False)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    tn.attach(model, tn.Plan(tn.L2(0.5)), optimizer)
    model, optimizer = clone((model, optimizer))
    before = model.weight.detach().clone()
    model.weight.grad = torch.zeros_like(before)
    optimizer.step()
    assert torch.equal(model.weight, before)
    tn.attach(model, tn.Plan(tn.L2(0.5)), optimizer)
    optimizer.step()
    torch.testing.assert_close(model.weight.detach(), 0.5 * before)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": 3}, TypeError, "`model` must be a Module, got int"),
        ({"plan": tn.L2(1.0)}, TypeError, "`plan` must be a Plan, got L2"),
        ({"optimizer": "adam"}, TypeError, "`optimizer` must be a Optimizer, got str"),
        ({"mode": "prox"}, ValueError, '`mode` must be "step" or "cost", got \'prox\''),
    ],
)
def test_arguments_of_another_kind_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    model = network()
    given = {"model": model, "plan": tn.Plan(tn.L2(1.0)), "optimizer": optim.SGD(model.parameters()), **arguments}
    with pytest.raises(error, match=message):
        tn.attach(**given)
