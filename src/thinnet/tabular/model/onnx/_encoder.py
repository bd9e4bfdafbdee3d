"""The encoder as ONNX operations: raw columns in, the matrix that networks read out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pandas as pd

from thinnet.compaction.export import Port
from thinnet.tabular.columns._cells import MISSING_TEXTS, Kind
from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._periodic import PeriodicEncoder
from thinnet.tabular.columns._piecewise_linear import PiecewiseLinearEncoder
from thinnet.tabular.columns._robust_scaler import RobustSmoothScaler
from thinnet.tabular.columns._schema import Schema
from thinnet.tabular.columns._synthetic_rows import UNSEEN, learnt_categories, parts
from thinnet.tabular.model.onnx._graph import Graph

_BOUND = 3.0
"""Where `smooth_clip` bends numbers to."""

MEANINGS = {
    "numeric": "a number, or NaN",
    "datetime": "days since 1970-01-01 UTC, or NaN",
    "categorical": 'text, or ""',
    "boolean": '"True", "False" or ""',
}
"""What an input holds, and what stands for a missing value."""


def inputs_of(schema: Schema) -> list[Port]:
    """The columns in use, one value a row each."""
    return [
        Port(c.name, "double" if c.kind in ("numeric", "datetime") else "string", (None,), MEANINGS[c.kind])
        for c in schema.columns
    ]


def encoded(graph: Graph, encoder: Encoder, schema: Schema) -> str:
    """The encoded rows, (rows, len(encoder.columns_)), of floats."""
    found = parts(encoder)
    place = {c.name: i for i, c in enumerate(c for c in schema.columns if c.kind in ("numeric", "datetime"))}
    matrix = missing = ""
    if place:
        axis = graph.constant([1], np.int64)
        matrix = graph.beside([graph.add("Unsqueeze", name, axis) for name in place])
        missing = graph.add("IsNaN", matrix)
    outcomes: list[str | None] = []
    for part, (names, transformer) in found.items():
        if part == "onehot":
            outcomes += _categories(graph, encoder, schema)
            continue
        indices = [place[name] for name in names]
        absent = graph.columns(missing, indices)
        if part == "missing":
            outcomes.append(graph.cast(absent, "float"))
            continue
        values = graph.columns(matrix, indices)
        if part == "bins":
            outcomes.append(_bins(graph, values, absent, transformer))
        else:
            scaled = _scaled(graph, values, absent, transformer[0])
            outcomes.append(scaled if part == "numeric" else _waves(graph, scaled, transformer[-1]))
    return graph.beside([outcome for outcome in outcomes if outcome is not None])


def _scaled(graph: Graph, values: str, absent: str, scaler: RobustSmoothScaler) -> str:
    """Scaled and smoothly clipped; a missing value is at the median, 0."""
    center = graph.constant(scaler.center_)
    values = graph.add("Where", absent, center, values)
    z = graph.add("Div", graph.add("Sub", values, center), graph.constant(scaler.scale_))
    z = graph.add("Min", graph.add("Max", z, graph.constant(-1e6 * _BOUND)), graph.constant(1e6 * _BOUND))
    share = graph.add("Div", z, graph.constant(_BOUND))
    root = graph.add("Sqrt", graph.add("Add", graph.add("Mul", share, share), graph.constant(1.0)))
    return graph.cast(graph.add("Div", z, root), "float")


def _bins(graph: Graph, values: str, absent: str, encoder: PiecewiseLinearEncoder) -> str | None:
    """Piecewise-linear; None where no column has bins."""
    binned = [(i, edges) for i, edges in enumerate(encoder.edges_) if len(edges)]
    if not binned:
        return None
    lowest, highest = ([np.full(len(edges) - 1, bound) for _, edges in binned] for bound in (0.0, 1.0))
    for low, high in zip(lowest, highest, strict=True):
        low[0], high[-1] = -encoder.reach, 1 + encoder.reach
    values = graph.add("Where", absent, graph.constant(encoder.medians_), values)
    values = graph.columns(values, np.repeat([i for i, _ in binned], [len(edges) - 1 for _, edges in binned]))
    above = graph.add("Sub", values, graph.constant(np.concatenate([edges[:-1] for _, edges in binned])))
    share = graph.add("Div", above, graph.constant(np.concatenate([np.diff(edges) for _, edges in binned])))
    share = graph.add("Max", share, graph.constant(np.concatenate(lowest)))
    return graph.cast(graph.add("Min", share, graph.constant(np.concatenate(highest))), "float")


def _waves(graph: Graph, scaled: str, encoder: PeriodicEncoder) -> str:
    """Cosines, which are sines a quarter turn ahead, and sines."""
    m, columns = len(encoder.frequencies_), len(encoder.mean_)
    z = graph.add("Sub", graph.cast(scaled, "double"), graph.constant(encoder.mean_))
    z = graph.columns(graph.add("Div", z, graph.constant(encoder.deviation_)), np.repeat(np.arange(columns), 2 * m))
    angles = graph.add("Mul", z, graph.constant(np.tile(encoder.frequencies_, 2 * columns)))
    ahead = np.tile(np.repeat([np.pi / 2, 0.0], m), columns)
    return graph.cast(graph.add("Sin", graph.add("Add", angles, graph.constant(ahead))), "float")


def _categories(graph: Graph, encoder: Encoder, schema: Schema) -> Iterator[str]:
    """Of every column of categories: a row of a table for each text, which is what the encoder itself makes of it."""
    words = learnt_categories(encoder)
    longest = max(len(known) for known in words.values()) + 1
    frame = {}
    for column in schema.columns:
        known = words.get(column.name)
        cells = [0.0] * longest if known is None else [*known, *[UNSEEN] * (longest - len(known))]
        frame[column.name] = pd.Series(cells, dtype=np.float64 if known is None else object)
    outcomes = encoder.transform(pd.DataFrame(frame))
    kinds = {column.name: column.kind for column in schema.columns}
    for name, known in words.items():
        own = [i for i, source in enumerate(encoder.columns_) if source == (name, "onehot")]
        if not own:
            continue
        places = {text: i for i, word in enumerate(known) for text in _spellings(word, kinds[name])}
        index = graph.add(
            "LabelEncoder",
            name,
            domain="ai.onnx.ml",
            keys_strings=list(places),
            values_int64s=list(places.values()),
            default_int64=len(known),
        )
        yield graph.add("Gather", graph.constant(outcomes[: len(known) + 1, own], np.float32), index, axis=0)


def _spellings(word: str, kind: Kind) -> list[str]:
    """Every text that `read_column` reads as this category, spaces aside."""
    if word == "":
        return sorted(MISSING_TEXTS)
    if kind != "boolean":
        return [word]
    cases = ["".join(signs) for signs in product(*((c.lower(), c.upper()) for c in word))]
    return [*cases, {"True": "1", "False": "0"}[word]]
