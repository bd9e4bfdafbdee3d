import torch

from thinnet.dropout._recycled import recycled_empty


def test_memory_that_nobody_holds_is_used_again() -> None:
    w = torch.nn.Parameter(torch.randn(3, 4))
    first = recycled_empty(w).fill_(1)
    place = first.data_ptr()
    assert (first.shape, first.dtype, first.requires_grad) == (w.shape, w.dtype, False)
    del first
    assert recycled_empty(w).data_ptr() == place


def test_what_is_held_is_left_alone() -> None:
    w = torch.nn.Parameter(torch.randn(3, 4))
    for hold in (lambda t: t, lambda t: t[1], lambda t: t.numpy(), lambda t: torch.empty(0).set_(t)):
        first = recycled_empty(w).fill_(1)
        held = hold(first)
        place = first.data_ptr()
        del first
        second = recycled_empty(w).fill_(2)
        assert second.data_ptr() != place
        del held


def test_several_at_once() -> None:
    w = torch.nn.Parameter(torch.randn(3, 4))
    places = []
    for _ in range(3):
        first, second = recycled_empty(w).fill_(1), recycled_empty(w).fill_(2)
        torch.testing.assert_close(first, torch.ones(3, 4))
        places.append({first.data_ptr(), second.data_ptr()})
        del first, second
    assert places[0] == places[1] == places[2] and len(places[0]) == 2


def test_every_owner_has_its_own_and_takes_it_along() -> None:
    w, v = torch.randn(3, 4), torch.randn(3, 4)
    place = recycled_empty(w).data_ptr()
    assert recycled_empty(v).data_ptr() != place
    w.data = torch.randn(5, 4)
    assert recycled_empty(w).shape == (5, 4)
    w.data = w.data.double()
    assert recycled_empty(w).dtype == torch.float64


def test_a_gradient_takes_the_memory_over_and_accumulates() -> None:
    class Twos(torch.autograd.Function):
        @staticmethod
        def forward(ctx, w):  # type: ignore[no-untyped-def]
            ctx.save_for_backward(w)
            return w.sum()

        @staticmethod
        def backward(ctx, up):  # type: ignore[no-untyped-def]
            return recycled_empty(ctx.saved_tensors[0]).fill_(2)

    w = torch.nn.Parameter(torch.randn(3, 4))
    places = set()
    for _ in range(3):
        w.grad = None
        Twos.apply(w).backward()
        places.add(w.grad.data_ptr())
    assert len(places) == 1
    Twos.apply(w).backward()
    torch.testing.assert_close(w.grad, torch.full((3, 4), 4.0))
    (kept,) = torch.autograd.grad(Twos.apply(w), w)
    Twos.apply(w).backward()
    torch.testing.assert_close(kept, torch.full((3, 4), 2.0))
    torch.testing.assert_close(w.grad, torch.full((3, 4), 6.0))
