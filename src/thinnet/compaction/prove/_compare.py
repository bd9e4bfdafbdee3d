"""Comparison of the outputs and gradients of two models."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Set
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._slices import Kept, sliced
from thinnet.compaction.analyze._trace import plain_attention

RANDOM = 2
"""How many random inputs are tried beside the examples."""

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-5, torch.float16: 2e-2, torch.bfloat16: 5e-2}
"""Largest difference of an output, relative to its largest element."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far two outputs are apart, relative to the largest element, and where."""

    size: float
    where: str


def outputs_of(found: Any) -> list[Tensor]:
    """Every tensor in what a model returns."""
    leaves = pytree.tree_leaves(found)
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    for leaf in leaves:
        if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type):
            tensors += outputs_of([getattr(leaf, field.name) for field in dataclasses.fields(leaf)])
    return tensors


def run(model: nn.Module, inputs: Inputs) -> list[Tensor]:
    """The outputs of a model, without its fused inference path and without gradients."""
    with torch.no_grad(), plain_attention(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return outputs_of(inputs.call(model))


def apart(one: list[Tensor], other: list[Tensor]) -> Difference:
    """The largest relative difference of two lists of outputs."""
    worst = Difference(0.0, "nowhere")
    if len(one) != len(other):
        return Difference(torch.inf, f"{len(one)} outputs became {len(other)}")
    for place, (a, b) in enumerate(zip(one, other, strict=True)):
        if a.shape != b.shape:
            return Difference(torch.inf, f"output {place} of shape {tuple(a.shape)} became {tuple(b.shape)}")
        size = distance(a, b)
        if not size <= worst.size:
            worst = Difference(size, f"output {place}")
    return worst


def distance(a: Tensor, b: Tensor) -> float:
    """The largest difference relative to the largest element; what is not finite must be so in both."""
    if a.numel() == 0:
        return 0.0
    a, b = a.detach().double(), b.detach().double()
    if bool((a.isfinite() != b.isfinite()).any()):
        return torch.inf
    finite = a.isfinite()
    scale = float(a[finite].abs().max()) if bool(finite.any()) else 0.0
    difference = float((a[finite] - b[finite]).abs().max()) if bool(finite.any()) else 0.0
    return difference / scale if scale else difference


def gradients_apart(model: nn.Module, small: nn.Module, inputs: Inputs, kept: Kept, but: Set[str]) -> Difference:
    """The largest relative difference of gradients of inputs and of the kept slices of parameters.

    Args:
        model: the model before, in float64; changed (parameters require gradients).
        small: the same after.
        inputs: what both are called with.
        kept: the indices that are kept of each parameter.
        but: parameters that are left out.
    """
    before, after = (_gradients(m, inputs) for m in (model, small))
    worst = Difference(0.0, "nowhere")
    for name, gradient in before.items():
        if name in but:
            continue
        other = after.get(name)
        if other is None:
            return Difference(torch.inf, f"the gradient of {name}")
        mine = sliced(gradient, kept.get(name, {}))
        if mine.shape != other.shape:
            return Difference(torch.inf, f"the gradient of {name}")
        # rounding is relative to the terms that were summed, which the largest gradient of all stands for
        size = float((mine - other).abs().max()) if mine.numel() else 0.0
        if not size <= worst.size:
            worst = Difference(size, f"the gradient of {name}")
    scale = max((float(g.abs().max()) for g in before.values() if g.numel()), default=0.0)
    return Difference(worst.size / scale if scale else worst.size, worst.where)


def _gradients(model: nn.Module, inputs: Inputs) -> dict[str, Tensor]:
    inputs = inputs.map(lambda t: t.detach().clone().requires_grad_() if t.is_floating_point() else t)
    with torch.enable_grad(), plain_attention(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = [out for out in outputs_of(inputs.call(model)) if out.is_floating_point() and out.requires_grad]
        generator = torch.Generator().manual_seed(0)
        total = sum((out * torch.randn(out.shape, generator=generator).to(out)).sum() for out in found)
        leaves = {f"input {i}": t for i, t in enumerate(inputs.tensors()) if t.requires_grad}
        leaves |= {name: p for name, p in model.named_parameters() if p.requires_grad}
        if not found or not leaves:
            return {}
        grads = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)  # type: ignore[arg-type]
    return {
        name: torch.zeros_like(leaf) if g is None else g for (name, leaf), g in zip(leaves.items(), grads, strict=True)
    }


def in_float64(model: nn.Module) -> nn.Module:
    """A copy in float64 whose floating-point parameters require gradients."""
    return copy.deepcopy(model).double().requires_grad_()


def tolerance(model: nn.Module) -> float:
    """How equal outputs must be in the model's own precision."""
    kinds = {p.dtype for p in model.parameters() if p.is_floating_point()}
    return max((TOLERANCES.get(kind, 1e-5) for kind in kinds), default=1e-5)
