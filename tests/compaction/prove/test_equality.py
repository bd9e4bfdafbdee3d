"""The proof: what is not equal has to be seen, wherever it is."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._trace import trace
from thinnet.compaction.prove._compare import (
    apart,
    run,
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


def test_a_model_that_fails_is_not_equal() -> None:
    model = mlp()
    broken = nn.Sequential(nn.Linear(4, 2)).double().eval()
    proof = prove(model, broken, inputs(), decision(), trace(model, inputs()))
    assert not proof.holds
    assert "RuntimeError" in str(proof)
