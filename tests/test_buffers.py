import copy
import gc
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from thinnet._buffers import BufferPool, recycled_like, scratch


def test_memory_that_nobody_holds_is_used_again() -> None:
    w = torch.nn.Parameter(torch.randn(3, 4))
    first = recycled_like(w).fill_(1)
    place = first.data_ptr()
    assert (first.shape, first.dtype, first.requires_grad) == (w.shape, w.dtype, False)
    del first
    assert recycled_like(w).data_ptr() == place


def test_what_is_held_is_left_alone() -> None:
    w = torch.nn.Parameter(torch.randn(3, 4))
    for hold in (lambda t: t, lambda t: t[1], lambda t: t.numpy(), lambda t: torch.empty(0).set_(t)):
        first = recycled_like(w).fill_(1)
        held = hold(first)
        place = first.data_ptr()
        del first
        second = recycled_like(w).fill_(2)
        assert second.data_ptr() != place
        del held


def test_several_at_once() -> None:
    w = torch.nn.Parameter(torch.randn(3, 4))
    places = []
    for _ in range(3):
        first, second = recycled_like(w).fill_(1), recycled_like(w).fill_(2)
        torch.testing.assert_close(first, torch.ones(3, 4))
        places.append({first.data_ptr(), second.data_ptr()})
        del first, second
    assert places[0] == places[1] == places[2] and len(places[0]) == 2


def test_every_owner_has_its_own_and_takes_it_along() -> None:
    w, v = torch.randn(3, 4), torch.randn(3, 4)
    place = recycled_like(w).data_ptr()
    assert recycled_like(v).data_ptr() != place
    w.data = torch.randn(5, 4)
    assert recycled_like(w).shape == (5, 4)
    w.data = w.data.double()
    assert recycled_like(w).dtype == torch.float64


def test_a_gradient_takes_the_memory_over_and_accumulates() -> None:
    class Twos(torch.autograd.Function):
        @staticmethod
        def forward(ctx, w):  # type: ignore[no-untyped-def]
            ctx.save_for_backward(w)
            return w.sum()

        @staticmethod
        def backward(ctx, up):  # type: ignore[no-untyped-def]
            return recycled_like(ctx.saved_tensors[0]).fill_(2)

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


def test_a_buffer_that_was_given_back_is_taken_again() -> None:
    pool, cpu = BufferPool(), torch.device("cpu")
    first = pool.take((3, 4), torch.float32, cpu)
    place = first.data_ptr()
    assert pool.like(first).data_ptr() != place
    pool.give(first)
    for shape, dtype in (((4, 3), torch.float32), ((3, 4), torch.int32)):
        assert pool.take(shape, dtype, cpu).data_ptr() != place
    assert pool.like(first).data_ptr() == place
    assert pool.like(first).data_ptr() != place
    pool.give(first)
    pool.clear()
    assert pool._free == {}


class Borrows(torch.autograd.Function):
    """x times 2, in a buffer that goes back in the backward pass: the node refers to the pool."""

    @staticmethod
    def forward(ctx, x, pool):  # type: ignore[no-untyped-def]
        ctx.pool, y = pool, torch.mul(x, 2, out=pool.like(x))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, up):  # type: ignore[no-untyped-def]
        ctx.pool.give(*ctx.saved_tensors)
        return 2 * up, None


def test_a_pool_is_freed_though_autograd_refers_to_it() -> None:
    pool, x = BufferPool(), torch.ones(3, requires_grad=True)
    place = Borrows.apply(x, pool)
    place, _ = place.data_ptr(), place.sum().backward()
    again = Borrows.apply(x, pool)
    assert again.data_ptr() == place
    again.sum().backward()
    gone = weakref.ref(pool)
    del pool, again
    gc.collect()
    assert gone() is None


def test_copies_of_a_pool_are_empty() -> None:
    pool = BufferPool()
    pool.give(torch.empty(3))
    for copied in (copy.deepcopy(pool), pickle.loads(pickle.dumps(pool))):
        assert copied._free == {}
        copied.give(torch.empty(2))
        assert len(copied._free) == len(pool._free) == 1


def test_memory_for_gradients_goes_with_its_owner() -> None:
    w = torch.nn.Parameter(torch.randn(3, 4))
    memory = recycled_like(w).untyped_storage()._weak_ref()
    assert not torch.UntypedStorage._expired(memory)
    del w
    gc.collect()
    assert torch.UntypedStorage._expired(memory)
    torch.UntypedStorage._free_weak_ref(memory)


def test_scratch_is_the_same_memory_until_more_is_asked_for() -> None:
    first = scratch(48)
    assert (first.shape, first.dtype) == ((48,), np.uint8)
    assert scratch(40).ctypes.data == first.ctypes.data
    larger = scratch(1 << 24)
    larger[:] = 7
    assert scratch(3).tolist() == [7, 7, 7] and len(larger) == 1 << 24


def test_every_thread_has_its_own_scratch() -> None:
    with ThreadPoolExecutor(1) as other:
        theirs = other.submit(scratch, 48).result()
        assert scratch(48).ctypes.data != theirs.ctypes.data
