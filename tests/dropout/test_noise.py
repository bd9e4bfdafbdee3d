import math

import pytest
import torch
from torch.func import vmap

from thinnet._random import LEVELS, keep_mask, threshold
from thinnet.dropout import Noise
from thinnet.thinning import node_sets

CPU = torch.device("cpu")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n", [0, 1, 5, 8, 13])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("groups", [1, 2, 3, 7])
def test_node_masks_are_the_node_sets(n: int, p: float, groups: int) -> None:
    for seed in range(5):
        kept = Noise(seeded(seed)).keep_nodes(groups, n, p, CPU)
        assert kept.shape == (groups, n) and kept.dtype == torch.bool
        sets = node_sets(n, p, groups, generator=seeded(seed))
        assert [row.nonzero().flatten().tolist() for row in kept] == [nodes.tolist() for nodes in sets]


def test_masks_are_those_of_the_seed() -> None:
    kept = keep_mask((3, 5), threshold(0.3), generator=seeded())
    assert torch.equal(Noise(seeded()).keep((3, 5), 0.3, CPU), kept)
    assert torch.equal(Noise(seeded()).keep_shared((3, 5), 0.3, CPU), kept)


@pytest.mark.parametrize("p", [1e-9, 0.3, 1 - 1e-9])
def test_under_vmap_the_rate_is_the_rounded_one(p: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of numbers spread evenly over [0, 1), a share of t/65536 is kept."""

    def spread(shape: tuple[int, ...], **_: object) -> torch.Tensor:
        return torch.arange(LEVELS, dtype=torch.float32) / LEVELS

    monkeypatch.setattr(torch, "rand", spread)
    kept = vmap(lambda _: Noise().keep((LEVELS,), p, CPU), randomness="same")(torch.zeros(2))
    assert kept.sum(-1).tolist() == [threshold(p)] * 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_uniform_and_normal_numbers(dtype: torch.dtype) -> None:
    n = 1 << 18
    u = Noise(seeded()).uniform((2, n), dtype, CPU)
    assert u.dtype == dtype and u.shape == (2, n) and u.min() >= 0 and u.max() < 1
    assert abs(float(u.double().mean()) - 0.5) < 5 / math.sqrt(12 * 2 * n) + torch.finfo(dtype).eps
    assert abs(float(u.double().var()) - 1 / 12) < 5 / math.sqrt(180 * 2 * n) + torch.finfo(dtype).eps
    z = Noise(seeded()).normal((2, n), dtype, CPU)
    assert z.dtype == dtype and z.shape == (2, n)
    assert abs(float(z.double().mean())) < 5 / math.sqrt(2 * n)
    assert abs(float(z.double().var()) - 1) < 5 * math.sqrt(2 / (2 * n)) + torch.finfo(dtype).eps
