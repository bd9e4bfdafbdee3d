import pytest
import torch
from torch import Tensor, nn

import thinnet as tn


def layer(p: float = 0.5, batch_first: bool = False) -> tn.LockedDropout:
    return tn.LockedDropout(p, batch_first, generator=torch.Generator().manual_seed(0))


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_one_mask_over_time_for_each_sequence() -> None:
    x = normal(7, 4, 50)
    y = layer(0.25)(x)
    masks = [(y[0, n] != 0) for n in range(4)]
    for n, mask in enumerate(masks):
        for step in range(7):
            torch.testing.assert_close(y[step, n], mask * x[step, n] / 0.75)
    assert len({tuple(mask.tolist()) for mask in masks}) == 4


@pytest.mark.parametrize("features", [(50,), (3, 5)])
def test_batch_first_is_the_same_turned(features: tuple[int, ...]) -> None:
    x = normal(7, 4, *features)
    assert torch.equal(layer(batch_first=True)(x.transpose(0, 1)).transpose(0, 1), layer()(x))


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_sequence_without_a_batch(batch_first: bool) -> None:
    x = normal(7, 50)
    assert torch.equal(layer(batch_first=batch_first)(x), layer()(x[:, None])[:, 0])


@pytest.mark.parametrize("batch_first", [False, True])
def test_it_fits_between_recurrent_layers(batch_first: bool) -> None:
    first, second = (nn.LSTM(3, 3, batch_first=batch_first) for _ in range(2))
    hidden = layer(batch_first=batch_first)(first(normal(6, 5, 3))[0])
    assert second(hidden)[0].shape == (6, 5, 3)
    locked = hidden == 0
    time = 1 if batch_first else 0
    assert torch.equal(locked.any(time), locked.all(time))


def test_the_input_needs_time() -> None:
    with pytest.raises(
        ValueError, match=r"LockedDropout: the input must be \(T, N, features\) or \(T, features\), got"
    ):
        layer()(torch.ones(3))
    with pytest.raises(ValueError, match=r"the input must be \(N, T, features\) or"):
        layer(batch_first=True)(torch.ones(3))


def test_it_prints() -> None:
    assert repr(tn.LockedDropout(0.2)) == "LockedDropout(p=0.2, batch_first=False)"
