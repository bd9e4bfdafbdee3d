"""Removal of dead structures: a physically smaller model with equal outputs."""

from __future__ import annotations

from torch import nn
from torch.optim import Optimizer

from thinnet.compaction._report import Report, report_of
from thinnet.compaction._smallest_equal import search
from thinnet.compaction.analyze._inputs import ExampleInputs, Inputs
from thinnet.compaction.prove._check import check
from thinnet.compaction.shrink._optimizer import check_optimizer, point_at
from thinnet.plan import unwrap


def compact(
    model: nn.Module, example_inputs: ExampleInputs, *, optimizer: Optimizer | None = None
) -> tuple[nn.Module, Report]:
    r"""Remove dead neurons, channels and heads: a physically smaller model with equal outputs.

    A neuron, channel or head is removed when no remaining layer depends on its value,

    .. math:: \sum_i w_{oi} x_i = \sum_{i \in \text{kept}} w_{oi} x_i,

    because each removed :math:`w_{oi}` or :math:`x_i` is zero whatever the input, or when it is a constant, which is
    folded into the bias of the layers behind it. Everything of the same size is removed with it: weights, biases,
    statistics of normalizations, the attributes that remember sizes. The model's inputs and outputs keep their shapes.

    The result is run beside the model, on the example inputs and on random ones of the same shapes, outputs and
    gradients, in the model's own precision (float32: 1e-5 of the largest output) and in float64 (1e-9).

    Args:
        model: any module in eval mode that `torch.export` can trace. It is not changed. Of a compiled one, the model
            inside is made smaller.
        example_inputs: what it is called with: a tensor, a tuple of arguments or a dict of keyword arguments. Its
            shapes are those that equality is proven for.
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
        ...     _ = model[2].weight[:, 1:3].zero_()  # no layer depends on neurons 1 and 2
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
    report = report_of(model, found.model, inputs, found.deps, found.decision, found.attributes, found.proof)
    if optimizer is not None:
        point_at(optimizer, model, found.model, found.decision.kept)
    return found.model, report
