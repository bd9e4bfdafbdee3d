import numpy as np
import pytest
import torch

from thinnet.search._grid import checked, geometric


@pytest.mark.parametrize("n", [2, 3, 50])
def test_it_is_numpys_geometric_space(n: int) -> None:
    found = geometric(7.0, 1e-3, n)
    np.testing.assert_allclose(found, np.geomspace(7e-3, 7.0, n), rtol=1e-12)
    assert found[-1] == 7.0  # the largest is what was measured, to the last bit


def test_one_is_the_largest() -> None:
    assert geometric(7.0, 1e-3, 1) == [7.0]


def test_any_kind_of_numbers_in_order_become_floats() -> None:
    for given in ([1, 2], (1.0, 2.0), np.array([1, 2]), torch.tensor([1.0, 2.0]), iter([1, 2])):
        found = checked(given, "up")
        assert found == [1.0, 2.0]
        assert all(type(value) is float for value in found)
    assert checked([2, 1, 0], "down") == [2.0, 1.0, 0.0]


@pytest.mark.parametrize("value", [True, "1", None, 1j])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="`strengths` must be numbers, got"):
        checked([value], "up")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e-9])
def test_strengths_are_finite_and_not_negative(value: float) -> None:
    with pytest.raises(ValueError, match="`strengths` must be finite and >= 0, got"):
        checked([0.5, value], "up")
