"""Pooling and resampling: each channel by itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from thinnet.compaction.analyze._axes import Axes
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze.rules._base import constant_rule, dependency_rule

_POOLS = (
    *(f"{kind}_pool{d}d" for kind in ("avg", "max", "adaptive_avg") for d in (1, 2, 3)),
    *(f"_adaptive_avg_pool{d}d" for d in (2, 3)),
    *(f"max_pool{d}d_with_indices" for d in (2, 3)),
    *(f"adaptive_max_pool{d}d" for d in (1, 2, 3)),
    *(f"upsample_{kind}" for kind in ("nearest1d", "nearest2d", "nearest3d", "linear1d", "bilinear2d", "trilinear3d")),
    *("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "upsample_bicubic2d", "reflection_pad1d"),
    *("reflection_pad2d", "reflection_pad3d", "replication_pad1d", "replication_pad2d", "replication_pad3d"),
)


@constant_rule(*_POOLS)
def _(call: Call, outcome: Any) -> Any:
    name = "self" if "self" in call.arguments else "input"
    touched = call.run(**{name: call.value(name).varies.to(torch.float32)})
    if isinstance(outcome, Tensor):
        return touched.abs() > 0
    # where the largest was found, one cannot tell in advance
    return touched[0] > 0, torch.ones_like(outcome[1], dtype=torch.bool)


@dependency_rule(*_POOLS)
def _(call: Call, deps: DependencyGraph) -> Any:
    source = call["self"] if "self" in call.arguments else call["input"]
    spatial = next(d for d in (1, 2, 3) if f"{d}d" in call.name)
    first = deps.values[source].data.ndim - spatial
    axes: Axes = deps.singles(source)
    deps.pin([axis for axis in axes if axis.dims[0] >= first], call, "pools along it")
    kept = tuple(axis for axis in axes if axis.dims[0] < first)
    outcome = deps.values[call.node]
    return kept if not isinstance(outcome, tuple) else [kept, kept]
