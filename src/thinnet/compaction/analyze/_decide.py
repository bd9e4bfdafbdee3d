"""The largest set of dependency groups whose removal changes no output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from thinnet.compaction.analyze._consumer import Consumer
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze._dependency_groups import Pin


@dataclass(frozen=True)
class Decision:
    """The slices to remove, and what makes up for them.

    Args:
        kept: per parameter or buffer that shrinks, per dimension that does: the indices that are kept.
        folds: per bias: the constants that are added to it, shape (out,).
        widths: per normalization whose mean of squares runs over fewer elements: their number before and now.
        removed: True for labels that are removed, by root.
        tokens: parameters with a slice that is kept only because a layer needs one neuron.
    """

    kept: dict[str, dict[int, Tensor]]
    folds: dict[str, Tensor]
    widths: dict[str, tuple[int, int]]
    removed: Tensor
    tokens: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.kept)


def decide(deps: DependencyGraph) -> Decision:
    """The largest set of slices that can be removed without a change of the outputs.

    All slices that are not pinned are candidates at first; then those that a kept consumer depends on are kept, until
    nothing changes. Slices that only depend on each other are removed together.
    """
    pinned, tokens = set(deps.groups.pins()), set[int]()
    while True:
        gone = _largest(deps, pinned)
        emptied = set(_emptied(deps, gone))
        missed = emptied or set(_uneven(deps, gone))
        if not missed:
            break
        pinned |= missed
        tokens |= emptied
    kept = {name: _kept(deps, dims, gone) for name, dims in deps.parameters.items()}
    return Decision(
        kept={name: dims for name, dims in kept.items() if dims},
        folds=_folds(deps, gone),
        widths={
            consumer.rescale.module: (consumer.rescale.width, int((~gone[deps.groups.roots(consumer.labels)]).sum()))
            for consumer in deps.consumers
            if consumer.rescale is not None and bool(gone[deps.groups.roots(consumer.labels)].any())
        },
        removed=gone,
        tokens=frozenset(name for name, dims in deps.parameters.items() if _carries(deps, dims, tokens)),
    )


def _largest(deps: DependencyGraph, pinned: set[int]) -> Tensor:
    """Which labels can be removed, shape (number of labels,), by root.

    A slice without any consumer is kept: other inputs may use it (positions behind the end of this sequence).
    """
    consumers = [(consumer, *_roots(deps, consumer)) for consumer in deps.consumers]
    gone = torch.zeros(deps.groups.count, dtype=torch.bool)
    for _, inputs, _ in consumers:
        gone[inputs] = True
    gone[list(pinned)] = False
    changed = True
    while changed:
        changed = False
        for consumer, inputs, outputs in consumers:
            missed = inputs[gone[inputs] & ~_unused(consumer, outputs, gone)]
            if len(missed):
                gone[missed], changed = False, True
    return gone


def _roots(deps: DependencyGraph, consumer: Consumer) -> tuple[Tensor, Tensor | None]:
    return deps.groups.roots(consumer.labels), None if consumer.outputs is None else deps.groups.roots(consumer.outputs)


def _unused(consumer: Consumer, outputs: Tensor | None, gone: Tensor) -> Tensor:
    """Which indices no kept output depends on, shape (n,), or depends on as a constant that can be folded."""
    if consumer.weight is None:
        return consumer.silent
    taken = consumer.weight if outputs is None else consumer.weight & ~gone[outputs]
    if consumer.fold is not None:
        taken = taken & consumer.fold.amounts.isnan()
    return consumer.silent | ~taken.any(1)


def _emptied(deps: DependencyGraph, gone: Tensor) -> Iterator[int]:
    """A label to keep of each dimension that would lose all: a layer has at least one neuron."""
    for dims in deps.parameters.values():
        for labels in dims:
            if labels is not None and bool(gone[roots := deps.groups.roots(labels)].all()):
                yield int(roots[0])


def _uneven(deps: DependencyGraph, gone: Tensor) -> Iterator[int]:
    """Labels to keep so that rows that must have one length do."""
    for rows in deps.balances:
        roots = deps.groups.roots(rows)
        fewest = int(gone[roots].sum(1).min())
        for row in roots:
            yield from row[gone[row]][fewest:].tolist()


def _kept(deps: DependencyGraph, dims: tuple[Tensor | None, ...], gone: Tensor) -> dict[int, Tensor]:
    going = {dim: gone[deps.groups.roots(labels)] for dim, labels in enumerate(dims) if labels is not None}
    return {dim: torch.nonzero(~mask).flatten() for dim, mask in going.items() if bool(mask.any())}


def _carries(deps: DependencyGraph, dims: tuple[Tensor | None, ...], labels: set[int]) -> bool:
    """Whether one of the labels is among those of a parameter."""
    return any(not labels.isdisjoint(deps.groups.roots(found).tolist()) for found in dims if found is not None)


def _folds(deps: DependencyGraph, gone: Tensor) -> dict[str, Tensor]:
    folds: dict[str, Tensor] = {}
    for consumer in deps.consumers:
        inputs, outputs = _roots(deps, consumer)
        if consumer.fold is None or consumer.weight is None or consumer.fold.bias in folds:
            continue  # a shared layer has the same constants wherever it is used
        stays = torch.ones(consumer.weight.shape[1], dtype=torch.bool) if outputs is None else ~gone[outputs]
        counted = consumer.weight & (gone[inputs] & ~consumer.silent)[:, None] & stays
        if bool(counted.any()):
            amount = torch.where(counted, consumer.fold.amounts, 0).sum(0)
            folds[consumer.fold.bias] = amount
    return folds


def obstacles(deps: DependencyGraph) -> dict[Pin, int]:
    """Why slices can never be removed, and to how many slices of parameters each reason applies."""
    pins = deps.groups.pins()
    found: dict[Pin, int] = {}
    for dims in deps.parameters.values():
        for labels in dims:
            for root in [] if labels is None else deps.groups.roots(labels).tolist():
                if root in pins:
                    found[pins[root]] = found.get(pins[root], 0) + 1
    return found
