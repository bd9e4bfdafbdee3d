"""The encoder as ONNX operations: raw columns in, the matrix that networks read out."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from thinnet.compaction.export import Port
from thinnet.tabular.columns._cells import MISSING_TEXTS, Kind
from thinnet.tabular.columns._encoder import Encoder
from thinnet.tabular.columns._one_hot import OneHotEncoder
from thinnet.tabular.columns._periodic import PeriodicEncoder
from thinnet.tabular.columns._piecewise_linear import PiecewiseLinearEncoder
from thinnet.tabular.columns._robust_scaler import BOUND, RobustSmoothScaler
from thinnet.tabular.columns._schema import Schema
from thinnet.tabular.columns._synthetic_rows import UNSEEN
from thinnet.tabular.model.onnx._graph import Graph

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
    """The encoded rows, (rows, len(encoder.columns)), of floats."""
    place = {c.name: i for i, c in enumerate(c for c in schema.columns if c.kind in ("numeric", "datetime"))}
    outcomes: list[str] = []
    if place:
        axis = graph.constant([1], np.int64)
        matrix = graph.beside([graph.add("Unsqueeze", name, axis) for name in place])
        missing = graph.add("IsNaN", matrix)
    if encoder.scaler:
        indices = [place[name] for name in encoder.numbers]
        absent, values = graph.columns(missing, indices), graph.columns(matrix, indices)
        scaled = _scaled(graph, values, absent, encoder.scaler)
        outcomes.append(scaled)
        if encoder.bins and sum(encoder.bins.widths):
            outcomes.append(_bins(graph, values, absent, encoder.bins))
        outcomes += [_waves(graph, scaled, waves) for waves in (encoder.slow, encoder.fast) if waves]
    if encoder.gaps:
        outcomes.append(graph.cast(graph.columns(missing, [place[name] for name in encoder.gaps]), "float"))
    kinds = {column.name: column.kind for column in schema.columns}
    outcomes += [_words(graph, name, words, kinds[name]) for name, words in encoder.words.items() if words.width]
    return graph.beside(outcomes)


def _scaled(graph: Graph, values: str, absent: str, scaler: RobustSmoothScaler) -> str:
    """Scaled and smoothly clipped; a missing value is at the median, 0."""
    center = graph.constant(scaler.center)
    values = graph.add("Where", absent, center, values)
    z = graph.add("Div", graph.add("Sub", values, center), graph.constant(scaler.scale))
    z = graph.add("Min", graph.add("Max", z, graph.constant(-1e6 * BOUND)), graph.constant(1e6 * BOUND))
    share = graph.add("Div", z, graph.constant(BOUND))
    root = graph.add("Sqrt", graph.add("Add", graph.add("Mul", share, share), graph.constant(1.0)))
    return graph.cast(graph.add("Div", z, root), "float")


def _bins(graph: Graph, values: str, absent: str, encoder: PiecewiseLinearEncoder) -> str:
    """Piecewise-linear."""
    binned = [(i, edges) for i, edges in enumerate(encoder.edges) if len(edges)]
    lowest, highest = ([np.full(len(edges) - 1, bound) for _, edges in binned] for bound in (0.0, 1.0))
    for low, high in zip(lowest, highest, strict=True):
        low[0], high[-1] = -encoder.reach, 1 + encoder.reach
    values = graph.add("Where", absent, graph.constant(encoder.medians), values)
    values = graph.columns(values, np.repeat([i for i, _ in binned], [len(edges) - 1 for _, edges in binned]))
    above = graph.add("Sub", values, graph.constant(np.concatenate([edges[:-1] for _, edges in binned])))
    share = graph.add("Div", above, graph.constant(np.concatenate([np.diff(edges) for _, edges in binned])))
    share = graph.add("Max", share, graph.constant(np.concatenate(lowest)))
    return graph.cast(graph.add("Min", share, graph.constant(np.concatenate(highest))), "float")


def _waves(graph: Graph, scaled: str, encoder: PeriodicEncoder) -> str:
    """Cosines, which are sines a quarter turn ahead, and sines."""
    m, columns = len(encoder.frequencies), len(encoder.mean)
    z = graph.add("Sub", graph.cast(scaled, "double"), graph.constant(encoder.mean))
    z = graph.columns(graph.add("Div", z, graph.constant(encoder.deviation)), np.repeat(np.arange(columns), 2 * m))
    angles = graph.add("Mul", z, graph.constant(np.tile(encoder.frequencies, 2 * columns)))
    ahead = np.tile(np.repeat([np.pi / 2, 0.0], m), columns)
    return graph.cast(graph.add("Sin", graph.add("Add", angles, graph.constant(ahead))), "float")


def _words(graph: Graph, name: str, encoder: OneHotEncoder, kind: Kind) -> str:
    """A row of a table for each text, which is what the encoder itself makes of it; the last row is for unseen ones."""
    known = list(encoder.words)
    outcomes = encoder.encode(pd.Series([*known, UNSEEN], dtype=object))
    places = {text: i for i, word in enumerate(known) for text in _spellings(word, kind)}
    index = graph.add(
        "LabelEncoder",
        name,
        domain="ai.onnx.ml",
        keys_strings=list(places),
        values_int64s=list(places.values()),
        default_int64=len(known),
    )
    return graph.add("Gather", graph.constant(outcomes, np.float32), index, axis=0)


def _spellings(word: str, kind: Kind) -> list[str]:
    """Every text that `read_column` reads as this category, spaces aside."""
    if word == "":
        return sorted(MISSING_TEXTS)
    if kind != "boolean":
        return [word]
    cases = ["".join(signs) for signs in product(*((c.lower(), c.upper()) for c in word))]
    return [*cases, {"True": "1", "False": "0"}[word]]
