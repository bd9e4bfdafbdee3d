import numpy as np
import pytest
import torch

from thinnet.penalties._group_numbers import group_numbers, group_slots, known_groups


@pytest.mark.parametrize("given", [[4, -1, 0], (4, -1, 0), np.array([4, -1, 0]), torch.tensor([4, -1, 0])], ids=str)
def test_numbers_come_in_any_form(given: object) -> None:
    found = group_numbers("the numbers", "input", given)
    assert found.dtype == torch.int64 and found.tolist() == [4, -1, 0]


def test_they_are_a_copy() -> None:
    given = torch.tensor([4, -1, 0])
    found = group_numbers("the numbers", "input", given)
    given[0] = 5
    assert found.tolist() == [4, -1, 0]


@pytest.mark.parametrize("wrong", [[0.5], [True], [[0]], "ab", 3, None, [1j], [2**70]], ids=repr)
def test_what_is_no_list_of_whole_numbers_is_refused_by_name(wrong: object) -> None:
    with pytest.raises(TypeError, match=r"^the numbers must be a list of whole numbers, one for each input, got"):
        group_numbers("the numbers", "input", wrong)


def test_a_number_below_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^the numbers must be >= 0, or -1 for none, got -3\.$"):
        group_numbers("the numbers", "input", [0, -3, -1])


def test_slots_are_places_among_the_known_and_one_behind() -> None:
    numbers = torch.tensor([9, -1, 2, 9, 4])
    known = known_groups(numbers)
    assert known.tolist() == [2, 4, 9]
    assert group_slots(numbers, known).tolist() == [2, 3, 0, 2, 1]
    assert known_groups(torch.tensor([-1, -1])).numel() == 0
