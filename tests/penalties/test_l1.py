import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thinnet.penalties import L1, l1_prox

FLOATS = st.floats(-1e3, 1e3, width=32)


def soft(w: float, t: float) -> float:
    """The proximal step written by cases."""
    if w > t:
        return w - t
    return w + t if w < -t else 0.0


def test_golden_value_and_step() -> None:
    w = torch.tensor([[3.0, -1.0], [0.2, 0.0]])
    assert L1(0.5).value(w).item() == pytest.approx(2.1)
    torch.testing.assert_close(L1(0.5).prox(w, 1.0), torch.tensor([[2.5, -0.5], [0.0, 0.0]]), rtol=0, atol=0)


def test_golden_step_in_a_metric() -> None:
    w, d = torch.tensor([3.0, -3.0, 3.0]), torch.tensor([0.5, 2.0, 0.1])
    assert L1(0.5).prox(w, 2.0, d).tolist() == [1.0, -2.5, 0.0]  # thresholds 2, 0.5 and 10


@given(st.lists(FLOATS, min_size=1, max_size=20), st.floats(0, 10, width=32))
def test_the_step_is_soft_thresholding_by_cases(w: list[float], t: float) -> None:
    stepped = l1_prox(torch.tensor(w, dtype=torch.float64), t)
    assert stepped.tolist() == [soft(x, t) for x in w]


@given(FLOATS, FLOATS, st.floats(0, 10, width=32))
def test_the_step_brings_no_two_points_apart(a: float, b: float, t: float) -> None:
    pa, pb = l1_prox(torch.tensor([a, b], dtype=torch.float64), t).tolist()
    assert abs(pa - pb) <= abs(a - b) + 1e-12


def test_zeros_are_exact_and_have_no_sign() -> None:
    stepped = l1_prox(torch.tensor([0.3, -0.3, -0.0, 1e-30]), 0.3)
    assert stepped.numpy().tobytes() == np.zeros(4, dtype=np.float32).tobytes()


def test_each_member_has_its_own_threshold() -> None:
    w = torch.ones(3, 1, 2)
    stepped = L1(torch.tensor([0.0, 0.25, 2.0])).prox(w, 1.0)
    assert stepped[:, 0, 0].tolist() == [1.0, 0.75, 0.0]
