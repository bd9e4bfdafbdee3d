import pytest
import torch
from torch import nn

import thinnet as tn


def layer(p: float = 0.5) -> tn.DropPath:
    return tn.DropPath(p, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(64,), (64, 3), (64, 2, 3, 4), (64, 16, 16)])
def test_a_sample_is_dropped_whole_or_divided(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape, generator=torch.Generator().manual_seed(1)) + 1
    y = layer(0.25)(x)
    dropped = 0
    for row, given in zip(y, x, strict=True):
        if (row == 0).all():
            dropped += 1
        else:
            torch.testing.assert_close(row, given / 0.75)
    assert 0 < dropped < 64


def test_a_dropped_branch_leaves_its_sample_and_does_not_train_on_it() -> None:
    x, branch = torch.randn(8, 4, generator=torch.Generator().manual_seed(1)), nn.Linear(4, 4)
    residual = layer()(branch(x))
    lost = (residual == 0).all(1)
    assert lost.any() and not lost.all()
    assert torch.equal((x + residual)[lost], x[lost])
    for row in range(8):
        (slope,) = torch.autograd.grad(residual[row].sum(), branch.weight, retain_graph=True)
        assert bool((slope == 0).all()) == bool(lost[row])


def test_the_input_needs_samples() -> None:
    with pytest.raises(ValueError, match=r"DropPath: the input must be \(N, \.\.\.\), got a tensor of shape \(\)"):
        layer()(torch.tensor(1.0))
