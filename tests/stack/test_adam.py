import pytest
import torch
from torch import nn
from torch.testing import assert_close

import thinnet as tn


def assert_trained_alike(stack: tn.Stack, ours: tn.StackAdam, plain: nn.Module, theirs: torch.optim.Optimizer) -> None:
    """Train the stack of one and the plain network side by side: the weights agree."""
    g = torch.Generator().manual_seed(0)
    for _ in range(50):
        x = torch.randn(10, 4, generator=g, dtype=torch.float64)
        y = x.sum(1)
        ours.zero_grad()
        theirs.zero_grad()
        tn.stack_squared_error(stack(x), y).sum().backward()
        nn.functional.mse_loss(plain(x).squeeze(1), y).backward()
        ours.step()
        theirs.step()
    trained = [layer.weight for layer in plain if isinstance(layer, nn.Linear)]
    for w, expected in zip(stack.weights, trained, strict=True):
        assert_close(w[0], expected, rtol=1e-9, atol=1e-9)


RULES = [None, tn.L2(3e-2), tn.WeightDecay(0.3)]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_equals_torch_on_the_plain_network(rule: tn.Rule | None) -> None:
    """An oracle that shares no code: torch's own Adam and AdamW with their own weight decay."""
    stack = tn.Stack([tn.Member(lr=1e-2, rule=rule)], in_features=4, hidden=[6], out_features=1, dtype=torch.float64)
    plain = stack.member(0)
    weights = [p for p in plain.parameters() if p.ndim == 2]
    biases = [p for p in plain.parameters() if p.ndim == 1]
    kind = torch.optim.AdamW if isinstance(rule, tn.WeightDecay) else torch.optim.Adam
    groups = [
        {"params": weights, "weight_decay": rule.strength if rule else 0.0},
        {"params": biases, "weight_decay": 0.0},
    ]
    theirs = kind(groups, lr=1e-2)
    ours = tn.StackAdam(stack)
    assert_trained_alike(stack, ours, plain, theirs)


@pytest.mark.parametrize(
    "rule",
    [
        tn.L1(1e-2),
        tn.ElasticNet(1e-2, 1e-2),
        tn.GroupLasso(1e-2),
        tn.GroupLasso(1e-2, by="inputs"),
        tn.MaxNorm(0.4),
        tn.L2(1e-2) + tn.L1(1e-3) + tn.GroupLasso(5e-3) + tn.MaxNorm(0.5),
    ],
    ids=str,
)
def test_equals_attach_on_the_plain_network(rule: tn.Rule) -> None:
    stack = tn.Stack([tn.Member(lr=1e-2, rule=rule)], in_features=4, hidden=[6], out_features=1, dtype=torch.float64)
    plain = stack.member(0)
    theirs = torch.optim.Adam(plain.parameters(), lr=1e-2)
    tn.attach(plain, tn.Plan(rule), theirs)
    ours = tn.StackAdam(stack)
    assert_trained_alike(stack, ours, plain, theirs)


def test_rules_act_in_blocks_as_on_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> tn.Stack:
        members = [tn.Member(seed=k, rule=rule) for k, rule in enumerate([tn.L1(1e-2), None, tn.MaxNorm(0.3)] * 3)]
        stack = tn.Stack(members, in_features=4, hidden=[6], out_features=1)
        optimizer = tn.StackAdam(stack)
        for _ in range(10):
            optimizer.zero_grad()
            tn.stack_squared_error(stack(torch.eye(4)), torch.ones(4)).sum().backward()
            optimizer.step()
        return stack

    whole = trained()
    monkeypatch.setattr("thinnet.stack._adam._BLOCK", 50)
    for ours, theirs in zip(trained().parameters(), whole.parameters(), strict=True):
        assert_close(ours, theirs, rtol=0, atol=0)


def test_a_scheduler_scales_every_learning_rate() -> None:
    members = [tn.Member(lr=1e-2), tn.Member(lr=1e-3)]
    stack = tn.Stack(members, in_features=1, hidden=[], out_features=1, dtype=torch.float64)
    before = stack.weights[0].detach().clone()
    optimizer = tn.StackAdam(stack)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    moves = []
    for _ in range(2):
        optimizer.zero_grad()
        stack.weights[0].sum().backward()  # a constant gradient: Adam moves by lr
        optimizer.step()
        scheduler.step()
        moves.append((before - stack.weights[0].detach()).flatten())
        before = stack.weights[0].detach().clone()
    assert_close(moves[0], torch.tensor([1e-2, 1e-3], dtype=torch.float64), rtol=1e-5, atol=0)
    assert_close(moves[1], moves[0] / 2, rtol=1e-5, atol=0)


def test_a_factor_scales_every_learning_rate() -> None:
    members = [tn.Member(lr=1e-2), tn.Member(lr=1e-3)]
    stack = tn.Stack(members, in_features=1, hidden=[], out_features=1, dtype=torch.float64)
    before = stack.weights[0].detach().clone()
    optimizer = tn.StackAdam(stack, lr_factor=0.5)
    assert optimizer.param_groups[0]["lr"] == 0.5
    stack.weights[0].sum().backward()  # Adam's first step is lr long
    optimizer.step()
    moved = (before - stack.weights[0].detach()).flatten()
    assert_close(moved, torch.tensor([5e-3, 5e-4], dtype=torch.float64), rtol=1e-5, atol=0)


@pytest.mark.parametrize("rule", [tn.DropConnect(0.5), tn.CoupledGroupLasso(1.0, {"weights.0": (1, [0])})], ids=str)
def test_masks_and_groups_that_span_parameters_are_refused(rule: tn.Rule) -> None:
    stack = tn.Stack([tn.Member(), tn.Member(rule=rule)], in_features=1, hidden=[], out_features=1)
    with pytest.raises(TypeError, match=r"member 1 has (DropConnect|CoupledGroupLasso)\(.* neither penalty, decay nor"):
        tn.StackAdam(stack)


def test_a_rule_twice_is_refused() -> None:
    stack = tn.Stack([tn.Member(rule=tn.L1(1.0) + tn.L1(2.0))], in_features=1, hidden=[], out_features=1)
    with pytest.raises(ValueError, match=r"has L1\(strength=1.0\) and another such; add their strengths"):
        tn.StackAdam(stack)
