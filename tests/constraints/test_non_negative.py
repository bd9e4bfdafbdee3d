import torch

from thinnet.constraints import NonNegative


def test_golden_projection() -> None:
    w = torch.tensor([[3.0, -4.0], [0.0, torch.inf]])
    assert NonNegative().project(w).tolist() == [[3.0, 0.0], [0.0, torch.inf]]


def test_weights_that_are_not_negative_keep_every_bit() -> None:
    w = torch.randn(100, generator=torch.Generator().manual_seed(0))
    projected = NonNegative().project(w)
    assert torch.equal(projected[w >= 0], w[w >= 0])
    assert (projected[w < 0] == 0).all()


def test_it_looks_at_each_weight_alone() -> None:
    assert NonNegative().grouping == "elements"
