"""A fitted model as one ONNX file: the columns of a table in, predictions out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thinnet import __version__
from thinnet.compaction.export import Exported, Port, Session, written
from thinnet.errors import NotExportableError
from thinnet.tabular.columns._synthetic_rows import made_up
from thinnet.tabular.model._head import ClassHead, Head
from thinnet.tabular.model._table_model import TableModel
from thinnet.tabular.model.onnx._encoder import encoded, inputs_of
from thinnet.tabular.model.onnx._ensemble import mixed
from thinnet.tabular.model.onnx._graph import Graph

Dates = Literal["refuse", "days"]

_ROWS, _LIMIT = 500, 1e-4
"""Made-up rows that the file is compared on, and how far predictions may be apart, relative to the largest."""

_WHAT = "export_onnx"


def write_onnx(model: TableModel, path: str | Path, *, target: str, dates: Dates) -> Exported:
    """Write a model as one ONNX file and compare its predictions, as `export_onnx` of the estimators says.

    Args:
        model: predicts.
        path: the file.
        target: name of the target, which the file says.
        dates: what becomes of columns of dates.
    """
    inputs = inputs_of(model.schema)
    _check(model, dates)
    graph = Graph(inputs)
    matrix = encoded(graph, model.encoder, model.schema)
    mean, variance = mixed(graph, model.ensemble, matrix, len(model.encoder.columns))
    outputs = _outputs(graph, model.head, mean, variance, {port.name for port in inputs})
    facts = {"estimator": model.head.estimator, "target": target}
    if isinstance(model.head, ClassHead):
        facts["classes"] = json.dumps(model.head.classes.tolist(), ensure_ascii=False)
    content = graph.model(outputs, facts, __version__)
    place = Path(path).expanduser()
    with written(place, _WHAT) as partial:
        partial.write_bytes(content)
        difference, tried = _compared(model, Session(partial))
        if not difference <= _LIMIT:
            raise NotExportableError(
                f"{_WHAT}: the file's predictions differ by {difference:.1e} of the largest, above {_LIMIT:.0e}; "
                "nothing was written."
            )
    return Exported(place, "ONNX", len(content), tuple(inputs), tuple(port for _, port in outputs), difference, tried)


def _check(model: TableModel, dates: Dates) -> None:
    """Refuse what ONNX cannot carry."""
    if dates not in ("refuse", "days"):
        raise ValueError(f'{_WHAT}: `dates` must be "refuse" or "days", got {dates!r}.')
    columns = model.schema.columns
    dated = [column.name for column in columns if column.kind == "datetime"]
    if dated and dates == "refuse":
        raise NotExportableError(
            f"{_WHAT}: ONNX has no operation that reads dates, and column {', '.join(map(repr, dated))} holds them. "
            'Export with dates="days" (--dates-as-days): whoever runs the file then gives days since 1970-01-01.'
        )
    if any(column.name == "" for column in columns):
        raise NotExportableError(f"{_WHAT}: ONNX inputs need names, and a column has none. Name it, and fit again.")


def _outputs(graph: Graph, head: Head, mean: str, variance: str, taken: set[str]) -> list[tuple[str, Port]]:
    """What the file gives: values of the graph and what they are called."""

    def free(name: str) -> str:
        return name if name not in taken else free(f"{name}_")

    if isinstance(head, ClassHead):
        best = graph.add("ArgMax", mean, axis=1, keepdims=0)
        values, kind = _classes(graph, head.classes)
        label = graph.add("Gather", values, best, axis=0)
        count = len(head.classes)
        return [
            (label, Port(free("label"), kind, (None,), "the most probable class")),
            (mean, Port(free("probabilities"), "double", (None, count), "of every class, in the order of classes_")),
        ]
    axis, scale = graph.constant([1], np.int64), graph.constant(head.scale)
    prediction = graph.add("Mul", graph.add("Squeeze", mean, axis), scale)
    prediction = graph.add("Add", prediction, graph.constant(head.mean))
    spread = graph.add("Mul", graph.add("Squeeze", variance, axis), graph.constant(head.variance.a))
    deviation = graph.add("Sqrt", graph.add("Add", spread, graph.constant(head.variance.b)))
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


def _compared(model: TableModel, session: Session) -> tuple[float, int]:
    """How far the file is from the model, relative to the largest prediction, and on how many rows."""
    frame = made_up(model.encoder, model.schema, _ROWS)
    # one row by itself, too: the number of rows is free
    return max(_difference(model, session, rows) for rows in (frame, frame[:1])), len(frame)


def _difference(model: TableModel, session: Session, frame: pd.DataFrame) -> float:
    first, second = session.run({name: frame[name].to_numpy() for name in session.inputs})
    mean_NC, variance_NC = model.outputs_of(frame)
    if isinstance(model.head, ClassHead):
        # the label of the file's own probabilities: rounding may decide between two that are equal
        right = np.array_equal(first, model.head.classes[second.argmax(1)])
        return _apart(mean_NC, second) if right else np.inf
    prediction, std = model.head.predict(mean_NC, variance_NC), model.head.std(variance_NC)
    return max(_apart(prediction, first), _apart(std, second))


def _apart(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    if ours.shape != theirs.shape or not np.isfinite(theirs).all():
        return np.inf
    return float(np.abs(ours - theirs).max() / max(np.abs(ours).max(), 1e-300))
