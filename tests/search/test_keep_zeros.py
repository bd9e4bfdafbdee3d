"""What is left trains on as if the rest had been cut away, by models that have only the rest."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn, optim

import thinnet as tn
from thinnet.search._keep_zeros import keep_zeros

from .networks import Problem, linear, perceptron, regression

Make = Callable[..., optim.Optimizer]
OPTIMIZERS: dict[str, Make] = {
    "SGD": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, lr=0.05),
    "Adam-amsgrad": lambda p: optim.Adam(p, lr=0.05, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.05),
    "NAdam": lambda p: optim.NAdam(p, lr=0.05),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.9, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.05),
    "Adamax": lambda p: optim.Adamax(p, lr=0.05),
    "Rprop": lambda p: optim.Rprop(p, lr=0.01),
    "LBFGS": lambda p: optim.LBFGS(p, lr=0.5, max_iter=4),
}


def train(model: nn.Module, optimizer: optim.Optimizer, problem: Problem, steps: int) -> None:
    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = problem.loss(model)
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)


def cut(model: nn.Module, columns: list[int]) -> Tensor:
    """Zeros in the first layer, and where they are."""
    with torch.no_grad():
        model[0].weight[:, columns] = 0.0
    return zeros(model)


def zeros(model: nn.Module) -> Tensor:
    return torch.cat([(p.detach() == 0).flatten() for p in model.parameters()])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_zeros_stay_and_the_rest_moves_whatever_momentum_there_is(name: str) -> None:
    problem, model = regression(), perceptron()
    optimizer = OPTIMIZERS[name](model.parameters())
    train(model, optimizer, problem, 5)
    expected, before = cut(model, [2, 5]), [p.detach().clone() for p in model.parameters()]
    with keep_zeros(model, optimizer) as kept:
        assert kept.zeros == {"0.weight": 12}
        for _ in range(4):
            train(model, optimizer, problem, 1)
            assert torch.equal(zeros(model), expected)
    for parameter, old in zip(model.parameters(), before, strict=True):
        assert (parameter != old)[old != 0].all()
    train(model, optimizer, problem, 2)
    assert not zeros(model).any()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_left_trains_as_the_model_of_what_is_left(name: str) -> None:
    problem, left = regression(), [0, 1, 3, 4, 6, 7]
    whole, small = linear(), linear(6)
    with torch.no_grad():
        whole.weight[:, [2, 5]] = 0.0
        small.weight.copy_(whole.weight[:, left])
        small.bias.copy_(whole.bias)
    optimizers = [OPTIMIZERS[name](model.parameters()) for model in (whole, small)]
    keep_zeros(whole, optimizers[0])
    train(whole, optimizers[0], problem, 10)
    train(small, optimizers[1], Problem(problem.x[:, left], problem.y), 10)
    torch.testing.assert_close(whole.weight[:, left], small.weight, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(whole.bias, small.bias, rtol=1e-9, atol=1e-12)
    assert not whole.weight[:, [2, 5]].any()


def test_refitted_survivors_of_the_lasso_are_least_squares_on_its_support() -> None:
    problem, model = regression(), nn.Linear(8, 1, bias=False).double()
    tn.polish_(model, tn.Plan(tn.L1(0.5)), problem.loss)
    support = model.weight.detach()[0] != 0
    assert 0 < int(support.sum()) < 8
    shrunk = model.weight.detach()[0, support]
    optimizer = optim.SGD(model.parameters(), lr=0.3, momentum=0.5)
    with keep_zeros(model, optimizer):
        train(model, optimizer, problem, 300)
    expected = torch.linalg.lstsq(problem.x[:, support], problem.y).solution[:, 0]
    torch.testing.assert_close(model.weight.detach()[0, support], expected, rtol=0, atol=1e-8)
    assert not model.weight[0, ~support].any()
    assert float(shrunk.norm()) < 0.95 * float(expected.norm())


def test_a_polish_beside_it_leaves_the_zeros_too() -> None:
    problem, model = regression(), linear()
    with torch.no_grad():
        model.weight[:, [0, 3]] = 0.0
    keep_zeros(model, optim.SGD(model.parameters(), lr=0.1))
    assert tn.polish_(model, None, problem.loss).converged
    left = [1, 2, 4, 5, 6, 7]
    design = torch.cat([problem.x[:, left], torch.ones_like(problem.y)], 1)
    expected = torch.linalg.lstsq(design, problem.y).solution[:, 0]
    torch.testing.assert_close(model.weight.detach()[0, left], expected[:-1], rtol=0, atol=1e-6)
    assert not model.weight[:, [0, 3]].any()


@pytest.mark.parametrize("first", ["attach", "keep_zeros"])
def test_beside_a_plan_groups_are_what_is_left_of_them(first: str) -> None:
    """Group norms see none of the motion of what is held: the same as a group lasso over a smaller weight."""
    problem, left, strength = regression(), [0, 1, 3, 4, 6, 7], 0.05
    whole, small = linear(), linear(6)
    with torch.no_grad():
        whole.weight[:, [2, 5]] = 0.0
        small.weight.copy_(whole.weight[:, left])
        small.bias.copy_(whole.bias)
    optimizers = [optim.SGD(model.parameters(), lr=0.1) for model in (whole, small)]
    if first == "keep_zeros":
        keep_zeros(whole, optimizers[0])
    tn.attach(whole, tn.Plan(tn.GroupLasso(strength / 8**0.5)), optimizers[0])
    if first == "attach":
        keep_zeros(whole, optimizers[0])
    tn.attach(small, tn.Plan(tn.GroupLasso(strength / 6**0.5)), optimizers[1])
    train(whole, optimizers[0], problem, 20)
    train(small, optimizers[1], Problem(problem.x[:, left], problem.y), 20)
    torch.testing.assert_close(whole.weight[:, left], small.weight, rtol=1e-9, atol=1e-12)


class Everything(nn.Module):
    """An embedding, a convolution, a normalization and a linear layer, each with zeros."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(4, 6)
        self.convolution = nn.Conv1d(1, 3, 3)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(12, 2)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter[0] = 0.0

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.convolution(self.embedding(x)[:, None])).flatten(1))


