import pytest
import torch

from thinnet.constraints import UnitNorm, unit_norm
from thinnet.rule import stack_rules


def test_golden_projection() -> None:
    w = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, -1.0]])
    torch.testing.assert_close(UnitNorm().project(w), torch.tensor([[0.6, 0.8], [0.0, 0.0], [0.0, -1.0]]))


def test_rows_of_norm_one_keep_every_bit() -> None:
    w = torch.tensor([[0.6, 0.8], [0.0, -1.0], [0.5, 0.5]])
    projected = UnitNorm().project(w)
    assert torch.equal(projected[:2], w[:2])
    torch.testing.assert_close(projected[2], torch.full((2,), 0.5**0.5))


@pytest.mark.parametrize("scale", [1e-18, 1e-30, 1e-44])
def test_rows_too_small_to_have_a_direction_stay(scale: float) -> None:
    w = torch.tensor([[3.0, 4.0]]) * scale
    assert torch.equal(UnitNorm().project(w), w)


@pytest.mark.parametrize("scale", [1e-15, 1e-5, 1e15])
def test_other_rows_have_norm_one_whatever_they_had(scale: float) -> None:
    torch.testing.assert_close(UnitNorm().project(torch.tensor([[3.0, 4.0]]) * scale), torch.tensor([[0.6, 0.8]]))


def test_a_stack_is_told_apart_from_outputs() -> None:
    w = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    stacked = stack_rules([UnitNorm()] * 3)
    assert stacked == UnitNorm(depth=1)
    torch.testing.assert_close(stacked.project(w).norm(dim=2), torch.ones(3, 4))
    torch.testing.assert_close(unit_norm(w).flatten(1).norm(dim=1), torch.ones(3))


@pytest.mark.parametrize("depth", [-1, 1.0, True])
def test_a_depth_that_is_none_is_refused(depth: object) -> None:
    with pytest.raises(ValueError, match=r"^UnitNorm: `depth` must be a whole number >= 0, got (-1|1\.0|True)\.$"):
        UnitNorm(depth=depth)


def test_it_couples_the_weights_of_an_output() -> None:
    assert UnitNorm().grouping == "outputs"
