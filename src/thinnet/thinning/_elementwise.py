"""Classification of operations: elementwise, homogeneous, pooling, reshape."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

_ACTIVATIONS = (
    *(nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.LogSigmoid),
    *(nn.Mish, nn.ReLU, nn.ReLU6, nn.SELU, nn.Sigmoid, nn.SiLU, nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh),
    *(nn.Tanhshrink, nn.Threshold, nn.Identity),
)
_NAMES = (
    *("celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish"),
    *("relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softshrink", "softsign", "tanh", "tanhshrink"),
)
_FUNCTIONS: set[Any] = {
    *(getattr(room, name + tail, None) for room in (F, torch) for name in _NAMES for tail in ("", "_")),
    *(operator.add, operator.sub, operator.mul, operator.neg, torch.add, torch.sub, torch.mul, torch.neg),
}
_METHODS = {name + tail for name in ("relu", "sigmoid", "tanh", "add", "sub", "mul", "neg") for tail in ("", "_")}
_POOLS = tuple(getattr(nn, f"{kind}Pool{d}d") for kind in ("Max", "Avg", "AdaptiveAvg") for d in (1, 2, 3))
_POOL_FUNCTIONS: set[Any] = {
    getattr(room, f"{kind}_pool{d}d", None)
    for room in (F, torch)
    for kind in ("max", "avg", "adaptive_avg")
    for d in (1, 2, 3)
}
_HOMOGENEOUS: set[Any] = {F.relu, F.relu_, F.leaky_relu, torch.relu, torch.relu_, "relu", "relu_"}
_RESHAPES: set[Any] = {torch.flatten, torch.reshape, "flatten", "reshape", "view"}


def is_elementwise(operation: Any) -> bool:
    """Return whether an activation module, function or method's name acts on each element alone, the same for all."""
    return isinstance(operation, _ACTIVATIONS) or _among(operation, _FUNCTIONS | _METHODS)


def is_homogeneous(operation: Any) -> bool:
    """Return whether f(a x) = a f(x) for a > 0, so that dropout before f is dropout behind it."""
    return isinstance(operation, nn.ReLU | nn.LeakyReLU | nn.Identity) or _among(operation, _HOMOGENEOUS)


def is_pooling(operation: Any) -> bool:
    """Return whether an operation pools each channel separately."""
    return isinstance(operation, _POOLS) or _among(operation, _POOL_FUNCTIONS)


def is_reshape(operation: Any) -> bool:
    """Return whether an operation only reshapes."""
    return isinstance(operation, nn.Flatten) or _among(operation, _RESHAPES)


def reads_shape(node: fx.Node) -> bool:
    """Return whether a node of a traced graph uses the shape of a tensor and none of its values."""
    if node.op == "call_method":
        return node.target in ("size", "dim")
    return node.target is getattr and node.args[1] in ("shape", "ndim", "dtype", "device")


def name_of(node: fx.Node, operation: Any) -> str:
    """Describe an operation of a traced graph for messages."""
    if isinstance(operation, nn.Module):
        return f"{type(operation).__name__} '{node.target}'"
    if node.op == "output":
        return "the model's output"
    return f"'{operation}'" if isinstance(operation, str) else f"{getattr(operation, '__name__', operation)}()"


def _among(operation: Any, operations: set[Any]) -> bool:
    return not isinstance(operation, nn.Module) and operation is not None and operation in operations