@pytest.mark.parametrize("governed", [False, True])
def test_matrices_and_kernels_are_held_and_whatever_else_a_plan_governs(governed: bool) -> None:
    model = Everything()
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    plan = tn.Plan({"embedding.weight": tn.GroupLasso(0.1, by="inputs"), "head.*": tn.L1(0.1)}) if governed else None
    kept = keep_zeros(model, optimizer, plan=plan)
    more = {"embedding.weight", "head.bias"} if governed else set()
    assert set(kept.zeros) == {"convolution.weight", "head.weight"} | more
    for _ in range(3):
        optimizer.zero_grad()
        (model(torch.arange(4)) - 1).square().sum().backward()
        optimizer.step()
    still = {name for name, p in model.named_parameters() if not p.detach()[0].any()}
    # a dead channel is normalized to the norm's own bias, so that its kernel's bias has no gradient at first
    assert still - {"convolution.bias"} == {"convolution.weight", "head.weight"} | more


def test_in_a_stack_each_member_has_its_own_zeros() -> None:
    stack = tn.Stack([tn.Member(seed=k) for k in range(2)], in_features=8, hidden=[4], out_features=1).double()
    problem = regression()
    with torch.no_grad():
        stack.weights[0][0, :, 3] = 0.0
        stack.weights[0][1, :, 5] = 0.0
        stack.biases[0].zero_()
    optimizer = optim.Adam(stack.parameters(), lr=0.05)
    assert keep_zeros(stack, optimizer).zeros == {"weights.0": 8}
    for _ in range(5):
        optimizer.zero_grad()
        (stack(problem.x) - problem.y).square().mean().backward()
        optimizer.step()
    dead = ~stack.weights[0].detach().any(1)
    assert dead.nonzero().tolist() == [[0, 3], [1, 5]]
    assert bool(stack.biases[0].detach().all())


def test_clipping_sees_the_gradients_of_what_is_left() -> None:
    problem, model = regression(), linear()
    with torch.no_grad():
        model.weight[:, :7] = 0.0
    keep_zeros(model, optim.SGD(model.parameters(), lr=0.1))
    problem.loss(model).backward()
    assert not model.weight.grad[:, :7].any()
    left = torch.stack([model.weight.grad[0, 7], model.bias.grad[0]])
    torch.testing.assert_close(nn.utils.get_total_norm([p.grad for p in model.parameters()]), left.norm())


def test_without_a_zero_it_holds_nothing() -> None:
    model = perceptron()
    assert keep_zeros(model, optim.SGD(model.parameters(), lr=0.1)).zeros == {}


def test_an_optimizer_of_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match="keep_zeros: the optimizer has no parameter of this model"):
        keep_zeros(linear(), optim.SGD(linear().parameters(), lr=0.1))


def test_zeros_of_a_weight_that_is_made_anew_are_refused_and_pruned_ones_stay_by_themselves() -> None:
    model = linear()
    with torch.no_grad():
        model.weight[:, 2] = 0.0
    normed = nn.utils.parametrizations.weight_norm(model)
    with pytest.raises(ValueError, match=r"keep_zeros: weight is parametrized by WeightNorm.*cannot be held"):
        keep_zeros(normed, optim.SGD(normed.parameters(), lr=0.1))
    pruned = nn.utils.prune.l1_unstructured(linear(), "weight", amount=3)
    optimizer = optim.Adam(pruned.parameters(), lr=0.1)
    assert keep_zeros(pruned, optimizer).zeros == {}
    train(pruned, optimizer, regression(), 3)
    assert int((pruned.weight == 0).sum()) == 3


def test_a_model_that_is_compacted_meanwhile_is_refused_at_the_step() -> None:
    problem, model = regression(), perceptron()
    with torch.no_grad():
        model[2].weight[:, 1] = 0.0
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    keep_zeros(model, optimizer)
    tn.compact_(model, problem.x, optimizer=optimizer)
    with pytest.raises(RuntimeError, match=r"keep_zeros: 2\.weight has become \(1, 5\) from \(1, 6\).*call keep_zeros"):
        train(model, optimizer, problem, 1)
