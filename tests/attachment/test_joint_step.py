"""Groups that span parameters at work inside the step, by hand-made steps and by the minimum that training rests at."""

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn, optim

import thinnet as tn
from thinnet.attachment._joint_step import joint_step_
from thinnet.attachment._metric import Metric
from thinnet.errors import NoEffectWarning
from thinnet.plan import joint_bindings

if TYPE_CHECKING:
    from conftest import LeastSquares

MEMBERS = {"0.weight": (0, [0, 1, 2, -1]), "0.bias": (0, [0, 1, 2, -1]), "2.weight": (1, [0, 1, 2, -1])}
GROUPS = tn.CoupledGroupLasso(0.5, MEMBERS)
RATES = {"0.weight": 0.1, "0.bias": 0.7, "2.weight": 0.02, "2.bias": 0.1}
Make = Callable[[list[dict[str, Any]]], optim.Optimizer]
OPTIMIZERS: dict[str, Make] = {
    "SGD": lambda groups: optim.SGD(groups),
    "SGD-momentum": lambda groups: optim.SGD(groups, momentum=0.9),
    "Adam": lambda groups: optim.Adam(groups),
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()


def each_its_rate(model: nn.Module) -> list[dict[str, Any]]:
    return [{"params": [p], "lr": RATES[name]} for name, p in model.named_parameters()]


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in model.named_parameters()}


def members_of(ws: dict[str, Tensor], number: int) -> Tensor:
    chosen = [(ws[name], dim, numbers) for name, (dim, numbers) in MEMBERS.items() if name in ws]
    return torch.cat([w.select(dim, i).flatten() for w, dim, its in chosen for i, n in enumerate(its) if n == number])


def push(model: nn.Module, seed: int) -> None:
    """Gradients out of nowhere."""
    g = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        if p.requires_grad:
            p.grad = torch.randn(p.shape, generator=g, dtype=p.dtype)


def adam_metric(state: dict[str, Any], lr: float) -> Tensor:
    return ((state["exp_avg_sq"] / (1 - 0.999 ** float(state["step"]))).sqrt() + 1e-8) / lr


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_step_is_the_optimizers_then_the_groups_with_each_its_own_learning_rate(name: str) -> None:
    ours, theirs = network(), network()
    optimizer, plain = OPTIMIZERS[name](each_its_rate(ours)), OPTIMIZERS[name](each_its_rate(theirs))
    tn.attach(ours, tn.Plan(GROUPS), optimizer)
    for seed in range(4):
        for model, its in ((ours, optimizer), (theirs, plain)):
            push(model, seed)
            its.step()
        ds = {
            n: adam_metric(plain.state[p], RATES[n]) if name == "Adam" else torch.full_like(p, 1 / RATES[n])
            for n, p in theirs.named_parameters()
        }
        ws = weights(theirs)
        for number in range(3):
            z, d = members_of(ws, number), members_of(ds, number)
            expected = tn.penalties.group_lasso_prox(z[None], 0.5, d[None])[0]
            torch.testing.assert_close(members_of(weights(ours), number), expected, rtol=1e-9, atol=1e-12)
        assert torch.equal(members_of(weights(ours), -1), members_of(ws, -1))
        assert torch.equal(ours[2].bias, theirs[2].bias)
        theirs.load_state_dict(ours.state_dict())


@pytest.mark.parametrize(
    "kind",
    [optim.SGD, optim.Adam, optim.NAdam, optim.RAdam, optim.Adamax, optim.Adagrad, optim.RMSprop, optim.Adadelta],
)
def test_two_halves_of_a_weight_are_stepped_as_the_whole_is_by_the_group_lasso(kind: type[optim.Optimizer]) -> None:
    """Coordinates do not know which parameter they are in, in any optimizer but Adafactor."""
    torch.manual_seed(0)
    whole = nn.Linear(5, 6, bias=False).double()
    halves = nn.ModuleList([nn.Linear(5, 2, bias=False), nn.Linear(5, 4, bias=False)]).double()
    with torch.no_grad():
        for half, rows in zip(halves, whole.weight.split([2, 4]), strict=True):
            half.weight.copy_(rows)
    columns = {"0.weight": (1, range(5)), "1.weight": (1, range(5))}
    optimizers = [kind(model.parameters(), lr=0.05) for model in (whole, halves)]
    tn.attach(whole, tn.Plan(tn.GroupLasso(0.2, by="inputs")), optimizers[0])
    tn.attach(halves, tn.Plan(tn.CoupledGroupLasso(0.2, columns)), optimizers[1])
    for seed in range(12):
        push(whole, seed)
        for half, rows in zip(halves, whole.weight.grad.split([2, 4]), strict=True):
            half.weight.grad = rows.clone()
        for optimizer in optimizers:
            optimizer.step()
    together = torch.cat([half.weight for half in halves])
    torch.testing.assert_close(together, whole.weight, rtol=1e-9, atol=1e-12)
    assert not torch.equal(together, torch.zeros_like(together))


