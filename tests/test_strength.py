import math

import numpy as np
import pytest
import torch

from thinnet._strength import broadcast, check_strength, precise, quotient, stack_depth


@pytest.mark.parametrize("value", [0, 3, 0.5, np.float32(0.5), np.float64(0.5), np.int64(3), math.inf], ids=repr)
def test_a_strength_that_is_a_number_becomes_a_float(value: float) -> None:
    strength = check_strength("L1", "strength", value)
    assert type(strength) is float and strength == value


def test_a_strength_that_is_a_tensor_becomes_floating_point() -> None:
    assert check_strength("L1", "strength", torch.tensor([0, 2])).tolist() == [0.0, 2.0]
    kept = torch.tensor([0.5], requires_grad=True)
    assert check_strength("L1", "strength", kept) is kept
    assert check_strength("L1", "strength", torch.zeros(0)).shape == (0,)


def test_a_broadcast_strength_meets_the_leading_dimensions() -> None:
    w = torch.zeros(2, 3, 4, dtype=torch.float16)
    assert broadcast(0.5, w) == 0.5
    assert broadcast(torch.tensor(0.5), w).shape == (1, 1, 1)
    assert broadcast(torch.ones(2), w).shape == (2, 1, 1)
    assert broadcast(torch.ones(2, 3, dtype=torch.float64), w).shape == (2, 3, 1)
    assert broadcast(torch.ones(2, dtype=torch.float64), w).dtype == torch.float32
    with pytest.raises(ValueError, match=r"a strength of shape \(3,\) acts on a stack .* got weights \(2, 3, 4\)"):
        broadcast(torch.ones(3), w)


def test_stack_depth_is_that_of_the_deepest_strength() -> None:
    assert stack_depth() == stack_depth(0.5, torch.tensor(1.0)) == 0
    assert stack_depth(0.5, torch.ones(2)) == 1


@pytest.mark.parametrize(
    ("given", "worked_in"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64, torch.float64)],
    ids=str,
)
def test_low_precision_is_worked_on_in_float32(given: torch.dtype, worked_in: torch.dtype) -> None:
    assert precise(torch.ones(2, dtype=given)).dtype == worked_in
    with pytest.raises(TypeError, match=r"rules act on floating-point weights, got torch\.complex64"):
        precise(torch.ones(2, dtype=torch.complex64))


def test_a_quotient_is_rounded_alike_for_a_number_and_a_tensor() -> None:
    divisor = torch.rand(1000, generator=torch.Generator().manual_seed(0)) + 0.1
    exact = (0.3 / divisor.double()).float()
    assert torch.equal(quotient(torch.tensor(0.3), divisor), quotient(0.3, divisor))
    torch.testing.assert_close(quotient(0.3, divisor), exact)
