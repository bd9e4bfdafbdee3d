import numpy as np
import pytest
import torch

from thinnet._random import splitmix64, splitmix64_, splitmix64_array_

WORD = 2**64


def by_hand(position: int) -> int:
    """Splitmix64 in whole numbers without an end."""
    z = position * 0x9E3779B97F4A7C15 % WORD
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB % WORD
    return z ^ z >> 31


def test_it_is_splitmix64() -> None:
    positions = [*range(50), 2**40, 2**63 - 1, -1, -(2**63)]
    assert [splitmix64(position) for position in positions] == [by_hand(position % WORD) for position in positions]
    expected = [by_hand(position % WORD) for position in positions]
    assert [word % WORD for word in splitmix64_(torch.tensor(positions)).tolist()] == expected
    array = np.array([position % WORD for position in positions], np.uint64)
    assert splitmix64_array_(array, np.empty_like(array)).tolist() == expected


def test_it_works_in_place_with_scratch_or_without() -> None:
    z, scratch = torch.arange(12).view(3, 4), torch.empty(3, 4, dtype=torch.int64)
    assert splitmix64_(z, scratch) is z
    assert torch.equal(z, splitmix64_(torch.arange(12).view(3, 4)))


@pytest.mark.parametrize("bit", [0, 15, 16, 31, 40, 63])
def test_every_bit_is_a_fair_coin(bit: int) -> None:
    n = 1 << 16
    ones = int(((splitmix64_(torch.arange(n)) >> bit) & 1).sum())
    assert abs(ones - n / 2) < 5 * (n / 4) ** 0.5
