"""Slicing of parameters and buffers in place, with the sizes that torch's layers remember."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from thinnet.compaction.analyze._slices import Kept, sliced, tensor_of
from thinnet.compaction.shrink._size_attributes import settle_, sizes_of


@torch.no_grad()
def shrink_(model: nn.Module, kept: Kept, channels: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Keep these slices of parameters and buffers, gradients too, and set the sizes that torch's layers remember.

    Parameters stay the same objects, so that ties, optimizers and hooks keep them.

    Args:
        model: what shrinks.
        kept: the indices that are kept.
        channels: of normalizations without parameters, by module name: how many channels they get.

    Returns:
        The attributes that were set, by module.
    """
    done: set[int] = set()
    for name, dims in kept.items():
        tensor = tensor_of(model, name)
        if id(tensor) in done:
            continue
        done.add(id(tensor))
        gradient, tensor.grad = tensor.grad, None
        smaller = sliced(tensor.data, dims)
        # a change of type makes autograd forget the old shape, which a loss that is still around would keep alive
        tensor.data = tensor.data.new_empty(0, dtype=torch.float16 if tensor.dtype is torch.float32 else torch.float32)
        tensor.data = smaller
        if gradient is not None:
            tensor.grad = sliced(gradient, dims)
    touched = {name.rpartition(".")[0].partition(".parametrizations")[0] for name in kept} | set(channels)
    changed = {}
    for path in sorted(touched):
        module = model.get_submodule(path)
        sizes = {k: v for k, v in sizes_of(module, channels.get(path)).items() if getattr(module, k) != v}
        if sizes:
            changed[path] = sizes
            set_attributes(module, sizes)
    for module in model.modules():
        settle_(module)
    return changed


def set_attributes(module: nn.Module, values: Mapping[str, Any]) -> None:
    """Set attributes by name; "config.width" sets it in a copy of the module's own `config`."""
    for name, value in values.items():
        holder, _, attribute = name.rpartition(".")
        if holder:
            # configurations are shared by all layers; this one's differs from now on
            setattr(module, holder, copy.copy(getattr(module, holder)))
            setattr(getattr(module, holder), attribute, value)
        else:
            setattr(module, name, value)


@torch.no_grad()
def fold_(model: nn.Module, folds: Mapping[str, Tensor]) -> None:
    """Add constant inputs that are removed to the biases of their consumers, before these shrink."""
    for name, amount in folds.items():
        bias = tensor_of(model, name)
        bias += amount.to(bias)


@torch.no_grad()
def rescale_(model: nn.Module, widths: Mapping[str, tuple[int, int]]) -> dict[str, dict[str, Any]]:
    r"""Make up for means of squares over d' elements that were over d: weight · sqrt(d/d'), epsilon · d/d'.

    With S the sum of squares, :math:`S/d' + \varepsilon d/d' = (d/d') (S/d + \varepsilon)`.
    """
    changed = {}
    for path, (before, now) in widths.items():
        module = model.get_submodule(path)
        weight = tensor_of(module, "weight")
        weight.mul_(math.sqrt(before / now))
        name = next(n for n in ("eps", "variance_epsilon", "epsilon") if hasattr(module, n))
        epsilon = getattr(module, name)
        if epsilon is None:
            epsilon = torch.finfo(weight.dtype).eps
        changed[path] = {name: epsilon * before / now}
        set_attributes(module, changed[path])
    return changed
