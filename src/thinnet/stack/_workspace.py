"""Large buffers that one training step leaves to the next."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Self

import torch
from torch import Tensor


class Workspace:
    """A pool of buffers. Memory fresh from the system is paid for page by page, which costs more than arithmetic on it.

    Whoever takes a buffer owns it until it is given back; one that is never given back is freed as usual.
    """

    def __init__(self) -> None:
        self._free: dict[tuple[object, ...], list[Tensor]] = defaultdict(list)

    def take(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        """A buffer of this kind, its content arbitrary."""
        free = self._free[tuple(shape), dtype, device]
        return free.pop() if free else torch.empty(shape, dtype=dtype, device=device)

    def like(self, tensor: Tensor) -> Tensor:
        """A buffer like `tensor`."""
        return self.take(tuple(tensor.shape), tensor.dtype, tensor.device)

    def give(self, *buffers: Tensor) -> None:
        """Hand buffers back; nobody may use them afterwards."""
        for buffer in buffers:
            self._free[tuple(buffer.shape), buffer.dtype, buffer.device].append(buffer)

    def clear(self) -> None:
        """Free all buffers that nobody owns."""
        self._free.clear()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)()

    def __getstate__(self) -> dict[str, Any]:
        return {"_free": defaultdict(list)}
