"""An ONNX graph, built operation by operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thinnet.compaction.export import Port, required

_OPSETS = {"": 15, "ai.onnx.ml": 2}
_IR = 8
"""Old versions on purpose: every onnxruntime of these years runs them."""

_PREFIX = "thinnet/"


class Graph:
    """Operations on named values; every method that adds one returns the name of its outcome.

    Args:
        inputs: what the graph takes, one value a row each.
    """

    def __init__(self, inputs: Sequence[Port]) -> None:
        self._onnx, self._numpy = required("onnx.helper", "onnx.numpy_helper")
        self._kinds = required("onnx")[0].TensorProto
        self._inputs = [self._value(port) for port in inputs]
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, operation: str, *operands: str, domain: str = "", **attributes: Any) -> str:
        """The outcome of an operation."""
        name = f"{_PREFIX}{len(self._nodes)}"
        self._nodes.append(self._onnx.make_node(operation, operands, [name], name, domain=domain, **attributes))
        return name

    def constant(self, value: Any, kind: type[np.generic] | np.dtype[Any] = np.float64) -> str:
        """A constant array."""
        name = f"{_PREFIX}c{len(self._constants)}"
        self._constants.append(self._numpy.from_array(np.ascontiguousarray(np.asarray(value, dtype=kind)), name))
        return name

    def texts(self, values: Sequence[str]) -> str:
        """A constant array of text."""
        name = f"{_PREFIX}c{len(self._constants)}"
        encoded = [value.encode() for value in values]
        self._constants.append(self._onnx.make_tensor(name, self._kinds.STRING, [len(encoded)], encoded))
        return name

    def cast(self, value: str, kind: str) -> str:
        """Another kind of number: "float", "double", "int64"."""
        return self.add("Cast", value, to=getattr(self._kinds, kind.upper()))

    def beside(self, values: Sequence[str]) -> str:
        """Matrices side by side."""
        return self.add("Concat", *values, axis=1) if len(values) > 1 else values[0]

    def columns(self, matrix: str, indices: Sequence[int] | NDArray[Any]) -> str:
        """Columns of a matrix, in this order."""
        return self.add("Gather", matrix, self.constant(indices, np.int64), axis=1)

    def model(self, outputs: Sequence[tuple[str, Port]], facts: dict[str, str], library: str) -> bytes:
        """The file's content.

        Args:
            outputs: values and what they are called outside.
            facts: what the file says of itself.
            library: version of thinnet.
        """
        nodes = [
            *self._nodes,
            *(
                self._onnx.make_node("Identity", [value], [port.name], f"{_PREFIX}o{i}")
                for i, (value, port) in enumerate(outputs)
            ),
        ]
        graph = self._onnx.make_graph(
            nodes, "thinnet", self._inputs, [self._value(port) for _, port in outputs], self._constants
        )
        opsets = [self._onnx.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
        model = self._onnx.make_model(
            graph, opset_imports=opsets, ir_version=_IR, producer_name="thinnet", producer_version=library
        )
        self._onnx.set_model_props(model, facts)
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def _value(self, port: Port) -> Any:
        shape = ["rows" if n is None else n for n in port.shape]
        kind = getattr(self._kinds, port.kind.upper())
        return self._onnx.make_tensor_value_info(port.name, kind, shape, doc_string=port.meaning)
