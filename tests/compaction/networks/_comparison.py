"""Whether two networks are equal: on inputs of many kinds, to rounding."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Generator, Tensor, nn

from ._network import Root, example

KINDS = ("normal", "other", "large", "tiny", "negative", "sparse", "zero", "constant", "one hot", "batch")
"""Kinds of inputs on which a network has to be equal; what is dead on examples may be alive on some of them."""


def inputs_of(root: Root, kind: str) -> tuple[Tensor, ...]:
    if kind == "batch":
        return example(root, seed=11, batch=3)
    drawn = example(root, seed=KINDS.index(kind) + 1)
    return tuple(_of_kind(x, kind) if x.is_floating_point() else x for x in drawn)


def _of_kind(x: Tensor, kind: str) -> Tensor:
    if kind == "sparse":
        return x * (torch.rand(x.shape, generator=Generator().manual_seed(3), dtype=x.dtype) < 0.2)
    if kind == "one hot":
        return torch.zeros_like(x).index_fill_(-1, torch.tensor([0]), 5.0)
    return {
        "large": 30 * x,
        "tiny": 1e-4 * x,
        "negative": -x.abs(),
        "zero": torch.zeros_like(x),
        "constant": torch.full_like(x, 1.5),
    }.get(kind, x)


def unequal(one: nn.Module, other: nn.Module, root: Root, tolerance: float = 1e-9) -> str:
    """On which kind of inputs the two differ by more than rounding, and by how much; "" if on none."""
    for kind in KINDS:
        inputs = inputs_of(root, kind)
        if kind == "batch" and not _runs(one, inputs):
            continue  # the batch's size is in the network's code
        if size := _apart(one, other, inputs, tolerance):
            return f"{kind}: {size}"
    return ""


def _runs(network: nn.Module, inputs: tuple[Tensor, ...]) -> bool:
    try:
        network(*inputs)
    except (RuntimeError, AssertionError):
        return False
    return True


@torch.no_grad()
def _apart(one: nn.Module, other: nn.Module, inputs: tuple[Tensor, ...], tolerance: float) -> str:
    wanted, found = one(*inputs), other(*inputs)
    if [w.shape for w in wanted] != [f.shape for f in found]:
        return f"shapes {[tuple(w.shape) for w in wanted]} became {[tuple(f.shape) for f in found]}"
    if not all(bool(w.isfinite().all()) for w in wanted):
        return ""  # zero times infinity is not what a network means
    worst = max(_distance(w, f) for w, f in zip(wanted, found, strict=True))
    if worst <= tolerance or worst <= 100 * max(_rounding(one, inputs, wanted)):
        return ""
    return f"{worst:.1e}"


def _distance(wanted: Tensor, found: Tensor) -> float:
    return float((wanted - found).abs().max() / wanted.abs().max().clamp(min=1.0))


def _rounding(network: nn.Module, inputs: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> Iterator[float]:
    """How far outputs go apart when weights are rounded otherwise: what no other order of sums can keep."""
    generator = Generator().manual_seed(0)
    nudged = copy.deepcopy(network)
    for parameter in nudged.parameters():
        parameter.mul_(1 + 1e-15 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    yield from (_distance(w, f) for w, f in zip(wanted, nudged(*inputs), strict=True))
