"""What can go exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from thinnet.compaction.analyze._consumer import Read
from thinnet.compaction.analyze._dependency_graph import Flow
from thinnet.compaction.analyze._dependency_groups import Pin


@dataclass(frozen=True)
class Decision:
    """What goes, and what makes up for it.

    Args:
        kept: per parameter or buffer that shrinks, per dimension that does: the indices that stay.
        folds: per bias: what constants that went are added to it, shape (out,).
        widths: per normalization whose mean of squares runs over fewer elements: their number before and now.
        gone: True for labels that go, by root.
        tokens: parameters with a slice that stays only because a layer needs one node.
    """

    kept: dict[str, dict[int, Tensor]]
    folds: dict[str, Tensor]
    widths: dict[str, tuple[int, int]]
    gone: Tensor
    tokens: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.kept)


def decide(flow: Flow) -> Decision:
    """The largest set of slices that can go without a change of the outputs.

    Everything that is not pinned goes at first; then whatever somebody who stays reads comes back, until nothing
    changes. What is left of a set that only reads itself goes with it.
    """
    pinned, tokens = set(flow.labels.pins()), set[int]()
    while True:
        gone = _largest(flow, pinned)
        emptied = set(_emptied(flow, gone))
        missed = emptied or set(_uneven(flow, gone))
        if not missed:
            break
        pinned |= missed
        tokens |= emptied
    kept = {name: _kept(flow, dims, gone) for name, dims in flow.parameters.items()}
    return Decision(
        kept={name: dims for name, dims in kept.items() if dims},
        folds=_folds(flow, gone),
        widths={
            read.rescale.module: (read.rescale.width, int((~gone[flow.labels.roots(read.labels)]).sum()))
            for read in flow.reads
            if read.rescale is not None and bool(gone[flow.labels.roots(read.labels)].any())
        },
        gone=gone,
        tokens=frozenset(name for name, dims in flow.parameters.items() if _carries(flow, dims, tokens)),
    )


def _largest(flow: Flow, pinned: set[int]) -> Tensor:
    """Which labels go, shape (number of labels,), by root.

    What nothing reads at all stays: other inputs may read it (positions behind the end of this sequence).
    """
    reads = [(read, *_roots(flow, read)) for read in flow.reads]
    gone = torch.zeros(flow.labels.count, dtype=torch.bool)
    for _, inputs, _ in reads:
        gone[inputs] = True
    gone[list(pinned)] = False
    changed = True
    while changed:
        changed = False
        for read, inputs, outputs in reads:
            missed = inputs[gone[inputs] & ~_unread(read, outputs, gone)]
            if len(missed):
                gone[missed], changed = False, True
    return gone


def _roots(flow: Flow, read: Read) -> tuple[Tensor, Tensor | None]:
    return flow.labels.roots(read.labels), None if read.outputs is None else flow.labels.roots(read.outputs)


def _unread(read: Read, outputs: Tensor | None, gone: Tensor) -> Tensor:
    """Which indices nobody who stays takes in, shape (n,), or takes in as a constant that has a place to go."""
    if read.weight is None:
        return read.silent
    taken = read.weight if outputs is None else read.weight & ~gone[outputs]
    if read.fold is not None:
        taken = taken & read.fold.amounts.isnan()
    return read.silent | ~taken.any(1)


def _emptied(flow: Flow, gone: Tensor) -> Iterator[int]:
    """A label to keep of each dimension that would lose all: no layer of no nodes."""
    for dims in flow.parameters.values():
        for labels in dims:
            if labels is not None and bool(gone[roots := flow.labels.roots(labels)].all()):
                yield int(roots[0])


def _uneven(flow: Flow, gone: Tensor) -> Iterator[int]:
    """Labels to keep so that rows that must stay of one length do."""
    for rows in flow.balances:
        roots = flow.labels.roots(rows)
        fewest = int(gone[roots].sum(1).min())
        for row in roots:
            yield from row[gone[row]][fewest:].tolist()


def _kept(flow: Flow, dims: tuple[Tensor | None, ...], gone: Tensor) -> dict[int, Tensor]:
    going = {dim: gone[flow.labels.roots(labels)] for dim, labels in enumerate(dims) if labels is not None}
    return {dim: torch.nonzero(~mask).flatten() for dim, mask in going.items() if bool(mask.any())}


def _carries(flow: Flow, dims: tuple[Tensor | None, ...], labels: set[int]) -> bool:
    """Whether one of the labels is among those of a parameter."""
    return any(not labels.isdisjoint(flow.labels.roots(found).tolist()) for found in dims if found is not None)


def _folds(flow: Flow, gone: Tensor) -> dict[str, Tensor]:
    folds: dict[str, Tensor] = {}
    for read in flow.reads:
        inputs, outputs = _roots(flow, read)
        if read.fold is None or read.weight is None or read.fold.bias in folds:
            continue  # a shared layer reads the same constants wherever it is used
        stays = torch.ones(read.weight.shape[1], dtype=torch.bool) if outputs is None else ~gone[outputs]
        counted = read.weight & (gone[inputs] & ~read.silent)[:, None] & stays
        if bool(counted.any()):
            amount = torch.where(counted, read.fold.amounts, 0).sum(0)
            folds[read.fold.bias] = amount
    return folds


def obstacles(flow: Flow) -> dict[Pin, int]:
    """Why slices stay for good, and how many of the parameters' slices each reason holds."""
    pins = flow.labels.pins()
    found: dict[Pin, int] = {}
    for dims in flow.parameters.values():
        for labels in dims:
            for root in [] if labels is None else flow.labels.roots(labels).tolist():
                if root in pins:
                    found[pins[root]] = found.get(pins[root], 0) + 1
    return found
