import numpy as np
import pytest
import torch

from thinnet._random import splitmix64_
from thinnet.ensemble._hashed_masks import hashed_mask, hashed_words, unit

CPU = torch.device("cpu")
KEYS = np.array([5, 2**63 + 1, 2**64 - 3], np.uint64)


def test_words_are_the_hash_of_key_and_position() -> None:
    keys = torch.from_numpy(KEYS.view(np.int64))
    by_hand = torch.stack([splitmix64_(keys + position) for position in range(4, 13)], 1)
    assert torch.equal(hashed_words(KEYS, 4, 9, CPU), by_hand)


@pytest.mark.parametrize(("first", "count"), [(0, 32), (5, 11), (3, 1), (0, 300_000), (7, 0)])
def test_every_bit_of_a_word_is_used_once(first: int, count: int) -> None:
    """By 16 bits, and by 8 where they decide, in the order of the words: also where numpy draws the words in parts."""
    words = hashed_words(KEYS, 0, (first + count) // 4 + 1, CPU)
    by_16 = (words.view(torch.int16) < 62259 - 32768)[:, first : first + count]
    assert torch.equal(hashed_mask(KEYS, first, count, 62259, CPU), by_16)
    by_8 = (words.view(torch.uint8) < 160)[:, first : first + count]
    assert torch.equal(hashed_mask(KEYS, first, count, 160 * 256, CPU), by_8)


@pytest.mark.parametrize("t", [0, 65536])
def test_none_and_all(t: int) -> None:
    assert torch.equal(hashed_mask(KEYS, 2, 5, t, CPU), torch.full((3, 5), t > 0))


@pytest.mark.parametrize(
    ("dtype", "bits"), [(torch.float64, 53), (torch.float32, 24), (torch.float16, 11), (torch.bfloat16, 8)]
)
def test_unit_numbers_are_the_leading_bits(dtype: torch.dtype, bits: int) -> None:
    words = hashed_words(KEYS, 0, 50, CPU)
    expected = [(word % 2**64 >> 64 - bits) / 2**bits for word in words.flatten().tolist()]
    assert unit(words, dtype).flatten().tolist() == expected
    assert unit(torch.tensor([0, -1]), dtype).tolist() == [0.0, 1 - 2.0**-bits]
