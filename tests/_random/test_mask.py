import math

import pytest
import torch
from torch import Tensor

from thinnet._random import LEVELS, keep_mask, threshold

RATES = [1 / 65536, 0.01, 0.1, 0.25, 0.5, 0.9, 65535 / 65536]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(shape: tuple[int, ...], p: float, seed: int = 0) -> Tensor:
    return keep_mask(shape, threshold(p), generator=generator(seed))


@pytest.mark.parametrize(
    ("p", "t"), [(0, 65536), (1 / 65536, 65535), (0.1, 58982), (0.5, 32768), (0.9, 6554), (65535 / 65536, 1), (1, 0)]
)
def test_threshold_golden(p: float, t: int) -> None:
    assert threshold(p) == t
    assert threshold(torch.tensor([p], dtype=torch.float64)).tolist() == [t]


def test_threshold_never_rounds_to_nothing_or_everything() -> None:
    assert threshold(1e-300) == LEVELS - 1
    assert threshold(math.nextafter(1, 0)) == 1
    assert threshold(torch.tensor([1e-300, math.nextafter(1, 0)], dtype=torch.float64)).tolist() == [LEVELS - 1, 1]


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan, math.inf])
def test_bad_rates_are_named(p: float) -> None:
    with pytest.raises(ValueError, match=r"`p` must be in \[0, 1\], got"):
        threshold(p)
    with pytest.raises(ValueError, match=r"`p` must be in \[0, 1\], got"):
        threshold(torch.tensor([0.5, p]))


@pytest.mark.parametrize("p", ["0.5", None, True])
def test_a_rate_is_a_number(p: object) -> None:
    with pytest.raises(TypeError, match="`p` must be a number or a tensor"):
        threshold(p)  # type: ignore[call-overload]


@pytest.mark.parametrize("t", [-1, LEVELS + 1, torch.tensor([3, LEVELS + 1])])
def test_bad_thresholds_are_named(t: int | Tensor) -> None:
    with pytest.raises(ValueError, match=r"`keep_threshold` must be in \[0, 65536\]"):
        keep_mask((2,), t)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (7,), (5, 3), (2, 3, 5), (8, 8)])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_shape_and_type(shape: tuple[int, ...], p: float) -> None:
    mask = draw(shape, p)
    assert mask.shape == shape and mask.dtype == torch.bool and mask.is_contiguous()
    assert set(mask.view(torch.uint8).flatten().tolist()) <= {0, 1}


@pytest.mark.parametrize("p", RATES)
@pytest.mark.parametrize("stacked", [False, True])
def test_rate(p: float, stacked: bool) -> None:
    n = 1 << 22
    t = torch.tensor([threshold(p)]) if stacked else threshold(p)
    dropped = n - int(keep_mask((n,), t, generator=generator(7)).sum())
    # five standard deviations of a binomial, and one element for the rarest rates
    assert abs(dropped - n * p) <= 5 * math.sqrt(n * p * (1 - p)) + n / LEVELS


@pytest.mark.parametrize("t", [1, 255, 256, 257, 32768, 58982, 65280, 65535])
@pytest.mark.parametrize("stacked", [False, True])
def test_rate_is_exact(t: int, stacked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that 16 bits can be, each once, exactly t are kept."""

    def every(shape: tuple[int, ...], dtype: torch.dtype, *_: object) -> Tensor:
        return torch.arange(shape[0]).to(dtype)

    monkeypatch.setattr("thinnet._random._mask._bits", every)
    assert int(keep_mask((LEVELS,), torch.tensor([t]) if stacked else t).sum()) == t


def test_ends_are_certain_and_draw_nothing() -> None:
    source = generator(3)
    before = source.get_state()
    assert keep_mask((1000,), LEVELS, generator=source).all()
    assert not keep_mask((1000,), 0, generator=source).any()
    assert torch.equal(source.get_state(), before)
    rates = torch.tensor([[LEVELS], [0]])
    assert keep_mask((2, 1 << 18), rates, generator=source).sum(1).tolist() == [1 << 18, 0]


def test_rates_of_a_stack() -> None:
    p = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0]).reshape(5, 1, 1)
    mask = keep_mask((5, 512, 256), threshold(p), generator=generator(1))
    torch.testing.assert_close(1 - mask.float().mean((1, 2)), p.flatten(), atol=0.006, rtol=0)


def test_a_stack_of_one_rate_is_that_rate() -> None:
    """A number and a tensor read the same bits the same way."""
    t = threshold(0.3)
    stacked = keep_mask((3, 5, 7), torch.full((3, 1, 1), t), generator=generator(5))
    assert torch.equal(stacked, keep_mask((3, 5, 7), t, generator=generator(5)))


def test_rates_that_do_not_broadcast_are_refused() -> None:
    with pytest.raises(RuntimeError, match="broadcast shape"):
        keep_mask((2, 3), torch.full((4, 2, 3), 5))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
@pytest.mark.parametrize("distance", [1, 2, 3, 4, 5, 7, 8, 16, 1024])
def test_neighbours_are_independent(p: float, distance: int) -> None:
    """Chi-square of the four pairs of elements some distance apart, lanes of a word and words of a row."""
    flat = draw((1 << 20,), p, seed=11).long()
    pairs = torch.bincount(2 * flat[:-distance] + flat[distance:], minlength=4).double()
    q = 1 - p
    expected = torch.tensor([p * p, p * q, q * p, q * q], dtype=torch.float64) * (len(flat) - distance)
    # 3 degrees of freedom, but overlapping pairs widen it: 1 in 1e5 and then some
    assert float(((pairs - expected) ** 2 / expected).sum()) < 40


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_lanes_are_independent(p: float) -> None:
    """Words of eight elements take all 256 patterns as often as eight independent elements do."""
    lanes = draw((1 << 17, 8), p, seed=13).long()
    seen = torch.bincount(lanes @ (1 << torch.arange(8)), minlength=256).double()
    kept = torch.tensor([i.bit_count() for i in range(256)], dtype=torch.float64)
    expected = len(lanes) * (1 - p) ** kept * p ** (8 - kept)
    often = expected > 5
    chi = float(((seen - expected) ** 2 / expected)[often].sum())
    freedom = int(often.sum()) - 1
    assert abs(chi - freedom) < 5 * math.sqrt(2 * freedom) + 5


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_rows_and_columns_are_uncorrelated(p: float) -> None:
    mask = draw((4096, 64), p, seed=17).double()
    off = torch.corrcoef(mask.T) - torch.eye(64)
    assert float(off.abs().max()) < 5.5 / math.sqrt(4096)
    off = torch.corrcoef(mask.T.reshape(64, 64, 64).flatten(1)) - torch.eye(64)
    assert float(off.abs().max()) < 5.5 / math.sqrt(4096)


def test_global_seed_and_generators() -> None:
    torch.manual_seed(0)
    first, second = keep_mask((64,), 30000), keep_mask((64,), 30000)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(first, keep_mask((64,), 30000))
    before = torch.get_rng_state()
    source = generator(0)
    assert torch.equal(keep_mask((64,), 30000, generator=source), first)
    assert torch.equal(keep_mask((64,), 30000, generator=source), second)
    assert torch.equal(torch.get_rng_state(), before)
