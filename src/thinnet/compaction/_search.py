"""The search for the smallest model that is proven equal."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from thinnet.compaction.analyze._constant_propagation import evaluate
from thinnet.compaction.analyze._decide import Decision, decide
from thinnet.compaction.analyze._dependency_graph import Flow
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._label import Stop, label
from thinnet.compaction.analyze._trace import trace
from thinnet.compaction.prove._compare import run
from thinnet.compaction.prove._equality import Proof, prove, rounding
from thinnet.compaction.shrink._carry_out import carry_out_
from thinnet.compaction.shrink._repair import Attributes, Expected, Failure, in_training, repair_
from thinnet.compaction.shrink._sizes import changes
from thinnet.errors import NotCompactableError

_MOST = 12
"""How many times a model is tried; each time something else stays."""


@dataclass
class Found:
    """A smaller model and how it came about.

    Args:
        model: the smaller copy.
        flow: the labels.
        decision: what went.
        attributes: sizes that were set, by module.
        proof: that it is equal.
    """

    model: nn.Module
    flow: Flow
    decision: Decision
    attributes: Attributes
    proof: Proof


def search(model: nn.Module, inputs: Inputs) -> Found:
    """The smallest model that is proven equal: what fails when it is run stays, and the rest is tried again."""
    traced = trace(model, inputs)
    known = evaluate(traced)
    expected = Expected(run(model, inputs), rounding(model, traced))
    stops: dict[str, Stop] = {}
    for _ in range(_MOST):
        flow = label(traced, known, stops)
        decision = decide(flow)
        small, attributes = _carried_out(model, flow, decision)
        lengths = changes(flow, decision.gone)
        repaired, failure = repair_(small, inputs, expected, lengths)
        for path, values in repaired.items():
            attributes[path] = attributes.get(path, {}) | values
        proof = None
        if failure is None:
            proof = prove(model, small, inputs, decision, traced)
            failure = in_training(model, small, inputs) if proof.holds else None
            if proof.holds and failure is None:
                return Found(small, flow, decision, attributes, proof)
        if not _stop(stops, model, failure, repaired, lengths):
            break
    reason = failure.message if failure else str(proof)
    where = f"{failure.module or type(model).__name__} at {failure.line}: " if failure else ""
    raise NotCompactableError(
        f"compact: the smaller {type(model).__name__} is not equal ({where}{reason}); the model is unchanged. "
        "tn.compactable(model, example_inputs) says what could go and what holds the rest."
    )


def _stop(
    stops: dict[str, Stop],
    model: nn.Module,
    failure: Failure | None,
    repaired: Attributes,
    lengths: Mapping[str, Mapping[int, int]],
) -> bool:
    """Let more stay: the module that failed, or else those with code of their own whose sizes changed."""
    own = {
        name for name in (*lengths, *repaired) if not type(model.get_submodule(name)).__module__.startswith("torch.nn")
    }
    suspects = {failure.module} if failure else {n for n in own if n not in stops} or own
    reason = "outputs differed without it" if failure is None else "a size is written in its code"
    if failure is not None and failure.line:
        reason += f" ({failure.line})"
    changed = False
    for name in suspects:
        before = stops.get(name)
        if before is None or not before.everything:
            stops[name] = Stop(reason, everything=before is not None)
            changed = True
    return changed


def _carried_out(model: nn.Module, flow: Flow, decision: Decision) -> tuple[nn.Module, Attributes]:
    """A copy of the model with the decision carried out, and the attributes that were set."""
    small = copy.deepcopy(model)
    return small, carry_out_(small, flow, decision)