def test_adafactor_has_a_metric_for_each_parameter() -> None:
    whole, alone = (nn.Linear(5, 6, bias=False) for _ in range(2))
    alone.load_state_dict(whole.state_dict())
    optimizers = [optim.Adafactor(model.parameters(), lr=0.1) for model in (whole, alone)]
    tn.attach(whole, tn.Plan(tn.GroupLasso(0.2, by="inputs")), optimizers[0])
    tn.attach(alone, tn.Plan(tn.CoupledGroupLasso(0.2, {"weight": (1, range(5))})), optimizers[1])
    for seed in range(5):
        for model, optimizer in zip((whole, alone), optimizers, strict=True):
            push(model, seed)
            optimizer.step()
    torch.testing.assert_close(alone.weight, whole.weight)


@pytest.mark.parametrize("how", ["no gradient", "frozen", "rate zero", "another optimizer"])
def test_what_is_not_stepped_stays_and_is_no_member_of_its_groups(how: str) -> None:
    model, alone = network(), network()
    groups = each_its_rate(model)
    if how == "frozen":
        model[2].weight.requires_grad_(False)
    if how == "rate zero":
        groups[2]["lr"] = 0.0
    if how == "another optimizer":
        del groups[2]
    optimizer = optim.SGD(groups)
    if how in ("frozen", "another optimizer"):
        with pytest.warns(NoEffectWarning, match=r"2\.weight"):
            tn.attach(model, tn.Plan(GROUPS), optimizer)
    else:
        tn.attach(model, tn.Plan(GROUPS), optimizer)
    its = optim.SGD(each_its_rate(alone))
    rest = tn.CoupledGroupLasso(0.5, {name: MEMBERS[name] for name in ("0.weight", "0.bias")})
    tn.attach(alone, tn.Plan(rest), its)
    before = model[2].weight.detach().clone()
    for left, right in ((model, optimizer), (alone, its)):
        push(left, 0)
        if how == "no gradient":
            left[2].weight.grad = None
        right.step()
    assert torch.equal(model[2].weight, before)
    for number in range(-1, 3):
        theirs = {name: w for name, w in weights(alone).items() if name != "2.weight"}
        ours = {name: w for name, w in weights(model).items() if name != "2.weight"}
        torch.testing.assert_close(members_of(ours, number), members_of(theirs, number))


def test_nothing_is_stepped_and_nothing_happens() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    tn.attach(model, tn.Plan(GROUPS), optimizer)
    before = copy.deepcopy(model.state_dict())
    optimizer.step()  # nobody has a gradient yet
    push(model, 0)
    optimizer.step()
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("state", [(), (torch.rand(4, 3) + 0.1,)], ids=["constant", "varying"])
@pytest.mark.parametrize("step", [0.0, 1e-3])
def test_a_step_length_kept_on_a_device_is_never_waited_for_and_may_be_zero(
    state: tuple[Tensor, ...], step: float
) -> None:
    model = nn.Linear(3, 4, bias=False)
    with torch.no_grad():
        model.weight[1] = 0
    before = model.weight.detach().clone()
    (joint,) = joint_bindings(tn.Plan(tn.CoupledGroupLasso(0.5, {"weight": (1, range(3))})).bind(model), 1)
    ends = []
    for length in (torch.tensor(step, dtype=torch.float64), step):
        with torch.no_grad():
            model.weight.copy_(before)
        joint_step_(joint, {"weight": Metric(length, state, lambda out, v: out.copy_(v))})
        ends.append(model.weight.detach().clone())
    torch.testing.assert_close(*ends)
    assert torch.equal(ends[0], before) == (step == 0)


def test_single_weights_go_before_groups_and_projections_last_whatever_the_order() -> None:
    z = {"0.weight": torch.tensor([[3.0, -1.0, 0.2]]), "1.weight": torch.tensor([[0.5], [-2.0]])}
    grouped = tn.CoupledGroupLasso(0.5, {"0.weight": (0, [0]), "1.weight": (1, [0])})
    for rule in (grouped + tn.L1(0.3) + tn.MaxNorm(1.5), tn.MaxNorm(1.5) + tn.L1(0.3) + grouped):
        model = nn.Sequential(nn.Linear(3, 1, bias=False), nn.Linear(1, 2, bias=False))
        for name, w in z.items():
            model.get_parameter(name).data.copy_(w)
        optimizer = optim.SGD(model.parameters(), lr=1.0)
        tn.attach(model, tn.Plan(rule), optimizer)
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        optimizer.step()
        soft = torch.tensor([2.7, -0.7, 0.0, 0.2, -1.7])
        u = soft * (1 - 0.5 * math.sqrt(5) / soft.norm())
        first = u[:3] * min(1.0, 1.5 / float(u[:3].norm()))
        torch.testing.assert_close(model[0].weight[0], first)
        torch.testing.assert_close(model[1].weight[:, 0], u[3:])
        assert float(u[:3].norm()) > 1.5


