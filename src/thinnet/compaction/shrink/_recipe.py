"""Recipes: the indices kept of each parameter and the changed attributes of a compaction, as JSON for `rebuild`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thinnet.compaction.analyze._decide import Decision
from thinnet.compaction.analyze._dependency_graph import DependencyGraph

VERSION = 1


def recipe_of(deps: DependencyGraph, decision: Decision, attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The recipe that `rebuild` takes, as JSON: shapes before, indices that are kept, attributes that change."""
    return {
        "version": VERSION,
        "before": {name: list(deps.tensor(name).shape) for name in decision.kept},
        "kept": {
            name: {str(dim): indices.tolist() for dim, indices in dims.items()} for name, dims in decision.kept.items()
        },
        "attributes": {
            path: {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
            for path, values in attributes.items()
        },
    }


def composed(first: dict[str, Any] | None, then: dict[str, Any]) -> dict[str, Any]:
    """The composition of two recipes, the second of a model that the first had made smaller."""
    if first is None:
        return then
    kept = {name: dict(dims) for name, dims in first["kept"].items()}
    for name, dims in then["kept"].items():
        for dim, indices in dims.items():
            before = kept.setdefault(name, {}).get(dim)
            kept[name][dim] = indices if before is None else [before[i] for i in indices]
    attributes = {path: dict(values) for path, values in first["attributes"].items()}
    for path, values in then["attributes"].items():
        attributes[path] = attributes.get(path, {}) | values
    return {**then, "before": then["before"] | first["before"], "kept": kept, "attributes": attributes}
