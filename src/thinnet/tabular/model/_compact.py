"""An ensemble's dead nodes removed: the same predictions from smaller networks."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from thinnet.errors import NotCompactableError
from thinnet.tabular.columns._synthetic_rows import made_up
from thinnet.tabular.model._compacted import CompactedTable
from thinnet.tabular.model._dead_nodes import narrowed

if TYPE_CHECKING:
    from thinnet.tabular._estimator import ThinNetClassifier, ThinNetRegressor

_ROWS = 1000
"""Made-up rows on which predictions are compared and timed."""

_SECONDS = 1.0
"""About how long predictions of each number of rows are timed."""

_LIMIT = 1e-5
"""How far predictions may be apart, relative to the largest: rounding in float32."""

Estimator = TypeVar("Estimator", bound="ThinNetClassifier | ThinNetRegressor")


def compact_estimator(estimator: Estimator) -> tuple[Estimator, CompactedTable]:
    """See `compact` of the estimators."""
    before = estimator.ensemble_
    frame = made_up(estimator.encoder_, estimator.schema_, _ROWS)
    x_ND = torch.from_numpy(estimator.encoder_.encode(frame))
    network, order, sizes = narrowed(before.stack)
    temperatures_K = None if before.temperatures_K is None else before.temperatures_K[order]
    after = replace(before, stack=network, weights_K=before.weights_K[order], temperatures_K=temperatures_K)
    pairs = zip(before.outputs(x_ND), after.outputs(x_ND), strict=True)
    difference = max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)) for a, b in pairs)
    if not difference <= _LIMIT:
        raise NotCompactableError(
            f"compact: the smaller networks' predictions differ by {difference:.1e} of the largest, above "
            f"{_LIMIT:.0e}; the estimator is unchanged."
        )
    small = copy.copy(estimator)
    small.ensemble_ = after

    def predict(one: Estimator, rows: int) -> Callable[[], object]:
        return lambda: one.ensemble_.outputs(torch.from_numpy(one.encoder_.encode(frame[:rows])))

    old, new = (list(net.parameters()) for net in (before.stack, network))
    return small, CompactedTable(
        members=sizes,
        parameters=(sum(p.numel() for p in old), sum(p.numel() for p in new)),
        size=(sum(p.nbytes for p in old), sum(p.nbytes for p in new)),
        latency={rows: _latencies(predict(estimator, rows), predict(small, rows)) for rows in (1, _ROWS)},
        difference=difference,
    )


def _latencies(before: Callable[[], object], after: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of each, run in turn so that both meet the same machine."""
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + _SECONDS
    while len(times[0]) < 5 or time.perf_counter() < end:
        for call, taken in zip((before, after), times, strict=True):
            began = time.perf_counter()
            call()
            taken.append(time.perf_counter() - began)
    return statistics.median(times[0]), statistics.median(times[1])
