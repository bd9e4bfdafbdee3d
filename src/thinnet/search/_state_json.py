"""Nested state as JSON and tensors by name."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def flatten(state: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Convert a nested state to JSON; its tensors are copied into `tensors`, with names that begin with `name`.

    Raises:
        TypeError: something is neither a tensor, a number, a text nor a dict, list or tuple of such.
    """
    if isinstance(state, Tensor):
        tensors[name] = state.detach().clone().contiguous()
        return {"tensor": name}
    if isinstance(state, dict):
        return {"dict": [[key, flatten(value, f"{name}.{key}", tensors)] for key, value in state.items()]}
    if isinstance(state, list | tuple):
        return {type(state).__name__: [flatten(value, f"{name}.{i}", tensors) for i, value in enumerate(state)]}
    if state is None or isinstance(state, bool | int | float | str):
        return {"plain": state}
    raise TypeError(
        f"path: a checkpoint cannot hold {name}, which is {type(state).__name__}; leave `checkpoint_dir` out."
    )


def unflatten(plain: Any, tensors: dict[str, Tensor]) -> Any:
    """Convert what `flatten` returned back to the state."""
    (kind, value) = next(iter(plain.items()))
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {key: unflatten(inner, tensors) for key, inner in value}
    if kind in ("list", "tuple"):
        inner = [unflatten(each, tensors) for each in value]
        return inner if kind == "list" else tuple(inner)
    return value


def finite(tensors: dict[str, Tensor]) -> bool:
    """Whether no floating-point tensor holds an infinity or NaN."""
    return all(bool(torch.isfinite(t).all()) for t in tensors.values() if t.is_floating_point())
