import torch

from thinnet.penalties import L2


def test_golden_value_gradient_and_step() -> None:
    w = torch.tensor([[3.0, -1.0]])
    assert L2(0.5).value(w).item() == 2.5
    assert L2(0.5).gradient(w).tolist() == [[1.5, -0.5]]
    assert L2(0.5).prox(w, 2.0).tolist() == [[1.5, -0.5]]
    assert L2(0.5).prox(w, 2.0, torch.tensor([[1.0, 1 / 3]])).tolist() == [[1.5, -0.25]]


def test_the_gradient_is_torchs_weight_decay_in_sgd() -> None:
    start = torch.tensor([[3.0, -1.0], [0.5, 2.0]])
    theirs = torch.nn.Parameter(start.clone())
    theirs.grad = torch.zeros_like(start)
    torch.optim.SGD([theirs], lr=0.1, weight_decay=0.3).step()
    torch.testing.assert_close(start - 0.1 * L2(0.3).gradient(start), theirs.detach())


def test_each_member_has_its_own_strength() -> None:
    penalty = L2(torch.tensor([0.0, 1.0, 2.0]))
    assert penalty.value(torch.ones(3, 2, 2)).tolist() == [0.0, 2.0, 4.0]
    assert penalty.gradient(torch.ones(3, 2, 2))[:, 0, 0].tolist() == [0.0, 1.0, 2.0]


def test_a_gradient_that_float16_strengths_would_lose_is_kept() -> None:
    strength = torch.tensor([1e-8], dtype=torch.float64)  # zero in float16
    assert L2(strength).gradient(torch.full((1, 2), 1000.0, dtype=torch.float16)).min() > 0
