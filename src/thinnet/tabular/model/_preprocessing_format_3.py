"""Schema and encoder of folders up to format 3, which held serialized objects; here they are read as plain data.

`preprocessing.skops` is a zip of a `schema.json`, a tree of nodes that each name a class, and of arrays in numpy's own
format. Nothing that it names is looked up, imported or called.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._one_hot import OneHotEncoder
from thinnet.tabular.columns._periodic import PeriodicEncoder
from thinnet.tabular.columns._piecewise_linear import PiecewiseLinearEncoder
from thinnet.tabular.columns._robust_scaler import RobustSmoothScaler
from thinnet.tabular.columns._schema import Column, Dropped, Schema


def read_format_3(content: bytes) -> tuple[Schema, Encoder]:
    """The schema and the encoder of a `preprocessing.skops`.

    Raises:
        Exception: of whatever kind, if it is anything else.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        objects = _value(json.loads(archive.read("schema.json")), archive, {})
    table = objects["schema"]
    schema = Schema(
        tuple(Column(c["name"], c["position"], c["kind"]) for c in table["columns"]),
        tuple(Dropped(d["column"], d["reason"]) for d in table["dropped"]),
        tuple(table["notes"]),
        table["width"],
        table["labels"],
    )
    parts = {part: (tuple(names), it) for part, it, names in objects["encoder"]["transformer_"]["transformers_"]}
    none: tuple[tuple[str, ...], dict[str, Any]] = ((), {})
    numbers, numeric = parts.get("numeric", none)
    scaler = numeric["steps"][0][1] if numeric else {}
    bins = parts.get("bins", none)[1]
    names, words = parts.get("onehot", none)
    return schema, Encoder(
        numbers,
        RobustSmoothScaler(scaler["center_"], scaler["scale_"]) if scaler else None,
        PiecewiseLinearEncoder(bins["edges_"], bins["medians_"], bins["reach"]) if bins else None,
        _waves(parts.get("slow", none)[1]),
        _waves(parts.get("fast", none)[1]),
        parts.get("missing", none)[0],
        {name: _words(words, i) for i, name in enumerate(names)},
    )


def _waves(pipeline: Mapping[str, Any]) -> PeriodicEncoder | None:
    if not pipeline:
        return None
    fitted = pipeline["steps"][-1][1]
    return PeriodicEncoder(fitted["frequencies_"], fitted["mean_"], fitted["deviation_"])


def _words(fitted: Mapping[str, Any], i: int) -> OneHotEncoder:
    words, places = fitted["categories_"][i], fitted["_default_to_infrequent_mappings"][i]
    return OneHotEncoder(words, range(len(words)) if places is None else places.tolist(), places is not None)


def _value(node: Any, archive: zipfile.ZipFile, known: dict[int, Any]) -> Any:
    """What a node says: attributes by name for an object, None for a class or anything else that is no data."""
    content = node.get("content")
    match node["__loader__"]:
        case "CachedNode":
            return known[node["__id__"]]
        case "JsonNode":
            value: Any = json.loads(content)
        case "DictNode":
            value = {name: _value(child, archive, known) for name, child in content.items()}
        case "ObjectNode":
            value = _value(content, archive, known)
        case "ListNode" | "TupleNode":
            value = [_value(child, archive, known) for child in content]
        case "NdArrayNode" if node["type"] == "numpy":
            value = np.load(io.BytesIO(archive.read(node["file"])), allow_pickle=False)
        case "NdArrayNode":  # of texts
            value = [_value(child, archive, known) for child in content]
        case _:
            value = None
    known[node["__id__"]] = value
    return value