def test_cost_mode_adds_the_differentiable_penalty_and_leaves_the_step_alone() -> None:
    model, by_hand = network(), network()
    attachment = tn.attach(model, tn.Plan({"*": GROUPS, "2.bias": tn.L1(1.0)}), optim.SGD(each_its_rate(model)), "cost")
    with torch.no_grad():
        for its in (model, by_hand):
            its[0].weight[1], its[0].bias[1], its[2].weight[:, 1] = 0, 0, 0  # group 1 is zero
    attachment.cost().backward()
    ws = dict(by_hand.named_parameters())
    norms = [members_of(ws, number).norm() for number in range(3)]
    expected = sum(0.5 * math.sqrt(9) * norm for norm in norms) + by_hand[2].bias.abs().sum()
    expected.backward()
    torch.testing.assert_close(attachment.cost(), expected)
    for name, p in model.named_parameters():
        assert p.grad.isfinite().all()
        torch.testing.assert_close(p.grad, ws[name].grad)
    terms = attachment.terms()
    assert terms["CoupledGroupLasso"] == pytest.approx(1.5 * float(sum(norms).detach()))
    assert terms["L1"] == pytest.approx(float(by_hand[2].bias.detach().abs().sum()))
    before = copy.deepcopy(model.state_dict())
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    attachment._optimizer.step()
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_frozen_weights_are_left_out_of_the_cost() -> None:
    model = network()
    model[2].weight.requires_grad_(False)
    with pytest.warns(NoEffectWarning, match=r"\[frozen\] 2\.weight"):
        attachment = tn.attach(model, tn.Plan(GROUPS), optim.SGD(model.parameters()), "cost")
    free = {name: w for name, w in weights(model).items() if name != "2.weight"}
    expected = sum(0.5 * math.sqrt(6) * members_of(free, number).norm() for number in range(3))
    torch.testing.assert_close(attachment.cost(), expected)
    model.requires_grad_(False)
    assert (attachment.cost().item(), attachment.terms()) == (0.0, {})


def test_a_reparametrized_member_is_penalized_as_it_is_used_or_refused() -> None:
    model = network()
    nn.utils.parametrizations.weight_norm(model[2])
    attachment = tn.attach(model, tn.Plan(GROUPS), optim.SGD(model.parameters()), "cost")
    ws = {name: w for name, w in network().named_parameters() if name in MEMBERS}
    torch.testing.assert_close(attachment.cost(), GROUPS.value(ws))
    attachment.detach()
    with pytest.raises(
        ValueError, match=r"CoupledGroupLasso.*cannot act on 2\.weight, which is parametrized by Weight"
    ):
        tn.attach(model, tn.Plan(GROUPS), optim.SGD(model.parameters()))


def test_an_optimizer_without_a_metric_is_refused_by_name() -> None:
    model = network()
    with pytest.raises(ValueError, match=r"CoupledGroupLasso.*on 0\.weight cannot act inside Rprop.*attachment\.cost"):
        tn.attach(model, tn.Plan(GROUPS), optim.Rprop(model.parameters()))


def test_the_summary_shows_it() -> None:
    model = network()
    summary = tn.attach(model, tn.Plan(GROUPS), optim.SGD(model.parameters())).summary()
    assert [row.parameter for row in summary.rows] == list(MEMBERS)
    assert str(summary).count("CoupledGroupLasso(strength=0.5, members=<3 groups in 3 parameters>)") == 3


def strength_at_work(make: Callable[[nn.Module, optim.Optimizer], object]) -> dict[str, Tensor]:
    """The weights after a still step, from which the strength that acted can be told."""
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    make(model, optimizer)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    return weights(model)


