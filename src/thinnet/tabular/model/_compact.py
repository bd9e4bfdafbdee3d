"""The removal of dead nodes from an ensemble: the same predictions from smaller networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from thinnet._timing import latencies
from thinnet.errors import NotCompactableError
from thinnet.tabular.columns._synthetic_rows import made_up
from thinnet.tabular.model._compacted import CompactedTable
from thinnet.tabular.model._dead_nodes import narrowed
from thinnet.tabular.model._network_blocks import Array, Block
from thinnet.tabular.model._table_model import TableModel

_ROWS = 1000
"""Synthetic rows on which predictions are compared and timed."""

_SECONDS = 2.0
"""About how long predictions of each number of rows are timed."""

_LIMIT = 1e-5
"""How far predictions may be apart, relative to the largest: rounding in float32."""


def compact_model(model: TableModel) -> tuple[TableModel, CompactedTable]:
    """Remove dead nodes and unused inputs from a model's networks, and compare predictions.

    Returns:
        The smaller model, and what was done. The given one is not changed.

    Raises:
        NotCompactableError: the smaller networks would predict something else.
    """
    before = model.ensemble
    frame = made_up(model.encoder, model.schema, _ROWS)
    blocks, order, sizes = narrowed(before.blocks)
    temperatures_K = None if before.temperatures_K is None else before.temperatures_K[order]
    after = replace(before, blocks=blocks, weights_K=before.weights_K[order], temperatures_K=temperatures_K)
    small = replace(model, ensemble=after)
    pairs = zip(model.outputs_of(frame), small.outputs_of(frame), strict=True)
    difference = max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)) for a, b in pairs)
    if not difference <= _LIMIT:
        raise NotCompactableError(
            f"compact: the smaller networks' predictions differ by {difference:.1e} of the largest, above "
            f"{_LIMIT:.0e}; the estimator is unchanged."
        )

    def latency(rows: int) -> tuple[float, float]:
        old, new = latencies([partial(one.outputs_of, frame[:rows]) for one in (model, small)], seconds=_SECONDS)
        return old, new

    old, new = _arrays(before.blocks), _arrays(blocks)
    return small, CompactedTable(
        members=sizes,
        parameters=(sum(a.size for a in old), sum(a.size for a in new)),
        size=(sum(a.nbytes for a in old), sum(a.nbytes for a in new)),
        latency={rows: latency(rows) for rows in (1, _ROWS)},
        difference=difference,
    )


def _arrays(blocks: Sequence[Block]) -> list[Array]:
    return [array for block in blocks for array in block.arrays]
