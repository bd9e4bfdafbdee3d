"""Memory pools: buffers that are reused from step to step, so that no step pays for page faults."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary


class BufferPool:
    """Pool of reusable tensors, which belong to the caller from `take` until `give`.

    A buffer that is never given back is freed as usual. The pool holds memory alone and never a graph: autograd's node
    of a buffer may hold the pool, and through the node the pool would hold itself, which Python cannot see.
    """

    def __init__(self) -> None:
        self._free: dict[tuple[object, ...], list[Tensor]] = defaultdict(list)

    def take(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Take a buffer of this kind, its content arbitrary."""
        free = self._free[tuple(shape), dtype, device]
        return free.pop() if free else torch.empty(shape, dtype=dtype, device=device)

    def like(self, tensor: Tensor) -> Tensor:
        """Take a buffer of a tensor's shape, type and device."""
        return self.take(tuple(tensor.shape), tensor.dtype, tensor.device)

    def give(self, *buffers: Tensor) -> None:
        """Hand buffers back; nobody may use them afterwards."""
        for buffer in buffers:
            # without its grad_fn, whose node holds the pool
            self._free[tuple(buffer.shape), buffer.dtype, buffer.device].append(buffer.detach())

    def clear(self) -> None:
        """Free all buffers that nobody owns."""
        self._free.clear()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)()

    def __getstate__(self) -> dict[str, Any]:
        return {"_free": defaultdict(list)}


_returned: Any = WeakTensorKeyDictionary()
"""What was made for an owner: memory, its address and how many hold it when nobody uses it. It goes with the owner."""

_MOST = 4
"""Memories of one owner: several parts of a gradient may be alive at once."""


def recycled_like(owner: Tensor) -> Tensor:
    """Allocate an uninitialised contiguous tensor like `owner`, on memory that is reused once nobody refers to it.

    `zero_grad` gives a gradient's memory back, and the system then maps the next one anew, page by page: for a large
    matrix that takes longer than writing it does. A gradient that is still referred to (by a variable, a view, an
    array) is never overwritten: then there is fresh memory.
    """
    # taken out while they are looked at, so that no other thread looks at them
    memories = _returned.pop(owner, None) or deque(maxlen=_MOST)
    free = [m for m in memories if (m[0].shape, m[0].dtype) == (owner.shape, owner.dtype) and _holders(m[1]) == m[2]]
    if free:
        memory = free[0][0]
    else:
        memory = torch.empty_like(owner, memory_format=torch.contiguous_format)
        address = memory.untyped_storage()._cdata
        memories.append((memory, address, _holders(address)))
    tensor: Tensor = owner.new_empty(0).set_(memory)
    _returned[owner] = memories
    return tensor


def _holders(address: int) -> int:
    return int(torch._C._storage_Use_Count(address))


class _Scratch(threading.local):
    memory = np.empty(0, np.uint8)


_scratch = _Scratch()


def scratch(size: int) -> NDArray[np.uint8]:
    """Return `size` bytes of the calling thread's scratch memory, which its next call overwrites.

    The memory is as large as the largest that was asked for, and stays with the thread.
    """
    if len(_scratch.memory) < size:
        _scratch.memory = np.empty(size, np.uint8)
    return _scratch.memory[:size]
