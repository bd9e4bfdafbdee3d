import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from thinnet._random import LEVELS, threshold
from thinnet._random._whole_mask import _BLOCK, _by_digits, _stages, whole_mask

# hits alone, both stages, digits alone
RATES = [0.1, 0.3, 0.5]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(shape: tuple[int, ...], p: float, seed: int = 0) -> Tensor:
    return whole_mask(shape, threshold(p), generator=generator(seed))


def share(digits: tuple[int, ...]) -> Fraction:
    """The number in [0, 1] whose binary digits after the point are these, the last first; none stands for 1."""
    return Fraction(int("".join(map(str, reversed(digits))), 2), 2 ** len(digits)) if digits else Fraction(1)


def test_the_stages_multiply_to_the_rate() -> None:
    for t in [*range(1, LEVELS, 251), 2, 3, 255, 256, 32768, 58982, LEVELS - 1]:
        digits, rate = _stages(t)
        assert 0 <= rate <= 1 / 8
        assert float(share(digits)) * math.exp(-rate) == pytest.approx(t / LEVELS, rel=1e-14)
        if digits:
            scale = 2 ** (len(digits) - 1)
            coarser = math.ceil(Fraction(t * scale, LEVELS)) / scale
            assert coarser * LEVELS > t * math.exp(1 / 8)


@pytest.mark.parametrize(("p", "bits"), [(0.1, 0), (0.5, 1), (0.25, 2), (0.75, 2), (0.3, 2), (0.2, 3)])
def test_few_bits_are_needed(p: float, bits: int) -> None:
    assert len(_stages(threshold(p))[0]) == bits


