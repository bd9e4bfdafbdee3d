"""The smallest model that is proven equal, by trial: what fails when it is run is kept at the next trial."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from thinnet.compaction.analyze._constant_propagation import propagate_constants
from thinnet.compaction.analyze._decide import Decision, decide
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._label import FixedSizes, label
from thinnet.compaction.analyze._trace import trace
from thinnet.compaction.prove._compare import run
from thinnet.compaction.prove._equality import Proof, prove, rounding
from thinnet.compaction.shrink._carry_out import carry_out_
from thinnet.compaction.shrink._repair import Attributes, Expected, Failure, in_training, repair_
from thinnet.compaction.shrink._sizes_after import changes
from thinnet.errors import NotCompactableError

_MOST = 12
"""How many times a model is tried, each time with more sizes kept."""


@dataclass
class Found:
    """A smaller model and how it came about.

    Args:
        model: the smaller copy.
        deps: its dependency groups and their consumers.
        decision: what was removed.
        attributes: sizes that were set, by module.
        proof: that it is equal.
    """

    model: nn.Module
    deps: DependencyGraph
    decision: Decision
    attributes: Attributes
    proof: Proof


def search(model: nn.Module, inputs: Inputs) -> Found:
    """The smallest model that is proven equal: what fails when it is run keeps its size, the rest is tried again."""
    traced = trace(model, inputs)
    values = propagate_constants(traced)
    expected = Expected(run(model, inputs), rounding(model, traced))
    fixed: dict[str, FixedSizes] = {}
    for _ in range(_MOST):
        deps = label(traced, values, fixed)
        decision = decide(deps)
        small, attributes = _carried_out(model, deps, decision)
        lengths = changes(deps, decision.removed)
        repaired, failure = repair_(small, inputs, expected, lengths)
        for path, sizes in repaired.items():
            attributes[path] = attributes.get(path, {}) | sizes
        proof = None
        if failure is None:
            proof = prove(model, small, inputs, decision, traced)
            failure = in_training(model, small, inputs) if proof.holds else None
            if proof.holds and failure is None:
                return Found(small, deps, decision, attributes, proof)
        if not _fix_more(fixed, model, failure, repaired, lengths):
            break
    reason = failure.message if failure else str(proof)
    where = f"{failure.module or type(model).__name__} at {failure.line}: " if failure else ""
    raise NotCompactableError(
        f"compact: the smaller {type(model).__name__} is not equal ({where}{reason}); the model is unchanged. "
        "tn.compactable(model, example_inputs) lists what could be removed and what prevents the rest."
    )


def _fix_more(
    fixed: dict[str, FixedSizes],
    model: nn.Module,
    failure: Failure | None,
    repaired: Attributes,
    lengths: Mapping[str, Mapping[int, int]],
) -> bool:
    """Keep more sizes: of the module that failed, or else of those with code of their own whose sizes changed."""
    own = {
        name for name in (*lengths, *repaired) if not type(model.get_submodule(name)).__module__.startswith("torch.nn")
    }
    suspects = {failure.module} if failure else {n for n in own if n not in fixed} or own
    reason = "outputs differed without it" if failure is None else "a size is written in its code"
    if failure is not None and failure.line:
        reason += f" ({failure.line})"
    changed = False
    for name in suspects:
        before = fixed.get(name)
        if before is None or not before.everything:
            fixed[name] = FixedSizes(reason, everything=before is not None)
            changed = True
    return changed


def _carried_out(model: nn.Module, deps: DependencyGraph, decision: Decision) -> tuple[nn.Module, Attributes]:
    """A copy of the model with the decision carried out, and the attributes that were set."""
    small = copy.deepcopy(model)
    return small, carry_out_(small, deps, decision)
