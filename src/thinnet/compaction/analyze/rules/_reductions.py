"""Operations that sum or compare along dimensions: sum, mean, max, softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, fx

from thinnet.compaction.analyze._axes import Axis
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._consumer import Rescale
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze._trace import operation, origin
from thinnet.compaction.analyze.rules._base import constant_rule, dependency_rule
from thinnet.compaction.analyze.rules._linear import over
from thinnet.compaction.analyze.rules._norms import COUNTS

_TO_ONE = (
    *("sum", "mean", "amax", "amin", "prod", "var", "std", "max", "min", "argmax", "argmin", "any", "all"),
    *("logsumexp", "linalg_vector_norm", "norm", "var_mean", "count_nonzero", "median"),
)
_GROWING = (
    *("sum", "prod", "logsumexp", "linalg_vector_norm", "norm", "count_nonzero", "cumsum", "cumprod"),
    *("_softmax", "_log_softmax", "softmax", "log_softmax", "_safe_softmax"),
)
"""Those that make of one constant throughout what depends on how often it is there: twice as long, twice the sum."""

_ALONG = ("_softmax", "_log_softmax", "softmax", "log_softmax", "cumsum", "cumprod", "_safe_softmax", "sort", "topk")


def _dims(call: Call) -> tuple[int, ...]:
    """The dimensions that are reduced, not negative."""
    ndim = len(call.shape("self"))
    named = call["dim"]
    if call.name in ("sort", "topk") and named is None:
        named = -1
    if named is None or (isinstance(named, Sequence) and not named):
        return tuple(range(ndim))
    return tuple(d % max(ndim, 1) for d in ([named] if isinstance(named, int) else named))


@constant_rule(*_TO_ONE, *_ALONG)
def _(call: Call, outcome: Any) -> Any:
    varies, dims = call.value("self").varies, _dims(call)
    # among activations; of a parameter there is as much whatever comes in
    grows = call.name in _GROWING and bool(varies.any())
    if dims:
        varies = varies.any(dims, keepdim=True)

    def fit(part: Tensor) -> Tensor:
        if call.name in _ALONG:
            shape = [part.shape[d] if d in dims else n for d, n in enumerate(varies.shape)]
            found = varies.expand(shape)
        else:
            found = varies.reshape(part.shape)
        return found | (part != 0) if grows else found

    return fit(outcome) if isinstance(outcome, Tensor) else tuple(fit(part) for part in outcome)


@dependency_rule(*_TO_ONE)
def _(call: Call, deps: DependencyGraph) -> Any:
    """A sum takes zeros away unnoticed; everything else counts or compares."""
    dims, ndim = _dims(call), len(call.shape("self"))
    axes = deps.singles(call["self"])
    for axis in axes:
        if axis.dims[0] not in dims:
            continue
        silent = over(call.value("self").zero, axis.dims[0])
        rescale = _mean_of_squares(call) if call.name == "mean" and dims == (ndim - 1,) else None
        if call.name == "sum" or (call.name in ("linalg_vector_norm", "norm") and call["ord"] in (None, 2, 2.0)):
            deps.consume(call, axis.labels.flatten(), silent)
        elif rescale is not None:
            deps.consume(call, axis.labels.flatten(), silent, rescale=rescale)
        else:
            deps.pin([axis], call, COUNTS if call.name in ("mean", "var", "std", "var_mean") else "compares along it")
    kept = tuple(axis for axis in axes if axis.dims[0] not in dims)
    if not call["keepdim"]:
        left = [d for d in range(ndim) if d not in dims]
        kept = tuple(Axis.along(left.index(a.dims[0]), a.labels.flatten(), len(left)) for a in kept)
    outcome = deps.values[call.node]
    return [kept for _ in outcome] if isinstance(outcome, tuple) else kept


def _mean_of_squares(call: Call) -> Rescale | None:
    """The normalization whose mean of squares this is, if it is one that has a weight and an epsilon of its own."""
    source = call["self"]
    squares = isinstance(source, fx.Node) and operation(source) in ("pow", "square", "mul")
    place = origin(call.node)
    if not squares or not (place.kind.endswith("RMSNorm") or place.kind.endswith("LayerNorm")):
        return None
    return Rescale(place.module, call.shape("self")[-1])


@dependency_rule(*_ALONG)
def _(call: Call, deps: DependencyGraph) -> Any:
    dims = _dims(call)
    axes = deps.singles(call["self"])
    deps.pin([axis for axis in axes if axis.dims[0] in dims], call, "compares along it")
    outcome = deps.values[call.node]
    if isinstance(outcome, tuple):
        free = tuple(axis for axis in axes if axis.dims[0] not in dims)
        return [free for _ in outcome]
    return axes
