import pytest
import torch
from torch import Tensor

import thinnet as tn


def layer(p: float = 0.5, seed: int = 0, **settings: object) -> tn.AttentionDropout:
    return tn.AttentionDropout(p, generator=torch.Generator().manual_seed(seed), **settings)


def logits(*shape: int) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_keys_are_dropped_for_all_queries_of_a_head() -> None:
    y = layer(by="keys")(torch.ones(3, 2, 5, 40))
    assert torch.equal(y, y[:, :, :1].expand_as(y))
    assert len({tuple(head.tolist()) for head in y[:, :, 0].flatten(0, 1)}) == 6


@pytest.mark.parametrize("by", ["weights", "keys"])
@pytest.mark.parametrize("causal", [False, True])
def test_normalized_it_is_the_softmax_over_the_kept_keys(by: str, causal: bool) -> None:
    """DropKey: dropped keys get minus infinity before the softmax; the same values and slopes."""
    scores = logits(2, 3, 6, 6).requires_grad_()
    seen = scores.masked_fill(torch.ones(6, 6, dtype=torch.bool).triu(1), -torch.inf) if causal else scores
    kept = layer(by=by)(torch.ones(2, 3, 6, 6)) != 0
    # a query that would see nothing sees what it saw
    some = (kept & seen.isfinite()).any(-1, keepdim=True)
    assert some.any() and (by == "keys" or not some.all())
    expected = seen.masked_fill(~kept & some, -torch.inf).softmax(-1)
    y = layer(by=by, normalize=True)(seen.softmax(-1))
    torch.testing.assert_close(y, expected)
    values = logits(2, 3, 6, 4)
    costs = [(weights @ values).square().sum() for weights in (y, expected)]
    slopes = [torch.autograd.grad(cost, scores, retain_graph=True)[0] for cost in costs]
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_normalized_rows_keep_their_sums(dtype: torch.dtype) -> None:
    weights = logits(4, 8, 512).softmax(-1).to(dtype)
    y = layer(normalize=True)(weights)
    torch.testing.assert_close(y.double().sum(-1), weights.double().sum(-1), rtol=4 * torch.finfo(dtype).eps, atol=0)
    assert abs(float((y == 0).double().mean()) - 0.5) < 5 * 0.5 / 128


def test_equal_weights_keep_their_expectation_normalized() -> None:
    drop, weights, draws = layer(0.4, normalize=True), torch.full((3, 4), 0.25, dtype=torch.float64), 4000
    y = torch.stack([drop(weights) for _ in range(draws)])
    assert ((y.mean(0) - weights).abs() < 5 * y.std(0) / draws**0.5).all()


def test_rows_without_weight_stay_empty() -> None:
    assert torch.equal(layer(normalize=True)(torch.zeros(2, 3)), torch.zeros(2, 3))


def test_the_same_weights_are_dropped_plain_or_normalized() -> None:
    weights = logits(2, 64).softmax(-1)
    assert torch.equal(layer()(weights) == 0, layer(normalize=True)(weights) == 0)


def test_settings_are_checked_by_name() -> None:
    with pytest.raises(ValueError, match='AttentionDropout: `by` must be "weights" or "keys", got \'heads\''):
        layer(by="heads")
    with pytest.raises(ValueError, match="AttentionDropout: `p` must be less than 1 with `normalize=True`"):
        layer(1.0, normalize=True)


def test_the_input_needs_queries_and_keys() -> None:
    with pytest.raises(ValueError, match=r"AttentionDropout: the input must be \(\.\.\., queries, keys\), got shape"):
        layer()(torch.ones(3))
