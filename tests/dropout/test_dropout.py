import math

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import grad, vmap

import thinnet as tn
from thinnet._random import threshold


def layer(p: float, seed: int = 0, *, inplace: bool = False) -> tn.Dropout:
    return tn.Dropout(p, inplace, generator=torch.Generator().manual_seed(seed))


def exact_scale(p: float) -> float:
    return 65536 / threshold(p)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_kept_values_are_divided_by_the_rate(p: float, dtype: torch.dtype) -> None:
    x = torch.ones(999, dtype=dtype)
    y = layer(p)(x)
    assert y.dtype == dtype
    kept = y[y != 0]
    assert 0 < len(kept) < 999
    torch.testing.assert_close(kept, torch.full_like(kept, exact_scale(p)))


@pytest.mark.parametrize("shape", [(), (0, 4), (1,), (3,), (5, 7), (2, 3, 5, 7)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    y = layer(0.5)(torch.ones(shape))
    assert y.shape == shape
    assert set(y.flatten().tolist()) <= {0.0, 2.0}


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[::2, 1::3], lambda x: x[:1].expand(6, 10)])
def test_views(view: object) -> None:
    x = view(torch.randn(6, 10, generator=torch.Generator().manual_seed(1)))  # type: ignore[operator]
    y = layer(0.5)(x)
    assert torch.equal(y, layer(0.5)(x.contiguous()))
    assert torch.equal(y != 0, layer(0.5)(torch.ones(x.shape)) != 0)


def test_the_mean_is_preserved() -> None:
    n, p = 1 << 20, 0.3
    mean = float(layer(p)(torch.ones(n, dtype=torch.float64)).mean())
    assert abs(mean - 1) < 5 * math.sqrt(p / (1 - p) / n)


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("inplace", [False, True])
def test_the_gradient_is_the_mask(p: float, inplace: bool) -> None:
    x = torch.randn(64, 33, dtype=torch.float64, requires_grad=True)
    y = layer(p, inplace=inplace)(x * 1)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(slope, (y != 0).double() * exact_scale(p))
    torch.testing.assert_close(y, x * slope, rtol=0, atol=1e-15)


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("strided", [False, True])
def test_more_than_a_chunk_at_once(p: float, strided: bool) -> None:
    x = torch.randn(3, (1 << 18) + 7, dtype=torch.float64, requires_grad=True)
    x_or_view = x.T if strided else x
    y = layer(p)(x_or_view)
    upstream = torch.randn(y.shape, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(y, x_or_view, upstream, create_graph=True)
    multipliers = (y != 0).double() * exact_scale(p)
    assert y.stride() == x_or_view.stride()
    torch.testing.assert_close(y, x_or_view * multipliers, rtol=1e-15, atol=0)
    torch.testing.assert_close(slope, upstream * multipliers, rtol=1e-15, atol=0)
    (again,) = torch.autograd.grad(slope.sum(), upstream)
    assert torch.equal(again, multipliers)


def test_tensors_without_numbers_keep_their_shape() -> None:
    with FakeTensorMode():
        assert layer(0.1)(torch.ones(4, 5)).shape == (4, 5)


def test_it_prints_and_constructs_like_torch() -> None:
    assert repr(tn.Dropout(0.2, True)) == repr(nn.Dropout(0.2, True))
    assert tn.Dropout().p == nn.Dropout().p


def test_vmap_draws_for_each_example_or_once() -> None:
    drop, x = tn.Dropout(0.5), torch.ones(4, 64)
    torch.manual_seed(0)
    apart = vmap(drop, randomness="different")(x)
    assert len({tuple(row.tolist()) for row in apart}) == 4
    alike = vmap(drop, randomness="same")(x)
    assert len({tuple(row.tolist()) for row in alike}) == 1
    slopes = vmap(grad(lambda x: drop(x).sum()), randomness="different")(x)
    assert set(slopes.flatten().tolist()) == {0.0, 2.0}


def test_gradients_under_transforms_with_a_generator() -> None:
    x = torch.arange(1.0, 65)
    slope = grad(lambda x: layer(0.5)(x).sum())(x)
    torch.testing.assert_close(slope * x, layer(0.5)(x))


def test_large_values_are_dropped_to_zero() -> None:
    x = torch.full((64,), torch.finfo(torch.float32).max)
    assert set(layer(0.5)(x).tolist()) == {0.0, math.inf}


def test_compiled_masks_are_drawn_anew() -> None:
    drop, x = torch.compile(tn.Dropout(0.5), backend="aot_eager", fullgraph=True), torch.ones(200)
    torch.manual_seed(0)
    first, second = drop(x), drop(x)
    assert set(first.tolist()) == {0.0, 2.0}
    assert not torch.equal(first, second)


def test_it_trains_where_nn_dropout_does() -> None:
    torch.manual_seed(0)
    x, w = torch.randn(256, 8), torch.randn(8, 1)
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), tn.Dropout(0.2), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(150):
        loss = nn.functional.mse_loss(model(x), x @ w)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 5
