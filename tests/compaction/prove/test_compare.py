"""Distances of outputs and of gradients, worked out by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.prove._compare import (
    Difference,
    apart,
    distance,
    gradients_apart,
    in_float64,
    outputs_of,
    tolerance,
)


def mlp(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)).to(dtype).eval()


def inputs(dtype: torch.dtype = torch.float64) -> Inputs:
    return Inputs.of(torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).to(dtype), "test")


def test_distance_is_relative_to_the_largest_element() -> None:
    assert distance(torch.tensor([1.0, -4.0]), torch.tensor([1.5, -4.0])) == 0.125
    assert distance(torch.zeros(2), torch.tensor([0.0, 0.25])) == 0.25
    assert distance(torch.zeros(0), torch.zeros(0)) == 0.0
    assert distance(torch.tensor([True, False]), torch.tensor([True, True])) == 1.0


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_what_is_not_finite_is_so_in_both(value: float) -> None:
    one = torch.tensor([1.0, value])
    assert distance(one, one.clone()) == 0.0
    assert distance(one, torch.tensor([1.0, 2.0])) == math.inf
    assert distance(torch.tensor([1.0, 2.0]), one) == math.inf


def test_outputs_of_another_number_or_shape_are_apart() -> None:
    x = torch.ones(2, 3)
    assert apart([x, x], [x, x]) == Difference(0.0, "nowhere")
    assert apart([x, x], [x]) == Difference(math.inf, "2 outputs became 1")
    assert "(2, 3) became (3, 2)" in apart([x], [x.T]).where
    assert apart([x, x], [x, 2 * x]) == Difference(1.0, "output 1")


@dataclass
class Output:
    logits: Tensor
    hidden: tuple[Tensor, Tensor]
    name: str = "output"


def test_tensors_are_found_in_whatever_holds_them() -> None:
    a, b, c, d = (torch.full((1,), float(i)) for i in range(4))
    found = outputs_of({"a": [a, (b,)], "of": Output(c, (d, a)), "none": None})
    assert sorted(float(x) for x in found) == [0, 0, 1, 2, 3]


def test_gradients_of_what_stays_are_compared_slice_by_slice() -> None:
    model = mlp()
    with torch.no_grad():
        model[2].weight[:, 1] = 0
        model[0].weight[1] = 0
        model[0].bias[1] = 0
    small = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double().eval()
    rest = torch.tensor([0, 2, 3, 4])
    small.load_state_dict(
        {
            "0.weight": model[0].weight[rest],
            "0.bias": model[0].bias[rest],
            "2.weight": model[2].weight[:, rest],
            "2.bias": model[2].bias,
        }
    )
    kept = {"0.weight": {0: rest}, "0.bias": {0: rest}, "2.weight": {1: rest}}
    found = gradients_apart(in_float64(model), in_float64(small), inputs(), kept, set())
    assert found.size < 1e-15
    wrong = {**kept, "2.weight": {1: torch.tensor([1, 2, 3, 4])}}
    assert gradients_apart(in_float64(model), in_float64(small), inputs(), wrong, set()).size > 1e-3


def test_a_gradient_in_another_shape_is_infinitely_far() -> None:
    model, other = mlp(), mlp()
    other[2] = nn.Linear(5, 2, bias=False).double()
    assert gradients_apart(in_float64(model), in_float64(other), inputs(), {}, set()).size == math.inf


def test_precision_decides_what_is_rounding() -> None:
    assert tolerance(mlp()) == 1e-9
    assert tolerance(mlp(torch.float32)) == 1e-5
    assert tolerance(mlp(torch.bfloat16)) > tolerance(mlp(torch.float16)) > 1e-3
    assert tolerance(nn.ReLU()) == 1e-5
