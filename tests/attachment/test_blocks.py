"""Blocks of inputs at work inside the step: of one weight, of a stack, of weights that are stored inputs first."""

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn

if TYPE_CHECKING:
    from conftest import LeastSquares

BLOCKS = [0, 2, 0, -1, 2, 1]


def blocks_by_hand(problem: "LeastSquares", strength: float, blocks: list[int]) -> Tensor:
    """Proximal gradients with the constant step 1/L, block by block in a loop."""
    w = torch.zeros(6, 60, dtype=torch.float64)
    count = problem.y.numel()
    step = count / torch.linalg.matrix_norm(problem.x, 2) ** 2
    columns = [[i for i, its in enumerate(blocks) if its == number] for number in sorted(set(blocks))]
    for _ in range(600):
        w = w - step * (problem.x @ w.T - problem.y).T @ problem.x / count
        for chosen in columns:
            tau, norm = step * strength * (6 * len(chosen)) ** 0.5, w[:, chosen].norm()
            w[:, chosen] *= max(0.0, 1 - float(tau / norm)) if norm > 0 else 0.0
    return w


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Adam", "SGD"])
def test_training_rests_where_a_loop_over_blocks_does(name: str, many_outputs: "LeastSquares") -> None:
    draw = torch.Generator().manual_seed(0)
    blocks, strength = torch.randint(25, (60,), generator=draw).tolist(), 0.03
    oracle = blocks_by_hand(many_outputs, strength, blocks)
    rule = tn.GroupLasso(strength, by="inputs", blocks=blocks)
    make = {"Adam": lambda p: torch.optim.Adam(p, 0.05), "SGD": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)}[name]
    w = many_outputs.fit(make, rule, steps=800)

    def cost(u: Tensor) -> float:
        sizes = torch.tensor([blocks.count(number) for number in blocks])
        norms = [u[:, torch.tensor(blocks) == number].norm() for number in blocks]
        each = sum(norm * (6 * n) ** 0.5 / n for norm, n in zip(norms, sizes, strict=True))
        return float(many_outputs.loss(u) + strength * each)

    assert cost(w) == pytest.approx(cost(oracle), rel=1e-4)
    assert torch.equal(rule.alive(w), rule.alive(oracle))
    assert 0 < int(rule.alive(w).sum()) < 25


def test_a_stack_under_adam_is_its_members_alone() -> None:
    strengths = torch.tensor([0.0, 0.05, 0.3, 50.0], dtype=torch.float64)
    stack = tn.Stack([tn.Member(seed=k) for k in range(4)], in_features=6, hidden=[5], out_features=1).double()
    alone = [stack.member(k) for k in range(4)]
    together = tn.GroupLasso(strengths, by="inputs", blocks=BLOCKS)
    optimizer = torch.optim.Adam(stack.parameters(), lr=0.05)
    attachment = tn.attach(stack, tn.Plan({"weights.0": together}), optimizer)
    optimizers = [torch.optim.Adam(network.parameters(), lr=0.05) for network in alone]
    for network, strength, its in zip(alone[1:], strengths.tolist()[1:], optimizers[1:], strict=True):
        rule = tn.GroupLasso(strength, by="inputs", blocks=BLOCKS)
        tn.attach(network, tn.Plan({"0.weight": rule}), its)
    draw = torch.Generator().manual_seed(0)
    for _ in range(60):
        x = torch.randn(20, 6, generator=draw, dtype=torch.float64)
        y = 3 * x[:, 0] + 3 * x[:, 2] + x[:, 1]
        optimizer.zero_grad()
        tn.stack_squared_error(stack(x), y).sum().backward()
        optimizer.step()
        for network, its in zip(alone, optimizers, strict=True):
            its.zero_grad()
            nn.functional.mse_loss(network(x)[:, 0], y).backward()
            its.step()
    w = stack.weights[0].detach()
    torch.testing.assert_close(w, torch.stack([network[0].weight.detach() for network in alone]), rtol=1e-8, atol=1e-10)
    alive = together.alive(w)
    assert alive[0].all() and 0 < int(alive[2].sum()) < 3 and not alive[3].any()
    assert torch.equal(w[3] != 0, (torch.tensor(BLOCKS) < 0).expand(5, 6))
    assert attachment.terms()["GroupLasso"] == pytest.approx(float(together.value(w).sum()))
    row = attachment.summary().rows[0]
    assert row.rules == repr(together) and row.zeros == int((w == 0).sum())
    assert "blocks=<3 groups of 6 inputs>" in str(attachment.summary())


def test_weights_stored_inputs_first_have_blocks_of_their_inputs() -> None:
    layer = nn.ConvTranspose2d(6, 2, 3).double()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    rule = tn.GroupLasso(1.0, by="inputs", blocks=BLOCKS)
    before = layer.weight.detach().clone()
    tn.attach(layer, tn.Plan({"weight": rule}), optimizer)
    layer.weight.grad = torch.zeros_like(layer.weight)
    optimizer.step()
    for number in range(3):
        block = before[[i for i, its in enumerate(BLOCKS) if its == number]]
        kept = max(0.0, 1 - 0.1 * block.numel() ** 0.5 / float(block.norm()))
        stepped = layer.weight[[i for i, its in enumerate(BLOCKS) if its == number]]
        torch.testing.assert_close(stepped, block * kept)
    assert torch.equal(layer.weight[3], before[3])


def test_a_later_rule_over_blocks_replaces_one_over_inputs() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    blocks = tn.GroupLasso(1.0, by="inputs", blocks=BLOCKS)
    bindings = tn.Plan({"*.weight": tn.GroupLasso(2.0, by="inputs"), "0.weight": blocks}).bind(model)
    assert [binding.rules for binding in bindings] == [(blocks,), (tn.GroupLasso(2.0, by="inputs"),)]


def test_blocks_beside_weights_alone_is_the_sparse_group_lasso() -> None:
    model = nn.Linear(6, 3, bias=False).double()
    before = model.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    blocks = tn.GroupLasso(0.05, by="inputs", blocks=BLOCKS)
    tn.attach(model, tn.Plan(blocks + tn.L1(0.1)), optimizer)
    model.weight.grad = torch.zeros_like(model.weight)
    optimizer.step()
    soft = before.sign() * (before.abs() - 0.05).clamp(min=0)  # weights alone first, whatever the order they came in
    torch.testing.assert_close(model.weight.detach(), blocks.prox(soft, 0.5))


def test_the_cost_has_the_blocks() -> None:
    model = nn.Linear(6, 3, bias=False).double()
    blocks = tn.GroupLasso(0.5, by="inputs", blocks=BLOCKS)
    attachment = tn.attach(model, tn.Plan(blocks), torch.optim.SGD(model.parameters(), 0.1), mode="cost")
    attachment.cost().backward()
    w = model.weight.detach()
    for chosen in ([0, 2], [1, 4], [5]):
        slope = 0.5 * (3 * len(chosen)) ** 0.5 * w[:, chosen] / w[:, chosen].norm()
        torch.testing.assert_close(model.weight.grad[:, chosen], slope)
    assert (model.weight.grad[:, 3] == 0).all()