@pytest.mark.parametrize("numerator", range(1, 64, 2))
def test_digits_are_exact(numerator: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that six bits can be, each once, exactly the share is kept."""
    columns = iter([[i >> step & 1 for i in range(64)] for step in range(6)])

    def every(count: int, *_: object) -> Tensor:
        word = sum(bit << i for i, bit in enumerate(next(columns)))
        return torch.tensor([word - (1 << 64) * (word >> 63)])

    monkeypatch.setattr("thinnet._random._whole_mask.random_words", every)
    kept = _by_digits(64, tuple(int(digit) for digit in f"{numerator:06b}"[::-1]), None)
    assert int(kept.sum()) == numerator
    assert set(kept.tolist()) == {0, 1}


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (7,), (5, 3), (2, 3, 5), (8, 8)])
@pytest.mark.parametrize("p", [0.0, *RATES, 1.0])
def test_shape_and_type(shape: tuple[int, ...], p: float) -> None:
    mask = draw(shape, p)
    assert mask.shape == shape and mask.dtype == torch.bool and mask.is_contiguous()
    assert set(mask.view(torch.uint8).flatten().tolist()) <= {0, 1}


@pytest.mark.parametrize("p", [1 / LEVELS, 0.01, *RATES, 0.9, 0.999, 1 - 1 / LEVELS])
def test_rate(p: float) -> None:
    n = 1 << 22
    dropped = n - int(draw((n,), p, seed=7).sum())
    # five standard deviations of a binomial, and the rounding of the rate
    assert abs(dropped - n * p) <= 5 * math.sqrt(n * p * (1 - p)) + n / LEVELS


def test_ends_are_certain_and_draw_nothing() -> None:
    source = generator(3)
    before = source.get_state()
    assert whole_mask((1000,), LEVELS, generator=source).all()
    assert not whole_mask((1000,), 0, generator=source).any()
    assert torch.equal(source.get_state(), before)


@pytest.mark.parametrize("p", RATES)
def test_counts_vary_as_independent_elements_do(p: float) -> None:
    """So many hits every time would be right on average, and the elements dependent."""
    n, source = 256, generator(19)
    counts = torch.tensor([float(whole_mask((n,), threshold(p), generator=source).sum()) for _ in range(3000)])
    assert abs(float(counts.var()) / (n * p * (1 - p)) - 1) < 5 * math.sqrt(2 / 3000)


@pytest.mark.parametrize("p", RATES)
@pytest.mark.parametrize("n", [1, 3, 5, 65, 100])
def test_each_position_has_the_rate(p: float, n: int) -> None:
    source, draws = generator(23), 3000
    kept = sum(whole_mask((n,), threshold(p), generator=source).double() for _ in range(draws))
    assert float((kept / draws - (1 - p)).abs().max()) < 5.5 * math.sqrt(p * (1 - p) / draws)


@pytest.mark.parametrize("p", RATES)
def test_rate_where_the_last_block_is_short(p: float) -> None:
    source, draws, rest = generator(29), 30, 1001
    last = torch.stack([whole_mask((_BLOCK + rest,), threshold(p), generator=source)[-rest:] for _ in range(draws)])
    assert abs(float(last.double().mean()) - (1 - p)) < 5 * math.sqrt(p * (1 - p) / last.numel())


@pytest.mark.parametrize("p", RATES)
def test_drops_are_spread_evenly(p: float) -> None:
    n, parts = 1 << 21, 512
    kept = draw((parts, n // parts), p, seed=31).double().sum(1)
    chi = float(((kept - n / parts * (1 - p)) ** 2).sum() / (n / parts * p * (1 - p)))
    assert abs(chi - parts) < 5 * math.sqrt(2 * parts)


@pytest.mark.parametrize("p", RATES)
@pytest.mark.parametrize("distance", [1, 2, 3, 4, 7, 8, 16, 1 << 10, 1 << 17, _BLOCK])
def test_neighbours_are_independent(p: float, distance: int) -> None:
    """Chi-square of the four pairs of elements some distance apart: in a word, a block, an eighth, the next block."""
    flat = draw((1 << 20,), p, seed=11).long()
    pairs = torch.bincount(2 * flat[:-distance] + flat[distance:], minlength=4).double()
    q = 1 - p
    expected = torch.tensor([p * p, p * q, q * p, q * q], dtype=torch.float64) * (len(flat) - distance)
    # 3 degrees of freedom, but overlapping pairs widen it: 1 in 1e5 and then some
    assert float(((pairs - expected) ** 2 / expected).sum()) < 40


@pytest.mark.parametrize("p", RATES)
@pytest.mark.parametrize("apart", [1, 1 << 17])
def test_patterns_of_eight_are_independent(p: float, apart: int) -> None:
    """Eight neighbours, and eight elements an eighth apart, take all 256 patterns as often as independent ones do."""
    flat = draw((1 << 20,), p, seed=13).long()
    lanes = flat.view(-1, 8) if apart == 1 else flat.view(8, -1).T
    seen = torch.bincount(lanes @ (1 << torch.arange(8)), minlength=256).double()
    kept = torch.tensor([i.bit_count() for i in range(256)], dtype=torch.float64)
    expected = len(lanes) * (1 - p) ** kept * p ** (8 - kept)
    often = expected > 5
    chi = float(((seen - expected) ** 2 / expected)[often].sum())
    freedom = int(often.sum()) - 1
    assert abs(chi - freedom) < 5 * math.sqrt(2 * freedom) + 5


@pytest.mark.parametrize("p", RATES)
def test_calls_rows_and_columns_are_uncorrelated(p: float) -> None:
    source = generator(17)
    calls = torch.stack([whole_mask((4096,), threshold(p), generator=source) for _ in range(64)])
    for masks in (calls, draw((4096, 64), p, seed=17).T, draw((64, 4096), p, seed=17)):
        off = torch.corrcoef(masks.double()) - torch.eye(64)
        assert float(off.abs().max()) < 5.5 / math.sqrt(4096)


@pytest.mark.parametrize("p", RATES)
def test_global_seed_and_generators(p: float) -> None:
    t = threshold(p)
    torch.manual_seed(0)
    first, second = whole_mask((64,), t), whole_mask((64,), t)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(first, whole_mask((64,), t))
    before = torch.get_rng_state()
    source = generator(0)
    assert torch.equal(whole_mask((64,), t, generator=source), first)
    assert torch.equal(whole_mask((64,), t, generator=source), second)
    assert torch.equal(torch.get_rng_state(), before)
