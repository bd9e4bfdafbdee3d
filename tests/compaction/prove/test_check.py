"""Preconditions of compaction, each refused by name."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.prove._check import check, repeats
from thinnet.errors import NotCompactableError


def mlp(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)).to(dtype).eval()


def inputs(dtype: torch.dtype = torch.float64) -> Inputs:
    return Inputs.of(torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).to(dtype), "test")


def test_a_random_model_does_not_repeat_itself() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand_like(x)

    model = mlp()
    state = torch.get_rng_state()
    assert repeats(model, inputs())
    assert not repeats(Noisy().eval(), inputs())
    assert torch.equal(torch.get_rng_state(), state)


class Constant(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return x * self.value


@pytest.mark.parametrize(
    ("model", "error", "match"),
    [
        ("model", TypeError, r"f: `model` must be a torch.nn.Module, got str"),
        (nn.Sequential(nn.Linear(3, 2)), ValueError, "f: Sequential is in training mode"),
        (nn.Linear(9, 2).double().eval(), ValueError, r"f: Linear does not run on `example_inputs` \(RuntimeError"),
        (Constant(math.nan).eval(), NotCompactableError, "f: Constant returns NaN on `example_inputs`"),
        (nn.Linear(3, 2, device="meta").eval(), ValueError, "f: the model is on meta, `example_inputs` on cpu; move"),
    ],
)
def test_what_nothing_could_be_proven_for_is_refused(model: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        check(model, inputs(), "f")


def test_infinite_outputs_are_no_obstacle() -> None:
    check(Constant(math.inf).eval(), Inputs.of(torch.ones(2), "f"), "f")
