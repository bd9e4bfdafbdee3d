"""Compaction in place: the model itself, its optimizer and its attachment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn
from torch.optim import Optimizer

from thinnet.attachment import Attachment
from thinnet.compaction._report import Report, report_of
from thinnet.compaction._smallest_equal import search
from thinnet.compaction.analyze._inputs import ExampleInputs, Inputs
from thinnet.compaction.prove._check import check
from thinnet.compaction.shrink._carry_out import carry_out_
from thinnet.compaction.shrink._optimizer import check_optimizer, shrink_state_
from thinnet.compaction.shrink._shrink import set_attributes
from thinnet.plan import unwrap


def compact_(
    model: nn.Module,
    example_inputs: ExampleInputs,
    *,
    optimizer: Optimizer | None = None,
    attachment: Attachment | None = None,
) -> Report:
    """Remove dead neurons, channels and heads from the model itself, between steps; training continues with the rest.

    As `compact`, but in place: parameters stay the same objects, so the optimizer and the plan keep them. Equality is
    proven on a copy first; where it does not hold, nothing is changed. The model may be in training mode, which it
    keeps: what is proven is that it is the same network in eval mode.

    Args:
        model: any module that `torch.export` can trace.
        example_inputs: what it is called with: a tensor, a tuple of arguments or a dict of keyword arguments.
        optimizer: its optimizer: momenta and the like lose the same slices. An optimizer that has stepped the model and
            is not given here will fail at its next step. None is enough with an attachment, which knows its own.
        attachment: what `attach` returned for it: groups that span parameters are renumbered.

    Returns:
        The report, which prints.

    Raises:
        NotCompactableError: as `compact`.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> optimizer = torch.optim.Adam(model.parameters())
        >>> with torch.no_grad():
        ...     _ = model[2].weight[:, 1:3].zero_()
        >>> report = tn.compact_(model, torch.randn(5, 3), optimizer=optimizer)
        >>> model[2].weight.shape, model.training
        (torch.Size([2, 2]), True)
    """
    inputs = Inputs.of(example_inputs, "compact_")
    optimizer = checked_optimizer(model, optimizer, attachment, "compact_")
    model = unwrap(model)
    with _in_eval(model):
        check(model, inputs, "compact_")
        found = search(model, inputs)
        kept = found.decision.kept
        report = report_of(model, found.model, inputs, found.deps, found.decision, found.attributes, found.proof)
        shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
        carry_out_(model, found.deps, found.decision)
        for path, values in found.attributes.items():
            set_attributes(model.get_submodule(path), values)
    if optimizer is not None:
        shrink_state_(optimizer, model, kept, shapes)
    if attachment is not None:
        attachment.keep(kept)
    return report


def checked_optimizer(
    model: nn.Module, optimizer: Optimizer | None, attachment: Attachment | None, what: str
) -> Optimizer | None:
    """The optimizer, that of the attachment if none is given; what is of another model is refused."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"{what}: `model` must be a torch.nn.Module, got {type(model).__name__}.")
    if attachment is not None and not isinstance(attachment, Attachment):
        raise TypeError(f"{what}: `attachment` must be what tn.attach returned, got {type(attachment).__name__}.")
    own = {id(p) for p in model.parameters()}
    if attachment is not None and not any(id(binding.parameter) in own for binding in attachment.bindings):
        raise ValueError(f"{what}: `attachment` governs no parameter of this model; give the model's own.")
    optimizer = attachment.optimizer if optimizer is None and attachment is not None else optimizer
    check_optimizer(optimizer, model, what)
    return optimizer


@contextlib.contextmanager
def _in_eval(model: nn.Module) -> Iterator[None]:
    """Every module in eval mode; each gets its own mode back."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
