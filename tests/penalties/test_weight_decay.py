import pytest
import torch

from thinnet.penalties import WeightDecay


def test_golden_shrinkage() -> None:
    assert WeightDecay(0.5).shrink(torch.tensor([[3.0, -1.0]]), 0.5).tolist() == [[2.25, -0.75]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_it_is_adamws_decay_to_the_bit(dtype: torch.dtype) -> None:
    start = torch.randn(20, 30, generator=torch.Generator().manual_seed(0)).to(dtype)
    theirs = torch.nn.Parameter(start.clone())
    theirs.grad = torch.zeros_like(start)
    torch.optim.AdamW([theirs], lr=3e-3, weight_decay=0.07).step()
    assert torch.equal(WeightDecay(0.07).shrink(start, 3e-3), theirs.detach())


def test_each_member_has_its_own_strength_and_learning_rate() -> None:
    decay, lr = WeightDecay(torch.tensor([0.0, 1.0, 1.0])), torch.tensor([0.5, 0.5, 0.25])
    assert decay.shrink(torch.ones(3, 2, 2), lr)[:, 0, 0].tolist() == [1.0, 0.5, 0.75]
