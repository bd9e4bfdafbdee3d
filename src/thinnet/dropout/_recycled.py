"""Memory for gradients that is used again from step to step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_kept: Any = WeakTensorKeyDictionary()


def recycled_empty(owner: Tensor) -> Tensor:
    """An uninitialised contiguous tensor like `owner`, on the memory of the one before once nobody else holds that.

    `zero_grad` gives a gradient's memory back, and the system then maps the next one anew, page by page: for a large
    matrix that takes longer than writing it does. A gradient that is still referred to (by a variable, a view, an
    array) is never overwritten: then there is fresh memory.
    """
    # taken out while it is looked at, so that no other thread looks at it
    memory, address, alone = _kept.pop(owner, (None, 0, 0))
    if memory is None or (memory.shape, memory.dtype) != (owner.shape, owner.dtype) or _holders(address) > alone:
        memory = torch.empty_like(owner, memory_format=torch.contiguous_format)
        address = memory.untyped_storage()._cdata
        alone = _holders(address)
    tensor: Tensor = owner.new_empty(0).set_(memory)
    _kept[owner] = memory, address, alone
    return tensor


def _holders(address: int) -> int:
    return int(torch._C._storage_Use_Count(address))
