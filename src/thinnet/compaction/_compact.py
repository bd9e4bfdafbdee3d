"""Making a model smaller with equal outputs."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn
from torch.optim import Optimizer

from thinnet.compaction._attributes import sizes_of
from thinnet.compaction._check import check
from thinnet.compaction._decide import Decision, decide
from thinnet.compaction._evaluate import evaluate
from thinnet.compaction._flow import Flow, Stop
from thinnet.compaction._inputs import ExampleInputs, Inputs
from thinnet.compaction._optimizer import check_optimizer, point_at
from thinnet.compaction._proof import Proof, prove, rounding
from thinnet.compaction._prove import run
from thinnet.compaction._repair import Attributes, Expected, Failure, in_training, repair_
from thinnet.compaction._report import Report, report_of
from thinnet.compaction._shrink import fold_, rescale_, shrink_
from thinnet.compaction._sizes import changes, shape_after
from thinnet.compaction._trace import operation, origin, trace
from thinnet.errors import NotCompactableError
from thinnet.plan import unwrap

_WITHOUT_PARAMETERS = ("_native_batch_norm_legit_no_training", "batch_norm", "group_norm", "instance_norm")
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


def compact(
    model: nn.Module, example_inputs: ExampleInputs, *, optimizer: Optimizer | None = None
) -> tuple[nn.Module, Report]:
    r"""Remove what regularization made unnecessary: a physically smaller model with equal outputs.

    A node, channel or head goes when nobody who stays reads it, :math:`\sum_i w_{oi} x_i = \sum_{i \in \text{kept}}
    w_{oi} x_i` because each :math:`w_{oi}` or :math:`x_i` that goes is zero whatever the input, or when it is a
    constant, which is folded into the bias of whoever reads it. Everything that must keep one size with it goes along:
    weights, biases, statistics of normalizations, the attributes that remember sizes. The model's inputs and outputs
    keep their shapes.

    The outcome is run beside the model, on the example inputs and on random ones of the same shapes, outputs and
    gradients, in the model's own precision (float32: 1e-5 of the largest output) and in float64 (1e-9).

    Args:
        model: any module in eval mode that `torch.export` can trace. It is not changed. Of a compiled one, the model
            inside is made smaller.
        example_inputs: what it is called with: a tensor, a tuple of arguments or a dict of keyword arguments. Its
            shapes are those that the outcome is proven for.
        optimizer: an optimizer of the model's parameters; it steps the smaller model from now on, its state shrunk
            alike. A plan that is attached to it stays with the model of before: attach it again.

    Returns:
        The smaller model, of the same class, and the report, which prints.

    Raises:
        NotCompactableError: the model cannot be traced, its outputs are random or not equal afterwards; the message
            names where. Nothing was changed then.
        ValueError: the model is in training mode, the inputs are on another device or none at all, or the optimizer is
            of another model or one whose state cannot shrink (LBFGS).
        TypeError: the arguments are of another kind.

    Warns:
        NoEffectWarning: a plan is attached to the optimizer.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()
        >>> with torch.no_grad():
        ...     _ = model[2].weight[:, 1:3].zero_()  # nobody reads nodes 1 and 2
        >>> small, report = tn.compact(model, torch.randn(5, 3))
        >>> small[0].out_features, small[2].in_features
        (2, 2)
        >>> report.parameters  # 3·4 + 4 + 4·2 + 2 before, 3·2 + 2 + 2·2 + 2 after
        (26, 14)
    """
    inputs = Inputs.of(example_inputs, "compact")
    check(model, inputs, "compact")
    model = unwrap(model)
    check_optimizer(optimizer, model, "compact")
    found = search(model, inputs)
    report = report_of(model, found.model, inputs, found.flow, found.decision, found.attributes, found.proof)
    if optimizer is not None:
        point_at(optimizer, model, found.model, found.decision.kept)
    return found.model, report


def search(model: nn.Module, inputs: Inputs) -> Found:
    """The smallest model that is proven equal: what fails when it is run stays, and the rest is tried again."""
    traced = trace(model, inputs)
    known = evaluate(traced)
    expected = Expected(run(model, inputs), rounding(model, traced))
    stops: dict[str, Stop] = {}
    for _ in range(_MOST):
        flow = Flow(traced, known, stops)
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


def carry_out_(model: nn.Module, flow: Flow, decision: Decision) -> Attributes:
    """Carry the decision out in place; the attributes that were set, by module."""
    channels = {}
    for node in flow.trace.graph.nodes:
        if operation(node) in _WITHOUT_PARAMETERS and node.op == "call_function":
            source = next(iter(node.all_input_nodes))
            channels[origin(node).module] = shape_after(flow, source, decision.gone)[1]
    channels = {name: n for name, n in channels.items() if sizes_of(model.get_submodule(name), n)}
    fold_(model, decision.folds)
    attributes = shrink_(model, decision.kept, channels)
    for path, values in rescale_(model, decision.widths).items():
        attributes[path] = attributes.get(path, {}) | values
    return attributes
