"""One function sorts rules, and the order in which they were written changes nothing."""

import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.plan import StepOrder, step_order
from thinnet.rule import ACTS, Rule

GROUPS = tn.CoupledGroupLasso(0.2, {"weight": (1, [0, 0, 1, -1])})
EVERY_KIND: tuple[Rule, ...] = (
    tn.L2(0.3),
    tn.WeightDecay(0.2),
    tn.L1(0.05),
    tn.ElasticNet(0.02, 0.5),
    tn.GroupLasso(0.03),
    tn.GroupLasso(0.02, by="inputs"),
    GROUPS,
    tn.NonNegative(),
    tn.MaxNorm(0.6),
    tn.DropConnect(0.0),
)
WRITINGS = [EVERY_KIND, EVERY_KIND[::-1], EVERY_KIND[1::2] + EVERY_KIND[::2], EVERY_KIND[5:] + EVERY_KIND[:5]]


def fields(order: StepOrder) -> tuple[tuple[Rule, ...], ...]:
    return tuple(getattr(order, acts.replace(" ", "_")) for acts in ACTS)


def sum_of(rules: Sequence[Rule]) -> Rule:
    return rules[0] if len(rules) == 1 else rules[0] + sum_of(rules[1:])


@pytest.mark.parametrize("written", WRITINGS)
def test_each_rule_comes_where_it_says(written: tuple[Rule, ...]) -> None:
    assert fields(step_order(written)) == (
        (tn.L2(0.3),),
        (tn.WeightDecay(0.2),),
        (tn.L1(0.05), tn.ElasticNet(0.02, 0.5), tn.GroupLasso(0.03), tn.GroupLasso(0.02, by="inputs")),
        (GROUPS,),
        (tn.NonNegative(), tn.MaxNorm(0.6)),
        (tn.DropConnect(0.0),),
    )


@pytest.mark.parametrize("written", WRITINGS[1:])
@pytest.mark.parametrize("make", [lambda p: torch.optim.SGD(p, 0.05), lambda p: torch.optim.Adam(p, 0.1)])
def test_an_attached_step_is_the_same_however_the_rules_are_written(make: object, written: tuple[Rule, ...]) -> None:
    def stepped(rules: tuple[Rule, ...]) -> Tensor:
        torch.manual_seed(0)
        model = nn.Linear(4, 5, bias=False)
        optimizer = make(model.parameters())
        with pytest.warns(tn.errors.NoEffectWarning, match="zero-strength"):  # DropConnect(0.0)
            tn.attach(model, tn.Plan(sum_of(rules)), optimizer)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.eye(4)).square().sum().backward()
            optimizer.step()
        return model.weight.detach()

    first = stepped(EVERY_KIND)
    assert torch.equal(stepped(written), first) and bool((first == 0).any()) and bool((first > 0).any())


def test_a_stacks_step_is_the_same_however_its_rules_are_written_and_is_attachs() -> None:
    rules = tuple(rule for rule in EVERY_KIND if rule.acts not in ("joint prox", "mask"))
    ends = []
    for written in (rules, rules[::-1], rules[3:] + rules[:3]):
        stack = tn.Stack(
            [tn.Member(lr=0.1, rule=sum_of(written))], in_features=4, hidden=[], out_features=5, dtype=torch.float64
        )
        plain = stack.member(0)
        optimizers = tn.StackAdam(stack), torch.optim.Adam(plain.parameters(), lr=0.1)
        tn.attach(plain, tn.Plan(sum_of(written)), optimizers[1])
        for _ in range(3):
            for optimizer, outputs in zip(
                optimizers, (stack(torch.eye(4).double()), plain(torch.eye(4).double())), strict=True
            ):
                optimizer.zero_grad()
                outputs.square().sum().backward()
                optimizer.step()
        ends.append(stack.weights[0].detach()[0])
        torch.testing.assert_close(ends[-1], plain[0].weight.detach(), rtol=1e-9, atol=1e-12)
    assert torch.equal(ends[0], ends[1]) and torch.equal(ends[0], ends[2])


def test_a_threshold_before_one_that_scales_is_the_step_of_their_sum() -> None:
    w, d = torch.linspace(-2, 2, 9, dtype=torch.float64), torch.linspace(0.5, 2, 9, dtype=torch.float64)
    for written in itertools.permutations([tn.L1(0.2), tn.ElasticNet(0.1, 0.7)]):
        u = w
        for penalty in step_order(written).prox:
            u = penalty.prox(u, 1.0, d)
        torch.testing.assert_close(u, tn.ElasticNet(0.3, 0.7).prox(w, 1.0, d))


def test_rules_of_one_class_are_told_apart_by_their_settings() -> None:
    one, other = tn.GroupLasso(0.1, by="inputs", blocks=[0, 0, 1]), tn.GroupLasso(0.1, by="inputs", blocks=[0, 1, 1])
    assert step_order([one, other]).prox == step_order([other, one]).prox


def test_a_factor_scales_strengths_and_no_bound() -> None:
    order = step_order(EVERY_KIND).scaled(2.0)
    assert order.gradient == (tn.L2(0.6),) and order.decay == (tn.WeightDecay(0.4),)
    assert order.prox[0] == tn.L1(0.1) and order.joint_prox == (2 * GROUPS,)
    assert order.projection == (tn.NonNegative(), tn.MaxNorm(0.6)) and order.mask == (tn.DropConnect(0.0),)


def test_without_penalties_decay_and_constraints_remain() -> None:
    order = step_order(EVERY_KIND).without_penalties()
    assert fields(order) == ((), (tn.WeightDecay(0.2),), (), (), (tn.NonNegative(), tn.MaxNorm(0.6)), EVERY_KIND[-1:])
    assert order.penalties == ()
