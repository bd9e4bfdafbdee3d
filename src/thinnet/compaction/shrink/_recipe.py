"""What was kept of a model as JSON, from which `rebuild` makes the same shape again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thinnet.compaction.analyze._decide import Decision
from thinnet.compaction.analyze._dependency_graph import Flow

VERSION = 1


def recipe_of(flow: Flow, decision: Decision, attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What `rebuild` needs, as JSON: slices that stay, of which shapes, and attributes that change."""
    return {
        "version": VERSION,
        "before": {name: list(flow.tensor(name).shape) for name in decision.kept},
        "kept": {
            name: {str(dim): indices.tolist() for dim, indices in dims.items()} for name, dims in decision.kept.items()
        },
        "attributes": {
            path: {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
            for path, values in attributes.items()
        },
    }


def composed(first: dict[str, Any] | None, then: dict[str, Any]) -> dict[str, Any]:
    """Two recipes as one, the second of which is of a model that the first was made on."""
    if first is None:
        return then
    kept = {name: dict(dims) for name, dims in first["kept"].items()}
    for name, dims in then["kept"].items():
        for dim, indices in dims.items():
            known = kept.setdefault(name, {}).get(dim)
            kept[name][dim] = indices if known is None else [known[i] for i in indices]
    attributes = {path: dict(values) for path, values in first["attributes"].items()}
    for path, values in then["attributes"].items():
        attributes[path] = attributes.get(path, {}) | values
    return {**then, "before": then["before"] | first["before"], "kept": kept, "attributes": attributes}
