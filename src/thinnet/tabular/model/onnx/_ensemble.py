"""The ensemble as ONNX operations: encoded rows in, mean and variance of its networks out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thinnet.tabular.model._ensemble import FLOOR, Ensemble
from thinnet.tabular.model._network_blocks import Block
from thinnet.tabular.model.onnx._graph import Graph

if TYPE_CHECKING:
    from thinnet.stack import Activation


def mixed(graph: Graph, ensemble: Ensemble, encoded: str, width: int) -> tuple[str, str]:
    """Weighted mean and variance over networks of probabilities or outputs, (rows, C) of doubles each.

    Args:
        graph: what the operations are added to.
        ensemble: the networks and their weights.
        encoded: the encoded rows, (rows, width).
        width: their columns.
    """
    outputs = [_block(graph, block, encoded, width) for block in ensemble.blocks]
    values = graph.add("Concat", *outputs, axis=0) if len(outputs) > 1 else outputs[0]
    values = graph.cast(values, "double")
    if ensemble.temperatures_K is not None:
        values = graph.add("Div", values, graph.constant(ensemble.temperatures_K[:, None, None]))
        values = graph.add("Softmax", values, axis=-1)
    weights, over = graph.constant(ensemble.weights_K[:, None, None]), graph.constant([0], np.int64)
    mean = graph.add("ReduceSum", graph.add("Mul", weights, values), over, keepdims=0)
    apart = graph.add("Sub", values, mean)
    squares = graph.add("Mul", weights, graph.add("Mul", apart, apart))
    variance = graph.add("ReduceSum", squares, over, keepdims=0)
    return mean if ensemble.temperatures_K is None else _sharpened(graph, mean, ensemble.temperature), variance


def _block(graph: Graph, block: Block, encoded: str, width: int) -> str:
    """The outputs of the networks of a block, (k, rows, C) of floats."""
    seen = block.seen.tolist()
    h = encoded if seen == list(range(width)) else graph.columns(encoded, seen)
    last = len(block.weights) - 1
    for i, (weight, bias) in enumerate(zip(block.weights, block.biases, strict=True)):
        h = graph.add("MatMul", h, graph.constant(weight.transpose(0, 2, 1), np.float32))
        h = graph.add("Add", h, graph.constant(bias[:, None], np.float32))
        h = _activated(graph, h, block.activation) if i < last else h
    return h


def _activated(graph: Graph, z: str, activation: Activation) -> str:
    match activation:
        case "relu":
            return graph.add("Relu", z)
        case "tanh":
            return graph.add("Tanh", z)
        case "silu":
            return graph.add("Mul", z, graph.add("Sigmoid", z))
        case "gelu":
            error = graph.add("Erf", graph.add("Mul", z, graph.constant(np.sqrt(0.5), np.float32)))
            half = graph.add("Mul", z, graph.constant(0.5, np.float32))
            return graph.add("Mul", half, graph.add("Add", error, graph.constant(1.0, np.float32)))


def _sharpened(graph: Graph, mean: str, temperature: float) -> str:
    powers = graph.add("Pow", graph.add("Max", mean, graph.constant(FLOOR)), graph.constant(1 / temperature))
    return graph.add("Div", powers, graph.add("ReduceSum", powers, graph.constant([1], np.int64), keepdims=1))
