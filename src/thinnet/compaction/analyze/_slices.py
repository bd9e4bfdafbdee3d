"""Parameters and buffers of a model by name, and the slices of them that are kept."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

Kept = Mapping[str, Mapping[int, Tensor]]
"""Per parameter or buffer, per dimension: the indices that are kept."""


def sliced(tensor: Tensor, dims: Mapping[int, Tensor]) -> Tensor:
    """The kept slices, in memory of their own."""
    for dim, indices in dims.items():
        tensor = tensor.index_select(dim, indices.to(tensor.device))
    return tensor.clone()


def tensor_of(model: nn.Module, name: str) -> Tensor:
    """A parameter or buffer by name."""
    path, _, attribute = name.rpartition(".")
    found = getattr(model.get_submodule(path), attribute)
    assert isinstance(found, Tensor)
    return found
