"""What constraints share, on one that no file of thinnet knows."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.constraints._base import slack
from thinnet.rule import Strength


@dataclass(frozen=True, eq=False, repr=False)
class Box(tn.Constraint):
    """|w_i| <= c."""

    limit: Strength
    strength_fields: ClassVar[tuple[str, ...]] = ("limit",)

    def project(self, w: Tensor) -> Tensor:
        return w.clamp(-self.limit, self.limit)


def test_a_new_constraint_is_projected_onto_after_the_step() -> None:
    model = nn.Linear(2, 1, bias=False)
    model.weight.data.copy_(torch.tensor([[3.0, -0.25]]))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    tn.attach(model, tn.Plan(tn.L2(1.0) + Box(0.5)), optimizer, mode="cost")
    model.weight.grad = torch.tensor([[1.0, 0.125]])
    optimizer.step()
    assert model.weight.tolist() == [[0.5, -0.375]]


def test_a_bound_is_no_strength() -> None:
    assert 3 * Box(0.5) == Box(0.5) == Box(0.5) * 0.0
    assert Box(0.0).has_effect and Box(0.0).acts_after_step and not Box(0.0).in_cost
    assert Box(float("inf")).limit == float("inf")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_slack_is_more_than_rounding_moves_a_norm(dtype: torch.dtype, size: int) -> None:
    w = torch.randn(20, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    wide = torch.promote_types(dtype, torch.float32)
    norms = w.to(wide).square().sum(1).sqrt()
    scaled = (w.to(wide) / norms[:, None]).to(dtype)
    error = (scaled.double().norm(dim=1) - 1).abs().max()
    assert float(error) <= slack(w, size) < 10 * (torch.finfo(dtype).eps + 20 * torch.finfo(wide).eps)
