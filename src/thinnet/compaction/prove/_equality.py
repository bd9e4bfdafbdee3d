"""Proof that a smaller model is equal: outputs and gradients on several inputs, in its own precision and in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from thinnet.compaction.analyze._decide import Decision
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._slices import sliced, tensor_of
from thinnet.compaction.analyze._trace import Trace, operation
from thinnet.compaction.prove._compare import RANDOM, Difference, apart, gradients_apart, in_float64, run, tolerance

_EXACT, _CAST = 1e-9, 1e-5
_CASTS = ("_to_copy", "to", "type_as", "wrap_with_autocast")


@dataclass(frozen=True)
class Proof:
    """The largest relative differences of outputs and of gradients, beside those that count as rounding.

    Args:
        outputs: in the model's own precision.
        exact: in float64; None where the model does not run in it.
        gradients: in float64; None where the model has none.
        limits: what `outputs`, `exact` and `gradients` may be.
        inputs: how many inputs were tried.
    """

    outputs: Difference
    exact: Difference | None
    gradients: Difference | None
    limits: tuple[float, float, float]
    inputs: int

    @property
    def holds(self) -> bool:
        """Whether all of them are rounding."""
        return all(
            d is None or d.size <= limit
            for d, limit in zip((self.outputs, self.exact, self.gradients), self.limits, strict=True)
        )

    def __str__(self) -> str:
        told = [("outputs", self.outputs), ("outputs in float64", self.exact), ("gradients", self.gradients)]
        parts = [
            f"{name} differ by {d.size:.1e} at {d.where}, above {limit:.0e}"
            for (name, d), limit in zip(told, self.limits, strict=True)
            if d is not None and not d.size <= limit
        ]
        return "; ".join(parts) or f"outputs differ by {self.outputs.size:.1e} over {self.inputs} inputs"


def prove(model: nn.Module, small: nn.Module, inputs: Inputs, decision: Decision, traced: Trace) -> Proof:
    """Run both on the example inputs and on random ones, in their own precision and in float64."""
    tried = [inputs, *(inputs.random(seed) for seed in range(RANDOM))]
    outputs, n = Difference(0.0, "nowhere"), 0
    for given in tried:
        try:
            before = run(model, given)
        except Exception:
            if given is inputs:
                raise
            continue  # the model itself does not take such inputs
        n += 1
        outputs = max(outputs, _difference(before, small, given), key=lambda d: d.size)
    exact, gradients = _in_float64(model, small, tried, decision)
    limit = _CAST if casts(traced) else _EXACT
    return Proof(outputs, exact, gradients, (rounding(model, traced), limit, limit), n)


def rounding(model: nn.Module, traced: Trace) -> float:
    """How far outputs may be apart in the model's own precision, or that which its code converts to."""
    return max(tolerance(model), _CAST if casts(traced) else 0.0)


def casts(traced: Trace) -> bool:
    """Whether the code converts to a precision of its own choice."""
    return any(operation(node) in _CASTS for node in traced.graph.nodes if node.op == "call_function")


def _difference(before: list[torch.Tensor], small: nn.Module, given: Inputs) -> Difference:
    try:
        return apart(before, run(small, given))
    except Exception as error:
        return Difference(torch.inf, f"{type(error).__name__}: {error}")


def _in_float64(
    model: nn.Module, small: nn.Module, tried: list[Inputs], decision: Decision
) -> tuple[Difference | None, Difference | None]:
    """The differences of outputs and gradients in float64, None where the model does not run in it."""
    try:
        wide = in_float64(model)
        before = [run(wide, given.double()) for given in tried]
    except Exception:
        return None, None
    narrow = in_float64(small)
    _unrounded_(narrow, wide, decision)
    exact = max(
        (_difference(b, narrow, given.double()) for b, given in zip(before, tried, strict=True)), key=lambda d: d.size
    )
    try:
        # weights that were rescaled have rescaled gradients; those of a node that stands for an emptied layer also came
        # through the others
        but = {f"{path}.weight" for path in decision.widths} | decision.tokens
        gradients = gradients_apart(wide, narrow, tried[0].double(), decision.kept, but)
    except RuntimeError:
        gradients = None
    return exact, gradients


@torch.no_grad()
def _unrounded_(narrow: nn.Module, wide: nn.Module, decision: Decision) -> None:
    """Folded biases and rescaled weights as they are before they are rounded to the model's precision."""
    exact = {name: tensor_of(wide, name) + amount for name, amount in decision.folds.items()}
    for path, (before, now) in decision.widths.items():
        name = f"{path}.weight"
        exact[name] = tensor_of(wide, name) * math.sqrt(before / now)
    for name, value in exact.items():
        tensor_of(narrow, name).copy_(sliced(value, decision.kept.get(name, {})))
