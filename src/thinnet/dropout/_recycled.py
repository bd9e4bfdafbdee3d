"""Memory for gradients that is used again from step to step."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_kept: Any = WeakTensorKeyDictionary()

_MOST = 4
"""Memories of one owner: several parts of a gradient may be alive at once."""


def recycled_empty(owner: Tensor) -> Tensor:
    """An uninitialised contiguous tensor like `owner`, on the memory of an earlier one that nobody holds any more.

    `zero_grad` gives a gradient's memory back, and the system then maps the next one anew, page by page: for a large
    matrix that takes longer than writing it does. A gradient that is still referred to (by a variable, a view, an
    array) is never overwritten: then there is fresh memory.
    """
    # taken out while they are looked at, so that no other thread looks at them
    memories = _kept.pop(owner, None) or deque(maxlen=_MOST)
    free = [m for m in memories if (m[0].shape, m[0].dtype) == (owner.shape, owner.dtype) and _holders(m[1]) == m[2]]
    if free:
        memory = free[0][0]
    else:
        memory = torch.empty_like(owner, memory_format=torch.contiguous_format)
        address = memory.untyped_storage()._cdata
        memories.append((memory, address, _holders(address)))
    tensor: Tensor = owner.new_empty(0).set_(memory)
    _kept[owner] = memories
    return tensor


def _holders(address: int) -> int:
    return int(torch._C._storage_Use_Count(address))
