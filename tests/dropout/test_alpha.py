import math

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.dropout import Noise


class Given(Noise):
    """A noise whose mask is given."""

    def __init__(self, kept: Tensor) -> None:
        super().__init__()
        self.kept = kept

    def keep(self, shape: object, p: float, device: torch.device) -> Tensor:
        assert tuple(shape) == self.kept.shape
        return self.kept


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer(p: float, *, channels: bool = False) -> tn.AlphaDropout:
    return tn.AlphaDropout(p, channels=channels, generator=torch.Generator().manual_seed(0))


# multiples of 1/65536, at which nothing is rounded
@pytest.mark.parametrize("p", [0.125, 0.5, 0.75])
@pytest.mark.parametrize("shape", [(50,), (10, 5), (2, 3, 4, 5)])
def test_it_is_torchs(p: float, shape: tuple[int, ...]) -> None:
    x = normal(*shape)
    torch.manual_seed(0)
    expected = nn.AlphaDropout(p)(x)
    # all that is dropped has one value, the most frequent
    kept = expected != expected.flatten().mode().values
    torch.testing.assert_close(tn.AlphaDropout(p).perturb(x, Given(kept)), expected)


@pytest.mark.parametrize("p", [0.125, 0.5, 0.75])
@pytest.mark.parametrize("shape", [(9, 8), (4, 5, 6), (4, 5, 2, 3), (4, 5, 2, 2, 2)])
def test_channels_are_torchs(p: float, shape: tuple[int, ...]) -> None:
    x = normal(*shape)
    torch.manual_seed(0)
    expected = nn.FeatureAlphaDropout(p)(x)
    kept = expected != expected.flatten().mode().values
    places = kept.flatten(2).any(2) if x.ndim > 2 else kept
    mask = places.reshape(*shape[:2], *(1,) * (x.ndim - 2))
    torch.testing.assert_close(tn.AlphaDropout(p, channels=True).perturb(x, Given(mask)), expected)


@pytest.mark.parametrize("p", [0.05, 0.3, 0.8])
@pytest.mark.parametrize("channels", [False, True])
def test_mean_and_variance_of_a_standard_normal_stay(p: float, channels: bool) -> None:
    n = 400_000
    y = layer(p, channels=channels)(normal(n // 2, 2))
    kurtosis = float(y.pow(4).mean())
    assert abs(float(y.mean())) < 5 / math.sqrt(n)
    assert abs(float(y.var()) - 1) < 5 * math.sqrt(kurtosis / n)


def test_what_is_dropped_is_where_selu_saturates() -> None:
    saturated = nn.functional.selu(torch.tensor(-1e3, dtype=torch.float64))
    y = layer(0.5)(saturated.expand(99))
    assert len(y.unique()) == 1


def test_a_channel_is_dropped_whole() -> None:
    y = layer(0.5, channels=True)(torch.ones(20, 10, 7))
    assert torch.equal(y, y[..., :1].expand_as(y)) and len(y.unique()) == 2


def test_channels_need_two_dimensions() -> None:
    with pytest.raises(ValueError, match=r"`channels=True` the input must be \(N, C, \.\.\.\), got shape \(3,\)"):
        layer(0.5, channels=True)(torch.ones(3))


def test_it_prints_like_torch() -> None:
    assert repr(tn.AlphaDropout(0.2, True)) == repr(nn.AlphaDropout(0.2, True))
    assert repr(tn.AlphaDropout(channels=True)) == "AlphaDropout(p=0.5, inplace=False, channels=True)"
