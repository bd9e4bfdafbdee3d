"""A fitted estimator as one ONNX file: the columns of a table in, predictions out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from thinnet import __version__
from thinnet.compaction.export import Exported, Port, Session, written
from thinnet.errors import NotExportableError
from thinnet.tabular.columns._synthetic_rows import made_up
from thinnet.tabular.model.onnx._encoder import encoded, inputs_of
from thinnet.tabular.model.onnx._ensemble import mixed
from thinnet.tabular.model.onnx._graph import Graph

Dates = Literal["refuse", "days"]

_ROWS, _LIMIT = 500, 1e-4
"""Made-up rows that the file is compared on, and how far predictions may be apart, relative to the largest."""

_WHAT = "export_onnx"


def write_onnx(estimator: Any, path: str | Path, *, dates: Dates) -> Exported:
    """See `export_onnx` of the estimators."""
    inputs = inputs_of(estimator.schema_)
    _check(estimator, dates)
    graph = Graph(inputs)
    width = len(estimator.encoder_.columns)
    matrix = encoded(graph, estimator.encoder_, estimator.schema_)
    mean, variance = mixed(graph, estimator.ensemble_, matrix, width)
    outputs = _outputs(graph, estimator, mean, variance, {port.name for port in inputs})
    facts = {"estimator": type(estimator).__name__, "target": estimator.target_name_}
    if hasattr(estimator, "classes_"):
        facts["classes"] = json.dumps(estimator.classes_.tolist(), ensure_ascii=False)
    content = graph.model(outputs, facts, __version__)
    place = Path(path).expanduser()
    with written(place, _WHAT) as partial:
        partial.write_bytes(content)
        difference, tried = _compared(estimator, Session(partial))
        if not difference <= _LIMIT:
            raise NotExportableError(
                f"{_WHAT}: the file's predictions differ by {difference:.1e} of the largest, above {_LIMIT:.0e}; "
                "nothing was written."
            )
    return Exported(place, "ONNX", len(content), tuple(inputs), tuple(port for _, port in outputs), difference, tried)


def _check(estimator: Any, dates: Dates) -> None:
    """Refuse what ONNX cannot carry."""
    if dates not in ("refuse", "days"):
        raise ValueError(f'{_WHAT}: `dates` must be "refuse" or "days", got {dates!r}.')
    columns = estimator.schema_.columns
    dated = [column.name for column in columns if column.kind == "datetime"]
    if dated and dates == "refuse":
        raise NotExportableError(
            f"{_WHAT}: ONNX has no operation that reads dates, and column {', '.join(map(repr, dated))} holds them. "
            'Export with dates="days" (--dates-as-days): whoever runs the file then gives days since 1970-01-01.'
        )
    if any(column.name == "" for column in columns):
        raise NotExportableError(f"{_WHAT}: ONNX inputs need names, and a column has none. Name it, and fit again.")


def _outputs(graph: Graph, estimator: Any, mean: str, variance: str, taken: set[str]) -> list[tuple[str, Port]]:
    """What the file gives: values of the graph and what they are called."""

    def free(name: str) -> str:
        return name if name not in taken else free(f"{name}_")

    if hasattr(estimator, "classes_"):
        best = graph.add("ArgMax", mean, axis=1, keepdims=0)
        values, kind = _classes(graph, estimator.classes_)
        label = graph.add("Gather", values, best, axis=0)
        count = len(estimator.classes_)
        return [
            (label, Port(free("label"), kind, (None,), "the most probable class")),
            (mean, Port(free("probabilities"), "double", (None, count), "of every class, in the order of classes_")),
        ]
    axis, scale = graph.constant([1], np.int64), graph.constant(estimator.scale_)
    prediction = graph.add("Mul", graph.add("Squeeze", mean, axis), scale)
    prediction = graph.add("Add", prediction, graph.constant(estimator.mean_))
    spread = graph.add("Mul", graph.add("Squeeze", variance, axis), graph.constant(estimator.spread_.a))
    deviation = graph.add("Sqrt", graph.add("Add", spread, graph.constant(estimator.spread_.b)))
    return [
        (prediction, Port(free("prediction"), "double", (None,), "the predicted number")),
        (graph.add("Mul", deviation, scale), Port(free("std"), "double", (None,), "its standard deviation")),
    ]


def _classes(graph: Graph, classes: NDArray[Any]) -> tuple[str, str]:
    """The labels as a constant, and their kind."""
    match classes.dtype.kind:
        case "b":
            return graph.constant(classes, np.bool_), "bool"
        case "i" | "u":
            return graph.constant(classes, np.int64), "int64"
        case "f":
            return graph.constant(classes, np.float64), "double"
    return graph.texts([str(label) for label in classes]), "string"


def _compared(estimator: Any, session: Session) -> tuple[float, int]:
    """How far the file is from the estimator, relative to the largest prediction, and on how many rows."""
    frame = made_up(estimator.encoder_, estimator.schema_, _ROWS)
    # one row by itself, too: the number of rows is free
    return max(_difference(estimator, session, rows) for rows in (frame, frame[:1])), len(frame)


def _difference(estimator: Any, session: Session, frame: pd.DataFrame) -> float:
    first, second = session.run({name: frame[name].to_numpy() for name in session.inputs})
    x_ND = torch.from_numpy(estimator.encoder_.encode(frame))
    mean_NC, variance_NC = estimator.ensemble_.outputs(x_ND)
    if hasattr(estimator, "classes_"):
        # the label of the file's own probabilities: rounding may decide between two that are equal
        right = np.array_equal(first, estimator.classes_[second.argmax(1)])
        return _apart(mean_NC, second) if right else np.inf
    mean = estimator.mean_ + estimator.scale_ * mean_NC[:, 0]
    std = estimator.scale_ * estimator.spread_.std(variance_NC[:, 0])
    return max(_apart(mean, first), _apart(std, second))


def _apart(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    if ours.shape != theirs.shape or not np.isfinite(theirs).all():
        return np.inf
    return float(np.abs(ours - theirs).max() / max(np.abs(ours).max(), 1e-300))
