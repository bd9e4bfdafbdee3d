import math

import pytest
import torch
from torch import Tensor

import thinnet as tn
from thinnet.dropout._drop_block import block_decay

MAPS = [(4, 4, 2), (7, 7, 7), (7, 7, 3), (14, 14, 7), (5, 9, 4), (3, 20, 5), (28, 28, 7), (1, 1, 3)]


def layer(p: float, size: int, seed: int = 0) -> tn.DropBlock2d:
    return tn.DropBlock2d(p, size, generator=torch.Generator().manual_seed(seed))


def covers(height: int, width: int, size: int) -> Tensor:
    """In how many of the blocks inside the map each unit lies, by laying every one of them."""
    h, w = min(size, height), min(size, width)
    n = torch.zeros(height, width, dtype=torch.float64)
    for top in range(height - h + 1):
        for left in range(width - w + 1):
            n[top : top + h, left : left + w] += 1
    return n


def block_rate(p: float, height: int, width: int, size: int) -> float:
    return -math.expm1(-block_decay(p, height, width, min(size, height), min(size, width)))


@pytest.mark.parametrize(("height", "width", "size"), MAPS)
@pytest.mark.parametrize("p", [1e-12, 0.01, 0.1, 0.5, 0.9, 1 - 1e-9])
def test_the_expected_share_of_dropped_units_is_p(height: int, width: int, size: int, p: float) -> None:
    u = block_decay(p, height, width, min(size, height), min(size, width))
    share = torch.exp(-u * covers(height, width, size)).mean()
    assert float(share) == pytest.approx(1 - p, rel=1e-12, abs=1e-15)
    assert -float(torch.expm1(-u * covers(height, width, size)).mean()) == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize(("height", "width", "size"), [(14, 14, 7), (28, 28, 7), (28, 28, 3)])
def test_the_rate_of_the_paper_drops_too_little(height: int, width: int, size: int) -> None:
    paper = 0.1 * height * width / (size**2 * (height - size + 1) * (width - size + 1))
    share = 1 - float(((1 - paper) ** covers(height, width, size)).mean())
    assert share < 0.097 < 0.1
    assert block_rate(0.1, height, width, size) > paper


def test_one_unit_in_closed_form() -> None:
    """A 2 × 1 map and blocks of one unit: dropout. Blocks as large as the map: one choice."""
    assert block_rate(0.3, 2, 1, 1) == pytest.approx(0.3)
    assert block_rate(0.3, 6, 5, 6) == pytest.approx(0.3)


@pytest.mark.parametrize(("height", "width", "size"), MAPS)
@pytest.mark.parametrize("p", [0.1, 0.4])
def test_each_unit_is_dropped_at_its_rate_and_divided_by_what_stays(
    height: int, width: int, size: int, p: float
) -> None:
    draws = 20_000 // (height * width) + 500
    y = layer(p, size)(torch.ones(draws, 4, height, width, dtype=torch.float64))
    stays = (1 - block_rate(p, height, width, size)) ** covers(height, width, size)
    kept = y != 0
    torch.testing.assert_close(y, kept / stays, rtol=1e-6, atol=0)
    error = kept.double().mean((0, 1)) - stays
    assert (error.abs() < 5.5 * (stays * (1 - stays) / (4 * draws)).sqrt()).all()
    # maps of one draw are independent, the units of a map are not
    shares = kept.double().mean((2, 3)).flatten()
    assert abs(float(shares.mean()) - (1 - p)) < 5 * float(shares.std()) / math.sqrt(len(shares))


@pytest.mark.parametrize(("height", "width", "size"), [(7, 7, 3), (5, 9, 4), (3, 20, 5), (12, 12, 5)])
def test_what_is_dropped_is_a_union_of_whole_blocks(height: int, width: int, size: int) -> None:
    gone = layer(0.3, size)(torch.ones(20, 3, height, width)) == 0
    h, w = min(size, height), min(size, width)
    whole = torch.zeros_like(gone)
    for top in range(height - h + 1):
        for left in range(width - w + 1):
            block = gone[..., top : top + h, left : left + w]
            whole[..., top : top + h, left : left + w] |= block.all((2, 3), keepdim=True)
    assert gone.any() and not gone.all()
    assert torch.equal(whole, gone)


def test_channels_and_samples_differ() -> None:
    gone = layer(0.5, 3)(torch.ones(5, 6, 9, 9)) == 0
    assert len({tuple(map.tolist()) for map in gone.flatten(0, 1).flatten(1)}) == 30


def test_a_map_without_a_batch_is_a_batch_of_one() -> None:
    x = torch.randn(6, 9, 9, generator=torch.Generator().manual_seed(1))
    assert torch.equal(layer(0.3, 3)(x), layer(0.3, 3)(x[None])[0])


@pytest.mark.parametrize("shape", [(), (4,), (4, 4), (2, 2, 2, 4, 4)])
def test_the_input_needs_maps(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"DropBlock2d: the input must be \(N, C, H, W\) or \(C, H, W\), got shape"):
        layer(0.3, 2)(torch.ones(shape))


def test_the_size_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="DropBlock2d: `size` must be >= 1, got 0"):
        tn.DropBlock2d(0.1, 0)


def test_it_prints() -> None:
    assert repr(tn.DropBlock2d()) == "DropBlock2d(p=0.1, size=7)"
