"""The proof: what is not equal has to be seen, wherever it is."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._trace import trace
from thinnet.compaction.prove._check import repeats
from thinnet.compaction.prove._compare import (
    Difference,
    apart,
    distance,
    gradients_apart,
    in_float64,
    outputs_of,
    run,
    tolerance,
)
from thinnet.compaction.prove._equality import prove


def decision(**kept: dict[int, Tensor]) -> object:
    from thinnet.compaction.analyze._decide import Decision

    return Decision({name.replace("_", "."): dims for name, dims in kept.items()}, {}, {}, torch.zeros(0), frozenset())


def mlp(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)).to(dtype).eval()


def inputs(dtype: torch.dtype = torch.float64) -> Inputs:
    return Inputs.of(torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).to(dtype), "test")


def proof_of(model: nn.Module, small: nn.Module, given: Inputs, **kept: dict[int, Tensor]):
    return prove(model, small, given, decision(**kept), trace(model, given))


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


def test_an_equal_model_is_proven() -> None:
    model = mlp()
    proof = proof_of(model, copy.deepcopy(model), inputs())
    assert proof.holds
    assert proof.inputs == 3
    assert (proof.outputs.size, proof.exact.size, proof.gradients.size) == (0, 0, 0)
    assert str(proof) == "outputs differ by 0.0e+00 over 3 inputs"


@pytest.mark.parametrize("size", [1e-7, 1e-2])
def test_a_weight_that_is_off_is_seen(size: float) -> None:
    model = mlp()
    other = copy.deepcopy(model)
    with torch.no_grad():
        other[2].weight[0, 0] += size
    proof = proof_of(model, other, inputs())
    assert not proof.holds
    assert "outputs differ by" in str(proof)


def test_what_float32_hides_is_seen_in_float64() -> None:
    model = mlp(torch.float32)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other[2].weight[0, 0] *= 1 + 1e-6
    proof = proof_of(model, other, inputs(torch.float32))
    assert proof.outputs.size <= 1e-5
    assert not proof.holds
    assert "outputs in float64 differ" in str(proof)


def test_what_the_example_does_not_show_random_inputs_do() -> None:
    """A node that is dead on the example alone."""
    model = mlp()
    with torch.no_grad():
        model[0].weight[1] = torch.tensor([1.0, 0.0, 0.0])
        model[0].bias[1] = 0.0
    without = copy.deepcopy(model)
    with torch.no_grad():
        without[2].weight[:, 1] = 0
    example = inputs().args[0].clone()
    example[:, 0] = -example[:, 0].abs()
    given = Inputs.of(example, "test")
    assert apart(run(model, given), run(without, given)).size == 0
    assert not proof_of(model, without, given).holds


class Squared(nn.Module):
    """Outputs that do not change with the sign of a weight, whose gradient does."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale.square()


def test_gradients_that_differ_are_seen() -> None:
    model, other = Squared().eval(), Squared().eval()
    with torch.no_grad():
        other.scale.neg_()
    proof = proof_of(model, other, inputs())
    assert proof.outputs.size == proof.exact.size == 0
    assert not proof.holds
    assert "gradients differ" in str(proof)
    assert proof.gradients.where == "the gradient of scale"


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


def test_a_model_that_fails_is_not_equal() -> None:
    model = mlp()
    broken = nn.Sequential(nn.Linear(4, 2)).double().eval()
    proof = prove(model, broken, inputs(), decision(), trace(model, inputs()))
    assert not proof.holds
    assert "RuntimeError" in str(proof)


def test_precision_decides_what_is_rounding() -> None:
    assert tolerance(mlp()) == 1e-9
    assert tolerance(mlp(torch.float32)) == 1e-5
    assert tolerance(mlp(torch.bfloat16)) > tolerance(mlp(torch.float16)) > 1e-3
    assert tolerance(nn.ReLU()) == 1e-5


def test_a_random_model_does_not_repeat_itself() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand_like(x)

    state = torch.get_rng_state()
    assert repeats(mlp(), inputs())
    assert not repeats(Noisy().eval(), inputs())
    assert torch.equal(torch.get_rng_state(), state)