def test_scale_examples_and_sums_of_one_rule_scale_the_strength() -> None:
    def scaled(model: nn.Module, optimizer: optim.Optimizer) -> None:
        tn.attach(model, tn.Plan(0.25 * GROUPS), optimizer).scale = 4.0

    plain = strength_at_work(lambda model, optimizer: tn.attach(model, tn.Plan(GROUPS), optimizer))
    assert not torch.equal(plain["0.weight"], weights(network())["0.weight"])
    half, copied = 0.5 * GROUPS, copy.deepcopy(0.5 * GROUPS)
    for make in (
        scaled,
        lambda model, optimizer: tn.attach(model, tn.Plan(10 * GROUPS, examples=10), optimizer),
        lambda model, optimizer: tn.attach(model, tn.Plan(half + half), optimizer),
        lambda model, optimizer: tn.attach(model, tn.Plan(half + copied), optimizer),
        lambda model, optimizer: tn.attach(model, tn.Plan.from_json(tn.Plan({"*": GROUPS}).to_json()), optimizer),
    ):
        torch.testing.assert_close(strength_at_work(make), plain, rtol=1e-9, atol=1e-12)


def test_tied_weights_are_stepped_and_counted_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False), nn.Linear(3, 2, bias=False))
    model[1].weight = model[0].weight
    columns = (1, range(3))
    before = {name: w.clone() for name, w in weights(model).items()}
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    rule = tn.CoupledGroupLasso(1.0, {"0.weight": columns, "1.weight": columns, "2.weight": columns})
    attachment = tn.attach(model, tn.Plan(rule), optimizer)
    both = torch.cat([before["0.weight"], before["2.weight"]])
    assert attachment.terms()["CoupledGroupLasso"] == pytest.approx(float(tn.GroupLasso(1.0, by="inputs").value(both)))
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    expected = tn.GroupLasso(1.0, by="inputs").prox(both, 0.1)
    torch.testing.assert_close(torch.cat([model[0].weight, model[2].weight]), expected)


@pytest.mark.parametrize("fused", [False, True])
def test_a_step_that_the_scaler_skips_leaves_groups_alone(fused: bool) -> None:
    model = network().float()
    optimizer = optim.Adam(model.parameters(), lr=0.1, fused=fused)
    tn.attach(model, tn.Plan(GROUPS), optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    before = copy.deepcopy(model.state_dict())
    scaler.scale(model(torch.ones(1, 5)).sum() * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_low_precision_weights_get_exact_zeros() -> None:
    model = network().bfloat16()
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    tn.attach(model, tn.Plan(100 * GROUPS), optimizer)
    before = weights(model)["0.weight"].clone()
    for seed in range(5):
        push(model, seed)
        optimizer.step()
    for number in range(3):
        assert not members_of(weights(model), number).any()
    assert not torch.equal(before[3], torch.zeros_like(before[3])) and model[0].weight[3].all()


class Readers(nn.Module):
    """Two layers that read the same inputs: an input leaves only if both drop it."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = (nn.Linear(60, size, bias=False).double() for size in (4, 2))
        for layer in (self.left, self.right):
            nn.init.zeros_(layer.weight)

    def weight(self) -> Tensor:
        return torch.cat([self.left.weight, self.right.weight])


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_rests_where_loss_and_penalty_are_least_and_whole_groups_are_zero(
    name: str, many_outputs: "LeastSquares"
) -> None:
    strength, steps = 0.02, 1500
    model = Readers()
    columns = (1, range(60))
    plan = tn.Plan(tn.CoupledGroupLasso(strength, {"left.weight": columns, "right.weight": columns}))
    rates = {"SGD": (0.3, 0.6), "SGD-momentum": (0.05, 0.1), "Adam": (0.1, 0.05)}[name]
    layers = zip((model.left, model.right), rates, strict=True)
    optimizer = OPTIMIZERS[name]([{"params": layer.parameters(), "lr": rate} for layer, rate in layers])
    falling = optim.lr_scheduler.LambdaLR(optimizer, lambda t: (1 - t / steps) ** 2 + 1e-4)
    tn.attach(model, plan, optimizer)
    for _ in range(steps):
        optimizer.zero_grad()
        many_outputs.loss(model.weight()).backward()
        optimizer.step()
        falling.step()
    optimizer.zero_grad()
    many_outputs.loss(model.weight()).backward()
    w, tau = model.weight().detach(), strength * math.sqrt(6)
    slopes = torch.cat([model.left.weight.grad, model.right.weight.grad])
    alive = (w != 0).any(0)
    assert 0 < int(alive.sum()) < 60
    assert (w != 0)[:, alive].all()  # a group goes as a whole or not at all
    pulled = slopes[:, alive] + tau * w[:, alive] / w[:, alive].norm(dim=0)
    torch.testing.assert_close(pulled, torch.zeros_like(pulled), atol=1e-3 * tau, rtol=0)
    assert float(slopes[:, ~alive].norm(dim=0).max()) <= tau
