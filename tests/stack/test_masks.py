import pytest
import torch
from torch.testing import assert_close

from thinnet._buffers import BufferPool
from thinnet.stack._layer import Drop
from thinnet.stack._masks import drop_run, member_bits

SEEDS = torch.arange(64)


def bits(draw: int = 0, layer: int = 1) -> torch.Tensor:
    """16 bits for each of 64 × 128 units of 64 members."""
    words = member_bits(SEEDS, (64, 128), BufferPool(), draw=draw, layer=layer)
    return words.view(torch.int16).view(64, 64, 128)


def drop_of(rates: list[float], shape: tuple[int, int], dtype: torch.dtype) -> Drop | None:
    return drop_run(rates, SEEDS[: len(rates)], shape, dtype, BufferPool(), draw=3, layer=1)


@pytest.mark.parametrize("rate", [1 / 65536, 0.1, 0.5, 0.9, 65535 / 65536, 0.999999])
def test_the_rate_is_kept(rate: float) -> None:
    drop = drop_of([rate] * 64, (64, 128), torch.float64)
    assert drop is not None
    n = drop.scale.numel()
    rate = min(rate, 65535 / 65536)  # the largest that is told apart from 1
    dropped = float((drop.scale == 0).double().mean())
    assert abs(dropped - rate) < 5 * (rate * (1 - rate) / n) ** 0.5 + 1 / n
    kept = drop.scale[drop.scale > 0]
    assert_close(kept, torch.full_like(kept, 1 / (1 - rate)), rtol=1e-4, atol=0)


def test_members_draws_layers_and_lanes_are_independent() -> None:
    base = bits()
    others = [
        bits(draw=1),
        bits(layer=2),
        base.roll(1, 0),  # neighbouring members
        base.roll(1, 2),  # neighbouring units, that is, lanes of one word
        base.roll(4, 2),  # neighbouring words
    ]
    for bit in range(16):
        first = ((base >> bit) & 1).double() - 0.5
        assert abs(float(first.mean())) < 5 * 0.5 / first.numel() ** 0.5
        for other in others:
            second = ((other >> bit) & 1).double() - 0.5
            assert abs(float((first * second).mean())) < 5 * 0.25 / first.numel() ** 0.5


def test_a_member_keeps_its_bits_in_any_company() -> None:
    alone = member_bits(SEEDS[7:8], (5, 3), BufferPool(), draw=2, layer=0)
    assert_close(member_bits(SEEDS, (5, 3), BufferPool(), draw=2, layer=0)[7:8], alone)


def test_only_the_run_of_dropping_members_is_drawn() -> None:
    drop = drop_of([0.0, 0.5, 0.0, 0.25, 0.0], (4, 4), torch.float32)
    assert drop is not None
    assert (drop.start, len(drop.scale)) == (1, 3)
    assert (drop.scale[1] == 1).all()
    assert drop_of([0.0, 0.0], (4, 4), torch.float32) is None
