"""The short ways give what the rules' own methods give."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import thinnet as tn
from thinnet.attachment._kernels import Scratch, add_gradient_, decay_, project_, prox_
from thinnet.penalties import Decay, WeightPenalty

STRENGTHS = [0.0, 0.3, torch.tensor(0.3)]


def weights(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("kind", [tn.L2])
def test_gradients(kind: type[WeightPenalty], strength: float | Tensor) -> None:
    w, gradient = weights(), torch.ones(5, 4)
    add_gradient_(gradient, kind(strength), w, -2.0)
    torch.testing.assert_close(gradient, 1 - 2 * 0.3 * w if strength else torch.ones(5, 4))


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("kind", [tn.WeightDecay])
def test_decays(kind: type[Decay], strength: float | Tensor) -> None:
    w = weights()
    decay_(kind(strength), w, 0.5)
    torch.testing.assert_close(w, kind(strength).shrink(weights(), 0.5), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("step", [0.5, torch.tensor(0.5)])
@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", [tn.L1, tn.GroupLasso])
def test_proximal_steps(
    kind: type[WeightPenalty], weighted: bool, strength: float | Tensor, step: float | Tensor, dtype: torch.dtype
) -> None:
    w, scratch, penalty = weights(dtype), Scratch(), kind(strength)
    metric = scratch.like(w, 0).copy_(weights().abs() + 0.1) if weighted else None
    expected = penalty.prox(w.clone(), step, None if metric is None else metric.clone())
    prox_(penalty, w, step, metric, scratch)
    torch.testing.assert_close(w, expected)
    assert torch.equal(w == 0, expected == 0)


def test_a_metric_that_is_the_optimizers_own_tensor_is_not_written_to() -> None:
    metric = torch.full((5, 4), 2.0)
    prox_(tn.L1(0.3), weights(), 0.5, metric, Scratch())
    assert torch.equal(metric, torch.full((5, 4), 2.0))


@given(st.floats(0.01, 10), st.sampled_from([torch.float32, torch.bfloat16]))
def test_projections(limit: float, dtype: torch.dtype) -> None:
    w = weights(dtype)
    project_(tn.MaxNorm(limit), w)
    assert torch.equal(w, tn.MaxNorm(limit).project(weights(dtype)))


def test_a_view_of_transposed_weights_is_projected_where_it_lies() -> None:
    stored = weights()
    project_(tn.MaxNorm(0.5), stored.T)
    assert torch.equal(stored.T, tn.MaxNorm(0.5).project(weights().T))


def test_scratch_grows_and_is_kept() -> None:
    scratch = Scratch()
    small = scratch.like(torch.zeros(2), 0)
    large = scratch.like(torch.zeros(3, 4), 0)
    assert large.shape == (3, 4)
    assert scratch.like(torch.zeros(4), 0).data_ptr() == large.data_ptr() != small.data_ptr()
