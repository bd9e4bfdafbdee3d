"""Constant propagation: which elements of each tensor of a graph the weights alone determine."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx

from thinnet.compaction.analyze._call import Call, Value, is_elementwise
from thinnet.compaction.analyze._trace import Trace
from thinnet.compaction.analyze.rules import CONSTANT_RULES, elementwise_constants


def propagate_constants(trace: Trace) -> dict[fx.Node, Any]:
    """Propagate constants: the `Value` of every node, a tuple of them where it returns several, or a plain value.

    Parameters are constants, inputs are variables: what is constant is determined by the weights alone, and a neuron
    that is the constant zero in this sense can be removed. Values are worked out in float64 where the graph runs in
    it, so that constants are exact before they are rounded to a bias.
    """
    try:
        return _propagate(trace, torch.float64)
    except RuntimeError:
        return _propagate(trace, None)


@torch.no_grad()
def _propagate(trace: Trace, precision: torch.dtype | None) -> dict[fx.Node, Any]:
    values: dict[fx.Node, Any] = {}
    for node in trace.graph.nodes:
        if node.op == "placeholder":
            value = trace.values[node]
            if isinstance(value, Tensor):
                value = _in(precision, value.detach())
                values[node] = Value.variable(value) if node in trace.inputs else Value.constant(value)
            else:
                values[node] = value
        elif node.op == "get_attr":
            found = operator.attrgetter(str(node.target))(trace.program.graph_module)
            values[node] = Value.constant(_in(precision, found.detach())) if isinstance(found, Tensor) else found
        elif node.op == "call_function":
            values[node] = _outcome(node, values, precision)
    return values


def _in(precision: torch.dtype | None, value: Any) -> Any:
    """Floating-point tensors in this precision, if one is given: what the code converts to another meets its like."""
    if isinstance(value, tuple | list):
        return tuple(_in(precision, part) for part in value)
    floating = isinstance(value, Tensor) and value.is_floating_point() and precision is not None
    return value.to(precision) if floating else value


def _outcome(node: fx.Node, values: dict[fx.Node, Any], precision: torch.dtype | None) -> Any:
    if node.target is operator.getitem:
        source, place = node.args
        return values[source][place]  # type: ignore[index]
    if isinstance(node.target, torch._ops.OpOverload) and not node.target._schema.returns:
        return None  # an assertion of the tracer's own, about the precision that it saw
    args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: _data(values[n]))
    outcome = _in(precision, node.target(*args, **kwargs))  # type: ignore[operator]
    if not any(isinstance(values[n], Value | tuple | list) for n in node.all_input_nodes):
        return _wrap(outcome, Value.constant)
    call = Call(node, values)
    rule = CONSTANT_RULES.get(call.name)
    if rule is None and is_elementwise(node):
        rule = elementwise_constants
    if rule is None:
        anything = any(_varies(values[n]) for n in node.all_input_nodes)
        return _wrap(outcome, Value.variable if anything else Value.constant)
    varies = rule(call, outcome)
    if isinstance(outcome, Tensor):
        return Value(outcome, varies)
    return tuple(Value(o, v) for o, v in zip(outcome, varies, strict=True))


def _data(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_data(v) for v in value)
    return value.data if isinstance(value, Value) else value


def _varies(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(_varies(v) for v in value)
    return isinstance(value, Value) and bool(value.varies.any())


def _wrap(outcome: Any, make: Any) -> Any:
    if isinstance(outcome, tuple | list):
        return tuple(_wrap(o, make) for o in outcome)
    return make(outcome) if isinstance(outcome, Tensor) else outcome
