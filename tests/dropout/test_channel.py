import pytest
import torch
from torch import nn

import thinnet as tn


def layer(p: float = 0.5, **settings: object) -> tn.ChannelDropout:
    return tn.ChannelDropout(p, generator=torch.Generator().manual_seed(0), **settings)


@pytest.mark.parametrize(
    ("settings", "torchs", "shape"),
    [
        ({}, nn.Dropout1d, (4, 6, 5)),
        ({}, nn.Dropout2d, (4, 6, 5)),
        ({}, nn.Dropout2d, (4, 6, 5, 5)),
        ({}, nn.Dropout3d, (4, 6, 5, 5, 2)),
        ({"dims": 1}, nn.Dropout1d, (4, 6, 5)),
        ({"dims": 1}, nn.Dropout1d, (6, 5)),
        ({"dims": 2}, nn.Dropout2d, (4, 6, 5, 5)),
        ({"dims": 3}, nn.Dropout3d, (4, 6, 5, 5, 2)),
        ({"dims": 3}, nn.Dropout3d, (6, 5, 5, 2)),
    ],
)
@pytest.mark.filterwarnings("ignore:dropout2d. Received a 3D input:UserWarning")
def test_the_channels_are_torchs(settings: dict[str, int], torchs: type[nn.Module], shape: tuple[int, ...]) -> None:
    """Over many draws, the same elements share their fate as do in torch's layer, and no others."""
    x, ours, theirs = torch.ones(shape), layer(**settings), torchs(0.5)
    torch.manual_seed(0)
    fates = [torch.stack([drop(x).flatten() for _ in range(60)]) for drop in (ours, theirs)]
    together = [(fate[:, :, None] == fate[:, None, :]).all(0) for fate in fates]
    assert torch.equal(*together)
    assert all(set(fate.unique().tolist()) == {0.0, 2.0} for fate in fates)


def test_a_sample_without_a_batch_is_a_batch_of_one() -> None:
    x = torch.randn(8, 3, 3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(layer(dims=2)(x), layer(dims=2)(x[None])[0])


@pytest.mark.parametrize("shape", [(), (3,), (4, 3)])
def test_no_channels_are_guessed(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"ChannelDropout: the input must be \(N, C, \.\.\.\) .* say `dims=1` if"):
        layer()(torch.ones(shape))


@pytest.mark.parametrize(("dims", "shape"), [(1, (4, 3, 2, 2)), (1, (3,)), (2, (4, 3)), (3, (4, 3, 2))])
def test_shapes_of_other_dims_are_refused(dims: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"with `dims={dims}` the input must be .* with {dims} dimensions after"):
        layer(dims=dims)(torch.ones(shape))


@pytest.mark.parametrize("dims", [0, 4, "2"])
def test_dims_are_one_two_or_three(dims: object) -> None:
    with pytest.raises(ValueError, match="ChannelDropout: `dims` must be 1, 2, 3 or None, got"):
        tn.ChannelDropout(dims=dims)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_large_maps(dtype: torch.dtype) -> None:
    x = torch.randn(8, 16, 12, 12, generator=torch.Generator().manual_seed(1)).to(dtype)
    y = layer(0.25)(x)
    kept = (y != 0).flatten(2).any(2)[..., None, None]
    torch.testing.assert_close(y, torch.where(kept, (x.float() / 0.75).to(dtype), 0))
    assert 0 < kept.sum() < 8 * 16


def test_it_prints() -> None:
    assert repr(tn.ChannelDropout(0.2)) == "ChannelDropout(p=0.2, inplace=False)"
    assert repr(tn.ChannelDropout(0.2, True, dims=1)) == "ChannelDropout(p=0.2, inplace=True, dims=1)"
