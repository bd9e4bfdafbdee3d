"""Schema and encoder as JSON and arrays of a saved model, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._one_hot import OneHotEncoder
from thinnet.tabular.columns._periodic import PeriodicEncoder
from thinnet.tabular.columns._piecewise_linear import PiecewiseLinearEncoder
from thinnet.tabular.columns._robust_scaler import RobustSmoothScaler
from thinnet.tabular.columns._schema import Column, Dropped, Schema

_PREFIX = "encoder."


def to_folder(schema: Schema, encoder: Encoder) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What a saved model says of its columns as JSON, and the encoder's numbers by name."""
    settings: dict[str, Any] = {
        "schema": {
            "columns": [[c.name, c.position, c.kind] for c in schema.columns],
            "dropped": [[d.column, d.reason] for d in schema.dropped],
            "notes": list(schema.notes),
            "width": schema.width,
            "labels": schema.labels,
        },
        "encoder": {
            "numbers": list(encoder.numbers),
            "gaps": list(encoder.gaps),
            "words": [[name, list(e.words), list(e.places), e.grouped] for name, e in encoder.words.items()],
        },
    }
    arrays: dict[str, Any] = {}
    if encoder.scaler:
        arrays |= {"center": encoder.scaler.center, "scale": encoder.scaler.scale}
    if encoder.bins:
        settings["encoder"]["reach"] = encoder.bins.reach
        arrays |= {
            "bins.medians": encoder.bins.medians,
            "bins.edges": np.concatenate(encoder.bins.edges),
            "bins.counts": np.array([len(edges) for edges in encoder.bins.edges]),
        }
    for part, waves in (("slow", encoder.slow), ("fast", encoder.fast)):
        if waves:
            values = {"frequencies": waves.frequencies, "mean": waves.mean, "deviation": waves.deviation}
            arrays |= {f"{part}.{name}": value for name, value in values.items()}
    return settings, {_PREFIX + name: array for name, array in arrays.items()}


def from_folder(settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> tuple[Schema, Encoder]:
    """The schema and the encoder that `to_folder` wrote."""
    table, parts = settings["schema"], settings["encoder"]
    schema = Schema(
        tuple(Column(*column) for column in table["columns"]),
        tuple(Dropped(*dropped) for dropped in table["dropped"]),
        tuple(table["notes"]),
        table["width"],
        table["labels"],
    )
    numbers = {name.removeprefix(_PREFIX): a for name, a in arrays.items() if name.startswith(_PREFIX)}
    bins = None
    if "bins.medians" in numbers:
        cuts = np.cumsum(numbers["bins.counts"])[:-1]
        bins = PiecewiseLinearEncoder(np.split(numbers["bins.edges"], cuts), numbers["bins.medians"], parts["reach"])
    slow, fast = (
        PeriodicEncoder(*(numbers[f"{part}.{name}"] for name in ("frequencies", "mean", "deviation")))
        if f"{part}.mean" in numbers
        else None
        for part in ("slow", "fast")
    )
    return schema, Encoder(
        tuple(parts["numbers"]),
        RobustSmoothScaler(numbers["center"], numbers["scale"]) if "center" in numbers else None,
        bins,
        slow,
        fast,
        tuple(parts["gaps"]),
        {name: OneHotEncoder(words, places, grouped) for name, words, places, grouped in parts["words"]},
    )
