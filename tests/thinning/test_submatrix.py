import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from thinnet.thinning import _submatrix
from thinnet.thinning._submatrix import submatrix_linear


def some(n: int, k: int | None, seed: int) -> Tensor | None:
    return None if k is None else torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:k].sort().values


def by_hand(x: Tensor, w: Tensor, b: Tensor | None, outs: Tensor | None, ins: Tensor | None) -> Tensor:
    """One number at a time."""
    rows = range(w.shape[0]) if outs is None else outs.tolist()
    columns = range(w.shape[1]) if ins is None else ins.tolist()
    values = []
    for o in rows:
        total = x[..., :1].sum(-1) * 0 if b is None else b[o].expand(x.shape[:-1])
        for j, i in enumerate(columns):
            total = total + w[o, i] * x[..., j]
        values.append(total)
    return torch.stack(values, -1) if values else x.sum(-1, keepdim=True)[..., :0]


CASES = [(k, j) for k in (None, 4, 7, 0) for j in (None, 3, 5, 0)]


@pytest.mark.parametrize("block", [1, 11, 1 << 19])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize(("k", "j"), CASES)
def test_values_and_gradients_as_by_hand(
    k: int | None, j: int | None, shape: tuple[int, ...], bias: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_submatrix, "_BLOCK", block)
    torch.manual_seed(0)
    w = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    b = torch.randn(7, dtype=torch.float64, requires_grad=True) if bias else None
    outs, ins = some(7, k, 1), some(5, j, 2)
    x = torch.randn(*shape, 5 if j is None else j, dtype=torch.float64, requires_grad=True)
    y, expected = submatrix_linear(x, w, b, outs, ins), by_hand(x, w, b, outs, ins)
    torch.testing.assert_close(y, expected)
    into = [x, w] if b is None else [x, w, b]
    up = torch.randn_like(y)
    ours = torch.autograd.grad(y, into, up)
    theirs = torch.autograd.grad(expected, into, up, allow_unused=True, materialize_grads=True)
    torch.testing.assert_close(ours, theirs)


def test_gradients_outside_are_exactly_zero_and_memory_is_not_shared() -> None:
    w = torch.randn(40, 30, requires_grad=True)
    outs, ins = some(40, 20, 1), some(30, 10, 2)
    for _ in range(2):
        (first,) = torch.autograd.grad(submatrix_linear(torch.ones(2, 10), w, None, outs, ins).sum(), w)
        kept = first.clone()
        others = some(30, 20, 3)
        (second,) = torch.autograd.grad(submatrix_linear(torch.ones(2, 20), w, None, ins, others).sum(), w)
        torch.testing.assert_close(first, kept, rtol=0, atol=0)
        inside = torch.zeros(40, 30, dtype=torch.bool)
        inside[outs[:, None], ins] = True  # type: ignore[index]
        assert torch.equal(first != 0, inside)
        assert second.count_nonzero() == 200


def test_gradients_twice() -> None:
    w = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    b = torch.randn(6, dtype=torch.float64, requires_grad=True)
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    outs, ins = some(6, 4, 1), some(5, 3, 2)
    assert torch.autograd.gradcheck(lambda *a: submatrix_linear(*a, outs, ins), (x, w, b))
    assert torch.autograd.gradgradcheck(lambda *a: submatrix_linear(*a, outs, ins) ** 2, (x, w, b))


def test_a_frozen_weight_costs_no_gradient() -> None:
    w = torch.randn(6, 5)
    x = torch.randn(4, 3, requires_grad=True)
    submatrix_linear(x, w, None, some(6, 4, 1), some(5, 3, 2)).sum().backward()
    assert w.grad is None
    assert x.grad is not None


@pytest.mark.parametrize(("k", "j"), [(4, 3), (None, 3), (4, None)])
def test_autocast_rounds_as_torchs_linear_does(k: int | None, j: int | None) -> None:
    torch.manual_seed(0)
    outs, ins = some(6, k, 1), some(5, j, 2)
    x, w, b = torch.randn(4, j or 5, requires_grad=True), torch.randn(6, 5, requires_grad=True), torch.randn(6)
    b.requires_grad_()
    gradients = []
    for f in (lambda: submatrix_linear(x, w, b, outs, ins), lambda: F.linear(x, *by_index(w, b, outs, ins))):
        with torch.autocast("cpu", torch.bfloat16):
            y = f()
        assert y.dtype == torch.bfloat16
        gradients.append((y.float(), *torch.autograd.grad(y.float().square().sum(), (x, w, b))))
    assert [g.dtype for g in gradients[0]] == [torch.float32] * 4
    torch.testing.assert_close(gradients[0], gradients[1], rtol=2e-2, atol=2e-2)


def by_index(w: Tensor, b: Tensor, outs: Tensor | None, ins: Tensor | None) -> tuple[Tensor, Tensor]:
    rows = slice(None) if outs is None else outs
    return w[rows][:, slice(None) if ins is None else ins], b[rows]


def test_types_that_do_not_fit_are_refused_as_torch_does() -> None:
    with pytest.raises(RuntimeError, match="same dtype"):
        submatrix_linear(torch.randn(4, 3).half(), torch.randn(6, 5), None, some(6, 4, 1), some(5, 3, 2))


def test_functional_transforms() -> None:
    w, x = torch.randn(6, 5), torch.randn(4, 3)
    outs, ins = some(6, 4, 1), some(5, 3, 2)
    one_by_one = torch.func.vmap(lambda row: submatrix_linear(row, w, None, outs, ins))(x)
    torch.testing.assert_close(one_by_one, submatrix_linear(x, w, None, outs, ins))
